//! From chunks to messages (RTMP 1.0 clause 5.3).
//!
//! Three rules that implementations get wrong: a type 3 chunk that starts a new message adds the previous delta once
//! more; after a type 0 header that delta is its timestamp; an extended timestamp is repeated in type 3 chunks, which
//! some clients forget, so it is taken only when it says what the header said.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::{Limits, RtmpError};

/// Chunk size until the peer sets another.
const DEFAULT_CHUNK_SIZE: usize = 128;

/// A larger chunk cannot be told from this one, since a message's length has 24 bits.
const MAX_CHUNK_SIZE: usize = 0xFF_FFFF;

/// The timestamp field that says "see the extended timestamp".
const EXTENDED: u32 = 0xFF_FFFF;

/// Bytes of payload above which a chunk is taken piecemeal, so that the caller's buffer stays small.
const WHOLE_CHUNK: usize = 16 * 1024;

/// Bytes of the first room for a message in several chunks; the announced length is believed only after that much has come.
const FIRST_ROOM: usize = 64 * 1024;

/// A message with its header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawMessage {
    pub(super) type_id: u8,
    pub(super) timestamp: u32,
    pub(super) stream_id: u32,
    pub(super) payload: Bytes,
}

/// What is remembered of a chunk stream.
#[derive(Debug)]
struct ChunkStream {
    id: u32,
    timestamp: u32,
    /// What a type 3 chunk adds when it starts a message.
    delta: u32,
    /// The extended timestamp of the last type 0, 1 or 2 header, if it had one.
    extended: Option<u32>,
    length: usize,
    type_id: u8,
    stream_id: u32,
    /// What has come of a message in several chunks.
    partial: BytesMut,
    in_message: bool,
}

/// A chunk header, read but not yet applied.
struct Header {
    format: u8,
    stream: u32,
    field: u32,
    length: usize,
    type_id: u8,
    stream_id: u32,
    extended: Option<u32>,
    size: usize,
}

/// Takes chunks apart and puts messages together.
#[derive(Debug)]
pub(super) struct ChunkReader {
    limits: Limits,
    chunk_size: usize,
    streams: Vec<ChunkStream>,
    /// Sum of the lengths of the messages under way.
    assembling: usize,
    /// A large chunk that is being taken piecemeal: its stream's index and the bytes to come.
    open_chunk: Option<(usize, usize)>,
}

