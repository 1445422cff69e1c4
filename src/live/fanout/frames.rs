//! From messages to frames on one timeline, for the containers that need them.

use crate::live::decide::timeline::Timeline;
use crate::media::access_unit::{AccessUnits, Arrived};
use crate::media::flv::read::{Item, TagReader};
use crate::media::frame::{AudioConfig, Frame, Track, VideoConfig};

use super::Unit;
use crate::media::rtmp::Message;

/// Where the timeline begins: sound that comes a little before the first picture must not be negative. No container has times before zero, so
/// what lies further back is left out.
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
    placing: Placing,
}

/// Puts frames on one timeline.
#[derive(Default)]
struct Placing {
    timeline: Timeline,
    /// A picture was left out: those up to the next key frame cannot be shown.
    awaits_key: bool,
}

impl Frames {
    /// Takes a message; what it completes goes to `out`.
    pub(super) fn take(&mut self, unit: &Unit, jumped: bool, out: &mut Vec<Step>) {
        if jumped {
            self.reader = TagReader::new();
            self.units = AccessUnits::default();
            self.placing.timeline.begin_push();
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
        let Self { units, placing, .. } = self;
        units.settle(&mut |arrived| placing.place(arrived, out));
    }

    fn message(&mut self, message: Message, out: &mut Vec<Step>) {
        let Self {
            reader,
            units,
            placing,
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
                let _ = units.video(part, &mut |frame| placing.place(frame, out));
            }
            Item::Audio { timestamp, data } => {
                let sound = arrived(Track::Audio, 0, false, data, timestamp);
                units.audio(sound, &mut |frame| placing.place(frame, out));
            }
            Item::VideoConfig(config) => {
                units.configure(&config, &mut |frame| placing.place(frame, out));
                out.push(Step::Video(config));
            }
            Item::AudioConfig(config) => {
                units.settle(&mut |frame| placing.place(frame, out));
                out.push(Step::Audio(config));
            }
            _ => {}
        };
        // The publisher's connection has told what cannot be read.
        let _ = reader.read(message.kind, message.timestamp, message.payload, &mut sink);
    }
}

impl Placing {
    fn place(&mut self, arrived: Arrived, out: &mut Vec<Step>) {
        let mut frame = arrived.frame;
        let placed = self
            .timeline
            .place(frame.track, arrived.timestamp, frame.cts_ms);
        (frame.dts_ms, frame.cts_ms) = (placed.dts_ms + ORIGIN_MS, placed.cts_ms);
        let is_early = frame.dts_ms < 0;
        let is_left_out = match frame.track {
            Track::Video => {
                self.awaits_key = is_early || (self.awaits_key && !frame.key);
                self.awaits_key
            }
            Track::Audio => is_early,
        };
        if !is_left_out {
            out.push(Step::Frame(frame));
        }
    }
}

/// Messages as an encoder pushes them.
#[cfg(test)]
pub(super) mod pushed {
    use std::sync::Arc;

    use bytes::Bytes;

    use crate::live::fanout::{Headers, Unit};
    use crate::media::rtmp::{Message, TagKind};

    /// What the payload of every picture and of every frame of sound ends with.
    pub(in crate::live::fanout) const PICTURE: &[u8] = b"<picture>";
    pub(in crate::live::fanout) const SOUND: &[u8] = b"<sound>";
    /// H.264, 1280 x 720.
    const AVCC: &[u8] = &[
        1, 0x64, 0, 0x1F, 0xFF, 0xE1, 0, 0x0C, 0x67, 0x42, 0xC0, 0x1F, 0xDA, 0x01, 0x40, 0x16,
        0xE8, 0x40, 0, 0, 1, 0, 2, 0x68, 0xCE,
    ];

    fn message(kind: TagKind, timestamp: u32, parts: &[&[u8]]) -> Message {
        Message {
            kind,
            timestamp,
            payload: Bytes::from(parts.concat()),
        }
    }

    /// Of H.264 and AAC.
    fn headers() -> Headers {
        Headers {
            video: Some(message(TagKind::Video, 0, &[&[0x17, 0, 0, 0, 0], AVCC])),
            audio: Some(message(TagKind::Audio, 0, &[&[0xAF, 0, 0x12, 0x10]])),
            ..Headers::default()
        }
    }

    fn unit(message: Message, begins_group: bool) -> Unit {
        Unit {
            message,
            headers: begins_group.then(|| Arc::new(headers())),
        }
    }

    /// A key picture begins a group.
    pub(in crate::live::fanout) fn picture(timestamp: u32, key: bool) -> Unit {
        let head: &[u8] = if key { &[0x17, 1] } else { &[0x27, 1] };
        let slice: &[u8] = if key { &[0x65, 0x88] } else { &[0x41, 0x9A] };
        let length = [0, 0, 0, u8::try_from(slice.len() + PICTURE.len()).unwrap()];
        let parts: [&[u8]; 5] = [head, &[0, 0, 0], &length, slice, PICTURE];
        unit(message(TagKind::Video, timestamp, &parts), key)
    }

    pub(in crate::live::fanout) fn sound(timestamp: u32, begins_group: bool) -> Unit {
        let message = message(TagKind::Audio, timestamp, &[&[0xAF, 1], SOUND]);
        unit(message, begins_group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each frame's track and time.
    fn placed(units: &[Unit]) -> Vec<(Track, i64)> {
        let (mut frames, mut steps) = (Frames::default(), Vec::new());
        for (number, unit) in units.iter().enumerate() {
            frames.take(unit, number == 0, &mut steps);
        }
        frames.end(&mut steps);
        steps
            .into_iter()
            .filter_map(|step| match step {
                Step::Frame(frame) => Some((frame.track, frame.dts_ms)),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn what_lies_before_zero_is_left_out_and_pictures_up_to_a_key_frame() {
        use Track::{Audio, Video};
        use pushed::{picture, sound};
        let now = 20_000;
        let sound_behind = [
            picture(now, true),
            sound(now - 3_000, false),
            picture(now + 40, false),
            sound(now - 900, false),
        ];
        assert_eq!(
            placed(&sound_behind),
            [(Video, 1_000), (Video, 1_040), (Audio, 100)]
        );
        let picture_behind = [
            sound(now, true),
            picture(now - 3_000, true),
            picture(now - 500, false),
            picture(now - 400, true),
            picture(now - 360, false),
        ];
        assert_eq!(
            placed(&picture_behind),
            [(Audio, 1_000), (Video, 600), (Video, 640)]
        );
    }
}
