//! The last API requests, each with the lines that make it again and, for a refused signature, what the client did wrong.

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::ask::{Ask, Outcome, Refused, answer};
use super::listing::Listing;
use crate::app::App;
use crate::config::DEFAULT_ENDPOINT;
use crate::diagnosis;
use crate::model::wire_time;
use crate::rpc::journal::evidence::Evidence;
use crate::rpc::journal::{Entry, Kept, replay};

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
    let place: Option<u64> = listing.place(|cursor| cursor.parse().ok())?;
    let (action, id) = (ask.query("action"), ask.query("request_id"));
    let problems = match ask.query("problems") {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(Refused::bad("problems must be true or false")),
    };
    let is_wanted = |entry: &Entry<'_>| {
        let param = |wanted: &str| {
            let found = entry.params.iter().find(|(name, _)| name == wanted);
            found.map_or("", |(_, value)| value.as_ref())
        };
        let domain = param("DomainName").to_ascii_lowercase();
        listing.takes(&domain, param("AppName"), param("StreamName"))
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
    answer(&Requests {
        requests: List {
            kept: all,
            elsewhere,
        },
        total,
        next,
    })
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
