//! Object names: the templates of OssObjectPrefix, SliceOssObjectPrefix and OssObject, checked and filled.

use crate::clock::UnixMs;
use crate::wire_time::{NameTime, unix_seconds};

/// A template must be shorter than this, in bytes.
pub const PREFIX_LIMIT: usize = 256;

/// Defaults when a rule names none: those of the product's console.
pub const DEFAULT_OBJECT_PREFIX: &str =
    "record/{AppName}/{StreamName}/{EscapedStartTime}_{EscapedEndTime}";
pub const DEFAULT_SLICE_PREFIX: &str = "record/{AppName}/{StreamName}/{UnixTimestamp}_{Sequence}";

const FILE_VARIABLES: &[&str] = &[
    "AppName",
    "StreamName",
    "Sequence",
    "StartTime",
    "EndTime",
    "EscapedStartTime",
    "EscapedEndTime",
    "Date",
];
const SLICE_VARIABLES: &[&str] = &["AppName", "StreamName", "UnixTimestamp", "Sequence", "Date"];
const INDEX_VARIABLES: &[&str] = &["AppName", "StreamName", "Date", "Hour", "Minute", "Second"];

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    #[error("the template is empty")]
    Empty,
    #[error("the template is {0} bytes long; it must be shorter than {PREFIX_LIMIT}")]
    TooLong(usize),
    #[error("the template holds an unknown variable {{{0}}}")]
    UnknownVariable(String),
    #[error("the template must contain {0}")]
    Lacks(&'static str),
    #[error("the template holds a character that no object name may hold")]
    BadCharacter,
    #[error("the object name must end in .m3u8")]
    NotAPlaylist,
}

/// Checks an OssObjectPrefix: a start and an end variable are mandatory.
pub fn check_file_prefix(template: &str) -> Result<(), TemplateError> {
    check(template, FILE_VARIABLES)?;
    if !(template.contains("{StartTime}") || template.contains("{EscapedStartTime}")) {
        return Err(TemplateError::Lacks("{StartTime} or {EscapedStartTime}"));
    }
    if !(template.contains("{EndTime}") || template.contains("{EscapedEndTime}")) {
        return Err(TemplateError::Lacks("{EndTime} or {EscapedEndTime}"));
    }
    Ok(())
}

/// Checks a SliceOssObjectPrefix: both the time and the counter are mandatory.
pub fn check_slice_prefix(template: &str) -> Result<(), TemplateError> {
    check(template, SLICE_VARIABLES)?;
    if !template.contains("{UnixTimestamp}") {
        return Err(TemplateError::Lacks("{UnixTimestamp}"));
    }
    if !template.contains("{Sequence}") {
        return Err(TemplateError::Lacks("{Sequence}"));
    }
    Ok(())
}

/// Checks the OssObject of an index file.
pub fn check_index_object(template: &str) -> Result<(), TemplateError> {
    if template.len() > 1023 {
        return Err(TemplateError::TooLong(template.len()));
    }
    check_variables(template, INDEX_VARIABLES)?;
    if !template.ends_with(".m3u8") {
        return Err(TemplateError::NotAPlaylist);
    }
    Ok(())
}

fn check(template: &str, known: &[&str]) -> Result<(), TemplateError> {
    if template.len() >= PREFIX_LIMIT {
        return Err(TemplateError::TooLong(template.len()));
    }
    check_variables(template, known)
}

fn check_variables(template: &str, known: &[&str]) -> Result<(), TemplateError> {
    if template.trim_start_matches('/').is_empty() {
        return Err(TemplateError::Empty);
    }
    if template.chars().any(|c| c.is_control() || c == '\\') {
        return Err(TemplateError::BadCharacter);
    }
    if template.split('/').any(|part| part == ".." || part == ".") {
        return Err(TemplateError::BadCharacter);
    }
    let mut rest = template;
    while let Some((_, after)) = rest.split_once('{') {
        let Some((name, tail)) = after.split_once('}') else {
            return Err(TemplateError::UnknownVariable(
                after.chars().take(40).collect(),
            ));
        };
        if !known.contains(&name) {
            return Err(TemplateError::UnknownVariable(
                name.chars().take(40).collect(),
            ));
        }
        rest = tail;
    }
    Ok(())
}

/// What a template is filled with.
#[derive(Debug, Clone, Copy)]
pub struct Values<'a> {
    pub app: &'a str,
    pub stream: &'a str,
    pub sequence: u64,
    pub start: UnixMs,
    pub end: UnixMs,
}

/// Fills a template and appends the suffix that the format decides. Names never start with a slash.
#[must_use]
pub fn fill(template: &str, values: Values<'_>, suffix: &str) -> String {
    let mut name = String::with_capacity(template.len() + 64);
    let mut rest = template.trim_start_matches('/');
    while let Some((before, after)) = rest.split_once('{') {
        name.push_str(before);
        let Some((variable, tail)) = after.split_once('}') else {
            name.push('{');
            rest = after;
            continue;
        };
        match value(variable, values) {
            Some(text) => name.push_str(&text),
            None => {
                name.push('{');
                name.push_str(variable);
                name.push('}');
            }
        }
        rest = tail;
    }
    name.push_str(rest);
    if !name.ends_with(suffix) {
        name.push_str(suffix);
    }
    name
}

