//! `snapshot`: the control state as a file, back again, and what two files have apart.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use reqwest::Body;
use serde_json::Value;
use tokio_util::io::ReaderStream;

use super::arguments::SnapshotTool;
use super::control::Control;
use super::output::Output;
use super::paper::{shown, text};
use super::progress::{self, Transfer};
use super::target::Target;
use super::{CliError, Outcome, complain, http, say, signals, unless_told};

pub(super) async fn run(tool: SnapshotTool) -> Outcome {
    match tool {
        SnapshotTool::Save {
            file,
            with_objects,
            target,
        } => {
            let server = Target::of(&target)?;
            let client = http::client_for(&target)?;
            save(
                &Control::new(&client, &server.endpoint),
                &file,
                with_objects,
                http::PART_PATIENCE,
            )
            .await
        }
        SnapshotTool::Load { file, target } => {
            let server = Target::of(&target)?;
            let client = http::client_for(&target)?;
            load(&Control::new(&client, &server.endpoint), &file).await
        }
        SnapshotTool::Diff { a, b } => diff(&a, &b),
    }
}

/// Standard input in the place of a file.
const STDIN: &str = "-";
/// Bytes of a file that are read at a time.
const AT_ONCE: usize = 64 * 1024;

fn of(path: &Path) -> impl Fn(std::io::Error) -> CliError {
    move |error| CliError::failed(format!("{}: {error}", path.display()))
}

async fn save(
    control: &Control<'_>,
    file: &Path,
    with_objects: bool,
    patience: Duration,
) -> Outcome {
    let names = [("objects", with_objects.then(|| "true".to_owned()))];
    let mut response = control.stream("snapshot", &names, patience).await?;
    let place = http::place(response.url());
    // A file that is there already stays whole until the new one is.
    let mut signals = signals()?;
    let mut out = Output::open(Some(file))?;
    let to_stdout = out.is_stdout();
    let transfer = Transfer::of(response.content_length());
    let copying = async {
        while let Some(chunk) = http::in_time(&place, patience, response.chunk()).await? {
            if !out.put(&chunk)? {
                return Ok(());
            }
            transfer.add(chunk.len());
        }
        Ok::<(), CliError>(())
    };
    if to_stdout {
        unless_told(&mut signals, copying).await?;
    } else {
        unless_told(
            &mut signals,
            progress::beside(copying, |elapsed| transfer.line(elapsed)),
        )
        .await?;
    }
    out.finish()?;
    Ok(ExitCode::SUCCESS)
}

