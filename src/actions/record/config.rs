//! What AddLiveAppRecordConfig and UpdateLiveAppRecordConfig check alike: the triple, the formats, the window.

use serde::Deserialize;

use crate::actions::arguments::malformed;
use crate::clock::UnixMs;
use crate::error::{ApiError, Code};
use crate::model::object_name::{
    DEFAULT_OBJECT_PREFIX, DEFAULT_SLICE_PREFIX, check_file_prefix, check_slice_prefix,
};
use crate::model::rule::{ANY, DEFAULT_SLICE_S, Format, FormatRule, MAX_WINDOW_MS, OnDemand};
use crate::model::stream_key::{MAX_NAME, check_name};
use crate::notes::{self, Note};
use crate::phrases::Phrase;

/// Seconds that a slice may be asked to last.
const SLICE_S: std::ops::RangeInclusive<i64> = 5..=30;
/// Rules that one domain may have; the product names no number.
pub const MOST_RULES: usize = 10_000;

/// AppName and StreamName as a rule keeps them. No stream name addresses every stream of the application.
pub fn names(app: &str, stream: Option<&str>) -> Result<(String, String), ApiError> {
    let app = name("AppName", app)?;
    let stream = name(
        "StreamName",
        stream.filter(|stream| !stream.is_empty()).unwrap_or(ANY),
    )?;
    Ok((app, stream))
}

/// Partial wildcards do not exist; what a push could never be called is refused.
fn name(param: &'static str, name: &str) -> Result<String, ApiError> {
    if name != ANY && check_name(param, name).is_err() {
        return Err(malformed(param));
    }
    Ok(name.to_owned())
}

/// Refuses one rule too many.
pub fn check_room(rules: usize) -> Result<(), ApiError> {
    if rules >= MOST_RULES {
        return Err(ApiError::coded(Code::ResourceNumberExceed)
            .with_hint(format!("the domain has {MOST_RULES} configurations")));
    }
    Ok(())
}

/// The members of a RecordFormat that can be added and changed.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct FormatMembers {
    pub format: Option<String>,
    pub cycle_duration: Option<i64>,
    pub slice_duration: Option<i64>,
}

/// One RecordFormat as it is added: prefixes can be sent then, and only then.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct NewFormat {
    #[serde(flatten)]
    pub members: FormatMembers,
    pub oss_object_prefix: Option<String>,
    pub slice_oss_object_prefix: Option<String>,
}

/// The templates of a format's files and of its slices.
type Prefixes = (String, Option<String>);

impl FormatMembers {
    /// The rule of one format, after those `before` it; what is absent gets the documented default.
    fn rule(
        self,
        before: &[FormatRule],
        prefixes: impl FnOnce(Format) -> Result<Prefixes, ApiError>,
    ) -> Result<FormatRule, ApiError> {
        let format = format_of(self.format.as_deref(), before)?;
        let (object_prefix, slice_prefix) = prefixes(format)?;
        Ok(FormatRule {
            format,
            object_prefix,
            slice_prefix,
            slice_s: slice_duration(format, self.slice_duration)?,
            cycle_s: self
                .cycle_duration
                .unwrap_or_else(|| format.default_cycle_s()),
        })
    }
}

/// The formats of a new rule.
pub fn new_formats(list: Vec<NewFormat>) -> Result<Vec<FormatRule>, ApiError> {
    let mut rules: Vec<FormatRule> = Vec::with_capacity(list.len());
    for new in list {
        let (object, slice) = (new.oss_object_prefix, new.slice_oss_object_prefix);
        let rule = new.members.rule(&rules, |format| {
            Ok((object_prefix(object)?, slice_prefix(format, slice)?))
        })?;
        rules.push(rule);
    }
    Ok(rules)
}

/// The formats that replace `old` ones. A format that stays keeps its prefixes, which cannot be sent.
pub fn changed_formats(
    list: Vec<FormatMembers>,
    old: &[FormatRule],
) -> Result<Vec<FormatRule>, ApiError> {
    let mut rules: Vec<FormatRule> = Vec::with_capacity(list.len());
    for members in list {
        let rule = members.rule(&rules, |format| {
            match old.iter().find(|rule| rule.format == format) {
                Some(kept) => Ok((kept.object_prefix.clone(), kept.slice_prefix.clone())),
                None => Ok((object_prefix(None)?, slice_prefix(format, None)?)),
            }
        })?;
        rules.push(rule);
    }
    Ok(rules)
}

fn format_of(name: Option<&str>, before: &[FormatRule]) -> Result<Format, ApiError> {
    let name = name.ok_or_else(|| ApiError::missing("Format"))?;
    let refused = || ApiError::coded(Code::InvalidFormatMalformed);
    let format = Format::parse(name).ok_or_else(refused)?;
    if before.iter().any(|rule| rule.format == format) {
        return Err(refused().with_hint(format!("{name} is given twice")));
    }
    Ok(format)
}

