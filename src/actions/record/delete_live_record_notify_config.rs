//! DeleteLiveRecordNotifyConfig: removes the recording callbacks of a domain; what is in the outbox is still sent.

use serde::{Deserialize, Serialize};

use crate::actions::Context;
use crate::actions::scope::Scope;
use crate::error::{ApiError, Code};
use crate::store::documents::Kind;

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
    let domain = ctx.check_streaming_domain(&request.domain_name).await?;
    let scope = Scope::streaming(&domain).with(Kind::RecordNotify);
    ctx.change(scope, move |view| {
        if view.remove(Kind::RecordNotify, &domain)? {
            Ok(Answer {})
        } else {
            Err(ApiError::coded(Code::InvalidConfigNotFound))
        }
    })
    .await
}
