//! Signed addresses of our own making, for whoever is to read an object without a key: OSS signature version 1, which every browser takes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::playlist::PROCESS;
use super::sign::{encode, hmac_sha1};
use crate::identity::AccessKey;

/// The query that signs the reading of an object until `expires`, in Unix seconds. A playlist's entries come signed as well.
#[must_use]
pub fn signed_query(key: &AccessKey, bucket: &str, object: &str, expires: i64) -> String {
    // In the order of their names, as the signature wants them.
    let mut parts = Vec::new();
    if let Some(token) = &key.token {
        parts.push(("security-token", token.as_str()));
    }
    if object.ends_with(".m3u8") {
        parts.push(("x-oss-process", PROCESS));
    }
    let plain: Vec<String> = parts.iter().map(|(n, v)| format!("{n}={v}")).collect();
    let joint = if plain.is_empty() { "" } else { "?" };
    let text = format!(
        "GET\n\n\n{expires}\n/{bucket}/{object}{joint}{}",
        plain.join("&")
    );
    let signature = STANDARD.encode(hmac_sha1(key.secret.as_bytes(), text.as_bytes()));
    let mut query: String = parts
        .iter()
        .map(|(name, value)| format!("{name}={}&", encode(value)))
        .collect();
    query.push_str(&format!(
        "OSSAccessKeyId={}&Expires={expires}&Signature={}",
        encode(&key.id),
        encode(&signature)
    ));
    query
}
