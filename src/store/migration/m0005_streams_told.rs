//! What is told of live streams: every push from its beginning to its end, and what calls did to streams.

use sea_orm::DbErr;

use super::schema::{Schema, auto_id, big_integer, string_len};

pub(super) async fn up(schema: &Schema<'_>) -> Result<(), DbErr> {
    schema
        .create(
            schema
                .table("publish_session")
                .col(string_len("id", 40).primary_key())
                .col(string_len("domain", 255))
                .col(string_len("app", 255))
                .col(string_len("stream", 255))
                .col(string_len("ingest_domain", 255))
                .col(string_len("address", 255))
                .col(big_integer("published_at"))
                .col(big_integer("stopped_at")),
        )
        .await?;
    for domain in ["domain", "ingest_domain"] {
        schema
            .create_index("publish_session", &[domain, "published_at"])
            .await?;
    }
    schema
        .create_index("publish_session", &["stopped_at"])
        .await?;
    schema
        .create(
            schema
                .table("stream_control")
                .col(auto_id())
                .col(string_len("domain", 255))
                .col(string_len("app", 255))
                .col(string_len("stream", 255))
                .col(string_len("action", 20))
                .col(string_len("client_ip", 64))
                .col(big_integer("at")),
        )
        .await?;
    schema
        .create_index("stream_control", &["domain", "at"])
        .await
}
