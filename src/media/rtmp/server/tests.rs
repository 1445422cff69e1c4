//! A hand-made client against the session; hostile bytes.

mod commands;
mod messages;

use bytes::{BufMut, Bytes, BytesMut};
use proptest::prelude::*;

use super::*;
use crate::amf0;
use crate::rtmp::TagKind;
use crate::rtmp::chunk_write::MessageHeader;
use crate::rtmp::command::Command;
use crate::rtmp::handshake::PACKET;

/// A session and the client's writer towards it.
struct Peer {
    session: ServerSession,
    writer: ChunkWriter,
    answers: ChunkReader,
    received: BytesMut,
    /// Sent and not yet taken by the session.
    sent: BytesMut,
}

impl Peer {
    fn new(limits: Limits) -> Self {
        let mut session = ServerSession::new(limits, 7);
        let mut greeting = BytesMut::from(&[3][..]);
        greeting.put_bytes(0, 2 * PACKET);
        session.feed(&mut greeting).unwrap();
        assert_eq!(session.take_output().len(), 1 + 2 * PACKET);
        Self {
            session,
            writer: ChunkWriter::new(),
            answers: ChunkReader::new(Limits::default()),
            received: BytesMut::new(),
            sent: BytesMut::new(),
        }
    }

    /// Connected, with a stream of number 1.
    fn connected() -> Self {
        let mut peer = Self::new(Limits::default());
        peer.call("connect", 1.0, &[connect_object("live")])
            .unwrap();
        peer.call("createStream", 2.0, &[Value::Null]).unwrap();
        peer.answers();
        peer.events();
        peer
    }

    fn publishing() -> Self {
        let mut peer = Self::connected();
        peer.call("publish", 3.0, &[Value::Null, "cam".into(), "live".into()])
            .unwrap();
        peer.session.accept_publish();
        peer.answers();
        peer.events();
        peer
    }

    fn message(&mut self, type_id: u8, timestamp: u32, payload: &[u8]) -> Result<(), RtmpError> {
        self.message_on(1, type_id, timestamp, payload)
    }

    fn message_on(
        &mut self,
        stream_id: u32,
        type_id: u8,
        timestamp: u32,
        payload: &[u8],
    ) -> Result<(), RtmpError> {
        let header = MessageHeader {
            chunk_stream: 4,
            type_id,
            timestamp,
            stream_id,
        };
        self.writer.write(header, payload, &mut self.sent);
        self.go_on()
    }

    /// Lets the session take what was sent.
    fn go_on(&mut self) -> Result<(), RtmpError> {
        self.session.feed(&mut self.sent).map(|_| ())
    }

    fn call(&mut self, name: &str, transaction: f64, values: &[Value]) -> Result<(), RtmpError> {
        self.message(id::COMMAND_AMF0, 0, &call_bytes(name, transaction, values))
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.session.poll()).collect()
    }

    fn raw_answers(&mut self) -> Vec<(u8, Bytes)> {
        self.received.extend_from_slice(&self.session.take_output());
        let mut answers = Vec::new();
        while let Some(raw) = self.answers.next(&mut self.received).unwrap() {
            if raw.type_id == id::SET_CHUNK_SIZE {
                let size = u32::from_be_bytes(*raw.payload.first_chunk().unwrap());
                self.answers.set_chunk_size(size as usize);
            }
            answers.push((raw.type_id, raw.payload));
        }
        answers
    }

    /// The commands among the answers.
    fn answers(&mut self) -> Vec<Command> {
        let answers = self.raw_answers();
        let commands = answers
            .iter()
            .filter(|(type_id, _)| *type_id == id::COMMAND_AMF0);
        commands
            .map(|(_, payload)| command::parse(payload, &Limits::default()).unwrap())
            .collect()
    }
}

fn call_bytes(name: &str, transaction: f64, values: &[Value]) -> BytesMut {
    let mut payload = BytesMut::new();
    amf0::encode_str(name, &mut payload);
    amf0::encode(&transaction.into(), &mut payload);
    for value in values {
        amf0::encode(value, &mut payload);
    }
    payload
}

fn connect_object(app: &str) -> Value {
    Value::Object(vec![
        ("app".into(), app.into()),
        ("tcUrl".into(), "rtmp://push.example.com/live".into()),
        ("objectEncoding".into(), 3.0.into()),
    ])
}

fn code(command: &Command) -> &str {
    let code = command
        .argument(0)
        .and_then(|information| information.get("code"));
    code.and_then(Value::as_str).unwrap_or_default()
}

fn media(kind: TagKind, timestamp: u32, payload: &'static [u8]) -> Event {
    Event::Media(Message {
        kind,
        timestamp,
        payload: Bytes::from_static(payload),
    })
}

proptest! {
    #[test]
    fn any_bytes_after_the_handshake_give_an_answer(
        pieces in proptest::collection::vec(
            proptest::collection::vec(any::<u8>(), 0..300), 0..10),
    ) {
        let mut peer = Peer::publishing();
        let mut input = BytesMut::new();
        for piece in pieces {
            input.extend_from_slice(&piece);
            if peer.session.feed(&mut input).is_err() {
                break;
            }
            prop_assert!(input.len() < 65 * 1024);
        }
    }

    #[test]
    fn any_messages_give_an_answer(
        messages in proptest::collection::vec(
            (0_u8..24, any::<u32>(), proptest::collection::vec(any::<u8>(), 0..60)), 0..20),
    ) {
        let mut peer = Peer::publishing();
        for (type_id, timestamp, payload) in messages {
            if peer.message(type_id, timestamp, &payload).is_err() {
                break;
            }
        }
    }

    #[test]
    fn any_bytes_from_the_start_give_an_answer(
        bytes in proptest::collection::vec(any::<u8>(), 0..4_000),
    ) {
        let mut session = ServerSession::new(Limits::default(), 1);
        let mut input = BytesMut::from(&[3][..]);
        input.extend_from_slice(&bytes);
        let _ = session.feed(&mut input);
        prop_assert!(input.len() <= 4_001);
    }
}
