//! What an error of the database means for whoever called it: try again, use another connection, give up, or look at the data.

use sea_orm::sqlx::error::DatabaseError;
use sea_orm::sqlx::mysql::MySqlDatabaseError;
use sea_orm::sqlx::sqlite::SqliteError;
use sea_orm::{DbErr, RuntimeErr, sqlx};

/// The kinds of errors that callers tell apart.
///
/// # What to do
/// Each kind says it: a `Conflict` is tried again, a `ReadOnly` or `Gone` one on another connection, an `Unable` one later, `Data` not at all. An
/// error of the library itself (`DbErr`) says nothing before [`of`] has sorted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Two transactions were in each other's way and this one was taken back whole: it may be tried again.
    Conflict,
    /// The server at the other end takes no writes (any more): nothing was done, and the connection leads to the wrong server.
    ReadOnly,
    /// The connection ended or was given up: whether the statement was carried out is not known.
    Gone,
    /// The server is not able to at the moment: it lacks room or memory, or its disk fails.
    Unable,
    /// The statement or its data.
    Data,
}

/// What an error means.
pub fn of(error: &DbErr) -> Failure {
    match error {
        DbErr::Exec(cause) | DbErr::Query(cause) | DbErr::Conn(cause) => of_cause(cause),
        DbErr::ConnectionAcquire(_) => Failure::Gone,
        _ => Failure::Data,
    }
}

fn of_cause(cause: &RuntimeErr) -> Failure {
    let RuntimeErr::SqlxError(cause) = cause else {
        return Failure::Gone;
    };
    match cause.as_ref() {
        sqlx::Error::Database(error) => of_database(error.as_ref()),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => Failure::Gone,
        _ => Failure::Data,
    }
}

fn of_database(error: &(dyn DatabaseError + 'static)) -> Failure {
    if let Some(error) = error.try_downcast_ref::<MySqlDatabaseError>() {
        return of_mysql(error.number());
    }
    let code = error.code().unwrap_or_default();
    if error.try_downcast_ref::<SqliteError>().is_some() {
        return of_sqlite(&code);
    }
    of_postgres(&code)
}

/// By SQLSTATE (PostgreSQL manual, appendix A).
fn of_postgres(code: &str) -> Failure {
    match code {
        // read_only_sql_transaction: a standby, or a primary that was demoted and is still up.
        "25006" => Failure::ReadOnly,
        // serialization_failure, deadlock_detected, lock_not_available.
        "40001" | "40P01" | "55P03" => Failure::Conflict,
        // admin_shutdown, crash_shutdown, cannot_connect_now, database_dropped, idle_session_timeout,
        // idle_in_transaction_session_timeout, too_many_connections.
        "57P01" | "57P02" | "57P03" | "57P04" | "57P05" | "25P03" | "53300" => Failure::Gone,
        code if code.starts_with("08") => Failure::Gone,
        // Insufficient resources; errors of the system below.
        code if code.starts_with("53") || code.starts_with("58") => Failure::Unable,
        _ => Failure::Data,
    }
}

/// By the numbers of MySQL and MariaDB.
fn of_mysql(number: u16) -> Failure {
    match number {
        // The server runs with read_only or super_read_only; it is in read-only mode; the transaction is read-only; the table is;
        // a Galera node that is not (or no longer) part of its cluster.
        1290 | 1836 | 1792 | 1036 | 1047 => Failure::ReadOnly,
        // Lock wait timeout, deadlock, a record that changed since the transaction's first read.
        1205 | 1213 | 1020 => Failure::Conflict,
        // Too many connections, shutdown in progress, broken packets, connection killed, disconnected for idleness.
        1040 | 1053 | 1152 | 1158..=1161 | 1184 | 1927 | 4031 => Failure::Gone,
        // A full disk, an error of writing, three of memory, a full table.
        1021 | 1026 | 1037 | 1038 | 1041 | 1114 => Failure::Unable,
        _ => Failure::Data,
    }
}

/// By the primary result code, which the low byte of an extended one is.
fn of_sqlite(code: &str) -> Failure {
    match code.parse::<u32>().map(|code| code & 0xff) {
        // SQLITE_BUSY, SQLITE_LOCKED.
        Ok(5 | 6) => Failure::Conflict,
        // SQLITE_NOMEM, SQLITE_IOERR, SQLITE_FULL, SQLITE_CANTOPEN.
        Ok(7 | 10 | 13 | 14) => Failure::Unable,
        _ => Failure::Data,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_takes_no_writes_is_the_wrong_one() {
        assert_eq!(of_postgres("25006"), Failure::ReadOnly);
        for number in [1290, 1836] {
            assert_eq!(of_mysql(number), Failure::ReadOnly, "{number}");
        }
        for code in ["57P01", "57P03", "08006"] {
            assert_eq!(of_postgres(code), Failure::Gone, "{code}");
        }
    }

    #[test]
    fn transactions_in_each_others_way_are_tried_again_and_bad_data_is_not() {
        assert_eq!(of_postgres("40P01"), Failure::Conflict);
        assert_eq!(of_mysql(1213), Failure::Conflict);
        // SQLITE_BUSY_SNAPSHOT.
        assert_eq!(of_sqlite("517"), Failure::Conflict);
        // A unique key, a value that is too long.
        assert_eq!(of_postgres("23505"), Failure::Data);
        assert_eq!(of_mysql(1406), Failure::Data);
        assert_eq!(of_sqlite("1555"), Failure::Data);
    }

    #[test]
    fn a_server_without_room_is_able_to_later() {
        for code in ["53100", "53200", "58030"] {
            assert_eq!(of_postgres(code), Failure::Unable, "{code}");
        }
        assert_eq!(of_postgres("53300"), Failure::Gone);
        assert_eq!(of_mysql(1021), Failure::Unable);
        // SQLITE_FULL, SQLITE_IOERR_WRITE.
        for code in ["13", "778"] {
            assert_eq!(of_sqlite(code), Failure::Unable, "{code}");
        }
    }

    #[test]
    fn a_pool_without_an_answer_is_gone() {
        let timed_out = RuntimeErr::SqlxError(std::sync::Arc::new(sqlx::Error::PoolTimedOut));
        assert_eq!(of(&DbErr::Conn(timed_out)), Failure::Gone);
        assert_eq!(of(&DbErr::RecordNotUpdated), Failure::Data);
    }
}
