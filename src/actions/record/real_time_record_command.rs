//! RealTimeRecordCommand: starts, pauses, ends or restarts the recording of one live stream by hand.
//!
//! Needs a live stream and a rule in effect for it, of whatever mode; stop and cancel_delay also act on a recording whose stream is
//! lost but whose file is still open. Restart is for what was started or stopped, stop for what was started, cancel_delay for what was
//! stopped; elsewhere nothing happens, for which the product documents no code: the answer is a success, and a note says so.

use serde::{Deserialize, Serialize};

use crate::actions::Context;
use crate::error::{ApiError, Code};
use crate::live::decide::machine::{Cause, Done, Input, Refusal, State};
use crate::live::recorder::Recorder;
use crate::model::rule::{ANY, Rule, Window, choose};
use crate::model::stream_key::StreamKey;
use crate::notes::{self, Note};
use crate::phrases::Phrase;

/// Accepted without effect.
pub const IGNORES: &[(&str, &str)] = &[("RegionId", "there is one region")];

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: String,
    pub app_name: String,
    pub stream_name: String,
    pub command: String,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Answer {}

/// Hands the command to the stream's recorder.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let domain = ctx.check_streaming_domain(&request.domain_name).await?;
    let input = input(&request.command)?;
    for (param, name) in [
        ("AppName", &request.app_name),
        ("StreamName", &request.stream_name),
    ] {
        if name.contains(ANY) {
            return Err(
                ApiError::invalid(param).with_hint("it must name one stream, without wildcards")
            );
        }
    }
    let key = StreamKey::new(&domain, &request.app_name, &request.stream_name);
    let publisher = ctx.hub.find(&key);
    let live = publisher.is_some();
    let recorder = publisher
        .map(|publisher| publisher.recorder.clone())
        .or_else(|| ctx.hub.find_recorder(&key));
    let recorder = recorder
        .filter(|recorder| live || (ends(input) && is_paused(recorder)))
        .ok_or_else(|| ApiError::coded(Code::InvalidStreamNotFound))?;
    let rule = rule_in_effect(ctx, &recorder)
        .ok_or_else(|| ApiError::coded(Code::InvalidConfigNotFound))?;
    if rule.formats.is_empty() {
        notes::tell(Note::NothingToDo {
            command: name(input),
            because: Phrase::TranscodedOnly,
        });
        return Ok(Answer {});
    }
    match recorder.command(input, Some(rule)) {
        Ok(done) => {
            if let Some(note) = note(input, done) {
                notes::tell(note);
            }
            Ok(Answer {})
        }
        Err(Refusal::TaskAlreadyStarted) => Err(ApiError::coded(Code::TaskAlreadyStarted)),
        Err(Refusal::NotLive) => Err(ApiError::coded(Code::InvalidStreamNotFound)),
    }
}

fn input(command: &str) -> Result<Input, ApiError> {
    match command {
        "start" => Ok(Input::Start),
        "stop" => Ok(Input::Stop),
        "cancel_delay" => Ok(Input::CancelDelay),
        "restart" => Ok(Input::Restart),
        _ => Err(ApiError::invalid("Command")),
    }
}

/// The value of Command.
fn name(input: Input) -> &'static str {
    match input {
        Input::Start => "start",
        Input::Stop => "stop",
        Input::CancelDelay => "cancel_delay",
        _ => "restart",
    }
}

/// What the caller has to know beside that it succeeded.
fn note(input: Input, done: Done) -> Option<Note> {
    let because = match done.before {
        State::Recording if input == Input::CancelDelay => {
            return Some(Note::Beyond {
                what: Phrase::CancelDelayWhileRecording,
            });
        }
        _ if done.acted => return None,
        State::Idle => Phrase::NoRecordingStarted,
        State::Asking => Phrase::QuestionOpen,
        State::Paused(Cause::Lost) => Phrase::PausedByLoss,
        State::Paused(Cause::Command) => Phrase::StoppedAlready,
        State::Recording => Phrase::RecordingGoesOn,
    };
    Some(Note::NothingToDo {
        command: name(input),
        because,
    })
}

fn ends(input: Input) -> bool {
    matches!(input, Input::Stop | Input::CancelDelay)
}

fn is_paused(recorder: &Recorder) -> bool {
    matches!(recorder.view().state, State::Paused(_))
}

/// The rule of the recording that there is, which ends with its window by itself; else the one that the push brought, as long as its window lasts;
/// else the one that a push would find now.
fn rule_in_effect(ctx: &Context, recorder: &Recorder) -> Option<Rule> {
    let of_session = recorder.rule_of_session();
    if of_session.is_some() {
        return of_session;
    }
    let now = ctx.now();
    let of_push = recorder
        .rule_in_force()
        .filter(|rule| rule.window_at(now) == Window::Open);
    of_push.or_else(|| {
        let key = &recorder.key;
        let rules = ctx.services.store.rules_of(&key.domain);
        choose(&rules, &key.app, &key.stream, now).winner
    })
}
