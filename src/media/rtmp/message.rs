//! Message types: protocol control (RTMP 1.0 clause 5.4), user control (clause 7.1.7), media and aggregates.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::chunk_read::RawMessage;
use super::chunk_write::{ChunkWriter, MessageHeader};
use super::{Message, RtmpError, TagKind};

/// Message type ids.
pub(super) mod id {
    pub(in crate::rtmp) const SET_CHUNK_SIZE: u8 = 1;
    pub(in crate::rtmp) const ABORT: u8 = 2;
    pub(in crate::rtmp) const ACKNOWLEDGEMENT: u8 = 3;
    pub(in crate::rtmp) const USER_CONTROL: u8 = 4;
    pub(in crate::rtmp) const WINDOW_ACK_SIZE: u8 = 5;
    pub(in crate::rtmp) const SET_PEER_BANDWIDTH: u8 = 6;
    pub(in crate::rtmp) const DATA_AMF3: u8 = 15;
    pub(in crate::rtmp) const COMMAND_AMF3: u8 = 17;
    pub(in crate::rtmp) const COMMAND_AMF0: u8 = 20;
    pub(in crate::rtmp) const AGGREGATE: u8 = 22;
}

const STREAM_BEGIN: u16 = 0;
const STREAM_EOF: u16 = 1;
const PING_REQUEST: u16 = 6;
const PING_RESPONSE: u16 = 7;

/// Chunk stream of protocol control messages (clause 5.4).
const CONTROL_CHUNK_STREAM: u8 = 2;

/// The command that publishers put before metadata.
pub(super) const SET_DATA_FRAME: &[u8] = b"\x02\x00\x0d@setDataFrame";

/// What a session must do about a message.
#[derive(Debug)]
pub(super) enum Incoming {
    /// Set Chunk Size.
    ChunkSize(usize),
    /// Abort this chunk stream's message.
    Abort(u32),
    /// The peer wants an acknowledgement each time it has sent that much.
    Window(u32),
    /// Answer with a Ping Response of this timestamp.
    Ping(u32),
    /// A command: its stream and its AMF0 values.
    Command(u32, Bytes),
    /// A media message and its stream.
    Media(u32, Message),
    /// Several media messages in one: their stream, the time of the first and the tags.
    Aggregate(u32, u32, Bytes),
    /// Nothing that matters here.
    Nothing,
}

/// Sorts a message by its type.
pub(super) fn sort(message: RawMessage) -> Result<Incoming, RtmpError> {
    let RawMessage {
        type_id,
        timestamp,
        stream_id,
        mut payload,
    } = message;
    let malformed = RtmpError::Control(type_id);
    let number = |payload: &Bytes| {
        payload
            .first_chunk()
            .map(|bytes| u32::from_be_bytes(*bytes))
    };
    Ok(match type_id {
        id::SET_CHUNK_SIZE => match number(&payload) {
            // The highest bit must be zero.
            Some(size @ 1..=0x7FFF_FFFF) => {
                Incoming::ChunkSize(usize::try_from(size).unwrap_or(usize::MAX))
            }
            _ => return Err(malformed),
        },
        id::ABORT => Incoming::Abort(number(&payload).ok_or(malformed)?),
        id::WINDOW_ACK_SIZE => Incoming::Window(number(&payload).ok_or(malformed)?),
        id::USER_CONTROL => match payload.try_get_u16() {
            Ok(PING_REQUEST) => Incoming::Ping(number(&payload).ok_or(malformed)?),
            Ok(_) => Incoming::Nothing,
            Err(_) => return Err(malformed),
        },
        id::COMMAND_AMF0 => Incoming::Command(stream_id, payload),
        id::COMMAND_AMF3 => Incoming::Command(stream_id, without_amf3_marker(payload)),
        id::DATA_AMF3 => {
            let payload = without_amf3_marker(payload);
            of_stream(stream_id, media(TagKind::Data, timestamp, payload))
        }
        id::AGGREGATE => Incoming::Aggregate(stream_id, timestamp, payload),
        _ => match TagKind::from_number(type_id) {
            Some(kind) => of_stream(stream_id, media(kind, timestamp, payload)),
            None => Incoming::Nothing,
        },
    })
}

