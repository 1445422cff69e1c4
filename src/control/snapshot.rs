//! The control state as one readable JSON: out, in, and as a seed.
//!
//! What comes in lies on disk first and is checked as a whole, so that a refusal changes nothing; then it is read once more and put. Neither
//! way is more of it in memory than its settings and a page of rows.

mod check;
mod defaults;
mod form;
mod read;
mod secrets;
mod state;
mod write;

use std::io::{self, Seek};

use futures_util::stream;
use serde::Serialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use tokio::io::{AsyncSeekExt, AsyncWriteExt};
use tokio::sync::mpsc;

use super::ask::{Ask, BODY_PATIENCE, Incoming, LEAST_RATE, Outcome, Refused, answer, fields};
use crate::actions::record::config::check_room;
use crate::actions::record::target::bucket_for;
use crate::app::App;
use crate::config::Buckets;
use crate::events::{self, Names};
use crate::ids;
use crate::live::hub::LiveOf;
use crate::model::domain::Tag;
use crate::model::forbidden::Forbidden;
use crate::objects::Store as ObjectStore;
use crate::objects::folder::{Acl, Draft, FolderError, FolderStore, NewObject, Replace};
use crate::phrases::Phrase;
use crate::services::Services;
use crate::store::change::{Looks, Settings, View};
use crate::store::documents::Kind;
use crate::store::{Store, StoreError};
use crate::wire::outgoing::{Body, Outgoing};
use form::{
    BucketPart, CertificatePart, DomainCertificatePart, DomainConfig, DomainPart, RecordNotifyPart,
    Snapshot, StreamNotifyPart, TagsPart,
};
use read::{Checked, Item, Taker};
use secrets::Held;
use state::{Bucket, Rows, State};
use write::{Broken, Out};

/// The version of the form.
const FORM: u32 = 1;

/// Pieces of an answer that are made ahead of its reader.
const PIECES_AHEAD: usize = 4;
/// Rows that are put together.
const ROWS: usize = 500;
/// Bytes of a seed at most.
const SEED_LIMIT: usize = 64 << 20;

/// The embedded store, whose buckets and objects are part of a snapshot.
fn embedded(services: &Services) -> Option<&FolderStore> {
    match &services.objects.store {
        ObjectStore::Embedded(folder) => Some(folder),
        ObjectStore::Outside(_) => None,
    }
}

fn tell(services: &Services, what: &str, rules: usize) {
    let told = json!({"what": what, "rules": rules});
    services
        .events
        .tell(events::Kind::Snapshot, Names::NONE, &told);
}

/// The control state, written as it is read.
pub(super) async fn export(ask: Ask) -> Outcome {
    let services = ask.app.services.clone();
    let folder = embedded(&services).cloned();
    let with_objects = ask.switch("objects")?;
    if with_objects && folder.is_none() {
        return Err(Refused::bad(Phrase::ObjectsAreElsewhere));
    }
    let buckets = match &folder {
        Some(folder) => folder.list_buckets().await.map_err(Refused::broken)?,
        None => Vec::new(),
    };
    let buckets = buckets.into_iter().map(BucketPart::of).collect();
    let settings = gather(&services.store, buckets).await;
    let settings = serde_json::to_value(settings.map_err(Refused::broken)?);
    let Value::Object(mut settings) = settings.map_err(Refused::broken)? else {
        return Err(Refused::broken("the settings are no object"));
    };
    // These follow, a page at a time.
    for rows in ["sessions", "slices", "files"] {
        settings.shift_remove(rows);
    }
    let rules = services.store.all_rules().len();
    let (to, from) = mpsc::channel(PIECES_AHEAD);
    tokio::spawn(async move {
        let objects = folder.as_ref().filter(|_| with_objects);
        match write::all(Out::new(to.clone()), settings, &services, objects).await {
            Ok(()) => tell(&services, "saved", rules),
            Err(Broken::Gone) => {}
            Err(error) => {
                tracing::error!(%error, "a snapshot breaks off");
                let _ = to.send(Err(io::Error::other(error.to_string()))).await;
            }
        }
    });
    let body = Body::Stream(Box::pin(stream::unfold(from, |mut from| async move {
        let piece = from.recv().await?;
        Some((piece, from))
    })));
    Ok(Outgoing::new(200, "application/json", body))
}

