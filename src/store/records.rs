//! What was recorded: sessions, slices and files.

use std::collections::HashMap;

use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, Iterable, Order,
    PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::OnConflict,
};

use super::callbacks::{NewCallback, enqueue_on};
use super::entity::{record_file, record_session, record_slice};
use super::streams::Fence;
use super::{Store, StoreError};
use crate::clock::UnixMs;
use crate::model::recorded::SessionState;

pub type SessionRow = record_session::Model;
pub type SliceRow = record_slice::Model;
pub type FileRow = record_file::Model;

/// Which rows of a table are read: those behind a name, in the order of names.
#[derive(Debug, Clone)]
pub struct Page {
    behind: Option<String>,
    limit: u64,
}

impl Page {
    /// The first rows.
    #[must_use]
    pub fn first(limit: u64) -> Self {
        Self {
            behind: None,
            limit,
        }
    }

    /// Those behind the row of that id.
    #[must_use]
    pub fn behind(id: &str, limit: u64) -> Self {
        Self {
            behind: Some(id.to_owned()),
            limit,
        }
    }
}

/// Reads a page of a table.
macro_rules! page_of {
    ($table:ident, $page:expr, $db:expr) => {{
        let mut rows = $table::Entity::find();
        if let Some(id) = &$page.behind {
            rows = rows.filter($table::Column::Id.gt(id));
        }
        rows.order_by_asc($table::Column::Id)
            .limit($page.limit)
            .all($db)
            .await?
    }};
}

/// Sessions of a stream that are over and may still be in a mirror: those that are not any more are older.
const ENDED_LOOKED_AT: u64 = 1_000;

/// The rows that one answer may carry at most, where the API has no paging.
const ANSWER_LIMIT: u64 = 10_000;

impl Store {
    /// Writes a session's row: a new one, or its new end and state.
    pub async fn put_session(&self, row: SessionRow, fence: &Fence) -> Result<(), StoreError> {
        let changed = [
            record_session::Column::EndedAt,
            record_session::Column::State,
        ];
        let conflict = OnConflict::column(record_session::Column::Id)
            .update_columns(changed)
            .to_owned();
        self.insert_fenced(row.into_active_model(), Some(conflict), fence)
            .await
    }

    /// Sessions of a stream that overlap a period, oldest first.
    pub async fn sessions_between(
        &self,
        hash: &str,
        from: UnixMs,
        to: UnixMs,
    ) -> Result<Vec<SessionRow>, StoreError> {
        Ok(record_session::Entity::find()
            .filter(record_session::Column::StreamHash.eq(hash))
            .filter(record_session::Column::StartedAt.lt(to))
            .filter(record_session::Column::EndedAt.gt(from))
            .order_by_asc(record_session::Column::StartedAt)
            .limit(ANSWER_LIMIT)
            .all(&self.read)
            .await?)
    }

    pub async fn find_session(&self, id: &str) -> Result<Option<SessionRow>, StoreError> {
        Ok(record_session::Entity::find_by_id(id.to_owned())
            .one(&self.read)
            .await?)
    }

    /// The newest sessions first.
    pub async fn recent_sessions(&self, limit: u64) -> Result<Vec<SessionRow>, StoreError> {
        Ok(record_session::Entity::find()
            .order_by_desc(record_session::Column::StartedAt)
            .limit(limit)
            .all(&self.read)
            .await?)
    }

    /// The newest sessions of some streams that are over.
    pub async fn ended_sessions(
        &self,
        hashes: &std::collections::HashSet<String>,
    ) -> Result<std::collections::HashSet<String>, StoreError> {
        let mut ended = std::collections::HashSet::new();
        for hash in hashes {
            let rows = record_session::Entity::find()
                .filter(record_session::Column::StreamHash.eq(hash))
                .filter(record_session::Column::State.eq(SessionState::Ended))
                .order_by_desc(record_session::Column::StartedAt)
                .limit(ENDED_LOOKED_AT)
                .all(&self.write)
                .await?;
            ended.extend(rows.into_iter().map(|row| row.id));
        }
        Ok(ended)
    }

