//! `onMetaData`: what players and editors want to know before they read on, with the key frame index.

use bytes::{Bytes, BytesMut};

use super::tag::{audio_codec_id, video_codec_id};
use super::{MAX_KEY_FRAMES, MuxError};
use crate::amf0::{self, Value};
use crate::frame::{AudioConfig, SampleInfo, VideoConfig};

/// How long a frame lasts that has no neighbour.
const LONE_FRAME_MS: i64 = 40;

/// What is kept of the samples of one track.
#[derive(Debug)]
pub(super) struct Pace {
    pub samples: u64,
    pub first_ms: i64,
    pub last_ms: i64,
    bytes: u64,
    last_step_ms: Option<i64>,
    /// Shortest and longest step.
    steps_ms: (i64, i64),
    last_is_key: bool,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            samples: 0,
            first_ms: i64::MAX,
            last_ms: i64::MIN,
            bytes: 0,
            last_step_ms: None,
            steps_ms: (i64::MAX, 0),
            last_is_key: false,
        }
    }
}

impl Pace {
    pub fn note(&mut self, sample: &SampleInfo) -> Result<(), MuxError> {
        if self.samples > 0 {
            // A step within what a time stamp can hold; the distance from the first sample is checked with the head.
            let step = sample.dts_ms.saturating_sub(self.last_ms);
            if !(0..=i64::from(u32::MAX)).contains(&step) {
                return Err(MuxError::Time(step));
            }
            let (shortest, longest) = self.steps_ms;
            self.steps_ms = (shortest.min(step), longest.max(step));
            if step > 0 {
                self.last_step_ms = Some(step);
            }
        } else {
            self.first_ms = sample.dts_ms;
        }
        self.last_ms = sample.dts_ms;
        self.last_is_key = sample.key;
        self.samples += 1;
        self.bytes += u64::from(sample.size);
        Ok(())
    }

    fn end_ms(&self) -> i64 {
        let last_step = self.last_step_ms.unwrap_or(LONE_FRAME_MS);
        self.last_ms.saturating_add(last_step)
    }

    /// Frames a second when all steps are alike, give or take the rounding to milliseconds.
    fn constant_rate(&self) -> Option<f64> {
        let (shortest, longest) = self.steps_ms;
        let span_ms = self.last_ms.checked_sub(self.first_ms)?;
        if self.samples < 2 || span_ms <= 0 || longest - shortest > 1 {
            return None;
        }
        let rate = (self.samples - 1) as f64 * 1000.0 / span_ms as f64;
        Some((rate * 1000.0).round() / 1000.0)
    }

    fn kbps(&self) -> f64 {
        let length_ms = self.end_ms().saturating_sub(self.first_ms).max(1);
        self.bytes as f64 * 8.0 / length_ms as f64
    }
}

/// Time and place of key pictures, thinned to a bound.
#[derive(Debug)]
pub(super) struct KeyIndex {
    /// Decoding time, and position relative to the first byte behind the head.
    entries: Vec<(i64, u64)>,
    /// Every how many-th key picture is kept.
    stride: u64,
    seen: u64,
    last: Option<(i64, u64)>,
}

impl Default for KeyIndex {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            stride: 1,
            seen: 0,
            last: None,
        }
    }
}

impl KeyIndex {
    pub fn push(&mut self, dts_ms: i64, position: u64) {
        self.last = Some((dts_ms, position));
        let due = self.seen.is_multiple_of(self.stride);
        self.seen += 1;
        if !due {
            return;
        }
        if self.entries.len() >= MAX_KEY_FRAMES {
            let mut odd = true;
            self.entries.retain(|_| {
                odd = !odd;
                !odd
            });
            self.stride *= 2;
            // What was due before may not be now.
            if !(self.seen - 1).is_multiple_of(self.stride) {
                return;
            }
        }
        self.entries.push((dts_ms, position));
    }
}

/// All that the metadata tells.
pub(super) struct Facts<'a> {
    pub video: Option<(&'a VideoConfig, &'a Pace)>,
    pub audio: Option<(&'a AudioConfig, &'a Pace)>,
    pub keys: &'a KeyIndex,
    pub base_ms: i64,
    /// Bytes before the first tag of a sample.
    pub head_len: u64,
    pub file_size: u64,
}

impl Facts<'_> {
    /// The body of the script data tag.
    pub fn on_metadata(&self) -> Bytes {
        let mut out = BytesMut::new();
        amf0::encode_str("onMetaData", &mut out);
        amf0::encode(&Value::EcmaArray(self.properties()), &mut out);
        out.freeze()
    }

    fn properties(&self) -> Vec<(String, Value)> {
        let paces = [
            self.video.map(|(_, pace)| pace),
            self.audio.map(|(_, pace)| pace),
        ];
        let paces = || paces.iter().flatten();
        let end_ms = paces()
            .map(|pace| pace.end_ms())
            .max()
            .unwrap_or(self.base_ms);
        let last_ms = paces()
            .map(|pace| pace.last_ms)
            .max()
            .unwrap_or(self.base_ms);
        let has_keys = self.keys.last.is_some();
        let mut list = List(Vec::with_capacity(32));
        list.number("duration", self.seconds(end_ms));
        list.number("filesize", self.file_size as f64);
        list.boolean("hasVideo", self.video.is_some());
        list.boolean("hasAudio", self.audio.is_some());
        list.boolean("hasMetadata", true);
        list.boolean("hasKeyframes", has_keys);
        list.boolean(
            "canSeekToEnd",
            self.video.is_some_and(|(_, pace)| pace.last_is_key),
        );
        if let Some((config, pace)) = self.video {
            if config.width > 0 && config.height > 0 {
                list.number("width", config.width.into());
                list.number("height", config.height.into());
            }
            list.number("videocodecid", video_codec_id(config.codec).into());
            list.number("videodatarate", pace.kbps());
            if let Some(rate) = pace.constant_rate() {
                list.number("framerate", rate);
            }
        }
        if let Some((config, pace)) = self.audio {
            list.number("audiocodecid", audio_codec_id(config).into());
            list.number("audiodatarate", pace.kbps());
            list.number("audiosamplerate", config.sample_rate.into());
            list.number("audiosamplesize", 16.0);
            list.boolean("stereo", config.channels > 1);
        }
        list.number("lasttimestamp", self.seconds(last_ms));
        if let Some((last_ms, position)) = self.keys.last {
            list.number("lastkeyframetimestamp", self.seconds(last_ms));
            list.number("lastkeyframelocation", self.place(position));
            list.0.push(("keyframes".to_owned(), self.key_frames()));
        }
        list.0
    }

    fn key_frames(&self) -> Value {
        let entries = &self.keys.entries;
        let times = entries.iter().map(|(ms, _)| self.seconds(*ms).into());
        let places = entries.iter().map(|(_, at)| self.place(*at).into());
        Value::Object(vec![
            ("times".to_owned(), Value::StrictArray(times.collect())),
            (
                "filepositions".to_owned(),
                Value::StrictArray(places.collect()),
            ),
        ])
    }

    fn seconds(&self, ms: i64) -> f64 {
        ms.saturating_sub(self.base_ms) as f64 / 1000.0
    }

    fn place(&self, position: u64) -> f64 {
        (self.head_len + position) as f64
    }
}

struct List(Vec<(String, Value)>);

impl List {
    fn number(&mut self, name: &str, value: f64) {
        self.0.push((name.to_owned(), Value::Number(value)));
    }

    fn boolean(&mut self, name: &str, value: bool) {
        self.0.push((name.to_owned(), Value::Boolean(value)));
    }
}
