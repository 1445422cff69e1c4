//! Every header form, the rules on timestamps, and the bounds.

use proptest::prelude::*;

use super::*;
use crate::rtmp::chunk_write::{ChunkWriter, MessageHeader};

fn reader() -> ChunkReader {
    ChunkReader::new(Limits::default())
}

fn all(reader: &mut ChunkReader, bytes: &[u8]) -> Result<Vec<RawMessage>, RtmpError> {
    let mut input = BytesMut::from(bytes);
    let mut messages = Vec::new();
    while let Some(message) = reader.next(&mut input)? {
        messages.push(message);
    }
    assert!(input.is_empty(), "{} bytes left", input.len());
    Ok(messages)
}

fn times(bytes: &[u8]) -> Vec<u32> {
    let messages = all(&mut reader(), bytes).unwrap();
    messages.iter().map(|message| message.timestamp).collect()
}

/// A type 0 header of a one-byte basic header, for a payload of two bytes.
fn type_0(timestamp: u32) -> Vec<u8> {
    let mut header = vec![0x04];
    header.extend(&timestamp.min(EXTENDED).to_be_bytes()[1..]);
    header.extend([0, 0, 2, 8, 1, 0, 0, 0]);
    if timestamp >= EXTENDED {
        header.extend(timestamp.to_be_bytes());
    }
    header
}

