//! A caller's request as it goes on to the upstream: signed anew in the scheme that the caller used, everything else as it came.
//!
//! What names or proves the caller (key, signature, nonce, time, tokens) is taken out and put in anew with the upstream's key; each other
//! parameter keeps its text and its place, in the query or in the form. Pure: time and nonce are handed in.

use std::borrow::Cow;

use bytes::Bytes;
use url::Url;

use crate::clock::UnixMs;
use crate::identity::AccessKey;
use crate::signature_v1::{self, Method};
use crate::signature_v3::{self, SignatureError};
use crate::site::host;
use crate::wire::http_parts::HttpParts;
use crate::wire::params::{Pairs, parse_pairs};
use crate::wire::percent;
use crate::wire::render::Format;
use crate::wire_time;

/// Parameters by which a caller says who it is, whatever the scheme.
const CREDENTIALS: [&str; 4] = ["AccessKeyId", "BearerToken", "SecurityToken", "Signature"];
/// What belongs to a signature in the parameters besides.
const OF_V1: [&str; 5] = [
    "SignatureMethod",
    "SignatureNonce",
    "SignatureType",
    "SignatureVersion",
    "Timestamp",
];
/// What names the call itself.
const CALL: [&str; 2] = ["Action", "Version"];
/// Headers of a signature in the headers, which are made anew; each other `x-acs-` header goes on.
const OF_ACS3: [&str; 10] = [
    "x-acs-accesskey-id",
    "x-acs-action",
    "x-acs-bearer-token",
    "x-acs-content-sha256",
    "x-acs-credentials-provider",
    "x-acs-date",
    "x-acs-security-token",
    "x-acs-signature-nonce",
    "x-acs-signature-type",
    "x-acs-version",
];
/// Headers of any scheme that go on as they came.
const PASSED: [&str; 3] = ["accept", "content-type", "user-agent"];

/// One call on its way through.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    pub action: &'a str,
    pub version: &'a str,
    /// In which form the caller reads the answer.
    pub format: Format,
    /// Signed in the headers; else in the parameters.
    pub acs3: bool,
    pub parts: &'a HttpParts,
    pub pairs: &'a Pairs<'a>,
}

/// What makes each signature another one: real time and a nonce that no other call has.
#[derive(Debug, Clone)]
pub struct Stamp {
    pub at: UnixMs,
    pub nonce: String,
}

/// A request that can be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    pub url: Url,
    /// All but `host`, which the client sends by itself. They hold the upstream's key.
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

/// Signs a call for the upstream.
///
/// # Errors
/// The parameters do not decode, or a header that is to be signed is absent.
pub fn signed(
    call: Call<'_>,
    endpoint: &Url,
    key: &AccessKey,
    stamp: &Stamp,
) -> Result<Signed, SignatureError> {
    if call.acs3 {
        by_headers(call, endpoint, key, stamp)
    } else {
        Ok(by_parameters(call, endpoint, key, stamp))
    }
}

/// A raw query or form without the pairs of these names; the others keep their text.
fn without<'a>(raw: &'a str, names: &[&[&str]]) -> Cow<'a, str> {
    let goes = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default();
        let name = percent::decode(name.as_bytes()).unwrap_or_default();
        names.iter().any(|names| names.contains(&name.as_ref()))
    };
    if !raw.split('&').any(|pair| goes(&pair)) {
        return Cow::Borrowed(raw);
    }
    let kept: Vec<&str> = raw.split('&').filter(|pair| !goes(pair)).collect();
    Cow::Owned(kept.join("&"))
}

/// The body as text where it is a form; it has been decoded before, so it is one.
fn form(parts: &HttpParts) -> Option<&str> {
    let text = parts.is_form().then(|| std::str::from_utf8(&parts.body));
    text.and_then(Result::ok)
}

fn append(raw: &mut String, name: &str, value: &str) {
    if !raw.is_empty() {
        raw.push('&');
    }
    percent::encode_into(raw, name);
    raw.push('=');
    percent::encode_into(raw, value);
}

fn passed(parts: &HttpParts) -> Vec<(String, String)> {
    let headers = parts.headers.iter();
    headers
        .filter(|(name, _)| PASSED.contains(&name.as_str()))
        .cloned()
        .collect()
}

fn at(endpoint: &Url, query: &str) -> Url {
    let mut url = endpoint.clone();
    url.set_query((!query.is_empty()).then_some(query));
    url
}

