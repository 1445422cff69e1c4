//! The object store on a folder: `<root>/<bucket>/<key>` holds an object's bytes, where a person can browse them.
//!
//! Every write goes to a temporary file first and becomes visible by one rename after a sync, so readers and a
//! `kill -9` see the old object or the new one, never a part. `layout.rs` tells where things lie, `key.rs` how keys
//! become file names, `record.rs` how bytes and metadata stay together. The store knows nothing of HTTP.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use tokio::task::spawn_blocking;

mod buckets;
mod condition;
mod consumer;
mod digest;
mod draft;
mod error;
#[doc(hidden)]
pub mod key;
mod layout;
mod list;
mod locks;
mod model;
mod multipart;
mod names;
mod objects;
mod read;
mod record;
#[cfg(test)]
mod tests;
mod usage;
mod walk;
mod write;

pub use buckets::MAX_CORS_RULES;
pub use condition::{Condition, Tags};
pub use digest::combine_crc64;
pub use draft::{Draft, Finished};
pub use error::FolderError;
pub use key::is_bucket_name;
pub use model::{
    Acl, BucketClass, BucketInfo, CorsRule, EtagForm, ListPage, ListQuery, NewObject, ObjectInfo,
    ObjectKind, Redundancy, StorageClass, guess_content_type,
};
pub use multipart::{Completion, MAX_PART_NUMBER, UploadQuery};
pub use read::ObjectReader;
pub use write::{Adopted, Replace};

use layout::Layout;
use locks::Locks;

/// What happened to an object.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct Change<'a> {
    /// `put` or `delete`.
    pub what: &'static str,
    pub bucket: &'a str,
    pub key: &'a str,
    /// Bytes of the object that is there now.
    pub size: Option<u64>,
}

