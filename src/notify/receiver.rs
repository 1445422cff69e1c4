//! Asking somebody else's server: callbacks and on-demand questions go out by one client, within a deadline of the service clock.

use std::time::Duration;

use futures_util::StreamExt;

use crate::clock::{self, Busy, UnixMs};
use crate::notifier::patience::receiver_of;
use crate::services::Services;

/// The product's own name for its HTTP client.
const USER_AGENT: &str = "Go-http-client/1.1";
/// Machine time for a connection to be made.
const CONNECTING: Duration = Duration::from_secs(5);
/// Connections to one receiver that are kept open while nothing is sent.
const IDLE_CONNECTIONS: usize = 4;

/// The client for callbacks and questions: no proxy, no redirects, the product's own name; like the product's it asks for gzip and
/// unpacks it. Makes ring the process's TLS provider.
///
/// # Errors
/// The client's TLS cannot be set up.
pub fn client() -> Result<reqwest::Client, reqwest::Error> {
    // Whoever came first has installed the same provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = || {
        reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .gzip(true)
            .user_agent(USER_AGENT)
            .http1_title_case_headers()
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .connect_timeout(CONNECTING)
    };
    // A slim image has the certificate of no authority: receivers on http:// need none.
    builder()
        .build()
        .or_else(|_| builder().tls_certs_only(std::iter::empty()).build())
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
    // Whoever asks whether everything is done hears of this request all the same.
    let _under_way = clock.under_way();
    tokio::select! {
        done = work => (done, clock.busy()),
        busy = clock.rest_until(busy, deadline) => (None, busy),
    }
}
