//! What was counted in a minute: what streams brought, what viewers were sent, what they were answered, and who came.

use sea_orm::DbErr;

use super::schema::{Schema, auto_id, big_integer, boolean, integer, string_len};

pub(super) async fn up(schema: &Schema<'_>) -> Result<(), DbErr> {
    schema
        .create(
            schema
                .table("minute_inflow")
                .col(auto_id())
                .col(big_integer("minute"))
                .col(big_integer("stream_hash"))
                .col(big_integer("ingest_hash"))
                .col(string_len("domain", 255))
                .col(string_len("app", 255))
                .col(string_len("stream", 255))
                .col(string_len("ingest_domain", 255))
                .col(big_integer("bytes"))
                .col(big_integer("video_frames"))
                .col(big_integer("video_bytes"))
                .col(big_integer("video_ms"))
                .col(big_integer("audio_frames"))
                .col(big_integer("audio_bytes"))
                .col(big_integer("audio_ms")),
        )
        .await?;
    schema
        .create(
            schema
                .table("minute_outflow")
                .col(auto_id())
                .col(big_integer("minute"))
                .col(big_integer("stream_hash"))
                .col(string_len("domain", 255))
                .col(string_len("app", 255))
                .col(string_len("stream", 255))
                .col(string_len("player", 10))
                .col(boolean("secure"))
                .col(big_integer("bytes"))
                .col(big_integer("viewers"))
                .col(big_integer("came")),
        )
        .await?;
    schema
        .create(
            schema
                .table("minute_answer")
                .col(auto_id())
                .col(big_integer("minute"))
                .col(string_len("domain", 255))
                .col(integer("status"))
                .col(big_integer("answers")),
        )
        .await?;
    schema
        .create(
            schema
                .table("hour_visitor")
                .col(auto_id())
                .col(big_integer("hour"))
                .col(string_len("domain", 255))
                .col(big_integer("visitor")),
        )
        .await?;
    for (table, columns) in [
        ("minute_inflow", ["stream_hash", "minute"]),
        ("minute_inflow", ["ingest_hash", "minute"]),
        ("minute_inflow", ["domain", "minute"]),
        ("minute_inflow", ["ingest_domain", "minute"]),
        ("minute_outflow", ["stream_hash", "minute"]),
        ("minute_outflow", ["domain", "minute"]),
        ("minute_answer", ["domain", "minute"]),
        ("hour_visitor", ["domain", "hour"]),
    ] {
        schema.create_index(table, &columns).await?;
    }
    Ok(())
}
