//! H.264: AVCDecoderConfigurationRecord (ISO/IEC 14496-15 clause 5.3.3.1) and the sequence parameter set
//! (ISO/IEC 14496-10 clause 7.3.2.1.1) as far as the shape of its pixels.

use bytes::{BufMut, Bytes, BytesMut};

use super::CodecError;
use super::bits::{BitReader, RecordReader, unescape};

/// Largest picture side that the sample entries of MP4 can express.
pub(super) const MAX_SIDE: u32 = 65_535;

/// Names the set in errors.
const SPS: &str = "H.264 sequence parameter set";

/// What an AVCDecoderConfigurationRecord says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Avcc {
    /// Bytes of the length before each NAL unit: 1, 2 or 4.
    pub length_size: u8,
    /// AVCProfileIndication.
    pub profile: u8,
    /// profile_compatibility.
    pub compatibility: u8,
    /// AVCLevelIndication.
    pub level: u8,
    /// Sequence parameter sets as NAL units, without length or start code.
    pub sps: Vec<Bytes>,
    /// Picture parameter sets, likewise.
    pub pps: Vec<Bytes>,
}

/// What the product needs of a sequence parameter set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sps {
    /// profile_idc.
    pub profile: u8,
    /// level_idc.
    pub level: u8,
    /// Pixels after cropping.
    pub width: u32,
    /// Pixels after cropping.
    pub height: u32,
    /// Where pictures may be fields: how their slices tell.
    pub fields: Option<FieldSyntax>,
}

/// What must be known to find the field flags in a slice header (clause 7.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldSyntax {
    /// Bits of frame_num.
    pub frame_num_bits: u32,
    /// separate_colour_plane_flag.
    pub separate_planes: bool,
}

/// Reads a configuration record; the parameter sets share its memory.
///
/// # Errors
/// When the record is not version 1, has a length size of 3, or ends inside a field.
pub fn parse_avcc(record: &Bytes) -> Result<Avcc, CodecError> {
    let mut reader = RecordReader::new(record, "AVCDecoderConfigurationRecord");
    let version = reader.u8()?;
    if version != 1 {
        return Err(CodecError::invalid("avcC version", version));
    }
    let profile = reader.u8()?;
    let compatibility = reader.u8()?;
    let level = reader.u8()?;
    let length_size = (reader.u8()? & 3) + 1;
    if length_size == 3 {
        return Err(CodecError::invalid("NAL length size", length_size));
    }
    let sps_count = reader.u8()? & 0x1F;
    let sps = parameter_sets(&mut reader, sps_count)?;
    let pps_count = reader.u8()?;
    let pps = parameter_sets(&mut reader, pps_count)?;
    Ok(Avcc {
        length_size,
        profile,
        compatibility,
        level,
        sps,
        pps,
    })
}

fn parameter_sets(reader: &mut RecordReader<'_>, count: u8) -> Result<Vec<Bytes>, CodecError> {
    (0..count)
        .map(|_| {
            let len = reader.u16()?;
            reader.slice(usize::from(len))
        })
        .collect()
}

/// A configuration record of parameter sets, for pictures with 4-byte lengths; `None` where there are none, or they do not fit one.
#[must_use]
pub fn write_avcc(sps: &[Bytes], pps: &[Bytes]) -> Option<Bytes> {
    let [_, profile, compatibility, level, ..] = *sps.first()?.as_ref() else {
        return None;
    };
    let count = u8::try_from(sps.len()).ok().filter(|n| *n < 32)?;
    let mut out = BytesMut::new();
    out.put_slice(&[1, profile, compatibility, level, 0xFF, 0xE0 | count]);
    let put = |out: &mut BytesMut, sets: &[Bytes]| {
        for nal in sets {
            out.put_u16(u16::try_from(nal.len()).ok()?);
            out.put_slice(nal);
        }
        Some(())
    };
    put(&mut out, sps)?;
    out.put_u8(u8::try_from(pps.len()).ok()?);
    put(&mut out, pps)?;
    if let Some(fields) = high_fields(sps.first()?, profile) {
        out.put_slice(&fields);
    }
    Some(out.freeze())
}

