//! Multipart uploads: parts gather under the upload's own folder until they are joined into one object.
//!
//! A part's facts are in its file name, so that one rename makes a part complete:
//! `<number>.<unix ms>.<md5>.<crc64>`. The parts are joined by a copy inside the kernel; the ETag is the MD5 of what
//! the parts' own ETags hold with `-N` behind it ([`EtagForm`]), the CRC-64 is combined from those of the parts.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::digest::{combine_crc64, md5_of};
use super::draft::{Finished, TempFile};
use super::error::FolderError;
use super::list::rolled_up;
use super::model::{Acl, EtagForm, NewObject, ObjectInfo, ObjectKind, StorageClass};
use super::record::{Record, Stamp, write_json};
use super::usage::Usage;
use super::write::Replace;
use super::{FolderStore, Inner, key, layout};

/// Highest part number.
pub const MAX_PART_NUMBER: u32 = 10_000;
/// Fewest bytes of every part but the last (OSS: 100 KB; S3 itself asks for 5 MB).
pub const MIN_PART_BYTES: u64 = 100 * 1024;

const MANIFEST: &str = "upload.json";
/// Largest manifest that is read.
const MAX_MANIFEST_BYTES: u64 = 512 * 1024;

/// An open upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    pub id: String,
    pub key: String,
    pub initiated_ms: i64,
    /// The class that the object will have.
    pub storage_class: StorageClass,
}

/// An uploaded part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub number: u32,
    pub size: u64,
    pub last_modified_ms: i64,
    pub md5: [u8; 16],
    pub crc64: u64,
}

impl Part {
    /// The part's ETag, lower-case hexadecimal.
    pub fn etag(&self) -> String {
        hex::encode(self.md5)
    }
}

/// How an upload becomes an object.
#[derive(Debug, Clone)]
pub struct Completion {
    /// The parts, by number and ETag; none takes all that are there.
    pub chosen: Option<Vec<(u32, String)>>,
    pub etag: EtagForm,
    /// Put in the place of the list that was given when the upload was opened.
    pub acl: Option<Acl>,
    /// Bytes that the parts must have together, where the client told.
    pub size: Option<u64>,
    pub replace: Replace,
}

/// One page of an upload's parts.
#[derive(Debug, Clone, Default)]
pub struct PartPage {
    pub parts: Vec<Part>,
    pub truncated: bool,
    /// The class that the object will have.
    pub storage_class: StorageClass,
}

/// Which uploads to list.
#[derive(Debug, Clone, Default)]
pub struct UploadQuery {
    pub prefix: String,
    pub delimiter: String,
    pub key_marker: String,
    pub upload_id_marker: String,
    pub max_uploads: usize,
}

/// One page of a bucket's open uploads.
#[derive(Debug, Clone, Default)]
pub struct UploadPage {
    pub uploads: Vec<Upload>,
    pub common_prefixes: Vec<String>,
    /// Key and upload id where the next page goes on.
    pub next: Option<(String, String)>,
}

#[derive(Serialize, Deserialize)]
struct Manifest {
    key: String,
    initiated_ms: i64,
    meta: NewObject,
}

impl FolderStore {
    /// Opens an upload and gives its id.
    pub async fn initiate_upload(
        &self,
        bucket: &str,
        key: &str,
        meta: NewObject,
    ) -> Result<String, FolderError> {
        let (bucket, key) = (bucket.to_owned(), key.to_owned());
        self.blocking(move |store| {
            store.layout.check_bucket(&bucket)?;
            key::encode(&key)?;
            let id = uuid::Uuid::now_v7().simple().to_string().to_uppercase();
            let folder = store.layout.own_uploads(&bucket)?.join(&id);
            let manifest = Manifest {
                key,
                initiated_ms: store.now(),
                meta,
            };
            let temp = TempFile::new(store.layout.fresh_tmp());
            write_json(temp.path(), &manifest, true)?;
            fs::create_dir_all(&folder)?;
            fs::rename(temp.path(), folder.join(MANIFEST))?;
            layout::sync_folder(&folder)?;
            layout::sync_folder(&store.layout.uploads(&bucket))?;
            Ok(id)
        })
        .await
    }

