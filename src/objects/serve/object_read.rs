//! `GetObject`, `HeadObject`, `GetObjectMeta`: conditions, ranges, overrides of response headers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::answer::Answer;
use super::code::Code;
use super::dialect::Dialect;
use super::error::ServeError;
use super::metadata::no_such_key;
use super::pace::Pace;
use super::request::Request;
use super::sign::{http_date, parse_http_date};
use super::{Context, link};
use crate::folder::{ObjectInfo, ObjectKind, StorageClass};

/// Header names of a set of conditions.
pub struct Conditions {
    if_match: &'static str,
    if_none_match: &'static str,
    if_modified: &'static str,
    if_unmodified: &'static str,
    /// The answer where the object is what the client has already: a reader need not read it again, a copy is refused (S3).
    unchanged: Unchanged,
}

#[derive(Clone, Copy)]
enum Unchanged {
    NotModified,
    Refused,
}

/// The conditions of HTTP on the object that is read.
pub const OF_HTTP: Conditions = Conditions {
    if_match: "if-match",
    if_none_match: "if-none-match",
    if_modified: "if-modified-since",
    if_unmodified: "if-unmodified-since",
    unchanged: Unchanged::NotModified,
};

/// The conditions on the source of a copy.
pub const fn of_copy_source(dialect: Dialect) -> Conditions {
    match dialect {
        Dialect::Oss => Conditions {
            if_match: "x-oss-copy-source-if-match",
            if_none_match: "x-oss-copy-source-if-none-match",
            if_modified: "x-oss-copy-source-if-modified-since",
            if_unmodified: "x-oss-copy-source-if-unmodified-since",
            unchanged: Unchanged::NotModified,
        },
        Dialect::S3 => Conditions {
            if_match: "x-amz-copy-source-if-match",
            if_none_match: "x-amz-copy-source-if-none-match",
            if_modified: "x-amz-copy-source-if-modified-since",
            if_unmodified: "x-amz-copy-source-if-unmodified-since",
            unchanged: Unchanged::Refused,
        },
    }
}

impl Conditions {
    /// Refuses with 412 or 304 (RFC 9110, 13.2.2: the tags win over the dates).
    pub fn check(
        &self,
        request: &Request,
        info: &ObjectInfo,
        dialect: Dialect,
    ) -> Result<(), ServeError> {
        let seconds = |name: &str| {
            request
                .header(name)
                .and_then(parse_http_date)
                .map(|ms| ms / 1000)
        };
        let names_it = |list: &str| {
            list.split(',')
                .map(|tag| tag.trim().trim_matches('"'))
                .any(|tag| tag == "*" || tag.eq_ignore_ascii_case(&info.etag))
        };
        let modified = info.last_modified_ms / 1000;
        let failed = |condition: &str| Err(ServeError::precondition(condition));
        // A weak tag is like no other here (RFC 9110 section 13.1.1) ...
        match request.list(self.if_match) {
            Some(list) if !names_it(&list) => return failed("If-Match"),
            Some(_) => {}
            None if seconds(self.if_unmodified).is_some_and(|limit| modified > limit) => {
                return failed("If-Unmodified-Since");
            }
            None => {}
        }
        // ... and like the strong one there (section 13.1.2).
        let unchanged = match request.list(self.if_none_match) {
            Some(list) => names_it(&list.replace("W/", "")),
            None => seconds(self.if_modified).is_some_and(|since| modified <= since),
        };
        if unchanged && matches!(self.unchanged, Unchanged::Refused) {
            return failed("If-None-Match");
        }
        if unchanged {
            return Err(ServeError::of(Code::NotModified)
                .with_header("etag", dialect.etag(&info.etag))
                .with_header("last-modified", http_date(info.last_modified_ms)));
        }
        Ok(())
    }
}

