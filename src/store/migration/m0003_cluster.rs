//! The row that every change of settings locks, with the versions of what it changes; and the leases of processes.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, string_len};

use super::{col, table};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                table(manager, "cluster")
                    .col(big_integer(col("id")).primary_key())
                    .col(big_integer(col("generation")))
                    .col(big_integer(col("rules_version")))
                    .col(big_integer(col("documents_version")))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                table(manager, "node")
                    .col(string_len(col("id"), 255).primary_key())
                    .col(string_len(col("incarnation"), 40))
                    .col(string_len(col("address"), 255))
                    .col(string_len(col("version"), 40))
                    .col(string_len(col("state"), 20))
                    .col(string_len(col("data_lock"), 255))
                    .col(big_integer(col("expires_at")))
                    .to_owned(),
            )
            .await?;
        // A step that was broken off half way is done once more where the database cannot take table changes back.
        let db = manager.get_connection();
        let rows = db
            .query_all_raw(sea_orm_migration::sea_orm::Statement::from_string(
                manager.get_database_backend(),
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

    async fn down(&self, _: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration("the schema only goes up".to_owned()))
    }
}