    /// The sessions of a stream that are not over.
    pub async fn open_sessions(&self, hash: &str) -> Result<Vec<SessionRow>, StoreError> {
        Ok(record_session::Entity::find()
            .filter(record_session::Column::StreamHash.eq(hash))
            .filter(record_session::Column::State.ne(SessionState::Ended))
            .all(&self.write)
            .await?)
    }

    /// Records an uploaded slice; the same slice twice is one row.
    pub async fn put_slice(&self, row: SliceRow, fence: &Fence) -> Result<(), StoreError> {
        self.insert_once(row.into_active_model(), fence).await
    }

    pub async fn find_slice(&self, id: &str) -> Result<Option<SliceRow>, StoreError> {
        Ok(record_slice::Entity::find_by_id(id.to_owned())
            .one(&self.write)
            .await?)
    }

    /// Slices of a session by their numbers, the first and the last, in order; of all its formats.
    pub async fn slices_of_session(
        &self,
        session: &str,
        (first, last): (u64, u64),
    ) -> Result<Vec<SliceRow>, StoreError> {
        let number = |sequence| i64::try_from(sequence).unwrap_or(i64::MAX);
        Ok(record_slice::Entity::find()
            .filter(record_slice::Column::SessionId.eq(session))
            .filter(record_slice::Column::Sequence.between(number(first), number(last)))
            .order_by_asc(record_slice::Column::Sequence)
            .all(&self.read)
            .await?)
    }

    /// How many slices each of these sessions has; those that have none are absent.
    pub async fn slice_counts(
        &self,
        sessions: &[String],
    ) -> Result<HashMap<String, i64>, StoreError> {
        let counts: Vec<(String, i64)> = record_slice::Entity::find()
            .select_only()
            .column(record_slice::Column::SessionId)
            .column_as(record_slice::Column::SessionId.count(), "slices")
            .filter(record_slice::Column::SessionId.is_in(sessions))
            .group_by(record_slice::Column::SessionId)
            .into_tuple()
            .all(&self.read)
            .await?;
        Ok(counts.into_iter().collect())
    }

    /// TS slices of a stream uploaded after `from`, in order, at most `limit`.
    pub async fn ts_slices_uploaded_after(
        &self,
        hash: &str,
        from: UnixMs,
        limit: u64,
    ) -> Result<Vec<SliceRow>, StoreError> {
        self.ts_slices_uploaded_between(hash, from, UnixMs::MAX, limit)
            .await
    }

    /// TS slices of a stream uploaded after `from` and before `to`, in order, at most `limit`: the fragments of CMAF take no room in it.
    pub async fn ts_slices_uploaded_between(
        &self,
        hash: &str,
        from: UnixMs,
        to: UnixMs,
        limit: u64,
    ) -> Result<Vec<SliceRow>, StoreError> {
        Ok(record_slice::Entity::find()
            .filter(record_slice::Column::StreamHash.eq(hash))
            .filter(record_slice::Column::UploadedAt.gt(from))
            .filter(record_slice::Column::UploadedAt.lt(to))
            .filter(record_slice::Column::Object.ends_with(".ts"))
            .order_by_asc(record_slice::Column::UploadedAt)
            .order_by_asc(record_slice::Column::Sequence)
            .limit(limit)
            .all(&self.read)
            .await?)
    }

    /// The number the next slice of a stream carries: the counter survives recordings.
    pub async fn next_slice_sequence(&self, hash: &str) -> Result<u64, StoreError> {
        let newest = record_slice::Entity::find()
            .filter(record_slice::Column::StreamHash.eq(hash))
            .order_by_desc(record_slice::Column::Sequence)
            .one(&self.write)
            .await?;
        Ok(newest.map_or(0, |row| u64::try_from(row.sequence + 1).unwrap_or(0)))
    }

    /// Whether anything of the stream was ever recorded.
    pub async fn stream_was_recorded(&self, hash: &str) -> Result<bool, StoreError> {
        Ok(record_session::Entity::find()
            .filter(record_session::Column::StreamHash.eq(hash))
            .limit(1)
            .count(&self.read)
            .await?
            > 0)
    }

