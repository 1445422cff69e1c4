//! Sending one callback: at most six requests, 5 s each, a second apart, every attempt on record.

use std::sync::Arc;

use serde_json::json;

use super::receiver::{read_limited, within};
use super::sign;
use crate::clock::{Busy, UnixMs};
use crate::events::{self, Names};
use crate::faults::Boundary;
use crate::model::event::Delivery;
use crate::secrets;
use crate::services::Services;
use crate::store::callbacks::{Attempt, Row};
use crate::wire_time::{to_api, unix_seconds};

/// Requests that are made for one callback at most: the first and five more.
pub const ATTEMPTS: usize = 6;
/// Milliseconds of the service clock that a receiver has to answer one request.
pub const TIMEOUT_MS: i64 = 5_000;
/// Milliseconds of the service clock from the end of one request to the next.
pub const RETRY_MS: i64 = 1_000;
/// Bytes of an answer that are kept on record.
const RESPONSE_KEPT: usize = 1024;

/// Delivers a callback to its end: success, or failure after the last attempt. Gives the guard back for the next one.
pub async fn deliver(services: &Arc<Services>, mut busy: Busy, id: i64) -> Busy {
    let row = match services.store.find_callback(id).await {
        Ok(Some(row)) => row,
        Ok(None) => return busy,
        Err(error) => {
            tracing::error!(%error, id, "a callback cannot be read");
            return busy;
        }
    };
    let mut attempts: Vec<Attempt> = serde_json::from_str(&row.attempts).unwrap_or_default();
    // A replay of an ended callback gets all its tries again.
    let mut left = if row.state == Delivery::Pending {
        ATTEMPTS.saturating_sub(attempts.len())
    } else {
        ATTEMPTS
    };
    while left > 0 {
        left -= 1;
        match services.store.is_others(&row.owner).await {
            Ok(false) => {}
            // Its owner sends it.
            Ok(true) => return busy,
            Err(error) => tracing::debug!(%error, id, "it is not known whose callback it is"),
        }
        busy = services.notifier.turn(&services.clock, busy).await;
        let (attempt, held) = attempt(services, &row, busy).await;
        busy = held;
        let success = attempt.status == Some(200);
        let made_at = attempt.at;
        attempts.push(attempt);
        services.metrics.callback(success);
        let now = services.clock.now();
        let (state, next_at, done_at) = match (success, left) {
            (true, _) => (Delivery::Success, 0, now),
            (false, 0) => (Delivery::Failed, 0, now),
            (false, _) => (Delivery::Pending, now.max(made_at) + RETRY_MS, 0),
        };
        if let Err(error) = services
            .store
            .update_callback(id, state, &attempts, next_at, done_at)
            .await
        {
            tracing::error!(%error, id, "a callback's outcome cannot be written");
        }
        tell(services, &row, &attempts, state, next_at);
        if state != Delivery::Pending {
            if state == Delivery::Failed {
                tracing::warn!(id, url = %secrets::url(&row.url), kind = row.kind.as_str(), "callback given up");
            }
            return busy;
        }
        busy = services.clock.rest_until(busy, next_at).await;
    }
    busy
}

/// Says how the newest try went.
fn tell(services: &Services, row: &Row, attempts: &[Attempt], state: Delivery, next_at: UnixMs) {
    let Some(newest) = attempts.last() else {
        return;
    };
    let names = Names {
        domain: &row.domain,
        app: &row.app,
        stream: &row.stream,
    };
    let told = json!({
        "id": row.id,
        "callback": row.kind,
        "method": row.method,
        "url": secrets::url(&row.url),
        "attempt": attempts.len(),
        "status": newest.status,
        "error": newest.error,
        "state": state,
        "next_try": (state == Delivery::Pending).then(|| to_api(next_at)),
    });
    services.events.tell(events::Kind::Callback, names, &told);
}

async fn attempt(services: &Services, row: &Row, mut busy: Busy) -> (Attempt, Busy) {
    let at = services.clock.now();
    let mut attempt = Attempt {
        at,
        status: None,
        error: None,
        response: String::new(),
        headers: String::new(),
    };
    if let Some(strike) = services.faults.strike(Boundary::Callback) {
        // By the service clock, as all that a receiver is given: an advance passes over a slow one.
        busy = services
            .clock
            .rest_until(busy, at + i64::try_from(strike.delay_ms).unwrap_or(0))
            .await;
        if let Some(code) = strike.code {
            attempt.error = Some(format!("injected fault {code}"));
            return (attempt, busy);
        }
    }
    let mut request = match row.method.as_str() {
        "GET" => services.http.get(&row.url),
        _ => services
            .http
            .post(&row.url)
            .header("content-type", "application/json")
            .body(row.body.clone()),
    };
    if !row.sign_key.is_empty() {
        let timestamp = unix_seconds(at);
        let signature = sign::signature(&row.sign_host, timestamp, &row.sign_key);
        attempt.headers = format!(
            "{}: {timestamp}\n{}: {signature}",
            sign::TIMESTAMP_HEADER,
            sign::SIGNATURE_HEADER
        );
        request = request
            .header(sign::TIMESTAMP_HEADER, timestamp)
            .header(sign::SIGNATURE_HEADER, signature);
    }
    // What counts is the status: a receiver that never ends its body has answered all the same.
    let answered = std::sync::OnceLock::new();
    let outcome = async {
        Some(match request.send().await {
            Ok(response) => {
                let status = *answered.get_or_init(|| response.status().as_u16());
                let body = read_limited(response, RESPONSE_KEPT)
                    .await
                    .unwrap_or_default();
                Ok((status, String::from_utf8_lossy(&body).into_owned()))
            }
            Err(error) => Err(cause(&error)),
        })
    };
    let (outcome, busy) = within(services, &row.url, busy, at + TIMEOUT_MS, outcome).await;
    match outcome {
        Some(Ok((status, response))) => {
            attempt.status = Some(status);
            attempt.response = response;
        }
        Some(Err(error)) => attempt.error = Some(error),
        None => match answered.get() {
            Some(status) => attempt.status = Some(*status),
            None => attempt.error = Some(format!("no answer within {} s", TIMEOUT_MS / 1000)),
        },
    }
    (attempt, busy)
}

/// The innermost reason of a failed request: "connection refused" rather than "error sending request".
fn cause(error: &reqwest::Error) -> String {
    let mut source: &dyn std::error::Error = error;
    while let Some(inner) = source.source() {
        source = inner;
    }
    source.to_string()
}
