//! What happens, as it happens: one bounded list of events with increasing ids, for whoever follows or waits.
//!
//! Whoever has something to tell appends to the list and goes on: nobody is waited for. Whoever follows keeps a place in the list and
//! reads on from there, so that a follower costs no memory of its own, and one that is too slow finds that the list has gone on without it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, UnixMs, machine_now};

/// Events kept.
pub const KEPT: usize = 16_384;
/// Bytes of their texts that are kept.
const BYTES_KEPT: usize = 8 << 20;
/// Bytes of a name that are kept.
const NAME_KEPT: usize = 256;
/// Bytes of what one event has to tell; a longer one tells only that it was too long.
const DATA_KEPT: usize = 16 * 1024;
/// Ids of a run begin at the machine's milliseconds times this, so that those of a later run are higher.
const IDS_A_MS: u64 = 1_000;

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A call of the API was answered.
    Call,
    /// A stream is being published.
    Publish,
    /// A stream is not published any more.
    Unpublish,
    /// A recording began, paused, went on, ended or failed; or a push is not recorded.
    Record,
    /// A slice of a recording is in the store.
    Slice,
    /// A file of a recording is in the store.
    File,
    /// A callback was tried.
    Callback,
    /// A viewer came or went.
    Play,
    /// A snapshot was made.
    Snapshot,
    /// An armed fault struck.
    Fault,
    /// The service clock was moved, stopped or set going.
    Clock,
    /// An object was put or deleted.
    Object,
}

impl Kind {
    pub const ALL: [Self; 12] = [
        Self::Call,
        Self::Publish,
        Self::Unpublish,
        Self::Record,
        Self::Slice,
        Self::File,
        Self::Callback,
        Self::Play,
        Self::Snapshot,
        Self::Fault,
        Self::Clock,
        Self::Object,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Publish => "publish",
            Self::Unpublish => "unpublish",
            Self::Record => "record",
            Self::Slice => "slice",
            Self::File => "file",
            Self::Callback => "callback",
            Self::Play => "play",
            Self::Snapshot => "snapshot",
            Self::Fault => "fault",
            Self::Clock => "clock",
            Self::Object => "object",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// Which stream an event is about; an empty name stands for none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Names<'a> {
    pub domain: &'a str,
    pub app: &'a str,
    pub stream: &'a str,
}

impl Names<'_> {
    /// About no stream.
    pub const NONE: Names<'static> = Names {
        domain: "",
        app: "",
        stream: "",
    };
}

/// One event.
#[derive(Debug)]
pub struct Event {
    pub id: u64,
    pub kind: Kind,
    /// By the service clock.
    pub at: UnixMs,
    /// The node on which it happened, where that is another one.
    pub node: Option<Arc<str>>,
    /// Domain, application, stream and data behind each other: one block of memory an event.
    text: Box<str>,
    domain_end: usize,
    app_end: usize,
    stream_end: usize,
}

impl Event {
    /// The stream that it is about.
    #[must_use]
    pub fn names(&self) -> Names<'_> {
        let part = |from: usize, to: usize| self.text.get(from..to).unwrap_or_default();
        Names {
            domain: part(0, self.domain_end),
            app: part(self.domain_end, self.app_end),
            stream: part(self.app_end, self.stream_end),
        }
    }

    /// What it has to tell, as a JSON object.
    #[must_use]
    pub fn data(&self) -> &str {
        self.text.get(self.stream_end..).unwrap_or_default()
    }
}

/// An event as another node told it.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// By that node's count.
    pub id: u64,
    kind: Kind,
    at: UnixMs,
    domain: String,
    app: String,
    stream: String,
    data: String,
}

impl Told {
    /// Reads what a follower gets.
    #[must_use]
    pub fn read(mut fields: serde_json::Map<String, serde_json::Value>) -> Option<Self> {
        let mut text = |name: &str| {
            let value = fields.shift_remove(name)?;
            value.as_str().map(str::to_owned)
        };
        let kind = Kind::parse(&text("kind")?)?;
        let names = ["domain", "app", "stream"].map(|name| text(name).unwrap_or_default());
        let _ = text("at");
        let id = fields.shift_remove("id")?.as_u64()?;
        let at = fields.shift_remove("at_ms")?.as_i64()?;
        let [domain, app, stream] = names;
        Some(Self {
            id,
            kind,
            at,
            domain,
            app,
            stream,
            data: serde_json::Value::Object(fields).to_string(),
        })
    }
}

