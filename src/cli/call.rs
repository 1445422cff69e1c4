//! `call`: one signed request, its answer on standard output.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;

use super::arguments::CallArgs;
use super::http::{self, Answer};
use super::signed::{Call, Scheme, Signed, Stamp};
use super::target::Target;
use super::{CliError, Outcome, complain, names, say};
use crate::clock::{machine_sleep, monotonic};

/// From then on a waiting caller is told so, each time.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

pub(super) async fn run(args: &CallArgs) -> Outcome {
    let target = Target::of(&args.request.target)?;
    let parameters = names::parameters(&args.request)?;
    let scheme = if args.v1 { Scheme::V1 } else { Scheme::Acs3 };
    let call = Call {
        method: "POST",
        action: &args.request.action,
        parameters: &parameters,
    };
    let signed = Signed::new(scheme, call, &target, Stamp::now())?;
    let client = http::client_for(&args.request.target)?;
    let answer = watched(&args.request.action, http::fetch(signed.request(&client))).await?;
    if let Some(fault) = &answer.fault {
        complain(format!("this answer is an injected fault ({fault})"));
    }
    if !is_of_an_api(&answer) {
        return Err(CliError::failed(format!(
            "{} answers {} and not as the API does ({}); is `localyun serve` running there?",
            http::place(&target.endpoint),
            answer.status,
            answer.brief()
        )));
    }
    say(pretty(&answer));
    Ok(if answer.is_success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// JSON or XML, as every answer of an action is.
fn is_of_an_api(answer: &Answer) -> bool {
    answer.body.starts_with(b"{") || answer.body.starts_with(b"<?xml")
}

/// An answer as people read it; what is no JSON stays as it is.
pub(super) fn pretty(answer: &Answer) -> String {
    serde_json::from_slice::<Value>(&answer.body)
        .and_then(|json| serde_json::to_string_pretty(&json))
        .unwrap_or_else(|_| answer.text())
}

/// Waits for the answer and says so on standard error when that takes long: once a second where somebody watches, once in a log.
async fn watched(
    action: &str,
    fetch: impl Future<Output = Result<Answer, CliError>>,
) -> Result<Answer, CliError> {
    let started = monotonic();
    let lively = std::io::stderr().is_terminal();
    let mut told = false;
    tokio::pin!(fetch);
    loop {
        tokio::select! {
            answer = &mut fetch => {
                if told && lively {
                    let _ = writeln!(std::io::stderr());
                }
                return answer;
            }
            () = machine_sleep(PROGRESS_EVERY), if lively || !told => {
                let line = format!("waiting for the answer to {action} ({} s)", started.elapsed().as_secs());
                told = true;
                let mut stderr = std::io::stderr().lock();
                let _ = if lively { write!(stderr, "\r{line}") } else { writeln!(stderr, "{line}") };
                let _ = stderr.flush();
            }
        }
    }
}
