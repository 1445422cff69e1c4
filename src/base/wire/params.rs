//! The parameters of an RPC call: from a query and a form to pairs, and from flat pairs to a tree.
//!
//! What: [`parse_pairs`] decodes `k=v&k=v` (a key without `=` has an empty value) into [`Pairs`], in the order they came,
//! which is what signatures need. [`Tree::from_pairs`] reads the dots: `RecordFormat.1.Format` is member `Format` of item 1
//! of list `RecordFormat`; lists count from 1.
//!
//! Why two steps: a signature covers every pair as it was sent, even the odd ones, while the spec check needs structure
//! and no ambiguity. Every size is bounded, and every refusal is a typed error that names the pair.

use std::borrow::Cow;

use thiserror::Error;

use super::percent::{self, DecodeError};
use crate::error::{ApiError, Code};

mod tree;

pub use tree::{Node, Tree};

/// Most pairs of a request, query and form together.
pub const MAX_PAIRS: usize = 1_000;
/// Longest decoded name, in bytes.
pub const MAX_NAME: usize = 256;
/// Longest decoded value, in bytes.
pub const MAX_VALUE: usize = 100 * 1024;
/// Largest query and form together, as sent, in bytes.
pub const MAX_TOTAL: usize = 1024 * 1024;
/// Highest index of a list item.
pub const MAX_INDEX: usize = 1_000;
/// Deepest nesting, counted in the dots of a name plus one.
pub const MAX_DEPTH: usize = 8;

/// Parameters that the signature and the gateway make, and not what is asked for.
pub const SIGNING: [&str; 12] = [
    "AccessKeyId",
    "Action",
    "BearerToken",
    "Format",
    "SecurityToken",
    "Signature",
    "SignatureMethod",
    "SignatureNonce",
    "SignatureType",
    "SignatureVersion",
    "Timestamp",
    "Version",
];

/// Why a request's parameters cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParamError {
    /// More than [`MAX_PAIRS`].
    #[error("the request has more than {MAX_PAIRS} parameters")]
    TooMany,
    /// More than [`MAX_TOTAL`].
    #[error("the parameters of the request are larger than {MAX_TOTAL} bytes")]
    TooLarge,
    /// A name longer than [`MAX_NAME`].
    #[error("a parameter name is longer than {MAX_NAME} bytes")]
    LongName,
    /// A value longer than [`MAX_VALUE`].
    #[error("the value of {name} is longer than {MAX_VALUE} bytes")]
    LongValue {
        /// Whose value.
        name: String,
    },
    /// A name that does not decode.
    #[error("a parameter name cannot be decoded: {error}")]
    Name {
        /// What is wrong with it.
        error: DecodeError,
    },
    /// A value that does not decode.
    #[error("the value of {name} cannot be decoded: {error}")]
    Value {
        /// Whose value.
        name: String,
        /// What is wrong with it.
        error: DecodeError,
    },
    /// `a=1&a=2`.
    #[error("{name} is given twice")]
    Duplicate {
        /// The full name.
        name: String,
    },
    /// A name with an empty part, such as `A..B`, or with more than [`MAX_DEPTH`] parts.
    #[error("{name} is not a parameter name")]
    Shape {
        /// The full name.
        name: String,
    },
    /// An index outside 1 to [`MAX_INDEX`].
    #[error("{name} has an index outside 1 to {MAX_INDEX}")]
    Index {
        /// The full name.
        name: String,
    },
    /// `A.1` and `A.3` without `A.2`.
    #[error("{name} is absent although a later item of the list is given")]
    Gap {
        /// The name of the absent item.
        name: String,
    },
    /// The same name used as a value and as a list, or as a list and as an object.
    #[error(
        "{name} contradicts another parameter: one name cannot be a value, a list and an object at once"
    )]
    Conflict {
        /// The full name of the second use.
        name: String,
    },
}

impl ParamError {
    /// The parameter to blame, where one can be named.
    #[must_use]
    pub fn param(&self) -> Option<&str> {
        match self {
            ParamError::TooMany
            | ParamError::TooLarge
            | ParamError::LongName
            | ParamError::Name { .. } => None,
            ParamError::LongValue { name }
            | ParamError::Value { name, .. }
            | ParamError::Duplicate { name }
            | ParamError::Shape { name }
            | ParamError::Index { name }
            | ParamError::Gap { name }
            | ParamError::Conflict { name } => Some(name),
        }
    }
}

impl From<ParamError> for ApiError {
    /// `Invalid{Param}` with the last part of a plain name, else `InvalidParameter`.
    fn from(error: ParamError) -> Self {
        let is_plain = |part: &&str| {
            part.starts_with(|c: char| c.is_ascii_alphabetic())
                && part.bytes().all(|b| b.is_ascii_alphanumeric())
        };
        let code = match (
            &error,
            error
                .param()
                .and_then(|name| name.rsplit('.').find(is_plain)),
        ) {
            (ParamError::TooLarge, _) => Code::RequestEntityTooLarge,
            (_, Some(part)) => Code::Invalid(part.to_owned().into()),
            (_, None) => Code::InvalidParameter,
        };
        ApiError::coded(code).with_hint(&error).with_source(error)
    }
}

/// A decoded name and its value, lent by the request where nothing had to be decoded.
pub type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// Decoded pairs in the order they were sent, the query's before the form's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pairs<'a> {
    items: Vec<Pair<'a>>,
}

