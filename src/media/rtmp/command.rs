//! Commands (RTMP 1.0 clause 7.2): read into a name, a transaction and arguments, and written.

use bytes::{Bytes, BytesMut};

use super::chunk_write::{ChunkWriter, MessageHeader};
use super::message::id;
use super::{Limits, RtmpError};
use crate::amf0::{self, Value};

/// Chunk stream on which commands go out.
const COMMAND_CHUNK_STREAM: u8 = 3;
/// Name and transaction, without which a message is no command.
const HEAD_VALUES: usize = 2;

/// A command as received.
#[derive(Debug, PartialEq)]
pub(super) struct Command {
    pub(super) name: String,
    /// 0 when the caller wants no answer.
    pub(super) transaction: f64,
    /// The command object or null.
    pub(super) object: Value,
    pub(super) arguments: Vec<Value>,
}

impl Command {
    pub(super) fn argument(&self, index: usize) -> Option<&Value> {
        self.arguments.get(index)
    }
}

/// Reads a command message.
pub(super) fn parse(payload: &Bytes, limits: &Limits) -> Result<Command, RtmpError> {
    if payload.len() > limits.command_bytes {
        return Err(RtmpError::MessageSize {
            size: payload.len(),
            limit: limits.command_bytes,
        });
    }
    // Encoders in the field write paths and names of their own in other encodings than UTF-8; what must be a name is looked at by whoever uses it.
    let (values, unreadable) = amf0::decode_readable(payload);
    // What lies behind the name and the transaction may be of another world: an AMF3 value, or bytes that the encoder forgot there.
    if let Some(error) = unreadable.filter(|_| values.len() < HEAD_VALUES) {
        return Err(error.into());
    }
    let mut values = values.into_iter();
    let Some(Value::String(name)) = values.next() else {
        return Err(RtmpError::Command {
            command: "",
            problem: "has no name",
        });
    };
    // Calls without a transaction are in use for notices that want no answer.
    let transaction = values.next().and_then(|value| value.as_number());
    Ok(Command {
        name,
        transaction: transaction.unwrap_or_default(),
        object: values.next().unwrap_or(Value::Null),
        arguments: values.collect(),
    })
}

/// Writes a command message.
pub(super) fn write(
    writer: &ChunkWriter,
    stream_id: u32,
    name: &str,
    transaction: f64,
    values: &[Value],
    output: &mut BytesMut,
) {
    let mut payload = BytesMut::new();
    amf0::encode_str(name, &mut payload);
    amf0::encode(&Value::Number(transaction), &mut payload);
    for value in values {
        amf0::encode(value, &mut payload);
    }
    let header = MessageHeader {
        chunk_stream: COMMAND_CHUNK_STREAM,
        type_id: id::COMMAND_AMF0,
        timestamp: 0,
        stream_id,
    };
    writer.write(header, &payload, output);
}

/// The information object of `onStatus` and of results.
pub(super) fn status(level: &str, code: &str, description: &str) -> Value {
    Value::Object(vec![
        ("level".into(), level.into()),
        ("code".into(), code.into()),
        ("description".into(), description.into()),
    ])
}