/// The parts that are small: what was set.
async fn gather(store: &Store, buckets: Vec<BucketPart>) -> Result<Snapshot, StoreError> {
    let record = store.list_documents(Kind::RecordNotify).await?;
    let stream = store.list_documents(Kind::StreamNotify).await?;
    let domains = store.list_documents(Kind::Domain).await?;
    let functions = store.list_documents(Kind::DomainConfig).await?;
    let forbidden: Vec<(String, Forbidden)> = store.list_documents(Kind::Forbidden).await?;
    let tags: Vec<(String, Vec<Tag>)> = store.list_documents(Kind::Tags).await?;
    let certificates = store.list_documents(Kind::Certificate).await?;
    let in_use = store.list_documents(Kind::DomainCertificate).await?;
    Ok(Snapshot {
        localyun: Some(FORM),
        rules: store.all_rules(),
        record_notify: record.into_iter().map(RecordNotifyPart::of).collect(),
        stream_notify: stream.into_iter().map(StreamNotifyPart::of).collect(),
        domains: domains.into_iter().map(DomainPart::of).collect(),
        domain_configs: functions.into_iter().map(DomainConfig::of).collect(),
        forbidden: forbidden.into_iter().map(|(_, it)| it).collect(),
        tags: tags
            .into_iter()
            .map(|(domain, tags)| TagsPart { domain, tags })
            .collect(),
        certificates: certificates.into_iter().map(CertificatePart::of).collect(),
        domain_certificates: in_use.into_iter().map(DomainCertificatePart::of).collect(),
        pushes: store.export_pushes().await?,
        controls: store.export_controls().await?,
        buckets,
        ..Snapshot::default()
    })
}

/// Why a body that was taken as it came did not come whole.
fn broke_off(error: &io::Error) -> Refused {
    if error.kind() == io::ErrorKind::TimedOut {
        let (rate, seconds) = (LEAST_RATE, BODY_PATIENCE.as_secs());
        let said = Phrase::BodyTooSlow.with([("rate", &rate), ("seconds", &seconds)]);
        return Refused::new(408, said);
    }
    Refused::bad(Phrase::BodyBrokeOff.with([("why", error)]))
}

/// Takes a body to disk, where it has room: the file has no name, and is gone with its handle.
async fn spooled(ask: &mut Ask) -> Result<std::fs::File, Refused> {
    let folder = ask.app.config.data_dir.clone();
    let path = folder.join(format!("snapshot-{}", ids::nonce()));
    let full =
        |error: io::Error| Refused::new(507, Phrase::NoRoomForSnapshot.with([("why", &error)]));
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)
        .map_err(full)?;
    std::fs::remove_file(&path).map_err(full)?;
    let mut file = tokio::fs::File::from_std(file);
    match &mut ask.body {
        Incoming::Stream(pieces) => {
            while let Some(piece) = pieces.recv().await {
                let piece = piece.map_err(|error| broke_off(&error))?;
                file.write_all(&piece).await.map_err(full)?;
            }
        }
        Incoming::Kept(bytes) => file.write_all(bytes).await.map_err(full)?,
        Incoming::TooLong => return Err(Refused::new(413, Phrase::SnapshotTooLong)),
    }
    file.flush().await.map_err(full)?;
    file.rewind().await.map_err(full)?;
    Ok(file.into_std().await)
}

/// Reads a spooled body off the async threads, from its beginning.
async fn read_through<T: Taker + Send + 'static>(
    file: &std::fs::File,
    mut taker: T,
) -> Result<(serde_json::Map<String, Value>, T), Refused> {
    let mut file = file.try_clone().map_err(Refused::broken)?;
    let reading = tokio::task::spawn_blocking(move || {
        file.rewind().map_err(|error| error.to_string())?;
        let settings = read::read(io::BufReader::with_capacity(1 << 16, file), &mut taker)?;
        Ok((settings, taker))
    });
    reading
        .await
        .map_err(Refused::broken)?
        .map_err(|why: String| Refused::bad(Phrase::BodyIsNoSnapshot.with([("why", &why)])))
}

