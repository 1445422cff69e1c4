//! Whose stream is whose, on several nodes: one row a stream that somebody publishes, records or has callbacks of.
//!
//! An owner is an incarnation of a node together with an epoch. Every commit of a stream's work is fenced by both: it goes through in the
//! transaction in which the row still says so, and in no other. Epochs come from a sequence, so no later owner has an earlier one's.
//! `mirror` names the incarnations whose mirrors hold what was recorded and is not finished, the newest last. The statements are
//! PostgreSQL's: no other database is a cluster's.

use std::sync::Arc;

use sea_orm::sea_query::{Expr, ExprTrait, InsertStatement, OnConflict, Query};
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend,
    DbErr, EntityName, EntityTrait, Iterable, QueryResult, QueryTrait, Statement, Value,
};

use super::lease::now_sql;
use super::member::Member;
use super::owned::{
    LONGER, SOME_ARE_NOBODYS, given_away, is_nobodys, key_of, mirrors, pg, taken_of,
};
pub use super::owned::{Owned, Taken};
use super::patience::Patient;
use super::{Store, StoreError};
use crate::clock::UnixMs;
use crate::model::stream_key::StreamKey;

/// A publisher as the other nodes see it.
#[derive(Debug, Clone)]
pub struct Published {
    pub ingest_domain: String,
    pub address: String,
    pub since: UnixMs,
    /// JSON.
    pub facts: String,
}

/// What a try to take a name came to.
#[derive(Debug, Clone)]
pub enum Entry {
    Mine {
        owned: Owned,
        taken: Taken,
        rules_version: i64,
    },
    Others(Owner),
}

/// Another node that owns a stream.
#[derive(Debug, Clone)]
pub struct Owner {
    pub node: String,
    pub incarnation: String,
    /// It gives its streams away.
    pub is_draining: bool,
    /// Its lease is over, and nobody has declared it dead yet.
    pub is_silent: bool,
}

/// A live stream of whatever node.
#[derive(Debug, Clone)]
pub struct LiveRow {
    pub key: StreamKey,
    pub node: String,
    pub incarnation: String,
    pub published: Published,
}

/// Which live streams are asked for.
#[derive(Debug, Clone)]
pub enum LiveOf {
    All,
    /// Of a streaming domain, or pushed to an ingest domain.
    Domain(String),
    /// Of that name, of whatever domain.
    Name {
        app: String,
        stream: String,
    },
}

/// A node as all see it.
#[derive(Debug, Clone, serde::Serialize)]
pub struct NodeRow {
    pub id: String,
    pub incarnation: String,
    pub address: String,
    pub rtmp: String,
    /// Where the other nodes reach it.
    pub inside: String,
    pub version: String,
    pub state: String,
    pub lease_left_ms: i64,
    pub since_ms: i64,
    pub publishers: i64,
    pub streams: i64,
}

/// A node as another one reaches it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    pub id: String,
    pub incarnation: String,
    pub inside: String,
    pub is_draining: bool,
}

/// Where a stream can be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// None: its owner is gone, and nobody has taken it yet.
    pub inside: Option<String>,
    /// Somebody publishes it, as far as the database knows.
    pub is_live: bool,
    pub is_draining: bool,
}

/// What has to hold where a stream's owner writes: that all was not forgotten meanwhile, and on several nodes that the stream is still its own.
#[derive(Clone, Default)]
pub struct Fence {
    claimed: Option<Arc<Claimed>>,
    /// That of what it was made for; none where it may be written in any.
    era: Option<u64>,
}

struct Claimed {
    hash: String,
    epoch: i64,
    life: u32,
    incarnation: Arc<str>,
}

impl Fence {
    /// Nothing has to hold.
    pub const NONE: Self = Self {
        claimed: None,
        era: None,
    };

    /// The epoch; 0 where there is none.
    #[must_use]
    pub fn epoch(&self) -> i64 {
        self.claimed.as_ref().map_or(0, |claimed| claimed.epoch)
    }

    pub(super) fn era(&self) -> Option<u64> {
        self.era
    }
}

/// That of streams which are nobody's here.
const NOBODY: i64 = -1;

