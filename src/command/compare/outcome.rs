//! How a run went: a verdict for each step, the counts, and the forms in which programs read them.

use std::borrow::Cow;
use std::path::Path;

use serde_json::{Value, json};

use super::diff::Differences;
use super::mask::Masker;
use crate::secrets;

/// What came of a step.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    Same,
    Different(Differences),
    /// It was not made, and why.
    NotRun(String),
    /// It could not be made or says nothing, and why.
    Failed(String),
}

impl Verdict {
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Different(_) => "different",
            Self::NotRun(_) => "not run",
            Self::Failed(_) => "failed",
        }
    }
}

/// One step of a script and what came of it.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub script: String,
    pub file: String,
    pub line: usize,
    pub step: String,
    pub action: Option<String>,
    /// What localyun was sent.
    pub parameters: Vec<(String, String)>,
    /// How each side ended, in a few words.
    pub here: String,
    pub there: String,
    pub verdict: Verdict,
    pub took_ms: u64,
}

/// All that a run found.
#[derive(Debug, Default)]
pub struct Run {
    pub outcomes: Vec<Outcome>,
}

/// How many steps had which verdict.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    pub same: usize,
    pub different: usize,
    pub not_run: usize,
    pub failed: usize,
}

impl Run {
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for outcome in &self.outcomes {
            match outcome.verdict {
                Verdict::Same => counts.same += 1,
                Verdict::Different(_) => counts.different += 1,
                Verdict::NotRun(_) => counts.not_run += 1,
                Verdict::Failed(_) => counts.failed += 1,
            }
        }
        counts
    }

    /// The exit status: 0 same, 1 different, 2 a step could not be run, or none was.
    #[must_use]
    pub fn status(&self) -> u8 {
        let counts = self.counts();
        if counts.failed > 0 || counts.same + counts.different == 0 {
            2
        } else {
            u8::from(counts.different > 0)
        }
    }

    /// The run as JSON. With a masker it is the report that may be sent to somebody.
    #[must_use]
    pub fn to_json(&self, mut masker: Option<&mut Masker>) -> Value {
        if let Some(masker) = masker.as_deref_mut() {
            self.teach(masker);
        }
        let mut steps = Vec::with_capacity(self.outcomes.len());
        for outcome in &self.outcomes {
            steps.push(outcome.to_json(masker.as_deref_mut()));
        }
        let counts = self.counts();
        json!({
            "localyun_compare": 1,
            "version": env!("CARGO_PKG_VERSION"),
            "same": counts.same,
            "different": counts.different,
            "not_run": counts.not_run,
            "failed": counts.failed,
            "steps": steps,
        })
    }

    /// Everything is learnt before anything is masked, since a domain may stand in a text before it stands where it is known as one.
    fn teach(&self, masker: &mut Masker) {
        for outcome in &self.outcomes {
            for (name, value) in &outcome.parameters {
                masker.learn(last_name(name), value);
            }
            if let Verdict::Different(differences) = &outcome.verdict {
                for difference in &differences.found {
                    for value in difference.here.iter().chain(&difference.there) {
                        masker.learn_value(last_name(&difference.at), value);
                    }
                }
            }
        }
    }
}

/// The last name of a pointer or of a parameter that is no number.
fn last_name(path: &str) -> &str {
    let mut parts = path.rsplit(['/', '.']);
    parts
        .find(|part| !part.bytes().all(|b| b.is_ascii_digit()))
        .unwrap_or_default()
}

/// A value without secrets: those that the names of its members tell, and those that one member names and another one holds.
fn shown(name: &str, value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let pairs = members.iter().map(|(name, member)| {
                let member = if secrets::is_named(members, name) {
                    secrets::hidden(member)
                } else {
                    shown(name, member)
                };
                (name.clone(), member)
            });
            Value::Object(pairs.collect())
        }
        Value::Array(items) => items.iter().map(|item| shown(name, item)).collect(),
        Value::String(text) => Value::String(secrets::shown(name, text).into_owned()),
        other => other.clone(),
    }
}

