//! DescribeLiveRecordNotifyRecords: the recording callbacks that were sent to a domain's URL, with what came back.
//!
//! Shown is every callback with at least one attempt. One that is still being tried counts as failed until it succeeds.
//! The log reaches back 7 days; an earlier StartTime is taken as that. CallbackList is a bare array, without wrapper.

use serde::{Deserialize, Serialize};

use crate::actions::Context;
use crate::actions::arguments::{Paging, Period, given};
use crate::actions::tried::Tried;
use crate::error::ApiError;
use crate::model::event::Kind;
use crate::model::retention::CALLBACKS;
use crate::store::callbacks::{Filter, Row};

/// Accepted without effect.
pub const IGNORES: &[(&str, &str)] = &[("RegionId", "there is one region")];

const KEPT_MS: i64 = CALLBACKS.ms();

/// What this log is about; publish callbacks have one of their own.
const KINDS: [Kind; 6] = [
    Kind::FileCreated,
    Kind::RecordStarted,
    Kind::RecordPaused,
    Kind::RecordResumed,
    Kind::RecordError,
    Kind::TransformatError,
];

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: String,
    pub app_name: Option<String>,
    pub stream_name: Option<String>,
    pub start_time: String,
    pub end_time: String,
    pub status: Option<String>,
    pub storage_type: Option<String>,
    pub page_number: i64,
    pub page_size: i64,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Answer {
    pub callback_list: Vec<Callback>,
    pub code: i32,
    pub msg: String,
    pub page_num: i32,
    pub page_size: i32,
    pub total_num: i32,
    pub total_page: i32,
}

/// One callback with its newest attempt.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Callback {
    #[serde(flatten)]
    pub tried: Tried,
    pub storage_type: String,
}

/// Lists the callbacks.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let domain = ctx.check_streaming_domain(&request.domain_name).await?;
    let period =
        Period::read(&request.start_time, &request.end_time, None)?.since(ctx.now() - KEPT_MS);
    let paging = Paging::new(request.page_number, request.page_size);
    let filter = Filter {
        domain,
        app: given(request.app_name),
        stream: given(request.stream_name),
        delivered: request.status.map(|status| status == "success"),
        from: period.from,
        // EndTime names a second, all of which counts.
        to: period.to + 999,
        kinds: KINDS.to_vec(),
    };
    // Recordings go to OSS only.
    let (rows, total) = if request.storage_type.as_deref() == Some("vod") {
        (Vec::new(), 0)
    } else {
        ctx.services
            .store
            .callback_page(&filter, paging.page, paging.size)
            .await?
    };
    let numbers = paging.numbers(total);
    Ok(Answer {
        callback_list: rows
            .into_iter()
            .map(callback)
            .collect::<Result<_, ApiError>>()?,
        code: 0,
        msg: "ok".to_owned(),
        page_num: numbers.page,
        page_size: numbers.size,
        total_num: numbers.total,
        total_page: numbers.pages,
    })
}

fn callback(mut row: Row) -> Result<Callback, ApiError> {
    let body = std::mem::take(&mut row.body);
    Ok(Callback {
        tried: Tried::new(row, body)?,
        storage_type: "oss".to_owned(),
    })
}
