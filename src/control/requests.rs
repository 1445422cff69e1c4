//! The last API requests, each with the lines that make it again and, for a refused signature, what the client did wrong.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};

use super::ask::{Ask, Outcome, answer};
use super::listing::Listing;
use super::peer;
use crate::app::App;
use crate::config::DEFAULT_ENDPOINT;
use crate::diagnosis;
use crate::evidence::Evidence;
use crate::rpc::domains_of;
use crate::rpc::journal::{Entry, Kept, replay};
use crate::wire_time;

/// Refused signatures that one reading looks into: some milliseconds each, and a caller waits for them.
const DIAGNOSED_AT_ONCE: usize = 8;

/// The answer. Each entry is opened when it is written, so that a long answer takes little more than its own length.
#[derive(Serialize)]
struct Requests {
    requests: List,
    total: usize,
    next: Option<String>,
}

struct List {
    kept: Vec<Kept>,
    /// The address by which the reader reached us, where the tools would not go to it by themselves.
    elsewhere: Option<String>,
}

impl Serialize for List {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let shown = |kept| shown(kept, self.elsewhere.as_deref());
        out.collect_seq(self.kept.iter().filter_map(shown))
    }
}

fn shown(kept: &Kept, elsewhere: Option<&str>) -> Option<Value> {
    let entry = kept.entry()?;
    let mut shown = serde_json::to_value(&entry).ok()?;
    if let Value::Object(fields) = &mut shown {
        fields.insert("at".to_owned(), wire_time::to_api(entry.at).into());
        if let Some(diagnosis) = kept.evidence.as_ref().and_then(|e| e.diagnosis()) {
            fields.insert("signature".to_owned(), json!(diagnosis));
        }
        // What named no action cannot be called.
        let again = (!entry.action.is_empty()).then(|| {
            json!({
                "localyun": replay::as_command(&entry, elsewhere),
                "curl": replay::as_curl(&entry, elsewhere),
                "python": replay::as_python(&entry),
                "node": replay::as_node(&entry),
                "go": replay::as_go(&entry),
                "java": replay::as_java(&entry),
            })
        });
        fields.insert("again".to_owned(), json!(again));
    }
    Some(shown)
}

/// The newest requests first.
pub(super) async fn list(ask: Ask) -> Outcome {
    let listing = Listing::of(&ask)?;
    let places = listing.place(places)?.unwrap_or_default();
    let own = ask.app.addresses().node.as_str();
    let place = places.get(own).or(places.get("")).copied();
    let (action, id) = (ask.query("action"), ask.query("request_id"));
    let problems = ask.switch("problems")?;
    let is_wanted = |entry: &Entry<'_>| {
        let param = |wanted: &str| {
            let found = entry.params.iter().find(|(name, _)| name == wanted);
            found.map_or("", |(_, value)| value.as_ref())
        };
        let is_of = |domain: &str| listing.takes(domain, param("AppName"), param("StreamName"));
        let domains = domains_of(&entry.params);
        // A call that names no domain is found where none is asked for.
        (domains.iter().any(|domain| is_of(domain)) || (domains.is_empty() && is_of("")))
            && listing.since.is_none_or(|since| entry.at >= since)
            && action.is_none_or(|action| entry.action == action)
            && id.is_none_or(|id| entry.request_id == id)
            && !(problems && entry.verdict == "ok")
    };
    let is_plain = listing.domain.is_none()
        && listing.app.is_none()
        && listing.stream.is_none()
        && listing.since.is_none()
        && action.is_none()
        && id.is_none()
        && !problems;
    let mut all = ask.app.gateway.journal.before(u64::MAX, usize::MAX);
    if !is_plain {
        all.retain(|kept| kept.entry().is_some_and(|entry| is_wanted(&entry)));
    }
    let total = all.len();
    if let Some(place) = place {
        all.retain(|kept| kept.number < place);
    }
    let more = all.len() > listing.limit;
    all.truncate(listing.limit);
    let next = all
        .last()
        .filter(|_| more)
        .map(|last| last.number.to_string());
    diagnose(&ask.app, &all).await;
    let own = ask.app.addresses().endpoint_for(&ask.parts);
    let elsewhere = (own != DEFAULT_ENDPOINT).then_some(own);
    if ask.app.nodes().is_some() {
        let here = all
            .iter()
            .filter_map(|kept| numbered(kept, elsewhere.as_deref()))
            .collect();
        if ask.is_of_a_node {
            return answer(&Page {
                requests: here,
                total,
                more,
            });
        }
        let here = Page {
            requests: here,
            total,
            more,
        };
        return of_all(&ask, &listing, &places, here).await;
    }
    answer(&Requests {
        requests: List {
            kept: all,
            elsewhere,
        },
        total,
        next,
    })
}

