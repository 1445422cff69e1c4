//! The handle by which every part reaches the outbox's sender. It knows nothing of rows and receivers.

pub mod patience;

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::clock::{Busy, Clock};
use crate::model::stream_key::StreamKey;
use patience::Patience;

/// The door to the outbox's sender.
#[derive(Clone)]
pub struct Notifier {
    wake: mpsc::UnboundedSender<Wake>,
    /// How long an advance of the clock waits for receivers.
    pub patience: Arc<Patience>,
    /// Whether deliveries stand still.
    paused: Arc<watch::Sender<bool>>,
}

/// What the sender is told, with a guard that lasts until it is worked off.
pub struct Wake {
    pub busy: Busy,
    pub news: News,
}

pub enum News {
    /// The outbox has new rows.
    Rows,
    /// A callback is to be sent once more.
    Replay(i64),
    /// A stream became this node's: what waits of it is to be sent.
    Taken(String),
    /// A stream's sender has had nothing to do for a while.
    Drained(StreamKey),
    /// Everything queued is to be forgotten, and what stands still is to go on.
    Reset,
}

/// The receiving end, for the sender (`outbox::run`).
pub struct Inbox(mpsc::UnboundedReceiver<Wake>);

impl Inbox {
    /// The next news; `None` when nobody is left to bring any.
    pub async fn next(&mut self) -> Option<Wake> {
        self.0.recv().await
    }
}

impl Notifier {
    #[must_use]
    pub fn new() -> (Self, Inbox) {
        let (wake, inbox) = mpsc::unbounded_channel();
        let notifier = Self {
            wake,
            patience: Arc::default(),
            paused: Arc::new(watch::Sender::new(false)),
        };
        (notifier, Inbox(inbox))
    }

    fn tell(&self, busy: Busy, news: News) {
        // In a service that is being dropped nobody listens any more; its next run sends the rows.
        let _ = self.wake.send(Wake { busy, news });
    }

    /// Tells the sender that the outbox has new rows; the guard lasts until their first attempt is made.
    pub fn wake(&self, busy: Busy) {
        self.tell(busy, News::Rows);
    }

    /// Sends a callback once more.
    pub fn replay(&self, busy: Busy, id: i64) {
        self.tell(busy, News::Replay(id));
    }

    /// Sends what waits of a stream that became this node's, by the hash of its name.
    pub fn taken(&self, busy: Busy, stream: String) {
        self.tell(busy, News::Taken(stream));
    }

    /// A stream's sender has had nothing to do for a while.
    pub(super) fn drained(&self, busy: Busy, stream: StreamKey) {
        self.tell(busy, News::Drained(stream));
    }

    /// Lets deliveries stand still, or go on: what is under way ends, what comes waits in the outbox. A restart lets them go on.
    pub fn pause(&self, paused: bool) {
        self.paused.send_replace(paused);
    }

    /// Whether deliveries stand still.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        *self.paused.borrow()
    }

    /// Waits while deliveries stand still. The guard is given up meanwhile, so that the clock can be advanced.
    pub(super) async fn turn(&self, clock: &Clock, busy: Busy) -> Busy {
        if !self.is_paused() {
            return busy;
        }
        drop(busy);
        let mut paused = self.paused.subscribe();
        // The sender lives as long as we do.
        let _ = paused.wait_for(|paused| !paused).await;
        clock.busy()
    }

    /// Forgets what is queued, what rests between two tries among it, and lets deliveries go on; the rows are the caller's matter.
    pub fn reset(&self, busy: Busy) {
        self.tell(busy, News::Reset);
    }
}
