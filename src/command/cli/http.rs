//! The HTTP client of the tools: no proxy, bounded answers, and failures in words that help.

use std::time::Duration;

use reqwest::{Certificate, Client, ClientBuilder, RequestBuilder, Response};
use url::Url;

use super::arguments::TargetArgs;
use super::{CliError, variable};
use crate::clock::machine_timeout;

const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// Advancing the clock over hours of recordings takes its time.
const ANSWER_PATIENCE: Duration = Duration::from_secs(300);
/// How long a server may take for the first word of an answer that may be long, and then for each further part. The whole has no limit.
pub(super) const PART_PATIENCE: Duration = Duration::from_secs(60);
/// Bytes of the largest answer that is taken into memory.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// Characters of an answer that a message shows.
const BRIEF: usize = 200;

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// The fault that the server was told to inject, when this answer is one.
    pub(super) fault: Option<String>,
    /// Where the server had the answer from, when it forwarded the call.
    pub(super) upstream: Option<String>,
    pub(super) content_type: String,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The beginning of the body on one line, for a message.
    pub(super) fn brief(&self) -> String {
        brief(&self.text())
    }
}

/// The beginning of a text on one line, for a message.
pub(super) fn brief(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(BRIEF) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None if line.is_empty() => "nothing".to_owned(),
        None => line,
    }
}

/// What a failure tells of the client that met with it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    /// How long it waits for an answer.
    patience: Duration,
    /// How it is told which certificates to trust.
    trust: &'static str,
}

impl Terms {
    /// Those of a client for the server under test.
    pub(super) const OWN: Self = Self {
        patience: ANSWER_PATIENCE,
        trust: "--ca-file names the certificate to trust (DATA-DIR/tls/cert.pem of serve --tls-addr)",
    };

    /// Those of an [`upstream_client`].
    pub(super) fn of_upstream(patience: Duration) -> Self {
        Self {
            patience,
            trust: "--upstream-ca-file names the certificate to trust",
        }
    }

    /// Why such a client got no answer, in words that help.
    pub(super) fn failure(self, error: &reqwest::Error) -> CliError {
        let place = error.url().map_or_else(String::new, place);
        let cause = cause(error);
        CliError::Failed(if cause.contains("certificate") {
            format!("{place}: {cause}; {}", self.trust)
        } else if cause.contains("InvalidContentType") {
            format!("{place} speaks http:// and not https:// ({cause})")
        } else if cause.contains("invalid HTTP version") {
            format!("{place} does not speak http:// ({cause}); is it the port of https://?")
        } else if error.is_connect() {
            format!("no connection to {place} ({cause}); is `localyun serve` running there?")
        } else if error.is_timeout() {
            let seconds = self.patience.as_secs();
            format!("{place} did not answer within {seconds} s")
        } else {
            format!("{place}: {cause}")
        })
    }
}

/// A client for the server that the arguments name, with the certificates that they or the environment say to trust.
pub(super) fn client_for(args: &TargetArgs) -> Result<Client, CliError> {
    built(trusting(args.ca_file.as_deref())?.timeout(ANSWER_PATIENCE))
}

/// A client for answers that go on for as long as a stream is live; one redirect to https is followed.
pub(super) fn live_client(ca_file: Option<&str>) -> Result<Client, CliError> {
    let client = trusting(ca_file)?.redirect(reqwest::redirect::Policy::limited(1));
    built(client)
}

/// A client for an upstream, whose certificates to trust have settings of their own.
pub(super) fn upstream_client(
    ca_file: Option<&str>,
    patience: Duration,
) -> Result<Client, CliError> {
    let settings = ("--upstream-ca-file", "LOCALYUN_UPSTREAM_CA_FILE");
    built(trusting_by(ca_file, settings)?.timeout(patience))
}

fn trusting(ca_file: Option<&str>) -> Result<ClientBuilder, CliError> {
    trusting_by(ca_file, ("--ca-file", "LOCALYUN_CA_FILE"))
}

