//! Every push from its beginning to its end, for the lists of what was published.

use sea_orm::sea_query::{Alias, Expr, ExprTrait, Func, OnConflict};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, IntoActiveModel,
    IntoSimpleExpr, Order, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};

use super::entity::publish_session;
use super::names::by_bytes;
use super::streams::Fence;
use super::{Store, StoreError};
use crate::clock::UnixMs;
use crate::model::stream_key::StreamKey;

/// A push. `stopped_at` is 0 while it lasts.
pub type PushRow = publish_session::Model;

/// Pushes that are read at most where an answer counts them.
const MOST_COUNTED: u64 = 200_000;

/// From when to when a stream was pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    pub domain: String,
    pub app: String,
    pub stream: String,
    pub published_at: UnixMs,
    /// 0 while it lasts.
    pub stopped_at: UnixMs,
}

/// In which order pushes are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushOrder {
    TimeAscending,
    TimeDescending,
    NameAscending,
    NameDescending,
}

/// Which stream names are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    Exactly(String),
    /// The text occurs in the name.
    With(String),
}

/// Which pushes are asked for.
#[derive(Debug, Clone)]
pub struct PushFilter {
    /// The streaming domain or the ingest domain.
    pub domain: String,
    pub app: Option<String>,
    pub stream: Option<Named>,
    /// It was live at some moment from here …
    pub from: UnixMs,
    /// … to here.
    pub to: UnixMs,
}

impl PushFilter {
    fn condition(&self, backend: DbBackend) -> Condition {
        use publish_session::Column;
        let mut condition = Condition::all()
            .add(
                Condition::any()
                    .add(Column::Domain.eq(&self.domain))
                    .add(Column::IngestDomain.eq(&self.domain)),
            )
            .add(overlaps(self.from, self.to));
        if let Some(app) = &self.app {
            condition = condition.add(Column::App.eq(app));
        }
        match &self.stream {
            Some(Named::Exactly(name)) => condition = condition.add(Column::Stream.eq(name)),
            // Not LIKE: that has characters of its own, and SQLite's knows no case.
            Some(Named::With(part)) => {
                let find = match backend {
                    DbBackend::Postgres => "strpos",
                    _ => "instr",
                };
                let at = Func::cust(Alias::new(find))
                    .arg(Expr::col(Column::Stream))
                    .arg(Expr::val(part.as_str()));
                condition = condition.add(Expr::expr(at).gt(0));
            }
            None => {}
        }
        condition
    }
}

fn overlaps(from: UnixMs, to: UnixMs) -> Condition {
    use publish_session::Column;
    Condition::all().add(Column::PublishedAt.lte(to)).add(
        Condition::any()
            .add(Column::StoppedAt.eq(0))
            .add(Column::StoppedAt.gte(from)),
    )
}

impl Store {
    /// Writes a push: a new one, or its end.
    pub async fn put_push(&self, row: PushRow) -> Result<(), StoreError> {
        // Who comes late with the beginning does not undo the end.
        let changed = if row.stopped_at == 0 {
            publish_session::Column::PublishedAt
        } else {
            publish_session::Column::StoppedAt
        };
        publish_session::Entity::insert(row.into_active_model())
            .on_conflict(
                OnConflict::column(publish_session::Column::Id)
                    .update_column(changed)
                    .to_owned(),
            )
            .exec_without_returning(&self.write)
            .await?;
        Ok(())
    }

    /// Puts a push of a snapshot that is not there yet.
    pub async fn add_push(&self, row: PushRow) -> Result<(), StoreError> {
        self.insert_once(row.into_active_model(), &Fence::NONE)
            .await
    }

    /// Ends the pushes that an earlier run left open.
    pub async fn end_pushes(&self, at: UnixMs) -> Result<u64, StoreError> {
        let done = publish_session::Entity::update_many()
            .col_expr(publish_session::Column::StoppedAt, Expr::value(at))
            .filter(publish_session::Column::StoppedAt.eq(0))
            .exec(&self.write)
            .await?;
        Ok(done.rows_affected)
    }

    /// The same for one stream's.
    pub async fn end_pushes_of(&self, key: &StreamKey, at: UnixMs) -> Result<u64, StoreError> {
        let done = publish_session::Entity::update_many()
            .col_expr(publish_session::Column::StoppedAt, Expr::value(at))
            .filter(publish_session::Column::StoppedAt.eq(0))
            .filter(publish_session::Column::Domain.eq(&key.domain))
            .filter(publish_session::Column::App.eq(&key.app))
            .filter(publish_session::Column::Stream.eq(&key.stream))
            .exec(&self.write)
            .await?;
        Ok(done.rows_affected)
    }

    /// Whether a stream was ever pushed, as far back as pushes are kept.
    pub async fn stream_was_pushed(&self, key: &StreamKey) -> Result<bool, StoreError> {
        let pushes = publish_session::Entity::find()
            .filter(publish_session::Column::Domain.eq(&key.domain))
            .filter(publish_session::Column::App.eq(&key.app))
            .filter(publish_session::Column::Stream.eq(&key.stream));
        Ok(pushes.limit(1).count(&self.read).await? > 0)
    }

