//! Who calls: picks the signature scheme, finds the key, checks time, nonce, token and signature, in the gateway's order.

use std::sync::Arc;

use subtle::ConstantTimeEq;

use super::caller::{Caller, Scheme};
use super::gateway::Gateway;
use super::temporary;
use crate::clock;
use crate::config::{AccessKey, Auth};
use crate::error::{ApiError, Code};
use crate::identity::{self, Found, KeyFault, TokenFault};
use crate::signature_v1;
use crate::signature_v3::{self, Authorization, Parts, is_acs3};
use crate::site;
use crate::wire::http_parts::HttpParts;
use crate::wire::params::{Pairs, parse_pairs};
use crate::wire_time;

/// A timestamp may be this far from the service clock or the machine's.
const WINDOW_MS: i64 = 15 * 60 * 1000;

/// The scheme that a request is signed by, whether the signature is good or not.
#[must_use]
pub fn recognised(parts: &HttpParts, pairs: &Pairs<'_>) -> Scheme {
    if bearer_token(parts, pairs).is_some() {
        Scheme::Bearer
    } else if is_acs3(parts) {
        Scheme::Acs3
    } else if pairs.get("Signature").is_some_and(|v| !v.is_empty()) {
        Scheme::V1
    } else {
        Scheme::Unsigned
    }
}

fn bearer_token<'a>(parts: &'a HttpParts, pairs: &'a Pairs<'_>) -> Option<&'a str> {
    parts
        .header("x-acs-bearer-token")
        .or_else(|| pairs.get("BearerToken"))
        .filter(|t| !t.is_empty())
}

/// Lets a caller in or says why not. `pairs` are the request's own: those of its query, and of its body where that is a form.
pub async fn check(
    gateway: &Gateway,
    parts: &HttpParts,
    pairs: &Pairs<'_>,
) -> Result<Caller, ApiError> {
    if site::is_foreign_page(parts) {
        return Err(refused_page("a page of another site"));
    }
    let caller = signed_by(gateway, parts, pairs).await?;
    // A page whose own name was made to lead here is no stranger to its browser, and what everybody may say proves nothing.
    let is_page = site::is_page(|name| parts.header(name));
    if caller.is_anybody() && is_page && !gateway.own_names.are_named_by(parts) {
        return Err(refused_page(
            "a page under a name that this machine does not have (setting --public-host)",
        ));
    }
    Ok(caller)
}

/// Whoever a browser is led to must not act through it: it speaks for every page that it shows.
fn refused_page(whose: &str) -> ApiError {
    ApiError::coded(Code::Forbidden)
        .with_status(403)
        .with_message(format!("The API takes no calls from {whose}."))
}

async fn signed_by(
    gateway: &Gateway,
    parts: &HttpParts,
    pairs: &Pairs<'_>,
) -> Result<Caller, ApiError> {
    if gateway.config().auth == Auth::Off {
        return Ok(Caller::Anyone);
    }
    if let Some(token) = bearer_token(parts, pairs) {
        return check_bearer(gateway, token);
    }
    match parts.header("authorization") {
        Some(header) if Authorization::is_acs3(header) => {
            check_v3(gateway, parts, pairs, header).await
        }
        _ => check_v1(gateway, parts, pairs).await,
    }
}

fn check_bearer(gateway: &Gateway, token: &str) -> Result<Caller, ApiError> {
    let known = gateway
        .config()
        .bearer_tokens
        .iter()
        .any(|t| t.as_bytes().ct_eq(token.as_bytes()).into());
    if known {
        return Ok(Caller::Bearer);
    }
    Err(ApiError::coded(Code::InvalidSecurityTokenMalformed)
        .with_hint("no bearer token of the setting --bearer-tokens"))
}

fn check_time(gateway: &Gateway, text: &str) -> Result<(), ApiError> {
    let at = wire_time::from_signature(text)
        .ok_or_else(|| ApiError::coded(Code::InvalidTimeStampFormat))?;
    let near = |now: i64| (now - at).abs() <= WINDOW_MS;
    if near(gateway.services().clock.now()) || near(clock::machine_now()) {
        return Ok(());
    }
    Err(ApiError::coded(Code::InvalidTimeStampExpired))
}

async fn find_key(gateway: &Gateway, id: &str) -> Result<Found, ApiError> {
    let known = match gateway.keys.known(id) {
        Err(KeyFault::Unknown) => {
            let issued = temporary::of_another_node(gateway, id).await?;
            issued.ok_or(KeyFault::Unknown)
        }
        known => known,
    };
    known.map_err(|fault| match fault {
        KeyFault::Disabled => ApiError::coded(Code::InvalidAccessKeyIdInactive),
        KeyFault::Unknown if identity::looks_real(id) => {
            tracing::warn!(
                "a key that looks like a real account's was sent here; if it is one, its secret may be leaking"
            );
            ApiError::coded(Code::InvalidAccessKeyIdNotFound).with_hint(
                "It looks like a real account's key: localyun is not the cloud, check your endpoint and credentials",
            )
        }
        KeyFault::Unknown => ApiError::coded(Code::InvalidAccessKeyIdNotFound),
    })
}

