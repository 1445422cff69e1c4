//! `tail` and `wait`: what happens on the server, as it happens.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;

use super::arguments::{TailArgs, WaitArgs};
use super::control::Control;
use super::paper::{Colour, coloured, is_watched, place, shown, size, text};
use super::target::Target;
use super::{CliError, Outcome, http, printed, progress, say};
use crate::clock::machine_sleep;

/// How often a server that went away is looked for again before that is said.
const TRIES: u32 = 5;
/// A server says every 15 s that it is still there; one that has said nothing for so long is not.
const SILENCE: Duration = Duration::from_secs(45);
/// How much longer than the wait its answer may take.
const GRACE: Duration = Duration::from_secs(20);

/// Follows until it is ended, or nobody reads it any more.
pub(super) async fn tail(args: TailArgs) -> Outcome {
    tokio::select! {
        ended = followed(args) => ended,
        () = printed::abandoned() => Ok(ExitCode::SUCCESS),
    }
}

async fn followed(args: TailArgs) -> Outcome {
    let target = Target::of(&args.target)?;
    let client = http::client_for(&args.target)?;
    let control = Control::new(&client, &target.endpoint);
    let mut last = args.since;
    let mut failed = 0;
    loop {
        let names = [
            ("kind", args.kind.clone()),
            ("domain", args.names.domain.clone()),
            ("app", args.names.app.clone()),
            ("stream", args.names.stream.clone()),
            ("since", last.map(|id| id.to_string())),
        ];
        let heard = follow(&control, &names, args.json, &mut last, SILENCE).await;
        match heard {
            Ok(()) => failed = 0,
            // The first time it is a mistake of the caller's.
            Err(error) if failed >= TRIES || last.is_none() => return Err(error),
            // It would be one each time.
            Err(error @ CliError::Usage(_)) => return Err(error),
            Err(_) => failed += 1,
        }
        machine_sleep(Duration::from_millis(500)).await;
    }
}

async fn follow(
    control: &Control<'_>,
    names: &[(&str, Option<String>)],
    as_json: bool,
    last: &mut Option<u64>,
    patience: Duration,
) -> Result<(), CliError> {
    let mut stream = control.stream("events", names, patience).await?;
    let place = http::place(stream.url());
    let watched = is_watched();
    let mut line = Vec::new();
    while let Some(chunk) = http::in_time(&place, patience, stream.chunk()).await? {
        for byte in chunk {
            if byte != b'\n' {
                line.push(byte);
                continue;
            }
            let whole = std::mem::take(&mut line);
            let Some(data) = whole.strip_prefix(b"data: ") else {
                continue;
            };
            let Ok(event) = serde_json::from_slice::<Value>(data) else {
                continue;
            };
            *last = event.get("id").and_then(Value::as_u64).or(*last);
            if as_json {
                say(event);
            } else {
                say(told(&event, watched));
            }
        }
    }
    // The server has ended the stream: it stops, or we were too slow.
    last.get_or_insert(0);
    Ok(())
}

/// Waits until so many events have happened.
pub(super) async fn wait(args: WaitArgs) -> Outcome {
    let target = Target::of(&args.target)?;
    let client = http::client_for(&args.target)?;
    let control = Control::new(&client, &target.endpoint);
    let patience = Duration::try_from_secs_f64(args.timeout)
        .map_err(|_| CliError::usage("--timeout: must be 0 to 600 seconds"))?;
    let wanted = format!("{} × {}", args.count, args.kind);
    let names = [
        ("kind", Some(args.kind)),
        ("domain", args.names.domain),
        ("app", args.names.app),
        ("stream", args.names.stream),
        ("count", Some(args.count.to_string())),
        ("timeout_s", Some(args.timeout.to_string())),
        ("since", args.since.map(|id| id.to_string())),
    ];
    let waiting = control.wait("wait", &names, patience + GRACE);
    let waiting = progress::beside(waiting, |elapsed| {
        let (now, most) = (elapsed.as_secs(), patience.as_secs());
        format!("waiting for {wanted}, {now} of {most} s")
    });
    let (status, answer) = waiting.await?;
    let events = answer.get("events").and_then(Value::as_array);
    for event in events.into_iter().flatten() {
        say(event);
    }
    match status {
        200 => Ok(ExitCode::SUCCESS),
        _ => Err(CliError::failed(text(&answer, "error"))),
    }
}

/// An event as one line.
fn told(event: &Value, watched: bool) -> String {
    let kind = text(event, "kind");
    let at = text(event, "at");
    // The date is the same for hours.
    let time = at.get(11..19).unwrap_or(at);
    let (what, colour) = said(kind, event);
    let stream = place(event);
    // Names are whatever a stranger called them. They are made plain before they are coloured, so that the escape sequences of the line are ours
    // alone, and so are its tabs.
    let [kind, at, time, stream, what] =
        [kind, at, time, stream.as_str(), what.as_str()].map(plain);
    if watched {
        format!(
            "{} {} {stream}{}{what}",
            coloured(&time, Colour::Grey, watched),
            coloured(&format!("{kind:<9}"), colour, watched),
            if stream.is_empty() { "" } else { "  " },
        )
    } else {
        format!("{at}\t{kind}\t{stream}\t{what}")
    }
}

