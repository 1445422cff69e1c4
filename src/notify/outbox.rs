//! A durable outbox and one sender a stream, so that a stream's events arrive in order.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::mpsc;

use super::asking::until_answered;
use super::deliver::{self, Errand};
use crate::clock::{Busy, machine_timeout};
use crate::model::event::Delivery;
use crate::model::stream_key::StreamKey;
use crate::notifier::{Inbox, News, Wake};
use crate::services::Services;
use crate::store::StoreError;
use crate::store::callbacks::{PAGE, Waiting};

/// How long a stream's sender stays when there is nothing to send, in machine time.
const LINGER: Duration = Duration::from_secs(30);
/// Rows this far below the newest one are looked for again: a database with several writers gives numbers before it commits, and a transaction may
/// take as long as thousands of others.
const LATE: i64 = 65_536;

/// Starts sending, beginning with what an earlier run left. It ends with the services.
pub fn run(services: &Arc<Services>, inbox: Inbox) {
    tokio::spawn(dispatch(Arc::downgrade(services), inbox));
    services.notifier.wake(services.clock.busy());
}

/// The queue of one stream's sender.
struct Queue {
    /// Rows that wait, each with a guard until its first attempt is made.
    errands: mpsc::UnboundedSender<(Busy, Errand)>,
    /// How many were handed over and have not been dealt with.
    left: Arc<AtomicUsize>,
}

/// The senders, and what they were given.
#[derive(Default)]
struct Senders {
    queues: HashMap<StreamKey, Queue>,
    /// What was handed over, as far back as late rows may come.
    known: HashSet<i64>,
}

impl Senders {
    /// Hands over what waits behind a number and was not handed over before, page by page, and gives the highest number that was read. The next news
    /// waits meanwhile, and so for a database that is away: it would overtake what could not be read.
    async fn take_up<F>(
        &mut self,
        services: &Arc<Services>,
        mut busy: Busy,
        mut after: i64,
        read: impl Fn(i64) -> F,
    ) -> (i64, Busy)
    where
        F: Future<Output = Result<Vec<Waiting>, StoreError>>,
    {
        loop {
            let (page, held) = until_answered(&services.clock, busy, || read(after)).await;
            busy = held;
            let page = page.unwrap_or_else(|error| {
                tracing::error!(%error, after, "the outbox cannot be read");
                Vec::new()
            });
            let is_full = page.len() as u64 >= PAGE;
            for row in page {
                after = row.id;
                if self.known.insert(row.id) {
                    let errand = Errand {
                        id: row.id,
                        again: false,
                    };
                    self.hand_over(services, row.key, errand);
                }
            }
            if !is_full {
                return (after, busy);
            }
        }
    }

    /// Puts a row into the queue of its stream's sender; one is started where there is none.
    fn hand_over(&mut self, services: &Arc<Services>, stream: StreamKey, errand: Errand) {
        let broken = |queue: &Queue| queue.errands.is_closed();
        if self.queues.get(&stream).is_some_and(broken) {
            self.queues.remove(&stream);
        }
        let queue = self.queues.entry(stream).or_insert_with_key(|stream| {
            let (errands, inbox) = mpsc::unbounded_channel();
            let left = Arc::new(AtomicUsize::new(0));
            let sender = Sender {
                services: Arc::downgrade(services),
                stream: stream.clone(),
                inbox,
                left: left.clone(),
            };
            tokio::spawn(sender.send_in_order());
            Queue { errands, left }
        });
        queue.left.fetch_add(1, Ordering::AcqRel);
        let _ = queue.errands.send((services.clock.busy(), errand));
    }

    /// Lets a sender go that has nothing to do: what came after it had said so is its own still.
    fn let_go(&mut self, stream: &StreamKey) {
        let idle = |queue: &Queue| queue.left.load(Ordering::Acquire) == 0;
        if self.queues.get(stream).is_some_and(idle) {
            self.queues.remove(stream);
        }
    }
}

async fn dispatch(services: Weak<Services>, mut inbox: Inbox) {
    let mut newest = 0;
    let mut senders = Senders::default();
    while let Some(Wake { mut busy, news }) = inbox.next().await {
        let Some(services) = services.upgrade() else {
            return;
        };
        let store = &services.store;
        match news {
            News::Rows => {
                let late = if store.commits_in_order() { 0 } else { LATE };
                let read = |after| store.pending_callbacks(after);
                let taking_up = senders.take_up(&services, busy, newest - late, read);
                let (last, held) = taking_up.await;
                busy = held;
                newest = newest.max(last);
                senders.known.retain(|id| *id > newest - late);
            }
            News::Taken(stream) => {
                let read = |after| store.callbacks_of_stream(&stream, after);
                busy = senders.take_up(&services, busy, 0, read).await.1;
            }
            News::Replay(id) => {
                let (found, held) =
                    until_answered(&services.clock, busy, || store.find_callback(id)).await;
                busy = held;
                match found {
                    Ok(Some(row)) => {
                        let stream = StreamKey::new(&row.domain, &row.app, &row.stream);
                        let again = row.state != Delivery::Pending;
                        senders.hand_over(&services, stream, Errand { id, again });
                    }
                    Ok(None) => {}
                    Err(error) => tracing::error!(%error, id, "a callback cannot be read"),
                }
            }
            News::Drained(stream) => senders.let_go(&stream),
            News::Reset => {
                senders = Senders::default();
                newest = 0;
                // Not before: what stood still is forgotten, too.
                services.notifier.pause(false);
            }
        }
        drop(busy);
    }
}

/// Sends a stream's callbacks.
struct Sender {
    services: Weak<Services>,
    stream: StreamKey,
    inbox: mpsc::UnboundedReceiver<(Busy, Errand)>,
    left: Arc<AtomicUsize>,
}

impl Sender {
    /// One after the other, until nobody has the queue's other end any more: it had nothing to do for a while, or all is forgotten.
    async fn send_in_order(mut self) {
        let mut backlog: VecDeque<Errand> = VecDeque::new();
        loop {
            let (mut busy, first) = match machine_timeout(LINGER, self.inbox.recv()).await {
                Some(Some(first)) => first,
                Some(None) => return,
                None => {
                    let Some(services) = self.services.upgrade() else {
                        return;
                    };
                    let busy = services.clock.busy();
                    services.notifier.drained(busy, self.stream.clone());
                    continue;
                }
            };
            backlog.push_back(first);
            while let Some(errand) = backlog.pop_front() {
                let Some(services) = self.services.upgrade() else {
                    return;
                };
                let delivery = deliver::deliver(&services, busy, errand);
                tokio::pin!(delivery);
                // Those behind wait without a guard: while the first one rests between its tries, time must be able to pass.
                busy = loop {
                    tokio::select! {
                        // First, so that what is forgotten is not taken up again by whatever it waits for.
                        biased;
                        more = self.inbox.recv() => match more {
                            Some((_, errand)) => backlog.push_back(errand),
                            None => return,
                        },
                        busy = &mut delivery => break busy,
                    }
                };
                self.left.fetch_sub(1, Ordering::AcqRel);
            }
        }
    }
}
