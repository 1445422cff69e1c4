//! Where recordings go: the embedded object store, or any S3-compatible server by setting.
//!
//! The embedded store lies on the same file system, so a finished file is handed over by rename; an outside store gets it
//! through aws-sdk-s3. Either way an object that is there already is never overwritten unless it is the very same file.
//!
//! A crate of its own, so that a check of what lies above does not read it again. Nobody but localyun uses it, so every name may change.
#![forbid(unsafe_code)]

pub mod folder;
pub mod look;
pub mod s3;
pub mod serve;

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Semaphore;

use folder::{Acl, Adopted, Change, FolderError, FolderStore, NewObject, Teller};

// Called by the paths that they have everywhere.
use localyun_base::{clock, connection, disk, faults, identity, secrets, site};

use crate::faults::{Boundary, Faults};

/// Recordings that end together come to the embedded store a few at a time: each one takes a thread of its own.
static TURNS: Semaphore = Semaphore::const_new(4);

/// The metadata name that tells which recording file an object is.
const TAG: &str = "localyun-file";

/// Why an object could not be put.
///
/// # What to do
/// `NoSuchBucket` and `Denied` end a recording with the product's own status. On `Taken` the file gets another name beside it. On `Name` that
/// file cannot be kept, and the recording goes on. On `Failed` the same put is tried again: it is one object, however often it comes.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    #[error("the bucket does not exist")]
    NoSuchBucket,
    #[error("the store refuses the write: {0}")]
    Denied(String),
    /// Somebody else's object has that name.
    #[error("another object has that name")]
    Taken,
    #[error("the store keeps nothing under such a name: {0}")]
    Name(String),
    /// Worth trying again.
    #[error("the store failed: {0}")]
    Failed(String),
}

/// The configured store.
#[derive(Clone)]
pub enum Store {
    Embedded(FolderStore),
    Outside(Arc<s3::Client>),
}

/// The door to the object store.
#[derive(Clone)]
pub struct Objects {
    pub store: Store,
    pub faults: Arc<Faults>,
    /// Hears of what goes to an outside store; the embedded one tells of itself.
    teller: Option<Teller>,
    /// Buckets that are to be made as soon as the store is back.
    later: Arc<Mutex<HashSet<String>>>,
}

/// An object to be put.
pub struct Upload<'a> {
    pub bucket: &'a str,
    pub key: &'a str,
    pub content_type: &'static str,
    /// Names the recording file; the same file twice is one object.
    pub tag: &'a str,
    /// The stream's, on several nodes: what an earlier owner put is replaced, and a late put of it replaces nothing. 0: there is one process.
    pub epoch: i64,
}

impl Objects {
    #[must_use]
    pub fn new(store: Store, faults: Arc<Faults>) -> Self {
        Self {
            store,
            faults,
            teller: None,
            later: Arc::default(),
        }
    }

    /// Says who hears of what goes to an outside store.
    #[must_use]
    pub fn telling(mut self, teller: Teller) -> Self {
        self.teller = Some(teller);
        self
    }

    fn told(
        &self,
        what: &'static str,
        bucket: &str,
        key: &str,
        size: Option<u64>,
        done: Result<(), PutError>,
    ) -> Result<(), PutError> {
        if let (Ok(()), Some(tell)) = (&done, &self.teller) {
            tell(&Change {
                what,
                bucket,
                key,
                size,
            });
        }
        done
    }

    #[must_use]
    pub fn is_outside(&self) -> bool {
        matches!(self.store, Store::Outside(_))
    }

    /// The store is down: the bucket is created before the first object goes into it. A restart forgets that.
    pub fn create_later(&self, bucket: &str) {
        self.later().insert(bucket.to_owned());
    }

    fn later(&self) -> MutexGuard<'_, HashSet<String>> {
        self.later.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn catch_up(&self, bucket: &str) -> Result<(), PutError> {
        if self.later().contains(bucket) {
            self.create_bucket(bucket).await?;
            self.later().remove(bucket);
        }
        Ok(())
    }

    async fn struck(&self) -> Result<(), PutError> {
        for boundary in [Boundary::ObjectPut, Boundary::Store] {
            let Some(strike) = self.faults.strike(boundary) else {
                continue;
            };
            strike.delay().await;
            match strike.code.as_deref() {
                None => {}
                Some("NoSuchBucket") => return Err(PutError::NoSuchBucket),
                Some("AccessDenied") => return Err(PutError::Denied("injected fault".to_owned())),
                Some(code) => return Err(PutError::Failed(format!("injected fault {code}"))),
            }
        }
        Ok(())
    }

