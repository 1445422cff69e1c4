//! What is old is forgotten.

use std::sync::Arc;
use std::time::Duration;

use crate::clock;
use crate::model::retention::{CALLBACKS, CONTROLS, DAY_MS, FIGURES, PUSHES, RECORDINGS, SLICES};
use crate::services::Services;

/// How long a node has the job: no other does it meanwhile.
const JOB: Duration = Duration::from_secs(12 * 3_600);
/// Between two looks whether nobody does it.
const ASK_AGAIN: Duration = Duration::from_secs(600);

/// Whether this process is the one that forgets: alone it is, and of several nodes one.
async fn is_ours(services: &Services) -> bool {
    let Some(member) = services.store.member() else {
        return true;
    };
    let taken = services.store.take_job(member, "retention", JOB).await;
    taken.unwrap_or(false)
}

/// At the start and once a day the product forgets what is old.
pub(super) async fn run(services: Arc<Services>) {
    let mut busy = services.clock.busy();
    loop {
        if !is_ours(&services).await {
            drop(busy);
            clock::machine_sleep(ASK_AGAIN).await;
            busy = services.clock.busy();
            continue;
        }
        let now = services.clock.now();
        if let Err(error) = services.store.forget_callbacks(now - CALLBACKS.ms()).await {
            tracing::warn!(%error, "old callbacks cannot be forgotten");
        }
        if let Err(error) = services
            .store
            .forget_records(now - SLICES.ms(), now - RECORDINGS.ms())
            .await
        {
            tracing::warn!(%error, "old records cannot be forgotten");
        }
        if let Err(error) = services.store.forget_figures(now - FIGURES.ms()).await {
            tracing::warn!(%error, "old figures cannot be forgotten");
        }
        if let Err(error) = services.store.forget_pushes(now - PUSHES.ms()).await {
            tracing::warn!(%error, "old pushes cannot be forgotten");
        }
        if let Err(error) = services.store.forget_controls(now - CONTROLS.ms()).await {
            tracing::warn!(%error, "the old control history cannot be forgotten");
        }
        if let Err(error) = services.store.forget_forbidden(now).await {
            tracing::warn!(%error, "streams that are free again cannot be forgotten");
        }
        let due = services.clock.now() + DAY_MS;
        busy = services.clock.rest_quietly_until(busy, due).await;
    }
}
