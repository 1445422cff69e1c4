//! Pages of what streams were played and pushed, by stream and minute.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::actions::Context;
use crate::actions::arguments::{Period, length, malformed, number};
use crate::actions::statistics::span::{Span, bits_per_second};
use crate::actions::statistics::subject::{ALL, Protocols, Streams};
use crate::error::ApiError;
use crate::model::figures::{MINUTE_MS, Player};
use crate::model::retention::DAY_MS;
use crate::store::figures::SentOfStream;

/// Rows of one answer.
pub const MOST_ROWS: u64 = 5_000;

/// What one form of playing took in a minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Form {
    pub bytes: u64,
    pub viewers: u64,
}

impl Form {
    #[must_use]
    pub fn bps(self) -> f64 {
        bits_per_second(self.bytes, MINUTE_MS)
    }
}

/// One stream in one minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub minute: i64,
    pub app: String,
    pub stream: String,
    pub came: u64,
    pub all: Form,
    forms: [Form; 4],
}

impl Row {
    fn of(sent: SentOfStream) -> Self {
        let mut forms = [Form::default(); 4];
        let counts = sent.bytes.into_iter().zip(sent.viewers);
        for (form, (bytes, viewers)) in forms.iter_mut().zip(counts) {
            *form = Form { bytes, viewers };
        }
        Self {
            minute: sent.minute,
            app: sent.app,
            stream: sent.stream,
            came: sent.came,
            all: Form {
                bytes: sent.bytes.iter().sum(),
                viewers: sent.viewers.iter().sum(),
            },
            forms,
        }
    }

    /// What one form took, zero where nothing is played in it; none where it is not asked for.
    #[must_use]
    pub fn form(&self, name: &str, protocols: &Protocols) -> Option<Form> {
        let mut known = Player::ALL.iter().zip(self.forms);
        let form = known.find(|(player, _)| player.as_str() == name);
        protocols
            .show(name)
            .then(|| form.map_or_else(Form::default, |(_, form)| form))
    }
}

/// Rows, and how many there are.
pub struct Page<T> {
    pub rows: Vec<T>,
    pub total: u64,
}

impl<T> Page<T> {
    /// The same page of other rows.
    pub fn map<U>(self, written: impl FnMut(T) -> U) -> Page<U> {
        Page {
            rows: self.rows.into_iter().map(written).collect(),
            total: self.total,
        }
    }
}

/// An answer on pages that lead to each other. The period is told as it was asked for.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct TokenPage<R> {
    pub domain_name: String,
    pub start_time: String,
    pub end_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
    pub page_size: i32,
    pub stream_detail_data: StreamData<R>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct StreamData<R> {
    pub stream_data: Vec<R>,
}

impl<R> TokenPage<R> {
    /// The page that begins behind `offset` rows, of `page.total`.
    #[must_use]
    pub fn new(domain: String, (start, end): (String, String), offset: u64, page: Page<R>) -> Self {
        Self {
            domain_name: domain,
            start_time: start,
            end_time: end,
            next_page_token: next(offset, page.rows.len(), page.total),
            page_size: number(length(&page.rows)),
            stream_detail_data: StreamData {
                stream_data: page.rows,
            },
        }
    }
}

/// The streams that a query asks for, within a day.
pub async fn streams(
    ctx: &Context,
    domain: Option<String>,
    app: Option<String>,
    stream: Option<String>,
    (start, end): (&str, &str),
) -> Result<Streams, ApiError> {
    let Period { from, to } = Period::read(start, end, Some(DAY_MS))?;
    Streams::read(ctx, domain, app, stream, Span { from, to }, MINUTE_MS).await
}

impl Streams {
    /// Only what was played in these forms.
    #[must_use]
    pub fn played_as(mut self, protocols: &Protocols) -> Self {
        self.asked.players = protocols.players();
        self
    }
}

/// A page of what viewers were sent.
pub async fn page(
    ctx: &Context,
    streams: &Streams,
    offset: u64,
    limit: u64,
) -> Result<Page<Row>, ApiError> {
    let meter = &ctx.services.meter;
    if !streams.are_one {
        let (rows, total) = meter.sent_page(&streams.asked, offset, limit).await?;
        let rows = rows.into_iter().map(Row::of).collect();
        return Ok(Page { rows, total });
    }
    let mut minutes: BTreeMap<i64, SentOfStream> = BTreeMap::new();
    for sent in meter.sent(&streams.asked).await? {
        let minute = minutes.entry(sent.minute).or_insert_with(|| SentOfStream {
            minute: sent.minute,
            app: ALL.to_owned(),
            stream: ALL.to_owned(),
            ..SentOfStream::default()
        });
        minute.came += sent.came;
        let counts = minute.bytes.iter_mut().zip(&mut minute.viewers);
        for (player, (bytes, viewers)) in Player::ALL.iter().zip(counts) {
            if *player == sent.player {
                *bytes += sent.bytes;
                *viewers += sent.viewers;
            }
        }
    }
    Ok(cut(
        minutes.into_values().map(Row::of).collect(),
        offset,
        limit,
    ))
}

/// A page of a list that is at hand as a whole.
#[must_use]
pub fn cut<T>(all: Vec<T>, offset: u64, limit: u64) -> Page<T> {
    let count = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let total = u64::try_from(all.len()).unwrap_or(u64::MAX);
    let rows = all.into_iter().skip(count(offset)).take(count(limit));
    Page {
        rows: rows.collect(),
        total,
    }
}

/// Where a page begins: the token is the number of rows before it.
pub fn offset(token: Option<&str>) -> Result<u64, ApiError> {
    match token.filter(|token| !token.is_empty()) {
        None => Ok(0),
        // A database counts rows as an int64.
        Some(token) => match token.parse::<u64>() {
            Ok(rows) if i64::try_from(rows).is_ok() => Ok(rows),
            _ => Err(malformed("NextPageToken")),
        },
    }
}

/// The token of what is left behind a page; none where nothing is.
#[must_use]
pub fn next(offset: u64, rows: usize, total: u64) -> Option<String> {
    let behind = offset.saturating_add(u64::try_from(rows).unwrap_or(u64::MAX));
    (rows > 0 && behind < total).then(|| behind.to_string())
}

/// A count as an int64 of an answer.
#[must_use]
pub fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count as a float of an answer.
#[expect(
    clippy::cast_precision_loss,
    reason = "traffic of a minute is far below 2^52"
)]
#[must_use]
pub fn fraction(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_on_until_nothing_is_left() {
        assert_eq!(offset(None).unwrap(), 0);
        assert_eq!(offset(Some("5000")).unwrap(), 5_000);
        let error = offset(Some("next")).unwrap_err();
        assert_eq!(error.code.to_string(), "InvalidNextPageToken.Malformed");
        assert_eq!(next(0, 5_000, 5_001).as_deref(), Some("5000"));
        assert_eq!(next(5_000, 1, 5_001), None);
        assert_eq!(next(9_000, 0, 5_001), None);
        assert_eq!(next(u64::MAX, 1, 5_001), None);
    }
}
