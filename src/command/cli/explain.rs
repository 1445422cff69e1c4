//! `sign --explain URL`: a request that another client signed, and what is wrong with its signature.

use std::process::ExitCode;

use url::Url;

use super::arguments::SignArgs;
use super::target::Target;
use super::{CliError, Outcome, say};
use crate::diagnosis;
use crate::evidence::Diagnosis;
use crate::wire::http_parts::HttpParts;

/// Whether what stands in the action's place is a request to look into.
pub(super) fn is_request(action: &str) -> bool {
    action.starts_with("http://") || action.starts_with("https://")
}

pub(super) fn run(args: &SignArgs) -> Outcome {
    if !args.explain {
        return Err(CliError::usage(
            "a URL is no action; with --explain its signature is looked into",
        ));
    }
    if let Some(extra) = args.request.parameters.first() {
        return Err(CliError::Usage(format!(
            "{extra}: a request to explain has its parameters in its URL, or in --data"
        )));
    }
    let target = Target::of(&args.request.target)?;
    let parts = parts(args)?;
    let unsigned = || CliError::usage("the request carries no signature that can be read");
    let id = diagnosis::key_id(&parts).ok_or_else(unsigned)?;
    if id != target.key.id {
        return Err(CliError::usage(format!(
            "the request is signed with the key {id}; give its secret as --access-key {id}:SECRET"
        )));
    }
    let diagnosis = diagnosis::examine(&parts, &target.key.secret).ok_or_else(unsigned)?;
    say(words(&diagnosis));
    Ok(if diagnosis.is_right() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The request that the arguments describe, as curl would send it.
fn parts(args: &SignArgs) -> Result<HttpParts, CliError> {
    let url = Url::parse(&args.request.action).map_err(CliError::usage)?;
    let mut headers = Vec::with_capacity(args.header.len() + 2);
    for text in &args.header {
        let (name, value) = text
            .split_once(':')
            .ok_or_else(|| CliError::usage(format!("{text:?} is no header; write NAME: VALUE")))?;
        headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
    }
    let has = |name: &str| headers.iter().any(|(known, _)| known == name);
    let (has_host, has_type) = (has("host"), has("content-type"));
    if !has_host {
        headers.push(("host".to_owned(), crate::site::host::header_of(&url)));
    }
    if args.data.is_some() && !has_type {
        let form = "application/x-www-form-urlencoded".to_owned();
        headers.push(("content-type".to_owned(), form));
    }
    let method = if args.data.is_some() {
        "POST".to_owned()
    } else {
        args.method.to_ascii_uppercase()
    };
    Ok(HttpParts {
        method,
        path: url.path().to_owned(),
        query: url.query().unwrap_or_default().to_owned(),
        headers,
        body: args.data.clone().unwrap_or_default().into(),
        authority: None,
        local: true,
        peer: None,
    })
}

fn words(diagnosis: &Diagnosis) -> String {
    let mut lines = vec![diagnosis.finding.clone()];
    if let Some(difference) = &diagnosis.first_difference {
        lines.push(format!(
            "\nclient: {}\nserver: {}",
            difference.client, difference.server
        ));
    }
    if let Some(text) = diagnosis
        .client_string
        .as_ref()
        .filter(|text| **text != diagnosis.server_string)
    {
        lines.push(format!("\nwhat the client signed:\n{text}"));
    }
    lines.push(format!(
        "\nwhat is to be signed:\n{}",
        diagnosis.server_string
    ));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::arguments::{RequestArgs, TargetArgs};
    use crate::signature_v1::{Method, sign};
    use crate::wire::percent;

    fn args(url: &str) -> SignArgs {
        SignArgs {
            request: RequestArgs {
                action: url.to_owned(),
                parameters: Vec::new(),
                force: false,
                target: TargetArgs {
                    endpoint: None,
                    access_key: Some("testid:testsecret".to_owned()),
                    ca_file: None,
                },
            },
            explain: true,
            v1: false,
            acs3: false,
            method: "get".to_owned(),
            header: Vec::new(),
            data: None,
        }
    }

    fn signed(text: &str) -> String {
        let signature = sign(Method::HmacSha1, "testsecret", text);
        format!(
            "http://127.0.0.1:8080/?AccessKeyId=testid&Action=X&Signature={}",
            percent::encode(&signature)
        )
    }

    #[test]
    fn a_good_signature_is_told_from_a_bad_one() {
        let right = "GET&%2F&AccessKeyId%3Dtestid%26Action%3DX";
        assert_eq!(run(&args(&signed(right))).unwrap(), ExitCode::SUCCESS);
        let wrong = signed("POST&%2F&AccessKeyId%3Dtestid%26Action%3DX");
        assert_eq!(run(&args(&wrong)).unwrap(), ExitCode::FAILURE);
        let diagnosis = diagnosis::examine(&parts(&args(&wrong)).unwrap(), "testsecret").unwrap();
        let words = words(&diagnosis);
        assert!(words.contains("GET and POST are swapped"), "{words}");
        assert!(
            words.contains("client: POST&%2F") && words.contains("server: GET&%2F"),
            "{words}"
        );
        assert!(words.contains("what the client signed:\nPOST&"), "{words}");
    }

    #[test]
    fn what_cannot_be_looked_into_is_asked_for_wrongly() {
        let refused = |args: &SignArgs| run(args).unwrap_err().to_string();
        let mut plain = args("http://127.0.0.1:8080/?Action=X");
        assert!(refused(&plain).contains("no signature"));
        plain.explain = false;
        assert!(refused(&plain).contains("--explain"));
        let other = args("http://127.0.0.1/?AccessKeyId=other&Signature=x");
        assert!(refused(&other).contains("--access-key other:SECRET"));
        let mut header = args("http://127.0.0.1/?AccessKeyId=testid&Signature=x");
        header.header.push("nonsense".to_owned());
        assert!(refused(&header).contains("NAME: VALUE"));
    }

    #[test]
    fn a_body_is_posted_as_a_form_unless_told_otherwise() {
        let mut given = args("https://live.example.com/?A=1");
        given.data = Some("B=2".to_owned());
        let sent = parts(&given).unwrap();
        assert_eq!(
            (sent.method.as_str(), sent.header("host")),
            ("POST", Some("live.example.com"))
        );
        assert_eq!(
            sent.header("content-type"),
            Some("application/x-www-form-urlencoded")
        );
        given.header.push("Content-Type: text/plain".to_owned());
        given.header.push("Host:  other:1 ".to_owned());
        let sent = parts(&given).unwrap();
        assert_eq!(sent.header("content-type"), Some("text/plain"));
        assert_eq!(sent.header("host"), Some("other:1"));
    }
}
