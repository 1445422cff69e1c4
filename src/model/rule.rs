//! Recording rules: what AddLiveAppRecordConfig stores, and which rule wins for a stream.

use serde::{Deserialize, Serialize};

use crate::clock::UnixMs;

/// A window wider than this is clipped to it.
pub const MAX_WINDOW_MS: i64 = 7 * 24 * 3600 * 1000;
/// Seconds that an interruption may last before the recording ends, when a rule does not say.
pub const DEFAULT_DELAY_S: i64 = 180;
/// Seconds of a slice, when a rule does not say.
pub const DEFAULT_SLICE_S: i64 = 30;

/// Containers that the product writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    M3u8,
    Mp4,
    Flv,
    Cmaf,
}

impl Format {
    /// The format by the name the API uses.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "m3u8" => Some(Self::M3u8),
            "mp4" => Some(Self::Mp4),
            "flv" => Some(Self::Flv),
            "cmaf" => Some(Self::Cmaf),
            _ => None,
        }
    }

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::M3u8 => "m3u8",
            Self::Mp4 => "mp4",
            Self::Flv => "flv",
            Self::Cmaf => "cmaf",
        }
    }

    /// Whether the format's media lies in slices of its own in the user's bucket.
    #[must_use]
    pub fn is_sliced(self) -> bool {
        matches!(self, Self::M3u8 | Self::Cmaf)
    }

    /// Seconds a file may last, when a rule does not say.
    #[must_use]
    pub fn default_cycle_s(self) -> i64 {
        match self {
            Self::M3u8 | Self::Cmaf => 21_600,
            Self::Mp4 | Self::Flv => 3_600,
        }
    }

    /// The suffix of the file that an event announces.
    #[must_use]
    pub fn suffix(self) -> &'static str {
        match self {
            Self::M3u8 | Self::Cmaf => ".m3u8",
            Self::Mp4 => ".mp4",
            Self::Flv => ".flv",
        }
    }

    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::M3u8 | Self::Cmaf => "application/vnd.apple.mpegurl",
            Self::Mp4 => "video/mp4",
            Self::Flv => "video/x-flv",
        }
    }
}

/// Who decides whether a stream is recorded (parameter OnDemand).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDemand {
    Automatic,
    HttpCallback,
    IngestParameter,
    Manual,
}

impl OnDemand {
    #[must_use]
    pub fn from_code(code: i64) -> Option<Self> {
        match code {
            0 => Some(Self::Automatic),
            1 => Some(Self::HttpCallback),
            2 => Some(Self::IngestParameter),
            7 => Some(Self::Manual),
            _ => None,
        }
    }

    #[must_use]
    pub fn code(self) -> i64 {
        match self {
            Self::Automatic => 0,
            Self::HttpCallback => 1,
            Self::IngestParameter => 2,
            Self::Manual => 7,
        }
    }
}

/// One member of a rule's RecordFormat list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FormatRule {
    pub format: Format,
    pub object_prefix: String,
    pub slice_prefix: Option<String>,
    pub slice_s: i64,
    pub cycle_s: i64,
}

/// One recording configuration, keyed by (domain, app, stream); `*` stands for any app or stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub domain: String,
    pub app: String,
    pub stream: String,
    pub oss_endpoint: String,
    pub oss_bucket: String,
    pub start_time: Option<UnixMs>,
    pub end_time: Option<UnixMs>,
    pub on_demand: OnDemand,
    pub delay_s: i64,
    pub formats: Vec<FormatRule>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transcode_formats: Vec<FormatRule>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transcode_templates: Vec<String>,
    pub created_at: UnixMs,
}

/// The name that matches every application or stream.
pub const ANY: &str = "*";

/// How a rule's window stands at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// No window, or inside it.
    Open,
    /// Opens at this instant.
    Ahead(UnixMs),
    /// Over; such a rule never fires again.
    Past,
}

impl Rule {
    /// How specific the rule is; the highest that matches wins. `None`: it does not match.
    #[must_use]
    pub fn rank(&self, app: &str, stream: &str) -> Option<u8> {
        let app_any = self.app == ANY;
        let stream_any = self.stream == ANY;
        if !(app_any || self.app == app) || !(stream_any || self.stream == stream) {
            return None;
        }
        Some(match (app_any, stream_any) {
            (false, false) => 4,
            (false, true) => 3,
            (true, false) => 2,
            (true, true) => 1,
        })
    }

    /// The rule's window, clipped to the longest one that the product keeps.
    #[must_use]
    pub fn window_at(&self, now: UnixMs) -> Window {
        if let Some(end) = self.end_time
            && now >= end
        {
            return Window::Past;
        }
        match self.start_time {
            Some(start) if now < start => Window::Ahead(start),
            _ => Window::Open,
        }
    }
}

/// Why a rule was passed over, for `explain`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Wins,
    OtherAppOrStream,
    LessSpecific,
    WindowPast,
    WindowAhead,
}

/// The one decision about rules: who records a stream that is published at `now`, and who may take over later.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Choice {
    pub winner: Option<Rule>,
    /// The rule that is the first to take over: it wins when its window opens. One that a more specific rule keeps away then is none.
    pub upcoming: Option<Rule>,
}

/// Picks the rule for a stream. The recorder, RealTimeRecordCommand and `explain` all ask this function.
#[must_use]
pub fn choose(rules: &[Rule], app: &str, stream: &str, now: UnixMs) -> Choice {
    let matching = rules.iter().filter(|r| r.rank(app, stream).is_some());
    let ahead = matching.filter_map(|rule| match rule.window_at(now) {
        Window::Ahead(opens) => Some((opens, rule)),
        Window::Open | Window::Past => None,
    });
    let upcoming = ahead
        .filter(|(opens, rule)| winner_at(rules, app, stream, *opens) == Some(*rule))
        .min_by_key(|(opens, _)| *opens);
    Choice {
        winner: winner_at(rules, app, stream, now).cloned(),
        upcoming: upcoming.map(|(_, rule)| rule.clone()),
    }
}

