//! RPC signature V1: HMAC over the sorted, re-encoded parameters, carried as the parameter `Signature`.
//!
//! What: the string to sign is `METHOD&%2F&` and the canonical query encoded once more; the canonical query holds every
//! decoded pair of query and form but `Signature`, sorted by name as bytes. The key is the secret followed by `&`; the hash
//! is SHA-1 (`HMAC-SHA1`) or SHA-256 (`HMAC-SHA256`); the result is base64.
//!
//! Why from decoded values: clients spell space, `*` and `~` in different ways on the wire, yet all sign the same
//! re-encoded text, so the raw query is never looked at here. One buffer holds the string to sign; no pair is copied.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use thiserror::Error;

use crate::error::{ApiError, Code};
use crate::wire::params::Pairs;
use crate::wire::percent;

const SIGNATURE: &str = "Signature";

/// The hash a client chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `HMAC-SHA1`, what nearly every client sends.
    HmacSha1,
    /// `HMAC-SHA256`, an option of the PHP client.
    HmacSha256,
}

impl Method {
    /// The wire word of `SignatureMethod`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Method::HmacSha1 => "HMAC-SHA1",
            Method::HmacSha256 => "HMAC-SHA256",
        }
    }
}

/// Why a V1 signature is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SignatureError {
    /// No `Signature`, or an empty one.
    #[error("the request carries no Signature")]
    Missing,
    /// `SignatureMethod` is neither of the two.
    #[error("the signature method {0} is not supported")]
    Method(String),
    /// `SignatureVersion` is not 1.0.
    #[error("the signature version {0} is not supported")]
    Version(String),
    /// The signature is another one than ours.
    #[error("the signature does not match")]
    Mismatch {
        /// What the client should have signed.
        string_to_sign: String,
    },
}

impl From<SignatureError> for ApiError {
    fn from(error: SignatureError) -> Self {
        match error {
            SignatureError::Missing => ApiError::missing(SIGNATURE),
            SignatureError::Method(_) => ApiError::coded(Code::InvalidSignatureMethod),
            SignatureError::Version(_) => ApiError::coded(Code::InvalidSignatureVersion),
            SignatureError::Mismatch { string_to_sign } => {
                ApiError::signature_v1_mismatch(&string_to_sign)
            }
        }
    }
}

/// The text that is signed.
#[must_use]
pub fn string_to_sign<S: AsRef<str> + Ord>(http_method: &str, pairs: &[(S, S)]) -> String {
    let mut sorted: Vec<&(S, S)> = pairs
        .iter()
        .filter(|(name, _)| name.as_ref() != SIGNATURE)
        .collect();
    sorted.sort_unstable();
    let payload: usize = sorted
        .iter()
        .map(|(name, value)| name.as_ref().len() + value.as_ref().len() + 6)
        .sum();
    let mut out = String::with_capacity(http_method.len() + 8 + payload + payload / 4);
    out.push_str(http_method);
    out.make_ascii_uppercase();
    out.push_str("&%2F&");
    for (at, (name, value)) in sorted.into_iter().enumerate() {
        if at > 0 {
            out.push_str("%26");
        }
        percent::encode_twice_into(&mut out, name.as_ref());
        out.push_str("%3D");
        percent::encode_twice_into(&mut out, value.as_ref());
    }
    out
}

/// The base64 signature of a string to sign.
#[must_use]
pub fn sign(method: Method, secret: &str, string_to_sign: &str) -> String {
    let mut key = Vec::with_capacity(secret.len() + 1);
    key.extend_from_slice(secret.as_bytes());
    key.push(b'&');
    STANDARD.encode(digest(method, &key, string_to_sign))
}

/// Checks the `Signature` among `pairs` with the caller's secret, in constant time.
///
/// # Errors
/// It is absent, asks for something unsupported, or does not match.
pub fn verify(http_method: &str, pairs: &Pairs<'_>, secret: &str) -> Result<(), SignatureError> {
    let given = pairs
        .get(SIGNATURE)
        .filter(|s| !s.is_empty())
        .ok_or(SignatureError::Missing)?;
    let method = match pairs.get("SignatureMethod") {
        None | Some("" | "HMAC-SHA1") => Method::HmacSha1,
        Some("HMAC-SHA256") => Method::HmacSha256,
        Some(other) => return Err(SignatureError::Method(other.to_owned())),
    };
    match pairs.get("SignatureVersion") {
        None | Some("" | "1.0") => {}
        Some(other) => return Err(SignatureError::Version(other.to_owned())),
    }
    let string_to_sign = string_to_sign(http_method, pairs.as_slice());
    let expected = sign(method, secret, &string_to_sign);
    if bool::from(expected.as_bytes().ct_eq(given.as_bytes())) {
        Ok(())
    } else {
        Err(SignatureError::Mismatch { string_to_sign })
    }
}

