//! This process as one of several nodes: how pushes come in, what it takes over from nodes that are gone, what others have it do, and how
//! it gives away what it has when it stops. Without `--cluster on` nothing of this runs. The rules stand in docs/design/cluster.md.

mod barrier;
mod batch;
mod follow;
mod kept;
mod ledger;
pub mod mirror;
mod orders;
mod peers;
mod relay;
mod takeover;
mod viewers;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::app::{Answered, App, Middle, Moved, Nodes, To};
use crate::clock;
use crate::live::hub::{Arriving, Entrance, PublishError, Publisher};
use crate::live::ingest::kept_out;
use crate::live::spool::folder as spool_folder;
use crate::live::spool::put_aside_taken;
use crate::model::stream_key::StreamKey;
use crate::store::Store;
use crate::store::member::Member;
use crate::store::shared::PATIENCE;
use crate::store::streams::{Entry, Owner, Peer, Published};
use mirror::Mirror;
use peers::Peers;
use relay::Relays;

/// Between two looks at what others did.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Between two sweeps of the mirror.
const SWEEP_EVERY: Duration = Duration::from_secs(5);
/// Between two turns of what one node does for all.
const JOB_EVERY: Duration = Duration::from_secs(20);
/// How long a stream that nothing is done with any more stays this node's.
const LINGER: Duration = Duration::from_secs(5);
/// Between two tries to take a name that is about to be free.
const ENTER_AGAIN: Duration = Duration::from_millis(100);
/// How long beyond a lease a push waits for its name.
const ENTER_PATIENCE: Duration = Duration::from_secs(4);
/// Milliseconds after which a callback that nobody's stream stands for is sent by whoever has the job.
const OWNERLESS_MS: i64 = 3_000;
/// Milliseconds for which a temporary key that has ended is still told to have ended, and is not unknown.
const KEYS_TOLD_MS: i64 = 24 * 60 * 60 * 1000;
/// For what publishers have sent when a node stops.
const LAST_LOOK: Duration = Duration::from_secs(2);
/// For the last flush of the mirror.
const LAST_FLUSH: Duration = Duration::from_secs(10);
/// For what another node says of itself in a list.
const ASKED: Duration = Duration::from_millis(500);
/// For what is under way when a node stops.
const LAST_WORK: Duration = Duration::from_millis(1_500);
/// Turns at streams: two streams seldom share one.
const TURNS: usize = 1_024;

/// A session that another node goes on with; what it left here goes when that node has all of it.
struct Handed {
    hash: String,
    incarnation: Arc<str>,
    folder: PathBuf,
}

/// What a try to let a push in came to.
enum Tried {
    In,
    Others(Owner),
    Again,
}

/// A push that is being let in. It counts as coming from here on; once it is in, until it is registered, else until this goes.
struct Trying<'a> {
    cluster: &'a Cluster,
    key: &'a StreamKey,
    is_in: bool,
}

impl<'a> Trying<'a> {
    fn new(cluster: &'a Cluster, key: &'a StreamKey) -> Self {
        *locked(&cluster.coming).entry(key.hash()).or_default() += 1;
        Self {
            cluster,
            key,
            is_in: false,
        }
    }
}

impl Drop for Trying<'_> {
    fn drop(&mut self) {
        if !self.is_in {
            self.cluster.settled(self.key);
        }
    }
}

/// The database is asked to make streams this node's. Where no answer comes it may have done so all the same.
struct Asked<'a>(Option<&'a AtomicBool>);

impl<'a> Asked<'a> {
    fn of(unsure: &'a AtomicBool) -> Self {
        Self(Some(unsure))
    }

    fn answered(mut self) {
        self.0 = None;
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if let Some(unsure) = self.0 {
            unsure.store(true, Ordering::Release);
        }
    }
}

/// What the others were told of a publisher.
#[derive(PartialEq, Eq, Clone)]
struct Told {
    id: u64,
    facts: String,
}