fn check_token(gateway: &Gateway, found: &Found, token: Option<&str>) -> Result<(), ApiError> {
    let checked = found.check_token(token, gateway.services().clock.now());
    checked.map_err(|fault| {
        ApiError::coded(match fault {
            TokenFault::Expired => Code::InvalidSecurityTokenExpired,
            TokenFault::Missing => Code::MissingSecurityToken,
            TokenFault::Wrong => Code::InvalidSecurityTokenMalformed,
            TokenFault::NotWanted => Code::InvalidSecurityTokenMismatchWithAccessKey,
        })
    })
}

async fn check_v1(
    gateway: &Gateway,
    parts: &HttpParts,
    pairs: &Pairs<'_>,
) -> Result<Caller, ApiError> {
    let needed = |name: &'static str| {
        pairs
            .get(name)
            .filter(|v| !v.is_empty())
            .ok_or_else(|| ApiError::missing(name))
    };
    let id = needed("AccessKeyId")?;
    let timestamp = needed("Timestamp")?;
    let nonce = pairs
        .get("SignatureNonce")
        .ok_or_else(|| ApiError::missing("SignatureNonce"))?;
    needed("Signature")?;
    check_time(gateway, timestamp)?;
    let found = find_key(gateway, id).await?;
    check_token(gateway, &found, pairs.get("SecurityToken"))?;
    signature_v1::verify(&parts.method, pairs, &found.key.secret)?;
    accept(gateway, found.key, nonce, Scheme::V1)
}

async fn check_v3(
    gateway: &Gateway,
    parts: &HttpParts,
    pairs: &Pairs<'_>,
    header: &str,
) -> Result<Caller, ApiError> {
    let authorization = Authorization::parse(header)?;
    let needed = |name: &'static str, shown: &'static str| {
        parts
            .header(name)
            .filter(|v| !v.is_empty())
            .ok_or_else(|| ApiError::missing(shown))
    };
    let id = authorization.credential;
    if id.is_empty() {
        return Err(ApiError::missing("AccessKeyId"));
    }
    let date = needed("x-acs-date", "Timestamp")?;
    let nonce = parts.header("x-acs-signature-nonce");
    check_time(gateway, date)?;
    let found = find_key(gateway, id).await?;
    check_token(gateway, &found, parts.header("x-acs-security-token"))?;
    // A form's pairs are signed by the hash of the body.
    let without_form = parts.is_form().then(|| parse_pairs(&parts.query, None));
    let query = without_form.transpose()?;
    let signed = Parts {
        method: &parts.method,
        path: &parts.path,
        query: query.as_ref().unwrap_or(pairs).as_slice(),
        headers: &parts.headers,
        body: &parts.body,
    };
    signature_v3::verify(&signed, &authorization, &found.key.secret)?;
    accept(
        gateway,
        found.key,
        nonce.unwrap_or(authorization.signature),
        Scheme::Acs3,
    )
}

/// Uses the nonce up for all nodes, where there are several.
pub async fn use_up(
    gateway: &Gateway,
    parts: &HttpParts,
    pairs: &Pairs<'_>,
    caller: &Caller,
) -> Result<(), ApiError> {
    let store = &gateway.services().store;
    let (Caller::Key { key, scheme }, Some(_)) = (caller, store.member()) else {
        return Ok(());
    };
    let nonce = match scheme {
        Scheme::V1 => pairs.get("SignatureNonce"),
        _ => parts.header("x-acs-signature-nonce").or_else(|| {
            let header = parts.header("authorization")?;
            Some(Authorization::parse(header).ok()?.signature)
        }),
    };
    let hash = super::nonce::shared_hash(&key.id, nonce.unwrap_or_default());
    if store.use_nonce(&hash, super::nonce::WINDOW).await? {
        return Ok(());
    }
    Err(ApiError::coded(Code::SignatureNonceUsed))
}

/// A nonce is used up only by a request whose signature is good, so that a failed try does not burn it. The product takes an empty one
/// for one that was used.
fn accept(
    gateway: &Gateway,
    key: Arc<AccessKey>,
    nonce: &str,
    scheme: Scheme,
) -> Result<Caller, ApiError> {
    let now = gateway.services().clock.now();
    if nonce.is_empty() || !gateway.nonces.use_once(&key.id, nonce, now) {
        return Err(ApiError::coded(Code::SignatureNonceUsed));
    }
    Ok(Caller::Key { key, scheme })
}
