//! DeleteLiveAppRecordConfig: removes the rule of exactly this triple; an absent StreamName addresses the application's own rule.
//!
//! The product documents nothing for a triple without rule; this answers as its siblings do, 404 InvalidConfig.NotFound.

use serde::{Deserialize, Serialize};

use super::config;
use crate::actions::Context;
use crate::actions::scope::Scope;
use crate::error::{ApiError, Code};

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: String,
    pub app_name: String,
    pub stream_name: Option<String>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Answer {}

/// Removes the rule; a recording under way goes on.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let domain = ctx.check_streaming_domain(&request.domain_name).await?;
    let (app, stream) = config::names(&request.app_name, request.stream_name.as_deref())?;
    ctx.change(Scope::streaming(&domain), move |view| {
        if view.remove_rule(&domain, &app, &stream) {
            Ok(Answer {})
        } else {
            Err(ApiError::coded(Code::InvalidConfigNotFound))
        }
    })
    .await
}
