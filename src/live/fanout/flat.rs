//! FLV and RTMP: containers that carry the messages as they were pushed.

use bytes::Bytes;

use super::tape::{Maker, Over, Tape};
use super::{Headers, Unit};
use crate::media::flv::stream;
use crate::media::rtmp::Message;
use crate::media::rtmp::server::MediaWriter;
use crate::media::segments::Segments;

enum Wrapping {
    Flv,
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
        Self::new(Wrapping::Flv, stream::file_header(video, audio))
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
            Wrapping::Flv => stream::share_tag(kind, timestamp, payload, out),
            Wrapping::Rtmp(writer) => writer.put(kind, timestamp, payload, out),
        }
    }
}

impl Maker for Flat {
    fn take(&mut self, unit: &Unit, _jumped: bool, tape: &Tape) -> Result<(), Over> {
        if let Some(headers) = &unit.headers {
            self.flush(tape);
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
