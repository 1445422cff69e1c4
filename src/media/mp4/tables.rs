//! Sample tables (ISO/IEC 14496-12 clauses 8.6 and 8.7), written straight from the log, so that nothing but the finished
//! index itself is held in memory.

use bytes::{BufMut, BytesMut};

use super::boxes::{patch, put_full_box};
use super::{MuxError, put_box};

/// Samples of one track that follow each other in the file under one description.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunk {
    /// Relative to the first payload byte.
    pub position: u64,
    pub samples: u32,
    /// 1 is the first.
    pub description: u32,
}

/// Width of chunk offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OffsetSize {
    Narrow,
    Wide,
}

/// A table of chunk offsets that still counts from the first payload byte.
#[derive(Debug, Clone, Copy)]
pub(super) struct OffsetTable {
    at: usize,
    count: usize,
}

/// `stts`: how long each sample lasts.
pub(super) fn put_stts(
    out: &mut BytesMut,
    durations: impl Iterator<Item = u32>,
) -> Result<(), MuxError> {
    put_full_box(out, b"stts", 0, 0, |out| put_runs(out, durations))
}

/// `ctts`: presentation minus decoding time; version 1 has the sign.
pub(super) fn put_ctts(
    out: &mut BytesMut,
    signed: bool,
    offsets: impl Iterator<Item = i32>,
) -> Result<(), MuxError> {
    put_full_box(out, b"ctts", signed.into(), 0, |out| {
        put_runs(out, offsets.map(i32::cast_unsigned))
    })
}

/// `stss`: numbers of the samples from which decoding can start, the first being 1.
pub(super) fn put_stss(
    out: &mut BytesMut,
    keys: impl Iterator<Item = bool>,
) -> Result<(), MuxError> {
    put_full_box(out, b"stss", 0, 0, |out| {
        counted(out, |out| {
            let numbers = (1_u32..).zip(keys).filter(|(_, key)| *key);
            let mut count = 0;
            for (number, _) in numbers {
                out.put_u32(number);
                count += 1;
            }
            count
        });
        Ok(())
    })
}

/// `stsz`: sizes, or the one size that all `count` samples have.
pub(super) fn put_stsz(
    out: &mut BytesMut,
    count: u32,
    constant: Option<u32>,
    sizes: impl Iterator<Item = u32>,
) -> Result<(), MuxError> {
    put_full_box(out, b"stsz", 0, 0, |out| {
        // 0 means that a table follows, so samples of no bytes need the table.
        let constant = constant.unwrap_or(0);
        out.put_u32(constant);
        out.put_u32(count);
        if constant == 0 {
            sizes.for_each(|size| out.put_u32(size));
        }
        Ok(())
    })
}

/// `stsc`: samples per chunk, one entry where it changes.
pub(super) fn put_stsc(
    out: &mut BytesMut,
    chunks: impl Iterator<Item = Chunk>,
) -> Result<(), MuxError> {
    put_full_box(out, b"stsc", 0, 0, |out| {
        counted(out, |out| {
            let (mut count, mut last) = (0, None);
            for (number, chunk) in (1_u32..).zip(chunks) {
                let now = (chunk.samples, chunk.description);
                if last.replace(now) != Some(now) {
                    out.put_u32(number);
                    out.put_u32(chunk.samples);
                    out.put_u32(chunk.description);
                    count += 1;
                }
            }
            count
        });
        Ok(())
    })
}

/// `stco` or `co64`: where chunks begin, for now relative to the payload. [`OffsetTable::shift`] makes them absolute.
pub(super) fn put_offsets(
    out: &mut BytesMut,
    size: OffsetSize,
    chunks: impl Iterator<Item = Chunk>,
) -> Result<OffsetTable, MuxError> {
    let kind = match size {
        OffsetSize::Narrow => b"stco",
        OffsetSize::Wide => b"co64",
    };
    let mut table = OffsetTable { at: 0, count: 0 };
    put_box(out, kind, |out| {
        out.put_u32(0); // version and flags
        counted(out, |out| {
            table.at = out.len();
            for chunk in chunks {
                match size {
                    // A narrow table is thrown away when the file turns out too long for it.
                    OffsetSize::Narrow => {
                        out.put_u32(u32::try_from(chunk.position).unwrap_or(u32::MAX));
                    }
                    OffsetSize::Wide => out.put_u64(chunk.position),
                }
                table.count += 1;
            }
            table.count
        });
        Ok(())
    })?;
    Ok(table)
}

impl OffsetTable {
    /// Adds the length of what stands before the payload to every offset.
    pub fn shift(self, out: &mut BytesMut, size: OffsetSize, by: u64) {
        let width = match size {
            OffsetSize::Narrow => 4,
            OffsetSize::Wide => 8,
        };
        let end = self.at + self.count * width;
        let Some(table) = out.get_mut(self.at..end) else {
            return;
        };
        for entry in table.chunks_exact_mut(width) {
            let relative = entry
                .iter()
                .fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
            let absolute = relative.saturating_add(by).to_be_bytes();
            if let Some(bytes) = absolute.get(8 - width..) {
                entry.copy_from_slice(bytes);
            }
        }
    }
}

/// An entry count, and the entries that `body` writes and counts.
fn counted(out: &mut BytesMut, body: impl FnOnce(&mut BytesMut) -> usize) {
    let at = out.len();
    out.put_u32(0);
    let count = u32::try_from(body(out)).unwrap_or(u32::MAX);
    patch(out, at, &count.to_be_bytes());
}

/// Equal values in a row as one entry: how many, and the value.
fn put_runs(out: &mut BytesMut, values: impl Iterator<Item = u32>) -> Result<(), MuxError> {
    counted(out, |out| {
        let (mut entries, mut run) = (0, None);
        for value in values {
            run = match run {
                Some((count, same)) if same == value => Some((count + 1, same)),
                other => {
                    entries += put_run(out, other);
                    Some((1, value))
                }
            };
        }
        entries + put_run(out, run)
    });
    Ok(())
}

fn put_run(out: &mut BytesMut, run: Option<(u32, u32)>) -> usize {
    let Some((count, value)) = run else { return 0 };
    out.put_u32(count);
    out.put_u32(value);
    1
}