fn by_parameters(call: Call<'_>, endpoint: &Url, key: &AccessKey, stamp: &Stamp) -> Signed {
    let parts = call.parts;
    let method = match call.pairs.get("SignatureMethod") {
        Some("HMAC-SHA256") => Method::HmacSha256,
        _ => Method::HmacSha1,
    };
    let time = wire_time::to_api(stamp.at);
    let mut own: Vec<(&str, &str)> = vec![
        ("AccessKeyId", &key.id),
        ("SignatureMethod", method.as_str()),
        ("SignatureNonce", &stamp.nonce),
        ("SignatureVersion", "1.0"),
        ("Timestamp", &time),
    ];
    own.extend(key.token.as_deref().map(|token| ("SecurityToken", token)));
    // A caller may name them in headers alone, which are not signed.
    let is_named = |name: &&str| call.pairs.get(name).is_some_and(|value| !value.is_empty());
    let of_call: &[&str] = if CALL.iter().all(is_named) {
        &[]
    } else {
        own.extend([("Action", call.action), ("Version", call.version)]);
        &CALL
    };
    let gone = [&CREDENTIALS[..], &OF_V1[..], of_call];
    let stays = |name: &str| !gone.iter().any(|names| names.contains(&name));
    let mut pairs: Vec<(&str, &str)> = call
        .pairs
        .as_slice()
        .iter()
        .map(|(name, value)| (name.as_ref(), value.as_ref()))
        .filter(|(name, _)| stays(name))
        .collect();
    pairs.extend(&own);
    let text = signature_v1::string_to_sign(&parts.method, &pairs);
    let signature = signature_v1::sign(method, &key.secret, &text);
    own.push(("Signature", &signature));

    let mut query = without(&parts.query, &gone).into_owned();
    let mut body = form(parts).map(|form| without(form, &gone).into_owned());
    let was_in_form = form(parts).is_some_and(|form| {
        let pairs = parse_pairs("", Some(form.as_bytes())).unwrap_or_default();
        pairs.get("Signature").is_some()
    });
    let target = match &mut body {
        Some(body) if was_in_form => body,
        _ => &mut query,
    };
    for (name, value) in own {
        append(target, name, value);
    }
    Signed {
        url: at(endpoint, &query),
        headers: passed(parts),
        body: body.map_or_else(|| parts.body.clone(), Bytes::from),
    }
}

