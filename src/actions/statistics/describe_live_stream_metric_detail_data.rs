//! DescribeLiveStreamMetricDetailData: what the viewers of streams were sent, by stream and minute, on pages that lead to each other.
//!
//! Fragmented MP4 has no fields of its own: it is in the totals.

use serde::Deserialize;

use crate::actions::Context;
use crate::actions::statistics::metric::{self, TokenPage, whole};
use crate::actions::statistics::played::Played;
use crate::actions::statistics::subject::Protocols;
use crate::error::ApiError;

/// Accepted without effect.
pub const IGNORES: &[(&str, &str)] = &[("RegionId", "there is one region")];

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
    pub next_page_token: Option<String>,
}

pub type Answer = TokenPage<Row>;

type Row = Played<i64, String>;

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
    let offset = metric::offset(request.next_page_token.as_deref())?;
    let page = metric::page(ctx, &streams, offset, metric::MOST_ROWS).await?;
    let page = page.map(|row| Row::new(&row, &protocols, whole, |came| came.to_string()));
    let period = (request.start_time, request.end_time);
    Ok(Answer::new(streams.domain, period, offset, page))
}
