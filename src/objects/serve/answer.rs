//! An answer on its way out, and its form as an HTTP response.

use std::pin::Pin;

use actix_web::HttpResponse;
use actix_web::body::{BodySize, MessageBody, SizedStream};
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::Stream;

use super::code::Code;
use super::dialect::Dialect;
use super::error::ServeError;
use super::pace::Pace;
use super::sign::http_date;
use super::xml::Xml;
use crate::folder::ObjectReader;

/// The longest body that is read before its answer begins.
const SMALL_BYTES: u64 = 64 * 1024;

/// Status, headers and body.
pub struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Body,
    pace: Option<Pace>,
}

enum Body {
    Empty,
    Text(String),
    Object(ObjectReader),
    /// A small part of an object, which leaves with the head of the answer in one piece.
    Small(Bytes),
    /// What HEAD tells of a body that comes to nobody.
    Absent(u64),
}

impl Answer {
    pub fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Body::Empty,
            pace: None,
        }
    }

    pub fn xml(xml: Xml) -> Self {
        Self {
            status: 200,
            headers: vec![("content-type".into(), "application/xml".into())],
            body: Body::Text(xml.finish()),
            pace: None,
        }
    }

    /// # Errors
    /// When a small object cannot be read. Nothing was sent, so the door can still answer with a code.
    pub async fn object(status: u16, reader: ObjectReader) -> std::io::Result<Self> {
        let body = if reader.length() <= SMALL_BYTES {
            Body::Small(reader.into_bytes().await?)
        } else {
            Body::Object(reader)
        };
        Ok(Self {
            status,
            headers: Vec::new(),
            body,
            pace: None,
        })
    }

    pub fn head(length: u64) -> Self {
        Self {
            status: 200,
            headers: Vec::new(),
            body: Body::Absent(length),
            pace: None,
        }
    }

    /// A body of text that was made for this answer.
    pub fn text(content_type: &str, text: String) -> Self {
        Self {
            status: 200,
            headers: vec![("content-type".into(), content_type.into())],
            body: Body::Text(text),
            pace: None,
        }
    }

    /// A refusal. `head`: the document cannot come as a body, so OSS sends it in a header, where its SDKs look for the code.
    pub fn error(error: &ServeError, document: String, dialect: Dialect, head: bool) -> Self {
        let told = (head && dialect == Dialect::Oss).then(|| STANDARD.encode(&document));
        let mut answer = Self {
            status: error.code.status(),
            headers: Vec::new(),
            body: Body::Text(document),
            pace: None,
        };
        if error.code == Code::NotModified {
            answer.body = Body::Empty;
        } else {
            answer = answer.header("content-type", "application/xml");
        }
        if let Some(told) = told {
            answer = answer.header("x-oss-err", told);
        }
        for (name, value) in &error.headers {
            answer = answer.header(*name, value);
        }
        match error.code.ec() {
            Some(ec) if dialect == Dialect::Oss => answer.header("x-oss-ec", ec),
            _ => answer,
        }
    }

    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The body leaves no faster than this.
    #[must_use]
    pub fn pace(mut self, pace: Option<Pace>) -> Self {
        self.pace = pace;
        self
    }

    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The response; `head` leaves the body out and keeps its length. It is dated as objects are: clients take the date of their upload's
    /// answer for the object's.
    pub fn into_response(
        self,
        id: &str,
        dialect: Dialect,
        head: bool,
        now_ms: i64,
    ) -> HttpResponse {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = HttpResponse::build(status);
        response.insert_header((format!("{}request-id", dialect.prefix()), id));
        response.insert_header(("server", "AliyunOSS"));
        response.insert_header(("date", http_date(now_ms)));
        for (name, value) in self.headers {
            let name = HeaderName::from_bytes(name.as_bytes());
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes())) {
                response.insert_header((name, value));
            }
        }
        match self.body {
            Body::Empty => response.finish(),
            Body::Text(text) if head => response.body(Silence(text.len() as u64)),
            Body::Text(text) => response.body(text),
            Body::Absent(length) if head => response.body(Silence(length)),
            // Whoever reads by its length what GET announces would wait for it.
            Body::Absent(_) => response.finish(),
            Body::Small(bytes) if head => response.body(Silence(bytes.len() as u64)),
            Body::Small(bytes) => response.body(bytes),
            Body::Object(reader) if head => response.body(Silence(reader.length())),
            Body::Object(reader) => {
                let length = reader.length();
                let stream: Pin<Box<dyn Stream<Item = std::io::Result<Bytes>>>> = match self.pace {
                    Some(pace) => Box::pin(pace.slow(reader.into_stream())),
                    None => Box::pin(reader.into_stream()),
                };
                response.body(SizedStream::new(length, stream))
            }
        }
    }
}

/// A body that has a length and no bytes, for HEAD.
struct Silence(u64);

impl MessageBody for Silence {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.0)
    }

    fn poll_next(
        self: Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Bytes, Self::Error>>> {
        std::task::Poll::Ready(None)
    }
}
