//! Frames out of a transport stream (ISO/IEC 13818-1) that comes in pieces of any size: the first programme's first picture and first
//! sound stream.
//!
//! `units` takes the packets apart. This is for what a player is shown, so it is forgiving: bytes between packets are passed over, and a
//! unit that lost a packet is read as far as it goes. Parameter sets are taken out of the pictures and told as configurations.

mod pictures;
mod sound;

use super::units::{Demuxed, StreamId, TsError, TsUnits, Unit};
use crate::frame::{AudioConfig, Frame, Track, VideoConfig};
use pictures::Pictures;
use sound::Sound;

/// Ticks after which time stamps begin anew: they have 33 bits.
const WRAP: i64 = 1 << 33;

/// What a transport stream turned out to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// The programme's tracks: whether there are pictures and sound that can be read.
    Tracks {
        /// Pictures.
        video: bool,
        /// Sound.
        audio: bool,
    },
    /// The first or a changed configuration of the pictures.
    Video(VideoConfig),
    /// The first or a changed configuration of the sound.
    Audio(AudioConfig),
    /// A picture or a frame of sound, with the stream's own time.
    Frame(Frame),
}

/// What the elementary stream of a track is read by.
#[derive(Debug)]
enum Reader {
    Pictures(Pictures),
    Sound(Sound),
}

/// One elementary stream: its units become frames.
#[derive(Debug)]
struct Elementary {
    id: StreamId,
    reader: Reader,
    /// The last time stamp, counted on past the 33 bits.
    time: Option<i64>,
}

impl Elementary {
    fn new(id: StreamId, track: Track) -> Self {
        let reader = match track {
            Track::Video => Reader::Pictures(Pictures::new(id.stream_type)),
            Track::Audio => Reader::Sound(Sound::new(id.stream_type)),
        };
        Self {
            id,
            reader,
            time: None,
        }
    }

    /// A time stamp without its wraps.
    fn unrolled(&mut self, stamp: i64) -> i64 {
        let time = match self.time {
            None => stamp,
            Some(last) => {
                let ahead = (stamp - last).rem_euclid(WRAP);
                last + if ahead > WRAP / 2 {
                    ahead - WRAP
                } else {
                    ahead
                }
            }
        };
        self.time = Some(time);
        time
    }

    /// Reads a unit; one without a time is passed over.
    fn unit(&mut self, unit: &Unit, sink: &mut impl FnMut(Found)) {
        let Some(pts) = unit.pts else { return };
        let dts = self.unrolled(unit.dts.unwrap_or(pts));
        let cts = (pts - unit.dts.unwrap_or(pts)).rem_euclid(WRAP);
        let cts = if cts > WRAP / 2 { cts - WRAP } else { cts };
        match &mut self.reader {
            Reader::Pictures(pictures) => {
                pictures.unit(&unit.data, (ms(dts), ms(cts)), unit.random_access, sink);
            }
            Reader::Sound(sound) => sound.unit(&unit.data, dts, sink),
        }
    }
}

/// Ticks of 90 kHz in milliseconds.
fn ms(ticks: i64) -> i64 {
    (ticks + 45).div_euclid(90)
}

/// The streams of the programme that are read.
#[derive(Debug, Default)]
struct Tracks {
    video: Option<Elementary>,
    audio: Option<Elementary>,
}

impl Tracks {
    fn take(&mut self, demuxed: Demuxed, sink: &mut impl FnMut(Found)) {
        match demuxed {
            Demuxed::Programme(programme) => {
                renew(&mut self.video, programme.video, Track::Video);
                renew(&mut self.audio, programme.audio, Track::Audio);
                sink(Found::Tracks {
                    video: self.video.is_some(),
                    audio: self.audio.is_some(),
                });
            }
            Demuxed::Unit(unit) => {
                let stream = match unit.track {
                    Track::Video => &mut self.video,
                    Track::Audio => &mut self.audio,
                };
                if let Some(stream) = stream {
                    stream.unit(&unit, sink);
                }
            }
        }
    }
}

/// A stream that is the same goes on; another one begins.
fn renew(stream: &mut Option<Elementary>, wanted: Option<StreamId>, track: Track) {
    if stream.as_ref().map(|stream| stream.id) != wanted {
        *stream = wanted.map(|id| Elementary::new(id, track));
    }
}

/// Reads one transport stream.
#[derive(Debug)]
pub struct TsReader {
    units: TsUnits,
    tracks: Tracks,
}

impl Default for TsReader {
    fn default() -> Self {
        Self {
            units: TsUnits::forgiving(),
            tracks: Tracks::default(),
        }
    }
}

impl TsReader {
    /// A reader that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what came, and hands what it completes to `sink`.
    ///
    /// # Errors
    /// As [`TsUnits::feed`]: there is nothing more to read then.
    pub fn feed(&mut self, bytes: &[u8], sink: &mut impl FnMut(Found)) -> Result<(), TsError> {
        let Self { units, tracks } = self;
        units.feed(bytes, &mut |it| tracks.take(it, sink))
    }

    /// The stream is over: what was begun is whole.
    pub fn finish(&mut self, sink: &mut impl FnMut(Found)) {
        let Self { units, tracks } = self;
        units.end(&mut |it| tracks.take(it, sink));
    }
}

#[cfg(test)]
mod tests;
