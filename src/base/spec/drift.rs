//! What a newer description of the API says otherwise than the embedded one: new and gone actions, and what changed in those that stayed.
//!
//! Two forms are read ([`newer`]): the survey that `api-spec/import.py` imports, and the gateway's own metadata. Both become the
//! facts of an action, flat by path, and so does the embedded file as it was imported, before our patches; then facts are compared one by
//! one. The gateway's metadata knows less (no rates, nothing that only pages say), so with it less is compared.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use thiserror::Error;

mod limits;
mod metadata;
mod survey;

/// Largest description that is read.
pub const MAX_BYTES: usize = 64 * 1024 * 1024;
/// Most actions of a description.
const MAX_ACTIONS: usize = 10_000;

/// Keys of a parameter that are for readers of the file.
const FOR_READERS: [&str; 2] = ["since", "requiredSources"];

/// Why a description cannot be read.
#[derive(Debug, Error)]
pub enum DriftError {
    #[error("it is no JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error(
        "it is neither a survey of the API ({{\"actions\": […]}}) nor the gateway's metadata ({{\"apis\": {{…}}}})"
    )]
    Form,
    #[error("it describes {0:?}, not the product live, version 2016-11-01")]
    Product(String),
    #[error("{0}: {1}")]
    Action(String, &'static str),
    #[error("it has more than {MAX_ACTIONS} actions")]
    Long,
    #[error("it names no action")]
    Empty,
}

/// What is known of one action: of each parameter, field and error its facts by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Facts {
    of: BTreeMap<(Part, String), BTreeMap<String, String>>,
}

/// A part of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    Action,
    Parameter,
    Answer,
    Error,
}

impl Part {
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Action => "action",
            Self::Parameter => "parameter",
            Self::Answer => "answer",
            Self::Error => "error",
        }
    }
}

/// What became of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Became {
    New,
    Gone,
    Changed,
}

impl Became {
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Gone => "gone",
            Self::Changed => "changed",
        }
    }
}

/// One thing that is otherwise now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub action: String,
    pub became: Became,
    pub part: Part,
    /// The path of the part; empty for the action as a whole.
    pub name: String,
    /// For what changed: which fact, and its two values.
    pub fact: Option<(String, Option<String>, Option<String>)>,
}

/// All that is otherwise.
#[derive(Debug, Default)]
pub struct Drift {
    pub changes: Vec<Change>,
    /// Actions that both know.
    pub compared: usize,
}

/// A newer description, read.
#[derive(Debug)]
pub(super) struct Newer {
    pub(super) actions: BTreeMap<String, Facts>,
    /// The facts that this form knows; `None`: all.
    pub(super) knows: Option<&'static [&'static str]>,
    /// Whether it tells answers.
    pub(super) answers: bool,
    /// Whether it lists error codes.
    pub(super) errors: bool,
}

/// Reads a newer description.
fn newer(text: &[u8]) -> Result<Newer, DriftError> {
    let whole: Value = serde_json::from_slice(text)?;
    let newer = if whole.get("actions").is_some_and(Value::is_array) {
        survey::read(&whole)?
    } else if whole.get("apis").is_some_and(Value::is_object) {
        metadata::read(&whole)?
    } else {
        return Err(DriftError::Form);
    };
    if newer.actions.len() > MAX_ACTIONS {
        return Err(DriftError::Long);
    }
    if newer.actions.is_empty() {
        return Err(DriftError::Empty);
    }
    Ok(newer)
}

