//! The control plane under `/_localyun`: JSON, never signed, for tests and for people.

mod explain;
mod faults;
mod recordings;
mod requests;
mod snapshot;
mod streams;

use serde_json::{Value, json};
use subtle::ConstantTimeEq;

use crate::actions;
use crate::app::App;
use crate::model::wire_time;
use crate::site;
use crate::spec::coverage::Coverage;
use crate::wire::http_parts::HttpParts;
use crate::wire::render::Reply;

pub use snapshot::apply_seed;

/// Why a control call is refused.
#[derive(Debug)]
pub(crate) struct Refused {
    status: u16,
    message: String,
}

impl Refused {
    fn new(status: u16, message: impl std::fmt::Display) -> Self {
        Self {
            status,
            message: message.to_string(),
        }
    }

    fn bad(message: impl std::fmt::Display) -> Self {
        Self::new(400, message)
    }

    fn broken(message: impl std::fmt::Display) -> Self {
        Self::new(500, message)
    }
}

type Outcome = Result<Value, Refused>;

/// The control plane's root, and what every other path of it begins with.
pub const ROOT: &str = "/_localyun";
pub const BELOW: &str = "/_localyun/";

/// Answered to anybody who reaches the port: they say no more than that the server is there.
const PROBES: [&str; 3] = ["health", "live", "ready"];

const METRICS: &str = "/metrics";
/// What `prometheus_client` writes.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The names of a path below the root; `None` where one is empty. A slash at the end is let pass.
fn segments(path: &str) -> Option<Vec<&str>> {
    let below = path.strip_prefix(ROOT)?;
    let below = below.strip_suffix('/').unwrap_or(below);
    let mut names = below.split('/');
    // What stands before the first slash.
    names.next().filter(|first| first.is_empty())?;
    let names: Vec<&str> = names.collect();
    names.iter().all(|name| !name.is_empty()).then_some(names)
}

/// The methods of a path's routes.
fn methods(path: &str) -> Vec<&'static str> {
    let fits = |route: &str| match (segments(route), segments(path)) {
        (Some(known), Some(asked)) => {
            known.len() == asked.len()
                && known
                    .iter()
                    .zip(&asked)
                    .all(|(known, asked)| known.starts_with('{') || known == asked)
        }
        _ => route == path,
    };
    ROUTES
        .iter()
        .filter_map(|route| route.split_once(' '))
        .filter(|(_, route)| fits(route.split('?').next().unwrap_or(route)))
        .map(|(method, _)| method)
        .collect()
}

/// Answers one control request. `over`: its body was too long.
pub async fn answer(app: &App, parts: &HttpParts, over: bool) -> Reply {
    let outcome = if let Some(refused) = refusal(app, parts) {
        Err(refused)
    } else if over {
        Err(Refused::new(
            413,
            "the body is longer than 1 MiB (a snapshot: 64 MiB)",
        ))
    } else if parts.path == METRICS {
        return Reply {
            status: 200,
            headers: vec![("content-type", METRICS_TYPE.into())],
            body: app.services.metrics.text().into(),
        };
    } else {
        route(app, parts).await
    };
    let (status, body) = match outcome {
        Ok(body) => (200, body),
        Err(refused) => (refused.status, pretty(&json!({"error": refused.message}))),
    };
    let mut reply = Reply {
        status,
        headers: vec![("content-type", "application/json".into())],
        body: body.into(),
    };
    if status == 405 {
        reply.header("allow", methods(&parts.path).join(", "));
    }
    reply
}

/// Whether a request may bring a snapshot, which is longer than other bodies.
pub fn takes_snapshot(app: &App, parts: &HttpParts) -> bool {
    parts.path.trim_end_matches('/') == "/_localyun/snapshot" && refusal(app, parts).is_none()
}

/// Why the control plane is not for who sent a request.
fn refusal(app: &App, parts: &HttpParts) -> Option<Refused> {
    if site::is_foreign_page(parts) {
        let why = "the control plane takes no requests from pages of other sites";
        return Some(Refused::new(403, why));
    }
    if matches!(segments(&parts.path).as_deref(), Some([probe]) if PROBES.contains(probe)) {
        return None;
    }
    if let Some(token) = &app.config.control_token {
        let header = parts.header("authorization");
        let given = header.and_then(|header| header.strip_prefix("Bearer "));
        if token
            .as_bytes()
            .ct_eq(given.unwrap_or_default().as_bytes())
            .into()
        {
            return None;
        }
        let why = if header.is_some() {
            "the Authorization header does not hold the control token as a bearer token"
        } else {
            "send the control token as a bearer token (Authorization: Bearer TOKEN)"
        };
        return Some(Refused::new(401, why));
    }
    // Without a token only this machine has access, whatever address the API listens on; the numbers are for every scraper that
    // reaches the port.
    if !parts.local {
        let why = "the control plane is for this machine; from others, set control-token and send it as a bearer token";
        return (parts.path != METRICS).then(|| Refused::new(401, why));
    }
    // The browser on this machine asks for whatever page it shows, and a stranger's name may lead here.
    if !app.gateway.own_names.are_named_by(parts) {
        let named = parts.authority.as_deref().or(parts.header("host"));
        let why = format!(
            "{:?} is not a name of this machine; say localhost or 127.0.0.1, or set public-host to that name",
            named.unwrap_or_default()
        );
        return Some(Refused::new(403, why));
    }
    None
}

