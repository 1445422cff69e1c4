//! DescribeLiveDomainTrafficData: the bytes that viewers of domains were sent.
//!
//! What RTMP took is part of the whole and of neither transport.

use serde::Serialize;

use crate::actions::Context;
use crate::actions::statistics::over_domains::{Head, Measure, Points, Query};
pub use crate::actions::statistics::over_domains::{IGNORES, Request};
use crate::error::ApiError;

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Answer {
    #[serde(flatten)]
    pub head: Head,
    pub traffic_data_per_interval: Points<Point>,
}

/// One step of the period.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Point {
    pub time_stamp: String,
    pub traffic_value: String,
    pub http_traffic_value: String,
    pub https_traffic_value: String,
}

/// Sums the minutes of the domains.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let query = Query::stepped(ctx, request).await?;
    let steps = query.sent_by_transport(ctx, Measure::Traffic).await?;
    let points = steps.into_iter().map(
        |(time_stamp, [traffic_value, http_traffic_value, https_traffic_value])| Point {
            time_stamp,
            traffic_value,
            http_traffic_value,
            https_traffic_value,
        },
    );
    Ok(Answer {
        head: query.head(),
        traffic_data_per_interval: points.collect(),
    })
}
