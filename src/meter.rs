//! The meter: what comes in and what goes out, counted where it happens, rolled into rows once a minute of the service clock.
//!
//! Counting is atomic additions and nothing else; names are looked up when a publisher or a viewer comes, not when a frame does. While
//! nothing is counted nobody wakes, so that an advance over an idle day costs nothing, and no row tells of an idle minute. What a query
//! reads is the rows and the minute that is running, at one moment of both.

mod cells;
mod reading;
mod visitors;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, RwLock};

use crate::clock::{Busy, Clock, UnixMs};
use crate::model::figures::{Answered, Figures, MINUTE_MS, Player, minute_of};
use crate::model::stream_key::StreamKey;
use crate::store::Store;
use cells::{InCell, OutCell};
use visitors::Visitors;

pub use cells::{Inflow, ViewerGuard};

/// Streams of viewers, by domain and form, that are counted apart. Whoever comes above it is not counted.
const MOST_CELLS: usize = 50_000;
/// Domains whose answers are counted in one minute. Callers name them.
const MOST_DOMAINS: usize = 1_000;
/// Rows that wait for a database that fails.
const MOST_UNWRITTEN: usize = 20_000;

/// A handle to the counters; clones share them.
#[derive(Clone)]
pub struct Meter {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Clock,
    store: Store,
    register: Mutex<Register>,
    awake: Notify,
    is_running: AtomicBool,
    /// What was counted and is not in the store yet. Held to write while figures move from the counters into the store, to read while
    /// both are looked through.
    unwritten: RwLock<Figures>,
}

#[derive(Default)]
struct Register {
    inflow: HashMap<(StreamKey, String), Arc<InCell>>,
    outflow: HashMap<(StreamKey, Player, bool), Arc<OutCell>>,
    answered: HashMap<String, BTreeMap<u16, u64>>,
    visitors: Visitors,
    /// The minute that the counters belong to; none while nothing is counted.
    minute: Option<UnixMs>,
    /// Kept for whoever rolls, from the first count until its due time is registered: an advance must not go over it.
    busy: Option<Busy>,
}

/// A viewer who comes.
#[derive(Debug, Clone, Copy)]
pub struct Coming<'a> {
    /// The domain that the viewer named.
    pub domain: &'a str,
    pub app: &'a str,
    pub stream: &'a str,
    pub player: Player,
    /// Over TLS.
    pub secure: bool,
    pub address: IpAddr,
}

impl Meter {
    #[must_use]
    pub fn new(clock: Clock, store: Store) -> Self {
        Self {
            inner: Arc::new(Inner {
                clock,
                store,
                register: Mutex::default(),
                awake: Notify::new(),
                is_running: AtomicBool::new(false),
                unwritten: RwLock::default(),
            }),
        }
    }

    fn register(&self) -> MutexGuard<'_, Register> {
        self.inner
            .register
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Something is counted from here on.
    fn awake(&self, register: &mut Register) {
        if register.minute.is_some() {
            return;
        }
        register.minute = Some(minute_of(self.inner.clock.now()));
        if self.inner.is_running.load(Ordering::Acquire) {
            register.busy = Some(self.inner.clock.busy());
            self.inner.awake.notify_one();
        }
    }

    /// The counters of a publisher who comes. The same stream within the same minute goes on where it was.
    #[must_use]
    pub fn inflow(&self, key: &StreamKey, ingest_domain: &str) -> Inflow {
        let mut register = self.register();
        self.awake(&mut register);
        let name = (key.clone(), ingest_domain.to_owned());
        Inflow::on(register.inflow.entry(name).or_default().clone())
    }

    /// Counts a viewer who comes, and who goes when the guard does.
    #[must_use]
    pub fn viewer(&self, coming: Coming<'_>) -> ViewerGuard {
        let mut register = self.register();
        self.awake(&mut register);
        let key = StreamKey::new(coming.domain, coming.app, coming.stream);
        let name = (key, coming.player, coming.secure);
        let cell = match register.outflow.get(&name) {
            Some(cell) => cell.clone(),
            None if register.outflow.len() >= MOST_CELLS => Arc::default(),
            None => register.outflow.entry(name).or_default().clone(),
        };
        register
            .visitors
            .note(coming.domain, coming.address, self.inner.clock.now());
        ViewerGuard::on(cell)
    }

