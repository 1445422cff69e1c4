//! What players ask and get: a path means one stream, a playlist's names lead back to its slices, every byte of a tape goes out once and in
//! order however a socket takes it, plain and in HTTP's chunks, and an RTMP player gets the messages that were put.

use std::io::IoSlice;

use bytes::{Bytes, BytesMut};
use localyun::testing::live::fanout::Outgoing;
use localyun::testing::media::flv::TagKind;
use localyun::testing::media::rtmp::client::{ClientSession, Event as Heard};
use localyun::testing::media::rtmp::server::{Event, MediaWriter, ServerSession};
use localyun::testing::media::rtmp::{Limits, Message};
use localyun::testing::media::segments::Segments;
use localyun::testing::model::stream_key::{PushArgs, check_name};
use localyun::testing::web::play::path::{self, Wanted};

use crate::input::Input;

fn address(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (path, query) = text.split_once('?').unwrap_or((&text, ""));
    let args = PushArgs::parse(query);
    let _ = (args.get("vhost"), args.get("auth_key"), args.get("session"));
    let Some((_, app, stream)) = path::read(path) else {
        return;
    };
    assert!(app.len() + stream.len() <= path.len());
    if check_name("app", &app).is_err() || check_name("stream", &stream).is_err() {
        return;
    }
    let named = path::slice(&app, &stream, 7);
    assert!(named.is_ascii() && !named.contains(['?', '#', ' ']));
    let place = localyun::testing::media::hls::encode_uri_path(&app);
    let below = named.trim_start_matches("./");
    let whole = if below.starts_with('/') {
        below.to_owned()
    } else {
        format!("/{place}/{below}")
    };
    assert_eq!(path::read(&whole), Some((Wanted::Slice(7), app, stream)));
}

/// Fills runs and sends them off as a socket would, in turns that the input decides; gives what was to come and what came.
fn sent(input: &mut Input<'_>, take: fn(&mut Segments) -> std::sync::Arc<[Bytes]>) -> [Vec<u8>; 2] {
    let (mut segments, mut outgoing) = (Segments::new(), Outgoing::default());
    let (mut wanted, mut came) = (Vec::new(), Vec::new());
    let mut filler = 0_u8;
    let flush = |segments: &mut Segments, outgoing: &mut Outgoing| {
        let length = segments.length();
        let run = take(segments);
        assert!(run.iter().all(|segment| !segment.is_empty()));
        assert_eq!(run.is_empty(), length == 0);
        outgoing.push(run);
    };
    while !input.is_empty() {
        let (step, count) = (input.u8() & 3, usize::from(input.u16()) & 0x3FF);
        filler = filler.wrapping_add(1);
        match step {
            0 => {
                let bytes = vec![filler; count];
                wanted.extend_from_slice(&bytes);
                segments.small().extend_from_slice(&bytes);
            }
            1 => {
                let bytes = Bytes::from(vec![filler; count]);
                wanted.extend_from_slice(&bytes);
                segments.share(bytes);
            }
            2 => flush(&mut segments, &mut outgoing),
            _ => send(&mut outgoing, &mut came, count, 1 + usize::from(filler) % 8),
        }
    }
    flush(&mut segments, &mut outgoing);
    while let Some(bytes) = outgoing.take(333) {
        assert!(!bytes.is_empty() && bytes.len() <= 333);
        came.extend_from_slice(&bytes);
    }
    assert!(outgoing.is_empty());
    [wanted, came]
}

fn send(outgoing: &mut Outgoing, came: &mut Vec<u8>, most: usize, room: usize) {
    let mut slices = [IoSlice::new(&[]); 8];
    let shown = outgoing.show(&mut slices[..room]);
    assert_eq!(shown == 0, outgoing.is_empty());
    let mut left = most;
    for slice in &slices[..shown] {
        let taken = left.min(slice.len());
        came.extend_from_slice(&slice[..taken]);
        left -= taken;
    }
    outgoing.advance(most - left);
}

/// The bytes of a chunked body without its end.
fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while !body.is_empty() {
        let end = body.iter().position(|byte| *byte == b'\r').expect("a size");
        let size = std::str::from_utf8(&body[..end]).expect("digits");
        let size = usize::from_str_radix(size, 16).expect("a number");
        assert!(size > 0, "an empty chunk is the end");
        let (chunk, rest) = body[end + 2..].split_at(size);
        whole.extend_from_slice(chunk);
        body = rest.strip_prefix(b"\r\n").expect("the end of a chunk");
    }
    whole
}

fn rtmp(input: &mut Input<'_>) {
    let mut client = ClientSession::player("live", "rtmp://h/live", "s");
    let mut server = ServerSession::new(Limits::default(), 7);
    let mut playing = None;
    let mut to_client = BytesMut::new();
    for _ in 0..16 {
        let said = client.take_output();
        server
            .feed(&mut BytesMut::from(&said[..]))
            .expect("our player's words");
        while let Some(event) = server.poll() {
            if let Event::Play { stream_id, .. } = event {
                server.accept_play(stream_id);
                server.shrink();
                playing = Some(stream_id);
            }
        }
        to_client.extend_from_slice(&server.take_output());
        client.feed(&mut to_client).expect("our server's words");
        while client.poll().is_some() {}
    }
    let writer = MediaWriter::new(playing.expect("a play"));
    let (mut put, mut got) = (Vec::new(), Vec::new());
    while !input.is_empty() {
        let kind = [TagKind::Audio, TagKind::Video, TagKind::Data][usize::from(input.u8() % 3)];
        let (timestamp, times) = (input.u32(), usize::from(input.u8()));
        let part = input.counted();
        if part.is_empty() {
            continue;
        }
        // Once it may be more than a chunk holds.
        let more = if put.is_empty() && times > 200 {
            70_000 / part.len()
        } else {
            0
        };
        let payload = Bytes::from(part.repeat(1 + more));
        let mut segments = Segments::new();
        writer.put(kind, timestamp, payload.clone(), &mut segments);
        for segment in segments.take().iter() {
            to_client.extend_from_slice(segment);
        }
        // What a publisher wraps its metadata in is no part of them for a player.
        let wrapped = kind == TagKind::Data && payload.starts_with(SET_DATA_FRAME);
        let skipped = if wrapped { SET_DATA_FRAME.len() } else { 0 };
        // A message that only wraps holds nothing, and nothing is told of it.
        if payload.len() > skipped {
            put.push(Message {
                kind,
                timestamp,
                payload: payload.slice(skipped..),
            });
        }
        client.feed(&mut to_client).expect("our server's media");
        while let Some(event) = client.poll() {
            if let Heard::Media(message) = event {
                got.push(message);
            }
        }
    }
    assert_eq!(got, put);
    assert!(to_client.is_empty());
}

/// The AMF0 string "@setDataFrame".
const SET_DATA_FRAME: &[u8] = b"\x02\x00\x0d@setDataFrame";

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    match input.u8() & 3 {
        0 => address(input.rest()),
        1 => {
            let [wanted, came] = sent(&mut input, Segments::take);
            assert_eq!(came, wanted);
        }
        2 => {
            let [wanted, came] = sent(&mut input, Segments::take_chunk);
            assert_eq!(unchunked(&came), wanted);
        }
        _ => rtmp(&mut input),
    }
}
