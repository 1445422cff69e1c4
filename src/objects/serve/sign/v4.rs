//! Signature version 4 as OSS (`OSS4-HMAC-SHA256`) and S3 (`AWS4-HMAC-SHA256`) write it, in headers and in URLs. The
//! two differ in words, in which headers are signed, and in that OSS always puts the bucket into the canonical path.

use sha2::{Digest as _, Sha256};

use super::{encode, encode_path, hmac_sha256, mismatch, parse_basic_date, parse_http_date, same};
use crate::serve::address::Reading;
use crate::serve::code::Code;
use crate::serve::error::ServeError;
use crate::serve::request::Request;

/// Longest life of a signed URL, in seconds.
const MAX_EXPIRES: i64 = 7 * 24 * 3600;

/// The words of one family.
#[derive(Debug, PartialEq, Eq)]
pub struct Family {
    pub algorithm: &'static str,
    key_prefix: &'static str,
    terminator: &'static str,
    service: &'static str,
    /// Prefix of the family's own headers.
    headers: &'static str,
    credential: &'static str,
    date: &'static str,
    expires: &'static str,
    signature: &'static str,
    signed_headers: &'static str,
    authorization_headers: &'static str,
}

impl Family {
    /// The key that a scope derives from a secret.
    pub fn signing_key(&self, secret: &str, scope: &str) -> Vec<u8> {
        let start = format!("{}{secret}", self.key_prefix).into_bytes();
        scope
            .split('/')
            .fold(start, |key, part| hmac_sha256(&key, part.as_bytes()))
    }
}

/// `OSS4-HMAC-SHA256`.
pub const OSS4: Family = Family {
    algorithm: "OSS4-HMAC-SHA256",
    key_prefix: "aliyun_v4",
    terminator: "aliyun_v4_request",
    service: "oss",
    headers: "x-oss-",
    credential: "x-oss-credential",
    date: "x-oss-date",
    expires: "x-oss-expires",
    signature: "x-oss-signature",
    signed_headers: "x-oss-additional-headers",
    authorization_headers: "AdditionalHeaders",
};

/// `AWS4-HMAC-SHA256`.
pub const AWS4: Family = Family {
    algorithm: "AWS4-HMAC-SHA256",
    key_prefix: "AWS4",
    terminator: "aws4_request",
    service: "s3",
    headers: "x-amz-",
    credential: "X-Amz-Credential",
    date: "X-Amz-Date",
    expires: "X-Amz-Expires",
    signature: "X-Amz-Signature",
    signed_headers: "X-Amz-SignedHeaders",
    authorization_headers: "SignedHeaders",
};

/// What a request of this version carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub family: &'static Family,
    pub key_id: String,
    pub signature: String,
    /// `20261122T151056Z`; the Go SDK of version 1 signs the text of the Date header in its place.
    pub date: String,
    pub date_ms: i64,
    /// `20261122/cn-shanghai/oss/aliyun_v4_request`.
    pub scope: String,
    /// AWS4: all signed headers; OSS4: those beyond the ones always signed. Lower case.
    listed: Vec<String>,
    /// Seconds a URL lives; none for a header.
    pub expires_s: Option<i64>,
}

impl Claim {
    /// The claim of an Authorization header, `rest` being what follows the algorithm.
    pub fn in_header(
        family: &'static Family,
        request: &Request,
        rest: &str,
    ) -> Result<Self, ServeError> {
        let field = |name: &str| {
            rest.split(',')
                .find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='))
                .map(str::to_owned)
        };
        let own = request.header(&family.date.to_ascii_lowercase());
        let plain = || request.header("date").filter(|_| *family == OSS4);
        let date = own.or_else(plain).unwrap_or_default().to_owned();
        let parts = (
            field("Credential"),
            field("Signature"),
            field(family.authorization_headers),
        );
        let (Some(credential), Some(signature), listed) = parts else {
            return Err(malformed(family, false, "needs Credential and Signature"));
        };
        Self::build(
            family,
            &credential,
            signature,
            date,
            &listed.unwrap_or_default(),
            None,
        )
    }

