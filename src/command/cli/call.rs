//! `call`: one signed request, its answer on standard output.

use std::process::ExitCode;

use serde_json::Value;

use super::arguments::CallArgs;
use super::control::Control;
use super::http::{self, Answer};
use super::signed::{self, Call, Scheme, Signed, Stamp};
use super::target::Target;
use super::{CliError, Outcome, complain, known_key, names, progress, say};

pub(super) async fn run(args: &CallArgs) -> Outcome {
    let target = Target::of(&args.request.target)?;
    let parameters = names::parameters(&args.request)?;
    let scheme = if args.v1 { Scheme::V1 } else { Scheme::Acs3 };
    let call = Call {
        method: "POST",
        action: &args.request.action,
        version: signed::VERSION,
        parameters: &parameters,
    };
    let signed = Signed::new(scheme, call, &target, Stamp::now())?;
    let client = http::client_for(&args.request.target)?;
    let action = &args.request.action;
    let answer = progress::beside(http::fetch(signed.request(&client)), |elapsed| {
        format!(
            "waiting for the answer to {action}, {} s",
            elapsed.as_secs()
        )
    });
    let answer = answer.await?;
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
    if is_refused_key(&answer) {
        let control = Control::new(&client, &target.endpoint);
        if let Some(doubt) = known_key::doubt(&client, &control, &target.key).await {
            complain(doubt);
        }
    }
    Ok(if answer.is_success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Whether the key is to blame, or the secret that signed with it.
fn is_refused_key(answer: &Answer) -> bool {
    let text = answer.text();
    !answer.is_success()
        && (text.contains("InvalidAccessKeyId") || text.contains("SignatureDoesNotMatch"))
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
