//! Built-in receivers of callbacks: what comes to a sink is kept, and it answers as it was told to. Everything is bounded: the sinks, what
//! one keeps, and what all keep together.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::clock::UnixMs;

/// Sinks at most.
pub const SINKS: usize = 64;
/// Requests that one keeps; the oldest makes room.
pub const REQUESTS: usize = 1_000;
/// Bytes of a body that are kept.
pub const BODY_KEPT: usize = 64 * 1024;
/// Bytes of the headers that are kept.
pub const HEADERS_KEPT: usize = 16 * 1024;
/// Bytes that all sinks keep together; the oldest request of all makes room.
const BYTES_KEPT: usize = 32 << 20;

/// What came to a sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Counts the requests to all sinks.
    pub number: u64,
    pub at: UnixMs,
    pub method: String,
    pub query: String,
    pub headers: Vec<(String, String)>,
    /// As far as it is kept.
    pub body: Vec<u8>,
    /// Bytes that came.
    pub size: usize,
}

impl Received {
    fn bytes(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(n, v)| n.len() + v.len()).sum();
        self.method.len() + self.query.len() + headers + self.body.len() + size_of::<Self>()
    }
}

/// How a sink answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub status: u16,
    pub content_type: Option<String>,
    pub body: String,
    pub delay_ms: u64,
}

impl Default for Told {
    fn default() -> Self {
        Self {
            status: 200,
            content_type: None,
            body: String::new(),
            delay_ms: 0,
        }
    }
}

#[derive(Debug, Default)]
struct Sink {
    told: Told,
    requests: VecDeque<Received>,
    /// Requests that had to make room.
    dropped: u64,
}

/// A sink as it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    pub told: Told,
    pub requests: Vec<Received>,
    pub dropped: u64,
}

#[derive(Debug, Default)]
struct All {
    by_name: BTreeMap<String, Sink>,
    bytes: usize,
    next: u64,
}

/// The sinks of the service.
#[derive(Debug, Default)]
pub struct Sinks(Mutex<All>);

/// There are [`SINKS`] of them already.
#[derive(Debug, thiserror::Error)]
#[error("there are {SINKS} sinks already; DELETE one of them")]
pub struct TooMany;

impl All {
    fn sink(&mut self, name: &str) -> Result<&mut Sink, TooMany> {
        if !self.by_name.contains_key(name) && self.by_name.len() >= SINKS {
            return Err(TooMany);
        }
        Ok(self.by_name.entry(name.to_owned()).or_default())
    }

    fn drop_oldest_of(&mut self, name: &str) {
        let oldest = self.by_name.get_mut(name).and_then(|sink| {
            let oldest = sink.requests.pop_front()?;
            sink.dropped += 1;
            Some(oldest)
        });
        self.bytes -= oldest.map_or(0, |request| request.bytes());
    }

    fn make_room(&mut self) {
        while self.bytes > BYTES_KEPT {
            let oldest = self
                .by_name
                .iter()
                .filter_map(|(name, sink)| Some((sink.requests.front()?.number, name.clone())))
                .min();
            let Some((_, name)) = oldest else {
                return;
            };
            self.drop_oldest_of(&name);
        }
    }
}

impl Sinks {
    fn lock(&self) -> MutexGuard<'_, All> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a request, whose number is given here, and tells how to answer it.
    ///
    /// # Errors
    /// There is no such sink, and no room for another one.
    pub fn receive(&self, name: &str, mut request: Received) -> Result<Told, TooMany> {
        let mut all = self.lock();
        request.number = all.next;
        let bytes = request.bytes();
        let sink = all.sink(name)?;
        let told = sink.told.clone();
        let is_full = sink.requests.len() >= REQUESTS;
        sink.requests.push_back(request);
        all.bytes += bytes;
        all.next += 1;
        if is_full {
            all.drop_oldest_of(name);
        }
        all.make_room();
        Ok(told)
    }

