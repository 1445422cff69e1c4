//! `demo`: the main job end to end, by the same doors as any user's: the signed API, an RTMP push, the object store, the
//! callbacks. Only the waiting is short, because the service clock can be moved; the output says where that happens.

mod narrator;
pub(super) mod objects;
mod receiver;
mod stage;
mod steps;

use std::process::ExitCode;

use rustix::process::{Signal, getpid, kill_process};

use super::arguments::DemoArgs;
use super::program::Program;
use super::{CliError, Outcome, logging, printed, say, signals, unless_told};
use crate::signals::Signals;
use narrator::Narrator;
use receiver::Receiver;
use stage::Stage;

pub(super) async fn run(program: &dyn Program, args: &DemoArgs) -> Outcome {
    logging::start_quiet();
    say("localyun demo: from an API call to recorded files, by the doors of any user.");
    let mut narrator = Narrator::new();
    let mut signals = signals()?;
    // The folder outlives the server, whichever way this ends.
    let (folder, stage) = Stage::start(program, &mut signals).await?;
    let mut receiver = Receiver::start().await?;
    narrator.step("start the services in this process, on free ports");
    narrator.tell(format!("API {}  RTMP {}", stage.api(), stage.rtmp()));
    narrator.tell(format!("object store {}", stage.oss()));
    narrator.tell(format!(
        "in {} (removed at the end)",
        folder.path().display()
    ));
    narrator.tell(format!("ready after {} ms", stage.startup_ms()));

    let shown = tokio::select! {
        shown = steps::all(&stage, &mut receiver, &mut narrator) => shown,
        () = signals.told() => Err(CliError::failed("interrupted")),
    };
    narrator.end();
    if let Err(error) = shown {
        let _ = stopped(stage, &mut signals).await;
        return Err(error);
    }
    say(format!("\nAll of it took {}.", narrator.total()));
    if args.exit {
        stopped(stage, &mut signals).await?;
        return Ok(ExitCode::SUCCESS);
    }
    say(stage.what_next());
    // Who has stopped reading (`| head`, a pager) has seen enough: that is as good as Ctrl-C.
    tokio::spawn(async {
        printed::abandoned().await;
        let _ = kill_process(getpid(), Signal::TERM);
    });
    let further = tokio::spawn(async move {
        while let Some(callback) = receiver.next().await {
            say(format!("callback: {callback}"));
        }
    });
    let ended = stage.wait(&mut signals).await;
    further.abort();
    ended?;
    Ok(ExitCode::SUCCESS)
}

/// Stops the server in order. Whoever says (once more) that it is to end does not wait for that.
async fn stopped(stage: Stage, signals: &mut Signals) -> Result<(), CliError> {
    let stopping = async {
        stage.stop().await;
        Ok(())
    };
    unless_told(signals, stopping).await
}
