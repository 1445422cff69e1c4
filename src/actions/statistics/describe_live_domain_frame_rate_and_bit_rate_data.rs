//! DescribeLiveDomainFrameRateAndBitRateData: frame and bit rate of every stream of a domain in one minute. Bit rates are bits a second.

use serde::{Deserialize, Serialize};

use crate::actions::Context;
use crate::actions::arguments::instant;
use crate::actions::statistics::rates::{self, Infos, Rates};
use crate::error::ApiError;
use crate::model::figures::{Asked, MINUTE_MS, minute_of};

/// Accepted without effect.
pub const IGNORES: &[(&str, &str)] = &[("RegionId", "there is one region")];

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: String,
    pub query_time: String,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Answer {
    pub frame_rate_and_bit_rate_infos: Infos<Rates>,
}

/// Lists the streams that brought something in that minute.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let domain = ctx.check_domain(&request.domain_name).await?;
    let from = minute_of(instant("QueryTime", &request.query_time)?);
    let asked = Asked {
        domains: vec![domain],
        from,
        to: from + MINUTE_MS,
        ..Asked::default()
    };
    let mut minutes = rates::minutes(ctx, &asked).await?;
    minutes.sort_by(|a, b| a.url.cmp(&b.url));
    Ok(Answer {
        frame_rate_and_bit_rate_infos: minutes.into(),
    })
}
