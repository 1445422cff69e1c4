//! A recording rule as DescribeLiveRecordConfig lists it.
//!
//! The field OnDemond is spelled so on the wire. Members that a format does not use (slices of MP4 and FLV) are left out.

use serde::Serialize;

use crate::model::rule::{FormatRule, Rule};
use crate::wire_time::to_api;

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