async fn load(control: &Control<'_>, file: &Path) -> Outcome {
    let opened = if file == Path::new(STDIN) {
        let handle = std::io::stdin().as_fd().try_clone_to_owned();
        handle.map(File::from)
    } else {
        File::open(file)
    };
    let opened = tokio::fs::File::from_std(opened.map_err(of(file))?);
    let body = ReaderStream::with_capacity(opened, AT_ONCE);
    let loading = control.put_stream("snapshot", Body::wrap_stream(body));
    let answer = progress::beside(loading, |elapsed| {
        format!("loading {}, {} s", file.display(), elapsed.as_secs())
    });
    let answer = answer.await?;
    say(format!("{} rules", shown(&answer, "rules")));
    let missing = answer.get("missing_secrets").and_then(Value::as_array);
    for secret in missing.into_iter().flatten() {
        complain(format!(
            "{} of {} ({}) is hidden in the file and not held here: set it anew",
            text(secret, "field"),
            text(secret, "name"),
            text(secret, "kind")
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// A snapshot to compare. Status 1 says that two differ, so what cannot be read is asked for wrongly.
fn read(path: &Path) -> Result<Value, CliError> {
    let read = if path == Path::new(STDIN) {
        serde_json::from_reader(std::io::stdin().lock())
    } else {
        let file = File::open(path).map_err(|error| CliError::usage(of(path)(error)))?;
        serde_json::from_reader(std::io::BufReader::new(file))
    };
    let read: Value =
        read.map_err(|error| CliError::usage(format!("{} is no JSON: {error}", path.display())))?;
    if !read.is_object() {
        return Err(CliError::usage(format!(
            "{} is no snapshot",
            path.display()
        )));
    }
    Ok(read)
}

fn diff(a: &Path, b: &Path) -> Outcome {
    if a == b && a == Path::new(STDIN) {
        return Err(CliError::usage(
            "one of the two snapshots may be -, standard input",
        ));
    }
    let lines = differences(&read(a)?, &read(b)?);
    if lines.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    say(lines.join("\n"));
    Ok(ExitCode::FAILURE)
}

/// What names a row; several may have one name.
fn name_of(row: &Value) -> String {
    let names = ["id", "domain", "app", "stream", "name", "bucket", "key"];
    let names = if row.get("id").is_some() {
        &names[..1]
    } else {
        &names[1..]
    };
    let given: Vec<String> = names
        .iter()
        .map(|name| shown(row, name))
        .filter(|text| !text.is_empty())
        .collect();
    given.join("/")
}

/// The rows of a part by name.
type ByName<'a> = BTreeMap<String, VecDeque<&'a Value>>;

fn rows<'a>(snapshot: &'a Value, part: &str) -> ByName<'a> {
    let mut named = ByName::new();
    let rows = snapshot.get(part).and_then(Value::as_array);
    for row in rows.into_iter().flatten() {
        named.entry(name_of(row)).or_default().push_back(row);
    }
    named
}

/// What two snapshots have apart, a line each: `+` is in the second alone, `-` in the first alone, `~` differs.
fn differences(a: &Value, b: &Value) -> Vec<String> {
    let members = |value: &Value| match value {
        Value::Object(members) => members.keys().cloned().collect(),
        _ => Vec::new(),
    };
    let mut parts = members(a);
    parts.extend(members(b).into_iter().filter(|part| a.get(part).is_none()));
    let mut lines = Vec::new();
    for part in &parts {
        let [old, new] = [a, b].map(|it| it.get(part).filter(|value| !value.is_array()));
        if old != new {
            lines.push(format!("~ {part}: {} → {}", said(old), said(new)));
        }
        lines.extend(differences_of_rows(part, rows(a, part), rows(b, part)));
    }
    lines
}

fn differences_of_rows(part: &str, mut left: ByName<'_>, right: ByName<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, new) in right {
        let mut old = left.remove(&name).unwrap_or_default();
        // Equal ones count against each other.
        let mut apart = Vec::new();
        for row in new {
            match old.iter().position(|it| *it == row) {
                Some(at) => drop(old.remove(at)),
                None => apart.push(row),
            }
        }
        for row in apart {
            lines.push(match old.pop_front() {
                Some(before) => format!("~ {part} {name}: {}", changed(before, row)),
                None => format!("+ {part} {name}"),
            });
        }
        left.insert(name, old);
    }
    let gone = left
        .iter()
        .flat_map(|(name, rows)| rows.iter().map(move |_| format!("- {part} {name}")));
    gone.chain(lines).collect()
}

fn said(value: Option<&Value>) -> String {
    value.map_or_else(|| "nothing".to_owned(), Value::to_string)
}

fn changed(old: &Value, new: &Value) -> String {
    let (Value::Object(old), Value::Object(new)) = (old, new) else {
        return "differs".to_owned();
    };
    let mut names: Vec<&String> = old.keys().collect();
    names.extend(new.keys().filter(|name| !old.contains_key(*name)));
    let changed = names
        .into_iter()
        .filter(|name| old.get(*name) != new.get(*name));
    let lines: Vec<String> = changed
        .map(|name| format!("{name} {} → {}", said(old.get(name)), said(new.get(name))))
        .collect();
    lines.join(", ")
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use serde_json::json;
    use url::Url;

    use super::*;

    #[tokio::test]
    async fn a_server_that_says_nothing_is_not_waited_for_for_ever() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        // It lets everybody in.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let place = format!("http://{}", listener.local_addr().unwrap());
        let (client, endpoint) = (http::client().unwrap(), Url::parse(&place).unwrap());
        let control = Control::new(&client, &endpoint);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("saved.json");
        let saved = save(&control, &file, false, Duration::from_millis(50)).await;
        let told = saved.unwrap_err().to_string();
        assert_eq!(told, format!("nothing came from {place} for 0 s"));
        assert!(!file.exists());
    }

    #[test]
    fn what_two_snapshots_have_apart_is_told_by_name() {
        let rule = |stream: &str, delay: i64| json!({"domain": "d", "app": "live", "stream": stream, "delay_s": delay});
        let a = json!({"localyun": 1, "rules": [rule("a", 180), rule("b", 180)], "files": [{"id": "1"}]});
        let b = json!({"localyun": 1, "rules": [rule("b", 15), rule("c", 180)], "files": [{"id": "1"}]});
        assert_eq!(
            differences(&a, &b),
            [
                "- rules d/live/a",
                "~ rules d/live/b: delay_s 180 → 15",
                "+ rules d/live/c"
            ]
        );
        assert!(differences(&a, &a).is_empty());
    }

    #[test]
    fn rows_of_one_name_are_told_by_their_number() {
        let push = |at: i64| json!({"domain": "d", "app": "live", "stream": "s", "at": at});
        let of = |pushes: &[i64]| {
            let pushes: Vec<Value> = pushes.iter().copied().map(push).collect();
            json!({"localyun": 1, "pushes": pushes})
        };
        let apart = |a: &[i64], b: &[i64]| differences(&of(a), &of(b));
        assert_eq!(apart(&[1, 2, 3], &[3]), ["- pushes d/live/s"; 2]);
        assert_eq!(apart(&[1], &[1, 1]), ["+ pushes d/live/s"]);
        assert_eq!(apart(&[], &[1, 2]), ["+ pushes d/live/s"; 2]);
        assert_eq!(
            apart(&[1, 2, 3], &[4, 3, 1, 5]),
            ["~ pushes d/live/s: at 2 → 4", "+ pushes d/live/s"]
        );
        assert!(apart(&[1, 2, 2], &[2, 1, 2]).is_empty());
    }

    #[test]
    fn what_is_no_list_is_compared_as_it_is() {
        let a = json!({"localyun": 1, "rules": []});
        assert_eq!(
            differences(&a, &json!({"localyun": 2, "rules": []})),
            ["~ localyun: 1 → 2"]
        );
        assert_eq!(differences(&a, &json!({})), ["~ localyun: 1 → nothing"]);
        assert_eq!(
            differences(&a, &json!({"localyun": 1, "rules": {}})),
            ["~ rules: nothing → {}"]
        );
    }
}