fn value(variable: &str, values: Values<'_>) -> Option<String> {
    let start = NameTime(values.start);
    let end = NameTime(values.end);
    Some(match variable {
        "AppName" => values.app.to_owned(),
        "StreamName" => values.stream.to_owned(),
        "Sequence" => values.sequence.to_string(),
        "StartTime" => start.plain(),
        "EndTime" => end.plain(),
        "EscapedStartTime" => start.escaped(),
        "EscapedEndTime" => end.escaped(),
        "UnixTimestamp" => unix_seconds(values.start).to_string(),
        "Date" => start.date(),
        "Hour" => start.hour(),
        "Minute" => start.minute(),
        "Second" => start.second(),
        _ => return None,
    })
}

/// A name beside `name` for the `n`-th try, when a foreign object already holds it.
#[must_use]
pub fn beside(name: &str, n: u32) -> String {
    match name.rsplit_once('.') {
        Some((stem, suffix)) => format!("{stem}-{n}.{suffix}"),
        None => format!("{name}-{n}"),
    }
}

/// An object of a store; `object` is written as a path of a URL. `by_host`: the bucket stands in the host name.
#[must_use]
pub fn url_in(store: &str, by_host: bool, bucket: &str, object: &str) -> String {
    match store.split_once("://") {
        Some((scheme, host)) if by_host => format!("{scheme}://{bucket}.{host}/{object}"),
        _ => format!("{store}/{bucket}/{object}"),
    }
}

/// How answers and playlists name an object to whoever is not here.
#[derive(Debug, Clone, Default)]
pub struct PublicUrls {
    /// The store as clients see it, and whether buckets stand in its host name.
    store: Option<(String, bool)>,
}

impl PublicUrls {
    /// Below an address of the store, without a slash at its end.
    #[must_use]
    pub fn below(store: String, by_host: bool) -> Self {
        Self {
            store: Some((store, by_host)),
        }
    }

    /// The URL of an object. Where nobody says how clients see the store, it is the product's: `http://{bucket}.{endpoint}/{object}`.
    #[must_use]
    pub fn of(&self, bucket: &str, endpoint: &str, object: &str) -> String {
        if let Some((store, by_host)) = &self.store {
            return url_in(store, *by_host, bucket, object);
        }
        let host = endpoint
            .trim_start_matches("https://")
            .trim_start_matches("http://")
            .trim_end_matches('/');
        format!("http://{bucket}.{host}/{object}")
    }
}

/// Whether a bucket name obeys OSS: 3 to 63 of lower-case letters, digits and dashes, no dash at an end.
#[must_use]
pub fn bucket_is_valid(name: &str) -> bool {
    (3..=63).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: Values<'_> = Values {
        app: "live",
        stream: "s1",
        sequence: 3,
        start: 1_772_330_400_000,
        end: 1_772_330_495_000,
    };

    #[test]
    fn names_are_filled_in_utc_plus_8_without_a_leading_slash() {
        assert_eq!(
            fill(DEFAULT_OBJECT_PREFIX, VALUES, ".m3u8"),
            "record/live/s1/2026-03-01-10-00-00_2026-03-01-10-01-35.m3u8"
        );
        assert_eq!(
            fill("/{StartTime}_{EndTime}", VALUES, ".mp4"),
            "2026-03-01-10:00:00_2026-03-01-10:01:35.mp4"
        );
        assert_eq!(
            fill(DEFAULT_SLICE_PREFIX, VALUES, ".ts"),
            "record/live/s1/1772330400_3.ts"
        );
        assert_eq!(
            fill(
                "{AppName}/{StreamName}/{Date}/{Hour}/{Minute}_{Second}.m3u8",
                VALUES,
                ".m3u8"
            ),
            "live/s1/2026-03-01/10/00_00.m3u8"
        );
    }

    #[test]
    fn file_prefixes_need_both_ends_and_stay_under_256_bytes() {
        assert!(check_file_prefix(DEFAULT_OBJECT_PREFIX).is_ok());
        assert_eq!(
            check_file_prefix("a/{StartTime}"),
            Err(TemplateError::Lacks("{EndTime} or {EscapedEndTime}"))
        );
        let fixed = "{StartTime}_{EndTime}";
        let padded = |n: usize| format!("{}{fixed}", "x".repeat(n - fixed.len()));
        assert!(check_file_prefix(&padded(255)).is_ok());
        assert_eq!(
            check_file_prefix(&padded(256)),
            Err(TemplateError::TooLong(256))
        );
        assert!(check_file_prefix("{Nope}{StartTime}_{EndTime}").is_err());
        assert!(check_file_prefix("../{StartTime}_{EndTime}").is_err());
    }

    #[test]
    fn slice_prefixes_need_time_and_counter() {
        assert!(check_slice_prefix(DEFAULT_SLICE_PREFIX).is_ok());
        assert!(check_slice_prefix("a/{UnixTimestamp}").is_err());
        assert!(check_slice_prefix("a/{Sequence}").is_err());
    }

    #[test]
    fn bucket_names_follow_oss() {
        for good in ["liverec", "a-1", "123"] {
            assert!(bucket_is_valid(good), "{good}");
        }
        for bad in [
            "ab",
            "-ab",
            "ab-",
            "a_b",
            "liveBucket****",
            "a.b/c",
            &"x".repeat(64),
        ] {
            assert!(!bucket_is_valid(bad), "{bad}");
        }
    }
}
