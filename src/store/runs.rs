//! How many runs a database has seen: SQLite only, in the number that its head keeps for whoever uses it.

use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, PaginatorTrait, QueryOrder, Statement};

use super::entity::{callback, publish_session, record_file, record_session};
use super::{Store, StoreError};

impl Store {
    /// The number that the last run left; 0 where none counted itself, or where the database is no SQLite.
    pub async fn run_number(&self) -> Result<i64, StoreError> {
        if self.write.get_database_backend() != DbBackend::Sqlite {
            return Ok(0);
        }
        let asked = Statement::from_string(DbBackend::Sqlite, "PRAGMA user_version");
        let row = self.write.query_one_raw(asked).await?;
        Ok(match row {
            Some(row) => i64::from(row.try_get_by_index::<i32>(0)?),
            None => 0,
        })
    }

    /// A number that no earlier run on this database has had, where that run left anything: how many runs it has seen, or rows.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn generation(&self) -> Result<u64, StoreError> {
        if self.write.get_database_backend() == DbBackend::Sqlite {
            return Ok(u64::try_from(self.run_number().await?).unwrap_or(0));
        }
        let newest = callback::Entity::find()
            .order_by_desc(callback::Column::Id)
            .one(&self.write)
            .await?;
        let callbacks = newest.map_or(0, |row| u64::try_from(row.id).unwrap_or(0));
        let sessions = record_session::Entity::find().count(&self.write).await?;
        let files = record_file::Entity::find().count(&self.write).await?;
        let pushes = publish_session::Entity::find().count(&self.write).await?;
        Ok(callbacks + sessions + files + pushes)
    }

    /// Leaves this run's number.
    pub async fn keep_run_number(&self, run: i64) -> Result<(), StoreError> {
        if self.write.get_database_backend() == DbBackend::Sqlite {
            let run = i32::try_from(run).unwrap_or(i32::MAX);
            let kept = format!("PRAGMA user_version = {run}");
            self.write.execute_unprepared(&kept).await?;
        }
        Ok(())
    }
}
