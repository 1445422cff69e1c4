//! Who may call: configured access keys and temporary ones that our own STS issued.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::clock::UnixMs;
use crate::config::AccessKey;

/// Temporary credentials that are kept at a time.
const ISSUED_LIMIT: usize = 10_000;

/// A key that was found.
#[derive(Clone, PartialEq, Eq)]
pub struct Found {
    pub key: Arc<AccessKey>,
    /// When temporary credentials end.
    pub expires: Option<UnixMs>,
}

#[derive(Default)]
pub struct KeyRing {
    configured: Vec<Arc<AccessKey>>,
    issued: RwLock<HashMap<String, (Arc<AccessKey>, UnixMs)>>,
}

impl KeyRing {
    #[must_use]
    pub fn new(configured: Vec<AccessKey>) -> Self {
        Self {
            configured: configured.into_iter().map(Arc::new).collect(),
            issued: RwLock::default(),
        }
    }

    #[must_use]
    pub fn find(&self, id: &str) -> Option<Found> {
        if let Some(key) = self.configured.iter().find(|key| key.id == id) {
            return Some(Found {
                key: key.clone(),
                expires: None,
            });
        }
        let issued = self.issued.read().unwrap_or_else(PoisonError::into_inner);
        issued.get(id).map(|(key, expires)| Found {
            key: key.clone(),
            expires: Some(*expires),
        })
    }

    /// Remembers temporary credentials until they end.
    pub fn issue(&self, key: AccessKey, expires: UnixMs, now: UnixMs) {
        let mut issued = self.issued.write().unwrap_or_else(PoisonError::into_inner);
        if issued.len() >= ISSUED_LIMIT {
            issued.retain(|_, (_, expires)| *expires > now);
        }
        if issued.len() < ISSUED_LIMIT {
            issued.insert(key.id.clone(), (Arc::new(key), expires));
        }
    }

    /// The first configured key, for our own clients.
    #[must_use]
    pub fn first(&self) -> Option<&AccessKey> {
        self.configured.first().map(Arc::as_ref)
    }
}

/// Whether an id looks like a real account's key, which has no business here.
#[must_use]
pub fn looks_real(id: &str) -> bool {
    id.starts_with("LTAI") && id.len() >= 16
}