/// Puts a snapshot in place of the state there is. Stored objects stay, unless it brings its own.
pub(super) async fn import(mut ask: Ask) -> Outcome {
    let file = spooled(&mut ask).await?;
    let app = &ask.app;
    let services = &app.services;
    let now = services.clock.now();
    let (mut settings, checked) = read_through(&file, Checked::default()).await?;
    defaults::fill(&mut settings, now);
    let brings_objects = checked.objects > 0;
    let snapshot: Snapshot = fields(Value::Object(settings))?;
    if snapshot.localyun != Some(FORM) {
        return Err(Refused::bad(Phrase::SnapshotHasNoForm));
    }
    let mut state = check::checked(snapshot, now)
        .map_err(|why| Refused::bad(Phrase::BadSnapshot.with([("why", &why)])))?;
    if brings_objects && embedded(services).is_none() {
        return Err(Refused::bad(Phrase::SnapshotBringsObjects));
    }
    // On several nodes each closes its own when it is told.
    let _closed = match app.nodes() {
        Some(_) => None,
        None => app.hub.close_gate().await,
    };
    let live = app.hub.live(&LiveOf::All).await.map_err(Refused::broken)?;
    if !live.is_empty() {
        return Err(Refused::new(409, Phrase::StreamsAreLive));
    }
    make_buckets(services, &state, true).await?;
    let store = &services.store;
    let held = Held::of(store).await.map_err(Refused::broken)?;
    let missing = held.fill(&mut state);
    let putting = put_all(app, state, brings_objects, &file);
    if let Some(nodes) = app.nodes() {
        let putting = async { putting.await.map_err(|refused| refused.message) };
        let done = nodes.forget(false, Box::pin(putting)).await;
        done.map_err(Refused::broken)?;
    } else {
        app.come_to_rest().await;
        putting.await?;
    }
    let rules = store.all_rules().len();
    tell(services, "loaded", rules);
    answer(&json!({
        "imported": true,
        "rules": rules,
        "sessions": checked.sessions,
        "slices": checked.slices,
        "files": checked.files,
        "objects": checked.objects,
        "missing_secrets": missing,
    }))
}

/// Puts a checked snapshot in the place of what is there: its settings as a whole or not at all, then what was recorded.
async fn put_all(
    app: &App,
    mut state: State,
    brings_objects: bool,
    file: &std::fs::File,
) -> Result<(), Refused> {
    let services = &app.services;
    let store = &services.store;
    let buckets = std::mem::take(&mut state.buckets);
    let (settings, rows) = parted(state).map_err(Refused::broken)?;
    // Nobody makes sure meanwhile of a bucket that is about to go.
    let forgetting = app.gateway.context.forgetting.write().await;
    let replaced = store.replace_all(settings).await;
    app.hub.drop_recorders();
    services.notifier.reset(services.clock.busy());
    app.gateway.context.roles.forget();
    reread_certificates(services).await;
    replaced.map_err(Refused::broken)?;
    services.meter.forget().await;
    if brings_objects {
        clear_objects(services, &buckets).await?;
    }
    drop(forgetting);
    put_rows(store, rows).await.map_err(Refused::broken)?;
    put_items(services, file).await
}

/// Objects in the place of which others come. Their buckets are made anew, those that the document names as it has them.
async fn clear_objects(services: &Services, named: &[Bucket]) -> Result<(), Refused> {
    let Some(folder) = embedded(services) else {
        return Ok(());
    };
    let buckets = folder.list_buckets().await.map_err(Refused::broken)?;
    folder.clear().await.map_err(Refused::broken)?;
    for bucket in buckets {
        let (class, redundancy) = match named.iter().find(|named| named.name == bucket.name) {
            Some(named) => (named.storage_class, named.redundancy),
            None => (bucket.storage_class, bucket.redundancy),
        };
        let made = folder.create_bucket_of(&bucket.name, bucket.acl, class, redundancy);
        made.await.map_err(Refused::broken)?;
        let set = folder.set_bucket_cors(&bucket.name, bucket.cors, bucket.cors_vary);
        set.await.map_err(Refused::broken)?;
    }
    Ok(())
}