    /// The claim of a signed URL.
    pub fn in_url(family: &'static Family, request: &Request) -> Result<Self, ServeError> {
        let need = |name: &str| {
            request
                .param(name)
                .ok_or_else(|| malformed(family, true, &format!("needs {name} in a URL")))
        };
        let expires: i64 = need(family.expires)?.parse().unwrap_or(-1);
        if !(1..=MAX_EXPIRES).contains(&expires) {
            return Err(malformed(
                family,
                true,
                "lets a URL live from 1 to 604800 seconds",
            ));
        }
        Self::build(
            family,
            need(family.credential)?,
            need(family.signature)?.to_owned(),
            need(family.date)?.to_owned(),
            request.param(family.signed_headers).unwrap_or_default(),
            Some(expires),
        )
    }

    fn build(
        family: &'static Family,
        credential: &str,
        signature: String,
        date: String,
        listed: &str,
        expires_s: Option<i64>,
    ) -> Result<Self, ServeError> {
        let malformed = |need: &str| malformed(family, expires_s.is_some(), need);
        let (key_id, scope) = credential
            .split_once('/')
            .ok_or_else(|| malformed("needs a scope in its credential"))?;
        let plain = || parse_http_date(&date).filter(|_| *family == OSS4);
        let date_ms = parse_basic_date(&date).or_else(plain).ok_or_else(|| {
            malformed(&format!(
                "needs {} in the form YYYYMMDDTHHMMSSZ",
                family.date
            ))
        })?;
        let mut scope_parts = scope.split('/');
        let (day, _region) = (
            scope_parts.next().unwrap_or_default(),
            scope_parts.next().unwrap_or_default(),
        );
        let service = scope_parts.next();
        // OSS's S3-compatible endpoint takes both service names, since its clients sign for either.
        let good = day == day_of(date_ms)
            && (service == Some(family.service)
                || (family.service == "s3" && service == Some("oss")))
            && scope_parts.next() == Some(family.terminator)
            && scope_parts.next().is_none();
        if !good {
            return Err(malformed(
                "needs a scope of date, region, service and terminator",
            ));
        }
        let mut listed: Vec<_> = listed
            .split(';')
            .filter(|name| !name.is_empty())
            .map(str::to_ascii_lowercase)
            .collect();
        listed.sort_unstable();
        listed.dedup();
        Ok(Self {
            family,
            key_id: key_id.to_owned(),
            signature,
            date,
            date_ms,
            scope: scope.to_owned(),
            listed,
            expires_s,
        })
    }

    /// When a URL ends, in Unix milliseconds.
    pub fn expires_ms(&self) -> Option<i64> {
        self.expires_s
            .map(|seconds| self.date_ms.saturating_add(seconds * 1000))
    }

    /// The key that this claim's scope derives from a secret.
    pub fn signing_key(&self, secret: &str) -> Vec<u8> {
        self.family.signing_key(secret, &self.scope)
    }

    /// Whether the signature covers a header, by its lower-case name. The date and the digest of the body stand in the signed text
    /// besides the headers.
    pub fn covers(&self, name: &str) -> bool {
        let elsewhere = if self.family == &AWS4 {
            name == "x-amz-content-sha256" || (name == "x-amz-date" && self.expires_s.is_none())
        } else {
            name.starts_with(self.family.headers)
        };
        elsewhere || self.listed.iter().any(|listed| listed == name)
    }

