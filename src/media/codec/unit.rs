//! NAL units by what they are to a picture: where an access unit begins (ISO/IEC 14496-10 clause 7.4.1.2.3, ITU-T H.265
//! clause 7.4.2.4.4), and whether decoding can start with it.

use super::bits::BitReader;
use super::h264::FieldSyntax;
use crate::frame::VideoCodec;

/// What a NAL unit is to the pictures around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The first slice of a picture.
    Begins,
    /// A later slice of the picture before it.
    Continues,
    /// A delimiter, parameter set or SEI: it belongs to the picture after it.
    Opens,
    /// Filler, an end of sequence, a slice of another layer: it belongs to whatever is before it.
    Follows,
}

/// The kind of an H.264 or H.265 unit.
#[must_use]
pub fn kind(codec: VideoCodec, unit: &[u8]) -> Kind {
    let byte = |at: usize| unit.get(at).copied().unwrap_or(0);
    let top = |at: usize| byte(at) & 0x80 != 0;
    if codec == VideoCodec::H265 {
        let layer = (byte(0) & 1) << 5 | byte(1) >> 3;
        return match (byte(0) >> 1 & 0x3F, layer) {
            // first_slice_segment_in_pic_flag
            (0..=31, 0) if top(2) => Kind::Begins,
            (0..=31, 0) => Kind::Continues,
            (32..=35 | 39 | 41..=44 | 48..=55, _) => Kind::Opens,
            _ => Kind::Follows,
        };
    }
    match byte(0) & 0x1F {
        // first_mb_in_slice is 0 where its Exp-Golomb code is a single one.
        1 | 2 | 5 if top(1) => Kind::Begins,
        1..=5 => Kind::Continues,
        6..=9 | 13..=18 => Kind::Opens,
        _ => Kind::Follows,
    }
}

/// An access unit delimiter.
#[must_use]
pub fn is_delimiter(codec: VideoCodec, unit: &[u8]) -> bool {
    unit.first().is_some_and(|byte| match codec {
        VideoCodec::H265 => byte >> 1 & 0x3F == 35,
        _ => byte & 0x1F == 9,
    })
}

/// The units of a picture with 4-byte lengths, each with the offset of its length. Stops where the lengths do not fit.
pub fn units(data: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let (length, rest) = data.get(at..)?.split_first_chunk::<4>()?;
        let unit = rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        let offset = at;
        at += 4 + unit.len();
        Some((offset, unit))
    })
}

/// Whether decoding can start with a picture of H.264 or H.265; `flagged` is what the container said.
///
/// An IDR or IRAP unit decides by itself. A recovery point (annex D.1.8 and D.2.8) that is exact at once does so too;
/// one that is reached later, and an intra picture without any, count where the container calls them a key frame.
#[must_use]
pub fn is_key(codec: VideoCodec, data: &[u8], flagged: bool) -> bool {
    let mut has_sei = false;
    let mut intra = false;
    let mut inter = false;
    let mut fields = 0;
    for (_, unit) in units(data) {
        let Some(first) = unit.first() else { continue };
        if codec == VideoCodec::H265 {
            match first >> 1 & 0x3F {
                16..=23 => return true,
                39 => has_sei = true,
                _ => {}
            }
        } else {
            match first & 0x1F {
                5 => return true,
                6 => has_sei = true,
                1 if flagged => {
                    fields += usize::from(kind(codec, unit) == Kind::Begins);
                    // A second field may lean on the first.
                    if fields < 2 {
                        let is_intra = is_intra_slice(unit);
                        intra |= is_intra;
                        inter |= !is_intra;
                    }
                }
                _ => {}
            }
        }
    }
    let recovery = if has_sei {
        units(data).find_map(|(_, unit)| recovery_point(codec, unit))
    } else {
        None
    };
    match recovery {
        Some(true) => true,
        Some(false) => flagged,
        // One slice of another kind leans on earlier pictures.
        None => intra && !inter,
    }
}

/// Longest head of a slice that is looked at; the fields needed end well before.
const HEAD: usize = 24;