/// The most specific rule for a stream whose window is open at an instant.
fn winner_at<'a>(rules: &'a [Rule], app: &str, stream: &str, at: UnixMs) -> Option<&'a Rule> {
    let open = rules.iter().filter(|r| r.window_at(at) == Window::Open);
    let ranked = open.filter_map(|rule| Some((rule.rank(app, stream)?, rule)));
    let winner = ranked.max_by_key(|(rank, _)| *rank);
    winner.map(|(_, rule)| rule)
}

/// Every rule of the domain with the reason why it wins or does not.
#[must_use]
pub fn verdicts<'a>(
    rules: &'a [Rule],
    app: &str,
    stream: &str,
    now: UnixMs,
) -> Vec<(&'a Rule, Verdict)> {
    let choice = choose(rules, app, stream, now);
    rules
        .iter()
        .map(|rule| {
            let verdict = if rule.rank(app, stream).is_none() {
                Verdict::OtherAppOrStream
            } else if choice.winner.as_ref() == Some(rule) {
                Verdict::Wins
            } else {
                match rule.window_at(now) {
                    Window::Past => Verdict::WindowPast,
                    Window::Ahead(_) => Verdict::WindowAhead,
                    Window::Open => Verdict::LessSpecific,
                }
            };
            (rule, verdict)
        })
        .collect()
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn rule(app: &str, stream: &str) -> Rule {
        Rule {
            domain: "d".into(),
            app: app.into(),
            stream: stream.into(),
            oss_endpoint: "e".into(),
            oss_bucket: "b".into(),
            start_time: None,
            end_time: None,
            on_demand: OnDemand::Automatic,
            delay_s: DEFAULT_DELAY_S,
            formats: vec![FormatRule {
                format: Format::Mp4,
                object_prefix: String::new(),
                slice_prefix: None,
                slice_s: DEFAULT_SLICE_S,
                cycle_s: Format::Mp4.default_cycle_s(),
            }],
            transcode_formats: Vec::new(),
            transcode_templates: Vec::new(),
            created_at: 0,
        }
    }

    #[test]
    fn the_most_specific_rule_wins() {
        let rules = [
            rule("*", "*"),
            rule("*", "s1"),
            rule("live", "*"),
            rule("live", "s1"),
        ];
        let win = |app: &str, stream: &str| {
            choose(&rules, app, stream, 0)
                .winner
                .map(|r| (r.app, r.stream))
        };
        assert_eq!(win("live", "s1"), Some(("live".into(), "s1".into())));
        assert_eq!(win("live", "s2"), Some(("live".into(), "*".into())));
        assert_eq!(win("other", "s1"), Some(("*".into(), "s1".into())));
        assert_eq!(win("other", "s3"), Some(("*".into(), "*".into())));
        assert_eq!(choose(&rules[2..], "Live", "s1", 0).winner, None);
    }

    #[test]
    fn a_window_opens_and_closes_once() {
        let mut windowed = rule("live", "s1");
        windowed.start_time = Some(100);
        windowed.end_time = Some(200);
        let rules = [windowed.clone(), rule("*", "*")];
        // A rule for every stream has one as well.
        let every = Rule {
            stream: ANY.to_owned(),
            ..windowed.clone()
        };
        assert_eq!(every.window_at(99), Window::Ahead(100));
        assert_eq!(every.window_at(200), Window::Past);
        let before = choose(&rules, "live", "s1", 99);
        assert_eq!(before.winner, Some(rules[1].clone()));
        assert_eq!(before.upcoming, Some(windowed.clone()));
        assert_eq!(choose(&rules, "live", "s1", 100).winner, Some(windowed));
        let after = choose(&rules, "live", "s1", 200);
        assert_eq!(
            (after.winner, after.upcoming),
            (Some(rules[1].clone()), None)
        );
    }

    #[test]
    fn a_window_takes_over_where_its_rule_wins_when_it_opens() {
        let windowed = |stream: &str, start_time, end_time| Rule {
            start_time,
            end_time,
            ..rule("live", stream)
        };
        let at = |rules: &[Rule], now| {
            let choice = choose(rules, "live", "s1", now);
            let name = |rule: Rule| rule.stream;
            (choice.winner.map(name), choice.upcoming.map(name))
        };
        let (all, own) = (|| Some(ANY.to_owned()), || Some("s1".to_owned()));
        // A rule that is more specific keeps it away, by whatever mode it records; one that is over then does not.
        let later = windowed(ANY, Some(30), None);
        assert_eq!(at(&[rule("live", "s1"), later.clone()], 0), (own(), None));
        let over = windowed("s1", None, Some(20));
        assert_eq!(at(&[over, later.clone()], 0), (own(), all()));
        // What is more specific comes while the other one holds, or after it.
        for end in [None, Some(60)] {
            let now = windowed(ANY, None, end);
            let then = windowed("s1", Some(120), None);
            assert_eq!(at(&[now, then], 0), (all(), own()));
        }
        // Of two windows ahead the first, then the other one.
        let two = [
            windowed("s1", Some(90), None),
            windowed(ANY, Some(30), Some(60)),
        ];
        assert_eq!(at(&two, 0), (None, all()));
        assert_eq!(at(&two, 30), (all(), own()));
        assert_eq!(at(&two, 60), (None, own()));
        assert_eq!(at(&two, 90), (own(), None));
        // Where both open at once, the more specific one alone.
        let both = [later, windowed("s1", Some(30), None)];
        assert_eq!(at(&both, 0), (None, own()));
    }
}
