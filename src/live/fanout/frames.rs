//! From messages to frames on one timeline, for the containers that need them.

use crate::live::decide::timeline::Timeline;
use crate::media::access_unit::{AccessUnits, Arrived};
use crate::media::flv::read::{Item, TagReader};
use crate::media::frame::{AudioConfig, Frame, Track, VideoConfig};

use super::Unit;
use crate::media::rtmp::Message;

/// Where the timeline begins: sound that comes a little before the first picture must not be negative.
const ORIGIN_MS: i64 = 1_000;

/// What a stream brings, in order.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    Video(VideoConfig),
    Audio(AudioConfig),
    Frame(Frame),
}

/// Puts frames together.
#[derive(Default)]
pub(super) struct Frames {
    reader: TagReader,
    units: AccessUnits,
    timeline: Timeline,
}

impl Frames {
    /// Takes a message; what it completes goes to `out`.
    pub(super) fn take(&mut self, unit: &Unit, jumped: bool, out: &mut Vec<Step>) {
        if jumped {
            self.reader = TagReader::new();
            self.units = AccessUnits::default();
            self.timeline.begin_push();
            if let Some(headers) = &unit.headers {
                for header in headers.messages(unit.message.timestamp) {
                    self.message(header, out);
                }
            }
        }
        self.message(unit.message.clone(), out);
    }

    /// The newest picture is whole.
    pub(super) fn end(&mut self, out: &mut Vec<Step>) {
        let Self {
            units, timeline, ..
        } = self;
        units.settle(&mut |arrived| out.push(place(timeline, arrived)));
    }

    fn message(&mut self, message: Message, out: &mut Vec<Step>) {
        let Self {
            reader,
            units,
            timeline,
        } = self;
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
        let mut sink = |item| match item {
            Item::Video {
                timestamp,
                cts_ms,
                key,
                data,
            } => {
                let part = arrived(Track::Video, cts_ms, key, data, timestamp);
                // What cannot become part of a picture is left out, as in a recording.
                let _ = units.video(part, &mut |frame| out.push(place(timeline, frame)));
            }
            Item::Audio { timestamp, data } => {
                let sound = arrived(Track::Audio, 0, false, data, timestamp);
                units.audio(sound, &mut |frame| out.push(place(timeline, frame)));
            }
            Item::VideoConfig(config) => {
                units.configure(&config, &mut |frame| out.push(place(timeline, frame)));
                out.push(Step::Video(config));
            }
            Item::AudioConfig(config) => {
                units.settle(&mut |frame| out.push(place(timeline, frame)));
                out.push(Step::Audio(config));
            }
            _ => {}
        };
        // The publisher's connection has told what cannot be read.
        let _ = reader.read(message.kind, message.timestamp, message.payload, &mut sink);
    }
}

fn place(timeline: &mut Timeline, arrived: Arrived) -> Step {
    let mut frame = arrived.frame;
    let placed = timeline.place(frame.track, arrived.timestamp, frame.cts_ms);
    frame.dts_ms = placed.dts_ms + ORIGIN_MS;
    Step::Frame(frame)
}