    /// Puts a finished local file, which is gone or useless afterwards.
    pub async fn put_file(&self, upload: &Upload<'_>, file: Adopted<'_>) -> Result<(), PutError> {
        self.struck().await?;
        match &self.store {
            Store::Embedded(store) => {
                let _turn = TURNS.acquire().await;
                let adopted = async {
                    let described = described(store, upload).await?;
                    let never = folder::Replace::Never;
                    store
                        .adopt_file(upload.bucket, upload.key, file, described, never)
                        .await
                };
                match adopted.await {
                    Ok(_) => Ok(()),
                    Err(FolderError::AlreadyExists(_)) => self.same_or_taken(upload).await,
                    Err(error) => Err(put_error(error)),
                }
            }
            Store::Outside(client) => {
                self.catch_up(upload.bucket).await?;
                let size = std::fs::metadata(file.path).ok().map(|found| found.len());
                let done = client.put_file(upload, TAG, file.path).await;
                self.told("put", upload.bucket, upload.key, size, done)
            }
        }
    }

    /// Puts a small text.
    pub async fn put_text(&self, upload: &Upload<'_>, text: String) -> Result<(), PutError> {
        self.struck().await?;
        match &self.store {
            Store::Embedded(store) => {
                let _turn = TURNS.acquire().await;
                let put = async {
                    if store.head(upload.bucket, upload.key).await?.is_some() {
                        return Err(FolderError::AlreadyExists(upload.key.to_owned()));
                    }
                    written(store, upload, text, folder::Replace::Never).await
                };
                match put.await {
                    Ok(_) => Ok(()),
                    Err(FolderError::AlreadyExists(_)) => self.same_or_taken(upload).await,
                    Err(error) => Err(put_error(error)),
                }
            }
            Store::Outside(client) => {
                self.catch_up(upload.bucket).await?;
                let size = u64::try_from(text.len()).ok();
                let done = client.put_text(upload, TAG, text).await;
                self.told("put", upload.bucket, upload.key, size, done)
            }
        }
    }

    /// Puts a small text in place of an earlier one of the same tag. An object of any other origin stays.
    pub async fn replace_text(&self, upload: &Upload<'_>, text: String) -> Result<(), PutError> {
        self.struck().await?;
        let store = match &self.store {
            Store::Embedded(store) => store,
            Store::Outside(client) => {
                self.catch_up(upload.bucket).await?;
                let size = u64::try_from(text.len()).ok();
                let done = client.replace_text(upload, TAG, text).await;
                return self.told("put", upload.bucket, upload.key, size, done);
            }
        };
        let _turn = TURNS.acquire().await;
        let put = async {
            let mut replace = folder::Replace::Never;
            if let Some(info) = store.head(upload.bucket, upload.key).await? {
                if info
                    .meta
                    .user_metadata
                    .get(TAG)
                    .is_none_or(|tag| tag != upload.tag)
                {
                    return Err(FolderError::AlreadyExists(upload.key.to_owned()));
                }
                replace = folder::Replace::Always;
            }
            written(store, upload, text, replace).await
        };
        put.await.map(|_| ()).map_err(put_error)
    }

    /// Puts bytes of our own, one piece behind the other, into an outside store, under a name that nobody else uses; nobody is told.
    pub async fn put_own(&self, bucket: &str, key: &str, body: Vec<Bytes>) -> Result<(), PutError> {
        self.struck().await?;
        match &self.store {
            Store::Embedded(_) => Err(PutError::Denied("it is for outside stores".to_owned())),
            Store::Outside(client) => client.put_own(bucket, key, body).await,
        }
    }

    /// Removes such bytes.
    pub async fn delete_own(&self, bucket: &str, key: &str) -> Result<(), PutError> {
        match &self.store {
            Store::Embedded(_) => Ok(()),
            Store::Outside(client) => client.delete(bucket, key).await.map(drop),
        }
    }

    async fn same_or_taken(&self, upload: &Upload<'_>) -> Result<(), PutError> {
        let Store::Embedded(store) = &self.store else {
            return Err(PutError::Taken);
        };
        match store.head(upload.bucket, upload.key).await {
            Ok(Some(info))
                if info
                    .meta
                    .user_metadata
                    .get(TAG)
                    .is_some_and(|tag| tag == upload.tag) =>
            {
                Ok(())
            }
            Ok(_) => Err(PutError::Taken),
            Err(error) => Err(put_error(error)),
        }
    }

    pub async fn bucket_exists(&self, bucket: &str) -> Result<bool, PutError> {
        match &self.store {
            Store::Embedded(store) => store.bucket_exists(bucket).await.map_err(put_error),
            Store::Outside(client) => client.bucket_exists(bucket).await,
        }
    }

