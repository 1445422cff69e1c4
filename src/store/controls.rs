//! What calls did to streams (forbid, resume), for the control history.

use std::collections::HashSet;

use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
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

/// What tells two of them apart: the stream, what was done, and when.
type Name = (String, String, String, String, UnixMs);

impl Control {
    fn name(&self) -> Name {
        (
            self.domain.clone(),
            self.app.clone(),
            self.stream.clone(),
            self.action.clone(),
            self.at,
        )
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

async fn insert(db: &impl ConnectionTrait, controls: &[Control]) -> Result<(), DbErr> {
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
            .exec_without_returning(db)
            .await?;
    }
    Ok(())
}

impl Store {
    /// Keeps what was done.
    pub async fn add_controls(&self, controls: Vec<Control>) -> Result<(), StoreError> {
        Ok(insert(&self.write, &controls).await?)
    }

    /// Keeps what was done and is not there yet, by whatever node it is put.
    ///
    /// # Errors
    /// The database does not answer: nothing was put.
    pub async fn add_new_controls(&self, mut controls: Vec<Control>) -> Result<(), StoreError> {
        if controls.is_empty() {
            return Ok(());
        }
        let _turn = self.turn.lock().await;
        let locked = self.lock().await?;
        let mut known = HashSet::new();
        for some in controls.chunks(super::ROWS) {
            let at = some.iter().map(|control| control.at);
            let rows = stream_control::Entity::find()
                .filter(stream_control::Column::At.is_in(at))
                .all(&locked.tx)
                .await?;
            known.extend(rows.into_iter().map(|row| Control::from(row).name()));
        }
        controls.retain(|control| !known.contains(&control.name()));
        insert(&locked.tx, &controls).await?;
        locked.commit(false, false).await?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testbed;

    fn control(stream: &str, action: &str, at: UnixMs) -> Control {
        let key = StreamKey::new("d", "live", stream);
        Control::of(&key, action, "10.0.0.1".to_owned(), at)
    }

    #[tokio::test]
    async fn what_is_there_already_is_not_put_beside_itself() {
        let (store, _folder) = testbed::store().await;
        // Two calls of one moment are two.
        let seed = [
            control("s", "forbid", 10),
            control("s", "forbid", 10),
            control("s", "resume", 20),
        ];
        let first = vec![seed[2].clone(), control("other", "forbid", 10)];
        store.add_controls(first).await.unwrap();
        for _ in 0..2 {
            store.add_new_controls(seed.to_vec()).await.unwrap();
        }
        let there = store.export_controls().await.unwrap();
        let there: Vec<_> = there.iter().map(|it| (it.stream.as_str(), it.at)).collect();
        assert_eq!(there, [("s", 20), ("other", 10), ("s", 10), ("s", 10)]);
    }
}