/// What stands at the end of the records of the High profiles (ISO/IEC 14496-15 clause 5.3.3.1.2): chroma format, both sample depths, and no
/// further sets. `None` where the profile has no such fields, or they cannot be read.
fn high_fields(sps: &[u8], profile: u8) -> Option<[u8; 4]> {
    if !has_chroma_fields(profile) {
        return None;
    }
    let rbsp = unescape(sps);
    let mut r = BitReader::new(&rbsp, SPS);
    r.skip(32).ok()?; // header, profile, constraint flags, level
    r.ue().ok()?; // seq_parameter_set_id
    let format = r.ue().ok()?;
    if format == 3 {
        r.bit().ok()?; // separate_colour_plane_flag
    }
    let (luma, chroma) = (r.ue().ok()?, r.ue().ok()?);
    // The bits above a field are reserved and set.
    let field = |value: u32, reserved: u8| {
        let value = u8::try_from(value).ok()?;
        (value & reserved == 0).then_some(value | reserved)
    };
    Some([
        field(format, 0xFC)?,
        field(luma, 0xF8)?,
        field(chroma, 0xF8)?,
        0,
    ])
}

/// Reads a sequence parameter set NAL unit (with its header byte, still escaped).
///
/// # Errors
/// When it ends early or describes a picture that cannot exist.
pub fn parse_sps(nal: &[u8]) -> Result<Sps, CodecError> {
    read_sps(&mut BitReader::new(&unescape(nal), SPS))
}

/// How wide and how high a pixel is, where a sequence parameter set NAL unit tells it and it is no square.
#[must_use]
pub fn pixel_aspect(nal: &[u8]) -> Option<(u16, u16)> {
    let rbsp = unescape(nal);
    let mut r = BitReader::new(&rbsp, SPS);
    read_sps(&mut r).ok()?;
    read_aspect(&mut r).ok()?
}

fn read_sps(r: &mut BitReader<'_>) -> Result<Sps, CodecError> {
    let unit_type = r.byte(8)? & 0x1F;
    if unit_type != 7 {
        return Err(CodecError::invalid("H.264 SPS NAL unit type", unit_type));
    }
    let profile = r.byte(8)?;
    r.skip(8)?; // constraint flags
    let level = r.byte(8)?;
    r.ue()?; // seq_parameter_set_id
    let chroma = if has_chroma_fields(profile) {
        chroma_fields(r)?
    } else {
        Chroma::YUV420
    };
    let frame_num_bits = r.ue()?.saturating_add(4);
    if frame_num_bits > 16 {
        return Err(CodecError::invalid("log2_max_frame_num", frame_num_bits));
    }
    picture_order_count(r)?;
    r.ue()?; // max_num_ref_frames
    r.bit()?; // gaps_in_frame_num_value_allowed_flag
    let width_units = r.ue()?;
    let height_units = r.ue()?;
    let frames_only = r.bit()?;
    if !frames_only {
        r.bit()?; // mb_adaptive_frame_field_flag
    }
    r.bit()?; // direct_8x8_inference_flag
    let field_factor = if frames_only { 1 } else { 2 };
    let crop = if r.bit()? {
        [r.ue()?, r.ue()?, r.ue()?, r.ue()?]
    } else {
        [0; 4]
    };
    let [left, right, top, bottom] = crop;
    Ok(Sps {
        profile,
        level,
        width: cropped(width_units, 16, chroma.crop_x, [left, right])?,
        height: cropped(
            height_units,
            16 * field_factor,
            chroma.crop_y * field_factor,
            [top, bottom],
        )?,
        fields: (!frames_only).then_some(FieldSyntax {
            frame_num_bits,
            separate_planes: chroma.separate_planes,
        }),
    })
}

/// The beginning of the video usability information (annex E.1.1), which follows what [`read_sps`] reads.
fn read_aspect(r: &mut BitReader<'_>) -> Result<Option<(u16, u16)>, CodecError> {
    const EXTENDED: u8 = 255;
    // vui_parameters_present_flag, aspect_ratio_info_present_flag
    let is_told = r.bit()? && r.bit()?;
    if !is_told {
        return Ok(None);
    }
    let index = r.byte(8)?;
    let aspect = if index == EXTENDED {
        let mut side = || r.bits(16).map(|bits| u16::try_from(bits).unwrap_or(0));
        Some((side()?, side()?))
    } else {
        usize::from(index)
            .checked_sub(1)
            .and_then(|at| PIXEL_ASPECTS.get(at).copied())
    };
    // A side of 0 tells nothing.
    Ok(aspect.filter(|(wide, high)| wide != high && *wide != 0 && *high != 0))
}

