//! What `compare` reads: a script is one within its bounds or told with its line; of two answers the differences are the same from both
//! sides, none from an answer to itself, and each report of them is whole.

use std::collections::BTreeMap;

use localyun::testing::compare::alike::{Own, alike};
use localyun::testing::compare::answer::{Answered, Body};
use localyun::testing::compare::diff::{MAX_DIFFERENCES, answers};
use localyun::testing::compare::junit;
use localyun::testing::compare::mask::Masker;
use localyun::testing::compare::outcome::{Outcome, Run, Verdict};
use localyun::testing::compare::{GIVEN, Script};
use localyun::testing::upstream::answer::read;
use localyun::testing::wire::Format;

use crate::input::Input;

/// Most steps of a script.
const MAX_STEPS: usize = 300;
/// An access key that the report must not have.
const KEY: (&str, &str) = ("LTAI5tabcdefghijklmnop", "s-0123456789abcdef");

fn script(text: &str) {
    let known: Vec<String> = GIVEN.iter().map(|name| (*name).to_owned()).collect();
    match Script::read(text, &known) {
        Ok(script) => {
            assert!(script.all_steps().count() <= MAX_STEPS);
            assert!(script.media_s() >= 0.0);
            let lines = 1 + text.matches(['\n', '\r']).count();
            assert!(
                script
                    .all_steps()
                    .all(|step| (1..=lines).contains(&step.line))
            );
            let _ = (script.needs(), script.sleeps_s());
        }
        Err(error) => assert!(!error.problem.is_empty()),
    }
}

fn one(input: &mut Input<'_>) -> Answered {
    let status = 200 + 204 * u16::from(input.u8() % 2);
    let mut answered = Answered::read(status, "application/json", input.counted());
    if let Body::Json(value) = &answered.body {
        let nothing = BTreeMap::new();
        answered.body = Body::Json(alike(value, &[], &Own::new(&nothing, &nothing)));
    }
    answered
}

fn compared(mut input: Input<'_>) {
    let (here, there) = (one(&mut input), one(&mut input));
    assert!(answers(&here, &here).is_empty());
    let differences = answers(&here, &there);
    assert_eq!(differences.is_empty(), answers(&there, &here).is_empty());
    assert!(differences.found.len() <= MAX_DIFFERENCES);
    let name = input.line().to_owned();
    let run = Run {
        outcomes: vec![Outcome {
            script: name.clone(),
            file: name.clone(),
            line: 1,
            step: name.clone(),
            action: None,
            parameters: vec![
                ("DomainName".to_owned(), name),
                ("Note".to_owned(), format!("{} {}", KEY.0, KEY.1)),
            ],
            here: here.brief(),
            there: there.brief(),
            verdict: Verdict::Different(differences),
            took_ms: 1,
        }],
    };
    let document = junit::document(&run);
    assert!(
        read(Format::Xml, document.as_bytes()).is_some(),
        "{document}"
    );
    let mut masker = Masker::default();
    masker.learn_key(KEY.0, KEY.1);
    let report = run.to_json(Some(&mut masker)).to_string();
    assert!(
        !report.contains(KEY.0) && !report.contains(KEY.1),
        "{report}"
    );
    assert!(run.to_json(None).is_object());
}

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    if input.u8() % 2 == 0 {
        script(&String::from_utf8_lossy(input.rest()));
    } else {
        compared(input);
    }
}
