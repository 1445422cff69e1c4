//! DescribeUpPeakPublishStreamData: the most streams that were published at a time, by day (of UTC), and the highest bandwidth.
//!
//! With DomainSwitch `on` by ingest domain, else of the account, which has no number here. Times are milliseconds since the Unix epoch, the
//! bandwidth is kilobits a second. A day without a stream is not told.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::actions::Context;
use crate::actions::arguments::{Period, given, number};
use crate::actions::statistics::span::bits_per_second;
use crate::actions::statistics::{span::Span, subject};
use crate::error::ApiError;
use crate::model::figures::MINUTE_MS;
use crate::model::retention::DAY_MS;

/// Accepted without effect.
pub const IGNORES: &[(&str, &str)] = &[("RegionId", "there is one region")];

/// Who calls: there is one account.
const ACCOUNT: &str = "localyun";

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: Option<String>,
    pub domain_switch: Option<String>,
    pub start_time: String,
    pub end_time: String,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Answer {
    pub describe_up_peak_publish_stream_datas: Days,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Days {
    pub describe_up_peak_publish_stream_data: Vec<Day>,
}

/// The peak of one day.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Day {
    pub query_time: String,
    pub stat_name: String,
    pub peak_time: String,
    pub publish_stream_num: i32,
    pub band_width: String,
}

#[derive(Default)]
struct Peak {
    at: i64,
    streams: u64,
    bytes: u64,
}

/// Looks for the highest minute of each day.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let Period { from, to } =
        Period::read(&request.start_time, &request.end_time, Some(30 * DAY_MS))?;
    let domains = match given(request.domain_name) {
        Some(domain) => vec![ctx.check_domain(&domain).await?],
        None => Vec::new(),
    };
    let by_domain = request.domain_switch.as_deref() == Some("on");
    let asked = subject::of_domains(&domains, Span { from, to }, MINUTE_MS);
    let mut minutes: BTreeMap<(i64, String), (u64, u64)> = BTreeMap::new();
    for row in ctx.services.meter.publishing(&asked).await? {
        let name = if by_domain {
            row.ingest_domain
        } else {
            ACCOUNT.to_owned()
        };
        let minute = minutes.entry((row.minute, name)).or_default();
        minute.0 += row.streams;
        minute.1 += row.bytes;
    }
    let mut peaks: BTreeMap<(i64, String), Peak> = BTreeMap::new();
    for ((at, name), (streams, bytes)) in minutes {
        let peak = peaks.entry((at - at.rem_euclid(DAY_MS), name)).or_default();
        if streams > peak.streams {
            (peak.at, peak.streams) = (at, streams);
        }
        peak.bytes = peak.bytes.max(bytes);
    }
    let days = peaks.into_iter().map(|((day, stat_name), peak)| Day {
        query_time: day.to_string(),
        stat_name,
        peak_time: peak.at.to_string(),
        publish_stream_num: number(peak.streams),
        band_width: (bits_per_second(peak.bytes, MINUTE_MS) / 1000.0).to_string(),
    });
    Ok(Answer {
        describe_up_peak_publish_stream_datas: Days {
            describe_up_peak_publish_stream_data: days.collect(),
        },
    })
}
