//! DescribeLiveDomainPushBpsData: the bandwidth of what was pushed to domains, in bits a second.

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
    pub bps_data_per_interval: Points<Point>,
}

/// One step of the period.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Point {
    pub time_stamp: String,
    pub bps_value: String,
}

/// Sums the minutes of the domains.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let query = Query::stepped(ctx, request).await?;
    let steps = query.brought(ctx, Measure::Bandwidth).await?.into_iter();
    let points = steps.map(|(time_stamp, bps_value)| Point {
        time_stamp,
        bps_value,
    });
    Ok(Answer {
        head: query.head(),
        bps_data_per_interval: points.collect(),
    })
}
