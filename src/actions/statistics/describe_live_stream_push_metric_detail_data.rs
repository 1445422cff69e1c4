//! DescribeLiveStreamPushMetricDetailData: what streams of a domain brought, by stream and minute, on pages that lead to each other.

use serde::{Deserialize, Serialize};

use crate::actions::Context;
use crate::actions::statistics::metric::{self, Page, TokenPage, whole};
use crate::actions::statistics::span::bits_per_second;
use crate::actions::statistics::subject::ALL;
use crate::error::ApiError;
use crate::model::figures::MINUTE_MS;
use crate::store::figures::BroughtByStream;
use crate::wire_time::to_api;

/// Accepted without effect.
pub const IGNORES: &[(&str, &str)] = &[("RegionId", "there is one region")];

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: String,
    pub app_name: Option<String>,
    pub stream_name: Option<String>,
    pub start_time: String,
    pub end_time: String,
    pub next_page_token: Option<String>,
}

pub type Answer = TokenPage<Row>;

/// What one stream brought in a minute.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Row {
    pub time_stamp: String,
    pub app_name: String,
    pub stream_name: String,
    pub req_bps: f64,
    pub req_traffic: i64,
}

/// Lists a page of minutes and streams.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let offset = metric::offset(request.next_page_token.as_deref())?;
    let (start, end) = (&request.start_time, &request.end_time);
    let streams = metric::streams(
        ctx,
        Some(request.domain_name),
        request.app_name,
        request.stream_name,
        (start, end),
    )
    .await?;
    let meter = &ctx.services.meter;
    let page = if streams.are_one {
        let mut minutes = std::collections::BTreeMap::<i64, u64>::new();
        for (minute, bytes) in meter.brought_bytes(&streams.asked).await? {
            *minutes.entry(minute).or_default() += bytes;
        }
        let all = minutes.into_iter().map(|(minute, bytes)| BroughtByStream {
            minute,
            app: ALL.to_owned(),
            stream: ALL.to_owned(),
            bytes,
        });
        metric::cut(all.collect(), offset, metric::MOST_ROWS)
    } else {
        let (rows, total) = meter
            .brought_page(&streams.asked, offset, metric::MOST_ROWS)
            .await?;
        Page { rows, total }
    };
    let page = page.map(|row| Row {
        time_stamp: to_api(row.minute),
        app_name: row.app,
        stream_name: row.stream,
        req_bps: bits_per_second(row.bytes, MINUTE_MS),
        req_traffic: whole(row.bytes),
    });
    let period = (request.start_time, request.end_time);
    Ok(Answer::new(streams.domain, period, offset, page))
}
