//! DescribeLiveDomainPushTrafficData: the bytes that were pushed to domains.

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
}

/// Sums the minutes of the domains.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let query = Query::stepped(ctx, request).await?;
    let steps = query.brought(ctx, Measure::Traffic).await?.into_iter();
    let points = steps.map(|(time_stamp, traffic_value)| Point {
        time_stamp,
        traffic_value,
    });
    Ok(Answer {
        head: query.head(),
        traffic_data_per_interval: points.collect(),
    })
}
