//! `doctor`: what usually goes wrong, looked at from here: variables, proxies, ports, the server, clocks, ffmpeg.

use std::net::TcpListener;
use std::process::{Command, ExitCode};
use std::time::Duration;

use reqwest::Client;
use serde_json::{Value, json};

use super::arguments::DoctorArgs;
use super::control::Control;
use super::paper::{Colour, coloured, is_watched, text};
use super::target::{Key, Target};
use super::{Outcome, http, known_key, say, variable};
use crate::clock::{machine_now, machine_timeout};
use crate::config::{self, Raw, strange_variables, unreadable_variable};

/// A server that has not answered by then is not there.
const PATIENCE: Duration = Duration::from_secs(3);
/// Milliseconds that two clocks of one machine may be apart.
const CLOCKS_APART_MS: i64 = 2_000;
/// Minutes within which a signature's time is taken.
const SIGNATURE_MINUTES: i64 = 15;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Fine,
    Odd,
    Wrong,
}

struct Finding {
    what: &'static str,
    state: State,
    told: String,
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, what: &'static str, state: State, told: impl Into<String>) {
        self.0.push(Finding {
            what,
            state,
            told: told.into(),
        });
    }
}

pub(super) async fn run(args: &DoctorArgs) -> Outcome {
    let mut findings = Findings::default();
    findings.add("version", State::Fine, env!("CARGO_PKG_VERSION"));
    variables(&mut findings);
    proxies(&mut findings);
    let target = Target::of(&args.view.target)?;
    let client = http::client_for(&args.view.target)?;
    let control = Control::new(&client, &target.endpoint);
    match machine_timeout(PATIENCE, control.get("health")).await {
        Some(Ok(health)) => server(&mut findings, &health, &client, &control, &target.key).await,
        other => {
            let why = match other {
                Some(Err(error)) => error.to_string(),
                _ => format!("no answer within {} s", PATIENCE.as_secs()),
            };
            findings.add("server", State::Odd, why);
            ports(&mut findings);
        }
    }
    ffmpeg(&mut findings);
    let is_wrong = findings
        .0
        .iter()
        .any(|finding| finding.state == State::Wrong);
    show(&findings, args.view.json);
    Ok(ExitCode::from(u8::from(is_wrong)))
}

fn show(findings: &Findings, as_json: bool) {
    let word = |state| match state {
        State::Fine => "ok",
        State::Odd => "look",
        State::Wrong => "wrong",
    };
    if as_json {
        let shown: Vec<Value> = findings
            .0
            .iter()
            .map(|f| json!({"what": f.what, "state": word(f.state), "told": f.told}))
            .collect();
        say(format!("{:#}", json!({"findings": shown})));
        return;
    }
    let watched = is_watched();
    for finding in &findings.0 {
        let colour = match finding.state {
            State::Fine => Colour::Green,
            State::Odd => Colour::Yellow,
            State::Wrong => Colour::Red,
        };
        let state = format!("{:<5}", word(finding.state));
        say(format!(
            "{} {:<10} {}",
            coloured(&state, colour, watched),
            finding.what,
            finding.told
        ));
    }
}

fn variables(findings: &mut Findings) {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let strange = strange_variables(names);
    for (name, near) in &strange {
        let told = match near {
            Some(near) => format!("{name} is read by nobody; did you mean {near}?"),
            None => format!("{name} is read by nobody"),
        };
        findings.add("variables", State::Wrong, told);
    }
    let unreadable = unreadable_variable(std::env::vars_os());
    if let Some(error) = &unreadable {
        findings.add("variables", State::Wrong, error.to_string());
    }
    if strange.is_empty() && unreadable.is_none() {
        findings.add(
            "variables",
            State::Fine,
            "every LOCALYUN_ variable has a meaning",
        );
    }
}

