//! DescribeLiveUserStreamMetricData: what the viewers of streams were sent, by stream and minute, on numbered pages.
//!
//! Fragmented MP4 has no fields of its own: it is in the totals.

use serde::{Deserialize, Serialize};

use crate::actions::Context;
use crate::actions::arguments::{Paging, malformed};
use crate::actions::statistics::metric::{self, fraction, whole};
use crate::actions::statistics::subject::Protocols;
use crate::error::ApiError;
use crate::model::wire_time::to_api;

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

/// What the viewers of one stream were sent in a minute. Forms that were not asked for are absent.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Row {
    pub time_stamp: String,
    pub app_name: String,
    pub stream_name: String,
    pub bps: f64,
    pub count: i64,
    pub traffic: f64,
    pub new_conns: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flv_bps: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flv_count: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flv_traffic: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hls_bps: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hls_count: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hls_traffic: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtmp_bps: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtmp_count: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtmp_traffic: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rts_bps: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rts_count: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rts_traffic: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p2p_bps: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p2p_count: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p2p_traffic: Option<f64>,
}

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
    let offset = (paging.page - 1).saturating_mul(paging.size);
    let page = metric::page(ctx, &streams, offset, paging.size).await?;
    Ok(Answer {
        domain_name: streams.domain,
        start_time: request.start_time,
        end_time: request.end_time,
        page_number: whole(paging.page),
        page_size: whole(paging.size),
        total_count: whole(page.total),
        stream_detail_data: page.rows.iter().map(|r| row(r, &protocols)).collect(),
    })
}

fn row(row: &metric::Row, protocols: &Protocols) -> Row {
    let flv = row.form("flv", protocols);
    let hls = row.form("hls", protocols);
    let rtmp = row.form("rtmp", protocols);
    let rts = row.form("rts", protocols);
    let p2p = row.form("p2p", protocols);
    Row {
        time_stamp: to_api(row.minute),
        app_name: row.app.clone(),
        stream_name: row.stream.clone(),
        bps: row.all.bps(),
        count: whole(row.all.viewers),
        traffic: fraction(row.all.bytes),
        new_conns: whole(row.came),
        flv_bps: flv.map(|form| form.bps()),
        flv_count: flv.map(|form| whole(form.viewers)),
        flv_traffic: flv.map(|form| fraction(form.bytes)),
        hls_bps: hls.map(|form| form.bps()),
        hls_count: hls.map(|form| whole(form.viewers)),
        hls_traffic: hls.map(|form| fraction(form.bytes)),
        rtmp_bps: rtmp.map(|form| form.bps()),
        rtmp_count: rtmp.map(|form| whole(form.viewers)),
        rtmp_traffic: rtmp.map(|form| fraction(form.bytes)),
        rts_bps: rts.map(|form| form.bps()),
        rts_count: rts.map(|form| whole(form.viewers)),
        rts_traffic: rts.map(|form| fraction(form.bytes)),
        p2p_bps: p2p.map(|form| form.bps()),
        p2p_count: p2p.map(|form| whole(form.viewers)),
        p2p_traffic: p2p.map(|form| fraction(form.bytes)),
    }
}
