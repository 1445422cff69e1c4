//! A hand-made client against the session: answers, order, refusals and bounds.

use bytes::{BufMut, Bytes, BytesMut};
use proptest::prelude::*;

use super::*;
use crate::media::amf0;
use crate::media::rtmp::TagKind;
use crate::media::rtmp::chunk_write::MessageHeader;
use crate::media::rtmp::command::Command;
use crate::media::rtmp::handshake::PACKET;

/// A session and the client's writer towards it.
struct Peer {
    session: ServerSession,
    writer: ChunkWriter,
    answers: ChunkReader,
    received: BytesMut,
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
        let mut wire = BytesMut::new();
        let header = MessageHeader {
            chunk_stream: 4,
            type_id,
            timestamp,
            stream_id: 1,
        };
        self.writer.write(header, payload, &mut wire);
        self.session.feed(&mut wire)
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
                self.answers.set_chunk_size(4096);
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

#[test]
fn connect_is_answered_in_amf0() {
    let mut peer = Peer::new(Limits::default());
    peer.call("connect", 1.0, &[connect_object("live?vhost=d")])
        .unwrap();
    let answers = peer.raw_answers();
    let types: Vec<u8> = answers.iter().map(|(type_id, _)| *type_id).collect();
    assert_eq!(
        types,
        [
            id::WINDOW_ACK_SIZE,
            id::SET_PEER_BANDWIDTH,
            id::SET_CHUNK_SIZE,
            id::COMMAND_AMF0
        ]
    );
    let result = command::parse(&answers[3].1, &Limits::default()).unwrap();
    assert_eq!((result.name.as_str(), result.transaction), ("_result", 1.0));
    assert_eq!(code(&result), "NetConnection.Connect.Success");
    let information = result.argument(0).unwrap();
    assert_eq!(information.get("objectEncoding"), Some(&Value::Number(0.0)));
    assert_eq!(information.get("fourCcList"), None);
    let events = peer.events();
    let [
        Event::Connect {
            app,
            tc_url,
            object,
            enhanced: false,
        },
    ] = events.as_slice()
    else {
        panic!("{events:?}");
    };
    assert_eq!(app, "live?vhost=d");
    assert_eq!(tc_url, "rtmp://push.example.com/live");
    assert_eq!(object, &connect_object("live?vhost=d"));
}

#[test]
fn enhanced_clients_learn_that_h265_is_recorded() {
    let mut peer = Peer::new(Limits::default());
    let mut object = connect_object("live");
    if let Value::Object(properties) = &mut object {
        let list = Value::StrictArray(vec!["av01".into(), "hvc1".into()]);
        properties.push(("fourCcList".into(), list));
    }
    peer.call("connect", 1.0, &[object]).unwrap();
    let result = peer.answers().remove(0);
    assert_eq!(
        result.argument(0).and_then(|info| info.get("fourCcList")),
        Some(&Value::StrictArray(vec!["hvc1".into()]))
    );
    assert!(matches!(
        peer.events()[..],
        [Event::Connect { enhanced: true, .. }]
    ));
}

#[test]
fn calls_of_encoders_before_a_publish() {
    let mut peer = Peer::connected();
    for (name, expected) in [
        ("releaseStream", None),
        ("FCPublish", None),
        ("_checkbw", None),
        ("createStream", Some(2.0)),
        ("getStreamLength", Some(0.0)),
    ] {
        peer.call(name, 9.0, &[Value::Null, "cam".into()]).unwrap();
        let answer = peer.answers().remove(0);
        assert_eq!((answer.name.as_str(), answer.transaction), ("_result", 9.0));
        assert_eq!(answer.argument(0).and_then(Value::as_number), expected);
    }
    peer.call("releaseStream", 0.0, &[Value::Null]).unwrap();
    peer.call("somethingElse", 5.0, &[]).unwrap();
    assert!(peer.answers().is_empty());
    assert!(peer.events().is_empty());
}

#[test]
fn an_accepted_publish() {
    let mut peer = Peer::connected();
    peer.call("FCPublish", 3.0, &[Value::Null, "cam".into()])
        .unwrap();
    peer.answers();
    let arguments = [Value::Null, "cam?auth_key=1-2-3".into(), "live".into()];
    peer.call("publish", 4.0, &arguments).unwrap();
    let expected = Event::Publish {
        app: "live".into(),
        tc_url: "rtmp://push.example.com/live".into(),
        name: "cam?auth_key=1-2-3".into(),
        kind: "live".into(),
    };
    assert_eq!(peer.events(), [expected]);
    assert!(peer.answers().is_empty());

    peer.message(8, 5, b"early").unwrap();
    assert!(peer.events().is_empty());
    peer.session.accept_publish();
    let answers = peer.answers();
    assert_eq!(answers[0].name, "onFCPublish");
    assert_eq!(answers[1].name, "onStatus");
    assert_eq!(code(&answers[1]), "NetStream.Publish.Start");
    peer.message(9, 6, b"later").unwrap();
    peer.session.accept_publish();
    assert_eq!(
        peer.events(),
        [
            media(TagKind::Audio, 5, b"early"),
            media(TagKind::Video, 6, b"later")
        ]
    );
    assert!(peer.answers().is_empty());
}

#[test]
fn a_refused_publish_gives_no_media() {
    let mut peer = Peer::connected();
    peer.call("publish", 4.0, &[Value::Null, "cam".into()])
        .unwrap();
    peer.message(8, 5, b"early").unwrap();
    peer.session
        .refuse_publish("NetStream.Publish.Denied", "no such domain");
    peer.message(9, 6, b"later").unwrap();
    peer.session.accept_publish();
    assert!(matches!(peer.events()[..], [Event::Publish { .. }]));
    let answers = peer.answers();
    assert_eq!(answers.len(), 1);
    assert_eq!(code(&answers[0]), "NetStream.Publish.Denied");
    let information = answers[0].argument(0).unwrap();
    assert_eq!(information.get("level"), Some(&"error".into()));
    assert_eq!(
        information.get("description"),
        Some(&"no such domain".into())
    );
}

#[test]
fn a_kick_ends_media() {
    let mut peer = Peer::publishing();
    peer.session
        .close_publish("NetStream.Unpublish.Success", "forbidden");
    peer.session.close_publish("again", "");
    peer.message(9, 6, b"later").unwrap();
    assert!(peer.events().is_empty());
    let answers = peer.answers();
    assert_eq!(answers.len(), 1);
    assert_eq!(code(&answers[0]), "NetStream.Unpublish.Success");
}

#[test]
fn each_way_to_end_a_publish_is_told_once_and_not_answered() {
    let name = [Value::Null, "cam".into()];
    let number = [Value::Null, 1.0.into()];
    for (command, values) in [
        ("FCUnpublish", &name[..]),
        ("deleteStream", &number),
        ("deleteStream", &[Value::Null]),
        ("closeStream", &[Value::Null]),
    ] {
        let mut peer = Peer::publishing();
        peer.call(command, 7.0, values).unwrap();
        peer.call("deleteStream", 8.0, &number).unwrap();
        assert_eq!(peer.events(), [Event::Unpublish], "{command}");
        assert!(peer.session.take_output().is_empty());
        peer.message(9, 6, b"later").unwrap();
        assert!(peer.events().is_empty());
        peer.call("publish", 9.0, &[Value::Null, "again".into()])
            .unwrap();
        assert!(matches!(peer.events()[..], [Event::Publish { .. }]));
    }
    let mut peer = Peer::publishing();
    peer.call("deleteStream", 7.0, &[Value::Null, 2.0.into()])
        .unwrap();
    assert!(peer.events().is_empty());
}

#[test]
fn play_is_asked_and_can_be_refused() {
    let mut peer = Peer::connected();
    peer.call("play", 4.0, &[Value::Null, "cam".into()])
        .unwrap();
    assert_eq!(peer.events(), [Event::Play { name: "cam".into() }]);
    peer.session
        .refuse_publish("NetStream.Play.Failed", "recording only");
    assert_eq!(code(&peer.answers()[0]), "NetStream.Play.Failed");
}

#[test]
fn names_that_cannot_be_are_refused_without_an_event() {
    let limit = Limits::default().name_bytes;
    for name in ["", "a\0b", "line\nbreak", &"x".repeat(limit + 1)] {
        let mut peer = Peer::connected();
        peer.call("publish", 4.0, &[Value::Null, name.into()])
            .unwrap();
        assert!(peer.events().is_empty());
        assert_eq!(code(&peer.answers()[0]), "NetStream.Publish.BadName");
    }
    let mut peer = Peer::connected();
    let longest = "x".repeat(limit);
    peer.call("publish", 4.0, &[Value::Null, longest.as_str().into()])
        .unwrap();
    assert_eq!(peer.events().len(), 1);
    peer.call("publish", 5.0, &[Value::Null, "second".into()])
        .unwrap();
    assert!(peer.events().is_empty());
    assert_eq!(code(&peer.answers()[0]), "NetStream.Publish.BadName");

    let mut peer = Peer::new(Limits::default());
    peer.call("connect", 1.0, &[connect_object("a\0")]).unwrap();
    assert!(peer.events().is_empty());
    assert_eq!(code(&peer.answers()[0]), "NetConnection.Connect.Rejected");
}

#[test]
fn commands_out_of_order_or_unreadable_end_the_session() {
    let mut peer = Peer::new(Limits::default());
    let failure = peer.call("publish", 1.0, &[Value::Null, "x".into()]);
    let expected = RtmpError::Command {
        command: "connect",
        problem: "must come first",
    };
    assert_eq!(failure, Err(expected.clone()));
    assert_eq!(peer.session.feed(&mut BytesMut::new()), Err(expected));

    let mut peer = Peer::connected();
    let twice = peer.call("connect", 1.0, &[connect_object("live")]);
    assert!(matches!(
        twice,
        Err(RtmpError::Command {
            command: "connect",
            ..
        })
    ));

    for payload in [&b"\x02\x00\x01\xFF"[..], b"\x02\x00\x07conn", b"\x00", b""] {
        let mut peer = Peer::connected();
        assert!(peer.message(id::COMMAND_AMF0, 0, payload).is_err());
    }
    let mut peer = Peer::connected();
    let limit = Limits::default().command_bytes;
    assert_eq!(
        peer.message(id::COMMAND_AMF0, 0, &vec![5; limit + 1]),
        Err(RtmpError::MessageSize {
            size: limit + 1,
            limit
        })
    );
}

#[test]
fn amf3_wrappers_and_set_data_frame() {
    let mut peer = Peer::connected();
    let mut wrapped = vec![0];
    wrapped.extend(call_bytes("publish", 4.0, &[Value::Null, "cam".into()]));
    peer.message(id::COMMAND_AMF3, 0, &wrapped).unwrap();
    assert_eq!(peer.events().len(), 1);
    peer.session.accept_publish();
    peer.message(18, 1, b"\x02\x00\x0D@setDataFrame\x02\x00\x01a")
        .unwrap();
    peer.message(id::DATA_AMF3, 2, b"\x00\x02\x00\x01b")
        .unwrap();
    peer.message(8, 3, b"").unwrap();
    assert_eq!(
        peer.events(),
        [
            media(TagKind::Data, 1, b"\x02\x00\x01a"),
            media(TagKind::Data, 2, b"\x02\x00\x01b")
        ]
    );
}

#[test]
fn aggregates_are_split_and_their_times_rebased() {
    let mut peer = Peer::publishing();
    let aggregate = b"\x08\0\0\x01\0\0\x64\0\0\0\0a\0\0\0\x0C\
                      \x09\0\0\x02\0\0\x7B\0\0\0\0bc\0\0\0\x0D";
    peer.message(id::AGGREGATE, 5_000, aggregate).unwrap();
    assert_eq!(
        peer.events(),
        [
            media(TagKind::Audio, 5_000, b"a"),
            media(TagKind::Video, 5_023, b"bc")
        ]
    );
    assert_eq!(
        peer.message(id::AGGREGATE, 0, &aggregate[..20]),
        Err(RtmpError::Aggregate)
    );
}

#[test]
fn acknowledgements_only_for_a_peer_that_asked() {
    let mut peer = Peer::publishing();
    peer.message(9, 0, &[1; 100_000]).unwrap();
    assert!(peer.raw_answers().is_empty());
    peer.message(id::WINDOW_ACK_SIZE, 0, &50_000_u32.to_be_bytes())
        .unwrap();
    let answers = peer.raw_answers();
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].0, id::ACKNOWLEDGEMENT);
    let first = u32::from_be_bytes(*answers[0].1.first_chunk().unwrap());
    assert!(first > 100_000);
    peer.message(9, 0, &[1; 20_000]).unwrap();
    assert!(peer.raw_answers().is_empty());
    peer.message(9, 0, &[1; 30_000]).unwrap();
    let answers = peer.raw_answers();
    let second = u32::from_be_bytes(*answers[0].1.first_chunk().unwrap());
    assert!(second - first >= 50_000);
}

