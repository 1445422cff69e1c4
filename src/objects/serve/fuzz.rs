//! The port's parsers without a socket: the door of `tests/fuzz`, not an interface.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::auth;
use super::chunked::{Framing, Unframer};
use super::error::ServeError;
use super::request::Request;
use super::sign::{Now, v4};
use super::xml::{self, Complete, Cors, Delete, Tagging, Xml};
use crate::identity::{AccessKey, KeyRing};

/// A refusal: its code, and the text that should have been signed.
///
/// # What to do
/// It is compared: what the same request is refused with, however it was cut, must be the same refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: String,
    pub string_to_sign: Option<String>,
}

impl From<ServeError> for Refusal {
    fn from(error: ServeError) -> Self {
        let mut details = error.details.into_iter();
        Self {
            code: error.code.as_str().to_owned(),
            string_to_sign: details
                .find(|(name, _)| *name == "StringToSign")
                .map(|(_, text)| text),
        }
    }
}

/// Who is let in: the key's id, the bucket and the key that were meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    pub key_id: Option<String>,
    pub bucket: Option<String>,
    pub key: String,
}

/// Reads a request and checks its signature; `access_key` is the only key there is: id and secret.
///
/// # Errors
/// As the port would answer.
pub fn authenticate(
    method: &str,
    target: &str,
    headers: &[(String, Vec<u8>)],
    access_key: (&str, &str),
    now_ms: i64,
    buckets: &[String],
) -> Result<Admitted, Refusal> {
    let headers = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_slice()));
    let request = Request::new(method, target, headers)?;
    let now = Now {
        service_ms: now_ms,
        machine_ms: now_ms,
        offset_at: &|_| 0,
    };
    let keys = KeyRing::new(vec![AccessKey {
        id: access_key.0.to_owned(),
        secret: access_key.1.to_owned(),
        token: None,
        disabled: false,
    }]);
    let caller = auth::authenticate(
        &request,
        &keys,
        now,
        true,
        buckets,
        super::base::bucket_before(request.host(), None).as_deref(),
    )?;
    Ok(Admitted {
        bucket: caller.reading.bucket().map(str::to_owned),
        key: caller.reading.key().to_owned(),
        key_id: caller.key_id,
    })
}

/// The signing key of a version 4 scope; `aws` chooses between the two families.
#[must_use]
pub fn signing_key(aws: bool, secret: &str, scope: &str) -> Vec<u8> {
    let family = if aws { &v4::AWS4 } else { &v4::OSS4 };
    family.signing_key(secret, scope)
}

/// Signed chunks: key, date, scope and the request's signature.
pub type ChunkSigner<'a> = (&'a [u8], &'a str, &'a str, &'a str);

/// Takes the frame off an `aws-chunked` body that comes in pieces: payload and trailers.
///
/// # Errors
/// As the port would answer.
pub fn unframe(
    pieces: &[Bytes],
    signer: Option<ChunkSigner<'_>>,
) -> Result<(Vec<u8>, BTreeMap<String, String>), Refusal> {
    let framing = match signer {
        Some((key, date, scope, signature)) => {
            Framing::signed_from(key.to_vec(), date, scope, signature)
        }
        None => Framing::unsigned(),
    };
    let mut unframer = Unframer::new(framing);
    let mut payload = Vec::new();
    for piece in pieces {
        for part in unframer.feed(piece.clone())? {
            payload.extend_from_slice(&part);
        }
    }
    Ok((payload, unframer.finish()?))
}

/// Reads a body as each of the documents; what each turned out to hold.
#[must_use]
pub fn read_documents(body: &[u8]) -> [Option<String>; 4] {
    [
        xml::parse::<Complete>(body)
            .ok()
            .map(|it| format!("{it:?}")),
        xml::parse::<Delete>(body).ok().map(|it| format!("{it:?}")),
        xml::parse::<Cors>(body).ok().map(|it| format!("{it:?}")),
        xml::parse::<Tagging>(body).ok().map(|it| format!("{it:?}")),
    ]
}

/// A text through the writer and back through the reader.
#[must_use]
pub fn through_xml(text: &str) -> Option<String> {
    let mut document = Xml::new("Delete", None, false);
    document.nest("Object", |xml| {
        xml.text("Key", text);
    });
    let delete: Delete = xml::parse(document.finish().as_bytes()).ok()?;
    delete.objects.into_iter().next().map(|object| object.key)
}
