//! Runs one script against both sides in step and gives a verdict for each step.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::side::{Pushing, Side, done, waited};
use crate::clock::monotonic;
use crate::compare::alike::{Own, Rule, alike};
use crate::compare::answer::{Answered, Body};
use crate::compare::diff;
use crate::compare::outcome::{Outcome, Verdict};
use crate::compare::script::{Call, Expect, Push, Script, Step, Wait, What};
use crate::compare::words::{self, Text, WordError};
use crate::publisher::{Clip, DEFAULT_CLIP, PublishPlan};

type Values = BTreeMap<String, String>;

/// A script on its way through one side.
struct Way<'a> {
    side: &'a Side,
    values: Values,
    pushes: BTreeMap<String, Pushing>,
}

/// What came of a step on both sides.
struct Both {
    parameters: [Vec<(String, String)>; 2],
    answers: [Result<Answered, String>; 2],
}

/// Why there is nothing to compare.
enum Stop {
    NotRun(String),
    Failed(String),
}

/// Which part of a script a step belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Setup,
    Steps,
    Cleanup,
}

/// How a run is told to stop.
#[derive(Debug, Clone, Default)]
pub(super) struct Stops {
    /// No further step is made, and what was set up is cleaned up.
    pub(super) soon: CancellationToken,
    /// That is left undone too.
    pub(super) at_once: CancellationToken,
}

/// A script and where it came from.
pub(super) struct Given<'a> {
    pub(super) script: &'a Script,
    pub(super) file: &'a str,
    pub(super) folder: &'a Path,
}

/// Runs a script to its end, or until it is told to stop; what it set up is cleaned up in any case but one: it is told to stop at once.
pub(super) async fn run(
    given: &Given<'_>,
    sides: [&Side; 2],
    values: [Values; 2],
    stop: &Stops,
) -> Vec<Outcome> {
    let ways = sides.into_iter().zip(values);
    let mut ways: Vec<Way<'_>> = ways
        .map(|(side, values)| Way {
            side,
            values,
            pushes: BTreeMap::new(),
        })
        .collect();
    let mut outcomes = Vec::new();
    let mut broken: Option<String> = None;
    if let [here, there] = ways.as_mut_slice() {
        for (part, steps) in [
            (Part::Setup, &given.script.setup),
            (Part::Steps, &given.script.steps),
        ] {
            for step in steps {
                if let Some(why) = &broken {
                    outcomes.push(untouched(given, step, why));
                    continue;
                }
                let outcome = tokio::select! {
                    biased;
                    () = stop.soon.cancelled() => {
                        let why = "interrupted".to_owned();
                        let outcome = outcome_of(given, step, Verdict::Failed(why.clone()));
                        broken = Some(why);
                        outcome
                    }
                    outcome = one(given, part, step, here, there) => outcome,
                };
                if part == Part::Setup && !matches!(outcome.verdict, Verdict::Same) {
                    broken = Some(format!("the setup did not come about: {}", outcome.step));
                }
                outcomes.push(outcome);
            }
        }
        for step in &given.script.cleanup {
            // What was never made cannot be removed; only a service that does not answer is told.
            let outcome = tokio::select! {
                biased;
                () = stop.at_once.cancelled() => {
                    let why = "interrupted again: this was not cleaned up".to_owned();
                    outcome_of(given, step, Verdict::Failed(why))
                }
                outcome = one(given, Part::Cleanup, step, here, there) => outcome,
            };
            if matches!(outcome.verdict, Verdict::Failed(_)) {
                outcomes.push(outcome);
            }
        }
    }
    for way in ways {
        for (_, push) in way.pushes {
            tokio::select! {
                () = push.end() => {}
                () = stop.at_once.cancelled() => {}
            }
        }
    }
    outcomes
}

fn outcome_of(given: &Given<'_>, step: &Step, verdict: Verdict) -> Outcome {
    Outcome {
        script: given.script.name.clone(),
        file: given.file.to_owned(),
        line: step.line,
        step: step.name.clone(),
        action: match &step.what {
            What::Call(call) => Some(call.action.clone()),
            What::Wait(wait) => Some(wait.call.action.clone()),
            _ => None,
        },
        parameters: Vec::new(),
        here: String::new(),
        there: String::new(),
        verdict,
        took_ms: 0,
    }
}

fn untouched(given: &Given<'_>, step: &Step, why: &str) -> Outcome {
    outcome_of(given, step, Verdict::NotRun(why.to_owned()))
}

