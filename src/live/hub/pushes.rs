//! The row of a push: written when it begins and when it ends, for the lists of what was published.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::Publisher;
use crate::clock;
use crate::services::Services;
use crate::store::pushes::PushRow;

/// How often the end of a push is written anew while the database refuses, and what lies between two tries.
const TRIES: u32 = 120;
const BETWEEN_TRIES: Duration = Duration::from_secs(1);
/// How long a list waits for ends that are being written.
const ENDS_PATIENCE: Duration = Duration::from_secs(1);

/// The ends of pushes that are being written for the first time. Whoever lists pushes waits for them, so that a stream that one list shows no more has its
/// end in the other.
#[derive(Default)]
pub(super) struct Ends(watch::Sender<usize>);

impl Ends {
    pub(super) fn begin(&self) -> Ending {
        self.0.send_modify(|ends| *ends += 1);
        Ending(self.0.clone())
    }

    /// Until none is being written, but not for long: where ends go on coming there may be no such moment.
    pub(super) async fn are_written(&self) {
        let mut ends = self.0.subscribe();
        let _ = clock::machine_timeout(ENDS_PATIENCE, ends.wait_for(|ends| *ends == 0)).await;
    }
}

/// An end that is being written.
pub(super) struct Ending(watch::Sender<usize>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.send_modify(|ends| *ends -= 1);
    }
}

fn row(publisher: &Publisher, stopped_at: i64) -> PushRow {
    PushRow {
        id: publisher.push_id.clone(),
        domain: publisher.key.domain.clone(),
        app: publisher.key.app.clone(),
        stream: publisher.key.stream.clone(),
        ingest_domain: publisher.ingest_domain.clone(),
        address: publisher.address.clone(),
        published_at: publisher.since,
        stopped_at,
    }
}

/// Writes the beginning. A database that is away keeps no publisher out: the end is written as a whole row.
pub(super) async fn began(services: &Services, publisher: &Publisher) {
    if let Err(error) = services.store.put_push(row(publisher, 0)).await {
        tracing::warn!(stream.key = %publisher.key, %error, "the beginning of a push cannot be stored");
    }
}

/// Writes the end, for as long as it takes; no longer than the push is of interest.
pub(super) fn ended(services: &Arc<Services>, publisher: &Publisher, ending: Ending) {
    let fence = publisher.recorder.fence().clone();
    let row = row(publisher, services.clock.now().max(publisher.since + 1));
    let (services, key) = (services.clone(), publisher.key.clone());
    let busy = services.clock.busy();
    tokio::spawn(async move {
        let mut waited_for = Some((busy, ending));
        for tries in 1..=TRIES {
            // By a reset the push itself is forgotten.
            if !services.store.remembers(&fence) {
                return;
            }
            match services.store.put_push(row.clone()).await {
                Ok(()) => return,
                Err(error) if tries == 1 || tries == TRIES => {
                    tracing::error!(stream.key = %key, %error, tries, "the end of a push cannot be stored");
                }
                Err(_) => {}
            }
            // Nobody waits for a database that is away.
            waited_for = None;
            clock::machine_sleep(BETWEEN_TRIES).await;
        }
        drop(waited_for);
    });
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_list_waits_for_the_ends_that_are_being_written() {
        let ends = Ends::default();
        assert!(ends.are_written().now_or_never().is_some());
        let (first, second) = (ends.begin(), ends.begin());
        drop(first);
        assert!(ends.are_written().now_or_never().is_none());
        drop(second);
        assert!(ends.are_written().now_or_never().is_some());
    }
}
