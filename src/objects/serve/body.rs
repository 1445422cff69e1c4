//! Request bodies: documents read whole up to a limit, objects streamed into the store with their digests checked.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use actix_web::error::PayloadError;
use actix_web::web::{self, Bytes};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;

use super::Context;
use super::auth::Payload;
use super::checksum::Checks;
use super::chunked::Unframer;
use super::code::Code;
use super::error::ServeError;
use super::pace::Pace;
use crate::clock::{machine_timeout, monotonic};
use crate::connection::Line;
use crate::folder::{Draft, Finished, FolderError};

/// Largest XML document.
pub const MAX_DOCUMENT_BYTES: usize = 1024 * 1024;
/// Largest object of one request (OSS and S3: 5 GB).
pub const MAX_OBJECT_BYTES: u64 = 5 * 1024 * 1024 * 1024;
/// What is read and thrown away before a refusal, so that a client still sending sees it.
const MAX_DRAINED_BYTES: usize = 64 * 1024 * 1024;

/// How long that may take.
const DRAIN_PATIENCE: Duration = Duration::from_secs(5);
/// The longest pause inside a body.
const PAUSE: Duration = Duration::from_secs(15);
/// A body is given this long, and beyond it must have come at [`LEAST_RATE`] on average.
const FIRST_PATIENCE: Duration = Duration::from_secs(20);
/// Bytes a second.
const LEAST_RATE: u64 = 1024;

/// A request's body as it arrives. A client that sends a byte at a time does not hold its connection for ever.
pub struct Body {
    payload: web::Payload,
    line: Option<Rc<Line>>,
    /// The client waits to be asked.
    held_back: bool,
    /// No body was announced: what follows is another protocol's (`CONNECT`, `Upgrade`), and has no end.
    unannounced: bool,
    began: Instant,
    read: u64,
    ended: bool,
    timed_out: bool,
    pace: Option<Pace>,
}

impl Body {
    /// `held_back`: the client sends it only when asked (`Expect: 100-continue`).
    pub fn new(payload: web::Payload, line: Option<Rc<Line>>, held_back: bool) -> Self {
        Self {
            payload,
            line,
            held_back,
            unannounced: false,
            began: monotonic(),
            read: 0,
            ended: false,
            timed_out: false,
            pace: None,
        }
    }

    /// Nothing of what follows the head is read.
    pub fn leave(&mut self) {
        self.unannounced = true;
    }

    /// From now on no faster than this.
    pub fn keep_pace(&mut self, pace: Option<Pace>) {
        self.pace = pace;
    }

    /// The body where there is more of it.
    pub fn into_unread(self) -> Option<web::Payload> {
        (!self.ended).then_some(self.payload)
    }

    fn poll(&mut self, cx: &mut TaskContext<'_>) -> Poll<Option<Result<Bytes, PayloadError>>> {
        let polled = self.payload.poll_next_unpin(cx);
        if let Some(line) = &self.line {
            line.wait_for_body(polled.is_pending());
            if polled.is_pending() && std::mem::take(&mut self.held_back) {
                line.ask_for_body();
            }
        }
        polled
    }

    /// The next bytes, none at the end.
    pub async fn next(&mut self) -> Option<Result<Bytes, ServeError>> {
        if self.unannounced {
            return None;
        }
        let due = FIRST_PATIENCE + Duration::from_secs(self.read / LEAST_RATE);
        let patience = PAUSE.min(due.saturating_sub(self.began.elapsed()));
        match machine_timeout(patience, poll_fn(|cx| self.poll(cx))).await {
            Some(Some(Ok(bytes))) => {
                self.read += bytes.len() as u64;
                if let Some(pace) = &mut self.pace {
                    pace.keep(bytes.len() as u64).await;
                }
                Some(Ok(bytes))
            }
            Some(Some(Err(error))) => Some(Err(ServeError::new(
                Code::IncompleteBody,
                if self.line.as_ref().is_some_and(|line| line.is_broken()) {
                    "The request body is not in chunks as RFC 9112 section 7.1 has them.".to_owned()
                } else {
                    format!("The request body broke off: {error}.")
                },
            ))),
            Some(None) => {
                self.ended = true;
                None
            }
            None => {
                self.timed_out = true;
                Some(Err(ServeError::of(Code::RequestTimeout)))
            }
        }
    }

    /// Reads and drops what is left, within bounds. Whoever was not asked for a body has sent none.
    pub async fn drain(&mut self) {
        if self.timed_out || self.held_back || self.unannounced {
            return;
        }
        let reading = async {
            let mut dropped = 0;
            while let Some(Ok(bytes)) = poll_fn(|cx| self.poll(cx)).await {
                dropped += bytes.len();
                if dropped > MAX_DRAINED_BYTES {
                    return false;
                }
            }
            true
        };
        self.ended = machine_timeout(DRAIN_PATIENCE, reading).await == Some(true);
    }
}

/// Reads a document whole and checks its announced digests.
pub async fn document(context: &Context<'_>, payload: &mut Body) -> Result<Vec<u8>, ServeError> {
    whole(context, payload, Checksums::OfBody).await
}

/// As [`document`], where the headers `x-amz-checksum-*` are those of an object: of the one that `CompleteMultipartUpload` puts together.
pub async fn document_about_object(
    context: &Context<'_>,
    payload: &mut Body,
) -> Result<Vec<u8>, ServeError> {
    whole(context, payload, Checksums::OfObject).await
}

