//! `get`: a stored object, by a signed address that the server gives out.

use std::io::IsTerminal;
use std::process::ExitCode;

use super::arguments::GetArgs;
use super::control::{Control, FOR_EVER};
use super::output::Output;
use super::paper::text;
use super::progress::{self, Transfer};
use super::target::Target;
use super::{CliError, Outcome, complain, http, say, signals, unless_told};

/// Characters of a refusal that are shown.
const LONGEST: usize = 300;

pub(super) async fn run(args: GetArgs) -> Outcome {
    let (bucket, key) = args
        .object
        .split_once('/')
        .filter(|(bucket, key)| !bucket.is_empty() && !key.is_empty())
        .ok_or_else(|| {
            CliError::usage(format!("{:?} is no object; write BUCKET/KEY", args.object))
        })?;
    let target = Target::of(&args.target)?;
    let client = http::client_for(&args.target)?;
    let control = Control::new(&client, &target.endpoint);
    let names = [
        ("bucket", Some(bucket.to_owned())),
        ("key", Some(key.to_owned())),
    ];
    let answer = control.ask("signed", &names).await?;
    let url = text(&answer, "url");
    if args.url {
        say(url);
        return Ok(ExitCode::SUCCESS);
    }
    let mut response = in_time(client.get(url).timeout(FOR_EVER).send()).await?;
    let status = response.status().as_u16();
    if status != 200 {
        let told = in_time(response.text()).await.unwrap_or_default();
        let cure = if status == 404 {
            "; `localyun recordings` lists what was recorded"
        } else {
            ""
        };
        return Err(CliError::failed(format!(
            "the object store answers {status}: {}{cure}",
            in_a_line(&told)
        )));
    }
    let mut signals = signals()?;
    let mut out = Output::open(args.output.as_deref())?;
    let to_a_person = out.is_stdout() && std::io::stdout().is_terminal();
    let transfer = Transfer::of(response.content_length());
    let copying = async {
        let mut last = 0;
        while let Some(chunk) = in_time(response.chunk()).await? {
            if to_a_person && has_commands(&mut last, &chunk) {
                return Err(CliError::usage(
                    "that is no text for a terminal; -o FILE writes it to a file, --url prints an address of it",
                ));
            }
            if !out.put(&chunk)? {
                return Ok(());
            }
            transfer.add(chunk.len());
        }
        Ok::<(), CliError>(())
    };
    // What goes to standard output may be looked at itself.
    if args.output.is_some() {
        unless_told(
            &mut signals,
            progress::beside(copying, |elapsed| transfer.line(elapsed)),
        )
        .await?;
    } else {
        unless_told(&mut signals, copying).await?;
    }
    if !out.is_stdout() {
        out.finish()?;
        let path = args.output.unwrap_or_default();
        complain(format!("{} bytes to {}", transfer.bytes(), path.display()));
    }
    Ok(ExitCode::SUCCESS)
}

/// Waits for a part of the answer.
async fn in_time<T>(part: impl Future<Output = reqwest::Result<T>>) -> Result<T, CliError> {
    http::in_time("the object store", http::PART_PATIENCE, part).await
}

/// Whether a terminal could take something in these bytes for a command: a control character other than those that text has for its lines.
/// `last` is the byte that came before them, since the control characters beyond ASCII have two bytes.
fn has_commands(last: &mut u8, bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| {
        let before = std::mem::replace(last, *byte);
        match *byte {
            b'\n' | b'\r' | b'\t' => false,
            0x80..=0x9f => before == 0xc2,
            other => other.is_ascii_control(),
        }
    })
}

/// An answer that refuses, in a line: the code and the message of the store's own form, else the beginning of whatever came.
fn in_a_line(body: &str) -> String {
    let element = |name: &str| {
        let (_, behind) = body.split_once(&format!("<{name}>"))?;
        let (text, _) = behind.split_once(&format!("</{name}>"))?;
        Some(text.trim())
    };
    let whole = match (element("Code"), element("Message")) {
        (Some(code), Some(message)) => format!("{code}: {}", message.trim_end_matches('.')),
        _ => body.to_owned(),
    };
    let words = whole.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_one_line() {
        let form = "<?xml version=\"1.0\"?>\n<Error>\n <Code>NoSuchKey</Code><Message>The key does not\n exist.</Message><Key>a</Key></Error>";
        assert_eq!(in_a_line(form), "NoSuchKey: The key does not exist");
        assert_eq!(in_a_line("bad\n gateway"), "bad gateway");
        assert_eq!(in_a_line(&"é".repeat(1000)).chars().count(), LONGEST);
    }

    #[test]
    fn a_terminal_is_given_text_alone() {
        let has = |parts: &[&[u8]]| {
            let mut last = 0;
            parts.iter().any(|part| has_commands(&mut last, part))
        };
        for text in ["#EXTM3U\r\n\tx\n", "中文 é \u{a0} À", ""] {
            assert!(!has(&[text.as_bytes()]), "{text:?}");
        }
        for commands in ["\0", "a\u{1b}[2J", "\u{7}", "\u{7f}", "\u{9b}2J"] {
            assert!(has(&[commands.as_bytes()]), "{commands:?}");
        }
        // A character may come in two parts.
        assert!(has(&[b"a\xc2", b"\x9b2J"]));
        assert!(!has(&[b"\xc3", b"\x9b"]));
    }
}
