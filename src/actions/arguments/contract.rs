//! Every handler against the spec: it declares each parameter or says why it ignores it, and its answer is the documented tree.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::actions::{ActionDef, all, ignored_by, ignores};
use crate::spec::Spec;
use crate::spec::model::{Fields, Kind, Shape};

/// The properties of an object schema, references followed.
fn properties<'a>(root: &'a Value, schema: &'a Value) -> Vec<(&'a str, &'a Value)> {
    let schema = resolved(root, schema);
    let mut found: Vec<(&str, &Value)> = Vec::new();
    if let Some(Value::Object(members)) = schema.get("properties") {
        found.extend(members.iter().map(|(name, value)| (name.as_str(), value)));
    }
    for branch in ["allOf", "anyOf"] {
        for part in schema
            .get(branch)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            found.extend(properties(root, part));
        }
    }
    found
}

fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    match schema.get("$ref").and_then(Value::as_str) {
        Some(name) => {
            let name = name.strip_prefix("#/$defs/").unwrap();
            resolved(root, &root["$defs"][name])
        }
        None => schema,
    }
}

fn schema_type(schema: &Value) -> String {
    match &schema["type"] {
        Value::String(name) => name.clone(),
        Value::Array(names) => {
            let some = names
                .iter()
                .filter_map(Value::as_str)
                .find(|name| *name != "null");
            some.unwrap_or_default().to_owned()
        }
        _ => String::new(),
    }
}

fn compare(path: &str, root: &Value, schema: &Value, known: &Fields, complaints: &mut Vec<String>) {
    let ours = properties(root, schema);
    let names: BTreeSet<&str> = ours.iter().map(|(name, _)| *name).collect();
    let wanted: BTreeSet<&str> = known
        .iter()
        .map(|(name, _)| name)
        .filter(|name| *name != "RequestId")
        .collect();
    for name in names.symmetric_difference(&wanted) {
        complaints.push(format!("{path}.{name} is on one side only"));
    }
    for (name, schema) in ours {
        let Some(shape) = known.get(name) else {
            continue;
        };
        compare_shape(
            &format!("{path}.{name}"),
            root,
            resolved(root, schema),
            shape,
            complaints,
        );
    }
}

fn compare_shape(
    path: &str,
    root: &Value,
    schema: &Value,
    shape: &Shape,
    complaints: &mut Vec<String>,
) {
    let ours = schema_type(schema);
    let wanted = match shape {
        Shape::Object(fields) => {
            compare(path, root, schema, fields, complaints);
            "object"
        }
        Shape::List(item) => {
            compare_shape(
                path,
                root,
                resolved(root, &schema["items"]),
                item,
                complaints,
            );
            "array"
        }
        Shape::Leaf(kind) => match kind {
            Kind::String => "string",
            Kind::Int32 | Kind::Int64 => "integer",
            Kind::Float => "number",
            Kind::Bool => "boolean",
            _ => "object",
        },
    };
    if ours != wanted {
        complaints.push(format!("{path} is {ours}, not {wanted}"));
    }
}

fn check(def: &ActionDef) -> Vec<String> {
    let mut complaints = Vec::new();
    let Some(spec) = Spec::embedded().action(def.name) else {
        return vec![format!("{} is not in the spec", def.name)];
    };
    let request = (def.request)().to_value();
    let mut ours: Vec<String> = properties(&request, &request)
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    ours.extend(ignored_by(def.name).map(str::to_owned));
    let mut wanted: Vec<String> = spec
        .request
        .iter()
        .filter(|p| !p.internal)
        .map(|p| p.name.clone())
        .collect();
    ours.sort();
    wanted.sort();
    if ours != wanted {
        complaints.push(format!(
            "{} takes {ours:?}, the spec says {wanted:?}",
            def.name
        ));
    }
    let answer = (def.answer)().to_value();
    compare(def.name, &answer, &answer, &spec.response, &mut complaints);
    complaints
}

#[test]
fn every_handler_keeps_to_the_spec() {
    let complaints: Vec<String> = all().flat_map(check).collect();
    assert_eq!(complaints, Vec::<String>::new());
    assert!(all().count() >= 30);
}

#[test]
fn ignored_parameters_have_a_reason() {
    for (action, ignores) in ignores() {
        assert!(all().any(|def| def.name == *action), "{action}");
        assert!(
            ignores.iter().all(|(_, reason)| reason.len() > 10),
            "{action}"
        );
    }
}

#[test]
fn an_action_tells_what_it_takes_in_vain() {
    let told = |action: &str| ignored_by(action).collect::<Vec<_>>();
    assert_eq!(told("AddLiveDomain"), ["CheckUrl", "TopLevelDomain"]);
    assert_eq!(told("RealTimeRecordCommand"), ["RegionId"]);
    assert_eq!(told("AddLiveAppRecordConfig"), Vec::<&str>::new());
}
