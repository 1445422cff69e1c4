//! DescribeLiveStreamRecordContent: the spans in which a stream was recorded, one entry a recording session.
//!
//! A session that is still going on ends, for this answer, where its media ends now. Duration is EndTime minus StartTime, and
//! OssObjectPrefix is the rule's template, both as the product has it.

use serde::{Deserialize, Serialize};

use crate::actions::Context;
use crate::actions::arguments::{LONGEST_QUERY_MS, Period};
use crate::clock::UnixMs;
use crate::error::ApiError;
use crate::model::event::seconds;
use crate::model::retention::RECORDINGS;
use crate::model::stream_key::StreamKey;
use crate::store::records::SessionRow;
use crate::wire_time::{to_api, unix_seconds};

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
    pub record_content_info_list: ContentList,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct ContentList {
    pub record_content_info: Vec<Content>,
}

/// One recorded span.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Content {
    pub start_time: String,
    pub end_time: String,
    pub duration: f64,
    pub oss_endpoint: String,
    pub oss_bucket: String,
    pub oss_object_prefix: String,
}

/// Lists the spans.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let domain = ctx.check_streaming_domain(&request.domain_name).await?;
    let key = StreamKey::new(&domain, &request.app_name, &request.stream_name);
    let period = Period::read(
        &request.start_time,
        &request.end_time,
        Some(LONGEST_QUERY_MS),
    )?
    .since(ctx.now() - RECORDINGS.ms());
    let store = &ctx.services.store;
    let mut sessions = store
        .sessions_between(&key.hash(), period.from, period.to)
        .await?;
    if let Some((id, end)) = ctx
        .hub
        .find_recorder(&key)
        .and_then(|recorder| recorder.live_end())
    {
        // The row of a session under way ends where it stood when it was last written.
        match sessions.iter_mut().find(|session| session.id == id) {
            Some(session) => session.ended_at = session.ended_at.max(end),
            None => {
                let row = store.find_session(&id).await?;
                sessions.extend(row.and_then(|row| under_way(row, end, period)));
            }
        }
    }
    Ok(Answer {
        record_content_info_list: ContentList {
            record_content_info: sessions.into_iter().map(content).collect(),
        },
    })
}

/// A session under way, if what it recorded so far lies in the period.
fn under_way(mut row: SessionRow, end: UnixMs, period: Period) -> Option<SessionRow> {
    row.ended_at = row.ended_at.max(end);
    (row.started_at < period.to && row.ended_at > period.from).then_some(row)
}

fn content(session: SessionRow) -> Content {
    let length_s = unix_seconds(session.ended_at) - unix_seconds(session.started_at);
    Content {
        start_time: to_api(session.started_at),
        end_time: to_api(session.ended_at),
        duration: seconds(length_s * 1000),
        oss_endpoint: session.endpoint,
        oss_bucket: session.bucket,
        oss_object_prefix: session.prefix,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_under_way_counts_by_what_it_recorded_so_far() {
        let row = SessionRow {
            id: "id".to_owned(),
            stream_hash: String::new(),
            domain: String::new(),
            app: String::new(),
            stream: String::new(),
            bucket: String::new(),
            endpoint: String::new(),
            prefix: String::new(),
            started_at: 1_500,
            ended_at: 1_500,
            state: crate::model::recorded::SessionState::Recording,
        };
        let period = |from, to| Period { from, to };
        let found = under_way(row.clone(), 61_200, period(30_000, 90_000)).unwrap();
        assert_eq!(content(found).duration, 60.0);
        assert!(under_way(row.clone(), 30_000, period(30_000, 90_000)).is_none());
        assert!(under_way(row, 61_200, period(1_000, 1_500)).is_none());
    }
}
