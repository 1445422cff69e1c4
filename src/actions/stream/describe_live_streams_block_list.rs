//! DescribeLiveStreamsBlockList: the streams of a domain that are kept out now, as `domain/app/stream`, by name.

use serde::{Deserialize, Serialize};

use crate::actions::Context;
use crate::actions::arguments::{Paging, length};
use crate::error::ApiError;
use crate::live::ingest::admission::{domains_of, streaming_domain};
use crate::model::forbidden::Forbidden;
use crate::store::documents::Kind;

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: String,
    pub page_num: i64,
    pub page_size: i64,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Answer {
    pub domain_name: String,
    pub stream_urls: StreamUrls,
    pub page_num: i32,
    pub page_size: i32,
    pub total_num: i32,
    pub total_page: i32,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct StreamUrls {
    pub stream_url: Vec<String>,
}

/// Lists the streams.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let asked = ctx.check_domain(&request.domain_name).await?;
    let streaming = streaming_domain(&ctx.services, &asked).await?;
    // A stream that was forbidden before its domain was mapped stands under that domain.
    let domains = domains_of(&ctx.services, &streaming).await?;
    let now = ctx.now();
    let stored: Vec<(String, Forbidden)> =
        ctx.services.store.list_documents(Kind::Forbidden).await?;
    let mut found: Vec<String> = stored
        .into_iter()
        .filter(|(_, forbidden)| forbidden.counts_at(now) && domains.contains(&forbidden.domain))
        .map(|(_, forbidden)| forbidden.key().to_string())
        .collect();
    found.sort_unstable();
    let paging = Paging::new(request.page_num, request.page_size);
    let numbers = paging.numbers(length(&found));
    Ok(Answer {
        domain_name: asked,
        stream_urls: StreamUrls {
            stream_url: paging.cut(found),
        },
        page_num: numbers.page,
        page_size: numbers.size,
        total_num: numbers.total,
        total_page: numbers.pages,
    })
}
