//! DescribeLiveStreamRecordIndexFiles: the files of a stream's recordings within a period: those that the recorder made and those
//! of CreateLiveStreamRecordIndexFiles.
//!
//! The period is matched against recording time, the natural reading of an open point. MP4 and FLV files are listed too, told
//! apart by Format, as newer answers of the product do.

use serde::{Deserialize, Serialize};

use super::index_info::IndexInfo;
use crate::actions::Context;
use crate::actions::arguments::{LONGEST_QUERY_MS, Paging, Period};
use crate::error::ApiError;
use crate::model::retention::RECORDINGS;
use crate::model::stream_key::StreamKey;

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: String,
    pub app_name: String,
    pub stream_name: String,
    pub start_time: String,
    pub end_time: String,
    pub page_num: i64,
    pub page_size: i64,
    pub order: String,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Answer {
    pub record_index_info_list: IndexList,
    pub order: String,
    pub page_num: i32,
    pub page_size: i32,
    pub total_num: i32,
    pub total_page: i32,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct IndexList {
    pub record_index_info: Vec<IndexInfo>,
}

/// Lists the files by creation time.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let domain = ctx.check_streaming_domain(&request.domain_name).await?;
    let key = StreamKey::new(&domain, &request.app_name, &request.stream_name);
    let period = Period::read(
        &request.start_time,
        &request.end_time,
        Some(LONGEST_QUERY_MS),
    )?;
    let paging = Paging::new(request.page_num, request.page_size);
    let (rows, total) = ctx
        .services
        .store
        .file_page(
            &key.hash(),
            (period.from, period.to),
            ctx.now() - RECORDINGS.ms(),
            request.order == "desc",
            paging.page,
            paging.size,
        )
        .await?;
    let numbers = paging.numbers(total);
    let urls = &ctx.services.public_urls;
    let shown = rows.into_iter().map(|row| IndexInfo::of(row, urls));
    Ok(Answer {
        record_index_info_list: IndexList {
            record_index_info: shown.collect(),
        },
        order: request.order,
        page_num: numbers.page,
        page_size: numbers.size,
        total_num: numbers.total,
        total_page: numbers.pages,
    })
}
