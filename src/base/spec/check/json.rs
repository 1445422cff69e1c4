//! Parameters that hold JSON text: the same rules, on values that are typed already.
//!
//! Numbers and booleans may be written as text (`"1"`), as samples of the product do; a `null` is an absent member.
//! Depth is bounded by the JSON reader, size by the longest value of a parameter.

use serde_json::{Map, Value};

use super::scalar;
use super::{MAX_TEXT_ITEMS, Problem, ProblemKind, absent, counted, fields, problem};
use crate::spec::model::{Kind, Param};

/// Reads one value against its description.
pub(super) fn read(
    param: &Param,
    value: &Value,
    path: &str,
    unknown: &mut Vec<String>,
) -> Result<Value, Problem> {
    let refused = |kind| problem(param, path, kind);
    match (param.kind, value) {
        (Kind::Array, Value::Array(items)) => {
            counted(param, items.len(), MAX_TEXT_ITEMS).map_err(refused)?;
            let Some(item) = param.item.as_deref() else {
                return Ok(value.clone());
            };
            items
                .iter()
                .enumerate()
                .map(|(at, value)| read(item, value, &format!("{path}.{}", at + 1), unknown))
                .collect()
        }
        (Kind::Object, Value::Object(members)) if param.fields.is_empty() => {
            Ok(Value::Object(members.clone()))
        }
        (Kind::Object, Value::Object(members)) => object(param, members, path, unknown),
        (Kind::Map, Value::Object(_)) => Ok(value.clone()),
        (Kind::Array | Kind::Object | Kind::Map, _) => Err(refused(ProblemKind::Type(param.kind))),
        (_, Value::String(text)) => scalar::read(param, text).map_err(refused),
        (_, Value::Number(_) | Value::Bool(_)) => {
            scalar::read(param, &value.to_string()).map_err(refused)
        }
        (kind, _) => Err(refused(ProblemKind::Type(kind))),
    }
}

fn object(
    param: &Param,
    members: &Map<String, Value>,
    path: &str,
    unknown: &mut Vec<String>,
) -> Result<Value, Problem> {
    let names = members.keys().map(String::as_str);
    fields(param, path, names, unknown, |field, path, unknown| {
        let given = members.get(&field.name).filter(|value| !value.is_null());
        match given {
            Some(given) => read(field, given, path, unknown).map(Some),
            None => absent(field, path),
        }
    })
}
