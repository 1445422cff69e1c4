//! MPEG-4 part 2: the video object layer header (ISO/IEC 14496-2 clause 6.2.3) as far as the picture size, and the
//! coding type of a picture.

use super::CodecError;
use super::bits::BitReader;

const VISUAL_OBJECT_SEQUENCE: u8 = 0xB0;
const VOP: u8 = 0xB6;

/// What the product needs of a video object layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vol {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

/// Reads the first video object layer header in `data`.
///
/// # Errors
/// When there is none, it ends early, or the layer is not rectangular.
pub fn parse_vol(data: &[u8]) -> Result<Vol, CodecError> {
    let start = start_codes(data)
        .find(|(code, _)| (0x20..=0x2F).contains(code))
        .map(|(_, offset)| offset)
        .ok_or(CodecError::Missing {
            what: "MPEG-4 video object layer",
        })?;
    let header = data.get(start + 4..).unwrap_or_default();
    let mut r = BitReader::new(header, "MPEG-4 video object layer");
    r.skip(9)?; // random_accessible_vol, video_object_type_indication
    let mut version = 1;
    if r.bit()? {
        version = r.byte(4)?;
        r.skip(3)?; // priority
    }
    if r.byte(4)? == 15 {
        r.skip(16)?; // extended pixel aspect ratio
    }
    if r.bit()? {
        r.skip(3)?; // chroma format, low delay
        if r.bit()? {
            r.skip(79)?; // video buffering verifier
        }
    }
    let shape = r.byte(2)?;
    if shape == 3 && version != 1 {
        r.skip(4)?; // shape extension
    }
    if shape != 0 {
        return Err(CodecError::invalid("MPEG-4 layer shape", shape));
    }
    r.skip(1)?; // marker
    let resolution = r.bits(16)?;
    r.skip(1)?; // marker
    if r.bit()? {
        r.skip(increment_bits(resolution))?;
    }
    r.skip(1)?; // marker
    let width = r.bits(13)?;
    r.skip(1)?; // marker
    let height = r.bits(13)?;
    if width == 0 || height == 0 {
        return Err(CodecError::invalid("picture side", width.min(height)));
    }
    Ok(Vol { width, height })
}

/// The headers before the first picture in `data`: what a decoder must have seen, and empty when there are none.
#[must_use]
pub fn leading_headers(data: &[u8]) -> &[u8] {
    let end = start_codes(data)
        .find(|(code, _)| *code == VOP)
        .map_or(data.len(), |(_, offset)| offset);
    let headers = data.get(..end).unwrap_or_default();
    let useful = start_codes(headers)
        .any(|(code, _)| code == VISUAL_OBJECT_SEQUENCE || (0x20..=0x2F).contains(&code));
    if useful { headers } else { &[] }
}

/// Whether `data` holds a picture, and not headers alone.
#[must_use]
pub fn has_picture(data: &[u8]) -> bool {
    start_codes(data).any(|(code, _)| code == VOP)
}

/// True when the first picture in `data` is intra coded.
#[must_use]
pub fn is_intra(data: &[u8]) -> bool {
    start_codes(data)
        .find(|(code, _)| *code == VOP)
        .and_then(|(_, offset)| data.get(offset + 4))
        .is_some_and(|byte| byte >> 6 == 0)
}

/// Bits of vop_time_increment: enough for `resolution` - 1, at least one.
fn increment_bits(resolution: u32) -> usize {
    let bits = u32::BITS - resolution.saturating_sub(1).leading_zeros();
    bits.max(1) as usize
}

/// Every start code (`00 00 01 code`) with the offset of its first zero.
fn start_codes(data: &[u8]) -> impl Iterator<Item = (u8, usize)> + '_ {
    data.windows(4)
        .enumerate()
        .filter_map(|(offset, window)| match window {
            &[0, 0, 1, code] => Some((code, offset)),
            _ => None,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Headers that an MPEG-4 encoder wrote for 320 x 240 at 25 pictures a second.
    const HEADERS: &[u8] = &[
        0, 0, 1, 0xB0, 1, 0, 0, 1, 0xB5, 0x89, 0x13, 0, 0, 1, 0, 0, 0, 1, 0x20, 0, 0xC4, 0x8D,
        0x88, 0, 0xCD, 0x0A, 0x04, 0x1E, 0x14, 0x63,
    ];

    #[test]
    fn size_of_a_rectangular_layer() {
        let vol = parse_vol(HEADERS).unwrap();
        assert_eq!((vol.width, vol.height), (320, 240));
    }

    #[test]
    fn headers_before_a_picture_and_its_type() {
        let mut picture = HEADERS.to_vec();
        picture.extend([0, 0, 1, 0xB6, 0x10, 0x60]);
        assert_eq!(leading_headers(&picture), HEADERS);
        assert!(is_intra(&picture));
        assert!(leading_headers(&[0, 0, 1, 0xB6, 0x51]).is_empty());
        assert!(!is_intra(&[0, 0, 1, 0xB6, 0x51]));
        assert!(!is_intra(&[0, 0, 1, 0xB6]));
    }

    #[test]
    fn missing_and_cut_headers_are_errors() {
        assert_eq!(
            parse_vol(b"no start code here"),
            Err(CodecError::Missing {
                what: "MPEG-4 video object layer"
            })
        );
        for end in 0..HEADERS.len() - 3 {
            assert!(parse_vol(&HEADERS[..end]).is_err(), "{end} bytes");
        }
    }
}
