//! `get`: a stored object, by a signed address that the server gives out.

use std::io::Write;
use std::process::ExitCode;

use super::arguments::GetArgs;
use super::control::Control;
use super::paper::text;
use super::progress::{self, Transfer};
use super::target::Target;
use super::{CliError, Outcome, complain, http, say};

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
    let mut response = client
        .get(url)
        .send()
        .await
        .map_err(|error| http::failure(&error))?;
    let status = response.status().as_u16();
    if status != 200 {
        let told = response.text().await.unwrap_or_default();
        let told: String = told.split_whitespace().collect::<Vec<_>>().join(" ");
        return Err(CliError::failed(format!(
            "the object store answers {status}: {}",
            told.chars().take(300).collect::<String>()
        )));
    }
    let mut out: Box<dyn Write> = match &args.output {
        Some(path) => Box::new(
            std::fs::File::create(path)
                .map_err(|error| CliError::failed(format!("{}: {error}", path.display())))?,
        ),
        None => Box::new(std::io::stdout().lock()),
    };
    let transfer = Transfer::of(response.content_length());
    let copying = async {
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| http::failure(&error))?
        {
            out.write_all(&chunk).map_err(CliError::failed)?;
            transfer.add(chunk.len());
        }
        out.flush().map_err(CliError::failed)
    };
    // What goes to standard output may be looked at itself.
    if args.output.is_some() {
        progress::beside(copying, |elapsed| transfer.line(elapsed)).await?;
    } else {
        copying.await?;
    }
    if let Some(path) = &args.output {
        complain(format!("{} bytes to {}", transfer.bytes(), path.display()));
    }
    Ok(ExitCode::SUCCESS)
}