impl Drift {
    /// Compares actions as they were imported (name and file) with a newer description.
    ///
    /// # Errors
    /// The description does not read.
    pub fn of<'a>(
        imported: impl Iterator<Item = (&'a str, &'a [u8])>,
        description: &[u8],
    ) -> Result<Self, DriftError> {
        let newer = newer(description)?;
        let mut drift = Self::default();
        let mut known = BTreeSet::new();
        for (name, text) in imported {
            known.insert(name.to_owned());
            let was: Value = serde_json::from_slice(text)?;
            let Some(is) = newer.actions.get(name) else {
                // The gateway's metadata has never had what only SDKs know.
                if newer.knows.is_none()
                    || was.get("inGatewayMetadata") != Some(&Value::Bool(false))
                {
                    drift.whole(name, Became::Gone);
                }
                continue;
            };
            drift.compared += 1;
            drift.action(name, &Facts::of_file(&was), is, &newer);
        }
        for name in newer.actions.keys().filter(|name| !known.contains(*name)) {
            drift.whole(name, Became::New);
        }
        drift.changes.sort_by(|left, right| {
            (&left.action, left.part, &left.name, left.became).cmp(&(
                &right.action,
                right.part,
                &right.name,
                right.became,
            ))
        });
        Ok(drift)
    }

    fn whole(&mut self, name: &str, became: Became) {
        self.changes.push(Change {
            action: name.to_owned(),
            became,
            part: Part::Action,
            name: String::new(),
            fact: None,
        });
    }

    fn action(&mut self, action: &str, was: &Facts, is: &Facts, newer: &Newer) {
        let parts: BTreeSet<&(Part, String)> = was.of.keys().chain(is.of.keys()).collect();
        for key in parts {
            let (part, name) = key;
            let is_told = match part {
                Part::Error => newer.errors,
                Part::Answer => newer.answers,
                Part::Action | Part::Parameter => true,
            };
            if !is_told {
                continue;
            }
            let change = |became, fact| Change {
                action: action.to_owned(),
                became,
                part: *part,
                name: name.clone(),
                fact,
            };
            match (was.of.get(key), is.of.get(key)) {
                (Some(was), None) => {
                    // What callers never set, metadata leaves out.
                    if newer.knows.is_none() || !was.contains_key("internal") {
                        self.changes.push(change(Became::Gone, None));
                    }
                }
                (None, Some(_)) => self.changes.push(change(Became::New, None)),
                (Some(was), Some(is)) => {
                    let facts: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
                    for fact in facts {
                        if newer
                            .knows
                            .is_some_and(|known| !known.contains(&fact.as_str()))
                        {
                            continue;
                        }
                        let (was, is) = (was.get(fact), is.get(fact));
                        if was != is {
                            let values = (fact.clone(), was.cloned(), is.cloned());
                            self.changes.push(change(Became::Changed, Some(values)));
                        }
                    }
                }
                (None, None) => {}
            }
        }
    }

    /// How many became what, by part.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<(Part, Became), usize> {
        let mut counts = BTreeMap::new();
        for change in &self.changes {
            *counts.entry((change.part, change.became)).or_default() += 1;
        }
        counts
    }

    /// As programs read it; `implemented` names the actions that have a handler.
    #[must_use]
    pub fn to_json(&self, implemented: &[&str]) -> Value {
        let changes = self.changes.iter().map(|change| {
            let mut row = json!({
                "action": change.action,
                "implemented": implemented.contains(&change.action.as_str()),
                "became": change.became.word(),
                "part": change.part.word(),
                "name": change.name,
            });
            if let (Some((fact, was, is)), Some(row)) = (&change.fact, row.as_object_mut()) {
                row.insert("fact".to_owned(), json!(fact));
                row.insert("was".to_owned(), json!(was));
                row.insert("is".to_owned(), json!(is));
            }
            row
        });
        json!({"compared": self.compared, "changes": changes.collect::<Vec<_>>()})
    }
}

impl Facts {
    /// The facts of a file in the form of `api-spec/`.
    pub(super) fn of_file(action: &Value) -> Self {
        let mut facts = Self::default();
        let mut own = BTreeMap::new();
        for (name, value) in action.as_object().into_iter().flatten() {
            if ![
                "action",
                "family",
                "request",
                "response",
                "errors",
                "inGatewayMetadata",
            ]
            .contains(&name.as_str())
            {
                own.insert(name.clone(), written(value));
            }
        }
        facts.of.insert((Part::Action, String::new()), own);
        for param in list(action, "request") {
            facts.parameter("", param);
        }
        if let Some(response) = action.get("response") {
            facts.answer("", response);
        }
        for error in list(action, "errors") {
            let status = error.get("status").map(written).unwrap_or_default();
            facts.error(text(error, "code"), status);
        }
        facts
    }

    pub(super) fn error(&mut self, code: &str, status: String) {
        let facts = [("status".to_owned(), status)].into();
        self.of.insert((Part::Error, code.to_owned()), facts);
    }