fn trusting_by(
    ca_file: Option<&str>,
    (option, environment): (&'static str, &'static str),
) -> Result<ClientBuilder, CliError> {
    let (path, source) = match (ca_file, variable(environment)) {
        (Some(flag), _) => (flag.to_owned(), option),
        (None, Some(variable)) => (variable, environment),
        (None, None) => return Ok(trusting_the_machine()),
    };
    let wrong =
        |problem: &dyn std::fmt::Display| CliError::Usage(format!("{source}: {path}: {problem}"));
    let pem = std::fs::read(&path).map_err(|error| wrong(&error))?;
    let trusted = Certificate::from_pem_bundle(&pem).map_err(|error| wrong(&cause(&error)))?;
    if trusted.is_empty() {
        return Err(wrong(&"there is no certificate in it (PEM)"));
    }
    Ok(common().tls_certs_only(trusted))
}

/// A client for the server under test.
pub(super) fn client() -> Result<Client, CliError> {
    built(trusting_the_machine().timeout(ANSWER_PATIENCE))
}

/// With the authorities that the machine trusts. A slim image knows none of them, and a server on http:// needs none.
fn trusting_the_machine() -> ClientBuilder {
    match common().build() {
        Ok(_) => common(),
        Err(_) => common().tls_certs_only(std::iter::empty()),
    }
}

fn common() -> ClientBuilder {
    Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("localyun/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_PATIENCE)
}

fn built(builder: ClientBuilder) -> Result<Client, CliError> {
    builder
        .build()
        .map_err(|error| CliError::failed(format!("no HTTP client: {}", cause(&error))))
}

/// Sends a request to the server under test and reads the whole answer.
pub(super) async fn fetch(request: RequestBuilder) -> Result<Answer, CliError> {
    fetch_by(Terms::OWN, request).await
}

/// As [`fetch`], with a client of those terms.
pub(super) async fn fetch_by(terms: Terms, request: RequestBuilder) -> Result<Answer, CliError> {
    let failed = |error: reqwest::Error| terms.failure(&error);
    let response = request.send().await.map_err(failed)?;
    let header = |name: &str| {
        let value = response.headers().get(name);
        value.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    Ok(Answer {
        status: response.status().as_u16(),
        fault: header("x-localyun-fault"),
        upstream: header("x-localyun-upstream"),
        content_type: header("content-type").unwrap_or_default(),
        body: body(terms, response).await?,
    })
}

async fn body(terms: Terms, mut response: Response) -> Result<Vec<u8>, CliError> {
    let mut body = Vec::new();
    let failed = |error: reqwest::Error| terms.failure(&error);
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(CliError::failed(format!(
                "the answer is larger than {MAX_ANSWER} bytes"
            )));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// A server as messages name it.
pub(super) fn place(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// Waits for a part of an answer of the server under test, or of its store. Who went away without a word would keep us for ever.
pub(super) async fn in_time<T>(
    place: &str,
    patience: Duration,
    part: impl Future<Output = reqwest::Result<T>>,
) -> Result<T, CliError> {
    match machine_timeout(patience, part).await {
        Some(came) => came.map_err(|error| Terms::OWN.failure(&error)),
        None => Err(silence(place, patience)),
    }
}

/// Nothing came for too long.
pub(super) fn silence(place: &str, patience: Duration) -> CliError {
    let seconds = patience.as_secs();
    CliError::failed(format!("nothing came from {place} for {seconds} s"))
}

/// The innermost reason, which says more than the outer ones.
fn cause(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(inner) = innermost.source() {
        innermost = inner;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_failure_tells_the_terms_of_its_own_client() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        // It lets everybody in and says nothing.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let place = format!("http://{}", listener.local_addr().unwrap());
        let client = upstream_client(None, Duration::from_millis(50)).unwrap();
        let terms = Terms::of_upstream(Duration::from_secs(7));
        let told = fetch_by(terms, client.get(&place)).await.unwrap_err();
        assert_eq!(
            told.to_string(),
            format!("{place} did not answer within 7 s")
        );
    }
}