/// Table E-1 from aspect_ratio_idc 1 on.
const PIXEL_ASPECTS: [(u16, u16); 16] = [
    (1, 1),
    (12, 11),
    (10, 11),
    (16, 11),
    (40, 33),
    (24, 11),
    (20, 11),
    (32, 11),
    (80, 33),
    (18, 11),
    (15, 11),
    (64, 33),
    (160, 99),
    (4, 3),
    (3, 2),
    (2, 1),
];

/// Units by which the cropping offsets count (table 6-1: SubWidthC and SubHeightC).
struct Chroma {
    crop_x: u32,
    crop_y: u32,
    separate_planes: bool,
}

impl Chroma {
    const YUV420: Self = Self {
        crop_x: 2,
        crop_y: 2,
        separate_planes: false,
    };
}

/// Profiles whose parameter sets carry the chroma format and scaling lists.
fn has_chroma_fields(profile: u8) -> bool {
    matches!(
        profile,
        100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135
    )
}

fn chroma_fields(r: &mut BitReader<'_>) -> Result<Chroma, CodecError> {
    let format = r.ue()?;
    let (crop_x, crop_y) = match format {
        0 | 3 => (1, 1),
        1 => (2, 2),
        2 => (2, 1),
        other => return Err(CodecError::invalid("chroma_format_idc", other)),
    };
    let separate_planes = format == 3 && r.bit()?;
    r.ue()?; // bit_depth_luma_minus8
    r.ue()?; // bit_depth_chroma_minus8
    r.bit()?; // qpprime_y_zero_transform_bypass_flag
    if r.bit()? {
        let lists = if format == 3 { 12 } else { 8 };
        for index in 0..lists {
            if r.bit()? {
                skip_scaling_list(r, if index < 6 { 16 } else { 64 })?;
            }
        }
    }
    Ok(Chroma {
        crop_x,
        crop_y,
        separate_planes,
    })
}

fn skip_scaling_list(r: &mut BitReader<'_>, size: u32) -> Result<(), CodecError> {
    let mut last = 8_i64;
    for _ in 0..size {
        let next = (last + r.se()?).rem_euclid(256);
        // A zero scale says that the rest repeats the last one and is not sent.
        if next == 0 {
            break;
        }
        last = next;
    }
    Ok(())
}

fn picture_order_count(r: &mut BitReader<'_>) -> Result<(), CodecError> {
    match r.ue()? {
        0 => {
            r.ue()?; // log2_max_pic_order_cnt_lsb_minus4
        }
        1 => {
            r.bit()?; // delta_pic_order_always_zero_flag
            r.se()?; // offset_for_non_ref_pic
            r.se()?; // offset_for_top_to_bottom_field
            let cycle = r.ue()?;
            if cycle > 255 {
                return Err(CodecError::invalid(
                    "num_ref_frames_in_pic_order_cnt_cycle",
                    cycle,
                ));
            }
            for _ in 0..cycle {
                r.se()?;
            }
        }
        2 => {}
        other => return Err(CodecError::invalid("pic_order_cnt_type", other)),
    }
    Ok(())
}

/// Side length in pixels from a count of macroblocks minus one and two cropping offsets.
fn cropped(
    units_minus1: u32,
    unit: u32,
    crop_unit: u32,
    crop: [u32; 2],
) -> Result<u32, CodecError> {
    let coded = (u64::from(units_minus1) + 1) * u64::from(unit);
    visible_side(coded, crop_unit, crop)
}

/// Applies cropping offsets to a coded side length and rejects what no sample entry can hold.
pub(super) fn visible_side(coded: u64, crop_unit: u32, crop: [u32; 2]) -> Result<u32, CodecError> {
    let [before, after] = crop;
    let cut = (u64::from(before) + u64::from(after)) * u64::from(crop_unit);
    let side = coded.saturating_sub(cut);
    u32::try_from(side)
        .ok()
        .filter(|side| (1..=MAX_SIDE).contains(side))
        .ok_or(CodecError::invalid("picture side", side))
}

#[cfg(test)]
mod tests;
