//! DescribeLiveDomainRealTimeHttpCodeData: how often viewers of domains were answered with which status, by the minute.
//!
//! Proportions are percent of the minute's answers. A minute without an answer has an empty list.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::actions::Context;
use crate::actions::statistics::over_domains::{Head, Query};
pub use crate::actions::statistics::over_domains::{IGNORES, MinuteRequest as Request};
use crate::error::ApiError;
use crate::wire_time::to_api;

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Answer {
    #[serde(flatten)]
    pub head: Head,
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
    let query = Query::by_the_minute(ctx, request).await?;
    let mut codes: BTreeMap<i64, BTreeMap<u16, u64>> = BTreeMap::new();
    for (minute, status, count) in ctx.services.meter.answered(&query.asked()).await? {
        *codes.entry(minute).or_default().entry(status).or_default() += count;
    }
    let minutes = query.steps().map(|at| Minute {
        time_stamp: to_api(at),
        value: Codes {
            real_time_code_proportion_data: codes.get(&at).map(shares).unwrap_or_default(),
        },
    });
    Ok(Answer {
        head: query.head(),
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
