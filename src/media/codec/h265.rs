//! H.265: HEVCDecoderConfigurationRecord (ISO/IEC 14496-15 clause 8.3.3.1) and the sequence parameter set
//! (ITU-T H.265 clause 7.3.2.2.1) as far as the picture size.

use bytes::{BufMut, Bytes, BytesMut};

use super::CodecError;
use super::bits::{BitReader, RecordReader, unescape};
use super::h264::visible_side;

/// Most parameter sets that a record may hold: more than 16 VPS, 16 SPS and 64 PPS have no identifier of their own.
const MAX_PARAMETER_SETS: usize = 256;

const VPS: u8 = 32;
const SPS: u8 = 33;
const PPS: u8 = 34;

/// What a HEVCDecoderConfigurationRecord says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hvcc {
    /// Bytes of the length before each NAL unit: 1, 2 or 4.
    pub length_size: u8,
    /// general_profile_idc.
    pub profile: u8,
    /// general_level_idc.
    pub level: u8,
    /// Video parameter sets as NAL units, without length or start code.
    pub vps: Vec<Bytes>,
    /// Sequence parameter sets, likewise.
    pub sps: Vec<Bytes>,
    /// Picture parameter sets, likewise.
    pub pps: Vec<Bytes>,
}

/// What the product needs of a sequence parameter set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sps {
    /// Pixels inside the conformance window.
    pub width: u32,
    /// Pixels inside the conformance window.
    pub height: u32,
}

/// Reads a configuration record; the parameter sets share its memory. Arrays of other NAL units (SEI) are passed over.
///
/// # Errors
/// When the version is unknown, the length size is 3, there are too many parameter sets, or the record ends in a field.
pub fn parse_hvcc(record: &Bytes) -> Result<Hvcc, CodecError> {
    let mut reader = RecordReader::new(record, "HEVCDecoderConfigurationRecord");
    let version = reader.u8()?;
    // Encoders older than the final text of the standard write version 0 with the same layout.
    if version > 1 {
        return Err(CodecError::invalid("hvcC version", version));
    }
    let profile = reader.u8()? & 0x1F;
    reader.slice(10)?; // compatibility and constraint flags
    let level = reader.u8()?;
    reader.slice(8)?; // segmentation, parallelism, chroma, bit depths, average frame rate
    let length_size = (reader.u8()? & 3) + 1;
    if length_size == 3 {
        return Err(CodecError::invalid("NAL length size", length_size));
    }
    let mut hvcc = Hvcc {
        length_size,
        profile,
        level,
        vps: Vec::new(),
        sps: Vec::new(),
        pps: Vec::new(),
    };
    let mut total = 0_usize;
    for _ in 0..reader.u8()? {
        let unit_type = reader.u8()? & 0x3F;
        let count = reader.u16()?;
        total += usize::from(count);
        if total > MAX_PARAMETER_SETS {
            return Err(CodecError::invalid(
                "number of HEVC parameter sets",
                total as u64,
            ));
        }
        for _ in 0..count {
            let len = reader.u16()?;
            let unit = reader.slice(usize::from(len))?;
            match unit_type {
                VPS => hvcc.vps.push(unit),
                SPS => hvcc.sps.push(unit),
                PPS => hvcc.pps.push(unit),
                _ => {}
            }
        }
    }
    Ok(hvcc)
}

/// A configuration record of VPS, SPS and PPS, for pictures with 4-byte lengths; `None` where they do not fit one. The chroma format and
/// the depth of samples are told by the profile; decoders read them in the sequence parameter set.
#[must_use]
pub fn write_hvcc(sets: [&[Bytes]; 3]) -> Option<Bytes> {
    const MAIN_10: u8 = 2;
    let [_, sps, _] = sets;
    let rbsp = unescape(sps.first()?);
    // Behind the unit's header and a byte of ids lies profile_tier_level.
    let profile_tier_level = rbsp.get(3..15)?;
    let layers = rbsp.get(2)?;
    let depth = u8::from(profile_tier_level.first()? & 0x1F == MAIN_10) * 2;
    let mut out = BytesMut::new();
    out.put_u8(1);
    out.put_slice(profile_tier_level);
    // No segmentation told, parallelism unknown, 4:2:0, the depths, no frame rate.
    out.put_slice(&[0xF0, 0, 0xFC, 0xFD, 0xF8 | depth, 0xF8 | depth, 0, 0]);
    // numTemporalLayers, temporalIdNested, lengthSizeMinusOne.
    out.put_u8((((layers >> 1) & 7) + 1) << 3 | (layers & 1) << 2 | 3);
    out.put_u8(u8::try_from(sets.len()).ok()?);
    for (kind, list) in (32_u8..).zip(sets) {
        out.put_u8(0x80 | kind);
        out.put_u16(u16::try_from(list.len()).ok()?);
        for nal in list {
            out.put_u16(u16::try_from(nal.len()).ok()?);
            out.put_slice(nal);
        }
    }
    Some(out.freeze())
}

/// Reads a sequence parameter set NAL unit (with its two header bytes, still escaped).
///
/// # Errors
/// When it ends early or describes a picture that cannot exist.
pub fn parse_sps(nal: &[u8]) -> Result<Sps, CodecError> {
    let rbsp = unescape(nal);
    let mut r = BitReader::new(&rbsp, "H.265 sequence parameter set");
    let unit_type = r.byte(8)? >> 1 & 0x3F;
    if unit_type != SPS {
        return Err(CodecError::invalid("H.265 SPS NAL unit type", unit_type));
    }
    r.skip(8)?; // layer and temporal id
    r.skip(4)?; // sps_video_parameter_set_id
    let sub_layers = r.bits(3)?; // minus 1
    r.skip(1)?; // sps_temporal_id_nesting_flag
    skip_profile_tier_level(&mut r, sub_layers)?;
    r.ue()?; // sps_seq_parameter_set_id
    let (crop_x, crop_y) = match r.ue()? {
        0 => (1, 1),
        1 => (2, 2),
        2 => (2, 1),
        3 => {
            r.bit()?; // separate_colour_plane_flag
            (1, 1)
        }
        other => return Err(CodecError::invalid("chroma_format_idc", other)),
    };
    let coded_width = r.ue()?;
    let coded_height = r.ue()?;
    let window = if r.bit()? {
        [r.ue()?, r.ue()?, r.ue()?, r.ue()?]
    } else {
        [0; 4]
    };
    let [left, right, top, bottom] = window;
    Ok(Sps {
        width: visible_side(u64::from(coded_width), crop_x, [left, right])?,
        height: visible_side(u64::from(coded_height), crop_y, [top, bottom])?,
    })
}

/// profile_tier_level(1, sub_layers), ITU-T H.265 clause 7.3.3.
fn skip_profile_tier_level(r: &mut BitReader<'_>, sub_layers: u32) -> Result<(), CodecError> {
    const PROFILE_BITS: usize = 88;
    const LEVEL_BITS: usize = 8;
    r.skip(PROFILE_BITS + LEVEL_BITS)?;
    if sub_layers == 0 {
        return Ok(());
    }
    let mut bits = 0;
    for index in 0..8 {
        let flags = r.bits(2)?;
        if index < sub_layers {
            bits += if flags & 2 != 0 { PROFILE_BITS } else { 0 };
            bits += if flags & 1 != 0 { LEVEL_BITS } else { 0 };
        }
    }
    r.skip(bits)
}

#[cfg(test)]
mod tests;
