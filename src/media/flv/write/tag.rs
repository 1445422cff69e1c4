//! Tags (annex E.4.1): the header, the codec's own header, and the back pointer behind the payload.

use bytes::{BufMut, Bytes, BytesMut};

use super::{MAX_TAG_BODY, MuxError};
use crate::flv::TagKind;
use crate::frame::{AudioCodec, AudioConfig, SampleInfo, VideoCodec, VideoConfig};

const TAG_HEADER: usize = 11;
const BACK_POINTER: usize = 4;
/// Frame type and codec, packet type, composition offset.
pub(super) const VIDEO_HEADER: usize = 5;
/// Bytes of the largest header.
const LARGEST: usize = TAG_HEADER + VIDEO_HEADER;

const KEY_FRAME: u8 = 0x10;
const INTER_FRAME: u8 = 0x20;
const SEQUENCE_HEADER: u8 = 0;
const CODED: u8 = 1;
/// AAC is always announced as 44 kHz, 16 bit, stereo (annex E.4.2.1); the configuration has the truth.
const AAC: u8 = 0xAF;

/// What stands before a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TagHead {
    bytes: [u8; LARGEST],
    len: usize,
    payload: u32,
}

/// What stands behind a payload: the size of the tag.
pub type TagTail = [u8; BACK_POINTER];

impl std::ops::Deref for TagHead {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl TagHead {
    /// Of a coded picture.
    pub(super) fn video(
        codec: VideoCodec,
        sample: &SampleInfo,
        timestamp: u32,
    ) -> Result<Self, MuxError> {
        let frame_type = if sample.key { KEY_FRAME } else { INTER_FRAME };
        let [_, c2, c1, c0] = sample.cts_ms.to_be_bytes();
        let codec_header = [frame_type | video_codec_id(codec), CODED, c2, c1, c0];
        Self::new(TagKind::Video, &codec_header, sample, timestamp)
    }

    /// Of a sound frame.
    pub(super) fn audio(
        config: &AudioConfig,
        sample: &SampleInfo,
        timestamp: u32,
    ) -> Result<Self, MuxError> {
        match config.codec {
            AudioCodec::Aac => Self::new(TagKind::Audio, &[AAC, CODED], sample, timestamp),
            AudioCodec::Mp3 => Self::new(TagKind::Audio, &[mp3_flags(config)], sample, timestamp),
        }
    }

    fn new(
        kind: TagKind,
        codec_header: &[u8],
        sample: &SampleInfo,
        timestamp: u32,
    ) -> Result<Self, MuxError> {
        bytes_around(codec_header.len(), sample)?;
        let mut bytes = [0; LARGEST];
        let mut rest = bytes.as_mut_slice();
        // Checked just now to stay below 2^24.
        let body = codec_header.len() as u32 + sample.size;
        rest.put_slice(&tag_header(kind, body, timestamp));
        rest.put_slice(codec_header);
        Ok(Self {
            bytes,
            len: TAG_HEADER + codec_header.len(),
            payload: sample.size,
        })
    }

    /// What stands behind the payload.
    #[must_use]
    pub fn tail(&self) -> TagTail {
        (self.len as u32).saturating_add(self.payload).to_be_bytes()
    }
}

/// Bytes of a sample's tag with its back pointer; checks what a tag cannot hold.
pub(super) fn bytes_around(codec_header: usize, sample: &SampleInfo) -> Result<u64, MuxError> {
    let body = codec_header as u64 + u64::from(sample.size);
    if body > u64::from(MAX_TAG_BODY) {
        return Err(MuxError::TooLarge { size: body });
    }
    // The composition offset has 24 bits with the sign.
    if !(-0x0080_0000..=0x007F_FFFF).contains(&sample.cts_ms) {
        return Err(MuxError::Time(sample.cts_ms.into()));
    }
    Ok((TAG_HEADER + BACK_POINTER) as u64 + body)
}

/// Milliseconds since the file's first sample.
pub(super) fn timestamp(dts_ms: i64, base_ms: i64) -> Result<u32, MuxError> {
    let since = dts_ms.saturating_sub(base_ms);
    u32::try_from(since).map_err(|_| MuxError::Time(since))
}

/// The codec as tags and metadata number it.
pub(super) fn video_codec_id(codec: VideoCodec) -> u8 {
    match codec {
        VideoCodec::H264 => 7,
        VideoCodec::Mpeg4 => 9,
        VideoCodec::H265 => 12,
    }
}

/// The codec as tags and metadata number it.
pub(super) fn audio_codec_id(config: &AudioConfig) -> u8 {
    match (config.codec, config.sample_rate) {
        (AudioCodec::Aac, _) => 10,
        (AudioCodec::Mp3, 8_000) => 14,
        (AudioCodec::Mp3, _) => 2,
    }
}

/// Bytes between tag header and payload.
pub(super) fn audio_header_len(codec: AudioCodec) -> usize {
    match codec {
        AudioCodec::Aac => 2,
        AudioCodec::Mp3 => 1,
    }
}

/// Format, the nearest of the four rates, 16 bit, mono or stereo.
fn mp3_flags(config: &AudioConfig) -> u8 {
    let rate = match config.sample_rate {
        32_000.. => 3,
        16_000.. => 2,
        11_000.. => 1,
        _ => 0,
    };
    (audio_codec_id(config) << 4) | (rate << 2) | 2 | u8::from(config.channels > 1)
}

/// The tag that carries a picture configuration.
pub(super) fn video_config_tag(config: &VideoConfig, timestamp: u32) -> Result<Bytes, MuxError> {
    let first = KEY_FRAME | video_codec_id(config.codec);
    let header = [first, SEQUENCE_HEADER, 0, 0, 0];
    let mut out = BytesMut::new();
    put_tag(
        TagKind::Video,
        timestamp,
        &[&header, &config.record],
        &mut out,
    )?;
    Ok(out.freeze())
}

/// The tag that carries a sound configuration; nothing for MP3.
pub(super) fn audio_config_tag(config: &AudioConfig, timestamp: u32) -> Result<Bytes, MuxError> {
    let mut out = BytesMut::new();
    if config.codec == AudioCodec::Aac {
        let header = [AAC, SEQUENCE_HEADER];
        put_tag(
            TagKind::Audio,
            timestamp,
            &[&header, &config.record],
            &mut out,
        )?;
    }
    Ok(out.freeze())
}

/// A script data tag at time 0.
pub(super) fn put_data_tag(body: &[u8], out: &mut BytesMut) -> Result<(), MuxError> {
    put_tag(TagKind::Data, 0, &[body], out)
}

fn put_tag(
    kind: TagKind,
    timestamp: u32,
    parts: &[&[u8]],
    out: &mut BytesMut,
) -> Result<(), MuxError> {
    let size: usize = parts.iter().map(|part| part.len()).sum();
    let body = u32::try_from(size)
        .ok()
        .filter(|body| *body <= MAX_TAG_BODY)
        .ok_or(MuxError::TooLarge { size: size as u64 })?;
    out.put_slice(&tag_header(kind, body, timestamp));
    for part in parts {
        out.put_slice(part);
    }
    out.put_u32(body + TAG_HEADER as u32);
    Ok(())
}

/// Kind, size, the time stamp with its high byte last, and stream 0.
fn tag_header(kind: TagKind, body: u32, timestamp: u32) -> [u8; TAG_HEADER] {
    let [_, s2, s1, s0] = body.to_be_bytes();
    let [t3, t2, t1, t0] = timestamp.to_be_bytes();
    [kind.number(), s2, s1, s0, t2, t1, t0, t3, 0, 0, 0]
}
