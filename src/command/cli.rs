//! The subcommands: `serve` and the tools that talk to a running server.
//!
//! Exit status: 0 done, 1 it was tried and failed, 2 it was asked for wrongly. What a subcommand makes goes to standard
//! output; what it has to say about that goes to standard error, in one line where it is a refusal.

mod arguments;
mod call;
mod compare;
mod control;
mod demo;
mod doctor;
mod env;
mod exec;
mod explain;
mod get;
mod happenings;
mod http;
mod known_key;
mod logging;
mod names;
mod output;
mod paper;
mod play;
mod printed;
pub mod program;
mod progress;
mod publish;
mod refusal;
mod serve;
mod shell;
mod sign;
mod signed;
mod snapshot;
mod target;
mod throwaway;
mod tools;
mod views;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use thiserror::Error;

use crate::config::{strange_variables, unreadable_variable};
use crate::signals::Signals;
use arguments::Chosen;
use printed::say;
use program::Program;

/// Threads of the runtime at most; the web servers have their own.
const MAX_WORKERS: usize = 4;
/// How long work on threads of its own may go on when everything else has ended.
const LAST_WORK: Duration = Duration::from_secs(2);

/// Why a subcommand did not do what it was asked for.
#[derive(Debug, Error)]
enum CliError {
    /// Asked for wrongly: status 2.
    #[error("{0}")]
    Usage(String),
    /// Tried and failed: status 1.
    #[error("{0}")]
    Failed(String),
}

impl CliError {
    fn usage(problem: impl std::fmt::Display) -> Self {
        Self::Usage(problem.to_string())
    }

    fn failed(problem: impl std::fmt::Display) -> Self {
        Self::Failed(problem.to_string())
    }

    fn status(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Failed(_) => ExitCode::FAILURE,
        }
    }
}

type Outcome = Result<ExitCode, CliError>;

/// Runs the program with the arguments of the process.
#[must_use]
pub fn main(program: &dyn Program) -> ExitCode {
    match arguments::parse(std::env::args_os()) {
        Ok(chosen) => {
            let outcome = run(program, chosen);
            let printed = |code| printed::failure().map_or(Ok(code), Err);
            outcome.and_then(printed).unwrap_or_else(|error| {
                complain(&error);
                error.status()
            })
        }
        Err(error) => refusal::show(&error),
    }
}

fn run(program: &dyn Program, chosen: Chosen) -> Outcome {
    // A shell takes what completions print at each of its starts.
    if !matches!(chosen, Chosen::Completions(_) | Chosen::Doctor(_)) {
        tell_strange_variables();
        // Passed over, it would leave a default in the place of what was meant.
        if let Some(error) = unreadable_variable(std::env::vars_os()) {
            return Err(CliError::usage(error));
        }
    }
    // One TLS provider for every client and server of the process; a second call would find it there and do no harm.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers.clamp(2, MAX_WORKERS))
        .enable_all()
        .build()
        .map_err(|error| CliError::failed(format!("the runtime cannot start: {error}")))?;
    let outcome = runtime.block_on(async {
        match chosen {
            Chosen::Serve(flags) => serve::run(program, &flags).await,
            Chosen::Demo(asked) => demo::run(program, &asked).await,
            Chosen::Call(asked) => call::run(&asked).await,
            Chosen::Sign(asked) => sign::run(&asked),
            Chosen::Coverage(asked) => tools::coverage(program, &asked),
            Chosen::Publish(asked) => publish::run(asked).await,
            Chosen::Play(asked) => play::run(asked).await,
            Chosen::Health(asked) => tools::health(&asked).await,
            Chosen::Env(asked) => env::run(&asked).await,
            Chosen::Tail(asked) => happenings::tail(asked).await,
            Chosen::Wait(asked) => happenings::wait(asked).await,
            Chosen::Advance(asked) => views::advance(asked).await,
            Chosen::Reset(asked) => views::reset(asked).await,
            Chosen::Explain(asked) => views::explain(asked).await,
            Chosen::Recordings(asked) => views::recordings(asked).await,
            Chosen::Callbacks(asked) => views::callbacks(asked).await,
            Chosen::Get(asked) => get::run(asked).await,
            Chosen::Snapshot(asked) => snapshot::run(asked).await,
            Chosen::Compare(asked) => compare::run(asked).await,
            Chosen::Doctor(asked) => doctor::run(&asked).await,
            Chosen::Completions(shell) => tools::completions(shell),
            Chosen::Exec(flags, command) => exec::run(program, flags, &command).await,
        }
    });
    runtime.shutdown_timeout(LAST_WORK);
    outcome
}

/// A variable that nothing reads was meant for something.
fn tell_strange_variables() {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for (name, near) in strange_variables(names) {
        complain(match near {
            Some(near) => format!("{name} is no setting; did you mean {near}?"),
            None => format!("{name} is no setting; localyun serve --help lists them"),
        });
    }
}

/// Writes one line to standard error.
fn complain(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr().lock(), "localyun: {text}");
}

/// Watches SIGTERM and Ctrl-C, before anything is begun that must not be left half done.
fn signals() -> Result<Signals, CliError> {
    Signals::watch()
        .map_err(|error| CliError::failed(format!("signals cannot be watched: {error}")))
}

/// Does work that would leave something half done behind, unless it is told to stop meanwhile. The signals are watched since before there was
/// anything to leave behind.
async fn unless_told<T>(
    signals: &mut Signals,
    work: impl Future<Output = Result<T, CliError>>,
) -> Result<T, CliError> {
    tokio::select! {
        done = work => done,
        () = signals.told() => Err(CliError::failed("interrupted")),
    }
}

/// An environment variable that is set and not empty.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
