//! What other nodes have this one do: give a stream away, cut a publisher, run an action whose stream is here.

use serde::Deserialize;
use serde_json::json;

use super::Cluster;
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
            "action" => {
                let run = self.app.gateway.run_for_another_node(&command.args);
                run.await.unwrap_or_else(unknown)
            }
            // A later version's.
            other => json!({"error": format!("{other} is not known here")}).to_string(),
        }
    }
}
