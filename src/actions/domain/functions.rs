//! The functions of a domain: the JSON text of BatchSetLiveDomainConfigs, and how it changes what is stored.
//!
//! Any function is stored and shown again. Those that have an effect take it where a stream is pushed (aliauth) or played
//! (`live/play/access`); what aliauth (URL authentication) is given is checked here, since a mistake in it keeps everybody out.

use serde::Deserialize;
use serde_json::Value;

use crate::actions::arguments::{malformed, names};
use crate::error::ApiError;
use crate::model::domain::Function;
use crate::spec::loose_json;

/// Functions of one call.
const MOST_FUNCTIONS: usize = 50;
/// Arguments of a function.
const MOST_ARGS: usize = 50;
/// Functions that a domain may have.
pub const MOST_STORED: usize = 200;
/// The longest name or value, in bytes.
const LONGEST: usize = 8_192;

/// Functions that a domain may have several of; a further one is added unless its configId names an old one.
const REPEATED: [&str; 6] = [
    "filetype_based_ttl_set",
    "path_based_ttl_set",
    "error_page",
    "set_resp_header",
    "set_req_header",
    "tmd_signature",
];

/// One function of a request.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Setting {
    function_name: String,
    #[serde(default)]
    function_args: Vec<Arg>,
    config_id: Option<Value>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Arg {
    arg_name: String,
    #[serde(default)]
    arg_value: Value,
}

/// Reads the parameter Functions.
pub fn read(text: &str) -> Result<Vec<Setting>, ApiError> {
    let settings: Vec<Setting> = loose_json::read("Functions", text)
        .and_then(serde_json::from_value)
        .map_err(|error| refused(&format!("it is no list of functions: {error}")))?;
    if settings.is_empty() || settings.len() > MOST_FUNCTIONS {
        return Err(refused(&format!(
            "expected 1 to {MOST_FUNCTIONS} functions"
        )));
    }
    for setting in &settings {
        setting.check()?;
    }
    Ok(settings)
}

/// Checks the functions of a domain that come all at once.
pub fn check_stored(functions: &[Function]) -> Result<(), ApiError> {
    if functions.len() > MOST_STORED {
        return Err(refused(&format!(
            "a domain has at most {MOST_STORED} functions"
        )));
    }
    for (n, function) in functions.iter().enumerate() {
        Setting::of(function).check()?;
        let before = functions.iter().take(n);
        let clashes = |known: &Function| {
            known.name == function.name
                && (known.id == function.id || !REPEATED.contains(&known.name.as_str()))
        };
        if before.clone().any(clashes) {
            return Err(refused(&format!("{} is there already", function.name)));
        }
    }
    Ok(())
}

/// The names of a FunctionNames parameter.
pub fn function_names(list: &str) -> Result<Vec<&str>, ApiError> {
    let wanted: Vec<&str> = names(list).take(MOST_STORED + 1).collect();
    if wanted.len() > MOST_STORED {
        return Err(malformed("FunctionNames"));
    }
    Ok(wanted)
}

fn refused(why: &str) -> ApiError {
    malformed("Functions").with_hint(why)
}

impl Setting {
    fn of(function: &Function) -> Self {
        let args = function.args.iter().map(|(name, value)| Arg {
            arg_name: name.clone(),
            arg_value: Value::from(value.as_str()),
        });
        Self {
            function_name: function.name.clone(),
            function_args: args.collect(),
            config_id: None,
        }
    }

    fn check(&self) -> Result<(), ApiError> {
        let word = |text: &str| {
            !text.is_empty()
                && text.len() <= 128
                && text
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        };
        if !word(&self.function_name) {
            return Err(refused("a functionName is malformed"));
        }
        if self.function_args.len() > MOST_ARGS {
            return Err(refused(&format!(
                "a function has more than {MOST_ARGS} arguments"
            )));
        }
        for arg in &self.function_args {
            let value = arg.text().ok_or_else(|| {
                refused(&format!("the value of {} is no text", self.function_name))
            })?;
            if !word(&arg.arg_name) || value.len() > LONGEST {
                return Err(refused("an argument is malformed"));
            }
        }
        if self.config_id.is_some() && self.id().is_none() {
            return Err(refused("a configId is no number"));
        }
        if self.function_name == "aliauth" {
            self.check_aliauth()?;
        }
        Ok(())
    }

