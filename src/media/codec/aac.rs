//! AAC: AudioSpecificConfig (ISO/IEC 14496-3 clause 1.6.2.1) with explicit SBR and PS signalling.

use super::CodecError;
use super::bits::BitReader;

/// Sampling frequencies by index (table 1.18).
pub const SAMPLE_RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];

/// Index that says "24 explicit bits follow".
const EXPLICIT_RATE: u8 = 15;

const SBR: u8 = 5;
const LOW_DELAY: u8 = 23;
const PARAMETRIC_STEREO: u8 = 29;
const ENHANCED_LOW_DELAY: u8 = 39;

/// What an AudioSpecificConfig says. Rate, index, channels and frame length are those of the **core** coder: an AAC frame
/// lasts `frame_samples / sample_rate` seconds whether SBR doubles the output rate or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asc {
    /// Audio object type of the core coder: 2 is AAC LC (also under HE-AAC).
    pub object_type: u8,
    /// Sampling frequency index; 15 only when the explicit rate is none of [`SAMPLE_RATES`].
    pub frequency_index: u8,
    /// Hertz.
    pub sample_rate: u32,
    /// channelConfiguration; 0 when a program config element describes the channels.
    pub channel_config: u8,
    /// Number of channels.
    pub channels: u8,
    /// The channels are one element, as channel configuration 1 or 2 says as well.
    pub is_one_element: bool,
    /// Samples per channel in one frame.
    pub frame_samples: u32,
    /// Hertz after spectral band replication where that is signalled explicitly, else `sample_rate`.
    pub output_sample_rate: u32,
    /// Parametric stereo is signalled: one core channel gives two.
    pub parametric_stereo: bool,
}

/// Reads an AudioSpecificConfig.
///
/// # Errors
/// When it ends early, or the rate or the channel configuration is a reserved value.
pub fn parse_asc(config: &[u8]) -> Result<Asc, CodecError> {
    Ok(parse(config)?.0)
}

/// The program_config_element of an AudioSpecificConfig that has one, as the syntactic element of a raw data block (clause 4.4.2.1,
/// table 4.2). It ends at a byte, so that a raw data block goes on behind it as it is.
///
/// # Errors
/// When the configuration cannot be read.
pub fn program_config(config: &[u8]) -> Result<Option<Vec<u8>>, CodecError> {
    const ID_PCE: u8 = 5;
    const ID_BITS: usize = 3;
    let (_, Some(at)) = parse(config)? else {
        return Ok(None);
    };
    let mut r = BitReader::new(config, "program_config_element");
    r.skip(at)?;
    let before = r.remaining();
    program_config_channels(&mut r)?;
    let fields = before - r.remaining();
    // Aligned from the beginning of the configuration, as the copy will be from that of the raw data block.
    r.skip(r.remaining() % 8)?;
    let comment = r.byte(8)?;
    let mut out = vec![0_u8; (ID_BITS + fields).div_ceil(8)];
    let mut from = BitReader::new(config, "program_config_element");
    from.skip(at)?;
    let set = |out: &mut Vec<u8>, bit: usize| {
        if let Some(byte) = out.get_mut(bit / 8) {
            *byte |= 0x80 >> (bit % 8);
        }
    };
    for bit in (0..ID_BITS).filter(|bit| ID_PCE >> (ID_BITS - 1 - bit) & 1 == 1) {
        set(&mut out, bit);
    }
    for bit in ID_BITS..ID_BITS + fields {
        if from.bit()? {
            set(&mut out, bit);
        }
    }
    out.push(comment);
    for _ in 0..comment {
        out.push(r.byte(8)?);
    }
    Ok(Some(out))
}

/// Whether a raw data block begins with a program_config_element of its own.
#[must_use]
pub fn begins_with_program_config(raw: &[u8]) -> bool {
    raw.first().is_some_and(|byte| byte >> 5 == 5)
}

