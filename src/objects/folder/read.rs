//! Bytes on their way out of the store: a file as a stream of blocks, the next one read while one is sent.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::try_unfold;
use tokio::task::{JoinHandle, spawn_blocking};

/// Bytes read at a time.
const BLOCK_BYTES: u64 = 256 * 1024;

/// A part of an open object. Later writes to the key do not disturb it: they go to another file.
pub struct ObjectReader {
    file: File,
    start: u64,
    length: u64,
}

type Block = io::Result<(File, Bytes)>;

impl ObjectReader {
    pub(super) fn new(file: File, start: u64, length: u64) -> Self {
        Self {
            file,
            start,
            length,
        }
    }

    /// Bytes that the stream yields.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// All bytes at once, for a part that is small.
    ///
    /// # Errors
    /// When the file cannot be read, or is shorter than recorded since somebody cut it by hand. No byte went to the client yet.
    pub async fn into_bytes(self) -> io::Result<Bytes> {
        let Self {
            mut file,
            start,
            length,
        } = self;
        if length == 0 {
            return Ok(Bytes::new());
        }
        let read = spawn_blocking(move || {
            file.seek(SeekFrom::Start(start))?;
            read_block(file, length)
        });
        let (_, bytes) = read.await.map_err(io::Error::other)??;
        Ok(bytes)
    }

    /// The bytes, in blocks; a file that turns out shorter than recorded is an error.
    pub fn into_stream(self) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let Self {
            file,
            start,
            length,
        } = self;
        let first = (length > 0).then(|| {
            let size = length.min(BLOCK_BYTES);
            let task = spawn_blocking(move || {
                let mut file = file;
                file.seek(SeekFrom::Start(start))?;
                if length > BLOCK_BYTES {
                    read_far_ahead(&file);
                }
                read_block(file, size)
            });
            (task, length - size)
        });
        try_unfold(
            first,
            |state: Option<(JoinHandle<Block>, u64)>| async move {
                let Some((task, left)) = state else {
                    return Ok(None);
                };
                let (file, bytes) = task.await.map_err(io::Error::other)??;
                let next = (left > 0).then(|| {
                    let size = left.min(BLOCK_BYTES);
                    (spawn_blocking(move || read_block(file, size)), left - size)
                });
                Ok(Some((bytes, next)))
            },
        )
    }
}

/// Tells the kernel that the file is read front to back: it then reads ahead in larger pieces, which is several times as fast where
/// the file is not in its cache, as large ones are not (`large_file`).
#[cfg(target_os = "linux")]
fn read_far_ahead(file: &File) {
    use rustix::fs::{Advice, fadvise};
    // Only advice: without it the file is read as well.
    let _ = fadvise(file, 0, None, Advice::Sequential);
}

#[cfg(not(target_os = "linux"))]
fn read_far_ahead(_: &File) {}

fn read_block(file: File, size: u64) -> Block {
    let mut block = Vec::with_capacity(usize::try_from(size).map_err(io::Error::other)?);
    let mut limited = file.take(size);
    limited.read_to_end(&mut block)?;
    if (block.len() as u64) < size {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the object's file is shorter than recorded",
        ));
    }
    Ok((limited.into_inner(), Bytes::from(block)))
}
