//! Secrets taken out of what is recorded: by the one list of names, in parameters, in JSON and in XML. Pure.
//!
//! Beside values whose names say it, there are lists of pairs (`ArgName` `auth_key1`, `ArgValue` …), JSON inside of texts, and private keys,
//! which are told by how they begin.

use std::borrow::Cow;

use quick_xml::events::{BytesText, Event};
use quick_xml::{Reader, Writer};
use serde_json::Value;

use crate::secrets::{self, HIDDEN};

/// Members by which an object names what its other member is the value of.
const NAMES: [&str; 6] = ["ArgName", "argName", "Name", "name", "Key", "key"];
const VALUES: [&str; 6] = ["ArgValue", "argValue", "Value", "value", "Text", "text"];
/// How a private key in PEM is told.
const PRIVATE: &str = "PRIVATE KEY-----";
/// Levels of JSON inside of texts that are looked into.
const INSIDE: usize = 4;

/// A parameter's value as it may be kept.
#[must_use]
pub fn param<'a>(name: &str, value: &'a str) -> Cow<'a, str> {
    let last = name.rsplit('.').next().unwrap_or(name);
    if !value.is_empty() && (secrets::is_name(name) || secrets::is_name(last)) {
        return Cow::Borrowed(HIDDEN);
    }
    text(value, INSIDE)
}

/// A text as it may be kept: keys, JSON inside of it and URLs without their secrets.
fn text(value: &str, levels: usize) -> Cow<'_, str> {
    if value.contains(PRIVATE) {
        return Cow::Borrowed(HIDDEN);
    }
    let begins = value.trim_start().as_bytes().first();
    if levels > 0
        && matches!(begins, Some(b'{' | b'['))
        && let Ok(mut inner) = serde_json::from_str::<Value>(value)
        && masked(&mut inner, levels - 1)
    {
        return Cow::Owned(inner.to_string());
    }
    secrets::text(value)
}

/// Takes the secrets out of a JSON document; says whether there were some.
pub fn json(value: &mut Value) -> bool {
    masked(value, INSIDE)
}

fn is_shown(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty() || text == HIDDEN,
        Value::Null | Value::Bool(_) => true,
        _ => false,
    }
}

/// Whether the object names by one member a secret that another member holds.
fn names_a_secret(members: &serde_json::Map<String, Value>) -> bool {
    NAMES.iter().any(|name| {
        let named = members.get(*name).and_then(Value::as_str);
        named.is_some_and(secrets::is_name)
    })
}

