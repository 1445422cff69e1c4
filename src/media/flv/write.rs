//! FLV files (Adobe's Video File Format 10.1, annex E) with duration, size and key frame index.
//!
//! The index stands in the first tag, so a file is laid out in two passes: [`Layout`] sees configurations and sample sizes,
//! [`Layout::head`] gives the exact start of the file, and a [`TagWriter`] then gives what stands around each payload, fed
//! with the same configurations and samples in the same order.
//!
//! H.265 is written as codec id 12 in the legacy tag form. That is what the product's own readers and the players made
//! for it know; the extended form with FourCC `hvc1` is newer and unknown to many of them.

mod metadata;
mod tag;
#[cfg(test)]
mod tests;

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

use crate::frame::{AudioConfig, SampleInfo, Track, VideoConfig};
use metadata::{KeyIndex, Pace};
pub use tag::{TagHead, TagTail};
use tag::{audio_config_tag, video_config_tag};

/// Largest tag body: its size has 24 bits.
pub const MAX_TAG_BODY: u32 = 0x00FF_FFFF;
/// Most entries of the key frame index; beyond, every second one is dropped.
pub const MAX_KEY_FRAMES: usize = 20_000;
/// Most configuration tags inside one file.
pub const MAX_CONFIG_TAGS: u32 = 4_096;

const FILE_HEADER: usize = 9;
const HAS_AUDIO: u8 = 4;
const HAS_VIDEO: u8 = 1;

/// Why something cannot go into an FLV file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MuxError {
    /// A sample came before the configuration of its track.
    #[error("a {0:?} sample came before the configuration of its track")]
    NoConfig(Track),
    /// There is no sample.
    #[error("there is nothing to write")]
    Empty,
    /// A sample or configuration is larger than a tag can be.
    #[error("{size} bytes do not fit an FLV tag")]
    TooLarge {
        /// Bytes found.
        size: u64,
    },
    /// A time stamp lies more than 49 days from the first, or a composition offset more than 2 hours.
    #[error("a time of {0} ms does not fit an FLV tag")]
    Time(i64),
    /// The configuration changes too often.
    #[error("more than {MAX_CONFIG_TAGS} configuration changes in one file")]
    TooManyConfigs,
}

/// Head of an FLV file in the making.
#[derive(Debug, Default)]
pub struct Layout {
    /// Of each track: the configuration of its first sample.
    first_video: Option<VideoConfig>,
    first_audio: Option<AudioConfig>,
    /// The configuration that holds now.
    video: Option<VideoConfig>,
    audio: Option<AudioConfig>,
    video_pace: Pace,
    audio_pace: Pace,
    keys: KeyIndex,
    config_tags: u32,
    /// Bytes of all tags behind the head.
    body_bytes: u64,
}

impl Layout {
    /// An empty layout.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a picture configuration. The first one is written in the head, a change where it comes.
    ///
    /// # Errors
    /// When it does not fit a tag, or there are too many.
    pub fn video_config(&mut self, config: &VideoConfig) -> Result<(), MuxError> {
        if self.video.as_ref() == Some(config) {
            return Ok(());
        }
        let tag = video_config_tag(config, 0)?;
        if self.video_pace.samples == 0 {
            self.first_video = Some(config.clone());
        } else {
            self.add_config_tag(&tag)?;
        }
        self.video = Some(config.clone());
        Ok(())
    }

    /// Takes a sound configuration. The first one is written in the head, a change where it comes.
    ///
    /// # Errors
    /// When it does not fit a tag, or there are too many.
    pub fn audio_config(&mut self, config: &AudioConfig) -> Result<(), MuxError> {
        if self.audio.as_ref() == Some(config) {
            return Ok(());
        }
        let tag = audio_config_tag(config, 0)?;
        if self.audio_pace.samples == 0 {
            self.first_audio = Some(config.clone());
        } else {
            self.add_config_tag(&tag)?;
        }
        self.audio = Some(config.clone());
        Ok(())
    }

    fn add_config_tag(&mut self, tag: &[u8]) -> Result<(), MuxError> {
        if !tag.is_empty() && self.config_tags >= MAX_CONFIG_TAGS {
            return Err(MuxError::TooManyConfigs);
        }
        self.config_tags += u32::from(!tag.is_empty());
        self.body_bytes += tag.len() as u64;
        Ok(())
    }

    /// Takes the next sample.
    ///
    /// # Errors
    /// When the track has no configuration, or the sample does not fit a tag; it is not taken then.
    pub fn push(&mut self, sample: SampleInfo) -> Result<(), MuxError> {
        let codec_header = match sample.track {
            Track::Video => self.video.as_ref().map(|_| tag::VIDEO_HEADER),
            Track::Audio => self
                .audio
                .as_ref()
                .map(|config| tag::audio_header_len(config.codec)),
        };
        let codec_header = codec_header.ok_or(MuxError::NoConfig(sample.track))?;
        let tag_bytes = tag::bytes_around(codec_header, &sample)?;
        let pace = match sample.track {
            Track::Video => &mut self.video_pace,
            Track::Audio => &mut self.audio_pace,
        };
        pace.note(&sample)?;
        if sample.track == Track::Video && sample.key {
            self.keys.push(sample.dts_ms, self.body_bytes);
        }
        self.body_bytes += tag_bytes;
        Ok(())
    }

