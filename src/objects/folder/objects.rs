//! Single objects once they are there: head, read, delete, append, and changes of metadata.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;

use super::condition::Condition;
use super::digest::{combine_crc64, md5_of};
use super::draft::Finished;
use super::error::FolderError;
use super::model::{Acl, NewObject, ObjectInfo, ObjectKind};
use super::read::ObjectReader;
use super::record::{Record, Sidecar, Stamp};
use super::write::{Replace, Source};
use super::{FolderStore, Inner, Loaded, key, layout};
use crate::disk::held::no_follow;

impl FolderStore {
    /// What is known of an object; none when it does not exist.
    pub async fn head(&self, bucket: &str, key: &str) -> Result<Option<ObjectInfo>, FolderError> {
        let (bucket, key) = (bucket.to_owned(), key.to_owned());
        self.blocking(move |store| match store.load(&bucket, &key)? {
            Some(loaded) => store.info(&bucket, &key, &loaded).map(Some),
            None => Ok(None),
        })
        .await
    }

    /// Opens an object. `range` picks, from what is known of the object, the first byte and the length to read; it is
    /// called once, so what it decides holds for the very version that is read.
    ///
    /// # Errors
    /// What `range` answers, unchanged; else the store's own error in the caller's type, absence of the object included.
    pub async fn read<R, E>(
        &self,
        bucket: &str,
        key: &str,
        range: R,
    ) -> Result<(ObjectInfo, ObjectReader), E>
    where
        R: FnOnce(&ObjectInfo) -> Result<(u64, u64), E>,
        E: From<FolderError>,
    {
        let Source { info, loaded } = self.source(bucket, key).await?;
        let (start, length) = range(&info)?;
        let start = start.min(info.size);
        let length = length.min(info.size - start);
        Ok((info, ObjectReader::new(loaded.file, start, length)))
    }

    /// Removes an object; tells whether there was one.
    pub async fn delete(&self, bucket: &str, key: &str) -> Result<bool, FolderError> {
        self.delete_if(bucket, key, Condition::default()).await
    }

    /// Removes an object that meets conditions; tells whether there was one. Where there is none, nothing is refused.
    pub async fn delete_if(
        &self,
        bucket: &str,
        key: &str,
        condition: Condition,
    ) -> Result<bool, FolderError> {
        let (bucket, key) = (bucket.to_owned(), key.to_owned());
        self.blocking(move |store| store.delete_if(&bucket, &key, &condition))
            .await
    }

    /// Appends a finished draft to an appendable object of exactly `position` bytes; position 0 makes the object.
    /// Metadata counts when the object is made and is ignored after that; an access control list that is named counts each time.
    pub async fn append(
        &self,
        bucket: &str,
        key: &str,
        position: u64,
        finished: Finished,
        meta: NewObject,
        acl: Option<Acl>,
    ) -> Result<ObjectInfo, FolderError> {
        let (bucket, key) = (bucket.to_owned(), key.to_owned());
        self.blocking(move |store| {
            let made = store.append(&bucket, &key, position, &finished, meta, acl)?;
            // The first part is a commit of its own.
            if position != 0 {
                store.tell("put", &bucket, &key, Some(made.size));
            }
            Ok(made)
        })
        .await
    }

    /// An object's own access control list; none when the object does not exist.
    pub async fn acl(&self, bucket: &str, key: &str) -> Result<Option<Acl>, FolderError> {
        let (bucket, key) = (bucket.to_owned(), key.to_owned());
        self.blocking(move |store| {
            Ok(store
                .load(&bucket, &key)?
                .map(|loaded| loaded.record.meta.acl))
        })
        .await
    }

    /// Replaces an object's access control list.
    pub async fn set_acl(&self, bucket: &str, key: &str, acl: Acl) -> Result<(), FolderError> {
        self.change(bucket, key, move |meta| meta.acl = acl).await
    }

    /// Replaces an object's tags.
    pub async fn set_tags(
        &self,
        bucket: &str,
        key: &str,
        tags: Vec<(String, String)>,
    ) -> Result<(), FolderError> {
        self.change(bucket, key, move |meta| meta.tags = tags).await
    }

    async fn change(
        &self,
        bucket: &str,
        key: &str,
        change: impl FnOnce(&mut NewObject) + Send + 'static,
    ) -> Result<(), FolderError> {
        let (bucket, key) = (bucket.to_owned(), key.to_owned());
        self.blocking(move |store| {
            let _key = store.locks.key(&bucket, &key);
            let mut loaded = store.expect(&bucket, &key)?;
            store.settle(&bucket, &loaded)?;
            change(&mut loaded.record.meta);
            store.store_record(&bucket, &loaded.place, loaded.record, true)
        })
        .await
    }
}

