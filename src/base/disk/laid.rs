//! Bytes that somebody else holds in memory and that a file has too, or will have in a moment: who can wait for a disk's answer may let go of
//! the memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;

use super::writers::Handed;

/// Bytes on the disk, or on their way to it.
#[derive(Debug, Clone)]
pub struct Place {
    file: Arc<File>,
    offset: u64,
    length: u32,
    /// When they are there.
    handed: Handed,
}

impl Place {
    /// `length` bytes from `offset` on, which are there when `handed` is written.
    #[must_use]
    pub fn new(file: Arc<File>, offset: u64, length: u32, handed: Handed) -> Self {
        Self {
            file,
            offset,
            length,
            handed,
        }
    }

    #[must_use]
    pub fn length(&self) -> usize {
        self.length as usize
    }

    /// Whether they are on the disk.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.handed.is_written()
    }

    /// Waits until they are on the disk: a quarter of a second, as a rule. False: a write failed.
    pub async fn is_written(&self) -> bool {
        self.handed.written().await
    }

    /// Appends the bytes to `out`. The file may have lost its name since.
    ///
    /// # Errors
    /// When they cannot be read, or are not all there.
    pub fn read(&self, out: &mut Vec<u8>) -> io::Result<()> {
        let from = out.len();
        out.resize(from + self.length(), 0);
        let room = out.get_mut(from..).unwrap_or_default();
        self.file.read_exact_at(room, self.offset)
    }
}

/// Bytes in memory, and where the disk has them. Memory that is named here is still held here, so that nothing else can have its address.
#[derive(Debug)]
pub struct Laid {
    pub bytes: Bytes,
    pub place: Place,
}
