//! The form of an object of the mirror: ranges of spool segments, and which they are. Pure.
//!
//! `MAGIC | u32 length of the index | index (JSON) | the ranges' bytes, one behind the other`, little-endian. Each range has its own
//! checksum: what a store damaged is left out, and the rest of the object still counts.

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

/// What every object begins with.
const MAGIC: &[u8] = b"localyun spool mirror 1\n";
/// Bytes of an index at most.
const MOST_INDEX: usize = 16 << 20;

/// A range of a segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub session: String,
    /// The hash of the stream's name.
    pub owner: String,
    pub segment: u32,
    pub offset: u64,
    pub length: u64,
    crc32: u32,
}

/// Why bytes are no object of a mirror.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    #[error("it does not begin as an object of a mirror does")]
    Foreign,
    #[error("it is shorter than its index says")]
    Short,
    #[error("its index cannot be read: {0}")]
    Index(#[from] serde_json::Error),
}

/// An object in the making.
#[derive(Default)]
pub struct Batch {
    parts: Vec<Part>,
    data: BytesMut,
}

impl Batch {
    /// Takes a range.
    pub fn add(&mut self, session: &str, owner: &str, (segment, offset): (u32, u64), bytes: &[u8]) {
        self.parts.push(Part {
            session: session.to_owned(),
            owner: owner.to_owned(),
            segment,
            offset,
            length: bytes.len() as u64,
            crc32: crc32fast::hash(bytes),
        });
        self.data.extend_from_slice(bytes);
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The object.
    ///
    /// # Errors
    /// The index cannot be written, which does not happen.
    pub fn finish(self) -> Result<Bytes, BatchError> {
        let index = serde_json::to_vec(&self.parts)?;
        let mut object = BytesMut::with_capacity(MAGIC.len() + 4 + index.len() + self.data.len());
        object.put_slice(MAGIC);
        object.put_u32_le(u32::try_from(index.len()).unwrap_or(u32::MAX));
        object.put_slice(&index);
        object.put_slice(&self.data);
        Ok(object.freeze())
    }
}

/// The ranges of an object, with their bytes; those whose checksum does not match are left out.
///
/// # Errors
/// The bytes are no object of a mirror.
pub fn read(object: &Bytes) -> Result<Vec<(Part, Bytes)>, BatchError> {
    let rest = object.strip_prefix(MAGIC).ok_or(BatchError::Foreign)?;
    let (length, rest) = rest.split_first_chunk::<4>().ok_or(BatchError::Short)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    if length > MOST_INDEX || length > rest.len() {
        return Err(BatchError::Short);
    }
    let (index, data) = rest.split_at(length);
    let parts: Vec<Part> = serde_json::from_slice(index)?;
    let mut data = object.slice_ref(data);
    let mut read = Vec::with_capacity(parts.len());
    for part in parts {
        let length = usize::try_from(part.length).unwrap_or(usize::MAX);
        if length > data.len() {
            return Err(BatchError::Short);
        }
        let bytes = data.split_to(length);
        if crc32fast::hash(&bytes) == part.crc32 {
            read.push((part, bytes));
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_put_together_is_read_back(parts in proptest::collection::vec((0..3_u32, 0..1_000_u64, proptest::collection::vec(any::<u8>(), 0..300)), 0..20)) {
            let mut batch = Batch::default();
            for (segment, offset, bytes) in &parts {
                batch.add("s", "o", (*segment, *offset), bytes);
            }
            let object = batch.finish().unwrap();
            let back = read(&object).unwrap();
            prop_assert_eq!(back.len(), parts.len());
            for ((part, bytes), (segment, offset, given)) in back.iter().zip(&parts) {
                prop_assert_eq!((part.segment, part.offset, &bytes[..]), (*segment, *offset, &given[..]));
            }
        }

        #[test]
        fn no_bytes_make_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), magic in any::<bool>()) {
            if magic {
                let mut whole = MAGIC.to_vec();
                whole.append(&mut bytes);
                bytes = whole;
            }
            let _ = read(&bytes.into());
        }
    }

    #[test]
    fn a_damaged_range_is_left_out_and_a_cut_object_refused() {
        let mut batch = Batch::default();
        batch.add("s", "o", (0, 0), b"first");
        batch.add("s", "o", (0, 5), b"second");
        let object = batch.finish().unwrap();
        let mut damaged = object.to_vec();
        let at = damaged.len() - 7;
        damaged[at] ^= 1;
        let left = read(&damaged.into()).unwrap();
        assert_eq!(left.len(), 1);
        assert_eq!(&left[0].1[..], b"second");
        assert!(matches!(
            read(&object.slice(..object.len() - 1)),
            Err(BatchError::Short)
        ));
        assert!(matches!(
            read(&Bytes::from_static(b"x")),
            Err(BatchError::Foreign)
        ));
    }
}