async fn whole(
    context: &Context<'_>,
    payload: &mut Body,
    checksums: Checksums,
) -> Result<Vec<u8>, ServeError> {
    let mut body = Vec::new();
    let mut intake = Intake::new(context, checksums)?;
    while let Some(bytes) = payload.next().await {
        for part in intake.take(bytes?)? {
            if body.len() + part.len() > MAX_DOCUMENT_BYTES {
                return Err(too_large("The document is larger than 1 MB."));
            }
            body.extend_from_slice(&part);
        }
    }
    intake.finish(md5_of(&body))?;
    Ok(body)
}

/// Streams a body into a draft and checks everything that was announced of it.
pub async fn object(context: &Context<'_>, payload: &mut Body) -> Result<Finished, ServeError> {
    let announced = context
        .request
        .header("content-length")
        .and_then(|text| text.parse::<u64>().ok());
    if announced.is_some_and(|length| length > MAX_OBJECT_BYTES) {
        return Err(too_large(
            "Your proposed upload exceeds the maximum allowed object size.",
        ));
    }
    if announced.is_none() && context.request.header("transfer-encoding").is_none() {
        return Err(ServeError::of(Code::MissingContentLength));
    }
    let mut draft = context.store().draft().await?;
    let mut intake = Intake::new(context, Checksums::OfBody)?;
    while let Some(bytes) = payload.next().await {
        for part in intake.take(bytes?)? {
            store_part(&mut draft, part).await?;
        }
    }
    if let Some(wanted) = context
        .request
        .header("x-amz-decoded-content-length")
        .and_then(|text| text.parse::<u64>().ok())
        && draft.size() != wanted
    {
        return Err(ServeError::new(
            Code::IncompleteBody,
            "You did not provide the number of bytes specified by the x-amz-decoded-content-length HTTP header.",
        ));
    }
    let finished = draft.finish().await?;
    intake.finish(finished.md5)?;
    if let Some(wanted) = context.request.header("x-oss-hash-crc64ecma")
        && wanted != finished.crc64.to_string()
    {
        return Err(ServeError::new(
            Code::InvalidArgument,
            "The x-oss-hash-crc64ecma you specified did not match the bytes received.",
        ));
    }
    Ok(finished)
}

/// Adds bytes to a draft within the size limit.
pub async fn store_part(draft: &mut Draft, part: Bytes) -> Result<(), ServeError> {
    if draft.size() + part.len() as u64 > MAX_OBJECT_BYTES {
        return Err(too_large(
            "Your proposed upload exceeds the maximum allowed object size.",
        ));
    }
    Ok(draft.write(part).await?)
}

pub fn too_large(message: &'static str) -> ServeError {
    ServeError::new(Code::EntityTooLarge, message)
}

fn md5_of(body: &[u8]) -> [u8; 16] {
    use md5::Digest as _;
    md5::Md5::digest(body).into()
}

/// What the headers `x-amz-checksum-*` are the digests of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Checksums {
    OfBody,
    /// Of something that the body speaks of: they say nothing of its bytes.
    OfObject,
}

/// Takes off a body's frame and runs the announced digests over what is inside.
struct Intake {
    unframer: Option<Unframer>,
    checks: Checks,
    md5: Option<String>,
}

impl Intake {
    fn new(context: &Context<'_>, checksums: Checksums) -> Result<Self, ServeError> {
        let request = context.request;
        let mut checks = Checks::default();
        if let Payload::Sha256(hash) = &context.caller.payload {
            checks.expect("x-amz-content-sha256", Some(hash));
        }
        for (name, value) in request
            .headers()
            .filter(|(name, _)| name.starts_with("x-amz-checksum-"))
            .filter(|_| checksums == Checksums::OfBody)
        {
            checks.expect(name, Some(value));
        }
        let unframer = match &context.caller.payload {
            Payload::Framed(framing) => {
                for name in request
                    .header("x-amz-trailer")
                    .unwrap_or_default()
                    .split(',')
                {
                    checks.expect(name, None);
                }
                Some(Unframer::new(framing.clone()))
            }
            Payload::Unsigned | Payload::Sha256(_) => None,
        };
        // A header that is no digest at all is another mistake than one of other bytes, and S3 tells them apart.
        let md5 = match request.header("content-md5") {
            None => None,
            Some(text) => match STANDARD.decode(text) {
                Ok(digest) if digest.len() == 16 => Some(text.to_owned()),
                _ => {
                    return Err(ServeError::of(Code::ContentMd5Malformed)
                        .with("Content-MD5", text.to_owned()));
                }
            },
        };
        Ok(Self {
            unframer,
            checks,
            md5,
        })
    }

    fn take(&mut self, bytes: Bytes) -> Result<Vec<Bytes>, ServeError> {
        let parts = match &mut self.unframer {
            Some(unframer) => unframer.feed(bytes)?,
            None => vec![bytes],
        };
        for part in &parts {
            self.checks.update(part);
        }
        Ok(parts)
    }

    fn finish(self, md5: [u8; 16]) -> Result<(), ServeError> {
        let trailers = match self.unframer {
            Some(unframer) => unframer.finish()?,
            None => Default::default(),
        };
        self.checks.finish(|name| trailers.get(name).cloned())?;
        match self.md5 {
            Some(wanted) if wanted != STANDARD.encode(md5) => {
                Err(ServeError::of(Code::ContentMd5Mismatch).with("Content-MD5", wanted))
            }
            _ => Ok(()),
        }
    }
}

impl From<std::io::Error> for ServeError {
    fn from(error: std::io::Error) -> Self {
        FolderError::from(error).into()
    }
}