/// The configuration, and the bit at which its program_config_element begins.
fn parse(config: &[u8]) -> Result<(Asc, Option<usize>), CodecError> {
    let mut program_config_at = None;
    let mut r = BitReader::new(config, "AudioSpecificConfig");
    let mut object_type = object_type(&mut r)?;
    let (frequency_index, sample_rate) = frequency(&mut r)?;
    let channel_config = r.byte(4)?;
    let mut output_sample_rate = sample_rate;
    let parametric_stereo = object_type == PARAMETRIC_STEREO;
    if object_type == SBR || object_type == PARAMETRIC_STEREO {
        output_sample_rate = frequency(&mut r)?.1;
        object_type = self::object_type(&mut r)?;
    }
    let mut channels = channels_of(channel_config)?;
    let mut is_one_element = matches!(channel_config, 1 | 2);
    let frame_samples = match object_type {
        // The bits after the channel configuration of these types are a GASpecificConfig (clause 4.4.1).
        1..=4 | 6 | 7 | 17 | 19..=23 => {
            let short = r.bit()?;
            if r.bit()? {
                r.skip(14)?; // coreCoderDelay
            }
            r.bit()?; // extensionFlag
            if channel_config == 0 {
                program_config_at = Some(config.len() * 8 - r.remaining());
                (channels, is_one_element) = program_config_channels(&mut r)?;
            }
            match (object_type == LOW_DELAY, short) {
                (false, false) => 1024,
                (false, true) => 960,
                (true, false) => 512,
                (true, true) => 480,
            }
        }
        ENHANCED_LOW_DELAY => {
            if r.bit()? {
                480
            } else {
                512
            }
        }
        _ => 1024,
    };
    if channels == 0 {
        return Err(CodecError::invalid("AAC channel count", channels));
    }
    let asc = Asc {
        object_type,
        frequency_index,
        sample_rate,
        channel_config,
        channels,
        is_one_element,
        frame_samples,
        output_sample_rate,
        parametric_stereo,
    };
    Ok((asc, program_config_at))
}

fn object_type(r: &mut BitReader<'_>) -> Result<u8, CodecError> {
    let object_type = match r.byte(5)? {
        31 => 32 + r.byte(6)?,
        short => short,
    };
    if object_type == 0 {
        return Err(CodecError::invalid("audio object type", object_type));
    }
    Ok(object_type)
}

/// Index and rate. An explicit rate that the table has is given the table's index, which ADTS needs.
fn frequency(r: &mut BitReader<'_>) -> Result<(u8, u32), CodecError> {
    let index = r.byte(4)?;
    if index != EXPLICIT_RATE {
        let rate = SAMPLE_RATES.get(usize::from(index)).copied();
        return rate
            .map(|rate| (index, rate))
            .ok_or(CodecError::invalid("sampling frequency index", index));
    }
    let rate = r.bits(24)?;
    if rate == 0 {
        return Err(CodecError::invalid("AAC sample rate", rate));
    }
    let known = (0_u8..).zip(SAMPLE_RATES).find(|(_, known)| *known == rate);
    Ok((known.map_or(EXPLICIT_RATE, |(index, _)| index), rate))
}

/// Channels by channelConfiguration (table 1.19); 0 = described elsewhere.
fn channels_of(channel_config: u8) -> Result<u8, CodecError> {
    match channel_config {
        0..=6 => Ok(channel_config),
        7 | 12 | 14 => Ok(8),
        11 => Ok(7),
        13 => Ok(24),
        reserved => Err(CodecError::invalid("AAC channel configuration", reserved)),
    }
}