/// A text without control characters, which a terminal would take for commands.
fn plain(text: &str) -> String {
    text.replace(char::is_control, "?")
}

/// What an event tells, and in which colour its kind is shown.
fn said(kind: &str, event: &Value) -> (String, Colour) {
    let of = |name: &str| shown(event, name);
    let bytes = |name: &str| size(event.get(name).and_then(Value::as_u64).unwrap_or(0));
    let seconds = || {
        let ms = event
            .get("duration_ms")
            .and_then(Value::as_i64)
            .unwrap_or(0);
        format!("{}.{:03} s", ms / 1_000, ms % 1_000)
    };
    match kind {
        "call" => {
            let refused = of("status") != "200";
            let colour = if refused { Colour::Red } else { Colour::Blue };
            (
                format!("{} {} {}", of("action"), of("status"), of("code")),
                colour,
            )
        }
        "publish" => (format!("from {}", of("client")), Colour::Green),
        "unpublish" => (
            format!("{} in {} frames", bytes("bytes"), of("frames")),
            Colour::Grey,
        ),
        "record" => match text(event, "what") {
            "not_recorded" => (
                format!("not recorded: {}; {}", of("why"), of("cure")),
                Colour::Yellow,
            ),
            "error" => (
                format!("error {}: {}", of("code"), of("message")),
                Colour::Red,
            ),
            "started" => {
                let rule = event.get("rule").unwrap_or(&Value::Null);
                (
                    format!("started by rule {} to {}", place(rule), of("bucket")),
                    Colour::Green,
                )
            }
            what => (what.to_owned(), Colour::Green),
        },
        "slice" | "file" => (
            format!(
                "{} {}/{} {} {}",
                of("format"),
                of("bucket"),
                of("object"),
                seconds(),
                bytes("size")
            ),
            Colour::Green,
        ),
        "callback" => {
            let answer = if of("status").is_empty() {
                of("error")
            } else {
                of("status")
            };
            let colour = if of("state") == "success" {
                Colour::Blue
            } else {
                Colour::Red
            };
            (
                format!(
                    "{} to {}: try {} got {answer} ({})",
                    of("callback"),
                    of("url"),
                    of("attempt"),
                    of("state")
                ),
                colour,
            )
        }
        "fault" => (
            format!("struck at {} {}", of("point"), of("code")),
            Colour::Red,
        ),
        "clock" => (of("what"), Colour::Yellow),
        "object" => (
            format!("{} {}/{}", of("what"), of("bucket"), of("key")),
            Colour::Grey,
        ),
        _ => (of("what"), Colour::Grey),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use url::Url;

    use super::*;

    #[tokio::test]
    async fn a_server_that_says_no_more_that_it_is_there_counts_as_gone() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            assert!(socket.read(&mut [0; 1024]).await.unwrap() > 0);
            let answer = b"HTTP/1.1 200 OK\r\n\r\n: still here\n\n";
            socket.write_all(answer).await.unwrap();
            std::future::pending::<()>().await;
        });
        let (client, endpoint) = (http::client().unwrap(), Url::parse(&place).unwrap());
        let control = Control::new(&client, &endpoint);
        let patience = Duration::from_millis(300);
        let heard = follow(&control, &[], false, &mut None, patience).await;
        server.abort();
        let told = heard.unwrap_err();
        // Of this kind are the failures after which it is looked for again.
        assert!(matches!(told, CliError::Failed(_)), "{told:?}");
        let expected = format!("nothing came from {place} for 0 s");
        assert_eq!(told.to_string(), expected);
    }

    #[test]
    fn an_event_is_one_line_whatever_is_in_it() {
        let event = json!({
            "kind": "record", "at": "2026-03-01T02:00:00Z", "domain": "d", "app": "live", "stream": "s\n1",
            "what": "not_recorded", "why": "no rule", "cure": "add one",
        });
        assert_eq!(
            told(&event, false),
            "2026-03-01T02:00:00Z\trecord\td/live/s?1\tnot recorded: no rule; add one"
        );
    }

    #[test]
    fn a_stranger_gets_no_command_to_the_terminal() {
        let event = json!({
            "kind": "call\u{1b}[0m", "at": "2026-03-01T02:\u{1b}c:00Z", "domain": "d\u{9b}2J", "app": "a\tb", "stream": "s\u{7f}",
            "what": "\u{1b}]0;title\u{7}\t",
        });
        for watched in [false, true] {
            let mut line = told(&event, watched);
            if watched {
                // The colours are the only escape sequences.
                for own in ["\u{1b}[90m", "\u{1b}[0m"] {
                    line = line.replace(own, "");
                }
            } else {
                assert_eq!(line.matches('\t').count(), 3, "{line:?}");
                line = line.replace('\t', "");
            }
            assert!(!line.contains(char::is_control), "{line:?}");
            assert!(line.contains("d?2J/a?b/s?"), "{line:?}");
            assert!(line.contains("?]0;title??"), "{line:?}");
        }
    }
}
