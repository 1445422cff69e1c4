//! Several nodes on one database: whose stream is whose, what nodes tell each other, what they share. The columns that are added have
//! defaults, so that the version before writes its rows as it did.

use sea_orm::{ConnectionTrait, DbBackend, DbErr};

use super::schema::{Schema, auto_id, big_integer, boolean, string_len, text};

pub(super) async fn up(schema: &Schema<'_>) -> Result<(), DbErr> {
    schema
        .add_column("node", boolean("member").default(false).take())
        .await?;
    schema
        .add_column("node", string_len("rtmp", 255).default("").take())
        .await?;
    schema
        .add_column("node", big_integer("since").default(0).take())
        .await?;
    schema
        .add_column("cluster", string_len("mirror", 63).default("").take())
        .await?;
    schema
        .add_column("callback", string_len("owner", 64).default("").take())
        .await?;
    schema
        .create(
            schema
                .table("live_stream")
                .col(string_len("key_hash", 64).primary_key())
                .col(string_len("domain", 255))
                .col(string_len("app", 255))
                .col(string_len("stream", 255))
                .col(string_len("ingest_domain", 255))
                .col(string_len("node", 255))
                .col(string_len("incarnation", 40))
                .col(big_integer("epoch"))
                .col(text("mirror"))
                .col(string_len("state", 20))
                .col(string_len("address", 255))
                .col(big_integer("since"))
                .col(text("facts")),
        )
        .await?;
    schema.create_index("live_stream", &["incarnation"]).await?;
    schema.create_index("live_stream", &["domain"]).await?;
    schema
        .create(
            schema
                .table("command")
                .col(auto_id())
                .col(string_len("incarnation", 40))
                .col(string_len("verb", 20))
                .col(text("args"))
                .col(string_len("state", 20))
                .col(text("result"))
                .col(big_integer("at")),
        )
        .await?;
    schema
        .create_index("command", &["incarnation", "state"])
        .await?;
    schema
        .create(
            schema
                .table("job")
                .col(string_len("name", 40).primary_key())
                .col(string_len("incarnation", 40))
                .col(big_integer("until_ms")),
        )
        .await?;
    schema
        .create(
            schema
                .table("nonce")
                .col(string_len("hash", 64).primary_key())
                .col(big_integer("until_ms")),
        )
        .await?;
    schema.create_index("nonce", &["until_ms"]).await?;
    // Epochs only ever go up, whatever rows come and go. No other database can be a cluster's.
    if schema.db().get_database_backend() == DbBackend::Postgres {
        schema
            .db()
            .execute_unprepared("CREATE SEQUENCE IF NOT EXISTS live_stream_epoch")
            .await?;
    }
    Ok(())
}
