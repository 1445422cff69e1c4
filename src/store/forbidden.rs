//! Streams that may not be published: documents under the hash of their names.

use std::collections::{BTreeSet, HashMap};

use super::change::Looks;
use super::documents::Kind;
use super::{Store, StoreError};
use crate::clock::UnixMs;
use crate::model::forbidden::Forbidden;

impl Store {
    /// What keeps streams out at `now`, of these hashes of names.
    pub async fn find_forbidden(
        &self,
        hashes: &BTreeSet<String>,
        now: UnixMs,
    ) -> Result<HashMap<String, Forbidden>, StoreError> {
        let mut found: HashMap<String, Forbidden> =
            self.find_documents(Kind::Forbidden, hashes).await?;
        found.retain(|_, forbidden| forbidden.counts_at(now));
        Ok(found)
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
