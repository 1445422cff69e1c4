//! Temporary keys that nodes of a cluster have issued: one that any of them made is good at each.

use sea_orm::ConnectionTrait;

use super::owned::pg;
use super::{Store, StoreError};
use crate::clock::UnixMs;
use crate::model::issued_key::IssuedKey;

impl Store {
    /// Keeps a key for all nodes; false when there are `most` that have not ended.
    pub async fn keep_issued_key(
        &self,
        key: &IssuedKey,
        now: UnixMs,
        most: usize,
    ) -> Result<bool, StoreError> {
        if self.insert_issued_key(key, most).await? {
            return Ok(true);
        }
        self.forget_issued_keys(now).await?;
        self.insert_issued_key(key, most).await
    }

    async fn insert_issued_key(&self, key: &IssuedKey, most: usize) -> Result<bool, StoreError> {
        let sql = "INSERT INTO issued_key (id, secret, token, expires) SELECT $1, $2, $3, $4 \
                   WHERE (SELECT COUNT(*) FROM issued_key) < $5 RETURNING id";
        let values = [
            key.id.as_str().into(),
            key.secret.as_str().into(),
            key.token.as_str().into(),
            key.expires.into(),
            i64::try_from(most).unwrap_or(i64::MAX).into(),
        ];
        Ok(self.write.query_one_raw(pg(sql, values)).await?.is_some())
    }

    /// The key of an id, where a node has issued one.
    pub async fn find_issued_key(&self, id: &str) -> Result<Option<IssuedKey>, StoreError> {
        let sql = "SELECT id, secret, token, expires FROM issued_key WHERE id = $1";
        let Some(row) = self.read.query_one_raw(pg(sql, [id.into()])).await? else {
            return Ok(None);
        };
        Ok(Some(IssuedKey {
            id: row.try_get("", "id")?,
            secret: row.try_get("", "secret")?,
            token: row.try_get("", "token")?,
            expires: row.try_get("", "expires")?,
        }))
    }

    /// Forgets the keys that ended by then.
    pub async fn forget_issued_keys(&self, by: UnixMs) -> Result<(), StoreError> {
        let sql = "DELETE FROM issued_key WHERE expires <= $1";
        self.write.execute_raw(pg(sql, [by.into()])).await?;
        Ok(())
    }
}