    /// File header, metadata and the first configuration of each track.
    ///
    /// # Errors
    /// When there is no sample, or the two tracks lie more than 49 days apart.
    pub fn head(&self) -> Result<Bytes, MuxError> {
        let base_ms = self.base_ms().ok_or(MuxError::Empty)?;
        for pace in [&self.video_pace, &self.audio_pace] {
            tag::timestamp(pace.last_ms.max(base_ms), base_ms)?;
        }
        // Numbers have a fixed width, so the length does not depend on the positions.
        let measured = self.render(base_ms, 0)?;
        self.render(base_ms, measured.len() as u64)
    }

    /// Bytes of the whole file. Lays out the head, so a caller that writes the head anyway better asks the writer.
    ///
    /// # Errors
    /// As [`Layout::head`].
    pub fn total_size(&self) -> Result<u64, MuxError> {
        Ok(self.head()?.len() as u64 + self.body_bytes)
    }

    /// Starts the second pass.
    ///
    /// # Errors
    /// When there is no sample.
    pub fn writer(&self) -> Result<TagWriter, MuxError> {
        Ok(TagWriter {
            base_ms: self.base_ms().ok_or(MuxError::Empty)?,
            video: None,
            audio: None,
            video_began: false,
            audio_began: false,
            last: 0,
        })
    }

    /// Time stamps count from the earlier of the two tracks' first samples.
    fn base_ms(&self) -> Option<i64> {
        let began = [&self.video_pace, &self.audio_pace];
        let began = began.iter().filter(|pace| pace.samples > 0);
        began.map(|pace| pace.first_ms).min()
    }

    fn render(&self, base_ms: i64, head_len: u64) -> Result<Bytes, MuxError> {
        let mut out = BytesMut::new();
        let video = self
            .first_video
            .as_ref()
            .filter(|_| self.video_pace.samples > 0);
        let audio = self
            .first_audio
            .as_ref()
            .filter(|_| self.audio_pace.samples > 0);
        out.put_slice(b"FLV\x01");
        let has_video = if video.is_some() { HAS_VIDEO } else { 0 };
        let has_audio = if audio.is_some() { HAS_AUDIO } else { 0 };
        out.put_u8(has_video | has_audio);
        out.put_u32(FILE_HEADER as u32);
        out.put_u32(0); // size of the tag before the first
        let facts = metadata::Facts {
            video: video.map(|config| (config, &self.video_pace)),
            audio: audio.map(|config| (config, &self.audio_pace)),
            keys: &self.keys,
            base_ms,
            head_len,
            file_size: head_len + self.body_bytes,
        };
        tag::put_data_tag(&facts.on_metadata(), &mut out)?;
        if let Some(config) = video {
            out.put_slice(&video_config_tag(config, 0)?);
        }
        if let Some(config) = audio {
            out.put_slice(&audio_config_tag(config, 0)?);
        }
        Ok(out.freeze())
    }
}

/// Gives what stands around the payloads. It must see what [`Layout`] saw, in the same order.
#[derive(Debug)]
pub struct TagWriter {
    base_ms: i64,
    video: Option<VideoConfig>,
    audio: Option<AudioConfig>,
    video_began: bool,
    audio_began: bool,
    /// Time stamp of the last tag.
    last: u32,
}

impl TagWriter {
    /// The tag to write here for a picture configuration: empty for the first one, which the head has, and for one that
    /// changes nothing.
    ///
    /// # Errors
    /// When it does not fit a tag.
    pub fn video_config(&mut self, config: &VideoConfig) -> Result<Bytes, MuxError> {
        if self.video.as_ref() == Some(config) {
            return Ok(Bytes::new());
        }
        self.video = Some(config.clone());
        if self.video_began {
            return video_config_tag(config, self.last);
        }
        Ok(Bytes::new())
    }

    /// The same for sound; always empty for MP3, whose frames describe themselves.
    ///
    /// # Errors
    /// When it does not fit a tag.
    pub fn audio_config(&mut self, config: &AudioConfig) -> Result<Bytes, MuxError> {
        if self.audio.as_ref() == Some(config) {
            return Ok(Bytes::new());
        }
        self.audio = Some(config.clone());
        if self.audio_began {
            return audio_config_tag(config, self.last);
        }
        Ok(Bytes::new())
    }

    /// What stands before the payload of `sample`.
    ///
    /// # Errors
    /// When the track has no configuration, or the sample does not fit a tag.
    pub fn tag_head(&mut self, sample: &SampleInfo) -> Result<TagHead, MuxError> {
        let missing = MuxError::NoConfig(sample.track);
        let timestamp = tag::timestamp(sample.dts_ms, self.base_ms)?;
        let head = match sample.track {
            Track::Video => {
                let config = self.video.as_ref().ok_or(missing)?;
                self.video_began = true;
                TagHead::video(config.codec, sample, timestamp)?
            }
            Track::Audio => {
                let config = self.audio.as_ref().ok_or(missing)?;
                self.audio_began = true;
                TagHead::audio(config, sample, timestamp)?
            }
        };
        self.last = timestamp;
        Ok(head)
    }
}
