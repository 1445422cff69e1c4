//! The first schema: rules, documents, sessions, slices, files, callbacks.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, boolean, integer, string_len, text};

use super::{col, create_index, table};

#[derive(DeriveMigrationName)]
pub struct Migration;

fn auto_id() -> ColumnDef {
    ColumnDef::new(col("id"))
        .big_integer()
        .not_null()
        .auto_increment()
        .primary_key()
        .to_owned()
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                table(manager, "record_rule")
                    .col(auto_id())
                    .col(string_len(col("key_hash"), 40).unique_key())
                    .col(string_len(col("domain"), 255))
                    .col(text(col("body")))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                table(manager, "document")
                    .col(string_len(col("kind"), 40))
                    .col(string_len(col("name"), 255))
                    .col(text(col("body")))
                    .primary_key(Index::create().col(col("kind")).col(col("name")))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                table(manager, "record_session")
                    .col(string_len(col("id"), 40).primary_key())
                    .col(string_len(col("stream_hash"), 40))
                    .col(string_len(col("domain"), 255))
                    .col(string_len(col("app"), 255))
                    .col(string_len(col("stream"), 255))
                    .col(string_len(col("bucket"), 255))
                    .col(string_len(col("endpoint"), 255))
                    .col(text(col("prefix")))
                    .col(big_integer(col("started_at")))
                    .col(big_integer(col("ended_at")))
                    .col(string_len(col("state"), 20))
                    .to_owned(),
            )
            .await?;
        create_index(manager, "record_session", &["stream_hash", "started_at"]).await?;
        manager
            .create_table(
                table(manager, "record_slice")
                    .col(string_len(col("id"), 64).primary_key())
                    .col(string_len(col("stream_hash"), 40))
                    .col(string_len(col("session_id"), 40))
                    .col(big_integer(col("sequence")))
                    .col(string_len(col("bucket"), 255))
                    .col(string_len(col("endpoint"), 255))
                    .col(text(col("object")))
                    .col(big_integer(col("started_at")))
                    .col(big_integer(col("ended_at")))
                    .col(big_integer(col("duration_ms")))
                    .col(big_integer(col("uploaded_at")))
                    .col(boolean(col("discontinuity")))
                    .col(integer(col("width")))
                    .col(integer(col("height")))
                    .to_owned(),
            )
            .await?;
        create_index(manager, "record_slice", &["stream_hash", "uploaded_at"]).await?;
        manager
            .create_table(
                table(manager, "record_file")
                    .col(string_len(col("id"), 64).primary_key())
                    .col(string_len(col("dedupe"), 80).unique_key())
                    .col(string_len(col("stream_hash"), 40))
                    .col(string_len(col("domain"), 255))
                    .col(string_len(col("app"), 255))
                    .col(string_len(col("stream"), 255))
                    .col(string_len(col("session_id"), 40))
                    .col(string_len(col("origin"), 20))
                    .col(string_len(col("format"), 10))
                    .col(string_len(col("bucket"), 255))
                    .col(string_len(col("endpoint"), 255))
                    .col(text(col("object")))
                    .col(big_integer(col("started_at")))
                    .col(big_integer(col("ended_at")))
                    .col(big_integer(col("duration_ms")))
                    .col(big_integer(col("size")))
                    .col(integer(col("width")))
                    .col(integer(col("height")))
                    .col(big_integer(col("created_at")))
                    .to_owned(),
            )
            .await?;
        create_index(manager, "record_file", &["stream_hash", "started_at"]).await?;
        manager
            .create_table(
                table(manager, "callback")
                    .col(auto_id())
                    .col(string_len(col("dedupe"), 120).unique_key())
                    .col(string_len(col("domain"), 255))
                    .col(string_len(col("app"), 255))
                    .col(string_len(col("stream"), 255))
                    .col(string_len(col("kind"), 40))
                    .col(string_len(col("method"), 8))
                    .col(text(col("url")))
                    .col(text(col("body")))
                    .col(string_len(col("sign_host"), 255))
                    .col(string_len(col("sign_key"), 64))
                    .col(string_len(col("state"), 10))
                    .col(text(col("attempts")))
                    .col(big_integer(col("created_at")))
                    .col(big_integer(col("next_at")))
                    .col(big_integer(col("done_at")))
                    .to_owned(),
            )
            .await?;
        create_index(manager, "callback", &["state"]).await?;
        create_index(manager, "callback", &["domain", "created_at"]).await
    }

    async fn down(&self, _: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration("the schema only goes up".to_owned()))
    }
}
