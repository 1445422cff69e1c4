//! Streams that became this node's: what earlier owners recorded of them is fetched, and taken up as after a restart.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{MutexGuard, oneshot};

use super::{Asked, Cluster, ENTER_AGAIN, LAST_WORK, locked};
use crate::clock;
use crate::disk::held::Held;
use crate::live::recovery;
use crate::live::spool::folder as spool_folder;
use crate::model::stream_key::StreamKey;
use crate::store::StoreError;
use crate::store::streams::Taken;

/// Streams that are taken at a time, so that several nodes share a dead one's.
const PORTION: i64 = 20;
/// The folder, in the data folder, that fetched sessions lie in until they are whole.
const INCOMING: &str = "spool-incoming";

/// Names of sessions, by the hash of their stream's.
type Sessions = HashMap<String, HashSet<String>>;

/// Streams whose sessions somebody waits for.
pub(super) struct Wanted {
    taken: Vec<Taken>,
    to: oneshot::Sender<Result<Sessions, String>>,
}

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
        // Whoever asks for one of them waits until it is here: given away before, it would go on here as well.
        let _turns = self.take_turns(own.keys()).await;
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
            self.bring_in_turn(torn).await?;
        }
        Ok(taken.len())
    }

    /// Takes the turns of streams, in an order that everybody keeps.
    async fn take_turns(&self, hashes: impl Iterator<Item = &String>) -> Vec<MutexGuard<'_, ()>> {
        let turns: BTreeSet<usize> = hashes.map(|hash| self.turn_number(hash)).collect();
        let mut held = Vec::with_capacity(turns.len());
        for turn in turns {
            if let Some(turn) = self.turns.get(turn) {
                held.push(turn.lock().await);
            }
        }
        held
    }

    /// Declares dead whose lease is over, and takes streams that nobody owns.
    pub(super) async fn take_over(&self) -> Result<(), String> {
        let text = |error: StoreError| error.to_string();
        if self.member.is_draining() || !self.member.holds() || !self.is_itself() {
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
        if self.unsure.swap(false, Ordering::AcqRel) {
            let asked = Asked::of(&self.unsure);
            self.store().own_again(&self.member).await.map_err(text)?;
            asked.answered();
        }
        // What could not be fetched so far: an encoder may be elsewhere, and nobody else would ask.
        let unready = self
            .store()
            .unready_streams(&self.member)
            .await
            .map_err(text)?;
        if let Err(error) = self.bring(unready).await {
            tracing::warn!(%error, "streams of this node's that lie elsewhere cannot be fetched yet");
        }
        loop {
            let asked = Asked::of(&self.unsure);
            let taken = self
                .store()
                .take_streams(&self.member, PORTION)
                .await
                .map_err(text)?;
            asked.answered();
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
        let hashes: Vec<String> = taken.iter().map(|it| it.key.hash()).collect();
        let _turns = self.take_turns(hashes.iter()).await;
        self.bring_in_turn(taken).await
    }

    /// As [`Self::bring`], where the streams' turns are held already.
    pub(super) async fn bring_in_turn(&self, taken: Vec<Taken>) -> Result<(), String> {
        self.check_itself()?;
        let open: Vec<Taken> = taken
            .into_iter()
            .filter(|it| {
                self.member
                    .find_owned(&it.key.hash())
                    .is_some_and(|owned| owned.epoch == it.epoch && !owned.is_ready)
            })
            .collect();
        let open = self.give_up(open).await;
        if open.is_empty() {
            return Ok(());
        }
        let hub = &self.app.hub;
        let mut sessions = self.fetch_along(&open).await?;
        let (mine, lost): (Vec<_>, Vec<_>) = open.into_iter().partition(|it| {
            let owned = self.member.find_owned(&it.key.hash());
            owned.is_some_and(|owned| owned.epoch == it.epoch)
        });
        for it in lost {
            // Declared dead while it fetched: another node fetches the same.
            for session in sessions.remove(&it.key.hash()).unwrap_or_default() {
                let folder = self.app.services.spool.join(session);
                spool_folder::remove_session(&folder).map_err(|error| error.to_string())?;
            }
        }
        let open = mine;
        let sessions: HashSet<String> = sessions.into_values().flatten().collect();
        let up = recovery::take_up_where(hub, |name| sessions.contains(name), |_| true)
            .await
            .map_err(|error| error.to_string())?;
        self.check_itself()?;
        for it in &open {
            self.arrived(it, &up).await?;
        }
        Ok(())
    }

    /// Gives up what an earlier try, or an earlier ownership, left of streams that are not ready: nothing is published there. Those come back of
    /// which nothing is being made any more; a file under way would be read from a folder that the fetch puts another one in the place of.
    async fn give_up(&self, mut open: Vec<Taken>) -> Vec<Taken> {
        let hub = &self.app.hub;
        let mut left = Vec::new();
        for it in &open {
            if let Some(recorder) = hub.find_recorder(&it.key) {
                self.member.unready(&it.key.hash(), it.epoch);
                recorder.part();
                left.push(recorder);
            }
        }
        if left.is_empty() {
            return open;
        }
        // Its last bytes are noted as that session's, which the same one from elsewhere is about to replace.
        self.app.services.disk.settle().await;
        let _ = clock::machine_timeout(LAST_WORK, async {
            while left.iter().any(|recorder| recorder.has_work()) {
                clock::machine_sleep(ENTER_AGAIN).await;
            }
        })
        .await;
        for recorder in left {
            if recorder.has_work() {
                tracing::debug!(stream.key = %recorder.key, "something is still being made of the stream: it is fetched later");
                open.retain(|it| it.key != recorder.key);
            } else {
                hub.drop_recorder(&recorder.key);
            }
        }
        open
    }

    /// What is taken up while an earlier life is being forgotten is forgotten with it: it is no stream that is here.
    fn check_itself(&self) -> Result<(), String> {
        if self.is_itself() {
            return Ok(());
        }
        Err("this node joins anew".to_owned())
    }

    /// As [`Self::fetch`], together with whatever else waits to be fetched: when a node is gone its encoders come back one by one and at once,
    /// and what they need lies in the same objects.
    async fn fetch_along(&self, taken: &[Taken]) -> Result<Sessions, String> {
        loop {
            let (to, mut answer) = oneshot::channel();
            locked(&self.wanted).push(Wanted {
                taken: taken.to_vec(),
                to,
            });
            {
                let _one = self.fetching.lock().await;
                match answer.try_recv() {
                    Ok(done) => return done,
                    // Whoever took it over was interrupted; a channel that has said so is not asked again.
                    Err(TryRecvError::Closed) => continue,
                    Err(TryRecvError::Empty) => {}
                }
                let all = std::mem::take(&mut *locked(&self.wanted));
                let streams: Vec<Taken> = all.iter().flat_map(|it| it.taken.clone()).collect();
                let found = self.fetch(&streams).await;
                for wanted in all {
                    let hashes = wanted.taken.iter().map(|it| it.key.hash());
                    let mine = found.clone().map(|mut found| {
                        hashes
                            .filter_map(|hash| found.remove_entry(&hash))
                            .collect()
                    });
                    // Whoever does not wait any more has given its push up.
                    let _ = wanted.to.send(mine);
                }
            }
            match answer.await {
                Ok(done) => return done,
                // Whoever fetched it was interrupted.
                Err(_) => clock::machine_sleep(ENTER_AGAIN).await,
            }
        }
    }

    /// Brings the sessions of streams from the mirrors of earlier owners into the spool; their names, by the hash of the stream's.
    async fn fetch(&self, taken: &[Taken]) -> Result<Sessions, String> {
        let Some(mirror) = &self.mirror else {
            return Ok(HashMap::new());
        };
        let services = &self.app.services;
        let data = services
            .spool
            .parent()
            .map_or_else(PathBuf::new, PathBuf::from);
        let wrong = |error: std::io::Error| error.to_string();
        let held = Held::open(&data).map_err(wrong)?;
        let hashes: HashSet<String> = taken.iter().map(|it| it.key.hash()).collect();
        let over = services.store.ended_sessions(&hashes).await;
        let over = over.map_err(|error| error.to_string())?;
        let place = format!("{INCOMING}-{}", crate::ids::ordered_id());
        let incoming = held.enter_or_make(&place).map_err(wrong)?;
        let found = mirror.fetch(&steps(taken), &over, incoming.path()).await;
        let spool = Held::open(&services.spool).map_err(wrong)?;
        if let Ok(found) = &found {
            for session in found.values().flatten() {
                // What this node had of it itself is older.
                if spool.enter(session).is_ok() {
                    spool_folder::remove_session(&services.spool.join(session)).map_err(wrong)?;
                }
                let folder = incoming.path().join(session);
                if let Some(first) = spool_folder::last_run(&folder).map_err(wrong)? {
                    spool_folder::drop_segments(&folder, |it| it < first).map_err(wrong)?;
                }
                incoming.move_into(session, &spool).map_err(wrong)?;
            }
            locked(&self.handed).retain(|it| !found.contains_key(&it.hash));
        }
        let left: Vec<_> = incoming.entries().map_err(wrong)?;
        for (name, _) in left {
            let _ = spool_folder::remove_session(&incoming.path().join(name));
        }
        let _ = held.remove_folder(&place);
        found
    }

    /// A stream's sessions are here: it may be published, its callbacks are sent, and its media go into this node's mirror.
    async fn arrived(&self, taken: &Taken, up: &HashMap<String, StreamKey>) -> Result<(), String> {
        let services = &self.app.services;
        let hash = taken.key.hash();
        let text = |error: StoreError| error.to_string();
        let fence = services.store.fence(&hash);
        let rows = services.store.open_sessions(&hash).await.map_err(text)?;
        if let Some(mirror) = &self.mirror {
            for (session, _) in up.iter().filter(|(_, key)| **key == taken.key) {
                let folder = services.spool.join(session);
                match mirror.note_session(&folder, &hash) {
                    // It had ended, and all of it is made by now.
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    Err(error) => {
                        tracing::warn!(stream.key = %taken.key, %error, "a recording that was taken over is not in the mirror");
                    }
                    Ok(()) => {}
                }
            }
        }
        for row in rows {
            if !up.contains_key(&row.id) {
                tracing::warn!(stream.key = %taken.key, session = row.id, "nothing of a recording's open files is left: what is in the bucket is all of it");
                let ended = services.store.end_session(&row.id, row.ended_at, &fence);
                match ended.await {
                    // Another node has the stream by now, and may have found more.
                    Err(StoreError::Fenced) => return Ok(()),
                    done => done.map_err(text)?,
                }
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
                    clock::machine_sleep(super::LOOK_EVERY).await;
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

/// Whose mirrors are read, in this order, and of which streams. Each stream's older ones come before its newer ones; the newest of all, which is
/// the same one's as a rule, is read once.
fn steps(taken: &[Taken]) -> Vec<(&str, HashSet<String>)> {
    let most = taken.iter().map(|it| it.mirrors.len()).max().unwrap_or(0);
    let mut steps = Vec::new();
    for before_last in (0..most).rev() {
        let mut of: BTreeMap<&str, HashSet<String>> = BTreeMap::new();
        for it in taken {
            let at = it.mirrors.len().checked_sub(before_last + 1);
            if let Some(name) = at.and_then(|at| it.mirrors.get(at)) {
                of.entry(name).or_default().insert(it.key.hash());
            }
        }
        steps.extend(of);
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_mirror_is_read_once_and_after_the_older_ones() {
        let taken = |name: &str, mirrors: &[&str]| Taken {
            key: StreamKey::new("d", "a", name),
            epoch: 1,
            mirrors: mirrors.iter().map(|it| (*it).to_owned()).collect(),
        };
        let all = [
            taken("one", &["x"]),
            taken("two", &["y", "x"]),
            taken("three", &["z", "y", "x"]),
            taken("none", &[]),
        ];
        let hash = |number: usize| all[number].key.hash();
        let expected = [
            ("z", HashSet::from([hash(2)])),
            ("y", HashSet::from([hash(1), hash(2)])),
            ("x", HashSet::from([hash(0), hash(1), hash(2)])),
        ];
        assert_eq!(steps(&all), expected);
    }
}