/// Hands items over to where they can be waited for.
struct HandOver(mpsc::Sender<Item>);

impl Taker for HandOver {
    fn take(&mut self, item: Item) -> Result<(), String> {
        self.0
            .blocking_send(item)
            .map_err(|_| "the items are not taken any more".to_owned())
    }
}

/// Puts the rows and objects of a checked snapshot.
async fn put_items(services: &Services, file: &std::fs::File) -> Result<(), Refused> {
    let (to, mut from) = mpsc::channel(ROWS);
    // The sender goes with the reading: its end is the end of the items.
    let reading = async move { read_through(file, HandOver(to)).await.map(drop) };
    // Where it ends early, whoever reads on is told that nobody takes it.
    let putting = async move {
        let (mut sessions, mut slices, mut files) = (Vec::new(), Vec::new(), Vec::new());
        let mut object: Option<(String, String, NewObject, Draft)> = None;
        while let Some(item) = from.recv().await {
            match item {
                Item::Session(row) => {
                    ids::stay_clear_of([row.id.as_str()].into_iter());
                    sessions.push(check::over(row));
                }
                Item::Slice(row) => slices.push(row),
                Item::File(row) => files.push(row),
                Item::Object { bucket, key, meta } => {
                    if let Some(folder) = embedded(services) {
                        match folder.create_bucket(&bucket, Acl::Private).await {
                            Ok(()) | Err(FolderError::BucketAlreadyExists(_)) => {}
                            Err(error) => return Err(Refused::broken(error)),
                        }
                        let draft = folder.draft().await.map_err(Refused::broken)?;
                        object = Some((bucket, key, *meta, draft));
                    }
                }
                Item::Bytes(bytes) => {
                    if let Some((.., draft)) = &mut object {
                        draft.write(bytes.into()).await.map_err(Refused::broken)?;
                    }
                }
                Item::ObjectEnd => {
                    if let (Some((bucket, key, meta, draft)), Some(folder)) =
                        (object.take(), embedded(services))
                    {
                        let finished = draft.finish().await.map_err(Refused::broken)?;
                        let put = folder.commit(&bucket, &key, finished, meta, Replace::Always);
                        put.await.map_err(Refused::broken)?;
                    }
                }
            }
            if sessions.len() + slices.len() + files.len() >= ROWS {
                let rows = (
                    std::mem::take(&mut sessions),
                    std::mem::take(&mut slices),
                    std::mem::take(&mut files),
                );
                let put = services.store.put_records(rows.0, rows.1, rows.2);
                put.await.map_err(Refused::broken)?;
            }
        }
        let put = services.store.put_records(sessions, slices, files);
        put.await.map_err(Refused::broken)
    };
    let (read, put) = futures_util::future::join(reading, putting).await;
    put?;
    read
}

/// The buckets that a document names are there afterwards, and those that its rules name, whatever the settings say about others.
/// `anew`: one that is there already gets the document's lists as well.
async fn make_buckets(services: &Services, state: &State, anew: bool) -> Result<(), Refused> {
    // These first: the others are made of the class that a bucket has where nothing is said.
    for bucket in &state.buckets {
        make_bucket(services, bucket, anew).await.map_err(|why| {
            Refused::broken(format!("the bucket {} cannot be made: {why}", bucket.name))
        })?;
    }
    for rule in &state.rules {
        bucket_for(&services.objects, &rule.oss_bucket, Buckets::Auto)
            .await
            .map_err(|error| {
                Refused::new(
                    error.status,
                    Phrase::BucketNotMade
                        .with([("bucket", &rule.oss_bucket), ("why", &error.message)]),
                )
            })?;
    }
    Ok(())
}

