//! How far the service clock was advanced: kept, so that a restart does not set it back behind the times in the rows.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::documents::Kind;
use super::entity::document;
use super::{Store, StoreError};

const NAME: &str = "service";

impl Store {
    /// Milliseconds that the service clock is ahead of the machine's; none where it was never advanced.
    pub async fn clock_offset(&self) -> Result<Option<i64>, StoreError> {
        self.find_document(Kind::Clock, NAME).await
    }

    /// Keeps the offset, in milliseconds.
    pub async fn keep_clock_offset(&self, offset_ms: i64) -> Result<(), StoreError> {
        self.put_document(Kind::Clock, NAME, &offset_ms).await
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
