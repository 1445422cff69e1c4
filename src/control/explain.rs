//! Which rule would record a stream and why, or why nothing would: the question that users of the cloud cannot get answered.

use serde_json::{Value, json};

use super::ask::{Ask, Outcome, Refused, answer};
use super::peer;
use crate::app::App;
use crate::live::ingest::admission::{self, AccessError};
use crate::live::recorder::unrecorded::domains_with_rules;
use crate::model::notify::RecordNotify;
use crate::model::reason::{Circumstances, Reason, call, reason};
use crate::model::rule::{ANY, Window, choose, verdicts};
use crate::model::stream_key::{PushArgs, StreamKey, check_name};
use crate::phrases::{Phrase, Said};
use crate::rpc::domains_of;
use crate::rpc::journal::Entry;
use crate::secrets;
use crate::store::documents::Kind;
use crate::wire_time;

/// Notes that an answer shows.
const NOTES: usize = 20;

/// What calls about this stream were told, the newest first.
fn notes(app: &App, domains: &[&str], app_name: &str, stream: &str) -> Vec<Value> {
    let about = |entry: &Entry<'_>| {
        let given = |wanted: &str| {
            let found = entry.params.iter().find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.as_ref()).unwrap_or_default()
        };
        let fits = |given: &str, asked: &str| given.is_empty() || given == ANY || given == asked;
        let named = domains_of(&entry.params);
        named.iter().any(|name| domains.contains(&name.as_str()))
            && fits(given("AppName"), app_name)
            && fits(given("StreamName"), stream)
    };
    let noted = app
        .gateway
        .journal
        .noted()
        .into_iter()
        .filter(about)
        .take(NOTES);
    let shown = noted.map(|entry| {
        json!({
            "at": wire_time::to_api(entry.at),
            "request_id": entry.request_id,
            "action": entry.action,
            "notes": entry.notes,
            "words": entry.words,
        })
    });
    shown.collect()
}

/// Why the stream may not be published or its domain not be watched, and what lets it in again; none where nothing keeps it out.
async fn kept_out(app: &App, key: &StreamKey, asked: &str) -> Result<Option<Reason>, Refused> {
    let checked = admission::check_kept_out(&app.services, key, asked).await;
    let Err(error) = checked else {
        return Ok(None);
    };
    match &error {
        AccessError::Stopped(domain) => Ok(Some(Reason::no(
            Phrase::DomainStopped.with([("domain", domain)]),
            call("StartLiveDomain", &[("DomainName", domain)]),
        ))),
        AccessError::Forbidden { stream, until } => Ok(Some(Reason::no(
            Phrase::StreamForbidden.with([("stream", stream), ("until", until)]),
            call(
                "ResumeLiveStream",
                &[
                    ("DomainName", asked),
                    ("AppName", &key.app),
                    ("StreamName", &key.stream),
                    ("LiveStreamType", "publisher"),
                ],
            ),
        ))),
        // The other reasons lie in what a push brings with it.
        _ => Err(Refused::broken(error)),
    }
}

/// What the node that has a stream says of it: `live`, `note`, and the words of that.
async fn live_elsewhere(ask: &Ask) -> [Value; 3] {
    let query = ask.parts.query.as_str();
    let (said, _) = peer::others(ask, &format!("/_localyun/explain?{query}")).await;
    let mut answers = said.into_iter().map(|(_, answer)| answer);
    let there = answers.find(|answer| answer.get("live").is_some_and(Value::is_object));
    let member = |path| there.as_ref().and_then(|answer| answer.pointer(path));
    ["/live", "/note", "/words/note"].map(|path| member(path).cloned().unwrap_or_default())
}

pub(super) async fn explain(ask: Ask) -> Outcome {
    let app = &ask.app;
    let needed = |name: &str| {
        ask.query(name)
            .map(str::to_owned)
            .ok_or_else(|| Refused::missing(name))
    };
    let asked = needed("domain")?.to_ascii_lowercase();
    let (app_name, stream) = (needed("app")?, needed("stream")?);
    check_name("app", &app_name)
        .and_then(|()| check_name("stream", &stream))
        .map_err(|error| Refused::name(&error))?;
    let args = PushArgs::parse(ask.query("args").unwrap_or_default());
    let store = &app.services.store;
    let domain = admission::streaming_domain(&app.services, &asked)
        .await
        .map_err(Refused::broken)?;
    let key = StreamKey::new(&domain, &app_name, &stream);
    let now = app.services.clock.now();
    let rules = store.rules_of(&domain);
    let choice = choose(&rules, &app_name, &stream, now);
    let notify: Option<RecordNotify> = store
        .find_document(Kind::RecordNotify, &domain)
        .await
        .map_err(Refused::broken)?;

    let kept_out = kept_out(app, &key, &asked).await?;
    let by_rule = reason(&Circumstances {
        key: &key,
        ingest_domain: &asked,
        args: &args,
        rules: &rules,
        choice: &choice,
        elsewhere: &domains_with_rules(&app.services, &key),
        on_demand_url: notify.as_ref().and_then(|n| n.on_demand_url.as_deref()),
        now,
    });
    // What is not let in is not recorded, whatever the rules say.
    let told = kept_out.as_ref().unwrap_or(&by_rule);
    let mut bucket = Value::Null;
    if let Some(rule) = &choice.winner {
        let exists = app
            .services
            .objects
            .bucket_exists(&rule.oss_bucket)
            .await
            .unwrap_or(false);
        bucket = json!({"name": rule.oss_bucket, "exists": exists});
    }
    let publisher = app.hub.find(&key);
    let live_note = publisher.as_ref().and_then(|p| {
        let in_force = p.recorder.rule_in_force();
        (in_force != choice.winner).then(|| Said::from(Phrase::RulesOfThePush))
    });
    let [live, note, note_words] = match publisher {
        Some(p) => [
            json!({
                "since": wire_time::to_api(p.since),
                "recorder": p.recorder.view(),
                "media": p.facts(),
            }),
            json!(live_note.as_ref().map(ToString::to_string)),
            json!(live_note),
        ],
        None => live_elsewhere(&ask).await,
    };
    answer(&json!({
        "domain": asked,
        "streaming_domain": domain,
        "app": app_name,
        "stream": stream,
        "records": told.records,
        "why": told.why.to_string(),
        "cure": told.cure.as_ref().map(ToString::to_string),
        "words": {"why": told.why, "cure": told.cure, "note": note_words},
        "kept_out": kept_out.as_ref().map(|reason| json!({
            "why": reason.why.to_string(),
            "cure": reason.cure.as_ref().map(ToString::to_string),
            "words": reason.words(),
        })),
        "rule": choice.winner,
        "upcoming": choice.upcoming,
        "considered": verdicts(&rules, &app_name, &stream, now).iter().map(|(rule, verdict)| json!({
            "app": rule.app,
            "stream": rule.stream,
            "formats": rule.formats.iter().map(|f| f.format).collect::<Vec<_>>(),
            "window": match rule.window_at(now) {
                Window::Open => "open",
                Window::Ahead(_) => "ahead",
                Window::Past => "past",
            },
            "verdict": verdict,
        })).collect::<Vec<_>>(),
        "bucket": bucket,
        "callbacks": notify.map(|n| json!({"notify_url": n.notify_url.as_deref().map(secrets::url), "on_demand_url": n.on_demand_url.as_deref().map(secrets::url), "status_events": n.need_status_notify})),
        "live": live,
        "note": note,
        "notes": notes(app, &[&asked, &domain], &app_name, &stream),
    }))
}