    /// URL authentication: off, or by type A keys of a push URL.
    fn check_aliauth(&self) -> Result<(), ApiError> {
        let value = |name: &str| {
            let arg = self.function_args.iter().find(|arg| arg.arg_name == name);
            arg.and_then(Arg::text).unwrap_or_default()
        };
        match value("auth_type").as_str() {
            "no_auth" => {}
            "type_a" if !value("auth_key1").is_empty() => {}
            "type_a" => return Err(refused("type_a needs auth_key1")),
            _ => return Err(refused("auth_type is neither no_auth nor type_a")),
        }
        let delta = value("ali_auth_delta");
        if !delta.is_empty()
            && !delta
                .parse::<u32>()
                .is_ok_and(|seconds| seconds <= 31_536_000)
        {
            return Err(refused("ali_auth_delta is no number of seconds"));
        }
        Ok(())
    }

    /// Whether it stands for the same as a stored one of which there may be several: a header has one value.
    fn is_same_header(&self, stored: &Function) -> bool {
        let key = self.function_args.iter().find(|arg| arg.arg_name == "key");
        matches!(
            self.function_name.as_str(),
            "set_resp_header" | "set_req_header"
        ) && key
            .and_then(Arg::text)
            .zip(stored.arg("key"))
            .is_some_and(|(new, old)| new.eq_ignore_ascii_case(old))
    }

    fn id(&self) -> Option<i64> {
        match self.config_id.as_ref()? {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        }
    }

    fn to_function(&self, id: i64) -> Function {
        Function {
            name: self.function_name.clone(),
            args: self
                .function_args
                .iter()
                .map(|arg| (arg.arg_name.clone(), arg.text().unwrap_or_default()))
                .collect(),
            id,
        }
    }
}

impl Arg {
    /// Values are texts; numbers and booleans are taken as what they look like.
    fn text(&self) -> Option<String> {
        match &self.arg_value {
            Value::Null => Some(String::new()),
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            Value::Array(_) | Value::Object(_) => None,
        }
    }
}

