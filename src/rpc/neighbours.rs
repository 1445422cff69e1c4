//! The few calls of neighbouring products that SDKs make on their own before they get to Live: the location service's
//! DescribeEndpoints, and STS for credential chains.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::auth;
use super::caller::Caller;
use super::gateway::Gateway;
use super::temporary;
use crate::config::AccessKey;
use crate::error::{ApiError, Code};
use crate::ids;
use crate::wire::http_parts::HttpParts;
use crate::wire::params::Pairs;
use crate::wire_time;

const LOCATION: &str = "2015-06-12";
const STS: &str = "2015-04-01";
/// The account that everybody here belongs to.
const ACCOUNT: &str = "1000000000000001";

/// A neighbour's action.
enum Neighbour {
    Endpoints,
    Role,
    Identity,
}

/// Answers a neighbour's action and tells who called; `None` when it is none.
pub async fn answer(
    gateway: &Gateway,
    parts: &HttpParts,
    pairs: &Pairs<'_>,
    action: &str,
    version: &str,
    caller: &mut Option<Caller>,
) -> Option<Result<Value, ApiError>> {
    let call = match (version, action) {
        (LOCATION, "DescribeEndpoints") => Neighbour::Endpoints,
        (STS, "AssumeRole") => Neighbour::Role,
        (STS, "GetCallerIdentity") => Neighbour::Identity,
        _ => return None,
    };
    Some(run(gateway, parts, pairs, call, caller).await)
}

async fn run(
    gateway: &Gateway,
    parts: &HttpParts,
    pairs: &Pairs<'_>,
    call: Neighbour,
    caller: &mut Option<Caller>,
) -> Result<Value, ApiError> {
    let known = auth::check(gateway, parts, pairs).await?;
    let known = caller.insert(known);
    auth::use_up(gateway, parts, pairs, known).await?;
    match call {
        Neighbour::Endpoints => describe_endpoints(gateway, parts, pairs),
        Neighbour::Role => assume_role(gateway, pairs).await,
        Neighbour::Identity => Ok(caller_identity(known.id().unwrap_or_default())),
    }
}

fn describe_endpoints(
    gateway: &Gateway,
    parts: &HttpParts,
    pairs: &Pairs<'_>,
) -> Result<Value, ApiError> {
    let region = pairs.get("Id").unwrap_or("cn-shanghai");
    let product = pairs.get("ServiceCode").unwrap_or_default();
    if product != "live" && product != "sts" {
        return Err(ApiError::coded(Code::Other("Illegal Parameter".into()))
            .with_message("Please check the parameters")
            .with_status(400));
    }
    let endpoint = gateway.addresses.endpoint_for(parts);
    let endpoint = endpoint
        .split_once("://")
        .map_or(endpoint.as_str(), |(_, host)| host);
    Ok(json!({
        "Endpoints": {"Endpoint": [{
            "Protocols": {"Protocols": ["HTTP", "HTTPS"]},
            "Type": "openAPI",
            "Namespace": "26842",
            "Id": region,
            "SerivceCode": product,
            "Endpoint": endpoint,
        }]},
        "Success": true,
    }))
}

/// Whether a session name may stand in an ARN.
fn session_name<'a>(pairs: &'a Pairs<'_>) -> Result<&'a str, ApiError> {
    let name = pairs
        .get("RoleSessionName")
        .filter(|v| !v.is_empty())
        .ok_or_else(|| ApiError::missing("RoleSessionName"))?;
    let fits = (2..=64).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b".@-_".contains(&b));
    if fits {
        Ok(name)
    } else {
        Err(ApiError::invalid("RoleSessionName"))
    }
}

async fn assume_role(gateway: &Gateway, pairs: &Pairs<'_>) -> Result<Value, ApiError> {
    let role = pairs
        .get("RoleArn")
        .filter(|v| !v.is_empty())
        .ok_or_else(|| ApiError::missing("RoleArn"))?;
    let Some(role_name) = role
        .strip_prefix("acs:ram::")
        .and_then(|rest| rest.split_once(":role/"))
        .map(|(_, name)| name)
    else {
        return Err(ApiError::invalid("RoleArn"));
    };
    let session = session_name(pairs)?;
    let seconds: i64 = match pairs.get("DurationSeconds").filter(|v| !v.is_empty()) {
        None => 3_600,
        Some(text) => text
            .parse()
            .ok()
            .filter(|s| (900..=43_200).contains(s))
            .ok_or_else(|| ApiError::invalid("DurationSeconds"))?,
    };
    let id = format!("{}{}", temporary::PREFIX, ids::nonce());
    let secret = hex::encode(Sha256::digest(ids::nonce() + &ids::nonce()));
    let token = format!("{}{}", ids::nonce(), ids::nonce());
    let now = gateway.services().clock.now();
    let expires = now + seconds * 1_000;
    let key = AccessKey {
        id: id.clone(),
        secret: secret.clone(),
        token: Some(token.clone()),
        disabled: false,
    };
    temporary::issue(gateway, key, expires, now).await?;
    Ok(json!({
        "AssumedRoleUser": {
            "Arn": format!("acs:ram::{ACCOUNT}:role/{role_name}/{session}"),
            "AssumedRoleId": format!("{ACCOUNT}:{session}"),
        },
        "Credentials": {
            "AccessKeyId": id,
            "AccessKeySecret": secret,
            "SecurityToken": token,
            "Expiration": wire_time::to_api(expires),
        },
    }))
}

fn caller_identity(caller: &str) -> Value {
    let (kind, arn) = if caller.starts_with(temporary::PREFIX) {
        (
            "AssumedRoleUser",
            format!("acs:ram::{ACCOUNT}:assumed-role/localyun/session"),
        )
    } else {
        ("Account", format!("acs:ram::{ACCOUNT}:root"))
    };
    json!({
        "AccountId": ACCOUNT,
        "UserId": ACCOUNT,
        "PrincipalId": ACCOUNT,
        "IdentityType": kind,
        "Arn": arn,
    })
}
