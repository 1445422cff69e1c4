//! Durable state: rules, settings of domains, sessions, slices, files and the callback outbox, by sea-orm on SQLite, PostgreSQL or MySQL.
//!
//! `sea_orm` is named only below this folder; models go in and out. Every method is one statement or one transaction.
//! SQLite has one writing connection (writers queue in the pool instead of failing with "database is locked") and several reading ones.

pub mod callbacks;
pub mod change;
pub mod clock;
mod column;
pub mod controls;
pub mod documents;
mod entity;
mod era;
mod failure;
pub mod figures;
mod forbidden;
mod hold;
mod issued_keys;
pub mod lease;
pub mod lists;
pub mod member;
mod migration;
mod names;
mod owned;
mod patience;
pub mod pushes;
pub mod records;
mod renewal;
pub mod rules;
mod runs;
pub mod shared;
pub mod streams;
mod tenure;
#[cfg(test)]
pub mod testbed;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sea_orm::{
    ColumnTrait, ConnectOptions, ConnectionTrait, Database, DatabaseConnection,
    DatabaseTransaction, DbBackend, DbErr, EntityTrait, QueryFilter, SqlErr,
};

use change::Settings;
use failure::Failure;
use lease::{Lease, Me};
use member::{Joining, Member};
use patience::{Dead, Patient};

/// Why a store call failed.
///
/// # What to do
/// `Duplicate` is an answer, and the caller's to give. The API answers all others with `InternalError`; a worker tries again. What was
/// written is not known after `Database` and `Interrupted`, so whoever tries again writes under the same name. `Schema` and `Held` come
/// from opening alone, and end the program with their text; `TakenOver` ends it too, since another process writes now. `Unseen` is a
/// mistake in our own code: a change has to name what it looks at. `Forgotten` is nobody's trouble: whoever meets it drops what it has begun.
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
    #[error("the change looks at {0} {1:?} without saying so")]
    Unseen(&'static str, String),
    /// The tables are not ones that this program can work with.
    #[error("{0}")]
    Schema(String),
    #[error("{0}")]
    Held(String),
    #[error("another process took the database over")]
    TakenOver,
    /// The stream is another node's by now: what this one made of it counts for nothing.
    #[error("another node has taken the stream over")]
    Fenced,
    /// It was begun before everything was forgotten.
    #[error("all was forgotten meanwhile")]
    Forgotten,
}

impl StoreError {
    /// The same for one more caller.
    fn again(&self) -> Self {
        match self {
            Self::Database(error) => Self::Database(error.clone()),
            Self::Document(error) => Self::Database(DbErr::Json(error.to_string())),
            Self::Duplicate => Self::Duplicate,
            Self::Interrupted => Self::Interrupted,
            Self::Unseen(kind, name) => Self::Unseen(kind, name.clone()),
            Self::Schema(problem) => Self::Schema(problem.clone()),
            Self::Held(who) => Self::Held(who.clone()),
            Self::TakenOver => Self::TakenOver,
            Self::Fenced => Self::Fenced,
            Self::Forgotten => Self::Forgotten,
        }
    }

    /// Whether the same may go through later: nothing is wrong with what was asked.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Database(error) => failure::of(error) != Failure::Data,
            Self::Interrupted => true,
            _ => false,
        }
    }

    fn of_steps(error: DbErr) -> Self {
        match error {
            DbErr::Migration(problem) => Self::Schema(problem),
            error => Self::Database(error),
        }
    }

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
    queue: change::Queue,
    domains: change::Domains,
    /// Held by whoever changes settings or reads the rules into memory.
    turn: Arc<tokio::sync::Mutex<()>>,
    holder: lease::Holder,
    /// This process as a node of a cluster.
    member: Option<Arc<Member>>,
    era: era::Era,
    /// Comes when another node has answered a command.
    answered: Arc<tokio::sync::Notify>,
}

/// As what a process uses its database.
enum As {
    /// Whoever opened it sees to it that nobody else writes.
    Trusted,
    /// The only one.
    Alone(Me),
    /// One of several.
    Node(Joining),
}

