//! Who is publishing, and the recorders of all streams.

pub mod audiences;
mod everywhere;
mod facts;
mod pushes;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use serde_json::json;
use tokio::sync::{Notify, watch};

use crate::clock::{self, Busy, UnixMs};
use crate::events;
use crate::ids;
use crate::live::fanout::{self, Fanout};
use crate::live::recorder::Recorder;
use crate::live::recorder::effect::FaultListener;
use crate::live::worker;
use crate::media::frame::{AudioConfig, VideoConfig};
use crate::meter::Inflow;
use crate::model::event::Kind;
use crate::model::stream_key::{PushArgs, StreamKey};
use crate::notify::publish::{self, Push};
use crate::services::Services;
use crate::store::StoreError;
pub use crate::store::streams::LiveOf;
use crate::wire_time;
use audiences::Audiences;
pub use everywhere::{Cut, Live, Others};
pub use facts::Facts;

/// A publisher that sent nothing for this long gives way to one that comes back under the same name.
const GIVES_WAY_AFTER: Duration = Duration::from_secs(3);
/// The publish callback is sent when the client is still there after this time.
const PUBLISH_CALLBACK_MS: i64 = 2_000;
/// Streams that may be published at a time.
pub const MAX_PUBLISHERS: usize = 2_000;
/// Recorders above this are looked through for idle ones.
const RECORDERS_KEPT: usize = 64;

/// One publisher, as everybody sees it.
pub struct Publisher {
    pub id: u64,
    /// The name of this push's row.
    pub push_id: String,
    pub key: StreamKey,
    /// The domain that the push URL named, before mapping.
    pub ingest_domain: String,
    pub address: String,
    pub args: PushArgs,
    pub since: UnixMs,
    /// The same in machine time.
    came_at: Instant,
    pub recorder: Arc<Recorder>,
    /// Where viewers find what it brings.
    pub fanout: Arc<Fanout>,
    /// Its stream's counters.
    pub inflow: Inflow,
    /// Machine milliseconds of the newest media.
    last_media: AtomicI64,
    pub bytes: AtomicU64,
    pub frames: AtomicU64,
    facts: Mutex<Facts>,
    kick: Notify,
    /// Why the service ends it, where the publisher is to know.
    cut: OnceLock<String>,
    gone: AtomicBool,
    announced: AtomicBool,
    /// What is told of it comes one after the other.
    telling: Arc<tokio::sync::Mutex<()>>,
}

