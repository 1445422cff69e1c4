//! DescribeLiveRecordConfig: the recording rules of a domain, by creation time.
//!
//! The field OnDemond is spelled so on the wire. Members that a format does not use (slices of MP4 and FLV) are left out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::actions::Context;
use crate::actions::wire::{Paging, given, length, passes};
use crate::error::ApiError;
use crate::model::rule::{FormatRule, Rule};
use crate::model::wire_time::to_api;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: String,
    pub app_name: Option<String>,
    pub stream_name: Option<String>,
    pub page_num: i64,
    pub page_size: i64,
    pub order: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Answer {
    pub live_app_record_list: RecordList,
    pub order: String,
    pub page_num: i32,
    pub page_size: i32,
    pub total_num: i32,
    pub total_page: i32,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct RecordList {
    pub live_app_record: Vec<Record>,
}

/// One rule.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Record {
    pub domain_name: String,
    pub app_name: String,
    pub stream_name: String,
    pub oss_endpoint: String,
    pub oss_bucket: String,
    #[serde(rename = "OnDemond")]
    pub on_demand: i64,
    pub delay_time: i64,
    pub create_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time: Option<String>,
    pub record_format_list: FormatList,
    pub transcode_record_format_list: FormatList,
    pub transcode_templates: Templates,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct FormatList {
    pub record_format: Vec<RecordFormat>,
}

/// One format of a rule.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct RecordFormat {
    pub format: String,
    pub cycle_duration: i64,
    pub oss_object_prefix: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slice_duration: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slice_oss_object_prefix: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Templates {
    pub templates: Vec<String>,
}

/// Lists the rules.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let domain = ctx.check_domain(&request.domain_name).await?;
    let (app, stream) = (given(request.app_name), given(request.stream_name));
    let rules = ctx.services.store.rules_of(&domain);
    let mut found: Vec<&Rule> = rules
        .iter()
        .filter(|rule| passes(app.as_deref(), &rule.app) && passes(stream.as_deref(), &rule.stream))
        .collect();
    if request.order == "desc" {
        found.reverse();
    }
    let paging = Paging::new(request.page_num, request.page_size);
    let numbers = paging.numbers(length(&found));
    Ok(Answer {
        live_app_record_list: RecordList {
            live_app_record: paging.cut(found).into_iter().map(record).collect(),
        },
        order: request.order,
        page_num: numbers.page,
        page_size: numbers.size,
        total_num: numbers.total,
        total_page: numbers.pages,
    })
}

fn record(rule: &Rule) -> Record {
    Record {
        domain_name: rule.domain.clone(),
        app_name: rule.app.clone(),
        stream_name: rule.stream.clone(),
        oss_endpoint: rule.oss_endpoint.clone(),
        oss_bucket: rule.oss_bucket.clone(),
        on_demand: rule.on_demand.code(),
        delay_time: rule.delay_s,
        create_time: to_api(rule.created_at),
        start_time: rule.start_time.map(to_api),
        end_time: rule.end_time.map(to_api),
        record_format_list: format_list(&rule.formats),
        transcode_record_format_list: format_list(&rule.transcode_formats),
        transcode_templates: Templates {
            templates: rule.transcode_templates.clone(),
        },
    }
}

fn format_list(formats: &[FormatRule]) -> FormatList {
    let shown = |rule: &FormatRule| RecordFormat {
        format: rule.format.as_str().to_owned(),
        cycle_duration: rule.cycle_s,
        oss_object_prefix: rule.object_prefix.clone(),
        slice_duration: rule.format.is_sliced().then_some(rule.slice_s),
        slice_oss_object_prefix: rule.slice_prefix.clone(),
    };
    FormatList {
        record_format: formats.iter().map(shown).collect(),
    }
}
