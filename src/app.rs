//! The running service as the doors see it: settings, shared services, streams and the gateway of the API.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::clock::{self, UnixMs};
use crate::config::Config;
use crate::events::{self, Names};
use crate::live::hub::Hub;
use crate::objects::s3::Addressing;
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

/// Where an advance has brought the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    pub by_ms: i64,
    pub now: UnixMs,
    /// Everything that fell due on the way is done.
    pub settled: bool,
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
    moving: tokio::sync::Mutex<()>,
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
            moving: tokio::sync::Mutex::default(),
        })
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
        let by_host = self
            .config
            .outside_store
            .as_ref()
            .is_some_and(|outside| outside.addressing == Addressing::Virtual);
        match store.split_once("://") {
            Some((scheme, host)) if by_host => format!("{scheme}://{bucket}.{host}/{key}"),
            _ => format!("{store}/{bucket}/{key}"),
        }
    }

    /// Moves the service clock: first everything that has arrived already is worked off, then what falls due, in order.
    pub async fn advance(&self, to: To) -> Moved {
        let _one = self.moving.lock().await;
        self.services.notifier.patience.renew();
        let mut drained = self.hub.drain().await;
        let clock = &self.services.clock;
        let before = clock.now();
        let ms = match to {
            To::Later(ms) => ms,
            To::Instant(at) => at - before,
            To::NextDue => clock.next_due().map_or(0, |due| due - before),
        };
        let ms = ms.max(0);
        self.keep_clock(ms).await;
        let advanced = clock.advance(ms).await;
        drained &= self.hub.drain().await;
        // What did not end within the advance's own patience is not waited for once more.
        let settled = if advanced.settled {
            clock.settle().await && clock.is_settled()
        } else {
            false
        };
        let moved = Moved {
            by_ms: ms,
            now: advanced.now,
            settled: settled && drained,
        };
        let told = json!({
            "what": "advanced",
            "by_ms": moved.by_ms,
            "now_ms": moved.now,
            "settled": moved.settled,
        });
        self.services
            .events
            .tell(events::Kind::Clock, Names::NONE, &told);
        moved
    }

    /// Stops the service clock, or lets it run on.
    pub async fn freeze(&self, frozen: bool) {
        let _one = self.moving.lock().await;
        let clock = &self.services.clock;
        if frozen {
            clock.stop().await;
        } else {
            clock.run_on().await;
        }
        let what = if frozen { "frozen" } else { "running" };
        let told = json!({"what": what, "now_ms": clock.now()});
        self.services
            .events
            .tell(events::Kind::Clock, Names::NONE, &told);
    }

    /// Writes down how far an advance may bring the clock, before any row has a time of it.
    async fn keep_clock(&self, ms: i64) {
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

    /// Forgets all configs, streams, records, callbacks and stored objects, and takes every advance of the clock back.
    pub async fn reset(&self) -> Result<(), String> {
        let _one = self.moving.lock().await;
        self.hub.forget_all();
        self.hub.drain().await;
        self.services.notifier.reset(self.services.clock.busy());
        // What the recorders hand over now goes to a store that is about to be cleared.
        self.services.clock.settle().await;
        let forgetting = self.gateway.context.forgetting.write().await;
        let cleared = self.services.store.clear().await;
        self.gateway.context.roles.forget();
        cleared.map_err(|e| e.to_string())?;
        self.services.meter.forget().await;
        let reread = self.services.certificates.reread(&self.services.store);
        reread.await.map_err(|e| e.to_string())?;
        let cleared = self.services.objects.clear().await;
        drop(forgetting);
        cleared.map_err(|e| e.to_string())?;
        self.services
            .store
            .forget_clock_offset()
            .await
            .map_err(|e| e.to_string())?;
        self.services.faults.arm(Vec::new());
        self.hub.drop_recorders();
        self.services.notifier.reset(self.services.clock.busy());
        self.services.clock.rewind().await;
        self.gateway.forget();
        self.sinks.clear();
        let events = &self.services.events;
        events.clear();
        let told = json!({"what": "reset", "now_ms": self.services.clock.now()});
        events.tell(events::Kind::Clock, Names::NONE, &told);
        Ok(())
    }
}
