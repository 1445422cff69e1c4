//! NAL units with length prefixes (ISO/IEC 14496-15 clause 4.3.2): checked, and brought to 4-byte lengths.

use bytes::{BufMut, Bytes, BytesMut};

use super::TagError;

/// Checks that the units fill the picture exactly and returns it with 4-byte lengths and without empty units; free of copies where it
/// has that form.
pub(super) fn with_long_lengths(picture: Bytes, length_size: u8) -> Result<Bytes, TagError> {
    if length_size == 4 {
        let mut rest = picture.as_ref();
        let mut has_empty = false;
        while !rest.is_empty() {
            let (unit, after) = split_unit(rest, length_size).ok_or(TagError::NalLengths {
                size: picture.len(),
            })?;
            has_empty |= unit.is_empty();
            rest = after;
        }
        // Browsers refuse a whole fragment for one empty unit (Chromium's MSE does), so the rare picture that has one is rewritten.
        if !has_empty {
            return Ok(picture);
        }
    }
    // Room for the longer prefixes of a picture of a dozen slices; grows for more.
    let mut rewritten = BytesMut::with_capacity(picture.len() + 64);
    let mut rest = picture.as_ref();
    while !rest.is_empty() {
        let (unit, after) = split_unit(rest, length_size).ok_or(TagError::NalLengths {
            size: picture.len(),
        })?;
        // One byte a unit is the least a prefix can be; empty units say nothing and would let a picture grow fourfold.
        if let Ok(len @ 1..) = u32::try_from(unit.len()) {
            rewritten.put_u32(len);
            rewritten.put_slice(unit);
        }
        rest = after;
    }
    Ok(rewritten.freeze())
}

/// The first unit and what follows it.
fn split_unit(bytes: &[u8], length_size: u8) -> Option<(&[u8], &[u8])> {
    let (prefix, rest) = bytes.split_at_checked(usize::from(length_size))?;
    let len = prefix
        .iter()
        .fold(0_usize, |len, byte| len << 8 | usize::from(*byte));
    rest.split_at_checked(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lengths_are_not_copied() {
        let picture = Bytes::from_static(&[0, 0, 0, 2, 9, 16, 0, 0, 0, 1, 7]);
        let same = with_long_lengths(picture.clone(), 4).unwrap();
        assert_eq!(same.as_ptr(), picture.as_ptr());
        assert_eq!(same, picture);
    }

    #[test]
    fn empty_units_are_left_out() {
        let picture = Bytes::from_static(&[0, 0, 0, 2, 9, 16, 0, 0, 0, 0, 0, 0, 0, 1, 7]);
        let without = with_long_lengths(picture, 4).unwrap();
        assert_eq!(without.as_ref(), [0, 0, 0, 2, 9, 16, 0, 0, 0, 1, 7]);
        for (nothing, length_size) in [(&[0, 0, 0, 0][..], 4), (&[0, 0], 1)] {
            let picture = Bytes::copy_from_slice(nothing);
            assert!(with_long_lengths(picture, length_size).unwrap().is_empty());
        }
    }

    #[test]
    fn short_lengths_are_rewritten() {
        let one = Bytes::from_static(&[2, 9, 16, 0, 1, 7]);
        let two = Bytes::from_static(&[0, 2, 9, 16, 0, 0, 0, 1, 7]);
        let long = [0, 0, 0, 2, 9, 16, 0, 0, 0, 1, 7];
        assert_eq!(with_long_lengths(one, 1).unwrap().as_ref(), long);
        assert_eq!(with_long_lengths(two, 2).unwrap().as_ref(), long);
    }

    #[test]
    fn lengths_must_fit_exactly() {
        for (picture, length_size) in [
            (&[0, 0, 0, 2, 9][..], 4),
            (&[0, 0, 0, 1, 9, 0], 4),
            (&[0xFF, 0xFF, 0xFF, 0xFF, 1], 4),
            (&[3, 1, 2], 1),
            (&[0, 1, 2, 0], 2),
        ] {
            let picture = Bytes::copy_from_slice(picture);
            let size = picture.len();
            assert_eq!(
                with_long_lengths(picture, length_size),
                Err(TagError::NalLengths { size })
            );
        }
    }
}
