//! Asking the database until it answers: what waits in the outbox is not forgotten, and what has to be known of a stream is not taken for
//! absent, because the database was away.

use std::time::Duration;

use crate::clock::{Busy, Clock, machine_sleep};
use crate::store::StoreError;

/// Between two tries. The database is the machine's matter, and by a service clock that stands it would never be asked again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Asks until there is an answer, or an error that would be the same the next time. While it waits the guard is given up, so that time can pass;
/// whoever asks whether all is done hears that it is not.
pub async fn until_answered<T, F>(
    clock: &Clock,
    mut busy: Busy,
    ask: impl Fn() -> F,
) -> (Result<T, StoreError>, Busy)
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut is_told = false;
    loop {
        match ask().await {
            Err(error) if error.may_pass() => {
                if !is_told {
                    tracing::warn!(%error, "the database does not answer; it is asked again until it does");
                    is_told = true;
                }
                let _under_way = clock.under_way();
                busy = rest(clock, busy, ASK_AGAIN).await;
            }
            done => return (done, busy),
        }
    }
}

/// Waits in machine time, without the guard.
pub async fn rest(clock: &Clock, busy: Busy, wait: Duration) -> Busy {
    drop(busy);
    machine_sleep(wait).await;
    clock.busy()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_database_that_is_away_is_asked_again_though_the_clock_stands() {
        let clock = Clock::stopped(Some(1_000));
        let asked = AtomicU32::new(0);
        let ask = || async {
            match asked.fetch_add(1, Ordering::AcqRel) {
                0 => Err(StoreError::Interrupted),
                _ => Ok("there"),
            }
        };
        let waiting = until_answered(&clock, clock.busy(), ask);
        let meanwhile = async {
            // It holds nobody up, and is not done.
            assert!(clock.settle().await);
            assert!(!clock.is_settled());
        };
        let ((answer, busy), ()) = tokio::join!(waiting, meanwhile);
        assert_eq!(answer.unwrap(), "there");
        assert_eq!(asked.load(Ordering::Acquire), 2);
        assert!(!clock.is_settled());
        drop(busy);
        assert!(clock.is_settled());
    }

    #[tokio::test]
    async fn what_would_fail_again_is_answered_at_once() {
        let clock = Clock::stopped(Some(1_000));
        let asked = AtomicU32::new(0);
        let ask = || async {
            asked.fetch_add(1, Ordering::AcqRel);
            Err::<(), _>(StoreError::Duplicate)
        };
        let (answer, _busy) = until_answered(&clock, clock.busy(), ask).await;
        assert!(matches!(answer, Err(StoreError::Duplicate)));
        assert_eq!(asked.load(Ordering::Acquire), 1);
    }
}
