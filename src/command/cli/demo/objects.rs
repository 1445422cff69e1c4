//! Files out of the object store, by the signed URLs that OSS clients make (V1: the signature is in the query).

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Client;
use sha1::Sha1;

use crate::cli::CliError;
use crate::cli::http::fetch;
use crate::cli::target::Key;
use crate::wire::percent;

/// Seconds that a signed URL holds; as long as the common clients make it by default.
const LIFETIME_S: i64 = 1_800;

/// A GET of one object, signed, path style.
pub(in crate::cli) fn signed_url(
    store: &str,
    bucket: &str,
    object: &str,
    key: &Key,
    now_s: i64,
) -> String {
    let expires = now_s + LIFETIME_S;
    let text = format!("GET\n\n\n{expires}\n/{bucket}/{object}");
    let path: Vec<String> = object.split('/').map(percent::encode).collect();
    format!(
        "{store}/{bucket}/{}?OSSAccessKeyId={}&Expires={expires}&Signature={}",
        path.join("/"),
        percent::encode(&key.id),
        percent::encode(&signature(&key.secret, &text))
    )
}

fn signature(secret: &str, text: &str) -> String {
    // HMAC takes keys of every length (RFC 2104 section 2), so the error cannot occur.
    let Ok(mut mac) = <Hmac<Sha1> as KeyInit>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

/// The object behind a signed URL.
pub(super) async fn get(client: &Client, url: &str) -> Result<Vec<u8>, CliError> {
    let answer = fetch(client.get(url)).await?;
    if answer.is_success() {
        return Ok(answer.body);
    }
    let status = answer.status;
    Err(CliError::failed(format!(
        "expected the object, got {status} from {url}: {}",
        answer.text()
    )))
}

/// The objects that a playlist names, relative to its own key (RFC 8216 section 4.1: every line that is no tag is a URI).
pub(super) fn slices(playlist_key: &str, playlist: &str) -> Vec<String> {
    let folder = playlist_key
        .rsplit_once('/')
        .map_or("", |(folder, _)| folder);
    let uris = playlist
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    uris.map(|uri| resolve(folder, uri)).collect()
}

fn resolve(folder: &str, uri: &str) -> String {
    let decode = |text: &str| {
        percent::decode(text.replace('+', "%2B").as_bytes())
            .map_or_else(|_| text.to_owned(), Cow::into_owned)
    };
    let mut parts: Vec<String> = if uri.starts_with('/') {
        Vec::new()
    } else {
        folder
            .split('/')
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect()
    };
    for part in uri.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(decode(name)),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_signature_comes_out() {
        let text = "GET\n\n\n1141889120\n/oss-example/oss-api.pdf";
        let secret = "OtxrzxIsfpFjA7SwPzILwy8Bw21TLhquhboDYROV";
        assert_eq!(signature(secret, text), "EwaNTn1erJGkimiJ9WmXgwnANLc=");
        let key = Key {
            id: "id".into(),
            secret: secret.into(),
            token: None,
        };
        assert_eq!(
            signed_url(
                "http://h:1",
                "oss-example",
                "oss-api.pdf",
                &key,
                1_141_889_120 - LIFETIME_S
            ),
            "http://h:1/oss-example/oss-api.pdf?OSSAccessKeyId=id&Expires=1141889120&Signature=EwaNTn1erJGkimiJ9WmXgwnANLc%3D"
        );
    }

    #[test]
    fn slices_are_found_next_to_their_playlist() {
        let playlist = "#EXTM3U\n#EXTINF:5.0,\n../slices/a%3Ab+c.ts\n\n#EXTINF:5.0,\nd.ts\n/record/e.ts\n#EXT-X-ENDLIST\n";
        assert_eq!(
            slices("record/live/x.m3u8", playlist),
            ["record/slices/a:b+c.ts", "record/live/d.ts", "record/e.ts"]
        );
    }
}
