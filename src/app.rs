//! The running service as the doors see it: settings, shared services, streams and the gateway of the API.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use serde_json::{Value, json};

use crate::clock::{self, UnixMs};
use crate::config::Config;
use crate::events::{self, Names};
use crate::live::hub::Hub;
use crate::model::object_name::url_in;
use crate::model::stream_key::StreamKey;
use crate::rpc::gateway::Gateway;
use crate::services::Services;
use crate::sinks::Sinks;
use crate::site::addresses::{Addresses, Seen};

/// Machine time in which the database must take the clock's new offset; an advance goes on without it.
const KEEP_CLOCK: Duration = Duration::from_secs(2);

/// Where an advance is to bring the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// That many milliseconds on.
    Later(i64),
    Instant(UnixMs),
    /// The next time at which something falls due; nowhere where nothing does.
    NextDue,
}

impl To {
    /// How far that is, from `now` on; the clock never goes back.
    #[must_use]
    pub fn ahead_of(self, now: UnixMs, next_due: Option<UnixMs>) -> i64 {
        let ms = match self {
            Self::Later(ms) => ms,
            Self::Instant(at) => at - now,
            Self::NextDue => next_due.map_or(0, |due| due - now),
        };
        ms.max(0)
    }
}

/// Where an advance has brought the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    pub by_ms: i64,
    pub now: UnixMs,
    /// Everything that fell due on the way is done.
    pub settled: bool,
}

/// What another node answered.
#[derive(Debug, Clone)]
pub struct Answered {
    pub node: String,
    /// None: it did not answer in time.
    pub answer: Option<Value>,
}

/// What comes in the middle of a reset: what all nodes share is put in another state, while each of them does nothing.
pub type Middle<'a> = BoxFuture<'a, Result<(), String>>;

/// The nodes of a cluster, this one among them.
pub trait Nodes: Send + Sync {
    /// Moves the clock of all of them.
    fn advance(&self, to: To) -> BoxFuture<'_, Result<Moved, String>>;

    /// Stops the clock of all of them, or lets it run on.
    fn freeze(&self, frozen: bool) -> BoxFuture<'_, Result<(), String>>;

    /// Has all of them forget what they hold, around what is done to what they share.
    fn forget<'a>(&'a self, rewinds: bool, middle: Middle<'a>)
    -> BoxFuture<'a, Result<(), String>>;

    /// Asks each of the others for a route of the control plane, for half a second.
    fn ask<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Vec<Answered>>;

    /// Has this one do what another one says.
    fn obey<'a>(&'a self, verb: &'a str, args: Value) -> BoxFuture<'a, Result<Value, String>>;

    /// Who watches streams of other nodes here: each with how many.
    fn watched(&self) -> Vec<(StreamKey, usize)>;
}

/// A live stream as a browser plays it: pieces of a fragmented MP4 without an end.
pub type Pieces = BoxStream<'static, io::Result<Bytes>>;

/// Where streams of other nodes are looked at.
pub trait Watching: Send + Sync {
    /// A stream from its newest key picture on, for as long as the pieces are kept; none where it is live nowhere.
    fn watch<'a>(&'a self, key: &'a StreamKey) -> BoxFuture<'a, Result<Option<Pieces>, String>>;
}

/// A started service.
pub struct App {
    pub config: Arc<Config>,
    pub services: Arc<Services>,
    pub hub: Arc<Hub>,
    /// What API calls use.
    pub gateway: Gateway,
    /// Built-in receivers of callbacks.
    pub sinks: Sinks,
    pub runtime: tokio::runtime::Handle,
    /// Whoever moves the clock or takes its advances back.
    moving: Arc<tokio::sync::Mutex<()>>,
    /// The others; none where the process is alone.
    nodes: OnceLock<Arc<dyn Nodes>>,
    /// Shows their streams.
    watching: OnceLock<Arc<dyn Watching>>,
}

