//! The first schema: rules, documents, sessions, slices, files, callbacks.

use sea_orm::DbErr;
use sea_orm::sea_query::Index;

use super::schema::{Schema, auto_id, big_integer, boolean, col, integer, string_len, text};

pub(super) async fn up(schema: &Schema<'_>) -> Result<(), DbErr> {
    schema
        .create(
            schema
                .table("record_rule")
                .col(auto_id())
                .col(string_len("key_hash", 40).unique_key())
                .col(string_len("domain", 255))
                .col(text("body")),
        )
        .await?;
    schema
        .create(
            schema
                .table("document")
                .col(string_len("kind", 40))
                .col(string_len("name", 255))
                .col(text("body"))
                .primary_key(Index::create().col(col("kind")).col(col("name"))),
        )
        .await?;
    schema
        .create(
            schema
                .table("record_session")
                .col(string_len("id", 40).primary_key())
                .col(string_len("stream_hash", 40))
                .col(string_len("domain", 255))
                .col(string_len("app", 255))
                .col(string_len("stream", 255))
                .col(string_len("bucket", 255))
                .col(string_len("endpoint", 255))
                .col(text("prefix"))
                .col(big_integer("started_at"))
                .col(big_integer("ended_at"))
                .col(string_len("state", 20)),
        )
        .await?;
    schema
        .create_index("record_session", &["stream_hash", "started_at"])
        .await?;
    schema
        .create(
            schema
                .table("record_slice")
                .col(string_len("id", 64).primary_key())
                .col(string_len("stream_hash", 40))
                .col(string_len("session_id", 40))
                .col(big_integer("sequence"))
                .col(string_len("bucket", 255))
                .col(string_len("endpoint", 255))
                .col(text("object"))
                .col(big_integer("started_at"))
                .col(big_integer("ended_at"))
                .col(big_integer("duration_ms"))
                .col(big_integer("uploaded_at"))
                .col(boolean("discontinuity"))
                .col(integer("width"))
                .col(integer("height")),
        )
        .await?;
    schema
        .create_index("record_slice", &["stream_hash", "uploaded_at"])
        .await?;
    schema
        .create(
            schema
                .table("record_file")
                .col(string_len("id", 64).primary_key())
                .col(string_len("dedupe", 80).unique_key())
                .col(string_len("stream_hash", 40))
                .col(string_len("domain", 255))
                .col(string_len("app", 255))
                .col(string_len("stream", 255))
                .col(string_len("session_id", 40))
                .col(string_len("origin", 20))
                .col(string_len("format", 10))
                .col(string_len("bucket", 255))
                .col(string_len("endpoint", 255))
                .col(text("object"))
                .col(big_integer("started_at"))
                .col(big_integer("ended_at"))
                .col(big_integer("duration_ms"))
                .col(big_integer("size"))
                .col(integer("width"))
                .col(integer("height"))
                .col(big_integer("created_at")),
        )
        .await?;
    schema
        .create_index("record_file", &["stream_hash", "started_at"])
        .await?;
    schema
        .create(
            schema
                .table("callback")
                .col(auto_id())
                .col(string_len("dedupe", 120).unique_key())
                .col(string_len("domain", 255))
                .col(string_len("app", 255))
                .col(string_len("stream", 255))
                .col(string_len("kind", 40))
                .col(string_len("method", 8))
                .col(text("url"))
                .col(text("body"))
                .col(string_len("sign_host", 255))
                .col(string_len("sign_key", 64))
                .col(string_len("state", 10))
                .col(text("attempts"))
                .col(big_integer("created_at"))
                .col(big_integer("next_at"))
                .col(big_integer("done_at")),
        )
        .await?;
    schema.create_index("callback", &["state"]).await?;
    schema
        .create_index("callback", &["domain", "created_at"])
        .await
}
