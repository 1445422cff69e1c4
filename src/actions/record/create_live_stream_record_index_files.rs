//! CreateLiveStreamRecordIndexFiles: a playlist over slices that are in the bucket already; nothing is copied or cut.
//!
//! A slice belongs when it was uploaded after StartTime and before EndTime; EndTimeIncluded adds the next one. The answer's StartTime and
//! EndTime are those of the slices. Variables of OssObject are filled with StartTime in UTC+8, which the product leaves open.
//! An object that is there already is replaced only when an index call for the same stream made it; any other one is kept, and
//! the call refused with InvalidOssObject.Malformed.

use serde::{Deserialize, Serialize};

use super::index_info::RecordInfo;
use super::target;
use crate::actions::Context;
use crate::actions::arguments::{LONGEST_QUERY_MS, Period, SLICES_KEPT_MS};
use crate::clock::UnixMs;
use crate::error::{ApiError, Code};
use crate::ids;
use crate::live::derive::playlist;
use crate::model::object_name::{Values, check_index_object, fill};
use crate::model::rule::Format;
use crate::model::stream_key::StreamKey;
use crate::objects::{PutError, Upload};
use crate::store::records::{FileRow, SliceRow};

/// Slices of one playlist: more than 4 days of the shortest slices hold.
const MOST_SLICES: u64 = 100_000;
/// The longest object name, in bytes.
const LONGEST_OBJECT: usize = 1_023;
/// Slices looked at for the one that EndTimeIncluded adds.
const NEXT_SLICES: u64 = 16;

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: String,
    pub app_name: String,
    pub stream_name: String,
    pub oss_endpoint: String,
    pub oss_bucket: String,
    pub oss_object: String,
    pub start_time: String,
    pub end_time: String,
    #[serde(default)]
    pub end_time_included: bool,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Answer {
    pub record_info: RecordInfo,
}

/// Writes the playlist and its record.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let domain = ctx.check_streaming_domain(&request.domain_name).await?;
    let key = StreamKey::new(&domain, &request.app_name, &request.stream_name);
    let period = Period::read(
        &request.start_time,
        &request.end_time,
        Some(LONGEST_QUERY_MS),
    )?;
    let bucket = target::bucket_name(&request.oss_bucket)?;
    let endpoint = target::endpoint(&request.oss_endpoint)?;
    let object = object_name(&request.oss_object, &key, period.from)?;
    let store = &ctx.services.store;
    if ctx.hub.find(&key).is_none() && !store.stream_was_recorded(&key.hash()).await? {
        return Err(ApiError::coded(Code::InvalidStreamNotFound));
    }
    let slices = select(ctx, &key, period, request.end_time_included).await?;
    target::ensure_bucket(ctx, bucket).await?;
    let text = playlist::text(&slices, &object, bucket, None);
    let size = text.len();
    put(ctx, &key, bucket, &object, text).await?;
    let row = file_row(key, &slices, (bucket, endpoint, object), size, ctx.now());
    store.replace_file(row.clone()).await?;
    Ok(Answer {
        record_info: row.into(),
    })
}

fn object_name(template: &str, key: &StreamKey, start: UnixMs) -> Result<String, ApiError> {
    let refused = || ApiError::coded(Code::InvalidOssObjectMalformed);
    if let Err(error) = check_index_object(template) {
        return Err(refused().with_message(format!("Specified OssObject is not valid: {error}.")));
    }
    let values = Values {
        app: &key.app,
        stream: &key.stream,
        sequence: 0,
        start,
        end: start,
    };
    let object = fill(template, values, Format::M3u8.suffix());
    if object.len() > LONGEST_OBJECT {
        return Err(refused());
    }
    Ok(object)
}

/// The slices that the playlist lists.
async fn select(
    ctx: &Context,
    key: &StreamKey,
    period: Period,
    with_next: bool,
) -> Result<Vec<SliceRow>, ApiError> {
    let store = &ctx.services.store;
    let hash = key.hash();
    let known = period.since(ctx.now() - SLICES_KEPT_MS);
    let mut slices = if known.from < known.to {
        store
            .slices_uploaded_between(&hash, known.from, known.to, MOST_SLICES + 1)
            .await?
    } else {
        Vec::new()
    };
    if u64::try_from(slices.len()).is_ok_and(|count| count > MOST_SLICES) {
        return Err(
            ApiError::coded(Code::InvalidEndTimeMismatch).with_message(format!(
                "More than {MOST_SLICES} slices lie within the specified period."
            )),
        );
    }
    slices.retain(is_ts);
    let Some(first) = slices.first() else {
        return Err(ApiError::coded(Code::NoRecordContent));
    };
    let bucket = first.bucket.clone();
    if slices.iter().any(|slice| slice.bucket != bucket) {
        return Err(ApiError::coded(Code::InvalidConfigChanged));
    }
    if with_next {
        let later = store
            .slices_uploaded_after(&hash, period.to - 1, NEXT_SLICES)
            .await?;
        let next = later.into_iter().find(is_ts);
        slices.extend(next.filter(|slice| slice.bucket == bucket));
    }
    Ok(slices)
}