/// The Range header, unless If-Range names another state of the object (RFC 9110 section 13.1.5): then all of it is wanted.
fn range_of<'a>(request: &'a Request, info: &ObjectInfo) -> Option<&'a str> {
    let range = request.header("range")?;
    let Some(condition) = request.header("if-range") else {
        return Some(range);
    };
    let unchanged = match parse_http_date(condition) {
        Some(ms) => ms / 1000 == info.last_modified_ms / 1000,
        // Only a strong validator counts here.
        None => condition.trim_matches('"').eq_ignore_ascii_case(&info.etag),
    };
    unchanged.then_some(range)
}

/// The part of an object that a request wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    Whole,
    Part {
        start: u64,
        length: u64,
    },
    /// Outside of the object, where the dialect refuses that.
    Nothing,
}

/// Reads a Range header. OSS answers with the whole object when the range is not inside it, unless asked for the
/// standard behaviour; S3 is standard.
pub fn wanted(range: Option<&str>, size: u64, standard: bool) -> Wanted {
    let Some((start, end)) = range
        .and_then(|text| text.trim().strip_prefix("bytes="))
        .filter(|spec| !spec.contains(','))
        .and_then(|spec| spec.split_once('-'))
    else {
        return Wanted::Whole;
    };
    let outside = if standard {
        Wanted::Nothing
    } else {
        Wanted::Whole
    };
    let (start, end) = match (position(start), position(end)) {
        (Some(first), Some(last)) if first <= last => (first, last),
        (Some(first), None) if end.trim().is_empty() => (first, size.saturating_sub(1)),
        (None, Some(0)) if start.trim().is_empty() => return Wanted::Nothing,
        (None, Some(suffix)) if start.trim().is_empty() && size > 0 => {
            (size.saturating_sub(suffix), size - 1)
        }
        _ => return Wanted::Whole,
    };
    if start >= size {
        return outside;
    }
    if end >= size && !standard {
        return Wanted::Whole;
    }
    let end = end.min(size - 1);
    Wanted::Part {
        start,
        length: end - start + 1,
    }
}

