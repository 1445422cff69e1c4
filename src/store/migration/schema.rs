//! What the steps are written with: tables, columns and indexes alike on each database.

use sea_orm::sea_query::{Alias, ColumnDef, Index, Table, TableCreateStatement};
use sea_orm::{ConnectionTrait, DatabaseExecutor, DbBackend, DbErr, Statement};

pub(super) struct Schema<'a> {
    db: &'a DatabaseExecutor<'a>,
}

impl<'a> Schema<'a> {
    pub fn new(db: &'a DatabaseExecutor<'a>) -> Self {
        Self { db }
    }

    pub fn db(&self) -> &DatabaseExecutor<'a> {
        self.db
    }

    /// A table to be made unless it is there. On MySQL every name is compared byte by byte, as the other databases do, and may hold
    /// any character, whatever the database was created with. Blanks at its end count where a later step says so, as `m0010_whole_texts` does.
    pub fn table(&self, name: &str) -> TableCreateStatement {
        let mut table = Table::create();
        table.table(Alias::new(name)).if_not_exists();
        if self.db.get_database_backend() == DbBackend::MySql {
            table.character_set("utf8mb4").collate("utf8mb4_bin");
        }
        table
    }

    pub async fn create(&self, table: &TableCreateStatement) -> Result<(), DbErr> {
        self.db.execute(table).await.map(drop)
    }

    /// Makes an index unless it is there: a step that was broken off on MySQL, which takes no table back, goes on where it was.
    pub async fn create_index(&self, table: &str, columns: &[&str]) -> Result<(), DbErr> {
        let name = format!("idx_{table}_{}", columns.join("_"));
        if self.has_index(table, &name).await? {
            return Ok(());
        }
        let mut index = Index::create();
        index.name(name).table(Alias::new(table));
        for column in columns {
            index.col(Alias::new(*column));
        }
        self.db.execute(&index).await.map(drop)
    }

    /// Adds a column unless it is there, as [`Schema::create_index`] does.
    pub async fn add_column(&self, table: &str, column: ColumnDef) -> Result<(), DbErr> {
        if self
            .has_column(table, column.get_column_name().as_str())
            .await?
        {
            return Ok(());
        }
        let mut alter = Table::alter();
        alter.table(Alias::new(table)).add_column(column);
        self.db.execute(&alter).await.map(drop)
    }

    async fn has_column(&self, table: &str, column: &str) -> Result<bool, DbErr> {
        let backend = self.db.get_database_backend();
        let sql = match backend {
            DbBackend::Postgres => {
                "SELECT column_name FROM information_schema.columns WHERE table_schema = CURRENT_SCHEMA() AND table_name = $1 AND column_name = $2"
            }
            DbBackend::MySql => {
                "SELECT column_name FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = ? AND column_name = ?"
            }
            _ => "SELECT name FROM pragma_table_info(?) WHERE name = ?",
        };
        let asked = Statement::from_sql_and_values(backend, sql, [table.into(), column.into()]);
        Ok(self.db.query_one_raw(asked).await?.is_some())
    }

    async fn has_index(&self, table: &str, name: &str) -> Result<bool, DbErr> {
        let backend = self.db.get_database_backend();
        let sql = match backend {
            DbBackend::Postgres => {
                "SELECT indexname FROM pg_indexes WHERE schemaname = CURRENT_SCHEMA() AND tablename = $1 AND indexname = $2"
            }
            DbBackend::MySql => {
                "SELECT index_name FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name = ? AND index_name = ?"
            }
            _ => {
                "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND name = ?"
            }
        };
        let asked = Statement::from_sql_and_values(backend, sql, [table.into(), name.into()]);
        Ok(self.db.query_one_raw(asked).await?.is_some())
    }
}

pub(super) fn col(name: &str) -> Alias {
    Alias::new(name)
}

/// The column `id`, which the database numbers.
pub(super) fn auto_id() -> ColumnDef {
    ColumnDef::new(col("id"))
        .big_integer()
        .not_null()
        .auto_increment()
        .primary_key()
        .take()
}

/// A column that is never null, of text of at most `length` characters.
pub(super) fn string_len(name: &str, length: u32) -> ColumnDef {
    ColumnDef::new(col(name))
        .string_len(length)
        .not_null()
        .take()
}

/// A column of text that is never null: of any length, but of 65,535 bytes at most on MySQL, until a step as `m0010_whole_texts` makes it longer.
pub(super) fn text(name: &str) -> ColumnDef {
    ColumnDef::new(col(name)).text().not_null().take()
}

pub(super) fn integer(name: &str) -> ColumnDef {
    ColumnDef::new(col(name)).integer().not_null().take()
}

pub(super) fn big_integer(name: &str) -> ColumnDef {
    ColumnDef::new(col(name)).big_integer().not_null().take()
}

pub(super) fn boolean(name: &str) -> ColumnDef {
    ColumnDef::new(col(name)).boolean().not_null().take()
}