    /// Says early, before a body is read, whether an upload takes parts of this number.
    pub async fn check_part(
        &self,
        bucket: &str,
        key: &str,
        id: &str,
        number: u32,
    ) -> Result<(), FolderError> {
        let (bucket, key, id) = (bucket.to_owned(), key.to_owned(), id.to_owned());
        self.blocking(move |store| {
            if !(1..=MAX_PART_NUMBER).contains(&number) {
                return Err(FolderError::InvalidPartOrder);
            }
            store.upload(&bucket, &key, &id).map(drop)
        })
        .await
    }

    /// Makes a finished draft a part of an upload, in place of an earlier one of the same number.
    pub async fn put_part(
        &self,
        bucket: &str,
        key: &str,
        id: &str,
        number: u32,
        finished: Finished,
    ) -> Result<Part, FolderError> {
        let (bucket, key, id) = (bucket.to_owned(), key.to_owned(), id.to_owned());
        self.blocking(move |store| {
            if !(1..=MAX_PART_NUMBER).contains(&number) {
                return Err(FolderError::InvalidPartOrder);
            }
            let _upload = store.locks.upload(&bucket, &id);
            let (folder, _) = store.upload(&bucket, &key, &id)?;
            let or_gone = |error: FolderError| or_gone(error, &id);
            let earlier = parts_numbered(&folder, number).map_err(or_gone)?;
            let after = earlier
                .iter()
                .map(|(part, _)| part.last_modified_ms.saturating_add(1))
                .max();
            let part = Part {
                number,
                size: finished.stamp.size,
                last_modified_ms: store.now().max(after.unwrap_or(i64::MIN)),
                md5: finished.md5,
                crc64: finished.crc64,
            };
            fs::rename(finished.temp.path(), folder.join(part_name(&part)))
                .map_err(|error| or_gone(error.into()))?;
            for (_, path) in earlier {
                layout::remove_file(&path)?;
            }
            layout::sync_folder(&folder).map_err(|error| or_gone(error.into()))?;
            Ok(part)
        })
        .await
    }

    /// A page of the parts uploaded so far, after a part number.
    pub async fn list_parts(
        &self,
        bucket: &str,
        key: &str,
        id: &str,
        after: u32,
        max_parts: usize,
    ) -> Result<PartPage, FolderError> {
        let (bucket, key, id) = (bucket.to_owned(), key.to_owned(), id.to_owned());
        self.blocking(move |store| {
            let (folder, manifest) = store.upload(&bucket, &key, &id)?;
            let mut behind = named_parts(&folder)
                .map_err(|error| or_gone(error, &id))?
                .into_values()
                .filter(|(part, _)| part.number > after);
            let mut parts = Vec::new();
            let mut lost = false;
            for (part, path) in behind.by_ref().take(max_parts) {
                match sized(part, &path)? {
                    Some(part) => parts.push(part),
                    None => lost = true,
                }
            }
            // One that is being replaced goes away alone, all of them with their upload.
            if lost {
                store.upload(&bucket, &key, &id)?;
            }
            Ok(PartPage {
                parts,
                truncated: behind.next().is_some(),
                storage_class: manifest.meta.storage_class,
            })
        })
        .await
    }

    /// Joins parts into the object.
    pub async fn complete_upload(
        &self,
        bucket: &str,
        key: &str,
        id: &str,
        how: Completion,
    ) -> Result<ObjectInfo, FolderError> {
        let (bucket, key, id) = (bucket.to_owned(), key.to_owned(), id.to_owned());
        self.blocking(move |store| {
            let upload_lock = store.locks.upload(&bucket, &id);
            let (folder, mut manifest) = match store.upload(&bucket, &key, &id) {
                Err(FolderError::NoSuchUpload(_)) if how.etag == EtagForm::OfDigests => {
                    drop(upload_lock);
                    return store.completed_before(&bucket, &key, &id, how.chosen.as_deref());
                }
                found => found?,
            };
            let there = parts_of(&folder).map_err(|error| or_gone(error, &id))?;
            let parts = choose(there, how.chosen)?;
            let size: u64 = parts.iter().map(|(part, _)| part.size).sum();
            if let Some(wanted) = how.size.filter(|wanted| *wanted != size) {
                return Err(FolderError::OtherSize { wanted, size });
            }
            manifest.meta.acl = how.acl.unwrap_or(manifest.meta.acl);
            let temp = TempFile::new(store.layout.fresh_tmp());
            let mut record = store.join(temp.path(), &parts, how.etag, manifest.meta)?;
            record.upload = Some(id.clone());
            // A second completion that waits goes on here as well, and finds the upload for as long as the object is not there.
            drop(upload_lock);
            let info = store.commit(&bucket, &key, temp.path(), record, &how.replace)?;
            let _upload = store.locks.upload(&bucket, &id);
            store.drop_upload(&folder)?;
            Ok(info)
        })
        .await
    }