/// Takes the row's values from a select that finds the stream's row only where it is still claimed.
fn insert_held<A: ActiveModelTrait>(mut row: A, claimed: &Claimed) -> InsertStatement {
    let mut held = Query::select();
    let mut columns = Vec::new();
    for column in <A::Entity as EntityTrait>::Column::iter() {
        if let ActiveValue::Set(value) | ActiveValue::Unchanged(value) = row.take(column) {
            held.expr(column.save_as(Expr::val(value)));
            columns.push(column);
        }
    }
    held.from("live_stream")
        .and_where(Expr::col("key_hash").eq(claimed.hash.as_str()))
        .and_where(Expr::col("incarnation").eq(claimed.incarnation.as_ref()))
        .and_where(Expr::col("epoch").eq(claimed.epoch))
        .lock_shared();
    let mut insert = Query::insert();
    insert
        .into_table(A::Entity::default().table_ref())
        .columns(columns);
    // As many values as columns, by the loop.
    let _ = insert.select_from(held);
    insert
}

impl Store {
    /// This process as a node; none where it is alone.
    #[must_use]
    pub fn member(&self) -> Option<&Arc<Member>> {
        self.member.as_ref()
    }

    /// Whether this node's lease is known to last; a single process has no need of one.
    #[must_use]
    pub fn is_member_now(&self) -> bool {
        self.member.as_ref().is_none_or(|member| member.holds())
    }

    /// What has to hold for the commits of a stream's work, as things are now.
    #[must_use]
    pub fn fence(&self, hash: &str) -> Fence {
        let claimed = self.member.as_ref().map(|member| {
            let owned = member.find_owned(hash);
            Arc::new(Claimed {
                hash: hash.to_owned(),
                epoch: owned.map_or(NOBODY, |owned| owned.epoch),
                life: owned.map_or(0, |owned| owned.life),
                incarnation: member.incarnation(),
            })
        });
        Fence {
            claimed,
            era: Some(self.era.now()),
        }
    }

    /// Begins a transaction in which the fence holds until its end; none where no node claims the stream.
    pub(super) async fn fenced(
        &self,
        fence: &Fence,
    ) -> Result<Option<Patient<DatabaseTransaction>>, StoreError> {
        self.check_era(fence)?;
        let Some(claimed) = &fence.claimed else {
            return Ok(None);
        };
        let tx = self.write.begin().await?;
        let sql = "SELECT 1 AS held FROM live_stream WHERE key_hash = $1 AND incarnation = $2 AND epoch = $3 FOR SHARE";
        let values = [
            claimed.hash.as_str().into(),
            claimed.incarnation.as_ref().into(),
            claimed.epoch.into(),
        ];
        if tx.query_one_raw(pg(sql, values)).await?.is_none() {
            return Err(StoreError::Fenced);
        }
        Ok(Some(tx))
    }

    /// Inserts a row while the fence holds, in one statement: the stream's row is locked while that lasts.
    ///
    /// # Errors
    /// `Fenced`, `Forgotten`: it does not hold. `Duplicate`: the row is there, and `conflict` does not say what becomes of it.
    pub(super) async fn insert_fenced<A: ActiveModelTrait>(
        &self,
        row: A,
        conflict: Option<OnConflict>,
        fence: &Fence,
    ) -> Result<(), StoreError> {
        self.check_era(fence)?;
        let mut insert = match &fence.claimed {
            None => <A::Entity as EntityTrait>::insert(row).into_query(),
            Some(claimed) => insert_held(row, claimed),
        };
        if let Some(conflict) = conflict {
            insert.on_conflict(conflict);
        }
        let done = self.write.execute(&insert).await;
        let done = done.map_err(StoreError::from_insert)?;
        if fence.claimed.is_some() && done.rows_affected() == 0 {
            return Err(StoreError::Fenced);
        }
        Ok(())
    }

    /// As [`Store::insert_fenced`], of a row that may be there already: then that one stays.
    pub(super) async fn insert_once<A: ActiveModelTrait>(
        &self,
        row: A,
        fence: &Fence,
    ) -> Result<(), StoreError> {
        match self.insert_fenced(row, None, fence).await {
            Err(StoreError::Duplicate) => Ok(()),
            other => other,
        }
    }

