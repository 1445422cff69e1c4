//! Armed faults: what a user of the emulator makes go wrong, at an API action or at a boundary, for the first N times.

use std::cell::RefCell;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::clock::machine_sleep;
use crate::events::{Events, Kind, Names};

/// A boundary of the service where a fault can be armed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boundary {
    /// Every call of the object store, the recordings' own included.
    Store,
    /// An object that is put.
    ObjectPut,
    /// A request to a receiver of callbacks.
    Callback,
    /// A push that begins.
    Ingest,
}

impl Boundary {
    pub const ALL: [Self; 4] = [Self::Store, Self::ObjectPut, Self::Callback, Self::Ingest];

    /// The name by which a fault is armed.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::ObjectPut => "object-put",
            Self::Callback => "callback",
            Self::Ingest => "ingest",
        }
    }
}

/// Where a fault strikes, in its text a boundary's name or `api:` and the name of an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Point {
    Boundary(Boundary),
    Action(String),
}

impl TryFrom<String> for Point {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if let Some(action) = text.strip_prefix("api:") {
            return Ok(Self::Action(action.to_owned()));
        }
        let boundary = Boundary::ALL.into_iter().find(|it| it.as_str() == text);
        boundary.map(Self::Boundary).ok_or_else(|| {
            let names = Boundary::ALL.map(Boundary::as_str).join(", ");
            format!("{text:?} is no place for a fault: it is api:ActionName or one of {names}")
        })
    }
}

impl From<Point> for String {
    fn from(point: Point) -> Self {
        point.to_string()
    }
}

impl std::fmt::Display for Point {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Boundary(boundary) => f.write_str(boundary.as_str()),
            Self::Action(action) => write!(f, "api:{action}"),
        }
    }
}

/// Milliseconds by which a fault may delay at most. Whoever arms one checks it, so that nobody else has to.
pub const MAX_DELAY_MS: u64 = 600_000;
/// Faults that may be armed at a time.
pub const LIMIT: usize = 100;

/// A fault as `PUT /_localyun/faults` takes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    pub at: Point,
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

    /// Whether a fault strikes at this boundary now; each question counts.
    #[must_use]
    pub fn strike(&self, boundary: Boundary) -> Option<Strike> {
        self.strike_where(|at| matches!(at, Point::Boundary(armed) if *armed == boundary))
    }

    /// As [`Faults::strike`] for an API action.
    #[must_use]
    pub fn strike_action(&self, action: &str) -> Option<Strike> {
        self.strike_where(|at| matches!(at, Point::Action(armed) if armed == action))
    }

    fn strike_where(&self, is_here: impl Fn(&Point) -> bool) -> Option<Strike> {
        let mut armed = self.lock();
        let fault = armed
            .iter_mut()
            .find(|f| is_here(&f.at) && f.first.is_none_or(|first| f.struck < first))?;
        fault.struck += 1;
        let at = fault.at.to_string();
        // Work that belongs to no request has nobody to tell.
        let _ = STRUCK.try_with(|struck| {
            struck.borrow_mut().get_or_insert_with(|| at.clone());
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_the_first_n_times() {
        let faults = Faults::default();
        faults.add(Fault {
            at: Point::Boundary(Boundary::Callback),
            first: Some(2),
            delay_ms: None,
            code: Some("503".into()),
            struck: 0,
        });
        assert!(faults.strike(Boundary::Store).is_none());
        assert!(faults.strike(Boundary::Callback).is_some());
        assert!(faults.strike(Boundary::Callback).is_some());
        assert!(faults.strike(Boundary::Callback).is_none());
        assert_eq!(faults.list()[0].struck, 2);
        let mut told = serde_json::to_value(&faults.list()[0]).unwrap();
        let again: Fault = serde_json::from_value(told.clone()).unwrap();
        assert_eq!(again.struck, 0);
        assert_eq!(told["at"], "callback");
        told["colour"] = "red".into();
        assert!(serde_json::from_value::<Fault>(told).is_err());
    }

    #[test]
    fn a_place_is_read_from_its_name() {
        for name in [
            "store",
            "object-put",
            "callback",
            "ingest",
            "api:AddLiveDomain",
        ] {
            let point = Point::try_from(name.to_owned()).unwrap();
            assert_eq!(point.to_string(), name);
        }
        let error = Point::try_from("stroe".to_owned()).unwrap_err();
        assert!(
            error.ends_with("one of store, object-put, callback, ingest"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_piece_of_work_learns_what_struck_in_it() {
        let faults = Faults::default();
        faults.add(Fault {
            at: Point::Boundary(Boundary::Store),
            first: None,
            delay_ms: Some(0),
            code: None,
            struck: 0,
        });
        assert!(faults.strike(Boundary::Store).is_some());
        let (_, struck) = watched(async { faults.strike(Boundary::Store) }).await;
        assert_eq!(struck.as_deref(), Some("store"));
        let (_, struck) = watched(async { faults.strike(Boundary::Ingest) }).await;
        assert_eq!(struck, None);
    }
}
