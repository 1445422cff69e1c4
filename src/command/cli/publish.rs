//! `publish`: the built-in publisher on the command line. Ctrl-C or SIGTERM ends a push in order, and the second one ends it at once.

use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::arguments::PublishArgs;
use super::control::Control;
use super::paper::{place as place_of, text};
use super::target::Target;
use super::{CliError, Outcome, complain, http, progress, say, signals, variable};
use crate::clock::{machine_timeout, monotonic};
use crate::publisher::{self, BUILTIN, Clip, DEFAULT_CLIP, PublishError, PublishPlan, Published};
use crate::signals::Signals;
use crate::site::host;

/// How long the server may take to say what records the push.
const ASKING_PATIENCE: Duration = Duration::from_secs(2);
const DEFAULT_ADDR: &str = "127.0.0.1:1935";

pub(super) async fn run(mut args: PublishArgs) -> Outcome {
    let target = Target::of(&args.target)?;
    let client = http::client_for(&args.target)?;
    let control = Control::new(&client, &target.endpoint);
    let is_told = ["LOCALYUN_RTMP_ADDR", "LOCALYUN_PUSH_URL"]
        .into_iter()
        .any(|name| variable(name).is_some());
    if args.rtmp_addr.is_none() && !is_told {
        args.rtmp_addr = control.listener("rtmp").await;
    }
    let plan = plan(args)?;
    let mut signals = signals()?;
    let place = format!("{}/{}/{}", plan.domain, plan.app, plan.stream);
    complain(format!(
        "pushing {} to rtmp://{}/{}/{}?vhost={}, Ctrl-C ends it",
        plan.clip.name(),
        plan.rtmp_addr,
        plan.app,
        plan.stream,
        plan.domain
    ));
    say_recorder(&control, &plan).await;
    let cancel = CancellationToken::new();
    let started = monotonic();
    let pushing = async { pushed(plan, cancel.clone()).await.map_err(refused) };
    let done = unless_told_again(&mut signals, &cancel, pushing).await?;
    say(format!(
        "{place}: {}.{:03} s of media in {:.2} s ({} messages, {} bytes)",
        done.media_ms / 1000,
        done.media_ms % 1000,
        started.elapsed().as_secs_f64(),
        done.messages,
        done.bytes
    ));
    Ok(ExitCode::SUCCESS)
}

/// Does work that ends in order once `stop` says so, which it does at the first signal. Who sends a second one does not wait for that end: the other
/// side may never answer.
async fn unless_told_again<T>(
    signals: &mut Signals,
    stop: &CancellationToken,
    work: impl Future<Output = Result<T, CliError>>,
) -> Result<T, CliError> {
    let told_twice = async {
        signals.told().await;
        stop.cancel();
        signals.told().await;
    };
    tokio::select! {
        biased;
        done = work => done,
        () = told_twice => Err(CliError::failed("interrupted again, so not ended in order")),
    }
}

/// Pushes, and shows a waiting person how far it is.
async fn pushed(plan: PublishPlan, cancel: CancellationToken) -> Result<Published, PublishError> {
    let (place, seconds) = (format!("{}/{}", plan.app, plan.stream), plan.seconds);
    let open = tokio::select! {
        biased;
        () = cancel.cancelled() => return Ok(Published::NOTHING),
        open = publisher::open(plan) => open?,
    };
    let position = open.position();
    let of = seconds.map_or_else(String::new, |seconds| format!(" of {seconds} s"));
    progress::beside(open.run(cancel), |elapsed| {
        let at_s = position.load(Ordering::Relaxed) / 1_000;
        format!("{place}: {at_s} s{of} pushed in {} s", elapsed.as_secs())
    })
    .await
}

/// Says which rule records the push, or why none does, where the server that is pushed to can be asked.
async fn say_recorder(control: &Control<'_>, plan: &PublishPlan) {
    let asking = async {
        let health = control.get("health").await.ok()?;
        let port = |address: &str| address.rsplit_once(':').map(|(_, port)| port.to_owned());
        // Another server's rules would say nothing about this push.
        if port(text(&health, "rtmp")) != port(&plan.rtmp_addr) {
            return None;
        }
        let names = [
            ("domain", Some(plan.domain.clone())),
            ("app", Some(plan.app.clone())),
            ("stream", Some(plan.stream.clone())),
            ("args", plan.query.clone()),
        ];
        control.ask("explain", &names).await.ok()
    };
    let Some(Some(told)) = machine_timeout(ASKING_PATIENCE, asking).await else {
        return;
    };
    if told.get("records") == Some(&Value::Bool(true)) {
        let rule = told.get("rule").unwrap_or(&Value::Null);
        let formats = rule.get("formats").and_then(Value::as_array);
        let formats: Vec<&str> = formats
            .into_iter()
            .flatten()
            .map(|format| text(format, "format"))
            .collect();
        complain(format!(
            "recorded by the rule {} as {} ({})",
            place_of(rule),
            formats.join(", "),
            text(&told, "why")
        ));
    } else {
        complain(format!(
            "not recorded: {}; {}",
            text(&told, "why"),
            text(&told, "cure")
        ));
    }
}

