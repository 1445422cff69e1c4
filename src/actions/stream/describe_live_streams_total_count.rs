//! DescribeLiveStreamsTotalCount: how many streams of some domains were live in each five minutes of a period.
//!
//! No page names the interval. A stream that was live at any moment of one counts in it, once. With Typ `aliuid` the streams of all domains are
//! counted. What lies ahead has no row.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::actions::Context;
use crate::actions::arguments::{MOST_DOMAINS, Period, malformed, names, number};
use crate::clock::UnixMs;
use crate::error::ApiError;
use crate::model::retention::{DAY_MS, PUSHES};
use crate::store::pushes::Span;
use crate::wire_time::to_api;

/// Accepted without effect.
pub const IGNORES: &[(&str, &str)] = &[("RegionId", "there is one region")];

/// The interval of the answer.
const INTERVAL_MS: i64 = 5 * 60 * 1000;
/// The longest period: that of the list of pushes.
const LONGEST_MS: i64 = 30 * DAY_MS;

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: String,
    pub start_time: String,
    pub end_time: String,
    pub typ: Option<String>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Answer {
    pub stream_count_list: List,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct List {
    pub stream_count_infos: Vec<Info>,
}

/// One interval.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Info {
    pub timestamp: String,
    pub count: i32,
}

/// Counts the streams.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let mut domains = Vec::new();
    for name in names(&request.domain_name) {
        domains.push(ctx.check_domain(name).await?);
        if domains.len() > MOST_DOMAINS {
            return Err(malformed("DomainName"));
        }
    }
    if domains.is_empty() {
        return Err(ApiError::missing("DomainName"));
    }
    if request.typ.as_deref() == Some("aliuid") {
        domains.clear();
    }
    let now = ctx.now();
    let period = Period::read(&request.start_time, &request.end_time, Some(LONGEST_MS))?
        .since(now - PUSHES.ms());
    let (from, to) = (period.from, period.to.min(now));
    ctx.hub.ends_are_written().await;
    let store = &ctx.services.store;
    let spans = store.push_spans(&domains, from, to).await?;
    Ok(Answer {
        stream_count_list: List {
            stream_count_infos: count(spans, from, to),
        },
    })
}

/// A row for each interval that begins in the period.
fn count(spans: Vec<Span>, from: UnixMs, to: UnixMs) -> Vec<Info> {
    // A period that begins at this moment, or later, has no interval yet.
    if to <= from {
        return Vec::new();
    }
    let first = from.div_euclid(INTERVAL_MS);
    let last = (to - 1).div_euclid(INTERVAL_MS);
    let Ok(intervals) = usize::try_from(last - first + 1) else {
        return Vec::new();
    };
    let place = |at: UnixMs| {
        let interval = at.div_euclid(INTERVAL_MS).clamp(first, last);
        usize::try_from(interval - first).unwrap_or_default()
    };
    // By how much an interval's count differs from the one before.
    let mut steps = vec![0_i64; intervals + 1];
    let mut seen: HashMap<(String, String, String), usize> = HashMap::new();
    for span in spans {
        let end = if span.stopped_at == 0 {
            to
        } else {
            span.stopped_at
        };
        if span.published_at >= to || end < from {
            continue;
        }
        let after = place(end.max(span.published_at)) + 1;
        // Spans come in the order of their beginnings: where one of the same stream reached further, that part is counted.
        let counted = seen
            .entry((span.domain, span.app, span.stream))
            .or_default();
        let begin = place(span.published_at).max(*counted);
        if begin < after {
            *counted = after;
            if let Some(step) = steps.get_mut(begin) {
                *step += 1;
            }
            if let Some(step) = steps.get_mut(after) {
                *step -= 1;
            }
        }
    }
    let mut live = 0;
    (first..=last)
        .zip(steps)
        .map(|(interval, step)| {
            live += step;
            Info {
                timestamp: to_api(interval * INTERVAL_MS),
                count: number(u64::try_from(live).unwrap_or_default()),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(stream: &str, published_at: UnixMs, stopped_at: UnixMs) -> Span {
        Span {
            domain: "d".into(),
            app: "a".into(),
            stream: stream.into(),
            published_at: published_at * 60_000,
            stopped_at: stopped_at * 60_000,
        }
    }

    #[test]
    fn a_stream_counts_once_in_each_interval_that_it_touches() {
        let counts = |spans: Vec<Span>, from: i64, to: i64| {
            let rows = count(spans, from * 60_000, to * 60_000);
            rows.iter().map(|row| row.count).collect::<Vec<_>>()
        };
        assert_eq!(counts(vec![], 0, 15), [0, 0, 0]);
        let twice = vec![span("s", 1, 2), span("s", 3, 7), span("t", 11, 0)];
        assert_eq!(counts(twice, 0, 15), [1, 1, 1]);
        assert_eq!(counts(vec![span("s", -10, 0), span("t", 6, 9)], 5, 10), [2]);
        assert_eq!(counts(vec![span("s", 20, 0)], 0, 10), [0, 0]);
        assert!(counts(vec![span("s", 1, 2)], 10, 5).is_empty());
        // It ends where it begins, on a mark and beside one, or within the interval before its beginning.
        for (from, to) in [(10, 10), (7, 7), (10, 9), (11, 6)] {
            let live = vec![span("s", 1, 0), span("t", 1, 20)];
            assert!(counts(live, from, to).is_empty(), "{from} {to}");
        }
        assert_eq!(
            count(vec![], 0, 60_000)[0].timestamp,
            "1970-01-01T00:00:00Z"
        );
    }
}
