//! The limits of a parameter, which both descriptions of the API name alike, and how deep both may be nested.

use serde_json::{Map, Value, json};

/// Deepest nesting of a parameter or an answer, references among it.
pub(super) const MAX_DEPTH: usize = 32;

/// Their words for limits, and ours.
const WORDS: [(&str, &str); 8] = [
    ("enum", "enum"),
    ("minimum", "min"),
    ("maximum", "max"),
    ("minLength", "minLength"),
    ("maxLength", "maxLength"),
    ("minItems", "minItems"),
    ("maxItems", "maxItems"),
    ("pattern", "chars"),
];

/// Puts the limits that a parameter has into ours.
pub(super) fn copy(source: &Value, to: &mut Map<String, Value>) {
    for (theirs, ours) in WORDS {
        if let Some(value) = source.get(theirs)
            && value.as_array().is_none_or(|list| !list.is_empty())
        {
            to.insert(ours.to_owned(), limit(ours, value));
        }
    }
}

/// A limit in our form: a number even where it is written as text, the class of a pattern of one class.
fn limit(name: &str, value: &Value) -> Value {
    match (name, value) {
        ("min" | "max", Value::String(text)) => text
            .parse::<f64>()
            .map_or_else(|_| value.clone(), Value::from),
        ("chars", Value::String(pattern)) => {
            let class = pattern
                .strip_prefix("^[")
                .and_then(|rest| rest.strip_suffix("]+$"));
            json!(class.unwrap_or(pattern))
        }
        ("enum", Value::Array(items)) => items
            .iter()
            .map(|item| match item {
                Value::String(_) => item.clone(),
                other => Value::String(other.to_string()),
            })
            .collect(),
        _ => value.clone(),
    }
}
