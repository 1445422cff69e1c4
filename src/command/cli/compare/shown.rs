//! A run for people: a row a difference.

use crate::cli::paper::{Colour, Table, coloured};
use crate::compare::outcome::{Run, Verdict, brief};

/// The table; steps with the same answer only where they are asked for.
pub(super) fn table(run: &Run, all: bool, watched: bool) -> String {
    let mut table = Table::of(&["SCRIPT", "LINE", "STEP", "WHAT", "WHERE", "HERE", "THERE"]);
    for outcome in &run.outcomes {
        let head = || {
            vec![
                outcome.script.clone(),
                outcome.line.to_string(),
                outcome.step.clone(),
            ]
        };
        let mut row = |cells: [&str; 4]| {
            let mut whole = head();
            whole.extend(cells.map(str::to_owned));
            table.row(whole);
        };
        match &outcome.verdict {
            Verdict::Same if all => row(["same", "", &outcome.here, &outcome.there]),
            Verdict::Same => {}
            Verdict::NotRun(why) => row(["not run", "", why, ""]),
            Verdict::Failed(why) => row(["failed", "", why, ""]),
            Verdict::Different(differences) => {
                for difference in &differences.found {
                    let at = &difference.at;
                    row([
                        difference.way.word(),
                        if at.is_empty() { "(answer)" } else { at },
                        &brief(at, difference.here.as_ref()),
                        &brief(at, difference.there.as_ref()),
                    ]);
                }
                if differences.more > 0 {
                    row([
                        "different",
                        &format!("and {} more", differences.more),
                        "",
                        "",
                    ]);
                }
            }
        }
    }
    table.text(watched)
}

/// The last line.
pub(super) fn sum(run: &Run, watched: bool) -> String {
    let counts = run.counts();
    let colour = match run.status() {
        0 => Colour::Green,
        1 => Colour::Yellow,
        _ => Colour::Red,
    };
    let sum = format!(
        "{} same, {} different, {} not run, {} failed",
        counts.same, counts.different, counts.not_run, counts.failed
    );
    coloured(&sum, colour, watched)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::compare::diff;
    use crate::compare::outcome::Outcome;

    #[test]
    fn a_row_a_difference() {
        let outcome = |verdict| Outcome {
            script: "rules".to_owned(),
            file: "rules.yaml".to_owned(),
            line: 3,
            step: "adds".to_owned(),
            action: None,
            parameters: Vec::new(),
            here: "200".to_owned(),
            there: "200".to_owned(),
            verdict,
            took_ms: 0,
        };
        let found = diff::values(&json!({"A": 1, "B": "x"}), &json!({"A": 2}));
        let run = Run {
            outcomes: vec![
                outcome(Verdict::Same),
                outcome(Verdict::Different(found)),
                outcome(Verdict::NotRun("needs --allow push".to_owned())),
            ],
        };
        let lines = table(&run, false, false);
        let lines: Vec<&str> = lines.lines().collect();
        assert_eq!(
            lines,
            [
                "rules\t3\tadds\tdifferent\t/A\t1\t2",
                "rules\t3\tadds\tonly here\t/B\t\"x\"\t-",
                "rules\t3\tadds\tnot run\t\tneeds --allow push\t",
            ]
        );
        assert!(table(&run, true, false).starts_with("rules\t3\tadds\tsame\t\t200\t200"));
        assert_eq!(sum(&run, false), "1 same, 1 different, 1 not run, 0 failed");
    }
}
