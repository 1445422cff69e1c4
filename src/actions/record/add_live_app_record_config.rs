//! AddLiveAppRecordConfig: creates the recording rule of a (domain, application, stream) triple.
//!
//! Prefixes may be absent, as in the product's own examples, and then are those of its console. Streams that are live
//! keep the rule that they were published under.

use serde::{Deserialize, Serialize};

use super::config::{self, NewFormat};
use super::target;
use crate::actions::Context;
use crate::actions::arguments::{domain_name, given, instant};
use crate::actions::scope::Scope;
use crate::clock::UnixMs;
use crate::error::{ApiError, Code};
use crate::model::rule::{DEFAULT_DELAY_S, Rule};

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: String,
    pub app_name: String,
    pub stream_name: Option<String>,
    pub oss_endpoint: String,
    pub oss_bucket: String,
    pub start_time: Option<String>,
    pub end_time: Option<String>,
    pub on_demand: Option<i64>,
    pub delay_time: Option<i64>,
    #[serde(default)]
    pub record_format: Vec<NewFormat>,
    #[serde(default)]
    pub transcode_record_format: Vec<NewFormat>,
    #[serde(default)]
    pub transcode_templates: Vec<String>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Answer {}

/// Stores the rule.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    ctx.check_streaming_domain(&request.domain_name).await?;
    let rule = rule(request, ctx.now())?;
    let store = &ctx.services.store;
    {
        let rules = store.rules_of(&rule.domain);
        // A refused request creates no bucket; the change below decides between two calls at the same time.
        if rules
            .iter()
            .any(|known| known.app == rule.app && known.stream == rule.stream)
        {
            return Err(ApiError::coded(Code::ConfigAlreadyExists));
        }
        config::check_room(rules.len())?;
    }
    let _bucket_stays = ctx.forgetting.read().await;
    target::ensure_bucket(ctx, &rule.oss_bucket).await?;
    let formats = !rule.transcode_formats.is_empty();
    let templates = !rule.transcode_templates.is_empty();
    let added = ctx.change(Scope::streaming(&rule.domain), move |view| {
        let room = config::check_room(view.rule_count(&rule.domain));
        if !view.add_rule(rule.clone()) {
            return Err(ApiError::coded(Code::ConfigAlreadyExists));
        }
        room
    });
    added.await?;
    config::note_transcoded(formats, templates);
    Ok(Answer {})
}

/// The rule that a request asks for. The state of the service is not looked at.
pub fn rule(request: Request, now: UnixMs) -> Result<Rule, ApiError> {
    let domain = domain_name("DomainName", &request.domain_name)?;
    let (app, stream) = config::names(&request.app_name, request.stream_name.as_deref())?;
    let oss_bucket = target::bucket_name(&request.oss_bucket)?.to_owned();
    let oss_endpoint = target::endpoint(&request.oss_endpoint)?;
    if request.record_format.is_empty() && request.transcode_record_format.is_empty() {
        return Err(ApiError::missing("RecordFormat"));
    }
    let formats = config::new_formats(request.record_format)?;
    let transcode_formats = config::new_formats(request.transcode_record_format)?;
    let time = |param, text| given(text).map(|text| instant(param, &text)).transpose();
    let start = time("StartTime", request.start_time)?;
    let end = time("EndTime", request.end_time)?;
    let window = config::window(request.stream_name.as_deref(), start, end, now)?;
    let (start_time, end_time) = window.unwrap_or_default();
    Ok(Rule {
        domain,
        app,
        stream,
        oss_endpoint,
        oss_bucket,
        start_time,
        end_time,
        on_demand: config::on_demand(request.on_demand.unwrap_or(0))?,
        delay_s: request.delay_time.unwrap_or(DEFAULT_DELAY_S),
        formats,
        transcode_formats,
        transcode_templates: config::templates(request.transcode_templates)?,
        created_at: now,
    })
}
