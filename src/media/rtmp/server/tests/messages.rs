//! Messages that are no plain commands, and the bounds on them.

use super::*;

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

    for payload in [&b"\x02\x00\x07conn"[..], b"\x00", b""] {
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
fn nothing_is_taken_before_the_answer() {
    let mut peer = Peer::connected();
    peer.call("publish", 2.0, &[Value::Null, "cam".into()])
        .unwrap();
    assert!(peer.sent.is_empty());
    for _ in 0..3 {
        peer.message(8, 0, &[0; 1_000]).unwrap();
    }
    assert_eq!(peer.session.feed(&mut peer.sent), Ok(Fed::UntilAnswered));
    assert!(peer.sent.len() > 3_000);
    peer.session.accept_publish();
    assert_eq!(peer.session.feed(&mut peer.sent), Ok(Fed::All));
    assert!(peer.sent.is_empty());
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

#[test]
fn a_message_as_large_as_media_is_for_publishers() {
    let large = vec![0; Limits::default().stranger_bytes + 1];
    for mut stranger in [Peer::new(Limits::default()), Peer::connected()] {
        assert_eq!(
            stranger.message(TagKind::Video.number(), 0, &large),
            Err(RtmpError::MessageSize {
                size: large.len(),
                limit: large.len() - 1
            })
        );
    }
    let mut publisher = Peer::publishing();
    assert_eq!(
        publisher.message(TagKind::Video.number(), 0, &large),
        Ok(())
    );
    assert_eq!(publisher.events().len(), 1);
}
