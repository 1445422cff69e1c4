//! The on-demand question (OnDemand=1) and the ingest parameter (OnDemand=2): what is asked, and what an answer means.

use serde::Deserialize;
use serde_json::Value;

use crate::media::frame::VideoCodec;
use crate::model::notify::with_query;
use crate::model::rule::{Format, FormatRule};
use crate::model::stream_key::{PushArgs, StreamKey};
use crate::phrases::Phrase;

/// Answers longer than this are cut; a longer JSON then no longer parses.
pub const BODY_LIMIT: usize = 2048;
/// Cycles that an answer may ask for, in seconds.
const INTERVAL: std::ops::RangeInclusive<i64> = 5..=21_600;

/// Appends the question to the configured URL, in the product's order of parameters.
#[must_use]
pub fn question_url(url: &str, key: &StreamKey, kbps: u32, codec: Option<VideoCodec>) -> String {
    let codec = if codec == Some(VideoCodec::H265) {
        "h265"
    } else {
        "h264"
    };
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("app", &key.app)
        .append_pair("domain", &key.domain)
        .append_pair("stream", &key.stream)
        .append_pair("vbitrate", &kbps.to_string())
        .append_pair("codec", codec)
        .finish();
    with_query(url, &query)
}

/// What the receiver decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Record with these formats and cycles.
    Record(Vec<FormatRule>),
    /// Do not record, said by the receiver or because no format is left.
    Decline(Phrase),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Reply {
    need_record: bool,
    interval: Option<serde_json::Map<String, Value>>,
    format: Option<Vec<String>>,
}

/// Reads an answer's body (already known to come with status 200). `None`: the call counts as failed.
#[must_use]
pub fn read_answer(body: &[u8], configured: &[FormatRule]) -> Option<Answer> {
    let cut = body.get(..body.len().min(BODY_LIMIT))?;
    let reply: Reply = serde_json::from_slice(cut).ok()?;
    if !reply.need_record {
        return Some(Answer::Decline(Phrase::ReceiverDeclines));
    }
    let mut formats = configured.to_vec();
    if let Some(wanted) = &reply.format {
        formats.retain(|f| {
            wanted
                .iter()
                .any(|w| w.eq_ignore_ascii_case(f.format.as_str()))
        });
        if formats.is_empty() {
            return Some(Answer::Decline(Phrase::ReceiverNamesNoFormat));
        }
    }
    for (name, value) in reply.interval.iter().flatten() {
        let Some(cycle) = value.as_i64().filter(|s| INTERVAL.contains(s)) else {
            continue;
        };
        let Some(format) = Format::parse(&name.to_ascii_lowercase()) else {
            continue;
        };
        for rule in formats.iter_mut().filter(|f| f.format == format) {
            rule.cycle_s = cycle;
        }
    }
    Some(Answer::Record(formats))
}

/// Whether the push URL's `record_config` asks for recording (OnDemand=2). Absent or malformed means no.
#[must_use]
pub fn ingest_parameter_wants(args: &PushArgs) -> bool {
    args.get("record_config")
        .and_then(|text| serde_json::from_str::<Value>(text).ok())
        .and_then(|value| value.get("NeedRecord").and_then(Value::as_bool))
        .unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formats() -> Vec<FormatRule> {
        [Format::M3u8, Format::Mp4, Format::Flv]
            .map(|format| FormatRule {
                format,
                object_prefix: String::new(),
                slice_prefix: None,
                slice_s: 30,
                cycle_s: 3600,
            })
            .to_vec()
    }

    #[test]
    fn the_question_keeps_its_order_and_the_urls_own_query() {
        let key = StreamKey::new("play.example.com", "live", "s1");
        assert_eq!(
            question_url("http://h/", &key, 2000, None),
            "http://h/?app=live&domain=play.example.com&stream=s1&vbitrate=2000&codec=h264"
        );
        assert_eq!(
            question_url("http://h/p?k=v", &key, 0, Some(VideoCodec::H265)),
            "http://h/p?k=v&app=live&domain=play.example.com&stream=s1&vbitrate=0&codec=h265"
        );
    }

    #[test]
    fn intervals_replace_and_formats_intersect() {
        let body = br#"{"ApiVersion":"1.0","NeedRecord":true,"Interval":{"Mp4":20,"flv":10,"M3U8":4},"Format":["MP4","flv"]}"#;
        let Some(Answer::Record(formats)) = read_answer(body, &formats()) else {
            panic!("no answer")
        };
        let cycles: Vec<_> = formats.iter().map(|f| (f.format, f.cycle_s)).collect();
        assert_eq!(cycles, [(Format::Mp4, 20), (Format::Flv, 10)]);
    }

    #[test]
    fn bad_answers_count_as_failed() {
        let padded = format!("{{\"NeedRecord\":true}}{}", " ".repeat(3000));
        assert!(
            read_answer(padded.as_bytes(), &formats()).is_some(),
            "the cut falls into white space"
        );
        let long = format!("{{\"NeedRecord\":true,\"x\":\"{}\"}}", "y".repeat(3000));
        for bad in ["hello", "{}", "{\"NeedRecord\":1}", "", long.as_str()] {
            assert_eq!(read_answer(bad.as_bytes(), &formats()), None, "{bad:.40}");
        }
        let fits = format!("{{\"NeedRecord\":true,\"x\":\"{}\"}}", "y".repeat(1970));
        assert!(read_answer(fits.as_bytes(), &formats()).is_some());
    }

    #[test]
    fn an_empty_intersection_declines() {
        let body = br#"{"NeedRecord":true,"Format":["cmaf"]}"#;
        assert!(matches!(
            read_answer(body, &formats()),
            Some(Answer::Decline(_))
        ));
    }

    #[test]
    fn the_ingest_parameter_must_be_json_that_says_true() {
        let wants = |query: &str| ingest_parameter_wants(&PushArgs::parse(query));
        assert!(wants(
            "record_config=%7B%22NeedRecord%22%3Atrue%7D&auth_key=1"
        ));
        assert!(!wants("record_config=%7B%22NeedRecord%22%3Afalse%7D"));
        assert!(!wants("record_config=x"));
        assert!(!wants(""));
    }
}
