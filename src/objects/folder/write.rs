//! Putting objects in place: the commit that all writers share, and the writers that bring whole objects.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::sync::Semaphore;

use super::condition::Condition;
use super::digest::adopted_etag;
use super::draft::{Finished, TempFile};
use super::error::FolderError;
use super::model::{EtagForm, NewObject, ObjectInfo, ObjectKind};
use super::record::{Record, Sidecar, Stamp, write_json};
use super::{FolderStore, Inner, Loaded, digest_of, key, layout};

/// Files moved in at a time. The disk has no use for more, and each takes a thread with memory of its own.
static ADOPTING: Semaphore = Semaphore::const_new(4);

/// What a write does to an object that is there already.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Replace {
    #[default]
    Always,
    /// Refuses with [`FolderError::AlreadyExists`].
    Never,
    /// Refuses with [`FolderError::ConditionFailed`], or with [`FolderError::NoSuchKey`] where an object was demanded and there is none.
    If(Condition),
}

/// A local file to be moved in.
#[derive(Debug, Clone, Copy)]
pub struct Adopted<'a> {
    pub path: &'a Path,
    /// CRC-64 of its bytes.
    pub crc64: u64,
}

/// One version of an object, held open: what is decided by `info` holds for the bytes and the metadata that are taken of it.
pub struct Source {
    pub info: ObjectInfo,
    pub(super) loaded: Loaded,
}

impl FolderStore {
    /// Stores a stream as an object. For checks between the last byte and the commit, use [`FolderStore::draft`].
    pub async fn put_stream<S, E>(
        &self,
        bucket: &str,
        key: &str,
        meta: NewObject,
        mut body: S,
    ) -> Result<ObjectInfo, FolderError>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
        E: std::error::Error + Send + Sync + 'static,
    {
        self.check_target(bucket, key).await?;
        let mut draft = self.draft().await?;
        while let Some(bytes) = body.next().await {
            draft
                .write(bytes.map_err(|error| FolderError::Io(io::Error::other(error)))?)
                .await?;
        }
        self.commit(bucket, key, draft.finish().await?, meta, Replace::Always)
            .await
    }

    /// Says early, before a body is read, what a commit would refuse.
    pub async fn check_target(&self, bucket: &str, key: &str) -> Result<(), FolderError> {
        key::encode(key)?;
        let bucket = bucket.to_owned();
        self.blocking(move |store| store.layout.check_bucket(&bucket))
            .await
    }

    /// Makes a finished draft the object under `key`.
    pub async fn commit(
        &self,
        bucket: &str,
        key: &str,
        finished: Finished,
        meta: NewObject,
        replace: Replace,
    ) -> Result<ObjectInfo, FolderError> {
        let (bucket, key) = (bucket.to_owned(), key.to_owned());
        self.blocking(move |store| {
            let record = Record {
                stamp: finished.stamp,
                last_modified_ms: store.now(),
                etag: Some(hex::encode(finished.md5)),
                crc64: Some(finished.crc64),
                kind: match meta.symlink_target {
                    Some(_) => ObjectKind::Symlink,
                    None => ObjectKind::Normal,
                },
                meta,
                append_from: None,
                upload: None,
            };
            store.commit(&bucket, &key, finished.temp.path(), record, &replace)
        })
        .await
    }

    /// Moves a finished local file, whose CRC-64 its writer knows, into the store. On the same file system nothing is copied and
    /// nothing read. On a refusal the file stays where it was.
    pub async fn adopt_file(
        &self,
        bucket: &str,
        key: &str,
        file: Adopted<'_>,
        meta: NewObject,
        replace: Replace,
    ) -> Result<ObjectInfo, FolderError> {
        let (bucket, key, path) = (bucket.to_owned(), key.to_owned(), file.path.to_owned());
        let crc64 = file.crc64;
        let _turn = ADOPTING.acquire().await.map_err(io::Error::other)?;
        self.blocking(move |store| store.adopt(&bucket, &key, &path, crc64, meta, &replace))
            .await
    }

    /// Opens the object that a key names now.
    pub async fn source(&self, bucket: &str, key: &str) -> Result<Source, FolderError> {
        let (bucket, key) = (bucket.to_owned(), key.to_owned());
        self.blocking(move |store| {
            let loaded = store.expect(&bucket, &key)?;
            let info = store.info(&bucket, &key, &loaded)?;
            Ok(Source { info, loaded })
        })
        .await
    }

    /// Copies a version of an object; `meta` replaces its metadata, none keeps it. The ACL is never taken over. What was an object of parts is one
    /// like any that was put where ETags are made of digests, and keeps its kind and its ETag otherwise.
    pub async fn copy(
        &self,
        source: Source,
        to: (&str, &str),
        meta: Option<NewObject>,
        replace: Replace,
        form: EtagForm,
    ) -> Result<ObjectInfo, FolderError> {
        let to = (to.0.to_owned(), to.1.to_owned());
        self.blocking(move |store| {
            store.layout.check_bucket(&to.0)?;
            key::encode(&to.1)?;
            let Source { info, loaded } = source;
            let temp = TempFile::new(store.layout.fresh_tmp());
            let mut file = File::create_new(temp.path())?;
            store.copy_range(&loaded, 0, info.size, &mut file)?;
            let stamp = Stamp::put_on(&file)?;
            file.sync_all()?;
            let (kind, etag) = match (info.kind, form) {
                // A copy is an object like one that was put, whose ETag is a digest; that of its source is none.
                (ObjectKind::Appendable, _) | (ObjectKind::Multipart, EtagForm::OfDigests) => {
                    let (md5, _) = digest_of(&File::open(temp.path())?, info.size)?;
                    (ObjectKind::Normal, md5)
                }
                (kind, _) => (kind, info.etag),
            };
            let kept = |mut meta: NewObject| {
                meta.acl = super::Acl::Default;
                meta
            };
            let record = Record {
                stamp,
                last_modified_ms: store.now(),
                etag: Some(etag),
                crc64: Some(info.crc64),
                kind,
                meta: meta.unwrap_or_else(|| kept(info.meta)),
                append_from: None,
                upload: None,
            };
            store.commit(&to.0, &to.1, temp.path(), record, &replace)
        })
        .await
    }
}