/// The bytes behind a unit's header without emulation prevention bytes.
fn payload(unit: &[u8], header: usize) -> impl Iterator<Item = u8> {
    let mut zeros = 0;
    unit.iter().skip(header).filter_map(move |byte| {
        let is_escape = zeros >= 2 && *byte == 3;
        zeros = match byte {
            0 => zeros + 1,
            _ => 0,
        };
        (!is_escape).then_some(*byte)
    })
}

fn head(unit: &[u8]) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    for (slot, byte) in head.iter_mut().zip(payload(unit, 1)) {
        *slot = byte;
    }
    head
}

/// Slice types I and SI (ISO/IEC 14496-10 table 7-6).
fn is_intra_slice(unit: &[u8]) -> bool {
    let head = head(unit);
    let mut reader = BitReader::new(&head, "slice header");
    let slice_type = reader.ue().and_then(|_| reader.ue());
    slice_type.is_ok_and(|slice_type| matches!(slice_type, 2 | 4 | 7 | 9))
}

/// Whether a recovery point SEI is exact at once; `None` when the unit holds none.
fn recovery_point(codec: VideoCodec, unit: &[u8]) -> Option<bool> {
    const RECOVERY_POINT: u32 = 6;
    let header = match (codec, unit.first()?) {
        (VideoCodec::H265, first) if first >> 1 & 0x3F == 39 => 2,
        (VideoCodec::H264, first) if first & 0x1F == 6 => 1,
        _ => return None,
    };
    let mut bytes = payload(unit, header);
    loop {
        let kind = sei_number(&mut bytes)?;
        let size = sei_number(&mut bytes)?;
        if kind == RECOVERY_POINT {
            // recovery_frame_cnt and recovery_poc_cnt are 0 where their code is a single one.
            return bytes.next().map(|byte| byte & 0x80 != 0);
        }
        if let Some(last) = size.checked_sub(1) {
            bytes.nth(usize::try_from(last).ok()?)?;
        }
    }
}

/// A payload type or size: every byte of ones adds 255 and says that another follows.
fn sei_number(bytes: &mut impl Iterator<Item = u8>) -> Option<u32> {
    let mut sum = 0_u32;
    loop {
        let byte = bytes.next()?;
        sum = sum.saturating_add(byte.into());
        if byte != 0xFF {
            return Some(sum);
        }
    }
}

