//! Corrections to the imported files: `api-spec/patches.json`, applied when an action is loaded.
//!
//! What: a patch names actions and either a parameter (members by dots, list items without a number: `RecordFormat.Format`)
//! with the keys to set (`null` removes one), fields of the answer to add, or error facts to add or replace. Why on the JSON: a patch can then say
//! everything a file can say, and the typed reading afterwards refuses a word that the format does not know.

use serde::Deserialize;
use serde_json::{Map, Value};
use thiserror::Error;

use super::model::ActionSpec;

/// Why an embedded file cannot be used.
#[derive(Debug, Error)]
pub enum SpecError {
    /// It is no JSON or not of our format.
    #[error("{name} does not read: {source}")]
    Unreadable {
        /// Which file.
        name: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A patch names a parameter that is not there.
    #[error("a patch names {parameter} of {action}, which is not there")]
    Target {
        /// The action.
        action: String,
        /// The parameter.
        parameter: String,
    },
}

#[derive(Debug, Deserialize)]
struct File {
    patches: Vec<Patch>,
}

/// One correction.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Patch {
    actions: Vec<String>,
    parameter: Option<String>,
    #[serde(default)]
    set: Map<String, Value>,
    /// Fields that answers have and the imported file does not know, each by its path.
    #[serde(default)]
    response: Map<String, Value>,
    #[serde(default)]
    errors: Vec<Value>,
    /// For readers of the file, and to make sure that there is one.
    #[expect(dead_code, reason = "required in the file, used by people")]
    reason: String,
}

/// Reads an action's file and applies what the patch file says about it.
pub(super) fn load(name: &str, text: &[u8], patches: &str) -> Result<ActionSpec, SpecError> {
    let unreadable = |source| SpecError::Unreadable {
        name: name.to_owned(),
        source,
    };
    let mut json: Value = serde_json::from_slice(text).map_err(unreadable)?;
    // Most actions have no patch, and reading the patch file costs more than looking for the name in it.
    if patches.contains(&format!("\"{name}\"")) {
        let file: File = serde_json::from_str(patches).map_err(|source| SpecError::Unreadable {
            name: "patches.json".to_owned(),
            source,
        })?;
        for patch in file
            .patches
            .iter()
            .filter(|patch| patch.actions.iter().any(|action| action == name))
        {
            apply(&mut json, patch, name)?;
        }
    }
    serde_json::from_value(json).map_err(unreadable)
}

fn apply(json: &mut Value, patch: &Patch, action: &str) -> Result<(), SpecError> {
    if let Some(path) = &patch.parameter {
        let target = || SpecError::Target {
            action: action.to_owned(),
            parameter: path.clone(),
        };
        let request = json.get_mut("request").ok_or_else(target)?;
        let param = find(request, path).ok_or_else(target)?;
        for (key, value) in &patch.set {
            if value.is_null() {
                param.remove(key);
            } else {
                param.insert(key.clone(), value.clone());
            }
        }
    }
    for (path, shape) in &patch.response {
        let target = || SpecError::Target {
            action: action.to_owned(),
            parameter: path.clone(),
        };
        let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
        let fields = json.get_mut("response").ok_or_else(target)?;
        let fields = members(fields, parent).ok_or_else(target)?;
        fields.insert(name.to_owned(), shape.clone());
    }
    let Some(errors) = json.get_mut("errors").and_then(Value::as_array_mut) else {
        return Ok(());
    };
    for fact in &patch.errors {
        errors.retain(|known| known.get("code") != fact.get("code"));
        errors.push(fact.clone());
    }
    Ok(())
}

/// The fields under a path of an answer; a list stands for its item.
fn members<'a>(fields: &'a mut Value, path: &str) -> Option<&'a mut Map<String, Value>> {
    let mut at = fields;
    for name in path.split('.').filter(|name| !name.is_empty()) {
        at = at.get_mut(name)?;
        if at.is_array() {
            at = at.get_mut(0)?;
        }
    }
    at.as_object_mut()
}