async fn make_bucket(services: &Services, bucket: &Bucket, anew: bool) -> Result<(), String> {
    let Some(folder) = embedded(services) else {
        let made = services.objects.create_bucket(&bucket.name).await;
        return made.map_err(|error| error.to_string());
    };
    let (class, redundancy) = (bucket.storage_class, bucket.redundancy);
    let made = folder.create_bucket_of(&bucket.name, bucket.acl, class, redundancy);
    let is_new = match made.await {
        Ok(()) => true,
        Err(FolderError::BucketAlreadyExists(_)) => false,
        Err(error) => return Err(error.to_string()),
    };
    if !is_new && !anew {
        return Ok(());
    }
    let set = async {
        folder.set_bucket_acl(&bucket.name, bucket.acl).await?;
        let cors = bucket.cors.clone();
        folder
            .set_bucket_cors(&bucket.name, cors, bucket.cors_vary)
            .await
    };
    set.await.map_err(|error| error.to_string())
}

/// What was set, and what happened.
fn parted(state: State) -> Result<(Settings, Rows), StoreError> {
    let mut settings = Settings::of_rules(state.rules);
    put_each(&mut settings, Kind::RecordNotify, &state.record_notify)?;
    put_each(&mut settings, Kind::StreamNotify, &state.stream_notify)?;
    put_each(&mut settings, Kind::Domain, &state.domains)?;
    put_each(&mut settings, Kind::DomainConfig, &state.domain_configs)?;
    put_each(&mut settings, Kind::Forbidden, &state.forbidden)?;
    put_each(&mut settings, Kind::Tags, &state.tags)?;
    put_each(&mut settings, Kind::Certificate, &state.certificates)?;
    let in_use = &state.domain_certificates;
    put_each(&mut settings, Kind::DomainCertificate, in_use)?;
    Ok((settings, state.rows))
}

fn put_each<T: Serialize>(
    settings: &mut Settings,
    kind: Kind,
    list: &[(String, T)],
) -> Result<(), StoreError> {
    list.iter()
        .try_for_each(|(name, config)| settings.put(kind, name, config))
}

/// What is there already stays, but for the controls: they are put beside what is there.
async fn put_rows(store: &Store, rows: Rows) -> Result<(), StoreError> {
    let sessions = rows.sessions.iter().map(|row| row.id.as_str());
    let pushes = rows.pushes.iter().map(|row| row.id.as_str());
    ids::stay_clear_of(sessions.chain(pushes));
    store
        .import_records(rows.sessions, rows.slices, rows.files)
        .await?;
    for push in rows.pushes {
        store.add_push(push).await?;
    }
    store.add_controls(rows.controls).await
}

/// Takes a seed from a running server's owner.
pub(super) async fn seed(mut ask: Ask) -> Outcome {
    let mut text = Vec::new();
    match &mut ask.body {
        Incoming::Stream(pieces) => {
            while let Some(piece) = pieces.recv().await {
                let piece = piece.map_err(|error| broke_off(&error))?;
                if text.len() + piece.len() > SEED_LIMIT {
                    return Err(Refused::new(413, Phrase::SeedTooLong));
                }
                text.extend_from_slice(&piece);
            }
        }
        Incoming::Kept(bytes) => text.extend_from_slice(bytes),
        Incoming::TooLong => return Err(Refused::new(413, Phrase::SeedTooLong)),
    }
    let text = std::str::from_utf8(&text)
        .map_err(|error| Refused::bad(Phrase::BodyIsNoJson.with([("why", &error)])))?;
    let services = &ask.app.services;
    apply_seed(services, text)
        .await
        .map_err(|why| Refused::bad(Phrase::BadSeed.with([("why", &why)])))?;
    ask.app.gateway.context.roles.forget();
    let rules = services.store.all_rules().len();
    tell(services, "seeded", rules);
    answer(&json!({"seeded": true, "rules": rules}))
}

