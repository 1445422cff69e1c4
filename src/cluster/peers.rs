//! How a node reaches the others: by HTTP, at the address that each has in its row, with the token that all of them have.

use std::time::Duration;

use serde_json::Value;

use crate::clock;
use crate::store::streams::Peer;

/// Bytes of an answer at most.
const MOST: usize = 32 << 20;
/// Machine time in which a connection is made and the head of a stream comes.
const OPENING: Duration = Duration::from_secs(2);

/// The way to the other nodes.
pub(super) struct Peers {
    http: reqwest::Client,
    token: Option<String>,
}

impl Peers {
    pub(super) fn new(http: reqwest::Client, token: Option<String>) -> Self {
        Self { http, token }
    }

    fn request(
        &self,
        method: reqwest::Method,
        inside: &str,
        path: &str,
    ) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{inside}{path}"));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Has a node do something and waits for what came of it.
    ///
    /// # Errors
    /// It does not answer in time, or did not do it.
    pub(super) async fn tell(
        &self,
        peer: &Peer,
        verb: &str,
        args: &Value,
        patience: Duration,
    ) -> Result<Value, String> {
        let request = self
            .request(
                reqwest::Method::POST,
                &peer.inside,
                &format!("/node/{verb}"),
            )
            .header("content-type", "application/json")
            .body(args.to_string());
        answered(peer, request, patience).await
    }

    /// Asks a node for a route of the control plane.
    ///
    /// # Errors
    /// It does not answer in time, or refuses.
    pub(super) async fn get(
        &self,
        peer: &Peer,
        path: &str,
        patience: Duration,
    ) -> Result<Value, String> {
        let request = self.request(reqwest::Method::GET, &peer.inside, path);
        answered(peer, request, patience).await
    }

    /// Begins to read something that has no end. None: there is no such thing.
    ///
    /// # Errors
    /// The node does not answer, or refuses.
    pub(super) async fn open(
        &self,
        inside: &str,
        path: &str,
    ) -> Result<Option<reqwest::Response>, String> {
        let sent = self.request(reqwest::Method::GET, inside, path).send();
        let response = clock::machine_timeout(OPENING, sent)
            .await
            .ok_or("no answer")?
            .map_err(|error| error.to_string())?;
        match response.status().as_u16() {
            200 => Ok(Some(response)),
            404 => Ok(None),
            status => Err(format!("status {status}")),
        }
    }
}

async fn answered(
    peer: &Peer,
    request: reqwest::RequestBuilder,
    patience: Duration,
) -> Result<Value, String> {
    let named = |why: String| format!("node {} does not answer as it should: {why}", peer.id);
    // A node of an earlier version says no address.
    if peer.inside.is_empty() {
        return Err(named("it is of an earlier version".to_owned()));
    }
    let asking = async {
        let mut response = request.send().await.map_err(|error| error.to_string())?;
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| error.to_string())? {
            if body.len() + piece.len() > MOST {
                return Err("its answer is too long".to_owned());
            }
            body.extend_from_slice(&piece);
        }
        let value: Value = serde_json::from_slice(&body).unwrap_or_default();
        if response.status().as_u16() == 200 {
            return Ok(value);
        }
        let why = value.get("error").and_then(Value::as_str);
        Err(why.map_or_else(|| format!("status {}", response.status()), str::to_owned))
    };
    match clock::machine_timeout(patience, asking).await {
        Some(answer) => answer.map_err(named),
        None => Err(named(format!("nothing within {} ms", patience.as_millis()))),
    }
}
