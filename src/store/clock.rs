//! How far the service clock was advanced: kept, so that a restart does not set it back behind the times in the rows.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::documents::Kind;
use super::entity::document;
use super::{Store, StoreError};

const NAME: &str = "service";
/// The instant at which all nodes' clocks are stopped.
const STOPPED: &str = "stopped";

/// What several nodes keep of their clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeptClock {
    /// How far it is ahead of the machines'.
    pub offset_ms: i64,
    /// Where it stands, when it is stopped.
    pub stopped_at: Option<i64>,
}

impl Store {
    /// Milliseconds that the service clock is ahead of the machine's; none where it was never advanced.
    pub async fn clock_offset(&self) -> Result<Option<i64>, StoreError> {
        self.find_document(Kind::Clock, NAME).await
    }

    /// Keeps the offset, in milliseconds.
    pub async fn keep_clock_offset(&self, offset_ms: i64) -> Result<(), StoreError> {
        self.put_document(Kind::Clock, NAME, &offset_ms).await
    }

    /// What the nodes keep of their clock.
    pub async fn kept_clock(&self) -> Result<KeptClock, StoreError> {
        let mut kept = KeptClock::default();
        for (name, value) in self.list_documents::<i64>(Kind::Clock).await? {
            match name.as_str() {
                NAME => kept.offset_ms = value,
                STOPPED => kept.stopped_at = Some(value),
                _ => {}
            }
        }
        Ok(kept)
    }

    /// Keeps that the clock of all nodes stands, or runs.
    pub async fn keep_stopped(&self, at: Option<i64>) -> Result<(), StoreError> {
        if let Some(at) = at {
            return self.put_document(Kind::Clock, STOPPED, &at).await;
        }
        document::Entity::delete_many()
            .filter(document::Column::Kind.eq(Kind::Clock.as_str()))
            .filter(document::Column::Name.eq(STOPPED))
            .exec(&self.write)
            .await?;
        Ok(())
    }

    /// The next start begins at the machine's time.
    pub async fn forget_clock_offset(&self) -> Result<(), StoreError> {
        document::Entity::delete_many()
            .filter(document::Column::Kind.eq(Kind::Clock.as_str()))
            .exec(&self.write)
            .await?;
        Ok(())
    }
}
