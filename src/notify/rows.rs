//! The callback rows of events: which receiver a domain's settings name, and by which key it is signed.

use super::sign;
use crate::model::event::Kind;
use crate::model::notify::{RecordNotify, StreamNotify, with_query};
use crate::model::stream_key::StreamKey;
use crate::services::Services;
use crate::store::StoreError;
use crate::store::callbacks::NewCallback;
use crate::store::documents;

/// The callback for a recording event of a stream; `None` where its domain wants none. `dedupe` names the event: the same one is never
/// stored twice. `body` is the JSON that is sent.
///
/// # Errors
/// The domain's settings cannot be read.
pub async fn recording(
    services: &Services,
    key: &StreamKey,
    kind: Kind,
    dedupe: String,
    body: String,
) -> Result<Option<NewCallback>, StoreError> {
    let config: Option<RecordNotify> = services
        .store
        .find_document(documents::Kind::RecordNotify, &key.domain)
        .await?;
    let Some(config) = config else {
        return Ok(None);
    };
    let Some(url) = config.notify_url.filter(|url| !url.is_empty()) else {
        return Ok(None);
    };
    if kind != Kind::FileCreated && !config.need_status_notify {
        return Ok(None);
    }
    let signed = config.notify_req_auth && !config.notify_auth_key.is_empty();
    Ok(Some(NewCallback {
        dedupe,
        key: key.clone(),
        owner: key.hash(),
        kind,
        method: "POST",
        sign_host: if signed {
            sign::host_of(&url)
        } else {
            String::new()
        },
        sign_key: if signed {
            config.notify_auth_key
        } else {
            String::new()
        },
        url,
        body,
    }))
}

/// The callback for the beginning or end of a push; `None` where the ingest domain wants none. `query` is what the URL gets.
///
/// # Errors
/// The domain's settings cannot be read.
pub async fn ingest(
    services: &Services,
    ingest_domain: &str,
    key: &StreamKey,
    kind: Kind,
    dedupe: String,
    query: &str,
) -> Result<Option<NewCallback>, StoreError> {
    let config: Option<StreamNotify> = services
        .store
        .find_document(documents::Kind::StreamNotify, ingest_domain)
        .await?;
    let Some(config) = config else {
        return Ok(None);
    };
    let Some(url) = config.notify_url.filter(|url| !url.is_empty()) else {
        return Ok(None);
    };
    let signed = config.notify_req_auth && !config.notify_auth_key.is_empty();
    Ok(Some(NewCallback {
        dedupe,
        key: StreamKey::new(ingest_domain, &key.app, &key.stream),
        owner: key.hash(),
        kind,
        method: "GET",
        sign_host: if signed {
            ingest_domain.to_owned()
        } else {
            String::new()
        },
        sign_key: if signed {
            config.notify_auth_key
        } else {
            String::new()
        },
        url: with_query(&url, query),
        body: String::new(),
    }))
}
