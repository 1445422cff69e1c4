//! The small ones: `coverage` and `health`.

use std::process::ExitCode;
use std::time::Duration;

use super::arguments::{self, CoverageArgs, TargetArgs};
use super::control::Control;
use super::target::Target;
use super::{CliError, Outcome, http, say};
use crate::actions;
use crate::clock::machine_timeout;
use crate::spec::Spec;
use crate::spec::coverage::Coverage;

/// A server that has not said that it is ready by then is not.
const HEALTH_PATIENCE: Duration = Duration::from_secs(5);

/// Every documented action and how it stands.
pub(super) fn coverage(args: &CoverageArgs) -> Outcome {
    let implemented: Vec<&str> = actions::all().map(|action| action.name).collect();
    let table = Coverage::of(
        Spec::embedded(),
        &implemented,
        &actions::declined::all(Spec::embedded()),
    )
    .map_err(CliError::failed)?;
    if args.json {
        say(format!("{:#}", table.to_json()));
    } else {
        say(table.to_text().trim_end());
    }
    Ok(ExitCode::SUCCESS)
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
