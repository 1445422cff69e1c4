//! The control plane for people: `advance`, `reset`, `explain`, `recordings`, `callbacks`.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::arguments::{AdvanceArgs, ExplainArgs, ListArgs, ViewArgs};
use super::control::Control;
use super::paper::{Colour, Table, coloured, is_watched, place, shown, size, text};
use super::target::Target;
use super::{CliError, Outcome, complain, http, progress, say};

/// What `advance` takes.
const HOW: &str = "write advance SECONDS, advance next, or advance until 2026-03-01T02:00:00Z";

pub(super) async fn advance(args: AdvanceArgs) -> Outcome {
    let body = match args.how.as_slice() {
        [word] if word == "next" => json!({"next": true}),
        [word, instant] if word == "until" => json!({"until": instant}),
        [seconds] => {
            let seconds: f64 = seconds.parse().map_err(|_| CliError::usage(HOW))?;
            if !seconds.is_finite() || seconds < 0.0 {
                return Err(CliError::usage(format!("the clock goes forward; {HOW}")));
            }
            json!({"seconds": seconds})
        }
        _ => return Err(CliError::usage(HOW)),
    };
    let target = Target::of(&args.view.target)?;
    let client = http::client_for(&args.view.target)?;
    let control = Control::new(&client, &target.endpoint);
    let clock = progress::beside(control.post("clock/advance", &body), |elapsed| {
        format!("working off what falls due, {} s", elapsed.as_secs())
    });
    let clock = clock.await?;
    if args.view.json {
        say(format!("{clock:#}"));
    } else {
        say(text(&clock, "now"));
    }
    if clock.get("settled") == Some(&Value::Bool(false)) {
        complain("not everything that fell due is done: something hangs");
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn reset(args: ViewArgs) -> Outcome {
    let target = Target::of(&args.target)?;
    let client = http::client_for(&args.target)?;
    let control = Control::new(&client, &target.endpoint);
    let nothing = json!({});
    let answer = progress::beside(control.post("reset", &nothing), |elapsed| {
        format!("forgetting, {} s", elapsed.as_secs())
    });
    let answer = answer.await?;
    if args.json {
        say(format!("{answer:#}"));
    } else {
        say("reset");
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn explain(args: ExplainArgs) -> Outcome {
    let target = Target::of(&args.view.target)?;
    let client = http::client_for(&args.view.target)?;
    let control = Control::new(&client, &target.endpoint);
    let names = [
        ("domain", Some(args.domain)),
        ("app", Some(args.app)),
        ("stream", Some(args.stream)),
        ("args", args.args),
    ];
    let answer = control.ask("explain", &names).await?;
    if args.view.json {
        say(format!("{answer:#}"));
        return Ok(ExitCode::SUCCESS);
    }
    let watched = is_watched();
    let records = answer.get("records") == Some(&Value::Bool(true));
    let verdict = if records { "recorded" } else { "not recorded" };
    let colour = if records {
        Colour::Green
    } else {
        Colour::Yellow
    };
    say(format!(
        "{}: {}",
        coloured(verdict, colour, watched),
        text(&answer, "why")
    ));
    if !text(&answer, "cure").is_empty() {
        say(format!("cure: {}", text(&answer, "cure")));
    }
    let mut table = Table::of(&["RULE", "FORMATS", "WINDOW", "VERDICT"]);
    let rules = answer.get("considered").and_then(Value::as_array);
    for rule in rules.into_iter().flatten() {
        let formats = rule.get("formats").and_then(Value::as_array);
        let formats: Vec<&str> = formats
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        table.row(vec![
            format!("{}/{}", text(rule, "app"), text(rule, "stream")),
            formats.join(","),
            shown(rule, "window"),
            shown(rule, "verdict"),
        ]);
    }
    print(&table, watched);
    Ok(ExitCode::SUCCESS)
}

fn print(table: &Table, watched: bool) {
    let text = table.text(watched);
    if !text.is_empty() {
        say(text);
    }
}

async fn listed(args: &ListArgs, route: &str) -> Result<Value, CliError> {
    let target = Target::of(&args.view.target)?;
    let client = http::client_for(&args.view.target)?;
    let control = Control::new(&client, &target.endpoint);
    let names = [
        ("domain", args.names.domain.clone()),
        ("app", args.names.app.clone()),
        ("stream", args.names.stream.clone()),
        ("since", args.since.clone()),
        ("limit", args.limit.map(|limit| limit.to_string())),
        ("cursor", args.cursor.clone()),
    ];
    control.ask(route, &names).await
}

/// Says where the rest is, where there is one.
fn say_rest(answer: &Value, rows: usize) {
    if !text(answer, "next").is_empty() {
        complain(format!(
            "{rows} of {}; --cursor {} goes on",
            shown(answer, "total"),
            text(answer, "next")
        ));
    }
}

pub(super) async fn recordings(args: ListArgs) -> Outcome {
    let answer = listed(&args, "recordings").await?;
    if args.view.json {
        say(format!("{answer:#}"));
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::of(&[
        "STREAM", "STATE", "START", "FORMAT", "DURATION", "SIZE", "OBJECT",
    ]);
    let rows = answer.get("recordings").and_then(Value::as_array);
    let rows = rows.map(Vec::as_slice).unwrap_or_default();
    for recording in rows {
        let head = [
            place(recording),
            shown(recording, "state"),
            shown(recording, "start_time"),
        ];
        let files = recording.get("files").and_then(Value::as_array);
        let files = files.map(Vec::as_slice).unwrap_or_default();
        if files.is_empty() {
            let slices = format!("{} slices", shown(recording, "slices"));
            table.row(
                head.clone()
                    .into_iter()
                    .chain([String::new(), slices, String::new(), String::new()])
                    .collect(),
            );
        }
        for file in files {
            let [stream, state, _] = head.clone();
            table.row(vec![
                stream,
                state,
                shown(file, "start_time"),
                shown(file, "format"),
                format!("{} s", shown(file, "duration")),
                size(file.get("size").and_then(Value::as_u64).unwrap_or(0)),
                format!("{}/{}", text(file, "bucket"), text(file, "object")),
            ]);
        }
    }
    print(&table, is_watched());
    say_rest(&answer, rows.len());
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn callbacks(args: ListArgs) -> Outcome {
    let answer = listed(&args, "callbacks").await?;
    if args.view.json {
        say(format!("{answer:#}"));
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::of(&["ID", "AT", "STREAM", "KIND", "STATE", "TRIES", "URL"]);
    let rows = answer.get("callbacks").and_then(Value::as_array);
    let rows = rows.map(Vec::as_slice).unwrap_or_default();
    for callback in rows {
        let tries = callback
            .get("attempts")
            .and_then(Value::as_array)
            .map_or(0, Vec::len);
        table.row(vec![
            shown(callback, "id"),
            shown(callback, "created_at"),
            place(callback),
            shown(callback, "kind"),
            shown(callback, "state"),
            tries.to_string(),
            shown(callback, "url"),
        ]);
    }
    print(&table, is_watched());
    say_rest(&answer, rows.len());
    Ok(ExitCode::SUCCESS)
}