    fn parameter(&mut self, before: &str, param: &Value) {
        let path = join(before, text(param, "name"));
        let mut facts = BTreeMap::new();
        for (name, value) in param.as_object().into_iter().flatten() {
            let own = !["name", "fields", "item"].contains(&name.as_str());
            if own && !FOR_READERS.contains(&name.as_str()) {
                facts.insert(name.clone(), written(value));
            }
        }
        self.of.insert((Part::Parameter, path.clone()), facts);
        for field in list(param, "fields") {
            self.parameter(&path, field);
        }
        if let Some(item) = param.get("item") {
            // The item of a list has no name of its own; its members stand below the list's.
            let mut facts = BTreeMap::new();
            for (name, value) in item.as_object().into_iter().flatten() {
                if !["name", "fields", "item"].contains(&name.as_str()) {
                    facts.insert(name.clone(), written(value));
                }
            }
            let place = format!("{path}[]");
            self.of.insert((Part::Parameter, place.clone()), facts);
            for field in list(item, "fields") {
                self.parameter(&path, field);
            }
            if let Some(inner) = item.get("item") {
                let kind = inner.get("type").map(written).unwrap_or_default();
                let facts = [("type".to_owned(), kind)].into();
                self.of
                    .insert((Part::Parameter, format!("{place}[]")), facts);
            }
        }
    }

    fn answer(&mut self, path: &str, shape: &Value) {
        match shape {
            Value::Object(members) => {
                if !path.is_empty() {
                    self.field(path, "object");
                }
                for (name, member) in members {
                    self.answer(&join(path, name), member);
                }
            }
            Value::Array(items) => {
                self.field(path, "array");
                for item in items {
                    self.answer(&format!("{path}[]"), item);
                }
            }
            leaf => self.field(path, leaf.as_str().unwrap_or_default()),
        }
    }

    fn field(&mut self, path: &str, kind: &str) {
        let facts = [("type".to_owned(), kind.to_owned())].into();
        self.of.insert((Part::Answer, path.to_owned()), facts);
    }
}

fn join(before: &str, name: &str) -> String {
    if before.is_empty() {
        name.to_owned()
    } else {
        format!("{before}.{name}")
    }
}

/// A list's members; nothing where there is none.
pub(super) fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value
        .get(name)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A value as a fact: a number that is whole is written so whatever it was read from.