impl App {
    #[must_use]
    pub fn new(gateway: Gateway) -> Arc<Self> {
        let context = &gateway.context;
        Arc::new(Self {
            config: context.config.clone(),
            services: context.services.clone(),
            hub: context.hub.clone(),
            gateway,
            sinks: Sinks::default(),
            runtime: tokio::runtime::Handle::current(),
            moving: Arc::default(),
            nodes: OnceLock::new(),
            watching: OnceLock::new(),
        })
    }

    /// Is one of several nodes from here on.
    pub fn join(&self, nodes: Arc<dyn Nodes>) {
        let _ = self.nodes.set(nodes);
    }

    /// The nodes of the cluster; none where the process is alone.
    #[must_use]
    pub fn nodes(&self) -> Option<&Arc<dyn Nodes>> {
        self.nodes.get()
    }

    /// Streams of other nodes are looked at there from here on.
    pub fn watch_through(&self, watching: Arc<dyn Watching>) {
        let _ = self.watching.set(watching);
    }

    /// A stream of another node; none where it is live nowhere, or the process is alone.
    ///
    /// # Errors
    /// The database does not answer, or too many streams are fetched already; the caller may come again.
    pub async fn watch_elsewhere(&self, key: &StreamKey) -> Result<Option<Pieces>, String> {
        match self.watching.get() {
            Some(watching) => watching.watch(key).await,
            None => Ok(None),
        }
    }

    /// Nobody else moves the clock meanwhile.
    pub async fn moving(&self) -> tokio::sync::OwnedMutexGuard<()> {
        self.moving.clone().lock_owned().await
    }

