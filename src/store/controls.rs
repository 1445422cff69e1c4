//! What calls did to streams (forbid, resume), for the control history.

use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use serde::{Deserialize, Serialize};

use super::entity::stream_control;
use super::{Store, StoreError};
use crate::clock::UnixMs;
use crate::model::stream_key::StreamKey;

/// Rows that one answer carries at most: the action has no paging.
const MOST_ANSWERED: u64 = 10_000;

/// What was done to a stream, by whom and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    pub domain: String,
    pub app: String,
    pub stream: String,
    /// `forbid` or `resume`.
    pub action: String,
    pub client_ip: String,
    pub at: UnixMs,
}

impl Control {
    #[must_use]
    pub fn of(key: &StreamKey, action: &str, client_ip: String, at: UnixMs) -> Self {
        Self {
            domain: key.domain.clone(),
            app: key.app.clone(),
            stream: key.stream.clone(),
            action: action.to_owned(),
            client_ip,
            at,
        }
    }
}

impl From<stream_control::Model> for Control {
    fn from(row: stream_control::Model) -> Self {
        Self {
            domain: row.domain,
            app: row.app,
            stream: row.stream,
            action: row.action,
            client_ip: row.client_ip,
            at: row.at,
        }
    }
}

impl Store {
    /// Keeps what was done.
    pub async fn add_controls(&self, controls: Vec<Control>) -> Result<(), StoreError> {
        for some in controls.chunks(super::ROWS) {
            let rows = some
                .iter()
                .cloned()
                .map(|control| stream_control::ActiveModel {
                    id: NotSet,
                    domain: Set(control.domain),
                    app: Set(control.app),
                    stream: Set(control.stream),
                    action: Set(control.action),
                    client_ip: Set(control.client_ip),
                    at: Set(control.at),
                });
            stream_control::Entity::insert_many(rows)
                .exec_without_returning(&self.write)
                .await?;
        }
        Ok(())
    }

    /// What was done to the streams of some domains in a period, oldest first.
    pub async fn controls_between(
        &self,
        domains: &[String],
        app: Option<&str>,
        from: UnixMs,
        to: UnixMs,
    ) -> Result<Vec<Control>, StoreError> {
        let mut query = stream_control::Entity::find()
            .filter(stream_control::Column::Domain.is_in(domains))
            .filter(stream_control::Column::At.gte(from))
            .filter(stream_control::Column::At.lte(to));
        if let Some(app) = app {
            query = query.filter(stream_control::Column::App.eq(app));
        }
        let rows = query
            .order_by_asc(stream_control::Column::Id)
            .limit(MOST_ANSWERED)
            .all(&self.read)
            .await?;
        Ok(rows.into_iter().map(Control::from).collect())
    }

    /// Forgets what was done before `before`.
    pub async fn forget_controls(&self, before: UnixMs) -> Result<(), StoreError> {
        stream_control::Entity::delete_many()
            .filter(stream_control::Column::At.lt(before))
            .exec(&self.write)
            .await?;
        Ok(())
    }

    /// Everything, for a snapshot.
    pub async fn export_controls(&self) -> Result<Vec<Control>, StoreError> {
        let rows = stream_control::Entity::find()
            .order_by_asc(stream_control::Column::Id)
            .all(&self.read)
            .await?;
        Ok(rows.into_iter().map(Control::from).collect())
    }
}
