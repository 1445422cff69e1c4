//! RTMP (Adobe's Real Time Messaging Protocol 1.0), without a socket: bytes in, events and bytes out.
//!
//! [`server::ServerSession`] takes a publish or a play, [`client::ClientSession`] makes one. Shared objects, RTMPE and AMF3 values are
//! deliberately absent: nothing here has a use for them.

mod chunk_read;
mod chunk_write;
pub mod client;
mod command;
mod handshake;
mod message;
pub mod server;

use bytes::Bytes;
use thiserror::Error;

use super::amf0::Amf0Error;
pub use super::flv::TagKind;

/// Bounds on what a peer may make a session hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest message; a key frame of a 4K stream must fit.
    pub message_bytes: usize,
    /// Largest message, and largest sum of those under way, of a peer that has not been let publish.
    pub stranger_bytes: usize,
    /// Largest sum of the messages that are under way in several chunks at the same time.
    pub assembly_bytes: usize,
    /// Most chunk streams.
    pub chunk_streams: usize,
    /// Largest command.
    pub command_bytes: usize,
    /// Longest app, stream name or tcUrl.
    pub name_bytes: usize,
    /// Most bytes of answers that the caller has not taken.
    pub output_bytes: usize,
}

impl Limits {
    /// The bounds before a publish: whoever may send media must hold more than commands are.
    fn of_a_stranger(self) -> Self {
        Self {
            message_bytes: self.message_bytes.min(self.stranger_bytes),
            assembly_bytes: self.assembly_bytes.min(self.stranger_bytes),
            ..self
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: 8 * 1024 * 1024,
            stranger_bytes: 64 * 1024,
            assembly_bytes: 16 * 1024 * 1024,
            chunk_streams: 64,
            command_bytes: 64 * 1024,
            name_bytes: 2 * 1024,
            output_bytes: 256 * 1024,
        }
    }
}

/// One media message, reassembled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What it carries.
    pub kind: TagKind,
    /// Milliseconds, as sent; wraps after 49 days.
    pub timestamp: u32,
    /// The body of an FLV tag.
    pub payload: Bytes,
}

/// Why a session cannot go on: the caller closes the connection.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RtmpError {
    /// The first byte is no version of RTMP; an HTTP or TLS client, as a rule.
    #[error("the peer speaks no plain RTMP: its first byte is {0:#04x}")]
    Version(u8),
    /// A chunk refers to a header that was never sent.
    #[error("chunk stream {0} starts with a chunk of type {1}")]
    MissingHeader(u32, u8),
    /// A new message starts inside another one of the same chunk stream.
    #[error("a message of chunk stream {0} is cut by another one")]
    Interrupted(u32),
    /// More chunk streams than allowed.
    #[error("more than {0} chunk streams")]
    ChunkStreams(usize),
    /// A message is longer than allowed.
    #[error("a message of {size} bytes is longer than the {limit} allowed")]
    MessageSize {
        /// As announced.
        size: usize,
        /// The bound that it breaks.
        limit: usize,
    },
    /// Several unfinished messages together are larger than allowed.
    #[error("unfinished messages of more than {0} bytes together")]
    Assembly(usize),
    /// A protocol control message has the wrong size or a forbidden value.
    #[error("protocol control message {0} is malformed")]
    Control(u8),
    /// An aggregate message does not add up.
    #[error("an aggregate message is malformed")]
    Aggregate,
    /// A command is no AMF0.
    #[error("a command cannot be read: {0}")]
    Amf0(#[from] Amf0Error),
    /// A command lacks what it must have, or comes in the wrong order.
    #[error("the command {command:?} {problem}")]
    Command {
        /// Its name.
        command: &'static str,
        /// What is wrong, completing "the command X …".
        problem: &'static str,
    },
    /// The peer asks for answers without the caller being able to send them.
    #[error("more than {0} bytes of answers wait to be sent")]
    Output(usize),
}

#[cfg(test)]
mod tests;
