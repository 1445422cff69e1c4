//! Slices and files are looked up by session each time a playlist is written: without an index that reads every row there is.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["record_slice", "record_file"] {
            let index = Index::create()
                .name(format!("idx_{table}_session_id"))
                .table(Alias::new(table))
                .col(Alias::new("session_id"))
                .to_owned();
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, _: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration("the schema only goes up".to_owned()))
    }
}
