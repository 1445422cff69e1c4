//! What other nodes have this one do: give a stream away, cut a publisher, run an action whose stream is here.

use serde::Deserialize;
use serde_json::{Value, json};

use super::Cluster;
use crate::error::{ApiError, Code};
use crate::model::stream_key::StreamKey;
use crate::store::shared::Command;

/// The stream's name is wanted elsewhere.
pub(super) const YIELD: &str = "yield";
pub(super) const HELD: &str = "held";
const YIELDED: &str = "yielded";

#[derive(Deserialize)]
struct Stream {
    domain: String,
    app: String,
    stream: String,
    #[serde(default)]
    because: String,
}

impl Stream {
    fn key(&self) -> StreamKey {
        StreamKey::new(&self.domain, &self.app, &self.stream)
    }
}

#[derive(Deserialize)]
struct Call {
    action: String,
    params: Value,
    request_id: String,
}

impl Cluster {
    pub(super) async fn obey(&self, command: Command) {
        let result = self.carry_out(&command).await;
        if let Err(error) = self.store().answer_command(command.id, &result).await {
            tracing::warn!(%error, verb = command.verb, "another node does not learn what came of its command");
        }
    }

    async fn carry_out(&self, command: &Command) -> String {
        let unknown = |error: serde_json::Error| json!({"error": error.to_string()}).to_string();
        match command.verb.as_str() {
            YIELD => match serde_json::from_str::<Stream>(&command.args) {
                Ok(stream) if self.yield_stream(&stream.key()).await => YIELDED.to_owned(),
                Ok(_) => HELD.to_owned(),
                Err(error) => unknown(error),
            },
            "cut" => match serde_json::from_str::<Stream>(&command.args) {
                Ok(stream) => {
                    let found = self.app.hub.find(&stream.key());
                    if let Some(publisher) = &found {
                        self.app.hub.cut(publisher, &stream.because);
                    }
                    json!({"cut": found.is_some()}).to_string()
                }
                Err(error) => unknown(error),
            },
            "action" => match serde_json::from_str::<Call>(&command.args) {
                Ok(call) => self.call(call).await,
                Err(error) => unknown(error),
            },
            // A later version's.
            other => json!({"error": format!("{other} is not known here")}).to_string(),
        }
    }

    async fn call(&self, call: Call) -> String {
        let gateway = &self.app.gateway;
        let outcome = match gateway.registry.get(call.action.as_str()) {
            Some(def) => {
                let _busy = self.app.services.clock.busy();
                (def.run)(&gateway.context, call.params, &call.request_id).await
            }
            None => Err(ApiError::coded(Code::InternalError)),
        };
        match outcome {
            Ok(answer) => json!({"answer": String::from_utf8_lossy(&answer)}).to_string(),
            Err(error) => json!({
                "code": error.code.as_str(),
                "message": error.message,
                "status": error.status,
            })
            .to_string(),
        }
    }
}
