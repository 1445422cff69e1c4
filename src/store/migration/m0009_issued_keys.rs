//! Temporary keys that one node issued and all of them take. Nodes of the release before know those of their own as before, and are told that
//! they can live with the table; so are those that do not know the step before, which they can live with as well.

use sea_orm::{ConnectionTrait, DbErr};

use super::schema::{Schema, big_integer, string_len};

pub(super) async fn up(schema: &Schema<'_>) -> Result<(), DbErr> {
    schema
        .create(
            schema
                .table("issued_key")
                .col(string_len("id", 64).primary_key())
                .col(string_len("secret", 64))
                .col(string_len("token", 64))
                .col(big_integer("expires")),
        )
        .await?;
    schema.create_index("issued_key", &["expires"]).await?;
    schema
        .db()
        .execute_unprepared(
            "UPDATE cluster SET tolerates = 'm0008_names_of_streams,m0009_issued_keys'",
        )
        .await
        .map(drop)
}
