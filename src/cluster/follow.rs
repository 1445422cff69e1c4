//! What happens on other nodes is told here too: each of them is followed, and what it tells of itself is appended to this node's list.

use std::collections::{HashMap, HashSet};

use serde_json::Value;
use tokio::task::JoinHandle;

use super::{Cluster, LOOK_EVERY};
use crate::clock;
use crate::events::Told;
use crate::store::streams::Peer;

/// Bytes that have come and are no whole event yet: many are written in one piece.
const MOST: usize = 8 << 20;

impl Cluster {
    /// Follows whoever is there, for ever.
    pub(super) async fn follow_others(self: std::sync::Arc<Self>) {
        let mut followed: HashMap<String, JoinHandle<()>> = HashMap::new();
        loop {
            if let Ok(peers) = self.store().peers().await {
                let mine = self.member.incarnation();
                let others: Vec<Peer> = peers
                    .into_iter()
                    .filter(|peer| peer.incarnation != *mine && !peer.inside.is_empty())
                    .collect();
                let there: HashSet<&str> =
                    others.iter().map(|it| it.incarnation.as_str()).collect();
                followed.retain(|incarnation, task| {
                    let stays = there.contains(incarnation.as_str());
                    if !stays {
                        task.abort();
                    }
                    stays
                });
                for peer in others {
                    let me = self.clone();
                    followed
                        .entry(peer.incarnation.clone())
                        .or_insert_with(|| tokio::spawn(async move { me.follow(peer).await }));
                }
            }
            clock::machine_sleep(LOOK_EVERY).await;
        }
    }

    async fn follow(&self, peer: Peer) {
        // What it told before this node was there is told as well.
        let mut place = 0;
        loop {
            if let Err(why) = self.hear(&peer, &mut place).await {
                tracing::debug!(why, node = peer.id, "what happens there is not heard of");
            }
            clock::machine_sleep(LOOK_EVERY).await;
        }
    }

    /// Reads on from a place in another node's list.
    async fn hear(&self, peer: &Peer, place: &mut u64) -> Result<(), String> {
        let path = format!("/_localyun/events?since={place}");
        let Some(mut response) = self.peers.open(&peer.inside, &path).await? else {
            return Err("it tells nothing".to_owned());
        };
        let mut held: Vec<u8> = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| error.to_string())? {
            held.extend_from_slice(&piece);
            if held.len() > MOST {
                return Err("an event is too long".to_owned());
            }
            while let Some(end) = held.windows(2).position(|two| two == b"\n\n") {
                let event: Vec<u8> = held.drain(..end + 2).collect();
                let event = String::from_utf8_lossy(&event);
                let data = event.lines().find_map(|line| line.strip_prefix("data: "));
                let told = data.and_then(|data| serde_json::from_str::<Value>(data).ok());
                if let Some(Value::Object(told)) = told
                    && let Some(told) = Told::read(told)
                {
                    *place = told.id;
                    self.app.services.events.tell_of(&peer.id, &told);
                }
            }
        }
        Ok(())
    }
}