fn pretty(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

async fn route(app: &App, parts: &HttpParts) -> Result<String, Refused> {
    let segments = segments(&parts.path).ok_or_else(no_route)?;
    match (parts.method.as_str(), segments.as_slice()) {
        ("GET", ["requests"]) => Ok(pretty(&requests::newest(app, parts, limit(parts)?).await)),
        (method, segments) => Ok(pretty(&value(app, parts, method, segments).await?)),
    }
}

async fn value(app: &App, parts: &HttpParts, method: &str, segments: &[&str]) -> Outcome {
    match (method, segments) {
        ("GET", ["health"]) => health(app).await,
        ("POST", ["reset"]) => app
            .reset()
            .await
            .map(|()| json!({"reset": true}))
            .map_err(Refused::broken),
        ("GET", ["streams"]) => Ok(streams::list(app)),
        ("POST", ["streams"]) => streams::publish(app, body(parts)?).await,
        ("DELETE", ["streams", domain, name @ .., stream]) if !name.is_empty() => {
            streams::end(app, domain, &name.join("/"), stream).await
        }
        ("GET", ["recordings"]) => recordings::list(app, limit(parts)?).await,
        ("GET", ["callbacks"]) => recordings::callbacks(app, limit(parts)?).await,
        ("POST", ["callbacks", id, "replay"]) => recordings::replay(app, id).await,
        ("GET", ["clock"]) => Ok(clock(app)),
        ("POST", ["clock", "advance"]) => advance(app, body(parts)?).await,
        ("GET", ["explain"]) => explain::explain(app, &parts.query).await,
        ("PUT" | "POST", ["faults"]) => faults::arm(app, body(parts)?),
        ("GET", ["faults"]) => Ok(json!({"faults": app.services.faults.list()})),
        ("DELETE", ["faults"]) => {
            app.services.faults.arm(Vec::new());
            Ok(json!({"faults": []}))
        }
        ("GET", ["coverage"]) => coverage(app),
        ("GET", ["config"]) => Ok(
            json!({"settings": app.config.shown, "addresses": app.addresses(), "version": env!("CARGO_PKG_VERSION")}),
        ),
        ("GET", ["snapshot"]) => snapshot::export(app).await,
        ("PUT", ["snapshot"]) => snapshot::import(app, body(parts)?).await,
        ("GET", ["openapi.json"]) => Ok(crate::spec::openapi::document(app.gateway.spec)),
        ("GET", []) => Ok(json!({"routes": ROUTES})),
        _ if !methods(&parts.path).is_empty() => Err(Refused::new(
            405,
            format!(
                "{} is not for {}; GET /_localyun lists the routes",
                parts.method, parts.path
            ),
        )),
        _ => Err(no_route()),
    }
}

fn no_route() -> Refused {
    Refused::new(404, "there is no such route; GET /_localyun lists them")
}

pub const ROUTES: &[&str] = &[
    "GET /_localyun",
    "GET /_localyun/health",
    "POST /_localyun/reset",
    "GET /_localyun/requests?limit=N",
    "GET /_localyun/streams",
    "POST /_localyun/streams",
    "DELETE /_localyun/streams/{domain}/{app}/{stream}",
    "GET /_localyun/recordings",
    "GET /_localyun/callbacks?limit=N",
    "POST /_localyun/callbacks/{id}/replay",
    "GET /_localyun/clock",
    "POST /_localyun/clock/advance",
    "GET /_localyun/explain?domain=&app=&stream=",
    "PUT /_localyun/faults",
    "GET /_localyun/faults",
    "DELETE /_localyun/faults",
    "GET /_localyun/coverage",
    "GET /_localyun/config",
    "GET /_localyun/snapshot",
    "PUT /_localyun/snapshot",
    "GET /_localyun/openapi.json",
    "GET /metrics",
];

/// The value of a query parameter.
fn query(parts_query: &str, wanted: &str) -> Option<String> {
    url::form_urlencoded::parse(parts_query.as_bytes())
        .find(|(name, _)| name == wanted)
        .map(|(_, value)| value.into_owned())
}

fn limit(parts: &HttpParts) -> Result<usize, Refused> {
    match query(&parts.query, "limit") {
        None => Ok(100),
        Some(text) => text
            .parse()
            .ok()
            .filter(|n| (1..=1_000).contains(n))
            .ok_or_else(|| Refused::bad("limit must be 1 to 1000")),
    }
}

fn body(parts: &HttpParts) -> Result<Value, Refused> {
    if parts.body.is_empty() {
        return Ok(json!({}));
    }
    serde_json::from_slice(&parts.body)
        .map_err(|e| Refused::bad(format!("the body is no JSON: {e}")))
}

/// A body's fields as a type; the error says where in it the trouble is.
fn fields<T: serde::de::DeserializeOwned>(body: Value) -> Result<T, Refused> {
    // A list would fill a type's fields by position.
    if !body.is_object() {
        return Err(Refused::bad("the body must be a JSON object"));
    }
    serde_path_to_error::deserialize(body).map_err(Refused::bad)
}

async fn health(app: &App) -> Outcome {
    let state = |result: Result<(), String>| match result {
        Ok(()) => json!("ok"),
        Err(error) => json!(error),
    };
    let database = app.services.store.ping().await.map_err(|e| e.to_string());
    let objects = app.services.objects.ping().await.map_err(|e| e.to_string());
    let healthy = database.is_ok() && objects.is_ok();
    let value = json!({
        "status": if healthy { "ready" } else { "degraded" },
        "version": env!("CARGO_PKG_VERSION"),
        "api": app.public(&app.addresses().api),
        "rtmp": app.public(&app.addresses().rtmp),
        "play": app.public(&app.addresses().play),
        "oss": app.store_url(),
        "oss_region": app.config.outside_store.as_ref().map(|outside| &outside.region),
        "tls": app.addresses().tls.as_deref().map(|url| app.public(url)),
        "play_tls": app.addresses().play_tls.as_deref().map(|url| app.public(url)),
        "parts": {
            "database": state(database),
            "object_store": state(objects),
            "rtmp": {"publishers": app.hub.publishers().len(), "connections": app.hub.connections()},
            "clock": clock(app),
        },
        "database": app.services.store.backend(),
    });
    if healthy {
        Ok(value)
    } else {
        Err(Refused::new(503, value))
    }
}

fn clock(app: &App) -> Value {
    let now = app.services.clock.now();
    json!({
        "now": wire_time::to_api(now),
        "now_ms": now,
        "offset_ms": app.services.clock.offset_ms(),
        "waiting": app.services.clock.waiting(),
    })
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    seconds: f64,
}

async fn advance(app: &App, body: Value) -> Outcome {
    let Advance { seconds } = fields(body)
        .map_err(|why| Refused::bad(format!(r#"send {{"seconds": N}}: {}"#, why.message)))?;
    if !(0.0..=315_360_000.0).contains(&seconds) {
        return Err(Refused::bad(
            "seconds must be 0 to ten years; the clock only goes forward",
        ));
    }
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
    let ms = (seconds * 1000.0) as i64;
    let advanced = app.advance(ms).await;
    let mut shown = clock(app);
    if let Value::Object(fields) = &mut shown {
        fields.insert("settled".to_owned(), advanced.settled.into());
    }
    Ok(shown)
}

fn coverage(app: &App) -> Outcome {
    let implemented: Vec<&str> = actions::all().map(|def| def.name).collect();
    Coverage::of(
        app.gateway.spec,
        &implemented,
        &actions::declined::all(app.gateway.spec),
    )
    .map(|c| c.to_json())
    .map_err(Refused::broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_the_methods_of_its_routes() {
        assert_eq!(methods("/_localyun/faults"), ["PUT", "GET", "DELETE"]);
        assert_eq!(methods("/_localyun/streams/d/a/s"), ["DELETE"]);
        assert_eq!(methods("/_localyun/clock/advance/"), ["POST"]);
        assert_eq!(methods("/metrics"), ["GET"]);
    }

    #[test]
    fn a_path_that_only_begins_like_a_route_has_none() {
        for path in [
            "/_localyunclock",
            "/_localyun/stream",
            "/_localyun/clockadvance",
            "/_localyun/clock/advance/now",
            "/_localyun//clock",
            "/_localyun/clock//",
            "/metrics/",
            "/",
        ] {
            assert!(methods(path).is_empty(), "{path}");
        }
        assert_eq!(segments("/_localyunclock"), None);
        assert_eq!(segments("/_localyun/"), Some(vec![]));
    }
}
