//! Why a stream is recorded or is not, and what would cure that: for `explain`, for the log, for the event of a push. Pure.

use serde_json::{Value, json};

use super::on_demand::{ingest_parameter_wants, question_url};
use super::rule::{Choice, OnDemand, Rule, Window};
use super::stream_key::{PushArgs, StreamKey};
use crate::clock::UnixMs;
use crate::phrases::{Phrase, Said};
use crate::wire_time;

/// Domains and rules that a sentence names.
const NAMED: usize = 5;

/// What is known of a push, or of one that somebody asks about.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    pub key: &'a StreamKey,
    /// The domain that the push names, before mapping.
    pub ingest_domain: &'a str,
    pub args: &'a PushArgs,
    /// The rules of the streaming domain, and which of them was chosen.
    pub rules: &'a [Rule],
    pub choice: &'a Choice,
    /// Other domains that have rules; those first that have one for this application and stream.
    pub elsewhere: &'a [String],
    /// Where the streaming domain asks whether to record.
    pub on_demand_url: Option<&'a str>,
    pub now: UnixMs,
}

/// Whether a stream is recorded, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    pub records: bool,
    pub why: Said,
    /// What to do where it is not.
    pub cure: Option<Said>,
}

impl Reason {
    fn yes(why: impl Into<Said>) -> Self {
        Self {
            records: true,
            why: why.into(),
            cure: None,
        }
    }

    /// It is not recorded.
    #[must_use]
    pub fn no(why: impl Into<Said>, cure: impl Into<Said>) -> Self {
        Self {
            records: false,
            why: why.into(),
            cure: Some(cure.into()),
        }
    }

    /// `why` and `cure` as others can word them.
    #[must_use]
    pub fn words(&self) -> Value {
        json!({"why": self.why, "cure": self.cure})
    }
}

/// Why the stream is recorded, or why not.
#[must_use]
pub fn reason(of: &Circumstances<'_>) -> Reason {
    let Some(rule) = &of.choice.winner else {
        return no_rule(of);
    };
    if rule.formats.is_empty() {
        return Reason::no(Phrase::TranscodedOnly, Phrase::AddRecordFormat);
    }
    match rule.on_demand {
        OnDemand::Automatic => Reason::yes(Phrase::RecordsAutomatically),
        OnDemand::Manual => Reason::no(
            Phrase::WaitsForCommand,
            call(
                "RealTimeRecordCommand",
                &[
                    ("Command", "start"),
                    ("DomainName", &of.key.domain),
                    ("AppName", &of.key.app),
                    ("StreamName", &of.key.stream),
                ],
            ),
        ),
        OnDemand::HttpCallback => match of.on_demand_url.filter(|url| !url.is_empty()) {
            None => Reason::no(Phrase::NoOnDemandUrl, add_on_demand_url(&of.key.domain)),
            Some(url) => Reason::yes(Phrase::ReceiverDecides.with([(
                "url",
                &crate::secrets::url(&question_url(url, of.key, 0, None)),
            )])),
        },
        OnDemand::IngestParameter if ingest_parameter_wants(of.args) => {
            Reason::yes(Phrase::PushAsks)
        }
        OnDemand::IngestParameter => Reason::no(Phrase::PushDoesNotAsk, Phrase::AddToPushUrl),
    }
}

fn no_rule(of: &Circumstances<'_>) -> Reason {
    if let Some(rule) = &of.choice.upcoming {
        let opens = rule.start_time.map(wire_time::to_api).unwrap_or_default();
        return Reason::no(
            Phrase::WindowOpensLater.with([("opens", &opens)]),
            Phrase::WaitForWindow.with([("opens", &opens)]),
        );
    }
    let own_rule = add_rule(of.key);
    if of.rules.is_empty() {
        return match of.elsewhere {
            [] => Reason::no(Phrase::NoRuleAtAll, own_rule),
            [first, ..] => Reason::no(
                domain_has_no_rule(&of.key.domain, of.elsewhere),
                if of.ingest_domain == of.key.domain {
                    let mapping = [
                        ("PullDomain", first.as_str()),
                        ("PushDomain", of.ingest_domain),
                    ];
                    Phrase::MapOrAddRule.with([
                        ("push", &of.ingest_domain),
                        ("play", first),
                        ("map", &line("AddLiveDomainMapping", &mapping)),
                        ("rule", &own_rule),
                    ])
                } else {
                    own_rule
                },
            ),
        };
    }
    let is_over = of.rules.iter().any(|rule| {
        rule.rank(&of.key.app, &of.key.stream).is_some() && rule.window_at(of.now) == Window::Past
    });
    if is_over {
        return Reason::no(
            Phrase::WindowIsOver,
            Phrase::ReplaceRule.with([("rule", &own_rule)]),
        );
    }
    let names: Vec<String> = of
        .rules
        .iter()
        .map(|rule| format!("{}/{}", rule.app, rule.stream))
        .collect();
    Reason::no(no_rule_matches(of.key, &names), own_rule)
}

/// The first of many names, and how many there are beside them.
fn some_of(names: &[String]) -> (String, usize) {
    let shown = names.get(..NAMED.min(names.len())).unwrap_or_default();
    (shown.join(", "), names.len() - shown.len())
}

fn domain_has_no_rule(domain: &str, elsewhere: &[String]) -> Said {
    match some_of(elsewhere) {
        (others, 0) => Phrase::DomainHasNoRule.with([("domain", &domain), ("others", &others)]),
        (others, more) => Phrase::DomainHasNoRuleOfMany.with([
            ("domain", &domain),
            ("others", &others),
            ("more", &more),
        ]),
    }
}

