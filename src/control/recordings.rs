//! Recording sessions with their files, and callbacks with their attempts.

use serde_json::{Value, json};

use super::ask::{Ask, Outcome, Refused, answer};
use super::listing::Listing;
use super::signed;
use crate::app::App;
use crate::clock::UnixMs;
use crate::media::hls::encode_uri_path;
use crate::model::event::{Delivery, seconds};
use crate::phrases::Phrase;
use crate::secrets;
use crate::site::addresses::Seen;
use crate::store::callbacks::Attempt;
use crate::store::lists::Listed;
use crate::store::records::FileRow;
use crate::wire_time;

fn listed(listing: &Listing) -> Listed {
    Listed {
        domain: listing.domain.clone(),
        app: listing.app.clone(),
        stream: listing.stream.clone(),
        since: listing.since,
    }
}

/// The place behind a session, as `next` has it and `cursor` brings it back.
fn session_place(cursor: &str) -> Option<(UnixMs, String)> {
    let (started_at, id) = cursor.split_once('.')?;
    Some((started_at.parse().ok()?, id.to_owned()))
}

pub(super) async fn list(ask: Ask) -> Outcome {
    let listing = Listing::of(&ask)?;
    let after = listing.place(session_place)?;
    let store = &ask.app.services.store;
    // One more than is shown tells whether there are more.
    let (mut sessions, total) = store
        .session_list(
            &listed(&listing),
            ask.query("session"),
            after,
            listing.limit as u64 + 1,
        )
        .await
        .map_err(Refused::broken)?;
    let more = sessions.len() > listing.limit;
    sessions.truncate(listing.limit);
    let ids: Vec<String> = sessions.iter().map(|session| session.id.clone()).collect();
    let slices = store.slice_counts(&ids).await.map_err(Refused::broken)?;
    let mut files = store
        .files_of_sessions(&ids)
        .await
        .map_err(Refused::broken)?;
    let next = sessions
        .last()
        .filter(|_| more)
        .map(|last| format!("{}.{}", last.started_at, last.id));
    let seen = ask.seen();
    let mut shown = Vec::with_capacity(sessions.len());
    for session in sessions {
        let mut of_session = Vec::new();
        for file in files.remove(&session.id).unwrap_or_default() {
            of_session.push(shown_file(&ask.app, &seen, &file).await);
        }
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
                "files": of_session,
        }));
    }
    answer(&json!({"recordings": shown, "total": total, "next": next}))
}

async fn shown_file(app: &App, seen: &Seen<'_>, file: &FileRow) -> Value {
    let path = encode_uri_path(&file.object);
    json!({
        "id": file.id,
        "format": file.format,
        "bucket": file.bucket,
        "object": file.object,
        "url": app.object_url(seen, &file.bucket, &path),
        "signed_url": signed::address(app, seen, &file.bucket, &file.object).await,
        "public_url": app.services.public_urls.of(&file.bucket, &file.endpoint, &path),
        "duration": seconds(file.duration_ms),
        "size": file.size,
        "start_time": wire_time::to_api(file.started_at),
        "stop_time": wire_time::to_api(file.ended_at),
    })
}

pub(super) async fn callbacks(ask: Ask) -> Outcome {
    let listing = Listing::of(&ask)?;
    let before = listing.place(|cursor| cursor.parse().ok())?;
    let state = match ask.query("state") {
        None => None,
        Some(word) => {
            Some(Delivery::parse(word).ok_or_else(|| Refused::bad(Phrase::BadCallbackState))?)
        }
    };
    let (mut rows, total) = ask
        .app
        .services
        .store
        .callback_list(&listed(&listing), state, before, listing.limit as u64 + 1)
        .await
        .map_err(Refused::broken)?;
    let more = rows.len() > listing.limit;
    rows.truncate(listing.limit);
    let next = rows.last().filter(|_| more).map(|last| last.id.to_string());
    let shown: Vec<Value> = rows
        .into_iter()
        .map(|row| {
            let attempts: Vec<Attempt> = serde_json::from_str(&row.attempts).unwrap_or_default();
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
                "attempts": attempts.iter().map(shown_attempt).collect::<Vec<_>>(),
                "created_at": wire_time::to_api(row.created_at),
                "next_try": (row.state == Delivery::Pending).then(|| wire_time::to_api(row.next_at)),
            })
        })
        .collect();
    answer(
        &json!({"callbacks": shown, "total": total, "next": next, "paused": ask.app.services.notifier.is_paused()}),
    )
}

fn shown_attempt(attempt: &Attempt) -> Value {
    let headers = attempt
        .headers
        .lines()
        .filter_map(|line| line.split_once(": "));
    let headers: serde_json::Map<String, Value> = headers
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    json!({
        "at": wire_time::to_api(attempt.at),
        "at_ms": attempt.at,
        "status": attempt.status,
        "error": attempt.error,
        "response": attempt.response,
        "headers": headers,
    })
}
