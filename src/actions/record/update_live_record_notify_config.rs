//! UpdateLiveRecordNotifyConfig: changes the recording callbacks of a domain. What is absent stays; an empty OnDemandUrl clears it.

use serde::{Deserialize, Serialize};

use super::notify;
use crate::actions::Context;
use crate::actions::arguments::given;
use crate::error::ApiError;
use crate::notify::config::RecordNotify;
use crate::store::documents::Kind;

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: String,
    pub notify_url: Option<String>,
    pub on_demand_url: Option<String>,
    pub need_status_notify: Option<bool>,
    pub notify_req_auth: Option<bool>,
    pub notify_auth_key: Option<String>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Answer {}

/// Replaces the stored configuration by the changed one.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let domain = ctx.check_streaming_domain(&request.domain_name).await?;
    let mut config: RecordNotify = ctx.config_of(Kind::RecordNotify, &domain).await?;
    if let Some(url) = given(request.notify_url) {
        notify::notify_url(&url)?;
        config.notify_url = Some(url);
    }
    if let Some(url) = request.on_demand_url {
        config.on_demand_url = given(Some(url));
        config
            .on_demand_url
            .as_deref()
            .map(notify::on_demand_url)
            .transpose()?;
    }
    if let Some(wanted) = request.need_status_notify {
        config.need_status_notify = wanted;
    }
    if let Some(signed) = request.notify_req_auth {
        config.notify_req_auth = signed;
    }
    if let Some(key) = request.notify_auth_key {
        config.notify_auth_key = key;
    }
    notify::check_auth(&config)?;
    ctx.services
        .store
        .put_document(Kind::RecordNotify, &domain, &config)
        .await?;
    Ok(Answer {})
}
