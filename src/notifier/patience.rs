//! How long an `advance` of the clock waits for receivers that hang.
//!
//! An answer that comes at once has to be there before the clock goes on, or a callback that was delivered would count as late. A receiver
//! that hangs must not hold up the clock for each stream and each try, so the waiting has a bound for all of them together: a receiver
//! gets half as long after each time that it hung, and every receiver only what is left of an advance's whole patience.
//! A receiver that answers has all of its patience again, and with the next advance so has everybody.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Machine time that an advance waits for a receiver that has not hung.
const FOR_ONE: Duration = Duration::from_secs(1);
/// Machine time that it waits for all receivers that hang, together.
const FOR_ALL: Duration = Duration::from_secs(3);
/// Machine time for a receiver of which nothing is known, when the time for all is used up.
const AT_LEAST: Duration = Duration::from_millis(5);
/// Receivers that are remembered. Callers choose their names, so their number needs a bound.
const MOST: usize = 1_000;

/// What is known of one receiver.
#[derive(Debug, Clone, Copy)]
struct Hung {
    /// How many times in a row it hung.
    times: u32,
    /// When it was last seen to hang: of a request that had begun before that, nothing new can be learned.
    found: Instant,
}

#[derive(Debug, Default)]
struct State {
    hung: HashMap<String, Hung>,
    waited: Duration,
    /// Until when somebody waits for it already: whoever waits at the same time costs the advance nothing more.
    waiting_until: Option<Instant>,
}

/// The patience of one advance.
#[derive(Debug, Default)]
pub struct Patience(Mutex<State>);

impl Patience {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new advance begins.
    pub fn renew(&self) {
        *self.lock() = State::default();
    }

    /// How long to wait for `receiver`.
    #[must_use]
    pub fn with(&self, receiver: &str) -> Duration {
        let state = self.lock();
        let times = state.hung.get(receiver).map_or(0, |hung| hung.times);
        let own = FOR_ONE / 2_u32.saturating_pow(times.min(16));
        own.min(FOR_ALL.saturating_sub(state.waited).max(AT_LEAST))
    }

    /// A request to `receiver` that began at `began` was waited for in vain until `now`.
    pub fn in_vain(&self, receiver: &str, began: Instant, now: Instant) {
        let mut state = self.lock();
        let from = state.waiting_until.map_or(began, |until| until.max(began));
        state.waited += now.saturating_duration_since(from);
        state.waiting_until = Some(now);
        let times = match state.hung.get(receiver) {
            Some(hung) if hung.found > began => hung.times,
            Some(hung) => hung.times + 1,
            None => 1,
        };
        if state.hung.len() >= MOST && !state.hung.contains_key(receiver) {
            state.hung.clear();
        }
        let hung = Hung { times, found: now };
        state.hung.insert(receiver.to_owned(), hung);
    }

    /// `receiver` answered.
    pub fn answered(&self, receiver: &str) {
        self.lock().hung.remove(receiver);
    }
}

/// What tells receivers apart: host and port of a URL.
#[must_use]
pub fn receiver_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An advance as it is seen from here: each try is at an instant of its own, and each hangs as long as it is let.
    fn waited(receivers: usize, tries: usize) -> Duration {
        let patience = Patience::default();
        let start = crate::clock::monotonic();
        let mut now = start;
        for _ in 0..tries {
            for receiver in 0..receivers {
                let receiver = receiver.to_string();
                let began = now;
                now += patience.with(&receiver);
                patience.in_vain(&receiver, began, now);
            }
        }
        now - start
    }

    #[test]
    fn what_hangs_is_waited_for_with_a_bound() {
        assert!(waited(1, 1) == FOR_ONE);
        // One receiver of fifty streams, six tries of some callbacks each.
        assert!(waited(1, 50 * 6 * 3) <= FOR_ONE * 2 + FOR_ONE / 10);
        // A receiver for each stream.
        let each = waited(50, 6 * 3);
        assert!(each < Duration::from_secs(7), "{each:?}");
    }

    #[test]
    fn those_that_wait_at_the_same_time_wait_once() {
        let patience = Patience::default();
        let began = crate::clock::monotonic();
        let later = began + FOR_ONE;
        for stream in 0..50 {
            assert_eq!(patience.with("one"), FOR_ONE, "{stream}");
        }
        for _ in 0..50 {
            patience.in_vain("one", began, later);
        }
        assert_eq!(patience.with("one"), FOR_ONE / 2);
        assert_eq!(patience.with("other"), FOR_ONE);
    }

    #[test]
    fn a_receiver_that_answers_is_trusted_again() {
        let patience = Patience::default();
        let began = crate::clock::monotonic();
        for n in 1..40_u32 {
            let now = began + FOR_ONE * n;
            patience.in_vain("h:1", now, now);
        }
        assert!(patience.with("h:1") < AT_LEAST);
        patience.answered("h:1");
        assert_eq!(patience.with("h:1"), FOR_ONE);
    }

    #[test]
    fn the_patience_for_all_comes_back_with_the_next_advance() {
        let patience = Patience::default();
        let began = crate::clock::monotonic();
        patience.in_vain("h:1", began, began + FOR_ALL * 2);
        assert_eq!(patience.with("h:2"), AT_LEAST);
        patience.renew();
        assert_eq!(patience.with("h:1"), FOR_ONE);
    }

    #[test]
    fn as_many_receivers_as_there_may_be_are_remembered() {
        let patience = Patience::default();
        let now = crate::clock::monotonic();
        for n in 0..3 * MOST {
            patience.in_vain(&n.to_string(), now, now);
        }
        assert!(patience.lock().hung.len() <= MOST);
    }

    #[test]
    fn receivers_are_told_apart_by_host_and_port() {
        for (url, receiver) in [
            ("http://127.0.0.1:9/a/b?c=d", "127.0.0.1:9"),
            ("https://a.example.com", "a.example.com"),
            ("http://[::1]:9?x", "[::1]:9"),
            ("http://u:p@h:1#f", "u:p@h:1"),
        ] {
            assert_eq!(receiver_of(url), receiver);
        }
    }
}