impl Inner {
    fn adopt(
        &self,
        bucket: &str,
        key: &str,
        path: &Path,
        crc64: u64,
        meta: NewObject,
        replace: &Replace,
    ) -> Result<ObjectInfo, FolderError> {
        self.layout.check_bucket(bucket)?;
        key::encode(key)?;
        let (temp, moved) = self.take_over(path)?;
        let result = File::options()
            .append(true)
            .open(temp.path())
            .map_err(FolderError::from)
            .and_then(|file| {
                let stamp = Stamp::put_on(&file)?;
                file.sync_all()?;
                let record = Record {
                    stamp,
                    last_modified_ms: self.now(),
                    etag: Some(adopted_etag(stamp.size, crc64)),
                    crc64: Some(crc64),
                    kind: ObjectKind::Multipart,
                    meta,
                    append_from: None,
                    upload: None,
                };
                self.commit(bucket, key, temp.path(), record, replace)
            });
        match (&result, moved) {
            (Err(_), true) => fs::rename(temp.path(), path)?,
            (Ok(_), false) => layout::remove_file(path)?,
            _ => {}
        }
        if result.is_ok() || moved {
            temp.moved();
        }
        result
    }

    /// Moves a file among the temporaries, or copies it from another file system; tells whether it was moved.
    fn take_over(&self, path: &Path) -> Result<(TempFile, bool), FolderError> {
        if !fs::symlink_metadata(path)?.is_file() {
            return Err(FolderError::Io(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a regular file",
            )));
        }
        let temp = TempFile::new(self.layout.fresh_tmp());
        match fs::rename(path, temp.path()) {
            Ok(()) => Ok((temp, true)),
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                fs::copy(path, temp.path())?;
                Ok((temp, false))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Renames a synced temporary file and its record into place.
    pub(super) fn commit(
        &self,
        bucket: &str,
        key: &str,
        temp: &Path,
        record: Record,
        replace: &Replace,
    ) -> Result<ObjectInfo, FolderError> {
        let _key = self.locks.key(bucket, key);
        self.commit_locked(bucket, key, temp, record, replace)
    }

    /// As `commit`, for callers that hold the key lock.
    pub(super) fn commit_locked(
        &self,
        bucket: &str,
        key: &str,
        temp: &Path,
        record: Record,
        replace: &Replace,
    ) -> Result<ObjectInfo, FolderError> {
        let encoded = key::encode(key)?;
        let existing = self.load(bucket, key)?;
        // Of two requests that complete one upload, the second finds its own object: nobody else's is replaced.
        if let Some(there) = &existing
            && record.upload.is_some()
            && there.record.upload == record.upload
            && there.record.etag == record.etag
        {
            return self.info_locked(bucket, key, there);
        }
        match (replace, &existing) {
            (Replace::Never, Some(_)) => return Err(FolderError::AlreadyExists(key.to_owned())),
            (Replace::If(condition), Some(there)) => {
                condition.check(&self.info_locked(bucket, key, there)?)?;
            }
            (Replace::If(condition), None) => condition.check_absent(key)?,
            (Replace::Always, _) | (Replace::Never, None) => {}
        }
        if let Some(existing) = &existing {
            self.settle(bucket, existing)?;
        }
        let sidecar = Sidecar {
            current: record,
            previous: existing.map(|existing| existing.record),
        };
        let side = TempFile::new(self.layout.fresh_tmp());
        write_json(side.path(), &sidecar, true)?;
        let (data, meta) = {
            let _names = self.locks.names(bucket);
            self.layout.check_bucket(bucket)?;
            let place = self.layout.place(bucket, &encoded)?;
            let meta = self.layout.put_meta(bucket, &place, side.path())?;
            let data = self.layout.data(bucket).join(&place);
            fs::rename(temp, &data)?;
            (data, meta)
        };
        side.moved();
        sync_parent(&meta)?;
        sync_parent(&data)?;
        let record = sidecar.current;
        self.tell("put", bucket, key, Some(record.stamp.size));
        Ok(ObjectInfo {
            key: key.to_owned(),
            size: record.stamp.size,
            last_modified_ms: record.last_modified_ms,
            etag: record.etag.unwrap_or_default(),
            crc64: record.crc64.unwrap_or_default(),
            kind: record.kind,
            content_type: record
                .meta
                .content_type
                .clone()
                .unwrap_or_else(|| super::guess_content_type(key).to_owned()),
            meta: record.meta,
        })
    }

    /// Copies bytes of a loaded object to the end of `target`, inside the kernel where it can.
    pub(super) fn copy_range(
        &self,
        source: &Loaded,
        start: u64,
        length: u64,
        target: &mut File,
    ) -> Result<(), FolderError> {
        use std::io::{Read, Seek, SeekFrom};
        let mut file = source.file.try_clone()?;
        file.seek(SeekFrom::Start(start))?;
        if io::copy(&mut file.take(length), target)? < length {
            return Err(FolderError::Io(io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(())
    }
}

/// Makes a rename durable. The folder may be gone again when the object was deleted right after.
fn sync_parent(path: &Path) -> Result<(), FolderError> {
    match path.parent().map_or(Ok(()), layout::sync_folder) {
        Err(error) if !layout::is_absent(&error) => Err(error.into()),
        _ => Ok(()),
    }
}
