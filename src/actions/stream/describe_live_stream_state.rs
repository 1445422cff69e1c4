//! DescribeLiveStreamState: whether a stream is being published; asked by its streaming domain or by the ingest domain of its push.

use serde::{Deserialize, Serialize};

use crate::actions::Context;
use crate::error::ApiError;
use crate::model::stream_key::StreamKey;

/// Accepted without effect.
pub const IGNORES: &[(&str, &str)] = &[("RegionId", "there is one region")];

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: String,
    pub app_name: String,
    pub stream_name: String,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Answer {
    pub stream_state: String,
    /// Always a push: nothing is pulled here.
    #[serde(rename = "Type")]
    pub kind: String,
}

/// Looks for the publisher.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let domain = ctx.check_domain(&request.domain_name).await?;
    let key = StreamKey::new(&domain, &request.app_name, &request.stream_name);
    let online = ctx.hub.find(&key).is_some()
        || ctx
            .hub
            .live_of(&domain)
            .await?
            .iter()
            .any(|live| live.key.app == key.app && live.key.stream == key.stream);
    Ok(Answer {
        stream_state: if online { "online" } else { "offline" }.to_owned(),
        kind: "push".to_owned(),
    })
}
