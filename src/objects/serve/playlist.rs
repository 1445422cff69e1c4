//! `GetSignedPlaylist` (`x-oss-process=hls/sign`): an HLS playlist whose entries are signed as its own address is, with the same key and
//! the same end. So a private recording plays by one signed address, in a player that knows nothing of signatures.
//!
//! Entries are the lines of URIs and the `URI="…"` attributes of tags (the map of fragmented MP4, keys, renditions; RFC 8216, 4.3). Those
//! that lead to another host or out of the bucket stay as they are; a playlist that an entry names is asked for in the same way.

use actix_web::web::Bytes;
use futures_util::StreamExt;
use percent_encoding::percent_decode_str;
use url::Url;

use super::address::Reading;
use super::answer::Answer;
use super::auth::{self, Claim};
use super::code::Code;
use super::dialect::Dialect;
use super::error::ServeError;
use super::object_read::{OF_HTTP, overrides};
use super::request::Request;
use super::sign::{encode, encode_path, http_date, oss_v1, v4};
use super::{Context, link};
use crate::folder::{ObjectInfo, ObjectKind};

/// The value of `x-oss-process` that asks for it.
pub const PROCESS: &str = "hls/sign";

/// Bytes of a playlist that is signed, at most: a day of slices of one second.
const MAX_PLAYLIST_BYTES: u64 = 16 * 1024 * 1024;

/// `GetSignedPlaylist`.
pub async fn get_signed_playlist(context: &Context<'_>) -> Result<Answer, ServeError> {
    let (bucket, key) = (context.bucket(), context.key());
    let choose = |info: &ObjectInfo| -> Result<(u64, u64), ServeError> {
        OF_HTTP.check(context.request, info, context.dialect())?;
        if info.size > MAX_PLAYLIST_BYTES {
            return Err(ServeError::of(Code::PlaylistTooLarge));
        }
        Ok((0, info.size))
    };
    let link_or_all = |info: &ObjectInfo| match info.kind {
        ObjectKind::Symlink => Ok((0, 0)),
        _ => choose(info),
    };
    let (mut info, mut reader) = context.store().read(bucket, key, link_or_all).await?;
    if let Some(target) = link::followed(context, &info).await? {
        let link = info;
        let seen = |target: &ObjectInfo| choose(&link::seen_through(&link, target));
        (info, reader) = context.store().read(bucket, &target.key, seen).await?;
        info = link::seen_through(&link, &info);
    }
    let mut bytes = Vec::new();
    let mut blocks = std::pin::pin!(reader.into_stream());
    while let Some(block) = blocks.next().await {
        let block: Bytes = block?;
        bytes.extend_from_slice(&block);
    }
    let text = String::from_utf8(bytes).map_err(|_| ServeError::of(Code::NoPlaylist))?;
    let start = text.strip_prefix('\u{feff}').unwrap_or(&text);
    if !start.starts_with("#EXTM3U") {
        return Err(ServeError::of(Code::NoPlaylist));
    }
    let signed = match signer(context)? {
        Some(signer) => rewrite(&text, |uri| signer.sign(uri)),
        // With --auth off the entries are read as they are.
        None => text,
    };
    let answer = Answer::text(&info.content_type, signed)
        .header("last-modified", http_date(info.last_modified_ms));
    overrides(context, answer)
}

/// Who signs: the key of the request's own address. None where nothing has to be signed.
fn signer<'a>(context: &'a Context<'a>) -> Result<Option<Signer<'a>>, ServeError> {
    let request = context.request;
    let claim = auth::find_claim(request)?.filter(|_| context.dialect() == Dialect::Oss);
    let in_url = claim.filter(|claim| match claim {
        Claim::V1(claim) => claim.in_url,
        // S3's, which the dialect has ruled out.
        Claim::V2(_) => false,
        Claim::V4(claim) => claim.expires_s.is_some(),
    });
    let Some(claim) = in_url else {
        return if context.state.strict {
            Err(ServeError::of(Code::UrlSignatureNeeded))
        } else {
            Ok(None)
        };
    };
    let Some(entry) = context.state.keys.find(claim.key_id()) else {
        return Ok(None);
    };
    let host = request.header("host").unwrap_or_default();
    let (bucket, key) = (context.bucket(), context.key());
    let in_path = request.path == format!("/{bucket}/{key}");
    let prefix = if in_path {
        format!("/{bucket}")
    } else {
        String::new()
    };
    let base = Url::parse(&format!("http://{host}{prefix}/{}", encode_path(key)));
    Ok(Some(Signer {
        claim,
        secret: entry.key.secret.clone(),
        token: ["security-token", "x-oss-security-token"]
            .iter()
            .find_map(|name| request.param(name)),
        host,
        bucket,
        base: base.map_err(|_| ServeError::of(Code::InvalidUri))?,
        prefix,
        slashes_escaped: request.raw_path.to_ascii_lowercase().contains("%2f"),
    }))
}

