//! MP3: the frame header of MPEG-1, MPEG-2 and MPEG-2.5 layer III (ISO/IEC 11172-3 clause 2.4.1.3, 13818-3 clause 2.4.1.3).

use super::CodecError;

/// Kilobits per second by index, MPEG-1 layer III.
const BITRATES_MPEG1: [u32; 15] = [
    0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320,
];

/// Kilobits per second by index, MPEG-2 and 2.5 layer III.
const BITRATES_MPEG2: [u32; 15] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];

/// What one frame header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Hertz.
    pub sample_rate: u32,
    /// 1 or 2.
    pub channels: u8,
    /// Bytes of the whole frame, its header included.
    pub frame_bytes: u32,
    /// Samples per channel in the frame: 1152, or 576 at half rates.
    pub samples: u32,
}

/// Reads the header at the start of `data`; the rest of the frame need not be there.
///
/// # Errors
/// When there is no layer III header, or it uses a reserved value or the free format.
pub fn parse_header(data: &[u8]) -> Result<Header, CodecError> {
    let &[first, second, third, fourth, ..] = data else {
        return Err(CodecError::Truncated {
            what: "MP3 frame header",
        });
    };
    if first != 0xFF || second & 0xE0 != 0xE0 {
        return Err(CodecError::Missing {
            what: "MP3 sync word",
        });
    }
    let version = second >> 3 & 3;
    let layer = second >> 1 & 3;
    if layer != 1 {
        return Err(CodecError::invalid("MPEG audio layer code", layer));
    }
    let (bitrates, rate_divisor, samples) = match version {
        3 => (&BITRATES_MPEG1, 1, 1152),
        2 => (&BITRATES_MPEG2, 2, 576),
        0 => (&BITRATES_MPEG2, 4, 576),
        reserved => return Err(CodecError::invalid("MPEG audio version code", reserved)),
    };
    let bitrate_index = third >> 4;
    // Index 0 is the free format, whose frame length a header alone does not tell.
    let kbps = bitrates
        .get(usize::from(bitrate_index))
        .copied()
        .filter(|kbps| *kbps > 0)
        .ok_or(CodecError::invalid("MP3 bitrate index", bitrate_index))?;
    let rate_index = third >> 2 & 3;
    let sample_rate = match rate_index {
        0 => 44_100,
        1 => 48_000,
        2 => 32_000,
        reserved => return Err(CodecError::invalid("MP3 sample rate index", reserved)),
    } / rate_divisor;
    let padding = u32::from(third >> 1 & 1);
    Ok(Header {
        sample_rate,
        channels: if fourth >> 6 == 3 { 1 } else { 2 },
        frame_bytes: samples / 8 * kbps * 1000 / sample_rate + padding,
        samples,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_versions() {
        let mpeg1 = parse_header(&[0xFF, 0xFB, 0x90, 0x00]).unwrap();
        assert_eq!(
            mpeg1,
            Header {
                sample_rate: 44_100,
                channels: 2,
                frame_bytes: 417,
                samples: 1152
            }
        );
        let padded = parse_header(&[0xFF, 0xFB, 0x92, 0xC0]).unwrap();
        assert_eq!((padded.frame_bytes, padded.channels), (418, 1));
        let mpeg2 = parse_header(&[0xFF, 0xF3, 0x80, 0x00]).unwrap();
        assert_eq!(
            (mpeg2.sample_rate, mpeg2.samples, mpeg2.frame_bytes),
            (22_050, 576, 208)
        );
        let mpeg25 = parse_header(&[0xFF, 0xE3, 0x88, 0x00]).unwrap();
        assert_eq!((mpeg25.sample_rate, mpeg25.frame_bytes), (8_000, 576));
    }

    #[test]
    fn reserved_values_are_errors() {
        for (bytes, what) in [
            ([0xFF, 0xFD, 0x90, 0], "MPEG audio layer code"),
            ([0xFF, 0xEB, 0x90, 0], "MPEG audio version code"),
            ([0xFF, 0xFB, 0x00, 0], "MP3 bitrate index"),
            ([0xFF, 0xFB, 0xF0, 0], "MP3 bitrate index"),
            ([0xFF, 0xFB, 0x9C, 0], "MP3 sample rate index"),
        ] {
            match parse_header(&bytes) {
                Err(CodecError::Invalid { what: found, .. }) => assert_eq!(found, what),
                other => panic!("{bytes:?}: {other:?}"),
            }
        }
        assert!(parse_header(&[0xFF, 0xFB, 0x90]).is_err());
        assert!(parse_header(b"ID3\x03").is_err());
    }
}
