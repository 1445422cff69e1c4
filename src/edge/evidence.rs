//! A request whose signature was refused, kept until somebody asks why, and what was found then.

use std::sync::OnceLock;

use bytes::Bytes;
use serde::Serialize;

use crate::phrases::Said;
use crate::wire::http_parts::HttpParts;

/// Bytes of a request that are kept; nothing is said about a larger one.
const KEPT: usize = 16 * 1024;

/// What is known about a signature that does not match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// The finding in one or two sentences.
    pub finding: String,
    /// What the client did wrong; empty where that is unknown.
    pub mistakes: Vec<String>,
    pub words: Words,
    /// What the client signed (V1: its string to sign, ACS3: its canonical request), where that is known.
    pub client_string: Option<String>,
    /// What it should have signed.
    pub server_string: String,
    /// Where the two part.
    pub first_difference: Option<Difference>,
}

/// The finding and the mistakes as others can word them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Words {
    pub finding: Said,
    pub mistakes: Vec<Said>,
}

impl Diagnosis {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.mistakes.is_empty() && self.client_string.is_some()
    }
}

/// The first place where two texts differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Counted in bytes from 0.
    pub at: usize,
    /// The client's text around it.
    pub client: String,
    /// Ours.
    pub server: String,
}

/// A refused request as it came, until somebody asks why it was refused.
#[derive(Debug)]
pub struct Evidence {
    parts: HttpParts,
    diagnosis: OnceLock<Option<Diagnosis>>,
}

impl Evidence {
    /// Keeps a request; `None` for one that is larger than 16 KiB.
    #[must_use]
    pub fn of(parts: &HttpParts) -> Option<Self> {
        let headers: usize = parts.headers.iter().map(|(n, v)| n.len() + v.len()).sum();
        let size = parts.path.len() + parts.query.len() + parts.body.len() + headers;
        (size <= KEPT).then(|| Self {
            parts: HttpParts {
                // The body may be a small part of a large buffer.
                body: Bytes::copy_from_slice(&parts.body),
                ..parts.clone()
            },
            diagnosis: OnceLock::new(),
        })
    }

    #[must_use]
    pub fn request(&self) -> &HttpParts {
        &self.parts
    }

    /// Looks into it, once.
    pub fn examine_by(&self, examine: impl FnOnce(&HttpParts) -> Option<Diagnosis>) {
        self.diagnosis.get_or_init(|| examine(&self.parts));
    }

    /// Whether it was looked into, whatever came of it.
    #[must_use]
    pub fn is_examined(&self) -> bool {
        self.diagnosis.get().is_some()
    }

    /// What was found, where it was looked into.
    #[must_use]
    pub fn diagnosis(&self) -> Option<&Diagnosis> {
        self.diagnosis.get().and_then(Option::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_requests_are_not_kept() {
        let parts = |length: usize| HttpParts {
            query: "q".repeat(length),
            ..HttpParts::default()
        };
        assert!(Evidence::of(&parts(KEPT)).is_some());
        assert!(Evidence::of(&parts(KEPT + 1)).is_none());
    }

    #[test]
    fn a_request_is_looked_into_once() {
        let evidence = Evidence::of(&HttpParts::default()).unwrap();
        assert!(!evidence.is_examined());
        evidence.examine_by(|_| None);
        evidence.examine_by(|_| unreachable!("it was looked into"));
        assert!(evidence.is_examined() && evidence.diagnosis().is_none());
    }
}