fn find<'a>(params: &'a mut Value, path: &str) -> Option<&'a mut Map<String, Value>> {
    let (name, rest) = path
        .split_once('.')
        .map_or((path, None), |(name, rest)| (name, Some(rest)));
    let param = params
        .as_array_mut()?
        .iter_mut()
        .find(|param| param.get("name").and_then(Value::as_str) == Some(name))?
        .as_object_mut()?;
    let Some(rest) = rest else {
        return Some(param);
    };
    let members = if param.contains_key("item") {
        param.get_mut("item")?.get_mut("fields")?
    } else {
        param.get_mut("fields")?
    };
    find(members, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACTION: &[u8] = br#"{"action":"A","family":"f","access":"read","methods":["GET"],
        "request":[{"name":"L","type":"array","encoding":"repeat","item":{"type":"object","fields":[{"name":"F","type":"string"}]}},
                   {"name":"P","type":"int32","required":true}],
        "response":{"RequestId":"string"},"errors":[{"code":"E","status":404,"source":"x"}]}"#;

    fn patched(patches: &str) -> Result<ActionSpec, SpecError> {
        load("A", ACTION, patches)
    }

    #[test]
    fn keys_are_set_removed_and_nested_members_found() {
        let action = patched(
            r#"{"patches":[{"actions":["A"],"parameter":"L.F","set":{"enum":["x"]},"reason":"r"},
                {"actions":["B","A"],"parameter":"P","set":{"required":null,"default":3},"reason":"r"},
                {"actions":["A"],"errors":[{"code":"E","status":400,"source":"y"}],"reason":"r"}]}"#,
        )
        .unwrap();
        let member = &action.request[0].item.as_ref().unwrap().fields[0];
        assert_eq!(member.allowed, ["x"]);
        assert!(!action.request[1].required);
        assert_eq!(action.request[1].default, Some(Value::from(3)));
        assert_eq!(action.error_status("E"), Some(400));
        assert_eq!(action.errors.len(), 1);
    }

    #[test]
    fn fields_are_added_to_answers() {
        const LISTED: &[u8] =
            br#"{"action":"A","family":"f","access":"read","methods":["GET"],"request":[],
            "response":{"L":{"I":[{"F":"string"}]}},"errors":[]}"#;
        let with = |path: &str| {
            let patch = format!(
                r#"{{"patches":[{{"actions":["A"],"response":{{"{path}":"int32"}},"reason":"r"}}]}}"#
            );
            load("A", LISTED, &patch)
        };
        assert!(with("Top").unwrap().response.get("Top").is_some());
        let shape = |action: &ActionSpec| format!("{:?}", action.response);
        assert!(shape(&with("L.I.New").unwrap()).contains("New"));
        for gone in ["X.New", "L.I.F.New"] {
            assert!(
                matches!(with(gone), Err(SpecError::Target { .. })),
                "{gone}"
            );
        }
    }

    #[test]
    fn a_patch_that_fits_nothing_or_says_nonsense_is_an_error() {
        let gone =
            patched(r#"{"patches":[{"actions":["A"],"parameter":"Q","set":{},"reason":"r"}]}"#);
        assert!(matches!(gone, Err(SpecError::Target { .. })));
        let word = patched(
            r#"{"patches":[{"actions":["A"],"parameter":"P","set":{"maxx":1},"reason":"r"}]}"#,
        );
        assert!(matches!(word, Err(SpecError::Unreadable { .. })));
        let no_reason =
            patched(r#"{"patches":[{"actions":["A"],"parameter":"P","set":{"max":1}}]}"#);
        assert!(matches!(no_reason, Err(SpecError::Unreadable { .. })));
        assert!(load("A", b"{", "").is_err());
    }

    #[test]
    fn every_patch_names_known_actions_and_changes_something() {
        let file: File = serde_json::from_str(super::super::PATCHES).unwrap();
        for patch in &file.patches {
            assert!(!patch.actions.is_empty());
            for action in &patch.actions {
                let text = super::super::ACTIONS
                    .get_file(format!("{action}.json"))
                    .unwrap()
                    .contents();
                let before: Value = serde_json::from_slice(text).unwrap();
                let mut after = before.clone();
                apply(&mut after, patch, action).unwrap();
                assert_ne!(
                    before, after,
                    "a patch of {action} {:?} changes nothing",
                    patch.parameter
                );
            }
        }
    }
}
