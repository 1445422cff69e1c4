//! What happens, for whoever follows (server-sent events) or waits.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use super::ask::{Ask, Outcome, Refused, answer};
use crate::clock::{machine_sleep, machine_timeout};
use crate::events::{Event, Events, Filter, KEPT, Kind};
use crate::likeness;
use crate::phrases::Phrase;
use crate::wire::outgoing::{Body, Outgoing};
use crate::wire_time;

/// A follower that hears nothing else hears this often that the server is there.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Events that are written in one piece.
const AT_ONCE: usize = 256;
/// Events that `wait` waits for at most.
const MAX_COUNT: u64 = 10_000;
/// Seconds that `wait` waits at most, and where nothing is said.
const MAX_TIMEOUT_S: f64 = 600.0;
const TIMEOUT_S: f64 = 30.0;
/// The names that every event has, so that what one tells beside them has others.
const OF_EVERY: [&str; 8] = [
    "id", "kind", "at", "at_ms", "domain", "app", "stream", "node",
];

/// An event as followers get it: what every event has, and beside it what this one tells.
pub(super) fn shown(event: &Event) -> Value {
    let names = event.names();
    let name = |name: &str| (!name.is_empty()).then(|| name.to_owned());
    let mut shown = Map::new();
    shown.insert("id".to_owned(), event.id.into());
    shown.insert("kind".to_owned(), event.kind.as_str().into());
    shown.insert("at".to_owned(), wire_time::to_api(event.at).into());
    shown.insert("at_ms".to_owned(), event.at.into());
    shown.insert("domain".to_owned(), name(names.domain).into());
    shown.insert("app".to_owned(), name(names.app).into());
    shown.insert("stream".to_owned(), name(names.stream).into());
    if let Some(node) = &event.node {
        shown.insert("node".to_owned(), node.as_ref().into());
    }
    if let Ok(Value::Object(data)) = serde_json::from_str(event.data()) {
        for (name, value) in data {
            debug_assert!(
                !OF_EVERY.contains(&name.as_str()),
                "{name} is a name that every event has"
            );
            shown.entry(name).or_insert(value);
        }
    }
    Value::Object(shown)
}

fn filter(ask: &Ask) -> Result<Filter, Refused> {
    let kinds = ask.query("kind").unwrap_or_default().split(',');
    let kinds = kinds
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(|name| {
            Kind::parse(name).ok_or_else(|| {
                let known = Kind::ALL.into_iter().map(Kind::as_str);
                let kind = format!("{name:?}");
                Refused::bad(match likeness::closest(known.clone(), name) {
                    Some(near) => {
                        Phrase::NoSuchKindButNear.with([("kind", &kind), ("near", &near)])
                    }
                    None => {
                        let kinds = known.collect::<Vec<_>>().join(", ");
                        Phrase::NoSuchKind.with([("kind", &kind), ("kinds", &kinds)])
                    }
                })
            })
        })
        .collect::<Result<_, _>>()?;
    let text = |name| ask.query(name).map(str::to_owned);
    Ok(Filter {
        kinds,
        domain: text("domain").map(|domain| domain.to_ascii_lowercase()),
        app: text("app"),
        stream: text("stream"),
    })
}

/// One follower: a place in the list, and nothing of its own but what is being written.
struct Follower {
    events: Events,
    newest: watch::Receiver<u64>,
    place: u64,
    wanted: Filter,
    /// Another node follows: what happened here alone is told.
    of_here: bool,
    /// It has had its first piece.
    begun: bool,
}

impl Follower {
    /// What is written next; none at the end.
    async fn next(&mut self) -> Option<Bytes> {
        if !self.begun {
            // The client sees at once that it is heard.
            let batch = self.events.after(self.place, &Filter::default(), 1);
            self.begun = true;
            let missed = if batch.missed {
                ": some of the events after that id are not kept any more\n"
            } else {
                ""
            };
            self.place = if batch.missed || self.place == 0 {
                self.events.first().saturating_sub(1)
            } else {
                self.place
            };
            return Some(format!("retry: 1000\n: localyun\n{missed}\n").into());
        }
        loop {
            self.newest.mark_unchanged();
            let batch = self.events.after(self.place, &self.wanted, AT_ONCE);
            // It reads more slowly than things happen: what it has not read is gone, and it is told so by the end. The id that it saw
            // last brings it back to what is still there.
            if batch.missed {
                return None;
            }
            self.place = batch.seen;
            let mut events = batch.events;
            if self.of_here && !events.is_empty() {
                events.retain(|event| event.node.is_none());
                if events.is_empty() {
                    continue;
                }
            }
            if !events.is_empty() {
                return Some(written(&events));
            }
            tokio::select! {
                changed = self.newest.changed() => changed.ok()?,
                () = self.events.closed() => return None,
                () = machine_sleep(HEARTBEAT) => return Some(Bytes::from_static(b": still here\n\n")),
            }
        }
    }
}

