//! This process: whether it is there, whether it is ready, how it was set up, what it can do.

use serde_json::{Value, json};

use super::ask::{Ask, Outcome, Refused, answer, text};
use super::clock;
use crate::actions;
use crate::app::App;
use crate::phrases::Phrase;
use crate::spec::coverage::Coverage;
use crate::wire_time;

/// What `prometheus_client` writes.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) async fn cloud_openapi(ask: Ask) -> Outcome {
    answer(&crate::spec::openapi::document(ask.app.gateway.spec))
}

pub(super) async fn metrics(ask: Ask) -> Outcome {
    text(METRICS_TYPE, ask.app.services.metrics.text())
}

/// The process answers.
pub(super) async fn live(_: Ask) -> Outcome {
    answer(&json!({"status": "live"}))
}

/// The parts without which nothing is recorded, each with what is wrong with it.
async fn parts(app: &App) -> (bool, Value, Value) {
    let state = |result: Result<(), String>| match result {
        Ok(()) => json!("ok"),
        Err(error) => json!(error),
    };
    let database = app.services.store.ping().await.map_err(|e| e.to_string());
    let objects = app.services.objects.ping().await.map_err(|e| e.to_string());
    let healthy = database.is_ok() && objects.is_ok();
    (healthy, state(database), state(objects))
}

/// Publishers are taken.
pub(super) async fn ready(ask: Ask) -> Outcome {
    if ask.app.hub.is_stopping() {
        return Err(Refused::new(503, Phrase::ServiceStops).with(json!({"status": "stopping"})));
    }
    // Nodes share their database: were each of them unready without it, no node would be left to push to. Streams go on meanwhile.
    if ask.app.services.store.member().is_some() {
        return answer(&json!({"status": "ready"}));
    }
    let (healthy, database, objects) = parts(&ask.app).await;
    if healthy {
        return answer(&json!({"status": "ready"}));
    }
    let told = json!({"status": "degraded", "database": database, "object_store": objects});
    Err(Refused::new(503, Phrase::PartIsAway).with(told))
}

pub(super) async fn health(ask: Ask) -> Outcome {
    let app = &ask.app;
    let (healthy, database, objects) = parts(app).await;
    let (seen, addresses) = (ask.seen(), app.addresses());
    let over_tls = |url: &Option<String>| url.as_deref().map(|url| seen.url(url));
    let value = json!({
        "status": if healthy { "ready" } else { "degraded" },
        "version": env!("CARGO_PKG_VERSION"),
        "api": seen.url(&addresses.api),
        "rtmp": seen.url(&addresses.rtmp),
        "play": seen.url(&addresses.play),
        "oss": app.store_url(&seen),
        "oss_region": app.config.outside_store.as_ref().map(|outside| &outside.region),
        "tls": over_tls(&addresses.tls),
        "play_tls": over_tls(&addresses.play_tls),
        "parts": {
            "database": database,
            "object_store": objects,
            "rtmp": {"publishers": app.hub.publishers().len(), "connections": app.hub.connections()},
            "clock": clock::shown(app),
        },
        "database": app.services.store.backend(),
    });
    if healthy {
        answer(&value)
    } else {
        Err(Refused::new(503, Phrase::PartIsAway).with(value))
    }
}

/// The nodes of the cluster; where there is none, this one.
pub(super) async fn nodes(ask: Ask) -> Outcome {
    let app = &ask.app;
    let seen = ask.seen();
    if let Some(member) = app.services.store.member() {
        let rows = app.services.store.nodes().await.map_err(Refused::broken)?;
        let own = member.incarnation();
        let nodes: Vec<Value> = rows
            .iter()
            .map(|row| {
                json!({
                    "id": row.id,
                    "incarnation": row.incarnation,
                    "version": row.version,
                    "api": row.address,
                    "rtmp": row.rtmp,
                    "inside": row.inside,
                    "oss": app.store_url(&seen),
                    "state": match row.state.as_str() {
                        _ if row.lease_left_ms <= 0 => "silent",
                        "serving" => "ready",
                        _ => "stopping",
                    },
                    "lease_left_ms": row.lease_left_ms,
                    "since": wire_time::to_api(row.since_ms),
                    "publishers": row.publishers,
                    "streams": row.streams,
                    "own": row.incarnation == *own,
                })
            })
            .collect();
        return answer(&json!({"total": nodes.len(), "nodes": nodes}));
    }
    let me = json!({
        "id": app.addresses().node,
        "version": env!("CARGO_PKG_VERSION"),
        "api": seen.url(&app.addresses().api),
        "rtmp": seen.url(&app.addresses().rtmp),
        "oss": app.store_url(&seen),
        "state": if app.hub.is_stopping() { "stopping" } else { "ready" },
        "publishers": app.hub.publishers().len(),
        "own": true,
    });
    answer(&json!({"nodes": [me], "total": 1}))
}

pub(super) async fn config(ask: Ask) -> Outcome {
    let app = &ask.app;
    let (seen, addresses) = (ask.seen(), app.addresses());
    // The secrets stay here; whoever wonders why a key is refused sees which ones there are.
    let keys = app.config.access_keys.iter();
    let keys: Vec<Value> = keys
        .map(|key| json!({"id": key.id, "disabled": key.disabled, "token": key.token.is_some()}))
        .collect();
    answer(&json!({
        "settings": app.config.shown,
        "addresses": addresses.map(|url| seen.url(url)),
        "access_keys": keys,
        "version": env!("CARGO_PKG_VERSION"),
    }))
}

pub(super) async fn coverage(ask: Ask) -> Outcome {
    let implemented: Vec<&str> = actions::all().map(|def| def.name).collect();
    let spec = ask.app.gateway.spec;
    let table = Coverage::of(spec, &implemented, &actions::declined::all(spec));
    answer(&table.map_err(Refused::broken)?.to_json())
}

pub(super) async fn reset(ask: Ask) -> Outcome {
    ask.app.reset().await.map_err(Refused::broken)?;
    answer(&json!({"reset": true}))
}
