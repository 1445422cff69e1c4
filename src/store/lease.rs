//! The lease that a process holds on a database over the network: the row of the table `node`, renewed all the time.
//!
//! Who holds it is decided by the database's clock, and every renewal is conditional on the incarnation: a process that was
//! declared dead learns it by its next renewal, and its changes are refused before (`cluster.generation` counts those that
//! were taken over). A database that is away takes no lease from anybody; while it is not known whether the lease still holds,
//! nothing is written. A process whose lease another one took has lost it for good.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction,
    DbBackend, DbErr, EntityTrait, QueryFilter, QueryResult, Statement, TransactionTrait,
};

use super::StoreError;
use super::entity::{ONLY, cluster, node};
use super::hold::Hold;
use super::patience::{Dead, Patient};
use super::renewal::{Lasting, Pace, keep};
use crate::{clock, ids};

/// How long a lease lasts without a renewal.
const LEASE: Duration = Duration::from_secs(6);
/// For one renewal.
const RENEWAL: Duration = Duration::from_secs(2);
const PACE: Pace = Pace {
    first: Duration::from_secs(2),
    every: Duration::from_secs(2),
    again: Duration::from_millis(500),
    patience: RENEWAL,
};
/// Between two looks at a lease that somebody else holds.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// The process, as its row names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Me {
    /// The machine.
    pub id: String,
    /// The API's address.
    pub address: String,
    /// Names the lock on the data folder, which this process holds: whoever had the same lock before is dead. Empty: no proof.
    pub data_lock: String,
}

/// A lease that is held, or is thought to be.
pub struct Lease {
    db: DatabaseConnection,
    dead: Dead,
    me: Me,
    incarnation: Mutex<String>,
    generation: AtomicI64,
    hold: Arc<Hold>,
    given_back: AtomicBool,
}

/// Somebody else's lease.
struct Other {
    row: node::Model,
    left_ms: i64,
}

impl Other {
    fn sentence(&self) -> String {
        let node::Model {
            id,
            address,
            version,
            ..
        } = &self.row;
        format!("localyun {version} at {address} on {id} uses this database")
    }
}

enum Claim {
    Taken {
        incarnation: String,
        generation: i64,
    },
    Held(Other),
}

/// Milliseconds by the database's clock.
pub(super) fn now_sql(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Postgres => "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
        _ => "CAST(UNIX_TIMESTAMP(SYSDATE(3)) * 1000 AS SIGNED)",
    }
}

fn lease_ms() -> i64 {
    i64::try_from(LEASE.as_millis()).unwrap_or(i64::MAX)
}

impl Lease {
    /// Takes the lease by a connection of its own, waiting for one whose holder may be dead; refused where the holder renews it.
    pub async fn take(db: DatabaseConnection, dead: Dead, me: Me) -> Result<Arc<Self>, StoreError> {
        let hold = Arc::new(Hold::new(clock::monotonic()));
        let mut seen: Option<Other> = None;
        let (incarnation, generation, asked) = loop {
            let asked = clock::monotonic();
            match claim(&db, &me).await? {
                Claim::Taken {
                    incarnation,
                    generation,
                } => break (incarnation, generation, asked),
                Claim::Held(other) => match &seen {
                    Some(first) if first.row != other.row => {
                        return Err(StoreError::Held(other.sentence()));
                    }
                    Some(_) => {}
                    None => {
                        tracing::info!(
                            holder = other.sentence(),
                            at_most_ms = other.left_ms,
                            "waiting for the lease on the database to end, or for a sign of its holder"
                        );
                        seen = Some(other);
                    }
                },
            }
            clock::machine_sleep(LOOK_AGAIN).await;
        };
        let lease = Arc::new(Self {
            db,
            dead,
            me,
            incarnation: Mutex::new(incarnation),
            generation: AtomicI64::new(generation),
            hold,
            given_back: AtomicBool::new(false),
        });
        lease.hold.lasts(asked, LEASE);
        tokio::spawn(keep(Arc::downgrade(&lease), PACE));
        Ok(lease)
    }

    /// What has to hold for whatever is written.
    pub(super) fn hold(&self) -> &Arc<Hold> {
        &self.hold
    }