/// Which events are wanted; what is not said is not asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Empty: every kind.
    pub kinds: Vec<Kind>,
    pub domain: Option<String>,
    pub app: Option<String>,
    pub stream: Option<String>,
}

impl Filter {
    #[must_use]
    pub fn takes(&self, event: &Event) -> bool {
        let names = event.names();
        let fits = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|w| w == is);
        (self.kinds.is_empty() || self.kinds.contains(&event.kind))
            && fits(&self.domain, names.domain)
            && fits(&self.app, names.app)
            && fits(&self.stream, names.stream)
    }
}

/// Events from a place in the list on.
#[derive(Debug, Default)]
pub struct Batch {
    pub events: Vec<Arc<Event>>,
    /// The id up to which the list was looked through: the place to go on from.
    pub seen: u64,
    /// Events between the place asked for and the first one looked at are not there any more, or the place is of another run.
    pub missed: bool,
}

/// The handle; clones share the list.
#[derive(Clone)]
pub struct Events {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Clock,
    ring: Mutex<Ring>,
    newest: watch::Sender<u64>,
    closed: CancellationToken,
}

struct Ring {
    /// The id before the first one of this run.
    origin: u64,
    /// As `origin`, since the last reset.
    start: u64,
    newest: u64,
    bytes: usize,
    /// Without gaps, the newest at the end.
    events: VecDeque<Arc<Event>>,
}

impl Events {
    /// Ids go on from those of earlier runs on this machine.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        let now = u64::try_from(machine_now()).unwrap_or(0);
        Self::from_id(clock, now.saturating_mul(IDS_A_MS))
    }

    /// The first event's id is the one after `origin`.
    #[must_use]
    pub fn from_id(clock: Clock, origin: u64) -> Self {
        Self {
            inner: Arc::new(Inner {
                clock,
                ring: Mutex::new(Ring {
                    origin,
                    start: origin,
                    newest: origin,
                    bytes: 0,
                    events: VecDeque::new(),
                }),
                newest: watch::Sender::new(origin),
                closed: CancellationToken::new(),
            }),
        }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.inner
            .ring
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells that something happened now. `data` is a JSON object without secrets; its members stand beside `id`, `kind`, `at`, `at_ms`,
    /// `domain`, `app`, `stream` and `node` in what followers get, so it has no members of those names.
    pub fn tell<'a>(&self, kind: Kind, names: impl Into<Names<'a>>, data: &impl Serialize) {
        let data = match serde_json::to_string(data) {
            Ok(data) if data.len() > DATA_KEPT => format!(r#"{{"too_long":{}}}"#, data.len()),
            Ok(data) if data.starts_with('{') => data,
            _ => "{}".to_owned(),
        };
        self.append(kind, names.into(), &data, None);
    }

    /// Tells what another node told of itself.
    pub fn tell_of(&self, node: &str, told: &Told) {
        let names = Names {
            domain: &told.domain,
            app: &told.app,
            stream: &told.stream,
        };
        let data = if told.data.len() > DATA_KEPT {
            "{}"
        } else {
            told.data.as_str()
        };
        self.append(told.kind, names, data, Some((node.into(), told.at)));
    }

    fn append(&self, kind: Kind, names: Names<'_>, data: &str, from: Option<(Arc<str>, UnixMs)>) {
        let Names {
            domain,
            app,
            stream,
        } = Names {
            domain: cut(names.domain),
            app: cut(names.app),
            stream: cut(names.stream),
        };
        let app_end = domain.len() + app.len();
        let text: Box<str> = [domain, app, stream, data].concat().into();
        let newest = {
            let mut ring = self.ring();
            ring.newest += 1;
            let (node, at) = match from {
                Some((node, at)) => (Some(node), at),
                // Within the lock: the times of the list never go back, but for a reset.
                None => (None, self.inner.clock.now()),
            };
            let event = Event {
                id: ring.newest,
                kind,
                at,
                node,
                domain_end: domain.len(),
                app_end,
                stream_end: app_end + stream.len(),
                text,
            };
            ring.bytes += event.text.len();
            ring.events.push_back(Arc::new(event));
            while ring.events.len() > KEPT || ring.bytes > BYTES_KEPT {
                let Some(oldest) = ring.events.pop_front() else {
                    break;
                };
                ring.bytes -= oldest.text.len();
            }
            ring.newest
        };
        // Two that tell at once may come here in the other order.
        self.inner.newest.send_if_modified(|known| {
            let later = newest > *known;
            *known = newest.max(*known);
            later
        });
    }

    /// The id before the first event since the start of this run, or since its last reset.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.ring().start
    }

    /// The id of the oldest event that is kept, or that the next one will have.
    #[must_use]
    pub fn first(&self) -> u64 {
        let ring = self.ring();
        ring.events
            .front()
            .map_or(ring.newest + 1, |event| event.id)
    }

    /// The id of the newest event.
    #[must_use]
    pub fn newest(&self) -> u64 {
        self.ring().newest
    }

    /// The place behind which only the newest `most` of the wanted events lie; where no more than those lie behind `id`, that is `id`.
    #[must_use]
    pub fn before_the_last(&self, most: usize, id: u64, wanted: &Filter) -> u64 {
        let ring = self.ring();
        let of_this_run = (ring.origin..=ring.newest).contains(&id);
        let behind = |event: &&Arc<Event>| !of_this_run || event.id > id;
        let newest_first = ring.events.iter().rev().take_while(behind);
        let mut taken = newest_first.filter(|event| wanted.takes(event));
        taken.nth(most).map_or(id, |event| event.id)
    }

    /// Events behind the one of that id, the oldest first, at most `most` of them. An id that this run has not given out is another
    /// run's: everything that is there comes.
    #[must_use]
    pub fn after(&self, id: u64, wanted: &Filter, most: usize) -> Batch {
        let ring = self.ring();
        let of_this_run = (ring.origin..=ring.newest).contains(&id);
        let from = if of_this_run {
            id.max(ring.start)
        } else {
            ring.start
        };
        let first = ring.events.front().map_or(ring.newest + 1, |e| e.id);
        let skip = usize::try_from((from + 1).saturating_sub(first)).unwrap_or(usize::MAX);
        let mut batch = Batch {
            events: Vec::new(),
            seen: from.max(first.saturating_sub(1)),
            // Whoever asks from 0 on has had none, and misses none but those that are not kept.
            missed: (!of_this_run && id != 0) || first > from + 1,
        };
        for event in ring.events.iter().skip(skip) {
            if batch.events.len() >= most {
                break;
            }
            batch.seen = event.id;
            if wanted.takes(event) {
                batch.events.push(event.clone());
            }
        }
        batch
    }

    /// Changes with each event.
    #[must_use]
    pub fn follow(&self) -> watch::Receiver<u64> {
        self.inner.newest.subscribe()
    }

    /// Whoever follows is to leave: the service stops.
    pub fn close(&self) {
        self.inner.closed.cancel();
    }

    /// Comes when the service stops.
    pub async fn closed(&self) {
        self.inner.closed.cancelled().await;
    }

    /// Forgets what was told; ids go on.
    pub fn clear(&self) {
        let mut ring = self.ring();
        ring.events.clear();
        ring.bytes = 0;
        ring.start = ring.newest;
    }
}