/// The newest requests of one node, as nodes tell each other.
#[derive(Serialize, Deserialize)]
struct Page {
    requests: Vec<Value>,
    total: usize,
    /// There are older ones.
    more: bool,
}

/// A request with what brings it into an order with those of other nodes.
fn numbered(kept: &Kept, elsewhere: Option<&str>) -> Option<Value> {
    let at = kept.entry()?.at;
    let mut shown = shown(kept, elsewhere)?;
    if let Value::Object(fields) = &mut shown {
        fields.insert("number".to_owned(), kept.number.into());
        fields.insert("at_ms".to_owned(), at.into());
    }
    Some(shown)
}

/// The place behind the last page: of each node the number of the oldest request that was told.
type Places = BTreeMap<String, u64>;

/// `node:number,…`; of a single process the number alone.
fn places(cursor: &str) -> Option<Places> {
    let read = |part: &str| {
        let (node, number) = part.rsplit_once(':').unwrap_or(("", part));
        Some((node.to_owned(), number.parse().ok()?))
    };
    cursor.split(',').map(read).collect()
}

/// The newest requests of all nodes.
async fn of_all(ask: &Ask, listing: &Listing, places: &Places, here: Page) -> Outcome {
    let own = ask.app.addresses().node.clone();
    let query = ask.parts.query.as_str();
    // Each node finds its own place in the cursor.
    let (said, nodes) = peer::others(ask, &format!("/_localyun/requests?{query}")).await;
    let mut pages = vec![(own, here)];
    for (node, answer) in said {
        if let Ok(page) = serde_json::from_value(answer) {
            pages.push((node, page));
        }
    }
    let total: usize = pages.iter().map(|(_, page)| page.total).sum();
    let more = pages.iter().any(|(_, page)| page.more);
    let number = |request: &Value, name: &str| request.get(name).and_then(Value::as_i64);
    let mut all: Vec<(String, Value)> = Vec::new();
    for (node, page) in pages {
        all.extend(page.requests.into_iter().map(|it| (node.clone(), it)));
    }
    // Those of a node stay in its order.
    all.sort_by_key(|(_, request)| std::cmp::Reverse(number(request, "at_ms")));
    let is_cut = all.len() > listing.limit;
    all.truncate(listing.limit);
    let mut next = places.clone();
    next.remove("");
    for (node, request) in &mut all {
        if let Some(number) = number(request, "number") {
            next.insert(node.clone(), u64::try_from(number).unwrap_or(0));
        }
        if let Value::Object(fields) = request {
            fields.shift_remove("number");
            fields.shift_remove("at_ms");
            fields.insert("node".to_owned(), node.as_str().into());
        }
    }
    let next: Vec<String> = next
        .iter()
        .map(|(node, number)| format!("{node}:{number}"))
        .collect();
    let next = (more || is_cut).then(|| next.join(","));
    let requests: Vec<Value> = all.into_iter().map(|(_, request)| request).collect();
    answer(&json!({"requests": requests, "total": total, "next": next, "nodes": nodes}))
}

/// Looks into the newest refused signatures that nobody has asked about before.
async fn diagnose(app: &App, entries: &[Kept]) {
    let key_of = |evidence: &Evidence| {
        let id = diagnosis::key_id(evidence.request())?;
        Some(app.gateway.keys.find(&id)?.key)
    };
    let open: Vec<_> = entries
        .iter()
        .filter_map(|entry| entry.evidence.clone())
        .filter(|evidence| !evidence.is_examined())
        .filter_map(|evidence| key_of(&evidence).map(|key| (evidence, key)))
        .take(DIAGNOSED_AT_ONCE)
        .collect();
    if open.is_empty() {
        return;
    }
    // Streams need not wait for it.
    let looked = tokio::task::spawn_blocking(move || {
        for (evidence, key) in &open {
            evidence.examine_by(|parts| diagnosis::examine(parts, &key.secret));
        }
    });
    if let Err(error) = looked.await {
        tracing::error!(%error, "looking into refused signatures broke off");
    }
}
