//! The recording callbacks of a domain: what AddLiveRecordNotifyConfig and UpdateLiveRecordNotifyConfig check alike.

use crate::actions::arguments::is_callback_url;
use crate::error::{ApiError, Code};
use crate::model::notify::RecordNotify;

/// The URL that recording events go to.
pub fn notify_url(text: &str) -> Result<(), ApiError> {
    if is_callback_url(text) {
        Ok(())
    } else {
        Err(ApiError::coded(Code::InvalidNotifyUrlMalformed))
    }
}

/// The URL that is asked whether to record; the product has no code of its own for it.
pub fn on_demand_url(text: &str) -> Result<(), ApiError> {
    if is_callback_url(text) {
        Ok(())
    } else {
        Err(ApiError::invalid("OnDemandUrl"))
    }
}

/// Authentication needs a key.
pub fn check_auth(config: &RecordNotify) -> Result<(), ApiError> {
    if config.notify_req_auth && config.notify_auth_key.is_empty() {
        return Err(ApiError::missing("NotifyAuthKey"));
    }
    Ok(())
}
