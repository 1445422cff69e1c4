//! The schema, one step a release. Steps only ever go up, and of several processes that start at once one at a time takes them.

mod m0001_init;
mod m0002_session_indexes;
mod m0003_cluster;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, QueryResult, Statement, TransactionTrait,
};
use sea_orm_migration::prelude::*;

pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_init::Migration),
            Box::new(m0002_session_indexes::Migration),
            Box::new(m0003_cluster::Migration),
        ]
    }
}

/// The advisory lock of PostgreSQL that the steps are taken under: the bytes of "localyun".
const LOCK: i64 = i64::from_be_bytes(*b"localyun");
/// Seconds that MariaDB waits for its lock; whoever holds it is at work on the same steps.
const LOCK_WAIT_S: u32 = 60;

/// Takes the steps that are missing. `db` must be a pool of one connection where the database is MariaDB: the lock is the session's.
pub async fn up(db: &DatabaseConnection) -> Result<(), DbErr> {
    match db.get_database_backend() {
        // Tables are made in the transaction that holds the lock: all of it, or nothing.
        DbBackend::Postgres => {
            let tx = db.begin().await?;
            let lock = format!("SELECT pg_advisory_xact_lock({LOCK})");
            tx.execute_unprepared(&lock).await?;
            Migrator::up(&tx, None).await?;
            tx.commit().await
        }
        DbBackend::MySql => {
            // Locks are the server's there, and each database has steps of its own.
            let name = "CONCAT('localyun ', SHA1(DATABASE()))";
            let ask = |sql: String| Statement::from_string(DbBackend::MySql, sql);
            let taken = db
                .query_one_raw(ask(format!(
                    "SELECT GET_LOCK({name}, {LOCK_WAIT_S}) AS taken"
                )))
                .await?;
            let is_taken = |row: QueryResult| row.try_get::<Option<i64>>("", "taken");
            if taken.map(is_taken).transpose()?.flatten() != Some(1) {
                return Err(DbErr::Migration(
                    "another process has been at work on the tables for a minute".to_owned(),
                ));
            }
            let done = Migrator::up(db, None).await;
            db.query_one_raw(ask(format!("SELECT RELEASE_LOCK({name})")))
                .await?;
            done
        }
        // The lock on its file keeps other processes away.
        _ => Migrator::up(db, None).await,
    }
}

/// On MySQL every name is compared byte by byte, as the other databases do, and may hold any character, whatever the
/// database was created with.
fn table(manager: &SchemaManager, name: &str) -> TableCreateStatement {
    let mut table = Table::create();
    table.table(Alias::new(name)).if_not_exists();
    if manager.get_database_backend() == DbBackend::MySql {
        table.character_set("utf8mb4").collate("utf8mb4_bin");
    }
    table
}

fn col(name: &str) -> Alias {
    Alias::new(name)
}

/// Makes an index unless it is there: a step that was broken off on MySQL, which takes no table back, goes on where it was.
async fn create_index(
    manager: &SchemaManager<'_>,
    table: &str,
    columns: &[&str],
) -> Result<(), DbErr> {
    let name = format!("idx_{table}_{}", columns.join("_"));
    if manager.has_index(table, &name).await? {
        return Ok(());
    }
    let mut index = Index::create();
    index.name(name).table(Alias::new(table));
    for column in columns {
        index.col(Alias::new(*column));
    }
    manager.create_index(index).await
}
