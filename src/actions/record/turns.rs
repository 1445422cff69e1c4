//! Turns at the objects of a bucket: an object and its record are made and removed by one call at a time, since no transaction holds both.

use std::hash::{DefaultHasher, Hash, Hasher};

use tokio::sync::{Mutex, MutexGuard};

/// Buckets rarely share one of so many turns, and then only wait for each other.
const TURNS: usize = 64;

pub struct Turns([Mutex<()>; TURNS]);

impl Default for Turns {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }
}

impl Turns {
    /// Waits for the turn at a bucket's objects.
    pub async fn at(&self, bucket: &str) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        bucket.hash(&mut hasher);
        let turns = TURNS as u64;
        let turn = usize::try_from(hasher.finish() % turns).unwrap_or(0);
        #[expect(clippy::indexing_slicing, reason = "a remainder is below its divisor")]
        self.0[turn].lock().await
    }
}
