//! Connect, publish, play and their ends: answers, order and refusals.

use super::*;

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
    peer.go_on().unwrap();
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
fn a_push_that_waits_for_no_answer_comes_whole_and_in_order() {
    let mut peer = Peer::connected();
    for name in ["first", "second"] {
        peer.call("publish", 4.0, &[Value::Null, name.into()])
            .unwrap();
        peer.message(8, 5, b"all").unwrap();
        peer.call("deleteStream", 5.0, &[Value::Null, 1.0.into()])
            .unwrap();
    }
    let mut told = Vec::new();
    for _ in 0..2 {
        let events = peer.events();
        assert!(matches!(events.last(), Some(Event::Publish { .. })));
        told.extend(events);
        peer.session.accept_publish();
        peer.go_on().unwrap();
    }
    told.extend(peer.events());
    let end = [media(TagKind::Audio, 5, b"all"), Event::Unpublish];
    assert_eq!(told.len(), 6);
    assert_eq!((&told[1..3], &told[4..]), (&end[..], &end[..]));
    assert!(peer.sent.is_empty());
}

#[test]
fn a_refused_publish_gives_no_media() {
    let mut peer = Peer::connected();
    peer.call("publish", 4.0, &[Value::Null, "cam".into()])
        .unwrap();
    peer.message(8, 5, b"early").unwrap();
    peer.session
        .refuse_publish("NetStream.Publish.Denied", "no such domain");
    peer.go_on().unwrap();
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
fn media_of_a_refused_stream_is_not_that_of_the_accepted_one() {
    let publish = |name: &str| call_bytes("publish", 4.0, &[Value::Null, name.into()]);
    let mut peer = Peer::publishing();
    peer.message_on(2, id::COMMAND_AMF0, 0, &publish("other"))
        .unwrap();
    assert_eq!(code(&peer.answers()[0]), "NetStream.Publish.BadName");
    let aggregate = b"\x08\0\0\x01\0\0\0\0\0\0\0x\0\0\0\x0C";
    // Some encoders number their media 0, and a second publish on the stream of the first takes nothing from that.
    peer.message(id::COMMAND_AMF0, 0, &publish("again"))
        .unwrap();
    for (stream_id, payload) in [(2, b"other"), (1, b"first"), (0, b"nulls")] {
        peer.message_on(stream_id, 9, 5, payload).unwrap();
    }
    peer.message_on(2, id::AGGREGATE, 6, aggregate).unwrap();
    peer.message_on(2, id::DATA_AMF3, 7, b"\0data").unwrap();
    assert_eq!(
        peer.events(),
        [
            media(TagKind::Video, 5, b"first"),
            media(TagKind::Video, 5, b"nulls")
        ]
    );
    // Nor is the end of a refused one its end.
    let end = |name: &str| call_bytes("FCUnpublish", 5.0, &[Value::Null, name.into()]);
    for name in ["other", "again", "live/other?key=1"] {
        peer.message(id::COMMAND_AMF0, 0, &end(name)).unwrap();
    }
    peer.message(9, 6, b"still").unwrap();
    assert_eq!(peer.events(), [media(TagKind::Video, 6, b"still")]);
    // When the first is over, the second may begin after all.
    peer.call("deleteStream", 5.0, &[Value::Null, 1.0.into()])
        .unwrap();
    peer.message_on(2, id::COMMAND_AMF0, 0, &publish("other"))
        .unwrap();
    peer.events();
    peer.session.accept_publish();
    peer.message_on(2, 9, 8, b"begun").unwrap();
    assert_eq!(peer.events(), [media(TagKind::Video, 8, b"begun")]);
    // Whoever is refused on ever new streams is remembered by the newest ones.
    for stream_id in 3..1_000 {
        let name = format!("many{stream_id}");
        peer.message_on(stream_id, id::COMMAND_AMF0, 0, &publish(&name))
            .unwrap();
        drop(peer.session.take_output());
    }
    assert_eq!(peer.session.refused.len(), REFUSED_STREAMS);
    assert_eq!(peer.session.refused_names.len(), REFUSED_STREAMS);
    peer.message_on(999, 9, 9, b"many").unwrap();
    peer.message(id::COMMAND_AMF0, 0, &end("many999")).unwrap();
    assert!(peer.events().is_empty());
    // The second one was refused before it was let in.
    peer.message(id::COMMAND_AMF0, 0, &end("live/other?key=1"))
        .unwrap();
    assert_eq!(peer.events(), [Event::Unpublish]);
}

#[test]
fn the_end_of_a_name_that_nobody_was_refused_ends_the_push() {
    for name in ["", "cam", "cam?k=v", "live/cam", "whatever"] {
        let mut peer = Peer::publishing();
        peer.call("FCUnpublish", 5.0, &[Value::Null, name.into()])
            .unwrap();
        assert_eq!(peer.events(), [Event::Unpublish], "{name}");
    }
    // A publish that its caller refused is one as well.
    let mut peer = Peer::connected();
    peer.call("publish", 4.0, &[Value::Null, "no?k=v".into()])
        .unwrap();
    peer.session.refuse_publish("NetStream.Publish.Denied", "");
    peer.call("publish", 4.0, &[Value::Null, "cam".into()])
        .unwrap();
    peer.session.accept_publish();
    peer.events();
    peer.call("FCUnpublish", 5.0, &[Value::Null, "no".into()])
        .unwrap();
    assert!(peer.events().is_empty());
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

fn playing() -> Peer {
    let mut peer = Peer::connected();
    peer.call("play", 4.0, &[Value::Null, "cam".into()])
        .unwrap();
    let asked = Event::Play {
        app: "live".into(),
        tc_url: String::new(),
        name: "cam".into(),
        stream_id: 1,
    };
    let events = peer.events();
    assert!(
        matches!(&events[..], [Event::Play { app, name, stream_id: 1, .. }] if app == "live" && name == "cam"),
        "{events:?} is not {asked:?}"
    );
    peer
}

#[test]
fn play_is_asked_and_can_be_refused() {
    let mut peer = playing();
    peer.session
        .refuse_publish("NetStream.Play.Failed", "not for you");
    assert_eq!(code(&peer.answers()[0]), "NetStream.Play.Failed");
}

#[test]
fn an_accepted_play_begins_and_is_followed_by_media() {
    let mut peer = playing();
    peer.session.accept_play(1);
    let begun = peer.session.take_output();
    peer.received.extend_from_slice(&begun);
    let mut media = Segments::new();
    let payload = Bytes::from(vec![9; 70_000]);
    MediaWriter::new(1).put(TagKind::Video, 0x0100_0000, payload, &mut media);
    for segment in media.take().iter() {
        peer.received.extend_from_slice(segment);
    }
    let answers = peer.raw_answers();
    let codes: Vec<String> = answers
        .iter()
        .filter(|(type_id, _)| *type_id == id::COMMAND_AMF0)
        .map(|(_, payload)| code(&command::parse(payload, &Limits::default()).unwrap()).to_owned())
        .collect();
    assert_eq!(codes, ["NetStream.Play.Reset", "NetStream.Play.Start"]);
    let (kind, payload) = answers.last().unwrap();
    assert_eq!((*kind, payload.len()), (9, 70_000));
    // A second play, and a publish beside it, are refused without an event.
    peer.call("play", 5.0, &[Value::Null, "other".into()])
        .unwrap();
    peer.call("publish", 6.0, &[Value::Null, "other".into()])
        .unwrap();
    assert!(peer.events().is_empty());
    assert_eq!(code(&peer.answers()[0]), "NetStream.Play.Failed");
    peer.call("deleteStream", 7.0, &[Value::Null, 1.0.into()])
        .unwrap();
    assert_eq!(peer.events(), [Event::StopPlay]);
}

#[test]
fn a_play_is_closed_with_a_status() {
    let mut peer = playing();
    peer.session.accept_play(1);
    peer.answers();
    peer.session.close_play("the stream is over");
    peer.session.close_play("again");
    let answers = peer.answers();
    assert_eq!(answers.len(), 1);
    assert_eq!(code(&answers[0]), "NetStream.Play.UnpublishNotify");
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
    peer.session.accept_publish();
    peer.answers();
    peer.call("publish", 5.0, &[Value::Null, "second".into()])
        .unwrap();
    assert!(peer.events().is_empty());
    assert_eq!(code(&peer.answers()[0]), "NetStream.Publish.BadName");

    let mut peer = Peer::new(Limits::default());
    peer.call("connect", 1.0, &[connect_object("a\0")]).unwrap();
    assert!(peer.events().is_empty());
    assert_eq!(code(&peer.answers()[0]), "NetConnection.Connect.Rejected");
}

/// GBK, as encoders in the field write it.
const NOT_UTF8: &[u8] = b"\xd6\xb1\xb2\xa5";

/// A command with that in place of the first `????`.
fn in_another_encoding(name: &str, values: &[Value]) -> Vec<u8> {
    let mut payload = call_bytes(name, 4.0, values).to_vec();
    let mut places = payload.windows(NOT_UTF8.len());
    let at = places.position(|window| window == b"????").unwrap();
    payload[at..at + NOT_UTF8.len()].copy_from_slice(NOT_UTF8);
    payload
}

#[test]
fn text_that_is_no_utf8_costs_nothing_but_itself() {
    let mut peer = Peer::new(Limits::default());
    let mut object = connect_object("live");
    if let Value::Object(properties) = &mut object {
        properties.push(("swfUrl".into(), "C:/????.exe".into()));
    }
    let connect = in_another_encoding("connect", &[object]);
    peer.message(id::COMMAND_AMF0, 0, &connect).unwrap();
    let events = peer.events();
    let [Event::Connect { app, .. }] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(app, "live");
    let publish = [Value::Null, "cam?title=????".into(), "live".into()];
    let publish = in_another_encoding("publish", &publish);
    peer.message(id::COMMAND_AMF0, 0, &publish).unwrap();
    let events = peer.events();
    let [Event::Publish { name, .. }] = &events[..] else {
        panic!("{events:?}");
    };
    assert!(name.starts_with("cam?title="), "{name}");
}

#[test]
fn what_cannot_be_read_behind_a_command_costs_nothing_but_itself() {
    let mut peer = Peer::new(Limits::default());
    for (name, values) in [
        ("connect", vec![connect_object("live")]),
        ("publish", vec![Value::Null, "cam".into()]),
    ] {
        let call = call_bytes(name, 4.0, &values);
        // An AMF3 value.
        let call = [&call[..], b"\x11\x0a\x0b\x01"].concat();
        peer.message(id::COMMAND_AMF0, 0, &call).unwrap();
    }
    let events = peer.events();
    let [Event::Connect { .. }, Event::Publish { name, kind, .. }] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!((name.as_str(), kind.as_str()), ("cam", "live"));
}

#[test]
fn a_stream_name_that_is_no_utf8_is_refused_with_a_status() {
    let mut peer = Peer::connected();
    let publish = in_another_encoding("publish", &[Value::Null, "????".into()]);
    peer.message(id::COMMAND_AMF0, 0, &publish).unwrap();
    assert!(peer.events().is_empty());
    assert_eq!(code(&peer.answers()[0]), "NetStream.Publish.BadName");
    let mut peer = Peer::new(Limits::default());
    let connect = in_another_encoding("connect", &[connect_object("????")]);
    peer.message(id::COMMAND_AMF0, 0, &connect).unwrap();
    assert!(peer.events().is_empty());
    assert_eq!(code(&peer.answers()[0]), "NetConnection.Connect.Rejected");
}