fn of_stream(stream_id: u32, message: Option<Message>) -> Incoming {
    message.map_or(Incoming::Nothing, |message| {
        Incoming::Media(stream_id, message)
    })
}

/// A media message; `@setDataFrame` is an instruction to the server and goes, so that the rest is a script tag.
fn media(kind: TagKind, timestamp: u32, mut payload: Bytes) -> Option<Message> {
    if kind == TagKind::Data && payload.starts_with(SET_DATA_FRAME) {
        payload.advance(SET_DATA_FRAME.len());
    }
    (!payload.is_empty()).then_some(Message {
        kind,
        timestamp,
        payload,
    })
}

/// AMF3 messages of publishers hold AMF0 values behind a zero byte.
fn without_amf3_marker(mut payload: Bytes) -> Bytes {
    if payload.first() == Some(&0) {
        payload.advance(1);
    }
    payload
}

/// Takes an aggregate message apart: FLV tags whose times count from the first one's (clause 7.1.6).
pub(super) fn split_aggregate(
    timestamp: u32,
    mut payload: Bytes,
    sink: &mut impl FnMut(Message),
) -> Result<(), RtmpError> {
    const TAG_HEADER: usize = 11;
    const BACK_POINTER: usize = 4;
    let mut first = None;
    while !payload.is_empty() {
        let header: &[u8; TAG_HEADER] = payload.first_chunk().ok_or(RtmpError::Aggregate)?;
        let &[number, s2, s1, s0, t2, t1, t0, t3, ..] = header;
        let size = usize::try_from(u32::from_be_bytes([0, s2, s1, s0])).unwrap_or(usize::MAX);
        let time = u32::from_be_bytes([t3, t2, t1, t0]);
        let end = TAG_HEADER.saturating_add(size);
        if end > payload.len() {
            return Err(RtmpError::Aggregate);
        }
        let mut body = payload.split_to(end);
        body.advance(TAG_HEADER);
        payload.advance(BACK_POINTER.min(payload.len()));
        let offset = time.wrapping_sub(*first.get_or_insert(time));
        if let Some(kind) = TagKind::from_number(number)
            && let Some(message) = media(kind, timestamp.wrapping_add(offset), body)
        {
            sink(message);
        }
    }
    Ok(())
}

/// Writes protocol control messages.
pub(super) fn write_control(
    writer: &ChunkWriter,
    type_id: u8,
    payload: &[u8],
    output: &mut BytesMut,
) {
    let header = MessageHeader {
        chunk_stream: CONTROL_CHUNK_STREAM,
        type_id,
        timestamp: 0,
        stream_id: 0,
    };
    writer.write(header, payload, output);
}

/// Tells the client that a stream is ready for its use.
pub(super) fn write_stream_begin(writer: &ChunkWriter, stream_id: u32, output: &mut BytesMut) {
    write_user_control(writer, STREAM_BEGIN, stream_id, output);
}

/// Tells the client that a stream has ended.
pub(super) fn write_stream_eof(writer: &ChunkWriter, stream_id: u32, output: &mut BytesMut) {
    write_user_control(writer, STREAM_EOF, stream_id, output);
}

/// Answers a ping.
pub(super) fn write_ping_response(writer: &ChunkWriter, timestamp: u32, output: &mut BytesMut) {
    write_user_control(writer, PING_RESPONSE, timestamp, output);
}

fn write_user_control(writer: &ChunkWriter, event: u16, value: u32, output: &mut BytesMut) {
    let mut payload = [0; 6];
    let mut rest = payload.as_mut_slice();
    rest.put_u16(event);
    rest.put_u32(value);
    write_control(writer, id::USER_CONTROL, &payload, output);
}
