//! What came of a stream: frames, gaps, and how long the first picture took.

use std::time::Instant;

use bytes::Bytes;
use serde::Serialize;

use crate::clock;
use crate::media::access_unit::{AccessUnits, Arrived};
use crate::media::flv::TagKind;
use crate::media::flv::read::{Item, TagReader};
use crate::media::frame::{AudioCodec, Frame, Track, VideoCodec};
use crate::media::mpegts::units::Unit;

/// A step this many times longer than the usual one, and longer than [`SHORTEST_GAP_MS`], is a gap.
const GAP_FACTOR: i64 = 4;
/// A step of this long or less is no gap, whatever is usual.
const SHORTEST_GAP_MS: i64 = 200;
/// Steps after which it is known what is usual.
const LEARNING: u64 = 5;

/// One track.
#[derive(Debug, Clone, Default, Serialize)]
pub struct TrackTally {
    pub codec: Option<&'static str>,
    pub frames: u64,
    pub key_frames: u64,
    /// Steps of the timestamps that are far longer than usual.
    pub gaps: u64,
    pub longest_gap_ms: i64,
    /// Steps back.
    pub steps_back: u64,
    /// From the first frame's time to the last one's.
    pub media_ms: i64,
    #[serde(skip)]
    last_ms: Option<i64>,
    #[serde(skip)]
    usual_ms: i64,
    #[serde(skip)]
    steps: u64,
}

impl TrackTally {
    fn add(&mut self, at_ms: i64, key: bool) {
        self.frames += 1;
        self.key_frames += u64::from(key);
        let Some(last) = self.last_ms.replace(at_ms) else {
            return;
        };
        let step = at_ms - last;
        if step < 0 {
            self.steps_back += 1;
            return;
        }
        self.media_ms += step;
        let is_gap = self.steps >= LEARNING
            && step > SHORTEST_GAP_MS
            && step > self.usual_ms.saturating_mul(GAP_FACTOR);
        if is_gap {
            self.gaps += 1;
            self.longest_gap_ms = self.longest_gap_ms.max(step);
            return;
        }
        self.steps += 1;
        self.usual_ms = self.usual_ms.max(step);
    }
}

/// The whole of a stream.
#[derive(Serialize)]
pub struct Tally {
    pub bytes: u64,
    pub video: TrackTally,
    pub audio: TrackTally,
    /// Machine milliseconds from the request to the first byte of media.
    pub first_byte_ms: Option<u64>,
    /// Machine milliseconds from the request to the first whole key picture.
    pub first_picture_ms: Option<u64>,
    /// The first picture was a key picture.
    pub begins_with_key: Option<bool>,
    /// HLS: slices that came, and numbers that were left out.
    pub slices: u64,
    pub missing_slices: u64,
    /// MPEG-TS packets that were left out.
    pub missing_packets: u64,
    #[serde(skip)]
    began: Instant,
    #[serde(skip)]
    reader: TagReader,
    #[serde(skip)]
    units: AccessUnits,
    /// Unwraps timestamps.
    #[serde(skip)]
    last_raw: [Option<(u32, i64)>; 2],
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            bytes: 0,
            video: TrackTally::default(),
            audio: TrackTally::default(),
            first_byte_ms: None,
            first_picture_ms: None,
            begins_with_key: None,
            slices: 0,
            missing_slices: 0,
            missing_packets: 0,
            began: clock::monotonic(),
            reader: TagReader::new(),
            units: AccessUnits::default(),
            last_raw: [None; 2],
        }
    }
}

impl Tally {
    /// Frames of both tracks.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.video.frames + self.audio.frames
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn bytes(&mut self, count: usize) {
        self.bytes += count as u64;
        if count > 0 && self.first_byte_ms.is_none() {
            self.first_byte_ms = Some(self.elapsed_ms());
        }
    }

    fn picture(&mut self, key: bool) {
        self.begins_with_key.get_or_insert(key);
        if key && self.first_picture_ms.is_none() {
            self.first_picture_ms = Some(self.elapsed_ms());
        }
    }

