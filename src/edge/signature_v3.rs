//! ACS3-HMAC-SHA256: the signature of current SDKs, carried in the `Authorization` header.
//!
//! What: a canonical request (method, path, canonical query, the headers that the client lists, their list, the hash of the
//! body) is hashed, and `ACS3-HMAC-SHA256` with that hash is signed with the plain secret; the result is hexadecimal. A form
//! body takes part by its hash only.
//!
//! Why the client's own header list: SDKs sign different sets (one leaves `host` out, one adds `user-agent`), so a fixed set
//! would refuse real clients. What may not be left out is checked here: the headers that select the action and its time,
//! and every other `x-acs-` header that is present, since the gateway acts on those. ACS3-HMAC-SM3 is known and refused.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use thiserror::Error;

use crate::error::{ApiError, Code};
use crate::wire::http_parts::HttpParts;
use crate::wire::params::Pair;
use crate::wire::percent;

/// The one algorithm that is supported; also the scheme word of the header.
pub const ALGORITHM: &str = "ACS3-HMAC-SHA256";
/// Headers that have to be signed.
pub const REQUIRED: [&str; 4] = ["x-acs-action", "x-acs-version", "x-acs-date", CONTENT_HASH];
/// Most names in SignedHeaders.
pub const MAX_SIGNED_HEADERS: usize = 64;
/// Longest Authorization header, in bytes.
pub const MAX_AUTHORIZATION: usize = 8 * 1024;

const CONTENT_HASH: &str = "x-acs-content-sha256";
/// How the names of the headers begin that the gateway acts upon.
const ACTED_UPON: &str = "x-acs-";

/// Why an ACS3 signature is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SignatureError {
    /// Another `ACS3-` algorithm, such as ACS3-HMAC-SM3.
    #[error("the signature algorithm {0} is not supported")]
    Algorithm(String),
    /// The header cannot be read.
    #[error("the Authorization header is malformed: {0}")]
    Malformed(&'static str),
    /// A header that must be signed is not in SignedHeaders.
    #[error("the header {0} must be signed")]
    Unsigned(String),
    /// A header in SignedHeaders is not in the request.
    #[error("the signed header {0} is absent")]
    Absent(String),
    /// `x-acs-content-sha256` is not the hash of the body.
    #[error("x-acs-content-sha256 is not the hash of the body")]
    BodyHash,
    /// The signature is another one than ours.
    #[error("the signature does not match")]
    Mismatch {
        /// What the client should have signed.
        string_to_sign: String,
        /// What the string to sign is the hash of.
        canonical_request: String,
    },
}

impl From<SignatureError> for ApiError {
    fn from(error: SignatureError) -> Self {
        match error {
            SignatureError::Algorithm(_) => {
                ApiError::coded(Code::InvalidSignatureMethod).with_hint(error)
            }
            SignatureError::Mismatch {
                string_to_sign,
                canonical_request,
            } => ApiError::signature_v3_mismatch(&string_to_sign, &canonical_request),
            // A changed body is a changed request. The colon is for SDKs that cut this code's message at it.
            SignatureError::BodyHash => ApiError::coded(Code::SignatureDoesNotMatch).with_message(
                format!("Specified signature does not match our calculation: {error}"),
            ),
            SignatureError::Malformed(_)
            | SignatureError::Unsigned(_)
            | SignatureError::Absent(_) => ApiError::incomplete_signature(&error.to_string()),
        }
    }
}

/// The parts of a request that are signed.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// HTTP method.
    pub method: &'a str,
    /// Path as sent, `/` for RPC.
    pub path: &'a str,
    /// Decoded pairs of the query alone, without the form's.
    pub query: &'a [Pair<'a>],
    /// All headers as sent.
    pub headers: &'a [(String, String)],
    /// The raw body.
    pub body: &'a [u8],
}

