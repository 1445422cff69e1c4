//! DescribeLiveRecordNotifyConfig: the recording callbacks of a domain; a domain without them is an error, as documented.

use serde::{Deserialize, Serialize};

use crate::actions::Context;
use crate::error::ApiError;
use crate::model::notify::RecordNotify;
use crate::store::documents::Kind;

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
    pub live_record_notify_config: Config,
}

/// The configuration; NotifyReqAuth is a boolean here and a text in the publish callbacks' action.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Config {
    pub domain_name: String,
    pub notify_url: String,
    pub on_demand_url: String,
    pub need_status_notify: bool,
    pub notify_req_auth: bool,
    pub notify_auth_key: String,
}

/// Shows the configuration.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let domain = ctx.check_streaming_domain(&request.domain_name).await?;
    let config: RecordNotify = ctx.config_of(Kind::RecordNotify, &domain).await?;
    Ok(Answer {
        live_record_notify_config: Config {
            domain_name: domain,
            notify_url: config.notify_url.unwrap_or_default(),
            on_demand_url: config.on_demand_url.unwrap_or_default(),
            need_status_notify: config.need_status_notify,
            notify_req_auth: config.notify_req_auth,
            notify_auth_key: config.notify_auth_key,
        },
    })
}
