//! The survey of the API that `api-spec/import.py` imports, made into what that program makes of it.
//!
//! The rules are those of `import.py`: a change there is a change here, and the whole survey that was imported last shows no drift.

use serde_json::{Map, Value, json};

use super::limits::{self, MAX_DEPTH};
use super::{DriftError, Facts, Newer, list, text};

/// The parameters whose documented default is filled in, in reading actions.
const PAGING: [&str; 5] = ["PageNum", "PageNumber", "PageNo", "PageSize", "Order"];

type Made = Result<Value, &'static str>;

pub(super) fn read(survey: &Value) -> Result<Newer, DriftError> {
    let product = text(survey, "product");
    if !product.is_empty() && product != "live" {
        return Err(DriftError::Product(product.to_owned()));
    }
    let mut actions = std::collections::BTreeMap::new();
    for source in list(survey, "actions") {
        let name = text(source, "name");
        if name.is_empty() {
            return Err(DriftError::Action("an action".to_owned(), "it has no name"));
        }
        let made = action(source).map_err(|why| DriftError::Action(name.to_owned(), why))?;
        actions.insert(name.to_owned(), Facts::of_file(&made));
    }
    Ok(Newer {
        actions,
        knows: None,
        answers: true,
        errors: true,
    })
}

fn action(source: &Value) -> Made {
    let access = source
        .get("rw")
        .and_then(Value::as_str)
        .ok_or("it has no `rw`")?;
    let mut methods: Vec<String> = list(source, "meta_http_methods")
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_ascii_uppercase)
        .collect();
    if methods.is_empty() {
        methods = vec!["GET".to_owned(), "POST".to_owned()];
    }
    methods.sort_unstable();
    methods.dedup();
    let mut out = json!({"access": access, "methods": methods});
    let request: Result<Vec<Value>, _> = source
        .get("request")
        .and_then(Value::as_array)
        .ok_or("it has no list `request`")?
        .iter()
        .map(|param| parameter(param, access == "read", true, 0))
        .collect();
    let mut response = Map::new();
    let fields = source.get("response").and_then(Value::as_object);
    for (name, node) in fields.ok_or("it has no object `response`")? {
        response.insert(name.clone(), answer(node, 0)?);
    }
    let errors = list(source, "errors").iter().map(|error| {
        let status = match error.get("http") {
            Some(Value::String(text)) => text.parse::<u64>().unwrap_or_default(),
            Some(number) => number.as_u64().unwrap_or_default(),
            None => 0,
        };
        json!({"code": text(error, "code"), "status": status})
    });
    if let Some(members) = out.as_object_mut() {
        let rate = text(source, "qps_limit");
        if !rate.is_empty() {
            members.insert("rate".to_owned(), json!(rate));
        }
        members.insert("errors".to_owned(), errors.collect());
        members.insert("request".to_owned(), Value::Array(request?));
        members.insert("response".to_owned(), Value::Object(response));
    }
    Ok(out)
}

/// The type word of a leaf.
fn scalar(node: &Value) -> Result<&str, &'static str> {
    let kind = text(node, "type");
    Ok(match kind {
        "" => return Err("something has no `type`"),
        "integer" => {
            let width = [text(node, "format_int"), text(node, "format"), "int64"];
            width
                .into_iter()
                .find(|width| !width.is_empty())
                .unwrap_or_default()
        }
        "number" => "float",
        "boolean" => "bool",
        other => other,
    })
}