impl Publisher {
    pub fn facts(&self) -> Facts {
        self.facts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub fn note(&self, change: impl FnOnce(&mut Facts)) {
        change(&mut self.facts.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub fn note_video(&self, config: &VideoConfig) {
        self.note(|facts| facts.take_video(config));
    }

    pub fn note_audio(&self, config: &AudioConfig) {
        self.note(|facts| facts.take_audio(config));
    }

    /// Media arrived.
    pub fn alive(&self, frames: u64, bytes: u64) {
        self.last_media
            .store(clock::machine_now(), Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.inflow.arrived(bytes);
        self.frames.fetch_add(frames, Ordering::Relaxed);
    }

    /// Machine time since the newest media.
    #[must_use]
    pub fn silent_for(&self) -> Duration {
        let ms = clock::machine_now() - self.last_media.load(Ordering::Relaxed);
        Duration::from_millis(u64::try_from(ms).unwrap_or(0))
    }

    /// Bits a second that it has brought so far, in thousands. By machine time: the service clock may stand still, or be an hour further.
    #[must_use]
    pub fn bitrate_kbps(&self) -> u64 {
        let ms = u64::try_from(self.came_at.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.bytes.load(Ordering::Relaxed).saturating_mul(8) / ms.max(1)
    }

    /// Whether the publisher is off the register: what its connection still brings counts for nothing.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    async fn announce(&self, services: &Services, kind: Kind, at: UnixMs, busy: Busy) -> Busy {
        let facts = self.facts();
        let push = Push {
            key: &self.key,
            ingest_domain: &self.ingest_domain,
            address: &self.address,
            args: &self.args.raw,
            at,
            width: facts.width,
            height: facts.height,
        };
        publish::announce(services, &push, kind, self.recorder.fence(), busy).await
    }

    /// Ends the publisher.
    pub fn kick(&self) {
        self.kick.notify_one();
    }

    /// Why the publisher is ended, where it is ended because it may not go on.
    #[must_use]
    pub fn cut_because(&self) -> Option<&str> {
        self.cut.get().map(String::as_str)
    }

    pub async fn kicked(&self) {
        self.kick.notified().await;
    }
}

/// Tells receivers of a publisher, beside everything else and in its turn: that it came or went at an instant.
fn announce(services: &Arc<Services>, publisher: Arc<Publisher>, kind: Kind, at: UnixMs) {
    let services = services.clone();
    let busy = services.clock.busy();
    // Taken here where it is free: what happened first is told first.
    let turn = publisher.telling.clone().try_lock_owned().ok();
    tokio::spawn(async move {
        let (_turn, busy) = match turn {
            Some(turn) => (turn, busy),
            None => {
                // What goes before may wait for a database that is away, and an advance of the clock does not.
                let _under_way = services.clock.under_way();
                drop(busy);
                let turn = publisher.telling.clone().lock_owned().await;
                (turn, services.clock.busy())
            }
        };
        drop(publisher.announce(&services, kind, at, busy).await);
    });
}

/// Why a push is refused.
///
/// # What to do
/// The push is refused with this text. `TooMany` and `Store` may pass; encoders come again by themselves.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error("the stream is being published already")]
    AlreadyPublished,
    #[error("{MAX_PUBLISHERS} streams are published already")]
    TooMany,
    #[error("the store failed: {0}")]
    Store(#[from] StoreError),
    #[error("{0}")]
    Elsewhere(String),
    #[error("the service is stopping")]
    Stopping,
}

/// A way in that a push has to pass first, on several nodes: its stream's name must be free there too.
pub trait Entrance: Send + Sync {
    /// Takes the name, with all that earlier owners had of the stream. Nobody gets it until [`Self::settled`] is called.
    fn enter<'a>(&'a self, push: &'a Arriving) -> BoxFuture<'a, Result<(), PublishError>>;

    /// A push that was let in is registered, or has come to nothing.
    fn settled(&self, key: &StreamKey);

    /// The push that came in is over.
    fn left(&self, key: &StreamKey);
}

/// A push that asks to be let in.
#[derive(Debug, Clone)]
pub struct Arriving {
    pub key: StreamKey,
    pub ingest_domain: String,
    pub address: String,
    pub since: UnixMs,
}

/// A push between the entrance and the register; whoever waits for it may be interrupted.
struct Coming<'a> {
    entrance: &'a dyn Entrance,
    key: &'a StreamKey,
}

impl Drop for Coming<'_> {
    fn drop(&mut self) {
        self.entrance.settled(self.key);
    }
}

/// The register of publishers and recorders.
pub struct Hub {
    services: Arc<Services>,
    /// The bytes that all streams together may keep for viewers.
    kept: Arc<fanout::log::Budget>,
    streams: Mutex<HashMap<StreamKey, Arc<Publisher>>>,
    recorders: Mutex<HashMap<StreamKey, Arc<Recorder>>>,
    opening: tokio::sync::Mutex<()>,
    next_id: AtomicU64,
    drain: watch::Sender<u64>,
    /// Connections that have not yet worked off the newest drain request.
    connections: Mutex<HashMap<u64, u64>>,
    drained: Notify,
    stopping: AtomicBool,
    /// Read by whoever comes in, written while everything is being forgotten.
    gate: Arc<tokio::sync::RwLock<()>>,
    /// The ends of pushes that are being written.
    ends: pushes::Ends,
    /// Streams that may be published at a time.
    room: AtomicUsize,
    /// Who watches by which domain.
    pub audiences: Audiences,
    entrance: OnceLock<Arc<dyn Entrance>>,
    /// None where the process is alone.
    others: OnceLock<Arc<dyn Others>>,
}

/// For the pushes that are coming in when the gate is to be closed.
const GATE_PATIENCE: Duration = Duration::from_secs(10);
/// While it is held a push may come in.
pub type Open = tokio::sync::OwnedRwLockReadGuard<()>;
/// While it is held every push waits.
pub type Closed = tokio::sync::OwnedRwLockWriteGuard<()>;

impl Hub {
    #[must_use]
    pub fn new(services: Arc<Services>) -> Arc<Self> {
        Arc::new(Self {
            services,
            kept: fanout::budget(),
            streams: Mutex::default(),
            recorders: Mutex::default(),
            opening: tokio::sync::Mutex::new(()),
            next_id: AtomicU64::new(1),
            drain: watch::Sender::new(0),
            connections: Mutex::default(),
            drained: Notify::new(),
            stopping: AtomicBool::new(false),
            gate: Arc::default(),
            ends: pushes::Ends::default(),
            room: AtomicUsize::new(MAX_PUBLISHERS),
            audiences: Audiences::default(),
            entrance: OnceLock::new(),
            others: OnceLock::new(),
        })
    }

    /// Lets pushes in through an entrance from now on.
    pub fn guard(&self, entrance: Arc<dyn Entrance>) {
        let _ = self.entrance.set(entrance);
    }

    /// Is one of several nodes from now on.
    pub fn join(&self, others: Arc<dyn Others>) {
        let _ = self.others.set(others);
    }

    /// Lets so many streams be published at a time: for a simulation of streams that bring no media.
    pub fn make_room(&self, most: usize) {
        self.room.store(most, Ordering::Relaxed);
    }

    #[must_use]
    pub fn services(&self) -> &Arc<Services> {
        &self.services
    }

    fn streams(&self) -> MutexGuard<'_, HashMap<StreamKey, Arc<Publisher>>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn recorders(&self) -> MutexGuard<'_, HashMap<StreamKey, Arc<Recorder>>> {
        self.recorders
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The recorder of a stream, made when there is none.
    pub async fn recorder(&self, key: &StreamKey) -> Result<Arc<Recorder>, StoreError> {
        if let Some(found) = self.standing_recorder(key) {
            return Ok(found);
        }
        let _one = self.opening.lock().await;
        if let Some(found) = self.standing_recorder(key) {
            return Ok(found);
        }
        let next = self.services.store.next_slice_sequence(&key.hash()).await?;
        let services = self.services.clone();
        let fence = services.store.fence(&key.hash());
        let (recorder, queue) =
            Recorder::new(key.clone(), self.services.clone(), next, fence.clone());
        let listener: Weak<dyn FaultListener> = Arc::downgrade(&recorder) as _;
        worker::spawn(services, key.clone(), queue, listener, fence);
        let mut recorders = self.recorders();
        if recorders.len() >= RECORDERS_KEPT {
            // Whoever has asked for one and not used it yet holds it.
            recorders.retain(|_, r| Arc::strong_count(r) > 1 || !r.is_idle());
        }
        recorders.insert(key.clone(), recorder.clone());
        self.services.metrics.recorders(recorders.len());
        Ok(recorder)
    }

    /// The recorder that a stream has. One of an earlier ownership, or from before all was forgotten, is no recorder any more: nothing of what it
    /// makes would be committed.
    fn standing_recorder(&self, key: &StreamKey) -> Option<Arc<Recorder>> {
        let found = self.recorders().get(key).cloned()?;
        let store = &self.services.store;
        if store.may_hold(found.fence()) && store.remembers(found.fence()) {
            return Some(found);
        }
        found.part();
        self.drop_recorder(key);
        None
    }

    /// The recorder of a stream, if there is one.
    #[must_use]
    pub fn find_recorder(&self, key: &StreamKey) -> Option<Arc<Recorder>> {
        self.recorders().get(key).cloned()
    }

    /// Every recorder there is.
    #[must_use]
    pub fn all_recorders(&self) -> Vec<Arc<Recorder>> {
        self.recorders().values().cloned().collect()
    }

    /// Lets no push in until the guard goes, from when those that are coming in are in. None: one of them takes too long, and nothing is held.
    pub async fn close_gate(&self) -> Option<Closed> {
        let closed = clock::machine_timeout(GATE_PATIENCE, self.gate.clone().write_owned()).await;
        if closed.is_none() {
            tracing::warn!("a push takes too long to come in; others are not held meanwhile");
        }
        closed
    }

    /// Waits until pushes may come in. A drain waits for the connection no longer than until here.
    pub async fn until_open(&self, connection: u64) -> Open {
        loop {
            if let Ok(open) = self.gate.clone().try_read_owned() {
                return open;
            }
            let mut drain = self.drain.subscribe();
            let request = *drain.borrow_and_update();
            self.drained(connection, request);
            tokio::select! {
                open = self.gate.clone().read_owned() => return open,
                // The hub has the sender.
                _ = drain.changed() => {}
            }
        }
    }

    /// Registers a publisher; from here on its frames are recorded as the rules say.
    pub async fn publish(
        &self,
        key: StreamKey,
        ingest_domain: String,
        address: String,
        args: PushArgs,
    ) -> Result<Arc<Publisher>, PublishError> {
        let arriving = Arriving {
            key: key.clone(),
            ingest_domain: ingest_domain.clone(),
            address: address.clone(),
            since: self.services.clock.now(),
        };
        let mut coming = None;
        if let Some(entrance) = self.entrance.get() {
            entrance.enter(&arriving).await?;
            coming = Some(Coming {
                entrance: &**entrance,
                key: &arriving.key,
            });
        }
        let recorder = self.recorder(&key).await?;
        let (publisher, replaced) = {
            let mut streams = self.streams();
            // Whoever stops closes first and looks through the register then: what was let in before that and is not there yet comes too late.
            if self.is_stopping() {
                return Err(PublishError::Stopping);
            }
            // The stream may have become another node's since the push was let in. A node that learns of it looks through the register afterwards.
            if !self.services.store.may_hold(recorder.fence()) {
                return Err(PublishError::Elsewhere(
                    "the stream became another node's meanwhile; push again".to_owned(),
                ));
            }
            match streams.get(&key) {
                Some(old) if old.silent_for() < GIVES_WAY_AFTER => {
                    return Err(PublishError::AlreadyPublished);
                }
                None if streams.len() >= self.room.load(Ordering::Relaxed) => {
                    return Err(PublishError::TooMany);
                }
                _ => {}
            }
            let publisher = Arc::new(Publisher {
                // Of two publishers of a stream the later one has the higher number: the recorder goes by it.
                id: self.next_id.fetch_add(1, Ordering::Relaxed),
                push_id: ids::ordered_id(),
                key: key.clone(),
                inflow: self.services.meter.inflow(&key, &ingest_domain),
                ingest_domain: ingest_domain.clone(),
                address,
                args: args.clone(),
                since: self.services.clock.now(),
                came_at: clock::monotonic(),
                recorder: recorder.clone(),
                fanout: Fanout::new(self.kept.clone()),
                last_media: AtomicI64::new(clock::machine_now()),
                bytes: AtomicU64::new(0),
                frames: AtomicU64::new(0),
                facts: Mutex::default(),
                kick: Notify::new(),
                cut: OnceLock::new(),
                gone: AtomicBool::new(false),
                announced: AtomicBool::new(false),
                telling: Arc::default(),
            });
            let replaced = streams.insert(key, publisher.clone());
            (publisher, replaced)
        };
        drop(coming);
        if let Some(old) = replaced {
            old.kick();
            self.end(&old, self.ends.begin());
        }
        publisher.inflow.begin();
        self.services.metrics.publisher_came();
        let told = json!({
            "ingest_domain": publisher.ingest_domain,
            "client": publisher.address,
        });
        let events = &self.services.events;
        events.tell(events::Kind::Publish, &publisher.key, &told);
        recorder.published(publisher.id, args, &ingest_domain);
        self.announce_later(&publisher);
        pushes::began(&self.services, &publisher).await;
        Ok(publisher)
    }

    /// For a stream that comes from elsewhere: what is kept of it counts with all others.
    #[must_use]
    pub fn fanout(&self) -> Arc<Fanout> {
        Fanout::new(self.kept.clone())
    }

    /// Ends a publisher that may not go on; it is told why.
    pub fn cut(&self, publisher: &Arc<Publisher>, because: &str) {
        let _ = publisher.cut.set(because.to_owned());
        publisher.kick();
        self.unpublish(publisher);
    }

    /// Takes a publisher off the register. Only the first call for a publisher counts.
    pub fn unpublish(&self, publisher: &Arc<Publisher>) {
        // Before it is gone from the register: who no longer finds it there waits for its end.
        let ending = self.ends.begin();
        {
            let mut streams = self.streams();
            if streams
                .get(&publisher.key)
                .is_some_and(|now| now.id == publisher.id)
            {
                streams.remove(&publisher.key);
            }
        }
        self.end(publisher, ending);
    }

    fn end(&self, publisher: &Arc<Publisher>, ending: pushes::Ending) {
        if publisher.gone.swap(true, Ordering::AcqRel) {
            return;
        }
        let ended_at = self.services.clock.now();
        publisher.recorder.lost(publisher.id);
        publisher.fanout.close();
        self.services.metrics.publisher_went();
        let told = json!({
            "ingest_domain": publisher.ingest_domain,
            "client": publisher.address,
            "since": wire_time::to_api(publisher.since),
            "bytes": publisher.bytes.load(Ordering::Relaxed),
            "frames": publisher.frames.load(Ordering::Relaxed),
        });
        let events = &self.services.events;
        events.tell(events::Kind::Unpublish, &publisher.key, &told);
        if let Some(entrance) = self.entrance.get() {
            entrance.left(&publisher.key);
        }
        pushes::ended(&self.services, publisher, ending);
        if publisher.announced.load(Ordering::Acquire) {
            let publisher = publisher.clone();
            announce(&self.services, publisher, Kind::PublishDone, ended_at);
        }
    }

    fn announce_later(&self, publisher: &Arc<Publisher>) {
        let services = self.services.clone();
        let publisher = publisher.clone();
        let due = services.clock.now() + PUBLISH_CALLBACK_MS;
        self.services.clock.at(due, async move {
            if !publisher.gone.load(Ordering::Acquire)
                && !publisher.announced.swap(true, Ordering::AcqRel)
            {
                let since = publisher.since;
                announce(&services, publisher, Kind::Publish, since);
            }
        });
    }

    /// Until the ends of pushes that are over are written; a second at most.
    pub async fn ends_are_written(&self) {
        self.ends.are_written().await;
    }

    /// The publishers there are, ordered by name.
    #[must_use]
    pub fn publishers(&self) -> Vec<Arc<Publisher>> {
        let mut all: Vec<_> = self.streams().values().cloned().collect();
        all.sort_by(|a, b| a.key.cmp(&b.key));
        all
    }

    #[must_use]
    pub fn find(&self, key: &StreamKey) -> Option<Arc<Publisher>> {
        self.streams().get(key).cloned()
    }

    // ---- drain: so that an advance of the clock does not overtake media that has arrived already ----

    /// Registers a connection; it answers drain requests until [`Hub::disconnected`].
    pub fn connected(&self) -> (u64, watch::Receiver<u64>) {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let drain = self.drain.subscribe();
        let seen = *drain.borrow();
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, seen);
        (id, drain)
    }

    /// The connection has worked off everything that had arrived when `request` was made.
    pub fn drained(&self, id: u64, request: u64) {
        if let Some(seen) = self
            .connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_mut(&id)
        {
            *seen = request;
        }
        self.drained.notify_waiters();
    }

    pub fn disconnected(&self, id: u64) {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&id);
        self.drained.notify_waiters();
    }

    /// Connections open now.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    /// Waits until every connection has worked off what its socket holds, for at most a few seconds of machine time.
    /// False: some did not come to rest.
    pub async fn drain(&self) -> bool {
        let mut all = true;
        // First what waits to be accepted, then what those connections bring.
        for _ in 0..2 {
            let request = {
                self.drain.send_modify(|n| *n += 1);
                *self.drain.borrow()
            };
            let wait = async {
                loop {
                    let changed = self.drained.notified();
                    tokio::pin!(changed);
                    changed.as_mut().enable();
                    let all = self
                        .connections
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .values()
                        .all(|seen| *seen >= request);
                    if all {
                        return;
                    }
                    changed.await;
                }
            };
            if clock::machine_timeout(Duration::from_secs(5), wait)
                .await
                .is_none()
            {
                tracing::warn!("some connections did not come to rest");
                all = false;
            }
        }
        all
    }

    /// Whether the service is stopping: no push is taken any more.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Ends every publisher and finishes every recording.
    pub fn shutdown(&self) {
        self.stopping.store(true, Ordering::Release);
        for publisher in self.publishers() {
            publisher.kick();
            self.unpublish(&publisher);
        }
        for recorder in self.all_recorders() {
            recorder.shutdown();
        }
    }

    /// Ends every publisher and every recorder, for a reset. Nothing of their recordings is committed from here on, not even what rests between two
    /// tries, and their spools go: when the clock has settled, that has been done.
    pub fn forget_all(&self) {
        self.services.store.begin_era();
        for publisher in self.publishers() {
            publisher.kick();
            self.unpublish(&publisher);
        }
        for recorder in self.all_recorders() {
            recorder.shutdown();
        }
        self.services.clock.rouse();
    }

    /// Ends a publisher that is silent, so that its stream can be published elsewhere. False: it is not.
    pub fn give_way(&self, key: &StreamKey) -> bool {
        let Some(publisher) = self.find(key) else {
            return true;
        };
        if publisher.silent_for() < GIVES_WAY_AFTER {
            return false;
        }
        publisher.kick();
        self.unpublish(&publisher);
        true
    }

    /// Drops the recorder of a stream that is another node's from now on. Its worker ends with what it has.
    pub fn drop_recorder(&self, key: &StreamKey) {
        let mut recorders = self.recorders();
        recorders.remove(key);
        self.services.metrics.recorders(recorders.len());
    }

    /// Takes no push any more; those that are there go on.
    pub fn close(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Drops the recorders; called when their work is done.
    pub fn drop_recorders(&self) {
        self.recorders().clear();
        self.services.metrics.recorders(0);
    }
}
