//! Files in the making, written in large blocks with their CRC-64.
//!
//! Muxers write into one buffer whose address agrees with its place in the file, so that most of it goes from there straight to the disk.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use bytes::{Buf, BytesMut};

use crate::disk::held;
use crate::disk::large_file::{ALIGN, LargeFile};

/// Bytes that are written at a time.
const BLOCK: usize = 1024 * 1024;
/// Bytes of which the CRC-64 is taken at a time, while they still are in the processor's cache.
const STRIDE: usize = 64 * 1024;
/// Bytes that a muxer may add to a nearly full block before the buffer has to grow.
const SLACK: usize = 128 * 1024;
/// Bytes of the largest file that goes through the page cache: small ones are read again at once.
const CACHED: usize = 256 * 1024;
/// Buffers kept for use again: as many as files are made at a time, by two jobs of two files at most.
const SPARE: usize = 4;

static SPARES: Mutex<Vec<BytesMut>> = Mutex::new(Vec::new());

/// A file being written in large blocks.
pub struct Output {
    file: LargeFile,
    pub buffer: BytesMut,
    /// Bytes of the buffer that the CRC-64 has.
    summed: usize,
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

fn is_aligned(buffer: &BytesMut) -> bool {
    buffer.as_ptr().align_offset(ALIGN) == 0
}

/// An empty buffer at an aligned address, used before if there is one.
fn aligned_buffer() -> BytesMut {
    let spare = SPARES.lock().unwrap_or_else(PoisonError::into_inner).pop();
    spare.unwrap_or_else(|| {
        let mut buffer = BytesMut::with_capacity(BLOCK + SLACK + 2 * ALIGN);
        let from = buffer.as_ptr().align_offset(ALIGN).min(ALIGN);
        buffer.resize(from, 0);
        buffer.advance(from);
        buffer
    })
}

fn give_back(mut buffer: BytesMut) {
    buffer.clear();
    let mut spares = SPARES.lock().unwrap_or_else(PoisonError::into_inner);
    // One that grew for a large frame is not kept.
    let as_made = is_aligned(&buffer) && buffer.capacity() <= BLOCK + SLACK + 2 * ALIGN;
    if as_made && spares.len() < SPARE {
        spares.push(buffer);
    }
}

impl Output {
    /// Begins a file.
    ///
    /// # Errors
    /// When the file cannot be made, or a link lies in its place. A file of that name is written anew.
    pub fn create(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: LargeFile::new(held::create(path)?, 0),
            buffer: aligned_buffer(),
            summed: 0,
            size: 0,
            crc64: crc64fast::Digest::new(),
        })
    }

    /// Goes on with a file that [`Output::pause`] closed.
    ///
    /// # Errors
    /// When the file is gone or is a link. Whoever paused it begins anew.
    pub fn resume(path: &Path, size: u64, crc64: crc64fast::Digest) -> io::Result<Self> {
        let file = File::options()
            .write(true)
            .custom_flags(held::no_follow())
            .open(path)?;
        let mut buffer = aligned_buffer();
        // Where the first whole page of the file is aligned.
        let from = usize::try_from(size % ALIGN as u64).unwrap_or(0);
        buffer.resize(from, 0);
        buffer.advance(from);
        Ok(Self {
            file: LargeFile::resume(file, size, 0)?,
            buffer,
            summed: 0,
            size,
            crc64,
        })
    }

    /// Closes the file for now; returns its size and what its CRC-64 has come to.
    ///
    /// # Errors
    /// When the last block cannot be written or synced: the file is of no use any more.
    pub fn pause(self) -> io::Result<(u64, crc64fast::Digest)> {
        let (file, size, crc64) = self.close()?;
        // Synced now, so that the last sync has little left to do.
        file.sync_data()?;
        Ok((size, crc64))
    }

    /// Bytes of the file so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size + self.buffer.len() as u64
    }

    /// Writes what has gathered once it makes a block.
    ///
    /// # Errors
    /// As [`Output::payload`]: the file is of no use any more then.
    pub fn drain(&mut self) -> io::Result<()> {
        if self.buffer.len() >= self.summed + STRIDE {
            self.sum();
        }
        if self.buffer.len() >= BLOCK {
            self.put_whole_pages()?;
        }
        Ok(())
    }

    /// Appends a payload.
    ///
    /// # Errors
    /// When the disk takes no more, or the file became too long. It is of no use any more; the spool has everything for another one.
    pub fn payload(&mut self, mut data: &[u8]) -> io::Result<()> {
        while !data.is_empty() {
            let room = BLOCK.saturating_sub(self.buffer.len()).max(1);
            let (now, later) = data.split_at(room.min(data.len()));
            self.buffer.extend_from_slice(now);
            self.drain()?;
            data = later;
        }
        Ok(())
    }

    fn sum(&mut self) {
        self.crc64
            .write(self.buffer.get(self.summed..).unwrap_or_default());
        self.summed = self.buffer.len();
    }

    /// Writes up to the last page boundary of the file; what is behind it moves to the front.
    fn put_whole_pages(&mut self) -> io::Result<()> {
        self.sum();
        let behind = usize::try_from(self.size() % ALIGN as u64).unwrap_or(0);
        let whole = self.buffer.len().saturating_sub(behind);
        let (pages, rest) = self.buffer.split_at(whole);
        self.file.write(pages)?;
        let mut page = [0; ALIGN];
        let kept = page.get_mut(..rest.len()).unwrap_or_default();
        kept.copy_from_slice(rest);
        self.size += whole as u64;
        self.summed = kept.len();
        self.buffer.clear();
        // A file that was resumed, or a buffer that grew for a large frame, is not aligned.
        if !is_aligned(&self.buffer) {
            give_back(std::mem::replace(&mut self.buffer, aligned_buffer()));
        }
        self.buffer.extend_from_slice(kept);
        Ok(())
    }

    fn close(mut self) -> io::Result<(File, u64, crc64fast::Digest)> {
        self.sum();
        let size = self.size();
        if self.size == 0 && self.buffer.len() <= CACHED {
            self.file.keep_to_cache();
        }
        let file = self.file.finish_with(&self.buffer)?;
        give_back(self.buffer);
        Ok((file, size, self.crc64))
    }

    /// # Errors
    /// When the last block cannot be written or synced. The file must not be taken for whole then.
    pub fn finish(self) -> io::Result<Written> {
        let (_, size, crc64) = self.close()?;
        Ok(Written {
            size,
            crc64: crc64.sum64(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(count: usize) -> Vec<u8> {
        (0..count)
            .map(|n| (n / 3 % 249) as u8 ^ (n >> 18) as u8)
            .collect()
    }

    fn sum(bytes: &[u8]) -> u64 {
        let mut crc64 = crc64fast::Digest::new();
        crc64.write(bytes);
        crc64.sum64()
    }

    #[test]
    fn what_is_written_in_any_pieces_is_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let content = bytes(5 * BLOCK + 4321);
        for (length, piece) in [
            (0, 1),
            (300, 7),
            (BLOCK - 1, 5_000),
            (BLOCK, BLOCK),
            (2 * BLOCK + ALIGN, 10_007),
            (content.len(), 3 * BLOCK + 1),
            (content.len(), 188 * 70),
        ] {
            for muxed in [false, true] {
                let content = &content[..length];
                let mut out = Output::create(&path).unwrap();
                for piece in content.chunks(piece) {
                    if muxed {
                        out.buffer.extend_from_slice(piece);
                        out.drain().unwrap();
                    } else {
                        out.payload(piece).unwrap();
                    }
                }
                assert_eq!(out.size(), length as u64);
                let written = out.finish().unwrap();
                assert_eq!((written.size, written.crc64), (length as u64, sum(content)));
                assert!(std::fs::read(&path).unwrap() == content, "{length} {piece}");
            }
        }
        assert!(SPARES.lock().unwrap().len() <= SPARE);
    }

    #[test]
    fn a_paused_file_is_gone_on_with() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let content = bytes(7 * BLOCK);
        let (mut size, mut crc64) = Output::create(&path).unwrap().pause().unwrap();
        for piece in [5, 4091, 3 * BLOCK + 77, 100, 3 * BLOCK] {
            let start = usize::try_from(size).unwrap();
            let mut out = Output::resume(&path, size, crc64).unwrap();
            for part in content[start..start + piece].chunks(9_999) {
                out.payload(part).unwrap();
            }
            (size, crc64) = out.pause().unwrap();
        }
        let written = &content[..usize::try_from(size).unwrap()];
        assert_eq!(crc64.sum64(), sum(written));
        assert!(std::fs::read(&path).unwrap() == written);
    }
}
