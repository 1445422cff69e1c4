//! RTMP: a stream of bytes means the same however it is cut, nothing comes out that was not sent, and what our own client
//! sends arrives.

use bytes::{Bytes, BytesMut};
use localyun::testing::media::flv::TagKind;
use localyun::testing::media::rtmp::client::{ClientSession, State};
use localyun::testing::media::rtmp::server::{Event, Fed, ServerSession};
use localyun::testing::media::rtmp::{Limits, Message, RtmpError};

use crate::input::{Dice, Input};

/// C0, C1 and C2.
const GREETINGS: usize = 1 + 2 * 1536;

#[derive(Clone, Copy, PartialEq)]
enum Answer {
    Accept,
    Refuse,
}

struct Outcome {
    events: Vec<Event>,
    error: Option<RtmpError>,
}

fn feed(pieces: &[&[u8]], limits: Limits, answer: Answer) -> Outcome {
    let mut session = ServerSession::new(limits, 7);
    let mut input = BytesMut::new();
    let mut outcome = Outcome {
        events: Vec::new(),
        error: None,
    };
    let mut written = 0;
    for piece in pieces {
        input.extend_from_slice(piece);
        let result = loop {
            let result = session.feed(&mut input);
            while let Some(event) = session.poll() {
                if matches!(event, Event::Publish { .. } | Event::Play { .. }) {
                    match answer {
                        Answer::Accept => session.accept_publish(),
                        Answer::Refuse => session.refuse_publish("NetStream.Publish.BadName", "no"),
                    }
                }
                outcome.events.push(event);
            }
            if result != Ok(Fed::UntilAnswered) {
                break result;
            }
        };
        let output = session.take_output();
        assert!(
            output.len() <= limits.output_bytes + 70_000,
            "{}",
            output.len()
        );
        written += output.len();
        if let Err(error) = result {
            assert_eq!(
                session.feed(&mut input),
                Err(error.clone()),
                "an error stays"
            );
            outcome.error = Some(error);
            break;
        }
        assert!(
            input.len() < 65 * 1024 + 32,
            "{} bytes are left",
            input.len()
        );
    }
    let total: usize = pieces.iter().map(|piece| piece.len()).sum();
    // An answer is at most some 40 times a command; names are told twice.
    assert!(
        written <= 8 * 1024 + 64 * total,
        "{written} bytes of answers to {total}"
    );
    let media: usize = outcome.events.iter().map(payload).sum();
    assert!(media <= total, "{media} bytes of media in {total}");
    outcome
}

fn payload(event: &Event) -> usize {
    match event {
        Event::Media(message) => message.payload.len(),
        _ => 0,
    }
}

fn check_order(events: &[Event], answer: Answer) {
    let mut published = false;
    for event in events {
        match event {
            Event::Publish { name, .. } => {
                assert!(!name.is_empty() && !name.chars().any(char::is_control));
                published = true;
            }
            Event::Unpublish => {
                assert!(published, "an end without a beginning");
                published = false;
            }
            Event::Media(message) => {
                assert!(answer == Answer::Accept && published, "media of nothing");
                assert!(!message.payload.is_empty());
            }
            Event::Connect { .. } | Event::Play { .. } | Event::StopPlay => {}
        }
    }
}

fn bytes_mode(flags: u8, seed: u8, data: &[u8]) {
    let mut stream = Vec::new();
    if flags & 1 != 0 {
        stream.resize(GREETINGS, 0);
        if let Some(version) = stream.first_mut() {
            *version = 3;
        }
    }
    stream.extend_from_slice(data);
    let limits = if flags & 2 == 0 {
        Limits::default()
    } else {
        Limits {
            message_bytes: 4096,
            stranger_bytes: 2048,
            assembly_bytes: 8192,
            chunk_streams: 4,
            command_bytes: 1024,
            name_bytes: 32,
            output_bytes: 4096,
        }
    };
    let pieces = Dice::new(seed.into()).pieces(&stream);
    let answer = if flags & 4 == 0 {
        Answer::Accept
    } else {
        Answer::Refuse
    };
    let whole = feed(&[&stream], limits, answer);
    let cut = feed(&pieces, limits, answer);
    check_order(&whole.events, answer);
    let shared = whole.events.len().min(cut.events.len());
    assert_eq!(whole.events[..shared], cut.events[..shared]);
    // Answers are taken between the pieces, so only the whole can overflow them.
    let overflow = |outcome: &Outcome| matches!(outcome.error, Some(RtmpError::Output(_)));
    if !overflow(&whole) && !overflow(&cut) {
        assert_eq!(whole.error, cut.error);
        assert_eq!(whole.events.len(), cut.events.len());
    }
}

/// Moves bytes both ways until neither side has any.
fn converse(client: &mut ClientSession, server: &mut ServerSession) {
    for _ in 0..16 {
        let to_server = client.take_output();
        server
            .feed(&mut BytesMut::from(to_server.as_ref()))
            .expect("our client's words");
        while let Some(event) = server.poll() {
            if matches!(event, Event::Publish { .. }) {
                server.accept_publish();
            }
        }
        let to_client = server.take_output();
        client
            .feed(&mut BytesMut::from(to_client.as_ref()))
            .expect("our server's words");
    }
}

fn client_mode(seed: u8, data: &[u8]) {
    let mut client = ClientSession::new("live", "rtmp://127.0.0.1/live", "s");
    let mut server = ServerSession::new(Limits::default(), 7);
    converse(&mut client, &mut server);
    assert_eq!(client.state(), State::Ready);
    let mut input = Input::new(data);
    let mut wire = BytesMut::new();
    let mut sent = Vec::new();
    while !input.is_empty() {
        let kind = [TagKind::Audio, TagKind::Video, TagKind::Data][usize::from(input.u8() % 3)];
        let timestamp = input.u32();
        let payload = input.counted();
        assert!(client.send(kind, timestamp, payload, &mut wire));
        // `@setDataFrame` is taken off once more where the payload begins with it; an empty message is none.
        if !payload.is_empty() {
            sent.push(Message {
                kind,
                timestamp,
                payload: Bytes::copy_from_slice(payload),
            });
        }
    }
    let mut got = Vec::new();
    let mut buffer = BytesMut::new();
    for piece in Dice::new(seed.into()).pieces(&wire) {
        buffer.extend_from_slice(piece);
        server.feed(&mut buffer).expect("our client's media");
        while let Some(event) = server.poll() {
            if let Event::Media(message) = event {
                got.push(message);
            }
        }
    }
    assert_eq!(got, sent);
    assert!(buffer.is_empty());
}

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (flags, seed) = (input.u8(), input.u8());
    if flags & 0x80 == 0 {
        bytes_mode(flags, seed, input.rest());
    } else {
        client_mode(seed, input.rest());
    }
}