    /// Takes the name of a stream where no node has it, in one statement.
    ///
    /// # Errors
    /// The database does not answer, or this node takes no streams any more.
    pub async fn enter_stream(
        &self,
        member: &Member,
        key: &StreamKey,
        published: &Published,
    ) -> Result<Entry, StoreError> {
        let incarnation = member.incarnation();
        let hash = key.hash();
        let sql = format!(
            "INSERT INTO live_stream (node, incarnation, key_hash, domain, app, stream, ingest_domain, epoch, mirror, state, address, since, facts) \
             SELECT $1, $2, $3, $4, $5, $6, $7, nextval('live_stream_epoch'), $2, 'live', $8, $9, $10 \
             WHERE EXISTS (SELECT 1 FROM node WHERE id = $1 AND incarnation = $2 AND state = 'serving') \
             ON CONFLICT (key_hash) DO UPDATE SET node = EXCLUDED.node, incarnation = EXCLUDED.incarnation, \
               epoch = CASE WHEN live_stream.incarnation = EXCLUDED.incarnation THEN live_stream.epoch ELSE EXCLUDED.epoch END, \
               mirror = CASE WHEN live_stream.incarnation = EXCLUDED.incarnation THEN live_stream.mirror ELSE {LONGER} END, \
               state = 'live', ingest_domain = EXCLUDED.ingest_domain, address = EXCLUDED.address, since = EXCLUDED.since, facts = EXCLUDED.facts \
             WHERE live_stream.incarnation = EXCLUDED.incarnation \
               OR NOT EXISTS (SELECT 1 FROM node n WHERE n.incarnation = live_stream.incarnation) \
             RETURNING domain, app, stream, epoch, mirror, (SELECT rules_version FROM cluster WHERE id = 1) AS rules_version"
        );
        for _ in 0..3 {
            let values = [
                member.id().into(),
                incarnation.as_ref().into(),
                hash.as_str().into(),
                key.domain.as_str().into(),
                key.app.as_str().into(),
                key.stream.as_str().into(),
                published.ingest_domain.as_str().into(),
                published.address.as_str().into(),
                published.since.into(),
                published.facts.as_str().into(),
            ];
            if let Some(row) = self.write.query_one_raw(pg(&sql, values)).await? {
                let mut taken = taken_of(&row, &incarnation)?;
                let mut owned = member.own(&hash, taken.epoch);
                if !owned.is_ready && owned.was_ready {
                    taken.mirrors.push(incarnation.as_ref().to_owned());
                }
                if taken.mirrors.is_empty() && !owned.is_ready {
                    member.ready(&hash, taken.epoch);
                    owned.is_ready = true;
                }
                return Ok(Entry::Mine {
                    owned,
                    taken,
                    rules_version: row.try_get("", "rules_version")?,
                });
            }
            if let Some(owner) = self.owner_of(&hash).await? {
                if owner.incarnation == *incarnation {
                    break;
                }
                return Ok(Entry::Others(owner));
            }
            // It was given back between the two statements, or this node takes none.
            if member.is_draining() {
                break;
            }
        }
        Err(StoreError::Held(
            "this node takes no streams now".to_owned(),
        ))
    }

    /// The node that owns a stream, if one does.
    pub async fn owner_of(&self, hash: &str) -> Result<Option<Owner>, StoreError> {
        let sql = format!(
            "SELECT n.id, n.incarnation, n.state, n.expires_at <= {} AS silent \
             FROM live_stream s JOIN node n ON n.incarnation = s.incarnation WHERE s.key_hash = $1",
            now_sql(DbBackend::Postgres)
        );
        let row = self.write.query_one_raw(pg(&sql, [hash.into()])).await?;
        let read = |row: QueryResult| {
            Ok::<_, DbErr>(Owner {
                node: row.try_get("", "id")?,
                incarnation: row.try_get("", "incarnation")?,
                is_draining: row.try_get::<String>("", "state")? == "draining",
                is_silent: row.try_get("", "silent")?,
            })
        };
        Ok(row.map(read).transpose()?)
    }

    /// Whether a stream is another node's. Of a single process none is.
    pub async fn is_others(&self, hash: &str) -> Result<bool, StoreError> {
        let Some(member) = self.member.as_ref().filter(|_| !hash.is_empty()) else {
            return Ok(false);
        };
        if member.find_owned(hash).is_some() {
            return Ok(false);
        }
        let owner = self.owner_of(hash).await?;
        Ok(owner.is_some_and(|owner| owner.incarnation != *member.incarnation()))
    }