fn written(events: &[Arc<Event>]) -> Bytes {
    let mut text = String::new();
    for event in events {
        let (id, kind) = (event.id, event.kind.as_str());
        text.push_str(&format!(
            "id: {id}\nevent: {kind}\ndata: {}\n\n",
            shown(event)
        ));
    }
    text.into()
}

/// Follows what happens.
pub(super) async fn follow(ask: Ask) -> Outcome {
    let events = ask.app.services.events.clone();
    // What a client saw last counts more than what it asked for when it first came.
    let last = ask.parts.header("last-event-id").map(str::to_owned);
    let last = last.as_deref().filter(|id| !id.is_empty());
    let wanted = filter(&ask)?;
    let mut place = match last.or(ask.query("since")) {
        Some(text) => id("since", text)?,
        None => events.newest(),
    };
    if let Some(limit) = ask.number("limit", 1..=KEPT as u64)? {
        place = events.before_the_last(usize::try_from(limit).unwrap_or(KEPT), place, &wanted);
    }
    let follower = Follower {
        newest: events.follow(),
        wanted,
        events,
        place,
        of_here: ask.is_of_a_node,
        begun: false,
    };
    let pieces = stream::unfold(follower, |mut follower| async move {
        let piece = follower.next().await?;
        Some((Ok::<_, io::Error>(piece), follower))
    });
    let body = Body::Stream(Box::pin(pieces));
    Ok(Outgoing::new(200, "text/event-stream", body)
        .header("cache-control", "no-store")
        .header("x-accel-buffering", "no"))
}

fn id(name: &str, text: &str) -> Result<u64, Refused> {
    text.parse()
        .map_err(|_| Refused::bad(Phrase::NotAnEventId.with([("name", &name)])))
}

/// Waits until a number of events has happened.
pub(super) async fn wait(ask: Ask) -> Outcome {
    let events = ask.app.services.events.clone();
    let wanted = filter(&ask)?;
    let count = ask.number("count", 1..=MAX_COUNT)?.unwrap_or(1);
    let count = usize::try_from(count).unwrap_or(KEPT);
    let timeout_s = match ask.query("timeout_s") {
        None => TIMEOUT_S,
        Some(text) => text
            .parse()
            .ok()
            .filter(|s| (0.0..=MAX_TIMEOUT_S).contains(s))
            .ok_or_else(|| Refused::bad(Phrase::BadTimeout))?,
    };
    let mut place = match ask.query("since") {
        Some(text) => id("since", text)?,
        None => events.start(),
    };
    let mut newest = events.follow();
    let mut found: VecDeque<Arc<Event>> = VecDeque::new();
    let mut missed = false;
    let collecting = async {
        loop {
            newest.mark_unchanged();
            let batch = events.after(place, &wanted, count - found.len());
            place = batch.seen;
            missed |= batch.missed;
            found.extend(batch.events);
            if found.len() >= count {
                return true;
            }
            tokio::select! {
                changed = newest.changed() => if changed.is_err() { return false; },
                () = events.closed() => return false,
            }
        }
    };
    let in_time = machine_timeout(Duration::from_secs_f64(timeout_s), collecting).await;
    let told = json!({
        "count": found.len(),
        "next": found.back().map_or(place, |event| event.id),
        "missed": missed,
        "events": found.iter().map(|event| shown(event)).collect::<Vec<_>>(),
    });
    if in_time == Some(true) {
        return answer(&told);
    }
    if in_time == Some(false) {
        let said = Phrase::ServiceStoppedTooSoon.with([("found", &found.len()), ("count", &count)]);
        return Err(Refused::new(503, said).with(told));
    }
    let said = Phrase::TooFewEvents.with([
        ("found", &found.len()),
        ("count", &count),
        ("seconds", &timeout_s),
    ]);
    Err(Refused::new(408, said).with(told))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::events::Names;

    #[test]
    fn what_an_event_tells_stands_beside_what_every_event_has() {
        let events = Events::from_id(Clock::new(None), 100);
        let names = Names {
            domain: "d",
            app: "live",
            stream: "s",
        };
        events.tell(Kind::File, names, &json!({"file_id": "f", "size": 5}));
        events.tell(Kind::Callback, names, &json!({"callback_id": 7}));
        let told = events.after(events.start(), &Filter::default(), 9).events;
        let [file, callback] = told.as_slice() else {
            panic!("two were told")
        };
        let file = shown(file);
        assert_eq!((&file["id"], &file["kind"]), (&json!(101), &json!("file")));
        assert_eq!((&file["file_id"], &file["size"]), (&json!("f"), &json!(5)));
        let callback = shown(callback);
        assert_eq!(callback["id"], json!(102));
        assert_eq!(callback["callback_id"], json!(7));
        assert_eq!(callback["stream"], json!("s"));
    }
}
