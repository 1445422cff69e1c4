//! Everything that a snapshot says, checked as a whole before anything of it is done.

use std::collections::HashMap;
use std::collections::HashSet;
use std::hash::Hash;

use super::form::{BucketPart, CorsPart, Snapshot, TagsPart};
use super::state::{Bucket, Rows, State};
use crate::actions::domain::functions;
use crate::actions::record::config::check_room;
use crate::actions::stored;
use crate::clock::UnixMs;
use crate::error::ApiError;
use crate::model::notify::{RecordNotify, StreamNotify};
use crate::model::recorded::SessionState;
use crate::model::rule::Rule;
use crate::model::stream_key::StreamKey;
use crate::objects::folder::key::MAX_KEY_BYTES;
use crate::objects::folder::{Acl, MAX_CORS_RULES, is_bucket_name};
use crate::secrets::HIDDEN;
use crate::store::pushes::PushRow;
use crate::store::records::{FileRow, SessionRow, SliceRow};

/// Passes every check on the form of a key, in the place of one that is hidden.
const STAND_IN: &str = "0000000000000000";

/// Characters that the columns of a database over the network take: of the id of a session, also where its slices and files name it.
pub const SESSION_ID: usize = 40;
/// The same, of the id of a slice or a file.
pub const RECORD_ID: usize = 64;
/// The same, of the name under which a file is recorded once.
pub const DEDUPE: usize = 80;
/// The same, of the id of a push.
const PUSH_ID: usize = 40;
/// The same, of the hash of a stream's name.
const STREAM_HASH: usize = 40;

/// The state that a snapshot describes, or the first thing in it that cannot be; the text says where.
///
/// # Errors
/// The first thing that cannot be, with its place in the document: the sender has to mend it. The state stays as it was.
pub fn checked(snapshot: Snapshot, now: UnixMs) -> Result<State, String> {
    let state = State {
        rules: rules(&snapshot.rules, now)?,
        record_notify: named("record_notify", snapshot.record_notify, |part| {
            let (name, config) = part.read();
            let checked = stored::record_notify(
                &name,
                &RecordNotify {
                    notify_auth_key: stand_in(&config.notify_auth_key),
                    ..config.clone()
                },
            );
            (name, checked.map(|(name, _)| (name, config)))
        })?,
        stream_notify: named("stream_notify", snapshot.stream_notify, |part| {
            let (name, config) = part.read();
            let checked = stored::stream_notify(
                &name,
                &StreamNotify {
                    notify_auth_key: stand_in(&config.notify_auth_key),
                    ..config.clone()
                },
            );
            (name, checked.map(|(name, _)| (name, config)))
        })?,
        domains: named("domains", snapshot.domains, |part| {
            let (name, domain) = part.read();
            let checked = stored::domain(&name, &domain);
            (name, checked)
        })?,
        domain_configs: named("domain_configs", snapshot.domain_configs, |part| {
            let (name, functions) = part.read();
            let checked = functions::check_stored(&functions)
                .and_then(|()| crate::actions::arguments::domain_name("DomainName", &name))
                .map(|domain| (domain, functions));
            (name, checked)
        })?,
        buckets: buckets(snapshot.buckets)?,
        forbidden: named("forbidden", snapshot.forbidden, |forbidden| {
            let key = forbidden.key();
            let checked = stored::forbidden(&forbidden).map(|()| (key.hash(), forbidden));
            (key.to_string(), checked)
        })?,
        tags: named("tags", snapshot.tags, |part| {
            let checked = stored::tags(&part.domain, &part.tags);
            let TagsPart { domain, tags } = part;
            (domain, checked.map(|name| (name, tags)))
        })?,
        certificates: named("certificates", snapshot.certificates, |part| {
            let (name, certificate) = part.read();
            let checked = stored::certificate(&name, &certificate, certificate.key == HIDDEN);
            (name.clone(), checked.map(|()| (name, certificate)))
        })?,
        domain_certificates: named(
            "domain_certificates",
            snapshot.domain_certificates,
            |part| {
                let (name, in_use) = part.read();
                let checked = stored::domain_certificate(&name, &in_use);
                (name, checked.map(|domain| (domain, in_use)))
            },
        )?,
        rows: Rows {
            sessions: snapshot.sessions.into_iter().map(over).collect(),
            slices: snapshot.slices,
            files: snapshot.files,
            pushes: snapshot
                .pushes
                .into_iter()
                .map(|row| ended(row, now))
                .collect(),
            controls: snapshot.controls,
        },
    };
    rows(&state.rows)?;
    Ok(state)
}

