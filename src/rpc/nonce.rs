//! Nonces that were used: a request is taken once.
//!
//! Requests are valid by the service clock or the machine's, so a nonce must be remembered for as long as either might still
//! accept its timestamp: by machine time, for one to two windows. Only hashes are kept, in two generations.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::clock;

/// A generation's life: both sides of the validity window.
const WINDOW: Duration = Duration::from_secs(2 * 15 * 60);
/// Nonces of a generation; more begin a new one early.
const LIMIT: usize = 2_000_000;

struct Generations {
    now: HashSet<u64>,
    before: HashSet<u64>,
    since: Instant,
}

pub struct Nonces {
    hasher: RandomState,
    seen: Mutex<Generations>,
}

impl Default for Nonces {
    fn default() -> Self {
        let seen = Generations {
            now: HashSet::new(),
            before: HashSet::new(),
            since: clock::monotonic(),
        };
        Self {
            hasher: RandomState::new(),
            seen: Mutex::new(seen),
        }
    }
}

impl Nonces {
    /// Remembers a nonce; false when it was used before.
    pub fn use_once(&self, access_key_id: &str, nonce: &str) -> bool {
        let hash = self.hasher.hash_one((access_key_id, nonce));
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.since.elapsed() >= WINDOW || seen.now.len() >= LIMIT {
            seen.before = std::mem::take(&mut seen.now);
            seen.since = clock::monotonic();
        }
        !seen.before.contains(&hash) && seen.now.insert(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_counts_once_for_each_key() {
        let nonces = Nonces::default();
        assert!(nonces.use_once("a", "n"));
        assert!(!nonces.use_once("a", "n"));
        assert!(nonces.use_once("b", "n"));
    }
}
