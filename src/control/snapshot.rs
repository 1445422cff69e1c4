//! The control state as one readable JSON: out, in, and as a seed.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Outcome, Refused, fields};
use crate::app::App;
use crate::clock::UnixMs;
use crate::live::access::{Domain, Function};
use crate::model::rule::Rule;
use crate::notify::config::{RecordNotify, StreamNotify};
use crate::services::Services;
use crate::store::documents::Kind;
use crate::store::records::{FileRow, SessionRow, SliceRow};
use crate::store::{Store, StoreError};

/// What a hidden secret is written as; on the way in it means "keep what is there".
const HIDDEN: &str = "***";

#[derive(Serialize, Deserialize)]
struct Named<T> {
    domain: String,
    #[serde(flatten)]
    config: T,
}

/// A snapshot; every part may be absent.
#[derive(Serialize, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Snapshot {
    /// The form's version; without it a document is no snapshot.
    localyun: Option<u32>,
    rules: Vec<Rule>,
    record_notify: Vec<Named<RecordNotifyPart>>,
    stream_notify: Vec<Named<StreamNotifyPart>>,
    domains: Vec<Named<DomainPart>>,
    domain_configs: Vec<DomainConfig>,
    sessions: Vec<SessionRow>,
    slices: Vec<SliceRow>,
    files: Vec<FileRow>,
}

