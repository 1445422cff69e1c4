//! `exec`: a command beside a server of its own, on free ports and a folder that goes away.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode};

use rustix::process::{Pid, Signal, kill_process};
use url::Url;

use super::arguments::{LISTENERS, OF_ANOTHER_SERVER, TLS_LISTENERS};
use super::program::Program;
use super::target::{Key, Target};
use super::throwaway::Throwaway;
use super::{CliError, Outcome, complain, env, logging, signals, variable};
use crate::config::{self, AccessKey, KEYS, Raw};
use crate::signals::{Signals, Told};

const LOG: &str = "warn";

/// An address whose port the system chooses.
const FREE: &str = "127.0.0.1:0";

/// What a server that the caller has beside this one asks for and gave. Its settings lead to it too.
const GIVEN_BY_ANOTHER_SERVER: [&str; 5] = [
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
            flags.set(name, FREE, "exec");
        }
    }
    if !flags.has("data-dir") && !flags.has("ephemeral") {
        flags.set("ephemeral", "on", "exec");
    }
    if !flags.has("log") && variable("LOCALYUN_LOG").is_none() {
        flags.set("log", LOG, "exec");
    }
    let config = config::load(&flags, |name| own(name, variable(name))).map_err(CliError::usage)?;
    logging::start(&config).map_err(CliError::usage)?;
    let _folder = config
        .ephemeral
        .then(|| Throwaway::make(config.data_dir.clone()))
        .transpose()
        .map_err(|error| CliError::usage(format!("--ephemeral: {error}")))?;
    let key = config
        .access_keys
        .iter()
        .find(|key| !key.disabled)
        .map(as_of_a_client)
        .ok_or_else(|| CliError::usage("--access-keys: every key is disabled"))?;
    let token = config.control_token.clone();
    let public = config.oss_public_url.clone();
    let outside = config.outside_store.clone();
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
    // As the server tells it to whoever asks where its store is.
    let store = match (&public, &outside) {
        (Some(public), _) => public.as_str(),
        (None, Some(outside)) => outside.endpoint.trim_end_matches('/'),
        (None, None) => here.oss.as_str(),
    };
    let of_outside = outside.as_ref().map(|outside| as_of_a_client(&outside.key));
    let region = outside.as_ref().map(|outside| outside.region.as_str());
    let mut variables = env::variables_of(
        &target,
        &here.rtmp,
        &here.play,
        store,
        of_outside.as_ref().zip(region),
    );
    variables.push(("LOCALYUN_ACCESS_KEYS", written(&target.key)));
    variables.extend(token.map(|token| ("LOCALYUN_CONTROL_TOKEN", token)));
    // Who speaks https has to trust what was made a moment ago.
    if let (Some(_), Ok(certificate)) = (&here.tls, certificate) {
        variables.push(("LOCALYUN_CA_FILE", certificate.display().to_string()));
    }
    let mut was_told = false;
    let status = beside(command, variables, &mut signals, &mut was_told).await;
    // Ctrl-C ends the command too, so the first signal may be seen here, after its end. What it asks for is under way; the second one ends that.
    let told_again = async {
        if !was_told {
            signals.told().await;
        }
        signals.told().await;
    };
    tokio::select! {
        () = server.stop() => {}
        () = told_again => complain("told again to stop: what the server had left to do is dropped"),
    }
    status
}

/// What a variable of the environment says to this server. Those of another one say nothing, and of a listener that they ask for the port stays free.
fn own(name: &str, value: Option<String>) -> Option<String> {
    let key = KEYS.iter().find(|key| key.env == name)?;
    if OF_ANOTHER_SERVER.contains(&key.name) {
        None
    } else if TLS_LISTENERS.contains(&key.name) {
        value.map(|_| FREE.to_owned())
    } else {
        value
    }
}

fn as_of_a_client(key: &AccessKey) -> Key {
    Key {
        id: key.id.clone(),
        secret: key.secret.clone(),
        token: key.token.clone(),
    }
}

