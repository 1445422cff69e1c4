//! DescribeLiveDomainRealTimeHttpCodeData: how often viewers of domains were answered with which status, by the minute.
//!
//! Proportions are percent of the minute's answers. A minute without an answer has an empty list.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::actions::Context;
use crate::actions::statistics::span::{self, Span};
use crate::actions::statistics::subject;
use crate::error::ApiError;
use crate::model::figures::MINUTE_MS;
use crate::model::wire_time::to_api;

/// Accepted without effect.
pub const IGNORES: &[(&str, &str)] = &[
    ("IspNameEn", "viewers on one machine come by no provider"),
    (
        "LocationNameEn",
        "viewers on one machine come from no region",
    ),
    ("RegionId", "there is one region"),
];

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: String,
    pub start_time: Option<String>,
    pub end_time: Option<String>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Answer {
    pub domain_name: String,
    pub start_time: String,
    pub end_time: String,
    pub data_interval: String,
    pub real_time_http_code_data: Minutes,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Minutes {
    pub usage_data: Vec<Minute>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Minute {
    pub time_stamp: String,
    pub value: Codes,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Codes {
    pub real_time_code_proportion_data: Vec<Share>,
}

/// One status in a minute.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Share {
    pub code: String,
    pub count: String,
    pub proportion: String,
}

/// Sums the answers of the domains.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let domains = subject::domains(ctx, Some(request.domain_name)).await?;
    let now = ctx.now();
    let span = Span::read(
        request.start_time.as_deref(),
        request.end_time.as_deref(),
        span::REAL_TIME,
        now,
    )?;
    let asked = subject::of_domains(&domains, span, MINUTE_MS);
    let mut codes: BTreeMap<i64, BTreeMap<u16, u64>> = BTreeMap::new();
    for (minute, status, count) in ctx.services.meter.answered(&asked).await? {
        *codes.entry(minute).or_default().entry(status).or_default() += count;
    }
    let minutes = span::roll_up(span, MINUTE_MS, now, []).into_iter();
    let minutes = minutes.map(|(at, _)| Minute {
        time_stamp: to_api(at),
        value: Codes {
            real_time_code_proportion_data: codes.get(&at).map(shares).unwrap_or_default(),
        },
    });
    Ok(Answer {
        domain_name: domains.join(","),
        start_time: to_api(span.from),
        end_time: to_api(span.to),
        data_interval: (MINUTE_MS / 1000).to_string(),
        real_time_http_code_data: Minutes {
            usage_data: minutes.collect(),
        },
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a minute's answers are far below 2^52"
)]
fn shares(codes: &BTreeMap<u16, u64>) -> Vec<Share> {
    let all: u64 = codes.values().sum();
    let shares = codes.iter().map(|(status, count)| Share {
        code: status.to_string(),
        count: count.to_string(),
        proportion: (*count as f64 * 100.0 / all as f64).to_string(),
    });
    shares.collect()
}
