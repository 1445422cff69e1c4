//! DescribeLiveStreamsControlHistory: what calls did to the streams of a domain, oldest first.
//!
//! Kept are ForbidLiveStream and ResumeLiveStream, as `forbid` and `resume`; a stream is named `domain/app/stream`.

use serde::{Deserialize, Serialize};

use crate::actions::Context;
use crate::actions::arguments::{Period, given};
use crate::error::ApiError;
use crate::live::ingest::admission::{domains_of, streaming_domain};
use crate::model::retention::{CONTROLS, DAY_MS};
use crate::model::stream_key::StreamKey;
use crate::store::controls::Control;
use crate::wire_time::to_api;

/// Accepted without effect.
pub const IGNORES: &[(&str, &str)] = &[("RegionId", "there is one region")];

/// The longest period, as documented.
const LONGEST_MS: i64 = 7 * DAY_MS;

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: String,
    pub app_name: Option<String>,
    pub start_time: String,
    pub end_time: String,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Answer {
    pub control_info: ControlInfo,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct ControlInfo {
    pub live_stream_control_info: Vec<Info>,
}

/// One thing that was done.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Info {
    pub action: String,
    #[serde(rename = "ClientIP")]
    pub client_ip: String,
    pub stream_name: String,
    pub time_stamp: String,
}

/// Lists what was done.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let asked = ctx.check_domain(&request.domain_name).await?;
    let period = Period::read(&request.start_time, &request.end_time, Some(LONGEST_MS))?
        .since(ctx.now() - CONTROLS.ms());
    let streaming = streaming_domain(&ctx.services, &asked).await?;
    let app = given(request.app_name);
    // EndTime names a second, all of which counts.
    let until = period.to + 999;
    let domains = domains_of(&ctx.services, &streaming).await?;
    let store = &ctx.services.store;
    let found = store.controls_between(&domains, app.as_deref(), period.from, until);
    Ok(Answer {
        control_info: ControlInfo {
            live_stream_control_info: found.await?.into_iter().map(info).collect(),
        },
    })
}

fn info(control: Control) -> Info {
    Info {
        stream_name: StreamKey::new(&control.domain, &control.app, &control.stream).to_string(),
        action: control.action,
        client_ip: control.client_ip,
        time_stamp: to_api(control.at),
    }
}