    /// Records a finished file and puts its event into the outbox, in one transaction; the same file twice changes nothing.
    pub async fn commit_file(
        &self,
        row: FileRow,
        event: Option<&NewCallback>,
        now: UnixMs,
        fence: &Fence,
    ) -> Result<bool, StoreError> {
        let tx = match self.fenced(fence).await? {
            Some(tx) => tx,
            None => self.write.begin().await?,
        };
        let known = record_file::Entity::find()
            .filter(record_file::Column::Dedupe.eq(&row.dedupe))
            .count(&tx)
            .await?;
        if known == 0 {
            record_file::Entity::insert(row.into_active_model())
                .exec_without_returning(&tx)
                .await
                .map_err(StoreError::from_insert)?;
            if let Some(event) = event {
                enqueue_on(&tx, event, now).await?;
            }
        }
        tx.commit().await?;
        Ok(known == 0)
    }

    /// Records a file in place of the one of the same `dedupe` name. It is one statement: where two nodes do so at once, neither finds the
    /// other one's row in its way.
    pub async fn replace_file(&self, row: FileRow) -> Result<(), StoreError> {
        let all = record_file::Column::iter();
        let changed = all.filter(|column| !matches!(column, record_file::Column::Dedupe));
        let conflict = OnConflict::column(record_file::Column::Dedupe)
            .update_columns(changed)
            .to_owned();
        self.insert_fenced(row.into_active_model(), Some(conflict), &Fence::NONE)
            .await
    }

    pub async fn find_file_by_dedupe(&self, dedupe: &str) -> Result<Option<FileRow>, StoreError> {
        Ok(record_file::Entity::find()
            .filter(record_file::Column::Dedupe.eq(dedupe))
            .one(&self.write)
            .await?)
    }

    pub async fn find_file(&self, id: &str) -> Result<Option<FileRow>, StoreError> {
        Ok(record_file::Entity::find_by_id(id.to_owned())
            .one(&self.read)
            .await?)
    }

    pub async fn delete_file(&self, id: &str) -> Result<bool, StoreError> {
        let done = record_file::Entity::delete_by_id(id.to_owned())
            .exec(&self.write)
            .await?;
        Ok(done.rows_affected > 0)
    }

    /// One page of the files of a stream whose recording lies in a period, by creation time.
    pub async fn file_page(
        &self,
        hash: &str,
        (from, to): (UnixMs, UnixMs),
        not_before: UnixMs,
        newest_first: bool,
        page: u64,
        size: u64,
    ) -> Result<(Vec<FileRow>, u64), StoreError> {
        let order = if newest_first {
            Order::Desc
        } else {
            Order::Asc
        };
        let query = record_file::Entity::find()
            .filter(record_file::Column::StreamHash.eq(hash))
            .filter(record_file::Column::StartedAt.lt(to))
            .filter(record_file::Column::EndedAt.gt(from))
            .filter(record_file::Column::CreatedAt.gte(not_before))
            .order_by(record_file::Column::CreatedAt, order.clone())
            .order_by(record_file::Column::Id, order);
        let total = query.clone().count(&self.read).await?;
        let rows = query
            .offset(page.saturating_sub(1).saturating_mul(size))
            .limit(size)
            .all(&self.read)
            .await?;
        Ok((rows, total))
    }

    /// Files of a session in order of creation.
    pub async fn files_of_session(&self, session: &str) -> Result<Vec<FileRow>, StoreError> {
        Ok(record_file::Entity::find()
            .filter(record_file::Column::SessionId.eq(session))
            .order_by_asc(record_file::Column::CreatedAt)
            .all(&self.read)
            .await?)
    }