fn no_rule_matches(key: &StreamKey, names: &[String]) -> Said {
    let (app, stream) = (&key.app, &key.stream);
    match some_of(names) {
        (rules, 0) => {
            Phrase::NoRuleMatches.with([("app", app), ("stream", stream), ("rules", &rules)])
        }
        (rules, more) => Phrase::NoRuleOfManyMatches.with([
            ("app", app),
            ("stream", stream),
            ("rules", &rules),
            ("more", &more),
        ]),
    }
}

fn add_rule(key: &StreamKey) -> Said {
    call(
        "AddLiveAppRecordConfig",
        &[
            ("DomainName", &key.domain),
            ("AppName", &key.app),
            ("StreamName", "*"),
            ("OssEndpoint", "oss-cn-shanghai.aliyuncs.com"),
            ("OssBucket", "recordings"),
            ("RecordFormat.1.Format", "mp4"),
        ],
    )
}

/// The call that gives a domain somebody to ask.
#[must_use]
pub fn add_on_demand_url(domain: &str) -> Said {
    let sink = "http://127.0.0.1:8080/_localyun/sink/on-demand";
    call(
        "AddLiveRecordNotifyConfig",
        &[("DomainName", domain), ("OnDemandUrl", sink)],
    )
}

/// A call that cures something.
pub fn call(action: &str, parameters: &[(&str, &str)]) -> Said {
    Phrase::MakeCall.with([("call", &line(action, parameters))])
}

/// A call as a line of a shell.
fn line(action: &str, parameters: &[(&str, &str)]) -> String {
    let mut line = format!("localyun call {action}");
    for (name, value) in parameters {
        let plain = |c: char| c.is_alphanumeric() || "-_.:/".contains(c);
        if value.chars().all(plain) {
            line.push_str(&format!(" {name}={value}"));
        } else {
            line.push_str(&format!(" '{name}={}'", value.replace('\'', r"'\''")));
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::super::rule::choose;
    use super::super::rule::tests::rule;
    use super::*;

    fn told(rules: &[Rule], elsewhere: &[&str], ingest: &str, args: &str, now: UnixMs) -> Reason {
        let key = StreamKey::new("d", "live", "s1");
        let elsewhere: Vec<String> = elsewhere.iter().map(|name| (*name).to_owned()).collect();
        reason(&Circumstances {
            key: &key,
            ingest_domain: ingest,
            args: &PushArgs::parse(args),
            rules,
            choice: &choose(rules, "live", "s1", now),
            elsewhere: &elsewhere,
            on_demand_url: None,
            now,
        })
    }

    #[test]
    fn an_ingest_domain_that_is_not_mapped_is_told_how_it_is() {
        let reason = told(&[], &["play.example.com"], "d", "", 0);
        assert!(!reason.records);
        assert_eq!(
            reason.why.to_string(),
            "domain d has no rule; rules exist for play.example.com"
        );
        let cure = reason.cure.unwrap().to_string();
        assert!(
            cure.contains("AddLiveDomainMapping PullDomain=play.example.com PushDomain=d"),
            "{cure}"
        );
        // It is mapped: the streaming domain needs a rule.
        let cure = told(&[], &["other"], "push", "", 0)
            .cure
            .unwrap()
            .to_string();
        assert!(
            cure.starts_with(
                "localyun call AddLiveAppRecordConfig DomainName=d AppName=live 'StreamName=*'"
            ),
            "{cure}"
        );
        assert_eq!(
            told(&[], &[], "d", "", 0).why.to_string(),
            "there is no recording rule at all"
        );
    }

    #[test]
    fn each_reason_has_its_cure() {
        let with = |on_demand| Rule {
            on_demand,
            ..rule("live", "*")
        };
        let automatic = told(&[with(OnDemand::Automatic)], &[], "d", "", 0);
        assert!(automatic.records && automatic.cure.is_none());
        let transcoded = Rule {
            formats: Vec::new(),
            ..rule("live", "*")
        };
        let transcoded = told(&[transcoded], &[], "d", "", 0);
        assert!(!transcoded.records);
        assert_eq!(transcoded.why.code(), "TranscodedOnly");
        let manual = told(&[with(OnDemand::Manual)], &[], "d", "", 0);
        assert!(
            manual
                .cure
                .unwrap()
                .to_string()
                .contains("RealTimeRecordCommand Command=start")
        );
        let asked = told(&[with(OnDemand::IngestParameter)], &[], "d", "", 0);
        assert!(!asked.records);
        let pushed = "record_config={\"NeedRecord\":true}";
        assert!(told(&[with(OnDemand::IngestParameter)], &[], "d", pushed, 0).records);
        let asked = told(&[with(OnDemand::HttpCallback)], &[], "d", "", 0);
        assert_eq!(asked.why.code(), "NoOnDemandUrl");
        let other = told(&[rule("live", "s2")], &[], "d", "", 0).why;
        assert!(
            other.to_string().ends_with("its rules are for live/s2"),
            "{other}"
        );
        let many: Vec<Rule> = (0..7).map(|n| rule("live", &format!("x{n}"))).collect();
        let other = told(&many, &[], "d", "", 0).why;
        assert!(other.to_string().ends_with("live/x4 and 2 more"), "{other}");
        let mut windowed = rule("live", "s1");
        (windowed.start_time, windowed.end_time) = (Some(100), Some(200));
        assert!(
            told(&[windowed.clone()], &[], "d", "", 0)
                .why
                .to_string()
                .contains("window opens at 1970")
        );
        let over = told(&[windowed], &[], "d", "", 300);
        assert_eq!(over.why.code(), "WindowIsOver");
        assert_eq!(
            over.words()["cure"]["code"],
            serde_json::json!("ReplaceRule")
        );
    }
}