async fn one<'a>(
    given: &Given<'_>,
    part: Part,
    step: &Step,
    here: &mut Way<'a>,
    there: &mut Way<'a>,
) -> Outcome {
    let started = monotonic();
    let mut outcome = outcome_of(given, step, Verdict::Same);
    match both(given, step, here, there).await {
        Err(Stop::NotRun(why)) => outcome.verdict = Verdict::NotRun(why),
        Err(Stop::Failed(why)) => outcome.verdict = Verdict::Failed(why),
        Ok(both) => {
            let brief = |answer: &Result<Answered, String>| match answer {
                Ok(answered) => answered.brief(),
                Err(why) => why.clone(),
            };
            let [ours, theirs] = &both.answers;
            (outcome.here, outcome.there) = (brief(ours), brief(theirs));
            let rules = [step.alike.as_slice(), given.script.alike.as_slice()];
            outcome.verdict = verdict(part, step, &rules, &both, [here, there]);
            let [parameters, _] = both.parameters;
            outcome.parameters = parameters;
        }
    }
    outcome.took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    outcome
}

/// Does a step on both sides at once.
async fn both<'a>(
    given: &Given<'_>,
    step: &Step,
    here: &mut Way<'a>,
    there: &mut Way<'a>,
) -> Result<Both, Stop> {
    let nothing = || [Vec::new(), Vec::new()];
    match &step.what {
        What::Call(call) => {
            let parameters = [filled(call, here).await?, filled(call, there).await?];
            let [ours, theirs] = &parameters;
            let answers = tokio::join!(
                here.side.call(&call.action, &call.version, ours),
                there.side.call(&call.action, &call.version, theirs)
            );
            Ok(Both {
                parameters,
                answers: answers.into(),
            })
        }
        What::Wait(wait) => {
            let parameters = [
                filled(&wait.call, here).await?,
                filled(&wait.call, there).await?,
            ];
            let [ours, theirs] = &parameters;
            let answers = tokio::join!(
                until(here.side, wait, ours),
                until(there.side, wait, theirs)
            );
            Ok(Both {
                parameters,
                answers: answers.into(),
            })
        }
        What::Push(push) => {
            let (ours, theirs) = (plan(push, given, here)?, plan(push, given, there)?);
            let names = [ours.stream.clone(), theirs.stream.clone()];
            let (ours, theirs) = tokio::join!(
                here.side.push(ours, push.keep),
                there.side.push(theirs, push.keep)
            );
            let mut answers = Vec::with_capacity(2);
            for ((pushed, name), way) in [ours, theirs].into_iter().zip(names).zip([here, there]) {
                answers.push(match pushed {
                    Ok((answered, going_on)) => {
                        if let Some(push) = going_on
                            && let Some(earlier) = way.pushes.insert(name, push)
                        {
                            earlier.end().await;
                        }
                        Ok(answered)
                    }
                    Err(why) => Err(why),
                });
            }
            let answers = <[_; 2]>::try_from(answers)
                .map_err(|_| Stop::Failed("a push has two sides".to_owned()))?;
            Ok(Both {
                parameters: nothing(),
                answers,
            })
        }
        What::End(stream) => {
            for way in [here, there] {
                let name = text(stream, way, 0)?;
                let Some(push) = way.pushes.remove(&name) else {
                    return Err(Stop::NotRun(format!(
                        "no push of {name} goes on at {}",
                        way.side.name
                    )));
                };
                push.end().await;
            }
            Ok(Both {
                parameters: nothing(),
                answers: [Ok(done()), Ok(done())],
            })
        }
        What::Sleep(seconds) => {
            let slept = tokio::join!(here.side.sleep(*seconds), there.side.sleep(*seconds));
            let (ours, theirs) = slept;
            Ok(Both {
                parameters: nothing(),
                answers: [ours.map(|()| done()), theirs.map(|()| done())],
            })
        }
    }
}

/// A call's parameters with everything filled in, on one side.
async fn filled(call: &Call, way: &Way<'_>) -> Result<Vec<(String, String)>, Stop> {
    let mut now = 0;
    if call.parameters.iter().any(|(_, text)| text.has_time()) {
        now = way.side.now().await.map_err(Stop::Failed)?;
    }
    let pairs = call.parameters.iter();
    pairs
        .map(|(name, value)| Ok((name.clone(), text(value, way, now)?)))
        .collect()
}

fn text(text: &Text, way: &Way<'_>, now: i64) -> Result<String, Stop> {
    text.filled(&way.values, now).map_err(|error| match error {
        WordError::Unset(name) => Stop::NotRun(format!(
            "no earlier answer of {} gave `{name}`",
            way.side.name
        )),
        other => Stop::Failed(other.to_string()),
    })
}

fn plan(push: &Push, given: &Given<'_>, way: &Way<'_>) -> Result<PublishPlan, Stop> {
    let name = push.clip.as_deref().unwrap_or(DEFAULT_CLIP);
    let clip = match Clip::builtin(name) {
        Some(clip) => clip,
        None => {
            Clip::file(&given.folder.join(name)).map_err(|error| Stop::Failed(error.to_string()))?
        }
    };
    let query = push.query.as_ref();
    Ok(PublishPlan {
        rtmp_addr: String::new(),
        domain: text(&push.domain, way, 0)?,
        app: text(&push.app, way, 0)?,
        stream: text(&push.stream, way, 0)?,
        query: query
            .map(|query| text(query, way, 0))
            .transpose()?
            .filter(|query| !query.is_empty()),
        clip,
        seconds: (!push.keep).then_some(push.seconds),
        speed: 1.0,
    })
}

