//! What one API call may use: the documented actions and their handlers, who may call, what is used up, and where the call is written down.

use std::collections::HashMap;
use std::sync::Arc;

use super::journal::Journal;
use super::nonce::Nonces;
use super::quota::Quota;
use crate::actions::{self, ActionDef, Context};
use crate::config::Config;
use crate::identity::KeyRing;
use crate::services::Services;
use crate::site::OwnNames;
use crate::site::addresses::Addresses;
use crate::spec::Spec;
use crate::upstream::Upstream;

/// Everything that [`super::answer`] takes of the running service.
pub struct Gateway {
    pub spec: &'static Spec,
    /// The implemented actions by name.
    pub registry: HashMap<&'static str, &'static ActionDef>,
    /// What handlers may use.
    pub context: Context,
    pub keys: Arc<KeyRing>,
    pub nonces: Nonces,
    pub quota: Quota,
    pub journal: Journal,
    pub addresses: Addresses,
    /// The names by which requests may mean this machine.
    pub own_names: OwnNames,
    /// Where calls go that others answer; none where nothing is forwarded.
    pub upstream: Option<Upstream>,
    /// Whether each answer is compared with the spec: in debug builds, and where tests ask for it.
    pub checks_answers: bool,
}

impl Gateway {
    #[must_use]
    pub fn new(
        context: Context,
        keys: Arc<KeyRing>,
        nonces: Nonces,
        addresses: Addresses,
        upstream: Option<Upstream>,
    ) -> Self {
        let config = &context.config;
        let written = [Some(config.api_addr.as_str()), config.tls_addr.as_deref()];
        let names = addresses.of_the_api().chain(written.into_iter().flatten());
        Self {
            spec: Spec::embedded(),
            registry: actions::all().map(|def| (def.name, def)).collect(),
            own_names: OwnNames::new(addresses.public_host.as_deref(), names),
            quota: Quota::new(config.limits),
            nonces,
            upstream,
            journal: Journal::default(),
            checks_answers: cfg!(debug_assertions)
                || std::env::var_os("LOCALYUN_CHECK_ANSWERS")
                    .is_some_and(|value| !value.is_empty()),
            context,
            keys,
            addresses,
        }
    }

    pub(super) fn config(&self) -> &Config {
        &self.context.config
    }

    pub(super) fn services(&self) -> &Services {
        &self.context.services
    }

    /// Forgets the calls that were made. Nonces stay: what was signed once is used up for good.
    pub fn forget(&self) {
        self.journal.clear();
        self.quota.clear();
        if let Some(upstream) = &self.upstream {
            upstream.forget();
        }
    }
}
