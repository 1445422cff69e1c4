//! The control state as one readable JSON: out, in, and as a seed.
//!
//! What comes in is checked as a whole first, so that a refusal changes nothing.

mod check;
mod form;
mod secrets;
mod state;

use serde::Serialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::ask::{Ask, Incoming, Outcome, Refused, answer, fields};
use crate::actions::record::config::check_room;
use crate::actions::record::target::bucket_for;
use crate::config::Buckets;
use crate::model::domain::Tag;
use crate::model::forbidden::Forbidden;
use crate::services::Services;
use crate::store::change::{Looks, View};
use crate::store::documents::Kind;
use crate::store::{Store, StoreError};
use form::{
    CertificatePart, DomainCertificatePart, DomainConfig, DomainPart, RecordNotifyPart, Snapshot,
    StreamNotifyPart, TagsPart,
};
use secrets::Held;
use state::{Rows, State};

/// The version of the form.
const FORM: u32 = 1;

pub(super) async fn export(ask: Ask) -> Outcome {
    let store = &ask.app.services.store;
    answer(&gather(store).await.map_err(Refused::broken)?)
}

async fn gather(store: &Store) -> Result<Snapshot, StoreError> {
    let (sessions, slices, files) = store.export_records().await?;
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
        sessions,
        slices,
        files,
        forbidden: forbidden.into_iter().map(|(_, it)| it).collect(),
        tags: tags
            .into_iter()
            .map(|(domain, tags)| TagsPart { domain, tags })
            .collect(),
        certificates: certificates.into_iter().map(CertificatePart::of).collect(),
        domain_certificates: in_use.into_iter().map(DomainCertificatePart::of).collect(),
        pushes: store.export_pushes().await?,
        controls: store.export_controls().await?,
    })
}

/// Puts a snapshot in place of the state there is. Stored objects stay.
pub(super) async fn import(ask: Ask) -> Outcome {
    let snapshot: Snapshot = ask.fields()?;
    let app = &ask.app;
    if snapshot.localyun != Some(FORM) {
        return Err(Refused::bad(
            r#"a snapshot says "localyun": 1; this one does not"#,
        ));
    }
    let services = &app.services;
    let mut state = check::checked(snapshot, services.clock.now()).map_err(Refused::bad)?;
    if !app.hub.publishers().is_empty() {
        return Err(Refused::new(
            409,
            "streams are being published; end them first",
        ));
    }
    make_buckets(services, &state).await?;
    let store = &services.store;
    let held = Held::of(store).await.map_err(Refused::broken)?;
    let missing = held.fill(&mut state);
    services.notifier.reset(services.clock.busy());
    store.clear().await.map_err(Refused::broken)?;
    services.meter.forget().await;
    app.hub.drop_recorders();
    let done = put(store, state).await;
    app.gateway.context.roles.forget();
    reread_certificates(services).await;
    done.map_err(Refused::broken)?;
    answer(&json!({"imported": true, "rules": store.all_rules().len(), "missing_secrets": missing}))
}

/// A snapshot holds no buckets, so those that its rules name are made whatever the settings say about others.
async fn make_buckets(services: &Services, state: &State) -> Result<(), Refused> {
    for rule in &state.rules {
        bucket_for(&services.objects, &rule.oss_bucket, Buckets::Auto)
            .await
            .map_err(|error| {
                Refused::new(
                    error.status,
                    format!(
                        "the bucket {} cannot be made: {}",
                        rule.oss_bucket, error.message
                    ),
                )
            })?;
    }
    Ok(())
}

async fn put(store: &Store, state: State) -> Result<(), StoreError> {
    for rule in state.rules {
        store.insert_rule(rule).await?;
    }
    for (name, config) in state.record_notify {
        store
            .put_document(Kind::RecordNotify, &name, &config)
            .await?;
    }
    for (name, config) in state.stream_notify {
        store
            .put_document(Kind::StreamNotify, &name, &config)
            .await?;
    }
    for (name, domain) in state.domains {
        store.put_document(Kind::Domain, &name, &domain).await?;
    }
    for (name, functions) in state.domain_configs {
        store
            .put_document(Kind::DomainConfig, &name, &functions)
            .await?;
    }
    for (name, forbidden) in state.forbidden {
        store
            .put_document(Kind::Forbidden, &name, &forbidden)
            .await?;
    }
    for (name, tags) in state.tags {
        store.put_document(Kind::Tags, &name, &tags).await?;
    }
    for (name, certificate) in state.certificates {
        store
            .put_document(Kind::Certificate, &name, &certificate)
            .await?;
    }
    for (name, in_use) in state.domain_certificates {
        store
            .put_document(Kind::DomainCertificate, &name, &in_use)
            .await?;
    }
    put_rows(store, state.rows).await
}

async fn put_rows(store: &Store, rows: Rows) -> Result<(), StoreError> {
    store
        .import_records(rows.sessions, rows.slices, rows.files)
        .await?;
    for push in rows.pushes {
        store.put_push(push).await?;
    }
    store.add_controls(rows.controls).await
}

/// Takes a seed from a running server's owner.
pub(super) async fn seed(ask: Ask) -> Outcome {
    let Incoming::Kept(body) = &ask.body else {
        return Err(Refused::broken("the body is not in memory"));
    };
    let text = std::str::from_utf8(body).map_err(Refused::bad)?;
    let services = &ask.app.services;
    apply_seed(services, text).await.map_err(Refused::bad)?;
    ask.app.gateway.context.roles.forget();
    answer(&json!({"seeded": true, "rules": services.store.all_rules().len()}))
}

/// Puts a seed file's rules, notify configs and domains beside what is there; what exists already stays.
pub async fn apply_seed(services: &Services, text: &str) -> Result<(), String> {
    let body: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
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
    make_buckets(services, &state)
        .await
        .map_err(|refused| refused.message)?;
    let rows = std::mem::take(&mut state.rows);
    let looks = Kind::ALL.into_iter().fold(Looks::default(), Looks::at_all);
    let added = store.change(looks, move |view| add_new(view, &state));
    added.await.map_err(|error| error.to_string())??;
    put_rows(store, rows)
        .await
        .map_err(|error| error.to_string())?;
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
