//! A callback as the two logs of callbacks show it: where it went, and what came of its newest attempt.

use serde::Serialize;

use crate::error::ApiError;
use crate::model::event::Delivery;
use crate::store::callbacks::{Attempt, Row};
use crate::wire_time::to_api;

/// One callback with its newest attempt. One that is still being tried counts as failed until it succeeds.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Tried {
    pub domain_name: String,
    pub app_name: String,
    pub stream_name: String,
    pub notify_type: String,
    pub notify_url: String,
    pub notify_time: String,
    pub notify_result: String,
    pub description: String,
    pub notify_content: String,
    pub notify_header: String,
    pub notify_response: String,
}

impl Tried {
    /// The row of a callback; `content` is what it told, a body or a query.
    ///
    /// # Errors
    /// When the attempts of the row cannot be read, which is a fault of the database.
    pub fn new(row: Row, content: String) -> Result<Self, ApiError> {
        let mut attempts: Vec<Attempt> =
            serde_json::from_str(&row.attempts).map_err(ApiError::internal)?;
        let last = attempts.pop();
        let success = row.state == Delivery::Success;
        let description = if success {
            "success".to_owned()
        } else {
            last.as_ref().map(Attempt::failure).unwrap_or_default()
        };
        Ok(Self {
            domain_name: row.domain,
            app_name: row.app,
            stream_name: row.stream,
            notify_type: row.kind.as_str().to_owned(),
            notify_url: row.url,
            notify_time: to_api(last.as_ref().map_or(row.created_at, |attempt| attempt.at)),
            notify_result: if success { "success" } else { "failed" }.to_owned(),
            description,
            notify_content: content,
            notify_header: last
                .as_ref()
                .map(|attempt| attempt.headers.clone())
                .unwrap_or_default(),
            notify_response: last.map(|attempt| attempt.response).unwrap_or_default(),
        })
    }
}