fn stream(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

#[test]
fn the_four_header_types() {
    let bytes = stream(&[
        &type_0(1_000),
        b"ab",
        b"\x44\x00\x00\x17\x00\x00\x03\x09cde", // type 1: delta, length, type
        b"\x84\x00\x00\x28fgh",                 // type 2: delta
        b"\xC4ijk",                             // type 3: the delta once more
        b"\xC4lmn",
    ]);
    let messages = all(&mut reader(), &bytes).unwrap();
    let told: Vec<_> = messages
        .iter()
        .map(|message| (message.timestamp, message.type_id, message.payload.as_ref()))
        .collect();
    assert_eq!(
        told,
        [
            (1_000, 8, &b"ab"[..]),
            (1_023, 9, b"cde"),
            (1_063, 9, b"fgh"),
            (1_103, 9, b"ijk"),
            (1_143, 9, b"lmn"),
        ]
    );
    assert!(messages.iter().all(|message| message.stream_id == 1));
}

#[test]
fn type_3_after_type_0_adds_its_timestamp() {
    assert_eq!(
        times(&stream(&[&type_0(23), b"ab\xC4cd\xC4ef"])),
        [23, 46, 69]
    );
    assert_eq!(times(&stream(&[&type_0(0), b"ab\xC4cd"])), [0, 0]);
}

#[test]
fn continued_messages_do_not_add_the_delta() {
    let mut bytes = stream(&[&type_0(10), b"ab", b"\x44\x00\x00\x05\x00\x01\x2C\x09"]);
    let payload: Vec<u8> = (0..300_u32).map(|at| at as u8).collect();
    for (index, chunk) in payload.chunks(128).enumerate() {
        if index > 0 {
            bytes.push(0xC4);
        }
        bytes.extend(chunk);
    }
    bytes.extend(b"\x84\x00\x00\x05");
    bytes.extend([7; 128]);
    bytes.push(0xC4);
    bytes.extend([7; 128]);
    bytes.push(0xC4);
    bytes.extend([7; 44]);
    let messages = all(&mut reader(), &bytes).unwrap();
    assert_eq!(messages[1].payload, payload);
    assert_eq!((messages[1].timestamp, messages[2].timestamp), (15, 20));
}

#[test]
fn basic_headers_of_two_and_three_bytes() {
    let header = b"\x00\x00\x05\x00\x00\x01\x09\x01\x00\x00\x00x";
    for (basic, again, id) in [
        (&b"\x3F"[..], &b"\xFF"[..], 63),
        (b"\x00\x00", b"\xC0\x00", 64),
        (b"\x00\xFF", b"\xC0\xFF", 319),
        (b"\x01\x01\x01", b"\xC1\x01\x01", 321),
        (b"\x01\xFF\xFF", b"\xC1\xFF\xFF", 65_599),
    ] {
        let mut reader = reader();
        let bytes = stream(&[basic, header, again, b"y"]);
        assert_eq!(all(&mut reader, &bytes).unwrap().len(), 2);
        assert_eq!(reader.streams[0].id, id);
    }
}

#[test]
fn messages_of_several_chunk_streams_interleave() {
    let mut reader = reader();
    reader.set_chunk_size(2);
    let bytes = b"\x04\0\0\x01\0\0\x03\x08\x01\0\0\0ab\
                  \x06\0\0\x02\0\0\x04\x09\x01\0\0\0AB\
                  \xC4c\xC6CD";
    let messages = all(&mut reader, bytes).unwrap();
    assert_eq!(messages[0].payload.as_ref(), b"abc");
    assert_eq!(messages[1].payload.as_ref(), b"ABCD");
    assert_eq!(reader.assembling, 0);
}

#[test]
fn extended_timestamps_in_every_header_type() {
    let first = 0x0100_0000_u32;
    let bytes = stream(&[
        &type_0(first),
        b"ab",
        b"\x44\xFF\xFF\xFF\x00\x00\x02\x09\x01\x00\x00\x05cd", // delta 0x01000005
        b"\x84\xFF\xFF\xFF\x01\x00\x00\x00ef",
        b"\xC4\x01\x00\x00\x00gh", // repeated in type 3
        b"\xC4ij",                 // and left out
        b"\x84\x00\x00\x01kl",
        b"\xC4mn",
    ]);
    let mut expected = vec![first];
    for delta in [0x0100_0005, 0x0100_0000, 0x0100_0000, 0x0100_0000, 1, 1_u32] {
        expected.push(expected[expected.len() - 1].wrapping_add(delta));
    }
    assert_eq!(times(&bytes), expected);
}

#[test]
fn extended_timestamps_in_continued_messages_are_optional() {
    let timestamp = 0x0123_4567_u32;
    let head = stream(&[
        b"\x04\xFF\xFF\xFF\x00\x00\x06\x08\x01\x00\x00\x00",
        &timestamp.to_be_bytes(),
    ]);
    for repeated in [&timestamp.to_be_bytes()[..], &[]] {
        let mut reader = reader();
        reader.set_chunk_size(2);
        let bytes = stream(&[
            &head,
            b"ab",
            b"\xC4",
            repeated,
            b"\x01\x02",
            b"\xC4",
            repeated,
            b"ef",
        ]);
        // Followed by a message of another stream, so that four bytes can be looked at.
        let bytes = stream(&[&bytes, b"\x03\0\0\0\0\0\x02\x14\0\0\0\0ok"]);
        let messages = all(&mut reader, &bytes).unwrap();
        assert_eq!(messages[0].payload.as_ref(), b"ab\x01\x02ef");
        assert_eq!(messages[0].timestamp, timestamp);
        assert_eq!(messages[1].payload.as_ref(), b"ok");
    }
}

#[test]
fn a_continuation_may_repeat_the_absolute_timestamp() {
    let mut reader = reader();
    reader.set_chunk_size(2);
    let bytes = stream(&[
        &type_0(5),
        b"ab",
        b"\x44\xFF\xFF\xFF\x00\x00\x04\x08\x01\x00\x00\x00cd", // delta 0x01000000
        b"\xC4\x01\x00\x00\x05ef",                             // absolute 0x01000005
    ]);
    let messages = all(&mut reader, &bytes).unwrap();
    assert_eq!(messages[1].payload.as_ref(), b"cdef");
}

#[test]
fn timestamps_wrap() {
    assert_eq!(
        times(&stream(&[&type_0(u32::MAX), b"ab", b"\x84\x00\x00\x03cd"])),
        [u32::MAX, 2]
    );
}

#[test]
fn a_message_holds_its_own_bytes_and_no_more() {
    let wire = stream(&[&type_0(0), b"ab"]);
    let mut input = wire.as_slice();
    let message = reader().next(&mut input).unwrap().unwrap();
    assert!(input.is_empty());
    let own = message.payload.try_into_mut().unwrap();
    assert!(own.capacity() < wire.len() && !wire.as_ptr_range().contains(&own.as_ptr()));
}

#[test]
fn a_large_chunk_does_not_pile_up_in_the_input() {
    let mut reader = reader();
    reader.set_chunk_size(usize::MAX);
    let length = 1_000_000_u32;
    let mut bytes = b"\x04\0\0\0".to_vec();
    bytes.extend(&length.to_be_bytes()[1..]);
    bytes.extend(b"\x09\x01\0\0\0");
    bytes.extend((0..length).map(|at| at as u8));
    let mut input = BytesMut::new();
    let mut messages = Vec::new();
    for piece in bytes.chunks(1_000) {
        input.extend_from_slice(piece);
        messages.extend(reader.next(&mut input).unwrap());
        assert!(input.is_empty());
    }
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].payload, bytes[12..]);
}

#[test]
fn abort_forgets_a_message() {
    let mut reader = reader();
    reader.set_chunk_size(1);
    let mut input = BytesMut::from(&stream(&[&type_0(1), b"a"])[..]);
    assert_eq!(reader.next(&mut input), Ok(None));
    assert_eq!(reader.assembling, 2);
    reader.abort(99);
    reader.abort(4);
    reader.abort(4);
    assert_eq!(reader.assembling, 0);
    let messages = all(&mut reader, &stream(&[&type_0(7), b"c\xC4d"])).unwrap();
    assert_eq!(messages[0].payload.as_ref(), b"cd");
    assert_eq!(messages[0].timestamp, 7);
}

