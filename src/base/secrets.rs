//! What is a secret, and what stands in its place: the one list for the log, the journal, its diagnosis, snapshots and the shown settings.
//!
//! A secret is told by its name (a parameter's, a function argument's, a header's), or by its place in a URL: the user and the password
//! before the host, and values of a query whose names say so. JSON is looked into, also inside of texts: its members by their names, and
//! lists of pairs (`ArgName` `auth_key1`, `ArgValue` …). A private key is told by how it begins. Pure.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Map, Value};

/// What a secret is shown as.
pub const HIDDEN: &str = "***";

/// Names of values that are shown although a part of the name says otherwise: marks of pages, and what an id is for.
const OPEN: [&str; 6] = [
    "accesskeyid",
    "clienttoken",
    "nexttoken",
    "nextpagetoken",
    "ossaccesskeyid",
    "awsaccesskeyid",
];
/// Parts of the names of secrets.
const PARTS: [&str; 11] = [
    "secret",
    "token",
    "password",
    "passwd",
    "authkey",
    "accesskey",
    "apikey",
    "privatekey",
    "credential",
    "authorization",
    "cookie",
];
/// Whole names of secrets. `Functions` has the keys of URL authentication in it.
const WHOLE: [&str; 6] = [
    "signature",
    "xamzsignature",
    "xosssignature",
    "functions",
    "sslpri",
    "authinfo",
];
/// Whole names that are secrets in the query of a URL, where nothing else says what they are for.
const IN_QUERY: [&str; 17] = [
    "auth", "code", "hash", "hmac", "jwt", "key", "nonce", "otp", "pass", "pin", "pw", "pwd",
    "session", "sid", "sig", "sign", "ticket",
];

/// Members by which an object names what its other member is the value of, and that other member.
pub const NAMING: [&str; 6] = ["ArgName", "argName", "Name", "name", "Key", "key"];
pub const NAMED: [&str; 6] = ["ArgValue", "argValue", "Value", "value", "Text", "text"];
/// How a private key in PEM is told.
const PRIVATE: &str = "PRIVATE KEY-----";
/// Levels of JSON inside of texts that are looked into.
const INSIDE: usize = 4;

/// What a percent-encoded value keeps as it is: unreserved characters, and the mask.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'*');

/// What nearly every call carries, passed before anything is compared in earnest.
const COMMON: [&str; 13] = [
    "AccessKeyId",
    "Action",
    "AppName",
    "DomainName",
    "Format",
    "RegionId",
    "SignatureMethod",
    "SignatureNonce",
    "SignatureType",
    "SignatureVersion",
    "StreamName",
    "Timestamp",
    "Version",
];

/// A name in lower case, without what writers put between its words and without its number.
fn plain(name: &str) -> String {
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit());
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

/// Whether a name says that its value is a secret.
#[must_use]
pub fn is_name(name: &str) -> bool {
    if COMMON.contains(&name) {
        return false;
    }
    let name = plain(name);
    !OPEN.contains(&name.as_str())
        && (WHOLE.contains(&name.as_str()) || PARTS.iter().any(|part| name.contains(part)))
}

fn is_query_name(name: &str) -> bool {
    is_name(name) || IN_QUERY.contains(&plain(name).as_str())
}

/// A query without the values of its secrets, those inside an encoded value (`usrargs`) included.
fn query(text: &str) -> String {
    let pairs = text.split('&').map(|pair| {
        let Some((name, value)) = pair.split_once('=') else {
            return Cow::Borrowed(pair);
        };
        if value.is_empty() {
            return Cow::Borrowed(pair);
        }
        if is_query_name(&percent_decode_str(name).decode_utf8_lossy()) {
            return Cow::Owned(format!("{name}={HIDDEN}"));
        }
        let inner = percent_decode_str(value).decode_utf8_lossy();
        if !inner.contains('=') && !inner.contains("://") {
            return Cow::Borrowed(pair);
        }
        let shown = if inner.contains("://") {
            url(&inner).into_owned()
        } else {
            query(&inner)
        };
        if shown == inner {
            return Cow::Borrowed(pair);
        }
        Cow::Owned(format!("{name}={}", utf8_percent_encode(&shown, VALUE)))
    });
    pairs.collect::<Vec<_>>().join("&")
}

/// A URL, or a path with a query, without its secrets. What a path itself holds cannot be told.
#[must_use]
pub fn url(text: &str) -> Cow<'_, str> {
    let start = text.find("://").map_or(0, |at| at + 3);
    let (before, rest) = text.split_at(start);
    let (rest, fragment) = match rest.find('#') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let (place, asked) = match rest.find('?') {
        Some(at) => (rest.get(..at).unwrap_or_default(), rest.get(at + 1..)),
        None => (rest, None),
    };
    let authority_end = place.find(['/', '\\']).unwrap_or(place.len());
    let authority = place.get(..authority_end).unwrap_or_default();
    let user = authority.rfind('@').filter(|_| start > 0);
    let shown = asked.map(query);
    if user.is_none() && shown.as_deref() == asked {
        return Cow::Borrowed(text);
    }
    let place = match user {
        Some(at) => format!("{HIDDEN}{}", place.get(at..).unwrap_or_default()),
        None => place.to_owned(),
    };
    let asked = shown.map(|shown| format!("?{shown}")).unwrap_or_default();
    Cow::Owned(format!("{before}{place}{asked}{fragment}"))
}

