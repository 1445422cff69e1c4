//! DeleteLiveStreamsNotifyUrlConfig: removes the publish callbacks of an ingest domain.
//!
//! Nothing is documented for a domain without them; this answers 404 InvalidConfig.NotFound, as the recording callbacks' action does.

use serde::{Deserialize, Serialize};

use crate::actions::Context;
use crate::actions::scope::Scope;
use crate::error::{ApiError, Code};
use crate::store::documents::Kind;

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
pub struct Answer {}

/// Removes the configuration.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let domain = ctx.check_domain(&request.domain_name).await?;
    let scope = Scope::domain(&domain).with(Kind::StreamNotify);
    ctx.change(scope, move |view| {
        if view.remove(Kind::StreamNotify, &domain)? {
            Ok(Answer {})
        } else {
            Err(ApiError::coded(Code::InvalidConfigNotFound))
        }
    })
    .await
}
