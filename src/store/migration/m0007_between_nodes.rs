//! How nodes reach each other, and which later steps a program may live with that does not know them.

use sea_orm::DbErr;

use super::schema::{Schema, string_len};

pub(super) async fn up(schema: &Schema<'_>) -> Result<(), DbErr> {
    schema
        .add_column("node", string_len("inside", 255).default("").take())
        .await?;
    schema
        .add_column("cluster", string_len("tolerates", 255).default("").take())
        .await
}
