//! The nouns that every reader, muxer and the recorder share: tracks, codec configurations and frames.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Which elementary stream a frame belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Track {
    Video,
    Audio,
}

/// Video codecs that the product records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VideoCodec {
    H264,
    H265,
    /// MPEG-4 part 2, ISO/IEC 14496-2.
    Mpeg4,
}

/// Audio codecs that the product records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AudioCodec {
    Aac,
    Mp3,
}

/// What a decoder of the video track needs before its first picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoConfig {
    pub codec: VideoCodec,
    /// H.264: AVCDecoderConfigurationRecord; H.265: HEVCDecoderConfigurationRecord (both ISO/IEC 14496-15);
    /// MPEG-4 part 2: the decoder specific information (VOS/VOL headers).
    pub record: Bytes,
    /// Pixels as displayed (cropping applied); 0 when the headers do not tell.
    pub width: u32,
    pub height: u32,
}

/// What a decoder of the audio track needs before its first frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioConfig {
    pub codec: AudioCodec,
    /// AAC: AudioSpecificConfig (ISO/IEC 14496-3); MP3: empty, each frame carries its header.
    pub record: Bytes,
    pub sample_rate: u32,
    pub channels: u8,
}

/// One coded picture or one audio frame, as the publisher sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub track: Track,
    /// Decoding time in milliseconds on the recording's own timeline.
    pub dts_ms: i64,
    /// Presentation time minus decoding time, in milliseconds; may be negative.
    pub cts_ms: i32,
    /// A picture from which decoding can start. Always false for audio.
    pub key: bool,
    /// H.264/H.265: NAL units with 4-byte lengths (the length size of the configuration record is normalised by the
    /// reader); MPEG-4 part 2: the picture as it is; AAC: one raw frame without ADTS; MP3: one frame with its header.
    pub data: Bytes,
}

impl Frame {
    /// Presentation time in milliseconds.
    #[must_use]
    pub fn pts_ms(&self) -> i64 {
        self.dts_ms + i64::from(self.cts_ms)
    }
}

/// What a muxer must know of a frame before its payload is at hand: enough to lay out sample tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleInfo {
    pub track: Track,
    pub dts_ms: i64,
    pub cts_ms: i32,
    pub key: bool,
    /// Payload bytes.
    pub size: u32,
}
