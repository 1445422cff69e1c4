//! Recording sessions with their files, and callbacks with their attempts.

use serde_json::{Value, json};

use super::{Outcome, Refused};
use crate::app::App;
use crate::media::hls::encode_uri_path;
use crate::model::event::seconds;
use crate::model::object_name::public_url;
use crate::model::wire_time;
use crate::secrets;

pub(super) async fn list(app: &App, limit: usize) -> Outcome {
    let store = &app.services.store;
    let sessions = store
        .recent_sessions(limit as u64)
        .await
        .map_err(Refused::broken)?;
    let ids: Vec<String> = sessions.iter().map(|session| session.id.clone()).collect();
    let slices = store.slice_counts(&ids).await.map_err(Refused::broken)?;
    let mut shown = Vec::with_capacity(sessions.len());
    for session in sessions {
        let files = store
            .files_of_session(&session.id)
            .await
            .map_err(Refused::broken)?;
        let files: Vec<Value> = files
            .into_iter()
            .map(|f| {
                json!({
                    "id": f.id,
                    "format": f.format,
                    "bucket": f.bucket,
                    "object": f.object,
                    "url": app.object_url(&f.bucket, &encode_uri_path(&f.object)),
                    "public_url": public_url(&f.bucket, &f.endpoint, &encode_uri_path(&f.object)),
                    "duration": seconds(f.duration_ms),
                    "size": f.size,
                    "start_time": wire_time::to_api(f.started_at),
                    "stop_time": wire_time::to_api(f.ended_at),
                })
            })
            .collect();
        shown.push(json!({
            "session": session.id,
            "domain": session.domain,
            "app": session.app,
            "stream": session.stream,
            "state": session.state,
            "bucket": session.bucket,
            "start_time": wire_time::to_api(session.started_at),
            "stop_time": wire_time::to_api(session.ended_at),
            "slices": slices.get(&session.id).copied().unwrap_or_default(),
            "files": files,
        }));
    }
    Ok(json!({"recordings": shown}))
}

pub(super) async fn callbacks(app: &App, limit: usize) -> Outcome {
    let rows = app
        .services
        .store
        .recent_callbacks(limit as u64)
        .await
        .map_err(Refused::broken)?;
    let shown: Vec<Value> = rows
        .into_iter()
        .map(|row| {
            let attempts: Value = serde_json::from_str(&row.attempts).unwrap_or(Value::Null);
            json!({
                "id": row.id,
                "kind": row.kind,
                "domain": row.domain,
                "app": row.app,
                "stream": row.stream,
                "method": row.method,
                "url": secrets::url(&row.url),
                "body": row.body,
                "state": row.state,
                "attempts": attempts,
                "created_at": wire_time::to_api(row.created_at),
                "next_try": (row.state == "pending").then(|| wire_time::to_api(row.next_at)),
            })
        })
        .collect();
    Ok(json!({"callbacks": shown}))
}

pub(super) async fn replay(app: &App, id: &str) -> Outcome {
    let id: i64 = id
        .parse()
        .map_err(|_| Refused::bad("the callback's id is a number"))?;
    match app
        .services
        .store
        .find_callback(id)
        .await
        .map_err(Refused::broken)?
    {
        None => Err(Refused::new(404, format!("there is no callback {id}"))),
        Some(row) if row.state == "pending" => Err(Refused::new(
            409,
            format!("callback {id} is still being sent"),
        )),
        Some(_) => {
            app.services.notifier.replay(app.services.clock.busy(), id);
            app.services.clock.settle().await;
            Ok(json!({"replayed": id}))
        }
    }
}
