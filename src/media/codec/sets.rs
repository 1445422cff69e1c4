//! A picture configuration inside the pictures: what a decoder must be told before a key frame where a file's one header tells of more
//! than one configuration (ISO/IEC 14496-15 clause 5.2.2 knows the form as `avc3` and `hev1`).

use bytes::{BufMut, Bytes, BytesMut};

use super::{CodecError, h264, h265};
use crate::frame::{VideoCodec, VideoConfig};

/// The parameter sets of one configuration, in the form of a sample: NAL units with 4-byte lengths, or MPEG-4 part 2's headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sets {
    codec: VideoCodec,
    bytes: Bytes,
}

impl Sets {
    /// Takes them from a configuration.
    ///
    /// # Errors
    /// When the record cannot be read.
    pub fn of(config: &VideoConfig) -> Result<Self, CodecError> {
        let bytes = match config.codec {
            VideoCodec::H264 => {
                let record = h264::parse_avcc(&config.record)?;
                with_lengths(&[record.sps, record.pps])
            }
            VideoCodec::H265 => {
                let record = h265::parse_hvcc(&config.record)?;
                with_lengths(&[record.vps, record.sps, record.pps])
            }
            VideoCodec::Mpeg4 => config.record.clone(),
        };
        Ok(Self {
            codec: config.codec,
            bytes,
        })
    }

    /// Bytes that they add to a sample.
    #[must_use]
    pub fn size(&self) -> u32 {
        u32::try_from(self.bytes.len()).unwrap_or(u32::MAX)
    }

    /// A sample with the sets in it, in pieces: an access unit delimiter stays first (H.264 and H.265, clause 7.4.1.2.3 and 7.4.2.4.4).
    #[must_use]
    pub fn within<'a>(&'a self, sample: &'a [u8]) -> [&'a [u8]; 3] {
        let (delimiter, rest) = sample.split_at(self.delimiter(sample));
        [delimiter, &self.bytes, rest]
    }

    fn delimiter(&self, sample: &[u8]) -> usize {
        let Some(([a, b, c, d], nal)) = sample.split_first_chunk::<4>() else {
            return 0;
        };
        let size = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let is_delimiter = nal.first().is_some_and(|first| match self.codec {
            VideoCodec::H264 => first & 0x1F == 9,
            VideoCodec::H265 => (first >> 1) & 0x3F == 35,
            VideoCodec::Mpeg4 => false,
        });
        if is_delimiter && size <= nal.len() {
            4 + size
        } else {
            0
        }
    }
}

fn with_lengths<const N: usize>(sets: &[Vec<Bytes>; N]) -> Bytes {
    let mut out = BytesMut::new();
    // A record may hold an empty set, and a sample must not: browsers refuse it.
    for nal in sets.iter().flatten().filter(|nal| !nal.is_empty()) {
        out.put_u32(u32::try_from(nal.len()).unwrap_or(u32::MAX));
        out.put_slice(nal);
    }
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AVCC: &[u8] = &[
        1, 0x4D, 0x00, 0x1E, 0xFC, 0xE1, 0, 4, 0x67, 0x4D, 0x00, 0x1E, 1, 0, 2, 0x68, 0xEE,
    ];

    fn sets(codec: VideoCodec, record: &'static [u8]) -> Sets {
        Sets::of(&VideoConfig {
            codec,
            record: Bytes::from_static(record),
            width: 0,
            height: 0,
        })
        .unwrap()
    }

    #[test]
    fn sets_stand_before_a_picture_and_behind_its_delimiter() {
        let sets = sets(VideoCodec::H264, AVCC);
        let own = [0, 0, 0, 4, 0x67, 0x4D, 0x00, 0x1E, 0, 0, 0, 2, 0x68, 0xEE];
        assert_eq!(sets.size(), 14);
        let picture = [0, 0, 0, 2, 0x65, 0x88];
        assert_eq!(sets.within(&picture), [&[][..], &own, &picture]);
        let delimited = [0, 0, 0, 2, 9, 0xF0, 0, 0, 0, 2, 0x65, 0x88];
        assert_eq!(sets.within(&delimited), [&delimited[..6], &own, &picture]);
        // A length that lies: nothing is taken apart.
        let broken = [0, 0, 1, 0, 9, 0xF0];
        assert_eq!(sets.within(&broken), [&[][..], &own, &broken]);
        assert_eq!(sets.within(&[]), [&[][..], &own, &[]]);
    }

    #[test]
    fn an_empty_set_of_a_record_is_left_out() {
        const TWO: &[u8] = &[
            1, 0x4D, 0x00, 0x1E, 0xFC, 0xE1, 0, 4, 0x67, 0x4D, 0x00, 0x1E, 2, 0, 0, 0, 2, 0x68,
            0xEE,
        ];
        let one = sets(VideoCodec::H264, AVCC);
        assert_eq!(sets(VideoCodec::H264, TWO), one);
    }

    #[test]
    fn headers_of_mpeg4_part_2_are_taken_as_they_are() {
        let sets = sets(VideoCodec::Mpeg4, &[0, 0, 1, 0xB0, 1]);
        let picture = [0, 0, 1, 0xB6];
        assert_eq!(
            sets.within(&picture)[1..],
            [&[0, 0, 1, 0xB0, 1][..], &picture]
        );
    }

    #[test]
    fn a_record_that_cannot_be_read_is_refused() {
        let config = VideoConfig {
            codec: VideoCodec::H265,
            record: Bytes::from_static(&[1]),
            width: 0,
            height: 0,
        };
        assert!(Sets::of(&config).is_err());
    }
}
