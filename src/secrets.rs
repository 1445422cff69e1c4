//! What is a secret, and what stands in its place: the one list for the log, the journal, its diagnosis, snapshots and the shown settings.
//!
//! A secret is told by its name (a parameter's, a function argument's, a header's), or by its place in a URL: the user and the password
//! before the host, and values of a query whose names say so. Pure.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

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

/// A named value as it may be shown.
#[must_use]
pub fn shown<'a>(name: &str, value: &'a str) -> Cow<'a, str> {
    if is_name(name) && !value.is_empty() {
        Cow::Borrowed(HIDDEN)
    } else {
        text(value)
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
}
