//! CreateLiveStreamRecordIndexFiles: a playlist over slices that are in the bucket already; nothing is copied or cut.
//!
//! A slice belongs when it was uploaded after StartTime and before EndTime; EndTimeIncluded adds the next one, where that begins before
//! EndTime: it is there to cover the period. The answer's StartTime and EndTime are those of the slices. Variables of OssObject are
//! filled with StartTime in UTC+8, which the product leaves open.
//! The manual's own sample names neither bucket nor object: they are then those of the rule that recorded, under a name by its prefix.
//! An object that is there already is replaced only when an index call for the same stream made it; any other one is kept, and
//! the call refused with InvalidOssObject.Malformed.

use serde::{Deserialize, Serialize};

use super::index_info::RecordInfo;
use super::target;
use crate::actions::Context;
use crate::actions::arguments::{LONGEST_QUERY_MS, Period, given};
use crate::clock::UnixMs;
use crate::error::{ApiError, Code};
use crate::ids;
use crate::live::derive::playlist;
use crate::model::object_name::{DEFAULT_OBJECT_PREFIX, Values, beside, check_index_object, fill};
use crate::model::recorded::Origin;
use crate::model::retention::SLICES;
use crate::model::rule::{Format, choose};
use crate::model::stream_key::StreamKey;
use crate::notes::{self, Note};
use crate::objects::{PutError, Upload};
use crate::phrases::Phrase;
use crate::store::records::{FileRow, SliceRow};

/// Slices of one playlist: more than 4 days of the shortest slices hold.
const MOST_SLICES: u64 = 100_000;
/// The longest object name, in bytes.
const LONGEST_OBJECT: usize = 1_023;
/// Names that are tried beside one that is taken.
const MOST_BESIDE: u32 = 100;

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: String,
    pub app_name: String,
    pub stream_name: String,
    pub oss_endpoint: Option<String>,
    pub oss_bucket: Option<String>,
    pub oss_object: Option<String>,
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
    let wanted = Wanted::read(&request, &key, period.from)?;
    let store = &ctx.services.store;
    let is_known = ctx.hub.find(&key).is_some()
        || store.stream_was_recorded(&key.hash()).await?
        || store.stream_was_pushed(&key).await?;
    if !is_known {
        return Err(ApiError::coded(Code::InvalidStreamNotFound));
    }
    let slices = select(ctx, &key, period, request.end_time_included).await?;
    let place = wanted.place(ctx, &key, &slices);
    let _bucket_stays = ctx.forgetting.read().await;
    let _turn = ctx.objects.at(&place.bucket).await;
    target::ensure_bucket(ctx, &place.bucket).await?;
    let (object, size) = put(ctx, &key, &place, &slices).await?;
    let at = (place.bucket.as_str(), place.endpoint, object);
    let row = file_row(key, &slices, at, size, ctx.now());
    store.replace_file(row.clone()).await?;
    Ok(Answer {
        record_info: RecordInfo::of(row, &ctx.services.public_urls),
    })
}

/// Where a request wants its file; what it does not say is not there.
struct Wanted {
    bucket: Option<String>,
    endpoint: Option<String>,
    object: Option<String>,
}

/// Where the file goes.
struct Place {
    bucket: String,
    endpoint: String,
    object: String,
    /// The name is ours: one beside it does as well where it is taken.
    derived: bool,
}

impl Wanted {
    fn read(request: &Request, key: &StreamKey, from: UnixMs) -> Result<Self, ApiError> {
        let named = |text: &Option<String>| given(text.clone());
        let bucket = named(&request.oss_bucket);
        if let Some(bucket) = &bucket {
            target::bucket_name(bucket)?;
        }
        let endpoint = named(&request.oss_endpoint).map(|text| target::endpoint(&text));
        let object = named(&request.oss_object).map(|text| object_name(&text, key, from));
        Ok(Self {
            bucket,
            endpoint: endpoint.transpose()?,
            object: object.transpose()?,
        })
    }

    /// Fills in what is absent; `slices` are those of the playlist, all of one bucket.
    fn place(self, ctx: &Context, key: &StreamKey, slices: &[SliceRow]) -> Place {
        let absent: Vec<&'static str> = [
            (self.bucket.is_none(), "OssBucket"),
            (self.endpoint.is_none(), "OssEndpoint"),
            (self.object.is_none(), "OssObject"),
        ]
        .into_iter()
        .filter_map(|(absent, name)| absent.then_some(name))
        .collect();
        if !absent.is_empty() {
            notes::tell(Note::FilledIn {
                parameters: absent,
                from: Phrase::RuleThatRecorded,
            });
        }
        let recorded = |of: fn(&SliceRow) -> &String| slices.first().map(of).cloned();
        let (bucket, endpoint) = (
            recorded(|slice| &slice.bucket),
            recorded(|slice| &slice.endpoint),
        );
        Place {
            bucket: self.bucket.or(bucket).unwrap_or_default(),
            endpoint: self.endpoint.or(endpoint).unwrap_or_default(),
            derived: self.object.is_none(),
            object: self.object.unwrap_or_else(|| {
                fill(&prefix(ctx, key), span(key, slices), Format::M3u8.suffix())
            }),
        }
    }
}

