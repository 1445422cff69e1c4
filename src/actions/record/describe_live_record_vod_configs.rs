//! DescribeLiveRecordVodConfigs: the rules that record into ApsaraVideo VOD. There is no VOD here and no way to add one, so the list is empty.

use serde::{Deserialize, Serialize};

use crate::actions::Context;
use crate::actions::arguments::Paging;
use crate::error::ApiError;

/// Accepted without effect.
pub const IGNORES: &[(&str, &str)] = &[
    (
        "AppName",
        "no rule records into VOD, so there is nothing to filter",
    ),
    ("RegionId", "there is one region"),
    (
        "StreamName",
        "no rule records into VOD, so there is nothing to filter",
    ),
];

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
    pub live_record_vod_configs: Configs,
    pub page_num: i32,
    pub page_size: i32,
    /// A text.
    pub total: String,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Configs {
    pub live_record_vod_config: Vec<Config>,
}

/// One rule.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Config {
    pub domain_name: String,
    pub app_name: String,
    pub stream_name: String,
    pub create_time: String,
    pub vod_transcode_group_id: String,
    pub compose_vod_transcode_group_id: String,
    pub auto_compose: String,
    pub cycle_duration: i32,
    pub delay_time: i32,
    pub on_demand: i32,
    pub format_config: bool,
    pub record_content: String,
    pub record_format_list: Formats,
    pub space_id: String,
    pub storage_location: String,
    pub transcode_templates: String,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Formats {
    pub record_format: Vec<Format>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Format {
    pub format: String,
    pub auto_compose: String,
    pub process_method: String,
    pub process_template_id: String,
    pub slice_duration: i32,
    pub tags: String,
    pub video_process: String,
}

/// Lists no rules.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    ctx.check_streaming_domain(&request.domain_name).await?;
    let numbers = Paging::new(request.page_num, request.page_size).numbers(0);
    Ok(Answer {
        live_record_vod_configs: Configs {
            live_record_vod_config: Vec::new(),
        },
        page_num: numbers.page,
        page_size: numbers.size,
        total: numbers.total.to_string(),
    })
}
