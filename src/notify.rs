//! Callbacks: a durable outbox and one sender a stream, so that a stream's events arrive in order.

pub mod config;
pub mod deliver;
pub mod patience;
pub mod sign;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::clock::Busy;
use crate::model::event::Kind;
use crate::model::stream_key::StreamKey;
use crate::services::Services;
use crate::store::StoreError;
use crate::store::callbacks::NewCallback;
use crate::store::documents;
use config::{RecordNotify, StreamNotify};
use patience::Patience;

/// The client for callbacks and questions: no proxy, no redirects, the product's own name; like the product's it asks for gzip and
/// unpacks it. Makes ring the process's TLS provider.
pub fn client() -> Result<reqwest::Client, reqwest::Error> {
    // Whoever came first has installed the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .gzip(true)
        .user_agent(deliver::USER_AGENT)
        .http1_title_case_headers()
        .pool_max_idle_per_host(4)
        .connect_timeout(Duration::from_secs(5))
        .build()
}

/// Rows this far below the newest one are looked for again: a database with several writers gives numbers before it commits.
const LATE: i64 = 256;

/// The door to the outbox's sender.
#[derive(Clone)]
pub struct Notifier {
    wake: mpsc::UnboundedSender<(Busy, Wake)>,
    start: Arc<OnceLock<()>>,
    /// How long an advance of the clock waits for receivers.
    pub patience: Arc<Patience>,
}

enum Wake {
    /// New rows are there.
    Rows,
    /// A callback is to be sent once more.
    Replay(i64),
    /// A stream's queue ran empty.
    Drained(Lane),
    /// Forget everything queued.
    Reset,
}

type Lane = (String, String, String);

/// The receiving end, given to [`Notifier::run`].
pub struct Inbox(mpsc::UnboundedReceiver<(Busy, Wake)>);

impl Notifier {
    #[must_use]
    pub fn new() -> (Self, Inbox) {
        let (wake, inbox) = mpsc::unbounded_channel();
        (
            Self {
                wake,
                start: Arc::default(),
                patience: Arc::default(),
            },
            Inbox(inbox),
        )
    }

    /// Starts sending, beginning with what an earlier run left.
    pub fn run(&self, services: &Arc<Services>, inbox: Inbox) {
        if self.start.set(()).is_err() {
            return;
        }
        let wake = self.wake.clone();
        tokio::spawn(dispatch(Arc::downgrade(services), inbox, wake));
        self.wake(services.clock.busy());
    }

    /// Tells the sender that the outbox has new rows; the guard lasts until their first attempt is made.
    pub fn wake(&self, busy: Busy) {
        let _ = self.wake.send((busy, Wake::Rows));
    }

    /// Sends a callback once more.
    pub fn replay(&self, busy: Busy, id: i64) {
        let _ = self.wake.send((busy, Wake::Replay(id)));
    }

    /// Forgets what is queued; the rows are the caller's matter.
    pub fn reset(&self, busy: Busy) {
        let _ = self.wake.send((busy, Wake::Reset));
    }
}

/// The callback for a recording event of a stream, if its domain wants one.
pub async fn recording_event(
    services: &Services,
    key: &StreamKey,
    kind: Kind,
    dedupe: String,
    body: String,
) -> Result<Option<NewCallback>, StoreError> {
    let config: Option<RecordNotify> = services
        .store
        .find_document(documents::Kind::RecordNotify, &key.domain)
        .await?;
    let Some(config) = config else {
        return Ok(None);
    };
    let Some(url) = config.notify_url.filter(|url| !url.is_empty()) else {
        return Ok(None);
    };
    if kind != Kind::FileCreated && !config.need_status_notify {
        return Ok(None);
    }
    let signed = config.notify_req_auth && !config.notify_auth_key.is_empty();
    Ok(Some(NewCallback {
        dedupe,
        key: key.clone(),
        kind,
        method: "POST",
        sign_host: if signed {
            sign::host_of(&url)
        } else {
            String::new()
        },
        sign_key: if signed {
            config.notify_auth_key
        } else {
            String::new()
        },
        url,
        body,
    }))
}

/// The callback for the beginning or end of a push, if the ingest domain wants one.
pub async fn ingest_event(
    services: &Services,
    ingest_domain: &str,
    key: &StreamKey,
    kind: Kind,
    dedupe: String,
    query: &str,
) -> Result<Option<NewCallback>, StoreError> {
    let config: Option<StreamNotify> = services
        .store
        .find_document(documents::Kind::StreamNotify, ingest_domain)
        .await?;
    let Some(config) = config else {
        return Ok(None);
    };
    let Some(url) = config.notify_url.filter(|url| !url.is_empty()) else {
        return Ok(None);
    };
    let joint = if url.contains('?') { '&' } else { '?' };
    let signed = config.notify_req_auth && !config.notify_auth_key.is_empty();
    Ok(Some(NewCallback {
        dedupe,
        key: StreamKey::new(ingest_domain, &key.app, &key.stream),
        kind,
        method: "GET",
        sign_host: if signed {
            ingest_domain.to_owned()
        } else {
            String::new()
        },
        sign_key: if signed {
            config.notify_auth_key
        } else {
            String::new()
        },
        url: format!("{url}{joint}{query}"),
        body: String::new(),
    }))
}

