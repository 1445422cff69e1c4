//! A run in JUnit's XML, which continuous integration shows: a suite a script, a case a step.

use quick_xml::escape::escape;

use super::diff::Difference;
use super::outcome::{Outcome, Run, Verdict, brief};

/// The run as a document.
#[must_use]
pub fn document(run: &Run) -> String {
    let counts = run.counts();
    let all = run.outcomes.len();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    out.push_str(&format!(
        "<testsuites name=\"localyun compare\" tests=\"{all}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\">\n",
        counts.different, counts.failed, counts.not_run
    ));
    let mut rest = run.outcomes.as_slice();
    while let Some(first) = rest.first() {
        let same =
            |outcome: &&Outcome| (&outcome.file, &outcome.script) == (&first.file, &first.script);
        let length = rest.iter().take_while(same).count();
        let (suite, after) = rest.split_at(length);
        out.push_str(&format!(
            "  <testsuite name=\"{}\" file=\"{}\" tests=\"{length}\">\n",
            safe(&first.script),
            safe(&first.file)
        ));
        for outcome in suite {
            out.push_str(&case(outcome));
        }
        out.push_str("  </testsuite>\n");
        rest = after;
    }
    out.push_str("</testsuites>\n");
    out
}

fn case(outcome: &Outcome) -> String {
    let head = format!(
        "    <testcase classname=\"{}\" name=\"line {}: {}\" time=\"{}.{:03}\"",
        safe(&outcome.script),
        outcome.line,
        safe(&outcome.step),
        outcome.took_ms / 1_000,
        outcome.took_ms % 1_000
    );
    let inside = match &outcome.verdict {
        Verdict::Same => return format!("{head}/>\n"),
        Verdict::NotRun(why) => format!("<skipped message=\"{}\"/>", safe(why)),
        Verdict::Failed(why) => format!("<error message=\"{}\"/>", safe(why)),
        Verdict::Different(differences) => {
            let lines: Vec<String> = differences.found.iter().map(line).collect();
            format!(
                "<failure message=\"{} differences\">{}</failure>",
                differences.found.len() + differences.more,
                safe(&lines.join("\n"))
            )
        }
    };
    format!("{head}>{inside}</testcase>\n")
}

fn line(difference: &Difference) -> String {
    format!(
        "{} {}: here {}, there {}",
        difference.way.word(),
        difference.at,
        brief(&difference.at, difference.here.as_ref()),
        brief(&difference.at, difference.there.as_ref())
    )
}

/// A text that may stand in XML 1.0.
fn safe(text: &str) -> String {
    let legal = |c: char| matches!(c, '\t' | '\n' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    let text: String = text
        .chars()
        .map(|c| if legal(c) { c } else { '?' })
        .collect();
    escape(text.as_str()).into_owned()
}

#[cfg(test)]
mod tests {
    use quick_xml::Reader;
    use quick_xml::events::Event;
    use serde_json::json;

    use super::*;
    use crate::compare::diff;
    use crate::compare::outcome::tests::outcome;

    #[test]
    fn it_is_xml_and_every_verdict_has_its_element() {
        let difference = diff::values(&json!({"A": "x & <y>\u{1}"}), &json!({"A": 1}));
        let run = Run {
            outcomes: vec![
                outcome("first", Verdict::Same),
                outcome("\"second\"", Verdict::Different(difference)),
                outcome("third", Verdict::NotRun("not allowed".to_owned())),
                outcome("fourth", Verdict::Failed("no <connection>".to_owned())),
            ],
        };
        let text = document(&run);
        let mut reader = Reader::from_str(&text);
        let mut names = Vec::new();
        loop {
            match reader.read_event().unwrap() {
                Event::Eof => break,
                Event::Start(tag) | Event::Empty(tag) => {
                    names.push(tag.name().as_ref().to_owned());
                }
                _ => {}
            }
        }
        let expected = [
            "testsuites",
            "testsuite",
            "testcase",
            "testcase",
            "failure",
            "testcase",
            "skipped",
            "testcase",
            "error",
        ];
        assert_eq!(names, expected, "{text}");
        assert!(text.contains("tests=\"4\" failures=\"1\" errors=\"1\" skipped=\"1\""));
        assert!(text.contains("name=\"a &lt;script&gt;\"") && text.contains("time=\"0.012\""));
    }
}
