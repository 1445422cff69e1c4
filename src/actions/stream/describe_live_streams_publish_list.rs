//! DescribeLiveStreamsPublishList: the pushes of a domain that were live in a period, those that still are included (their StopTime is empty).
//!
//! Asked by the streaming domain or by the ingest domain. Only pushed streams exist here, so a list of transcoded ones is empty. StreamUrl
//! and PublishUrl are the URL of the push without its arguments, which may hold keys.

use serde::{Deserialize, Serialize};

use crate::actions::Context;
use crate::actions::arguments::{Paging, Period, given};
use crate::error::ApiError;
use crate::model::retention::{DAY_MS, PUSHES};
use crate::store::pushes::{Named, PushFilter, PushOrder, PushRow};
use crate::wire_time::to_api;

/// Accepted without effect.
pub const IGNORES: &[(&str, &str)] = &[("RegionId", "there is one region")];

/// The longest period, as documented.
const LONGEST_MS: i64 = 30 * DAY_MS;

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: String,
    pub app_name: Option<String>,
    pub stream_name: Option<String>,
    pub start_time: String,
    pub end_time: String,
    pub query_type: Option<String>,
    pub stream_type: Option<String>,
    pub order_by: Option<String>,
    pub page_number: i64,
    pub page_size: i64,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Answer {
    pub publish_info: PublishInfo,
    /// The request calls it PageNumber.
    pub page_num: i32,
    pub page_size: i32,
    pub total_num: i32,
    pub total_page: i32,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct PublishInfo {
    pub live_stream_publish_info: Vec<Info>,
}

/// One push.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Info {
    pub domain_name: String,
    pub app_name: String,
    pub stream_name: String,
    pub publish_domain: String,
    pub publish_time: String,
    /// Empty while the push lasts.
    pub stop_time: String,
    pub publish_type: String,
    pub publish_url: String,
    pub stream_url: String,
    pub client_addr: String,
    /// There is no edge between the publisher and us.
    pub edge_node_addr: String,
    pub ali_inner_error_flags: String,
    pub transcoded: String,
    pub transcode_id: String,
}

/// Lists the pushes.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let domain = ctx.check_domain(&request.domain_name).await?;
    let period = Period::read(&request.start_time, &request.end_time, Some(LONGEST_MS))?
        .since(ctx.now() - PUSHES.ms());
    let strict = request.query_type.as_deref() == Some("strict");
    let filter = PushFilter {
        domain,
        app: given(request.app_name),
        stream: given(request.stream_name).map(|name| {
            if strict {
                Named::Exactly(name)
            } else {
                Named::With(name)
            }
        }),
        from: period.from,
        // EndTime names a second, all of which counts.
        to: period.to + 999,
    };
    let order = match request.order_by.as_deref() {
        Some("publish_time_desc") => PushOrder::TimeDescending,
        Some("stream_name_asc") => PushOrder::NameAscending,
        Some("stream_name_desc") => PushOrder::NameDescending,
        _ => PushOrder::TimeAscending,
    };
    let paging = Paging::new(request.page_number, request.page_size);
    let (rows, total) = if request.stream_type.as_deref() == Some("trans") {
        (Vec::new(), 0)
    } else {
        ctx.hub.ends_are_written().await;
        let store = &ctx.services.store;
        store
            .push_page(&filter, order, paging.page, paging.size)
            .await?
    };
    let numbers = paging.numbers(total);
    Ok(Answer {
        publish_info: PublishInfo {
            live_stream_publish_info: rows.into_iter().map(info).collect(),
        },
        page_num: numbers.page,
        page_size: numbers.size,
        total_num: numbers.total,
        total_page: numbers.pages,
    })
}

fn info(row: PushRow) -> Info {
    let url = format!("rtmp://{}/{}/{}", row.ingest_domain, row.app, row.stream);
    Info {
        domain_name: row.domain,
        app_name: row.app,
        stream_name: row.stream,
        publish_domain: row.ingest_domain,
        publish_time: to_api(row.published_at),
        stop_time: if row.stopped_at == 0 {
            String::new()
        } else {
            to_api(row.stopped_at)
        },
        publish_type: "edge".to_owned(),
        publish_url: url.clone(),
        stream_url: url,
        client_addr: super::ip_of(&row.address).to_owned(),
        edge_node_addr: String::new(),
        ali_inner_error_flags: String::new(),
        transcoded: "no".to_owned(),
        transcode_id: String::new(),
    }
}
