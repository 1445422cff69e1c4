//! The row of a push: written when it begins and when it ends, for the lists of what was published.

use std::sync::Arc;
use std::time::Duration;

use super::Publisher;
use crate::clock;
use crate::services::Services;
use crate::store::pushes::PushRow;

/// How often the end of a push is written anew while the database refuses, and what lies between two tries.
const TRIES: u32 = 120;
const BETWEEN_TRIES: Duration = Duration::from_secs(1);

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
pub(super) fn ended(services: &Arc<Services>, publisher: &Publisher) {
    let fence = publisher.recorder.fence().clone();
    let row = row(publisher, services.clock.now().max(publisher.since + 1));
    let (services, key) = (services.clone(), publisher.key.clone());
    let busy = services.clock.busy();
    tokio::spawn(async move {
        let mut busy = Some(busy);
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
            busy = None;
            clock::machine_sleep(BETWEEN_TRIES).await;
        }
        drop(busy);
    });
}
