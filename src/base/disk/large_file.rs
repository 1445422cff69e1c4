//! Files written front to back, the large ones past the page cache.
//!
//! What is small is likely to be read again at once and goes through the cache. Behind a front that the writer chooses, whole blocks go
//! straight to the disk: a fresh page of the cache costs several times what the copy into it does, gigabytes of them push out what others
//! need, and the final sync would have all of it to do.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

use tokio::sync::{Semaphore, SemaphorePermit};

/// Written past the cache at a time, where bytes have to be gathered for it.
const BLOCK_BYTES: usize = 1024 * 1024;
/// Boundary that addresses, offsets and lengths of such writes keep to.
pub const ALIGN: usize = 4096;
/// Bytes from which on a write goes past the page cache: for less, the calls that it takes cost more than the copy.
const LEAST_DIRECT: usize = 64 * 1024;
/// Files that have a block at a time; the others stay with the page cache.
const MOST_BLOCKS: usize = 16;

static BLOCKS: Semaphore = Semaphore::const_new(MOST_BLOCKS);

/// A file that grows at its end.
pub struct LargeFile {
    file: File,
    /// Bytes in the file, those in the block not counted.
    offset: u64,
    /// Where the page cache is left; a multiple of [`ALIGN`].
    cached_to: u64,
    way: Way,
}

enum Way {
    /// Through the page cache, for now.
    Cached,
    /// Past it: from the writer's own memory where that is aligned, by way of a block where it is not.
    Direct(Option<Block>),
    /// Through the page cache to the end: the file system has no other way, or too many files are under way.
    Only,
}

struct Block {
    memory: Vec<u8>,
    /// Where the first aligned address is.
    from: usize,
    filled: usize,
    _one_of: SemaphorePermit<'static>,
}

impl Block {
    fn new() -> Option<Self> {
        let one_of = BLOCKS.try_acquire().ok()?;
        let memory = vec![0; BLOCK_BYTES + ALIGN];
        let from = memory.as_ptr().align_offset(ALIGN);
        (from <= ALIGN).then_some(Self {
            memory,
            from,
            filled: 0,
            _one_of: one_of,
        })
    }

    /// Takes as much as there is room for; returns the rest.
    fn take<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (now, later) = bytes.split_at(bytes.len().min(BLOCK_BYTES - self.filled));
        let start = self.from + self.filled;
        if let Some(free) = self.memory.get_mut(start..start + now.len()) {
            free.copy_from_slice(now);
        }
        self.filled += now.len();
        later
    }

    fn bytes(&self) -> &[u8] {
        self.memory
            .get(self.from..self.from + self.filled)
            .unwrap_or_default()
    }
}

/// What may go straight to the disk, and what may not.
fn split_direct(bytes: &[u8]) -> (&[u8], &[u8]) {
    let aligned = bytes.as_ptr().align_offset(ALIGN) == 0;
    if aligned && bytes.len() >= LEAST_DIRECT {
        bytes.split_at(bytes.len() / ALIGN * ALIGN)
    } else {
        (&[], bytes)
    }
}

impl LargeFile {
    /// Begins an empty file; the first `cached` bytes go through the page cache.
    #[must_use]
    pub fn new(file: File, cached: u64) -> Self {
        Self {
            file,
            offset: 0,
            cached_to: cached.next_multiple_of(ALIGN as u64),
            way: Way::Cached,
        }
    }

    /// Goes on at `offset` of a file; what lies behind it is cut off.
    pub fn resume(mut file: File, offset: u64, cached: u64) -> io::Result<Self> {
        file.set_len(offset)?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(Self {
            offset,
            ..Self::new(file, cached.max(offset))
        })
    }

    /// Sends all of it through the page cache, however much comes.
    pub fn keep_to_cache(&mut self) {
        if let Way::Cached = self.way {
            self.way = Way::Only;
        }
    }