/// One value of a difference as people read it; secrets are hidden by the place's name.
#[must_use]
pub fn brief(at: &str, value: Option<&Value>) -> String {
    /// Characters of the longest text that is shown.
    const LONGEST: usize = 60;
    let Some(value) = value else {
        return "-".to_owned();
    };
    let text = shown(last_name(at), value).to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

impl Outcome {
    fn to_json(&self, mut masker: Option<&mut Masker>) -> Value {
        // A path says who ran it and where; a report needs the script alone.
        let file = match Path::new(&self.file).file_name() {
            Some(name) if masker.is_some() => name.to_string_lossy(),
            _ => Cow::Borrowed(self.file.as_str()),
        };
        let mut value = |name: &str, value: &Value| match masker.as_deref_mut() {
            Some(masker) => masker.value(name, value),
            None => shown(name, value),
        };
        let [file, here, there] =
            [&*file, &*self.here, &*self.there].map(|text| value("", &Value::from(text)));
        let mut out = json!({
            "script": self.script,
            "file": file,
            "line": self.line,
            "step": self.step,
            "action": self.action,
            "verdict": self.verdict.word(),
            "here": here,
            "there": there,
            "took_ms": self.took_ms,
        });
        let parameters = self.parameters.iter().map(|(name, text)| {
            let text = value(last_name(name), &Value::from(text.as_str()));
            (name.clone(), text)
        });
        let parameters: serde_json::Map<String, Value> = parameters.collect();
        if let Some(members) = out.as_object_mut() {
            members.insert("parameters".to_owned(), Value::Object(parameters));
            match &self.verdict {
                Verdict::Same => {}
                Verdict::NotRun(why) | Verdict::Failed(why) => {
                    members.insert("why".to_owned(), value("", &Value::from(why.as_str())));
                }
                Verdict::Different(differences) => {
                    let mut found = Vec::with_capacity(differences.found.len());
                    for difference in &differences.found {
                        let name = last_name(&difference.at);
                        let mut one = json!({"way": difference.way.word(), "at": difference.at});
                        for (side, held) in
                            [("here", &difference.here), ("there", &difference.there)]
                        {
                            if let (Some(held), Some(members)) = (held, one.as_object_mut()) {
                                members.insert(side.to_owned(), value(name, held));
                            }
                        }
                        found.push(one);
                    }
                    members.insert("differences".to_owned(), Value::Array(found));
                    members.insert("more".to_owned(), Value::from(differences.more));
                }
            }
        }
        out
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::compare::diff;

    pub(in crate::compare) fn outcome(step: &str, verdict: Verdict) -> Outcome {
        Outcome {
            script: "a <script>".to_owned(),
            file: "a.yaml".to_owned(),
            line: 7,
            step: step.to_owned(),
            action: Some("AddLiveDomain".to_owned()),
            parameters: vec![
                ("DomainName".to_owned(), "play.customer.com".to_owned()),
                ("NotifyAuthKey".to_owned(), "swordfish".to_owned()),
            ],
            here: "200".to_owned(),
            there: "200".to_owned(),
            verdict,
            took_ms: 12,
        }
    }

    fn different() -> Verdict {
        let one = json!({"Key": [{"NotifyAuthKey": "a"}], "Domain": "play.customer.com"});
        let other = json!({"Key": [{"NotifyAuthKey": "b"}], "Domain": "x.customer.com"});
        Verdict::Different(diff::values(&one, &other))
    }

    fn run(verdicts: Vec<Verdict>) -> Run {
        let outcomes = verdicts.into_iter();
        Run {
            outcomes: outcomes.map(|verdict| outcome("s", verdict)).collect(),
        }
    }

    #[test]
    fn the_status_says_how_it_went() {
        let failed = || Verdict::Failed("x".to_owned());
        let not_run = || Verdict::NotRun("x".to_owned());
        for (verdicts, status) in [
            (vec![Verdict::Same], 0),
            (vec![Verdict::Same, not_run()], 0),
            (vec![Verdict::Same, different()], 1),
            (vec![different(), failed()], 2),
            (vec![not_run()], 2),
            (vec![], 2),
        ] {
            assert_eq!(run(verdicts.clone()).status(), status, "{verdicts:?}");
        }
    }

    #[test]
    fn secrets_are_in_no_form_and_names_only_where_it_stays() {
        let run = run(vec![different()]);
        let open = run.to_json(None).to_string();
        assert!(
            open.contains("play.customer.com") && !open.contains("swordfish"),
            "{open}"
        );
        let mut masker = Masker::default();
        let report = run.to_json(Some(&mut masker));
        let text = report.to_string();
        for word in ["customer", "swordfish", "\"a\"", "\"b\""] {
            assert!(!text.contains(word), "{word} in {text}");
        }
        let first = &report["steps"][0];
        assert_eq!(first["parameters"]["DomainName"], "<domain 1>");
        assert_eq!(first["differences"][1]["here"], "<domain 1>");
        assert_eq!(first["differences"][1]["there"], "<domain 2>");
        assert_eq!(brief("/A/0/NotifyAuthKey", Some(&json!("k"))), "\"***\"");
    }

    #[test]
    fn a_secret_that_a_member_beside_it_names_is_in_no_form_either() {
        let args = |value: &str| json!({"Args": [{"ArgName": "auth_key1", "ArgValue": value}]});
        let mut differences = diff::values(&args("hush-1"), &args("hush-2"));
        // What one side alone has is told as a whole.
        let whole = diff::values(&args("hush-3"), &json!({}));
        differences.found.extend(whole.found);
        let told = |number: usize| {
            let one = &differences.found[number];
            brief(&one.at, one.here.as_ref())
        };
        assert_eq!(told(0), r#""***""#);
        assert_eq!(told(1), r#"[{"ArgName":"auth_key1","ArgValue":"***"}]"#);
        let run = run(vec![Verdict::Different(differences)]);
        for text in [
            run.to_json(None).to_string(),
            run.to_json(Some(&mut Masker::default())).to_string(),
        ] {
            assert!(
                text.contains("auth_key1") && !text.contains("hush"),
                "{text}"
            );
        }
    }

    #[test]
    fn how_a_side_ended_and_where_a_script_lies_is_masked_too() {
        let mut one = outcome("s", Verdict::Same);
        one.file = "/home/somebody/play.customer.com/a.yaml".to_owned();
        one.here = "200".to_owned();
        one.there = "the upstream: no way to push.customer.com:1935 (203.0.113.9)".to_owned();
        let run = Run {
            outcomes: vec![one],
        };
        let open = run.to_json(None);
        assert_eq!(
            open["steps"][0]["file"],
            "/home/somebody/play.customer.com/a.yaml"
        );
        let mut masker = Masker::default();
        masker.learn("Domain", "push.customer.com");
        let report = run.to_json(Some(&mut masker));
        let first = &report["steps"][0];
        assert_eq!(
            [&first["file"], &first["here"], &first["there"]],
            [
                "a.yaml",
                "200",
                "the upstream: no way to <domain 1>:1935 (<address 1>)"
            ]
        );
    }
}
