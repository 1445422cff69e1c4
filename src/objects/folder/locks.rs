//! Striped locks: one writer at a time per key, one change of names at a time per bucket, in bounded memory.
//!
//! Order: an upload's lock first, then a key lock, then a name lock; nobody takes two of one kind except `everything`, which goes in order.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The locks of one store.
pub struct Locks {
    uploads: Vec<Mutex<()>>,
    keys: Vec<Mutex<()>>,
    names: Vec<Mutex<()>>,
}

impl Default for Locks {
    fn default() -> Self {
        let stripes = |count: usize| std::iter::repeat_with(Mutex::default).take(count).collect();
        Self {
            uploads: stripes(128),
            keys: stripes(128),
            names: stripes(16),
        }
    }
}

impl Locks {
    /// Held while parts of an upload come, go or are joined. That may take minutes, so it is apart from the keys: no other write waits for it.
    pub fn upload(&self, bucket: &str, id: &str) -> Option<MutexGuard<'_, ()>> {
        stripe(&self.uploads, &(bucket, id))
    }

    /// Held while an object is replaced.
    pub fn key(&self, bucket: &str, key: &str) -> Option<MutexGuard<'_, ()>> {
        stripe(&self.keys, &(bucket, key))
    }

    /// Held while folders and files of a bucket appear or disappear.
    pub fn names(&self, bucket: &str) -> Option<MutexGuard<'_, ()>> {
        stripe(&self.names, &bucket)
    }

    /// All locks, for removing everything.
    pub fn everything(&self) -> Vec<MutexGuard<'_, ()>> {
        let all = self.uploads.iter().chain(&self.keys).chain(&self.names);
        all.map(lock).collect()
    }
}

fn stripe<'a>(stripes: &'a [Mutex<()>], value: &impl Hash) -> Option<MutexGuard<'a, ()>> {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    let at = usize::try_from(hasher.finish() % (stripes.len().max(1) as u64)).ok()?;
    stripes.get(at).map(lock)
}

/// The locks guard the disk, not memory, so a panic elsewhere leaves nothing to distrust.
fn lock(mutex: &Mutex<()>) -> MutexGuard<'_, ()> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
