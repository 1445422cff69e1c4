//! The ADTS header (ISO/IEC 14496-3 clause 1.A.3.2) that AAC frames carry in a transport stream.

use super::MuxError;
use crate::codec::aac::{self, Asc};

/// Bytes of a header without checksum.
pub(super) const HEADER: usize = 7;
/// aac_frame_length has 13 bits and counts the header.
pub(super) const MAX_FRAME: usize = 0x1FFF - HEADER;

/// The part of the header that is the same for every frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Adts {
    profile: u8,
    frequency_index: u8,
    channels: u8,
}

impl Adts {
    /// Takes what ADTS can say of a configuration.
    pub fn new(config: &[u8]) -> Result<Self, MuxError> {
        let asc = aac::parse_asc(config)?;
        let refuse = |what, value: u32| Err(MuxError::Adts { what, value });
        let profile = match asc.object_type {
            known @ 1..=4 => known - 1,
            other => return refuse("object type", other.into()),
        };
        if asc.frequency_index > 12 {
            return refuse("sample rate", asc.sample_rate);
        }
        if asc.frame_samples != 1024 {
            return refuse("samples a frame", asc.frame_samples);
        }
        Ok(Self {
            profile,
            frequency_index: asc.frequency_index,
            channels: channel_configuration(&asc)?,
        })
    }

    /// The channel layout has to stand in the raw data block.
    pub fn needs_program_config(self) -> bool {
        self.channels == 0
    }

    /// The header of a raw frame of `size` bytes.
    pub fn header(self, size: usize) -> Result<[u8; HEADER], MuxError> {
        let length = match u16::try_from(size) {
            Ok(length) if size <= MAX_FRAME => length + 7,
            _ => {
                return Err(MuxError::FrameTooLarge {
                    size,
                    limit: MAX_FRAME,
                });
            }
        };
        // The frame length straddles three bytes: 2, 8 and 3 bits.
        let [_, length_high, length_middle, length_low] = (u32::from(length) << 5).to_be_bytes();
        Ok([
            0xFF,
            0xF1, // MPEG-4, no checksum
            (self.profile << 6) | (self.frequency_index << 2) | (self.channels >> 2),
            ((self.channels & 3) << 6) | length_high,
            length_middle,
            length_low | 0x1F, // and the first bits of buffer_fullness, all ones
            0xFC,              // variable rate, one raw data block
        ])
    }
}

/// The three bits of channel_configuration. A programme config element of one channel or one pair says no more than 1 or 2; any other
/// stands in the raw data block, as 0 tells (clause 4.5.1.2).
fn channel_configuration(asc: &Asc) -> Result<u8, MuxError> {
    match (asc.channel_config, asc.channels) {
        (known @ 1..=7, _) => Ok(known),
        (0, known @ 1..=2) if asc.is_one_element => Ok(known),
        (0, _) => Ok(0),
        (other, _) => Err(MuxError::Adts {
            what: "channel configuration",
            value: other.into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_says_what_the_configuration_says() {
        // AAC LC, 44.1 kHz, stereo.
        let adts = Adts::new(&[0x12, 0x10]).unwrap();
        // 0x17F = 383 bytes in all, worked out by hand from the bit layout.
        assert_eq!(
            adts.header(376).unwrap(),
            [0xFF, 0xF1, 0x50, 0x80, 0x2F, 0xFF, 0xFC]
        );
    }

    #[test]
    fn the_length_field_is_the_limit() {
        let adts = Adts::new(&[0x12, 0x10]).unwrap();
        let largest = adts.header(MAX_FRAME).unwrap();
        assert_eq!(largest[3..6], [0x83, 0xFF, 0xFF]);
        assert_eq!(
            adts.header(MAX_FRAME + 1),
            Err(MuxError::FrameTooLarge {
                size: MAX_FRAME + 1,
                limit: MAX_FRAME
            })
        );
    }

    #[test]
    fn he_aac_is_written_as_its_core() {
        // SBR (5) over LC, core 22.05 kHz, extension 44.1 kHz, stereo.
        let adts = Adts::new(&[0x2B, 0x92, 0x08, 0x00]).unwrap();
        assert_eq!(adts.header(0).unwrap()[2], (1 << 6) | (7 << 2));
    }

    #[test]
    fn what_adts_cannot_say_is_refused() {
        // Low delay AAC (object type 23), 48 kHz, stereo.
        let low_delay = Adts::new(&[0xB9, 0x90, 0x00]).unwrap_err();
        assert_eq!(
            low_delay,
            MuxError::Adts {
                what: "object type",
                value: 23
            }
        );
        assert!(matches!(Adts::new(&[]), Err(MuxError::Codec(_))));
    }

    #[test]
    fn a_layout_of_its_own_is_channel_configuration_0() {
        // Two elements of two channels; a single pair of channels; two single channels.
        for (elements, wanted) in [("0010 11", 0), ("0001 1", 2), ("0010 00", 0)] {
            let (count, kinds) = elements.split_once(' ').unwrap();
            let tags: String = kinds.chars().map(|kind| format!("{kind}0000")).collect();
            let bits = format!(
                "00010 0100 0000 000 0000 01 0100 {count} 0000 0000 00 000 0000 0 0 0 {tags}"
            );
            let bits: String = bits.chars().filter(|c| *c != ' ').collect();
            let mut config: Vec<u8> = bits
                .as_bytes()
                .chunks(8)
                .map(|byte| {
                    byte.iter()
                        .enumerate()
                        .fold(0, |sum, (n, bit)| sum | (bit - b'0') << (7 - n))
                })
                .collect();
            config.push(0);
            let header = Adts::new(&config).unwrap().header(1).unwrap();
            assert_eq!((header[2] & 1) << 2 | header[3] >> 6, wanted, "{elements}");
        }
    }
}