    /// Drops an upload and its parts.
    pub async fn abort_upload(&self, bucket: &str, key: &str, id: &str) -> Result<(), FolderError> {
        let (bucket, key, id) = (bucket.to_owned(), key.to_owned(), id.to_owned());
        self.blocking(move |store| {
            let _upload = store.locks.upload(&bucket, &id);
            let (folder, _) = store.upload(&bucket, &key, &id)?;
            store.drop_upload(&folder)
        })
        .await
    }

    /// A page of the open uploads of a bucket, by key and then id.
    pub async fn list_uploads(
        &self,
        bucket: &str,
        query: UploadQuery,
    ) -> Result<UploadPage, FolderError> {
        let bucket = bucket.to_owned();
        self.blocking(move |store| store.list_uploads(&bucket, &query))
            .await
    }
}

impl Inner {
    /// The folder and manifest of an open upload.
    fn upload(
        &self,
        bucket: &str,
        key: &str,
        id: &str,
    ) -> Result<(PathBuf, Manifest), FolderError> {
        self.layout.check_bucket(bucket)?;
        if !is_upload_id(id) {
            return Err(no_such_upload(id));
        }
        let folder = self.layout.own_uploads(bucket)?.join(id);
        match read_manifest(&folder)? {
            Some(manifest) if manifest.key == key => Ok((folder, manifest)),
            _ => Err(no_such_upload(id)),
        }
    }

    /// Removes an upload with its parts. They go away by one rename first: a part that is being put finds no upload then, and not one
    /// that is half removed.
    fn drop_upload(&self, folder: &Path) -> Result<(), FolderError> {
        let gone = self.layout.fresh_tmp();
        match fs::rename(folder, &gone) {
            Err(error) if layout::is_absent(&error) => return Ok(()),
            other => other?,
        }
        Ok(layout::remove_tree(&gone)?)
    }

    /// The object of an upload that was completed already, when its parts are named again: in S3 whoever lost the answer asks once more.
    fn completed_before(
        &self,
        bucket: &str,
        key: &str,
        id: &str,
        chosen: Option<&[(u32, String)]>,
    ) -> Result<ObjectInfo, FolderError> {
        let absent = || no_such_upload(id);
        let loaded = self.load(bucket, key)?.ok_or_else(absent)?;
        let digests: Option<Vec<Vec<u8>>> = chosen
            .unwrap_or_default()
            .iter()
            .map(|(_, etag)| hex::decode(etag).ok())
            .collect();
        let digests = digests.ok_or_else(absent)?;
        let etag = joined_etag(&digests.concat(), digests.len());
        let is_it = loaded.record.upload.as_deref() == Some(id)
            && loaded.record.etag.as_deref() == Some(etag.as_str());
        if is_it {
            self.info(bucket, key, &loaded)
        } else {
            Err(absent())
        }
    }

    fn join(
        &self,
        target: &Path,
        parts: &[(Part, PathBuf)],
        etag: EtagForm,
        meta: NewObject,
    ) -> Result<Record, FolderError> {
        let mut file = File::create_new(target)?;
        let mut digested = Vec::with_capacity(parts.len() * 32);
        let mut crc64 = 0;
        for (part, path) in parts {
            if io::copy(&mut File::open(path)?, &mut file)? != part.size {
                return Err(FolderError::InvalidPart(part.number));
            }
            match etag {
                EtagForm::OfDigests => digested.extend_from_slice(&part.md5),
                EtagForm::OfEtags => digested.extend(part.etag().to_uppercase().into_bytes()),
            }
            crc64 = combine_crc64(crc64, part.crc64, part.size);
        }
        let stamp = Stamp::put_on(&file)?;
        file.sync_all()?;
        Ok(Record {
            last_modified_ms: self.now(),
            etag: Some(joined_etag(&digested, parts.len())),
            crc64: Some(crc64),
            kind: ObjectKind::Multipart,
            meta,
            ..Record::of_bare_file(stamp)
        })
    }