/// The digest of a text under a whole key.
pub(crate) fn digest(method: Method, key: &[u8], text: &str) -> Vec<u8> {
    match method {
        Method::HmacSha1 => mac::<Hmac<Sha1>>(key, text),
        Method::HmacSha256 => mac::<Hmac<Sha256>>(key, text),
    }
}

fn mac<M: Mac + KeyInit>(key: &[u8], text: &str) -> Vec<u8> {
    // HMAC takes keys of every length (RFC 2104 section 2), so the error cannot occur; an empty digest would match nothing.
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else {
        return Vec::new();
    };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::wire::params::parse_pairs;

    fn rows() -> Vec<Value> {
        let text = include_str!("../../fixtures/signature/rpc-v1.json");
        let json: Value = serde_json::from_str(text).unwrap();
        json["rows"].as_array().unwrap().clone()
    }

    /// Query and form of a vector as pairs, with the signature that the vector names.
    fn pairs_of(row: &Value) -> Pairs<'_> {
        let query = row["target"]
            .as_str()
            .unwrap()
            .split_once('?')
            .map_or("", |(_, query)| query);
        let parsed = parse_pairs(query, Some(row["body"].as_str().unwrap().as_bytes())).unwrap();
        let mut pairs: Vec<_> = parsed
            .as_slice()
            .iter()
            .filter(|(name, _)| name != SIGNATURE)
            .cloned()
            .collect();
        let signature = row["signature"].as_str().unwrap();
        pairs.push((SIGNATURE.into(), signature.into()));
        pairs.into_iter().collect()
    }

    #[test]
    fn every_vector_verifies_and_its_string_to_sign_is_ours() {
        let rows = rows();
        assert!(rows.len() >= 50, "vectors are missing");
        for row in rows {
            let pairs = pairs_of(&row);
            let method = row["method"].as_str().unwrap();
            let secret = row["access_key_secret"].as_str().unwrap();
            assert_eq!(
                string_to_sign(method, pairs.as_slice()),
                row["string_to_sign"].as_str().unwrap()
            );
            assert_eq!(verify(method, &pairs, secret), Ok(()), "{}", row["source"]);
        }
    }

    #[test]
    fn any_changed_parameter_secret_or_method_is_refused() {
        for row in rows() {
            let pairs = pairs_of(&row);
            let method = row["method"].as_str().unwrap();
            let secret = row["access_key_secret"].as_str().unwrap();
            for at in 0..pairs.as_slice().len() {
                let mut changed = pairs.as_slice().to_vec();
                match changed[at].0.as_ref() {
                    "SignatureMethod" | "SignatureVersion" => continue,
                    _ => changed[at].1.to_mut().push('x'),
                }
                let changed: Pairs<'_> = changed.into_iter().collect();
                assert!(matches!(
                    verify(method, &changed, secret),
                    Err(SignatureError::Mismatch { .. })
                ));
            }
            assert!(verify(method, &pairs, "othersecret").is_err());
            assert!(verify("PUT", &pairs, secret).is_err());
        }
    }

    #[test]
    fn sha256_signs_and_verifies() {
        let mut pairs: Vec<(String, String)> = vec![
            ("SignatureMethod".into(), Method::HmacSha256.as_str().into()),
            ("Action".into(), "DescribeLiveRecordConfig".into()),
        ];
        let text = string_to_sign("get", &pairs);
        assert!(text.starts_with("GET&%2F&Action%3DDescribe"));
        pairs.push((
            SIGNATURE.into(),
            sign(Method::HmacSha256, "testsecret", &text),
        ));
        let pairs: Pairs<'_> = pairs.into_iter().collect();
        assert_eq!(verify("GET", &pairs, "testsecret"), Ok(()));
        assert_ne!(
            sign(Method::HmacSha1, "testsecret", &text),
            sign(Method::HmacSha256, "testsecret", &text)
        );
    }

    #[test]
    fn absent_and_unsupported_signatures_have_their_own_errors() {
        let check = |query: &str| verify("GET", &parse_pairs(query, None).unwrap(), "s");
        assert_eq!(check("A=1"), Err(SignatureError::Missing));
        assert_eq!(check("Signature="), Err(SignatureError::Missing));
        assert_eq!(
            check("Signature=x&SignatureMethod=MD5"),
            Err(SignatureError::Method("MD5".into()))
        );
        assert_eq!(
            check("Signature=x&SignatureVersion=2.0"),
            Err(SignatureError::Version("2.0".into()))
        );
    }
}
