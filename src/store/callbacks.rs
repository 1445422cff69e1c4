//! The outbox: every callback is a row before it is sent, and stays one with all its attempts.

use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, Select,
};
use serde::{Deserialize, Serialize};

use super::entity::callback;
use super::streams::Fence;
use super::{Store, StoreError};
use crate::clock::UnixMs;
use crate::model::event::{Delivery, Kind};
use crate::model::stream_key::StreamKey;

pub type Row = callback::Model;

/// Rows that [`Store::pending_callbacks`] answers with at most.
pub const PAGE: u64 = 500;

/// A callback that has not ended, as the outbox's sender takes it up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    pub id: i64,
    /// Whose callbacks it keeps its order with.
    pub key: StreamKey,
}

/// A callback to be sent.
#[derive(Debug, Clone)]
pub struct NewCallback {
    /// The same event always has the same name, so that a repeated hand-in after a crash is not sent twice over.
    pub dedupe: String,
    pub key: StreamKey,
    /// The hash of the stream that it is about, whose owner sends it.
    pub owner: String,
    pub kind: Kind,
    pub method: &'static str,
    pub url: String,
    pub body: String,
    /// What the signature names (empty: not signed).
    pub sign_host: String,
    pub sign_key: String,
}

/// One request made for a callback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    pub at: UnixMs,
    /// The status that came back.
    pub status: Option<u16>,
    /// Why none came back.
    pub error: Option<String>,
    /// The answer's first bytes.
    #[serde(default)]
    pub response: String,
    /// The authentication headers sent.
    #[serde(default)]
    pub headers: String,
}

impl Attempt {
    /// Why it was none that counts, in words.
    #[must_use]
    pub fn failure(&self) -> String {
        match (&self.error, self.status) {
            (Some(error), _) => error.clone(),
            (None, Some(status)) => format!("the receiver answered with HTTP status {status}"),
            (None, None) => "no answer".to_owned(),
        }
    }
}

/// Which callbacks DescribeLiveRecordNotifyRecords asks for.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub domain: String,
    pub app: Option<String>,
    pub stream: Option<String>,
    /// `true`: a receiver took it; `false`: it was tried and none has.
    pub delivered: Option<bool>,
    pub from: UnixMs,
    pub to: UnixMs,
    pub kinds: Vec<Kind>,
}

pub(super) fn row(new: &NewCallback, now: UnixMs) -> callback::ActiveModel {
    callback::ActiveModel {
        dedupe: Set(new.dedupe.clone()),
        domain: Set(new.key.domain.clone()),
        app: Set(new.key.app.clone()),
        stream: Set(new.key.stream.clone()),
        kind: Set(new.kind),
        method: Set(new.method.to_owned()),
        url: Set(new.url.clone()),
        body: Set(new.body.clone()),
        sign_host: Set(new.sign_host.clone()),
        sign_key: Set(new.sign_key.clone()),
        state: Set(Delivery::Pending),
        attempts: Set("[]".to_owned()),
        created_at: Set(now),
        next_at: Set(now),
        done_at: Set(0),
        owner: Set(new.owner.clone()),
        ..Default::default()
    }
}

/// Inserts within a transaction; a repeated event is left as it is.
pub(super) async fn enqueue_on(
    db: &impl ConnectionTrait,
    new: &NewCallback,
    now: UnixMs,
) -> Result<bool, StoreError> {
    let known = callback::Entity::find()
        .filter(callback::Column::Dedupe.eq(&new.dedupe))
        .count(db)
        .await?;
    if known > 0 {
        return Ok(false);
    }
    callback::Entity::insert(row(new, now))
        .exec_without_returning(db)
        .await
        .map_err(StoreError::from_insert)?;
    Ok(true)
}

/// Callbacks not yet ended, after a number.
fn waiting_after(id: i64) -> Select<callback::Entity> {
    callback::Entity::find()
        .filter(callback::Column::State.eq(Delivery::Pending))
        .filter(callback::Column::Id.gt(id))
}

/// The first page of some, oldest first. What each says is left out: those that wait are looked at with each one that comes.
async fn page(
    rows: Select<callback::Entity>,
    db: &impl ConnectionTrait,
) -> Result<Vec<Waiting>, DbErr> {
    use callback::Column;
    let rows: Vec<(i64, String, String, String)> = rows
        .select_only()
        .columns([Column::Id, Column::Domain, Column::App, Column::Stream])
        .order_by_asc(Column::Id)
        .limit(PAGE)
        .into_tuple()
        .all(db)
        .await?;
    let waiting = |(id, domain, app, stream): (i64, String, String, String)| Waiting {
        id,
        key: StreamKey::new(&domain, &app, &stream),
    };
    Ok(rows.into_iter().map(waiting).collect())
}

impl Store {
    /// Puts a callback into the outbox; false when the same event is there already.
    pub async fn enqueue_callback(
        &self,
        new: &NewCallback,
        now: UnixMs,
        fence: &Fence,
    ) -> Result<bool, StoreError> {
        let put = match self.fenced(fence).await? {
            None => enqueue_on(&self.write, new, now).await,
            Some(tx) => match enqueue_on(&tx, new, now).await {
                Ok(is_new) => tx.commit().await.map(|()| is_new).map_err(Into::into),
                Err(error) => Err(error),
            },
        };
        match put {
            Err(StoreError::Duplicate) => Ok(false),
            other => other,
        }
    }