    /// Creates a private bucket; one that exists is fine.
    pub async fn create_bucket(&self, bucket: &str) -> Result<(), PutError> {
        match &self.store {
            Store::Embedded(store) => match store.create_bucket(bucket, Acl::Private).await {
                Ok(_) | Err(FolderError::BucketAlreadyExists(_)) => Ok(()),
                Err(error) => Err(put_error(error)),
            },
            Store::Outside(client) => client.create_bucket(bucket).await,
        }
    }

    /// Removes an object; whether there was one.
    pub async fn delete(&self, bucket: &str, key: &str) -> Result<bool, PutError> {
        match &self.store {
            Store::Embedded(store) => match store.delete(bucket, key).await {
                Ok(found) => Ok(found),
                Err(FolderError::NoSuchBucket(_)) => Ok(false),
                Err(error) => Err(put_error(error)),
            },
            Store::Outside(client) => {
                let found = client.delete(bucket, key).await?;
                let done = self.told("delete", bucket, key, None, Ok(()));
                done.map(|()| found)
            }
        }
    }

    /// Forgets every object of the embedded store.
    pub async fn clear(&self) -> Result<(), PutError> {
        match &self.store {
            Store::Embedded(store) => store.clear().await.map_err(put_error),
            Store::Outside(_) => Ok(()),
        }
    }

    /// Whether the store answers.
    pub async fn ping(&self) -> Result<(), PutError> {
        match &self.store {
            Store::Embedded(store) => store.list_buckets().await.map(|_| ()).map_err(put_error),
            Store::Outside(client) => client.ping().await,
        }
    }
}

/// Writes a text as an object of the embedded store.
async fn written(
    store: &FolderStore,
    upload: &Upload<'_>,
    text: String,
    replace: folder::Replace,
) -> Result<folder::ObjectInfo, FolderError> {
    let mut draft = store.draft().await?;
    draft.write(text.into()).await?;
    let finished = draft.finish().await?;
    let described = described(store, upload).await?;
    store
        .commit(upload.bucket, upload.key, finished, described, replace)
        .await
}

/// What is kept of a recording's object besides its bytes. Nobody names a storage class for it, so it has its bucket's.
async fn described(store: &FolderStore, upload: &Upload<'_>) -> Result<NewObject, FolderError> {
    let bucket = store.bucket(upload.bucket).await?;
    Ok(NewObject {
        content_type: Some(upload.content_type.to_owned()),
        user_metadata: BTreeMap::from([(TAG.to_owned(), upload.tag.to_owned())]),
        storage_class: bucket.storage_class.of_objects(),
        ..NewObject::default()
    })
}

fn put_error(error: FolderError) -> PutError {
    match error {
        FolderError::NoSuchBucket(_) => PutError::NoSuchBucket,
        FolderError::InvalidBucketName(_) | FolderError::TooManyBuckets(_) => {
            PutError::Denied(error.to_string())
        }
        FolderError::InvalidKey(_) | FolderError::KeyTooLong => PutError::Name(error.to_string()),
        FolderError::AlreadyExists(_) => PutError::Taken,
        other => PutError::Failed(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use folder::{BucketClass, Redundancy, StorageClass};

    #[tokio::test]
    async fn a_recordings_objects_are_of_their_buckets_class() {
        let place = tempfile::tempdir().unwrap();
        let store = FolderStore::open(place.path().join("oss")).unwrap();
        let class = BucketClass::InfrequentAccess;
        store
            .create_bucket_of("liverec", Acl::Private, class, Redundancy::default())
            .await
            .unwrap();
        let objects = Objects::new(Store::Embedded(store.clone()), Arc::default());
        let upload = |key: &'static str| Upload {
            bucket: "liverec",
            key,
            content_type: "video/mp2t",
            tag: "t",
            epoch: 0,
        };
        let text = "#EXTM3U".to_owned();
        objects
            .put_text(&upload("put"), text.clone())
            .await
            .unwrap();
        objects
            .replace_text(&upload("replaced"), text)
            .await
            .unwrap();
        let path = place.path().join("finished.ts");
        std::fs::write(&path, b"hello").unwrap();
        let file = Adopted {
            path: &path,
            crc64: 0x40f0_22f7_ff49_57f6,
        };
        objects.put_file(&upload("moved"), file).await.unwrap();
        for key in ["put", "replaced", "moved"] {
            let kept = store.head("liverec", key).await.unwrap().unwrap();
            assert_eq!(
                (kept.meta.storage_class, kept.content_type.as_str()),
                (StorageClass::InfrequentAccess, "video/mp2t"),
                "{key}"
            );
        }
        let mut nowhere = upload("k");
        nowhere.bucket = "absent";
        let refused = objects.put_file(&nowhere, file).await;
        assert!(matches!(refused, Err(PutError::NoSuchBucket)));
    }
}