    /// What the canonical request says of the body.
    pub fn payload_hash<'a>(&self, request: &'a Request) -> &'a str {
        let header = if self.family == &AWS4 {
            "x-amz-content-sha256"
        } else {
            "x-oss-content-sha256"
        };
        request.header(header).unwrap_or("UNSIGNED-PAYLOAD")
    }

    /// The canonical requests that clients may have signed under one reading: one for OSS; for S3 also the path
    /// re-encoded, because some HTTP libraries write it differently from what was signed.
    pub fn canonical_requests(&self, request: &Request, reading: &Reading) -> Vec<String> {
        if self.family == &OSS4 {
            return vec![self.canonical(request, &encode_path(&reading.resource()))];
        }
        let mut paths = vec![request.raw_path.clone()];
        let encoded = encode_path(&request.path);
        if !paths.contains(&encoded) {
            paths.push(encoded);
        }
        paths
            .iter()
            .map(|path| self.canonical(request, path))
            .collect()
    }

    fn canonical(&self, request: &Request, path: &str) -> String {
        let oss = self.family == &OSS4;
        let mut query: Vec<_> = request
            .query
            .iter()
            .filter(|(name, _)| self.expires_s.is_none() || name != self.family.signature)
            .map(|(name, value)| (encode(name), encode(value)))
            .collect();
        query.sort_unstable();
        let pairs: Vec<_> = query
            .into_iter()
            .map(|(name, value)| {
                if oss && value.is_empty() {
                    name
                } else {
                    format!("{name}={value}")
                }
            })
            .collect();
        let mut headers: Vec<(&str, String)> = Vec::new();
        for (name, value) in request.headers() {
            let always = oss
                && (matches!(name, "content-type" | "content-md5")
                    || name.starts_with(self.family.headers));
            if !always && !self.listed.iter().any(|listed| listed == name) {
                continue;
            }
            let value = if oss {
                value.to_owned()
            } else {
                value.split_whitespace().collect::<Vec<_>>().join(" ")
            };
            match headers.iter_mut().find(|(held, _)| *held == name) {
                Some((_, held)) => *held = format!("{held},{value}"),
                None => headers.push((name, value)),
            }
        }
        headers.sort_unstable();
        let lines: String = headers
            .iter()
            .map(|(name, value)| format!("{name}:{value}\n"))
            .collect();
        format!(
            "{}\n{path}\n{}\n{lines}\n{}\n{}",
            request.method,
            pairs.join("&"),
            self.listed.join(";"),
            self.payload_hash(request)
        )
    }

    /// The text that is signed for a canonical request.
    pub fn string_to_sign(&self, canonical: &str) -> String {
        let hash = hex::encode(Sha256::digest(canonical.as_bytes()));
        format!(
            "{}\n{}\n{}\n{hash}",
            self.family.algorithm, self.date, self.scope
        )
    }

    /// The signature under one reading of the address.
    pub fn signature_under(&self, request: &Request, reading: &Reading, secret: &str) -> String {
        let canonical = self.canonical_requests(request, reading);
        let text = self.string_to_sign(canonical.first().map_or("", String::as_str));
        hex::encode(hmac_sha256(&self.signing_key(secret), text.as_bytes()))
    }

    /// Checks the claim under one reading.
    pub fn verify(
        &self,
        request: &Request,
        reading: &Reading,
        secret: &str,
    ) -> Result<(), ServeError> {
        let malformed = |need: &str| malformed(self.family, self.expires_s.is_some(), need);
        if self.family == &AWS4 && !self.listed.iter().any(|name| name == "host") {
            return Err(malformed("must sign the Host header"));
        }
        let absent = |name: &&String| request.header(name).is_none();
        if self.family == &OSS4
            && let Some(absent) = self.listed.iter().find(absent)
        {
            return Err(malformed(&format!(
                "names the additional header {absent}, which did not come"
            )));
        }
        let key = self.signing_key(secret);
        let mut refusal = None;
        for canonical in self.canonical_requests(request, reading) {
            let text = self.string_to_sign(&canonical);
            if same(
                &hex::encode(hmac_sha256(&key, text.as_bytes())),
                &self.signature,
            ) {
                return Ok(());
            }
            refusal.get_or_insert_with(|| {
                mismatch(&self.key_id, &self.signature, &text, Some(&canonical))
            });
        }
        Err(refusal.unwrap_or_else(|| mismatch(&self.key_id, &self.signature, "", None)))
    }
}

/// The day of a moment as scopes write it: `20261122`.
fn day_of(unix_ms: i64) -> String {
    let moment = jiff::Timestamp::from_millisecond(unix_ms).unwrap_or_default();
    moment.strftime("%Y%m%d").to_string()
}

/// S3 has a code of its own for what is wrong in a URL.
fn malformed(family: &Family, in_url: bool, need: &str) -> ServeError {
    let code = if in_url && *family == AWS4 {
        Code::AuthorizationQueryParameters
    } else {
        Code::AuthorizationHeaderMalformed
    };
    ServeError::new(code, format!("The signature {} {need}.", family.algorithm))
}
