//! The control plane of a running server, as the tools use it.

use std::time::Duration;

use reqwest::{Body, Client, RequestBuilder, Response};
use serde_json::Value;
use url::Url;

use super::http::{Terms, brief, fetch_by, place, silence};
use super::{CliError, variable};
use crate::clock::machine_timeout;
use crate::config::{NO_TOKEN, is_token};

/// Long enough for a server that is there.
const LISTENER_PATIENCE: Duration = Duration::from_secs(2);
/// Longer than anybody waits.
pub(super) const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// Where the token comes from.
const TOKEN_VARIABLE: &str = "LOCALYUN_CONTROL_TOKEN";

fn no_json(path: &str, error: &serde_json::Error) -> CliError {
    CliError::failed(format!("/_localyun/{path} answers no JSON: {error}"))
}

/// A client of the routes under `/_localyun`.
#[derive(Debug)]
pub(super) struct Control<'a> {
    client: &'a Client,
    endpoint: &'a Url,
    terms: Terms,
    token: Option<String>,
}

impl<'a> Control<'a> {
    /// With the token of the environment, which a server beyond loopback asks for.
    pub(super) fn new(client: &'a Client, endpoint: &'a Url) -> Self {
        Self {
            client,
            endpoint,
            terms: Terms::OWN,
            token: variable(TOKEN_VARIABLE),
        }
    }

    /// By a client of other terms.
    pub(super) fn by(self, terms: Terms) -> Self {
        Self { terms, ..self }
    }

    /// Reads a route.
    pub(super) async fn get(&self, path: &str) -> Result<Value, CliError> {
        self.send(path, self.client.get(self.url(path)?)).await
    }

    /// Reads a route with those parameters of the query that are there.
    pub(super) async fn ask(
        &self,
        path: &str,
        names: &[(&str, Option<String>)],
    ) -> Result<Value, CliError> {
        self.send(path, self.client.get(self.asked(path, names)?))
            .await
    }

    /// Reads a route that may take that long; the status says how it went.
    pub(super) async fn wait(
        &self,
        path: &str,
        names: &[(&str, Option<String>)],
        patience: Duration,
    ) -> Result<(u16, Value), CliError> {
        let request = self.client.get(self.asked(path, names)?).timeout(patience);
        let answer = fetch_by(self.terms, self.with_token(request)?).await?;
        let value: Option<Value> = serde_json::from_slice(&answer.body).ok();
        match value {
            // What has happened is told with it, also where that is too little.
            Some(value) if answer.is_success() || value.get("events").is_some() => {
                Ok((answer.status, value))
            }
            _ => Err(self.refused(path, answer.status, &answer.text())),
        }
    }

    /// Reads a route whose answer has no end, or may be long; its first word has to come in time.
    pub(super) async fn stream(
        &self,
        path: &str,
        names: &[(&str, Option<String>)],
        patience: Duration,
    ) -> Result<Response, CliError> {
        let request = self.client.get(self.asked(path, names)?);
        machine_timeout(patience, self.streamed(path, request))
            .await
            .unwrap_or_else(|| Err(silence(&place(self.endpoint), patience)))
    }

    /// Puts a body of any length.
    pub(super) async fn put_stream(&self, path: &str, body: Body) -> Result<Value, CliError> {
        let request = self.client.put(self.url(path)?).body(body);
        let request = request.header("content-type", "application/json");
        // What is wrong with the body is wrong with a file, and not with how it was asked.
        let response = self.streamed(path, request).await;
        let response = response.map_err(CliError::failed)?;
        let body = response.bytes().await.map_err(CliError::failed)?;
        serde_json::from_slice(&body).map_err(|error| no_json(path, &error))
    }

    async fn streamed(&self, path: &str, request: RequestBuilder) -> Result<Response, CliError> {
        let request = self.with_token(request.timeout(FOR_EVER))?;
        let failed = |error: reqwest::Error| self.terms.failure(&error);
        let response = request.send().await.map_err(failed)?;
        let status = response.status().as_u16();
        if (200..300).contains(&status) {
            return Ok(response);
        }
        let told = response.text().await.unwrap_or_default();
        Err(self.refused(path, status, &told))
    }

    fn with_token(&self, request: RequestBuilder) -> Result<RequestBuilder, CliError> {
        match &self.token {
            Some(token) if !is_token(token) => {
                Err(CliError::usage(format!("{TOKEN_VARIABLE}: {NO_TOKEN}")))
            }
            Some(token) => Ok(request.bearer_auth(token)),
            None => Ok(request),
        }
    }

    fn refused(&self, path: &str, status: u16, told: &str) -> CliError {
        let place = place(self.endpoint);
        let Ok(answer) = serde_json::from_str::<Value>(told) else {
            return CliError::failed(format!(
                "{place} answers {status} to /_localyun/{path}: {}; is that localyun? --endpoint (LOCALYUN_ENDPOINT) says where to ask",
                brief(told)
            ));
        };
        let error = answer.get("error").and_then(Value::as_str).unwrap_or(told);
        let told = format!("{place} answers {status} to /_localyun/{path}: {error}");
        // What the server finds wrong in a request the caller has written.
        if status == 400 {
            CliError::Usage(told)
        } else {
            CliError::Failed(told)
        }
    }

    fn asked(&self, path: &str, names: &[(&str, Option<String>)]) -> Result<Url, CliError> {
        let mut url = self.url(path)?;
        for (name, value) in names {
            if let Some(value) = value {
                url.query_pairs_mut().append_pair(name, value);
            }
        }
        Ok(url)
    }

    /// Where a listener of the server is (`rtmp`, `play`); none where the server does not say so within two seconds.
    pub(super) async fn listener(&self, name: &str) -> Option<String> {
        let health = machine_timeout(LISTENER_PATIENCE, self.get("health")).await;
        let health = health?.ok()?;
        let address = health.get(name)?.as_str()?;
        Some(address.to_owned())
    }

    /// Posts a JSON body to a route.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value, CliError> {
        let request = self.client.post(self.url(path)?).body(body.to_string());
        self.send(path, request.header("content-type", "application/json"))
            .await
    }

    async fn send(&self, path: &str, request: RequestBuilder) -> Result<Value, CliError> {
        let answer = fetch_by(self.terms, self.with_token(request)?).await?;
        if !answer.is_success() {
            return Err(self.refused(path, answer.status, &answer.text()));
        }
        serde_json::from_slice(&answer.body).map_err(|error| no_json(path, &error))
    }

    fn url(&self, path: &str) -> Result<Url, CliError> {
        self.endpoint
            .join(&format!("/_localyun/{path}"))
            .map_err(|error| CliError::failed(format!("/_localyun/{path}: {error}")))
    }
}
