//! The client's side of one RTMP connection: a publisher's, or a player's.
//!
//! As the server's side it holds no socket: bytes from the server go into [`ClientSession::feed`], bytes for it come
//! out of [`ClientSession::take_output`]; media goes straight into the caller's buffer by [`ClientSession::send`].

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::chunk_read::ChunkReader;
use super::chunk_write::{ChunkWriter, MessageHeader};
use super::command::{self, Command};
use super::handshake::Handshake;
use super::message::{self, Incoming, id};
use super::{Limits, Message, RtmpError, TagKind};
use crate::amf0::Value;

/// Bytes of a chunk of what is published: most messages fit into one chunk.
const CHUNK_SIZE: u32 = 64 * 1024;

/// Media chunk streams by kind, as the common encoders use them.
const fn chunk_stream(kind: TagKind) -> u8 {
    match kind {
        TagKind::Audio => 4,
        TagKind::Data => 5,
        TagKind::Video => 6,
    }
}

/// Transactions by which the answers are told apart.
mod transaction {
    pub(super) const CONNECT: f64 = 1.0;
    pub(super) const RELEASE_STREAM: f64 = 2.0;
    pub(super) const FC_PUBLISH: f64 = 3.0;
    pub(super) const CREATE_STREAM: f64 = 4.0;
    pub(super) const ASK: f64 = 5.0;
}

/// How far the publish has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The handshake is under way.
    Handshake,
    /// `connect` is sent.
    Connecting,
    /// `createStream` is sent.
    CreatingStream,
    /// `publish` or `play` is sent.
    Asking,
    /// Media may be sent, or comes.
    Ready,
    /// Refused or ended; nothing more can be sent.
    Closed,
}

/// What the server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The publish or play was accepted: media may be sent, or comes.
    Ready,
    /// Media of a play.
    Media(Message),
    /// The connect, the publish or the play was refused.
    Refused {
        /// Such as `NetStream.Publish.BadName`.
        code: String,
        /// The server's words.
        description: String,
    },
    /// The server ended an accepted publish or play.
    Closed {
        /// Such as `NetStream.Unpublish.Success`.
        code: String,
        /// The server's words.
        description: String,
    },
}

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Publish,
    Play,
}

/// One publish or play.
#[derive(Debug)]
pub struct ClientSession {
    purpose: Purpose,
    limits: Limits,
    app: String,
    tc_url: String,
    name: String,
    handshake: Handshake,
    reader: ChunkReader,
    writer: ChunkWriter,
    output: BytesMut,
    events: VecDeque<Event>,
    state: State,
    stream_id: u32,
    /// Bytes received, and how many of them were acknowledged; modulo 2^32.
    received: u32,
    acknowledged: u32,
    window: Option<u32>,
}

impl ClientSession {
    /// A publish whose greeting is ready in [`Self::take_output`]. `name` may carry a query.
    #[must_use]
    pub fn new(app: &str, tc_url: &str, name: &str) -> Self {
        Self::with(Purpose::Publish, app, tc_url, name)
    }

    /// As [`Self::new`], for a play.
    #[must_use]
    pub fn player(app: &str, tc_url: &str, name: &str) -> Self {
        Self::with(Purpose::Play, app, tc_url, name)
    }

    fn with(purpose: Purpose, app: &str, tc_url: &str, name: &str) -> Self {
        let limits = Limits::default();
        // A client that greets always alike is fine: servers only echo the bytes.
        let mut handshake = Handshake::new(0);
        let mut output = BytesMut::new();
        handshake.start_client(&mut output);
        Self {
            purpose,
            limits,
            app: app.to_owned(),
            tc_url: tc_url.to_owned(),
            name: name.to_owned(),
            handshake,
            reader: ChunkReader::new(limits),
            writer: ChunkWriter::new(),
            output,
            events: VecDeque::new(),
            state: State::Handshake,
            stream_id: 0,
            received: 0,
            acknowledged: 0,
            window: None,
        }
    }

    /// How far the publish has come.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Takes every whole chunk out of `input` and leaves the rest for the next call.
    ///
    /// # Errors
    /// When the server breaks the protocol or a limit.
    pub fn feed(&mut self, input: &mut BytesMut) -> Result<(), RtmpError> {
        let before = input.len();
        let fed = self.read(input);
        let taken = u32::try_from(before - input.len()).unwrap_or_default();
        self.received = self.received.wrapping_add(taken);
        fed?;
        self.acknowledge();
        Ok(())
    }

