//! DeleteLiveRecordNotifyConfig: removes the recording callbacks of a domain; what is in the outbox is still sent.

use serde::{Deserialize, Serialize};

use crate::actions::Context;
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
    if ctx
        .services
        .store
        .delete_document(Kind::RecordNotify, &domain)
        .await?
    {
        Ok(Answer {})
    } else {
        Err(ApiError::coded(Code::InvalidConfigNotFound))
    }
}