    /// Says how a sink answers from now on.
    ///
    /// # Errors
    /// There is no such sink, and no room for another one.
    pub fn tell(&self, name: &str, told: Told) -> Result<(), TooMany> {
        self.lock().sink(name)?.told = told;
        Ok(())
    }

    /// A sink as it stands; one that nobody has used is empty.
    #[must_use]
    pub fn view(&self, name: &str) -> View {
        let all = self.lock();
        all.by_name
            .get(name)
            .map_or_else(View::default, |sink| View {
                told: sink.told.clone(),
                requests: sink.requests.iter().cloned().collect(),
                dropped: sink.dropped,
            })
    }

    /// The sinks there are, each with the number of requests that it keeps.
    #[must_use]
    pub fn list(&self) -> Vec<(String, usize)> {
        let all = self.lock();
        let sinks = all.by_name.iter();
        sinks
            .map(|(name, sink)| (name.clone(), sink.requests.len()))
            .collect()
    }

    /// Forgets what came to a sink; it goes on to answer as it was told.
    pub fn empty(&self, name: &str) {
        let mut all = self.lock();
        let Some(sink) = all.by_name.get_mut(name) else {
            return;
        };
        let forgotten: usize = sink.requests.drain(..).map(|r| r.bytes()).sum();
        sink.dropped = 0;
        if sink.told == Told::default() {
            all.by_name.remove(name);
        }
        all.bytes -= forgotten;
    }

    /// Forgets all sinks.
    pub fn clear(&self) {
        let mut all = self.lock();
        all.by_name.clear();
        all.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(bytes: usize) -> Received {
        Received {
            number: 0,
            at: 0,
            method: "POST".to_owned(),
            query: String::new(),
            headers: Vec::new(),
            body: vec![b'x'; bytes],
            size: bytes,
        }
    }

    #[test]
    fn a_sink_keeps_the_newest_requests_and_counts_the_others() {
        let sinks = Sinks::default();
        for _ in 0..REQUESTS + 5 {
            assert_eq!(sinks.receive("a", request(10)).unwrap(), Told::default());
        }
        let view = sinks.view("a");
        assert_eq!((view.requests.len(), view.dropped), (REQUESTS, 5));
        assert_eq!(view.requests[0].number, 5);
        sinks.empty("a");
        assert_eq!(sinks.lock().bytes, 0);
        assert_eq!(sinks.view("a"), View::default());
    }

    #[test]
    fn all_sinks_together_are_bounded() {
        let sinks = Sinks::default();
        let fits = BYTES_KEPT / BODY_KEPT;
        for number in 0..2 * fits {
            let name = if number % 2 == 0 { "a" } else { "b" };
            sinks.receive(name, request(BODY_KEPT)).unwrap();
        }
        assert!(sinks.lock().bytes <= BYTES_KEPT);
        let kept: usize = sinks.list().iter().map(|(_, kept)| kept).sum();
        assert!((fits - 3..=fits).contains(&kept), "{kept}");
        for number in 0..SINKS - 2 {
            sinks.tell(&format!("s{number}"), Told::default()).unwrap();
        }
        assert!(sinks.tell("one more", Told::default()).is_err());
        assert!(sinks.receive("one more", request(1)).is_err());
        assert!(sinks.receive("a", request(1)).is_ok());
        sinks.clear();
        assert!(sinks.list().is_empty() && sinks.lock().bytes == 0);
    }

    #[test]
    fn a_sink_answers_as_it_was_told() {
        let sinks = Sinks::default();
        let told = Told {
            status: 503,
            delay_ms: 7,
            ..Told::default()
        };
        sinks.tell("a", told.clone()).unwrap();
        sinks.receive("a", request(1)).unwrap();
        sinks.empty("a");
        assert!(sinks.view("a").requests.is_empty());
        assert_eq!(sinks.receive("a", request(1)).unwrap(), told);
    }
}
