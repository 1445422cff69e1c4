//! An object's metadata beside its bytes, and how the two stay one object across a crash.
//!
//! Bytes and metadata are two files, so no rename replaces both at once. Every finished data file therefore gets a
//! modification time of its own (`stamp`), and the metadata file holds the record of the new bytes together with the
//! record of the old ones. It is renamed into place first; whichever record carries the stamp of the bytes on disk is
//! the valid one. A file that a person put into the folder matches none and gets a record made from the file itself.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::error::FolderError;
use super::layout::read_own;
use super::model::{NewObject, ObjectKind};
use crate::clock::machine_now;

/// Largest metadata file that is read; ours stay far below (S3 allows 2 KB of user metadata, OSS 8 KB).
const MAX_META_BYTES: u64 = 512 * 1024;

/// What identifies one version of a data file: its size and its modification time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    pub size: u64,
    pub modified_ns: u64,
}

impl Stamp {
    /// The stamp of an open file.
    ///
    /// # Errors
    /// When the file system tells nothing of the open file.
    pub fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let since = metadata
            .modified()?
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Ok(Self {
            size: metadata.len(),
            modified_ns: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX),
        })
    }

    /// Gives a finished file a modification time that no other version has: now, with random nanoseconds.
    ///
    /// # Errors
    /// When the file system sets no times. Versions could not be told apart, so the caller must not put the file into place.
    pub fn put_on(file: &File) -> io::Result<Self> {
        let seconds = u64::try_from(machine_now() / 1000).unwrap_or_default();
        let (random, _) = uuid::Uuid::new_v4().as_u64_pair();
        let nanoseconds = u32::try_from(random % 1_000_000_000).unwrap_or_default();
        file.set_modified(UNIX_EPOCH + Duration::new(seconds, nanoseconds))?;
        Self::of(file)
    }

    /// Gives a file the modification time of this stamp.
    ///
    /// # Errors
    /// When the file system sets no times: the file counts as one that was changed by hand.
    pub fn put_back_on(&self, file: &File) -> io::Result<()> {
        file.set_modified(UNIX_EPOCH + Duration::from_nanos(self.modified_ns))
    }
}

/// What is known of one version of an object besides its bytes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    pub stamp: Stamp,
    pub last_modified_ms: i64,
    /// None until somebody asks: a file that was put here by hand is not read before.
    pub etag: Option<String>,
    pub crc64: Option<u64>,
    #[serde(default)]
    pub kind: ObjectKind,
    #[serde(default)]
    pub meta: NewObject,
    /// Set while bytes are being appended: how long the file was before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub append_from: Option<u64>,
    /// The upload whose parts these bytes were put together of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<String>,
}

impl Record {
    /// A record for a file that came without one.
    pub fn of_bare_file(stamp: Stamp) -> Self {
        Self {
            stamp,
            last_modified_ms: i64::try_from(stamp.modified_ns / 1_000_000).unwrap_or_default(),
            etag: None,
            crc64: None,
            kind: ObjectKind::Normal,
            meta: NewObject::default(),
            append_from: None,
            upload: None,
        }
    }
}

/// The metadata file: the record of the latest bytes and of those they replace.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sidecar {
    pub current: Record,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Record>,
}

impl Sidecar {
    /// The record that describes the bytes with this stamp.
    pub fn matching(self, stamp: Stamp) -> Option<Record> {
        if self.current.stamp == stamp {
            return Some(self.current);
        }
        let previous = self.previous?;
        // An append that has not finished leaves the old bytes in front, whatever follows them.
        let unfinished = self.current.append_from == Some(previous.stamp.size)
            && stamp.size >= previous.stamp.size;
        (previous.stamp == stamp || unfinished).then_some(previous)
    }

    /// Reads a metadata file; one that is absent or damaged counts as none.
    pub fn read(path: &Path) -> Result<Option<Self>, FolderError> {
        let bytes = read_own(path, MAX_META_BYTES)?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }
}

/// Writes a small file under a temporary name, for a rename to follow.
pub fn write_json<T: Serialize>(path: &Path, value: &T, durable: bool) -> Result<(), FolderError> {
    let bytes = serde_json::to_vec(value).map_err(io::Error::other)?;
    let mut file = File::create_new(path)?;
    file.write_all(&bytes)?;
    if durable {
        file.sync_all()?;
    }
    Ok(())
}
