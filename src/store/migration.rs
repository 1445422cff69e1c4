//! The schema, one step a release. Steps only ever go up, and of several processes that start at once one at a time takes them.
//!
//! The steps that a database has taken stand in its table `seaql_migrations`, a row each with the step's name and the second in
//! which it was taken: the form of SeaORM's migration library, which made the first releases' databases. The library itself is not
//! used: it turns on every optional part of SeaORM, and a tenth of the build went into parts that nothing here names.
//!
//! A program refuses a database of a later release, but for steps that the database says it can live with: nodes of two releases run
//! beside each other while they are exchanged one after the other. A step that only adds (a table, a column with a default) puts its
//! name alone into `cluster.tolerates`; any other step empties it.

mod m0001_init;
mod m0002_session_indexes;
mod m0003_cluster;
mod m0004_figures;
mod m0005_streams_told;
mod m0006_nodes;
mod m0007_between_nodes;
mod m0008_names_of_streams;
mod m0009_issued_keys;
mod m0010_whole_texts;
mod schema;

use std::future::Future;
use std::pin::Pin;

use sea_orm::sea_query::{Alias, ColumnDef, Expr, Order, Query, Table};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseExecutor, DbBackend, DbErr, QueryResult,
    Statement, TransactionTrait,
};

use schema::Schema;

type Taking<'a> = Pin<Box<dyn Future<Output = Result<(), DbErr>> + Send + 'a>>;

/// A step, and its name in the table of steps: the name of its file.
struct Step {
    name: &'static str,
    take: for<'a> fn(&'a Schema<'a>) -> Taking<'a>,
}

const STEPS: [Step; 10] = [
    Step {
        name: "m0001_init",
        take: |schema| Box::pin(m0001_init::up(schema)),
    },
    Step {
        name: "m0002_session_indexes",
        take: |schema| Box::pin(m0002_session_indexes::up(schema)),
    },
    Step {
        name: "m0003_cluster",
        take: |schema| Box::pin(m0003_cluster::up(schema)),
    },
    Step {
        name: "m0004_figures",
        take: |schema| Box::pin(m0004_figures::up(schema)),
    },
    Step {
        name: "m0005_streams_told",
        take: |schema| Box::pin(m0005_streams_told::up(schema)),
    },
    Step {
        name: "m0006_nodes",
        take: |schema| Box::pin(m0006_nodes::up(schema)),
    },
    Step {
        name: "m0007_between_nodes",
        take: |schema| Box::pin(m0007_between_nodes::up(schema)),
    },
    Step {
        name: "m0008_names_of_streams",
        take: |schema| Box::pin(m0008_names_of_streams::up(schema)),
    },
    Step {
        name: "m0009_issued_keys",
        take: |schema| Box::pin(m0009_issued_keys::up(schema)),
    },
    Step {
        name: "m0010_whole_texts",
        take: |schema| Box::pin(m0010_whole_texts::up(schema)),
    },
];

/// The table of the steps that were taken.
const TAKEN: &str = "seaql_migrations";
/// The advisory lock of PostgreSQL that the steps are taken under: the bytes of "localyun".
const LOCK: i64 = i64::from_be_bytes(*b"localyun");
/// Seconds that MariaDB waits for its lock; whoever holds it is at work on the same steps.
const LOCK_WAIT_S: u32 = 60;

/// Takes the steps that are missing. `db` must be a pool of one connection where the database is MariaDB: the lock is the session's.
///
/// # Errors
///
/// `DbErr::Migration` where the database was written by a later release, or where another process has held the lock for a minute;
/// else what the database refused.
pub async fn up(db: &DatabaseConnection) -> Result<(), DbErr> {
    match db.get_database_backend() {
        // Tables are made in the transaction that holds the lock: all of it, or nothing.
        DbBackend::Postgres => {
            let tx = db.begin().await?;
            let lock = format!("SELECT pg_advisory_xact_lock({LOCK})");
            tx.execute_unprepared(&lock).await?;
            take_missing((&tx).into()).await?;
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
            let done = take_missing(db.into()).await;
            db.query_one_raw(ask(format!("SELECT RELEASE_LOCK({name})")))
                .await?;
            done
        }
        // The lock on its file keeps other processes away.
        _ => take_missing(db.into()).await,
    }
}

