//! Asking the upstream: one kept client, a deadline, a bound on what is read, and a look at what came before it is passed on.
//!
//! An upstream may be slow, endless or somebody else's server. Whatever it does, its answer is either a whole JSON object or XML document
//! with a status of its own, or a [`Failure`] that says in a few words what was wrong. Neither holds the key that we sign with.

use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use reqwest::{Client, Method, Response};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::answer::{self, Said, words};
use super::request::Signed;
use super::settings::Settings;
use crate::clock;
use crate::identity::AccessKey;
use crate::wire::percent;
use crate::wire::render::Format;

/// Calls that are under way at a time; what they may hold together is this many times the answer's limit.
const AT_ONCE: usize = 32;
/// Connections that are kept open while nothing is sent.
const IDLE_CONNECTIONS: usize = 32;
/// Machine time for a connection to be made, where the whole call may not take less.
const CONNECTING: Duration = Duration::from_secs(10);
/// Bytes that are reserved for an answer before it is known how long it is.
const RESERVED: usize = 8 * 1024;
/// Bytes of the headers that are passed on, names and values together: clients take no more than some tens of thousands.
const HEADERS: usize = 16 * 1024;
/// An access key's id, and a secret or a token, of this length or more are looked for in answers; shorter ones may be any word.
const TELLING_ID: usize = 16;
const TELLING_SECRET: usize = 8;

/// Headers of an answer that are passed on.
pub const PASSED: [&str; 12] = [
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "content-type",
    "retry-after",
    "x-acs-request-id",
    "x-acs-trace-id",
    "x-localyun-auth",
    "x-localyun-fault",
    "x-localyun-ignored",
    "x-localyun-note",
];

/// Why an upstream's answer is not passed on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error("no connection: {0}")]
    Connect(String),
    #[error("no answer within {} ms (setting --upstream-timeout)", .0.as_millis())]
    Late(Duration),
    #[error("the answer broke off: {0}")]
    Broke(String),
    #[error("the answer is larger than {0} bytes (setting --upstream-answer-limit)")]
    TooLarge(usize),
    #[error("the headers of the answer are larger than {0} bytes")]
    Headers(usize),
    #[error("it answered with the redirect {0}, which is not followed")]
    Redirect(u16),
    #[error("it answered with the status {0}")]
    Status(u16),
    #[error("the answer is packed as {0}, which was not asked for")]
    Packed(String),
    #[error("the answer with status {0} is {1}, neither JSON nor XML")]
    Kind(u16, String),
    #[error("the answer with status {0} is no whole {1} document")]
    Half(u16, &'static str),
    #[error("it does not take the key of --upstream-access-key: {0}")]
    Key(String),
    #[error("the answer repeats the key of --upstream-access-key")]
    Echo,
    #[error("the call came back here: the upstream leads to this server again")]
    Loop,
    #[error("the call cannot be signed for it: {0}")]
    Sign(String),
}

/// An answer that may be passed on.
#[derive(Debug, Clone)]
pub struct Arrived {
    pub status: u16,
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    pub body: Bytes,
    pub format: Format,
    pub said: Said,
}

/// The kept client.
pub struct Forwarder {
    http: Client,
    timeout: Duration,
    limit: usize,
    slots: Semaphore,
    /// What an answer must not have in it.
    telling: Vec<Vec<u8>>,
}

/// Why there is no client: what is wrong with the certificates to trust.
pub fn client(timeout: Duration, ca_file: Option<&Path>) -> Result<Client, String> {
    // Whoever came first has installed the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let plain = || {
        Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            // Plain answers are asked for; one that comes packed is unpacked piece by piece, within the limit.
            .gzip(true)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .connect_timeout(CONNECTING.min(timeout))
    };
    let mut builder = plain();
    if let Some(path) = ca_file {
        let pem = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let trusted = reqwest::Certificate::from_pem_bundle(&pem)
            .map_err(|error| format!("{}: {}", path.display(), cause(&error)))?;
        if trusted.is_empty() {
            let problem = "there is no certificate in it (PEM)";
            return Err(format!("{}: {problem}", path.display()));
        }
        builder = builder.tls_certs_only(trusted);
    }
    // A slim image has the certificate of no authority: an upstream on http:// needs none.
    let built = match (builder.build(), ca_file) {
        (Err(_), None) => plain().tls_certs_only(std::iter::empty()).build(),
        (built, _) => built,
    };
    built.map_err(|error| cause(&error))
}