/// Makes a call until its answer is as wanted, or the time is over.
async fn until(
    side: &Side,
    wait: &Wait,
    parameters: &[(String, String)],
) -> Result<Answered, String> {
    let started = monotonic();
    loop {
        let answered = side
            .call(&wait.call.action, &wait.call.version, parameters)
            .await?;
        let value = answered.json().and_then(|json| json.pointer(&wait.at));
        if answered.is_success() && wait.until.holds(value) {
            return Ok(waited(true));
        }
        if started.elapsed().as_secs() >= wait.within_s {
            return Ok(waited(false));
        }
        crate::clock::machine_sleep(side.pause()).await;
    }
}

fn verdict<'a>(
    part: Part,
    step: &Step,
    rules: &[&[Rule]],
    both: &Both,
    ways: [&mut Way<'a>; 2],
) -> Verdict {
    let [ours, theirs] = &both.answers;
    let (Ok(ours), Ok(theirs)) = (ours, theirs) else {
        let sides = ways.iter().zip(&both.answers);
        let why = sides.filter_map(|(way, answer)| {
            let why = answer.as_ref().err()?;
            Some(format!("{}: {why}", way.side.name))
        });
        return Verdict::Failed(why.collect::<Vec<_>>().join("; "));
    };
    let [here, there] = ways;
    if let What::Wait(wait) = &step.what
        && ours == theirs
        && *ours == waited(false)
    {
        return Verdict::Failed(format!(
            "neither side came to that within {} s",
            wait.within_s
        ));
    }
    let mut owns = [
        Own::new(&here.values, &there.values),
        Own::new(&there.values, &here.values),
    ];
    for (own, sent) in owns.iter_mut().zip(&both.parameters) {
        own.sent(sent);
    }
    let [own_here, own_there] = &owns;
    let (made_here, made_there) = (made(ours, rules, own_here), made(theirs, rules, own_there));
    if let What::Call(call) = &step.what {
        learn(call, ours, here);
        learn(call, theirs, there);
        if let Some(why) = unexpected(call, ours) {
            return Verdict::Failed(why);
        }
        if part == Part::Setup {
            // What a script stands on is not what it compares.
            return if call.expect == Some(Expect::Any) {
                Verdict::Same
            } else {
                came_about(call, [(here, ours), (there, theirs)])
            };
        }
    }
    let differences = diff::answers(&made_here, &made_there);
    if differences.is_empty() {
        Verdict::Same
    } else {
        Verdict::Different(differences)
    }
}

/// Whether both sides did what the setup asks for.
fn came_about(call: &Call, sides: [(&Way<'_>, &Answered); 2]) -> Verdict {
    let refused = sides
        .iter()
        .filter(|(_, answered)| {
            !answered.is_success()
                && call.expect != answered.code().map(|code| Expect::Code(code.to_owned()))
        })
        .map(|(way, answered)| format!("{} answers {}", way.side.name, answered.brief()));
    let refused: Vec<String> = refused.collect();
    if refused.is_empty() {
        Verdict::Same
    } else {
        Verdict::Failed(refused.join("; "))
    }
}

/// An answer with its body made alike.
fn made(answered: &Answered, rules: &[&[Rule]], own: &Own) -> Answered {
    let body = match &answered.body {
        Body::Json(value) => Body::Json(alike(value, rules, own)),
        other => other.clone(),
    };
    Answered {
        body,
        ..answered.clone()
    }
}

/// Takes the captures out of an answer.
fn learn(call: &Call, answered: &Answered, way: &mut Way<'_>) {
    for (name, pointer) in &call.captures {
        let value = answered.json().and_then(|json| json.pointer(pointer));
        let text = match value {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::Bool(truth)) => truth.to_string(),
            _ => continue,
        };
        if text.len() <= words::MAX_VALUE {
            way.values.insert(name.clone(), text);
        }
    }
}

/// Why the script says nothing: localyun did not answer as it was written for.
fn unexpected(call: &Call, answered: &Answered) -> Option<String> {
    let wanted = match call.expect.as_ref()? {
        Expect::Any => return None,
        Expect::Ok if answered.is_success() => return None,
        Expect::Ok => "success".to_owned(),
        Expect::Code(code) if answered.code() == Some(code) => return None,
        Expect::Code(code) => code.clone(),
    };
    Some(format!(
        "localyun answers {} where the script was written for {wanted}",
        answered.brief()
    ))
}
