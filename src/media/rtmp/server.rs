//! The server's side of one RTMP connection.
//!
//! The caller reads the socket into a buffer, calls [`ServerSession::feed`], takes the events with
//! [`ServerSession::poll`] and writes what [`ServerSession::take_output`] returns. A `publish` stops the reading until it is
//! answered, so that what a peer sends without waiting, the end of its push included, keeps its order. Otherwise the caller
//! must read on while it waits for something else: bytes unread at close make the kernel reset the connection and throw
//! away the end of a fast push.
//! For the same reason acknowledgements go out only to a peer that asked for them, and the commands that end a publish
//! are not answered.

mod commands;

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

use super::chunk_read::ChunkReader;
use super::chunk_write::{ChunkWriter, MessageHeader};
use super::command;
use super::handshake::Handshake;
use super::message::{self, Incoming, id};
use super::{Limits, Message, RtmpError, TagKind};
use crate::amf0::Value;
use crate::segments::Segments;

/// What the peer did.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// `connect`, already answered.
    Connect {
        /// Application, as sent: may carry a query.
        app: String,
        /// URL that the client was given; empty when it sent none.
        tc_url: String,
        /// The whole command object.
        object: Value,
        /// The client announces Enhanced RTMP.
        enhanced: bool,
    },
    /// `publish`; the caller answers with [`ServerSession::accept_publish`] or [`ServerSession::refuse_publish`].
    Publish {
        /// As of the connect.
        app: String,
        /// As of the connect.
        tc_url: String,
        /// Stream name, as sent: may carry a query.
        name: String,
        /// `live`, `record` or `append`.
        kind: String,
    },
    /// Media of an accepted publish.
    Media(Message),
    /// The publisher ended its stream: FCUnpublish, closeStream or deleteStream, whichever came first.
    Unpublish,
    /// `play`; the caller answers with [`ServerSession::accept_play`] or [`ServerSession::refuse_publish`], which serves for this too.
    Play {
        /// As of the connect.
        app: String,
        /// As of the connect.
        tc_url: String,
        /// Stream name, as sent: may carry a query.
        name: String,
        /// The message stream that the media is to have.
        stream_id: u32,
    },
    /// The player ended its stream.
    StopPlay,
}

/// Chunk size of what is played: most messages fit into one chunk.
const PLAY_CHUNK_SIZE: u32 = 60_000;

/// Writes the media of a play; what it writes is the same for every player with that message stream.
#[derive(Debug)]
pub struct MediaWriter {
    writer: ChunkWriter,
    stream_id: u32,
}

impl MediaWriter {
    /// For a message stream.
    #[must_use]
    pub fn new(stream_id: u32) -> Self {
        let mut writer = ChunkWriter::new();
        writer.set_chunk_size(usize::try_from(PLAY_CHUNK_SIZE).unwrap_or(128));
        Self { writer, stream_id }
    }

    /// Appends a message of media, without a copy of its payload.
    pub fn put(&self, kind: TagKind, timestamp: u32, payload: Bytes, out: &mut Segments) {
        let header = MessageHeader {
            chunk_stream: media_chunk_stream(kind),
            type_id: kind.number(),
            timestamp,
            stream_id: self.stream_id,
        };
        self.writer.share(header, payload, out);
    }
}

/// Media chunk streams by kind, as the common servers use them.
const fn media_chunk_stream(kind: TagKind) -> u8 {
    match kind {
        TagKind::Audio => 4,
        TagKind::Data => 5,
        TagKind::Video => 6,
    }
}

/// Refused message streams, and names of refused streams, that are remembered: an encoder has one or two.
const REFUSED_STREAMS: usize = 16;

/// What became of the bytes that were fed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fed {
    /// Every whole chunk is taken.
    All,
    /// A publish waits for its answer; what lies behind it is to be fed again then.
    UntilAnswered,
}

/// Where a publish stands.
#[derive(Debug)]
enum Publish {
    /// Nothing published; media is dropped.
    None,
    /// The caller has not answered yet; nothing more is read.
    Asked { stream_id: u32, name: String },
    Accepted {
        stream_id: u32,
        /// The bare name ([`commands::bare_name`]).
        name: String,
    },
}

