//! DescribeLiveDomainRealTimeTrafficData: the bytes that viewers of domains were sent, by the minute.

use serde::Serialize;

use crate::actions::Context;
use crate::actions::statistics::over_domains::{Head, Measure, Points, Query, Valued};
pub use crate::actions::statistics::over_domains::{IGNORES, MinuteRequest as Request};
use crate::error::ApiError;

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Answer {
    #[serde(flatten)]
    pub head: Head,
    pub real_time_traffic_data_per_interval: Points<Valued>,
}

/// Sums the minutes of the domains.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let query = Query::by_the_minute(ctx, request).await?;
    Ok(Answer {
        real_time_traffic_data_per_interval: query.sent(ctx, Measure::Traffic).await?,
        head: query.head(),
    })
}
