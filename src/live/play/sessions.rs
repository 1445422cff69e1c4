//! HLS sessions: who has got a playlist may load it again and has the right to its slices, for as long as it asks in time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Viewer;
use crate::clock;
use crate::ids;
use crate::live::fanout::hls::{Hls, Told};

/// A player that asks for nothing for this long, in machine time, is gone.
pub const IDLE: Duration = Duration::from_secs(30);
/// Machine time between two looks for such players.
const LOOK: Duration = Duration::from_secs(5);

/// How a player is recognised that loads a playlist again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Known {
    pub address: std::net::IpAddr,
    pub agent: String,
    /// Host, path and query.
    pub url: String,
    /// Host of the page that it plays in: the lists of referers let pages in, and not browsers.
    pub page: Option<String>,
}

/// One player of a playlist.
pub struct Session {
    pub id: String,
    pub hls: Arc<Hls>,
    /// What the player was told of the stream's earlier publishes.
    pub before: Told,
    pub viewer: Viewer,
    /// Headers that the domain sets on every answer. A header without a value is taken away from it.
    pub headers: Vec<(String, Option<String>)>,
    known: Known,
    last: Mutex<Instant>,
}

impl Session {
    fn touch(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = clock::monotonic();
    }

    /// Whether it is what another one of the same player would be.
    fn is_of(&self, hls: &Arc<Hls>) -> bool {
        Arc::ptr_eq(&self.hls, hls) && !self.viewer.is_cut()
    }

    fn is_idle(&self) -> bool {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.elapsed() > IDLE
    }
}

#[derive(Default)]
struct Inner {
    by_id: HashMap<String, Arc<Session>>,
    by_known: HashMap<Known, Arc<Session>>,
}

/// The sessions of all streams.
#[derive(Default)]
pub struct Sessions(Mutex<Inner>);

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session of a player that loads its playlist again, unless its domain was stopped.
    #[must_use]
    pub fn again(&self, known: &Known) -> Option<Arc<Session>> {
        let found = self.lock().by_known.get(known).cloned()?;
        found.touch();
        (!found.viewer.is_cut()).then_some(found)
    }

    /// The session that a slice is asked for with, unless its domain was stopped.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<Arc<Session>> {
        let found = self.lock().by_id.get(id).cloned()?;
        found.touch();
        (!found.viewer.is_cut()).then_some(found)
    }

    /// A player's first playlist, or its first one of a new publish. A player that asked several times at once has one session.
    #[must_use]
    pub fn begin(
        &self,
        known: Known,
        (hls, before): (Arc<Hls>, Told),
        viewer: Viewer,
        headers: Vec<(String, Option<String>)>,
    ) -> Arc<Session> {
        let mut inner = self.lock();
        let there = inner.by_known.get(&known).cloned();
        if let Some(there) = there.as_ref().filter(|there| there.is_of(&hls)) {
            there.touch();
            drop(inner);
            return there.clone();
        }
        // Where its playlist goes on, the player keeps its id: it holds addresses of slices that it has not fetched, and what a playlist has
        // listed is not listed under another address.
        let goes_on = there
            .as_ref()
            .filter(|there| before.has_slices() && !there.viewer.is_cut());
        let session = Arc::new(Session {
            id: goes_on.map_or_else(ids::nonce, |there| there.id.clone()),
            hls,
            before,
            viewer,
            headers,
            known: known.clone(),
            last: Mutex::new(clock::monotonic()),
        });
        if let Some(replaced) = &there {
            inner.by_id.remove(&replaced.id);
        }
        inner.by_id.insert(session.id.clone(), session.clone());
        inner.by_known.insert(known, session.clone());
        // The viewer of who is replaced, as of who comes too late, is told to be gone outside of the lock.
        drop(inner);
        session
    }

    fn drop_idle(&self) {
        let mut inner = self.lock();
        let gone: Vec<Arc<Session>> = inner
            .by_id
            .values()
            .filter(|session| session.is_idle() || session.viewer.is_cut())
            .cloned()
            .collect();
        for session in &gone {
            inner.by_id.remove(&session.id);
            if inner
                .by_known
                .get(&session.known)
                .is_some_and(|now| now.id == session.id)
            {
                inner.by_known.remove(&session.known);
            }
        }
        drop(inner);
        // Their viewers are told to be gone outside of the lock.
        drop(gone);
    }

    /// Drops players that are gone, for ever.
    pub async fn run(&self) {
        loop {
            clock::machine_sleep(LOOK).await;
            self.drop_idle();
        }
    }
}
