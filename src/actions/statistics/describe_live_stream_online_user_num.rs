//! DescribeLiveStreamOnlineUserNum, which the product has retired: how many watch the streams of a domain, now or minute by minute.
//!
//! Without times it is who watches at this moment. In a period it is the most at a time in each minute, and the total is the highest of all
//! minutes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::actions::Context;
use crate::actions::arguments::{given, passes};
use crate::actions::statistics::metric::whole;
use crate::actions::statistics::span::{HOUR_MS, Rule, Span};
use crate::actions::statistics::subject;
use crate::error::ApiError;
use crate::model::figures::{Asked, MINUTE_MS};
use crate::model::retention::DAY_MS;
use crate::model::stream_key::StreamKey;
use crate::notes::{self, Note};
use crate::phrases::Phrase;
use crate::wire_time::to_api;

/// Nothing is accepted without effect.
pub const IGNORES: &[(&str, &str)] = &[];

const PERIODS: Rule = Rule {
    default: HOUR_MS,
    longest: DAY_MS,
};

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: String,
    pub app_name: Option<String>,
    pub stream_name: Option<String>,
    pub start_time: Option<String>,
    pub end_time: Option<String>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Answer {
    pub total_user_number: i64,
    pub online_user_info: OnlineUserInfo,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct OnlineUserInfo {
    pub live_stream_online_user_num_info: Vec<Info>,
}

/// One stream at one time.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Info {
    pub stream_url: String,
    pub user_number: i64,
    pub time: String,
}

/// Counts by stream.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    notes::tell(Note::Beyond {
        what: Phrase::OnlineUserNumRetired,
    });
    let domain = ctx.check_domain(&request.domain_name).await?;
    let (app, stream) = (given(request.app_name), given(request.stream_name));
    let (start, end) = (given(request.start_time), given(request.end_time));
    let now = ctx.now();
    let meter = &ctx.services.meter;
    let mut viewers: BTreeMap<(i64, StreamKey), u64> = BTreeMap::new();
    if start.is_none() && end.is_none() {
        for (key, count) in ctx.hub.watched(&domain).await {
            if passes(app.as_deref(), &key.app) && passes(stream.as_deref(), &key.stream) {
                *viewers.entry((now, key)).or_default() += count;
            }
        }
    } else {
        let span = Span::read(start.as_deref(), end.as_deref(), PERIODS, now)?;
        let asked = Asked {
            app,
            stream,
            ..subject::of_domains(&[domain], span, MINUTE_MS)
        };
        for row in meter.outflow(&asked).await? {
            *viewers.entry((row.minute, row.key)).or_default() += row.viewers;
        }
    }
    let mut totals: BTreeMap<i64, u64> = BTreeMap::new();
    for ((at, _), count) in &viewers {
        *totals.entry(*at).or_default() += count;
    }
    let infos = viewers.into_iter().map(|((at, key), count)| Info {
        stream_url: format!("rtmp://{key}"),
        user_number: whole(count),
        time: to_api(at),
    });
    Ok(Answer {
        total_user_number: whole(totals.values().copied().max().unwrap_or(0)),
        online_user_info: OnlineUserInfo {
            live_stream_online_user_num_info: infos.collect(),
        },
    })
}
