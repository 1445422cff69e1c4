//! DescribeLiveRecordConfig: the recording rules of a domain, by creation time.
//!
//! The field OnDemond is spelled so on the wire. Members that a format does not use (slices of MP4 and FLV) are left out.

use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use super::rendered::Texts;
use crate::actions::Context;
use crate::actions::arguments::{Paging, given, length, passes};
use crate::error::ApiError;
use crate::model::rule::{FormatRule, Rule};
use crate::model::wire_time::to_api;

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

/// One rule.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Record<'a> {
    pub domain_name: &'a str,
    pub app_name: &'a str,
    pub stream_name: &'a str,
    pub oss_endpoint: &'a str,
    pub oss_bucket: &'a str,
    #[serde(rename = "OnDemond")]
    pub on_demand: i64,
    pub delay_time: i64,
    pub create_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time: Option<String>,
    pub record_format_list: FormatList<'a>,
    pub transcode_record_format_list: FormatList<'a>,
    pub transcode_templates: Templates<'a>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct FormatList<'a> {
    pub record_format: Vec<RecordFormat<'a>>,
}

/// One format of a rule.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct RecordFormat<'a> {
    pub format: &'a str,
    pub cycle_duration: i64,
    pub oss_object_prefix: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slice_duration: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slice_oss_object_prefix: Option<&'a str>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Templates<'a> {
    pub templates: &'a [String],
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

/// A rule as the answer shows it.
pub fn record(rule: &Rule) -> Record<'_> {
    Record {
        domain_name: &rule.domain,
        app_name: &rule.app,
        stream_name: &rule.stream,
        oss_endpoint: &rule.oss_endpoint,
        oss_bucket: &rule.oss_bucket,
        on_demand: rule.on_demand.code(),
        delay_time: rule.delay_s,
        create_time: to_api(rule.created_at),
        start_time: rule.start_time.map(to_api),
        end_time: rule.end_time.map(to_api),
        record_format_list: format_list(&rule.formats),
        transcode_record_format_list: format_list(&rule.transcode_formats),
        transcode_templates: Templates {
            templates: &rule.transcode_templates,
        },
    }
}

fn format_list(formats: &[FormatRule]) -> FormatList<'_> {
    FormatList {
        record_format: formats.iter().map(RecordFormat::of).collect(),
    }
}

impl<'a> RecordFormat<'a> {
    fn of(rule: &'a FormatRule) -> Self {
        Self {
            format: rule.format.as_str(),
            cycle_duration: rule.cycle_s,
            oss_object_prefix: &rule.object_prefix,
            slice_duration: rule.format.is_sliced().then_some(rule.slice_s),
            slice_oss_object_prefix: rule.slice_prefix.as_deref(),
        }
    }
}