// `flatten` and `deny_unknown_fields` do not go together, so the parts are lenient copies.
#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct RecordNotifyPart {
    notify_url: Option<String>,
    on_demand_url: Option<String>,
    need_status_notify: bool,
    notify_req_auth: bool,
    notify_auth_key: String,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct StreamNotifyPart {
    notify_url: Option<String>,
    exception_notify_url: Option<String>,
    notify_req_auth: bool,
    notify_auth_key: String,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct DomainPart {
    kind: String,
    play_domain: Option<String>,
    region: String,
    scope: String,
    created_at: UnixMs,
}

#[derive(Serialize, Deserialize)]
struct DomainConfig {
    domain: String,
    functions: Vec<Function>,
}

fn hidden(secret: &str) -> String {
    if secret.is_empty() {
        String::new()
    } else {
        HIDDEN.to_owned()
    }
}

pub(super) async fn export(app: &App) -> Outcome {
    let snapshot = gather(&app.services.store).await.map_err(Refused::broken)?;
    serde_json::to_value(snapshot).map_err(Refused::broken)
}

async fn gather(store: &Store) -> Result<Snapshot, StoreError> {
    let (sessions, slices, files) = store.export_records().await?;
    let mut snapshot = Snapshot {
        localyun: Some(1),
        rules: store.all_rules(),
        sessions,
        slices,
        files,
        ..Snapshot::default()
    };
    for (domain, c) in store
        .list_documents::<RecordNotify>(Kind::RecordNotify)
        .await?
    {
        let config = RecordNotifyPart {
            notify_url: c.notify_url,
            on_demand_url: c.on_demand_url,
            need_status_notify: c.need_status_notify,
            notify_req_auth: c.notify_req_auth,
            notify_auth_key: hidden(&c.notify_auth_key),
        };
        snapshot.record_notify.push(Named { domain, config });
    }
    for (domain, c) in store
        .list_documents::<StreamNotify>(Kind::StreamNotify)
        .await?
    {
        let config = StreamNotifyPart {
            notify_url: c.notify_url,
            exception_notify_url: c.exception_notify_url,
            notify_req_auth: c.notify_req_auth,
            notify_auth_key: hidden(&c.notify_auth_key),
        };
        snapshot.stream_notify.push(Named { domain, config });
    }
    for (domain, c) in store.list_documents::<Domain>(Kind::Domain).await? {
        let config = DomainPart {
            kind: c.kind,
            play_domain: c.play_domain,
            region: c.region,
            scope: c.scope,
            created_at: c.created_at,
        };
        snapshot.domains.push(Named { domain, config });
    }
    for (domain, mut functions) in store
        .list_documents::<Vec<Function>>(Kind::DomainConfig)
        .await?
    {
        for (name, value) in functions.iter_mut().flat_map(|f| f.args.iter_mut()) {
            if name.starts_with("auth_key") {
                *value = hidden(value);
            }
        }
        snapshot
            .domain_configs
            .push(DomainConfig { domain, functions });
    }
    Ok(snapshot)
}

/// Puts a snapshot in place of the state there is. Stored objects stay.
pub(super) async fn import(app: &App, body: Value) -> Outcome {
    let snapshot: Snapshot = fields(body)?;
    if snapshot.localyun != Some(1) {
        return Err(Refused::bad(
            r#"a snapshot says "localyun": 1; this one does not"#,
        ));
    }
    if !app.hub.publishers().is_empty() {
        return Err(Refused::new(
            409,
            "streams are being published; end them first",
        ));
    }
    let store = &app.services.store;
    let secrets = gather_secrets(store).await.map_err(Refused::broken)?;
    app.services.notifier.reset(app.services.clock.busy());
    store.clear().await.map_err(Refused::broken)?;
    app.hub.drop_recorders();
    put(&app.services, snapshot, &secrets, true).await?;
    Ok(json!({"imported": true, "rules": store.all_rules().len()}))
}

#[derive(Default)]
struct Secrets {
    record: Vec<(String, RecordNotify)>,
    stream: Vec<(String, StreamNotify)>,
    functions: Vec<(String, Vec<Function>)>,
}

async fn gather_secrets(store: &Store) -> Result<Secrets, StoreError> {
    Ok(Secrets {
        record: store.list_documents(Kind::RecordNotify).await?,
        stream: store.list_documents(Kind::StreamNotify).await?,
        functions: store.list_documents(Kind::DomainConfig).await?,
    })
}

fn kept<'a>(given: &'a str, old: Option<&'a str>) -> &'a str {
    if given == HIDDEN {
        old.unwrap_or_default()
    } else {
        given
    }
}

async fn put(
    services: &Services,
    snapshot: Snapshot,
    secrets: &Secrets,
    replace: bool,
) -> Result<(), Refused> {
    let store = &services.store;
    for rule in snapshot.rules {
        let bucket = rule.oss_bucket.clone();
        match store.insert_rule(rule).await {
            Ok(()) => services
                .objects
                .create_bucket(&bucket)
                .await
                .map_err(Refused::bad)?,
            Err(StoreError::Duplicate) if !replace => {}
            Err(StoreError::Duplicate) => {
                return Err(Refused::bad(
                    "two rules have the same domain, app and stream",
                ));
            }
            Err(error) => return Err(Refused::broken(error)),
        }
    }
    for Named { domain, config } in snapshot.record_notify {
        let old = secrets
            .record
            .iter()
            .find(|(d, _)| *d == domain)
            .map(|(_, c)| c.notify_auth_key.as_str());
        let config = RecordNotify {
            notify_auth_key: kept(&config.notify_auth_key, old).to_owned(),
            notify_url: config.notify_url,
            on_demand_url: config.on_demand_url,
            need_status_notify: config.need_status_notify,
            notify_req_auth: config.notify_req_auth,
        };
        store
            .put_document(Kind::RecordNotify, &domain, &config)
            .await
            .map_err(Refused::broken)?;
    }
    for Named { domain, config } in snapshot.stream_notify {
        let old = secrets
            .stream
            .iter()
            .find(|(d, _)| *d == domain)
            .map(|(_, c)| c.notify_auth_key.as_str());
        let config = StreamNotify {
            notify_auth_key: kept(&config.notify_auth_key, old).to_owned(),
            notify_url: config.notify_url,
            exception_notify_url: config.exception_notify_url,
            notify_req_auth: config.notify_req_auth,
        };
        store
            .put_document(Kind::StreamNotify, &domain, &config)
            .await
            .map_err(Refused::broken)?;
    }
    for Named { domain, config } in snapshot.domains {
        let config = Domain {
            kind: config.kind,
            play_domain: config.play_domain,
            region: config.region,
            scope: config.scope,
            created_at: config.created_at,
        };
        store
            .put_document(Kind::Domain, &domain, &config)
            .await
            .map_err(Refused::broken)?;
    }
    for DomainConfig {
        domain,
        mut functions,
    } in snapshot.domain_configs
    {
        let old = secrets
            .functions
            .iter()
            .find(|(d, _)| *d == domain)
            .map(|(_, f)| f.as_slice())
            .unwrap_or_default();
        for function in &mut functions {
            let before = old.iter().find(|f| f.name == function.name);
            for (name, value) in &mut function.args {
                let was = before
                    .and_then(|f| f.args.iter().find(|(n, _)| n == name))
                    .map(|(_, v)| v.as_str());
                *value = kept(value, was).to_owned();
            }
        }
        store
            .put_document(Kind::DomainConfig, &domain, &functions)
            .await
            .map_err(Refused::broken)?;
    }
    store
        .import_records(snapshot.sessions, snapshot.slices, snapshot.files)
        .await
        .map_err(Refused::broken)
}

/// Puts a seed file's rules, notify configs and domains beside what is there; what exists already stays.
pub async fn apply_seed(services: &Services, text: &str) -> Result<(), String> {
    let snapshot: Snapshot = serde_json::from_str(text).map_err(|e| e.to_string())?;
    put(services, snapshot, &Secrets::default(), false)
        .await
        .map_err(|refused| refused.message)
}