fn object_prefix(given: Option<String>) -> Result<String, ApiError> {
    let prefix = given
        .filter(|prefix| !prefix.is_empty())
        .unwrap_or_else(|| DEFAULT_OBJECT_PREFIX.to_owned());
    match check_file_prefix(&prefix) {
        Ok(()) => Ok(prefix),
        Err(error) => Err(ApiError::coded(Code::InvalidOssObjectPrefixMalformed).with_hint(error)),
    }
}

/// Slices have names of their own in sliced formats only.
fn slice_prefix(format: Format, given: Option<String>) -> Result<Option<String>, ApiError> {
    if !format.is_sliced() {
        return Ok(None);
    }
    let prefix = given
        .filter(|prefix| !prefix.is_empty())
        .unwrap_or_else(|| DEFAULT_SLICE_PREFIX.to_owned());
    match check_slice_prefix(&prefix) {
        Ok(()) => Ok(Some(prefix)),
        Err(error) => {
            Err(ApiError::coded(Code::InvalidSliceOssObjectPrefixMalformed).with_hint(error))
        }
    }
}

/// The range depends on another member, which the spec's check cannot see; where there are no slices any number is ignored.
fn slice_duration(format: Format, given: Option<i64>) -> Result<i64, ApiError> {
    match given.filter(|_| format.is_sliced()) {
        Some(seconds) if !SLICE_S.contains(&seconds) => {
            let (least, most) = (SLICE_S.start(), SLICE_S.end());
            Err(ApiError::invalid("SliceDuration").with_hint(format!("expected {least} to {most}")))
        }
        given => Ok(given.unwrap_or(DEFAULT_SLICE_S)),
    }
}

/// Names of transcode templates.
pub fn templates(list: Vec<String>) -> Result<Vec<String>, ApiError> {
    let bad = |name: &String| {
        name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control)
    };
    if list.iter().any(bad) {
        return Err(malformed("TranscodeTemplates"));
    }
    Ok(list)
}

/// Tells the caller of what is stored for transcoded streams that it has no effect.
pub fn note_transcoded(formats: bool, templates: bool) {
    let parameters: &[_] = match (formats, templates) {
        (true, true) => &["TranscodeRecordFormat", "TranscodeTemplates"],
        (true, false) => &["TranscodeRecordFormat"],
        (false, true) => &["TranscodeTemplates"],
        (false, false) => return,
    };
    notes::tell(Note::WithoutEffect {
        parameters,
        because: Phrase::NothingIsTranscoded,
    });
}

/// Who decides about recording.
pub fn on_demand(code: i64) -> Result<OnDemand, ApiError> {
    OnDemand::from_code(code).ok_or_else(|| ApiError::invalid("OnDemand"))
}

/// A rule's window as it is stored.
pub type Window = (Option<UnixMs>, Option<UnixMs>);

