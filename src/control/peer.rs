//! What other nodes ask on the port between nodes: a stream, a route of the control plane about this node alone, or to do something together.
//! Nobody else is answered: whoever asks brings the token that all nodes have, and where there is none is on this machine.

use std::sync::Arc;
use std::task::{Poll, ready};

use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value, json};

use super::ask::{Ask, Incoming, Outcome, Refused, answer as answered};
use super::table::{Found, check_query, find};
use super::{ROUTES, is_told};
use crate::app::App;
use crate::live::fanout::log::Taken;
use crate::live::fanout::outgoing::Outgoing as Sending;
use crate::live::fanout::tape::{Coding, Form};
use crate::live::play::MOST_SKIPS;
use crate::model::stream_key::StreamKey;
use crate::wire::http_parts::HttpParts;
use crate::wire::outgoing::{Body, Outgoing};

/// Bytes that are handed to the web framework at a time.
const AT_ONCE: usize = 64 << 10;
/// The header that names a publish.
const PUSH: &str = "x-localyun-push";

/// Answers another node.
pub async fn answer(app: Arc<App>, parts: HttpParts, body: Incoming) -> Outgoing {
    match respond(app, parts, body).await {
        Ok(answer) => answer,
        Err(refused) => refused.into_answer(),
    }
}

async fn respond(app: Arc<App>, parts: HttpParts, body: Incoming) -> Outcome {
    let token = app
        .config
        .cluster
        .as_ref()
        .and_then(|it| it.token.as_deref());
    let is_a_node = match token {
        Some(token) => is_told(token, &parts),
        None => parts.local,
    };
    if !is_a_node {
        let why = match token {
            Some(_) => {
                "this port is for the other nodes: they bring --cluster-token as a bearer token"
            }
            None => "this port is for the other nodes; on other machines they need --cluster-token",
        };
        return Err(Refused::plain(401, why));
    }
    let nothing = || Refused::plain(404, "nodes ask for nothing of that name");
    let query: Vec<(String, String)> = url::form_urlencoded::parse(parts.query.as_bytes())
        .into_owned()
        .collect();
    match (parts.method.as_str(), parts.path.as_str()) {
        ("GET", "/stream") => stream_of(&app, &query),
        ("POST", path) => {
            let verb = path.strip_prefix("/node/").ok_or_else(nothing)?;
            let nodes = app.nodes().ok_or_else(nothing)?;
            let Incoming::Kept(body) = body else {
                return Err(Refused::plain(413, "the body is too long"));
            };
            let args: Value =
                serde_json::from_slice(&body).map_err(|error| Refused::plain(400, error))?;
            let done = nodes.obey(verb, args).await;
            answered(&done.map_err(|why| Refused::plain(409, why))?)
        }
        ("GET", path) => {
            let Found::Route(route, open) = find(ROUTES, "GET", path) else {
                return Err(nothing());
            };
            check_query(route, &query)?;
            let ask = Ask {
                app,
                open,
                query,
                body,
                is_of_a_node: true,
                parts,
            };
            (route.handler)(ask).await
        }
        _ => Err(nothing()),
    }
}

/// A stream that is published here, as FLV.
fn stream_of(app: &App, query: &[(String, String)]) -> Outcome {
    let text = |wanted: &str| {
        let found = query.iter().find(|(name, _)| name == wanted);
        found.map_or("", |(_, value)| value.as_str())
    };
    let key = StreamKey::new(text("domain"), text("app"), text("stream"));
    let publisher = app.hub.find(&key);
    let publisher =
        publisher.ok_or_else(|| Refused::plain(404, format!("{key} is not live here")))?;
    let mut reader = publisher.fanout.tape(Form::Flv, Coding::Plain).read();
    let mut out = Sending::default();
    let made = stream::poll_fn(move |context| {
        loop {
            if let Some(bytes) = out.take(AT_ONCE) {
                return Poll::Ready(Some(Ok::<Bytes, std::io::Error>(bytes)));
            }
            if ready!(reader.poll_next(context, &mut out, AT_ONCE)) == Taken::Ended {
                return Poll::Ready(None);
            }
            if reader.skips_in_a_row() > MOST_SKIPS {
                let why = "the other node is too slow";
                return Poll::Ready(Some(Err(std::io::Error::other(why))));
            }
        }
    });
    let body = Body::Stream(Box::pin(made));
    Ok(Outgoing::new(200, "video/x-flv", body).header(PUSH, publisher.push_id.clone()))
}

/// What the other nodes say to a route, by their names, and which of them were silent.
pub(super) async fn others(ask: &Ask, path: &str) -> (Vec<(String, Value)>, Vec<Value>) {
    let Some(nodes) = ask.app.nodes().filter(|_| !ask.is_of_a_node) else {
        return (Vec::new(), Vec::new());
    };
    let (mut said, mut told) = (Vec::new(), Vec::new());
    for it in nodes.ask(path).await {
        told.push(json!({"node": it.node, "answered": it.answer.is_some()}));
        said.extend(it.answer.map(|answer| (it.node, answer)));
    }
    (said, told)
}
