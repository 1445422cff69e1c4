//! Identifiers that answers, rows and files carry.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

/// Random bytes that a thread draws from the system at a time; each answer of the API takes two ids, and a call into the kernel
/// for each would cost as much as a digest.
const DRAWN: usize = 1_024;
const ID: usize = size_of::<uuid::Bytes>();

struct Drawn {
    bytes: [u8; DRAWN],
    used: usize,
}

thread_local! {
    static POOL: RefCell<Drawn> = const {
        RefCell::new(Drawn { bytes: [0; DRAWN], used: DRAWN })
    };
}

impl Drawn {
    fn next(&mut self) -> Option<Uuid> {
        if self.used + ID > DRAWN {
            getrandom::fill(&mut self.bytes).ok()?;
            self.used = 0;
        }
        let bytes = self.bytes.get(self.used..)?.first_chunk::<ID>()?;
        self.used += ID;
        Some(Builder::from_random_bytes(*bytes).into_uuid())
    }
}

/// What an id is for. Each has a series of its own, so that work that runs side by side does not mix them.
#[derive(Debug, Clone, Copy)]
enum Purpose {
    Request,
    Trace,
    Session,
    Record,
    Other,
}

/// Ids that follow from a number.
struct Series {
    seed: u64,
    /// The how-manieth run on the same data it is: a later one makes other ids.
    run: u64,
    /// What other ids there are beside its own came to; 0 where there are none.
    beside: AtomicU64,
    made: [AtomicU64; 5],
    /// How many ids each name has had: streams and files that are at work side by side have series of their own.
    named: Mutex<HashMap<(u64, String), u64>>,
}

static SERIES: OnceLock<Series> = OnceLock::new();

/// The instant in the first ordered id of a series (Unix milliseconds), and how far those of the next run lie behind it.
const FIRST_MS: u64 = 1_700_000_000_000;
const MS_A_RUN: u64 = 1_000_000_000;
/// Names that have series of their own.
const NAMES: usize = 100_000;

impl Series {
    fn new(seed: u64, run: u64) -> Self {
        Self {
            seed,
            run,
            beside: AtomicU64::new(0),
            made: Default::default(),
            named: Mutex::default(),
        }
    }

    fn digest(&self, purpose: Purpose, number: u64) -> Sha256 {
        let mut digest = Sha256::new();
        for part in [self.seed, self.run, purpose as u64, number] {
            digest.update(part.to_be_bytes());
        }
        let beside = self.beside.load(Ordering::Acquire);
        if beside > 0 {
            digest.update(beside.to_be_bytes());
        }
        digest
    }

    /// The next id's number, and bytes for it.
    fn next(&self, purpose: Purpose) -> (u64, [u8; 32]) {
        let number = self
            .made
            .get(purpose as usize)
            .map_or(0, |made| made.fetch_add(1, Ordering::Relaxed));
        (number, self.digest(purpose, number).finalize().into())
    }

    /// As [`Series::next`], of the name's own series.
    fn next_of(&self, purpose: Purpose, name: &str) -> (u64, [u8; 32]) {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (purpose as u64, name.to_owned());
        if named.len() >= NAMES && !named.contains_key(&key) {
            drop(named);
            return self.next(purpose);
        }
        let made = named.entry(key).or_default();
        let number = std::mem::replace(made, *made + 1);
        drop(named);
        let mut digest = self.digest(purpose, number);
        digest.update(name.as_bytes());
        (number, digest.finalize().into())
    }

    /// In whatever order they come.
    fn stay_clear_of<'a>(&self, others: impl Iterator<Item = &'a str>) {
        for id in others {
            let bytes = Sha256::digest(id);
            let bytes = bytes.first_chunk().copied().unwrap_or_default();
            self.beside
                .fetch_add(u64::from_be_bytes(bytes), Ordering::AcqRel);
        }
    }

    fn random(&self, purpose: Purpose) -> Uuid {
        let (_, bytes) = self.next(purpose);
        let first = bytes.first_chunk::<ID>().copied().unwrap_or_default();
        Builder::from_random_bytes(first).into_uuid()
    }

    fn ordered(&self, purpose: Purpose, name: Option<&str>) -> Uuid {
        let (number, bytes) = match name {
            Some(name) => self.next_of(purpose, name),
            None => self.next(purpose),
        };
        let tail = bytes.first_chunk::<10>().copied().unwrap_or_default();
        let at = FIRST_MS + self.run.saturating_mul(MS_A_RUN) + number;
        Builder::from_unix_timestamp_millis(at, &tail).into_uuid()
    }
}

