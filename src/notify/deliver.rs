//! Sending one callback: at most six requests, 5 s each, a second apart, every attempt on record.

use std::sync::Arc;

use futures_util::StreamExt;

use super::patience::receiver_of;
use super::sign;
use crate::clock::{self, Busy, UnixMs};
use crate::model::wire_time::unix_seconds;
use crate::secrets;
use crate::services::Services;
use crate::store::callbacks::{Attempt, Row, State};

/// The first try and five more.
pub const ATTEMPTS: usize = 6;
pub const TIMEOUT_MS: i64 = 5_000;
pub const RETRY_MS: i64 = 1_000;
/// The product's own name for its HTTP client.
pub const USER_AGENT: &str = "Go-http-client/1.1";
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
    let mut left = if row.state == State::Pending.as_str() {
        ATTEMPTS.saturating_sub(attempts.len())
    } else {
        ATTEMPTS
    };
    while left > 0 {
        left -= 1;
        let (attempt, held) = attempt(services, &row, busy).await;
        busy = held;
        let success = attempt.status == Some(200);
        let made_at = attempt.at;
        attempts.push(attempt);
        services.metrics.callback(success);
        let now = services.clock.now();
        let (state, next_at, done_at) = match (success, left) {
            (true, _) => (State::Success, 0, now),
            (false, 0) => (State::Failed, 0, now),
            (false, _) => (State::Pending, now.max(made_at) + RETRY_MS, 0),
        };
        if let Err(error) = services
            .store
            .update_callback(id, state, &attempts, next_at, done_at)
            .await
        {
            tracing::error!(%error, id, "a callback's outcome cannot be written");
        }
        if state != State::Pending {
            if state == State::Failed {
                tracing::warn!(id, url = %secrets::url(&row.url), kind = %row.kind, "callback given up");
            }
            return busy;
        }
        busy = services.clock.rest_until(busy, next_at).await;
    }
    busy
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
    if let Some(strike) = services.faults.strike("callback") {
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
    let outcome = async {
        Some(match request.send().await {
            Ok(response) => {
                let status = response.status().as_u16();
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
        None => attempt.error = Some(format!("no answer within {} s", TIMEOUT_MS / 1000)),
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

/// At most `limit` bytes of an answer's body. `None` when it breaks off before.
pub async fn read_limited(response: reqwest::Response, limit: usize) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    let mut stream = response.bytes_stream();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.ok()?;
        let room = limit - body.len();
        body.extend_from_slice(chunk.get(..room.min(chunk.len()))?);
        if body.len() >= limit {
            break;
        }
    }
    Some(body)
}

/// Asks the receiver at `url` until a deadline of the service clock. The guard is held while it is prompt and given up while it
/// hangs, so that an `advance` waits for the one and not for the other.
pub async fn within<T>(
    services: &Services,
    url: &str,
    busy: Busy,
    deadline: UnixMs,
    work: impl Future<Output = Option<T>>,
) -> (Option<T>, Busy) {
    let (clock, patience) = (&services.clock, &services.notifier.patience);
    let receiver = receiver_of(url);
    let began = clock::monotonic();
    tokio::pin!(work);
    let prompt = clock::machine_timeout(patience.with(receiver), work.as_mut()).await;
    if let Some(done) = prompt {
        patience.answered(receiver);
        return (done, busy);
    }
    patience.in_vain(receiver, began, clock::monotonic());
    // Who asks whether everything is done hears of it all the same.
    let _under_way = clock.under_way();
    tokio::select! {
        done = work => (done, clock.busy()),
        busy = clock.rest_until(busy, deadline) => (None, busy),
    }
}
