//! Slices and files are looked up by session each time a playlist is written: without an index that reads every row there is.

use sea_orm::DbErr;

use super::schema::Schema;

pub(super) async fn up(schema: &Schema<'_>) -> Result<(), DbErr> {
    for table in ["record_slice", "record_file"] {
        schema.create_index(table, &["session_id"]).await?;
    }
    Ok(())
}