    /// Adds a bucket's open uploads to what it holds.
    pub(super) fn count_uploads(&self, bucket: &str, usage: &mut Usage) -> Result<(), FolderError> {
        let entries = match fs::read_dir(self.layout.own_uploads(bucket)?) {
            Ok(entries) => entries,
            Err(error) if layout::is_absent(&error) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        for entry in entries {
            let Ok(id) = entry?.file_name().into_string() else {
                continue;
            };
            let folder = self.layout.uploads(bucket).join(&id);
            if !is_upload_id(&id) || read_manifest(&folder)?.is_none() {
                continue;
            }
            // Completed or given up since the folder was read: not counted.
            let Ok(parts) = parts_of(&folder) else {
                continue;
            };
            usage.uploads += 1;
            usage.parts += parts.len() as u64;
            usage.part_bytes += parts.values().map(|(part, _)| part.size).sum::<u64>();
        }
        Ok(())
    }

    fn list_uploads(&self, bucket: &str, query: &UploadQuery) -> Result<UploadPage, FolderError> {
        self.layout.check_bucket(bucket)?;
        let entries = match fs::read_dir(self.layout.own_uploads(bucket)?) {
            Ok(entries) => entries,
            Err(error) if layout::is_absent(&error) => return Ok(UploadPage::default()),
            Err(error) => return Err(error.into()),
        };
        let start = (query.key_marker.as_str(), query.upload_id_marker.as_str());
        // None as the value: a common prefix.
        let mut nearest: BTreeMap<(String, String), Option<(i64, StorageClass)>> = BTreeMap::new();
        for entry in entries {
            let Ok(id) = entry?.file_name().into_string() else {
                continue;
            };
            if !is_upload_id(&id) {
                continue;
            }
            let Some(manifest) = read_manifest(&self.layout.uploads(bucket).join(&id))? else {
                continue;
            };
            let behind = if start.1.is_empty() {
                manifest.key.as_str() > start.0
            } else {
                (manifest.key.as_str(), id.as_str()) > start
            };
            if !manifest.key.starts_with(&query.prefix) || !behind {
                continue;
            }
            match rolled_up(&manifest.key, &query.prefix, &query.delimiter) {
                Some(common) if common <= start.0 => continue,
                Some(common) => nearest.insert((common.to_owned(), String::new()), None),
                None => {
                    let told = (manifest.initiated_ms, manifest.meta.storage_class);
                    nearest.insert((manifest.key, id), Some(told))
                }
            };
            if nearest.len() > query.max_uploads.saturating_add(1) {
                nearest.pop_last();
            }
        }
        let mut page = UploadPage::default();
        let truncated = nearest.len() > query.max_uploads;
        let mut last = None;
        for ((key, id), told) in nearest.into_iter().take(query.max_uploads) {
            last = Some((key.clone(), id.clone()));
            match told {
                Some((initiated_ms, storage_class)) => page.uploads.push(Upload {
                    id,
                    key,
                    initiated_ms,
                    storage_class,
                }),
                None => page.common_prefixes.push(key),
            }
        }
        page.next = if truncated { last } else { None };
        Ok(page)
    }
}

/// The ETag of an object of parts, by what is digested of them.
fn joined_etag(digested: &[u8], parts: usize) -> String {
    format!("{}-{parts}", hex::encode(md5_of(digested)))
}

fn no_such_upload(id: &str) -> FolderError {
    FolderError::NoSuchUpload(id.chars().take(64).collect())
}

/// An upload whose folder went away while it was used has ended: its bucket may be deleted without its lock.
fn or_gone(error: FolderError, id: &str) -> FolderError {
    match error {
        FolderError::Io(error) if layout::is_absent(&error) => no_such_upload(id),
        other => other,
    }
}

/// Ids come back from clients and become folder names, so only our own shape passes.
fn is_upload_id(id: &str) -> bool {
    id.len() == 32
        && id
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte))
}

