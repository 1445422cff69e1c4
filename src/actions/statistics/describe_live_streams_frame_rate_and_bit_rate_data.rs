//! DescribeLiveStreamsFrameRateAndBitRateData, which the product has retired: frame and bit rate of the streams of a domain.
//!
//! Without times it is the newest minute of each stream that brought something in the last five. Bit rates are bits a second.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::actions::Context;
use crate::actions::arguments::given;
use crate::actions::statistics::rates::{self, Infos, TimedRates};
use crate::actions::statistics::span::{FIVE_MINUTES_MS, Rule, Span};
use crate::actions::statistics::subject;
use crate::error::ApiError;
use crate::model::figures::{Asked, MINUTE_MS};
use crate::model::retention::DAY_MS;
use crate::notes::{self, Note};
use crate::phrases::Phrase;

/// Nothing is accepted without effect.
pub const IGNORES: &[(&str, &str)] = &[];

const PERIODS: Rule = Rule {
    default: FIVE_MINUTES_MS,
    longest: DAY_MS,
};

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: String,
    pub app_name: Option<String>,
    pub stream_name: Option<String>,
    pub start_time: Option<String>,
    pub end_time: Option<String>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Answer {
    pub frame_rate_and_bit_rate_infos: Infos<TimedRates>,
}

/// Lists the minutes in which something came, or the newest of each stream.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    notes::tell(Note::Beyond {
        what: Phrase::FrameRateRetired,
    });
    let domain = ctx.check_domain(&request.domain_name).await?;
    let (start, end) = (given(request.start_time), given(request.end_time));
    let newest_alone = start.is_none() && end.is_none();
    let span = Span::read(start.as_deref(), end.as_deref(), PERIODS, ctx.now())?;
    let asked = Asked {
        app: given(request.app_name),
        stream: given(request.stream_name),
        ..subject::of_domains(&[domain], span, MINUTE_MS)
    };
    let mut minutes = rates::minutes(ctx, &asked).await?;
    if newest_alone {
        let newest: BTreeMap<_, _> = minutes.into_iter().map(|m| (m.url.clone(), m)).collect();
        minutes = newest.into_values().collect();
    }
    Ok(Answer {
        frame_rate_and_bit_rate_infos: minutes.into(),
    })
}
