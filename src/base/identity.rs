//! Who may call: configured access keys and temporary ones that our own STS issued. The one key ring of the API and the object store.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use subtle::ConstantTimeEq;

use crate::clock::UnixMs;

/// The access key of who sets none: it stands in every document.
pub const WELL_KNOWN_KEY: &str = "testid:testsecret";
/// Temporary credentials that are kept at a time.
pub const ISSUED_LIMIT: usize = 10_000;

/// One access key.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey {
    pub id: String,
    pub secret: String,
    /// The security token of temporary credentials.
    pub token: Option<String>,
    pub disabled: bool,
}

impl AccessKey {
    /// Whether it is the default one, which everybody knows.
    #[must_use]
    pub fn is_well_known(&self) -> bool {
        WELL_KNOWN_KEY
            .split_once(':')
            .is_some_and(|(id, secret)| id == self.id && secret == self.secret)
    }
}

impl std::fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AccessKey({}:***)", self.id)
    }
}

/// A key that was found.
#[derive(Clone, PartialEq, Eq)]
pub struct Found {
    pub key: Arc<AccessKey>,
    /// When temporary credentials end.
    pub expires: Option<UnixMs>,
}

/// Why a key is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFault {
    Unknown,
    Disabled,
}

/// Why the security token beside a key does not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenFault {
    /// The credentials have ended.
    Expired,
    Missing,
    Wrong,
    /// The key is no temporary one.
    NotWanted,
}

impl Found {
    /// Whether temporary credentials are still good, and come with their token: the same check for everybody who takes a key, whatever
    /// was signed and for however long.
    pub fn check_token(&self, given: Option<&str>, now: UnixMs) -> Result<(), TokenFault> {
        if self.expires.is_some_and(|expires| now > expires) {
            return Err(TokenFault::Expired);
        }
        match (&self.key.token, given.filter(|token| !token.is_empty())) {
            (Some(_), None) => Err(TokenFault::Missing),
            (Some(wanted), Some(given))
                if !bool::from(wanted.as_bytes().ct_eq(given.as_bytes())) =>
            {
                Err(TokenFault::Wrong)
            }
            (None, Some(_)) => Err(TokenFault::NotWanted),
            _ => Ok(()),
        }
    }
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

    /// A key that may be used.
    pub fn known(&self, id: &str) -> Result<Found, KeyFault> {
        let found = self.find(id).ok_or(KeyFault::Unknown)?;
        if found.key.disabled {
            return Err(KeyFault::Disabled);
        }
        Ok(found)
    }

    /// Remembers temporary credentials until they end; false when there are too many that have not.
    #[must_use]
    pub fn issue(&self, key: AccessKey, expires: UnixMs, now: UnixMs) -> bool {
        let mut issued = self.issued.write().unwrap_or_else(PoisonError::into_inner);
        if issued.len() >= ISSUED_LIMIT {
            issued.retain(|_, (_, expires)| *expires > now);
        }
        let room = issued.len() < ISSUED_LIMIT;
        if room {
            issued.insert(key.id.clone(), (Arc::new(key), expires));
        }
        room
    }

    /// The first configured key that is not disabled, for our own clients; where all are, the first.
    #[must_use]
    pub fn first(&self) -> Option<&AccessKey> {
        let mut usable = self.configured.iter().filter(|key| !key.disabled);
        let first = usable.next().or(self.configured.first());
        first.map(Arc::as_ref)
    }
}

/// Whether an id looks like a real account's key, which has no business here.
#[must_use]
pub fn looks_real(id: &str) -> bool {
    id.starts_with("LTAI") && id.len() >= 16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str, token: Option<&str>) -> AccessKey {
        AccessKey {
            id: id.to_owned(),
            secret: "secret".to_owned(),
            token: token.map(str::to_owned),
            disabled: id == "off",
        }
    }

    #[test]
    fn temporary_credentials_end_and_need_their_token() {
        let ring = KeyRing::new(vec![key("a", None), key("off", None)]);
        assert!(ring.issue(key("t", Some("word")), 1_000, 0));
        let temporary = ring.known("t").unwrap();
        assert_eq!(temporary.check_token(Some("word"), 1_000), Ok(()));
        for (given, now, fault) in [
            (Some("word"), 1_001, TokenFault::Expired),
            (None, 1_001, TokenFault::Expired),
            (None, 0, TokenFault::Missing),
            (Some(""), 0, TokenFault::Missing),
            (Some("other"), 0, TokenFault::Wrong),
        ] {
            assert_eq!(temporary.check_token(given, now), Err(fault));
        }
        let lasting = ring.known("a").unwrap();
        assert_eq!(lasting.check_token(None, i64::MAX), Ok(()));
        let odd = lasting.check_token(Some("word"), 0);
        assert_eq!(odd, Err(TokenFault::NotWanted));
        assert_eq!(ring.known("off").err(), Some(KeyFault::Disabled));
        assert_eq!(ring.known("b").err(), Some(KeyFault::Unknown));
    }

    #[test]
    fn a_full_ring_issues_no_key_that_would_not_work() {
        let ring = KeyRing::default();
        for n in 0..ISSUED_LIMIT {
            assert!(ring.issue(key(&n.to_string(), Some("w")), 1_000, 0));
        }
        assert!(!ring.issue(key("more", Some("w")), 1_000, 0));
        assert!(ring.issue(key("more", Some("w")), 9_000, 1_001));
    }
}
