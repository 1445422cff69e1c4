//! Sample entries (ISO/IEC 14496-12 clause 8.5.2): what a decoder needs of a configuration.
//!
//! The decoder configuration records of ISO/IEC 14496-15 are the very bytes that FLV carries, so they are stored as they
//! came. Pictures are `avc1`, `hvc1` (the form that Apple's players ask for) and `mp4v`; sound is `mp4a` throughout.

use bytes::{BufMut, BytesMut};
use mp4_atom::esds::{DecoderConfig, DecoderSpecific, EsDescriptor, SLConfig};
use mp4_atom::{Audio, Encode, Esds, Visual};

use super::{MuxError, put_box, put_full_box};
use crate::codec::{h264, h265};
use crate::frame::{AudioCodec, AudioConfig, VideoCodec, VideoConfig};

const VISUAL_STREAM: u8 = 4;
const AUDIO_STREAM: u8 = 5;

/// Object type indications (ISO/IEC 14496-1 table 5).
const MPEG4_VISUAL: u8 = 0x20;
const MPEG4_AUDIO: u8 = 0x40;
const MPEG2_LAYER_III: u8 = 0x69;
const MPEG1_AUDIO: u8 = 0x6B;

/// A sample description box with `count` entries that `entries` writes.
pub(crate) fn put_stsd(
    out: &mut BytesMut,
    count: usize,
    entries: impl FnOnce(&mut BytesMut) -> Result<(), MuxError>,
) -> Result<(), MuxError> {
    put_full_box(out, b"stsd", 0, 0, |out| {
        out.put_u32(u32::try_from(count).unwrap_or(u32::MAX));
        entries(out)
    })
}

/// Reads the record once, so that a bad one is refused when it comes and not when the file is finished.
pub(super) fn check_video(config: &VideoConfig) -> Result<(), MuxError> {
    match config.codec {
        VideoCodec::H264 => h264::parse_avcc(&config.record).map(drop)?,
        VideoCodec::H265 => h265::parse_hvcc(&config.record).map(drop)?,
        VideoCodec::Mpeg4 => {}
    }
    Ok(())
}

/// How wide and how high a pixel is, where it is no square.
fn pixel_aspect(config: &VideoConfig) -> Option<(u16, u16)> {
    if config.codec != VideoCodec::H264 {
        return None;
    }
    let record = h264::parse_avcc(&config.record).ok()?;
    h264::pixel_aspect(record.sps.first()?)
}

/// Width and height as a player shows them: pixels that are no squares make a picture wider or narrower than it is stored.
pub(crate) fn shown_size(config: &VideoConfig) -> (u32, u32) {
    let width = match pixel_aspect(config) {
        Some((wide, high)) => {
            let (wide, high) = (u64::from(wide), u64::from(high));
            let shown = (u64::from(config.width) * wide + high / 2) / high.max(1);
            u32::try_from(shown).unwrap_or(u32::MAX)
        }
        None => config.width,
    };
    (width, config.height)
}

/// The entry of a picture configuration.
pub(crate) fn put_video_entry(
    out: &mut BytesMut,
    config: &VideoConfig,
    track_id: u32,
) -> Result<(), MuxError> {
    check_video(config)?;
    let visual = Visual {
        data_reference_index: 1,
        width: u16::try_from(config.width).unwrap_or(u16::MAX),
        height: u16::try_from(config.height).unwrap_or(u16::MAX),
        ..Visual::default()
    };
    // Where lengthSizeMinusOne stands in the record.
    let (kind, record_kind, length_at) = match config.codec {
        VideoCodec::H264 => (b"avc1", b"avcC", 4),
        VideoCodec::H265 => (b"hvc1", b"hvcC", 21),
        VideoCodec::Mpeg4 => {
            return put_box(out, b"mp4v", |out| {
                visual.encode(out)?;
                put_esds(out, track_id, MPEG4_VISUAL, VISUAL_STREAM, &config.record)
            });
        }
    };
    put_box(out, kind, |out| {
        visual.encode(out)?;
        put_box(out, record_kind, |out| {
            let start = out.len();
            out.put_slice(&config.record);
            // Samples have 4-byte lengths, whatever the publisher used.
            if let Some(byte) = out.get_mut(start + length_at) {
                *byte |= 3;
            }
            Ok(())
        })?;
        // Clause 12.1.4; without the box, pixels are squares.
        if let Some((wide, high)) = pixel_aspect(config) {
            put_box(out, b"pasp", |out| {
                out.put_u32(wide.into());
                out.put_u32(high.into());
                Ok(())
            })?;
        }
        Ok(())
    })
}

/// The entry of a sound configuration.
pub(crate) fn put_audio_entry(
    out: &mut BytesMut,
    config: &AudioConfig,
    track_id: u32,
) -> Result<(), MuxError> {
    let audio = Audio {
        data_reference_index: 1,
        channel_count: config.channels.into(),
        sample_size: 16,
        // The field ends at 65,535; the true rate is in the media header and in the configuration.
        sample_rate: u16::try_from(config.sample_rate).unwrap_or(0).into(),
    };
    let object_type = match (config.codec, config.sample_rate) {
        (AudioCodec::Aac, _) => MPEG4_AUDIO,
        (AudioCodec::Mp3, 32_000..) => MPEG1_AUDIO,
        (AudioCodec::Mp3, _) => MPEG2_LAYER_III,
    };
    put_box(out, b"mp4a", |out| {
        audio.encode(out)?;
        put_esds(out, track_id, object_type, AUDIO_STREAM, &config.record)
    })
}

fn put_esds(
    out: &mut BytesMut,
    track_id: u32,
    object_type_indication: u8,
    stream_type: u8,
    specific: &[u8],
) -> Result<(), MuxError> {
    let dec_specific = (!specific.is_empty()).then(|| DecoderSpecific {
        raw: specific.to_vec(),
        ..DecoderSpecific::default()
    });
    let es_desc = EsDescriptor {
        es_id: u16::try_from(track_id).unwrap_or(0),
        dec_config: DecoderConfig {
            object_type_indication,
            stream_type,
            dec_specific,
            ..DecoderConfig::default()
        },
        sl_config: SLConfig::default(),
        ..EsDescriptor::default()
    };
    Esds { es_desc }.encode(out)?;
    Ok(())
}