impl<'a> Parts<'a> {
    fn values(&self, name: &str) -> impl Iterator<Item = &'a str> {
        let headers = self.headers;
        headers
            .iter()
            .filter(move |(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }
}

/// A parsed `Authorization` header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization<'a> {
    /// The access key id.
    pub credential: &'a str,
    /// The SignedHeaders list as sent.
    pub signed_headers: &'a str,
    /// The signature, hexadecimal.
    pub signature: &'a str,
}

/// Whether a request is signed in the header style.
#[must_use]
pub fn is_acs3(parts: &HttpParts) -> bool {
    parts
        .header("authorization")
        .is_some_and(Authorization::is_acs3)
        || (parts.header("x-acs-bearer-token").is_some() && parts.header("x-acs-action").is_some())
}

impl<'a> Authorization<'a> {
    /// Whether a header value is of this scheme, whatever its algorithm.
    #[must_use]
    pub fn is_acs3(header: &str) -> bool {
        header
            .trim_start()
            .get(..5)
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case("ACS3-"))
    }

    /// Reads `ACS3-HMAC-SHA256 Credential=…,SignedHeaders=…,Signature=…`, the fields in any order.
    ///
    /// # Errors
    /// Another algorithm, or a field that is absent, empty or given twice.
    pub fn parse(header: &'a str) -> Result<Self, SignatureError> {
        if header.len() > MAX_AUTHORIZATION {
            return Err(SignatureError::Malformed("it is too long"));
        }
        let (algorithm, fields) = header
            .trim()
            .split_once(' ')
            .ok_or(SignatureError::Malformed("it has no fields"))?;
        if algorithm != ALGORITHM {
            return Err(SignatureError::Algorithm(algorithm.to_owned()));
        }
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for field in fields.split(',') {
            let (name, value) = field
                .trim()
                .split_once('=')
                .ok_or(SignatureError::Malformed("a field has no value"))?;
            let slot = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => continue,
            };
            if slot.replace(value).is_some() {
                return Err(SignatureError::Malformed("a field is given twice"));
            }
        }
        let given = |slot: Option<&'a str>, what| {
            slot.filter(|v| !v.is_empty())
                .ok_or(SignatureError::Malformed(what))
        };
        Ok(Self {
            credential: given(credential, "Credential is absent")?,
            signed_headers: given(signed_headers, "SignedHeaders is absent")?,
            signature: given(signature, "Signature is absent")?,
        })
    }
}

/// The canonical request for a list of signed headers (`a;b;c`) and a body hash.
///
/// # Errors
/// A listed header is absent.
pub fn canonical_request(
    parts: &Parts<'_>,
    signed_headers: &str,
    body_hash: &str,
) -> Result<String, SignatureError> {
    let mut out = String::with_capacity(512);
    out.push_str(parts.method);
    out.make_ascii_uppercase();
    out.push('\n');
    out.push_str(if parts.path.is_empty() {
        "/"
    } else {
        parts.path
    });
    out.push('\n');
    let mut sorted: Vec<&Pair<'_>> = parts.query.iter().collect();
    sorted.sort_unstable();
    for (at, (name, value)) in sorted.into_iter().enumerate() {
        if at > 0 {
            out.push('&');
        }
        percent::encode_into(&mut out, name);
        out.push('=');
        percent::encode_into(&mut out, value);
    }
    out.push('\n');
    for name in signed_headers.split(';') {
        out.push_str(name);
        let mut separator = ':';
        for value in parts.values(name) {
            out.push(separator);
            out.push_str(value);
            separator = ',';
        }
        if separator == ':' {
            return Err(SignatureError::Absent(name.to_owned()));
        }
        out.push('\n');
    }
    out.push('\n');
    out.push_str(signed_headers);
    out.push('\n');
    out.push_str(body_hash);
    Ok(out)
}

/// The text that is signed.
#[must_use]
pub fn string_to_sign(canonical_request: &str) -> String {
    let mut out = String::with_capacity(ALGORITHM.len() + 65);
    out.push_str(ALGORITHM);
    out.push('\n');
    push_hex(
        &mut out,
        Sha256::digest(canonical_request.as_bytes()).into(),
    );
    out
}