/// The window of a rule, checked and clipped. It counts where StreamName is given, `*` or not; elsewhere there is none and the
/// caller is told.
pub fn window(
    stream: Option<&str>,
    start: Option<UnixMs>,
    end: Option<UnixMs>,
    now: UnixMs,
) -> Result<Option<Window>, ApiError> {
    if stream.is_none_or(str::is_empty) {
        if start.is_some() || end.is_some() {
            notes::tell(Note::WithoutEffect {
                parameters: &["StartTime", "EndTime"],
                because: Phrase::WindowNeedsStream,
            });
        }
        return Ok(None);
    }
    if start.is_some_and(|start| start > now + MAX_WINDOW_MS) {
        return Err(ApiError::coded(Code::InvalidStartTimeMalformed)
            .with_hint("it is more than 7 days ahead"));
    }
    let Some(end) = end else {
        return Ok(Some((start, None)));
    };
    let start = start.unwrap_or(now);
    if end <= start {
        return Err(ApiError::coded(Code::InvalidEndTimeMalformed)
            .with_hint("it must be later than StartTime"));
    }
    Ok(Some((Some(start), Some(end.min(start + MAX_WINDOW_MS)))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(format: &str) -> NewFormat {
        NewFormat {
            members: changed(format),
            ..NewFormat::default()
        }
    }

    fn changed(format: &str) -> FormatMembers {
        FormatMembers {
            format: Some(format.to_owned()),
            ..FormatMembers::default()
        }
    }

    #[test]
    fn absent_members_of_a_format_get_the_defaults() {
        let rules = new_formats(vec![member("m3u8"), member("mp4")]).unwrap();
        let [m3u8, mp4] = rules.as_slice() else {
            panic!("two formats")
        };
        assert_eq!(
            (
                m3u8.object_prefix.as_str(),
                m3u8.slice_prefix.as_deref(),
                m3u8.slice_s,
                m3u8.cycle_s
            ),
            (
                DEFAULT_OBJECT_PREFIX,
                Some(DEFAULT_SLICE_PREFIX),
                30,
                21_600
            )
        );
        assert_eq!(mp4.slice_prefix, None);
        assert_eq!(mp4.cycle_s, 3_600);
        let others = new_formats(vec![member("flv"), member("cmaf")]).unwrap();
        assert_eq!([others[0].cycle_s, others[1].cycle_s], [3_600, 21_600]);
    }

    #[test]
    fn a_slice_has_bounds_where_there_are_slices() {
        let asked = |format: &str, seconds: i64| {
            let mut new = member(format);
            new.members.slice_duration = Some(seconds);
            new_formats(vec![new]).map(|rules| rules[0].slice_s)
        };
        for format in ["m3u8", "cmaf"] {
            assert_eq!(asked(format, 5).unwrap(), 5);
            assert_eq!(asked(format, 30).unwrap(), 30);
            for seconds in [4, 31, -1] {
                let refused = asked(format, seconds).unwrap_err();
                assert_eq!(refused.code, Code::Invalid("SliceDuration".into()));
            }
        }
        for format in ["mp4", "flv"] {
            assert_eq!(asked(format, 600).unwrap(), 30);
        }
    }

    #[test]
    fn a_format_is_named_once_and_always() {
        let twice = new_formats(vec![member("mp4"), member("mp4")]);
        assert_eq!(twice.unwrap_err().code, Code::InvalidFormatMalformed);
        let unnamed = new_formats(vec![NewFormat::default()]);
        assert_eq!(unnamed.unwrap_err().code, Code::Missing("Format".into()));
    }

    #[test]
    fn bad_templates_are_refused_by_their_own_codes() {
        let mut bad = member("mp4");
        bad.oss_object_prefix = Some("r/{StartTime}".to_owned());
        assert_eq!(
            new_formats(vec![bad]).unwrap_err().code,
            Code::InvalidOssObjectPrefixMalformed
        );
        let mut bad = member("m3u8");
        bad.slice_oss_object_prefix = Some("r/{Sequence}".to_owned());
        assert_eq!(
            new_formats(vec![bad]).unwrap_err().code,
            Code::InvalidSliceOssObjectPrefixMalformed
        );
    }

    #[test]
    fn a_format_that_stays_keeps_what_cannot_be_sent() {
        let mut first = member("m3u8");
        first.oss_object_prefix = Some("x/{StartTime}_{EndTime}".to_owned());
        first.slice_oss_object_prefix = Some("x/{UnixTimestamp}_{Sequence}".to_owned());
        first.members.slice_duration = Some(5);
        first.members.cycle_duration = Some(900);
        let old = new_formats(vec![first]).unwrap();
        let new = changed_formats(vec![changed("m3u8"), changed("flv")], &old).unwrap();
        assert_eq!(new[0].object_prefix, old[0].object_prefix);
        assert_eq!(new[0].slice_prefix, old[0].slice_prefix);
        assert_eq!((new[0].slice_s, new[0].cycle_s), (30, 21_600));
        assert_eq!(new[1].object_prefix, DEFAULT_OBJECT_PREFIX);
        assert_eq!(new[1].slice_prefix, None);
    }

    #[test]
    fn names_are_literals_or_one_star() {
        let star = |text: &str| text.to_owned();
        assert_eq!(names("live", None).unwrap(), (star("live"), star("*")));
        assert_eq!(names("*", Some("")).unwrap(), (star("*"), star("*")));
        let code =
            |result: Result<(String, String), ApiError>| result.unwrap_err().code.to_string();
        assert_eq!(code(names("li*", None)), "InvalidAppName.Malformed");
        assert_eq!(
            code(names("live", Some("a/b"))),
            "InvalidStreamName.Malformed"
        );
    }

    #[test]
    fn windows_are_checked_clipped_and_for_named_streams_only() {
        const NOW: UnixMs = 1_000_000_000;
        let week = MAX_WINDOW_MS;
        for unnamed in [None, Some("")] {
            assert_eq!(
                window(unnamed, Some(NOW), Some(NOW + 1), NOW).unwrap(),
                None
            );
        }
        assert_eq!(
            window(Some("*"), Some(NOW), Some(NOW + 1), NOW).unwrap(),
            Some((Some(NOW), Some(NOW + 1)))
        );
        assert_eq!(
            window(Some("s"), Some(NOW + week), Some(NOW + 3 * week), NOW).unwrap(),
            Some((Some(NOW + week), Some(NOW + 2 * week)))
        );
        assert_eq!(
            window(Some("s"), None, Some(NOW + 5), NOW).unwrap(),
            Some((Some(NOW), Some(NOW + 5)))
        );
        assert_eq!(
            window(Some("s"), Some(7), None, NOW).unwrap(),
            Some((Some(7), None))
        );
        assert_eq!(
            window(Some("s"), Some(7), Some(8), NOW).unwrap(),
            Some((Some(7), Some(8)))
        );
        let code = |start, end| window(Some("s"), start, end, NOW).unwrap_err().code;
        assert_eq!(
            code(Some(NOW + week + 1), None),
            Code::InvalidStartTimeMalformed
        );
        assert_eq!(code(Some(9), Some(9)), Code::InvalidEndTimeMalformed);
        assert_eq!(code(None, Some(NOW)), Code::InvalidEndTimeMalformed);
    }

    #[test]
    fn a_domain_has_room_for_a_bounded_number_of_rules() {
        assert!(check_room(MOST_RULES - 1).is_ok());
        assert_eq!(
            check_room(MOST_RULES).unwrap_err().code,
            Code::ResourceNumberExceed
        );
    }
}