/// The template by which the stream's rule names its playlists.
fn prefix(ctx: &Context, key: &StreamKey) -> String {
    let recorder = ctx.hub.find_recorder(key);
    let rule = recorder.and_then(|recorder| recorder.rule_in_force());
    let rule = rule.or_else(|| {
        let rules = ctx.services.store.rules_of(&key.domain);
        choose(&rules, &key.app, &key.stream, ctx.now()).winner
    });
    let formats = rule.map(|rule| rule.formats).unwrap_or_default();
    let playlists = formats.into_iter().find(|rule| rule.format == Format::M3u8);
    playlists.map_or_else(
        || DEFAULT_OBJECT_PREFIX.to_owned(),
        |rule| rule.object_prefix,
    )
}

/// What a name by the rule's template is filled with.
fn span<'a>(key: &'a StreamKey, slices: &[SliceRow]) -> Values<'a> {
    let start = slices.first().map_or(0, |slice| slice.started_at);
    Values {
        app: &key.app,
        stream: &key.stream,
        sequence: 0,
        start,
        end: slices
            .iter()
            .map(|slice| slice.ended_at)
            .max()
            .unwrap_or(start),
    }
}

fn object_name(template: &str, key: &StreamKey, start: UnixMs) -> Result<String, ApiError> {
    let refused = || ApiError::coded(Code::InvalidOssObjectMalformed);
    if let Err(error) = check_index_object(template) {
        return Err(refused().with_hint(error));
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

/// The slices that the playlist lists: of TS, since fragments of CMAF need a header that a plain playlist does not name.
async fn select(
    ctx: &Context,
    key: &StreamKey,
    period: Period,
    with_next: bool,
) -> Result<Vec<SliceRow>, ApiError> {
    let store = &ctx.services.store;
    let hash = key.hash();
    let known = period.since(ctx.now() - SLICES.ms());
    let mut slices = if known.from < known.to {
        store
            .ts_slices_uploaded_between(&hash, known.from, known.to, MOST_SLICES + 1)
            .await?
    } else {
        Vec::new()
    };
    if u64::try_from(slices.len()).is_ok_and(|count| count > MOST_SLICES) {
        return Err(ApiError::coded(Code::InvalidEndTimeMismatch)
            .with_hint(format!("more than {MOST_SLICES} slices lie between")));
    }
    let next = if with_next {
        let not_before = period.to.max(known.from);
        let later = store.ts_slices_uploaded_after(&hash, not_before - 1, 1);
        let mut later = later.await?.into_iter();
        later.find(|slice| slice.started_at < period.to)
    } else {
        None
    };
    // A period shorter than a slice may have none of its own, and be covered by the next one.
    let Some(first) = slices.first().or(next.as_ref()) else {
        return Err(ApiError::coded(Code::NoRecordContent));
    };
    let bucket = first.bucket.clone();
    if slices.iter().any(|slice| slice.bucket != bucket) {
        return Err(ApiError::coded(Code::InvalidConfigChanged));
    }
    slices.extend(next.filter(|slice| slice.bucket == bucket));
    Ok(slices)
}

/// Puts the playlist and tells under which name, and how long it is.
async fn put(
    ctx: &Context,
    key: &StreamKey,
    place: &Place,
    slices: &[SliceRow],
) -> Result<(String, usize), ApiError> {
    let tag = format!("index:{}", key.hash());
    let mut object = place.object.clone();
    for n in 1..=MOST_BESIDE {
        let at = (place.bucket.as_str(), object.as_str());
        let text = playlist::text(slices, at, None, &ctx.services.public_urls);
        let size = text.len();
        let upload = Upload {
            bucket: &place.bucket,
            key: &object,
            content_type: Format::M3u8.content_type(),
            tag: &tag,
            epoch: 0,
        };
        match ctx.services.objects.replace_text(&upload, text).await {
            Ok(()) => return Ok((object, size)),
            Err(PutError::Taken) if place.derived => object = beside(&place.object, n),
            Err(PutError::Taken) => break,
            Err(error) => return Err(target::store_error(error)),
        }
    }
    Err(ApiError::coded(Code::InvalidOssObjectMalformed)
        .with_hint("the bucket holds an object of another origin under this name"))
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
        id: ids::record_id(&object),
        // One record an object: a repeated call takes the place of the earlier one.
        dedupe: format!("index:{}", StreamKey::new("", bucket, &object).hash()),
        stream_hash: key.hash(),
        domain: key.domain,
        app: key.app,
        stream: key.stream,
        session_id: first
            .map(|slice| slice.session_id.clone())
            .unwrap_or_default(),
        origin: Origin::Index,
        format: Format::M3u8,
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