/// A push that was under way when the snapshot was taken is over now.
fn ended(mut push: PushRow, now: UnixMs) -> PushRow {
    if push.stopped_at == 0 {
        push.stopped_at = now.max(push.published_at.saturating_add(1));
    }
    push
}

/// A recording that was under way when the snapshot was taken is over now, where it was seen last: what it would go on from does not come along.
pub fn over(mut session: SessionRow) -> SessionRow {
    session.state = SessionState::Ended;
    session
}

fn buckets(parts: Vec<BucketPart>) -> Result<Vec<Bucket>, String> {
    let mut known = HashSet::new();
    let mut list = Vec::with_capacity(parts.len());
    for (n, part) in parts.into_iter().enumerate() {
        let refused = |why: &str| told("buckets", n, &part.name, why);
        if !is_bucket_name(&part.name) {
            return Err(refused("a bucket cannot have that name"));
        }
        if !known.insert(part.name.clone()) {
            return Err(refused("it is there already"));
        }
        let acl = part.acl.unwrap_or(Acl::Private);
        if acl == Acl::Default {
            return Err(refused(
                "acl must be private, public-read or public-read-write",
            ));
        }
        if part.cors.len() > MAX_CORS_RULES {
            return Err(refused(&format!("at most {MAX_CORS_RULES} rules of cors")));
        }
        list.push(Bucket {
            name: part.name,
            acl,
            cors: part.cors.into_iter().map(CorsPart::read).collect(),
            cors_vary: part.cors_vary,
            storage_class: part.storage_class,
            redundancy: part.redundancy,
        });
    }
    Ok(list)
}

fn stand_in(key: &str) -> String {
    if key == HIDDEN { STAND_IN } else { key }.to_owned()
}

fn told(place: &str, n: usize, name: &str, why: &str) -> String {
    format!("{place}[{n}] ({name}): {why}")
}

fn rules(given: &[Rule], now: UnixMs) -> Result<Vec<Rule>, String> {
    let mut rules = Vec::with_capacity(given.len());
    let mut known = HashSet::new();
    let mut of_domain: HashMap<String, usize> = HashMap::new();
    for (n, rule) in given.iter().enumerate() {
        let name = format!("{}/{}/{}", rule.domain, rule.app, rule.stream);
        let refused = |why: &str| told("rules", n, &name, why);
        let rule = stored::rule(rule, now).map_err(|error| refused(&error.message))?;
        if !known.insert((rule.domain.clone(), rule.app.clone(), rule.stream.clone())) {
            return Err(refused(
                "another rule has the same domain, app and stream already",
            ));
        }
        let count = of_domain.entry(rule.domain.clone()).or_default();
        check_room(*count).map_err(|error| refused(&error.message))?;
        *count += 1;
        rules.push(rule);
    }
    Ok(rules)
}

/// The settings of a part, each of another name.
fn named<P, T>(
    place: &str,
    parts: Vec<P>,
    check: impl Fn(P) -> (String, Result<(String, T), ApiError>),
) -> Result<Vec<(String, T)>, String> {
    let mut known = HashSet::new();
    let mut list = Vec::with_capacity(parts.len());
    for (n, part) in parts.into_iter().enumerate() {
        let (name, checked) = check(part);
        let (domain, value) = checked.map_err(|error| told(place, n, &name, &error.message))?;
        if !known.insert(domain.clone()) {
            return Err(told(place, n, &name, "it is there already"));
        }
        list.push((domain, value));
    }
    Ok(list)
}

/// What was recorded: no action makes these rows, so what is checked is that queries can use them.
fn rows(state: &Rows) -> Result<(), String> {
    let sessions = state.sessions.iter().map(|row| &row.id);
    once("sessions", SESSION_ID, sessions)?;
    once("slices", RECORD_ID, state.slices.iter().map(|row| &row.id))?;
    once("files", RECORD_ID, state.files.iter().map(|row| &row.id))?;
    once("files", DEDUPE, state.files.iter().map(|row| &row.dedupe))?;
    for (n, row) in state.sessions.iter().enumerate() {
        session(row).map_err(|why| told("sessions", n, &row.id, &why))?;
    }
    for (n, row) in state.slices.iter().enumerate() {
        slice(row).map_err(|why| told("slices", n, &row.id, &why))?;
    }
    for (n, row) in state.files.iter().enumerate() {
        file(row).map_err(|why| told("files", n, &row.id, &why))?;
    }
    once("pushes", PUSH_ID, state.pushes.iter().map(|row| &row.id))?;
    for (n, row) in state.pushes.iter().enumerate() {
        instants(&[row.published_at, row.stopped_at])
            .map_err(|why| told("pushes", n, &row.id, &why))?;
    }
    for (n, control) in state.controls.iter().enumerate() {
        instants(&[control.at]).map_err(|why| told("controls", n, &control.stream, &why))?;
    }
    Ok(())
}

