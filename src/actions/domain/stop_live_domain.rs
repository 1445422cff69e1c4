//! StopLiveDomain: the domain takes no pushes and plays nothing until it is started again; all that is set on it stays.
//!
//! Who publishes to it or watches by it is cut off, which no page says and which a domain without service means.

use serde::{Deserialize, Serialize};

use super::change::change_domain;
use crate::actions::Context;
use crate::error::ApiError;
use crate::live::hub::LiveOf;
use crate::live::ingest::kept_out::stopped;

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: String,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Answer {}

/// Stops the domain.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let domain = change_domain(ctx, &request.domain_name, |domain| domain.stopped = true).await?;
    let why = stopped(&domain);
    let of = LiveOf::Domain(domain.clone());
    ctx.hub.cut_everywhere(&of, |_| true, &why).await?;
    ctx.hub.audiences.cut(&domain);
    Ok(Answer {})
}
