//! What is old is forgotten.

use std::sync::Arc;

use crate::model::retention::{CALLBACKS, CONTROLS, DAY_MS, FIGURES, PUSHES, RECORDINGS, SLICES};
use crate::services::Services;

/// At the start and once a day the product forgets what is old.
pub(super) async fn run(services: Arc<Services>) {
    let mut busy = services.clock.busy();
    loop {
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
