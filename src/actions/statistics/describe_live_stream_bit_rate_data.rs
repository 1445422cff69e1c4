//! DescribeLiveStreamBitRateData: frame and bit rate of a pushed stream, minute by minute. Bit rates are bits a second.

use serde::{Deserialize, Serialize};

use crate::actions::Context;
use crate::actions::statistics::rates::{self, Infos, TimedRates};
use crate::actions::statistics::span::{self, Rule, Span};
use crate::actions::statistics::subject;
use crate::error::ApiError;
use crate::model::figures::MINUTE_MS;
use crate::model::retention::DAY_MS;

/// Nothing is accepted without effect.
pub const IGNORES: &[(&str, &str)] = &[];

const PERIODS: Rule = Rule {
    default: span::HOUR_MS,
    longest: 30 * DAY_MS,
};

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: String,
    pub app_name: String,
    pub stream_name: String,
    pub start_time: Option<String>,
    pub end_time: Option<String>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Answer {
    pub frame_rate_and_bit_rate_infos: Infos<TimedRates>,
}

/// Lists the minutes in which something came.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let domain = ctx.check_domain(&request.domain_name).await?;
    let (start, end) = (request.start_time.as_deref(), request.end_time.as_deref());
    let span = Span::read(start, end, PERIODS, ctx.now())?;
    let (app, stream) = (&request.app_name, &request.stream_name);
    let asked = subject::of_stream(&domain, app, stream, span, MINUTE_MS);
    let minutes = rates::minutes(ctx, &asked).await?;
    Ok(Answer {
        frame_rate_and_bit_rate_infos: minutes.into(),
    })
}