/// SDKs and curl send requests to a proxy, which cannot reach this machine's own addresses.
fn proxies(findings: &mut Findings) {
    let set = [
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "all_proxy",
    ];
    let set: Vec<&str> = set
        .into_iter()
        .filter(|name| variable(name).is_some())
        .collect();
    if set.is_empty() {
        findings.add("proxies", State::Fine, "no proxy variable is set");
        return;
    }
    let spared = variable("NO_PROXY")
        .or_else(|| variable("no_proxy"))
        .unwrap_or_default();
    let spares = |host: &str| {
        spared
            .split(',')
            .any(|name| matches!(name.trim(), "*") || name.trim() == host)
    };
    let is_spared = spares("127.0.0.1") && spares("localhost");
    // The Python SDK gives these to its HTTP library itself, which then does not look at NO_PROXY.
    let python: Vec<&str> = set
        .iter()
        .copied()
        .filter(|name| name.eq_ignore_ascii_case("http_proxy"))
        .collect();
    if is_spared && python.is_empty() {
        findings.add(
            "proxies",
            State::Fine,
            format!("{} is set, NO_PROXY spares this machine", set.join(", ")),
        );
    } else if is_spared {
        findings.add(
            "proxies",
            State::Odd,
            format!("{} is set, NO_PROXY spares this machine; the Python SDK does not read NO_PROXY: unset {} for it", set.join(", "), python.join(" ")),
        );
    } else {
        findings.add(
            "proxies",
            State::Wrong,
            format!("{} is set: SDKs send requests for 127.0.0.1 there; export NO_PROXY=127.0.0.1,localhost; the Python SDK does not read NO_PROXY: unset HTTP_PROXY and http_proxy for it", set.join(", ")),
        );
    }
}

async fn server(
    findings: &mut Findings,
    health: &Value,
    client: &Client,
    control: &Control<'_>,
    key: &Key,
) {
    let version = text(health, "version");
    let status = text(health, "status");
    let state = if status == "ready" {
        State::Fine
    } else {
        State::Wrong
    };
    findings.add(
        "server",
        state,
        format!("{status}, version {version}, API {}", text(health, "api")),
    );
    if version != env!("CARGO_PKG_VERSION") {
        findings.add(
            "version",
            State::Odd,
            format!(
                "the server is {version}, this program {}",
                env!("CARGO_PKG_VERSION")
            ),
        );
    }
    clocks(findings, health);
    if let Err(error) = control.get("clock").await {
        findings.add("control", State::Odd, error.to_string());
        return;
    }
    match known_key::doubt(client, control, key).await {
        Some(doubt) => findings.add("key", State::Wrong, doubt),
        None => findings.add("key", State::Fine, format!("the server takes {}", key.id)),
    }
}

fn clocks(findings: &mut Findings, health: &Value) {
    let clock = health.pointer("/parts/clock").unwrap_or(&Value::Null);
    let number = |name: &str| clock.get(name).and_then(Value::as_i64).unwrap_or(0);
    let (now, offset) = (number("now_ms"), number("offset_ms"));
    let apart = now - offset - machine_now();
    if apart.abs() > CLOCKS_APART_MS {
        findings.add(
            "clocks",
            State::Wrong,
            format!("the server's machine is {} s {} this one: signatures are good for {SIGNATURE_MINUTES} minutes", apart.abs() / 1_000, if apart > 0 { "ahead of" } else { "behind" }),
        );
        return;
    }
    let frozen = clock.get("frozen") == Some(&Value::Bool(true));
    let told = match (frozen, offset.abs() > CLOCKS_APART_MS) {
        (true, _) => format!(
            "frozen at {}: nothing falls due until it is advanced",
            text(clock, "now")
        ),
        (false, true) => format!(
            "the service clock is {} s from the machine's",
            offset / 1_000
        ),
        (false, false) => "in step".to_owned(),
    };
    findings.add(
        "clocks",
        if frozen { State::Odd } else { State::Fine },
        told,
    );
}

/// Whether a server could listen where the settings say.
fn ports(findings: &mut Findings) {
    let Ok(config) = config::load(&Raw::default(), variable) else {
        findings.add(
            "settings",
            State::Wrong,
            "the environment holds a bad setting: localyun serve says which",
        );
        return;
    };
    for (setting, address) in [
        ("--api-addr", &config.api_addr),
        ("--rtmp-addr", &config.rtmp_addr),
        ("--play-addr", &config.play_addr),
        ("--oss-addr", &config.oss_addr),
    ] {
        match TcpListener::bind(address.as_str()) {
            Ok(_) => findings.add(
                "ports",
                State::Fine,
                format!("{address} ({setting}) is free"),
            ),
            Err(error) => findings.add(
                "ports",
                State::Wrong,
                format!("{address} ({setting}): {error}; {setting} 127.0.0.1:0 takes a free port"),
            ),
        }
    }
}

fn ffmpeg(findings: &mut Findings) {
    let asked = Command::new("ffmpeg").arg("-version").output();
    match asked {
        Ok(output) if output.status.success() => {
            let told = String::from_utf8_lossy(&output.stdout);
            let first = told.lines().next().unwrap_or_default().to_owned();
            findings.add("ffmpeg", State::Fine, first);
        }
        _ => findings.add(
            "ffmpeg",
            State::Odd,
            "not on PATH; nothing needs it, `localyun publish` pushes without",
        ),
    }
}