/// Rows of one statement at most: SQLite takes 32,766 values.
const ROWS: usize = 500;
/// Connections to a database over the network, beside the one that keeps the lease.
const CONNECTIONS: u32 = 16;

impl Store {
    /// Connects, migrates and fills the caches. Whoever calls sees to it that nobody else writes: see [`Store::open_alone`].
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        Self::open_as(url, As::Trusted).await
    }

    /// As [`Store::open`], and as the one process that does so: a database over the network by its lease, a file by the lock on it,
    /// which the caller holds.
    pub async fn open_alone(url: &str, me: Me) -> Result<Self, StoreError> {
        Self::open_as(url, As::Alone(me)).await
    }

    /// As [`Store::open`], and as a node of a cluster. The database must be PostgreSQL.
    pub async fn open_as_node(url: &str, joining: Joining) -> Result<Self, StoreError> {
        Self::open_as(url, As::Node(joining)).await
    }

    async fn open_as(url: &str, who: As) -> Result<Self, StoreError> {
        let dead = Dead::default();
        let (mut held, mut member) = (None, None);
        let (write, read) = if url.starts_with("sqlite:") {
            let write = Database::connect(sqlite(url, 1)).await?;
            migration::up(&write).await.map_err(StoreError::of_steps)?;
            let read = Database::connect(sqlite(url, 4)).await?;
            (write, read)
        } else {
            let first = Database::connect(patience::options(url, 1, &dead)).await?;
            migration::up(&first).await.map_err(StoreError::of_steps)?;
            match who {
                As::Alone(me) => held = Some(Lease::take(first, dead.clone(), me).await?),
                As::Node(joining) => {
                    member = Some(Member::join(first, dead.clone(), joining).await?);
                }
                As::Trusted => first.close().await?,
            }
            let shared = Database::connect(patience::options(url, CONNECTIONS, &dead)).await?;
            (shared.clone(), shared)
        };
        let of_member = member.as_ref().map(|member| member.hold().clone());
        let hold = held.as_ref().map(|lease| lease.hold().clone());
        let hold = hold.or(of_member);
        let store = Self {
            write: Patient::new(write, dead.clone(), hold),
            read: Patient::new(read, dead, None),
            rules: rules::Cache::default(),
            queue: change::Queue::default(),
            domains: change::Domains::default(),
            turn: Arc::default(),
            holder: lease::Holder(held),
            member,
            era: era::Era::default(),
            answered: Arc::default(),
        };
        store.fill_rules().await?;
        Ok(store)
    }

    /// Comes when another process took the database over, with a sentence about it.
    pub async fn taken_over(&self) -> String {
        match &self.holder.0 {
            Some(lease) => lease.hold().lost().await,
            None => std::future::pending().await,
        }
    }

    /// Whether the database answers, and is this process's.
    pub async fn ping(&self) -> Result<(), StoreError> {
        if let Some(lease) = &self.holder.0 {
            lease.hold().check()?;
        }
        if let Some(member) = &self.member {
            member.hold().check()?;
        }
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

    /// Forgets everything but the clock, which goes on: all of it or nothing.
    pub async fn clear(&self) -> Result<(), StoreError> {
        self.replace_all(Settings::default()).await
    }

    /// As [`Store::clear`], and puts settings in the place of what was there.
    ///
    /// # Errors
    /// The database does not answer, or refuses them: then all is as it was.
    pub async fn replace_all(&self, settings: Settings) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        let locked = self.lock().await?;
        forget_all(&locked.tx).await?;
        settings.write(&locked.tx).await?;
        let version = locked.commit(true, true).await.inspect_err(|_| {
            self.rules.doubt();
            self.reread_if_doubtful();
        })?;
        self.domains.forget();
        self.rules.fill(settings.into_rules(), version.0);
        Ok(())
    }

    /// Closes the connections, so that SQLite leaves no write-ahead log behind.
    pub async fn close(&self) {
        let _ = self.read.close().await;
        let _ = self.write.close().await;
        if let Some(lease) = &self.holder.0 {
            lease.give_back().await;
        }
        if let Some(member) = &self.member {
            member.give_back().await;
        }
    }
}

