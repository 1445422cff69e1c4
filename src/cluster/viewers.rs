//! How many watch at other nodes: each is asked for those of its own, for as long as lists ask.

use futures_util::future::{BoxFuture, join_all};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{ASKED, Cluster};
use crate::live::hub::Others;
use crate::model::stream_key::StreamKey;

/// What a node is asked for. One of the version before does not know it, and is left out.
pub(super) const VERB: &str = "viewers";

#[derive(Deserialize)]
struct Question {
    domain: String,
}

#[derive(Serialize, Deserialize)]
struct Watched {
    app: String,
    stream: String,
    viewers: u64,
}

#[derive(Serialize, Deserialize)]
struct Answer {
    watched: Vec<Watched>,
}

impl Cluster {
    /// Those that this node has, for another one.
    pub(super) fn viewers_here(&self, args: Value) -> Result<Value, String> {
        let asked: Question = serde_json::from_value(args).map_err(|e| e.to_string())?;
        let all = self.app.services.meter.watched(&asked.domain).into_iter();
        let watched = all.map(|it| Watched {
            app: it.key.app,
            stream: it.key.stream,
            viewers: it.viewers,
        });
        Ok(json!(Answer {
            watched: watched.collect(),
        }))
    }

    async fn viewers_elsewhere(&self, domain: &str) -> Vec<(StreamKey, u64)> {
        let peers = self.other_peers().await;
        let args = json!({"domain": domain});
        let asked = peers
            .iter()
            .map(|peer| self.peers.tell(peer, VERB, &args, ASKED));
        let mut all = Vec::new();
        for told in join_all(asked).await {
            let answer = told.and_then(|told| {
                serde_json::from_value::<Answer>(told).map_err(|error| error.to_string())
            });
            match answer {
                Ok(answer) => all.extend(answer.watched.into_iter().map(|it| {
                    let key = StreamKey::new(domain, &it.app, &it.stream);
                    (key, it.viewers)
                })),
                Err(why) => tracing::debug!(why, "a node's viewers are left out"),
            }
        }
        all
    }
}

impl Others for Cluster {
    fn watched<'a>(&'a self, domain: &'a str) -> BoxFuture<'a, Vec<(StreamKey, u64)>> {
        Box::pin(self.viewers_elsewhere(domain))
    }
}