    /// Appends bytes.
    pub fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            bytes = match std::mem::replace(&mut self.way, Way::Only) {
                Way::Only => self.through_cache(bytes, bytes.len())?,
                Way::Cached if self.offset < self.cached_to => {
                    self.way = Way::Cached;
                    let room = usize::try_from(self.cached_to - self.offset).unwrap_or(usize::MAX);
                    self.through_cache(bytes, room.min(bytes.len()))?
                }
                Way::Cached => {
                    if set_direct(&self.file, true).is_ok() {
                        self.way = Way::Direct(None);
                    }
                    bytes
                }
                Way::Direct(None) => match split_direct(bytes) {
                    ([], rest) => {
                        self.gather_from_now()?;
                        rest
                    }
                    (whole, rest) => {
                        if self.put(whole)? {
                            self.way = Way::Direct(None);
                        }
                        rest
                    }
                },
                Way::Direct(Some(mut block)) => {
                    let rest = block.take(bytes);
                    if block.filled < BLOCK_BYTES || self.put(block.bytes())? {
                        block.filled %= BLOCK_BYTES;
                        self.way = Way::Direct(Some(block));
                    }
                    rest
                }
            };
        }
        Ok(())
    }

    /// Writes what has gathered; the file is complete then, and to be synced by whoever needs it to be.
    pub fn finish(self) -> io::Result<File> {
        self.finish_with(&[])
    }

    /// Appends the last bytes and what has gathered.
    pub fn finish_with(mut self, mut last: &[u8]) -> io::Result<File> {
        if let Way::Cached = self.way {
            let room = self.cached_to.saturating_sub(self.offset);
            last = self.through_cache(last, usize::try_from(room).unwrap_or(usize::MAX))?;
            let worth_it = last.len() >= LEAST_DIRECT && set_direct(&self.file, true).is_ok();
            self.way = if worth_it {
                Way::Direct(None)
            } else {
                Way::Only
            };
        }
        if let Way::Direct(Some(_)) = self.way {
            self.write(last)?;
            last = &[];
        }
        if let Way::Direct(block) = std::mem::replace(&mut self.way, Way::Only) {
            let left = block.as_ref().map_or(last, Block::bytes);
            let (whole, rest) = split_direct(left);
            if whole.is_empty() || self.put(whole)? {
                set_direct(&self.file, false)?;
            }
            self.through_cache(rest, rest.len())?;
        } else {
            self.through_cache(last, last.len())?;
        }
        Ok(self.file)
    }

    fn through_cache<'a>(&mut self, bytes: &'a [u8], count: usize) -> io::Result<&'a [u8]> {
        let (now, later) = bytes.split_at(count.min(bytes.len()));
        self.file.write_all(now)?;
        self.offset += now.len() as u64;
        Ok(later)
    }

    /// What comes now is not aligned.
    fn gather_from_now(&mut self) -> io::Result<()> {
        match Block::new() {
            Some(block) => self.way = Way::Direct(Some(block)),
            None => set_direct(&self.file, false)?,
        }
        Ok(())
    }

    /// Writes aligned bytes past the cache. False: that way is closed, and they took the other one.
    fn put(&mut self, bytes: &[u8]) -> io::Result<bool> {
        let written = match self.file.write(bytes) {
            Ok(written) if written == bytes.len() => {
                self.offset += written as u64;
                return Ok(true);
            }
            // Cut short, or refused after all, as some file systems do only here.
            Ok(written) => written,
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => 0,
            Err(error) => return Err(error),
        };
        set_direct(&self.file, false)?;
        self.offset += written as u64;
        let rest = bytes.get(written..).unwrap_or_default();
        self.through_cache(rest, rest.len())?;
        Ok(false)
    }
}

#[cfg(target_os = "linux")]
fn set_direct(file: &File, on: bool) -> io::Result<()> {
    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
    let mut flags = fcntl_getfl(file)?;
    flags.set(OFlags::DIRECT, on);
    Ok(fcntl_setfl(file, flags)?)
}

