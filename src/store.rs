//! Durable state: rules, settings of domains, sessions, slices, files and the callback outbox, by sea-orm on SQLite, PostgreSQL or MySQL.
//!
//! `sea_orm` is named only below this folder; models go in and out. Every method is one statement or one transaction.
//! SQLite has one writing connection (writers queue in the pool instead of failing with "database is locked") and several reading ones.

pub mod callbacks;
mod clock;
pub mod documents;
mod entity;
mod migration;
mod patience;
pub mod records;
pub mod rules;

use std::time::Duration;

use sea_orm::{
    ColumnTrait, ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr,
    EntityTrait, QueryFilter, SqlErr,
};
use sea_orm_migration::MigratorTrait;

use patience::Patient;

/// Why a store call failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the database refused: {0}")]
    Database(#[from] DbErr),
    #[error("a stored document is not readable: {0}")]
    Document(#[from] serde_json::Error),
    #[error("an entry with that key exists")]
    Duplicate,
    #[error("the call that carried this write out was broken off")]
    Interrupted,
}

impl StoreError {
    fn from_insert(error: DbErr) -> Self {
        match error.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => Self::Duplicate,
            _ => Self::Database(error),
        }
    }
}

/// A handle to the database.
#[derive(Clone)]
pub struct Store {
    write: Patient<DatabaseConnection>,
    read: Patient<DatabaseConnection>,
    rules: rules::Cache,
}

impl Store {
    /// Connects, migrates and fills the caches.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let (write, read) = if url.starts_with("sqlite:") {
            let write = Database::connect(sqlite(url, 1)).await?;
            migration::Migrator::up(&write, None).await?;
            let read = Database::connect(sqlite(url, 4)).await?;
            (write, read)
        } else {
            let shared = Database::connect(patience::options(url)).await?;
            migration::Migrator::up(&shared, None).await?;
            (shared.clone(), shared)
        };
        let store = Self {
            write: Patient::new(write),
            read: Patient::new(read),
            rules: rules::Cache::default(),
        };
        store.fill_rules().await?;
        Ok(store)
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        Ok(self.read.ping().await?)
    }

    /// Whether rows become visible in the order of their numbers: one connection writes.
    #[must_use]
    pub fn commits_in_order(&self) -> bool {
        self.write.get_database_backend() == DbBackend::Sqlite
    }

    /// The kind of database, for `health`.
    #[must_use]
    pub fn backend(&self) -> &'static str {
        match self.write.get_database_backend() {
            DbBackend::Sqlite => "sqlite",
            DbBackend::Postgres => "postgresql",
            DbBackend::MySql => "mysql",
            _ => "other",
        }
    }

    /// Forgets everything but the clock, which goes on.
    pub async fn clear(&self) -> Result<(), StoreError> {
        entity::record_rule::Entity::delete_many()
            .exec(&self.write)
            .await?;
        entity::document::Entity::delete_many()
            .filter(entity::document::Column::Kind.ne(documents::Kind::Clock.as_str()))
            .exec(&self.write)
            .await?;
        entity::record_session::Entity::delete_many()
            .exec(&self.write)
            .await?;
        entity::record_slice::Entity::delete_many()
            .exec(&self.write)
            .await?;
        entity::record_file::Entity::delete_many()
            .exec(&self.write)
            .await?;
        entity::callback::Entity::delete_many()
            .exec(&self.write)
            .await?;
        self.fill_rules().await
    }

    /// Closes the connections, so that SQLite leaves no write-ahead log behind.
    pub async fn close(&self) {
        let _ = self.read.close().await;
        let _ = self.write.close().await;
    }
}

fn sqlite(url: &str, connections: u32) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(Duration::from_secs(30))
        .sqlx_logging(false)
        .test_before_acquire(false)
        .map_sqlx_sqlite_opts(|sqlite| {
            sqlite
                .journal_mode(sea_orm::sqlx::sqlite::SqliteJournalMode::Wal)
                .synchronous(sea_orm::sqlx::sqlite::SqliteSynchronous::Normal)
                .busy_timeout(Duration::from_secs(15))
                .foreign_keys(false)
                .pragma("cache_size", "-512")
        });
    options
}
