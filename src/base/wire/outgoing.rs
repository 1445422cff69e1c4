//! An answer on its way out whose body need not be in memory: bytes, a file, or a stream.

use std::borrow::Cow;
use std::io;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::Stream;

use super::render::Reply;

/// A body that is made while it is sent; an error ends it before its end.
pub type ByteStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// What a body is made of.
pub enum Body {
    Bytes(Bytes),
    /// Of unknown length.
    Stream(ByteStream),
}

/// An answer, free of the web framework.
pub struct Outgoing {
    pub status: u16,
    /// Names in lower case, values in visible ASCII.
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    pub body: Body,
}

impl Outgoing {
    /// An answer of one content type.
    #[must_use]
    pub fn new(status: u16, content_type: &'static str, body: Body) -> Self {
        Self {
            status,
            headers: vec![("content-type", content_type.into())],
            body,
        }
    }

    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl From<Reply> for Outgoing {
    fn from(reply: Reply) -> Self {
        Self {
            status: reply.status,
            headers: reply.headers,
            body: Body::Bytes(reply.body),
        }
    }
}