/// The hexadecimal hash of a body, as `x-acs-content-sha256` carries it.
#[must_use]
pub fn body_hash(body: &[u8]) -> String {
    let mut out = String::with_capacity(64);
    push_hex(&mut out, Sha256::digest(body).into());
    out
}

/// Signs a request that already carries its `x-acs-` headers and gives the Authorization header for it.
///
/// # Errors
/// A header of `signed_headers` is absent from the request.
pub fn sign(
    parts: &Parts<'_>,
    access_key_id: &str,
    secret: &str,
    signed_headers: &str,
) -> Result<String, SignatureError> {
    let canonical = canonical_request(parts, signed_headers, &body_hash(parts.body))?;
    let signature = signature(secret, &string_to_sign(&canonical));
    Ok(format!(
        "{ALGORITHM} Credential={access_key_id},SignedHeaders={signed_headers},Signature={signature}"
    ))
}

/// Checks a parsed header against the request with the caller's secret, in constant time.
///
/// # Errors
/// The signed set is too small, the body is another one, or the signature does not match.
pub fn verify(
    parts: &Parts<'_>,
    authorization: &Authorization<'_>,
    secret: &str,
) -> Result<(), SignatureError> {
    require_signed(parts, authorization.signed_headers)?;
    let hash = body_hash(parts.body);
    let claimed = parts.values(CONTENT_HASH).next().unwrap_or_default();
    if !claimed.eq_ignore_ascii_case(&hash) {
        return Err(SignatureError::BodyHash);
    }
    let canonical_request = canonical_request(parts, authorization.signed_headers, claimed)?;
    let string_to_sign = string_to_sign(&canonical_request);
    let expected = signature(secret, &string_to_sign);
    if bool::from(
        expected
            .as_bytes()
            .ct_eq(authorization.signature.as_bytes()),
    ) {
        Ok(())
    } else {
        Err(SignatureError::Mismatch {
            string_to_sign,
            canonical_request,
        })
    }
}

fn require_signed(parts: &Parts<'_>, signed_headers: &str) -> Result<(), SignatureError> {
    if signed_headers.split(';').count() > MAX_SIGNED_HEADERS {
        return Err(SignatureError::Malformed("SignedHeaders is too long"));
    }
    if signed_headers.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(SignatureError::Malformed(
            "SignedHeaders has upper-case letters",
        ));
    }
    let signed = |name: &str| {
        let mut listed = signed_headers.split(';');
        listed.any(|listed| listed.eq_ignore_ascii_case(name))
    };
    if let Some(name) = REQUIRED.into_iter().find(|name| !signed(name)) {
        return Err(SignatureError::Unsigned(name.to_owned()));
    }
    let acted_upon = |name: &str| {
        let start = name.get(..ACTED_UPON.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(ACTED_UPON))
    };
    let names = parts.headers.iter().map(|(name, _)| name.as_str());
    match names.filter(|n| acted_upon(n)).find(|name| !signed(name)) {
        Some(name) => Err(SignatureError::Unsigned(name.to_ascii_lowercase())),
        None => Ok(()),
    }
}

pub(crate) fn signature(secret: &str, string_to_sign: &str) -> String {
    let mut out = String::with_capacity(64);
    // HMAC takes keys of every length (RFC 2104 section 2), so the error cannot occur; an empty text would match nothing.
    if let Ok(mut mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(secret.as_bytes()) {
        mac.update(string_to_sign.as_bytes());
        push_hex(&mut out, mac.finalize().into_bytes().into());
    }
    out
}

/// The types say that the digits fit, so nothing is left out.
fn push_hex(out: &mut String, digest: [u8; 32]) {
    let mut digits = [0; 64];
    if hex::encode_to_slice(digest, &mut digits).is_ok()
        && let Ok(digits) = std::str::from_utf8(&digits)
    {
        out.push_str(digits);
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod wire;
