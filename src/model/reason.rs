//! Why a stream is recorded or is not, and what would cure that: for `explain`, for the log, for the event of a push. Pure.

use super::on_demand::{ingest_parameter_wants, question_url};
use super::rule::{Choice, OnDemand, Rule, Window};
use super::stream_key::{PushArgs, StreamKey};
use super::wire_time;
use crate::clock::UnixMs;

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
    pub why: String,
    /// What to do where it is not.
    pub cure: Option<String>,
}

impl Reason {
    fn yes(why: impl Into<String>) -> Self {
        Self {
            records: true,
            why: why.into(),
            cure: None,
        }
    }

    fn no(why: impl Into<String>, cure: impl Into<String>) -> Self {
        Self {
            records: false,
            why: why.into(),
            cure: Some(cure.into()),
        }
    }
}

/// Why the stream is recorded, or why not.
#[must_use]
pub fn reason(of: &Circumstances<'_>) -> Reason {
    let Some(rule) = &of.choice.winner else {
        return no_rule(of);
    };
    match rule.on_demand {
        OnDemand::Automatic => Reason::yes("the rule records automatically"),
        OnDemand::Manual => Reason::no(
            "the rule waits for RealTimeRecordCommand start (OnDemand=7)",
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
            None => Reason::no(
                "OnDemand=1, but the domain has no OnDemandUrl (AddLiveRecordNotifyConfig)",
                call(
                    "AddLiveRecordNotifyConfig",
                    &[
                        ("DomainName", &of.key.domain),
                        (
                            "OnDemandUrl",
                            "http://127.0.0.1:8080/_localyun/sink/on-demand",
                        ),
                    ],
                ),
            ),
            Some(url) => Reason::yes(format!(
                "if the answer to {} says NeedRecord=true",
                crate::secrets::url(&question_url(url, of.key, 0, None))
            )),
        },
        OnDemand::IngestParameter if ingest_parameter_wants(of.args) => {
            Reason::yes("the push URL's record_config asks for it")
        }
        OnDemand::IngestParameter => Reason::no(
            "OnDemand=2, and the push URL carries no record_config={\"NeedRecord\":true}",
            "add record_config=%7B%22NeedRecord%22%3Atrue%7D to the push URL",
        ),
    }
}

fn no_rule(of: &Circumstances<'_>) -> Reason {
    if let Some(rule) = &of.choice.upcoming {
        let opens = rule.start_time.map(wire_time::to_api).unwrap_or_default();
        return Reason::no(
            format!("the rule's window opens at {opens}"),
            format!("wait until then, or advance the clock: localyun advance until {opens}"),
        );
    }
    let own_rule = add_rule(of.key);
    if of.rules.is_empty() {
        return match of.elsewhere {
            [] => Reason::no("there is no recording rule at all", own_rule),
            [first, ..] => Reason::no(
                format!(
                    "domain {} has no rule; rules exist for {}",
                    of.key.domain,
                    list(of.elsewhere)
                ),
                if of.ingest_domain == of.key.domain {
                    format!(
                        "if {0} is the ingest domain of {first}, map it: {1}; if not, give it a rule: {own_rule}",
                        of.ingest_domain,
                        call(
                            "AddLiveDomainMapping",
                            &[("PullDomain", first), ("PushDomain", of.ingest_domain)]
                        )
                    )
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
            "the window of the rule for this app and stream is over",
            format!("delete the rule and add one with another window: {own_rule}"),
        );
    }
    let names: Vec<String> = of
        .rules
        .iter()
        .map(|rule| format!("{}/{}", rule.app, rule.stream))
        .collect();
    Reason::no(
        format!(
            "no rule of the domain matches app {} and stream {}; its rules are for {}",
            of.key.app,
            of.key.stream,
            list(&names)
        ),
        own_rule,
    )
}

fn list(names: &[String]) -> String {
    let shown = names.get(..NAMED.min(names.len())).unwrap_or_default();
    let more = names.len() - shown.len();
    let shown = shown.join(", ");
    if more == 0 {
        shown
    } else {
        format!("{shown} and {more} more")
    }
}

fn add_rule(key: &StreamKey) -> String {
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

/// A call as a line of a shell.
pub fn call(action: &str, parameters: &[(&str, &str)]) -> String {
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
        assert!(!reason.records && reason.why.contains("rules exist for play.example.com"));
        let cure = reason.cure.unwrap();
        assert!(
            cure.contains("AddLiveDomainMapping PullDomain=play.example.com PushDomain=d"),
            "{cure}"
        );
        // It is mapped: the streaming domain needs a rule.
        let cure = told(&[], &["other"], "push", "", 0).cure.unwrap();
        assert!(
            cure.starts_with(
                "localyun call AddLiveAppRecordConfig DomainName=d AppName=live 'StreamName=*'"
            ),
            "{cure}"
        );
        assert_eq!(
            told(&[], &[], "d", "", 0).why,
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
        let manual = told(&[with(OnDemand::Manual)], &[], "d", "", 0);
        assert!(
            manual
                .cure
                .unwrap()
                .contains("RealTimeRecordCommand Command=start")
        );
        let asked = told(&[with(OnDemand::IngestParameter)], &[], "d", "", 0);
        assert!(!asked.records);
        let pushed = "record_config={\"NeedRecord\":true}";
        assert!(told(&[with(OnDemand::IngestParameter)], &[], "d", pushed, 0).records);
        assert!(
            told(&[with(OnDemand::HttpCallback)], &[], "d", "", 0)
                .why
                .contains("no OnDemandUrl")
        );
        let other = told(&[rule("live", "s2")], &[], "d", "", 0);
        assert!(
            other.why.ends_with("its rules are for live/s2"),
            "{}",
            other.why
        );
        let mut windowed = rule("live", "s1");
        (windowed.start_time, windowed.end_time) = (Some(100), Some(200));
        assert!(
            told(&[windowed.clone()], &[], "d", "", 0)
                .why
                .contains("window opens at 1970")
        );
        assert!(told(&[windowed], &[], "d", "", 300).why.contains("is over"));
    }
}
