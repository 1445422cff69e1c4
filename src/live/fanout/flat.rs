//! FLV and RTMP: containers that carry the messages as they were pushed.

use bytes::{Bytes, BytesMut};

use super::tape::{Maker, Over, Tape};
use super::{Headers, Unit};
use crate::media::flv::stream;
use crate::media::rtmp::Message;
use crate::media::rtmp::server::MediaWriter;

/// Bytes of room for a tick of a usual stream.
const ROOM: usize = 16 << 10;

enum Wrapping {
    Flv,
    Rtmp(MediaWriter),
}

/// Puts messages together as they are.
pub(super) struct Flat {
    wrapping: Wrapping,
    head: Option<Bytes>,
    open: BytesMut,
    before: Option<Bytes>,
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
            open: BytesMut::new(),
            before: None,
        }
    }

    fn put(wrapping: &Wrapping, message: &Message, out: &mut BytesMut) {
        match wrapping {
            Wrapping::Flv => {
                stream::put_tag(message.kind, message.timestamp, &message.payload, out);
            }
            Wrapping::Rtmp(writer) => {
                writer.put(message.kind, message.timestamp, &message.payload, out);
            }
        }
    }
}

impl Maker for Flat {
    fn take(&mut self, unit: &Unit, _jumped: bool, tape: &Tape) -> Result<(), Over> {
        if let Some(headers) = &unit.headers {
            self.flush(tape);
            let mut before = BytesMut::new();
            for header in headers.messages(unit.message.timestamp) {
                Self::put(&self.wrapping, &header, &mut before);
            }
            self.before = Some(before.freeze());
        }
        if self.open.is_empty() {
            self.open.reserve(ROOM);
        }
        Self::put(&self.wrapping, &unit.message, &mut self.open);
        Ok(())
    }

    fn flush(&mut self, tape: &Tape) {
        if self.open.is_empty() {
            return;
        }
        if let Some(head) = self.head.take() {
            tape.set_head(head);
        }
        tape.push(self.open.split().freeze(), self.before.take());
    }
}