/// A text in which URLs may stand, without their secrets.
#[must_use]
pub fn text(text: &str) -> Cow<'_, str> {
    if !text.contains("://") {
        return Cow::Borrowed(text);
    }
    // What no URL has in it; more would be hidden rather than less.
    let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '<' | '>');
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    loop {
        let end = rest.find(ends).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if word.contains("://") {
            shown.push_str(&url(word));
        } else {
            shown.push_str(word);
        }
        let Some(mark) = after.chars().next() else {
            break;
        };
        shown.push(mark);
        rest = after.get(mark.len_utf8()..).unwrap_or_default();
    }
    if shown == text {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(shown)
    }
}

/// A named value as it may be shown; of a name in parts (`Config.1.AuthKey`) the last one says it too.
#[must_use]
pub fn shown<'a>(name: &str, value: &'a str) -> Cow<'a, str> {
    let last = name.rsplit('.').next().unwrap_or(name);
    if !value.is_empty() && (is_name(name) || (last.len() < name.len() && is_name(last))) {
        Cow::Borrowed(HIDDEN)
    } else {
        self::value(value)
    }
}

/// A value whose name is none of a secret, as it may be shown: without private keys, and without the secrets of JSON and URLs in it.
#[must_use]
pub fn value(value: &str) -> Cow<'_, str> {
    inside(value, INSIDE)
}

fn inside(value: &str, levels: usize) -> Cow<'_, str> {
    if value.len() > PRIVATE.len() && value.contains(PRIVATE) {
        return Cow::Borrowed(HIDDEN);
    }
    let begins = value.trim_ascii_start().as_bytes().first();
    if levels > 0
        && matches!(begins, Some(b'{' | b'['))
        && let Ok(mut json) = serde_json::from_str::<Value>(value)
        && masked(&mut json, levels - 1)
    {
        return Cow::Owned(json.to_string());
    }
    text(value)
}

/// Takes the secrets out of a JSON document; says whether there were some.
pub fn json(value: &mut Value) -> bool {
    masked(value, INSIDE)
}

fn is_hidden(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty() || text == HIDDEN,
        Value::Null | Value::Bool(_) => true,
        _ => false,
    }
}

/// Whether an object names by one member a secret that another member holds.
fn names_a_secret(members: &Map<String, Value>) -> bool {
    NAMING.iter().any(|name| {
        let named = members.get(*name).and_then(Value::as_str);
        named.is_some_and(is_name)
    })
}

/// Whether a member of an object is the value of a secret that another member of it names.
#[must_use]
pub fn is_named(members: &Map<String, Value>, name: &str) -> bool {
    NAMED.contains(&name) && names_a_secret(members)
}

/// A secret as it may be shown, whatever it is made of: what says nothing, such as an empty text, stays.
#[must_use]
pub fn hidden(value: &Value) -> Value {
    if is_hidden(value) {
        value.clone()
    } else {
        Value::from(HIDDEN)
    }
}

