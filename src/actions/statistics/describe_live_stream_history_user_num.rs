//! DescribeLiveStreamHistoryUserNum: how many watched a stream, minute by minute: the most at a time in each.

use serde::{Deserialize, Serialize};

use crate::actions::Context;
use crate::actions::arguments::{Period, malformed};
use crate::actions::statistics::span::{self, Span};
use crate::actions::statistics::subject;
use crate::error::ApiError;
use crate::model::figures::MINUTE_MS;
use crate::model::retention::DAY_MS;
use crate::wire_time::to_api;

/// Nothing is accepted without effect.
pub const IGNORES: &[(&str, &str)] = &[];

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: String,
    pub app_name: String,
    pub stream_name: String,
    pub start_time: String,
    pub end_time: String,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Answer {
    pub live_stream_user_num_infos: Minutes,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Minutes {
    pub live_stream_user_num_info: Vec<Minute>,
}

/// One minute. The number is a text, as documented.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Minute {
    pub stream_time: String,
    pub user_num: String,
}

/// Sums the viewers of all forms.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let domain = ctx.check_domain(&request.domain_name).await?;
    let Period { from, to } = Period::read(&request.start_time, &request.end_time, Some(DAY_MS))?;
    let now = ctx.now();
    // Callers round their now up.
    if to > now + MINUTE_MS {
        return Err(malformed("EndTime"));
    }
    let span = Span { from, to };
    let (app, stream) = (&request.app_name, &request.stream_name);
    let asked = subject::of_stream(&domain, app, stream, span, MINUTE_MS);
    let sent = ctx.services.meter.sent(&asked).await?;
    let viewers = sent.iter().map(|sent| (sent.minute, sent.viewers));
    let minutes = span::roll_up(span, MINUTE_MS, now, viewers).into_iter();
    let minutes = minutes.map(|(at, viewers)| Minute {
        stream_time: to_api(at),
        user_num: viewers.to_string(),
    });
    Ok(Answer {
        live_stream_user_num_infos: Minutes {
            live_stream_user_num_info: minutes.collect(),
        },
    })
}
