//! DescribeLiveDomainOnlineUserNum: how many watch each stream of a domain, now or at a time.
//!
//! Of a minute that is over it is the most that watched at a time. A minute that is to come has none.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::actions::Context;
use crate::actions::arguments::{instant, number};
use crate::error::ApiError;
use crate::model::figures::{Asked, MINUTE_MS, minute_of};

/// Accepted without effect.
pub const IGNORES: &[(&str, &str)] = &[("RegionId", "there is one region")];

/// The template of a stream that is played as it was pushed.
const UNTOUCHED: &str = "origin";

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: String,
    pub query_time: Option<String>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Answer {
    pub online_user_info: OnlineUserInfo,
    pub stream_count: i32,
    pub user_count: i32,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct OnlineUserInfo {
    pub live_stream_online_user_num_info: Vec<Stream>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Stream {
    pub stream_name: String,
    pub infos: Infos,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Infos {
    pub info: Vec<Info>,
}

/// Those who watch the stream as it is, or as a template makes it.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Info {
    pub transcode_template: String,
    pub user_number: i64,
}

/// Counts by stream.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let domain = ctx.check_domain(&request.domain_name).await?;
    let at = request
        .query_time
        .as_deref()
        .filter(|text| !text.is_empty());
    let at = at.map(|text| instant("QueryTime", text)).transpose()?;
    let mut viewers: BTreeMap<(String, String), u64> = BTreeMap::new();
    let mut note = |app: String, stream: String, count: u64| {
        *viewers.entry((app, stream)).or_default() += count;
    };
    let running = minute_of(ctx.now());
    match at.map(minute_of) {
        // Nobody has watched in it.
        Some(minute) if minute > running => {}
        Some(minute) if minute < running => {
            let asked = Asked {
                domains: vec![domain],
                from: minute,
                to: minute + MINUTE_MS,
                ..Asked::default()
            };
            for row in ctx.services.meter.outflow(&asked).await? {
                note(row.key.app, row.key.stream, row.viewers);
            }
        }
        _ => {
            for (key, count) in ctx.hub.watched(&domain).await {
                note(key.app, key.stream, count);
            }
        }
    }
    let all: u64 = viewers.values().sum();
    let streams = viewers.into_iter().map(|((_, stream_name), count)| Stream {
        stream_name,
        infos: Infos {
            info: vec![Info {
                transcode_template: UNTOUCHED.to_owned(),
                user_number: i64::try_from(count).unwrap_or(i64::MAX),
            }],
        },
    });
    let streams: Vec<Stream> = streams.collect();
    Ok(Answer {
        stream_count: number(streams.len() as u64),
        user_count: number(all),
        online_user_info: OnlineUserInfo {
            live_stream_online_user_num_info: streams,
        },
    })
}
