//! MP4 files (ISO/IEC 14496-12 and -15), index first.
//!
//! The index of an MP4 tells where each sample lies, so it can be written only when all are known, and must stand first for
//! a player to start while it downloads. [`Layout`] therefore sees sizes and times only, in a first pass; its head is
//! written out and the payloads follow in the same order, straight from the spool, without a rewrite of gigabytes.

mod boxes;
mod entry;
mod header;
mod layout;
mod log;
mod plan;
mod tables;
mod timing;

#[cfg(test)]
mod tests;

use thiserror::Error;

use crate::codec::CodecError;
use crate::frame::Track;

pub(crate) use boxes::{put_box, put_full_box};
pub(crate) use entry::{put_audio_entry, put_stsd, put_video_entry, shown_size};
pub(crate) use header::{Brands, TrackHeader, put_brands, put_movie_header, put_trak};
pub use layout::{HEAD_BLOCK, Layout};
pub(crate) use timing::{AudioClock, AudioTiming};

/// Track ids, in order of their appearance in the movie.
pub(crate) const VIDEO_TRACK: u32 = 1;
pub(crate) const AUDIO_TRACK: u32 = 2;

/// Ticks per millisecond and per second of the picture track: the media's clock is exact in milliseconds.
pub(crate) const VIDEO_TICKS_PER_MS: i64 = 90;
pub(crate) const VIDEO_TIMESCALE: u32 = 90_000;

/// Most samples of one file: six hours at ten times the usual rate.
pub const MAX_SAMPLES: u32 = 16_000_000;
/// Most distinct configurations of one track in one file.
pub const MAX_CONFIGS: usize = 64;
/// Most changes from one configuration to another in one track of one file.
pub const MAX_SWITCHES: usize = 4_096;
/// Longest step between two samples of a track; fits 32 bits of ticks at any sample rate of the codecs.
pub const MAX_STEP_MS: i64 = 12 * 3_600_000;
/// Largest composition offset, either way.
pub const MAX_CTS_MS: i32 = 3_600_000;

/// Why something cannot go into an MP4 file or fragment.
#[derive(Debug, Error)]
pub enum MuxError {
    /// A sample came before the configuration of its track.
    #[error("a {0:?} sample came before the configuration of its track")]
    NoConfig(Track),
    /// There is no sample, or no track.
    #[error("there is nothing to write")]
    Empty,
    /// The configuration record cannot be read.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A box cannot be written.
    #[error("a box cannot be written: {0}")]
    Box(#[from] mp4_atom::Error),
    /// Decoding times of a track go back.
    #[error("a {track:?} sample at {dts_ms} ms comes after one at {last_ms} ms")]
    OutOfOrder {
        /// The track.
        track: Track,
        /// The sample's decoding time.
        dts_ms: i64,
        /// The decoding time of the sample before.
        last_ms: i64,
    },
    /// A time, a step between two samples or a composition offset is beyond what the tables hold.
    #[error("a time of {0} ms cannot be written")]
    Time(i64),
    /// More than a documented bound.
    #[error("more than {limit} {what}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// The bound.
        limit: u64,
    },
}
