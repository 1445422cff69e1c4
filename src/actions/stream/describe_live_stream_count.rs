//! DescribeLiveStreamCount: how many streams of a domain are live now, and how many may be.
//!
//! Type is `raw` for pushed streams and `trans` for transcoded ones, of which there are none; no page names the values.

use serde::{Deserialize, Serialize};

use crate::actions::Context;
use crate::actions::arguments::length;
use crate::error::ApiError;
use crate::live::hub::MAX_PUBLISHERS;

/// Accepted without effect.
pub const IGNORES: &[(&str, &str)] = &[("RegionId", "there is one region")];

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: String,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Answer {
    pub stream_count_infos: Infos,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Infos {
    pub stream_count_info: Vec<Info>,
}

/// The streams of one kind.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Info {
    #[serde(rename = "Type")]
    pub kind: String,
    pub count: i64,
    pub limit: i64,
    pub stream_count_details: Details,
}

/// What they are transcoded to.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Details {
    pub stream_count_detail: Vec<Detail>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Detail {
    pub count: i64,
    pub format: String,
    pub video_data_rate: i64,
}

/// Counts the streams.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let domain = ctx.check_domain(&request.domain_name).await?;
    let live = ctx.hub.live_of(&domain).await?;
    let info = |kind: &str, count: u64, limit: usize| Info {
        kind: kind.to_owned(),
        count: i64::try_from(count).unwrap_or(i64::MAX),
        limit: i64::try_from(limit).unwrap_or(i64::MAX),
        stream_count_details: Details {
            stream_count_detail: Vec::new(),
        },
    };
    Ok(Answer {
        stream_count_infos: Infos {
            stream_count_info: vec![
                info("raw", length(&live), MAX_PUBLISHERS),
                info("trans", 0, 0),
            ],
        },
    })
}
