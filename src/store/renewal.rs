//! The renewal of a lease, again and again, until it is given back or its owner is gone.

use std::sync::Weak;
use std::time::Duration;

use super::StoreError;
use super::patience::Dead;
use crate::clock;

/// What is renewed.
pub(super) trait Lasting: Send + Sync + 'static {
    /// Renews it once, where it is this process's.
    fn renew(&self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Whether it was given back, or is lost for good.
    fn has_ended(&self) -> bool;

    /// Told of a statement that failed: where nothing is written, a renewal is all that shows that the connections lead to a server that takes no
    /// writes any more.
    fn dead(&self) -> &Dead;
}

/// How often it is renewed, in machine time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// Before the first renewal.
    pub first: Duration,
    /// Between two.
    pub every: Duration,
    /// After one that failed.
    pub again: Duration,
    /// What one may take.
    pub patience: Duration,
}

pub(super) async fn keep<L: Lasting>(lease: Weak<L>, pace: Pace) {
    let mut wait = pace.first;
    loop {
        clock::machine_sleep(wait).await;
        let Some(lease) = lease.upgrade() else {
            return;
        };
        if lease.has_ended() {
            return;
        }
        let renewed = match clock::machine_timeout(pace.patience, lease.renew()).await {
            Some(renewed) => renewed.map_err(|error| {
                if let StoreError::Database(error) = &error {
                    lease.dead().note(error);
                }
                error.to_string()
            }),
            None => Err("no answer".to_owned()),
        };
        wait = match renewed {
            Ok(()) => pace.every,
            Err(why) => {
                tracing::debug!(why, "the lease on the database cannot be renewed");
                pace.again
            }
        };
    }
}
