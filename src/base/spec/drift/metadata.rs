//! The gateway's own metadata of the API, as the cloud publishes it: `apis` by name with `parameters`, `responses` and `errorCodes`.

use std::cell::Cell;
use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::limits::{self, MAX_DEPTH};
use super::{DriftError, Facts, Newer, list, text};

/// Most parameters, fields and values of answers that the references of a description come to; the real one has about 20,000.
const MAX_PARTS: usize = 500_000;
/// The facts that it knows of actions, parameters and answers.
const KNOWS: &[&str] = &[
    "methods",
    "type",
    "required",
    "encoding",
    "enum",
    "min",
    "max",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "chars",
    "status",
];

type Made = Result<Value, &'static str>;

pub(super) fn read(metadata: &Value) -> Result<Newer, DriftError> {
    let product = metadata
        .get("info")
        .map_or("", |info| text(info, "product"));
    if !product.is_empty() && !product.eq_ignore_ascii_case("live") {
        return Err(DriftError::Product(product.to_owned()));
    }
    let reader = Reader {
        schemas: metadata
            .get("components")
            .and_then(|parts| parts.get("schemas")),
        parts: Cell::new(0),
    };
    let mut actions = BTreeMap::new();
    // Copies of it that go about have parameters alone.
    let (mut answers, mut errors) = (false, false);
    for (name, source) in metadata
        .get("apis")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let wrong = |why| DriftError::Action(name.clone(), why);
        answers |= source.get("responses").is_some();
        let made = reader.action(source).map_err(wrong)?;
        let mut facts = Facts::of_file(&made);
        for (status, codes) in source
            .get("errorCodes")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            for code in codes.as_array().into_iter().flatten() {
                errors = true;
                facts.error(text(code, "errorCode"), status.clone());
            }
        }
        actions.insert(name.clone(), facts);
    }
    Ok(Newer {
        actions,
        knows: Some(KNOWS),
        answers,
        errors,
    })
}

struct Reader<'a> {
    schemas: Option<&'a Value>,
    /// How many were read: a reference may lead to many that lead to many.
    parts: Cell<usize>,
}

impl<'a> Reader<'a> {
    /// The schema itself, or what a reference leads to.
    fn resolved(&self, schema: &'a Value) -> Result<&'a Value, &'static str> {
        self.parts.set(self.parts.get() + 1);
        if self.parts.get() > MAX_PARTS {
            return Err("its references lead to too many parts");
        }
        let Some(reference) = schema.get("$ref").and_then(Value::as_str) else {
            return Ok(schema);
        };
        let name = reference.rsplit('/').next().unwrap_or_default();
        let found = self.schemas.and_then(|schemas| schemas.get(name));
        found.ok_or("a `$ref` leads nowhere")
    }

    fn action(&self, source: &'a Value) -> Made {
        let mut methods: Vec<String> = list(source, "methods")
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_ascii_uppercase)
            .collect();
        methods.sort_unstable();
        let parameters: Result<Vec<Value>, _> = list(source, "parameters")
            .iter()
            .map(|param| self.parameter(param))
            .collect();
        let schema = source
            .get("responses")
            .and_then(|responses| responses.get("200"))
            .and_then(|answer| answer.get("schema"));
        let response = match schema {
            Some(schema) => self.answer(schema, 0)?,
            None => json!({}),
        };
        Ok(json!({"methods": methods, "request": parameters?, "response": response}))
    }

    fn parameter(&self, param: &'a Value) -> Made {
        let name = text(param, "name");
        if name.is_empty() {
            return Err("a parameter has no name");
        }
        let schema = param.get("schema").ok_or("a parameter has no `schema`")?;
        let encoding = match text(param, "style") {
            "repeatList" => Some("repeat"),
            "json" => Some("json"),
            "simple" => Some("comma"),
            "flat" => Some("dotted"),
            _ => None,
        };
        let mut out = self.shape(schema, encoding, true, 0)?;
        out.insert("name".to_owned(), json!(name));
        Ok(Value::Object(out))
    }

    fn shape(
        &self,
        schema: &'a Value,
        encoding: Option<&str>,
        flat: bool,
        depth: usize,
    ) -> Result<Map<String, Value>, &'static str> {
        if depth > MAX_DEPTH {
            return Err("it is nested too deep");
        }
        let schema = self.resolved(schema)?;
        let mut out = Map::new();
        out.insert("type".to_owned(), json!(kind(schema)));
        if let (true, Some(encoding)) = (flat, encoding) {
            out.insert("encoding".to_owned(), json!(encoding));
        }
        let inside = flat && matches!(encoding, None | Some("repeat" | "dotted"));
        if schema.get("required") == Some(&Value::Bool(true)) {
            out.insert("required".to_owned(), json!(true));
        }
        limits::copy(schema, &mut out);
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            let mut fields = Vec::with_capacity(properties.len());
            for (name, member) in properties {
                // A list inside of a list travels as its members do, and nothing is said of it.
                let is_list = text(self.resolved(member)?, "type") == "array";
                let encoding = (inside && is_list).then_some("repeat");
                let mut field = self.shape(member, encoding, inside, depth + 1)?;
                field.insert("name".to_owned(), json!(name));
                fields.push(Value::Object(field));
            }
            out.insert("fields".to_owned(), Value::Array(fields));
        }
        if let Some(items) = schema.get("items") {
            let mut item = self.shape(items, None, inside, depth + 1)?;
            // Only what has a name can be absent.
            item.remove("required");
            out.insert("item".to_owned(), Value::Object(item));
        }
        Ok(out)
    }

    fn answer(&self, schema: &'a Value, depth: usize) -> Made {
        if depth > MAX_DEPTH {
            return Err("its answer is nested too deep");
        }
        let schema = self.resolved(schema)?;
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            let mut out = Map::new();
            for (name, member) in properties {
                out.insert(name.clone(), self.answer(member, depth + 1)?);
            }
            return Ok(Value::Object(out));
        }
        if let Some(items) = schema.get("items") {
            return Ok(json!([self.answer(items, depth + 1)?]));
        }
        Ok(json!(kind(schema)))
    }
}

/// The type word of a schema.
fn kind(schema: &Value) -> &str {
    match (text(schema, "type"), text(schema, "format")) {
        ("integer", "") => "int64",
        ("integer", width) => width,
        ("number", _) => "float",
        ("boolean", _) => "bool",
        ("object", _) if schema.get("properties").is_none() => "map",
        (kind, _) => kind,
    }
}
