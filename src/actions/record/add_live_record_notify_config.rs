//! AddLiveRecordNotifyConfig: sets the recording callbacks of a domain, one configuration each.
//!
//! The product calls NotifyUrl mandatory, yet its manual sends OnDemandUrl alone; here one of the two is enough, as far as the
//! spec lets the request through. No address is called unsafe: callbacks to this machine are what the emulator is for.

use serde::{Deserialize, Serialize};

use super::notify;
use crate::actions::Context;
use crate::actions::arguments::given;
use crate::actions::scope::Scope;
use crate::error::{ApiError, Code};
use crate::model::notify::RecordNotify;
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

/// Stores the configuration.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let domain = ctx.check_streaming_domain(&request.domain_name).await?;
    let config = config(request)?;
    let scope = Scope::streaming(&domain).with(Kind::RecordNotify);
    ctx.change(scope, move |view| {
        let known: Option<RecordNotify> = view.document(Kind::RecordNotify, &domain)?;
        if known.is_some() {
            return Err(ApiError::coded(Code::ConfigAlreadyExists));
        }
        view.put(Kind::RecordNotify, &domain, &config)?;
        Ok(Answer {})
    })
    .await
}

/// The configuration that a request asks for.
pub fn config(request: Request) -> Result<RecordNotify, ApiError> {
    let config = RecordNotify {
        notify_url: given(request.notify_url),
        on_demand_url: given(request.on_demand_url),
        need_status_notify: request.need_status_notify.unwrap_or(false),
        notify_req_auth: request.notify_req_auth.unwrap_or(false),
        notify_auth_key: request.notify_auth_key.unwrap_or_default(),
    };
    match (&config.notify_url, &config.on_demand_url) {
        (None, None) => return Err(ApiError::missing("NotifyUrl")),
        (url, question) => {
            url.as_deref().map(notify::notify_url).transpose()?;
            question.as_deref().map(notify::on_demand_url).transpose()?;
        }
    }
    notify::check_auth(&config)?;
    Ok(config)
}