/// Sets functions on top of those that a domain has. New ids count on from `now`, so that none is given twice.
pub fn apply(stored: &mut Vec<Function>, settings: &[Setting], now: i64) -> Result<(), ApiError> {
    for setting in settings {
        let next = stored.iter().map(|function| function.id + 1).max();
        let next = next.unwrap_or(0).max(now);
        let old = stored.iter_mut().find(|function| {
            function.name == setting.function_name
                && match setting.id() {
                    Some(id) => function.id == id,
                    None => {
                        !REPEATED.contains(&function.name.as_str())
                            || setting.is_same_header(function)
                    }
                }
        });
        match (old, setting.id()) {
            (Some(old), _) => *old = setting.to_function(old.id),
            (None, Some(_)) => return Err(refused("no function has that configId")),
            (None, None) => stored.push(setting.to_function(next)),
        }
        if stored.len() > MOST_STORED {
            return Err(refused(&format!(
                "the domain has {MOST_STORED} functions already"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        read(text).unwrap_err().code.to_string()
    }

    #[test]
    fn the_documented_text_is_read_and_set() {
        let text = r#"[{"functionName":"aliauth","functionArgs":[{"argName":"auth_type","argValue":"type_a"},
            {"argName":"auth_key1","argValue":"key"},{"argName":"ali_auth_delta","argValue":60}]}]"#;
        let mut stored = Vec::new();
        apply(&mut stored, &read(text).unwrap(), 1_000).unwrap();
        let args: Vec<(&str, &str)> = stored[0]
            .args
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        assert_eq!(
            args,
            [
                ("auth_type", "type_a"),
                ("auth_key1", "key"),
                ("ali_auth_delta", "60")
            ]
        );
        let off = r#"[{"functionName":"aliauth","functionArgs":[{"argName":"auth_type","argValue":"no_auth"}]}]"#;
        apply(&mut stored, &read(off).unwrap(), 2_000).unwrap();
        assert_eq!((stored.len(), stored[0].id), (1, 1_000));
        assert_eq!(stored[0].args.len(), 1);
    }

    #[test]
    fn repeated_functions_add_up_unless_an_id_names_one() {
        let ttl = |id: &str| {
            format!(
                r#"[{{"functionName":"path_based_ttl_set","functionArgs":[{{"argName":"ttl","argValue":"9"}}]{id}}}]"#
            )
        };
        let mut stored = Vec::new();
        apply(&mut stored, &read(&ttl("")).unwrap(), 5).unwrap();
        apply(&mut stored, &read(&ttl("")).unwrap(), 5).unwrap();
        apply(&mut stored, &read(&ttl(r#","configId":5"#)).unwrap(), 5).unwrap();
        assert_eq!(stored.iter().map(|f| f.id).collect::<Vec<_>>(), [5, 6]);
        let unknown = read(&ttl(r#","configId":"99""#)).unwrap();
        assert!(apply(&mut stored, &unknown, 5).is_err());
    }

    #[test]
    fn a_header_that_is_set_again_has_the_new_value_alone() {
        let header = |key: &str, value: &str| {
            format!(
                r#"[{{"functionName":"set_resp_header","functionArgs":[{{"argName":"key","argValue":"{key}"}},{{"argName":"value","argValue":"{value}"}}]}}]"#
            )
        };
        let mut stored = Vec::new();
        for (key, value) in [("X-One", "a"), ("X-Two", "b"), ("x-one", "c")] {
            apply(&mut stored, &read(&header(key, value)).unwrap(), 7).unwrap();
        }
        let shown: Vec<_> = stored
            .iter()
            .map(|f| (f.id, f.arg("key"), f.arg("value")))
            .collect();
        assert_eq!(
            shown,
            [(7, Some("x-one"), Some("c")), (8, Some("X-Two"), Some("b"))]
        );
    }

    #[test]
    fn malformed_texts_are_refused() {
        let bad = "InvalidFunctions.Malformed";
        for text in [
            "",
            "{}",
            "[]",
            "[{}]",
            r#"[{"functionName":""}]"#,
            r#"[{"functionName":"x","functionArgs":[{"argName":"a","argValue":[1]}]}]"#,
            r#"[{"functionName":"x","configId":true}]"#,
            r#"[{"functionName":"aliauth"}]"#,
            r#"[{"functionName":"aliauth","functionArgs":[{"argName":"auth_type","argValue":"type_a"}]}]"#,
        ] {
            assert_eq!(code(text), bad, "{text}");
        }
        let many = |n: usize| {
            let one = r#"{"functionName":"x"}"#;
            format!("[{}]", vec![one; n].join(","))
        };
        assert!(read(&many(MOST_FUNCTIONS)).is_ok());
        assert_eq!(code(&many(MOST_FUNCTIONS + 1)), bad);
    }

    #[test]
    fn a_domain_has_a_bounded_number_of_functions() {
        let one = read(r#"[{"functionName":"error_page"}]"#).unwrap();
        let mut stored = Vec::new();
        for _ in 0..MOST_STORED {
            apply(&mut stored, &one, 1).unwrap();
        }
        assert!(apply(&mut stored, &one, 1).is_err());
        assert!(function_names(&vec!["f"; MOST_STORED].join(",")).is_ok());
        assert!(function_names(&vec!["f"; MOST_STORED + 1].join(",")).is_err());
    }
}
