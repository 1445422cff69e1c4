//! The spec as an OpenAPI 3.0 document, for tools that read one.
//!
//! What: one operation for each action under the path `/?Action=Name` (the API has a single path and tells actions apart by
//! that parameter), its parameters flattened to what travels on the wire, its answer as a schema. Lists are shown by
//! their first [`SHOWN_ITEMS`] items, because OpenAPI has no words for `Name.1.Member`.
//!
//! Deliberately absent: signatures. The document describes a service that runs with its checks of callers switched off.

use serde_json::{Map, Value, json};

use super::Spec;
use super::model::{Access, ActionSpec, Encoding, Fields, Format, Kind, Param, Shape};

/// How many items of a numbered list become parameters.
const SHOWN_ITEMS: usize = 2;

/// The whole document; made on request, as it reads every action.
#[must_use]
pub fn document(spec: &Spec) -> Value {
    let paths: Map<String, Value> = spec
        .actions()
        .map(|action| {
            let mut methods = Map::new();
            methods.insert(method(action).to_owned(), operation(action));
            (
                format!("/?Action={}", action.action),
                Value::Object(methods),
            )
        })
        .collect();
    json!({
        "openapi": "3.0.3",
        "info": {"title": "ApsaraVideo Live", "version": "2016-11-01"},
        "paths": paths,
        "components": {"schemas": {"Error": {
            "type": "object",
            "required": ["RequestId", "Code", "Message"],
            "properties": {
                "RequestId": {"type": "string"}, "HostId": {"type": "string"}, "Code": {"type": "string"},
                "Message": {"type": "string"}, "Recommend": {"type": "string"},
            },
        }}},
    })
}

fn method(action: &ActionSpec) -> &'static str {
    let allowed = |name: &str| action.methods.iter().any(|method| method == name);
    match action.access {
        Access::Read if allowed("GET") => "get",
        _ if allowed("POST") => "post",
        _ => "get",
    }
}

fn operation(action: &ActionSpec) -> Value {
    let mut parameters = vec![
        json!({"name": "Version", "in": "query", "required": true, "schema": {"type": "string", "enum": ["2016-11-01"]}}),
        json!({"name": "Format", "in": "query", "required": true, "schema": {"type": "string", "enum": ["JSON"]}}),
    ];
    for param in action.request.iter().filter(|param| !param.internal) {
        flatten(
            param,
            &param.name,
            param.required && param.default.is_none(),
            &mut parameters,
        );
    }
    let mut answer = object_schema(&action.response);
    if let Some(members) = answer.as_object_mut() {
        members.insert("required".to_owned(), json!(["RequestId"]));
    }
    if let Some(properties) = answer
        .pointer_mut("/properties")
        .and_then(Value::as_object_mut)
    {
        properties
            .entry("RequestId")
            .or_insert_with(|| json!({"type": "string"}));
    }
    let mut operation = json!({
        "operationId": action.action,
        "tags": [action.family],
        "parameters": parameters,
        "responses": {
            "200": {"description": "done", "content": {"application/json": {"schema": answer}}},
            "default": {"description": "refused", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}},
        },
    });
    if let (Some(rate), Some(members)) = (&action.rate, operation.as_object_mut()) {
        members.insert("x-rate".to_owned(), Value::from(rate.as_str()));
    }
    operation
}

fn flatten(param: &Param, path: &str, required: bool, out: &mut Vec<Value>) {
    match (param.kind, param.encoding, param.item.as_deref()) {
        (Kind::Array, Some(Encoding::Repeat), Some(item)) => {
            let shown = param.max_items.unwrap_or(SHOWN_ITEMS).min(SHOWN_ITEMS);
            for index in 1..=shown {
                flatten(
                    item,
                    &format!("{path}.{index}"),
                    required && index == 1,
                    out,
                );
            }
        }
        (Kind::Object, Some(Encoding::Dotted) | None, _) => {
            for field in &param.fields {
                flatten(
                    field,
                    &format!("{path}.{}", field.name),
                    required && field.required,
                    out,
                );
            }
        }
        _ => {
            let mut schema = param_schema(param);
            // An empty text counts as absent where the parameter is mandatory.
            if let (true, Kind::String, Some(members)) =
                (required, param.kind, schema.as_object_mut())
            {
                members.entry("minLength").or_insert_with(|| json!(1));
            }
            out.push(json!({"name": path, "in": "query", "required": required, "schema": schema}));
        }
    }
}

