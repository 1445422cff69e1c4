//! Streams that may not be published: documents under the hash of their names.

use super::change::Looks;
use super::documents::Kind;
use super::{Store, StoreError};
use crate::clock::UnixMs;
use crate::model::forbidden::Forbidden;
use crate::model::stream_key::StreamKey;

impl Store {
    /// What keeps a stream out at `now`, where something does.
    pub async fn find_forbidden(
        &self,
        key: &StreamKey,
        now: UnixMs,
    ) -> Result<Option<Forbidden>, StoreError> {
        let found: Option<Forbidden> = self.find_document(Kind::Forbidden, &key.hash()).await?;
        Ok(found.filter(|forbidden| forbidden.counts_at(now)))
    }

    /// Forgets what keeps nobody out any more.
    pub async fn forget_forbidden(&self, now: UnixMs) -> Result<(), StoreError> {
        self.change(Looks::default().at_all(Kind::Forbidden), move |view| {
            for (name, forbidden) in view.documents::<Forbidden>(Kind::Forbidden)? {
                if !forbidden.counts_at(now) {
                    view.remove(Kind::Forbidden, &name)?;
                }
            }
            Ok::<(), StoreError>(())
        })
        .await?
    }
}
