//! DescribeLiveStreamDetailFrameRateAndBitRateData: frame and bit rate of each track of a pushed stream, minute by minute.
//!
//! Bit rates are bits a second. Times that are none, or that do not fit, stand for the last hour, as documented.

use serde::{Deserialize, Serialize};

use crate::actions::Context;
use crate::actions::statistics::rates::{self, TimedRates, rounded};
use crate::actions::statistics::span::{HOUR_MS, Rule, Span};
use crate::actions::statistics::subject;
use crate::error::ApiError;
use crate::model::figures::MINUTE_MS;
use crate::notes::{self, Note};
use crate::phrases::Phrase;

/// Accepted without effect.
pub const IGNORES: &[(&str, &str)] = &[("RegionId", "there is one region")];

const PERIODS: Rule = Rule {
    default: HOUR_MS,
    longest: HOUR_MS,
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

/// The list is bare here, unlike in DescribeLiveStreamBitRateData.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Answer {
    pub frame_rate_and_bit_rate_infos: Vec<Info>,
}

/// One minute.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Info {
    #[serde(flatten)]
    pub both: TimedRates,
    pub video_bit_rate: f64,
    pub audio_bit_rate: f64,
}

/// Lists the minutes in which something came.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let domain = ctx.check_domain(&request.domain_name).await?;
    let (start, end) = (request.start_time.as_deref(), request.end_time.as_deref());
    let now = ctx.now();
    let span = match Span::read(start, end, PERIODS, now) {
        Ok(span) => span,
        Err(_) => {
            notes::tell(Note::WithoutEffect {
                parameters: &["StartTime", "EndTime"],
                because: Phrase::PeriodNotNamed,
            });
            Span::read(None, None, PERIODS, now)?
        }
    };
    let (app, stream) = (&request.app_name, &request.stream_name);
    let asked = subject::of_stream(&domain, app, stream, span, MINUTE_MS);
    let minutes = rates::minutes(ctx, &asked).await?;
    let infos = minutes.into_iter().map(|minute| Info {
        video_bit_rate: rounded(minute.video.bit_rate()),
        audio_bit_rate: rounded(minute.audio.bit_rate()),
        both: minute.into(),
    });
    Ok(Answer {
        frame_rate_and_bit_rate_infos: infos.collect(),
    })
}