    /// Declares dead whose lease is over: their names and incarnations. Only a node that [`Member::may_take_over`] asks for it.
    pub async fn declare_dead(&self, member: &Member) -> Result<Vec<(String, String)>, StoreError> {
        let now = now_sql(DbBackend::Postgres);
        let sql = format!(
            "DELETE FROM node WHERE member AND incarnation <> $1 AND expires_at <= {now} \
             AND EXISTS (SELECT 1 FROM node m WHERE m.incarnation = $1 AND m.expires_at > {now}) RETURNING id, incarnation"
        );
        let values = [member.incarnation().as_ref().into()];
        let rows = self.write.query_all_raw(pg(&sql, values)).await?;
        let read = |row: &QueryResult| {
            Ok::<_, DbErr>((row.try_get("", "id")?, row.try_get("", "incarnation")?))
        };
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// Takes some of the streams that have no owner any more.
    pub async fn take_streams(&self, member: &Member, most: i64) -> Result<Vec<Taken>, StoreError> {
        let incarnation = member.incarnation();
        let sql = format!(
            "UPDATE live_stream SET node = $1, incarnation = $2, epoch = nextval('live_stream_epoch'), state = 'open', mirror = {LONGER} \
             WHERE EXISTS (SELECT 1 FROM node WHERE incarnation = $2 AND state = 'serving') AND {SOME_ARE_NOBODYS} AND key_hash IN ( \
               SELECT s.key_hash FROM live_stream s WHERE {} \
               ORDER BY s.key_hash LIMIT $3 FOR UPDATE SKIP LOCKED) \
             RETURNING domain, app, stream, epoch, mirror",
            is_nobodys()
        );
        let values = [member.id().into(), incarnation.as_ref().into(), most.into()];
        let rows = self.write.query_all_raw(pg(&sql, values)).await?;
        let taken = rows
            .iter()
            .map(|row| taken_of(row, &incarnation))
            .collect::<Result<Vec<_>, _>>()?;
        for it in &taken {
            member.own(&it.key.hash(), it.epoch);
        }
        Ok(taken)
    }

    /// The streams of this node that are not ready: what was recorded of them could not be fetched, or could not be given away. Of the latter the
    /// newest is in this node's own mirror. Of the former that may hold what an earlier ownership left, which is older than what others recorded.
    pub async fn unready_streams(&self, member: &Member) -> Result<Vec<Taken>, StoreError> {
        let incarnation = member.incarnation();
        let mut unready = Vec::new();
        for (hash, owned) in member.all_owned() {
            if owned.is_ready {
                continue;
            }
            let sql = "SELECT domain, app, stream, epoch, mirror FROM live_stream WHERE key_hash = $1 AND incarnation = $2 AND epoch = $3";
            let values = [
                hash.as_str().into(),
                incarnation.as_ref().into(),
                owned.epoch.into(),
            ];
            match self.write.query_one_raw(pg(sql, values)).await? {
                Some(row) => {
                    let mut taken = taken_of(&row, &incarnation)?;
                    if owned.was_ready {
                        taken.mirrors.push(incarnation.as_ref().to_owned());
                    }
                    unready.push(taken);
                }
                // It was given away, and the answer that said so was lost.
                None => member.disown(&hash, owned.epoch),
            }
        }
        Ok(unready)
    }

    /// Notes the streams of this node that it does not know of, since the answer that made them its own was lost. They are not ready.
    pub async fn own_again(&self, member: &Member) -> Result<(), StoreError> {
        let incarnation = member.incarnation();
        let sql = "SELECT key_hash, epoch FROM live_stream WHERE incarnation = $1";
        let rows = self
            .write
            .query_all_raw(pg(sql, [incarnation.as_ref().into()]))
            .await?;
        for row in rows {
            let (hash, epoch): (String, i64) =
                (row.try_get("", "key_hash")?, row.try_get("", "epoch")?);
            let is_news = member.find_owned(&hash).is_none_or(|it| it.epoch < epoch);
            if is_news && member.incarnation() == incarnation {
                member.own(&hash, epoch);
            }
        }
        Ok(())
    }

    /// Whether the stream is still its owner's as far as this process knows, without a word of the database.
    #[must_use]
    pub fn may_hold(&self, fence: &Fence) -> bool {
        let claimed = fence.claimed.as_ref();
        let Some((claimed, member)) = claimed.zip(self.member.as_ref()) else {
            return true;
        };
        claimed.incarnation == member.incarnation()
            && member
                .find_owned(&claimed.hash)
                .is_some_and(|owned| (owned.epoch, owned.life) == (claimed.epoch, claimed.life))
    }

    /// What earlier owners had of a stream is in this node's mirror: theirs are needed no more.
    pub async fn absorbed(&self, member: &Member, taken: &Taken) -> Result<(), StoreError> {
        let sql = "UPDATE live_stream SET mirror = $2 WHERE key_hash = $1 AND incarnation = $2 AND epoch = $3";
        let values = [
            taken.key.hash().into(),
            member.incarnation().as_ref().into(),
            taken.epoch.into(),
        ];
        self.write.execute_raw(pg(sql, values)).await?;
        Ok(())
    }

    /// Gives a stream to whoever takes it next. False: it was not this node's.
    pub async fn hand_over(
        &self,
        member: &Member,
        hash: &str,
        epoch: i64,
    ) -> Result<bool, StoreError> {
        let sql = format!(
            "UPDATE live_stream SET {} WHERE key_hash = $1 AND incarnation = $2 AND epoch = $3",
            given_away()
        );
        let values = [
            hash.into(),
            member.incarnation().as_ref().into(),
            epoch.into(),
        ];
        let done = self.write.execute_raw(pg(&sql, values)).await?;
        member.disown(hash, epoch);
        Ok(done.rows_affected() > 0)
    }

    /// Gives every stream to whoever takes it next; how many there were.
    pub async fn hand_over_all(&self, member: &Member) -> Result<u64, StoreError> {
        let sql = format!(
            "UPDATE live_stream SET {} WHERE incarnation = $1",
            given_away()
        );
        let values = [member.incarnation().as_ref().into()];
        let done = self.write.execute_raw(pg(&sql, values)).await?;
        for (hash, owned) in member.all_owned() {
            member.disown(&hash, owned.epoch);
        }
        Ok(done.rows_affected())
    }

    /// Notes that a stream is this node's by inheritance.
    pub fn inherited(&self, member: &Member, hash: &str, epoch: i64) {
        member.own(hash, epoch);
    }

    /// The name of the bucket of the mirrors: the first node of a cluster makes it up, and all later ones use it.
    pub async fn mirror_bucket(&self, wanted: &str) -> Result<String, StoreError> {
        let sql = "UPDATE cluster SET mirror = $1 WHERE id = 1 AND mirror = ''";
        self.write.execute_raw(pg(sql, [wanted.into()])).await?;
        let sql = "SELECT mirror FROM cluster WHERE id = 1";
        let row = self.write.query_one_raw(pg(sql, [])).await?;
        Ok(row.ok_or(StoreError::Interrupted)?.try_get("", "mirror")?)
    }

    /// Gives the name of a stream back of which nothing is left to do. It stays where callbacks of it wait; one that is not this node's any more is
    /// forgotten here.
    pub async fn release_stream(
        &self,
        member: &Member,
        hash: &str,
        epoch: i64,
    ) -> Result<(), StoreError> {
        // Both parts see the rows as they were before.
        let sql = "WITH given_back AS (DELETE FROM live_stream WHERE key_hash = $1 AND incarnation = $2 AND epoch = $3 AND state <> 'live' \
                     AND NOT EXISTS (SELECT 1 FROM callback c WHERE c.owner = $1 AND c.state = 'pending') RETURNING 1) \
                   SELECT EXISTS (SELECT 1 FROM live_stream WHERE key_hash = $1 AND incarnation = $2 AND epoch = $3) \
                     AND NOT EXISTS (SELECT 1 FROM given_back) AS stays";
        let values = [
            hash.into(),
            member.incarnation().as_ref().into(),
            epoch.into(),
        ];
        let row = self.write.query_one_raw(pg(sql, values)).await?;
        let stays: bool = row.ok_or(StoreError::Interrupted)?.try_get("", "stays")?;
        if !stays {
            member.disown(hash, epoch);
        }
        Ok(())
    }

    /// Nobody publishes the stream any more; its owner has still work with it.
    pub async fn left_stream(
        &self,
        member: &Member,
        hash: &str,
        epoch: i64,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE live_stream SET state = 'open' WHERE key_hash = $1 AND incarnation = $2 AND epoch = $3";
        let values = [
            hash.into(),
            member.incarnation().as_ref().into(),
            epoch.into(),
        ];
        self.write.execute_raw(pg(sql, values)).await?;
        Ok(())
    }

    /// Keeps what the others see of a publisher.
    pub async fn tell_publisher(
        &self,
        member: &Member,
        hash: &str,
        published: &Published,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE live_stream SET state = 'live', ingest_domain = $3, address = $4, since = $5, facts = $6 \
                   WHERE key_hash = $1 AND incarnation = $2";
        let values = [
            hash.into(),
            member.incarnation().as_ref().into(),
            published.ingest_domain.as_str().into(),
            published.address.as_str().into(),
            published.since.into(),
            published.facts.as_str().into(),
        ];
        self.write.execute_raw(pg(sql, values)).await?;
        Ok(())
    }

    /// The streams that are live on other nodes, ordered by name.
    pub async fn live_elsewhere(&self, of: &LiveOf) -> Result<Vec<LiveRow>, StoreError> {
        let Some(member) = &self.member else {
            return Ok(Vec::new());
        };
        let (which, named): (_, Vec<Value>) = match of {
            LiveOf::All => ("", vec![]),
            LiveOf::Domain(domain) => (
                "AND (s.domain = $2 OR s.ingest_domain = $2)",
                vec![domain.as_str().into()],
            ),
            LiveOf::Name { app, stream } => (
                "AND s.app = $2 AND s.stream = $3",
                vec![app.as_str().into(), stream.as_str().into()],
            ),
        };
        let sql = format!(
            "SELECT s.domain, s.app, s.stream, s.node, s.incarnation, s.ingest_domain, s.address, s.since, s.facts \
             FROM live_stream s JOIN node n ON n.incarnation = s.incarnation WHERE s.state = 'live' AND s.incarnation <> $1 {which} \
             ORDER BY s.domain, s.app, s.stream"
        );
        let mine: Value = member.incarnation().as_ref().into();
        let values = std::iter::once(mine).chain(named);
        let asked = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        let rows = self.read.query_all_raw(asked).await?;
        let read = |row: &QueryResult| {
            Ok::<_, DbErr>(LiveRow {
                key: key_of(row)?,
                node: row.try_get("", "node")?,
                incarnation: row.try_get("", "incarnation")?,
                published: Published {
                    ingest_domain: row.try_get("", "ingest_domain")?,
                    address: row.try_get("", "address")?,
                    since: row.try_get("", "since")?,
                    facts: row.try_get("", "facts")?,
                },
            })
        };
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// The nodes of the cluster, ordered by name.
    pub async fn nodes(&self) -> Result<Vec<NodeRow>, StoreError> {
        let sql = format!(
            "SELECT n.id, n.incarnation, n.address, n.rtmp, n.inside, n.version, n.state, n.since, n.expires_at - {} AS lease_left, \
             COALESCE(SUM(CASE WHEN s.state = 'live' THEN 1 ELSE 0 END), 0) AS publishers, COUNT(s.key_hash) AS streams \
             FROM node n LEFT JOIN live_stream s ON s.incarnation = n.incarnation WHERE n.member \
             GROUP BY n.id, n.incarnation, n.address, n.rtmp, n.inside, n.version, n.state, n.since, n.expires_at ORDER BY n.id",
            now_sql(DbBackend::Postgres)
        );
        let rows = self.read.query_all_raw(pg(&sql, [])).await?;
        let read = |row: &QueryResult| {
            Ok::<_, DbErr>(NodeRow {
                id: row.try_get("", "id")?,
                incarnation: row.try_get("", "incarnation")?,
                address: row.try_get("", "address")?,
                rtmp: row.try_get("", "rtmp")?,
                inside: row.try_get("", "inside")?,
                version: row.try_get("", "version")?,
                state: row.try_get("", "state")?,
                lease_left_ms: row.try_get("", "lease_left")?,
                since_ms: row.try_get("", "since")?,
                publishers: row.try_get("", "publishers")?,
                streams: row.try_get("", "streams")?,
            })
        };
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// The nodes that are alive as far as the database knows, this one included, ordered by name.
    pub async fn peers(&self) -> Result<Vec<Peer>, StoreError> {
        let sql = "SELECT id, incarnation, inside, state FROM node WHERE member ORDER BY id";
        let rows = self.read.query_all_raw(pg(sql, [])).await?;
        let read = |row: &QueryResult| {
            Ok::<_, DbErr>(Peer {
                id: row.try_get("", "id")?,
                incarnation: row.try_get("", "incarnation")?,
                inside: row.try_get("", "inside")?,
                is_draining: row.try_get::<String>("", "state")? == "draining",
            })
        };
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// Where a stream's owner is reached, and whether somebody publishes there.
    pub async fn source_of(&self, hash: &str) -> Result<Option<Source>, StoreError> {
        let sql = "SELECT s.state, n.inside, n.state = 'draining' AS draining FROM live_stream s \
                   LEFT JOIN node n ON n.incarnation = s.incarnation WHERE s.key_hash = $1";
        let row = self.read.query_one_raw(pg(sql, [hash.into()])).await?;
        let read = |row: QueryResult| {
            Ok::<_, DbErr>(Source {
                inside: row.try_get("", "inside")?,
                is_live: row.try_get::<String>("", "state")? == "live",
                is_draining: row.try_get::<Option<bool>>("", "draining")? == Some(true),
            })
        };
        Ok(row.map(read).transpose()?)
    }

    /// Forgets the streams of this node that nobody publishes, whatever was still to be done with them, and those of nobody: for a reset.
    pub async fn forget_streams(&self, member: &Member) -> Result<(), StoreError> {
        let sql = "DELETE FROM live_stream WHERE (incarnation = $1 AND state <> 'live') \
                   OR NOT EXISTS (SELECT 1 FROM node n WHERE n.incarnation = live_stream.incarnation) RETURNING key_hash";
        let values = [member.incarnation().as_ref().into()];
        for row in self.write.query_all_raw(pg(sql, values)).await? {
            let hash: String = row.try_get("", "key_hash")?;
            if let Some(owned) = member.find_owned(&hash) {
                member.disown(&hash, owned.epoch);
            }
        }
        Ok(())
    }

    /// The incarnations whose mirrors somebody still needs: those alive, and those that a stream's row names.
    pub async fn needed_mirrors(&self) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT DISTINCT mirror AS name FROM live_stream UNION SELECT incarnation AS name FROM node";
        let rows = self.write.query_all_raw(pg(sql, [])).await?;
        let mut needed = Vec::new();
        for row in rows {
            needed.extend(mirrors(&row.try_get::<String>("", "name")?));
        }
        needed.sort_unstable();
        needed.dedup();
        Ok(needed)
    }

    /// Whether a mirror of that incarnation is still needed for a stream.
    pub async fn mirror_is_needed(
        &self,
        hash: &str,
        incarnation: &str,
    ) -> Result<bool, StoreError> {
        let sql = "SELECT mirror FROM live_stream WHERE key_hash = $1";
        let row = self.write.query_one_raw(pg(sql, [hash.into()])).await?;
        let text = row
            .map(|row| row.try_get::<String>("", "mirror"))
            .transpose()?;
        Ok(text.is_some_and(|text| mirrors(&text).iter().any(|name| name == incarnation)))
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::IntoActiveModel;
    use sea_orm::sea_query::PostgresQueryBuilder;

    use super::*;
    use crate::store::entity::document;

    #[test]
    fn a_fenced_row_comes_from_its_streams_row_and_locks_that() {
        let claimed = Claimed {
            hash: "h".to_owned(),
            epoch: 7,
            life: 0,
            incarnation: "i".into(),
        };
        let row = document::Model {
            kind: "k".to_owned(),
            name: "n".to_owned(),
            body: "b".to_owned(),
        };
        let insert = insert_held(row.into_active_model(), &claimed);
        assert_eq!(
            insert.to_string(PostgresQueryBuilder),
            r#"INSERT INTO "document" ("kind", "name", "body") SELECT 'k', 'n', 'b' FROM "live_stream" WHERE "key_hash" = 'h' AND "incarnation" = 'i' AND "epoch" = 7 FOR SHARE"#
        );
    }
}
