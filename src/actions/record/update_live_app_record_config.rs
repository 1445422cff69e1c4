//! UpdateLiveAppRecordConfig: changes the recording rule of a triple.
//!
//! What is absent stays as it is: the only reading that fits an action which cannot send bucket and prefixes. A given
//! RecordFormat list replaces the stored one as a whole. The change holds for streams published after it.

use serde::{Deserialize, Serialize};

use super::config::{self, FormatMembers};
use super::target;
use crate::actions::Context;
use crate::actions::arguments::{given, instant};
use crate::actions::scope::Scope;
use crate::clock::UnixMs;
use crate::error::{ApiError, Code};
use crate::model::rule::Rule;

#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: String,
    pub app_name: String,
    pub stream_name: Option<String>,
    pub oss_endpoint: String,
    pub start_time: Option<String>,
    pub end_time: Option<String>,
    pub on_demand: Option<i64>,
    pub delay_time: Option<i64>,
    #[serde(default)]
    pub record_format: Vec<FormatMembers>,
    #[serde(default)]
    pub transcode_record_format: Vec<FormatMembers>,
    #[serde(default)]
    pub transcode_templates: Vec<String>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Answer {}

/// Replaces the stored rule by the changed one.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let domain = ctx.check_streaming_domain(&request.domain_name).await?;
    let (app, stream) = config::names(&request.app_name, request.stream_name.as_deref())?;
    let now = ctx.now();
    let formats = !request.transcode_record_format.is_empty();
    let templates = !request.transcode_templates.is_empty();
    let changed = ctx.change(Scope::streaming(&domain), move |view| {
        let stored = view
            .rule(&domain, &app, &stream)
            .ok_or_else(|| ApiError::coded(Code::InvalidConfigNotFound))?;
        view.replace_rule(with_changes(stored, request.clone(), now)?);
        Ok(())
    });
    changed.await?;
    config::note_transcoded(formats, templates);
    Ok(Answer {})
}

/// The rule with what a request changes.
fn with_changes(mut rule: Rule, request: Request, now: UnixMs) -> Result<Rule, ApiError> {
    rule.oss_endpoint = target::endpoint(&request.oss_endpoint)?;
    if let Some(code) = request.on_demand {
        rule.on_demand = config::on_demand(code)?;
    }
    if let Some(delay_s) = request.delay_time {
        rule.delay_s = delay_s;
    }
    if !request.record_format.is_empty() {
        rule.formats = config::changed_formats(request.record_format, &rule.formats)?;
    }
    if !request.transcode_record_format.is_empty() {
        rule.transcode_formats =
            config::changed_formats(request.transcode_record_format, &rule.transcode_formats)?;
    }
    if !request.transcode_templates.is_empty() {
        rule.transcode_templates = config::templates(request.transcode_templates)?;
    }
    let time = |param, text| given(text).map(|text| instant(param, &text)).transpose();
    let start = time("StartTime", request.start_time)?;
    let end = time("EndTime", request.end_time)?;
    if start.is_some() || end.is_some() {
        let (start, end) = (start.or(rule.start_time), end.or(rule.end_time));
        let window = config::window(request.stream_name.as_deref(), start, end, now)?;
        if let Some(window) = window {
            (rule.start_time, rule.end_time) = window;
        }
    }
    Ok(rule)
}
