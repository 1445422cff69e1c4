//! Calls of the API in the account's name: whoever may use the control plane need not sign. They go through the same steps as any other
//! request, and stand in the journal.

use serde_json::{Map, Value, json};

use super::ask::{Ask, Outcome, Refused, answer};
use crate::actions;
use crate::clock::machine_now;
use crate::ids;
use crate::phrases::{Phrase, Said};
use crate::rpc;
use crate::signature_v1;
use crate::spec::coverage::Coverage;
use crate::spec::model::{Kind, Param};
use crate::wire::http_parts::HttpParts;
use crate::wire_time;

const VERSION: &str = "2016-11-01";
/// Parameters of one call.
const MOST_PARAMS: usize = 500;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    action: String,
    #[serde(default)]
    params: Map<String, Value>,
}

/// A parameter's text as it travels.
fn text(name: &str, value: Value) -> Result<String, Refused> {
    match value {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(truth) => Ok(truth.to_string()),
        // As parameters that travel as JSON text are written.
        list @ (Value::Array(_) | Value::Object(_)) => Ok(list.to_string()),
        Value::Null => Err(Refused::bad(
            Phrase::ParameterHasNoValue.with([("name", &name)]),
        )),
    }
}

/// Makes a call and tells its answer.
pub(super) async fn make(ask: Ask) -> Outcome {
    let Wanted { action, params } = ask.fields()?;
    if params.len() > MOST_PARAMS {
        return Err(Refused::bad(
            Phrase::TooManyParameters.with([("most", &MOST_PARAMS)]),
        ));
    }
    let key = ask.app.config.access_keys.iter().find(|key| !key.disabled);
    let key = key.ok_or_else(|| Refused::broken("every access key is disabled"))?;
    let mut pairs = vec![
        ("Action".to_owned(), action.clone()),
        ("Version".to_owned(), VERSION.to_owned()),
        ("Format".to_owned(), "JSON".to_owned()),
        ("AccessKeyId".to_owned(), key.id.clone()),
        ("SignatureMethod".to_owned(), "HMAC-SHA1".to_owned()),
        ("SignatureVersion".to_owned(), "1.0".to_owned()),
        ("SignatureNonce".to_owned(), ids::nonce()),
        ("Timestamp".to_owned(), wire_time::to_api(machine_now())),
    ];
    let token = key.token.clone();
    pairs.extend(token.map(|token| ("SecurityToken".to_owned(), token)));
    for (name, value) in params {
        if pairs.iter().any(|(own, _)| *own == name) || name == "Signature" {
            return Err(Refused::bad(
                Phrase::ParameterIsOurs.with([("name", &name)]),
            ));
        }
        let value = text(&name, value)?;
        pairs.push((name, value));
    }
    let string_to_sign = signature_v1::string_to_sign("POST", &pairs);
    let signature =
        signature_v1::sign(signature_v1::Method::HmacSha1, &key.secret, &string_to_sign);
    pairs.push(("Signature".to_owned(), signature));
    let body = serde_urlencoded::to_string(&pairs).map_err(Refused::broken)?;
    let host = ask.parts.header("host").unwrap_or_default().to_owned();
    let parts = HttpParts {
        method: "POST".to_owned(),
        path: "/".to_owned(),
        headers: vec![
            ("host".to_owned(), host),
            (
                "content-type".to_owned(),
                "application/x-www-form-urlencoded".to_owned(),
            ),
        ],
        body: body.into(),
        local: ask.parts.local,
        ..HttpParts::default()
    };
    let reply = rpc::answer(&ask.app.gateway, &parts).await;
    let answered: Value = serde_json::from_slice(&reply.body).unwrap_or(Value::Null);
    let notes: Map<String, Value> = reply
        .headers
        .iter()
        .filter(|(name, _)| name.starts_with("x-localyun-"))
        .map(|(name, value)| ((*name).to_owned(), value.as_ref().into()))
        .collect();
    answer(&json!({
        "action": action,
        "status": reply.status,
        "request_id": answered.get("RequestId"),
        "answer": answered,
        "headers": notes,
    }))
}

/// There is no action of a name, and perhaps one of a name like it.
pub(super) fn no_such_action(name: &str, near: Option<&str>) -> Said {
    match near {
        Some(near) => Phrase::NoSuchActionButNear.with([("action", &name), ("near", &near)]),
        None => Phrase::NoSuchAction.with([("action", &name)]),
    }
}

fn param(param: &Param) -> Value {
    let members = match (&param.item, param.kind) {
        (Some(item), Kind::Array) if item.fields.is_empty() => {
            vec![json!({"name": "", "type": item.kind.as_str()})]
        }
        (Some(item), Kind::Array) => item.fields.iter().map(self::param).collect(),
        _ => param.fields.iter().map(self::param).collect(),
    };
    json!({
        "name": param.name,
        "type": param.kind.as_str(),
        "required": param.required,
        "default": param.default,
        "values": param.allowed,
        "members": members,
        "min": param.min,
        "max": param.max,
    })
}

/// What the spec says of one action.
pub(super) async fn action(ask: Ask) -> Outcome {
    let name = ask.part(0);
    let Some(spec) = ask.app.gateway.spec.action(name) else {
        let near = ask.app.gateway.spec.closest(name);
        return Err(Refused::new(404, no_such_action(name, near)));
    };
    let implemented: Vec<&str> = actions::all().map(|def| def.name).collect();
    let coverage = Coverage::of(
        ask.app.gateway.spec,
        &implemented,
        &actions::declined::all(ask.app.gateway.spec),
    );
    let coverage = coverage.map_err(Refused::broken)?.to_json();
    let rows = coverage.get("actions").and_then(Value::as_array);
    let row = rows.and_then(|rows| {
        rows.iter()
            .find(|row| row.get("action").and_then(Value::as_str) == Some(name))
    });
    answer(&json!({
        "action": spec.action,
        "family": spec.family,
        "access": spec.access.as_str(),
        "standing": row.and_then(|row| row.get("standing")),
        "reason": row.and_then(|row| row.get("reason")),
        "words": row.and_then(|row| row.get("words")),
        "params": spec.request.iter().filter(|one| !one.internal).map(param).collect::<Vec<_>>(),
        "errors": spec.errors.iter().map(|error| json!({"code": error.code, "status": error.status})).collect::<Vec<_>>(),
    }))
}
