//! VerifyLiveDomainOwner: checks who owns a domain; on one machine that is always the caller. The answer has the text that proves it.

use serde::{Deserialize, Serialize};

use super::owner;
use crate::actions::Context;
use crate::actions::arguments::domain_name;
use crate::error::ApiError;

/// Accepted without effect.
pub const IGNORES: &[(&str, &str)] = &[
    ("RegionId", "there is one region"),
    (
        "VerifyType",
        "neither DNS records nor files are looked up on one machine",
    ),
];

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
    pub content: String,
}

/// Tells the text. The domain need not be declared: it is asked for before that.
#[expect(clippy::unused_async, reason = "handlers have one form")]
pub async fn handle(_ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let domain = domain_name("DomainName", &request.domain_name)?;
    Ok(Answer {
        content: owner::content(&domain),
    })
}