#[test]
fn control_messages() {
    let mut peer = Peer::publishing();
    peer.message(id::USER_CONTROL, 0, &[0, 6, 1, 2, 3, 4])
        .unwrap();
    assert_eq!(
        peer.raw_answers(),
        [(id::USER_CONTROL, Bytes::from_static(&[0, 7, 1, 2, 3, 4]))]
    );
    peer.message(id::USER_CONTROL, 0, &[0, 3, 0, 0, 0, 1, 0, 0, 1, 0])
        .unwrap();
    peer.message(id::ACKNOWLEDGEMENT, 0, &[0; 4]).unwrap();
    peer.message(id::SET_PEER_BANDWIDTH, 0, &[0; 5]).unwrap();
    assert!(peer.raw_answers().is_empty());
    for (type_id, payload) in [
        (id::SET_CHUNK_SIZE, &[0, 0, 0, 0][..]),
        (id::SET_CHUNK_SIZE, &[0x80, 0, 0, 1]),
        (id::SET_CHUNK_SIZE, &[0, 0]),
        (id::WINDOW_ACK_SIZE, &[1]),
        (id::ABORT, &[]),
        (id::USER_CONTROL, &[0]),
        (id::USER_CONTROL, &[0, 6, 1]),
    ] {
        let mut peer = Peer::publishing();
        assert_eq!(
            peer.message(type_id, 0, payload),
            Err(RtmpError::Control(type_id))
        );
    }
}