/// From now on the ids of this process follow from a number, and from how many runs the same data has seen.
pub fn follow_from(seed: u64, run: u64) {
    let _ = SERIES.set(Series::new(seed, run));
}

/// Ids came that another process may have made from the same number: from now on those of this one follow from them too, since they could be the
/// same otherwise.
pub fn stay_clear_of<'a>(others: impl Iterator<Item = &'a str>) {
    if let Some(series) = SERIES.get() {
        series.stay_clear_of(others);
    }
}

fn random_uuid(purpose: Purpose) -> Uuid {
    if let Some(series) = SERIES.get() {
        return series.random(purpose);
    }
    POOL.with_borrow_mut(Drawn::next)
        .unwrap_or_else(Uuid::new_v4)
}

/// A request id as the product writes it: an upper-case UUID.
#[must_use]
pub fn request_id() -> String {
    let mut buffer = Uuid::encode_buffer();
    random_uuid(Purpose::Request)
        .hyphenated()
        .encode_upper(&mut buffer)
        .to_owned()
}

/// A trace id: 32 lower-case hex digits.
#[must_use]
pub fn trace_id() -> String {
    simple(random_uuid(Purpose::Trace))
}

fn ordered(purpose: Purpose, name: Option<&str>) -> String {
    let id = match SERIES.get() {
        Some(series) => series.ordered(purpose, name),
        None => Uuid::now_v7(),
    };
    id.hyphenated().to_string()
}

/// The id of whatever has no series of its own: a UUID whose order in time is its order in text.
#[must_use]
pub fn ordered_id() -> String {
    ordered(Purpose::Other, None)
}

/// The id of a recording session of a stream; the order of ids is that of the beginnings.
#[must_use]
pub fn session_id(stream: &str) -> String {
    ordered(Purpose::Session, Some(stream))
}

/// A record id as index files carry it: a lower-case UUID, whose order is that of creation, but for ids that follow from a number: those
/// follow from what names the file as well.
#[must_use]
pub fn record_id(file: &str) -> String {
    ordered(Purpose::Record, Some(file))
}

/// A signature nonce for our own client, and what credentials are made of: nothing of it is drawn before it is wanted.
#[must_use]
pub fn nonce() -> String {
    simple(Uuid::new_v4())
}

fn simple(id: Uuid) -> String {
    let mut buffer = Uuid::encode_buffer();
    id.simple().encode_lower(&mut buffer).to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_series_is_the_same_each_time_and_another_in_each_run() {
        let drawn = |seed, run| {
            let series = Series::new(seed, run);
            // Other purposes do not disturb it.
            series.ordered(Purpose::Session, Some("another"));
            let session = series.ordered(Purpose::Session, Some("s"));
            series.random(Purpose::Request);
            (
                session,
                series.ordered(Purpose::Session, Some("s")),
                series.random(Purpose::Request),
            )
        };
        assert_eq!(drawn(7, 1), drawn(7, 1));
        let (first, second, request) = drawn(7, 1);
        assert!(first < second && second < drawn(7, 2).0);
        assert_eq!((first.get_version_num(), request.get_version_num()), (7, 4));
        assert_ne!(drawn(7, 1).2, drawn(8, 1).2);
    }

    #[test]
    fn ids_that_came_from_elsewhere_are_not_made_again() {
        let elsewhere = Series::new(7, 0);
        let name = Some("live/s1");
        let theirs = [(); 2].map(|()| elsewhere.ordered(Purpose::Session, name).to_string());
        let ours = |others: &[String]| {
            let series = Series::new(7, 0);
            series.stay_clear_of(others.iter().map(String::as_str));
            series.ordered(Purpose::Session, name).to_string()
        };
        assert_eq!(ours(&[]), theirs[0]);
        let beside = ours(&theirs);
        assert!(!theirs.contains(&beside));
        let [first, second] = theirs.clone();
        assert_eq!(ours(&[second, first]), beside);
        assert_ne!(ours(&theirs[..1]), beside);
    }

    #[test]
    fn ids_differ_across_draws_and_threads() {
        let many = || {
            (0..3 * DRAWN / ID)
                .map(|_| request_id())
                .collect::<Vec<_>>()
        };
        let (here, there) = (many(), std::thread::spawn(many).join().unwrap());
        let all: HashSet<&String> = here.iter().chain(&there).collect();
        assert_eq!(all.len(), 2 * 3 * DRAWN / ID);
        for id in all {
            assert_eq!(Uuid::parse_str(id).unwrap().get_version_num(), 4);
            assert_eq!(*id, id.to_uppercase());
        }
    }
}
