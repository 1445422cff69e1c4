//! StartLiveDomain: what was stopped takes pushes and viewers again.

use serde::{Deserialize, Serialize};

use super::change::change_domain;
use crate::actions::Context;
use crate::error::ApiError;

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: String,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Answer {}

/// Starts the domain; one that is online stays so.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    change_domain(ctx, &request.domain_name, |domain| domain.stopped = false).await?;
    Ok(Answer {})
}