    /// A server that asked for it hears how much has come; half the window early, so that it never has to wait.
    fn acknowledge(&mut self) {
        let unacknowledged = self.received.wrapping_sub(self.acknowledged);
        if self
            .window
            .is_some_and(|window| unacknowledged >= (window / 2).max(1))
        {
            self.acknowledged = self.received;
            let sequence = self.received.to_be_bytes();
            message::write_control(
                &self.writer,
                id::ACKNOWLEDGEMENT,
                &sequence,
                &mut self.output,
            );
        }
    }

    fn read(&mut self, input: &mut BytesMut) -> Result<(), RtmpError> {
        if !self.handshake.feed(input, &mut self.output)? {
            return Ok(());
        }
        if self.state == State::Handshake {
            self.connect();
        }
        while let Some(raw) = self.reader.next(input)? {
            match message::sort(raw)? {
                Incoming::ChunkSize(size) => self.reader.set_chunk_size(size),
                Incoming::Abort(chunk_stream) => self.reader.abort(chunk_stream),
                Incoming::Ping(timestamp) => {
                    message::write_ping_response(&self.writer, timestamp, &mut self.output);
                }
                Incoming::Command(_, payload) => {
                    let command = command::parse(&payload, &self.limits)?;
                    self.command(&command)?;
                }
                Incoming::Window(window) => self.window = Some(window.max(1)),
                Incoming::Media(_, message) => self.media(message),
                Incoming::Aggregate(_, timestamp, payload) => {
                    message::split_aggregate(timestamp, payload, &mut |message| {
                        self.media(message);
                    })?;
                }
                Incoming::Nothing => {}
            }
            if self.output.len() > self.limits.output_bytes {
                return Err(RtmpError::Output(self.limits.output_bytes));
            }
        }
        Ok(())
    }

    fn media(&mut self, message: Message) {
        if self.purpose == Purpose::Play && self.state == State::Ready {
            self.events.push_back(Event::Media(message));
        }
    }