/// A position of a range; one that no number holds lies behind every object.
fn position(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

/// The bytes `bytes=first-last` of a source, which must be all there.
pub fn exact_range(text: &str, size: u64) -> Result<(u64, u64), ServeError> {
    let malformed = || {
        ServeError::argument(
            "x-amz-copy-source-range",
            text,
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based \
             offsets of the first and last bytes to copy",
        )
    };
    let (first, last) = text
        .trim()
        .strip_prefix("bytes=")
        .and_then(|spec| spec.split_once('-'))
        .and_then(|(first, last)| Some((position(first)?, position(last)?)))
        .filter(|(first, last)| first <= last)
        .ok_or_else(malformed)?;
    if last >= size {
        return Err(out_of_range(size));
    }
    Ok((first, last - first + 1))
}

fn standard_ranges(context: &Context<'_>) -> bool {
    context.dialect() == Dialect::S3 || context.own_header("range-behavior") == Some("standard")
}

fn out_of_range(size: u64) -> ServeError {
    ServeError::of(Code::InvalidRange)
        .with("ActualObjectSize", size.to_string())
        .with_header("content-range", format!("bytes */{size}"))
}

/// `GetObject`.
pub async fn get_object(context: &Context<'_>) -> Result<Answer, ServeError> {
    let (bucket, key) = (context.bucket(), context.key());
    let mut part = None;
    let mut choose = |info: &ObjectInfo| {
        OF_HTTP.check(context.request, info, context.dialect())?;
        let range = range_of(context.request, info);
        match wanted(range, info.size, standard_ranges(context)) {
            Wanted::Whole => Ok((0, info.size)),
            Wanted::Nothing => Err(out_of_range(info.size)),
            Wanted::Part { start, length } => {
                part = Some((start, length));
                Ok((start, length))
            }
        }
    };
    let link_or_part = |info: &ObjectInfo| match info.kind {
        ObjectKind::Symlink => Ok((0, 0)),
        _ => choose(info),
    };
    let (mut info, mut reader) = context.store().read(bucket, key, link_or_part).await?;
    if let Some(target) = link::followed(context, &info).await? {
        let link = info;
        let seen = |target: &ObjectInfo| choose(&link::seen_through(&link, target));
        (info, reader) = context.store().read(bucket, &target.key, seen).await?;
        info = link::seen_through(&link, &info);
    }
    let mut answer = match part {
        None => Answer::object(200, reader).await?,
        Some((start, length)) => Answer::object(206, reader).await?.header(
            "content-range",
            format!("bytes {start}-{}/{}", start + length - 1, info.size),
        ),
    };
    answer = describe(context, answer, &info).pace(Pace::of(context.request)?);
    overrides(context, answer)
}

/// What `HEAD` tells of.
async fn head(context: &Context<'_>) -> Result<ObjectInfo, ServeError> {
    let info = context
        .store()
        .head(context.bucket(), context.key())
        .await?
        .ok_or_else(|| no_such_key(context))?;
    Ok(match link::followed(context, &info).await? {
        Some(target) => link::seen_through(&info, &target),
        None => info,
    })
}

/// `HeadObject`.
pub async fn head_object(context: &Context<'_>) -> Result<Answer, ServeError> {
    let info = head(context).await?;
    OF_HTTP.check(context.request, &info, context.dialect())?;
    let answer = match wanted(
        range_of(context.request, &info),
        info.size,
        standard_ranges(context),
    ) {
        Wanted::Part { start, length } if context.dialect() == Dialect::S3 => {
            Answer::head(length).status(206).header(
                "content-range",
                format!("bytes {start}-{}/{}", start + length - 1, info.size),
            )
        }
        Wanted::Nothing => return Err(out_of_range(info.size)),
        _ => Answer::head(info.size),
    };
    overrides(context, describe(context, answer, &info))
}

/// `GetObjectMeta`: size, ETag and time, without the rest.
pub async fn get_object_meta(context: &Context<'_>) -> Result<Answer, ServeError> {
    let info = head(context).await?;
    Ok(Answer::head(info.size)
        .header("etag", context.dialect().etag(&info.etag))
        .header("last-modified", http_date(info.last_modified_ms))
        .header("x-oss-hash-crc64ecma", info.crc64.to_string()))
}

/// Adds what is known of an object.
fn describe(context: &Context<'_>, mut answer: Answer, info: &ObjectInfo) -> Answer {
    let dialect = context.dialect();
    answer = answer
        .header("etag", dialect.etag(&info.etag))
        .header("last-modified", http_date(info.last_modified_ms))
        .header("accept-ranges", "bytes")
        .header("content-type", &info.content_type);
    for (name, value) in &info.meta.headers {
        answer = answer.header(name, value);
    }
    for (name, value) in &info.meta.user_metadata {
        answer = answer.header(format!("{}meta-{name}", dialect.prefix()), value);
    }
    if !info.meta.tags.is_empty() {
        answer = answer.header(
            format!("{}tagging-count", dialect.prefix()),
            info.meta.tags.len().to_string(),
        );
    }
    if dialect == Dialect::S3 && info.meta.storage_class != StorageClass::Standard {
        let word = dialect.storage_class(info.meta.storage_class);
        answer = answer.header("x-amz-storage-class", word);
    }
    if dialect == Dialect::Oss {
        answer = answer
            .header("x-oss-object-type", info.kind.as_str())
            .header("x-oss-hash-crc64ecma", info.crc64.to_string())
            .header(
                "x-oss-storage-class",
                dialect.storage_class(info.meta.storage_class),
            );
        if let Some(md5) = content_md5(info) {
            answer = answer.header("content-md5", md5);
        }
        if info.kind == ObjectKind::Appendable {
            answer = answer.header("x-oss-next-append-position", info.size.to_string());
        }
    }
    answer
}

/// The MD5 of an object's bytes in Base64, which OSS tells as `Content-MD5`. What was put together of parts, appended to or moved in
/// has an ETag that is none.
pub fn content_md5(info: &ObjectInfo) -> Option<String> {
    if info.kind != ObjectKind::Normal {
        return None;
    }
    let md5 = <[u8; 16]>::try_from(hex::decode(&info.etag).ok()?).ok()?;
    Some(STANDARD.encode(md5))
}

/// Replaces headers as `response-*` parameters say; an anonymous reader may not.
pub fn overrides(context: &Context<'_>, mut answer: Answer) -> Result<Answer, ServeError> {
    for (name, value) in &context.request.query {
        let Some(header) = name.strip_prefix("response-") else {
            continue;
        };
        let allowed = [
            "content-type",
            "content-language",
            "expires",
            "cache-control",
            "content-disposition",
            "content-encoding",
        ];
        if !allowed.contains(&header) {
            continue;
        }
        if context.caller.key_id.is_none() && context.state.strict {
            return Err(ServeError::new(
                Code::InvalidRequest,
                "Anonymous requests cannot override response headers.",
            ));
        }
        answer = answer.header(header, value);
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_in_both_dialects() {
        let part = |start, length| Wanted::Part { start, length };
        for (range, standard, oss) in [
            ("bytes=0-499", part(0, 500), part(0, 500)),
            ("bytes=500-999", part(500, 500), part(500, 500)),
            ("bytes=500-", part(500, 500), part(500, 500)),
            ("bytes=-300", part(700, 300), part(700, 300)),
            (
                "bytes=990-99999999999999999999",
                part(990, 10),
                Wanted::Whole,
            ),
            (
                "bytes=99999999999999999999-",
                Wanted::Nothing,
                Wanted::Whole,
            ),
            ("bytes=-99999999999999999999", part(0, 1000), part(0, 1000)),
            ("bytes=+1-2", Wanted::Whole, Wanted::Whole),
            ("bytes=-3000", part(0, 1000), part(0, 1000)),
            ("bytes=500-2000", part(500, 500), Wanted::Whole),
            ("bytes=1000-", Wanted::Nothing, Wanted::Whole),
            ("bytes=-0", Wanted::Nothing, Wanted::Nothing),
            ("bytes=5-2", Wanted::Whole, Wanted::Whole),
            ("bytes=x-2", Wanted::Whole, Wanted::Whole),
            ("bytes=0-1,3-4", Wanted::Whole, Wanted::Whole),
            ("lines=0-1", Wanted::Whole, Wanted::Whole),
        ] {
            assert_eq!(wanted(Some(range), 1000, true), standard, "{range}");
            assert_eq!(wanted(Some(range), 1000, false), oss, "{range}");
        }
        assert_eq!(wanted(Some("bytes=0-"), 0, true), Wanted::Nothing);
        assert_eq!(wanted(Some("bytes=-5"), 0, false), Wanted::Whole);
    }

    #[test]
    fn the_range_of_a_copy_is_exact() {
        assert_eq!(exact_range("bytes=0-9", 10).expect("all"), (0, 10));
        assert_eq!(exact_range("bytes=3-3", 10).expect("one"), (3, 1));
        for text in ["bytes=0-10", "bytes=10-10", "bytes=0-99999999999999999999"] {
            assert_eq!(exact_range(text, 10).expect_err(text).code.status(), 416);
        }
        for text in [
            "0-2",
            "bytes=0",
            "bytes=-2",
            "bytes=2-",
            "bytes=5-2",
            "bytes=a-b",
            "bytes=0-1,3-4",
            "",
        ] {
            let refused = exact_range(text, 10).expect_err(text);
            assert_eq!(
                (refused.code.status(), refused.code.as_str()),
                (400, "InvalidArgument"),
                "{text}"
            );
        }
    }

    #[test]
    fn dates_are_written_as_rfc_9110_wants() {
        assert_eq!(
            http_date(1_795_360_256_999),
            "Sun, 22 Nov 2026 15:10:56 GMT"
        );
    }
}