fn plan(args: PublishArgs) -> Result<PublishPlan, CliError> {
    let clip = clip(args.clip.as_deref().unwrap_or(DEFAULT_CLIP))?;
    // At full speed a push without an end would never come to one.
    let one_round = || std::time::Duration::from_millis(clip.period_ms()).as_secs_f64();
    let seconds = args.seconds.or_else(|| (args.speed == 0.0).then(one_round));
    let (addr, source) = match (args.rtmp_addr, variable("LOCALYUN_RTMP_ADDR")) {
        (Some(flag), _) => (flag, "--rtmp-addr"),
        (None, Some(set)) => (set, "LOCALYUN_RTMP_ADDR"),
        (None, None) => (
            variable("LOCALYUN_PUSH_URL").unwrap_or_else(|| DEFAULT_ADDR.to_owned()),
            "LOCALYUN_PUSH_URL",
        ),
    };
    let plan = PublishPlan {
        rtmp_addr: authority(&addr).ok_or_else(|| {
            CliError::Usage(format!(
                "{source}: {addr:?} is no address; write HOST:PORT, for example {DEFAULT_ADDR}"
            ))
        })?,
        domain: args.domain,
        app: args.app,
        stream: args.stream,
        query: args.query,
        seconds,
        speed: args.speed,
        clip,
    };
    // Before anything is said, so that a refusal is all that there is to read.
    publisher::check(&plan).map_err(refused)?;
    Ok(plan)
}

/// Host and port of an address or of a push URL.
fn authority(addr: &str) -> Option<String> {
    let addr = addr.strip_prefix("rtmp://").unwrap_or(addr);
    let addr = addr.split('/').next().unwrap_or_default();
    host::has_port(addr).then(|| addr.to_owned())
}

/// A refusal in the words of the command line.
fn refused(error: PublishError) -> CliError {
    let (what, problem) = match error {
        PublishError::Plan { what, problem } => (what, problem),
        PublishError::Connect { .. } => {
            return CliError::failed(format!(
                "{error}; is `localyun serve` running there? --rtmp-addr says where to push"
            ));
        }
        _ => return CliError::failed(error),
    };
    let flag = match what {
        "the domain" => "--domain",
        "the app" => "--app",
        "the stream" => "--stream",
        "the query" => "--query",
        "the number of seconds" => "--seconds",
        "the speed" => "--speed",
        other => other,
    };
    CliError::Usage(format!("{flag}: {what} {problem}"))
}

/// A built-in clip, else a file.
fn clip(name: &str) -> Result<Clip, CliError> {
    if let Some(clip) = Clip::builtin(name) {
        return Ok(clip);
    }
    Clip::file(Path::new(name)).map_err(|error| {
        let names: Vec<&str> = BUILTIN.iter().map(|(name, ..)| *name).collect();
        CliError::Usage(format!(
            "--clip: {error}; built-in clips are {}",
            names.join(", ")
        ))
    })
}

#[cfg(test)]
mod tests {
    use rustix::process::{Signal, getpid, kill_process};

    use super::*;
    use crate::cli::arguments::TargetArgs;

    fn args(clip: Option<&str>, seconds: Option<f64>, speed: f64) -> PublishArgs {
        PublishArgs {
            domain: "d".into(),
            app: "live".into(),
            stream: "s".into(),
            clip: clip.map(str::to_owned),
            seconds,
            speed,
            query: None,
            rtmp_addr: Some("rtmp://h:1/".into()),
            target: TargetArgs {
                endpoint: None,
                access_key: None,
                ca_file: None,
            },
        }
    }

    #[test]
    fn full_speed_is_one_round_unless_told_otherwise() {
        assert_eq!(plan(args(None, None, 0.0)).unwrap().seconds, Some(10.0));
        assert_eq!(
            plan(args(None, Some(12.0), 0.0)).unwrap().seconds,
            Some(12.0)
        );
        assert_eq!(plan(args(None, None, 1.0)).unwrap().seconds, None);
        assert_eq!(plan(args(None, None, 1.0)).unwrap().rtmp_addr, "h:1");
    }

    #[test]
    fn a_wrong_argument_is_named_by_its_flag() {
        let told = |args: PublishArgs| plan(args).unwrap_err().to_string();
        assert!(told(args(None, None, -1.0)).starts_with("--speed: "));
        assert!(told(args(None, Some(-1.0), 1.0)).starts_with("--seconds: "));
        let mut nameless = args(None, None, 1.0);
        nameless.domain.clear();
        assert!(told(nameless).starts_with("--domain: "));
    }

    #[test]
    fn a_wrong_clip_is_told_with_the_names_that_exist() {
        let told = plan(args(Some("h264"), None, 1.0)).unwrap_err().to_string();
        assert!(
            told.contains("h264 cannot be read") && told.contains("one_per_second"),
            "{told}"
        );
    }

    #[tokio::test]
    async fn the_first_signal_ends_a_push_in_order_and_the_second_at_once() {
        let mut signals = Signals::watch().unwrap();
        let tell = || kill_process(getpid(), Signal::TERM).unwrap();
        let stop = CancellationToken::new();
        tell();
        let in_order = async {
            stop.cancelled().await;
            Ok(7)
        };
        let done = unless_told_again(&mut signals, &stop, in_order).await;
        assert_eq!(done.unwrap(), 7);
        let stop = CancellationToken::new();
        tell();
        let without_an_end = async {
            stop.cancelled().await;
            tell();
            std::future::pending::<Result<(), CliError>>().await
        };
        let done = unless_told_again(&mut signals, &stop, without_an_end).await;
        let told = done.unwrap_err().to_string();
        assert!(told.starts_with("interrupted again"), "{told}");
    }
}
