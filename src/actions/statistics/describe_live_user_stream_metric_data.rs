//! DescribeLiveUserStreamMetricData: what the viewers of streams were sent, by stream and minute, on numbered pages.
//!
//! Fragmented MP4 has no fields of its own: it is in the totals.

use serde::{Deserialize, Serialize};

use crate::actions::Context;
use crate::actions::arguments::{Paging, malformed};
use crate::actions::statistics::metric::{self, fraction, whole};
use crate::actions::statistics::played::Played;
use crate::actions::statistics::subject::Protocols;
use crate::error::ApiError;

/// Nothing is accepted without effect.
pub const IGNORES: &[(&str, &str)] = &[];

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: Option<String>,
    pub app_name: Option<String>,
    pub stream_name: Option<String>,
    pub protocol: Option<String>,
    pub start_time: String,
    pub end_time: String,
    pub page_number: i64,
    pub page_size: i64,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Answer {
    pub domain_name: String,
    pub start_time: String,
    pub end_time: String,
    pub page_number: i64,
    pub page_size: i64,
    pub total_count: i64,
    pub stream_detail_data: Vec<Row>,
}

type Row = Played<f64, i64>;

/// Lists a page of minutes and streams.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let protocols = Protocols::read(request.protocol.as_deref())?;
    let (start, end) = (&request.start_time, &request.end_time);
    let streams = metric::streams(
        ctx,
        request.domain_name,
        request.app_name,
        request.stream_name,
        (start, end),
    )
    .await?
    .played_as(&protocols);
    let paging = Paging::new(request.page_number, request.page_size);
    if paging.size > metric::MOST_ROWS {
        return Err(malformed("PageSize"));
    }
    let offset = paging.skipped();
    let page = metric::page(ctx, &streams, offset, paging.size).await?;
    Ok(Answer {
        domain_name: streams.domain,
        start_time: request.start_time,
        end_time: request.end_time,
        page_number: whole(paging.page),
        page_size: whole(paging.size),
        total_count: whole(page.total),
        stream_detail_data: page
            .rows
            .iter()
            .map(|r| Row::new(r, &protocols, fraction, whole))
            .collect(),
    })
}
