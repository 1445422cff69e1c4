//! On MySQL and MariaDB texts and names are kept as the other databases keep them. TEXT ends at 65,535 bytes there, which the functions of a
//! domain, the body of a changed callback and what receivers answer exceed; and what the first steps compare names by takes blanks at their ends for
//! nothing, so that the lists of one stream showed another's and one certificate replaced another. The release before lives with both.

use sea_orm::{ConnectionTrait, DatabaseExecutor, DbBackend, DbErr, Statement};

use super::schema::Schema;

/// Tables in which names are compared that users choose, or which hold texts that users make long; and those texts.
const TABLES: [(&str, &[&str]); 8] = [
    ("record_rule", &["body"]),
    ("document", &["body"]),
    ("record_session", &[]),
    ("callback", &["body", "attempts"]),
    ("minute_inflow", &[]),
    ("minute_outflow", &[]),
    ("publish_session", &[]),
    ("stream_control", &[]),
];

pub(super) async fn up(schema: &Schema<'_>) -> Result<(), DbErr> {
    let db = schema.db();
    if db.get_database_backend() == DbBackend::MySql {
        let collation = exact(db).await?;
        for (table, texts) in TABLES {
            let kept = format!("CHARACTER SET utf8mb4 COLLATE {collation}");
            let mut alter = format!("ALTER TABLE {table} CONVERT TO {kept}");
            for text in texts {
                alter.push_str(&format!(", MODIFY {text} MEDIUMTEXT {kept} NOT NULL"));
            }
            db.execute_unprepared(&alter).await?;
        }
    }
    let tolerated = "m0008_names_of_streams,m0009_issued_keys,m0010_whole_texts";
    db.execute_unprepared(&format!("UPDATE cluster SET tolerates = '{tolerated}'"))
        .await
        .map(drop)
}

/// What compares texts byte by byte to their ends: MariaDB's, or MySQL's. A MySQL that has none of its own stays with what it has.
async fn exact(db: &DatabaseExecutor<'_>) -> Result<String, DbErr> {
    let sql = "SELECT collation_name AS name FROM information_schema.collations \
               WHERE collation_name IN ('utf8mb4_nopad_bin', 'utf8mb4_0900_bin') ORDER BY collation_name DESC";
    let asked = Statement::from_string(DbBackend::MySql, sql);
    match db.query_one_raw(asked).await? {
        Some(row) => row.try_get("", "name"),
        None => Ok("utf8mb4_bin".to_owned()),
    }
}
