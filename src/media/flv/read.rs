//! From tag bodies to configurations and frames.
//!
//! One [`TagReader`] reads one publish. Legacy tags (annex E.4) and the extended headers of Enhanced RTMP are
//! understood; whatever the product cannot record is named in [`Item::Unsupported`] instead of being dropped in silence.

mod audio;
mod extended;
mod metadata;
mod nal;
mod video;

use bytes::Bytes;
use thiserror::Error;

use super::TagKind;
use crate::amf0::Amf0Error;
use crate::codec::CodecError;
use crate::frame::{AudioConfig, Track, VideoConfig};

pub use metadata::Metadata;

/// What a tag turned out to hold.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// The first or a changed configuration of the video track.
    VideoConfig(VideoConfig),
    /// The first or a changed configuration of the audio track.
    AudioConfig(AudioConfig),
    /// What a message holds of coded pictures, in the form of [`Frame::data`](crate::frame::Frame::data): one as a rule, a part
    /// of one from some encoders. [`AccessUnits`](crate::access_unit::AccessUnits) makes pictures of it.
    Video {
        /// Decoding time as sent, in milliseconds.
        timestamp: u32,
        /// Presentation time minus decoding time, in milliseconds.
        cts_ms: i32,
        /// The publisher says that decoding can start here.
        key: bool,
        /// NAL units with 4-byte lengths, or MPEG-4 part 2 with its start codes.
        data: Bytes,
    },
    /// One audio frame.
    Audio {
        /// Time in milliseconds; of the later frames of a tag, counted on from the first.
        timestamp: u32,
        /// The frame.
        data: Bytes,
    },
    /// What the encoder says of itself.
    Metadata(Metadata),
    /// The track uses a codec or a form that cannot be recorded. Said once until it changes.
    Unsupported {
        /// The track that cannot be recorded.
        track: Track,
        /// Name of the codec or form.
        codec: String,
        /// What the publisher can do about it, where there is something to know.
        cure: Option<&'static str>,
    },
    /// A further track of the publish, which is not recorded beside the default one. Said once a track.
    Ignored {
        /// Its kind, number and codec.
        what: String,
    },
    /// The encoder closed the track's sequence.
    End {
        /// The track.
        track: Track,
    },
}

/// Why a tag was dropped. The reader stays usable: the tags after it can be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TagError {
    /// The tag body stops inside its header.
    #[error("a {0:?} tag is too short for its header")]
    Truncated(Track),
    /// The configuration or a frame header cannot be read.
    #[error("{track:?}: {source}")]
    Codec {
        /// The track.
        track: Track,
        /// What is wrong with it.
        source: CodecError,
    },
    /// A frame came before any configuration.
    #[error("a {0:?} frame came before the track's configuration")]
    NoConfig(Track),
    /// The lengths of the NAL units do not add up to the picture.
    #[error("the NAL unit lengths do not fit the picture of {size} bytes")]
    NalLengths {
        /// Bytes of the picture.
        size: usize,
    },
    /// An MP3 frame is longer than the rest of the tag.
    #[error("an MP3 frame of {needed} bytes does not fit the {left} bytes left in its tag")]
    Mp3Frame {
        /// By the frame header.
        needed: u32,
        /// What there is.
        left: usize,
    },
    /// The script tag is no AMF0.
    #[error("script tag: {0}")]
    Metadata(#[from] Amf0Error),
}

/// Reads the tags of one publish.
#[derive(Debug, Default)]
pub struct TagReader {
    video: video::VideoReader,
    audio: audio::AudioReader,
}

impl TagReader {
    /// A reader that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads one tag body and hands what it holds to `sink`, in order. Payloads are slices of `payload` except where
    /// they had to be rewritten.
    ///
    /// # Errors
    /// When the tag is broken; it is dropped, apart from MP3 frames that `sink` already has.
    pub fn read(
        &mut self,
        kind: TagKind,
        timestamp: u32,
        payload: Bytes,
        sink: &mut impl FnMut(Item),
    ) -> Result<(), TagError> {
        match kind {
            TagKind::Video => self.video.read(timestamp, payload, sink),
            TagKind::Audio => self.audio.read(timestamp, payload, sink),
            TagKind::Data => {
                if let Some(metadata) = metadata::read(&payload)? {
                    sink(Item::Metadata(metadata));
                }
                Ok(())
            }
        }
    }
}

/// Largest configuration record that is kept; real ones have a few hundred bytes.
const MAX_RECORD: usize = 256 * 1024;

/// Copies a record out of the message that carried it.
fn own_record(record: &[u8]) -> Result<Bytes, CodecError> {
    if record.len() > MAX_RECORD {
        return Err(CodecError::invalid(
            "size of the configuration record",
            record.len() as u64,
        ));
    }
    Ok(Bytes::copy_from_slice(record))
}

/// Says a codec's name once, until another one comes.
#[derive(Debug, Default)]
struct UnsupportedNotice {
    said: Option<String>,
}

impl UnsupportedNotice {
    fn say(&mut self, track: Track, codec: &str, sink: &mut impl FnMut(Item)) {
        self.say_with_cure(track, codec, None, sink);
    }

    fn say_with_cure(
        &mut self,
        track: Track,
        codec: &str,
        cure: Option<&'static str>,
        sink: &mut impl FnMut(Item),
    ) {
        if self.said.as_deref() != Some(codec) {
            self.said = Some(codec.to_owned());
            sink(Item::Unsupported {
                track,
                codec: codec.to_owned(),
                cure,
            });
        }
    }

    fn clear(&mut self) {
        self.said = None;
    }
}

/// A FourCC as text; bytes that are not printable show as `.`.
fn fourcc_name(fourcc: [u8; 4]) -> String {
    fourcc
        .iter()
        .map(|byte| match byte {
            0x20..0x7F => char::from(*byte),
            _ => '.',
        })
        .collect()
}

#[cfg(test)]
mod tests;
