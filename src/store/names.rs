//! The order of names in lists: byte by byte on every database, as lists have it that are made in memory.

use sea_orm::sea_query::Expr;
use sea_orm::{DbBackend, IntoSimpleExpr};

/// What to order rows by for the order of a name.
pub(super) fn by_bytes(backend: DbBackend, name: impl IntoSimpleExpr) -> Expr {
    let name = name.into_simple_expr();
    match backend {
        // It goes by the language that the database was made for otherwise.
        DbBackend::Postgres => Expr::cust_with_expr("$1 COLLATE \"C\"", name),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::sea_query::PostgresQueryBuilder;
    use sea_orm::{EntityTrait, QueryOrder, QuerySelect, QueryTrait};

    use super::*;
    use crate::store::entity::publish_session::{Column, Entity};

    #[test]
    fn no_language_has_a_say_in_the_order_of_names() {
        let query = Entity::find()
            .select_only()
            .column(Column::Id)
            .order_by_desc(by_bytes(DbBackend::Postgres, Column::Stream));
        assert_eq!(
            query.into_query().to_string(PostgresQueryBuilder),
            r#"SELECT "publish_session"."id" FROM "publish_session" ORDER BY "publish_session"."stream" COLLATE "C" DESC"#
        );
    }
}
