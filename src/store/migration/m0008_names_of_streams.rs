//! Streams are found by their names alone: whoever forbids one names its ingest domain as well as its streaming domain, and of ten thousand
//! rows each was looked at. Nodes of the release before live with an index, and are told so.

use sea_orm::{ConnectionTrait, DbErr};

use super::schema::Schema;

pub(super) async fn up(schema: &Schema<'_>) -> Result<(), DbErr> {
    schema
        .create_index("live_stream", &["stream", "app"])
        .await?;
    schema
        .db()
        .execute_unprepared("UPDATE cluster SET tolerates = 'm0008_names_of_streams'")
        .await
        .map(drop)
}
