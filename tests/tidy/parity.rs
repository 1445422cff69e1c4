//! The scripts of `tests/parity` against what they are for: every implemented action, and the rows of docs/limits.md that calls decide.

use std::collections::{BTreeMap, BTreeSet};

use localyun::testing::actions;
use localyun::testing::compare::{Expect, GIVEN, Script, What};

use crate::{files_below, project};

/// Where the rows stand, and what their table begins with.
const LIMITS: &str = "docs/limits.md";
const HEAD: &str = "| point |";
/// How a row names a script.
const LINK: &str = "../tests/parity/";

/// All scripts by the names of their files.
fn scripts() -> BTreeMap<String, Script> {
    let known: Vec<String> = GIVEN.map(str::to_owned).to_vec();
    let files = files_below(&project().join("tests/parity"), ".yaml");
    let scripts = files.into_iter().map(|path| {
        let text = std::fs::read_to_string(&path).unwrap();
        let script = Script::read(&text, &known)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (
            path.file_stem().unwrap().to_string_lossy().into_owned(),
            script,
        )
    });
    scripts.collect()
}

/// Every implemented action has a script that calls it well and badly, and says of each call how it is answered.
pub fn actions_without_script() -> Vec<String> {
    let scripts = scripts();
    let mut complaints = Vec::new();
    for action in actions::names() {
        let Some(script) = scripts.get(action) else {
            complaints.push(format!("{action} has no tests/parity/{action}.yaml"));
            continue;
        };
        if !script.covers.iter().any(|covered| covered == action) {
            complaints.push(format!("{action}.yaml does not cover {action}"));
        }
        let expected: Vec<&Expect> = script
            .steps
            .iter()
            .filter_map(|step| match &step.what {
                What::Call(call) if call.action == action => call.expect.as_ref(),
                _ => None,
            })
            .collect();
        if !expected.contains(&&Expect::Ok) {
            complaints.push(format!("{action}.yaml has no call that is answered"));
        }
        if !expected
            .iter()
            .any(|expect| matches!(expect, Expect::Code(_)))
        {
            complaints.push(format!("{action}.yaml has no call that is refused"));
        }
    }
    complaints
}

/// What is wrong with a script by itself.
pub fn careless_scripts() -> Vec<String> {
    let mut complaints = Vec::new();
    for (file, script) in scripts() {
        if script.name != file {
            complaints.push(format!("{file}.yaml is called {}", script.name));
        }
        if script.covers.is_empty() && script.decides.is_empty() {
            complaints.push(format!("{file}.yaml covers no action and decides no row"));
        }
        for step in &script.steps {
            let What::Call(call) = &step.what else {
                continue;
            };
            if call.expect.is_none() {
                complaints.push(format!(
                    "{file}.yaml line {}: {} has no `expect`",
                    step.line, call.action
                ));
            }
        }
    }
    complaints
}

/// Rows that name a script which does not decide them, and scripts that no row names.
pub fn rows_and_scripts() -> Vec<String> {
    let text = std::fs::read_to_string(project().join(LIMITS)).unwrap();
    rows_against(&text, &decided(&scripts()))
}

/// Each row with the scripts that say they decide it.
fn decided(scripts: &BTreeMap<String, Script>) -> BTreeSet<(String, String)> {
    let pairs = scripts.iter().flat_map(|(file, script)| {
        let rows = script.decides.iter();
        rows.map(|row| (row.clone(), file.clone()))
    });
    pairs.collect()
}

pub fn rows_against(limits: &str, decided: &BTreeSet<(String, String)>) -> Vec<String> {
    let mut named = BTreeSet::new();
    let rows = limits
        .lines()
        .skip_while(|line| !line.starts_with(HEAD))
        .skip(2)
        .take_while(|line| !line.starts_with("Bounds:"))
        .filter(|line| line.starts_with("| "));
    let mut complaints = Vec::new();
    for row in rows {
        let cells: Vec<&str> = row.trim().trim_matches('|').split(" | ").collect();
        let (Some(point), Some(last)) = (cells.first(), cells.last()) else {
            continue;
        };
        let point = point.trim();
        let scripts: Vec<&str> = last
            .split(LINK)
            .skip(1)
            .filter_map(|rest| rest.split(".yaml").next())
            .collect();
        if scripts.is_empty() && last.trim() != "-" {
            complaints.push(format!("{LIMITS}: the row {point:?} says nothing of a script; a dash says that calls cannot decide it"));
        }
        named.extend(
            scripts
                .into_iter()
                .map(|script| (point.to_owned(), script.to_owned())),
        );
    }
    for (row, script) in named.difference(decided) {
        complaints.push(format!(
            "{LIMITS}: {script}.yaml does not say that it decides {row:?}"
        ));
    }
    for (row, script) in decided.difference(&named) {
        complaints.push(format!(
            "{script}.yaml decides {row:?}, and that row of {LIMITS} does not name it"
        ));
    }
    complaints
}