async fn take_missing(db: DatabaseExecutor<'_>) -> Result<(), DbErr> {
    let (version, applied_at) = (Alias::new("version"), Alias::new("applied_at"));
    let mut table = Table::create();
    table
        .table(Alias::new(TAKEN))
        .if_not_exists()
        .col(
            ColumnDef::new(version.clone())
                .string()
                .not_null()
                .primary_key(),
        )
        .col(ColumnDef::new(applied_at.clone()).big_integer().not_null());
    db.execute(&table).await?;
    let mut taken = Query::select();
    taken
        .column(version.clone())
        .from(Alias::new(TAKEN))
        .order_by(version.clone(), Order::Asc);
    let taken = db.query_all(&taken).await?;
    let taken = taken
        .iter()
        .map(|row| row.try_get::<String>("", "version"))
        .collect::<Result<Vec<_>, _>>()?;
    let unknown: Vec<&String> = taken
        .iter()
        .filter(|name| STEPS.iter().all(|step| step.name != name.as_str()))
        .collect();
    if !unknown.is_empty() {
        let tolerated = tolerated(&db, &taken).await?;
        if unknown.iter().all(|name| tolerated.contains(name)) {
            tracing::warn!(
                steps = ?unknown,
                "a newer localyun has brought the database further, in a way that this one can live with"
            );
            return Ok(());
        }
    }
    if let Some(unknown) = unknown.first() {
        return Err(DbErr::Migration(format!(
            "the database was written by a newer localyun: its step {unknown} is not known to this one. Use the newer program, or another --data-dir or --database-url"
        )));
    }
    if let Some(last) = taken.last().filter(|_| taken.len() < STEPS.len()) {
        tracing::info!(
            last,
            steps = STEPS.len() - taken.len(),
            "the database of an older localyun is brought up to this one; the older program does not take it back"
        );
    }
    let schema = Schema::new(&db);
    for step in STEPS
        .iter()
        .filter(|step| taken.iter().all(|name| name != step.name))
    {
        (step.take)(&schema).await?;
        let now = std::time::SystemTime::UNIX_EPOCH
            .elapsed()
            .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(0));
        let mut note = Query::insert();
        note.into_table(Alias::new(TAKEN))
            .columns([version.clone(), applied_at.clone()])
            .values_panic([Expr::value(step.name), Expr::value(now)]);
        db.execute(&note).await?;
    }
    Ok(())
}

/// The steps that a program which does not know them may live with, as whoever took them has said.
async fn tolerated(db: &DatabaseExecutor<'_>, taken: &[String]) -> Result<Vec<String>, DbErr> {
    // Of a database that has no such word nothing is known.
    if taken.iter().all(|name| name != "m0007_between_nodes") {
        return Ok(Vec::new());
    }
    let mut word = Query::select();
    word.column(Alias::new("tolerates"))
        .from(Alias::new("cluster"));
    let row = db.query_one(&word).await?;
    let text: Option<String> = row.map(|row| row.try_get("", "tolerates")).transpose()?;
    let names = text.unwrap_or_default();
    Ok(names
        .split(',')
        .map(|name| name.trim().to_owned())
        .collect())
}

#[cfg(test)]
mod tests {
    use sea_orm::Database;

    use super::*;

    #[tokio::test]
    async fn steps_are_taken_once_and_a_later_releases_database_is_refused() {
        let db = Database::connect("sqlite::memory:").await.unwrap();
        up(&db).await.unwrap();
        up(&db).await.unwrap();
        let names = format!("SELECT version FROM {TAKEN} ORDER BY version");
        let rows = db
            .query_all_raw(Statement::from_string(DbBackend::Sqlite, names))
            .await
            .unwrap();
        assert_eq!(rows.len(), STEPS.len());
        for (row, step) in rows.iter().zip(&STEPS) {
            assert_eq!(row.try_get::<String>("", "version").unwrap(), step.name);
        }
        db.execute_unprepared(&format!("INSERT INTO {TAKEN} VALUES ('m9999_later', 1)"))
            .await
            .unwrap();
        let refused = up(&db).await.unwrap_err().to_string();
        assert!(
            refused.contains("a newer localyun: its step m9999_later"),
            "{refused}"
        );
        // The later release says that this one can live with its step, and with no other.
        db.execute_unprepared("UPDATE cluster SET tolerates = 'm9999_later'")
            .await
            .unwrap();
        up(&db).await.unwrap();
        db.execute_unprepared(&format!("INSERT INTO {TAKEN} VALUES ('m9999_other', 1)"))
            .await
            .unwrap();
        assert!(up(&db).await.is_err());
    }
}