fn read_manifest(folder: &Path) -> Result<Option<Manifest>, FolderError> {
    // A link in the place of an upload's folder is no upload.
    if !fs::symlink_metadata(folder).is_ok_and(|found| found.is_dir()) {
        return Ok(None);
    }
    let bytes = layout::read_own(&folder.join(MANIFEST), MAX_MANIFEST_BYTES)?;
    Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

fn part_name(part: &Part) -> String {
    format!(
        "{:05}.{}.{}.{:016x}",
        part.number,
        part.last_modified_ms,
        part.etag(),
        part.crc64
    )
}

fn read_part_name(name: &str) -> Option<Part> {
    let mut fields = name.split('.');
    let number = fields
        .next()?
        .parse()
        .ok()
        .filter(|number| (1..=MAX_PART_NUMBER).contains(number))?;
    let last_modified_ms = fields.next()?.parse().ok()?;
    let md5 = <[u8; 16]>::try_from(hex::decode(fields.next()?).ok()?).ok()?;
    let crc64 = u64::from_str_radix(fields.next()?, 16).ok()?;
    fields.next().is_none().then_some(Part {
        number,
        size: 0,
        last_modified_ms,
        md5,
        crc64,
    })
}

/// The parts of one number, more than one where a replacement was cut short. Nothing but names is read, since each of ten thousand parts
/// asks for them; their sizes are not known.
fn parts_numbered(folder: &Path, number: u32) -> Result<Vec<(Part, PathBuf)>, FolderError> {
    let start = format!("{number:05}.");
    let mut parts = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let own = name.to_str().filter(|name| name.starts_with(&start));
        if let Some(part) = own.and_then(read_part_name) {
            parts.push((part, entry.path()));
        }
    }
    Ok(parts)
}

/// The newest part of each number. What went away since the folder was read is none of them.
fn parts_of(folder: &Path) -> Result<BTreeMap<u32, (Part, PathBuf)>, FolderError> {
    let mut parts = BTreeMap::new();
    for (number, (part, path)) in named_parts(folder)? {
        if let Some(part) = sized(part, &path)? {
            parts.insert(number, (part, path));
        }
    }
    Ok(parts)
}

/// A part with its size; none where it went away.
fn sized(mut part: Part, path: &Path) -> Result<Option<Part>, FolderError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => {
            part.size = metadata.len();
            Ok(Some(part))
        }
        Err(error) if layout::is_absent(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The newest part of each number by the names alone; their sizes are not known.
fn named_parts(folder: &Path) -> Result<BTreeMap<u32, (Part, PathBuf)>, FolderError> {
    let mut parts: BTreeMap<u32, (Part, PathBuf)> = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Some(part) = entry.file_name().to_str().and_then(read_part_name) else {
            continue;
        };
        let newer = parts
            .get(&part.number)
            .is_none_or(|(held, _)| held.last_modified_ms < part.last_modified_ms);
        if newer {
            parts.insert(part.number, (part, entry.path()));
        }
    }
    Ok(parts)
}

/// Checks the client's list against the parts that are there.
fn choose(
    mut there: BTreeMap<u32, (Part, PathBuf)>,
    chosen: Option<Vec<(u32, String)>>,
) -> Result<Vec<(Part, PathBuf)>, FolderError> {
    let named = chosen.is_some();
    let parts: Vec<_> = match chosen {
        None => there.into_values().collect(),
        Some(chosen) => {
            if !chosen.is_sorted_by(|(left, _), (right, _)| left < right) {
                return Err(FolderError::InvalidPartOrder);
            }
            chosen
                .into_iter()
                .map(|(number, etag)| {
                    let matching = there
                        .remove(&number)
                        .filter(|(part, _)| part.etag().eq_ignore_ascii_case(&etag));
                    matching.ok_or(FolderError::InvalidPart(number))
                })
                .collect::<Result<_, _>>()?
        }
    };
    // Whoever names no part at all gets an empty object: an uploader that met the end of its stream at once.
    if parts.is_empty() && !named {
        return Err(FolderError::InvalidPart(1));
    }
    let but_last = parts.len().saturating_sub(1);
    match parts
        .iter()
        .take(but_last)
        .find(|(part, _)| part.size < MIN_PART_BYTES)
    {
        Some((part, _)) => Err(FolderError::EntityTooSmall {
            number: part.number,
            size: part.size,
            minimum: MIN_PART_BYTES,
        }),
        None => Ok(parts),
    }
}