fn masked(value: &mut Value, levels: usize) -> bool {
    match value {
        Value::Object(members) => {
            let pair = names_a_secret(members);
            let mut any = false;
            for (name, member) in members.iter_mut() {
                let is_secret = is_name(name) || (pair && NAMED.contains(&name.as_str()));
                // Lists of a secret's name (`Functions`) are looked into like others.
                let is_leaf = !matches!(member, Value::Object(_) | Value::Array(_));
                if is_secret && is_leaf && !is_hidden(member) {
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
        Value::String(whole) => {
            let shown = inside(whole, levels);
            if shown == *whole {
                return false;
            }
            *whole = shown.into_owned();
            true
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// A URL whose secrets are hidden and not known: it leads to the same place, and the secrets are absent.
#[must_use]
pub fn without(url: &str) -> String {
    let shown = url
        .replace(&format!("://{HIDDEN}@"), "://")
        .replace(&format!("={HIDDEN}"), "=");
    // Inside an encoded value.
    shown.replace(&format!("%3D{HIDDEN}"), "%3D")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_secrets() {
        for secret in [
            "AccessKeySecret",
            "Signature",
            "SecurityToken",
            "BearerToken",
            "NotifyAuthKey",
            "CallbackAuthKey",
            "AuthKey",
            "Functions",
            "SSLPri",
            "UserToken",
            "auth_key1",
            "auth_key2",
            "x-acs-security-token",
            "X-Amz-Security-Token",
            "X-Amz-Credential",
            "authorization",
        ] {
            assert!(is_name(secret), "{secret}");
        }
        for open in [
            "AccessKeyId",
            "SignatureNonce",
            "SignatureMethod",
            "NextPageToken",
            "ClientToken",
            "NotifyReqAuth",
            "NotifyUrl",
            "StreamName",
            "ali_auth_delta",
            "auth_type",
            "KeyWord",
            "TagKey",
        ] {
            assert!(!is_name(open), "{open}");
        }
    }

    #[test]
    fn a_url_is_shown_without_user_password_and_tokens() {
        for (given, shown_as) in [
            ("http://h/x", "http://h/x"),
            (
                "http://h/x?app=live&id=s1&time=1",
                "http://h/x?app=live&id=s1&time=1",
            ),
            ("http://u:p@h:8/x", "http://***@h:8/x"),
            ("https://u@h", "https://***@h"),
            ("http://u:p@ss@h/x@y", "http://***@h/x@y"),
            ("http://h/x@y", "http://h/x@y"),
            ("http://h?a@b", "http://h?a@b"),
            ("http://h/x?token=a&b=c", "http://h/x?token=***&b=c"),
            (
                "http://h/x?b=c&Access_Token=a#f?token=b",
                "http://h/x?b=c&Access_Token=***#f?token=b",
            ),
            ("http://h/x?token=&key", "http://h/x?token=&key"),
            ("http://h/x?%74oken=a", "http://h/x?%74oken=***"),
            (
                "http://h/x?auth_key=1-0-0-ab&codec=h264",
                "http://h/x?auth_key=***&codec=h264",
            ),
            (
                "http://h/x?usrargs=vhost%3Dd%26auth_key%3D1-0",
                "http://h/x?usrargs=vhost%3Dd%26auth_key%3D***",
            ),
            (
                "http://h/x?usrargs=vhost%3Dd%26x%3D1",
                "http://h/x?usrargs=vhost%3Dd%26x%3D1",
            ),
            (
                "http://h/x?to=http%3A%2F%2Fu%3Ap%40h%2F",
                "http://h/x?to=http%3A%2F%2F***%40h%2F",
            ),
            (
                "rtmp://u:p@h/live/s?auth_key=1",
                "rtmp://***@h/live/s?auth_key=***",
            ),
            (
                "/bucket/key?Signature=a&Expires=1",
                "/bucket/key?Signature=***&Expires=1",
            ),
        ] {
            assert_eq!(url(given), shown_as, "{given}");
        }
    }

    #[test]
    fn urls_inside_a_text_are_found() {
        assert_eq!(
            text(r#"no: "http://u:p@h/x?token=a" (or <rtmp://v:q@h>) 中"#),
            r#"no: "http://***@h/x?token=***" (or <rtmp://***@h>) 中"#
        );
        assert_eq!(
            text("http://[::1]:8/x(1)?token=a"),
            "http://[::1]:8/x(1)?token=***"
        );
        assert_eq!(text("u:p@h and token=a"), "u:p@h and token=a");
        assert_eq!(shown("NotifyUrl", "http://u:p@h/"), "http://***@h/");
        assert_eq!(shown("AuthKey", "x"), HIDDEN);
        assert_eq!(shown("AuthKey", ""), "");
    }

    #[test]
    fn hidden_parts_can_be_left_out() {
        let hidden = url("http://u:p@h/x?token=a&usrargs=k%3D1%26key%3D2&b=c");
        assert_eq!(
            without(&hidden),
            "http://h/x?token=&usrargs=k%3D1%26key%3D&b=c"
        );
    }

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
    fn a_member_is_a_secret_that_another_one_names() {
        let of = |kind: &str| serde_json::json!({"ArgName": kind, "ArgValue": "tell", "Order": 1});
        for (kind, name, is_secret) in [
            ("auth_key1", "ArgValue", true),
            ("auth_key1", "ArgName", false),
            ("auth_key1", "Order", false),
            ("auth_type", "ArgValue", false),
        ] {
            let object = of(kind);
            let members = object.as_object().unwrap();
            assert_eq!(is_named(members, name), is_secret, "{kind} {name}");
        }
        for (given, shown) in [
            (Value::from("tell"), Value::from(HIDDEN)),
            (Value::from(5), Value::from(HIDDEN)),
            (Value::from(vec!["tell"]), Value::from(HIDDEN)),
            (Value::from(""), Value::from("")),
            (Value::Null, Value::Null),
        ] {
            assert_eq!(hidden(&given), shown, "{given}");
        }
    }

    #[test]
    fn parameters_are_hidden_by_the_last_part_of_their_name() {
        assert_eq!(shown("Config.1.AuthKey", "tell"), "***");
        assert_eq!(shown("SSLPri", "tell"), "***");
        assert_eq!(shown("Functions", "[{}]"), "***");
        assert_eq!(shown("NotifyAuthKey", ""), "");
        assert_eq!(shown("StreamName", "s"), "s");
        assert_eq!(
            shown("Args", r#"[{"Name":"auth_key1","Value":"tell"}]"#),
            r#"[{"Name":"auth_key1","Value":"***"}]"#
        );
    }
}