/// Whether queries can use a session.
///
/// # Errors
/// What queries could not use (an empty name, a hash of another stream, an instant out of range): the sender has to mend the row.
pub fn session(row: &SessionRow) -> Result<(), String> {
    let key = StreamKey::new(&row.domain, &row.app, &row.stream);
    row_of(&key, &row.stream_hash)?;
    instants(&[row.started_at, row.ended_at])
}

/// Whether queries can use a slice.
///
/// # Errors
/// A negative number, an instant out of range or a name that no column takes: the sender has to mend the row.
pub fn slice(row: &SliceRow) -> Result<(), String> {
    of_session(&row.session_id)?;
    length(&row.stream_hash, STREAM_HASH).map_err(|why| format!("stream_hash: {why}"))?;
    natural(&[row.sequence, row.duration_ms])?;
    instants(&[row.started_at, row.ended_at, row.uploaded_at])
}

/// Whether queries can use a file.
///
/// # Errors
/// As [`session`] and [`slice()`] together: the sender has to mend the row.
pub fn file(row: &FileRow) -> Result<(), String> {
    let key = StreamKey::new(&row.domain, &row.app, &row.stream);
    of_session(&row.session_id)?;
    natural(&[row.size, row.duration_ms])?;
    row_of(&key, &row.stream_hash)?;
    instants(&[row.started_at, row.ended_at, row.created_at])
}

/// Whether the store can have an object of that name.
///
/// # Errors
/// The name that no bucket or object can have: the sender has to mend it.
pub fn object(bucket: &str, key: &str) -> Result<(), String> {
    if !is_bucket_name(bucket) {
        return Err(format!("{bucket}: a bucket cannot have that name"));
    }
    if key.is_empty() || key.len() > MAX_KEY_BYTES {
        return Err(format!("{key}: a key must have 1 to {MAX_KEY_BYTES} bytes"));
    }
    Ok(())
}

/// Whether a name is there, and a column of so many characters takes it.
///
/// # Errors
/// What such a name must have: the sender has to mend it.
pub fn length(name: &str, most: usize) -> Result<(), String> {
    if (1..=most).contains(&name.len()) {
        Ok(())
    } else {
        Err(format!("a name must have 1 to {most} characters"))
    }
}

fn of_session(id: &str) -> Result<(), String> {
    length(id, SESSION_ID).map_err(|why| format!("session_id: {why}"))
}

fn natural(numbers: &[i64]) -> Result<(), String> {
    if numbers.iter().all(|number| *number >= 0) {
        Ok(())
    } else {
        Err("a number is negative".to_owned())
    }
}

fn once<T: Hash + Eq + std::fmt::Display>(
    place: &str,
    most: usize,
    names: impl Iterator<Item = T>,
) -> Result<(), String> {
    let mut known = HashSet::new();
    for (n, name) in names.enumerate() {
        let text = name.to_string();
        length(&text, most).map_err(|why| told(place, n, &text, &why))?;
        if !known.insert(name) {
            return Err(told(place, n, &text, "it is there already"));
        }
    }
    Ok(())
}

fn row_of(key: &StreamKey, hash: &str) -> Result<(), String> {
    if key.hash() == hash {
        Ok(())
    } else {
        Err(format!("stream_hash is not that of {key}"))
    }
}