fn by_headers(
    call: Call<'_>,
    endpoint: &Url,
    key: &AccessKey,
    stamp: &Stamp,
) -> Result<Signed, SignatureError> {
    let parts = call.parts;
    // What belongs to the other signature would say something else of ours: a SignatureType that is a bearer token's, say.
    let gone = [&CREDENTIALS[..], &OF_V1[..]];
    let query = without(&parts.query, &gone);
    let body = match form(parts) {
        Some(text) => match without(text, &gone) {
            Cow::Borrowed(_) => parts.body.clone(),
            Cow::Owned(text) => Bytes::from(text),
        },
        None => parts.body.clone(),
    };
    let mut headers = passed(parts);
    let goes_on = |name: &str| name.starts_with("x-acs-") && !OF_ACS3.contains(&name);
    let others = parts.headers.iter().filter(|(name, _)| goes_on(name));
    headers.extend(others.cloned());
    let hash = signature_v3::body_hash(&body);
    let time = wire_time::to_api(stamp.at);
    let own = [
        ("x-acs-action", call.action),
        ("x-acs-content-sha256", &hash),
        ("x-acs-date", &time),
        ("x-acs-signature-nonce", &stamp.nonce),
        ("x-acs-version", call.version),
    ];
    let token = key.token.as_deref();
    let token = token.map(|token| ("x-acs-security-token", token));
    let own = own.into_iter().chain(token);
    headers.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
    headers.push(("host".to_owned(), host::header_of(endpoint)));

    let is_signed =
        |name: &str| name.starts_with("x-acs-") || matches!(name, "host" | "content-type");
    let mut names: Vec<&str> = headers
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| is_signed(name))
        .collect();
    names.sort_unstable();
    names.dedup();
    let names = names.join(";");
    let pairs = parse_pairs(&query, None).unwrap_or_default();
    let signing = signature_v3::Parts {
        method: &parts.method,
        path: "/",
        query: pairs.as_slice(),
        headers: &headers,
        body: &body,
    };
    let authorization = signature_v3::sign(&signing, &key.id, &key.secret, &names)?;
    headers.retain(|(name, _)| name != "host");
    headers.push(("authorization".to_owned(), authorization));
    Ok(Signed {
        url: at(endpoint, &query),
        headers,
        body,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::signature_v3::Authorization;

    fn key() -> AccessKey {
        AccessKey {
            id: "up-id".to_owned(),
            secret: "up-secret".to_owned(),
            token: Some("up token+".to_owned()),
            disabled: false,
        }
    }

    fn stamp() -> Stamp {
        Stamp {
            at: 1_772_330_400_000,
            nonce: "n-1".to_owned(),
        }
    }

    fn endpoint() -> Url {
        Url::parse("http://up.example.com:8443").unwrap()
    }

    fn parts(method: &str, query: &str, form: Option<&str>) -> HttpParts {
        let mut headers = vec![("user-agent".to_owned(), "sdk/1".to_owned())];
        if form.is_some() {
            let of_form = "application/x-www-form-urlencoded; charset=utf-8";
            headers.push(("content-type".to_owned(), of_form.to_owned()));
        }
        HttpParts {
            method: method.to_owned(),
            path: "/".to_owned(),
            query: query.to_owned(),
            headers,
            body: Bytes::copy_from_slice(form.unwrap_or_default().as_bytes()),
            ..HttpParts::default()
        }
    }

    fn call<'a>(parts: &'a HttpParts, pairs: &'a Pairs<'a>, acs3: bool) -> Call<'a> {
        Call {
            action: "AddLiveDomain",
            version: "2016-11-01",
            format: Format::Json,
            acs3,
            parts,
            pairs,
        }
    }

    fn pairs_of(parts: &HttpParts) -> Pairs<'_> {
        let form = parts.is_form().then_some(&parts.body[..]);
        parse_pairs(&parts.query, form).unwrap()
    }

    /// The request as the upstream sees it.
    fn arrived(signed: &Signed, method: &str) -> HttpParts {
        HttpParts {
            method: method.to_owned(),
            path: "/".to_owned(),
            query: signed.url.query().unwrap_or_default().to_owned(),
            headers: signed
                .headers
                .iter()
                .cloned()
                .chain([("host".to_owned(), host::header_of(&signed.url))])
                .collect(),
            body: signed.body.clone(),
            ..HttpParts::default()
        }
    }

    fn check_v1(signed: &Signed, method: &str) {
        let arrived = arrived(signed, method);
        let pairs = pairs_of(&arrived);
        signature_v1::verify(method, &pairs, "up-secret").unwrap();
        assert_eq!(pairs.get("AccessKeyId"), Some("up-id"));
        assert_eq!(pairs.get("SecurityToken"), Some("up token+"));
        assert_eq!(pairs.get("SignatureNonce"), Some("n-1"));
    }

    fn check_acs3(signed: &Signed, method: &str) {
        let arrived = arrived(signed, method);
        let query = parse_pairs(&arrived.query, None).unwrap();
        let header = arrived.header("authorization").unwrap();
        let authorization = Authorization::parse(header).unwrap();
        assert_eq!(authorization.credential, "up-id");
        let signing = signature_v3::Parts {
            method,
            path: "/",
            query: query.as_slice(),
            headers: &arrived.headers,
            body: &arrived.body,
        };
        signature_v3::verify(&signing, &authorization, "up-secret").unwrap();
    }

    #[test]
    fn a_signature_in_the_query_is_made_anew_and_the_rest_keeps_its_text() {
        let query = "Format=JSON&AccessKeyId=testid&Action=AddLiveDomain&DomainName=a%2eb&X=a+b&Signature=old&SignatureNonce=o&Timestamp=t&SignatureMethod=HMAC-SHA256&Version=2016-11-01&SecurityToken=tell-nobody";
        let parts = parts("GET", query, None);
        let pairs = pairs_of(&parts);
        let signed = signed(call(&parts, &pairs, false), &endpoint(), &key(), &stamp()).unwrap();
        let sent = signed.url.query().unwrap();
        assert!(sent.starts_with(
            "Format=JSON&Action=AddLiveDomain&DomainName=a%2eb&X=a+b&Version=2016-11-01&AccessKeyId=up-id&SignatureMethod=HMAC-SHA256&"
        ), "{sent}");
        for gone in ["testid", "tell-nobody", "old", "up-secret"] {
            assert!(!sent.contains(gone), "{gone}: {sent}");
        }
        check_v1(&signed, "GET");
    }

    #[test]
    fn a_signature_in_the_form_stays_in_the_form() {
        let form =
            "Action=AddLiveDomain&Signature=old&AccessKeyId=testid&Version=2016-11-01&A=%E4%B8%AD";
        let parts = parts("POST", "B=1", Some(form));
        let pairs = pairs_of(&parts);
        let signed = signed(call(&parts, &pairs, false), &endpoint(), &key(), &stamp()).unwrap();
        assert_eq!(signed.url.query(), Some("B=1"));
        let body = std::str::from_utf8(&signed.body).unwrap();
        assert!(
            body.starts_with(
                "Action=AddLiveDomain&Version=2016-11-01&A=%E4%B8%AD&AccessKeyId=up-id&"
            )
        );
        check_v1(&signed, "POST");
    }

    #[test]
    fn an_action_that_a_header_named_becomes_a_parameter() {
        for query in ["Signature=x", "Signature=x&Action=&Version=2016-11-01"] {
            let parts = parts("GET", query, None);
            let pairs = pairs_of(&parts);
            let signed =
                signed(call(&parts, &pairs, false), &endpoint(), &key(), &stamp()).unwrap();
            let arrived = arrived(&signed, "GET");
            let pairs = pairs_of(&arrived);
            assert_eq!(pairs.get("Action"), Some("AddLiveDomain"));
            assert_eq!(pairs.get("Version"), Some("2016-11-01"));
            check_v1(&signed, "GET");
        }
    }

    #[test]
    fn a_signature_in_the_headers_is_made_anew() {
        let mut parts = parts(
            "POST",
            "DomainName=a%2eb&BearerToken=tell-nobody",
            Some("A=1"),
        );
        for (name, value) in [
            ("authorization", "ACS3-HMAC-SHA256 Credential=testid,…"),
            ("x-acs-action", "AddLiveDomain"),
            ("x-acs-version", "2016-11-01"),
            ("x-acs-date", "old"),
            ("x-acs-security-token", "tell-nobody"),
            ("x-acs-region-id", "cn-shanghai"),
            ("cookie", "tell-nobody"),
            ("accept", "application/json"),
        ] {
            parts.headers.push((name.to_owned(), value.to_owned()));
        }
        let pairs = pairs_of(&parts);
        let signed = signed(call(&parts, &pairs, true), &endpoint(), &key(), &stamp()).unwrap();
        assert_eq!(signed.url.query(), Some("DomainName=a%2eb"));
        assert_eq!(&signed.body[..], b"A=1");
        let shown = format!("{signed:?}");
        for gone in ["testid", "tell-nobody", "up-secret", "old"] {
            assert!(!shown.contains(gone), "{gone}: {shown}");
        }
        for there in ["cn-shanghai", "sdk/1", "application/json"] {
            assert!(shown.contains(there), "{there}: {shown}");
        }
        check_acs3(&signed, "POST");
    }

    #[test]
    fn nothing_of_another_signature_stays_beside_that_of_the_headers() {
        let of_v1 = "SignatureType=BEARERTOKEN&SignatureMethod=HMAC-SHA1&SignatureVersion=1.0&SignatureNonce=n&Timestamp=t";
        let mut parts = parts(
            "POST",
            &format!("DomainName=a%2eb&{of_v1}&BearerToken=tell-nobody"),
            Some(&format!("A=1&{of_v1}")),
        );
        let authorization = "ACS3-HMAC-SHA256 Credential=testid,…";
        let authorization = ("authorization".to_owned(), authorization.to_owned());
        parts.headers.push(authorization);
        let pairs = pairs_of(&parts);
        let signed = signed(call(&parts, &pairs, true), &endpoint(), &key(), &stamp()).unwrap();
        assert_eq!(signed.url.query(), Some("DomainName=a%2eb"));
        assert_eq!(&signed.body[..], b"A=1");
        check_acs3(&signed, "POST");
    }

    proptest! {
        #[test]
        fn whatever_the_parameters_are_they_arrive_and_the_signature_is_good(
            given in prop::collection::vec(("[A-Za-z.0-9]{1,12}", "\\PC{0,12}"), 0..8),
            form in any::<bool>(),
            acs3 in any::<bool>(),
        ) {
            let mut raw = String::new();
            for (name, value) in &given {
                append(&mut raw, name, value);
            }
            let own = "Action=AddLiveDomain&Version=2016-11-01&Signature=x";
            let mut parts = if form {
                parts("POST", "", Some(&format!("{raw}&{own}")))
            } else {
                parts("GET", &format!("{raw}&{own}"), None)
            };
            if acs3 {
                parts.headers.push(("authorization".to_owned(), "ACS3-HMAC-SHA256 x".to_owned()));
            }
            let pairs = pairs_of(&parts);
            let signed = signed(call(&parts, &pairs, acs3), &endpoint(), &key(), &stamp()).unwrap();
            if acs3 {
                check_acs3(&signed, &parts.method);
            } else {
                check_v1(&signed, &parts.method);
            }
            let arrived = arrived(&signed, &parts.method);
            let got = pairs_of(&arrived);
            let own: Vec<&str> = CREDENTIALS.into_iter().chain(OF_V1).chain(["Action", "Version"]).collect();
            let business = |pairs: &Pairs<'_>| -> Vec<(String, String)> {
                let all = pairs.as_slice().iter().filter(|(name, _)| !own.contains(&name.as_ref()));
                all.map(|(name, value)| (name.to_string(), value.to_string())).collect()
            };
            prop_assert_eq!(business(&got), business(&pairs));
        }
    }
}
