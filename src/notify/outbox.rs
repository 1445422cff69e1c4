//! A durable outbox and one sender a stream, so that a stream's events arrive in order.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::mpsc;

use super::deliver;
use crate::clock::{Busy, machine_timeout};
use crate::model::stream_key::StreamKey;
use crate::notifier::{Inbox, News, Wake};
use crate::services::Services;
use crate::store::callbacks::{PAGE, Row};

/// How long a stream's sender stays when there is nothing to send, in machine time.
const LINGER: Duration = Duration::from_secs(30);
/// Milliseconds until the outbox is read again after an error.
const READ_AGAIN_MS: i64 = 1_000;
/// Rows this far below the newest one are looked for again: a database with several writers gives numbers before it commits.
const LATE: i64 = 256;
/// The same where other nodes take numbers as well.
const LATE_AMONG_NODES: i64 = 65_536;

/// Starts sending, beginning with what an earlier run left. It ends with the services.
pub fn run(services: &Arc<Services>, inbox: Inbox) {
    tokio::spawn(dispatch(Arc::downgrade(services), inbox));
    services.notifier.wake(services.clock.busy());
}

/// The queue of one stream's sender: rows that wait, each with a guard until its first attempt is made.
type Queue = mpsc::UnboundedSender<(Busy, i64)>;

fn stream_of(row: &Row) -> StreamKey {
    StreamKey::new(&row.domain, &row.app, &row.stream)
}

async fn dispatch(services: Weak<Services>, mut inbox: Inbox) {
    let mut newest = 0;
    // What was handed over, as far back as late rows may come.
    let mut known = HashSet::new();
    let mut sending: HashMap<StreamKey, Queue> = HashMap::new();
    while let Some(Wake { mut busy, news }) = inbox.next().await {
        let Some(services) = services.upgrade() else {
            return;
        };
        match news {
            News::Rows => {
                let late = if services.store.commits_in_order() {
                    0
                } else if services.store.member().is_some() {
                    LATE_AMONG_NODES
                } else {
                    LATE
                };
                let mut after = newest - late;
                loop {
                    match services.store.pending_callbacks(after).await {
                        Ok(rows) => {
                            let full = rows.len() as u64 >= PAGE;
                            for row in rows {
                                after = row.id;
                                newest = newest.max(row.id);
                                if known.insert(row.id) {
                                    hand_over(&services, &mut sending, &row);
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
                                .rest_until(busy, services.clock.now() + READ_AGAIN_MS)
                                .await;
                        }
                    }
                }
                known.retain(|id| *id > newest - late);
            }
            News::Taken(stream) => {
                let mut after = 0;
                while let Ok(rows) = services.store.callbacks_of_stream(&stream, after).await {
                    for row in &rows {
                        after = row.id;
                        if known.insert(row.id) {
                            hand_over(&services, &mut sending, row);
                        }
                    }
                    if (rows.len() as u64) < PAGE {
                        break;
                    }
                }
            }
            News::Replay(id) => {
                if let Ok(Some(row)) = services.store.find_callback(id).await {
                    hand_over(&services, &mut sending, &row);
                }
            }
            News::Drained(stream) => {
                if sending
                    .get(&stream)
                    .is_some_and(mpsc::UnboundedSender::is_closed)
                {
                    sending.remove(&stream);
                }
            }
            News::Reset => {
                sending.clear();
                known.clear();
                newest = 0;
            }
        }
        drop(busy);
    }
}

/// Puts a row into the queue of its stream's sender; one is started where there is none.
fn hand_over(services: &Arc<Services>, sending: &mut HashMap<StreamKey, Queue>, row: &Row) {
    let stream = stream_of(row);
    let message = (services.clock.busy(), row.id);
    let message = match sending.get(&stream) {
        Some(queue) => match queue.send(message) {
            Ok(()) => return,
            Err(closed) => closed.0,
        },
        None => message,
    };
    let (queue, inbox) = mpsc::unbounded_channel();
    let _ = queue.send(message);
    sending.insert(stream.clone(), queue);
    tokio::spawn(send_in_order(Arc::downgrade(services), stream, inbox));
}

/// Sends a stream's callbacks, one after the other, until there is nothing to do for a while.
async fn send_in_order(
    services: Weak<Services>,
    stream: StreamKey,
    mut inbox: mpsc::UnboundedReceiver<(Busy, i64)>,
) {
    let mut backlog: VecDeque<i64> = VecDeque::new();
    loop {
        let first = match machine_timeout(LINGER, inbox.recv()).await {
            Some(Some(first)) => Some(first),
            Some(None) => None,
            None => {
                inbox.close();
                inbox.try_recv().ok()
            }
        };
        let Some((mut busy, id)) = first else {
            if let Some(services) = services.upgrade() {
                let busy = services.clock.busy();
                services.notifier.drained(busy, stream);
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