/// Rows that one statement deletes where a database over the network would take too long with all of them.
const DELETED_AT_ONCE: u64 = 20_000;

/// Deletes every row of everything but the clock.
async fn forget_all(tx: &Patient<DatabaseTransaction>) -> Result<(), DbErr> {
    for table in [
        "record_rule",
        "record_session",
        "record_slice",
        "record_file",
        "callback",
        "minute_inflow",
        "minute_outflow",
        "minute_answer",
        "hour_visitor",
        "publish_session",
        "stream_control",
    ] {
        let sql = match tx.get_database_backend() {
            DbBackend::Postgres => format!(
                "DELETE FROM {table} WHERE id IN (SELECT id FROM {table} LIMIT {DELETED_AT_ONCE})"
            ),
            DbBackend::MySql => format!("DELETE FROM {table} LIMIT {DELETED_AT_ONCE}"),
            _ => format!("DELETE FROM {table}"),
        };
        while tx.execute_unprepared(&sql).await?.rows_affected() >= DELETED_AT_ONCE {}
    }
    entity::document::Entity::delete_many()
        .filter(entity::document::Column::Kind.ne(documents::Kind::Clock.as_str()))
        .exec(tx)
        .await?;
    Ok(())
}

/// The file of a SQLite database, links followed, so that all who use it have one name for it; none where it is in memory or over the network.
#[must_use]
pub fn file_of(url: &str) -> Option<PathBuf> {
    let path = url.strip_prefix("sqlite:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    if path.is_empty() || path == ":memory:" || query.contains("mode=memory") {
        return None;
    }
    let path = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
    let path = Path::new(path.as_ref());
    if let Ok(known) = path.canonicalize() {
        return Some(known);
    }
    // It is about to be made.
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).canonicalize();
    Some(folder.ok()?.join(path.file_name()?))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rule::tests::rule;
    use documents::Kind;

    #[tokio::test]
    async fn settings_that_are_refused_leave_all_as_it_was() {
        let (store, folder) = testbed::store().await;
        store.insert_rule(rule("old", "*")).await.unwrap();
        store.put_document(Kind::Tags, "old", &1).await.unwrap();
        let held = async |store: &Store| {
            let rules = store.rules_of("d");
            let mut held: Vec<String> = rules.iter().map(|rule| rule.app.clone()).collect();
            let tags: Vec<(String, u8)> = store.list_documents(Kind::Tags).await.unwrap();
            held.extend(tags.into_iter().map(|(name, _)| name));
            held
        };
        let twice = Settings::of_rules(vec![rule("new", "*"), rule("new", "*")]);
        assert!(store.replace_all(twice).await.is_err());
        assert_eq!(held(&store).await, ["old", "old"]);
        let mut settings = Settings::of_rules(vec![rule("b", "*"), rule("a", "*")]);
        settings.put(Kind::Tags, "new", &1).unwrap();
        store.replace_all(settings).await.unwrap();
        assert_eq!(held(&store).await, ["b", "a", "new"]);
        store.close().await;
        let again = testbed::open(&folder).await;
        assert_eq!(held(&again).await, ["b", "a", "new"]);
    }

    #[test]
    fn a_database_that_is_a_file_has_one_name() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::os::unix::fs::symlink(root.join("a.db"), root.join("b.db")).unwrap();
        let url = |name: &str| format!("sqlite://{}/{name}?mode=rwc", root.display());
        assert_eq!(file_of(&url("a.db")), Some(root.join("a.db")));
        std::fs::write(root.join("a.db"), b"").unwrap();
        assert_eq!(file_of(&url("b.db")), Some(root.join("a.db")));
        for other in ["sqlite::memory:", "sqlite://?mode=memory", "postgres://h/d"] {
            assert_eq!(file_of(other), None, "{other}");
        }
    }
}
