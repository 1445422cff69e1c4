//! DescribeLiveStreamsNotifyUrlConfig: the publish callbacks of an ingest domain.
//!
//! Nothing is documented for a domain without them; this answers as the recording callbacks' action does, 404 InvalidConfig.NotFound.

use serde::{Deserialize, Serialize};

use crate::actions::Context;
use crate::error::ApiError;
use crate::model::notify::StreamNotify;
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
#[serde(rename_all = "PascalCase")]
pub struct Answer {
    pub live_streams_notify_config: Config,
}

/// The configuration.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Config {
    pub domain_name: String,
    pub notify_url: String,
    pub exception_notify_url: String,
    pub notify_req_auth: String,
    pub notify_auth_key: String,
}

/// Shows the configuration.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let domain = ctx.check_domain(&request.domain_name).await?;
    let config: StreamNotify = ctx.config_of(Kind::StreamNotify, &domain).await?;
    Ok(Answer {
        live_streams_notify_config: Config {
            domain_name: domain,
            notify_url: config.notify_url.unwrap_or_default(),
            exception_notify_url: config.exception_notify_url.unwrap_or_default(),
            notify_req_auth: if config.notify_req_auth { "yes" } else { "no" }.to_owned(),
            notify_auth_key: config.notify_auth_key,
        },
    })
}