/// Type, encoding and members; below JSON text nothing travels as flat pairs any more.
fn shape(
    param: &Value,
    read: bool,
    flat: bool,
    depth: usize,
) -> Result<Map<String, Value>, &'static str> {
    if depth > MAX_DEPTH {
        return Err("it is nested too deep");
    }
    let mut out = Map::new();
    out.insert("type".to_owned(), json!(scalar(param)?));
    let encoding = match text(param, "encoding") {
        "repeat-list" => Some("repeat"),
        "json-string" => Some("json"),
        "comma-separated" => Some("comma"),
        "dotted" => Some("dotted"),
        _ => None,
    };
    if let (true, Some(encoding)) = (flat, encoding) {
        out.insert("encoding".to_owned(), json!(encoding));
    }
    let inside = flat && matches!(encoding, None | Some("repeat" | "dotted"));
    if param.get("fields").is_some() {
        let fields: Result<Vec<Value>, _> = list(param, "fields")
            .iter()
            .map(|field| parameter(field, read, inside, depth + 1))
            .collect();
        out.insert("fields".to_owned(), Value::Array(fields?));
    }
    if let Some(item) = param.get("item") {
        out.insert(
            "item".to_owned(),
            Value::Object(shape(item, read, inside, depth + 1)?),
        );
    }
    Ok(out)
}

fn parameter(param: &Value, read: bool, flat: bool, depth: usize) -> Made {
    let mut out = shape(param, read, flat, depth)?;
    let name = text(param, "name");
    if name.is_empty() {
        return Err("a parameter has no name");
    }
    out.insert("name".to_owned(), json!(name));
    if param.get("required") == Some(&Value::Bool(true)) {
        out.insert("required".to_owned(), json!(true));
    }
    if let Some(default) = paging_default(param, name, read) {
        out.insert("default".to_owned(), default);
    }
    if let Some(source) = param.get("constraints") {
        limits::copy(source, &mut out);
    }
    if let Some(facts) = param.get("documented").and_then(documented) {
        out.insert("documented".to_owned(), facts);
    }
    if text(param, "in") == "body" {
        out.insert("in".to_owned(), json!("body"));
    }
    if param.get("internal") == Some(&Value::Bool(true)) {
        out.insert("internal".to_owned(), json!(true));
    }
    Ok(Value::Object(out))
}

fn documented(source: &Value) -> Option<Value> {
    let mut out = Map::new();
    for (theirs, ours) in [
        ("doc_values", "values"),
        ("doc_default", "default"),
        ("doc_range", "range"),
        ("doc_max", "max"),
        ("doc_limit", "limit"),
        ("multi", "multi"),
    ] {
        if let Some(value) = source.get(theirs)
            && !value.to_string().contains("<props")
        {
            out.insert(ours.to_owned(), value.clone());
        }
    }
    if text(source, "format").starts_with("date-time") {
        out.insert("format".to_owned(), json!("date-time"));
    }
    (!out.is_empty()).then_some(Value::Object(out))
}

fn paging_default(param: &Value, name: &str, read: bool) -> Option<Value> {
    let default = param.get("documented")?.get("doc_default")?.as_str()?;
    if !read || !PAGING.contains(&name) {
        return None;
    }
    if text(param, "type") == "integer" {
        let digits = !default.is_empty() && default.bytes().all(|b| b.is_ascii_digit());
        return digits.then(|| default.parse::<i64>().ok().map(Value::from))?;
    }
    let allowed = param
        .get("constraints")
        .map_or(&[][..], |limits| list(limits, "enum"));
    let is_allowed = allowed.iter().any(|value| value == default);
    is_allowed.then(|| json!(default))
}

fn answer(node: &Value, depth: usize) -> Made {
    if depth > MAX_DEPTH {
        return Err("its answer is nested too deep");
    }
    match text(node, "type") {
        "object" => {
            let mut out = Map::new();
            let fields = node.get("fields").and_then(Value::as_object);
            for (name, child) in fields.ok_or("an object of its answer has no `fields`")? {
                out.insert(name.clone(), answer(child, depth + 1)?);
            }
            Ok(Value::Object(out))
        }
        "array" => {
            let item = node
                .get("item")
                .ok_or("a list of its answer has no `item`")?;
            Ok(json!([answer(item, depth + 1)?]))
        }
        _ => Ok(json!(scalar(node)?)),
    }
}