    /// Where the listeners are.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.gateway.addresses
    }

    /// Where the store is that recordings go to.
    #[must_use]
    pub fn store_url(&self, seen: &Seen<'_>) -> String {
        match (&self.config.oss_public_url, &self.config.outside_store) {
            (Some(public), _) => public.clone(),
            (None, Some(outside)) => outside.endpoint.trim_end_matches('/').to_owned(),
            (None, None) => seen.url(&self.addresses().oss),
        }
    }

    /// Where an object of the store is; `key` is written as a path of a URL.
    #[must_use]
    pub fn object_url(&self, seen: &Seen<'_>, bucket: &str, key: &str) -> String {
        let store = self.store_url(seen);
        url_in(&store, self.config.has_buckets_in_host(), bucket, key)
    }

    /// Moves the service clock: first everything that has arrived already is worked off, then what falls due, in order. On several nodes all
    /// of them move.
    ///
    /// # Errors
    /// A node does not answer; nothing was moved.
    pub async fn advance(&self, to: To) -> Result<Moved, String> {
        if let Some(nodes) = self.nodes() {
            return nodes.advance(to).await;
        }
        let _one = self.moving.lock().await;
        self.services.notifier.patience.renew();
        let mut drained = self.hub.drain().await;
        let clock = &self.services.clock;
        let ms = to.ahead_of(clock.now(), clock.next_due());
        self.keep_clock(ms).await;
        let advanced = clock.advance(ms).await;
        drained &= self.hub.drain().await;
        let moved = Moved {
            by_ms: ms,
            now: advanced.now,
            settled: self.has_settled(advanced.settled).await && drained,
        };
        self.tell_moved(&moved);
        Ok(moved)
    }

    /// Whether everything has come to rest behind an advance.
    pub async fn has_settled(&self, in_time: bool) -> bool {
        let clock = &self.services.clock;
        // What did not end within the advance's own patience is not waited for once more.
        in_time && clock.settle().await && clock.is_settled()
    }

    /// Tells followers of an advance.
    pub fn tell_moved(&self, moved: &Moved) {
        self.tell_clock(&json!({
            "what": "advanced",
            "by_ms": moved.by_ms,
            "now_ms": moved.now,
            "settled": moved.settled,
        }));
    }

    /// Tells followers of the clock.
    pub fn tell_clock(&self, told: &Value) {
        let events = &self.services.events;
        events.tell(events::Kind::Clock, Names::NONE, told);
    }

    /// Stops the service clock, or lets it run on. On several nodes that of all.
    ///
    /// # Errors
    /// A node does not answer; nothing was changed.
    pub async fn freeze(&self, frozen: bool) -> Result<(), String> {
        if let Some(nodes) = self.nodes() {
            return nodes.freeze(frozen).await;
        }
        let _one = self.moving.lock().await;
        let clock = &self.services.clock;
        if frozen {
            clock.stop().await;
        } else {
            clock.run_on().await;
        }
        self.tell_frozen(frozen);
        Ok(())
    }

    /// Tells followers that the clock stands, or runs.
    pub fn tell_frozen(&self, frozen: bool) {
        let what = if frozen { "frozen" } else { "running" };
        self.tell_clock(&json!({"what": what, "now_ms": self.services.clock.now()}));
    }

    /// Writes down how far an advance may bring the clock, before any row has a time of it.
    pub async fn keep_clock(&self, ms: i64) {
        if ms <= 0 {
            return;
        }
        let offset = self.services.clock.offset_ms() + ms;
        let kept = self.services.store.keep_clock_offset(offset);
        let why = match clock::machine_timeout(KEEP_CLOCK, kept).await {
            Some(Ok(())) => return,
            Some(Err(error)) => error.to_string(),
            None => "the database does not answer".to_owned(),
        };
        tracing::warn!(
            why,
            "the advance cannot be kept; a restart would set the clock back"
        );
    }

    /// Forgets all configs, streams, records, callbacks and stored objects, and takes every advance of the clock back. On several nodes all
    /// of them forget.
    ///
    /// # Errors
    /// The database or the store does not answer, or a node: what was forgotten until then stays forgotten.
    pub async fn reset(&self) -> Result<(), String> {
        if let Some(nodes) = self.nodes() {
            nodes.forget(true, Box::pin(self.clear_shared())).await?;
        } else {
            let _one = self.moving.lock().await;
            let _closed = self.hub.close_gate().await;
            self.come_to_rest().await;
            self.clear_shared().await?;
            self.forget_own(true).await?;
        }
        self.tell_clock(&json!({"what": "reset", "now_ms": self.services.clock.now()}));
        Ok(())
    }

    /// Ends what is live here, so that nothing is written any more: what was begun is dropped, and its spools are.
    pub async fn come_to_rest(&self) {
        self.hub.forget_all();
        self.hub.drain().await;
        self.services.notifier.reset(self.services.clock.busy());
        // What is being written at this moment goes to a store that is about to be cleared.
        self.services.clock.settle().await;
    }

    /// Clears the database and the object store.
    async fn clear_shared(&self) -> Result<(), String> {
        let forgetting = self.gateway.context.forgetting.write().await;
        let store = &self.services.store;
        let cleared = store.clear().await;
        self.gateway.context.roles.forget();
        cleared.map_err(|e| e.to_string())?;
        let cleared = self.services.objects.clear().await;
        drop(forgetting);
        cleared.map_err(|e| e.to_string())?;
        store.forget_clock_offset().await.map_err(|e| e.to_string())
    }

    /// Forgets what this process holds of what was cleared.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn forget_own(&self, rewinds: bool) -> Result<(), String> {
        let services = &self.services;
        self.gateway.context.roles.forget();
        services.meter.forget().await;
        let reread = services.certificates.reread(&services.store);
        reread.await.map_err(|e| e.to_string())?;
        self.hub.drop_recorders();
        services.notifier.reset(services.clock.busy());
        if rewinds {
            services.faults.arm(Vec::new());
            services.clock.rewind().await;
            self.gateway.forget();
            self.sinks.clear();
            services.events.clear();
        }
        Ok(())
    }
}
