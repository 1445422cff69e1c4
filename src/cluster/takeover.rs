//! Streams that became this node's: what earlier owners recorded of them is fetched, and taken up as after a restart.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;

use super::{Cluster, locked};
use crate::disk::held::Held;
use crate::live::recovery;
use crate::live::spool::folder as spool_folder;
use crate::model::stream_key::StreamKey;
use crate::store::streams::Taken;

/// Streams that are taken at a time, so that several nodes share a dead one's.
const PORTION: i64 = 20;
/// The folder, in the data folder, that fetched sessions lie in until they are whole.
const INCOMING: &str = "spool-incoming";

impl Cluster {
    /// Takes up what an earlier run on this data folder had, from its disk: at the start. Sessions of streams that are others' by now are put aside.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn take_up_own(&self) -> Result<usize, String> {
        let inherited = self.member.take_inherited();
        let hub = &self.app.hub;
        let mut own: HashMap<String, Taken> = HashMap::new();
        for taken in inherited {
            own.insert(taken.key.hash(), taken);
        }
        for (hash, taken) in &own {
            self.store().inherited(&self.member, hash, taken.epoch);
        }
        let taken = recovery::take_up_where(hub, |_| true, |key| own.contains_key(&key.hash()))
            .await
            .map_err(|error| error.to_string())?;
        // What an earlier run was still fetching is not on this disk.
        let (whole, torn): (Vec<_>, Vec<_>) =
            own.into_values().partition(|it| it.mirrors.len() <= 1);
        for it in &whole {
            self.arrived(it, &taken).await?;
        }
        if !torn.is_empty() {
            self.bring(torn).await?;
        }
        Ok(taken.len())
    }

    /// Declares dead whose lease is over, and takes streams that nobody owns.
    pub(super) async fn take_over(&self) -> Result<(), String> {
        let text = |error: crate::store::StoreError| error.to_string();
        if self.member.is_draining()
            || !self.member.holds()
            || *locked(&self.lived) != self.member.incarnation()
        {
            return Ok(());
        }
        if self.member.may_take_over() {
            for (node, _) in self
                .store()
                .declare_dead(&self.member)
                .await
                .map_err(text)?
            {
                tracing::warn!(
                    node,
                    "a node's lease is over: it is taken for dead, and its streams are taken over"
                );
            }
        }
        loop {
            let taken = self
                .store()
                .take_streams(&self.member, PORTION)
                .await
                .map_err(text)?;
            if taken.is_empty() {
                return Ok(());
            }
            self.app.services.metrics.taken_over(taken.len() as u64);
            tracing::info!(streams = taken.len(), "streams are taken over");
            self.bring(taken).await?;
        }
    }

    /// Fetches what earlier owners had of streams that are this node's now, each once.
    ///
    /// # Errors
    /// The object store or the database does not answer; the streams are this node's and not ready, and the next who asks tries again.
    pub(super) async fn bring(&self, taken: Vec<Taken>) -> Result<(), String> {
        let turns: BTreeSet<usize> = taken
            .iter()
            .map(|it| self.turn_number(&it.key.hash()))
            .collect();
        let mut held = Vec::new();
        for turn in turns {
            if let Some(turn) = self.turns.get(turn) {
                held.push(turn.lock().await);
            }
        }
        let open: Vec<Taken> = taken
            .into_iter()
            .filter(|it| {
                self.member
                    .find_owned(&it.key.hash())
                    .is_some_and(|owned| owned.epoch == it.epoch && !owned.is_ready)
            })
            .collect();
        if open.is_empty() {
            return Ok(());
        }
        let sessions = self.fetch(&open).await?;
        let hub = &self.app.hub;
        let up = recovery::take_up_where(hub, |name| sessions.contains(name), |_| true)
            .await
            .map_err(|error| error.to_string())?;
        for it in &open {
            self.arrived(it, &up).await?;
        }
        Ok(())
    }

    /// Brings the sessions of streams from the mirrors of earlier owners into the spool; their names.
    async fn fetch(&self, taken: &[Taken]) -> Result<HashSet<String>, String> {
        let mut sessions = HashSet::new();
        let Some(mirror) = &self.mirror else {
            return Ok(sessions);
        };
        let services = &self.app.services;
        let data = services
            .spool
            .parent()
            .map_or_else(PathBuf::new, PathBuf::from);
        let wrong = |error: std::io::Error| error.to_string();
        let held = Held::open(&data).map_err(wrong)?;
        // Streams with the same mirrors are fetched together.
        let mut by_mirrors: HashMap<&[String], HashSet<String>> = HashMap::new();
        for it in taken {
            let of = by_mirrors.entry(it.mirrors.as_slice()).or_default();
            of.insert(it.key.hash());
        }
        for (mirrors, hashes) in by_mirrors {
            let over = services
                .store
                .ended_sessions(&hashes)
                .await
                .map_err(|error| error.to_string())?;
            let place = format!("{INCOMING}-{}", crate::ids::ordered_id());
            let incoming = held.enter_or_make(&place).map_err(wrong)?;
            let found = mirror.fetch(mirrors, &hashes, &over, incoming.path()).await;
            let spool = Held::open(&services.spool).map_err(wrong)?;
            if let Ok(found) = &found {
                for session in found.values().flatten() {
                    // What this node had of it itself is older.
                    if spool.enter(session).is_ok() {
                        spool_folder::remove_session(&services.spool.join(session))
                            .map_err(wrong)?;
                    }
                    incoming.move_into(session, &spool).map_err(wrong)?;
                    sessions.insert(session.clone());
                }
            }
            let left: Vec<_> = incoming.entries().map_err(wrong)?;
            for (name, _) in left {
                let _ = spool_folder::remove_session(&incoming.path().join(name));
            }
            let _ = held.remove_folder(&place);
            found?;
        }
        Ok(sessions)
    }

    /// A stream's sessions are here: it may be published, its callbacks are sent, and its media go into this node's mirror.
    async fn arrived(&self, taken: &Taken, up: &HashMap<String, StreamKey>) -> Result<(), String> {
        let services = &self.app.services;
        let hash = taken.key.hash();
        let text = |error: crate::store::StoreError| error.to_string();
        let rows = services.store.open_sessions(&hash).await.map_err(text)?;
        if let Some(mirror) = &self.mirror {
            for (session, _) in up.iter().filter(|(_, key)| **key == taken.key) {
                let folder = services.spool.join(session);
                if let Err(error) = mirror.note_session(&folder, &hash) {
                    tracing::warn!(stream.key = %taken.key, %error, "a recording that was taken over is not in the mirror");
                }
            }
        }
        for row in rows {
            if !up.contains_key(&row.id) {
                tracing::warn!(stream.key = %taken.key, session = row.id, "nothing of a recording's open files is left: what is in the bucket is all of it");
                let ended = services.store.end_session(&row.id, row.ended_at);
                ended.await.map_err(text)?;
            }
        }
        let now = services.clock.now();
        services
            .store
            .end_pushes_of(&taken.key, now)
            .await
            .map_err(text)?;
        self.member.ready(&hash, taken.epoch);
        services.notifier.taken(services.clock.busy(), hash);
        if let Some(mirror) = &self.mirror {
            let (mirror, store) = (mirror.clone(), services.store.clone());
            let (member, taken) = (self.member.clone(), taken.clone());
            tokio::spawn(async move {
                let incarnation = member.incarnation();
                while let Err(why) = mirror.flush(&incarnation).await {
                    tracing::debug!(why, "earlier owners' mirrors are still needed");
                    crate::clock::machine_sleep(super::LOOK_EVERY).await;
                    if member.incarnation() != incarnation {
                        return;
                    }
                }
                if let Err(error) = store.absorbed(&member, &taken).await {
                    tracing::debug!(%error, "earlier owners' mirrors stay for longer");
                }
            });
        }
        Ok(())
    }
}