impl ChunkReader {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            chunk_size: DEFAULT_CHUNK_SIZE,
            streams: Vec::new(),
            assembling: 0,
            open_chunk: None,
        }
    }

    /// Sets other bounds for what begins from now on.
    pub(super) fn allow(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Follows a Set Chunk Size message.
    pub(super) fn set_chunk_size(&mut self, size: usize) {
        self.chunk_size = size.clamp(1, MAX_CHUNK_SIZE);
    }

    /// Follows an Abort message.
    pub(super) fn abort(&mut self, id: u32) {
        if let Some(stream) = self.streams.iter_mut().find(|stream| stream.id == id) {
            if stream.in_message {
                self.assembling = self.assembling.saturating_sub(stream.length);
            }
            stream.in_message = false;
            stream.partial = BytesMut::new();
        }
    }

    /// The next whole message, or none when more bytes are needed. `input` is one piece of memory.
    pub(super) fn next(&mut self, input: &mut impl Buf) -> Result<Option<RawMessage>, RtmpError> {
        loop {
            if let Some((index, left)) = self.open_chunk {
                let taken = left.min(input.remaining());
                if taken == 0 {
                    return Ok(None);
                }
                self.open_chunk = (taken < left).then_some((index, left - taken));
                match self.append(index, input, taken) {
                    Some(message) => return Ok(Some(message)),
                    None => continue,
                }
            }
            let Some(header) = self.header(input.chunk())? else {
                return Ok(None);
            };
            let known = self.position(header.stream);
            let (done, length) = match known.and_then(|index| self.streams.get(index)) {
                Some(stream) if stream.in_message => (stream.partial.len(), stream.length),
                _ => (0, header.length),
            };
            let payload = length.saturating_sub(done).min(self.chunk_size);
            let available = input.remaining() - header.size;
            if available < payload && payload <= WHOLE_CHUNK {
                return Ok(None);
            }
            let index = self.apply(&header, known)?;
            input.advance(header.size);
            let taken = payload.min(available);
            if taken < payload {
                self.open_chunk = Some((index, payload - taken));
            }
            if let Some(message) = self.append(index, input, taken) {
                return Ok(Some(message));
            }
            if self.open_chunk.is_none()
                && let Some(message) = self.follow(index, input)
            {
                return Ok(Some(message));
            }
        }
    }

    /// Takes whole chunks that go on with the same message, as they come when nobody else sends: of small chunks, nearly all are these.
    /// Everything else is left to the long way.
    fn follow(&mut self, index: usize, input: &mut impl Buf) -> Option<RawMessage> {
        let stream = self.streams.get_mut(index)?;
        let id = u8::try_from(stream.id).ok().filter(|id| *id < 64)?;
        if !stream.in_message || stream.extended.is_some() {
            return None;
        }
        let header = 0xC0 | id;
        loop {
            let left = stream.length.saturating_sub(stream.partial.len());
            let payload = left.min(self.chunk_size);
            let room = stream.partial.capacity() - stream.partial.len();
            let chunk = input.chunk().get(..=payload)?;
            let (first, body) = chunk.split_first()?;
            if *first != header || room < payload {
                return None;
            }
            stream.partial.extend_from_slice(body);
            input.advance(1 + payload);
            if payload == left {
                return self.complete(index);
            }
        }
    }

    fn position(&self, id: u32) -> Option<usize> {
        self.streams.iter().position(|stream| stream.id == id)
    }

    /// Reads a header without consuming it; fields that its format leaves out come from the chunk stream.
    fn header(&self, input: &[u8]) -> Result<Option<Header>, RtmpError> {
        let mut rest = input;
        let Some((format, stream)) = basic_header(&mut rest) else {
            return Ok(None);
        };
        let known = self.streams.iter().find(|known| known.id == stream);
        // Some clients start a chunk stream with type 1, which lacks only the message stream.
        let (mut length, mut type_id, mut stream_id) = match known {
            Some(known) => (known.length, known.type_id, known.stream_id),
            None if format <= 1 => (0, 0, 0),
            None => return Err(RtmpError::MissingHeader(stream, format)),
        };
        let fields = match format {
            0 => 11,
            1 => 7,
            2 => 3,
            _ => 0,
        };
        if rest.len() < fields {
            return Ok(None);
        }
        let mut field = 0;
        if format <= 2 {
            field = get_u24(&mut rest);
        }
        if format <= 1 {
            length = usize::try_from(get_u24(&mut rest)).unwrap_or(usize::MAX);
            type_id = rest.get_u8();
        }
        if format == 0 {
            stream_id = rest.get_u32_le();
        }
        let extended = if format <= 2 {
            if field != EXTENDED {
                None
            } else if let Ok(value) = rest.try_get_u32() {
                field = value;
                Some(value)
            } else {
                return Ok(None);
            }
        } else {
            match known.and_then(|known| known.extended.map(|value| (value, known.timestamp))) {
                None => None,
                Some((value, timestamp)) => {
                    match repeated_timestamp(rest, value, timestamp) {
                        Repeated::Yes => rest.advance(4),
                        Repeated::No => {}
                        Repeated::Unclear => return Ok(None),
                    }
                    Some(value)
                }
            }
        };
        Ok(Some(Header {
            format,
            stream,
            field,
            length,
            type_id,
            stream_id,
            extended,
            size: input.len() - rest.len(),
        }))
    }

    /// Lets a header take effect; the index of its chunk stream.
    fn apply(&mut self, header: &Header, known: Option<usize>) -> Result<usize, RtmpError> {
        let index = match known {
            Some(index) => index,
            None => self.add_stream(header.stream)?,
        };
        let Some(stream) = self.streams.get_mut(index) else {
            return Err(RtmpError::MissingHeader(header.stream, header.format));
        };
        if stream.in_message {
            if header.format == 3 {
                return Ok(index);
            }
            return Err(RtmpError::Interrupted(header.stream));
        }
        if header.length > self.limits.message_bytes {
            return Err(RtmpError::MessageSize {
                size: header.length,
                limit: self.limits.message_bytes,
            });
        }
        if self.assembling + header.length > self.limits.assembly_bytes {
            return Err(RtmpError::Assembly(self.limits.assembly_bytes));
        }
        self.assembling += header.length;
        if header.format <= 2 {
            stream.delta = header.field;
            stream.extended = header.extended;
        }
        stream.timestamp = if header.format == 0 {
            header.field
        } else {
            stream.timestamp.wrapping_add(stream.delta)
        };
        stream.length = header.length;
        stream.type_id = header.type_id;
        stream.stream_id = header.stream_id;
        stream.in_message = true;
        Ok(index)
    }

    fn add_stream(&mut self, id: u32) -> Result<usize, RtmpError> {
        if self.streams.len() >= self.limits.chunk_streams {
            return Err(RtmpError::ChunkStreams(self.limits.chunk_streams));
        }
        self.streams.push(ChunkStream {
            id,
            timestamp: 0,
            delta: 0,
            extended: None,
            length: 0,
            type_id: 0,
            stream_id: 0,
            partial: BytesMut::new(),
            in_message: false,
        });
        Ok(self.streams.len() - 1)
    }

    /// Takes payload; the message when that was the last of it.
    fn append(&mut self, index: usize, input: &mut impl Buf, taken: usize) -> Option<RawMessage> {
        let stream = self.streams.get_mut(index)?;
        let left = stream.length.saturating_sub(stream.partial.len());
        if stream.partial.capacity() - stream.partial.len() < taken {
            let room = if stream.partial.is_empty() {
                left.min(FIRST_ROOM.max(taken))
            } else {
                left
            };
            stream.partial.reserve(room);
        }
        stream.partial.put(input.take(taken));
        if stream.partial.len() < stream.length {
            return None;
        }
        self.complete(index)
    }

    /// The message, all of which has come.
    fn complete(&mut self, index: usize) -> Option<RawMessage> {
        let stream = self.streams.get_mut(index)?;
        let payload = std::mem::take(&mut stream.partial);
        stream.in_message = false;
        self.assembling = self.assembling.saturating_sub(stream.length);
        Some(RawMessage {
            type_id: stream.type_id,
            timestamp: stream.timestamp,
            stream_id: stream.stream_id,
            payload: payload.freeze(),
        })
    }
}

