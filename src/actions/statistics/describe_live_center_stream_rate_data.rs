//! DescribeLiveCenterStreamRateData: frame and bit rate of each track of a stream as the live centre received it.
//!
//! Points are a minute apart here, the product's five seconds. Rates are texts, as documented; bit rates are bits a second.

use serde::{Deserialize, Serialize};

use crate::actions::Context;
use crate::actions::arguments::Period;
use crate::actions::statistics::rates::{self, rounded};
use crate::actions::statistics::span::{HOUR_MS, Span};
use crate::actions::statistics::subject;
use crate::error::ApiError;
use crate::model::figures::MINUTE_MS;
use crate::wire_time::to_api;

/// Nothing is accepted without effect.
pub const IGNORES: &[(&str, &str)] = &[];

/// The longest period.
const LONGEST_MS: i64 = 3 * HOUR_MS;

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: String,
    pub app_name: String,
    pub stream_name: String,
    pub start_time: String,
    pub end_time: String,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Answer {
    pub rate_datas: Vec<Rates>,
}

/// One minute.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Rates {
    pub time: String,
    pub video_fps: String,
    pub audio_fps: String,
    pub video_rate: String,
    pub audio_rate: String,
}

/// Lists the minutes in which something came.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let domain = ctx.check_domain(&request.domain_name).await?;
    let Period { from, to } =
        Period::read(&request.start_time, &request.end_time, Some(LONGEST_MS))?;
    let (app, stream) = (&request.app_name, &request.stream_name);
    let asked = subject::of_stream(&domain, app, stream, Span { from, to }, MINUTE_MS);
    let minutes = rates::minutes(ctx, &asked).await?;
    let text = |rate: f64| rounded(rate).to_string();
    let rates = minutes.into_iter().map(|minute| Rates {
        time: to_api(minute.minute),
        video_fps: text(minute.video.frame_rate()),
        audio_fps: text(minute.audio.frame_rate()),
        video_rate: minute.video.bit_rate().round().to_string(),
        audio_rate: minute.audio.bit_rate().round().to_string(),
    });
    Ok(Answer {
        rate_datas: rates.collect(),
    })
}
