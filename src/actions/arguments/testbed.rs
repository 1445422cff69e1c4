//! A service without sockets for handler tests: a store, an object store and a hub in a throw-away folder, and calls that take the
//! gateway's way: parameters through the spec check, answers against the spec.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use crate::actions::{Context, all};
use crate::clock::{Clock, UnixMs};
use crate::config::{Config, Raw, load};
use crate::disk::writers::Disk;
use crate::error::ApiError;
use crate::events::Events;
use crate::faults::Faults;
use crate::live::hub::Hub;
use crate::meter::Meter;
use crate::metrics::Metrics;
use crate::notifier::Notifier;
use crate::objects::folder::FolderStore;
use crate::objects::{Objects, Store as ObjectStore};
use crate::services::Services;
use crate::spec::{Spec, answer, check};
use crate::store::Store;
use crate::wire::params::{Tree, parse_pairs};

/// The service clock's start: 2026-03-01T02:00:00Z.
pub const START: UnixMs = 1_772_330_400_000;

pub struct Testbed {
    pub ctx: Context,
    folder: tempfile::TempDir,
}

/// A code and a status.
pub type Refusal = (String, u16);

impl Testbed {
    pub async fn new() -> Self {
        Self::with(&[]).await
    }

    /// With settings other than the defaults.
    pub async fn with(settings: &[(&'static str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ctx = context(folder.path(), settings).await;
        Self { ctx, folder }
    }

    /// The URL of its database.
    pub fn database(&self) -> String {
        database(self.folder.path())
    }

    /// Makes a call; names and values are as in a query, encoded.
    pub async fn call(&self, action: &str, query: &str) -> Result<Value, Refusal> {
        let spec = Spec::embedded().action(action).unwrap();
        let told = |error: ApiError| {
            let error = {
                let status = spec.error_status(&error.code.as_str());
                error.documented_as(status)
            };
            (error.code.to_string(), error.status)
        };
        let pairs = parse_pairs(query, None).unwrap();
        let tree = Tree::from_pairs(&pairs).unwrap();
        let checked = check::check(spec, &tree).map_err(|problem| told(problem.into()))?;
        assert_eq!(checked.unknown, Vec::<String>::new());
        let def = all().find(|def| def.name == action).unwrap();
        let answer = (def.run)(&self.ctx, checked.value, "id")
            .await
            .map_err(told)?;
        let value: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(answer::validate(spec, &value), Vec::<String>::new());
        Ok(value)
    }

    /// A call that has to succeed.
    pub async fn ok(&self, action: &str, query: &str) -> Value {
        self.call(action, query)
            .await
            .unwrap_or_else(|error| panic!("{action}: {error:?}"))
    }

    /// The code and status of a call that has to fail.
    pub async fn refused(&self, action: &str, query: &str) -> Refusal {
        self.call(action, query).await.unwrap_err()
    }
}

fn database(folder: &Path) -> String {
    format!("sqlite://{}/test.db?mode=rwc", folder.display())
}

async fn context(folder: &Path, settings: &[(&'static str, &str)]) -> Context {
    let mut raw = Raw::default();
    for (name, value) in settings {
        raw.set(name, *value, "test");
    }
    let config: Config = load(&raw, |_| None).unwrap();
    let faults = Arc::new(Faults::default());
    let objects = FolderStore::open(folder.join("oss")).unwrap();
    // Handlers make no requests of their own; the client needs a provider to be built at all.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let clock = Clock::new(Some(START));
    let store = Store::open(&database(folder)).await.unwrap();
    let services = Arc::new(Services {
        events: Events::new(clock.clone()),
        meter: Meter::new(clock.clone(), store.clone()),
        clock,
        store,
        objects: Objects::new(ObjectStore::Embedded(objects), faults.clone()),
        public_urls: Default::default(),
        notifier: Notifier::new().0,
        certificates: Default::default(),
        disk: Disk::start().unwrap(),
        http: reqwest::Client::new(),
        faults,
        metrics: Arc::new(Metrics::default()),
        spool: folder.join("spool"),
    });
    let hub = Hub::new(services.clone());
    Context::new(services, hub, Arc::new(config))
}