/// One connection.
#[derive(Debug)]
pub struct ServerSession {
    limits: Limits,
    handshake: Handshake,
    reader: ChunkReader,
    writer: ChunkWriter,
    output: BytesMut,
    events: VecDeque<Event>,
    app: Option<String>,
    tc_url: String,
    next_stream_id: u32,
    /// FCPublish was called: the old encoders that do wait for onFCPublish.
    wants_fc_publish: bool,
    publish: Publish,
    /// Message streams whose publish was refused, the newest last.
    refused: VecDeque<u32>,
    /// The bare names that were refused, the newest last.
    refused_names: VecDeque<String>,
    /// The message stream of a play that was accepted.
    playing: Option<u32>,
    /// Stream of the last publish or play, to which a refusal goes.
    asked_stream: u32,
    received: u32,
    acknowledged: u32,
    window: Option<u32>,
    failure: Option<RtmpError>,
}

impl ServerSession {
    /// A session before its handshake. `seed` makes the handshake's random bytes.
    #[must_use]
    pub fn new(limits: Limits, seed: u64) -> Self {
        Self {
            limits,
            handshake: Handshake::new(seed),
            reader: ChunkReader::new(limits.of_a_stranger()),
            writer: ChunkWriter::new(),
            output: BytesMut::new(),
            events: VecDeque::new(),
            app: None,
            tc_url: String::new(),
            next_stream_id: 1,
            wants_fc_publish: false,
            publish: Publish::None,
            refused: VecDeque::new(),
            refused_names: VecDeque::new(),
            playing: None,
            asked_stream: 0,
            received: 0,
            acknowledged: 0,
            window: None,
            failure: None,
        }
    }