impl Inner {
    fn delete_if(
        &self,
        bucket: &str,
        key: &str,
        condition: &Condition,
    ) -> Result<bool, FolderError> {
        self.layout.check_bucket(bucket)?;
        let encoded = key::encode(key)?;
        let _key = self.locks.key(bucket, key);
        if !condition.is_empty()
            && let Some(there) = self.load(bucket, key)?
        {
            condition.check(&self.info_locked(bucket, key, &there)?)?;
        }
        let _names = self.locks.names(bucket);
        let Some(place) = self.layout.find(bucket, &encoded)? else {
            return Ok(false);
        };
        let data = self.layout.data(bucket).join(&place);
        layout::remove_file(&data)?;
        self.layout.remove_meta(bucket, &place)?;
        if let Some(parent) = data.parent() {
            layout::sync_folder(parent)?;
        }
        self.layout.prune(bucket, &place);
        self.tell("delete", bucket, key, None);
        Ok(true)
    }

    /// Cuts off what an interrupted append left behind the bytes on record. The caller holds the key lock.
    pub(super) fn settle(&self, bucket: &str, loaded: &Loaded) -> Result<(), FolderError> {
        let stamp = loaded.record.stamp;
        if Stamp::of(&loaded.file)? != stamp {
            let file = File::options()
                .write(true)
                .open(self.layout.data(bucket).join(&loaded.place))?;
            file.set_len(stamp.size)?;
            stamp.put_back_on(&file)?;
            file.sync_all()?;
        }
        Ok(())
    }

    fn append(
        &self,
        bucket: &str,
        key: &str,
        position: u64,
        finished: &Finished,
        meta: NewObject,
        acl: Option<Acl>,
    ) -> Result<ObjectInfo, FolderError> {
        let _key = self.locks.key(bucket, key);
        let Some(loaded) = self.load(bucket, key)? else {
            if position != 0 {
                return Err(FolderError::PositionNotEqualToLength { length: 0 });
            }
            let record = Record {
                last_modified_ms: self.now(),
                etag: Some(append_etag(finished.crc64, finished.stamp.size)),
                crc64: Some(finished.crc64),
                kind: ObjectKind::Appendable,
                meta,
                ..Record::of_bare_file(finished.stamp)
            };
            return self.commit_locked(bucket, key, finished.temp.path(), record, &Replace::Always);
        };
        let old = loaded.record;
        if old.kind != ObjectKind::Appendable {
            return Err(FolderError::ObjectNotAppendable);
        }
        if old.stamp.size != position {
            return Err(FolderError::PositionNotEqualToLength {
                length: old.stamp.size,
            });
        }
        let added = finished.stamp.size;
        let crc64 = combine_crc64(old.crc64.unwrap_or_default(), finished.crc64, added);
        let size = position.saturating_add(added);
        let data = self.layout.data(bucket).join(&loaded.place);
        let stamp = Stamp {
            size,
            ..finished.stamp
        };
        let record = Record {
            stamp,
            last_modified_ms: self.now(),
            etag: Some(append_etag(crc64, size)),
            crc64: Some(crc64),
            append_from: Some(position),
            meta: NewObject {
                acl: acl.unwrap_or(old.meta.acl),
                ..old.meta.clone()
            },
            ..old.clone()
        };
        let mut sidecar = Sidecar {
            current: record,
            previous: Some(old),
        };
        self.store_sidecar(bucket, &loaded.place, &sidecar, true)?;
        let mut file = File::options()
            .write(true)
            .custom_flags(no_follow())
            .open(&data)?;
        // Bytes beyond the position are what an interrupted append left.
        file.set_len(position)?;
        file.seek(SeekFrom::Start(position))?;
        io::copy(&mut File::open(finished.temp.path())?, &mut file)?;
        stamp.put_back_on(&file)?;
        file.sync_all()?;
        // The bytes are whole: whatever becomes of the file from here on is no append that was cut short. A process that dies before this
        // leaves the record above, which tells the same of the file as it is now. The old record stays for who opened the old bytes.
        sidecar.current.append_from = None;
        self.store_sidecar(bucket, &loaded.place, &sidecar, true)?;
        let loaded = self.expect(bucket, key)?;
        self.info(bucket, key, &loaded)
    }
}

/// The ETag of an appendable object is no digest of its bytes, only different for each state.
fn append_etag(crc64: u64, size: u64) -> String {
    hex::encode(md5_of(format!("append {crc64:016x} {size}").as_bytes()))
}