/// Counts the channels of a program_config_element (clause 4.4.1.1), tells whether they are one element, and reads it as far as its alignment.
fn program_config_channels(r: &mut BitReader<'_>) -> Result<(u8, bool), CodecError> {
    r.skip(10)?; // element_instance_tag, object_type, sampling_frequency_index
    let elements = r.byte(4)? + r.byte(4)? + r.byte(4)?; // front, side, back: at most 45
    let low_frequency = r.byte(2)?;
    let data = usize::from(r.byte(3)?);
    let coupling = usize::from(r.byte(4)?);
    for mixdown_bits in [4, 4, 3] {
        if r.bit()? {
            r.skip(mixdown_bits)?;
        }
    }
    let mut channels = low_frequency;
    for _ in 0..elements {
        channels += if r.bit()? { 2 } else { 1 };
        r.skip(4)?; // element tag
    }
    r.skip(4 * (usize::from(low_frequency) + data) + 5 * coupling)?;
    Ok((channels, elements + low_frequency == 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aac_lc_as_every_encoder_sends_it() {
        let asc = parse_asc(&[0x12, 0x10]).unwrap();
        assert_eq!(
            (
                asc.object_type,
                asc.frequency_index,
                asc.sample_rate,
                asc.channels
            ),
            (2, 4, 44_100, 2)
        );
        assert_eq!((asc.channel_config, asc.frame_samples), (2, 1024));
        assert_eq!(asc.output_sample_rate, 44_100);
    }

    #[test]
    fn explicit_sbr_and_ps_leave_the_core_visible() {
        // object type 5, 24 kHz core, 1 channel, 48 kHz output, object type 2
        let bits = "00101 0110 0001 0011 00010 000 0000000";
        let asc = parse_asc(&pack(bits)).unwrap();
        assert_eq!(
            (asc.object_type, asc.sample_rate, asc.channels),
            (2, 24_000, 1)
        );
        assert_eq!(
            (asc.output_sample_rate, asc.parametric_stereo),
            (48_000, false)
        );
        let asc = parse_asc(&pack("11101 0110 0001 0011 00010 000 0000000")).unwrap();
        assert!(asc.parametric_stereo);
        assert_eq!(asc.frame_samples, 1024);
    }

    #[test]
    fn explicit_rates_take_the_tables_index_where_there_is_one() {
        let rate = |hertz: u32| pack(&format!("00010 1111 {hertz:024b} 0001 000 0000"));
        let asc = parse_asc(&rate(44_100)).unwrap();
        assert_eq!((asc.frequency_index, asc.sample_rate), (4, 44_100));
        let asc = parse_asc(&rate(40_000)).unwrap();
        assert_eq!((asc.frequency_index, asc.sample_rate), (15, 40_000));
        assert_eq!(
            parse_asc(&rate(0)),
            Err(CodecError::invalid("AAC sample rate", 0_u32))
        );
    }

    #[test]
    fn a_program_config_element_counts_channels() {
        // 1 front pair, 1 back single, 1 low frequency element
        let bits =
            "00010 0100 0000 000 0000 01 0100 0001 0000 0001 01 000 0000 0 0 0 1 0000 0 0000 0000";
        let asc = parse_asc(&pack(bits)).unwrap();
        assert_eq!((asc.channel_config, asc.channels), (0, 4));
        let none = "00010 0100 0000 000 0000 01 0100 0000 0000 0000 00 000 0000 0 0 0";
        assert_eq!(
            parse_asc(&pack(none)),
            Err(CodecError::invalid("AAC channel count", 0_u8))
        );
    }

    #[test]
    fn a_program_config_element_goes_into_a_raw_data_block() {
        // FFmpeg, four channels, with its name as the comment.
        let config = hex::decode("12000504040021100d4c61766335392e33372e31303056e500").unwrap();
        let element = program_config(&config).unwrap().unwrap();
        // The identifier 101, 44 bits as in the configuration, up to a whole byte, then the comment.
        let bits = |bytes: &[u8]| -> String { bytes.iter().map(|b| format!("{b:08b}")).collect() };
        let fields = &bits(&config)[16..16 + 44];
        assert_eq!(&bits(&element)[..47], format!("101{fields}"));
        assert_eq!(&element[6..], [&[13][..], b"Lavc59.37.100"].concat());
        assert!(begins_with_program_config(&element));
        assert_eq!(program_config(&[0x12, 0x10]).unwrap(), None);
        for end in 0..config.len() - 3 {
            assert!(program_config(&config[..end]).is_err(), "{end} bytes");
        }
    }

    #[test]
    fn reserved_values_and_short_input_are_errors() {
        assert!(parse_asc(&[]).is_err());
        assert!(parse_asc(&[0x12]).is_err());
        assert_eq!(
            parse_asc(&pack("00010 1101 0010 000")),
            Err(CodecError::invalid("sampling frequency index", 13_u8))
        );
        assert_eq!(
            parse_asc(&pack("00010 0100 1000 000")),
            Err(CodecError::invalid("AAC channel configuration", 8_u8))
        );
        assert_eq!(
            parse_asc(&pack("00000 0100 0010 000")),
            Err(CodecError::invalid("audio object type", 0_u8))
        );
    }

    #[test]
    fn shorter_frames_of_960_and_low_delay() {
        assert_eq!(
            parse_asc(&pack("00010 0011 0010 100"))
                .unwrap()
                .frame_samples,
            960
        );
        assert_eq!(
            parse_asc(&pack("10111 0011 0010 000"))
                .unwrap()
                .frame_samples,
            512
        );
        // escape: 31, then 7 = object type 39
        assert_eq!(
            parse_asc(&pack("11111 000111 0011 0010 1 000"))
                .unwrap()
                .frame_samples,
            480
        );
    }

    fn pack(bits: &str) -> Vec<u8> {
        let bits: Vec<u8> = bits
            .bytes()
            .filter(|byte| *byte != b' ')
            .map(|byte| byte - b'0')
            .collect();
        bits.chunks(8)
            .map(|chunk| {
                chunk
                    .iter()
                    .enumerate()
                    .fold(0, |byte, (index, bit)| byte | bit << (7 - index))
            })
            .collect()
    }
}