#[test]
fn headers_that_refer_to_nothing_or_cut_a_message() {
    assert_eq!(
        all(&mut reader(), b"\xC4ab"),
        Err(RtmpError::MissingHeader(4, 3))
    );
    assert_eq!(
        all(&mut reader(), b"\x85\0\0\0"),
        Err(RtmpError::MissingHeader(5, 2))
    );
    let mut reader = reader();
    reader.set_chunk_size(1);
    let cut = stream(&[&type_0(1), b"a", &type_0(2), b"c"]);
    assert_eq!(all(&mut reader, &cut), Err(RtmpError::Interrupted(4)));
}

#[test]
fn the_bounds() {
    let header = |id: u8, length: u32| {
        let mut header = vec![id, 0, 0, 0];
        header.extend(&length.to_be_bytes()[1..]);
        header.extend(b"\x09\x01\0\0\0");
        header.extend([0; 128]);
        header
    };
    let limits = Limits {
        message_bytes: 1_000,
        assembly_bytes: 1_500,
        chunk_streams: 3,
        ..Limits::default()
    };
    let mut reader = ChunkReader::new(limits);
    assert!(all(&mut reader, &header(3, 1_000)).is_ok());
    assert!(all(&mut reader, &header(4, 500)).is_ok());
    assert_eq!(
        all(&mut reader, &header(5, 129)),
        Err(RtmpError::Assembly(1_500))
    );
    assert_eq!(
        all(&mut reader, &header(6, 129)),
        Err(RtmpError::ChunkStreams(3))
    );
    assert_eq!(
        all(&mut ChunkReader::new(limits), &header(3, 1_001)),
        Err(RtmpError::MessageSize {
            size: 1_001,
            limit: 1_000
        })
    );
}

#[test]
fn an_announced_length_is_not_believed_with_memory() {
    let mut reader = reader();
    let bytes = stream(&[b"\x04\0\0\0\x7F\xFF\xFF\x09\x01\0\0\0", &[0; 128]]);
    assert!(all(&mut reader, &bytes).unwrap().is_empty());
    assert!(reader.streams[0].partial.capacity() <= 2 * FIRST_ROOM);
}

proptest! {
    #[test]
    fn what_the_writer_writes_is_read(
        messages in proptest::collection::vec(
            (2_u8..64, any::<u8>(), any::<u32>(), any::<u32>(), 0_usize..2_000), 1..20),
        chunk_size in 1_usize..700,
        cuts in proptest::collection::vec(1_usize..300, 1..20),
    ) {
        let mut writer = ChunkWriter::new();
        let mut reader = reader();
        writer.set_chunk_size(chunk_size);
        reader.set_chunk_size(chunk_size);
        let mut wire = BytesMut::new();
        let mut expected = Vec::new();
        for (chunk_stream, type_id, timestamp, stream_id, size) in messages {
            let payload: Vec<u8> = (0..size).map(|at| (at * 7) as u8 ^ type_id).collect();
            writer.write(
                MessageHeader { chunk_stream, type_id, timestamp, stream_id },
                &payload,
                &mut wire,
            );
            expected.push(RawMessage { type_id, timestamp, stream_id, payload: payload.into() });
        }
        let mut input = BytesMut::new();
        let mut found = Vec::new();
        let mut cuts = cuts.into_iter().cycle();
        while !wire.is_empty() {
            let cut = cuts.next().unwrap().min(wire.len());
            input.extend_from_slice(&wire.split_to(cut));
            while let Some(message) = reader.next(&mut input).unwrap() {
                found.push(message);
            }
        }
        prop_assert!(input.is_empty());
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn any_bytes_give_an_answer_within_the_bounds(
        pieces in proptest::collection::vec(
            proptest::collection::vec(any::<u8>(), 0..200), 0..20),
        chunk_size in 1_usize..100_000,
    ) {
        let mut reader = reader();
        reader.set_chunk_size(chunk_size);
        let mut input = BytesMut::new();
        'feeding: for piece in pieces {
            input.extend_from_slice(&piece);
            loop {
                match reader.next(&mut input) {
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(_) => break 'feeding,
                }
            }
            prop_assert!(input.len() <= WHOLE_CHUNK + 18);
        }
        let held: usize = reader.streams.iter().map(|stream| stream.partial.capacity()).sum();
        prop_assert!(held <= Limits::default().assembly_bytes + 64 * FIRST_ROOM);
        let announced: usize = reader
            .streams
            .iter()
            .filter(|stream| stream.in_message)
            .map(|stream| stream.length)
            .sum();
        prop_assert_eq!(announced, reader.assembling);
    }
}