/// Puts a seed file's rules, notify configs and domains beside what is there; what exists already stays.
///
/// # Errors
/// The text says what is wrong, and where in the file; nothing was put then. The program does not start, and shows it.
pub async fn apply_seed(services: &Services, text: &str) -> Result<(), String> {
    let mut body: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if let Value::Object(settings) = &mut body {
        defaults::fill(settings, services.clock.now());
    }
    let snapshot: Snapshot = fields(body).map_err(|refused| refused.message)?;
    if snapshot.localyun.is_some_and(|form| form != FORM) {
        return Err(r#""localyun" must be 1"#.to_owned());
    }
    let mut state = check::checked(snapshot, services.clock.now())?;
    let store = &services.store;
    keep_new(store, &mut state)
        .await
        .map_err(|error| error.to_string())?;
    for missing in Held::default().fill(&mut state) {
        tracing::warn!(
            kind = missing.kind,
            domain = missing.name,
            field = missing.field,
            "the seed hides a secret; it is empty until it is set"
        );
    }
    make_buckets(services, &state, false)
        .await
        .map_err(|refused| refused.message)?;
    let mut rows = std::mem::take(&mut state.rows);
    let looks = Kind::ALL.into_iter().fold(Looks::default(), Looks::at_all);
    let added = store.change(looks, move |view| add_new(view, &state));
    added.await.map_err(|error| error.to_string())??;
    let controls = std::mem::take(&mut rows.controls);
    let put = async {
        put_rows(store, rows).await?;
        store.add_new_controls(controls).await
    };
    put.await.map_err(|error| error.to_string())?;
    reread_certificates(services).await;
    Ok(())
}

/// Viewers are served with the certificates that are there now.
async fn reread_certificates(services: &Services) {
    if let Err(error) = services.certificates.reread(&services.store).await {
        tracing::error!(%error, "the certificates of the domains cannot be read");
    }
}

/// Puts what is not there yet; all of it or nothing.
fn add_new(view: &mut View<'_>, state: &State) -> Result<(), String> {
    for rule in &state.rules {
        if view.rule(&rule.domain, &rule.app, &rule.stream).is_none() {
            check_room(view.rule_count(&rule.domain)).map_err(|error| error.message.to_string())?;
            view.add_rule(rule.clone());
        }
    }
    add_each(view, Kind::RecordNotify, &state.record_notify)
        .and_then(|()| add_each(view, Kind::StreamNotify, &state.stream_notify))
        .and_then(|()| add_each(view, Kind::Domain, &state.domains))
        .and_then(|()| add_each(view, Kind::DomainConfig, &state.domain_configs))
        .and_then(|()| add_each(view, Kind::Forbidden, &state.forbidden))
        .and_then(|()| add_each(view, Kind::Tags, &state.tags))
        .and_then(|()| add_each(view, Kind::Certificate, &state.certificates))
        .and_then(|()| add_each(view, Kind::DomainCertificate, &state.domain_certificates))
        .map_err(|error| error.to_string())
}

fn add_each<T: Serialize>(
    view: &mut View<'_>,
    kind: Kind,
    list: &[(String, T)],
) -> Result<(), StoreError> {
    for (name, config) in list {
        let known: Option<IgnoredAny> = view.document(kind, name)?;
        if known.is_none() {
            view.put(kind, name, config)?;
        }
    }
    Ok(())
}

/// Leaves out what exists already.
async fn keep_new(store: &Store, state: &mut State) -> Result<(), StoreError> {
    state.rules.retain(|rule| {
        let known = store.rules_of(&rule.domain);
        !known
            .iter()
            .any(|known| known.app == rule.app && known.stream == rule.stream)
    });
    leave_out(store, Kind::RecordNotify, &mut state.record_notify).await?;
    leave_out(store, Kind::StreamNotify, &mut state.stream_notify).await?;
    leave_out(store, Kind::Domain, &mut state.domains).await?;
    leave_out(store, Kind::DomainConfig, &mut state.domain_configs).await?;
    leave_out(store, Kind::Certificate, &mut state.certificates).await
}

async fn leave_out<T>(
    store: &Store,
    kind: Kind,
    list: &mut Vec<(String, T)>,
) -> Result<(), StoreError> {
    let known: Vec<(String, Value)> = store.list_documents(kind).await?;
    list.retain(|(name, _)| !known.iter().any(|(known, _)| known == name));
    Ok(())
}
