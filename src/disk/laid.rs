//! Bytes that somebody else holds in memory and that a file has too: who can wait for a disk's answer may let go of the memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;

/// Bytes on the disk.
#[derive(Debug, Clone)]
pub struct Place {
    file: Arc<File>,
    offset: u64,
    length: u32,
}

impl Place {
    /// `length` bytes from `offset` on.
    #[must_use]
    pub fn new(file: Arc<File>, offset: u64, length: u32) -> Self {
        Self {
            file,
            offset,
            length,
        }
    }

    #[must_use]
    pub fn length(&self) -> usize {
        self.length as usize
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