    /// One page of pushes, with the number of all that fit.
    pub async fn push_page(
        &self,
        filter: &PushFilter,
        order: PushOrder,
        page: u64,
        size: u64,
    ) -> Result<(Vec<PushRow>, u64), StoreError> {
        use publish_session::Column;
        let backend = self.read.get_database_backend();
        let (by, direction) = match order {
            PushOrder::TimeAscending => (Column::PublishedAt.into_simple_expr(), Order::Asc),
            PushOrder::TimeDescending => (Column::PublishedAt.into_simple_expr(), Order::Desc),
            PushOrder::NameAscending => (by_bytes(backend, Column::Stream), Order::Asc),
            PushOrder::NameDescending => (by_bytes(backend, Column::Stream), Order::Desc),
        };
        let condition = filter.condition(backend);
        let query = publish_session::Entity::find()
            .filter(condition)
            .order_by(by, direction.clone())
            .order_by(Column::Id, direction);
        let total = query.clone().count(&self.read).await?;
        let rows = query
            .offset(page.saturating_sub(1).saturating_mul(size))
            .limit(size)
            .all(&self.read)
            .await?;
        Ok((rows, total))
    }

    /// Stream, beginning and end of the pushes of some domains (of all, where none is named) that were live in a period, oldest first.
    pub async fn push_spans(
        &self,
        domains: &[String],
        from: UnixMs,
        to: UnixMs,
    ) -> Result<Vec<Span>, StoreError> {
        use publish_session::Column;
        let mut condition = overlaps(from, to);
        if !domains.is_empty() {
            condition = condition.add(
                Condition::any()
                    .add(Column::Domain.is_in(domains))
                    .add(Column::IngestDomain.is_in(domains)),
            );
        }
        let rows: Vec<(String, String, String, i64, i64)> = publish_session::Entity::find()
            .select_only()
            .columns([Column::Domain, Column::App, Column::Stream])
            .columns([Column::PublishedAt, Column::StoppedAt])
            .filter(condition)
            .order_by_asc(Column::PublishedAt)
            .limit(MOST_COUNTED)
            .into_tuple()
            .all(&self.read)
            .await?;
        let span = |(domain, app, stream, published_at, stopped_at)| Span {
            domain,
            app,
            stream,
            published_at,
            stopped_at,
        };
        Ok(rows.into_iter().map(span).collect())
    }

    /// Forgets pushes that ended before `before`.
    pub async fn forget_pushes(&self, before: UnixMs) -> Result<(), StoreError> {
        publish_session::Entity::delete_many()
            .filter(publish_session::Column::StoppedAt.gt(0))
            .filter(publish_session::Column::StoppedAt.lt(before))
            .exec(&self.write)
            .await?;
        Ok(())
    }

    /// Every push, for a snapshot.
    pub async fn export_pushes(&self) -> Result<Vec<PushRow>, StoreError> {
        Ok(publish_session::Entity::find()
            .order_by_asc(publish_session::Column::PublishedAt)
            .order_by_asc(publish_session::Column::Id)
            .all(&self.read)
            .await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testbed;

    fn push(id: &str, stream: &str, published_at: UnixMs, stopped_at: UnixMs) -> PushRow {
        PushRow {
            id: id.into(),
            domain: "play".into(),
            app: "live".into(),
            stream: stream.into(),
            ingest_domain: "push".into(),
            address: "10.0.0.1:5".into(),
            published_at,
            stopped_at,
        }
    }

    async fn listed(store: &Store, stream: Option<Named>, from: UnixMs, to: UnixMs) -> Vec<String> {
        let filter = PushFilter {
            domain: "push".into(),
            app: None,
            stream,
            from,
            to,
        };
        let (rows, total) = store
            .push_page(&filter, PushOrder::TimeAscending, 1, 10)
            .await
            .unwrap();
        assert_eq!(total, rows.len() as u64);
        rows.into_iter().map(|row| row.id).collect()
    }

    #[tokio::test]
    async fn a_push_lasts_until_its_end_is_written() {
        let (store, _folder) = testbed::store().await;
        for row in [
            push("a", "s1", 10, 0),
            push("b", "s%2", 20, 0),
            push("c", "S1x", 30, 0),
        ] {
            store.put_push(row).await.unwrap();
        }
        store.put_push(push("a", "s1", 10, 15)).await.unwrap();
        // The beginning once more, late: the end stays.
        store.put_push(push("a", "s1", 10, 0)).await.unwrap();
        // A seed changes nothing of what is there.
        store.add_push(push("a", "s1", 10, 90)).await.unwrap();
        assert_eq!(listed(&store, None, 16, 25).await, ["b"]);
        assert_eq!(listed(&store, None, 15, 100).await, ["a", "b", "c"]);
        let with = |part: &str| Some(Named::With(part.to_owned()));
        assert_eq!(listed(&store, with("s1"), 0, 100).await, ["a"]);
        assert_eq!(listed(&store, with("%"), 0, 100).await, ["b"]);
        let exactly = Some(Named::Exactly("S1".into()));
        assert!(listed(&store, exactly, 0, 100).await.is_empty());
        assert_eq!(store.end_pushes(50).await.unwrap(), 2);
        let spans = store.push_spans(&[], 16, 100).await.unwrap();
        let spans = spans
            .iter()
            .map(|span| (span.published_at, span.stopped_at));
        assert_eq!(spans.collect::<Vec<_>>(), [(20, 50), (30, 50)]);
        store.forget_pushes(50).await.unwrap();
        assert_eq!(listed(&store, None, 0, 100).await, ["b", "c"]);
    }
}