    /// Forgets what the product forgets: slices and files older than the given instants. Objects stay.
    pub async fn forget_records(
        &self,
        slices_before: UnixMs,
        files_before: UnixMs,
    ) -> Result<(), StoreError> {
        record_slice::Entity::delete_many()
            .filter(record_slice::Column::UploadedAt.lt(slices_before))
            .exec(&self.write)
            .await?;
        record_file::Entity::delete_many()
            .filter(record_file::Column::CreatedAt.lt(files_before))
            .exec(&self.write)
            .await?;
        record_session::Entity::delete_many()
            .filter(record_session::Column::EndedAt.lt(files_before))
            .filter(record_session::Column::State.eq(SessionState::Ended))
            .exec(&self.write)
            .await?;
        Ok(())
    }

    /// Closes the row of a session that no spool stands for any more.
    pub async fn end_session(
        &self,
        id: &str,
        ended_at: UnixMs,
        fence: &Fence,
    ) -> Result<(), StoreError> {
        let tx = match self.fenced(fence).await? {
            Some(tx) => tx,
            None => self.write.begin().await?,
        };
        let row = record_session::ActiveModel {
            id: Set(id.to_owned()),
            state: Set(SessionState::Ended),
            ended_at: Set(ended_at),
            ..Default::default()
        };
        match row.update(&tx).await {
            Ok(_) | Err(sea_orm::DbErr::RecordNotUpdated) => {}
            Err(other) => return Err(other.into()),
        }
        Ok(tx.commit().await?)
    }

    /// Everything of the three tables, for a snapshot.
    pub async fn export_records(
        &self,
    ) -> Result<(Vec<SessionRow>, Vec<SliceRow>, Vec<FileRow>), StoreError> {
        Ok((
            record_session::Entity::find()
                .order_by_asc(record_session::Column::StartedAt)
                .all(&self.read)
                .await?,
            record_slice::Entity::find()
                .order_by_asc(record_slice::Column::UploadedAt)
                .all(&self.read)
                .await?,
            record_file::Entity::find()
                .order_by_asc(record_file::Column::CreatedAt)
                .all(&self.read)
                .await?,
        ))
    }

