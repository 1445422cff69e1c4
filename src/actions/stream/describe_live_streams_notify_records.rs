//! DescribeLiveStreamsNotifyRecords: the publish callbacks that were sent for an ingest domain, with what came back.
//!
//! Shown is every callback with at least one attempt. One that is still being tried counts as failed until it succeeds.
//! The log reaches back 7 days; an earlier StartTime is taken as that. NotifyContent is the query: these callbacks have no body.

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

/// What this log is about; recording callbacks have one of their own.
const KINDS: [Kind; 2] = [Kind::Publish, Kind::PublishDone];

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
    pub page_number: i64,
    pub page_size: i64,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Answer {
    pub notify_records_info: NotifyRecordsInfo,
    pub page_num: i32,
    pub page_size: i32,
    pub total_num: i32,
    pub total_page: i32,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct NotifyRecordsInfo {
    pub live_stream_notify_records_info: Vec<Tried>,
}

/// Lists the callbacks.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let domain = ctx.check_ingest_domain(&request.domain_name).await?;
    let period = Period::read(&request.start_time, &request.end_time, None)?
        .since(ctx.now() - CALLBACKS.ms());
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
    let store = &ctx.services.store;
    let (rows, total) = store
        .callback_page(&filter, paging.page, paging.size)
        .await?;
    let numbers = paging.numbers(total);
    Ok(Answer {
        notify_records_info: NotifyRecordsInfo {
            live_stream_notify_records_info: rows
                .into_iter()
                .map(info)
                .collect::<Result<_, ApiError>>()?,
        },
        page_num: numbers.page,
        page_size: numbers.size,
        total_num: numbers.total,
        total_page: numbers.pages,
    })
}

fn info(row: Row) -> Result<Tried, ApiError> {
    let content = row.url.split_once('?').map(|(_, query)| query.to_owned());
    Tried::new(row, content.unwrap_or_default())
}