/// The innermost reason: the outer ones repeat the address, with what was signed in it.
fn cause(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(inner) = innermost.source() {
        innermost = inner;
    }
    if innermost.downcast_ref::<reqwest::Error>().is_some() {
        return "the connection failed".to_owned();
    }
    words(&innermost.to_string())
}

impl Forwarder {
    /// # Errors
    /// What is wrong with the certificates to trust.
    pub fn new(settings: &Settings) -> Result<Self, String> {
        Ok(Self {
            http: client(settings.timeout, settings.ca_file.as_deref())?,
            timeout: settings.timeout,
            limit: settings.answer_limit,
            slots: Semaphore::new(AT_ONCE),
            telling: settings.key.as_ref().map(telling).unwrap_or_default(),
        })
    }

    /// Sends a signed request, with one more header, and reads the answer. With it comes its place among the calls under way, which is
    /// free again when it is dropped.
    pub async fn ask(
        &self,
        method: &str,
        signed: Signed,
        extra: (&str, &str),
    ) -> Result<(Arrived, SemaphorePermit<'_>), Failure> {
        let asking = async {
            let slot = self.slots.acquire().await;
            let slot = slot.map_err(|error| Failure::Broke(error.to_string()))?;
            let method = if method == "POST" {
                Method::POST
            } else {
                Method::GET
            };
            let mut request = self.http.request(method, signed.url);
            for (name, value) in signed.headers {
                request = request.header(name, value);
            }
            request = request
                .header(ACCEPT_ENCODING, "identity")
                .header(extra.0, extra.1);
            if !signed.body.is_empty() {
                request = request.body(signed.body);
            }
            let response = request.send().await.map_err(|error| {
                if error.is_connect() {
                    Failure::Connect(cause(&error))
                } else {
                    Failure::Broke(cause(&error))
                }
            })?;
            let arrived = self.read(response).await?;
            Ok((arrived, slot))
        };
        clock::machine_timeout(self.timeout, asking)
            .await
            .unwrap_or(Err(Failure::Late(self.timeout)))
    }

    async fn read(&self, mut response: Response) -> Result<Arrived, Failure> {
        let status = response.status().as_u16();
        match status {
            300..=399 => return Err(Failure::Redirect(status)),
            200..=599 => {}
            _ => return Err(Failure::Status(status)),
        }
        let text = |name| {
            let value = response.headers().get(name)?;
            Some(words(&String::from_utf8_lossy(value.as_bytes())))
        };
        // What could be unpacked has lost the header.
        match text(CONTENT_ENCODING) {
            None => {}
            Some(plain) if plain.eq_ignore_ascii_case("identity") => {}
            Some(packed) => return Err(Failure::Packed(packed)),
        }
        let kind = text(CONTENT_TYPE);
        let Some(format) = kind.as_deref().and_then(answer::format_of) else {
            let kind = kind.unwrap_or_else(|| "of no content type".to_owned());
            return Err(Failure::Kind(status, kind));
        };
        let announced = response.content_length().unwrap_or(0);
        if announced > u64::try_from(self.limit).unwrap_or(u64::MAX) {
            return Err(Failure::TooLarge(self.limit));
        }
        let headers = passed(response.headers());
        let lengths = headers.iter().map(|(name, value)| name.len() + value.len());
        if lengths.sum::<usize>() > HEADERS {
            return Err(Failure::Headers(HEADERS));
        }
        let mut body = BytesMut::with_capacity(RESERVED);
        loop {
            let piece = response.chunk().await;
            let Some(piece) = piece.map_err(|error| Failure::Broke(cause(&error)))? else {
                break;
            };
            if body.len() + piece.len() > self.limit {
                return Err(Failure::TooLarge(self.limit));
            }
            body.extend_from_slice(&piece);
        }
        let body = body.freeze();
        let said = answer::read(format, &body).ok_or(Failure::Half(status, format.name()))?;
        if let Some(code) = said.refuses_our_key() {
            return Err(Failure::Key(code.to_owned()));
        }
        let mut texts = headers.iter().map(|(_, value)| value.as_bytes());
        if repeats(&self.telling, &body) || texts.any(|text| repeats(&self.telling, text)) {
            return Err(Failure::Echo);
        }
        Ok(Arrived {
            status,
            headers,
            body,
            format,
            said,
        })
    }
}

