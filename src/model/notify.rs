//! What AddLiveRecordNotifyConfig and SetLiveStreamsNotifyUrlConfig store.

use serde::{Deserialize, Serialize};

/// The recording callbacks of a streaming domain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecordNotify {
    pub notify_url: Option<String>,
    pub on_demand_url: Option<String>,
    pub need_status_notify: bool,
    pub notify_req_auth: bool,
    pub notify_auth_key: String,
}

/// The publish callbacks of an ingest domain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StreamNotify {
    pub notify_url: Option<String>,
    pub exception_notify_url: Option<String>,
    pub notify_req_auth: bool,
    pub notify_auth_key: String,
}
