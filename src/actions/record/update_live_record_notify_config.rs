//! UpdateLiveRecordNotifyConfig: changes the recording callbacks of a domain. What is absent stays; an empty OnDemandUrl clears it.

use serde::{Deserialize, Serialize};

use super::notify;
use crate::actions::Context;
use crate::actions::arguments::given;
use crate::actions::scope::Scope;
use crate::error::{ApiError, Code};
use crate::model::notify::RecordNotify;
use crate::store::documents::Kind;

#[derive(Debug, Clone, Deserialize)]
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
    let scope = Scope::streaming(&domain).with(Kind::RecordNotify);
    ctx.change(scope, move |view| {
        let stored: Option<RecordNotify> = view.document(Kind::RecordNotify, &domain)?;
        let stored = stored.ok_or_else(|| ApiError::coded(Code::InvalidConfigNotFound))?;
        let config = changed(stored, request.clone())?;
        view.put(Kind::RecordNotify, &domain, &config)?;
        Ok(Answer {})
    })
    .await
}

/// The configuration with what a request changes.
fn changed(mut config: RecordNotify, request: Request) -> Result<RecordNotify, ApiError> {
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
    Ok(config)
}
