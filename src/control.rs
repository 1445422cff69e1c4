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

/// What `prometheus_client` writes.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Whether a web page of another origin asks. A browser sends such requests for anybody who got the developer to look at a page, and the
/// developer's machine is whom the control plane trusts.
fn is_from_elsewhere(parts: &HttpParts) -> bool {
    let host = parts.header("host").unwrap_or_default();
    let foreign = |origin: &str| {
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        !authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
    };
    parts.header("origin").is_some_and(foreign)
        || parts.header("sec-fetch-site") == Some("cross-site")
}

/// The methods of a path's routes.
fn methods(path: &str) -> Vec<&'static str> {
    let asked: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
    let fits = |route: &str| {
        let known: Vec<&str> = route.split('/').filter(|s| !s.is_empty()).collect();
        known.len() == asked.len()
            && known
                .iter()
                .zip(&asked)
                .all(|(known, asked)| known.starts_with('{') || known == asked)
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
    let metrics = parts.path == "/metrics";
    // Without a token the numbers are for every scraper that reaches the port.
    let may = allowed(app, parts) || (metrics && app.config.control_token.is_none());
    let outcome = if is_from_elsewhere(parts) {
        Err(Refused::new(
            403,
            "the control plane takes no requests from pages of other sites",
        ))
    } else if over {
        Err(Refused::new(
            413,
            "the body is longer than 1 MiB (a snapshot: 64 MiB)",
        ))
    } else if !may {
        let given = parts.header("authorization").is_some();
        let problem = match (&app.config.control_token, given) {
            (None, _) => {
                "the control plane is for this machine; from others, set control-token and send it as a bearer token"
            }
            (Some(_), false) => {
                "send the control token as a bearer token (Authorization: Bearer TOKEN)"
            }
            (Some(_), true) => {
                "the Authorization header does not hold the control token as a bearer token"
            }
        };
        Err(Refused::new(401, problem))
    } else if metrics {
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
    parts.path.trim_end_matches('/') == "/_localyun/snapshot" && allowed(app, parts)
}

fn allowed(app: &App, parts: &HttpParts) -> bool {
    if parts.path == "/_localyun/health" {
        return true;
    }
    // Without a token only this machine has access, whatever address the API listens on.
    let Some(token) = &app.config.control_token else {
        return parts.local;
    };
    let given = parts
        .header("authorization")
        .and_then(|h| h.strip_prefix("Bearer "))
        .unwrap_or_default();
    token.as_bytes().ct_eq(given.as_bytes()).into()
}

fn pretty(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

async fn route(app: &App, parts: &HttpParts) -> Result<String, Refused> {
    let path = parts
        .path
        .strip_prefix("/_localyun")
        .unwrap_or_default()
        .trim_end_matches('/');
    let segments: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
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
            json!({"settings": app.config.shown, "addresses": app.addresses, "version": env!("CARGO_PKG_VERSION")}),
        ),
        ("GET", ["snapshot"]) => snapshot::export(app).await,
        ("PUT", ["snapshot"]) => snapshot::import(app, body(parts)?).await,
        ("GET", ["openapi.json"]) => Ok(crate::spec::openapi::document(app.spec)),
        ("GET", []) => Ok(json!({"routes": ROUTES})),
        (_, [first, ..])
            if ROUTES
                .iter()
                .any(|r| r.contains(&format!("/_localyun/{first}"))) =>
        {
            Err(Refused::new(
                405,
                format!(
                    "{} is not for {}; GET /_localyun lists the routes",
                    parts.method, parts.path
                ),
            ))
        }
        _ => Err(Refused::new(
            404,
            "there is no such route; GET /_localyun lists them",
        )),
    }
}

pub const ROUTES: &[&str] = &[
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
        "api": app.public(&app.addresses.api),
        "rtmp": app.public(&app.addresses.rtmp),
        "oss": app.store_url(),
        "oss_region": app.config.outside_store.as_ref().map(|outside| &outside.region),
        "tls": app.addresses.tls.as_deref().map(|url| app.public(url)),
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
    Coverage::of(app.spec, &implemented, &actions::declined::all(app.spec))
        .map(|c| c.to_json())
        .map_err(Refused::broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(headers: &[(&str, &str)]) -> HttpParts {
        HttpParts {
            method: "GET".to_owned(),
            path: "/_localyun/health".to_owned(),
            query: String::new(),
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            body: bytes::Bytes::new(),
            local: true,
        }
    }

    #[test]
    fn pages_of_other_origins_are_told_apart() {
        let host = ("host", "127.0.0.1:8080");
        for own in [
            vec![host],
            vec![host, ("origin", "http://127.0.0.1:8080")],
            vec![host, ("sec-fetch-site", "same-origin")],
            vec![host, ("sec-fetch-site", "none")],
        ] {
            assert!(!is_from_elsewhere(&parts(&own)), "{own:?}");
        }
        for foreign in [
            vec![host, ("origin", "http://evil.example")],
            vec![host, ("origin", "http://127.0.0.1:9")],
            vec![host, ("origin", "null")],
            vec![host, ("sec-fetch-site", "cross-site")],
            vec![("origin", "http://evil.example")],
        ] {
            assert!(is_from_elsewhere(&parts(&foreign)), "{foreign:?}");
        }
    }

    #[test]
    fn a_path_has_the_methods_of_its_routes() {
        assert_eq!(methods("/_localyun/faults"), ["PUT", "GET", "DELETE"]);
        assert_eq!(methods("/_localyun/streams/d/a/s"), ["DELETE"]);
        assert_eq!(methods("/_localyun/clock/advance/"), ["POST"]);
        assert_eq!(methods("/metrics"), ["GET"]);
    }
}
