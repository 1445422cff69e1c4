//! The built-in receivers of callbacks: what comes to them, what came, and what they answer.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::ask::{Ask, Incoming, Outcome, Refused, answer};
use super::listing::Listing;
use crate::clock::machine_sleep;
use crate::model::stream_key::check_name;
use crate::phrases::Phrase;
use crate::sinks::{BODY_KEPT, HEADERS_KEPT, Received, Told, View};
use crate::wire::http_parts::HttpParts;
use crate::wire::outgoing::{Body, Outgoing};
use crate::wire_time;

/// Milliseconds that a sink may take for its answer.
const MAX_DELAY_MS: u64 = 60_000;
/// Bytes of a sink's answer.
const MAX_ANSWER: usize = 64 * 1024;

fn name(ask: &Ask) -> Result<String, Refused> {
    let name = ask.part(0);
    check_name("the sink's name", name).map_err(|error| Refused::name(&error))?;
    Ok(name.to_owned())
}

/// As many headers as are kept, in the order of their names: the web framework knows no other that is the same in two runs.
fn headers(parts: &HttpParts) -> Vec<(String, String)> {
    let mut room = HEADERS_KEPT;
    let fits = |(name, value): &&(String, String)| {
        let length = name.len() + value.len();
        let fits = length <= room;
        room = room.saturating_sub(length);
        fits
    };
    let mut sorted: Vec<_> = parts.headers.iter().collect();
    sorted.sort_by_key(|(name, _)| name);
    sorted.into_iter().take_while(fits).cloned().collect()
}

/// Takes whatever comes, and answers as it was told to.
pub(super) async fn receive(ask: Ask) -> Outcome {
    let name = name(&ask)?;
    let Incoming::Kept(body) = &ask.body else {
        return Err(Refused::broken("the body is not in memory"));
    };
    let kept = body.get(..body.len().min(BODY_KEPT)).unwrap_or_default();
    let request = Received {
        number: 0,
        at: ask.app.services.clock.now(),
        method: ask.parts.method.clone(),
        query: ask.parts.query.clone(),
        headers: headers(&ask.parts),
        body: kept.to_vec(),
        size: body.len(),
    };
    let told = ask.app.sinks.receive(&name, request);
    let told = told.map_err(|why| Refused::new(507, Phrase::SinksAreFull.with([("why", &why)])))?;
    if told.delay_ms > 0 {
        machine_sleep(Duration::from_millis(told.delay_ms)).await;
    }
    let content_type = match told.content_type {
        Some(text) => text.into(),
        None if told.body.starts_with(['{', '[']) => "application/json".into(),
        None => "text/plain; charset=utf-8".into(),
    };
    Ok(Outgoing {
        status: told.status,
        headers: vec![("content-type", content_type)],
        body: Body::Bytes(told.body.into()),
    })
}

fn shown(request: &Received) -> Value {
    let headers: Vec<[&str; 2]> = request
        .headers
        .iter()
        .map(|(name, value)| [name.as_str(), value.as_str()])
        .collect();
    // What is no text comes in a form that is.
    let (body, encoded) = match std::str::from_utf8(&request.body) {
        Ok(text) => (Some(text), None),
        Err(error) if error.error_len().is_none() && request.size > request.body.len() => {
            // Cut within a character.
            let whole = request.body.get(..error.valid_up_to()).unwrap_or_default();
            (std::str::from_utf8(whole).ok(), None)
        }
        Err(_) => (None, Some(STANDARD.encode(&request.body))),
    };
    json!({
        "number": request.number,
        "at": wire_time::to_api(request.at),
        "at_ms": request.at,
        "method": request.method,
        "query": request.query,
        "headers": headers,
        "body": body,
        "body_base64": encoded,
        "json": serde_json::from_slice::<Value>(&request.body).ok(),
        "size": request.size,
        "cut": request.size > request.body.len(),
    })
}

fn shown_answer(told: &Told) -> Value {
    json!({
        "status": told.status,
        "content_type": told.content_type,
        "body": told.body,
        "delay_ms": told.delay_ms,
    })
}

/// What came to a sink, the oldest first: in the order in which it came.
pub(super) async fn show(ask: Ask) -> Outcome {
    let name = name(&ask)?;
    let listing = Listing::of(&ask)?;
    let after: Option<u64> = listing.place(|cursor| cursor.parse().ok())?;
    let View {
        told,
        mut requests,
        dropped,
    } = ask.app.sinks.view(&name);
    if let Some(since) = listing.since {
        requests.retain(|request| request.at >= since);
    }
    let total = requests.len();
    if let Some(after) = after {
        requests.retain(|request| request.number > after);
    }
    let more = requests.len() > listing.limit;
    requests.truncate(listing.limit);
    let next = requests
        .last()
        .filter(|_| more)
        .map(|r| r.number.to_string());
    answer(&json!({
        "sink": name,
        "url": format!("{}/_localyun/sink/{name}", ask.app.addresses().endpoint_for(&ask.parts)),
        "answer": shown_answer(&told),
        "requests": requests.iter().map(shown).collect::<Vec<_>>(),
        "total": total,
        "dropped": dropped,
        "next": next,
    }))
}

/// The sinks there are.
pub(super) async fn list(ask: Ask) -> Outcome {
    let sinks = ask.app.sinks.list();
    let sinks: Vec<Value> = sinks
        .iter()
        .map(|(name, requests)| json!({"sink": name, "requests": requests}))
        .collect();
    answer(&json!({"total": sinks.len(), "sinks": sinks}))
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    status: Option<u16>,
    body: Option<Value>,
    content_type: Option<String>,
    delay_ms: Option<u64>,
}

/// Says what a sink answers from now on.
pub(super) async fn tell(ask: Ask) -> Outcome {
    let name = name(&ask)?;
    let wanted: Wanted = ask.fields()?;
    let status = wanted.status.unwrap_or(200);
    if !(200..=599).contains(&status) {
        return Err(Refused::bad(Phrase::BadSinkStatus));
    }
    let delay_ms = wanted.delay_ms.unwrap_or(0);
    if delay_ms > MAX_DELAY_MS {
        return Err(Refused::bad(
            Phrase::DelayTooLong.with([("most", &MAX_DELAY_MS)]),
        ));
    }
    let body = match wanted.body {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text,
        Some(value) => value.to_string(),
    };
    // Written all the same, it would be taken for the beginning of the next answer (RFC 9110 section 6.4.1).
    if matches!(status, 204 | 205 | 304) && !body.is_empty() {
        return Err(Refused::bad(
            Phrase::SinkStatusHasNoBody.with([("status", &status)]),
        ));
    }
    if body.len() > MAX_ANSWER {
        return Err(Refused::bad(
            Phrase::SinkAnswerTooLong.with([("most", &MAX_ANSWER)]),
        ));
    }
    let plain = |text: &String| {
        (1..=200).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
    };
    if !wanted.content_type.as_ref().is_none_or(plain) {
        return Err(Refused::bad(Phrase::BadSinkContentType));
    }
    let told = Told {
        status,
        content_type: wanted.content_type,
        body,
        delay_ms,
    };
    let shown = json!({"sink": name, "answer": shown_answer(&told)});
    let done = ask.app.sinks.tell(&name, told);
    done.map_err(|why| Refused::new(507, Phrase::SinksAreFull.with([("why", &why)])))?;
    answer(&shown)
}

/// Forgets what came to a sink.
pub(super) async fn empty(ask: Ask) -> Outcome {
    let name = name(&ask)?;
    ask.app.sinks.empty(&name);
    answer(&json!({"sink": name, "emptied": true}))
}
