//! `play`: the built-in viewer on the command line. Ctrl-C or SIGTERM ends a watch, and what came is told.

use std::io::{ErrorKind, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::arguments::{PlayArgs, TargetArgs};
use super::control::Control;
use super::target::Target;
use super::{CliError, Outcome, complain, http, progress, say, signals, variable};
use crate::site::host;
use crate::viewer::{self, End, RtmpSource, Source, Tally, TrackTally, WatchError, WatchPlan};

const DEFAULT_PLAY: &str = "http://127.0.0.1:8088";
const DEFAULT_RTMP: &str = "127.0.0.1:1935";

pub(super) async fn run(mut args: PlayArgs) -> Outcome {
    ask_where(&mut args).await?;
    let source = source(&args)?;
    let shown = shown(&source);
    if args
        .seconds
        .is_some_and(|seconds| seconds.is_nan() || seconds <= 0.0)
    {
        return Err(CliError::usage("--seconds: must be above 0"));
    }
    let plan = WatchPlan {
        source,
        seconds: args.seconds,
        output: args.output.map(PathBuf::from),
    };
    if plan.writes_to_stdout() && std::io::stdout().is_terminal() {
        return Err(CliError::usage(
            "-o -: a terminal shows no video; write it to a file, or pipe it to a player: … -o - | ffplay -",
        ));
    }
    let mut signals = signals()?;
    let client = http::live_client(args.ca_file.as_deref())?;
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    let watcher = tokio::spawn(async move {
        signals.told().await;
        stop.cancel();
    });
    let mut tally = Tally::default();
    let of = args
        .seconds
        .map_or_else(String::new, |seconds| format!(" of {seconds}"));
    let watching = viewer::watch(&plan, &client, &cancel, &mut tally);
    let end = progress::beside(watching, |elapsed| {
        format!("watching {shown}, {}{of} s", elapsed.as_secs())
    })
    .await;
    watcher.abort();
    let tell = |line: String| {
        if plan.writes_to_stdout() {
            complain(line);
        } else {
            say(line);
        }
    };
    if args.json {
        tell(report(&plan, &shown, &tally, &end).to_string());
    } else if tally.frames() > 0 {
        lines(&plan, &shown, &tally).into_iter().for_each(tell);
    }
    match end {
        // Whoever watched has seen enough.
        Err(WatchError::Output { source, .. })
            if plan.writes_to_stdout() && source.kind() == ErrorKind::BrokenPipe =>
        {
            Ok(ExitCode::SUCCESS)
        }
        Err(error @ WatchError::Connect { .. }) => Err(CliError::failed(format!(
            "{error}; is `localyun serve` running there?"
        ))),
        // The file is to blame, and not the stream.
        Err(error @ WatchError::Output { .. }) => Err(CliError::failed(error)),
        Err(error) => Err(CliError::failed(format!("{shown}: {error}"))),
        Ok(_) if tally.frames() == 0 => {
            Err(CliError::failed(format!("{shown}: no frame of it came")))
        }
        Ok(_) => Ok(ExitCode::SUCCESS),
    }
}

/// Where nobody says to which port, the server that the environment names is asked.
async fn ask_where(args: &mut PlayArgs) -> Result<(), CliError> {
    let named = |names: [&str; 2]| names.into_iter().any(|name| variable(name).is_some());
    if args.url.is_some() || variable("LOCALYUN_ENDPOINT").is_none() {
        return Ok(());
    }
    let target = TargetArgs {
        ca_file: args.ca_file.clone(),
        ..TargetArgs::default()
    };
    let client = http::client_for(&target)?;
    let server = Target::of(&target)?;
    let control = Control::new(&client, &server.endpoint);
    if args.format == "rtmp" {
        if args.rtmp_addr.is_none() && !named(["LOCALYUN_RTMP_ADDR", "LOCALYUN_PUSH_URL"]) {
            args.rtmp_addr = control.listener("rtmp").await;
        }
    } else if args.play_addr.is_none() && !named(["LOCALYUN_PLAY_ADDR", "LOCALYUN_PLAY_URL"]) {
        args.play_addr = control.listener("play").await;
    }
    Ok(())
}

/// The address, or what it is made of.
fn source(args: &PlayArgs) -> Result<Source, CliError> {
    let unreadable = |error: WatchError| CliError::usage(error);
    if let Some(url) = &args.url {
        return Source::read(url).map_err(unreadable);
    }
    let (Some(domain), Some(stream)) = (&args.domain, &args.stream) else {
        return Err(CliError::usage(
            "write the URL of a stream, or --domain and --stream",
        ));
    };
    let query = args.query.as_deref().filter(|query| !query.is_empty());
    let query = query.map_or_else(String::new, |query| format!("&{query}"));
    if args.format == "rtmp" {
        let addr = args
            .rtmp_addr
            .clone()
            .or_else(|| variable("LOCALYUN_RTMP_ADDR"))
            .or_else(|| variable("LOCALYUN_PUSH_URL"))
            .unwrap_or_else(|| DEFAULT_RTMP.to_owned());
        let addr = addr.strip_prefix("rtmp://").unwrap_or(&addr);
        let addr = addr.split('/').next().unwrap_or_default();
        if !host::has_port(addr) {
            return Err(CliError::usage(format!(
                "--rtmp-addr: {addr:?} is no address; write HOST:PORT, for example {DEFAULT_RTMP}"
            )));
        }
        return Ok(Source::Rtmp(RtmpSource {
            addr: addr.to_owned(),
            app: args.app.clone(),
            name: format!("{stream}?vhost={domain}{query}"),
        }));
    }
    let addr = args
        .play_addr
        .clone()
        .or_else(|| variable("LOCALYUN_PLAY_ADDR"))
        .or_else(|| variable("LOCALYUN_PLAY_URL"))
        .unwrap_or_else(|| DEFAULT_PLAY.to_owned());
    let base = if addr.contains("://") {
        addr.clone()
    } else {
        format!("http://{addr}")
    };
    let wrong = || {
        CliError::usage(format!(
            "--play-addr: {addr:?} is no address; write HOST:PORT"
        ))
    };
    let mut url = Url::parse(&base).map_err(|_| wrong())?;
    let ending = if args.format == "hls" { "m3u8" } else { "flv" };
    url.set_query(Some(&format!("vhost={domain}{query}")));
    url.path_segments_mut()
        .map_err(|()| wrong())?
        .clear()
        .push(&args.app)
        .push(&format!("{stream}.{ending}"));
    Source::read(url.as_str()).map_err(unreadable)
}

/// The address without what it was signed with.
fn shown(source: &Source) -> String {
    match source {
        Source::Flv(url) | Source::Hls(url) => {
            format!("{}{}", url.origin().ascii_serialization(), url.path())
        }
        Source::Rtmp(rtmp) => {
            let stream = rtmp.name.split('?').next().unwrap_or_default();
            format!("rtmp://{}/{}/{stream}", rtmp.addr, rtmp.app)
        }
    }
}

fn report(plan: &WatchPlan, shown: &str, tally: &Tally, end: &Result<End, WatchError>) -> Value {
    let mut value = json!({
        "url": shown,
        "form": plan.source.form(),
        "end": match end {
            Ok(End::Over) => "over",
            Ok(End::Stopped) => "stopped",
            Err(_) => "failed",
        },
    });
    if let (Value::Object(fields), Ok(Value::Object(told))) =
        (&mut value, serde_json::to_value(tally))
    {
        fields.extend(told);
    }
    value
}

fn lines(plan: &WatchPlan, shown: &str, tally: &Tally) -> Vec<String> {
    let ms = |value: Option<u64>| value.map_or("never".to_owned(), |ms| format!("{ms} ms"));
    let mut lines = vec![format!(
        "{shown} ({}): {} bytes; first byte after {}, first picture after {}",
        plan.source.form(),
        tally.bytes,
        ms(tally.first_byte_ms),
        ms(tally.first_picture_ms)
    )];
    let track = |name: &str, track: &TrackTally| {
        let gaps = match track.gaps {
            0 => "no gap".to_owned(),
            1 => format!("1 gap of {} ms", track.longest_gap_ms),
            n => format!("{n} gaps, the longest of {} ms", track.longest_gap_ms),
        };
        let keys = match track.key_frames {
            0 => String::new(),
            n => format!(" ({n} key frames)"),
        };
        format!(
            "  {name} {}: {} frames{keys} over {}.{:03} s, {gaps}",
            track.codec.unwrap_or("?"),
            track.frames,
            track.media_ms / 1000,
            track.media_ms % 1000
        )
    };
    if tally.video.frames > 0 {
        lines.push(track("video", &tally.video));
    }
    if tally.audio.frames > 0 {
        lines.push(track("audio", &tally.audio));
    }
    if tally.slices > 0 {
        lines.push(format!(
            "  {} slices, {} missing; {} packets missing",
            tally.slices, tally.missing_slices, tally.missing_packets
        ));
    }
    if let Some(path) = plan.output.as_ref().filter(|_| !plan.writes_to_stdout()) {
        complain(format!("written to {}", path.display()));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(format: &str) -> PlayArgs {
        PlayArgs {
            url: None,
            domain: Some("d.example.com".into()),
            app: "live".into(),
            stream: Some("s".into()),
            format: format.into(),
            query: Some("auth_key=1-2".into()),
            output: None,
            seconds: None,
            json: false,
            play_addr: Some("h:1".into()),
            rtmp_addr: Some("rtmp://h:2/live".into()),
            ca_file: None,
        }
    }

    #[test]
    fn an_address_is_made_of_its_parts() {
        let url = |format| match source(&args(format)).unwrap() {
            Source::Flv(url) | Source::Hls(url) => url.to_string(),
            Source::Rtmp(rtmp) => format!("{} {} {}", rtmp.addr, rtmp.app, rtmp.name),
        };
        let query = "vhost=d.example.com&auth_key=1-2";
        assert_eq!(url("flv"), format!("http://h:1/live/s.flv?{query}"));
        assert_eq!(url("hls"), format!("http://h:1/live/s.m3u8?{query}"));
        assert_eq!(url("rtmp"), format!("h:2 live s?{query}"));
    }

    #[test]
    fn what_is_missing_is_told() {
        let mut args = args("flv");
        args.stream = None;
        let told = source(&args).unwrap_err().to_string();
        assert!(told.contains("--stream"), "{told}");
        args.url = Some("nonsense".into());
        assert!(source(&args).is_err());
    }
}
