//! Documented call rates (`Throttling.User`), on the service clock; off unless the setting `limits` says otherwise.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::FakeRelativeClock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::{Quota as Rate, RateLimiter};

use super::caller::Caller;
use crate::clock::UnixMs;
use crate::config::Limits;
use crate::error::{ApiError, Code};
use crate::spec::model::ActionSpec;

/// Pairs of caller and action that are watched at a time.
const WATCHED: usize = 10_000;

type Limiter = RateLimiter<
    governor::state::NotKeyed,
    governor::state::InMemoryState,
    FakeRelativeClock,
    NoOpMiddleware<Nanos>,
>;

struct State {
    clock: FakeRelativeClock,
    last: Option<UnixMs>,
    limiters: HashMap<(String, String), Arc<Limiter>>,
}

pub struct Quota {
    on: bool,
    state: Mutex<State>,
}

impl Quota {
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let state = State {
            clock: FakeRelativeClock::default(),
            last: None,
            limiters: HashMap::new(),
        };
        Self {
            on: limits == Limits::On,
            state: Mutex::new(state),
        }
    }

    /// Counts a call; refused when the caller is over the action's rate.
    pub fn take(&self, spec: &ActionSpec, caller: &Caller, now: UnixMs) -> Result<(), ApiError> {
        if !self.on {
            return Ok(());
        }
        let Some(rate) = spec.rate.as_deref().and_then(parse_rate) else {
            return Ok(());
        };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let step = now - state.last.unwrap_or(now);
        state
            .clock
            .advance(Duration::from_millis(u64::try_from(step).unwrap_or(0)));
        state.last = Some(now);
        if state.limiters.len() >= WATCHED {
            state.limiters.clear();
        }
        let clock = state.clock.clone();
        let key = (
            caller.id().unwrap_or_default().to_owned(),
            spec.action.clone(),
        );
        let limiter = state
            .limiters
            .entry(key)
            .or_insert_with(|| Arc::new(RateLimiter::direct_with_clock(rate, clock)))
            .clone();
        drop(state);
        limiter
            .check()
            .map_err(|_| ApiError::coded(Code::ThrottlingUser))
    }

    pub fn clear(&self) {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .limiters
            .clear();
    }
}

/// `30/second`, `1000/minute`.
fn parse_rate(text: &str) -> Option<Rate> {
    let (number, unit) = text.split_once('/')?;
    let number = NonZeroU32::new(number.trim().parse().ok()?)?;
    match unit.trim() {
        "second" | "s" => Some(Rate::per_second(number)),
        "minute" | "min" => Some(Rate::per_minute(number)),
        "hour" => Some(Rate::per_hour(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AccessKey;
    use crate::rpc::caller::Scheme;
    use crate::spec::Spec;

    #[test]
    fn the_documented_rate_holds_on_the_service_clock() {
        let quota = Quota::new(Limits::On);
        let spec = Spec::embedded().action("AddLiveAppRecordConfig").unwrap();
        let caller = |id: &str| Caller::Key {
            key: Arc::new(AccessKey {
                id: id.to_owned(),
                secret: String::new(),
                token: None,
                disabled: false,
            }),
            scheme: Scheme::V1,
        };
        let (first, other) = (caller("a"), caller("b"));
        let taken = |now| {
            (0..50)
                .filter(|_| quota.take(spec, &first, now).is_ok())
                .count()
        };
        assert_eq!(taken(1_000), 30);
        assert_eq!(taken(2_000), 30);
        assert!(quota.take(spec, &other, 2_000).is_ok());
    }
}
