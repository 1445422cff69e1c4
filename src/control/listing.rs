//! What all lists take: names, a beginning in time, a length, and a place to go on from.

use super::ask::{Ask, Refused};
use super::table::{Field, Kind, field};
use crate::clock::UnixMs;
use crate::phrases::Phrase;

/// Rows of a list where nothing is said.
const USUAL: usize = 100;
/// Rows of a list at most.
const MOST: u64 = 1_000;

/// The parameters of every list.
pub(super) const LIST: &[Field] = &[
    field("domain", Kind::Text, "only of this domain"),
    field("app", Kind::Text, "only of this application"),
    field("stream", Kind::Text, "only of this stream"),
    field("since", Kind::Text, "only from this instant on"),
    field(
        "limit",
        Kind::Whole,
        "rows at most, 1 to 1000; 100 where absent",
    ),
    field(
        "cursor",
        Kind::Text,
        "`next` of the answer before, for the rows behind it",
    ),
];

/// What a list is asked for.
pub(super) struct Listing {
    pub domain: Option<String>,
    pub app: Option<String>,
    pub stream: Option<String>,
    pub since: Option<UnixMs>,
    pub limit: usize,
    pub cursor: Option<String>,
}

impl Listing {
    pub fn of(ask: &Ask) -> Result<Self, Refused> {
        let text = |name| ask.query(name).map(str::to_owned);
        let limit = ask.number("limit", 1..=MOST)?;
        Ok(Self {
            domain: text("domain").map(|domain| domain.to_ascii_lowercase()),
            app: text("app"),
            stream: text("stream"),
            since: ask.instant("since")?,
            limit: limit
                .and_then(|limit| usize::try_from(limit).ok())
                .unwrap_or(USUAL),
            cursor: text("cursor"),
        })
    }

    /// Whether a stream is asked for.
    pub fn takes(&self, domain: &str, app: &str, stream: &str) -> bool {
        let fits = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|w| w == is);
        fits(&self.domain, domain) && fits(&self.app, app) && fits(&self.stream, stream)
    }

    /// The cursor as numbers and texts that one of ours has.
    pub fn place<T>(&self, read: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, Refused> {
        let Some(cursor) = &self.cursor else {
            return Ok(None);
        };
        read(cursor)
            .map(Some)
            .ok_or_else(|| Refused::bad(Phrase::BadCursor))
    }
}
