//! The control plane under `/_localyun`: JSON, never signed, for tests and for people. `routes.rs` is its table.

mod ask;
mod call;
mod clock;
mod console;
mod explain;
mod faults;
mod happenings;
mod listing;
mod node;
mod objects;
mod openapi;
mod peer;
mod recordings;
mod requests;
mod resend;
mod routes;
mod rules;
mod signed;
mod sinks;
mod snapshot;
mod streams;
mod table;
mod ticket;
mod watch;

use std::sync::Arc;

use subtle::ConstantTimeEq;

use crate::app::App;
use crate::phrases::Phrase;
use crate::site;
use crate::wire::http_parts::HttpParts;
use crate::wire::outgoing::Outgoing;
use ask::{Ask, Refused};
use table::{Found, check_body, check_query, find};

pub use ask::{BODY_PATIENCE, Incoming, LEAST_RATE};
pub use peer::answer as answer_node;
pub use routes::ROUTES;
pub use snapshot::apply_seed;
pub use table::{BELOW, ROOT, Shape, Who};

/// The table of docs/control.md.
#[must_use]
pub fn table_of_document() -> String {
    openapi::table(ROUTES)
}

/// Whether a path is the control plane's to answer.
#[must_use]
pub fn is_control(path: &str) -> bool {
    path == ROOT || path.starts_with(BELOW) || path == "/metrics"
}

/// Answers one control request.
pub async fn answer(app: Arc<App>, parts: HttpParts, body: Incoming) -> Outgoing {
    match route(app, parts, body).await {
        Ok(answer) => answer,
        Err(refused) => refused.into_answer(),
    }
}

async fn route(app: Arc<App>, parts: HttpParts, body: Incoming) -> ask::Outcome {
    let found = find(ROUTES, &parts.method, &parts.path);
    let who = match &found {
        Found::Route(route, _) => route.who,
        // What is not there is told to the owner alone.
        _ => Who::Owner,
    };
    if let Some(refused) = refusal(&app, &parts, who) {
        return Err(refused);
    }
    let (route, open) = match found {
        Found::Route(route, open) => (route, open),
        Found::OtherMethod(methods) => {
            return Err(Refused {
                allow: Some(methods.join(", ")),
                ..Refused::new(
                    405,
                    Phrase::MethodNotAllowed.with([
                        ("method", &parts.method),
                        ("path", &parts.path),
                        ("methods", &methods.join(", ")),
                    ]),
                )
            });
        }
        Found::Nothing(near) => {
            let said = match near {
                Some(near) => Phrase::NoSuchRouteButNear.with([("near", &near)]),
                None => Phrase::NoSuchRoute.into(),
            };
            return Err(Refused::new(404, said));
        }
    };
    if matches!(body, Incoming::TooLong) {
        return Err(Refused::new(413, Phrase::BodyTooLong));
    }
    let query: Vec<(String, String)> = url::form_urlencoded::parse(parts.query.as_bytes())
        .into_owned()
        .collect();
    check_query(route, &query)?;
    check_body(route, &body)?;
    let ask = Ask {
        app,
        parts,
        open,
        query,
        body,
        is_of_a_node: false,
    };
    (route.handler)(ask).await
}

/// Whether a request may bring a body of any length, which its route takes as it comes.
#[must_use]
pub fn takes_stream(app: &App, parts: &HttpParts) -> bool {
    match find(ROUTES, &parts.method, &parts.path) {
        Found::Route(route, _) => {
            matches!(route.body, Shape::Stream(..)) && refusal(app, parts, route.who).is_none()
        }
        _ => false,
    }
}

/// Why a route is not for who sent a request.
fn refusal(app: &App, parts: &HttpParts, who: Who) -> Option<Refused> {
    // A link on a page of another site may lead to the console, which is a page of its own then.
    let is_visit = who == Who::Page
        && parts.header("sec-fetch-mode") == Some("navigate")
        && parts.header("sec-fetch-dest") == Some("document")
        && parts.header("origin").is_none();
    if !is_visit && site::is_foreign_page(parts) {
        return Some(Refused::new(403, Phrase::ForeignPage));
    }
    if who == Who::Everybody {
        return None;
    }
    if let Some(token) = &app.config.control_token {
        if who == Who::Page {
            return None;
        }
        if is_told(token, parts) {
            return None;
        }
        let why = if parts.header("authorization").is_some() {
            Phrase::WrongToken
        } else {
            Phrase::TokenMissing
        };
        return Some(Refused::new(401, why));
    }
    // Without a token only this machine has access, whatever address the API listens on; the numbers are for every scraper that
    // reaches the port.
    if !parts.local {
        return (who != Who::Scraper).then(|| Refused::new(401, Phrase::NotThisMachine));
    }
    // The browser on this machine asks for whatever page it shows, and a stranger's name may lead here.
    if !app.gateway.own_names.are_named_by(parts) {
        let named = parts.authority.as_deref().or(parts.header("host"));
        let named = format!("{:?}", named.unwrap_or_default());
        let said = Phrase::NotOurName.with([("name", &named)]);
        return Some(Refused::new(403, said));
    }
    None
}

/// Whether a request brings the control token.
fn is_told(token: &str, parts: &HttpParts) -> bool {
    let header = parts.header("authorization");
    // The name of a scheme has no case (RFC 9110 section 11.1).
    let given = header
        .and_then(|header| header.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map_or("", |(_, given)| given.trim_start_matches(' '));
    token.as_bytes().ct_eq(given.as_bytes()).into()
}
