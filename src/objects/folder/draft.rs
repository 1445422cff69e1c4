//! Bytes on their way into the store: a temporary file with running digests.
//!
//! Small pieces are gathered to batches. A batch goes to two consumers, the file and the MD5, which never wait for each
//! other; how much may be on its way is bounded for each draft and for all together.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use md5::{Digest as _, Md5};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::consumer::{Batch, Consumer};
use super::error::FolderError;
use super::layout::remove_file;
use super::record::Stamp;
use crate::disk::large_file::LargeFile;

/// Bytes gathered before they go on.
const BATCH_BYTES: usize = 256 * 1024;

/// The front of an object that goes through the page cache.
const CACHED_BYTES: u64 = 16 * 1024 * 1024;

/// A temporary file that disappears unless somebody moved it away.
#[derive(Debug)]
pub struct TempFile(PathBuf);

impl TempFile {
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Somebody moved it away: there is nothing to remove.
    pub fn moved(mut self) {
        self.0 = PathBuf::new();
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if self.0.as_os_str().is_empty() {
            return;
        }
        if let Err(error) = remove_file(&self.0) {
            tracing::warn!(target: "localyun::objects::folder::draft", path = %self.0.display(), %error, "a temporary file stays behind");
        }
    }
}

/// Bytes that all drafts together may have on their way to the disk.
const MOST_UNDER_WAY: usize = 32 * 1024 * 1024;

/// Room for the bytes of all drafts.
#[derive(Clone)]
pub struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST_UNDER_WAY)))
    }
}

/// An object being written.
pub struct Draft {
    temp: TempFile,
    room: Room,
    gathered: Vec<Bytes>,
    gathered_bytes: usize,
    size: u64,
    work: Work,
}

enum Work {
    /// Nothing has gone on yet: what is small is written in one go at the end.
    Gathering(Sink),
    Flowing(Consumer<Sink>, Consumer<Md5>),
    Failed,
}

/// The file, and the CRC-64 of what is in it.
struct Sink {
    file: LargeFile,
    crc64: crc64fast::Digest,
}

impl Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.crc64.write(bytes);
        self.file.write(bytes)
    }

    /// Gives the file its stamp and makes it durable.
    fn seal(self) -> Result<(Stamp, u64), FolderError> {
        let file = self.file.finish()?;
        let stamp = Stamp::put_on(&file)?;
        file.sync_all()?;
        Ok((stamp, self.crc64.sum64()))
    }
}

/// A complete temporary file, synced and stamped.
#[derive(Debug)]
pub struct Finished {
    pub temp: TempFile,
    pub stamp: Stamp,
    pub md5: [u8; 16],
    pub crc64: u64,
}

impl Draft {
    /// Opens a new temporary file.
    pub(super) async fn create(path: PathBuf, room: Room) -> Result<Self, FolderError> {
        let temp = TempFile::new(path.clone());
        let file = spawn_blocking(move || File::create_new(path)).await??;
        Ok(Self {
            temp,
            room,
            gathered: Vec::new(),
            gathered_bytes: 0,
            size: 0,
            work: Work::Gathering(Sink {
                file: LargeFile::new(file, CACHED_BYTES),
                crc64: crc64fast::Digest::new(),
            }),
        })
    }

    /// Bytes taken so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Takes the next bytes; waits while the disk is behind.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), FolderError> {
        self.gathered_bytes += bytes.len();
        self.size += bytes.len() as u64;
        self.gathered.push(bytes);
        if self.gathered_bytes >= BATCH_BYTES {
            self.send().await?;
        }
        Ok(())
    }

    /// Sends what has gathered to both consumers.
    async fn send(&mut self) -> Result<(), FolderError> {
        let bytes = std::mem::take(&mut self.gathered);
        let wanted = std::mem::take(&mut self.gathered_bytes).min(MOST_UNDER_WAY);
        let room = self.room.0.clone();
        let room = room
            .acquire_many_owned(u32::try_from(wanted).unwrap_or(u32::MAX))
            .await
            .map_err(io::Error::other)?;
        let batch = Arc::new(Batch::new(bytes, room));
        let (sink, md5) = match std::mem::replace(&mut self.work, Work::Failed) {
            Work::Gathering(sink) => (
                Consumer::start(sink, Sink::write),
                Consumer::start(Md5::new(), |md5, bytes| {
                    md5.update(bytes);
                    Ok(())
                }),
            ),
            Work::Flowing(sink, md5) => (sink, md5),
            Work::Failed => return Err(failed_before()),
        };
        if sink.push(batch.clone()).await && md5.push(batch).await {
            self.work = Work::Flowing(sink, md5);
            return Ok(());
        }
        sink.finish().await?;
        md5.finish().await?;
        Err(failed_before())
    }

    /// Writes what is left, makes it durable and gives the file its stamp.
    pub async fn finish(mut self) -> Result<Finished, FolderError> {
        if matches!(self.work, Work::Flowing(..)) && !self.gathered.is_empty() {
            self.send().await?;
        }
        let (temp, rest) = (self.temp, self.gathered);
        let ((stamp, crc64), md5) = match self.work {
            Work::Gathering(mut sink) => {
                spawn_blocking(move || {
                    let mut md5 = Md5::new();
                    for bytes in &rest {
                        sink.write(bytes)?;
                        md5.update(bytes);
                    }
                    Ok::<_, FolderError>((sink.seal()?, md5))
                })
                .await??
            }
            Work::Flowing(sink, md5) => {
                let sealing = async {
                    let sink = sink.finish().await?;
                    spawn_blocking(move || sink.seal()).await?
                };
                tokio::try_join!(sealing, md5.finish())?
            }
            Work::Failed => return Err(failed_before()),
        };
        Ok(Finished {
            temp,
            stamp,
            md5: md5.finalize().into(),
            crc64,
        })
    }
}

fn failed_before() -> FolderError {
    FolderError::Io(io::Error::other("an earlier write failed"))
}
