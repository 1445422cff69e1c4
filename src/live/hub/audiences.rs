//! Who watches by which play domain, so that stopping a domain reaches them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The viewers of one play domain, from its start to its next stop.
#[derive(Debug, Default)]
pub struct Audience {
    is_cut: AtomicBool,
}

impl Audience {
    /// The domain was stopped: whoever is of this audience goes.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::Acquire)
    }
}

/// The audiences of all domains.
#[derive(Debug, Default)]
pub struct Audiences(Mutex<HashMap<String, Weak<Audience>>>);

impl Audiences {
    /// The audience of a domain. Who joins before it looks whether the domain is stopped is either refused or cut.
    #[must_use]
    pub fn join(&self, domain: &str) -> Arc<Audience> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(audience) = all.get(domain).and_then(Weak::upgrade) {
            return audience;
        }
        all.retain(|_, audience| audience.strong_count() > 0);
        let audience = Arc::default();
        all.insert(domain.to_owned(), Arc::downgrade(&audience));
        audience
    }

    /// The domains by which somebody watches.
    #[must_use]
    pub fn domains(&self) -> Vec<String> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let watched = all
            .iter()
            .filter(|(_, audience)| audience.strong_count() > 0);
        watched.map(|(domain, _)| domain.clone()).collect()
    }

    /// Sends the audience of a domain away.
    pub fn cut(&self, domain: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(audience) = all.remove(domain).and_then(|audience| audience.upgrade()) {
            audience.is_cut.store(true, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_reaches_who_is_there_and_nobody_who_comes_later() {
        let audiences = Audiences::default();
        let (one, same, other) = (
            audiences.join("a.example"),
            audiences.join("a.example"),
            audiences.join("b.example"),
        );
        let mut watched = audiences.domains();
        watched.sort();
        assert_eq!(watched, ["a.example", "b.example"]);
        audiences.cut("a.example");
        audiences.cut("nobody.example");
        assert!(one.is_cut() && same.is_cut() && !other.is_cut());
        assert!(!audiences.join("a.example").is_cut());
        drop((one, same, other));
        assert!(audiences.domains().is_empty());
        assert!(!audiences.join("c.example").is_cut());
        assert_eq!(audiences.0.lock().unwrap().len(), 1);
    }
}