fn masked(value: &mut Value, levels: usize) -> bool {
    match value {
        Value::Object(members) => {
            let pair = names_a_secret(members);
            let mut any = false;
            for (name, member) in members.iter_mut() {
                let is_secret = secrets::is_name(name) || (pair && VALUES.contains(&name.as_str()));
                // Lists of a secret's name (`Functions`) are looked into like others.
                let is_leaf = !matches!(member, Value::Object(_) | Value::Array(_));
                if is_secret && is_leaf && !is_shown(member) {
                    *member = Value::from(HIDDEN);
                    any = true;
                } else {
                    any |= masked(member, levels);
                }
            }
            any
        }
        Value::Array(items) => {
            let mut any = false;
            for item in items {
                any |= masked(item, levels);
            }
            any
        }
        Value::String(whole) => match text(whole, levels) {
            Cow::Owned(shown) => {
                *whole = shown;
                true
            }
            Cow::Borrowed(shown) if shown != whole => {
                *whole = shown.to_owned();
                true
            }
            Cow::Borrowed(_) => false,
        },
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// An XML document without its secrets; lent where it has none. One that cannot be read is hidden as a whole.
#[must_use]
pub fn xml(document: &str) -> Cow<'_, str> {
    rewritten(document).unwrap_or(Cow::Borrowed(HIDDEN))
}

fn rewritten(document: &str) -> Option<Cow<'_, str>> {
    let mut reader = Reader::from_str(document);
    let mut writer = Writer::new(Vec::with_capacity(document.len()));
    let mut open: Vec<String> = Vec::new();
    // At each level: whether a sibling has named a secret.
    let mut pairs: Vec<bool> = vec![false];
    let mut changed = false;
    // Entities come as events of their own.
    loop {
        let event = reader.read_event().ok()?;
        match &event {
            Event::Start(start) => {
                open.push(start.name().into_inner().to_owned());
                pairs.push(false);
            }
            Event::End(_) => {
                open.pop();
                pairs.pop();
            }
            Event::Eof => break,
            _ => {}
        }
        let is_text = matches!(
            event,
            Event::Text(_) | Event::CData(_) | Event::GeneralRef(_)
        );
        let Some(name) = open.last().filter(|_| is_text) else {
            writer.write_event(event).ok()?;
            continue;
        };
        let words: &str = match &event {
            Event::Text(text) => text,
            Event::CData(text) => text,
            Event::GeneralRef(text) => text,
            _ => "",
        };
        let beside = pairs.len().checked_sub(2);
        if NAMES.contains(&name.as_str())
            && secrets::is_name(words)
            && let Some(pair) = beside.and_then(|at| pairs.get_mut(at))
        {
            *pair = true;
        }
        let named = beside
            .and_then(|at| pairs.get(at))
            .copied()
            .unwrap_or(false);
        let is_secret = secrets::is_name(name) || (named && VALUES.contains(&name.as_str()));
        let shown = if is_secret && !words.trim().is_empty() {
            Cow::Borrowed(HIDDEN)
        } else {
            text(words, INSIDE)
        };
        if shown == words {
            writer.write_event(event).ok()?;
            continue;
        }
        changed = true;
        // Only what stands in CDATA is written without escapes.
        let text = match &event {
            Event::CData(_) => BytesText::new(&shown),
            _ => BytesText::from_escaped(shown.as_ref()),
        };
        writer.write_event(Event::Text(text)).ok()?;
    }
    if !changed {
        return Some(Cow::Borrowed(document));
    }
    String::from_utf8(writer.into_inner()).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked_json(text: &str) -> String {
        let mut value: Value = serde_json::from_str(text).unwrap();
        let changed = json(&mut value);
        assert_eq!(
            changed,
            value != serde_json::from_str::<Value>(text).unwrap()
        );
        value.to_string()
    }

    #[test]
    fn secrets_of_json_are_hidden() {
        for (given, shown) in [
            (r#"{"RequestId":"A","N":1}"#, r#"{"RequestId":"A","N":1}"#),
            (
                r#"{"Credentials":{"AccessKeyId":"i","AccessKeySecret":"tell","SecurityToken":"tell"}}"#,
                r#"{"Credentials":{"AccessKeyId":"i","AccessKeySecret":"***","SecurityToken":"***"}}"#,
            ),
            (
                r#"{"L":[{"ArgName":"auth_key1","ArgValue":"tell"},{"ArgName":"auth_type","ArgValue":"type_a"}]}"#,
                r#"{"L":[{"ArgName":"auth_key1","ArgValue":"***"},{"ArgName":"auth_type","ArgValue":"type_a"}]}"#,
            ),
            (
                r#"{"NotifyUrl":"http://u:tell@h/x?token=tell&b=c"}"#,
                r#"{"NotifyUrl":"http://***@h/x?token=***&b=c"}"#,
            ),
            (
                r#"{"Inner":"{\"AuthKey\":\"tell\",\"x\":1}"}"#,
                r#"{"Inner":"{\"AuthKey\":\"***\",\"x\":1}"}"#,
            ),
            (
                r#"{"SSLPub":"-----BEGIN RSA PRIVATE KEY-----\ntell"}"#,
                r#"{"SSLPub":"***"}"#,
            ),
            (
                r#"{"NotifyAuthKey":"","NextPageToken":"p","NotifyReqAuth":true}"#,
                r#"{"NotifyAuthKey":"","NextPageToken":"p","NotifyReqAuth":true}"#,
            ),
            (r#"{"Token":5}"#, r#"{"Token":"***"}"#),
        ] {
            assert_eq!(masked_json(given), shown);
        }
    }

    #[test]
    fn secrets_of_xml_are_hidden() {
        let plain =
            "<?xml version='1.0' encoding='UTF-8'?><R><RequestId>A</RequestId><X>a &amp; b</X></R>";
        assert!(matches!(xml(plain), Cow::Borrowed(text) if text == plain));
        let given = "<R><NotifyAuthKey>tell&amp;tell</NotifyAuthKey><A><ArgName>auth_key1</ArgName><ArgValue>tell</ArgValue></A><A><ArgName>x</ArgName><ArgValue>y</ArgValue></A><U>http://u:tell@h/</U></R>";
        let shown = xml(given);
        assert!(!shown.contains("tell"), "{shown}");
        for there in [
            "<ArgValue>y</ArgValue>",
            "<ArgName>auth_key1</ArgName>",
            "http://***@h/",
        ] {
            assert!(shown.contains(there), "{shown}");
        }
        assert_eq!(xml("<a><b></a>"), "***");
    }

    #[test]
    fn parameters_are_hidden_by_the_last_part_of_their_name() {
        assert_eq!(param("Config.1.AuthKey", "tell"), "***");
        assert_eq!(param("SSLPri", "tell"), "***");
        assert_eq!(param("Functions", "[{}]"), "***");
        assert_eq!(param("NotifyAuthKey", ""), "");
        assert_eq!(param("StreamName", "s"), "s");
        assert_eq!(
            param("Args", r#"[{"Name":"auth_key1","Value":"tell"}]"#),
            r#"[{"Name":"auth_key1","Value":"***"}]"#
        );
    }
}