/// Fragments of CMAF need a header that a plain playlist does not name.
fn is_ts(slice: &SliceRow) -> bool {
    slice.object.ends_with(".ts")
}

async fn put(
    ctx: &Context,
    key: &StreamKey,
    bucket: &str,
    object: &str,
    text: String,
) -> Result<(), ApiError> {
    let upload = Upload {
        bucket,
        key: object,
        content_type: Format::M3u8.content_type(),
        tag: &format!("index:{}", key.hash()),
    };
    match ctx.services.objects.replace_text(&upload, text).await {
        Ok(()) => Ok(()),
        Err(PutError::Taken) => Err(ApiError::coded(Code::InvalidOssObjectMalformed)
            .with_message("The bucket holds an object of another origin under this OssObject.")),
        Err(error) => Err(target::store_error(error)),
    }
}

fn file_row(
    key: StreamKey,
    slices: &[SliceRow],
    (bucket, endpoint, object): (&str, String, String),
    size: usize,
    now: UnixMs,
) -> FileRow {
    let first = slices.first();
    FileRow {
        id: ids::record_id(),
        // One record an object: a repeated call takes the place of the earlier one.
        dedupe: format!("index:{}", StreamKey::new("", bucket, &object).hash()),
        stream_hash: key.hash(),
        domain: key.domain,
        app: key.app,
        stream: key.stream,
        session_id: first
            .map(|slice| slice.session_id.clone())
            .unwrap_or_default(),
        origin: "index".to_owned(),
        format: Format::M3u8.as_str().to_owned(),
        bucket: bucket.to_owned(),
        endpoint,
        object,
        started_at: first.map_or(now, |slice| slice.started_at),
        ended_at: slices
            .iter()
            .map(|slice| slice.ended_at)
            .max()
            .unwrap_or(now),
        duration_ms: slices.iter().map(|slice| slice.duration_ms).sum(),
        size: i64::try_from(size).unwrap_or(i64::MAX),
        width: slices
            .iter()
            .map(|slice| slice.width)
            .find(|n| *n > 0)
            .unwrap_or(0),
        height: slices
            .iter()
            .map(|slice| slice.height)
            .find(|n| *n > 0)
            .unwrap_or(0),
        created_at: now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_names_are_filled_and_bounded() {
        let key = StreamKey::new("d", "live", "s1");
        let start = 1_772_330_400_000;
        let name = |template: &str| object_name(template, &key, start).map_err(|error| error.code);
        assert_eq!(
            name("{AppName}/{StreamName}/{Date}/{Hour}/{Minute}_{Second}.m3u8").as_deref(),
            Ok("live/s1/2026-03-01/10/00_00.m3u8")
        );
        assert_eq!(name("/clip.m3u8").as_deref(), Ok("clip.m3u8"));
        let bad = Err(Code::InvalidOssObjectMalformed);
        for template in ["clip", "{Nope}.m3u8", "../clip.m3u8", ""] {
            assert_eq!(name(template), bad, "{template:?}");
        }
        let fixed = "{AppName}.m3u8";
        let filled_to = |n: usize| name(&format!("{}{fixed}", "x".repeat(n - "live.m3u8".len())));
        // "{AppName}" is five bytes longer than what it becomes, so the template's own bound comes first.
        assert!(filled_to(LONGEST_OBJECT - 5).is_ok());
        assert_eq!(filled_to(LONGEST_OBJECT - 4), bad);
        let long = StreamKey::new("d", &"a".repeat(255), "s");
        let template = |n: usize| format!("{}{fixed}", "x".repeat(n));
        assert!(object_name(&template(LONGEST_OBJECT - 260), &long, start).is_ok());
        assert!(object_name(&template(LONGEST_OBJECT - 259), &long, start).is_err());
    }
}
