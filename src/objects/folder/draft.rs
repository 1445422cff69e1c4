//! Bytes on their way into the store: a temporary file with running digests.
//!
//! Small pieces are gathered and written by a blocking task, one batch in flight while the next one fills, so that a
//! slow sender holds no thread and a body of any size costs two batches of memory.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tokio::task::{JoinHandle, spawn_blocking};

use super::digest::Digests;
use super::error::FolderError;
use super::layout::remove_file;
use super::record::Stamp;

/// Bytes gathered before they go to the disk. Each batch waits for two threads to be scheduled, which a busy machine makes slow.
const BATCH_BYTES: usize = 2 * 1024 * 1024;

/// Bytes after which the kernel is told to start writing back, so that the final sync has little left to do.
const WRITE_BACK_EVERY: u64 = 32 * 1024 * 1024;

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
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if let Err(error) = remove_file(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "a temporary file stays behind");
        }
    }
}

/// An object being written.
pub struct Draft {
    temp: TempFile,
    batch: Vec<Bytes>,
    batched: usize,
    size: u64,
    writer: Writer,
    write_back: Option<JoinHandle<()>>,
    unsynced: u64,
}

enum Writer {
    Idle(Output),
    /// The file and the digests take the same batch, each on a thread of its own.
    Busy(JoinHandle<io::Result<File>>, JoinHandle<Digests>),
    Failed,
}

struct Output {
    file: File,
    digests: Digests,
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
    pub(super) async fn create(path: PathBuf) -> Result<Self, FolderError> {
        let temp = TempFile::new(path.clone());
        let file = spawn_blocking(move || File::create_new(path)).await??;
        Ok(Self {
            temp,
            batch: Vec::new(),
            batched: 0,
            size: 0,
            writer: Writer::Idle(Output {
                file,
                digests: Digests::default(),
            }),
            write_back: None,
            unsynced: 0,
        })
    }

    /// Bytes taken so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Takes the next bytes; waits while the disk is behind.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), FolderError> {
        self.batched += bytes.len();
        self.size += bytes.len() as u64;
        self.batch.push(bytes);
        if self.batched >= BATCH_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    async fn output(&mut self) -> Result<Output, FolderError> {
        match std::mem::replace(&mut self.writer, Writer::Failed) {
            Writer::Idle(output) => Ok(output),
            Writer::Busy(file, digests) => Ok(Output {
                file: file.await??,
                digests: digests.await?,
            }),
            Writer::Failed => Err(FolderError::Io(io::Error::other("an earlier write failed"))),
        }
    }

    async fn flush(&mut self) -> Result<(), FolderError> {
        let Output {
            mut file,
            mut digests,
        } = self.output().await?;
        self.unsynced += self.batched as u64;
        if self.unsynced >= WRITE_BACK_EVERY
            && self.write_back.as_ref().is_none_or(JoinHandle::is_finished)
        {
            self.unsynced = 0;
            let file = file.try_clone()?;
            self.write_back = Some(spawn_blocking(move || {
                // Only a head start: an error shows again at the final sync.
                drop(file.sync_data());
            }));
        }
        self.batched = 0;
        let batch = std::mem::take(&mut self.batch);
        let same = batch.clone();
        let writing = spawn_blocking(move || {
            for bytes in batch {
                file.write_all(&bytes)?;
            }
            Ok(file)
        });
        let digesting = spawn_blocking(move || {
            for bytes in same {
                digests.update(&bytes);
            }
            digests
        });
        self.writer = Writer::Busy(writing, digesting);
        Ok(())
    }

    /// Writes what is left, makes it durable and gives the file its stamp.
    pub async fn finish(mut self) -> Result<Finished, FolderError> {
        self.flush().await?;
        let output = self.output().await?;
        let temp = self.temp;
        spawn_blocking(move || {
            let stamp = Stamp::put_on(&output.file)?;
            output.file.sync_all()?;
            let (md5, crc64) = output.digests.finish();
            Ok(Finished {
                temp,
                stamp,
                md5,
                crc64,
            })
        })
        .await?
    }
}
