//! What tells one codec configuration from another, small enough to be kept with every file.

use serde::{Deserialize, Serialize};

use crate::media::frame::{AudioCodec, AudioConfig, VideoCodec, VideoConfig};
use crate::media::mpegts;
use crate::model::rule::Format;

/// The codec of either track.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    Video(VideoCodec),
    Audio(AudioCodec),
}

/// A configuration's codec, and a checksum of all that a decoder is told. Without a codec: nothing is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Print {
    pub codec: Option<Codec>,
    sum: u32,
    /// A transport stream cannot carry it.
    #[serde(default)]
    without_ts: bool,
}

impl Print {
    #[must_use]
    pub fn of_video(config: &VideoConfig) -> Self {
        Self {
            codec: Some(Codec::Video(config.codec)),
            sum: crc32fast::hash(&config.record),
            without_ts: false,
        }
    }

    /// MP3 has no record, so what its frame headers say counts as well.
    #[must_use]
    pub fn of_audio(config: &AudioConfig) -> Self {
        let mut sum = crc32fast::Hasher::new();
        sum.update(&config.record);
        sum.update(&config.sample_rate.to_le_bytes());
        sum.update(&[config.channels]);
        Self {
            codec: Some(Codec::Audio(config.codec)),
            sum: sum.finalize(),
            without_ts: !mpegts::can_carry(config),
        }
    }

    /// Whether a format has no place for this sound: CMAF has AAC alone of what is recorded (ISO/IEC 23000-19), and no browser plays MP3
    /// there; slices have what a transport stream carries.
    #[must_use]
    pub fn is_barred_from(self, format: Format) -> bool {
        match format {
            Format::Cmaf => self.is_mp3(),
            Format::M3u8 => self.without_ts,
            Format::Mp4 | Format::Flv => false,
        }
    }

    #[must_use]
    pub fn is_mp3(self) -> bool {
        self.codec == Some(Codec::Audio(AudioCodec::Mp3))
    }

    /// Whether both are known and differ.
    #[must_use]
    pub fn differs(self, other: Self) -> bool {
        self.codec.is_some() && other.codec.is_some() && self != other
    }
}
