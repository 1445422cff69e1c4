//! Pages of the control plane's lists: the newest rows first, with the number of all that fit.

use std::collections::HashMap;

use sea_orm::{
    ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};

use super::callbacks::Row;
use super::entity::{callback, record_file, record_session};
use super::records::{FileRow, SessionRow};
use super::{Store, StoreError};
use crate::clock::UnixMs;
use crate::model::event::Delivery;

/// Which rows are listed; what is not said is not asked for.
#[derive(Debug, Clone, Default)]
pub struct Listed {
    pub domain: Option<String>,
    pub app: Option<String>,
    pub stream: Option<String>,
    pub since: Option<UnixMs>,
}

macro_rules! condition {
    ($listed:expr, $columns:path, $time:ident) => {{
        use $columns as Columns;
        let mut condition = Condition::all();
        if let Some(domain) = &$listed.domain {
            condition = condition.add(Columns::Domain.eq(domain));
        }
        if let Some(app) = &$listed.app {
            condition = condition.add(Columns::App.eq(app));
        }
        if let Some(stream) = &$listed.stream {
            condition = condition.add(Columns::Stream.eq(stream));
        }
        if let Some(since) = $listed.since {
            condition = condition.add(Columns::$time.gte(since));
        }
        condition
    }};
}

impl Store {
    /// Sessions, or the one of that id, behind the one that began at `after.0` and is named `after.1`.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn session_list(
        &self,
        listed: &Listed,
        id: Option<&str>,
        after: Option<(UnixMs, String)>,
        limit: u64,
    ) -> Result<(Vec<SessionRow>, u64), StoreError> {
        use record_session::Column;
        let mut all = record_session::Entity::find().filter(condition!(
            listed,
            record_session::Column,
            StartedAt
        ));
        if let Some(id) = id {
            all = all.filter(Column::Id.eq(id));
        }
        let total = all.clone().count(&self.read).await?;
        let mut rows = all;
        if let Some((started_at, id)) = after {
            let same = Condition::all()
                .add(Column::StartedAt.eq(started_at))
                .add(Column::Id.lt(id));
            rows = rows.filter(
                Condition::any()
                    .add(Column::StartedAt.lt(started_at))
                    .add(same),
            );
        }
        let rows = rows
            .order_by_desc(Column::StartedAt)
            .order_by_desc(Column::Id)
            .limit(limit)
            .all(&self.read)
            .await?;
        Ok((rows, total))
    }

    /// Files of several sessions, in the order of their beginnings.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn files_of_sessions(
        &self,
        sessions: &[String],
    ) -> Result<HashMap<String, Vec<FileRow>>, StoreError> {
        let rows = record_file::Entity::find()
            .filter(record_file::Column::SessionId.is_in(sessions))
            .order_by_asc(record_file::Column::StartedAt)
            .order_by_asc(record_file::Column::Id)
            .all(&self.read)
            .await?;
        let mut files: HashMap<String, Vec<FileRow>> = HashMap::new();
        for row in rows {
            files.entry(row.session_id.clone()).or_default().push(row);
        }
        Ok(files)
    }

    /// Callbacks before the one of that id.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn callback_list(
        &self,
        listed: &Listed,
        state: Option<Delivery>,
        before: Option<i64>,
        limit: u64,
    ) -> Result<(Vec<Row>, u64), StoreError> {
        let mut all =
            callback::Entity::find().filter(condition!(listed, callback::Column, CreatedAt));
        if let Some(state) = state {
            all = all.filter(callback::Column::State.eq(state));
        }
        let total = all.clone().count(&self.read).await?;
        let mut rows = all;
        if let Some(before) = before {
            rows = rows.filter(callback::Column::Id.lt(before));
        }
        let rows = rows
            .order_by_desc(callback::Column::Id)
            .limit(limit)
            .all(&self.read)
            .await?;
        Ok((rows, total))
    }
}