impl<'a> Pairs<'a> {
    /// The first value of this exact name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.items
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_ref())
    }

    /// All pairs.
    #[must_use]
    pub fn as_slice(&self) -> &[Pair<'a>] {
        &self.items
    }

    /// All pairs, to be kept longer than the request.
    #[must_use]
    pub fn into_owned(self) -> Vec<(String, String)> {
        self.items
            .into_iter()
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect()
    }
}

impl<'a, T: Into<Cow<'a, str>>> FromIterator<(T, T)> for Pairs<'a> {
    /// For what we make ourselves and know; nothing is bounded here.
    fn from_iter<I: IntoIterator<Item = (T, T)>>(pairs: I) -> Self {
        let items = pairs.into_iter();
        Self {
            items: items
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        }
    }
}

/// Decodes the raw query and, when the body is a form, the body.
///
/// # Errors
/// A bound is passed or a text does not decode.
pub fn parse_pairs<'a>(query: &'a str, form: Option<&'a [u8]>) -> Result<Pairs<'a>, ParamError> {
    let form = form.unwrap_or_default();
    if query.len().saturating_add(form.len()) > MAX_TOTAL {
        return Err(ParamError::TooLarge);
    }
    // What a signed request usually has.
    let mut items = Vec::with_capacity(16);
    let raw_pairs = query
        .as_bytes()
        .split(|b| *b == b'&')
        .chain(form.split(|b| *b == b'&'));
    for raw in raw_pairs.filter(|raw| !raw.is_empty()) {
        if items.len() == MAX_PAIRS {
            return Err(ParamError::TooMany);
        }
        let mut halves = raw.splitn(2, |b| *b == b'=');
        let name = percent::decode(halves.next().unwrap_or_default())
            .map_err(|error| ParamError::Name { error })?;
        if name.len() > MAX_NAME {
            return Err(ParamError::LongName);
        }
        let value = match percent::decode(halves.next().unwrap_or_default()) {
            Ok(value) if value.len() > MAX_VALUE => {
                return Err(ParamError::LongValue {
                    name: name.into_owned(),
                });
            }
            Ok(value) => value,
            Err(error) => {
                return Err(ParamError::Value {
                    name: name.into_owned(),
                    error,
                });
            }
        };
        items.push((name, value));
    }
    Ok(Pairs { items })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_and_form_are_merged_in_order() {
        let pairs = parse_pairs("A=1&&B", Some(b"C=x+y&D=a=b")).unwrap();
        let expected = [("A", "1"), ("B", ""), ("C", "x y"), ("D", "a=b")];
        let got: Vec<_> = pairs
            .as_slice()
            .iter()
            .map(|(k, v)| (k.as_ref(), v.as_ref()))
            .collect();
        assert_eq!(got, expected);
        assert_eq!(pairs.get("C"), Some("x y"));
        assert_eq!(pairs.get("c"), None);
    }

    #[test]
    fn bounds_hold_and_the_last_allowed_passes() {
        let many = |n: usize| {
            (0..n)
                .map(|i| format!("P{i}=1"))
                .collect::<Vec<_>>()
                .join("&")
        };
        assert_eq!(
            parse_pairs(&many(MAX_PAIRS), None)
                .unwrap()
                .as_slice()
                .len(),
            MAX_PAIRS
        );
        assert_eq!(
            parse_pairs(&many(MAX_PAIRS), Some(b"one=more")),
            Err(ParamError::TooMany)
        );
        assert!(parse_pairs(&format!("{}=1", "n".repeat(MAX_NAME)), None).is_ok());
        assert_eq!(
            parse_pairs(&format!("{}=1", "n".repeat(MAX_NAME + 1)), None),
            Err(ParamError::LongName)
        );
        assert!(parse_pairs(&format!("A={}", "v".repeat(MAX_VALUE)), None).is_ok());
        let query = format!("A={}", "v".repeat(MAX_VALUE + 1));
        let long = parse_pairs(&query, None);
        assert_eq!(long, Err(ParamError::LongValue { name: "A".into() }));
        let ampersands = "&".repeat(MAX_TOTAL);
        assert_eq!(parse_pairs(&ampersands, None), Ok(Pairs::default()));
        assert_eq!(
            parse_pairs(&ampersands, Some(b"&")),
            Err(ParamError::TooLarge)
        );
    }

    #[test]
    fn refusals_reach_the_wire_under_the_name_of_the_parameter() {
        let code = |error: ParamError| ApiError::from(error).code.to_string();
        assert_eq!(
            code(ParamError::Gap {
                name: "RecordFormat.1".into()
            }),
            "InvalidRecordFormat"
        );
        assert_eq!(
            code(ParamError::Duplicate {
                name: "R.1.Format".into()
            }),
            "InvalidFormat"
        );
        assert_eq!(
            code(ParamError::Shape {
                name: "<b>.".into()
            }),
            "InvalidParameter"
        );
        assert_eq!(code(ParamError::TooMany), "InvalidParameter");
        assert_eq!(ApiError::from(ParamError::TooLarge).status, 413);
    }

    #[test]
    fn bad_encoding_names_the_parameter() {
        let error = parse_pairs("Good=1&AppName=%zz", None).unwrap_err();
        assert_eq!(error.param(), Some("AppName"));
        assert!(matches!(
            parse_pairs("%ff=1", None),
            Err(ParamError::Name {
                error: DecodeError::NotUtf8
            })
        ));
    }
}
