//! What a bucket holds, counted: the folders are all there is, so each question walks through them.

use super::error::FolderError;
use super::model::{ListQuery, StorageClass};
use super::walk::Step;
use super::{FolderStore, Inner};

/// Objects of one storage class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Held {
    pub objects: u64,
    pub bytes: u64,
}

/// What a bucket holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    pub standard: Held,
    pub infrequent_access: Held,
    /// Open multipart uploads, and the parts that lie in them.
    pub uploads: u64,
    pub parts: u64,
    pub part_bytes: u64,
}

impl FolderStore {
    /// Counts a bucket's objects and open uploads.
    pub async fn usage(&self, bucket: &str) -> Result<Usage, FolderError> {
        let bucket = bucket.to_owned();
        self.blocking(move |store| store.usage(&bucket)).await
    }
}

impl Inner {
    fn usage(&self, bucket: &str) -> Result<Usage, FolderError> {
        self.layout.check_bucket(bucket)?;
        let mut usage = Usage::default();
        if let Some(mut walk) = self.walk(bucket, &ListQuery::default())? {
            while let Some(step) = walk.next_step()? {
                let Step::Key(key) = step else { continue };
                let Some(found) = self.load(bucket, &key)? else {
                    continue;
                };
                let held = match found.record.meta.storage_class {
                    StorageClass::Standard => &mut usage.standard,
                    StorageClass::InfrequentAccess => &mut usage.infrequent_access,
                };
                held.objects += 1;
                held.bytes += found.record.stamp.size;
            }
        }
        self.count_uploads(bucket, &mut usage)?;
        Ok(usage)
    }
}
