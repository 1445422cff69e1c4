//! A database over the network that vanishes without a word: nobody waits for it longer than [`PATIENCE`].
//!
//! The drivers have no time limit of their own, and the kernel gives a silent connection up after a quarter of an hour only. Each
//! statement is therefore limited here, and a connection that comes back from a statement that was given up is tried before it is used again.
//! One whose statements were all answered is not: the pool's own question, behind ours, would be the second for each statement.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sea_orm::sqlx::{Connection, Executor};
use sea_orm::{
    ConnectOptions, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    ExecResult, IsolationLevel, QueryResult, RuntimeErr, SqliteTransactionMode, Statement,
    TransactionOptions, TransactionTrait,
};

use super::failure::{self, Failure};
use super::hold::Hold;
use crate::clock;

/// For one statement, the wait for a connection included.
const PATIENCE: Duration = Duration::from_secs(15);
/// For a connection that was given back, to show that it still answers.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

/// A connection or transaction whose statements end in time. SQLite has no network: its statements take what they take.
#[derive(Clone)]
pub struct Patient<C> {
    inner: C,
    limited: bool,
    dead: Dead,
    /// What has to hold for each statement, where this writes to a database over the network.
    hold: Option<Arc<Hold>>,
}

/// What ends a transaction in which its process says nothing any more, as one whose machine is gone does: the server would keep its locks for as long
/// as it takes the connection for alive, which is two hours, and nobody could take over what it was about to write.
const GIVEN_UP: &str = "SET idle_in_transaction_session_timeout = '5s'";

/// When it last showed that connections lead to a server that is no use any more: all that were made before then are closed.
#[derive(Clone)]
pub struct Dead {
    began: Instant,
    /// Microseconds since `began`.
    since: Arc<AtomicU64>,
    /// When a statement was last given up, likewise: by whoever waited for it, or for its silence.
    doubt: Arc<AtomicU64>,
}

/// A statement that has not been answered: dropped as such, it leaves its connection in doubt.
struct Unanswered<'a>(Option<&'a Dead>);

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if let Some(dead) = self.0 {
            let now = dead.micros(Duration::ZERO).max(1);
            dead.doubt.store(now, Ordering::Release);
        }
    }
}

/// How long after a statement was given up connections that are given back are tried.
const IN_DOUBT: Duration = Duration::from_secs(30);

/// A server that takes no writes for a while shows it by every write; the connections to it are not made anew each time.
const ONCE_IN: Duration = Duration::from_millis(500);

impl Default for Dead {
    fn default() -> Self {
        Self {
            began: clock::monotonic(),
            since: Arc::default(),
            doubt: Arc::default(),
        }
    }
}

impl Dead {
    fn micros(&self, before: Duration) -> u64 {
        let at = self.began.elapsed().saturating_sub(before);
        u64::try_from(at.as_micros()).unwrap_or(u64::MAX)
    }

    /// Looks at an error for what it says about the connections.
    pub fn note(&self, error: &DbErr) {
        if matches!(failure::of(error), Failure::ReadOnly | Failure::Gone) {
            let last = self.since.load(Ordering::Acquire);
            if last == 0 || last < self.micros(ONCE_IN) {
                self.since
                    .store(self.micros(Duration::ZERO), Ordering::Release);
            }
        }
    }

    /// Whether a connection of this age may be used.
    fn is_alive(&self, age: Duration) -> bool {
        let since = self.since.load(Ordering::Acquire);
        since == 0 || self.micros(age) > since
    }

    /// Whether a connection that is given back may be one that does not answer: it is not known which one was in doubt.
    fn is_in_doubt(&self) -> bool {
        let doubt = self.doubt.load(Ordering::Acquire);
        doubt != 0 && self.micros(IN_DOUBT) < doubt
    }

    /// What the server answers to, in whatever way; what it does not, leaves a doubt.
    async fn answered<T>(&self, work: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        let mut unanswered = Unanswered(Some(self));
        let done = work.await.inspect_err(|error| self.note(error));
        if !matches!(&done, Err(error) if failure::of(error) == Failure::Gone) {
            unanswered.0 = None;
        }
        done
    }
}

async fn within<T>(
    limited: bool,
    work: impl Future<Output = Result<T, DbErr>>,
) -> Result<T, DbErr> {
    if !limited {
        return work.await;
    }
    clock::machine_timeout(PATIENCE, work)
        .await
        .unwrap_or_else(|| {
            let silence = format!("no answer within {} s", PATIENCE.as_secs());
            Err(DbErr::Conn(RuntimeErr::Internal(silence)))
        })
}

impl<C: ConnectionTrait> Patient<C> {
    pub fn new(inner: C, dead: Dead, hold: Option<Arc<Hold>>) -> Self {
        let limited = inner.get_database_backend() != DbBackend::Sqlite;
        Self {
            inner,
            limited,
            dead,
            hold,
        }
    }

    /// Work that may only be done while the lease holds, in time.
    async fn watched<T>(&self, work: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        if let Some(hold) = &self.hold {
            hold.check()?;
        }
        self.dead.answered(within(self.limited, work)).await
    }
}