    /// Callbacks not yet ended, oldest first, after `after_id`: on several nodes, those of the streams that this one owns.
    pub async fn pending_callbacks(&self, after_id: i64) -> Result<Vec<Waiting>, StoreError> {
        let mut pending = waiting_after(after_id);
        if let Some(member) = self.member() {
            let incarnation = member.incarnation();
            pending = pending.filter(Expr::cust_with_values(
                "EXISTS (SELECT 1 FROM live_stream s WHERE s.key_hash = callback.owner AND s.incarnation = $1)",
                [incarnation.as_ref()],
            ));
        }
        Ok(page(pending, &self.write).await?)
    }

    /// Callbacks not yet ended of streams that no node owns, and of none, oldest first.
    pub async fn ownerless_callbacks(&self, before: UnixMs) -> Result<Vec<Row>, StoreError> {
        Ok(callback::Entity::find()
            .filter(callback::Column::State.eq(Delivery::Pending))
            .filter(callback::Column::CreatedAt.lt(before))
            .filter(Expr::cust(
                "NOT EXISTS (SELECT 1 FROM live_stream s WHERE s.key_hash = callback.owner)",
            ))
            .order_by_asc(callback::Column::Id)
            .limit(PAGE)
            .all(&self.write)
            .await?)
    }

    /// Callbacks not yet ended of one stream, oldest first, after `after_id`.
    pub async fn callbacks_of_stream(
        &self,
        hash: &str,
        after_id: i64,
    ) -> Result<Vec<Waiting>, StoreError> {
        let of_stream = waiting_after(after_id).filter(callback::Column::Owner.eq(hash));
        Ok(page(of_stream, &self.write).await?)
    }

    pub async fn find_callback(&self, id: i64) -> Result<Option<Row>, StoreError> {
        Ok(callback::Entity::find_by_id(id).one(&self.read).await?)
    }

    /// Puts a changed copy of a callback into the outbox, and gives its number; `None` where there is no such callback.
    pub async fn copy_callback(
        &self,
        id: i64,
        change: impl FnOnce(&mut Row),
        dedupe: String,
        now: UnixMs,
    ) -> Result<Option<i64>, StoreError> {
        let Some(mut row) = self.find_callback(id).await? else {
            return Ok(None);
        };
        change(&mut row);
        let copy = callback::ActiveModel {
            dedupe: Set(dedupe),
            domain: Set(row.domain),
            app: Set(row.app),
            stream: Set(row.stream),
            kind: Set(row.kind),
            method: Set(row.method),
            url: Set(row.url),
            body: Set(row.body),
            sign_host: Set(row.sign_host),
            sign_key: Set(row.sign_key),
            state: Set(Delivery::Pending),
            attempts: Set("[]".to_owned()),
            created_at: Set(now),
            next_at: Set(now),
            done_at: Set(0),
            owner: Set(row.owner),
            ..Default::default()
        };
        let done = callback::Entity::insert(copy).exec(&self.write).await;
        Ok(Some(done.map_err(StoreError::from_insert)?.last_insert_id))
    }

    /// Writes what an attempt brought, unless the callback's state is another one than the attempt found: then another node has ended it meanwhile.
    pub async fn update_callback(
        &self,
        found: &Row,
        state: Delivery,
        attempts: &[Attempt],
        next_at: UnixMs,
        done_at: UnixMs,
    ) -> Result<(), StoreError> {
        let row = callback::ActiveModel {
            state: Set(state),
            attempts: Set(serde_json::to_string(attempts)?),
            next_at: Set(next_at),
            done_at: Set(done_at),
            ..Default::default()
        };
        callback::Entity::update_many()
            .set(row)
            .filter(callback::Column::Id.eq(found.id))
            .filter(callback::Column::State.eq(found.state))
            .exec(&self.write)
            .await?;
        Ok(())
    }

    /// The newest callbacks first.
    pub async fn recent_callbacks(&self, limit: u64) -> Result<Vec<Row>, StoreError> {
        Ok(callback::Entity::find()
            .order_by_desc(callback::Column::Id)
            .limit(limit)
            .all(&self.read)
            .await?)
    }

    /// One page of a domain's callbacks that were tried, by time, with the number of all that fit.
    pub async fn callback_page(
        &self,
        filter: &Filter,
        page: u64,
        size: u64,
    ) -> Result<(Vec<Row>, u64), StoreError> {
        let mut condition = Condition::all()
            .add(callback::Column::Domain.eq(&filter.domain))
            .add(callback::Column::CreatedAt.gte(filter.from))
            .add(callback::Column::CreatedAt.lte(filter.to))
            .add(callback::Column::Attempts.ne("[]"))
            .add(callback::Column::Kind.is_in(filter.kinds.iter().copied()));
        if let Some(app) = &filter.app {
            condition = condition.add(callback::Column::App.eq(app));
        }
        if let Some(stream) = &filter.stream {
            condition = condition.add(callback::Column::Stream.eq(stream));
        }
        match filter.delivered {
            Some(true) => {
                condition = condition.add(callback::Column::State.eq(Delivery::Success));
            }
            Some(false) => {
                condition = condition.add(callback::Column::State.ne(Delivery::Success));
            }
            None => {}
        }
        let query = callback::Entity::find()
            .filter(condition)
            .order_by_asc(callback::Column::Id);
        let total = query.clone().count(&self.read).await?;
        let rows = query
            .offset(page.saturating_sub(1).saturating_mul(size))
            .limit(size)
            .all(&self.read)
            .await?;
        Ok((rows, total))
    }

    /// Forgets callbacks that ended before `before`.
    pub async fn forget_callbacks(&self, before: UnixMs) -> Result<u64, StoreError> {
        let done = callback::Entity::delete_many()
            .filter(callback::Column::State.ne(Delivery::Pending))
            .filter(callback::Column::CreatedAt.lt(before))
            .exec(&self.write)
            .await?;
        Ok(done.rows_affected)
    }
}
