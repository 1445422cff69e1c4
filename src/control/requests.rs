//! The last API requests, each with the lines that make it again and, for a refused signature, what the client did wrong.

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::app::App;
use crate::config::DEFAULT_ENDPOINT;
use crate::diagnosis;
use crate::model::wire_time;
use crate::rpc::journal::evidence::Evidence;
use crate::rpc::journal::{Kept, replay};
use crate::wire::http_parts::HttpParts;

/// Refused signatures that one reading looks into: some milliseconds each, and a caller waits for them.
const DIAGNOSED_AT_ONCE: usize = 8;

/// The answer. Each entry is opened when it is written, so that a long answer takes little more than its own length.
#[derive(Serialize)]
pub struct Requests {
    requests: List,
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
        fields.insert(
            "again".to_owned(),
            json!({
                "localyun": replay::as_command(&entry, elsewhere),
                "curl": replay::as_curl(&entry, elsewhere),
                "python": replay::as_python(&entry),
            }),
        );
    }
    Some(shown)
}

/// The newest requests first.
pub async fn newest(app: &App, parts: &HttpParts, limit: usize) -> Requests {
    let kept = app.gateway.journal.recent(limit);
    diagnose(app, &kept).await;
    let own = app.addresses().endpoint_for(parts);
    let elsewhere = (own != DEFAULT_ENDPOINT).then_some(own);
    Requests {
        requests: List { kept, elsewhere },
    }
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
