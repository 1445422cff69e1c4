//! How long it is known that this process may write to a database over the network. The lease moves it on with every renewal; every
//! statement that writes looks at it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sea_orm::{DbErr, RuntimeErr};
use tokio::sync::watch;

/// A hold on the database. It ends by itself where nobody moves it on, and for good when another process took the database over.
pub(super) struct Hold {
    began: Instant,
    /// Until when it lasts, in milliseconds since `began`.
    until_ms: AtomicU64,
    /// Who took the database over.
    lost: watch::Sender<Option<String>>,
}

impl Hold {
    pub fn new(began: Instant) -> Self {
        Self {
            began,
            until_ms: AtomicU64::new(0),
            lost: watch::Sender::new(None),
        }
    }

    /// It lasts for `time` after `from`.
    pub fn lasts(&self, from: Instant, time: Duration) {
        let until = from.saturating_duration_since(self.began) + time;
        let ms = u64::try_from(until.as_millis()).unwrap_or(u64::MAX);
        self.until_ms.fetch_max(ms, Ordering::AcqRel);
    }

    /// Another process has taken over; `why` is a sentence about it.
    pub fn lose(&self, why: String) {
        self.lost.send_replace(Some(why));
    }

    pub fn is_lost(&self) -> bool {
        self.lost.borrow().is_some()
    }

    /// Refuses a write while it is not known that the database is this process's.
    pub fn check(&self) -> Result<(), DbErr> {
        let problem = if self.is_lost() {
            "another process took the database over"
        } else if self.began.elapsed().as_millis()
            >= u128::from(self.until_ms.load(Ordering::Acquire))
        {
            "the lease on the database could not be renewed yet"
        } else {
            return Ok(());
        };
        Err(DbErr::Conn(RuntimeErr::Internal(problem.to_owned())))
    }

    /// Comes when another process has taken over, with a sentence about it.
    pub async fn lost(&self) -> String {
        let mut lost = self.lost.subscribe();
        loop {
            if let Some(why) = lost.borrow_and_update().clone() {
                return why;
            }
            if lost.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[tokio::test]
    async fn a_hold_lasts_as_long_as_it_is_moved_on_and_is_lost_for_good() {
        let now = clock::monotonic();
        let hold = Hold::new(now);
        assert!(hold.check().is_err());
        hold.lasts(now, Duration::from_secs(600));
        assert!(hold.check().is_ok());
        hold.lose("somebody".to_owned());
        hold.lasts(now, Duration::from_secs(6_000));
        assert!(hold.check().is_err() && hold.is_lost());
        assert_eq!(hold.lost().await, "somebody");
    }
}