/// A list or an object that travels as one text is a string to a client.
fn param_schema(param: &Param) -> Value {
    let mut schema = leaf_schema(param.kind);
    let Some(members) = schema.as_object_mut() else {
        return schema;
    };
    if matches!(param.kind, Kind::Array | Kind::Object | Kind::Map) {
        return json!({"type": "string"});
    }
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            members.insert(key.to_owned(), value);
        }
    };
    let typed = |text: &String| match param.kind {
        Kind::Int32 | Kind::Int64 => text
            .parse::<i64>()
            .map_or_else(|_| Value::from(text.as_str()), Value::from),
        _ => Value::from(text.as_str()),
    };
    put(
        "enum",
        (!param.allowed.is_empty()).then(|| param.allowed.iter().map(typed).collect()),
    );
    put("default", param.default.clone());
    let whole = matches!(param.kind, Kind::Int32 | Kind::Int64);
    put("minimum", param.min.map(|min| number(min, whole)));
    put("maximum", param.max.map(|max| number(max, whole)));
    put("minLength", param.min_length.map(Value::from));
    put(
        "maxLength",
        param.max_length.or(param.max_bytes).map(Value::from),
    );
    put(
        "pattern",
        param
            .chars
            .as_ref()
            .map(|class| Value::from(format!("^[{class}]+$"))),
    );
    if param.format == Some(Format::DateTime) {
        put(
            "pattern",
            Some(Value::from(r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$")),
        );
        put("format", Some(Value::from("date-time")));
    }
    schema
}

/// Limits of integers are small whole numbers in the spec; a cast is exact.
fn number(value: f64, whole: bool) -> Value {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "limits of the spec are far below 2^53"
    )]
    if whole {
        Value::from(value as i64)
    } else {
        Value::from(value)
    }
}

fn leaf_schema(kind: Kind) -> Value {
    match kind {
        Kind::String => json!({"type": "string"}),
        Kind::Int32 => json!({"type": "integer", "format": "int32"}),
        Kind::Int64 => json!({"type": "integer", "format": "int64"}),
        Kind::Float => json!({"type": "number"}),
        Kind::Bool => json!({"type": "boolean"}),
        Kind::Array => json!({"type": "array", "items": {}}),
        Kind::Object | Kind::Map => json!({"type": "object"}),
    }
}

fn object_schema(fields: &Fields) -> Value {
    let properties: Map<String, Value> = fields
        .iter()
        .map(|(name, shape)| (name.to_owned(), shape_schema(shape)))
        .collect();
    json!({"type": "object", "additionalProperties": false, "properties": properties})
}

fn shape_schema(shape: &Shape) -> Value {
    match shape {
        Shape::Leaf(kind) => leaf_schema(*kind),
        Shape::List(item) => json!({"type": "array", "items": shape_schema(item)}),
        Shape::Object(fields) => object_schema(fields),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_is_an_operation_with_wire_parameters() {
        let document = document(Spec::embedded());
        let paths = document["paths"].as_object().unwrap();
        assert_eq!(paths.len(), 437);
        let add = &paths["/?Action=AddLiveAppRecordConfig"]["post"];
        let parameter = |name: &str| {
            add["parameters"]
                .as_array()
                .unwrap()
                .iter()
                .find(|p| p["name"] == name)
                .cloned()
        };
        let domain = parameter("DomainName").unwrap();
        assert_eq!(
            (&domain["required"], &domain["schema"]["minLength"]),
            (&json!(true), &json!(1))
        );
        let format = parameter("RecordFormat.2.Format").unwrap();
        assert_eq!(
            format["schema"]["enum"],
            json!(["m3u8", "flv", "mp4", "cmaf"])
        );
        assert_eq!(
            parameter("OnDemand").unwrap()["schema"]["enum"],
            json!([0, 1, 2, 7])
        );
        assert!(parameter("OwnerId").is_none() && parameter("RecordFormat").is_none());
        let describe = &paths["/?Action=DescribeLiveRecordConfig"]["get"];
        let record = "/responses/200/content/application~1json/schema/properties/LiveAppRecordList/properties/LiveAppRecord/items";
        assert_eq!(
            describe.pointer(record).unwrap()["properties"]["OnDemond"]["format"],
            "int32"
        );
        let lists = &paths["/?Action=AddLiveMessageGroupBand"];
        let band = lists.as_object().unwrap().values().next().unwrap();
        let users = band["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .find(|p| p["name"] == "BannedUsers")
            .unwrap();
        assert_eq!(users["schema"]["type"], "string");
    }
}
