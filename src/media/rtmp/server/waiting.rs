//! Media that comes between `publish` and its answer.

use crate::media::rtmp::{Limits, Message, RtmpError};

/// A bounded queue.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    messages: Vec<Message>,
    bytes: usize,
}

impl Waiting {
    /// Keeps a message; an error when the bounds are reached, since a dropped one would be a hole in the recording.
    pub(super) fn push(&mut self, message: Message, limits: &Limits) -> Result<(), RtmpError> {
        self.bytes += message.payload.len();
        if self.bytes > limits.waiting_bytes || self.messages.len() >= limits.waiting_messages {
            return Err(RtmpError::Waiting);
        }
        self.messages.push(message);
        Ok(())
    }

    /// All of them, in order.
    pub(super) fn into_messages(self) -> impl Iterator<Item = Message> {
        self.messages.into_iter()
    }
}
