//! DescribeLiveDomainLimit: how many streams a domain may have at a time, and has now. Nothing is transcoded or relayed, so those numbers are 0.

use serde::{Deserialize, Serialize};

use crate::actions::Context;
use crate::actions::arguments::{length, number};
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
    pub live_domain_limit_list: List,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct List {
    pub live_domain_limit: Vec<Limit>,
}

/// One domain.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Limit {
    pub domain_name: String,
    pub limit_num: i32,
    pub current_num: i32,
    pub limit_transcode_num: i32,
    pub current_transcode_num: i32,
    pub limit_transfer_num: i32,
    pub current_transfer_num: i32,
}

/// Tells the limits.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let domain = ctx.check_domain(&request.domain_name).await?;
    let live = ctx.hub.live_of(&domain).await?;
    Ok(Answer {
        live_domain_limit_list: List {
            live_domain_limit: vec![Limit {
                domain_name: domain,
                limit_num: i32::try_from(MAX_PUBLISHERS).unwrap_or(i32::MAX),
                current_num: number(length(&live)),
                limit_transcode_num: 0,
                current_transcode_num: 0,
                limit_transfer_num: 0,
                current_transfer_num: 0,
            }],
        },
    })
}