    /// A page of the sessions.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn session_rows(&self, page: &Page) -> Result<Vec<SessionRow>, StoreError> {
        Ok(page_of!(record_session, page, &self.read))
    }

    /// A page of the slices.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn slice_rows(&self, page: &Page) -> Result<Vec<SliceRow>, StoreError> {
        Ok(page_of!(record_slice, page, &self.read))
    }

    /// A page of the files.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn file_rows(&self, page: &Page) -> Result<Vec<FileRow>, StoreError> {
        Ok(page_of!(record_file, page, &self.read))
    }

    /// Puts rows that are not there yet, together where that goes: some hundred at a time.
    ///
    /// # Errors
    /// The database refuses them.
    pub async fn put_records(
        &self,
        sessions: Vec<SessionRow>,
        slices: Vec<SliceRow>,
        files: Vec<FileRow>,
    ) -> Result<(), StoreError> {
        macro_rules! together {
            ($rows:ident, $table:ident) => {
                if !$rows.is_empty() {
                    let rows = $rows.iter().cloned().map($table::Model::into_active_model);
                    $table::Entity::insert_many(rows)
                        .exec_without_returning(&self.write)
                        .await
                        .map_err(StoreError::from_insert)?;
                }
            };
        }
        let put = async {
            together!(sessions, record_session);
            together!(slices, record_slice);
            together!(files, record_file);
            Ok(())
        };
        match put.await {
            // One of them is there: each by itself, which bears that.
            Err(StoreError::Duplicate) => self.import_records(sessions, slices, files).await,
            other => other,
        }
    }

    /// Puts rows of a snapshot that are not there yet.
    pub async fn import_records(
        &self,
        sessions: Vec<SessionRow>,
        slices: Vec<SliceRow>,
        files: Vec<FileRow>,
    ) -> Result<(), StoreError> {
        for row in sessions {
            self.insert_once(row.into_active_model(), &Fence::NONE)
                .await?;
        }
        for row in slices {
            self.put_slice(row, &Fence::NONE).await?;
        }
        for row in files {
            self.commit_file(row, None, 0, &Fence::NONE).await?;
        }
        Ok(())
    }

    /// Numbers for metrics.
    pub async fn count_files(&self) -> Result<u64, StoreError> {
        Ok(record_file::Entity::find().count(&self.read).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::recorded::Origin;
    use crate::model::rule::Format;
    use crate::store::testbed;

    fn slice(session: &str, lane: usize, sequence: i64) -> SliceRow {
        SliceRow {
            id: format!("{session}:{lane}:{sequence}"),
            stream_hash: "h".into(),
            session_id: session.into(),
            sequence,
            bucket: "b".into(),
            endpoint: "e".into(),
            object: "o".into(),
            started_at: 0,
            ended_at: 1,
            duration_ms: 1,
            uploaded_at: 1,
            discontinuity: false,
            width: 0,
            height: 0,
        }
    }

    /// A day's recording has tens of thousands of slices, and a playlist lists some hundred.
    #[tokio::test]
    async fn a_playlist_reads_its_own_slices() {
        let (store, _folder) = testbed::store().await;
        for sequence in [4, 3, 2, 1, 0] {
            for (session, lane) in [("a", 0), ("a", 3), ("b", 0)] {
                let row = slice(session, lane, sequence);
                store.put_slice(row, &Fence::NONE).await.unwrap();
            }
        }
        let read = async |session: &str, range: (u64, u64)| {
            let rows = store.slices_of_session(session, range).await.unwrap();
            let mut ids: Vec<String> = rows.into_iter().map(|row| row.id).collect();
            // Those of one number come in any order.
            ids.sort();
            ids
        };
        assert_eq!(read("b", (1, 3)).await, ["b:0:1", "b:0:2", "b:0:3"]);
        assert_eq!(read("a", (2, 2)).await, ["a:0:2", "a:3:2"]);
        assert_eq!(read("a", (4, u64::MAX)).await, ["a:0:4", "a:3:4"]);
        assert!(read("a", (1, 0)).await.is_empty());
    }

    #[tokio::test]
    async fn fragments_take_no_room_among_the_slices_of_a_period() {
        let (store, _folder) = testbed::store().await;
        for sequence in 0..6 {
            for (lane, suffix) in [(0, "m4s"), (1, "ts")] {
                let row = SliceRow {
                    object: format!("r/{sequence}.{suffix}"),
                    uploaded_at: sequence,
                    ..slice("a", lane, sequence)
                };
                store.put_slice(row, &Fence::NONE).await.unwrap();
            }
        }
        let rows = store.ts_slices_uploaded_between("h", 0, 9, 3).await;
        let rows = rows.unwrap().into_iter();
        let found: Vec<String> = rows.map(|row| row.object).collect();
        assert_eq!(found, ["r/1.ts", "r/2.ts", "r/3.ts"]);
        let next = store.ts_slices_uploaded_after("h", 4, 1).await.unwrap();
        assert_eq!(next[0].object, "r/5.ts");
    }

    #[tokio::test]
    async fn a_file_takes_the_place_of_the_one_of_its_name() {
        let (store, _folder) = testbed::store().await;
        let file = |id: &str, dedupe: &str, size: i64| FileRow {
            id: id.to_owned(),
            dedupe: dedupe.to_owned(),
            stream_hash: "h".into(),
            domain: "d".into(),
            app: "a".into(),
            stream: "s".into(),
            session_id: "session".into(),
            origin: Origin::Index,
            format: Format::M3u8,
            bucket: "b".into(),
            endpoint: "e".into(),
            object: "o".into(),
            started_at: 0,
            ended_at: 1,
            duration_ms: 1,
            size,
            width: 0,
            height: 0,
            created_at: size,
        };
        for (id, dedupe, size) in [("first", "x", 1), ("other", "y", 2), ("second", "x", 3)] {
            store.replace_file(file(id, dedupe, size)).await.unwrap();
        }
        let found = store.find_file_by_dedupe("x").await.unwrap();
        assert_eq!(found, Some(file("second", "x", 3)));
        assert!(store.find_file("first").await.unwrap().is_none());
        assert_eq!(store.count_files().await.unwrap(), 2);
    }
}