    /// The next event.
    pub fn poll(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Bytes for the server; empty when there are none.
    #[must_use]
    pub fn take_output(&mut self) -> Bytes {
        self.output.split().freeze()
    }

    /// Appends a media message to `out`; false, and nothing appended, unless the publish is ready. Script tags get the
    /// `@setDataFrame` that servers expect.
    pub fn send(
        &mut self,
        kind: TagKind,
        timestamp: u32,
        payload: &[u8],
        out: &mut BytesMut,
    ) -> bool {
        if self.state != State::Ready || self.purpose == Purpose::Play {
            return false;
        }
        let header = MessageHeader {
            chunk_stream: chunk_stream(kind),
            type_id: kind.number(),
            timestamp,
            stream_id: self.stream_id,
        };
        if kind == TagKind::Data {
            let with_frame = [message::SET_DATA_FRAME, payload].concat();
            self.writer.write(header, &with_frame, out);
        } else {
            self.writer.write(header, payload, out);
        }
        true
    }

    /// Ends the publish or play; the caller writes the output and closes the connection.
    pub fn finish(&mut self) {
        if matches!(self.state, State::Asking | State::Ready) {
            if self.purpose == Purpose::Publish {
                let name = Value::from(self.name.as_str());
                self.call("FCUnpublish", 0.0, 0, &[Value::Null, name]);
            }
            let stream_id = f64::from(self.stream_id);
            self.call("deleteStream", 0.0, 0, &[Value::Null, stream_id.into()]);
        }
        self.state = State::Closed;
    }

    fn connect(&mut self) {
        let object = Value::Object(vec![
            ("app".into(), self.app.as_str().into()),
            ("type".into(), "nonprivate".into()),
            ("flashVer".into(), "FMLE/3.0 (compatible; localyun)".into()),
            ("tcUrl".into(), self.tc_url.as_str().into()),
            ("fourCcList".into(), Value::StrictArray(vec!["hvc1".into()])),
        ]);
        self.call("connect", transaction::CONNECT, 0, &[object]);
        self.state = State::Connecting;
    }

    fn command(&mut self, command: &Command) -> Result<(), RtmpError> {
        match command.name.as_str() {
            "_result" => match (self.state, command.transaction) {
                (State::Connecting, transaction::CONNECT) => self.create_stream(),
                (State::CreatingStream, transaction::CREATE_STREAM) => self.ask(command)?,
                _ => {}
            },
            "_error" => {
                // Servers may not know releaseStream or FCPublish; that harms nothing.
                let needed = [transaction::CONNECT, transaction::CREATE_STREAM];
                if needed.contains(&command.transaction) {
                    self.refused(command);
                }
            }
            "onStatus" => self.status(command),
            "close" => self.closed(command),
            _ => {}
        }
        Ok(())
    }

    fn create_stream(&mut self) {
        message::write_control(
            &self.writer,
            id::SET_CHUNK_SIZE,
            &CHUNK_SIZE.to_be_bytes(),
            &mut self.output,
        );
        self.writer
            .set_chunk_size(usize::try_from(CHUNK_SIZE).unwrap_or(128));
        if self.purpose == Purpose::Publish {
            let name = Value::from(self.name.as_str());
            let named = [Value::Null, name];
            self.call("releaseStream", transaction::RELEASE_STREAM, 0, &named);
            self.call("FCPublish", transaction::FC_PUBLISH, 0, &named);
        }
        self.call(
            "createStream",
            transaction::CREATE_STREAM,
            0,
            &[Value::Null],
        );
        self.state = State::CreatingStream;
    }

    fn ask(&mut self, created: &Command) -> Result<(), RtmpError> {
        let number = created.argument(0).and_then(Value::as_number);
        self.stream_id = number
            .filter(|number| (1.0..=f64::from(u32::MAX)).contains(number))
            .map(|number| {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "the range is checked before"
                )]
                let id = number as u32;
                id
            })
            .ok_or(RtmpError::Command {
                command: "createStream",
                problem: "is answered without a stream",
            })?;
        let name = Value::from(self.name.as_str());
        let transaction = transaction::ASK;
        match self.purpose {
            Purpose::Publish => {
                let arguments = [Value::Null, name, "live".into()];
                self.call("publish", transaction, self.stream_id, &arguments);
            }
            Purpose::Play => {
                // -2: live, else recorded; the server has live streams alone.
                let arguments = [Value::Null, name, (-2.0).into()];
                self.call("play", transaction, self.stream_id, &arguments);
            }
        }
        self.state = State::Asking;
        Ok(())
    }

    fn status(&mut self, command: &Command) {
        let information = command.argument(0);
        let text = |name: &str| {
            information
                .and_then(|object| object.get(name))
                .and_then(Value::as_str)
        };
        let code = text("code").unwrap_or_default();
        let error = text("level") == Some("error");
        match self.state {
            State::Asking
                if code == "NetStream.Publish.Start" || code == "NetStream.Play.Start" =>
            {
                self.state = State::Ready;
                self.events.push_back(Event::Ready);
            }
            State::Asking if error => self.refused(command),
            State::Ready if error || is_end(code) => self.closed(command),
            _ => {}
        }
    }

    fn refused(&mut self, command: &Command) {
        let (code, description) = reason(command);
        self.state = State::Closed;
        self.events.push_back(Event::Refused { code, description });
    }

    fn closed(&mut self, command: &Command) {
        if self.state == State::Closed {
            return;
        }
        let (code, description) = reason(command);
        self.state = State::Closed;
        self.events.push_back(Event::Closed { code, description });
    }

    fn call(&mut self, name: &str, transaction: f64, stream_id: u32, values: &[Value]) {
        command::write(
            &self.writer,
            stream_id,
            name,
            transaction,
            values,
            &mut self.output,
        );
    }
}

/// Status codes by which servers end a publish or a play without calling it an error.
fn is_end(code: &str) -> bool {
    matches!(
        code,
        "NetStream.Unpublish.Success"
            | "NetStream.Publish.Denied"
            | "NetStream.Play.UnpublishNotify"
            | "NetStream.Play.Stop"
            | "NetStream.Play.Complete"
            | "NetConnection.Connect.Closed"
    )
}

fn reason(command: &Command) -> (String, String) {
    let text = |name: &str| {
        command
            .argument(0)
            .and_then(|object| object.get(name))
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    (text("code"), text("description"))
}
