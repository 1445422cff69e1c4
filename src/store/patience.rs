//! A database over the network that vanishes without a word: nobody waits for it longer than [`PATIENCE`].
//!
//! The drivers have no time limit of their own, and the kernel gives a silent connection up after a quarter of an hour only. Each
//! statement is therefore limited here, and a connection that comes back from a statement that was given up is tried before it is used again.

use std::time::Duration;

use sea_orm::sqlx::Connection;
use sea_orm::{
    ConnectOptions, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    ExecResult, QueryResult, Statement, TransactionTrait,
};

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
            Err(DbErr::Custom(format!(
                "no answer within {} s",
                PATIENCE.as_secs()
            )))
        })
}

impl<C: ConnectionTrait> Patient<C> {
    pub fn new(inner: C) -> Self {
        let limited = inner.get_database_backend() != DbBackend::Sqlite;
        Self { inner, limited }
    }
}

impl Patient<DatabaseConnection> {
    pub async fn ping(&self) -> Result<(), DbErr> {
        within(self.limited, self.inner.ping()).await
    }

    pub async fn begin(&self) -> Result<Patient<DatabaseTransaction>, DbErr> {
        let inner = within(self.limited, self.inner.begin()).await?;
        Ok(Patient {
            inner,
            limited: self.limited,
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
        within(self.limited, self.inner.commit()).await
    }
}

#[async_trait::async_trait]
impl<C: ConnectionTrait + Send> ConnectionTrait for Patient<C> {
    fn get_database_backend(&self) -> DbBackend {
        self.inner.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        within(self.limited, self.inner.execute_raw(statement)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        within(self.limited, self.inner.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        within(self.limited, self.inner.query_one_raw(statement)).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        within(self.limited, self.inner.query_all_raw(statement)).await
    }
}

/// A connection that does not answer when it is given back is closed, so that the pool does not fill with dead ones.
macro_rules! closing_dead_ones {
    ($pool:expr) => {
        $pool.after_release(|connection, _| {
            Box::pin(async move {
                match clock::machine_timeout(SIGN_OF_LIFE, connection.ping()).await {
                    Some(alive) => alive.map(|()| true),
                    None => Err(sea_orm::sqlx::Error::PoolTimedOut),
                }
            })
        })
    };
}

/// The options of a database over the network.
pub fn options(url: &str) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(16)
        .connect_timeout(Duration::from_secs(10))
        .acquire_timeout(Duration::from_secs(10))
        .test_before_acquire_if_idle_for(Duration::from_secs(1))
        .sqlx_logging(false)
        .map_sqlx_postgres_pool_opts(|pool| closing_dead_ones!(pool))
        .map_sqlx_mysql_pool_opts(|pool| closing_dead_ones!(pool));
    options
}
