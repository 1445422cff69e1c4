//! Sending one callback: at most six requests, 5 s each, a second apart, every attempt on record.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::asking::{rest, until_answered};
use super::receiver::{read_limited, within};
use super::sign;
use crate::clock::{Busy, UnixMs};
use crate::events::{self, Names};
use crate::faults::Boundary;
use crate::model::event::Delivery;
use crate::secrets;
use crate::services::Services;
use crate::store::callbacks::{Attempt, Row};
use crate::store::{Store, StoreError};
use crate::wire_time::{to_api, unix_seconds};

/// Requests that are made for one callback at most: the first and five more.
pub const ATTEMPTS: usize = 6;
/// Milliseconds of the service clock that a receiver has to answer one request.
pub const TIMEOUT_MS: i64 = 5_000;
/// Milliseconds of the service clock from the end of one request to the next.
pub const RETRY_MS: i64 = 1_000;
/// Bytes of an answer that are kept on record.
const RESPONSE_KEPT: usize = 1024;

/// How long a callback of another node's stream is left to that node before it is looked at again, in machine time.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// What a stream's sender has to do.
#[derive(Debug, Clone, Copy)]
pub struct Errand {
    /// The callback that is to be sent.
    pub id: i64,
    /// It is sent once more where it has ended.
    pub again: bool,
}

/// Delivers a callback to its end: success, or failure after the last attempt. Gives the guard back for the next one.
pub async fn deliver(services: &Arc<Services>, mut busy: Busy, errand: Errand) -> Busy {
    let Errand { id, mut again } = errand;
    // Nobody else sends one that had ended, whoever owns its stream.
    let mut had_ended = false;
    // Requests that are left; none while it is not known.
    let mut left = None;
    loop {
        busy = services.notifier.turn(&services.clock, busy).await;
        let (found, held) =
            until_answered(&services.clock, busy, || look(&services.store, id)).await;
        busy = held;
        let (row, is_others) = match found {
            Ok(Some(found)) => found,
            // All was forgotten.
            Ok(None) => return busy,
            Err(error) => {
                tracing::error!(%error, id, "a callback cannot be read");
                return busy;
            }
        };
        let has_ended = row.state != Delivery::Pending;
        had_ended |= has_ended && again;
        again = false;
        if has_ended && (left.is_some() || !had_ended) {
            // By another node, which had its stream meanwhile.
            return busy;
        }
        if is_others && !had_ended {
            // Its owner sends it. Those behind wait too: the stream may come back before it has ended, and all of them go on in their order then.
            left = None;
            busy = rest(&services.clock, busy, LOOK_AGAIN).await;
            continue;
        }
        let mut attempts: Vec<Attempt> = serde_json::from_str(&row.attempts).unwrap_or_default();
        let still = left
            .unwrap_or_else(|| tries(attempts.len(), had_ended))
            .saturating_sub(1);
        left = Some(still);
        let (attempt, held) = attempt(services, &row, busy).await;
        let success = attempt.status == Some(200);
        let made_at = attempt.at;
        attempts.push(attempt);
        services.metrics.callback(success);
        let now = services.clock.now();
        let (state, next_at, done_at) = match (success, still) {
            (true, _) => (Delivery::Success, 0, now),
            (false, 0) => (Delivery::Failed, 0, now),
            (false, _) => (Delivery::Pending, now.max(made_at) + RETRY_MS, 0),
        };
        let write = || {
            let store = &services.store;
            store.update_callback(&row, state, &attempts, next_at, done_at)
        };
        let (written, held) = until_answered(&services.clock, held, write).await;
        busy = held;
        if let Err(error) = written {
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
}

/// The callback as it is now, and whether its stream is another node's.
async fn look(store: &Store, id: i64) -> Result<Option<(Row, bool)>, StoreError> {
    let Some(row) = store.find_callback(id).await? else {
        return Ok(None);
    };
    let is_others = store.is_others(&row.owner).await?;
    Ok(Some((row, is_others)))
}

/// How many requests are made for a callback for which so many were made.
fn tries(made: usize, had_ended: bool) -> usize {
    if had_ended {
        return ATTEMPTS;
    }
    // One that waits after all of them was being sent once more when the process ended.
    ATTEMPTS.saturating_sub(made).max(1)
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
        "callback_id": row.id,
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