impl Patient<DatabaseConnection> {
    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), DbErr> {
        self.watched(self.inner.ping()).await
    }

    /// A transaction; SQLite and others begin it as they do.
    pub async fn begin(&self) -> Result<Patient<DatabaseTransaction>, DbErr> {
        self.begin_as(TransactionOptions::default()).await
    }

    /// A transaction that is going to write what depends on what it reads: SQLite has no other writer beside it from its beginning,
    /// and on MySQL each statement sees what was committed before it, as on PostgreSQL.
    pub async fn begin_changing(&self) -> Result<Patient<DatabaseTransaction>, DbErr> {
        let mysql = self.get_database_backend() == DbBackend::MySql;
        self.begin_as(TransactionOptions {
            isolation_level: mysql.then_some(IsolationLevel::ReadCommitted),
            access_mode: None,
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        })
        .await
    }

    async fn begin_as(
        &self,
        options: TransactionOptions,
    ) -> Result<Patient<DatabaseTransaction>, DbErr> {
        let inner = self.watched(self.inner.begin_with_options(options)).await?;
        Ok(Patient {
            inner,
            limited: self.limited,
            dead: self.dead.clone(),
            hold: self.hold.clone(),
        })
    }

    /// Closes what can be closed in time.
    pub async fn close(&self) -> Result<(), DbErr> {
        within(self.limited, self.inner.clone().close()).await
    }
}

impl Patient<DatabaseTransaction> {
    /// An error leaves it open whether the transaction came about.
    pub async fn commit(self) -> Result<(), DbErr> {
        if let Some(hold) = &self.hold {
            hold.check()?;
        }
        let commit = within(self.limited, self.inner.commit());
        self.dead.answered(commit).await
    }
}

#[async_trait::async_trait]
impl<C: ConnectionTrait + Send> ConnectionTrait for Patient<C> {
    fn get_database_backend(&self) -> DbBackend {
        self.inner.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.watched(self.inner.execute_raw(statement)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.watched(self.inner.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.watched(self.inner.query_one_raw(statement)).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.watched(self.inner.query_all_raw(statement)).await
    }
}

/// A connection that does not answer when it is given back is closed, so that the pool does not fill with dead ones; so is one that leads
/// to a server of which another connection has shown that it is no use.
macro_rules! closing_dead_ones {
    ($pool:expr, $dead:expr) => {{
        let (taken, given_back) = ($dead.clone(), $dead);
        $pool
            .before_acquire(move |_, made| {
                let alive = taken.is_alive(made.age);
                Box::pin(async move { Ok(alive) })
            })
            .after_release(move |connection, made| {
                let alive = given_back.is_alive(made.age);
                let in_doubt = given_back.is_in_doubt();
                Box::pin(async move {
                    if !alive || !in_doubt {
                        return Ok(alive);
                    }
                    match clock::machine_timeout(SIGN_OF_LIFE, connection.ping()).await {
                        Some(alive) => alive.map(|()| true),
                        None => Err(sea_orm::sqlx::Error::PoolTimedOut),
                    }
                })
            })
    }};
}

/// The options of a database over the network.
pub fn options(url: &str, connections: u32, dead: &Dead) -> ConnectOptions {
    let (postgres, mysql) = (dead.clone(), dead.clone());
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .connect_timeout(Duration::from_secs(10))
        .acquire_timeout(Duration::from_secs(10))
        .test_before_acquire_if_idle_for(Duration::from_secs(1))
        .sqlx_logging(false)
        .map_sqlx_postgres_pool_opts(move |pool| {
            closing_dead_ones!(pool, postgres.clone()).after_connect(|connection, _| {
                Box::pin(async move { connection.execute(GIVEN_UP).await.map(drop) })
            })
        })
        .map_sqlx_mysql_pool_opts(move |pool| closing_dead_ones!(pool, mysql.clone()));
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_from_before_a_switchover_are_not_used_again() {
        let dead = Dead::default();
        assert!(dead.is_alive(Duration::ZERO));
        std::thread::sleep(Duration::from_millis(2));
        let data = DbErr::RecordNotUpdated;
        dead.note(&data);
        assert!(dead.is_alive(Duration::from_millis(1)));
        let gone = DbErr::Conn(RuntimeErr::Internal("no answer".to_owned()));
        dead.note(&gone);
        assert!(!dead.is_alive(Duration::from_millis(1)));
        std::thread::sleep(Duration::from_millis(2));
        assert!(dead.is_alive(Duration::from_millis(1)));
    }

    #[tokio::test]
    async fn only_what_is_not_answered_leaves_a_doubt() {
        let dead = Dead::default();
        assert!(dead.answered(async { Ok(1) }).await.is_ok());
        let refused = async { Err::<(), _>(DbErr::RecordNotUpdated) };
        assert!(dead.answered(refused).await.is_err());
        assert!(!dead.is_in_doubt());
        let waiting = dead.answered(std::future::pending::<Result<(), DbErr>>());
        assert!(futures_util::poll!(Box::pin(waiting)).is_pending());
        assert!(dead.is_in_doubt(), "whoever waited gave it up");
        let dead = Dead::default();
        let silent =
            async { Err::<(), _>(DbErr::Conn(RuntimeErr::Internal("no answer".to_owned()))) };
        assert!(dead.answered(silent).await.is_err());
        assert!(dead.is_in_doubt());
    }
}