#[cfg(not(target_os = "linux"))]
fn set_direct(_: &File, on: bool) -> io::Result<()> {
    if on {
        return Err(io::ErrorKind::Unsupported.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CACHED: u64 = 5 * 4096;

    /// Bytes whose order shows.
    fn bytes(count: usize) -> Vec<u8> {
        (0..count)
            .map(|n| (n / 7 % 251) as u8 ^ (n >> 20) as u8)
            .collect()
    }

    fn written(content: &[u8], piece: usize, folder: &std::path::Path) -> Vec<u8> {
        let path = folder.join("f");
        let mut file = LargeFile::new(File::create(&path).unwrap(), CACHED);
        for piece in content.chunks(piece) {
            file.write(piece).unwrap();
        }
        file.finish().unwrap().sync_all().unwrap();
        std::fs::read(&path).unwrap()
    }

    #[test]
    fn every_byte_arrives_at_the_edges_of_cache_and_blocks() {
        let folder = tempfile::tempdir().unwrap();
        let cached = usize::try_from(CACHED).unwrap();
        let content = bytes(cached + 3 * BLOCK_BYTES + 17);
        for (length, piece) in [
            (0, 1),
            (cached - 1, 100_000),
            (cached, 4096),
            (cached + 1, cached + 1),
            (cached + BLOCK_BYTES, 999_983),
            (cached + BLOCK_BYTES + 1, 65_537),
            (content.len(), 1_234_567),
            (content.len(), content.len()),
        ] {
            let content = &content[..length];
            assert!(
                written(content, piece, folder.path()) == content,
                "{length} in pieces of {piece}"
            );
        }
    }

    #[test]
    fn aligned_memory_needs_no_block() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let mut memory = vec![0; 2 * BLOCK_BYTES + ALIGN];
        let from = memory.as_ptr().align_offset(ALIGN);
        let length = 2 * BLOCK_BYTES - 5;
        memory[from..from + length].copy_from_slice(&bytes(length));
        let content = &memory[from..from + length];
        let all = BLOCKS.try_acquire_many(MOST_BLOCKS as u32);
        for end in [
            usize::try_from(CACHED).unwrap(),
            LEAST_DIRECT,
            BLOCK_BYTES,
            BLOCK_BYTES + ALIGN,
        ] {
            let mut file = LargeFile::new(File::create(&path).unwrap(), CACHED);
            file.write(&content[..end]).unwrap();
            file.finish_with(&content[end..]).unwrap();
            assert!(std::fs::read(&path).unwrap() == content, "{end}");
        }
        drop(all);
    }

    #[test]
    fn a_file_is_gone_on_with_at_any_length() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let content = bytes(usize::try_from(CACHED).unwrap() + 4 * BLOCK_BYTES);
        std::fs::write(&path, b"something else that is longer than the first part").unwrap();
        let mut end = 0;
        for length in [
            10,
            5000,
            BLOCK_BYTES,
            content.len() - 2 * BLOCK_BYTES - 1,
            content.len(),
        ] {
            let file = File::options().write(true).open(&path).unwrap();
            let mut file = LargeFile::resume(file, end as u64, CACHED).unwrap();
            file.write(&content[end..length]).unwrap();
            file.finish().unwrap();
            end = length;
        }
        assert!(std::fs::read(&path).unwrap() == content);
    }

    #[test]
    fn a_file_beyond_the_last_block_is_written_through_the_cache() {
        let folder = tempfile::tempdir().unwrap();
        let all = BLOCKS.try_acquire_many(MOST_BLOCKS as u32);
        let content = bytes(usize::try_from(CACHED).unwrap() + 5);
        assert!(written(&content, 1 << 20, folder.path()) == content);
        drop(all);
    }

    #[test]
    fn an_error_of_the_disk_is_told() {
        let file = File::options().write(true).open("/dev/full").unwrap();
        assert!(LargeFile::new(file, CACHED).write(b"x").is_err());
    }
}
