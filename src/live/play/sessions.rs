//! HLS sessions: who has got a playlist may load it again and has the right to its slices, for as long as it asks in time.

mod gone;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::Viewer;
use crate::clock;
use crate::ids;
use crate::live::fanout::hls::{Hls, Told};
use gone::{Gone, Left};

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

/// The same as it is kept, a digest: what a player says of itself may fill a request's whole head, and ten thousand of them may be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Mark([u8; 32]);

impl From<&Known> for Mark {
    fn from(known: &Known) -> Self {
        let address = known.address.to_string();
        let said = [&address, &known.agent, &known.url].map(Some);
        let mut digest = Sha256::new();
        for text in said.into_iter().chain([known.page.as_ref()]) {
            // Its length goes before each text: what one ends with is not what the next one begins with, and an empty page is not the lack of one.
            let length = text.map_or(u64::MAX, |text| text.len() as u64);
            digest.update(length.to_be_bytes());
            digest.update(text.map_or("", String::as_str));
        }
        Self(digest.finalize().into())
    }
}

impl From<Known> for Mark {
    fn from(known: Known) -> Self {
        Self::from(&known)
    }
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
    mark: Mark,
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

    /// What is to be kept of it when it goes.
    fn left(&self) -> Left {
        Left::of(&self.hls, &self.before)
    }
}

#[derive(Default)]
struct Inner {
    by_id: HashMap<String, Arc<Session>>,
    by_mark: HashMap<Mark, Arc<Session>>,
    gone: Gone,
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
        let mark = Mark::from(known);
        let found = self.lock().by_mark.get(&mark).cloned()?;
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

    /// A player's first playlist, or its first one of a new publish. A player that asked several times at once has one session; one whose session
    /// went is told no lower numbers than it was then.
    #[must_use]
    pub fn begin(
        &self,
        known: Known,
        (hls, before): (Arc<Hls>, Told),
        viewer: Viewer,
        headers: Vec<(String, Option<String>)>,
    ) -> Arc<Session> {
        let mark = Mark::from(known);
        let mut inner = self.lock();
        let there = inner.by_mark.get(&mark).cloned();
        if let Some(there) = there.as_ref().filter(|there| there.is_of(&hls)) {
            there.touch();
            drop(inner);
            return there.clone();
        }
        let left = match &there {
            Some(there) => Some(there.left()),
            None => inner.gone.take(&mark, clock::monotonic()),
        };
        let before = match left {
            Some(left) if !before.has_slices() => left.before(&hls),
            _ => before,
        };
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
            mark,
            last: Mutex::new(clock::monotonic()),
        });
        if let Some(replaced) = &there {
            inner.by_id.remove(&replaced.id);
        }
        inner.by_id.insert(session.id.clone(), session.clone());
        inner.by_mark.insert(mark, session.clone());
        // The viewer of who is replaced, as of who comes too late, is told to be gone outside of the lock.
        drop(inner);
        session
    }

    fn drop_idle(&self) {
        let now = clock::monotonic();
        let mut inner = self.lock();
        inner.gone.forget(now);
        let gone: Vec<Arc<Session>> = inner
            .by_id
            .values()
            .filter(|session| session.is_idle() || session.viewer.is_cut())
            .cloned()
            .collect();
        for session in &gone {
            inner.by_id.remove(&session.id);
            if inner
                .by_mark
                .get(&session.mark)
                .is_some_and(|now| now.id == session.id)
            {
                inner.by_mark.remove(&session.mark);
                inner.gone.keep(session.mark, session.left(), now);
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn a_player_is_kept_as_a_few_bytes_however_much_it_says() {
        let known = |agent: &str, url: &str, page: Option<&str>| Known {
            address: Ipv4Addr::LOCALHOST.into(),
            agent: agent.to_owned(),
            url: url.to_owned(),
            page: page.map(str::to_owned),
        };
        let long = "x".repeat(200_000);
        let players = [
            known("a", "bc", None),
            known("ab", "c", None),
            known("a", "bc", Some("")),
            known("a", "b", Some("c")),
            known(&long, "c", None),
            known(&long[1..], "xc", None),
            Known {
                address: Ipv6Addr::LOCALHOST.into(),
                ..known("a", "bc", None)
            },
        ];
        let marks: HashSet<Mark> = players.iter().map(Mark::from).collect();
        assert_eq!(marks.len(), players.len());
        assert!(marks.contains(&Mark::from(known("a", "bc", None))));
        assert_eq!(size_of::<Mark>(), 32);
    }
}
