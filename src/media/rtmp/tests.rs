//! Client and server against each other in memory, cut at any byte.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::client::{self, ClientSession, State};
use super::server::{self, ServerSession};
use super::*;

/// Moves bytes both ways in pieces of the given sizes until both sides are silent; what the server said happened.
struct Wire {
    client: ClientSession,
    server: ServerSession,
    to_client: BytesMut,
    to_server: BytesMut,
    client_input: BytesMut,
    server_input: BytesMut,
    cuts: Vec<usize>,
    turn: usize,
    events: Vec<server::Event>,
}

impl Wire {
    fn new(cuts: Vec<usize>) -> Self {
        Self {
            client: ClientSession::new("live", "rtmp://push.example.com/live", "cam?k=v"),
            server: ServerSession::new(Limits::default(), 3),
            to_client: BytesMut::new(),
            to_server: BytesMut::new(),
            client_input: BytesMut::new(),
            server_input: BytesMut::new(),
            cuts,
            turn: 0,
            events: Vec::new(),
        }
    }

    fn cut(&mut self, available: usize) -> usize {
        self.turn += 1;
        self.cuts[self.turn % self.cuts.len()].min(available)
    }

    fn run(&mut self, answer: impl Fn(&mut ServerSession)) {
        loop {
            self.to_server.extend_from_slice(&self.client.take_output());
            self.to_client.extend_from_slice(&self.server.take_output());
            if self.to_server.is_empty() && self.to_client.is_empty() {
                return;
            }
            let cut = self.cut(self.to_server.len());
            self.server_input
                .extend_from_slice(&self.to_server.split_to(cut));
            loop {
                let fed = self.server.feed(&mut self.server_input).unwrap();
                while let Some(event) = self.server.poll() {
                    if matches!(event, server::Event::Publish { .. }) {
                        answer(&mut self.server);
                    }
                    self.events.push(event);
                }
                if fed == server::Fed::All {
                    break;
                }
            }
            let cut = self.cut(self.to_client.len());
            self.client_input
                .extend_from_slice(&self.to_client.split_to(cut));
            self.client.feed(&mut self.client_input).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_publish_arrives_as_it_was_sent(
        cuts in proptest::collection::vec(1_usize..5_000, 1..12),
        sent in proptest::collection::vec((0_usize..3, any::<u32>(), 1_usize..150_000), 0..8),
    ) {
        let mut wire = Wire::new(cuts);
        wire.run(ServerSession::accept_publish);
        prop_assert_eq!(wire.client.state(), State::Ready);
        prop_assert_eq!(wire.client.poll(), Some(client::Event::Ready));
        let mut expected = Vec::new();
        for (kind, timestamp, size) in sent {
            let kind = [TagKind::Audio, TagKind::Video, TagKind::Data][kind];
            let payload: Bytes = (0..size).map(|at| (at % 251) as u8).collect();
            prop_assert!(wire.client.send(kind, timestamp, &payload, &mut wire.to_server));
            expected.push(server::Event::Media(Message { kind, timestamp, payload }));
        }
        wire.run(ServerSession::accept_publish);
        wire.client.finish();
        wire.run(ServerSession::accept_publish);
        prop_assert_eq!(wire.client.state(), State::Closed);
        prop_assert!(wire.client_input.is_empty() && wire.server_input.is_empty());

        let mut events = wire.events.into_iter();
        let connect = events.next();
        let connected = matches!(connect, Some(server::Event::Connect { enhanced: true, .. }));
        prop_assert!(connected);
        let publish = server::Event::Publish {
            app: "live".into(),
            tc_url: "rtmp://push.example.com/live".into(),
            name: "cam?k=v".into(),
            kind: "live".into(),
        };
        prop_assert_eq!(events.next(), Some(publish));
        expected.push(server::Event::Unpublish);
        prop_assert_eq!(events.collect::<Vec<_>>(), expected);
    }
}

#[test]
fn a_refused_publisher_learns_why() {
    let mut wire = Wire::new(vec![7]);
    wire.run(|server| server.refuse_publish("NetStream.Publish.BadName", "name in use"));
    assert_eq!(
        wire.client.poll(),
        Some(client::Event::Refused {
            code: "NetStream.Publish.BadName".into(),
            description: "name in use".into()
        })
    );
    assert_eq!(wire.client.state(), State::Closed);
    let mut out = BytesMut::new();
    assert!(!wire.client.send(TagKind::Video, 0, b"x", &mut out));
    assert!(out.is_empty());
}

#[test]
fn a_refused_connect_is_told_too() {
    let mut wire = Wire::new(vec![100]);
    wire.client = ClientSession::new("a\0b", "rtmp://host/a", "cam");
    wire.run(ServerSession::accept_publish);
    assert!(matches!(
        wire.client.poll(),
        Some(client::Event::Refused { code, .. }) if code == "NetConnection.Connect.Rejected"
    ));
}

#[test]
fn a_kicked_publisher_learns_it() {
    let mut wire = Wire::new(vec![100]);
    wire.run(ServerSession::accept_publish);
    assert_eq!(wire.client.poll(), Some(client::Event::Ready));
    wire.server
        .close_publish("NetStream.Unpublish.Success", "forbidden");
    wire.run(ServerSession::accept_publish);
    assert_eq!(
        wire.client.poll(),
        Some(client::Event::Closed {
            code: "NetStream.Unpublish.Success".into(),
            description: "forbidden".into()
        })
    );
    assert_eq!(wire.client.poll(), None);
}

proptest! {
    #[test]
    fn any_server_gives_the_client_an_answer(
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        let mut client = ClientSession::new("live", "rtmp://host/live", "cam");
        let mut input = BytesMut::from(&[3][..]);
        input.extend_from_slice(&[0; 2 * 1536]);
        input.extend_from_slice(&bytes);
        let _ = client.feed(&mut input);
        prop_assert!(input.len() <= bytes.len());
    }
}
