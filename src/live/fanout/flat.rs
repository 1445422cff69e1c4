//! FLV and RTMP: containers that carry the messages as they were pushed.

use bytes::Bytes;

use super::tape::{Maker, Over, Tape};
use super::{Headers, Unit};
use crate::media::flv::stream;
use crate::media::rtmp::Message;
use crate::media::rtmp::server::MediaWriter;
use crate::media::segments::Segments;

/// FLV with the tracks that its head tells.
enum Wrapping {
    Flv { video: bool, audio: bool },
    Rtmp(MediaWriter),
}

/// Puts messages together as they are; their payloads are not copied.
pub(super) struct Flat {
    wrapping: Wrapping,
    head: Option<Bytes>,
    open: Segments,
    /// Of an open piece that begins a group.
    before: Option<Segments>,
}

impl Flat {
    pub(super) fn flv(headers: &Headers) -> Self {
        let (video, audio) = headers.tracks();
        let head = stream::file_header(video, audio);
        Self::new(Wrapping::Flv { video, audio }, head)
    }

    pub(super) fn rtmp(stream_id: u32) -> Self {
        Self::new(Wrapping::Rtmp(MediaWriter::new(stream_id)), Bytes::new())
    }

    fn new(wrapping: Wrapping, head: Bytes) -> Self {
        Self {
            wrapping,
            head: Some(head),
            open: Segments::new(),
            before: None,
        }
    }

    fn put(wrapping: &Wrapping, message: Message, out: &mut Segments) {
        let Message {
            kind,
            timestamp,
            payload,
        } = message;
        match wrapping {
            Wrapping::Flv { .. } => stream::share_tag(kind, timestamp, payload, out),
            Wrapping::Rtmp(writer) => writer.put(kind, timestamp, payload, out),
        }
    }

    /// A track that has joined stands in the head of whoever comes from here on: some players look for no others than those that it tells. None is
    /// taken back, since a group's headers may be older than those that the tape began with.
    fn note_tracks(&mut self, headers: &Headers) {
        let Wrapping::Flv { video, audio } = &mut self.wrapping else {
            return;
        };
        let (has_video, has_audio) = headers.tracks();
        let has_joined = (has_video && !*video) || (has_audio && !*audio);
        if has_joined {
            (*video, *audio) = (*video || has_video, *audio || has_audio);
            self.head = Some(stream::file_header(*video, *audio));
        }
    }
}

impl Maker for Flat {
    fn take(&mut self, unit: &Unit, _jumped: bool, tape: &Tape) -> Result<(), Over> {
        if let Some(headers) = &unit.headers {
            self.flush(tape);
            self.note_tracks(headers);
            let mut before = Segments::new();
            for header in headers.messages(unit.message.timestamp) {
                Self::put(&self.wrapping, header, &mut before);
            }
            self.before = Some(before);
        }
        Self::put(&self.wrapping, unit.message.clone(), &mut self.open);
        Ok(())
    }

    fn flush(&mut self, tape: &Tape) {
        if self.open.is_empty() {
            return;
        }
        if let Some(head) = self.head.take() {
            tape.set_head(head);
        }
        tape.push(&mut self.open, self.before.take().as_mut());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::{Context, Waker};

    use super::*;
    use crate::live::fanout::frames::pushed::picture;
    use crate::live::fanout::outgoing::Outgoing;
    use crate::live::fanout::tape::Coding;
    use crate::media::frame::{AudioCodec, AudioConfig, VideoCodec, VideoConfig};

    fn headers(audio: bool) -> Headers {
        Headers {
            video_config: Some(VideoConfig {
                codec: VideoCodec::H264,
                record: Bytes::new(),
                width: 0,
                height: 0,
            }),
            audio_config: audio.then(|| AudioConfig {
                codec: AudioCodec::Aac,
                record: Bytes::new(),
                sample_rate: 48_000,
                channels: 2,
            }),
            ..Headers::default()
        }
    }

    /// A group with those headers.
    fn group(timestamp: u32, audio: bool) -> Unit {
        Unit {
            headers: Some(Arc::new(headers(audio))),
            ..picture(timestamp, true)
        }
    }

    /// What whoever comes now is told of the tracks.
    fn flags(tape: &Arc<Tape>) -> Option<u8> {
        let mut outgoing = Outgoing::default();
        let mut context = Context::from_waker(Waker::noop());
        let mut reader = tape.read();
        let polled = reader.poll_next(&mut context, &mut outgoing, usize::MAX);
        assert!(polled.is_ready());
        outgoing.take(5)?.last().copied()
    }

    #[test]
    fn a_track_that_joins_later_is_told_to_whoever_comes_then() {
        let (mut flat, tape) = (Flat::flv(&headers(false)), Tape::new(Coding::Plain));
        for (unit, told) in [
            (group(0, false), 1),
            (picture(40, false), 1),
            (group(80, true), 5),
            (group(120, false), 5),
        ] {
            flat.take(&unit, false, &tape).unwrap();
            flat.flush(&tape);
            assert_eq!(flags(&tape), Some(told), "{}", unit.message.timestamp);
        }
        // The sound came behind the beginning of the group, and before that of the tape.
        let (mut flat, tape) = (Flat::flv(&headers(true)), Tape::new(Coding::Plain));
        flat.take(&group(0, false), false, &tape).unwrap();
        flat.flush(&tape);
        assert_eq!(flags(&tape), Some(5));
    }
}
