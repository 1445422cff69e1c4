//! What is old is forgotten.

use std::sync::Arc;

use crate::services::Services;

/// What the product remembers, in milliseconds: callbacks, slices, files and sessions.
const CALLBACKS_KEPT_MS: i64 = 7 * DAY_MS;
const SLICES_KEPT_MS: i64 = 90 * DAY_MS;
const FILES_KEPT_MS: i64 = 180 * DAY_MS;
const DAY_MS: i64 = 24 * 3600 * 1000;
/// At the start and once a day the product forgets what is old.
pub(super) async fn run(services: Arc<Services>) {
    let mut busy = services.clock.busy();
    loop {
        let now = services.clock.now();
        if let Err(error) = services
            .store
            .forget_callbacks(now - CALLBACKS_KEPT_MS)
            .await
        {
            tracing::warn!(%error, "old callbacks cannot be forgotten");
        }
        if let Err(error) = services
            .store
            .forget_records(now - SLICES_KEPT_MS, now - FILES_KEPT_MS)
            .await
        {
            tracing::warn!(%error, "old records cannot be forgotten");
        }
        let due = services.clock.now() + DAY_MS;
        busy = services.clock.rest_until(busy, due).await;
    }
}