/// A key as the tools read it.
fn written(key: &Key) -> String {
    let mut pair = format!("{}:{}", key.id, key.secret);
    if let Some(token) = &key.token {
        pair.push(':');
        pair.push_str(token);
    }
    pair
}

/// The signal that the command gets for one that came to us. A terminal sends Ctrl-C to the command by itself, and many programs take a second one
/// for the wish that they drop everything.
fn handed_on(told: Told, at_a_terminal: bool) -> Option<Signal> {
    match told {
        Told::Interrupt => (!at_a_terminal).then_some(Signal::INT),
        Told::Terminate => Some(Signal::TERM),
        Told::Hangup => Some(Signal::HUP),
    }
}

fn is_at_a_terminal() -> bool {
    std::io::stdin().is_terminal()
        || std::io::stdout().is_terminal()
        || std::io::stderr().is_terminal()
}

/// Runs the command to its end; a signal that was meant for us goes on to it.
async fn beside(
    command: &[OsString],
    variables: Vec<(&'static str, String)>,
    signals: &mut Signals,
    was_told: &mut bool,
) -> Outcome {
    let Some((program, arguments)) = command.split_first() else {
        return Err(CliError::usage("write a command behind --"));
    };
    let mut run = Command::new(program);
    run.args(arguments);
    for key in KEYS {
        let all = [&LISTENERS[..], &TLS_LISTENERS[..], &OF_ANOTHER_SERVER[..]];
        if all.iter().any(|names| names.contains(&key.name)) {
            run.env_remove(key.env);
        }
    }
    for name in GIVEN_BY_ANOTHER_SERVER {
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
            told = signals.which() => {
                *was_told = true;
                if let (Some(id), Some(signal)) = (id, handed_on(told, is_at_a_terminal())) {
                    let _ = kill_process(id, signal);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_another_server_say_nothing_to_this_one() {
        let said = |name: &str| own(name, Some("x".to_owned()));
        for name in [
            "LOCALYUN_DATA_DIR",
            "LOCALYUN_DATABASE_URL",
            "LOCALYUN_OSS_ENDPOINT",
            "LOCALYUN_OSS_ACCESS_KEY",
            "LOCALYUN_OSS_REGION",
            "LOCALYUN_OSS_PUBLIC_URL",
            "LOCALYUN_CLUSTER",
            "LOCALYUN_CLUSTER_TOKEN",
            "LOCALYUN_NODE_ID",
            "LOCALYUN_SPOOL_MIRROR",
        ] {
            assert_eq!(said(name), None, "{name}");
        }
        for name in ["LOCALYUN_TLS_ADDR", "LOCALYUN_PLAY_TLS_ADDR"] {
            assert_eq!(said(name).as_deref(), Some(FREE), "{name}");
            assert_eq!(own(name, None), None);
        }
        for name in ["LOCALYUN_AUTH", "LOCALYUN_CONFIG", "LOCALYUN_CONTROL_TOKEN"] {
            assert_eq!(said(name).as_deref(), Some("x"), "{name}");
        }
    }

    #[test]
    fn the_lists_hold_settings() {
        for name in LISTENERS
            .iter()
            .chain(&TLS_LISTENERS)
            .chain(&OF_ANOTHER_SERVER)
        {
            assert!(KEYS.iter().any(|key| key.name == *name), "{name}");
        }
    }

    #[test]
    fn a_key_is_written_as_the_tools_read_it() {
        for text in ["a:b", "a:b:t"] {
            let key = Key::parse(text).unwrap();
            assert_eq!(written(&key), text);
        }
    }

    #[test]
    fn a_signal_goes_on_as_what_it_is_unless_the_terminal_has_sent_it() {
        for (told, alone, at_a_terminal) in [
            (Told::Interrupt, Some(Signal::INT), None),
            (Told::Terminate, Some(Signal::TERM), Some(Signal::TERM)),
            (Told::Hangup, Some(Signal::HUP), Some(Signal::HUP)),
        ] {
            assert_eq!(handed_on(told, false), alone);
            assert_eq!(handed_on(told, true), at_a_terminal);
        }
    }
}
