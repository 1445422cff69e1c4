//! Temporary keys: issued by any node, good at each of them.

use super::gateway::Gateway;
use crate::clock::UnixMs;
use crate::error::{ApiError, Code};
use crate::identity::{AccessKey, Found, ISSUED_LIMIT};
use crate::model::issued_key::IssuedKey;

/// What the ids of temporary keys begin with, and no others.
pub(super) const PREFIX: &str = "STS.";
/// Bytes of the longest id that we make.
const LONGEST_ID: usize = 64;

/// Makes a key known, here and at the other nodes.
pub(super) async fn issue(
    gateway: &Gateway,
    key: AccessKey,
    expires: UnixMs,
    now: UnixMs,
) -> Result<(), ApiError> {
    let store = &gateway.services().store;
    let issued = if store.member().is_some() {
        let shared = IssuedKey {
            id: key.id.clone(),
            secret: key.secret.clone(),
            token: key.token.clone().unwrap_or_default(),
            expires,
        };
        let is_kept = store.keep_issued_key(&shared, now, ISSUED_LIMIT).await?;
        if is_kept {
            remember(gateway, key, expires, now);
        }
        is_kept
    } else {
        gateway.keys.issue(key, expires, now)
    };
    if issued {
        Ok(())
    } else {
        Err(ApiError::coded(Code::ThrottlingUser))
    }
}

/// The key of an id that is not known here, where another node has issued it.
pub(super) async fn of_another_node(
    gateway: &Gateway,
    id: &str,
) -> Result<Option<Found>, ApiError> {
    let services = gateway.services();
    let is_ours = id.starts_with(PREFIX) && id.len() <= LONGEST_ID;
    if !is_ours || services.store.member().is_none() {
        return Ok(None);
    }
    let Some(shared) = services.store.find_issued_key(id).await? else {
        return Ok(None);
    };
    let expires = shared.expires;
    let key = AccessKey {
        id: shared.id,
        secret: shared.secret,
        token: Some(shared.token),
        disabled: false,
    };
    remember(gateway, key.clone(), expires, services.clock.now());
    Ok(Some(Found {
        key: key.into(),
        expires: Some(expires),
    }))
}

/// Keeps what the database has, so that it need not be asked again. Where there is no room it is asked each time.
fn remember(gateway: &Gateway, key: AccessKey, expires: UnixMs, now: UnixMs) {
    if !gateway.keys.issue(key, expires, now) {
        tracing::debug!("there is no room for a temporary key that the database has");
    }
}
