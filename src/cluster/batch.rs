//! The form of an object of the mirror: ranges of spool segments, and which they are. Pure.
//!
//! `MAGIC | u32 length of the index | index (JSON) | the ranges' bytes, one behind the other`, little-endian. Each range has its own
//! checksum: what a store damaged is left out, and the rest of the object still counts.

use bytes::Bytes;
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

/// An object in the making. Nothing is copied: the bytes stay in the pieces that they came in.
#[derive(Default)]
pub struct Batch {
    parts: Vec<Part>,
    pieces: Vec<Bytes>,
}

impl Batch {
    /// Takes a range of a segment with its bytes, one piece behind the other, and their checksum where somebody has it.
    pub fn add(
        &mut self,
        session: &str,
        owner: &str,
        (segment, offset): (u32, u64),
        pieces: Vec<Bytes>,
        crc32: Option<u32>,
    ) {
        let counted = || {
            let mut checksum = crc32fast::Hasher::new();
            pieces.iter().for_each(|piece| checksum.update(piece));
            checksum.finalize()
        };
        self.parts.push(Part {
            session: session.to_owned(),
            owner: owner.to_owned(),
            segment,
            offset,
            length: pieces.iter().map(|piece| piece.len() as u64).sum(),
            crc32: crc32.unwrap_or_else(counted),
        });
        self.pieces.extend(pieces);
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The object, in pieces.
    ///
    /// # Errors
    /// The index cannot be written, which does not happen.
    pub fn finish(self) -> Result<Vec<Bytes>, BatchError> {
        let index = serde_json::to_vec(&self.parts)?;
        let length = u32::try_from(index.len()).unwrap_or(u32::MAX);
        let head = [MAGIC, &length.to_le_bytes(), &index].concat();
        Ok(std::iter::once(head.into()).chain(self.pieces).collect())
    }
}

/// Where the bytes of the ranges begin in an object, by its own beginning.
///
/// # Errors
/// The bytes are no beginning of an object of a mirror.
pub fn data_begins(object: &[u8]) -> Result<usize, BatchError> {
    let rest = object.strip_prefix(MAGIC).ok_or(BatchError::Foreign)?;
    let length = rest.first_chunk::<4>().ok_or(BatchError::Short)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    if length > MOST_INDEX {
        return Err(BatchError::Short);
    }
    Ok(MAGIC.len() + 4 + length)
}

/// A range, and where in the object its bytes begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    pub part: Part,
    pub at: u64,
}

/// The ranges of an object, by its beginning up to where their bytes begin.
///
/// # Errors
/// The bytes are no object of a mirror, or not enough of it.
pub fn index(object: &[u8]) -> Result<Vec<Placed>, BatchError> {
    let begins = data_begins(object)?;
    let index = object
        .get(MAGIC.len() + 4..begins)
        .ok_or(BatchError::Short)?;
    let parts: Vec<Part> = serde_json::from_slice(index)?;
    let mut at = begins as u64;
    let mut placed = Vec::with_capacity(parts.len());
    for part in parts {
        let length = part.length;
        placed.push(Placed { part, at });
        at = at.checked_add(length).ok_or(BatchError::Short)?;
    }
    Ok(placed)
}

impl Placed {
    /// Where its bytes end in the object.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.at + self.part.length
    }

    /// Its bytes, of a stretch of the object that begins at `from`; none where their checksum does not match or they are not all there.
    #[must_use]
    pub fn cut(&self, from: u64, stretch: &Bytes) -> Option<Bytes> {
        let start = usize::try_from(self.at.checked_sub(from)?).ok()?;
        let end = usize::try_from(self.end().checked_sub(from)?).ok()?;
        let bytes = (end <= stretch.len()).then(|| stretch.slice(start..end))?;
        (crc32fast::hash(&bytes) == self.part.crc32).then_some(bytes)
    }
}

/// Ranges of an object that are read at once: those with less than `gap` bytes between them. They come in the object's order.
#[must_use]
pub fn stretches(wanted: Vec<Placed>, gap: u64) -> Vec<Vec<Placed>> {
    let mut stretches: Vec<Vec<Placed>> = Vec::new();
    for placed in wanted {
        match stretches.last_mut() {
            Some(stretch)
                if stretch
                    .last()
                    .is_some_and(|last| placed.at.saturating_sub(last.end()) < gap) =>
            {
                stretch.push(placed);
            }
            _ => stretches.push(vec![placed]),
        }
    }
    stretches
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Each range in pieces of two sizes.
    fn batch<'a>(parts: impl IntoIterator<Item = (&'a str, (u32, u64), &'a [u8])>) -> Bytes {
        let mut batch = Batch::default();
        for (n, (owner, at, bytes)) in parts.into_iter().enumerate() {
            let (first, second) = bytes.split_at(bytes.len() / 3);
            let pieces = [first, second].map(Bytes::copy_from_slice);
            let crc32 = n.is_multiple_of(2).then(|| crc32fast::hash(bytes));
            batch.add("s", owner, at, pieces.into(), crc32);
        }
        batch.finish().unwrap().concat().into()
    }

    /// The ranges of a whole object, with their bytes; those whose checksum does not match are left out.
    fn read(object: &Bytes) -> Result<Vec<(Part, Bytes)>, BatchError> {
        let placed = index(object)?;
        if placed
            .last()
            .is_some_and(|last| last.end() > object.len() as u64)
        {
            return Err(BatchError::Short);
        }
        let cut = placed
            .into_iter()
            .filter_map(|it| it.cut(0, object).map(|bytes| (it.part, bytes)));
        Ok(cut.collect())
    }

    #[test]
    fn ranges_that_lie_close_are_read_at_once() {
        let lengths = [("a", 10), ("b", 100), ("a", 10), ("b", 20), ("a", 5)];
        let object = batch(lengths.map(|(owner, length)| (owner, (0, 0), &[7; 100][..length])));
        let mut wanted = index(&object).unwrap();
        wanted.retain(|it| it.part.owner == "a");
        let stretches = stretches(wanted, 50);
        let lengths: Vec<Vec<u64>> = stretches
            .iter()
            .map(|it| it.iter().map(|placed| placed.part.length).collect())
            .collect();
        assert_eq!(lengths, [vec![10], vec![10, 5]]);
        let second = &stretches[1];
        let from = second[0].at;
        let stretch = object.slice(usize::try_from(from).unwrap()..);
        assert_eq!(&second[1].cut(from, &stretch).unwrap()[..], [7; 5]);
        assert_eq!(
            second[1].cut(from, &stretch.slice(..30)),
            None,
            "a short answer"
        );
    }

    proptest! {
        #[test]
        fn what_was_put_together_is_read_back(parts in proptest::collection::vec((0..3_u32, 0..1_000_u64, proptest::collection::vec(any::<u8>(), 0..300)), 0..20)) {
            let object = batch(parts.iter().map(|(segment, offset, bytes)| ("o", (*segment, *offset), &bytes[..])));
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
        let object = batch([("o", (0, 0), &b"first"[..]), ("o", (0, 5), b"second")]);
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