    /// Takes a message of FLV or RTMP.
    pub(super) fn message(&mut self, kind: TagKind, timestamp: u32, payload: Bytes) {
        let mut frames: Vec<Arrived> = Vec::new();
        let (mut picture, mut video_codec, mut audio_codec) = (None, None, None);
        let Self { reader, units, .. } = self;
        let arrived = |track, cts_ms, key, data, timestamp| Arrived {
            frame: Frame {
                track,
                dts_ms: 0,
                cts_ms,
                key,
                data,
            },
            timestamp,
            at: 0,
        };
        let _ = reader.read(kind, timestamp, payload, &mut |item| match item {
            Item::VideoConfig(config) => {
                units.configure(&config, &mut |frame| frames.push(frame));
                video_codec = Some(match config.codec {
                    VideoCodec::H264 => "h264",
                    VideoCodec::H265 => "h265",
                    VideoCodec::Mpeg4 => "mpeg4",
                });
            }
            Item::AudioConfig(config) => {
                audio_codec = Some(match config.codec {
                    AudioCodec::Aac => "aac",
                    AudioCodec::Mp3 => "mp3",
                });
            }
            Item::Video {
                timestamp,
                cts_ms,
                key,
                data,
            } => {
                picture = Some(key);
                let part = arrived(Track::Video, cts_ms, key, data, timestamp);
                let _ = units.video(part, &mut |frame| frames.push(frame));
            }
            Item::Audio { timestamp, data } => {
                let sound = arrived(Track::Audio, 0, false, data, timestamp);
                units.audio(sound, &mut |frame| frames.push(frame));
            }
            _ => {}
        });
        self.video.codec = video_codec.or(self.video.codec);
        self.audio.codec = audio_codec.or(self.audio.codec);
        if let Some(key) = picture {
            self.picture(key);
        }
        for frame in frames {
            self.frame(frame.frame.track, frame.timestamp, frame.frame.key);
        }
    }

    fn frame(&mut self, track: Track, raw: u32, key: bool) {
        let (tally, last) = match track {
            Track::Video => (&mut self.video, &mut self.last_raw[0]),
            Track::Audio => (&mut self.audio, &mut self.last_raw[1]),
        };
        let at_ms = match *last {
            Some((before, at)) => at + i64::from(raw.wrapping_sub(before).cast_signed()),
            None => i64::from(raw),
        };
        *last = Some((raw, at_ms));
        tally.add(at_ms, key);
    }

    /// Takes an access unit of MPEG-TS.
    pub(super) fn unit(&mut self, unit: &Unit) {
        let codec = match unit.stream_type {
            0x1B => "h264",
            0x24 => "h265",
            0x10 => "mpeg4",
            0x0F => "aac",
            _ => "mp3",
        };
        let at_ms = unit.pts.map(|ticks| ticks / 90);
        let tally = match unit.track {
            Track::Video => &mut self.video,
            Track::Audio => &mut self.audio,
        };
        tally.codec = Some(codec);
        let key = unit.track == Track::Video && unit.random_access;
        match (unit.track, at_ms) {
            // Pictures are shown in another order than they come.
            (Track::Video, _) | (_, None) => {
                tally.frames += 1;
                tally.key_frames += u64::from(key);
                let first = *tally.last_ms.get_or_insert(at_ms.unwrap_or(0));
                tally.media_ms = tally.media_ms.max(at_ms.unwrap_or(0) - first);
            }
            (Track::Audio, Some(at_ms)) => tally.add(at_ms, false),
        }
        if unit.track == Track::Video {
            self.picture(key);
        }
    }

    /// Nothing more comes: the newest picture is whole.
    pub(super) fn end(&mut self) {
        let mut frames = Vec::new();
        self.units.settle(&mut |frame: Arrived| frames.push(frame));
        for frame in frames {
            self.frame(frame.frame.track, frame.timestamp, frame.frame.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_a_step_far_beyond_the_usual() {
        let mut track = TrackTally::default();
        for at in (0..20).map(|n| n * 40).chain([1_760, 1_800, 1_700]) {
            track.add(at, false);
        }
        assert_eq!(
            (track.frames, track.gaps, track.longest_gap_ms),
            (23, 1, 1_000)
        );
        assert_eq!((track.steps_back, track.media_ms), (1, 1_800));
        let mut slow = TrackTally::default();
        for at in 0..20 {
            slow.add(at * 1_000, true);
        }
        assert_eq!((slow.gaps, slow.key_frames), (0, 20));
    }
}