struct Signer<'a> {
    claim: Claim,
    secret: String,
    token: Option<&'a str>,
    host: &'a str,
    bucket: &'a str,
    /// The playlist's own address, its key's slashes not escaped.
    base: Url,
    /// What stands before keys in paths: `/bucket`, or nothing where the host names the bucket.
    prefix: String,
    /// The player takes the key for one file name and would resolve entries against the bucket.
    slashes_escaped: bool,
}

impl Signer<'_> {
    /// An entry with its signature; none for one that leads elsewhere.
    fn sign(&self, uri: &str) -> Option<String> {
        let target = self.base.join(uri).ok()?;
        if target.origin() != self.base.origin() {
            return None;
        }
        let inside = target.path().strip_prefix(&*self.prefix);
        let (path, moved) = match inside.and_then(|rest| rest.strip_prefix('/')) {
            Some(path) => (path, self.slashes_escaped),
            // From the root of the bucket, which is not the root of the store.
            None if uri.starts_with('/') => (target.path().strip_prefix('/')?, true),
            None => return None,
        };
        let key = percent_decode_str(path).decode_utf8().ok()?;
        let mut query = target.query().unwrap_or_default().to_owned();
        if key.ends_with(".m3u8") && !query.contains("x-oss-process=") {
            join(&mut query, &format!("x-oss-process={PROCESS}"));
        }
        let shown = if moved {
            format!("{}/{path}", self.prefix)
        } else {
            uri.split(['?', '#']).next().unwrap_or(uri).to_owned()
        };
        let signature = self.signature(path, &query, &key)?;
        join(&mut query, &signature);
        Some(format!("{shown}?{query}"))
    }

    fn signature(&self, path: &str, query: &str, key: &str) -> Option<String> {
        let reading = Reading::Bucket {
            bucket: self.bucket.to_owned(),
            key: key.to_owned(),
        };
        let request = |more: &str| {
            let mut query = query.to_owned();
            join(&mut query, more);
            let target = format!("/{path}?{query}");
            Request::new("GET", &target, [("host", self.host.as_bytes())].into_iter()).ok()
        };
        let token = |name: &str| match self.token {
            Some(token) => format!("&{name}={}", encode(token)),
            None => String::new(),
        };
        match &self.claim {
            Claim::V2(_) => None,
            Claim::V1(claim) => {
                let more = format!(
                    "OSSAccessKeyId={}&Expires={}{}",
                    encode(&claim.key_id),
                    encode(&claim.date),
                    token("security-token")
                );
                let signature = oss_v1::signature(&request(&more)?, claim, &reading, &self.secret);
                Some(format!("{more}&Signature={}", encode(&signature)))
            }
            Claim::V4(claim) => {
                let more = format!(
                    "x-oss-signature-version={}&x-oss-credential={}&x-oss-date={}&x-oss-expires={}{}",
                    v4::OSS4.algorithm,
                    encode(&format!("{}/{}", claim.key_id, claim.scope)),
                    claim.date,
                    claim.expires_s?,
                    token("x-oss-security-token")
                );
                let request = request(&format!("{more}&x-oss-signature=0"))?;
                let own = v4::Claim::in_url(&v4::OSS4, &request).ok()?;
                let signature = own.signature_under(&request, &reading, &self.secret);
                Some(format!("{more}&x-oss-signature={signature}"))
            }
        }
    }
}

fn join(query: &mut String, more: &str) {
    if !query.is_empty() && !more.is_empty() {
        query.push('&');
    }
    query.push_str(more);
}

