//! Callbacks once more: as they were, changed, or to somebody else; and deliveries that stand still.

use serde_json::json;

use super::ask::{Ask, Outcome, Refused, answer};
use crate::ids;
use crate::model::event::Delivery;
use crate::notify::sign;
use crate::phrases::Phrase;
use crate::secrets;

/// Bytes of the address that a changed copy goes to.
const MOST_URL: usize = 2_048;

/// What is different in a changed copy.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    url: Option<String>,
    body: Option<String>,
}

fn number(ask: &Ask) -> Result<i64, Refused> {
    ask.part(0)
        .parse()
        .map_err(|_| Refused::bad(Phrase::BadCallbackId))
}

fn gone(id: i64) -> Refused {
    Refused::new(404, Phrase::NoSuchCallback.with([("id", &id)]))
}

fn check_url(url: &str) -> Result<(), Refused> {
    if url.contains(secrets::HIDDEN) {
        return Err(Refused::plain(
            400,
            "url has *** where lists hide a secret: write the secret itself, or leave url as it is shown to keep the callback's own",
        ));
    }
    let good = url::Url::parse(url)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if good && url.len() <= MOST_URL {
        return Ok(());
    }
    Err(Refused::bad(
        Phrase::BadReceiver.with([("most", &MOST_URL)]),
    ))
}

/// Sends a callback once more and waits for it. Changed, it is a copy with a number of its own, which is sent although the first one is
/// still being tried.
pub(super) async fn replay(ask: Ask) -> Outcome {
    let services = &ask.app.services;
    let id = number(&ask)?;
    let Change { url, body } = ask.fields()?;
    let found = services.store.find_callback(id).await;
    let row = found.map_err(Refused::broken)?;
    let row = row.ok_or_else(|| gone(id))?;
    let is_as_it_was = url.is_none() && body.is_none();
    // Lists show an address without its secrets: one that comes back as it was shown is the callback's own.
    let url = url.filter(|url| *url != secrets::url(&row.url));
    url.as_deref().map(check_url).transpose()?;
    let busy = services.clock.busy();
    let sent = if is_as_it_was {
        if row.state == Delivery::Pending {
            return Err(Refused::new(
                409,
                Phrase::CallbackIsBeingSent.with([("id", &id)]),
            ));
        }
        services.notifier.replay(busy, id);
        id
    } else {
        let change = |row: &mut crate::store::callbacks::Row| {
            if let Some(url) = url {
                // The signature names the receiver of a recording's events, and the domain of a push.
                if row.method == "POST" && !row.sign_host.is_empty() {
                    row.sign_host = sign::host_of(&url);
                }
                row.url = url;
            }
            if let Some(body) = body {
                row.body = body;
            }
        };
        let name = format!("again:{id}:{}", ids::nonce());
        let now = services.clock.now();
        let copied = services.store.copy_callback(id, change, name, now).await;
        let copy = copied.map_err(Refused::broken)?;
        let copy = copy.ok_or_else(|| gone(id))?;
        services.notifier.wake(busy);
        copy
    };
    services.clock.settle().await;
    answer(&json!({"replayed": sent}))
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Pause {
    paused: bool,
}

/// Lets deliveries stand still or go on.
pub(super) async fn pause(ask: Ask) -> Outcome {
    let Pause { paused } = ask.fields()?;
    ask.app.services.notifier.pause(paused);
    if !paused {
        ask.app.services.clock.settle().await;
    }
    answer(&json!({"paused": paused}))
}
