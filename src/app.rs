//! The running service as the doors see it: settings, shared services, streams, spec, identities, journal.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::actions::{self, ActionDef, Context};
use crate::clock::{self, Advanced};
use crate::config::{Config, host};
use crate::identity::KeyRing;
use crate::live::hub::Hub;
use crate::objects::s3::Addressing;
use crate::rpc::journal::Journal;
use crate::rpc::nonce::Nonces;
use crate::rpc::quota::Quota;
use crate::services::Services;
use crate::site::OwnNames;
use crate::spec::Spec;
use crate::wire::http_parts::HttpParts;

/// Machine time in which the database must take the clock's new offset; an advance goes on without it.
const KEEP_CLOCK: Duration = Duration::from_secs(2);

/// Where the listeners really are.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Addresses {
    pub api: String,
    pub rtmp: String,
    pub oss: String,
    pub tls: Option<String>,
    pub play: String,
    pub play_tls: Option<String>,
}

impl Addresses {
    /// `HOST:PORT` of each listener of the API, as the settings write it and as it was bound.
    fn of_the_api<'a>(&'a self, config: &'a Config) -> impl Iterator<Item = &'a str> {
        let bound = [Some(self.api.as_str()), self.tls.as_deref()];
        let bound = bound.into_iter().flatten();
        let bound = bound.filter_map(|url| url.split_once("://").map(|(_, authority)| authority));
        let written = [Some(config.api_addr.as_str()), config.tls_addr.as_deref()];
        bound.chain(written.into_iter().flatten())
    }
}

pub struct App {
    pub config: Arc<Config>,
    pub services: Arc<Services>,
    pub hub: Arc<Hub>,
    pub spec: &'static Spec,
    pub registry: HashMap<&'static str, &'static ActionDef>,
    pub context: Context,
    pub keys: Arc<KeyRing>,
    pub nonces: Nonces,
    pub quota: Quota,
    pub journal: Journal,
    pub addresses: Addresses,
    /// The names by which requests may mean this machine.
    pub own_names: OwnNames,
    /// Whether each answer is compared with the spec: in debug builds, and where tests ask for it.
    pub checks_answers: bool,
    pub runtime: tokio::runtime::Handle,
    /// Whoever moves the clock or takes its advances back.
    moving: tokio::sync::Mutex<()>,
}

impl App {
    #[must_use]
    pub fn new(
        config: Arc<Config>,
        services: Arc<Services>,
        hub: Arc<Hub>,
        keys: Arc<KeyRing>,
        nonces: Nonces,
        addresses: Addresses,
    ) -> Arc<Self> {
        let context = Context {
            services: services.clone(),
            hub: hub.clone(),
            config: config.clone(),
            rendered: Default::default(),
            roles: Default::default(),
            forgetting: Default::default(),
            objects: Default::default(),
        };
        let own_names = OwnNames::new(config.public_host.as_deref(), addresses.of_the_api(&config));
        Arc::new(Self {
            registry: actions::all().map(|def| (def.name, def)).collect(),
            quota: Quota::new(config.limits),
            nonces,
            journal: Journal::default(),
            spec: Spec::embedded(),
            config,
            services,
            hub,
            context,
            keys,
            own_names,
            addresses,
            checks_answers: cfg!(debug_assertions)
                || std::env::var_os("LOCALYUN_CHECK_ANSWERS")
                    .is_some_and(|value| !value.is_empty()),
            runtime: tokio::runtime::Handle::current(),
            moving: tokio::sync::Mutex::default(),
        })
    }

    /// A URL as clients reach it: with the public host, where one is set.
    #[must_use]
    pub fn public(&self, url: &str) -> String {
        let Some(host) = &self.config.public_host else {
            return url.to_owned();
        };
        match (url.split_once("://"), url.rsplit_once(':')) {
            (Some((scheme, _)), Some((_, port))) => {
                format!("{scheme}://{}:{port}", host::in_url(host))
            }
            _ => url.to_owned(),
        }
    }

    /// The API's URL for who sent a request: the public host where one is set, else the host by which the request came.
    #[must_use]
    pub fn endpoint_for(&self, parts: &HttpParts) -> String {
        let host = parts.header("host");
        let Some(host) = host.filter(|_| self.config.public_host.is_none()) else {
            return self.public(&self.addresses.api);
        };
        let port = |authority: &str| authority.rsplit_once(':').map(|(_, port)| port.to_owned());
        let tls = self.addresses.tls.as_deref().and_then(port);
        let scheme = match tls {
            Some(tls) if port(host).as_ref() == Some(&tls) => "https",
            _ => "http",
        };
        format!("{scheme}://{host}")
    }

    /// Where the store is that recordings go to.
    #[must_use]
    pub fn store_url(&self) -> String {
        match &self.config.outside_store {
            Some(outside) => outside.endpoint.trim_end_matches('/').to_owned(),
            None => self.public(&self.addresses.oss),
        }
    }

    /// Where an object of the store is; `key` is written as a path of a URL.
    #[must_use]
    pub fn object_url(&self, bucket: &str, key: &str) -> String {
        let store = self.store_url();
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
    pub async fn advance(&self, ms: i64) -> Advanced {
        let _one = self.moving.lock().await;
        self.services.notifier.patience.renew();
        let mut drained = self.hub.drain().await;
        self.keep_clock(ms).await;
        let advanced = self.services.clock.advance(ms).await;
        drained &= self.hub.drain().await;
        // What did not end within the advance's own patience is not waited for once more.
        let clock = &self.services.clock;
        let settled = if advanced.settled {
            clock.settle().await && clock.is_settled()
        } else {
            false
        };
        Advanced {
            settled: settled && drained,
            ..advanced
        }
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
        let forgetting = self.context.forgetting.write().await;
        let cleared = self.services.store.clear().await;
        self.context.roles.forget();
        cleared.map_err(|e| e.to_string())?;
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
        self.journal.clear();
        self.quota.clear();
        Ok(())
    }
}