fn written(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_f64() {
            Some(float) if float.fract() == 0.0 => format!("{float}"),
            _ => number.to_string(),
        },
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(written).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(members) => {
            let mut members: Vec<String> = members
                .iter()
                .map(|(name, member)| format!("{name}: {}", written(member)))
                .collect();
            members.sort_unstable();
            format!("{{{}}}", members.join(", "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Spec;

    /// One action as the survey has it.
    fn surveyed() -> Value {
        json!({
            "name": "DescribeLiveThing", "family": "other", "rw": "read", "meta_http_methods": ["post", "get"],
            "in_meta_2025_12": true, "qps_limit": "30/second",
            "request": [
                {"name": "DomainName", "type": "string", "required": true, "in": "query", "example": "x"},
                {"name": "PageSize", "type": "integer", "format_int": "int32", "required": false, "in": "query",
                 "documented": {"doc_default": "10", "doc_range": [1, 100]}, "constraints": {"minimum": 1, "maximum": 100.0}},
                {"name": "Item", "type": "array", "required": false, "encoding": "repeat-list", "constraints": {"maxItems": 3},
                 "item": {"type": "object", "fields": [{"name": "Kind", "type": "string", "required": false, "constraints": {"enum": ["a", "b"]}}]}},
                {"name": "OwnerId", "type": "integer", "format_int": "int64", "required": false, "internal": true},
            ],
            "response": {
                "RequestId": {"type": "string"},
                "List": {"type": "object", "fields": {"Row": {"type": "array", "item": {"type": "object", "fields": {"N": {"type": "integer", "format": "int32"}}}}}},
            },
            "errors": [{"code": "InvalidDomain.NotFound", "http": 404, "source": "a page"}],
        })
    }

    /// The same as `api-spec/` has it.
    fn imported() -> Value {
        json!({
            "action": "DescribeLiveThing", "family": "other", "access": "read", "methods": ["GET", "POST"], "rate": "30/second",
            "request": [
                {"name": "DomainName", "type": "string", "required": true},
                {"name": "PageSize", "type": "int32", "default": 10, "min": 1, "max": 100, "documented": {"default": "10", "range": [1, 100]}},
                {"name": "Item", "type": "array", "encoding": "repeat", "item": {"type": "object", "fields": [{"name": "Kind", "type": "string", "enum": ["a", "b"]}]}, "maxItems": 3},
                {"name": "OwnerId", "type": "int64", "internal": true},
            ],
            "response": {"RequestId": "string", "List": {"Row": [{"N": "int32"}]}},
            "errors": [{"code": "InvalidDomain.NotFound", "status": 404, "source": "a page"}],
        })
    }

    fn survey_of(actions: &[Value]) -> Vec<u8> {
        json!({"product": "live", "version": "2016-11-01", "actions": actions})
            .to_string()
            .into_bytes()
    }

    fn drift(description: &[u8]) -> Vec<String> {
        let file = imported().to_string();
        let imported = [("DescribeLiveThing", file.as_bytes())];
        told(&Drift::of(imported.into_iter(), description).unwrap())
    }

    fn told(drift: &Drift) -> Vec<String> {
        let changes = drift.changes.iter();
        changes
            .map(|change| {
                let fact = change
                    .fact
                    .as_ref()
                    .map_or_else(String::new, |(fact, was, is)| {
                        let or_none = |value: &Option<String>| {
                            value.clone().unwrap_or_else(|| "-".to_owned())
                        };
                        format!(" {fact}: {} > {}", or_none(was), or_none(is))
                    });
                format!(
                    "{} {} {}{fact}",
                    change.became.word(),
                    change.part.word(),
                    change.name
                )
            })
            .collect()
    }

    #[test]
    fn the_same_description_has_not_drifted() {
        assert_eq!(drift(&survey_of(&[surveyed()])), Vec::<String>::new());
    }

    #[test]
    fn each_change_is_told_at_its_place() {
        let mut newer = surveyed();
        newer["qps_limit"] = json!("60/second");
        newer["request"][0]["required"] = json!(false);
        newer["request"][1]["constraints"]["maximum"] = json!(500);
        newer["request"][2]["item"]["fields"][0]["constraints"]["enum"] = json!(["a", "b", "c"]);
        newer["request"][3]["name"] = json!("Owner");
        newer["response"]["List"]["fields"]["Row"]["item"]["fields"]["N"]["format"] =
            json!("int64");
        newer["response"]["TotalNum"] = json!({"type": "integer", "format": "int32"});
        newer["errors"] = json!([{"code": "InvalidDomain.NotFound", "http": 400, "source": "s"}, {"code": "Forbidden", "http": 403, "source": "s"}]);
        assert_eq!(
            drift(&survey_of(&[newer])),
            [
                "changed action  rate: 30/second > 60/second",
                "changed parameter DomainName required: true > -",
                "changed parameter Item.Kind enum: [a, b] > [a, b, c]",
                "new parameter Owner",
                "gone parameter OwnerId",
                "changed parameter PageSize max: 100 > 500",
                "changed answer List.Row[].N type: int32 > int64",
                "new answer TotalNum",
                "new error Forbidden",
                "changed error InvalidDomain.NotFound status: 404 > 400",
            ]
        );
    }

    #[test]
    fn actions_come_and_go() {
        let mut other = surveyed();
        other["name"] = json!("AddLiveThing");
        assert_eq!(drift(&survey_of(&[other])), ["new action ", "gone action "]);
    }

    #[test]
    fn the_gateways_metadata_is_read_too() {
        let metadata = json!({
            "version": "1.0",
            "info": {"style": "RPC", "product": "live", "version": "2016-11-01"},
            "components": {"schemas": {"Row": {"type": "object", "properties": {"N": {"type": "integer", "format": "int32"}}}}},
            "apis": {"DescribeLiveThing": {
                "methods": ["post", "get"],
                "parameters": [
                    {"name": "DomainName", "in": "query", "schema": {"type": "string", "required": true}},
                    {"name": "PageSize", "in": "query", "schema": {"type": "integer", "format": "int32", "minimum": "1", "maximum": "100", "required": false}},
                    {"name": "Item", "in": "query", "style": "repeatList", "schema": {"type": "array", "maxItems": 3, "items": {"type": "object", "properties": {"Kind": {"type": "string", "enum": ["a", "b"]}}}}},
                ],
                "responses": {"200": {"schema": {"type": "object", "properties": {
                    "RequestId": {"type": "string"},
                    "List": {"type": "object", "properties": {"Row": {"type": "array", "items": {"$ref": "#/components/schemas/Row"}}}},
                }}}},
            }},
        });
        assert_eq!(drift(metadata.to_string().as_bytes()), Vec::<String>::new());
        let mut newer = metadata;
        let action = &mut newer["apis"]["DescribeLiveThing"];
        action["parameters"][0]["schema"]["required"] = json!(false);
        action["errorCodes"] = json!({"404": [{"errorCode": "InvalidDomain.NotFound", "errorMessage": "m"}], "400": [{"errorCode": "Bad", "errorMessage": "m"}]});
        newer["components"]["schemas"]["Row"]["properties"]["M"] = json!({"type": "boolean"});
        assert_eq!(
            drift(newer.to_string().as_bytes()),
            [
                "changed parameter DomainName required: true > -",
                "new answer List.Row[].M",
                "new error Bad",
            ]
        );
        // Where it has no answers at all, none of them is gone.
        let action = newer["apis"]["DescribeLiveThing"].as_object_mut().unwrap();
        action.remove("responses");
        action.remove("errorCodes");
        assert_eq!(
            drift(newer.to_string().as_bytes()),
            ["changed parameter DomainName required: true > -"]
        );
    }

    #[test]
    fn a_list_inside_of_a_list_and_a_required_item_are_no_change() {
        let file = json!({"action": "A", "methods": ["GET"], "response": {}, "errors": [], "request": [
            {"name": "Layer", "type": "array", "encoding": "repeat", "item": {"type": "object", "fields": [
                {"name": "At", "type": "array", "encoding": "repeat", "item": {"type": "float"}}]}}]});
        let metadata = json!({"apis": {"A": {"methods": ["get"], "parameters": [
            {"name": "Layer", "style": "repeatList", "schema": {"type": "array", "items": {"type": "object", "required": true, "properties": {
                "At": {"type": "array", "items": {"type": "number", "required": true}}}}}}]}}});
        let file = file.to_string();
        let imported = [("A", file.as_bytes())].into_iter();
        let drift = Drift::of(imported, metadata.to_string().as_bytes()).unwrap();
        assert_eq!(told(&drift), Vec::<String>::new());
    }

    #[test]
    fn a_circle_of_references_has_an_end() {
        let metadata = json!({
            "apis": {"DescribeLiveThing": {"methods": ["get"], "parameters": [], "responses": {"200": {"schema": {"$ref": "#/components/schemas/A"}}}}},
            "components": {"schemas": {"A": {"type": "object", "properties": {"A": {"$ref": "#/components/schemas/A"}}}}},
        });
        let text = metadata.to_string();
        let error = Drift::of(std::iter::empty(), text.as_bytes()).unwrap_err();
        assert!(error.to_string().contains("nested too deep"), "{error}");
    }

    #[test]
    fn references_that_lead_to_many_have_an_end() {
        let doubled = |level: usize| {
            let next = json!({"$ref": format!("#/components/schemas/S{}", level + 1)});
            json!({"type": "object", "properties": {"A": next, "B": next}})
        };
        let mut schemas = serde_json::Map::new();
        for level in 0..30 {
            schemas.insert(format!("S{level}"), doubled(level));
        }
        schemas.insert("S30".to_owned(), json!({"type": "string"}));
        let schema = json!({"$ref": "#/components/schemas/S0"});
        for api in [
            json!({"responses": {"200": {"schema": schema}}}),
            json!({"parameters": [{"name": "P", "schema": schema}]}),
        ] {
            let text = json!({"apis": {"A": api}, "components": {"schemas": schemas}}).to_string();
            let error = Drift::of(std::iter::empty(), text.as_bytes()).unwrap_err();
            assert!(error.to_string().contains("too many parts"), "{error}");
        }
    }

    #[test]
    fn what_is_no_description_is_refused() {
        let told = |text: &str| {
            Drift::of(std::iter::empty(), text.as_bytes())
                .unwrap_err()
                .to_string()
        };
        assert!(told("{").starts_with("it is no JSON"));
        assert!(told("{}").starts_with("it is neither"));
        assert!(told(r#"{"actions": []}"#).starts_with("it names no action"));
        assert!(told(r#"{"product": "vod", "actions": []}"#).contains("vod"));
        assert!(told(r#"{"actions": [{"name": "A"}]}"#).starts_with("A: "));
        assert!(told(r#"{"actions": [7]}"#).contains("no name"));
        assert!(told(r#"{"apis": {"A": {"parameters": [7]}}}"#).starts_with("A: "));
    }

    #[test]
    fn the_embedded_files_have_facts() {
        let spec = Spec::embedded();
        let mut parameters = 0;
        for (_, text) in spec.imported() {
            let facts = Facts::of_file(&serde_json::from_slice(text).unwrap());
            parameters += facts
                .of
                .keys()
                .filter(|(part, _)| *part == Part::Parameter)
                .count();
        }
        assert!(parameters > 2_500, "{parameters}");
    }
}
