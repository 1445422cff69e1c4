//! From messages to chunks (RTMP 1.0 clause 5.3).
//!
//! Every message starts with a full header: a few bytes more on the wire, but nothing for the peer to get wrong.

use bytes::{BufMut, Bytes, BytesMut};

use crate::segments::Segments;

/// The timestamp field that says "see the extended timestamp".
const EXTENDED: u32 = 0xFF_FFFF;
/// The longest message, in bytes.
const LONGEST: usize = 0xFF_FFFF;

/// What goes before a message's payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MessageHeader {
    /// Chunk stream, 2 to 63.
    pub(super) chunk_stream: u8,
    pub(super) type_id: u8,
    pub(super) timestamp: u32,
    pub(super) stream_id: u32,
}

/// Splits messages into chunks.
#[derive(Debug)]
pub(super) struct ChunkWriter {
    chunk_size: usize,
}

impl ChunkWriter {
    pub(super) fn new() -> Self {
        Self { chunk_size: 128 }
    }

    /// Takes effect with the next message: the peer must have been told before.
    pub(super) fn set_chunk_size(&mut self, size: usize) {
        self.chunk_size = size.max(1);
    }

    /// Appends a message of at most 16,777,215 bytes; what is beyond cannot be expressed and is cut off.
    pub(super) fn write(&self, header: MessageHeader, payload: &[u8], output: &mut BytesMut) {
        let payload = payload.get(..LONGEST).unwrap_or(payload);
        let chunks = payload.len() / self.chunk_size + 1;
        output.reserve(payload.len() + 16 + chunks * 5);
        header.put(payload.len(), output);
        for (index, chunk) in payload.chunks(self.chunk_size).enumerate() {
            if index > 0 {
                header.put_again(output);
            }
            output.put_slice(chunk);
        }
    }

    /// As [`ChunkWriter::write`], without a copy of the payload.
    pub(super) fn share(&self, header: MessageHeader, mut payload: Bytes, output: &mut Segments) {
        payload.truncate(LONGEST);
        header.put(payload.len(), output.small());
        loop {
            let rest = payload.split_off(self.chunk_size.min(payload.len()));
            output.share(payload);
            if rest.is_empty() {
                return;
            }
            header.put_again(output.small());
            payload = rest;
        }
    }
}

impl MessageHeader {
    fn extended(self) -> Option<u32> {
        (self.timestamp >= EXTENDED).then_some(self.timestamp)
    }

    /// The header of a message's first chunk.
    fn put(self, length: usize, output: &mut BytesMut) {
        output.put_u8(self.chunk_stream & 0x3F);
        output.put_uint(u64::from(self.timestamp.min(EXTENDED)), 3);
        output.put_uint(length as u64, 3);
        output.put_u8(self.type_id);
        output.put_u32_le(self.stream_id);
        if let Some(timestamp) = self.extended() {
            output.put_u32(timestamp);
        }
    }

    /// The header of a further chunk.
    fn put_again(self, output: &mut BytesMut) {
        output.put_u8(0xC0 | self.chunk_stream & 0x3F);
        if let Some(timestamp) = self.extended() {
            output.put_u32(timestamp);
        }
    }
}
