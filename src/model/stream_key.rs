//! What names a stream: streaming domain, application and stream, and what a push URL adds to it.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::events::Names;

/// The longest application or stream name that is accepted, in bytes.
pub const MAX_NAME: usize = 255;

/// Domain, application and stream of one broadcast. The domain is the streaming (play) domain.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StreamKey {
    pub domain: String,
    pub app: String,
    pub stream: String,
}

impl StreamKey {
    #[must_use]
    pub fn new(domain: &str, app: &str, stream: &str) -> Self {
        Self {
            domain: domain.to_owned(),
            app: app.to_owned(),
            stream: stream.to_owned(),
        }
    }

    /// A fixed-length name for database keys: case-sensitive whatever the database's collation is.
    #[must_use]
    pub fn hash(&self) -> String {
        let mut digest = Sha256::new();
        for part in [&self.domain, &self.app, &self.stream] {
            digest.update(part.as_bytes());
            digest.update([0]);
        }
        let mut text = hex::encode(digest.finalize());
        text.truncate(40);
        text
    }
}

impl std::fmt::Display for StreamKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.domain, self.app, self.stream)
    }
}

impl<'a> From<&'a StreamKey> for Names<'a> {
    fn from(key: &'a StreamKey) -> Self {
        Self {
            domain: &key.domain,
            app: &key.app,
            stream: &key.stream,
        }
    }
}

/// Why a name from a push URL is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("{0} is empty")]
    Empty(&'static str),
    #[error("{0} is longer than {MAX_NAME} bytes")]
    TooLong(&'static str),
    #[error("{0} holds a character that no name may hold")]
    BadCharacter(&'static str),
}

/// Checks an application or stream name as a push URL brings it: what would break out of an object name is refused.
pub fn check_name(what: &'static str, name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty(what));
    }
    if name.len() > MAX_NAME {
        return Err(NameError::TooLong(what));
    }
    let bad = |c: char| c.is_control() || matches!(c, '/' | '\\' | '*' | '?' | '#' | '{' | '}');
    if name.chars().any(bad) || name == "." || name == ".." {
        return Err(NameError::BadCharacter(what));
    }
    Ok(())
}

/// The arguments of a push URL, decoded, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushArgs {
    /// The query as it was sent, for the publish callback.
    pub raw: String,
    pairs: Vec<(String, String)>,
}

impl PushArgs {
    /// Reads a push URL's query. A second `?` is taken as `&`: published samples of the product write it.
    #[must_use]
    pub fn parse(query: &str) -> Self {
        let pairs = query
            .split(['&', '?'])
            .filter(|pair| !pair.is_empty())
            .take(64)
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                (decode(name), decode(value))
            })
            .collect();
        Self {
            raw: query.to_owned(),
            pairs,
        }
    }

    /// The first value of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }

    /// The arguments that file events give back: names starting with `callback_`, the first value of each.
    #[must_use]
    pub fn callback_args(&self) -> Vec<(String, String)> {
        let mut found: Vec<(String, String)> = Vec::new();
        for (name, value) in &self.pairs {
            if name.starts_with("callback_") && !found.iter().any(|(n, _)| n == name) {
                found.push((name.clone(), value.clone()));
            }
        }
        found
    }
}

fn decode(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced)
        .decode_utf8_lossy()
        .into_owned()
}

/// Splits a published name into the stream and its query.
#[must_use]
pub fn split_name(name: &str) -> (&str, &str) {
    name.split_once('?').unwrap_or((name, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_leave_the_bucket_are_refused() {
        for bad in [
            "",
            "a/b",
            "..",
            ".",
            "a\0b",
            "a\nb",
            "x*",
            "{AppName}",
            &"n".repeat(256),
        ] {
            assert!(check_name("StreamName", bad).is_err(), "{bad:?}");
        }
        for good in ["s1", "中文 stream+1", "a.b..c", &"n".repeat(255)] {
            assert!(check_name("StreamName", good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn callback_arguments_keep_the_first_value_only() {
        let args = PushArgs::parse("callback_a=1&callback_a=2&callback_b=3&x=4?auth_key=k%2D1");
        assert_eq!(
            args.callback_args(),
            [
                ("callback_a".to_owned(), "1".to_owned()),
                ("callback_b".to_owned(), "3".to_owned())
            ]
        );
        assert_eq!(args.get("auth_key"), Some("k-1"));
    }

    #[test]
    fn hashes_tell_case_and_borders_apart() {
        let one = StreamKey::new("d", "ab", "c").hash();
        assert_ne!(one, StreamKey::new("d", "a", "bc").hash());
        assert_ne!(one, StreamKey::new("d", "AB", "c").hash());
        assert_eq!(one.len(), 40);
    }
}