    /// Counts an answer to a viewer's request.
    pub fn http_code(&self, domain: &str, status: u16) {
        let mut register = self.register();
        self.awake(&mut register);
        if let Some(counts) = register.answered.get_mut(domain) {
            *counts.entry(status).or_default() += 1;
        } else if register.answered.len() < MOST_DOMAINS {
            let counts = BTreeMap::from([(status, 1)]);
            register.answered.insert(domain.to_owned(), counts);
        }
    }

    /// Rolls the counters into rows as the minutes pass. One task of the process does this for ever.
    pub async fn run(&self) {
        self.inner.is_running.store(true, Ordering::Release);
        loop {
            let (mut busy, mut minute) = self.begun().await;
            loop {
                busy = self.inner.clock.rest_until(busy, minute + MINUTE_MS).await;
                match self.roll().await {
                    Some(next) => minute = next,
                    None => break,
                }
            }
        }
    }

    /// Waits until something is counted.
    async fn begun(&self) -> (Busy, UnixMs) {
        loop {
            {
                let mut register = self.register();
                if let Some(minute) = register.minute {
                    let busy = register.busy.take();
                    return (busy.unwrap_or_else(|| self.inner.clock.busy()), minute);
                }
            }
            self.inner.awake.notified().await;
        }
    }

    /// The minute is over: its counts become rows. Returns the minute that is counted now, none where nothing is.
    async fn roll(&self) -> Option<UnixMs> {
        let now = minute_of(self.inner.clock.now());
        {
            let mut register = self.register();
            // Woken early: the clock was set back.
            if let Some(minute) = register.minute.filter(|minute| now <= *minute) {
                register.minute = Some(now.min(minute));
                return register.minute;
            }
        }
        let all_written = self.write_down().await;
        let mut register = self.register();
        let goes_on = !all_written || !register.is_empty();
        register.minute = goes_on.then_some(now);
        register.minute
    }

    /// Moves what was counted into the store. What a store that fails did not take is tried again a minute later.
    async fn write_down(&self) -> bool {
        let mut unwritten = self.inner.unwritten.write().await;
        unwritten.append(self.register().take());
        if unwritten.rows() == 0 {
            return true;
        }
        match self.inner.store.put_figures(&unwritten).await {
            Ok(()) => {
                *unwritten = Figures::default();
                true
            }
            Err(error) => {
                tracing::warn!(%error, rows = unwritten.rows(), "the figures of a minute cannot be stored yet");
                if unwritten.rows() > MOST_UNWRITTEN {
                    tracing::error!("figures are given up: too many wait for the database");
                    *unwritten = Figures::default();
                }
                false
            }
        }
    }

    /// Writes the minute that is running down, for an end of the process.
    pub async fn flush(&self) {
        self.write_down().await;
    }

    /// Forgets everything that was counted; whoever is there is counted from here on.
    pub async fn forget(&self) {
        let mut unwritten = self.inner.unwritten.write().await;
        *unwritten = Figures::default();
        let mut register = self.register();
        register.take();
        register.visitors = Visitors::default();
    }
}

impl Register {
    fn is_empty(&self) -> bool {
        self.inflow.is_empty()
            && self.outflow.is_empty()
            && self.answered.is_empty()
            && self.visitors.is_empty()
    }

    /// What was counted since it was last taken. Cells that nobody holds and that count nothing go.
    fn take(&mut self) -> Figures {
        let mut figures = self.look(cells::Look::Take);
        figures.visitors = self.visitors.take();
        self.answered.clear();
        self.inflow.retain(|_, cell| Arc::strong_count(cell) > 1);
        self.outflow.retain(|_, cell| Arc::strong_count(cell) > 1);
        figures
    }

    /// What was counted, without an idle minute's zeros.
    fn look(&self, look: cells::Look) -> Figures {
        let Some(minute) = self.minute else {
            return Figures::default();
        };
        let inflow = self.inflow.iter();
        let inflow = inflow.filter_map(|((key, ingest), cell)| cell.row(minute, key, ingest, look));
        let outflow = self.outflow.iter();
        let outflow = outflow.filter_map(|((key, player, secure), cell)| {
            cell.row(minute, key, *player, *secure, look)
        });
        let answered = self.answered.iter().flat_map(|(domain, counts)| {
            counts.iter().map(move |(status, count)| Answered {
                minute,
                domain: domain.clone(),
                status: *status,
                count: *count,
            })
        });
        Figures {
            inflow: inflow.collect(),
            outflow: outflow.collect(),
            answered: answered.collect(),
            visitors: self.visitors.unwritten().to_vec(),
        }
    }
}

#[cfg(test)]
mod tests;
