//! `exec`: a command beside a server of its own, on free ports and a folder that goes away.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode};

use rustix::process::{Pid, Signal, kill_process};
use url::Url;

use super::arguments::LISTENERS;
use super::program::Program;
use super::target::{Key, Target};
use super::throwaway::Throwaway;
use super::{CliError, Outcome, complain, env, logging, signals, variable};
use crate::config::{self, Raw};
use crate::signals::Signals;

const LOG: &str = "warn";

/// Variables that lead to a server which the caller has beside this one: its listeners, its folder, what it asks for and what it gave.
const OF_ANOTHER_SERVER: [&str; 10] = [
    "LOCALYUN_API_ADDR",
    "LOCALYUN_RTMP_ADDR",
    "LOCALYUN_PLAY_ADDR",
    "LOCALYUN_OSS_ADDR",
    "LOCALYUN_DATA_DIR",
    "LOCALYUN_CONTROL_TOKEN",
    "LOCALYUN_CA_FILE",
    "ALIBABA_CLOUD_SECURITY_TOKEN",
    "OSS_SESSION_TOKEN",
    "AWS_SESSION_TOKEN",
];

/// Exit statuses as shells have them: there is no such command; it is none that can be run.
const ABSENT: u8 = 127;
const NO_PROGRAM: u8 = 126;

pub(super) async fn run(program: &dyn Program, mut flags: Raw, command: &[OsString]) -> Outcome {
    let mut signals = signals()?;
    for name in LISTENERS {
        if !flags.has(name) {
            flags.set(name, "127.0.0.1:0", "exec");
        }
    }
    if !flags.has("data-dir") && !flags.has("ephemeral") {
        flags.set("ephemeral", "on", "exec");
    }
    if !flags.has("log") && variable("LOCALYUN_LOG").is_none() {
        flags.set("log", LOG, "exec");
    }
    // A folder of the environment's is the other server's.
    let own = |name: &str| variable(name).filter(|_| name != "LOCALYUN_DATA_DIR");
    let config = config::load(&flags, own).map_err(CliError::usage)?;
    logging::start(&config).map_err(CliError::usage)?;
    let _folder = config
        .ephemeral
        .then(|| Throwaway::make(config.data_dir.clone()))
        .transpose()?;
    let key = config
        .access_keys
        .iter()
        .find(|key| !key.disabled)
        .map(|key| Key {
            id: key.id.clone(),
            secret: key.secret.clone(),
            token: key.token.clone(),
        })
        .ok_or_else(|| CliError::usage("--access-keys: every key is disabled"))?;
    let token = config.control_token.clone();
    let certificate = std::path::absolute(config.data_dir.join("tls/cert.pem"));
    let started = program.start(config, &mut signals).await;
    let Some(server) = started.map_err(CliError::usage)? else {
        return Err(CliError::failed("interrupted"));
    };
    let here = server.addresses();
    let target = Target {
        endpoint: Url::parse(&here.api).map_err(CliError::failed)?,
        key,
    };
    let pair = format!("{}:{}", target.key.id, target.key.secret);
    let mut variables = env::variables_of(&target, &here.rtmp, &here.play, &here.oss);
    variables.push(("LOCALYUN_ACCESS_KEYS", pair));
    variables.extend(token.map(|token| ("LOCALYUN_CONTROL_TOKEN", token)));
    // Who speaks https has to trust what was made a moment ago.
    if let (Some(_), Ok(certificate)) = (&here.tls, certificate) {
        variables.push(("LOCALYUN_CA_FILE", certificate.display().to_string()));
    }
    let status = beside(command, variables, &mut signals).await;
    server.stop().await;
    status
}

/// Runs the command to its end; a signal that was meant for us goes on to it.
async fn beside(
    command: &[OsString],
    variables: Vec<(&'static str, String)>,
    signals: &mut Signals,
) -> Outcome {
    let Some((program, arguments)) = command.split_first() else {
        return Err(CliError::usage("write a command behind --"));
    };
    let mut run = Command::new(program);
    run.args(arguments);
    for name in OF_ANOTHER_SERVER {
        run.env_remove(name);
    }
    let mut child = match run.envs(variables).spawn() {
        Ok(child) => child,
        Err(error) => {
            complain(format!(
                "{} cannot be run: {error}; write a program and its arguments behind --, or sh -c '…' for a line of a shell",
                program.display()
            ));
            let is_absent = error.kind() == std::io::ErrorKind::NotFound;
            return Ok(ExitCode::from(if is_absent { ABSENT } else { NO_PROGRAM }));
        }
    };
    let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let mut ending = tokio::task::spawn_blocking(move || child.wait());
    let status = loop {
        tokio::select! {
            ended = &mut ending => break ended.map_err(CliError::failed)?.map_err(CliError::failed)?,
            () = signals.told() => {
                // At a terminal the command has had Ctrl-C itself; a second signal of another kind does no harm.
                if let Some(id) = id {
                    let _ = kill_process(id, Signal::TERM);
                }
            }
        }
    };
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(1)))
}