/// A field of an H.264 frame: its frame_num and whether it is the bottom one; `None` for a whole frame.
#[must_use]
pub fn field(syntax: FieldSyntax, unit: &[u8]) -> Option<(u32, bool)> {
    let head = head(unit);
    let mut reader = BitReader::new(&head, "slice header");
    reader.ue().ok()?; // first_mb_in_slice
    reader.ue().ok()?; // slice_type
    reader.ue().ok()?; // pic_parameter_set_id
    if syntax.separate_planes {
        reader.bits(2).ok()?;
    }
    let frame_num = reader.bits(syntax.frame_num_bits).ok()?;
    if !reader.bit().ok()? {
        return None;
    }
    Some((frame_num, reader.bit().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use VideoCodec::{H264, H265};

    fn picture(units: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        for unit in units {
            out.extend(u32::try_from(unit.len()).unwrap().to_be_bytes());
            out.extend(*unit);
        }
        out
    }

    #[test]
    fn units_are_known_by_type_and_first_slice_bit() {
        for (unit, wanted) in [
            (&[0x65, 0x88][..], Kind::Begins),
            (&[0x41, 0x9A], Kind::Begins),
            (&[0x41, 0x49], Kind::Continues),
            (&[0x65], Kind::Continues),
            (&[0x09, 0xF0], Kind::Opens),
            (&[0x06, 5], Kind::Opens),
            (&[0x67, 1], Kind::Opens),
            (&[0x0C, 0xFF], Kind::Follows),
            (&[0x0B], Kind::Follows),
            (&[], Kind::Follows),
        ] {
            assert_eq!(kind(H264, unit), wanted, "{unit:x?}");
        }
        for (unit, wanted) in [
            (&[0x26, 1, 0x80][..], Kind::Begins),
            (&[0x02, 1, 0x80], Kind::Begins),
            (&[0x02, 1, 0x40], Kind::Continues),
            // Layer 1, the depth or alpha of the same picture.
            (&[0x02, 9, 0x80], Kind::Follows),
            (&[0x46, 1, 0x50], Kind::Opens),
            (&[0x4E, 1, 5], Kind::Opens),
            (&[0x50, 1, 5], Kind::Follows),
        ] {
            assert_eq!(kind(H265, unit), wanted, "{unit:x?}");
        }
    }

    #[test]
    fn an_idr_or_irap_unit_is_a_key_frame_whatever_the_flag_says() {
        for flagged in [false, true] {
            assert!(is_key(
                H264,
                &picture(&[&[9, 0xF0], &[0x65, 0x88]]),
                flagged
            ));
            assert!(is_key(H265, &picture(&[&[0x26, 1, 0x80]]), flagged));
            assert!(is_key(H265, &picture(&[&[0x2A, 1, 0x80]]), flagged), "CRA");
            // A P picture: 1 (first_mb 0), 1 (slice_type 0).
            assert!(!is_key(H264, &picture(&[&[0x41, 0xC0]]), flagged));
            assert!(!is_key(H265, &picture(&[&[0x02, 1, 0x80]]), flagged));
        }
        // An I picture: 1 (first_mb 0), 0001000 (slice_type 7).
        let intra = picture(&[&[0x41, 0x88]]);
        assert!(is_key(H264, &intra, true) && !is_key(H264, &intra, false));
    }

    #[test]
    fn a_flagged_picture_is_a_key_frame_when_all_its_slices_are_intra() {
        // first_mb 0 is 1 and first_mb 1 is 010; slice_type 7 is 0001000 and slice_type 5 is 00110.
        let first = &[0x41, 0b1000_1000][..];
        let intra = &[0x41, 0b0100_0010, 0][..];
        let inter = &[0x41, 0b0100_0110][..];
        let second_field = &[0x41, 0b1001_1010][..];
        let sei = &[6, 5, 1, 0, 0x80][..];
        for (units, wanted) in [
            (&[first, intra, intra][..], true),
            (&[sei, first], true),
            (&[first, intra, second_field, inter], true),
            (&[first, inter], false),
            (&[first, intra, inter], false),
            (&[inter, intra], false),
        ] {
            assert_eq!(is_key(H264, &picture(units), true), wanted, "{units:x?}");
        }
    }

    #[test]
    fn a_recovery_point_counts_at_once_or_with_the_flag() {
        // User data with an escaped byte before it: type 5, four bytes 0 0 1 7.
        let sei = |count: u8| [6, 5, 4, 0, 0, 3, 1, 7, 6, 1, count, 0x80];
        let slice = &[0x41, 0xC0][..];
        let exact = picture(&[&sei(0xC4), slice]);
        assert!(is_key(H264, &exact, false) && is_key(H264, &exact, true));
        let late = picture(&[&sei(0x24), slice]);
        assert!(!is_key(H264, &late, false) && is_key(H264, &late, true));
        let other = picture(&[&[6, 5, 1, 0xFF, 0x80], slice]);
        assert!(!is_key(H264, &other, true));
        let cut = picture(&[&[6, 0xFF, 0xFF], slice]);
        assert!(!is_key(H264, &cut, true));
        let hevc = picture(&[&[0x4E, 1, 6, 1, 0xC0, 0x80], &[0x02, 1, 0x80]]);
        assert!(is_key(H265, &hevc, false));
    }

    #[test]
    fn fields_are_told_from_frames() {
        let syntax = FieldSyntax {
            frame_num_bits: 4,
            separate_planes: false,
        };
        // 1 first_mb, 00110 slice_type 5, 1 pps, frame_num 0101, field_pic 1, bottom 1
        assert_eq!(
            field(syntax, &[0x41, 0b1001_1010, 0b1011_1000]),
            Some((5, true))
        );
        assert_eq!(field(syntax, &[0x41, 0b1001_1010, 0b1010_0000]), None);
    }
}
