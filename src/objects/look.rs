//! Looking into the store, whichever it is: its buckets, a page of a folder, an object's facts and its bytes. For the console; what people
//! and programs read over OSS and S3 goes through `serve`.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::Stream;

use super::folder::{Acl, CorsRule, FolderError, ListQuery, ObjectInfo};
use super::{Objects, Store};

/// An object's bytes on their way; an error ends them before their end.
pub type Content = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// Why nothing can be seen.
///
/// # What to do
/// The control plane answers 404, 404, 403 and 502, in this order. Only `Failed` may pass.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    #[error("there is no bucket {0}")]
    NoSuchBucket(String),
    #[error("there is no object {0}")]
    NoSuchKey(String),
    #[error("the store refuses it: {0}")]
    Refused(String),
    #[error("the store failed: {0}")]
    Failed(String),
}

impl From<FolderError> for LookError {
    fn from(error: FolderError) -> Self {
        match error {
            FolderError::NoSuchBucket(name) | FolderError::InvalidBucketName(name) => {
                Self::NoSuchBucket(name)
            }
            FolderError::NoSuchKey(key) => Self::NoSuchKey(key),
            FolderError::InvalidKey(_) | FolderError::KeyTooLong => {
                Self::Refused(error.to_string())
            }
            other => Self::Failed(other.to_string()),
        }
    }
}

/// A bucket; what an outside store does not tell in its list is absent.
#[derive(Debug, Clone)]
pub struct Bucket {
    pub name: String,
    pub created_ms: Option<i64>,
    pub acl: Option<Acl>,
    pub cors: Vec<CorsRule>,
}

/// An object; what an outside store does not tell is absent.
#[derive(Debug, Clone)]
pub struct Object {
    pub key: String,
    pub size: u64,
    pub last_modified_ms: i64,
    pub etag: String,
    pub content_type: Option<String>,
    pub acl: Option<Acl>,
    pub crc64: Option<u64>,
    pub user_metadata: BTreeMap<String, String>,
}

impl From<ObjectInfo> for Object {
    fn from(info: ObjectInfo) -> Self {
        Self {
            key: info.key,
            size: info.size,
            last_modified_ms: info.last_modified_ms,
            etag: info.etag,
            content_type: Some(info.content_type),
            acl: Some(info.meta.acl),
            crc64: Some(info.crc64),
            user_metadata: info.meta.user_metadata,
        }
    }
}

/// A page of a folder.
#[derive(Debug, Clone, Default)]
pub struct Page {
    pub objects: Vec<Object>,
    /// The folders in it, each with the slash at its end.
    pub folders: Vec<String>,
    /// Where the next page goes on.
    pub next: Option<String>,
}

impl Objects {
    /// All buckets.
    pub async fn buckets(&self) -> Result<Vec<Bucket>, LookError> {
        let found = match &self.store {
            Store::Outside(client) => return client.buckets().await,
            Store::Embedded(store) => store.list_buckets().await?,
        };
        let buckets = found.into_iter().map(|info| Bucket {
            name: info.name,
            created_ms: Some(info.created_ms),
            acl: Some(info.acl),
            cors: info.cors,
        });
        Ok(buckets.collect())
    }

    /// A page of what begins with `prefix`; behind a slash nothing is told of single objects where `folded`.
    pub async fn page(
        &self,
        bucket: &str,
        prefix: &str,
        folded: bool,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page, LookError> {
        let store = match &self.store {
            Store::Outside(client) => {
                return client.page(bucket, prefix, folded, after, limit).await;
            }
            Store::Embedded(store) => store,
        };
        let query = ListQuery {
            prefix: prefix.to_owned(),
            delimiter: if folded { "/" } else { "" }.to_owned(),
            after: after.unwrap_or_default().to_owned(),
            max_keys: limit,
        };
        let page = store.list(bucket, query).await?;
        Ok(Page {
            objects: page.objects.into_iter().map(Object::from).collect(),
            folders: page.common_prefixes,
            next: page.next,
        })
    }

    /// What is known of an object.
    pub async fn facts(&self, bucket: &str, key: &str) -> Result<Object, LookError> {
        let store = match &self.store {
            Store::Outside(client) => return client.facts(bucket, key).await,
            Store::Embedded(store) => store,
        };
        let info = store.head(bucket, key).await?;
        info.map(Object::from)
            .ok_or_else(|| LookError::NoSuchKey(key.to_owned()))
    }

    /// The bytes of an object from `start` on, `length` of them.
    pub async fn content(
        &self,
        bucket: &str,
        key: &str,
        start: u64,
        length: u64,
    ) -> Result<Content, LookError> {
        let store = match &self.store {
            Store::Outside(client) => return client.content(bucket, key, start, length).await,
            Store::Embedded(store) => store,
        };
        let (_, reader) = store
            .read(bucket, key, |_| Ok::<_, FolderError>((start, length)))
            .await?;
        Ok(Box::pin(reader.into_stream()))
    }

    /// Says who may read a bucket of the embedded store.
    pub async fn publish_bucket(&self, bucket: &str, acl: Acl) -> Result<(), LookError> {
        match &self.store {
            Store::Outside(_) => Err(LookError::Refused(
                "its access control is that store's own".to_owned(),
            )),
            Store::Embedded(store) => Ok(store.set_bucket_acl(bucket, acl).await?),
        }
    }
}
