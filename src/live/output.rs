//! Files in the making, written in large blocks with their CRC-64.

use std::fs::File;
use std::io;
use std::path::Path;

use bytes::BytesMut;

use crate::large_file::LargeFile;

/// Written at a time.
const BLOCK: usize = 96 * 1024;
/// The front of a file that goes through the page cache: small ones are read again at once.
const CACHED: u64 = 1024 * 1024;

/// A file being written in large blocks.
pub struct Output {
    file: LargeFile,
    pub buffer: BytesMut,
    /// Bytes written; those in the buffer not counted.
    size: u64,
    crc64: crc64fast::Digest,
}

/// What came of a file that was written.
pub struct Written {
    pub size: u64,
    /// CRC-64 of all its bytes, taken while they were at hand.
    pub crc64: u64,
}

impl Output {
    /// Begins a file.
    pub fn create(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: LargeFile::new(File::create(path)?, CACHED),
            buffer: BytesMut::with_capacity(BLOCK),
            size: 0,
            crc64: crc64fast::Digest::new(),
        })
    }

    /// Goes on with a file that [`Output::pause`] closed.
    pub fn resume(path: &Path, size: u64, crc64: crc64fast::Digest) -> io::Result<Self> {
        let file = File::options().write(true).open(path)?;
        Ok(Self {
            file: LargeFile::resume(file, size, CACHED)?,
            buffer: BytesMut::with_capacity(BLOCK),
            size,
            crc64,
        })
    }

    /// Closes the file for now; returns its size and what its CRC-64 has come to.
    pub fn pause(mut self) -> io::Result<(u64, crc64fast::Digest)> {
        self.flush()?;
        // Now, so that the last sync has little left to do.
        self.file.finish()?.sync_data()?;
        Ok((self.size, self.crc64))
    }

    /// Bytes of the file so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size + self.buffer.len() as u64
    }

    /// Writes what has gathered once it makes a block.
    pub fn drain(&mut self) -> io::Result<()> {
        if self.buffer.len() >= BLOCK {
            self.flush()?;
        }
        Ok(())
    }

    /// Appends a payload.
    pub fn payload(&mut self, data: &[u8]) -> io::Result<()> {
        if self.buffer.len() + data.len() > BLOCK {
            self.flush()?;
        }
        if data.len() >= BLOCK {
            self.crc64.write(data);
            self.size += data.len() as u64;
            return self.file.write(data);
        }
        self.buffer.extend_from_slice(data);
        self.drain()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.crc64.write(&self.buffer);
        self.file.write(&self.buffer)?;
        self.size += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    pub fn finish(mut self) -> io::Result<Written> {
        self.flush()?;
        self.file.finish()?;
        Ok(Written {
            size: self.size,
            crc64: self.crc64.sum64(),
        })
    }
}