async fn dispatch(
    services: Weak<Services>,
    mut inbox: Inbox,
    wake: mpsc::UnboundedSender<(Busy, Wake)>,
) {
    let mut newest = 0;
    // What was handed over, as far back as late rows may come.
    let mut known = HashSet::new();
    let mut sending: HashMap<Lane, mpsc::UnboundedSender<(Busy, i64)>> = HashMap::new();
    while let Some((busy, message)) = inbox.0.recv().await {
        let Some(services) = services.upgrade() else {
            return;
        };
        let mut busy = busy;
        match message {
            Wake::Rows => {
                let late = if services.store.commits_in_order() {
                    0
                } else {
                    LATE
                };
                let mut after = newest - late;
                loop {
                    match services.store.pending_callbacks(after).await {
                        Ok(rows) => {
                            let full = rows.len() >= 500;
                            for row in rows {
                                after = row.id;
                                newest = newest.max(row.id);
                                if known.insert(row.id) {
                                    let lane = (row.domain, row.app, row.stream);
                                    hand_over(&services, &wake, &mut sending, lane, row.id);
                                }
                            }
                            if !full {
                                break;
                            }
                        }
                        Err(error) => {
                            tracing::error!(%error, "the outbox cannot be read; trying again");
                            busy = services
                                .clock
                                .rest_until(busy, services.clock.now() + 1_000)
                                .await;
                        }
                    }
                }
                known.retain(|id| *id > newest - late);
            }
            Wake::Replay(id) => {
                if let Ok(Some(row)) = services.store.find_callback(id).await {
                    hand_over(
                        &services,
                        &wake,
                        &mut sending,
                        (row.domain, row.app, row.stream),
                        id,
                    );
                }
            }
            Wake::Drained(lane) => {
                if sending
                    .get(&lane)
                    .is_some_and(mpsc::UnboundedSender::is_closed)
                {
                    sending.remove(&lane);
                }
            }
            Wake::Reset => {
                sending.clear();
                known.clear();
                newest = 0;
            }
        }
        drop(busy);
    }
}

fn hand_over(
    services: &Arc<Services>,
    wake: &mpsc::UnboundedSender<(Busy, Wake)>,
    sending: &mut HashMap<Lane, mpsc::UnboundedSender<(Busy, i64)>>,
    lane: Lane,
    id: i64,
) {
    let message = (services.clock.busy(), id);
    let message = match sending.get(&lane) {
        Some(queue) => match queue.send(message) {
            Ok(()) => return,
            Err(closed) => closed.0,
        },
        None => message,
    };
    let (queue, inbox) = mpsc::unbounded_channel();
    let _ = queue.send(message);
    sending.insert(lane.clone(), queue);
    tokio::spawn(send_lane(
        Arc::downgrade(services),
        lane,
        inbox,
        wake.clone(),
    ));
}

/// Sends a stream's callbacks, one after the other, until there is nothing to do for a while.
async fn send_lane(
    services: Weak<Services>,
    lane: Lane,
    mut inbox: mpsc::UnboundedReceiver<(Busy, i64)>,
    wake: mpsc::UnboundedSender<(Busy, Wake)>,
) {
    const LINGER: Duration = Duration::from_secs(30);
    let mut backlog: VecDeque<i64> = VecDeque::new();
    loop {
        let first = match crate::clock::machine_timeout(LINGER, inbox.recv()).await {
            Some(Some(first)) => Some(first),
            Some(None) => None,
            None => {
                inbox.close();
                inbox.try_recv().ok()
            }
        };
        let Some((mut busy, id)) = first else {
            if let Some(services) = services.upgrade() {
                let _ = wake.send((services.clock.busy(), Wake::Drained(lane)));
            }
            return;
        };
        backlog.push_back(id);
        while let Some(id) = backlog.pop_front() {
            let Some(services) = services.upgrade() else {
                return;
            };
            let delivery = deliver::deliver(&services, busy, id);
            tokio::pin!(delivery);
            // Those behind wait without a guard: while the first one rests between its tries, time must be able to pass.
            let mut open = true;
            busy = loop {
                tokio::select! {
                    busy = &mut delivery => break busy,
                    more = inbox.recv(), if open => match more {
                        Some((_, id)) => backlog.push_back(id),
                        None => open = false,
                    },
                }
            };
        }
    }
}