/// Hears of changes of objects; it comes back at once.
pub type Teller = Arc<dyn Fn(&Change<'_>) + Send + Sync>;

/// Tells the time in Unix milliseconds; objects are dated by it.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The store. Clones share it.
#[derive(Clone)]
pub struct FolderStore {
    inner: Arc<Inner>,
}

struct Inner {
    layout: Layout,
    locks: Locks,
    /// For the bytes of all drafts.
    room: draft::Room,
    /// What listings read of folders and may need again.
    runs: names::Runs,
    clock: Clock,
    teller: OnceLock<Teller>,
    /// Some bucket's answers vary by the origin; remembered, so that ordinary reads need not look.
    varies: AtomicBool,
}

impl FolderStore {
    /// Opens the store under `root`, which is made if absent, and removes what a crash left unfinished.
    /// Objects are dated by this machine's clock.
    pub fn open(root: PathBuf) -> Result<Self, FolderError> {
        Self::open_with_clock(root, Arc::new(crate::clock::machine_now))
    }

    /// As [`FolderStore::open`], with objects dated by `clock`.
    pub fn open_with_clock(root: PathBuf, clock: Clock) -> Result<Self, FolderError> {
        let layout = Layout::new(root);
        layout.make_own_folders()?;
        layout::remove_tree(&layout.tmp())?;
        layout.make_own_folders()?;
        let inner = Inner {
            layout,
            locks: Locks::default(),
            room: draft::Room::default(),
            runs: names::Runs::default(),
            clock,
            teller: OnceLock::new(),
            varies: AtomicBool::new(false),
        };
        for name in inner.bucket_names()? {
            inner.settings(&name)?;
        }
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Says who hears of changes from now on. There is one, the first.
    pub fn tell_changes(&self, teller: Teller) {
        let _ = self.inner.teller.set(teller);
    }

    /// Removes every bucket, object and open upload.
    pub async fn clear(&self) -> Result<(), FolderError> {
        self.blocking(|store| {
            let _all = store.locks.everything();
            for entry in fs::read_dir(store.layout.root())? {
                let entry = entry?;
                let name = entry.file_name();
                let Some(name) = name.to_str().filter(|name| key::is_bucket_name(name)) else {
                    continue;
                };
                if entry.file_type()?.is_dir() {
                    layout::remove_tree(&store.layout.data(name))?;
                    layout::remove_tree(&store.layout.meta(name))?;
                    layout::remove_tree(&store.layout.uploads(name))?;
                    layout::remove_file(&store.layout.bucket_settings(name))?;
                }
            }
            Ok(())
        })
        .await
    }

    /// A new object's temporary file, to be written and then committed.
    pub async fn draft(&self) -> Result<Draft, FolderError> {
        Draft::create(self.inner.layout.fresh_tmp(), self.inner.room.clone()).await
    }

    /// Runs file system work off the async threads.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, FolderError> + Send + 'static,
    ) -> Result<T, FolderError> {
        let inner = Arc::clone(&self.inner);
        spawn_blocking(move || work(&inner)).await?
    }
}

/// An object found on disk: its open bytes and what is known of them.
struct Loaded {
    place: PathBuf,
    file: File,
    record: record::Record,
    /// No record describes these bytes: somebody put the file there by hand.
    bare: bool,
}

impl Inner {
    fn now(&self) -> i64 {
        (self.clock)()
    }

    fn tell(&self, what: &'static str, bucket: &str, key: &str, size: Option<u64>) {
        if let Some(tell) = self.teller.get() {
            tell(&Change {
                what,
                bucket,
                key,
                size,
            });
        }
    }

    /// Opens the object that a key names now, if any.
    fn load(&self, bucket: &str, key: &str) -> Result<Option<Loaded>, FolderError> {
        self.layout.check_bucket(bucket)?;
        let encoded = key::encode(key)?;
        // A writer renames the metadata just before the bytes; whoever reads in between looks again.
        let mut attempts = 0;
        loop {
            attempts += 1;
            let Some(place) = self.layout.find(bucket, &encoded)? else {
                return Ok(None);
            };
            let file = match File::open(self.layout.data(bucket).join(&place)) {
                Ok(file) => file,
                Err(error) if layout::is_absent(&error) && attempts < 10 => continue,
                Err(error) if layout::is_absent(&error) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            let stamp = record::Stamp::of(&file)?;
            let sidecar = record::Sidecar::read(&self.layout.meta_of(bucket, &place))?;
            let found = sidecar.and_then(|sidecar| sidecar.matching(stamp));
            if found.is_none() && attempts < 3 {
                continue;
            }
            let bare = found.is_none();
            let record = found.unwrap_or_else(|| record::Record::of_bare_file(stamp));
            return Ok(Some(Loaded {
                place,
                file,
                record,
                bare,
            }));
        }
    }

    /// As `load`, where absence is an error.
    fn expect(&self, bucket: &str, key: &str) -> Result<Loaded, FolderError> {
        self.load(bucket, key)?
            .ok_or_else(|| FolderError::NoSuchKey(key.to_owned()))
    }

    /// What readers see of a loaded object; digests it first if nobody has yet.
    fn info(&self, bucket: &str, key: &str, loaded: &Loaded) -> Result<ObjectInfo, FolderError> {
        if loaded.record.etag.is_some() && loaded.record.crc64.is_some() {
            return self.info_locked(bucket, key, loaded);
        }
        let (etag, crc64) = digest_of(&loaded.file, loaded.record.stamp.size)?;
        let _key = self.locks.key(bucket, key);
        self.keep_digest(bucket, key, loaded, &etag, crc64)?;
        Ok(described(key, loaded, etag, crc64))
    }

    /// As `info`, for callers that hold the key lock.
    fn info_locked(
        &self,
        bucket: &str,
        key: &str,
        loaded: &Loaded,
    ) -> Result<ObjectInfo, FolderError> {
        let (etag, crc64) = match (&loaded.record.etag, loaded.record.crc64) {
            (Some(etag), Some(crc64)) => (etag.clone(), crc64),
            _ => {
                let (etag, crc64) = digest_of(&loaded.file, loaded.record.stamp.size)?;
                self.keep_digest(bucket, key, loaded, &etag, crc64)?;
                (etag, crc64)
            }
        };
        Ok(described(key, loaded, etag, crc64))
    }

    /// Keeps what was computed of an object's bytes, unless it was replaced meanwhile. The caller holds the key lock.
    fn keep_digest(
        &self,
        bucket: &str,
        key: &str,
        loaded: &Loaded,
        etag: &str,
        crc64: u64,
    ) -> Result<(), FolderError> {
        match self.load(bucket, key)? {
            Some(now) if now.record.stamp == loaded.record.stamp => {
                let record = record::Record {
                    etag: Some(etag.to_owned()),
                    crc64: Some(crc64),
                    ..now.record
                };
                self.store_record(bucket, &now.place, record, !now.bare)
            }
            _ => Ok(()),
        }
    }

    /// Replaces the metadata of bytes that stay; without `durable` it may be lost with the power, which is fine for
    /// what can be computed again. The caller holds the key lock.
    fn store_record(
        &self,
        bucket: &str,
        place: &std::path::Path,
        record: record::Record,
        durable: bool,
    ) -> Result<(), FolderError> {
        let sidecar = record::Sidecar {
            current: record,
            previous: None,
        };
        self.store_sidecar(bucket, place, &sidecar, durable)
    }

    /// As `store_record`, for a change of bytes that has begun.
    fn store_sidecar(
        &self,
        bucket: &str,
        place: &std::path::Path,
        sidecar: &record::Sidecar,
        durable: bool,
    ) -> Result<(), FolderError> {
        let temp = draft::TempFile::new(self.layout.fresh_tmp());
        record::write_json(temp.path(), sidecar, durable)?;
        let _names = self.locks.names(bucket);
        let path = self.layout.put_meta(bucket, place, temp.path())?;
        temp.moved();
        match path.parent() {
            Some(parent) if durable => Ok(layout::sync_folder(parent)?),
            _ => Ok(()),
        }
    }
}

/// Reads the first `size` bytes of a file once for their digests.
fn digest_of(file: &File, size: u64) -> Result<(String, u64), FolderError> {
    use std::io::{Read, Seek};
    let mut file = file.try_clone()?;
    file.rewind()?;
    let mut limited = file.take(size);
    let mut digests = digest::Digests::default();
    let mut block = vec![0; 128 * 1024];
    loop {
        match limited.read(&mut block) {
            Ok(0) => break,
            Ok(count) => digests.update(block.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    let (md5, crc64) = digests.finish();
    Ok((hex::encode(md5), crc64))
}

fn described(key: &str, loaded: &Loaded, etag: String, crc64: u64) -> ObjectInfo {
    let record = &loaded.record;
    ObjectInfo {
        key: key.to_owned(),
        size: record.stamp.size,
        last_modified_ms: record.last_modified_ms,
        etag,
        crc64,
        kind: record.kind,
        content_type: record
            .meta
            .content_type
            .clone()
            .unwrap_or_else(|| guess_content_type(key).to_owned()),
        meta: record.meta.clone(),
    }
}
