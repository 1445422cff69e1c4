//! What a stream's headers told.

use serde::{Deserialize, Serialize};

use crate::media::flv::read::Metadata;
use crate::media::frame::{AudioConfig, VideoConfig};

/// Codecs that are shown of a stream that holds what is not recorded.
const MOST_UNSUPPORTED: usize = 8;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    pub video_codec: Option<String>,
    pub audio_codec: Option<String>,
    pub width: u32,
    pub height: u32,
    pub video_kbps: u32,
    pub audio_kbps: u32,
    pub frame_rate: f64,
    pub sample_rate: u32,
    pub channels: u8,
    /// Codecs in the stream that the product does not record.
    pub unsupported: Vec<String>,
}

impl Facts {
    pub fn take_video(&mut self, config: &VideoConfig) {
        self.video_codec = Some(format!("{:?}", config.codec).to_ascii_lowercase());
        self.width = config.width;
        self.height = config.height;
    }

    pub fn take_audio(&mut self, config: &AudioConfig) {
        self.audio_codec = Some(format!("{:?}", config.codec).to_ascii_lowercase());
        self.sample_rate = config.sample_rate;
        self.channels = config.channels;
    }

    pub fn take_metadata(&mut self, metadata: &Metadata) {
        self.video_kbps = metadata.video_kbps.unwrap_or(0);
        self.audio_kbps = metadata.audio_kbps.unwrap_or(0);
        self.frame_rate = metadata.frame_rate.unwrap_or(0.0);
    }

    /// Some of them; a stream of many codecs is not to fill the memory.
    pub fn add_unsupported(&mut self, what: String) {
        if self.unsupported.len() < MOST_UNSUPPORTED && !self.unsupported.contains(&what) {
            self.unsupported.push(what);
        }
    }
}
