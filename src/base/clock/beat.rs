//! One timer for all who wait in ticks.
//!
//! A timer of each one's own would be set and fire with the others', but setting it wakes the thread that waits for the earliest one,
//! so that fifty publishers looked at ten times a second cost five hundred wakes. Here they cost ten.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::{machine_sleep, monotonic};

/// Beats in machine time while anybody listens.
pub struct Beat {
    every: Duration,
    listeners: AtomicUsize,
    first: Notify,
    beat: Notify,
}

/// Somebody who waits for beats.
pub struct Listener(Arc<Beat>);

impl Beat {
    #[must_use]
    pub fn new(every: Duration) -> Arc<Self> {
        Arc::new(Self {
            every,
            listeners: AtomicUsize::new(0),
            first: Notify::new(),
            beat: Notify::new(),
        })
    }

    /// Beats for ever; at rest while nobody listens.
    pub async fn run(&self) {
        let origin = monotonic();
        loop {
            if self.listeners.load(Ordering::Acquire) == 0 {
                self.first.notified().await;
                continue;
            }
            machine_sleep(self.until_next(origin)).await;
            self.beat.notify_waiters();
        }
    }

    /// Beats lie at multiples of their distance, so that work that takes long makes them fewer and not later.
    fn until_next(&self, origin: Instant) -> Duration {
        let into = origin.elapsed().as_nanos() % self.every.as_nanos().max(1);
        let into = Duration::from_nanos(u64::try_from(into).unwrap_or(0));
        self.every.saturating_sub(into)
    }

    /// A new listener.
    #[must_use]
    pub fn listen(self: &Arc<Self>) -> Listener {
        if self.listeners.fetch_add(1, Ordering::AcqRel) == 0 {
            self.first.notify_one();
        }
        Listener(self.clone())
    }
}

impl Listener {
    /// Waits for the next beat.
    pub async fn next(&self) {
        self.0.beat.notified().await;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.listeners.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_listeners_hear_each_beat_and_nobody_keeps_it_from_resting() {
        let beat = Beat::new(Duration::from_millis(2));
        let task = tokio::spawn({
            let beat = beat.clone();
            async move { beat.run().await }
        });
        let (one, other) = (beat.listen(), beat.listen());
        for _ in 0..3 {
            tokio::join!(one.next(), other.next());
        }
        drop((one, other));
        assert_eq!(beat.listeners.load(Ordering::Acquire), 0);
        // After a rest it begins again.
        tokio::task::yield_now().await;
        beat.listen().next().await;
        task.abort();
    }
}