fn passed(headers: &HeaderMap) -> Vec<(&'static str, Cow<'static, str>)> {
    let mut passed = Vec::with_capacity(PASSED.len());
    for name in PASSED {
        for value in headers.get_all(name) {
            if let Ok(value) = value.to_str() {
                passed.push((name, Cow::Owned(value.to_owned())));
            }
        }
    }
    passed
}

/// The upstream's id, secret and token, where they can be told from words, in the forms in which an answer repeats what it was asked: as they
/// are, encoded as in a URL, and with a slash escaped as some do in JSON.
fn telling(key: &AccessKey) -> Vec<Vec<u8>> {
    let token = key.token.as_deref().unwrap_or_default();
    let parts = [
        (key.id.as_str(), TELLING_ID),
        (&key.secret, TELLING_SECRET),
        (token, TELLING_SECRET),
    ];
    let mut forms: Vec<Vec<u8>> = parts
        .into_iter()
        .filter(|(part, least)| part.len() >= *least)
        .flat_map(|(part, _)| {
            let encoded = percent::encode(part);
            let small = with_small_digits(&encoded);
            [part.to_owned(), small, encoded, part.replace('/', "\\/")]
        })
        .map(String::into_bytes)
        .collect();
    forms.sort_unstable();
    forms.dedup();
    forms
}

/// An encoded text whose hexadecimal digits are small ones.
fn with_small_digits(encoded: &str) -> String {
    let mut pieces = encoded.split('%');
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2).unwrap_or((piece, ""));
        out.push('%');
        out.push_str(&digits.to_ascii_lowercase());
        out.push_str(rest);
    }
    out
}

fn repeats(telling: &[Vec<u8>], text: &[u8]) -> bool {
    telling.iter().any(|form| contains(text, form))
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    let Some(first) = part.first() else {
        return false;
    };
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        rest = rest.get(at..).unwrap_or_default();
        if rest.starts_with(part) {
            return true;
        }
        rest = rest.get(1..).unwrap_or_default();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_wherever_it_stands() {
        let key = |id: &str, secret: &str, token: Option<&str>| AccessKey {
            id: id.to_owned(),
            secret: secret.to_owned(),
            token: token.map(str::to_owned),
            disabled: false,
        };
        let long = key(
            "LTAI5tabcdefghijklmnop",
            "s-0123456789abcdef",
            Some("t-0123456789/ab+def"),
        );
        let long = telling(&long);
        for text in [
            "x LTAI5tabcdefghijklmnop",
            "LLTAI5tabcdefghijklmnop",
            "s-0123456789abcdef",
            "=t-0123456789/ab+def&",
            "=t-0123456789%2Fab%2Bdef&",
            "=t-0123456789%2fab%2bdef&",
            r#""t-0123456789\/ab+def""#,
        ] {
            assert!(repeats(&long, text.as_bytes()), "{text}");
        }
        assert!(!repeats(&long, b"LTAI5tabcdefghijklmno"));
        let short = telling(&key("testid", "secret", None));
        assert!(!repeats(&short, b"testid secret"));
    }

    #[test]
    fn only_headers_that_matter_go_on() {
        let mut headers = HeaderMap::new();
        headers.insert("set-cookie", "a=b".parse().unwrap());
        headers.insert("location", "http://elsewhere".parse().unwrap());
        headers.insert("x-acs-request-id", "A-1".parse().unwrap());
        headers.insert("content-type", "text/xml".parse().unwrap());
        let passed = passed(&headers);
        assert_eq!(
            passed,
            [
                ("content-type", "text/xml".into()),
                ("x-acs-request-id", "A-1".into())
            ]
        );
    }
}