    /// Takes every whole chunk out of `input`, which is one piece of memory, up to a `publish`, and leaves the rest for the next call: less than 65 KiB
    /// where nothing waits for an answer. Events and output that came before an error are kept.
    ///
    /// # Errors
    /// When the peer breaks the protocol or a limit. The session is over then: the same error comes again.
    pub fn feed(&mut self, input: &mut impl Buf) -> Result<Fed, RtmpError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let before = input.remaining();
        let result = self.read(input);
        let taken = before.saturating_sub(input.remaining());
        // Sequence numbers are modulo 2^32.
        self.received = self
            .received
            .wrapping_add(u32::try_from(taken).unwrap_or_default());
        let result = result.and_then(|fed| self.acknowledge().map(|()| fed));
        if let Err(error) = &result {
            self.failure = Some(error.clone());
        }
        result
    }

    /// The next event.
    pub fn poll(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Bytes for the peer; empty when there are none.
    #[must_use]
    pub fn take_output(&mut self) -> Bytes {
        self.output.split().freeze()
    }

    /// Lets the publish begin. Without an open question nothing happens.
    pub fn accept_publish(&mut self) {
        if let Publish::Asked { stream_id, name } = &mut self.publish {
            let (stream_id, name) = (*stream_id, std::mem::take(name));
            let bare = commands::bare_name(&name).to_owned();
            self.take_back_refusal(stream_id);
            self.refused_names.retain(|refused| *refused != bare);
            self.publish = Publish::Accepted {
                stream_id,
                name: bare,
            };
            self.reader.allow(self.limits);
            self.answer_publish(stream_id, &name);
        }
    }

    /// Refuses the last publish or play with an error status. Media of it is dropped. The caller closes the connection
    /// once the output is written.
    pub fn refuse_publish(&mut self, code: &str, description: &str) {
        if let Publish::Asked { name, .. } = std::mem::replace(&mut self.publish, Publish::None) {
            self.refuse_name(&name);
        }
        self.refuse_stream(self.asked_stream);
        let status = command::status("error", code, description);
        self.send_status(self.asked_stream, status);
    }

    /// Lets the play begin: the media follows the output, written by a [`MediaWriter`] of that message stream.
    pub fn accept_play(&mut self, stream_id: u32) {
        self.playing = Some(stream_id);
        message::write_control(
            &self.writer,
            id::SET_CHUNK_SIZE,
            &PLAY_CHUNK_SIZE.to_be_bytes(),
            &mut self.output,
        );
        self.writer
            .set_chunk_size(usize::try_from(PLAY_CHUNK_SIZE).unwrap_or(128));
        message::write_stream_begin(&self.writer, stream_id, &mut self.output);
        for (code, description) in [
            ("NetStream.Play.Reset", "The stream is set back."),
            ("NetStream.Play.Start", "Playing has begun."),
        ] {
            self.send_status(stream_id, command::status("status", code, description));
        }
    }

    /// Gives back the room that the way to a play took: from here on its player says little and is told little.
    pub fn shrink(&mut self) {
        self.events.shrink_to_fit();
        if self.output.is_empty() {
            self.output = BytesMut::new();
        }
    }

    /// Ends a play from our side.
    pub fn close_play(&mut self, description: &str) {
        let Some(stream_id) = self.playing.take() else {
            return;
        };
        let code = "NetStream.Play.UnpublishNotify";
        self.send_status(stream_id, command::status("status", code, description));
        message::write_stream_eof(&self.writer, stream_id, &mut self.output);
    }

    /// Ends an accepted publish from our side. Media after this is dropped.
    pub fn close_publish(&mut self, code: &str, description: &str) {
        let Publish::Accepted { stream_id, .. } = self.publish else {
            return;
        };
        self.publish = Publish::None;
        let status = command::status("status", code, description);
        self.send_status(stream_id, status);
    }

    fn read(&mut self, input: &mut impl Buf) -> Result<Fed, RtmpError> {
        if !self.handshake.feed(input, &mut self.output)? {
            return Ok(Fed::All);
        }
        while !matches!(self.publish, Publish::Asked { .. }) {
            let Some(raw) = self.reader.next(input)? else {
                return Ok(Fed::All);
            };
            self.handle(message::sort(raw)?)?;
            if self.output.len() > self.limits.output_bytes {
                return Err(RtmpError::Output(self.limits.output_bytes));
            }
        }
        Ok(Fed::UntilAnswered)
    }

    fn handle(&mut self, incoming: Incoming) -> Result<(), RtmpError> {
        match incoming {
            Incoming::ChunkSize(size) => self.reader.set_chunk_size(size),
            Incoming::Abort(chunk_stream) => self.reader.abort(chunk_stream),
            Incoming::Window(window) => self.window = Some(window.max(1)),
            Incoming::Ping(timestamp) => {
                message::write_ping_response(&self.writer, timestamp, &mut self.output);
            }
            Incoming::Command(stream_id, payload) => {
                let command = command::parse(&payload, &self.limits)?;
                self.command(stream_id, command)?;
            }
            Incoming::Media(stream_id, message) => self.media(stream_id, message),
            Incoming::Aggregate(stream_id, timestamp, payload) => {
                let mut sink = |message| self.media(stream_id, message);
                message::split_aggregate(timestamp, payload, &mut sink)?;
            }
            Incoming::Nothing => {}
        }
        Ok(())
    }

    /// Media of a stream that was not refused belongs to the publish, whatever its number: some encoders send 0.
    fn media(&mut self, stream_id: u32, message: Message) {
        if matches!(self.publish, Publish::Accepted { .. }) && !self.refused.contains(&stream_id) {
            self.events.push_back(Event::Media(message));
        }
    }

    /// What comes for this message stream is nobody's, unless it is that of the publish as well.
    fn refuse_stream(&mut self, stream_id: u32) {
        if stream_id == 0 || self.publish_stream() == Some(stream_id) {
            return;
        }
        self.take_back_refusal(stream_id);
        if self.refused.len() == REFUSED_STREAMS {
            self.refused.pop_front();
        }
        self.refused.push_back(stream_id);
    }

    /// An encoder that is told no may end that publish all the same, by its name: that is not the end of the accepted one.
    fn refuse_name(&mut self, name: &str) {
        if name.len() > self.limits.name_bytes {
            return;
        }
        let bare = commands::bare_name(name);
        self.refused_names.retain(|refused| refused != bare);
        if self.refused_names.len() == REFUSED_STREAMS {
            self.refused_names.pop_front();
        }
        self.refused_names.push_back(bare.to_owned());
    }

    fn take_back_refusal(&mut self, stream_id: u32) {
        self.refused.retain(|refused| *refused != stream_id);
    }

    fn acknowledge(&mut self) -> Result<(), RtmpError> {
        let unacknowledged = self.received.wrapping_sub(self.acknowledged);
        if self.window.is_some_and(|window| unacknowledged >= window) {
            self.acknowledged = self.received;
            let sequence = self.received.to_be_bytes();
            message::write_control(
                &self.writer,
                id::ACKNOWLEDGEMENT,
                &sequence,
                &mut self.output,
            );
            if self.output.len() > self.limits.output_bytes {
                return Err(RtmpError::Output(self.limits.output_bytes));
            }
        }
        Ok(())
    }

    fn send_status(&mut self, stream_id: u32, status: Value) {
        command::write(
            &self.writer,
            stream_id,
            "onStatus",
            0.0,
            &[Value::Null, status],
            &mut self.output,
        );
    }
}

#[cfg(test)]
mod tests;