pub struct Cluster {
    me: Weak<Self>,
    app: Arc<App>,
    member: Arc<Member>,
    mirror: Option<Arc<Mirror>>,
    /// Wakes the look.
    wake: Arc<Notify>,
    turns: Vec<tokio::sync::Mutex<()>>,
    /// The incarnation that what lives here belongs to.
    lived: Mutex<Arc<str>>,
    handed: Mutex<Vec<Handed>>,
    told: Mutex<HashMap<String, Told>>,
    /// Since when nothing is done with a stream.
    idle: Mutex<HashMap<String, Instant>>,
    /// How many pushes of a stream were let in whose publishers are not registered yet.
    coming: Mutex<HashMap<String, usize>>,
    /// Pushes that ended, or came to nothing, since the last look.
    over: Mutex<HashSet<String>>,
    /// The database may have made streams this node's without its knowing: an answer was lost.
    unsure: AtomicBool,
    /// The version of the documents that what is live here goes by. What the store remembers is noted by each call and each change.
    heeded: AtomicI64,
    /// Callbacks of nobody's streams that were handed to the sender.
    sent: Mutex<HashSet<i64>>,
    peers: Peers,
    relays: Relays,
    /// The clock of this node, while one of them moves that of all.
    held: tokio::sync::Mutex<Option<barrier::Held>>,
    /// Streams whose sessions are to be fetched, and who fetches.
    wanted: Mutex<Vec<takeover::Wanted>>,
    fetching: tokio::sync::Mutex<()>,
    /// While all nodes forget: pushes wait here.
    resting: Mutex<Option<barrier::Resting>>,
    /// What of this node would lead.
    leading: tokio::sync::Mutex<()>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cluster {
    /// `token` is what nodes show each other.
    #[must_use]
    pub fn new(
        app: Arc<App>,
        member: Arc<Member>,
        mirror: Option<Arc<Mirror>>,
        token: Option<String>,
    ) -> Arc<Self> {
        let lived = Mutex::new(member.incarnation());
        let peers = Peers::new(app.services.http.clone(), token);
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            app,
            member,
            mirror,
            wake: Arc::default(),
            turns: (0..TURNS).map(|_| tokio::sync::Mutex::default()).collect(),
            lived,
            handed: Mutex::default(),
            told: Mutex::default(),
            idle: Mutex::default(),
            coming: Mutex::default(),
            unsure: AtomicBool::new(false),
            heeded: AtomicI64::new(0),
            over: Mutex::default(),
            sent: Mutex::default(),
            peers,
            relays: Relays::default(),
            held: tokio::sync::Mutex::default(),
            wanted: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
            resting: Mutex::default(),
            leading: tokio::sync::Mutex::default(),
        })
    }

    /// The nodes beside this one; none where the database does not answer.
    async fn other_peers(&self) -> Vec<Peer> {
        let mine = self.member.incarnation();
        let mut peers = self.store().peers().await.unwrap_or_default();
        peers.retain(|peer| peer.incarnation != *mine);
        peers
    }

    fn store(&self) -> &Store {
        &self.app.services.store
    }

    /// Starts what a node does all the time. `database_url` is where notifications come from.
    pub fn run(self: &Arc<Self>, database_url: &str) -> Vec<JoinHandle<()>> {
        self.app.hub.guard(self.clone());
        self.app.hub.join(self.clone());
        self.app.join(self.clone());
        let listening = self.store().clone();
        let listening = listening.listen(database_url.to_owned(), self.wake.clone());
        let mut tasks = vec![tokio::spawn(listening)];
        let me = self.clone();
        tasks.push(tokio::spawn(async move {
            loop {
                let _ = clock::machine_timeout(LOOK_EVERY, me.wake.notified()).await;
                if let Err(error) = me.look().await {
                    tracing::debug!(%error, "what the other nodes did cannot be looked at");
                }
            }
        }));
        let me = self.clone();
        tasks.push(tokio::spawn(async move {
            let mut kept = None;
            loop {
                clock::machine_sleep(LOOK_EVERY).await;
                if let Err(error) = me.keep_time(&mut kept).await {
                    tracing::debug!(%error, "the clock of all nodes cannot be looked at");
                }
            }
        }));
        tasks.push(tokio::spawn(self.clone().follow_others()));
        let me = self.clone();
        tasks.push(tokio::spawn(async move {
            loop {
                clock::machine_sleep(LOOK_EVERY).await;
                if let Err(error) = me.take_over().await {
                    tracing::warn!(%error, "streams without a node cannot be taken over yet");
                }
            }
        }));
        let me = self.clone();
        tasks.push(tokio::spawn(async move {
            let mut rejoined = me.member.rejoined();
            while rejoined.changed().await.is_ok() {
                me.start_anew().await;
            }
        }));
        let me = self.clone();
        tasks.push(tokio::spawn(async move {
            loop {
                clock::machine_sleep(JOB_EVERY).await;
                if let Err(error) = me.do_jobs().await {
                    tracing::debug!(%error, "what one node does for all waits");
                }
            }
        }));
        if let Some(mirror) = &self.mirror {
            let (me, kept) = (self.clone(), mirror.clone());
            tasks.push(tokio::spawn(async move { me.keep_mirror(&kept).await }));
            let (me, mirror) = (self.clone(), mirror.clone());
            tasks.push(tokio::spawn(async move { me.tidy_mirror(&mirror).await }));
        }
        tasks
    }

    async fn keep_mirror(&self, mirror: &Mirror) {
        let mut is_away = false;
        let mut rest = mirror.beat();
        loop {
            clock::machine_sleep(rest).await;
            let began = clock::monotonic();
            rest = mirror.beat();
            let incarnation = locked(&self.lived).clone();
            if incarnation != self.member.incarnation() {
                // What is noted is of the life before, and about to be forgotten: it has no place in the mirror of this one.
                continue;
            }
            let flushed = mirror.flush(&incarnation).await;
            self.app.services.metrics.mirror_lag(mirror.lag());
            match flushed {
                Ok(bytes) => {
                    self.app.services.metrics.mirrored(bytes);
                    rest = mirror.rest(began.elapsed());
                    if std::mem::take(&mut is_away) {
                        tracing::info!("the mirror has caught up");
                    }
                }
                Err(why) => {
                    if !std::mem::replace(&mut is_away, true) {
                        tracing::warn!(
                            why,
                            "the mirror falls behind: were this node lost now, so were the media that are not in the object store"
                        );
                    }
                    clock::machine_sleep(mirror.beat().min(LOOK_EVERY)).await;
                }
            }
        }
    }

    /// Beside the flushes: a sweep of many streams is a hundred requests one after the other, and what was recorded meanwhile would be older by as much
    /// when it is in the store.
    async fn tidy_mirror(&self, mirror: &Mirror) {
        loop {
            clock::machine_sleep(SWEEP_EVERY).await;
            let incarnation = locked(&self.lived).clone();
            let may = || self.member.holds() && self.member.incarnation() == incarnation;
            if let Err(why) = mirror.sweep(&incarnation, may).await {
                tracing::debug!(why, "the mirror is not tidied up");
            }
        }
    }

    // ---- the look, each second ----

    async fn look(self: &Arc<Self>) -> Result<(), String> {
        let metrics = &self.app.services.metrics;
        metrics.lease_left(self.member.left());
        if let Some(mirror) = &self.mirror {
            metrics.mirror_lag(mirror.lag());
        }
        if !self.member.holds() {
            return Ok(());
        }
        let text = |error: crate::store::StoreError| error.to_string();
        for command in self
            .store()
            .take_commands(&self.member)
            .await
            .map_err(text)?
        {
            let me = self.clone();
            tokio::spawn(async move { me.obey(command).await });
        }
        let versions = self.store().versions().await.map_err(text)?;
        self.store()
            .refresh_to(versions.rules)
            .await
            .map_err(text)?;
        if let Err(error) = self.heed_documents(versions.documents).await {
            tracing::debug!(%error, "what the other nodes changed has no effect yet");
        }
        self.tell_publishers().await.map_err(text)?;
        self.release().await.map_err(text)?;
        self.clear_handed().await.map_err(text)
    }

    /// Has what is live here follow the settings, where any node has changed some: whoever forbade a stream or stopped a domain need not have
    /// reached this node.
    async fn heed_documents(&self, version: i64) -> Result<(), crate::store::StoreError> {
        self.store().note_documents(version);
        if self.heeded.load(Ordering::Acquire) == version {
            return Ok(());
        }
        kept_out::cut(&self.app.hub).await?;
        let certificates = &self.app.services.certificates;
        certificates.reread(self.store()).await?;
        self.heeded.store(version, Ordering::Release);
        Ok(())
    }

    /// Tells the others who publishes here. A publisher of a stream that is another node's by now is cut.
    async fn tell_publishers(&self) -> Result<(), crate::store::StoreError> {
        let mut over = std::mem::take(&mut *locked(&self.over));
        // Before the publishers: whoever is registered in between is among those.
        let coming: HashSet<String> = locked(&self.coming).keys().cloned().collect();
        let publishers = self.app.hub.publishers();
        let mut here: BTreeMap<String, Arc<Publisher>> = BTreeMap::new();
        for publisher in publishers {
            let hash = publisher.key.hash();
            if self.member.find_owned(&hash).is_some() {
                here.insert(hash, publisher);
            } else if self.is_itself() {
                let why = "another node has the stream by now";
                self.app.hub.cut(&publisher, why);
            }
        }
        for (hash, publisher) in &here {
            let told = Told {
                id: publisher.id,
                facts: serde_json::to_string(&publisher.facts()).unwrap_or_default(),
            };
            if locked(&self.told).get(hash) == Some(&told) {
                continue;
            }
            let published = published(publisher, told.facts.clone());
            self.store()
                .tell_publisher(&self.member, hash, &published)
                .await?;
            locked(&self.told).insert(hash.clone(), told);
        }
        over.extend(locked(&self.told).keys().cloned());
        over.retain(|hash| {
            !here.contains_key(hash) && !coming.contains(hash) && !self.is_coming(hash)
        });
        let mut over = over.into_iter();
        while let Some(hash) = over.next() {
            if let Some(owned) = self.member.find_owned(&hash) {
                let told = self
                    .store()
                    .left_stream(&self.member, &hash, owned.epoch)
                    .await;
                if let Err(error) = told {
                    locked(&self.over).extend(over.chain([hash]));
                    return Err(error);
                }
            }
            locked(&self.told).remove(&hash);
        }
        Ok(())
    }

    /// Gives back the names of streams that nothing is left to do with.
    async fn release(&self) -> Result<(), crate::store::StoreError> {
        let hub = &self.app.hub;
        let mut busy: HashSet<String> = HashSet::new();
        let mut keys: HashMap<String, StreamKey> = HashMap::new();
        for publisher in hub.publishers() {
            busy.insert(publisher.key.hash());
        }
        busy.extend(locked(&self.coming).keys().cloned());
        for recorder in hub.all_recorders() {
            let hash = recorder.key.hash();
            if !recorder.is_idle() {
                busy.insert(hash.clone());
            }
            keys.insert(hash, recorder.key.clone());
        }
        let owned = self.member.all_owned();
        let now = clock::monotonic();
        let over: Vec<_> = {
            let mut idle = locked(&self.idle);
            idle.retain(|hash, _| !busy.contains(hash) && owned.iter().any(|(it, _)| it == hash));
            let quiet = owned
                .into_iter()
                .filter(|(hash, it)| it.is_ready && !busy.contains(hash));
            quiet
                .filter(|(hash, _)| {
                    let since = *idle.entry(hash.clone()).or_insert(now);
                    now.saturating_duration_since(since) >= LINGER
                })
                .collect()
        };
        for (hash, it) in over {
            // Whoever has the turn may wait for the store: it is not waited for, since all that a node is told waits for this.
            let Ok(_turn) = self.turn_of(&hash).try_lock() else {
                continue;
            };
            if self.is_coming(&hash) {
                continue;
            }
            let publishes = |it: &Arc<Publisher>| it.key.hash() == hash;
            if !keys.contains_key(&hash) && hub.publishers().iter().any(publishes) {
                continue;
            }
            if let Some(key) = keys.get(&hash) {
                if hub.find(key).is_some() {
                    continue;
                }
                // Whoever publishes next gets one of its own epoch.
                hub.drop_recorder(key);
            }
            self.store()
                .release_stream(&self.member, &hash, it.epoch)
                .await?;
        }
        Ok(())
    }

    async fn clear_handed(&self) -> Result<(), crate::store::StoreError> {
        let mut waiting = std::mem::take(&mut *locked(&self.handed)).into_iter();
        while let Some(handed) = waiting.next() {
            // Not while the stream is being brought back, nor while it is here again: the folder may be the one that goes on.
            let turn = self.turn_of(&handed.hash).try_lock();
            if turn.is_err() || self.member.find_owned(&handed.hash).is_some() {
                locked(&self.handed).push(handed);
                continue;
            }
            let needed = self
                .store()
                .mirror_is_needed(&handed.hash, &handed.incarnation)
                .await;
            match needed {
                Ok(false) => {
                    if let Err(error) = spool_folder::remove_session(&handed.folder) {
                        tracing::warn!(%error, folder = %handed.folder.display(), "what is left of a recording that another node goes on with stays");
                    }
                }
                Ok(true) => locked(&self.handed).push(handed),
                Err(error) => {
                    locked(&self.handed).extend([handed].into_iter().chain(waiting));
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// What one node does for all.
    async fn do_jobs(&self) -> Result<(), String> {
        let text = |error: crate::store::StoreError| error.to_string();
        let store = self.store();
        if !self.member.holds() || self.member.is_draining() {
            return Ok(());
        }
        if !store
            .take_job(&self.member, "housekeeping", JOB_EVERY * 2)
            .await
            .map_err(text)?
        {
            return Ok(());
        }
        store.forget_shared().await.map_err(text)?;
        let services = &self.app.services;
        let ended = services.clock.now() - KEYS_TOLD_MS;
        store.forget_issued_keys(ended).await.map_err(text)?;
        let before = services.clock.now() - OWNERLESS_MS;
        let rows = store.ownerless_callbacks(before).await.map_err(text)?;
        let ids: HashSet<i64> = rows.iter().map(|row| row.id).collect();
        let new: Vec<i64> = {
            let mut sent = locked(&self.sent);
            sent.retain(|id| ids.contains(id));
            rows.iter()
                .map(|row| row.id)
                .filter(|id| sent.insert(*id))
                .collect()
        };
        for id in new {
            services.notifier.replay(services.clock.busy(), id);
        }
        if let Some(mirror) = &self.mirror {
            // In this order: whoever joins in between is among the needed.
            let found = mirror.incarnations().await?;
            let needed = store.needed_mirrors().await.map_err(text)?;
            for incarnation in found.iter().filter(|it| !needed.contains(it)) {
                let objects = mirror.remove(incarnation).await?;
                tracing::info!(
                    incarnation,
                    objects,
                    "the mirror of a node that is gone is removed"
                );
            }
        }
        Ok(())
    }

    fn turn_of(&self, hash: &str) -> &tokio::sync::Mutex<()> {
        let number = self.turn_number(hash);
        // There are as many as there are numbers.
        self.turns.get(number).unwrap_or(&self.turns[0])
    }

    async fn all_turns(&self) -> Vec<tokio::sync::MutexGuard<'_, ()>> {
        let mut held = Vec::with_capacity(self.turns.len());
        for turn in &self.turns {
            held.push(turn.lock().await);
        }
        held
    }

    fn turn_number(&self, hash: &str) -> usize {
        let sum: usize = hash.bytes().map(usize::from).sum();
        sum % self.turns.len().max(1)
    }

    // ---- declared dead ----

    /// This node was declared dead and has joined anew: what it had is others' now. Its publishers are cut, and come back through whatever
    /// leads them to a node; its sessions are left to their heirs.
    async fn start_anew(&self) {
        let hub = &self.app.hub;
        for publisher in hub.publishers() {
            hub.cut(&publisher, "this node was taken for dead; push again");
        }
        let mut sessions = Vec::new();
        for recorder in hub.all_recorders() {
            sessions.extend(recorder.part());
        }
        hub.drop_recorders();
        self.app.services.disk.settle().await;
        if let Some(mirror) = &self.mirror {
            mirror.forget();
        }
        for session in sessions {
            put_aside_taken(&self.app.services.spool.join(session));
        }
        locked(&self.handed).clear();
        locked(&self.told).clear();
        self.take_clock_back().await;
        *locked(&self.lived) = self.member.incarnation();
    }

    // ---- pushes come in ----

    async fn let_in(&self, push: &Arriving) -> Result<(), PublishError> {
        let began = clock::monotonic();
        let (key, hash) = (&push.key, push.key.hash());
        let patience = self.member.lease() + ENTER_PATIENCE;
        let published = Published {
            ingest_domain: push.ingest_domain.clone(),
            address: push.address.clone(),
            since: push.since,
            facts: "{}".to_owned(),
        };
        loop {
            match self.try_in(key, &hash, &published).await? {
                Tried::In => return Ok(()),
                Tried::Others(owner) if !owner.is_silent && !owner.is_draining => {
                    if self.is_held(&owner, key).await? {
                        return Err(PublishError::AlreadyPublished);
                    }
                }
                Tried::Others(_) | Tried::Again => clock::machine_sleep(ENTER_AGAIN).await,
            }
            if began.elapsed() >= patience {
                return Err(PublishError::Elsewhere(
                    "the node that has the stream does not give it away; push again".to_owned(),
                ));
            }
        }
    }

    /// Takes a stream's name where it is free, and brings here what others recorded of it. All of that is one turn: were the name given away and
    /// taken anew in the middle of it, somebody would publish what is not here yet, and be recorded into what is about to be fetched over it.
    async fn try_in(
        &self,
        key: &StreamKey,
        hash: &str,
        published: &Published,
    ) -> Result<Tried, PublishError> {
        let _turn = self.turn_of(hash).lock().await;
        // From before its row says so: whoever looks meanwhile takes the row for that of a push that is over otherwise.
        let mut trying = Trying::new(self, key);
        if !self.is_itself() {
            return Ok(Tried::Again);
        }
        let here = self.member.find_owned(hash);
        if here.is_some_and(|owned| owned.is_ready)
            && self.member.holds()
            && self.app.hub.find(key).is_some()
        {
            // Whoever publishes it here gives way, or does not.
            self.store().refresh().await?;
            let now = self.member.find_owned(hash);
            if !now.is_some_and(|owned| owned.is_ready) {
                return Ok(Tried::Again);
            }
            trying.is_in = true;
            return Ok(Tried::In);
        }
        let asked = Asked::of(&self.unsure);
        let entry = self
            .store()
            .enter_stream(&self.member, key, published)
            .await?;
        asked.answered();
        let (owned, taken, rules_version) = match entry {
            Entry::Others(owner) => return Ok(Tried::Others(owner)),
            Entry::Mine {
                owned,
                taken,
                rules_version,
            } => (owned, taken, rules_version),
        };
        self.store().refresh_to(rules_version).await?;
        if !owned.is_ready {
            self.bring_in_turn(vec![taken]).await.map_err(|why| {
                PublishError::Elsewhere(format!(
                    "what another node recorded of the stream cannot be fetched: {why}"
                ))
            })?;
        }
        let now = self.member.find_owned(hash);
        if !now.is_some_and(|now| now.is_ready && now.epoch == owned.epoch) {
            // Declared dead while it fetched.
            return Ok(Tried::Again);
        }
        trying.is_in = true;
        Ok(Tried::In)
    }

    /// Whether what lives here is this incarnation's: a node that was declared dead forgets first what it had.
    fn is_itself(&self) -> bool {
        *locked(&self.lived) == self.member.incarnation()
    }

    fn is_coming(&self, hash: &str) -> bool {
        locked(&self.coming).contains_key(hash)
    }

    /// Asks a stream's owner to give it away. True: somebody publishes it there.
    async fn is_held(&self, owner: &Owner, key: &StreamKey) -> Result<bool, PublishError> {
        let args = json!({"domain": key.domain, "app": key.app, "stream": key.stream}).to_string();
        let answer = self
            .store()
            .command(&owner.incarnation, orders::YIELD, &args, PATIENCE)
            .await?;
        Ok(answer.is_some_and(|answer| answer == orders::HELD))
    }

    // ---- a stream goes to another node ----

    /// Gives a stream to whoever takes it next. False: somebody publishes it here, or it cannot be given away now.
    async fn yield_stream(&self, key: &StreamKey) -> bool {
        let hash = key.hash();
        let _turn = self.turn_of(&hash).lock().await;
        let Some(owned) = self.member.find_owned(&hash) else {
            return true;
        };
        // Also where somebody publishes who would give way: he gives way to the one who comes.
        if self.is_coming(&hash) {
            return false;
        }
        if !owned.is_ready {
            // What is needed of it is elsewhere: whoever wants it fetches it from there. A try to bring it here may have left something that goes on.
            if let Some(recorder) = self.app.hub.find_recorder(key) {
                recorder.part();
                self.app.hub.drop_recorder(key);
            }
            let given = self.store().hand_over(&self.member, &hash, owned.epoch);
            return given.await.unwrap_or(false);
        }
        if !self.app.hub.give_way(key) {
            return false;
        }
        let recorder = self.app.hub.find_recorder(key);
        let Some(mirror) = &self.mirror else {
            // Without a mirror nothing can be gone on with elsewhere: the recording ends here.
            if let Some(recorder) = recorder {
                recorder.shutdown();
                let done = async {
                    while !recorder.is_idle() {
                        clock::machine_sleep(ENTER_AGAIN).await;
                    }
                };
                if clock::machine_timeout(PATIENCE, done).await.is_none() {
                    return false;
                }
            }
            self.app.hub.drop_recorder(key);
            return self
                .store()
                .hand_over(&self.member, &hash, owned.epoch)
                .await
                .unwrap_or(false);
        };
        // What is recorded is safe elsewhere before anything is let go.
        if let Some(recorder) = &recorder {
            recorder.flush();
        }
        self.app.services.disk.settle().await;
        let incarnation = self.member.incarnation();
        if let Err(why) = mirror.flush(&incarnation).await {
            tracing::warn!(stream.key = %key, why, "the stream cannot be given to another node: the mirror does not have it all");
            return false;
        }
        let session = recorder.and_then(|recorder| recorder.part());
        match self
            .store()
            .hand_over(&self.member, &hash, owned.epoch)
            .await
        {
            Ok(given) => {
                self.app.hub.drop_recorder(key);
                tracing::info!(stream.key = %key, "another node goes on with the stream");
                if let Some(session) = session {
                    locked(&self.handed).push(Handed {
                        hash,
                        incarnation,
                        folder: self.app.services.spool.join(session),
                    });
                }
                given
            }
            Err(error) => {
                tracing::error!(stream.key = %key, %error, "the stream was to be given away, and nobody could be told; this node goes on with it");
                self.member.unready(&hash, owned.epoch);
                false
            }
        }
    }

    /// Gives everything away, for the end of this process: publishers are closed and come back elsewhere, recordings go on there.
    pub async fn leave(&self) {
        if let Err(error) = self.member.drain().await {
            tracing::warn!(%error, "the other nodes do not know that this one stops");
        }
        let app = &self.app;
        app.hub.close();
        // After whatever the database took: what publishers have sent meanwhile is in their sockets up to a tick long.
        let _ = clock::machine_timeout(LAST_LOOK, app.hub.drain()).await;
        for publisher in app.hub.publishers() {
            publisher.kick();
            app.hub.unpublish(&publisher);
        }
        let Some(mirror) = &self.mirror else {
            app.hub.shutdown();
            app.services.disk.settle().await;
            app.services.clock.settle().await;
            return;
        };
        app.services.disk.settle().await;
        let incarnation = self.member.incarnation();
        let flushed = clock::machine_timeout(LAST_FLUSH, async {
            loop {
                match mirror.flush(&incarnation).await {
                    Ok(_) => return,
                    Err(why) => {
                        tracing::warn!(why, "the mirror does not have everything yet");
                        clock::machine_sleep(ENTER_AGAIN).await;
                    }
                }
            }
        });
        if flushed.await.is_none() {
            tracing::error!(
                "the object store takes nothing: the recordings end here, as far as it took them; the rest is in the data folder, under spool"
            );
            return;
        }
        let _ = clock::machine_timeout(LAST_WORK, app.services.clock.settle()).await;
        // Nothing is brought here any more, and what was being brought is here: it goes with the rest.
        let _turns = clock::machine_timeout(LAST_WORK, self.all_turns()).await;
        match self.store().hand_over_all(&self.member).await {
            Ok(streams) => {
                tracing::info!(streams, "the other nodes go on with what was recorded here");
                // What goes from this disk from here on is not finished: its copy is the heirs'.
                mirror.retire();
                for recorder in app.hub.all_recorders() {
                    // All of it is in the mirror.
                    let Some(session) = recorder.part() else {
                        continue;
                    };
                    let folder = app.services.spool.join(session);
                    if let Err(error) = spool_folder::remove_session(&folder) {
                        tracing::warn!(%error, folder = %folder.display(), "what is left of a recording that another node goes on with stays");
                    }
                }
                app.hub.drop_recorders();
            }
            Err(error) => {
                tracing::warn!(%error, "the other nodes take over when this node's lease has ended");
            }
        }
    }
}

impl Nodes for Cluster {
    fn advance(&self, to: To) -> BoxFuture<'_, Result<Moved, String>> {
        Box::pin(self.advance_all(to))
    }

    fn freeze(&self, frozen: bool) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(self.freeze_all(frozen))
    }

    fn forget<'a>(
        &'a self,
        rewinds: bool,
        middle: Middle<'a>,
    ) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(self.forget_all(rewinds, middle))
    }

    fn ask<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Vec<Answered>> {
        Box::pin(async move {
            let peers = self.other_peers().await;
            let asked = peers.iter().map(|peer| self.peers.get(peer, path, ASKED));
            let answers = futures_util::future::join_all(asked).await;
            let answered = |(peer, answer): (&Peer, Result<Value, String>)| {
                if let Err(why) = &answer {
                    tracing::debug!(why, "a node is left out of a list");
                }
                Answered {
                    node: peer.id.clone(),
                    answer: answer.ok(),
                }
            };
            peers.iter().zip(answers).map(answered).collect()
        })
    }

    fn obey<'a>(&'a self, verb: &'a str, args: Value) -> BoxFuture<'a, Result<Value, String>> {
        Box::pin(async move {
            match verb {
                viewers::VERB => self.viewers_here(args),
                verb => self.do_together(verb, args).await,
            }
        })
    }

    fn watched(&self) -> Vec<(StreamKey, usize)> {
        self.relays.watched()
    }
}

impl Entrance for Cluster {
    fn enter<'a>(&'a self, push: &'a Arriving) -> BoxFuture<'a, Result<(), PublishError>> {
        Box::pin(self.let_in(push))
    }

    fn settled(&self, key: &StreamKey) {
        let hash = key.hash();
        let mut coming = locked(&self.coming);
        if let Some(count) = coming.get_mut(&hash) {
            *count -= 1;
            if *count == 0 {
                coming.remove(&hash);
            }
        }
        drop(coming);
        locked(&self.over).insert(hash);
    }

    fn left(&self, key: &StreamKey) {
        locked(&self.over).insert(key.hash());
        self.wake.notify_one();
    }
}

fn published(publisher: &Publisher, facts: String) -> Published {
    Published {
        ingest_domain: publisher.ingest_domain.clone(),
        address: publisher.address.clone(),
        since: publisher.since,
        facts,
    }
}
