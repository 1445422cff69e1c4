//! DescribeLiveRecordConfig: the recording rules of a domain, by creation time.
//!
//! The field OnDemond is spelled so on the wire. Members that a format does not use (slices of MP4 and FLV) are left out.

use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

#[cfg(test)]
use super::listed_rule::Record;
use super::rendered::Texts;
use crate::actions::Context;
use crate::actions::arguments::{Paging, given, length, passes};
use crate::error::ApiError;
use crate::model::rule::Rule;

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: String,
    pub app_name: Option<String>,
    pub stream_name: Option<String>,
    pub page_num: i64,
    pub page_size: i64,
    pub order: String,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Answer {
    pub live_app_record_list: RecordList,
    pub order: String,
    pub page_num: i32,
    pub page_size: i32,
    pub total_num: i32,
    pub total_page: i32,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct RecordList {
    #[cfg_attr(test, schemars(with = "Vec<Record<'static>>"))]
    pub live_app_record: Page,
}

/// The rules of a page, written from where they are kept.
#[derive(Debug)]
pub struct Page {
    rules: Arc<Vec<Rule>>,
    texts: Arc<Texts>,
    /// Places in `rules`, in the order of the answer.
    shown: Vec<usize>,
}

impl Serialize for Page {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let texts = |at: &usize| self.texts.get(&self.rules, *at);
        out.collect_seq(self.shown.iter().filter_map(texts))
    }
}

/// Lists the rules.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let domain = ctx.check_streaming_domain(&request.domain_name).await?;
    let (app, stream) = (given(request.app_name), given(request.stream_name));
    let rules = ctx.services.store.rules_of(&domain);
    let places = rules
        .iter()
        .enumerate()
        .filter(|(_, rule)| passes(app.as_deref(), &rule.app))
        .filter(|(_, rule)| passes(stream.as_deref(), &rule.stream))
        .map(|(at, _)| at);
    let mut found = Vec::with_capacity(rules.len());
    found.extend(places);
    if request.order == "desc" {
        found.reverse();
    }
    let paging = Paging::new(request.page_num, request.page_size);
    let numbers = paging.numbers(length(&found));
    Ok(Answer {
        live_app_record_list: RecordList {
            live_app_record: Page {
                texts: ctx.rendered.of(&domain, &rules),
                rules,
                shown: paging.cut(found),
            },
        },
        order: request.order,
        page_num: numbers.page,
        page_size: numbers.size,
        total_num: numbers.total,
        total_page: numbers.pages,
    })
}
