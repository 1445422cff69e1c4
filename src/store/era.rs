//! Eras: one ends where all is forgotten, by a reset or by a snapshot in the place of what was there. What was begun in one is written in no
//! other one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::streams::Fence;
use super::{Store, StoreError};

/// The number of the era, shared by all handles to a database.
#[derive(Clone, Default)]
pub(super) struct Era(Arc<AtomicU64>);

impl Era {
    pub fn now(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

impl Store {
    /// Begins an era: of what was begun before nothing is written any more, but for what is being written at this moment. Whoever clears the
    /// store waits for that first.
    pub fn begin_era(&self) {
        self.era.0.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether what a fence was made for was begun in this era.
    #[must_use]
    pub fn remembers(&self, fence: &Fence) -> bool {
        fence.era().is_none_or(|era| era == self.era.now())
    }

    /// Asked right before something is written.
    ///
    /// # Errors
    /// `Forgotten`: it was begun in an earlier era.
    pub fn check_era(&self, fence: &Fence) -> Result<(), StoreError> {
        if self.remembers(fence) {
            Ok(())
        } else {
            Err(StoreError::Forgotten)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::recorded::SessionState;
    use crate::store::records::SessionRow;
    use crate::store::testbed;

    fn session(id: &str) -> SessionRow {
        SessionRow {
            id: id.into(),
            stream_hash: "h".into(),
            domain: "d".into(),
            app: "live".into(),
            stream: "s".into(),
            bucket: "b".into(),
            endpoint: "e".into(),
            prefix: "p".into(),
            started_at: 0,
            ended_at: 1,
            state: SessionState::Paused,
        }
    }

    #[tokio::test]
    async fn what_was_begun_before_all_was_forgotten_is_not_written() {
        let (store, _folder) = testbed::store().await;
        let before = store.fence("h");
        store.put_session(session("a"), &before).await.unwrap();
        store.begin_era();
        store.clear().await.unwrap();
        let late = store.put_session(session("b"), &before).await;
        assert!(matches!(late, Err(StoreError::Forgotten)));
        let late = store.end_session("b", 2, &before).await;
        assert!(matches!(late, Err(StoreError::Forgotten)));
        let (now, any) = (store.fence("h"), Fence::NONE);
        store.put_session(session("c"), &now).await.unwrap();
        store.put_session(session("d"), &any).await.unwrap();
        let (sessions, ..) = store.export_records().await.unwrap();
        let ids: Vec<_> = sessions.iter().map(|row| row.id.as_str()).collect();
        assert_eq!(ids, ["c", "d"]);
    }
}