/// Format and chunk stream id of a basic header of 1, 2 or 3 bytes.
fn basic_header(rest: &mut &[u8]) -> Option<(u8, u32)> {
    let first = rest.try_get_u8().ok()?;
    let id = match first & 0x3F {
        0 => 64 + u32::from(rest.try_get_u8().ok()?),
        1 => 64 + u32::from(rest.try_get_u16_le().ok()?),
        id => u32::from(id),
    };
    Some((first >> 6, id))
}

/// Reads 24 bits; the caller has made sure that they are there.
fn get_u24(rest: &mut &[u8]) -> u32 {
    u32::try_from(rest.get_uint(3)).unwrap_or_default()
}

/// Whether a type 3 chunk repeats the extended timestamp.
enum Repeated {
    Yes,
    No,
    /// The bytes that are there agree, but there are fewer than four.
    Unclear,
}

/// Clients repeat the field of the header, some the absolute timestamp instead, some nothing.
fn repeated_timestamp(rest: &[u8], field: u32, timestamp: u32) -> Repeated {
    let found = rest.get(..4).unwrap_or(rest);
    let agrees = |value: u32| value.to_be_bytes().starts_with(found);
    match (agrees(field) || agrees(timestamp), found.len()) {
        (true, 4) => Repeated::Yes,
        (true, _) => Repeated::Unclear,
        (false, _) => Repeated::No,
    }
}

#[cfg(test)]
mod tests;
