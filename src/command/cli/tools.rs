//! The small ones: `coverage` and `health`.

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use super::arguments::{self, CoverageArgs, TargetArgs};
use super::control::Control;
use super::paper::{Table, is_watched};
use super::program::Program;
use super::target::Target;
use super::{CliError, Outcome, http, say};
use crate::clock::machine_timeout;
use crate::spec::Spec;
use crate::spec::drift::{self, Drift};

/// A server that has not said that it is ready by then is not.
const HEALTH_PATIENCE: Duration = Duration::from_secs(5);

/// Every documented action and how it stands, or what a newer description of the API says otherwise.
pub(super) fn coverage(program: &dyn Program, args: &CoverageArgs) -> Outcome {
    if let Some(path) = &args.against {
        return against(path, &program.implemented(), args.json);
    }
    let table = program
        .coverage(Spec::embedded())
        .map_err(CliError::failed)?;
    if args.json {
        say(format!("{:#}", table.to_json()));
    } else {
        say(table.to_text().trim_end());
    }
    Ok(ExitCode::SUCCESS)
}

/// Status 0 when nothing has changed, 1 when something has.
fn against(path: &Path, implemented: &[&str], json: bool) -> Outcome {
    let wrong =
        |problem: &dyn std::fmt::Display| CliError::Usage(format!("{}: {problem}", path.display()));
    let mut text = Vec::new();
    let most = u64::try_from(drift::MAX_BYTES).unwrap_or(u64::MAX);
    let file = std::fs::File::open(path).map_err(|error| wrong(&error))?;
    file.take(most + 1)
        .read_to_end(&mut text)
        .map_err(|error| wrong(&error))?;
    if text.len() > drift::MAX_BYTES {
        return Err(wrong(&format!(
            "it is larger than {} bytes",
            drift::MAX_BYTES
        )));
    }
    let drift = Drift::of(Spec::embedded().imported(), &text).map_err(|error| wrong(&error))?;
    if json {
        say(format!("{:#}", drift.to_json(implemented)));
    } else {
        show(&drift, implemented);
    }
    Ok(ExitCode::from(u8::from(!drift.changes.is_empty())))
}

fn show(drift: &Drift, implemented: &[&str]) {
    let mut table = Table::of(&["ACTION", "HERE", "BECAME", "PART", "NAME", "WAS", "IS"]);
    for change in &drift.changes {
        let here = if implemented.contains(&change.action.as_str()) {
            "implemented"
        } else {
            ""
        };
        let (fact, was, is) = change.fact.clone().unwrap_or_default();
        let name = match (change.name.as_str(), fact.as_str()) {
            (name, "") => name.to_owned(),
            ("", fact) => fact.to_owned(),
            (name, fact) => format!("{name} ({fact})"),
        };
        let cells = [
            &change.action,
            here,
            change.became.word(),
            change.part.word(),
        ];
        let mut row: Vec<String> = cells.map(str::to_owned).to_vec();
        row.extend([name, was.unwrap_or_default(), is.unwrap_or_default()]);
        table.row(row);
    }
    if !drift.changes.is_empty() {
        say(table.text(is_watched()));
    }
    let counts: Vec<String> = drift
        .counts()
        .into_iter()
        .map(|((part, became), number)| format!("{number} {}s {}", part.word(), became.word()))
        .collect();
    let counts = if counts.is_empty() {
        "nothing has changed".to_owned()
    } else {
        counts.join(", ")
    };
    say(format!("{} actions compared: {counts}", drift.compared));
}

/// Completions for a shell.
pub(super) fn completions(shell: clap_complete::Shell) -> Outcome {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut arguments::command(), "localyun", &mut text);
    say(String::from_utf8_lossy(&text).trim_end());
    Ok(ExitCode::SUCCESS)
}

/// Status 0 when the server is ready.
pub(super) async fn health(args: &TargetArgs) -> Outcome {
    let target = Target::of(args)?;
    let client = http::client_for(args)?;
    let control = Control::new(&client, &target.endpoint);
    let answer = machine_timeout(HEALTH_PATIENCE, control.get("health"))
        .await
        .unwrap_or_else(|| Err(CliError::failed("no answer within 5 s")))?;
    let status = answer
        .get("status")
        .and_then(|status| status.as_str())
        .unwrap_or_default();
    if status != "ready" {
        return Err(CliError::failed(format!("not ready: {answer}")));
    }
    say(status);
    Ok(ExitCode::SUCCESS)
}
