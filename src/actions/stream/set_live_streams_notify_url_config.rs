//! SetLiveStreamsNotifyUrlConfig: sets the publish callbacks of an ingest domain, in place of whatever it had.
//!
//! NotifyReqAuth is the text yes or no here. ExceptionNotifyUrl is kept and shown; what the product sends there is not documented.

use serde::{Deserialize, Serialize};

use crate::actions::Context;
use crate::actions::arguments::{given, is_callback_url};
use crate::actions::scope::Scope;
use crate::error::{ApiError, Code};
use crate::model::notify::StreamNotify;
use crate::store::documents::Kind;

/// Accepted without effect.
pub const IGNORES: &[(&str, &str)] = &[(
    "SwitchNotifyUrl",
    "the answer of the describing action has no place for it, and no event of it is documented",
)];

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: String,
    pub notify_url: Option<String>,
    pub exception_notify_url: Option<String>,
    pub notify_req_auth: Option<String>,
    pub notify_auth_key: Option<String>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Answer {}

/// Stores the configuration.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let domain = ctx.check_ingest_domain(&request.domain_name).await?;
    let config = config(request)?;
    ctx.change(Scope::ingest(&domain), move |view| {
        view.put(Kind::StreamNotify, &domain, &config)?;
        Ok(Answer {})
    })
    .await
}

/// The configuration that a request asks for.
pub fn config(request: Request) -> Result<StreamNotify, ApiError> {
    let config = StreamNotify {
        notify_url: given(request.notify_url),
        exception_notify_url: given(request.exception_notify_url),
        notify_req_auth: request.notify_req_auth.as_deref() == Some("yes"),
        notify_auth_key: request.notify_auth_key.unwrap_or_default(),
    };
    if config.notify_url.is_none() && config.exception_notify_url.is_none() {
        return Err(ApiError::missing("NotifyUrl"));
    }
    let bad = |url: &Option<String>| url.as_deref().is_some_and(|url| !is_callback_url(url));
    if bad(&config.notify_url) {
        return Err(ApiError::coded(Code::InvalidNotifyUrlMalformed));
    }
    if bad(&config.exception_notify_url) {
        return Err(ApiError::invalid("ExceptionNotifyUrl"));
    }
    if config.notify_req_auth && config.notify_auth_key.is_empty() {
        return Err(ApiError::missing("NotifyAuthKey"));
    }
    Ok(config)
}
