//! DescribeLiveDomainTrafficData: the bytes that viewers of domains were sent.
//!
//! What RTMP took is part of the whole and of neither transport.

use serde::{Deserialize, Serialize};

use crate::actions::Context;
use crate::actions::statistics::span::{self, Span};
use crate::actions::statistics::subject;
use crate::error::ApiError;
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
    pub domain_name: Option<String>,
    pub start_time: Option<String>,
    pub end_time: Option<String>,
    pub interval: Option<String>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Answer {
    pub domain_name: String,
    pub start_time: String,
    pub end_time: String,
    pub data_interval: String,
    pub traffic_data_per_interval: Points,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Points {
    pub data_module: Vec<Point>,
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
    let domains = subject::domains(ctx, request.domain_name).await?;
    let now = ctx.now();
    let span = Span::read(
        request.start_time.as_deref(),
        request.end_time.as_deref(),
        span::DOMAIN,
        now,
    )?;
    let step = span::step(request.interval.as_deref());
    let asked = subject::of_domains(&domains, span, step);
    let sent = ctx.services.meter.sent(&asked).await?;
    let [all, http, https] =
        subject::by_transport(&sent).map(|bytes| span::roll_up(span, step, now, bytes));
    let points = all.into_iter().zip(http.into_iter().zip(https)).map(
        |((at, all), ((_, http), (_, https)))| Point {
            time_stamp: to_api(at),
            traffic_value: all.to_string(),
            http_traffic_value: http.to_string(),
            https_traffic_value: https.to_string(),
        },
    );
    Ok(Answer {
        domain_name: domains.join(","),
        start_time: to_api(span.from),
        end_time: to_api(span.to),
        data_interval: (step / 1000).to_string(),
        traffic_data_per_interval: Points {
            data_module: points.collect(),
        },
    })
}