/// A name as far as it is kept.
fn cut(name: &str) -> &str {
    let mut end = name.len().min(NAME_KEPT);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn events() -> Events {
        Events::from_id(Clock::new(Some(1_000)), 0)
    }

    fn ids(batch: &Batch) -> Vec<u64> {
        batch.events.iter().map(|event| event.id).collect()
    }

    #[test]
    fn an_event_keeps_its_names_and_what_it_tells() {
        let events = events();
        let stream = Names {
            domain: "d",
            app: "live",
            stream: "s",
        };
        events.tell(Kind::Publish, stream, &json!({"client": "x"}));
        events.tell(
            Kind::Call,
            Names::NONE,
            &json!({"big": "x".repeat(DATA_KEPT)}),
        );
        let long = "é".repeat(NAME_KEPT);
        let names = Names {
            domain: &long,
            ..Names::NONE
        };
        events.tell(Kind::Call, names, &json!([]));
        let batch = events.after(0, &Filter::default(), 10);
        let [published, big, cut] = batch.events.as_slice() else {
            panic!("three were told")
        };
        assert_eq!(published.names(), stream);
        assert_eq!(published.data(), r#"{"client":"x"}"#);
        assert_eq!(big.data(), r#"{"too_long":16394}"#);
        assert_eq!((cut.names().domain.len(), cut.data()), (NAME_KEPT, "{}"));
    }

    #[test]
    fn what_another_node_told_is_told_with_its_name() {
        let (there, here) = (events(), events());
        let key = Names {
            domain: "d",
            app: "live",
            stream: "s",
        };
        there.tell(Kind::Publish, key, &json!({"client": "x"}));
        let told = json!({
            "id": 77, "kind": "publish", "at": "2026-01-01T00:00:00Z", "at_ms": 123,
            "domain": "d", "app": "live", "stream": "s", "client": "x",
        });
        let Value::Object(fields) = told else { return };
        let told = Told::read(fields.clone()).unwrap();
        assert_eq!(told.id, 77);
        here.tell_of("b", &told);
        let batch = here.after(0, &Filter::default(), 9);
        let event = &batch.events[0];
        assert_eq!(
            (event.id, event.at, event.node.as_deref()),
            (1, 123, Some("b"))
        );
        assert_eq!(event.names(), key);
        assert_eq!(event.data(), r#"{"client":"x"}"#);
        for missing in ["id", "kind", "at_ms"] {
            let mut less = fields.clone();
            less.shift_remove(missing);
            assert_eq!(Told::read(less), None, "{missing}");
        }
    }

    #[test]
    fn the_list_is_bounded_and_says_what_is_missing() {
        let events = events();
        for _ in 0..KEPT + 10 {
            events.tell(Kind::Slice, Names::NONE, &json!({}));
        }
        let batch = events.after(0, &Filter::default(), usize::MAX);
        assert!(batch.missed && batch.events.len() == KEPT);
        assert_eq!(batch.events[0].id, 11);
        assert!(!events.after(10, &Filter::default(), 1).missed);
        for _ in 0..2 * BYTES_KEPT / DATA_KEPT {
            let big = json!({"big": "x".repeat(DATA_KEPT - 100)});
            events.tell(Kind::Slice, Names::NONE, &big);
        }
        assert!(events.ring().bytes <= BYTES_KEPT);
    }

    #[test]
    fn only_the_newest_of_what_is_wanted_are_replayed() {
        let events = events();
        for kind in [Kind::Call, Kind::File, Kind::Call, Kind::Call, Kind::File] {
            events.tell(kind, Names::NONE, &json!({}));
        }
        let files = Filter {
            kinds: vec![Kind::File],
            ..Filter::default()
        };
        let all = Filter::default();
        let place = |most, id, wanted: &Filter| events.before_the_last(most, id, wanted);
        assert_eq!(place(2, 0, &all), 3);
        assert_eq!((place(5, 0, &all), place(2, 4, &all)), (0, 4));
        assert_eq!((place(1, 0, &files), place(2, 0, &files)), (2, 0));
        // An id of another run stands for everything.
        assert_eq!((place(2, 99, &all), place(9, 99, &all)), (3, 99));
        assert_eq!(ids(&events.after(place(2, 99, &all), &all, 9)), [4, 5]);
    }

    #[test]
    fn a_place_is_gone_on_from_and_a_filter_leaves_out() {
        let events = Events::from_id(Clock::new(None), 100);
        for (kind, domain) in [(Kind::File, "a"), (Kind::File, "b"), (Kind::Slice, "a")] {
            let names = Names {
                domain,
                ..Names::NONE
            };
            events.tell(kind, names, &json!({}));
        }
        let files = Filter {
            kinds: vec![Kind::File],
            ..Filter::default()
        };
        let first = events.after(events.start(), &files, 1);
        assert_eq!((ids(&first), first.seen), (vec![101], 101));
        let rest = events.after(first.seen, &files, 9);
        assert_eq!((ids(&rest), rest.seen), (vec![102], 103));
        let of_a = Filter {
            domain: Some("a".to_owned()),
            ..Filter::default()
        };
        assert_eq!(ids(&events.after(100, &of_a, 9)), [101, 103]);
    }

    #[test]
    fn another_runs_place_brings_everything_and_a_reset_forgets() {
        let events = Events::from_id(Clock::new(None), 100);
        events.tell(Kind::File, Names::NONE, &json!({}));
        // Who begins at 0 has had nothing and misses nothing.
        let batch = events.after(0, &Filter::default(), 9);
        assert!(!batch.missed && ids(&batch) == [101]);
        for id in [3, 99, 102, u64::MAX] {
            let batch = events.after(id, &Filter::default(), 9);
            assert!(batch.missed && ids(&batch) == [101], "{id}");
        }
        events.clear();
        events.tell(Kind::Clock, Names::NONE, &json!({}));
        let batch = events.after(100, &Filter::default(), 9);
        assert!(!batch.missed && ids(&batch) == [102]);
    }

    #[tokio::test]
    async fn who_follows_hears_of_each() {
        let events = events();
        let mut follow = events.follow();
        events.tell(Kind::File, Names::NONE, &json!({}));
        follow.changed().await.unwrap();
        assert_eq!(*follow.borrow_and_update(), 1);
    }
}
