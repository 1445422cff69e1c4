//! The control plane of a running server, as the tools use it.

use reqwest::{Client, RequestBuilder};
use serde_json::Value;
use url::Url;

use super::http::{fetch, place};
use super::{CliError, variable};

/// A client of the routes under `/_localyun`.
#[derive(Debug)]
pub(super) struct Control<'a> {
    client: &'a Client,
    endpoint: &'a Url,
    token: Option<String>,
}

impl<'a> Control<'a> {
    /// With the token of the environment, which a server beyond loopback asks for.
    pub(super) fn new(client: &'a Client, endpoint: &'a Url) -> Self {
        Self {
            client,
            endpoint,
            token: variable("LOCALYUN_CONTROL_TOKEN"),
        }
    }

    /// Reads a route.
    pub(super) async fn get(&self, path: &str) -> Result<Value, CliError> {
        self.send(path, self.client.get(self.url(path)?)).await
    }

    /// Posts a JSON body to a route.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value, CliError> {
        let request = self.client.post(self.url(path)?).body(body.to_string());
        self.send(path, request.header("content-type", "application/json"))
            .await
    }

    async fn send(&self, path: &str, request: RequestBuilder) -> Result<Value, CliError> {
        let request = match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let answer = fetch(request).await?;
        if !answer.is_success() {
            let status = answer.status;
            return Err(CliError::failed(format!(
                "{} answers {status} to /_localyun/{path}: {}",
                place(self.endpoint),
                answer.brief()
            )));
        }
        serde_json::from_slice(&answer.body).map_err(|error| {
            CliError::failed(format!("/_localyun/{path} answers no JSON: {error}"))
        })
    }

    fn url(&self, path: &str) -> Result<Url, CliError> {
        self.endpoint
            .join(&format!("/_localyun/{path}"))
            .map_err(|error| CliError::failed(format!("/_localyun/{path}: {error}")))
    }
}
