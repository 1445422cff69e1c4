//! Armed faults: what a user of the emulator makes go wrong, at an API action or at a boundary, for the first N times.

use std::cell::RefCell;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::clock::machine_sleep;
use crate::events::{Events, Kind, Names};

/// The boundaries where a fault can be armed, beside `api:<Action>`.
pub const BOUNDARIES: [&str; 4] = ["store", "object-put", "callback", "ingest"];
/// Milliseconds by which a fault may delay at most. Whoever arms one checks it, so that nobody else has to.
pub const MAX_DELAY_MS: u64 = 600_000;
/// Faults that may be armed at a time.
pub const LIMIT: usize = 100;

/// A fault as `PUT /_localyun/faults` takes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    pub at: String,
    /// How many times it strikes; for ever when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// How often it struck already; told, never taken.
    #[serde(default, deserialize_with = "none_yet")]
    pub struck: u64,
}

/// What `GET /_localyun/faults` gives can be put back; the count begins anew.
fn none_yet<'de, D: serde::Deserializer<'de>>(given: D) -> Result<u64, D::Error> {
    serde::de::IgnoredAny::deserialize(given).map(|_| 0)
}

tokio::task_local! {
    /// The first boundary that struck in the work of one API request.
    static STRUCK: RefCell<Option<String>>;
}

/// Does a piece of work and tells which fault struck in it, so that its answer can say so.
pub async fn watched<T>(work: impl Future<Output = T>) -> (T, Option<String>) {
    let watched = async {
        let done = work.await;
        (done, STRUCK.with(RefCell::take))
    };
    STRUCK.scope(RefCell::default(), watched).await
}

/// What a struck boundary does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strike {
    pub delay_ms: u64,
    /// `None`: only slower.
    pub code: Option<String>,
}

impl Strike {
    /// Lets the delay pass, in machine time: what is slow is a peer or a disk.
    pub async fn delay(&self) {
        if self.delay_ms > 0 {
            machine_sleep(Duration::from_millis(self.delay_ms)).await;
        }
    }
}

#[derive(Default)]
pub struct Faults {
    armed: Mutex<Vec<Fault>>,
    /// Who hears of each strike.
    events: Option<Events>,
}

impl Faults {
    /// Faults whose strikes are told.
    #[must_use]
    pub fn telling(events: Events) -> Self {
        Self {
            armed: Mutex::default(),
            events: Some(events),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces what is armed.
    pub fn arm(&self, faults: Vec<Fault>) {
        *self.lock() = faults;
    }

    /// Adds a fault, in place of one at the same point.
    pub fn add(&self, fault: Fault) {
        let mut armed = self.lock();
        armed.retain(|old| old.at != fault.at);
        armed.push(fault);
    }

    #[must_use]
    pub fn list(&self) -> Vec<Fault> {
        self.lock().clone()
    }

    /// Whether a fault strikes at this point now; each question counts.
    #[must_use]
    pub fn strike(&self, at: &str) -> Option<Strike> {
        let mut armed = self.lock();
        if armed.is_empty() {
            return None;
        }
        let fault = armed
            .iter_mut()
            .find(|f| f.at == at && f.first.is_none_or(|first| f.struck < first))?;
        fault.struck += 1;
        // Work that belongs to no request has nobody to tell.
        let _ = STRUCK.try_with(|struck| {
            struck.borrow_mut().get_or_insert_with(|| at.to_owned());
        });
        if let Some(events) = &self.events {
            let told = json!({
                "point": at,
                "code": fault.code,
                "delay_ms": fault.delay_ms,
                "struck": fault.struck,
                "first": fault.first,
            });
            events.tell(Kind::Fault, Names::NONE, &told);
        }
        Some(Strike {
            delay_ms: fault.delay_ms.unwrap_or(0),
            code: fault.code.clone(),
        })
    }

    /// As [`Faults::strike`] for an API action.
    #[must_use]
    pub fn strike_action(&self, action: &str) -> Option<Strike> {
        if self.lock().is_empty() {
            return None;
        }
        self.strike(&format!("api:{action}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_the_first_n_times() {
        let faults = Faults::default();
        faults.add(Fault {
            at: "callback".into(),
            first: Some(2),
            delay_ms: None,
            code: Some("503".into()),
            struck: 0,
        });
        assert!(faults.strike("store").is_none());
        assert!(faults.strike("callback").is_some());
        assert!(faults.strike("callback").is_some());
        assert!(faults.strike("callback").is_none());
        assert_eq!(faults.list()[0].struck, 2);
        let mut told = serde_json::to_value(&faults.list()[0]).unwrap();
        let again: Fault = serde_json::from_value(told.clone()).unwrap();
        assert_eq!(again.struck, 0);
        told["colour"] = "red".into();
        assert!(serde_json::from_value::<Fault>(told).is_err());
    }

    #[tokio::test]
    async fn a_piece_of_work_learns_what_struck_in_it() {
        let faults = Faults::default();
        faults.add(Fault {
            at: "store".into(),
            first: None,
            delay_ms: Some(0),
            code: None,
            struck: 0,
        });
        assert!(faults.strike("store").is_some());
        let (_, struck) = watched(async { faults.strike("store") }).await;
        assert_eq!(struck.as_deref(), Some("store"));
        let (_, struck) = watched(async { faults.strike("ingest") }).await;
        assert_eq!(struck, None);
    }
}