#[test]
fn media_before_the_answer_is_bounded() {
    let limits = Limits {
        waiting_bytes: 10,
        waiting_messages: 3,
        ..Limits::default()
    };
    let asked = || {
        let mut peer = Peer::new(limits);
        peer.call("connect", 1.0, &[connect_object("live")])
            .unwrap();
        peer.call("publish", 2.0, &[Value::Null, "cam".into()])
            .unwrap();
        peer
    };
    let mut peer = asked();
    assert_eq!(peer.message(8, 0, &[0; 10]), Ok(()));
    assert_eq!(peer.message(8, 0, &[0]), Err(RtmpError::Waiting));
    let mut peer = asked();
    for _ in 0..3 {
        assert_eq!(peer.message(8, 0, &[0]), Ok(()));
    }
    assert_eq!(peer.message(8, 0, &[0]), Err(RtmpError::Waiting));
}

#[test]
fn answers_that_nobody_takes_are_bounded() {
    let limits = Limits {
        output_bytes: 4_000,
        ..Limits::default()
    };
    let mut peer = Peer::new(limits);
    peer.call("connect", 1.0, &[connect_object("live")])
        .unwrap();
    let failure =
        (0..1_000).find_map(|_| peer.message(id::USER_CONTROL, 0, &[0, 6, 1, 2, 3, 4]).err());
    assert_eq!(failure, Some(RtmpError::Output(4_000)));
    assert!(peer.session.take_output().len() <= 4_018);
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
