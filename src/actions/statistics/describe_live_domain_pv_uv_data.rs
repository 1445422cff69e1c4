//! DescribeLiveDomainPvUvData: how often streams of a domain were asked for, and from how many addresses, by the hour.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::actions::Context;
use crate::actions::statistics::over_domains::Head;
use crate::actions::statistics::span::{self, HOUR_MS, Span};
use crate::actions::statistics::subject;
use crate::error::ApiError;
use crate::wire_time::to_api;

/// Accepted without effect.
pub const IGNORES: &[(&str, &str)] = &[("RegionId", "there is one region")];

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: String,
    pub start_time: Option<String>,
    pub end_time: Option<String>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Answer {
    #[serde(flatten)]
    pub head: Head,
    pub pv_uv_data_infos: Hours,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Hours {
    pub pv_uv_data_info: Vec<Hour>,
}

/// One hour.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Hour {
    pub time_stamp: String,
    #[serde(rename = "PV")]
    pub views: String,
    #[serde(rename = "UV")]
    pub visitors: String,
}

/// Sums viewers who came, and looks up their addresses.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let domain = ctx.check_domain(&request.domain_name).await?;
    let now = ctx.now();
    let span = Span::read(
        request.start_time.as_deref(),
        request.end_time.as_deref(),
        span::DOMAIN,
        now,
    )?;
    let asked = subject::of_domains(std::slice::from_ref(&domain), span, HOUR_MS);
    let meter = &ctx.services.meter;
    let came = meter.sent(&asked).await?;
    let came = came.iter().map(|sent| (sent.minute, sent.came));
    let visitors: BTreeMap<i64, u64> =
        span::roll_up(span, HOUR_MS, now, meter.visitors(&asked).await?)
            .into_iter()
            .collect();
    let hours = span::roll_up(span, HOUR_MS, now, came).into_iter();
    let hours = hours.map(|(at, views)| Hour {
        time_stamp: to_api(at),
        views: views.to_string(),
        visitors: visitors.get(&at).copied().unwrap_or(0).to_string(),
    });
    Ok(Answer {
        head: Head::new(&[domain], span, HOUR_MS),
        pv_uv_data_infos: Hours {
            pv_uv_data_info: hours.collect(),
        },
    })
}