/// A playlist with every entry replaced that `sign` has something for.
fn rewrite(text: &str, sign: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for line in text.split_inclusive('\n') {
        let entry = line.trim();
        let (before, uri, after) = if entry.starts_with("#EXT") {
            match attribute(line) {
                Some(parts) => parts,
                None => (line, "", ""),
            }
        } else if entry.is_empty() || entry.starts_with('#') {
            (line, "", "")
        } else {
            (
                "",
                entry,
                line.get(line.trim_end().len()..).unwrap_or_default(),
            )
        };
        out.push_str(before);
        match Some(uri).filter(|uri| !uri.is_empty()).and_then(&sign) {
            Some(signed) => out.push_str(&signed),
            None => out.push_str(uri),
        }
        out.push_str(after);
    }
    out
}

/// A tag's text before, in and behind the quotes of its URI attribute.
fn attribute(line: &str) -> Option<(&str, &str, &str)> {
    let start = line.find("URI=\"")? + "URI=\"".len();
    let length = line.get(start..)?.find('"')?;
    let end = start + length;
    Some((line.get(..start)?, line.get(start..end)?, line.get(end..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_and_uri_attributes_are_replaced_and_nothing_else() {
        let text = "#EXTM3U\r\n#EXT-X-MAP:URI=\"init.mp4\",BYTERANGE=\"1@0\"\r\n#EXTINF:2.0,a b\n0.ts\r\n\n# URI=\"no\"\nhttp://other/1.ts\n2.ts";
        let signed = rewrite(text, |uri| {
            (!uri.starts_with("http:")).then(|| format!("{uri}?s"))
        });
        assert_eq!(
            signed,
            "#EXTM3U\r\n#EXT-X-MAP:URI=\"init.mp4?s\",BYTERANGE=\"1@0\"\r\n#EXTINF:2.0,a b\n0.ts?s\r\n\n# URI=\"no\"\nhttp://other/1.ts\n2.ts?s"
        );
    }

    fn signer(prefix: &str, slashes_escaped: bool) -> Signer<'static> {
        Signer {
            claim: Claim::V1(oss_v1::Claim {
                key_id: "testid".into(),
                signature: String::new(),
                date: "1795360256".into(),
                in_url: true,
            }),
            secret: "testsecret".into(),
            token: None,
            host: "127.0.0.1:9000",
            bucket: "rec",
            base: Url::parse(&format!("http://127.0.0.1:9000{prefix}/live/s1/a.m3u8")).unwrap(),
            prefix: prefix.into(),
            slashes_escaped,
        }
    }

    /// What a player asks for, without the signature.
    fn asked(signer: &Signer<'_>, uri: &str) -> Option<String> {
        let signed = signer.sign(uri)?;
        let target = signer.base.join(&signed).unwrap();
        assert!(
            target
                .query()
                .is_some_and(|query| query.contains("Signature="))
        );
        Some(target.path().to_owned())
    }

    #[test]
    fn what_a_player_asks_for_is_what_was_signed() {
        for (prefix, escaped) in [("/rec", false), ("/rec", true), ("", false)] {
            let signer = signer(prefix, escaped);
            let inside = |key: &str| Some(format!("{prefix}/{key}"));
            assert_eq!(asked(&signer, "0.ts"), inside("live/s1/0.ts"));
            assert_eq!(asked(&signer, "../x/0.ts"), inside("live/x/0.ts"));
            assert_eq!(asked(&signer, "/top/a%20b.ts"), inside("top/a%20b.ts"));
            assert_eq!(asked(&signer, "a.ts?x=1"), inside("live/s1/a.ts"));
            for elsewhere in ["http://cdn.example/0.ts", "data:text/plain,x", "//h/0.ts"] {
                assert_eq!(asked(&signer, elsewhere), None, "{elsewhere}");
            }
        }
        assert_eq!(signer("/rec", false).sign("../../../other/0.ts"), None);
        let nested = signer("/rec", false).sign("low.m3u8").unwrap();
        assert!(nested.starts_with("low.m3u8?x-oss-process=hls/sign&OSSAccessKeyId="));
        assert!(
            signer("/rec", true)
                .sign("0.ts")
                .unwrap()
                .starts_with("/rec/live/s1/0.ts?")
        );
    }
}
