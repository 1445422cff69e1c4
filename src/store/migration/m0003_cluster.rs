//! The row that every change of settings locks, with the versions of what it changes; and the leases of processes.

use sea_orm::{ConnectionTrait, DbErr, Statement};

use super::schema::{Schema, big_integer, string_len};

pub(super) async fn up(schema: &Schema<'_>) -> Result<(), DbErr> {
    schema
        .create(
            schema
                .table("cluster")
                .col(big_integer("id").primary_key())
                .col(big_integer("generation"))
                .col(big_integer("rules_version"))
                .col(big_integer("documents_version")),
        )
        .await?;
    schema
        .create(
            schema
                .table("node")
                .col(string_len("id", 255).primary_key())
                .col(string_len("incarnation", 40))
                .col(string_len("address", 255))
                .col(string_len("version", 40))
                .col(string_len("state", 20))
                .col(string_len("data_lock", 255))
                .col(big_integer("expires_at")),
        )
        .await?;
    // A step that was broken off half way is done once more where the database cannot take table changes back.
    let db = schema.db();
    let rows = db
        .query_all_raw(Statement::from_string(
            db.get_database_backend(),
            "SELECT id FROM cluster",
        ))
        .await?;
    if rows.is_empty() {
        db.execute_unprepared(
                "INSERT INTO cluster (id, generation, rules_version, documents_version) VALUES (1, 1, 1, 1)",
            )
            .await?;
    }
    Ok(())
}