fn instants(list: &[UnixMs]) -> Result<(), String> {
    for at in list {
        stored::instant("an instant", *at).map_err(|error| error.message.into_owned())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(value: Value) -> Result<State, String> {
        let snapshot = serde_json::from_value(value).map_err(|error| error.to_string())?;
        checked(snapshot, 0)
    }

    fn rule() -> Value {
        json!({
            "domain": "Play.example.com", "app": "live", "stream": "*", "oss_endpoint": "e.example.com", "oss_bucket": "liverec",
            "start_time": null, "end_time": null, "on_demand": "automatic", "delay_s": 180, "created_at": 0,
            "formats": [{"format": "mp4", "object_prefix": "", "slice_prefix": null, "slice_s": 30, "cycle_s": 60}],
        })
    }

    #[test]
    fn a_hidden_key_has_any_form_and_another_its_own() {
        let notify = |key: &str| {
            read(json!({"record_notify": [{
                "domain": "d", "notify_url": "http://h/x", "notify_req_auth": true, "notify_auth_key": key,
            }]}))
        };
        assert_eq!(
            notify(HIDDEN).unwrap().record_notify[0].1.notify_auth_key,
            HIDDEN
        );
        assert!(notify("short").is_err());
        let auth = |key: &str| {
            read(json!({"domain_configs": [{"domain": "d", "functions": [
                {"name": "aliauth", "args": [["auth_type", "type_a"], ["auth_key1", key]]},
            ]}]}))
        };
        assert!(auth(HIDDEN).is_ok());
        assert!(auth("").is_err());
    }

    fn recorded() -> Value {
        json!({
            "id": "id", "stream_hash": StreamKey::new("d", "a", "s").hash(), "domain": "d", "app": "a", "stream": "s", "bucket": "b",
            "endpoint": "e", "prefix": "p", "started_at": 0, "ended_at": 7, "state": "ended",
        })
    }

    #[test]
    fn a_recording_that_was_under_way_is_over() {
        for state in ["recording", "paused", "ended"] {
            let mut row = recorded();
            row["state"] = json!(state);
            let of_seed = read(json!({"sessions": [row.clone()]})).unwrap();
            let of_seed = &of_seed.rows.sessions[0];
            assert_eq!(of_seed.state, SessionState::Ended, "{state}");
            assert_eq!(of_seed.ended_at, 7, "{state}");
            // A snapshot's rows come one by one.
            let of_snapshot = over(serde_json::from_value(row).unwrap());
            assert_eq!(of_snapshot, *of_seed, "{state}");
        }
    }

    #[test]
    fn a_name_of_a_row_is_no_longer_than_its_column() {
        let session = recorded();
        let slice = json!({
            "id": "id", "stream_hash": "h", "session_id": "s", "sequence": 0, "bucket": "b", "endpoint": "e", "object": "o", "started_at": 0,
            "ended_at": 1, "duration_ms": 1, "uploaded_at": 1, "discontinuity": false, "width": 0, "height": 0,
        });
        let file = json!({
            "id": "id", "dedupe": "x", "stream_hash": StreamKey::new("d", "a", "s").hash(), "domain": "d", "app": "a", "stream": "s",
            "session_id": "s", "origin": "auto", "format": "mp4", "bucket": "b", "endpoint": "e", "object": "o", "started_at": 0,
            "ended_at": 1, "duration_ms": 1, "size": 1, "width": 0, "height": 0, "created_at": 1,
        });
        let push = json!({
            "id": "id", "domain": "d", "app": "a", "stream": "s", "ingest_domain": "d", "address": "h", "published_at": 0, "stopped_at": 1,
        });
        for (place, row, name, most) in [
            ("sessions", &session, "id", 40),
            ("slices", &slice, "id", 64),
            ("slices", &slice, "session_id", 40),
            ("slices", &slice, "stream_hash", 40),
            ("files", &file, "id", 64),
            ("files", &file, "dedupe", 80),
            ("files", &file, "session_id", 40),
            ("pushes", &push, "id", 40),
        ] {
            let of_length = |length: usize| {
                let mut row = row.clone();
                row[name] = json!("n".repeat(length));
                read(json!({place: [row]}))
            };
            for fits in [1, most] {
                assert!(of_length(fits).is_ok(), "{place}: {name}: {fits}");
            }
            for bad in [0, most + 1] {
                let why = of_length(bad).err().unwrap();
                let told = format!("1 to {most} characters");
                assert!(why.starts_with(place) && why.ends_with(&told), "{why}");
            }
        }
    }

    #[test]
    fn the_place_of_what_is_wrong_is_told() {
        assert_eq!(
            read(json!({"rules": [rule()]})).unwrap().rules[0].domain,
            "play.example.com"
        );
        let mut odd = rule();
        odd["colour"] = json!("red");
        let mut negative = rule();
        negative["delay_s"] = json!(-5);
        let mut session = recorded();
        session["stream_hash"] = json!("x");
        for (bad, place) in [
            (json!({"rules": [rule(), rule()]}), "rules[1]"),
            (json!({"rules": [odd]}), "colour"),
            (json!({"rules": [negative]}), "DelayTime"),
            (
                json!({"domains": [{"domain": "d"}, {"domain": "D"}]}),
                "domains[1]",
            ),
            (
                json!({"domains": [{"domain": "d", "kind": "moon"}]}),
                "unknown variant `moon`",
            ),
            (
                json!({"stream_notify": [{"domain": "d", "notify_url": "x"}]}),
                "stream_notify[0]",
            ),
            (
                json!({"record_notify": [{"domain": "d", "url": "x"}]}),
                "url",
            ),
            (json!({"sessions": [session]}), "stream_hash"),
        ] {
            let why = read(bad).err().unwrap();
            assert!(why.contains(place), "{why}");
        }
    }
}