    fn incarnation(&self) -> String {
        let incarnation = self.incarnation.lock();
        incarnation.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends the lease, so that a successor need not wait.
    pub async fn give_back(&self) {
        self.given_back.store(true, Ordering::Release);
        let deleting = node::Entity::delete_many()
            .filter(node::Column::Id.eq(&self.me.id))
            .filter(node::Column::Incarnation.eq(self.incarnation()))
            .exec(&self.db);
        if let Some(Err(error)) = clock::machine_timeout(RENEWAL, deleting).await {
            tracing::debug!(%error, "the lease ends by itself");
        }
        let _ = clock::machine_timeout(RENEWAL, self.db.clone().close()).await;
    }
}

impl Lasting for Lease {
    /// Where it is still this process's, or nobody's.
    async fn renew(&self) -> Result<(), StoreError> {
        let asked = clock::monotonic();
        let backend = self.db.get_database_backend();
        let now = now_sql(backend);
        let (id, incarnation) = match backend {
            DbBackend::Postgres => ("$1", "$2"),
            _ => ("?", "?"),
        };
        let sql = format!(
            "UPDATE node SET expires_at = {now} + {} WHERE id = {id} AND incarnation = {incarnation}",
            lease_ms()
        );
        let values = [self.me.id.clone().into(), self.incarnation().into()];
        let statement = Statement::from_sql_and_values(backend, sql, values);
        if self.db.execute_raw(statement).await?.rows_affected() > 0 {
            self.hold.lasts(asked, LEASE);
            return Ok(());
        }
        let asked = clock::monotonic();
        match claim(&self.db, &self.me).await? {
            Claim::Taken {
                incarnation,
                generation,
            } => {
                tracing::warn!(
                    "the lease on the database was gone and is taken anew; nobody else has it"
                );
                let mut mine = self
                    .incarnation
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                *mine = incarnation;
                drop(mine);
                self.generation.store(generation, Ordering::Release);
                self.hold.lasts(asked, LEASE);
            }
            Claim::Held(other) => {
                self.hold.lose(other.sentence());
            }
        }
        Ok(())
    }

    fn has_ended(&self) -> bool {
        self.given_back.load(Ordering::Acquire) || self.hold.is_lost()
    }

    fn dead(&self) -> &Dead {
        &self.dead
    }
}

/// Takes the lease unless another process holds it.
async fn claim(db: &DatabaseConnection, me: &Me) -> Result<Claim, StoreError> {
    let tx = db.begin().await?;
    let Some(locked) = lock(&tx).await? else {
        return Err(StoreError::Interrupted);
    };
    let now = now_ms(&tx).await?;
    for row in node::Entity::find().all(&tx).await? {
        let left_ms = row.expires_at - now;
        let is_dead = !me.data_lock.is_empty() && row.data_lock == me.data_lock;
        if left_ms > 0 && !is_dead {
            return Ok(Claim::Held(Other { row, left_ms }));
        }
    }
    node::Entity::delete_many().exec(&tx).await?;
    let incarnation = ids::ordered_id();
    let row = node::ActiveModel {
        id: Set(me.id.clone()),
        incarnation: Set(incarnation.clone()),
        address: Set(me.address.clone()),
        version: Set(env!("CARGO_PKG_VERSION").to_owned()),
        state: Set("serving".to_owned()),
        data_lock: Set(me.data_lock.clone()),
        expires_at: Set(now + lease_ms()),
        member: Set(false),
        rtmp: Set(String::new()),
        since: Set(now),
        inside: Set(String::new()),
    };
    node::Entity::insert(row)
        .exec_without_returning(&tx)
        .await?;
    let generation = locked.generation + 1;
    cluster::Entity::update_many()
        .set(cluster::ActiveModel {
            generation: Set(generation),
            ..Default::default()
        })
        .filter(cluster::Column::Id.eq(ONLY))
        .exec(&tx)
        .await?;
    tx.commit().await?;
    Ok(Claim::Taken {
        incarnation,
        generation,
    })
}

/// What the database's clock shows.
pub(super) async fn now_ms(tx: &impl ConnectionTrait) -> Result<i64, DbErr> {
    let backend = tx.get_database_backend();
    let sql = format!("SELECT {} AS now_ms", now_sql(backend));
    let row = tx
        .query_one_raw(Statement::from_string(backend, sql))
        .await?;
    row.map_or(Ok(0), |row| row.try_get("", "now_ms"))
}

/// The row that all changes lock.
pub(super) struct Row {
    pub generation: i64,
    pub rules_version: i64,
    pub documents_version: i64,
}

pub(super) async fn lock(tx: &impl ConnectionTrait) -> Result<Option<Row>, DbErr> {
    let backend = tx.get_database_backend();
    // SQLite's transaction has the whole database from its beginning.
    let lock = match backend {
        DbBackend::Sqlite => "",
        _ => " FOR UPDATE",
    };
    let sql = format!(
        "SELECT generation, rules_version, documents_version FROM cluster WHERE id = {ONLY}{lock}"
    );
    let row = tx
        .query_one_raw(Statement::from_string(backend, sql))
        .await?;
    let read = |row: QueryResult| {
        Ok(Row {
            generation: row.try_get("", "generation")?,
            rules_version: row.try_get("", "rules_version")?,
            documents_version: row.try_get("", "documents_version")?,
        })
    };
    row.map(read).transpose()
}

/// Who may change what: the holder of a lease, or, where the database is a file, the holder of its lock.
#[derive(Clone, Default)]
pub(super) struct Holder(pub Option<Arc<Lease>>);

impl Holder {
    /// Locks out all other changes; the versions of rules and documents.
    pub async fn versions(
        &self,
        tx: &Patient<DatabaseTransaction>,
    ) -> Result<(i64, i64), StoreError> {
        let row = lock(tx).await?.ok_or(StoreError::Interrupted)?;
        let mine = self
            .0
            .as_ref()
            .map(|lease| lease.generation.load(Ordering::Acquire));
        if mine.is_some_and(|generation| generation != row.generation) {
            return Err(StoreError::TakenOver);
        }
        Ok((row.rules_version, row.documents_version))
    }
}
