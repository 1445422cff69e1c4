//! What clients do wrong with ACS3, each planted and found.

use std::collections::HashSet;

use super::super::{Diagnosis, examine};
use super::*;

const SECRET: &str = "s3cret";
const LIST: &str = "x-acs-version;host;x-acs-action;x-acs-content-sha256;x-acs-date";
const QUERY: &str = "Zeta=a%20b%2Ac~d%2Fe%3Af%28%29%27%21%26&alpha=1&List=x&List.1=y&Empty=&Void=";

fn parts(query: &str, form: &str, signature: &str) -> HttpParts {
    let pair = |name: &str, value: String| (name.to_owned(), value);
    HttpParts {
        method: "POST".to_owned(),
        path: "/".to_owned(),
        query: query.to_owned(),
        headers: vec![
            pair("host", "Live.Example.com:8080".to_owned()),
            pair(
                "content-type",
                "application/x-www-form-urlencoded".to_owned(),
            ),
            pair("x-acs-action", "AddLiveAppRecordConfig".to_owned()),
            pair("x-acs-version", "2016-11-01".to_owned()),
            pair("x-acs-date", "2026-03-01T00:00:00Z".to_owned()),
            pair(CONTENT_HASH, signature_v3::body_hash(form.as_bytes())),
            pair(
                "authorization",
                format!("{ALGORITHM} Credential=testid,SignedHeaders={LIST},Signature={signature}"),
            ),
        ],
        body: form.to_owned().into(),
        authority: None,
        local: true,
        peer: None,
    }
}

fn found(parts: &HttpParts) -> Diagnosis {
    examine(parts, SECRET).unwrap()
}

/// A string to sign, signed.
fn signed(text: &str) -> String {
    signature_v3::signature(SECRET, text)
}

#[test]
fn every_mistake_is_found_and_told_by_its_own_words() {
    let mut seen = HashSet::new();
    let mut names = HashSet::new();
    let mut elsewhere = parts(QUERY, "Form=1", "x");
    elsewhere.path = "/live".to_owned();
    for (header, value) in &mut elsewhere.headers {
        if header == CONTENT_HASH {
            *value = signature_v3::body_hash(b"something else");
        }
    }
    let usual = parts(QUERY, "Form=1", "x");
    let all = mistakes(&Request::read(&usual).unwrap());
    for original in [usual, elsewhere] {
        let request = Request::read(&original).unwrap();
        let wrong_hash = request.claimed != request.actual;
        let right = request.signature(&AS_SENT, &request.canonical(&AS_SENT), SECRET);
        for mistake in mistakes(&request) {
            let mut way = AS_SENT;
            (mistake.change)(&mut way);
            let canonical = request.canonical(&way);
            let signature = request.signature(&way, &canonical, SECRET);
            if signature == right {
                continue;
            }
            assert!(seen.insert(signature.clone()), "{}", mistake.words);
            let mut sent = original.clone();
            for (header, value) in &mut sent.headers {
                if header == "authorization" {
                    *value = value.replace("Signature=x", &format!("Signature={signature}"));
                }
            }
            let diagnosis = found(&sent);
            assert!(
                diagnosis.words.mistakes.contains(&mistake.words),
                "{} {diagnosis:?}",
                mistake.words
            );
            assert_eq!(
                diagnosis.mistakes.len(),
                1 + usize::from(wrong_hash && way.body == Body::Claimed)
            );
            assert_eq!(diagnosis.client_string.as_deref(), Some(canonical.as_str()));
            names.insert(mistake.words.to_string());
        }
    }
    let missed: Vec<String> = all
        .iter()
        .map(|mistake| mistake.words.to_string())
        .filter(|words| !names.contains(words))
        .collect();
    assert_eq!(missed, Vec::<&str>::new());
}

#[test]
fn strings_written_by_hand_are_recovered() {
    let hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let canonical = |host: &str, query: &str, end: &str| {
        format!(
            "POST\n/\n{query}\nx-acs-version:2016-11-01\nhost:{host}\nx-acs-action:AddLiveAppRecordConfig\n\
             x-acs-content-sha256:{hash}\nx-acs-date:2026-03-01T00:00:00Z\n\n{LIST}\n{hash}{end}"
        )
    };
    let right = canonical("Live.Example.com:8080", "A=1&B=a%20b", "");
    let rows = [
        (
            canonical("Live.Example.com", "A=1&B=a%20b", ""),
            "without its port",
        ),
        (
            canonical("Live.Example.com:8080", "B=a%20b&A=1", ""),
            "not sorted",
        ),
        (
            canonical("Live.Example.com:8080", "A=1&B=a+b", ""),
            "`+` for a space",
        ),
        (
            canonical("Live.Example.com:8080", "A=1&B=a%2520b", ""),
            "once too often",
        ),
        (
            canonical("Live.Example.com:8080", "A=1&B=a%20b", "\n"),
            "line feed stands after the canonical",
        ),
        (
            canonical("Live.Example.com:8080", "A=1", ""),
            "parameter B is not signed",
        ),
    ];
    for (text, words) in rows {
        let signature = signed(&signature_v3::string_to_sign(&text));
        let diagnosis = found(&parts("B=a%20b&A=1", "", &signature));
        assert!(diagnosis.finding.contains(words), "{words}: {diagnosis:?}");
        assert_eq!(diagnosis.client_string.as_deref(), Some(text.as_str()));
        assert_eq!(diagnosis.server_string, right);
        assert!(diagnosis.first_difference.is_some());
    }
    let unhashed = found(&parts("B=a%20b&A=1", "", &signed(&right)));
    assert_eq!(unhashed.first_difference, None);
    assert!(
        unhashed
            .finding
            .starts_with("The client signed it wrongly: the canonical request alone")
    );
}

#[test]
fn a_wrong_body_hash_is_told_with_what_else_is_wrong() {
    let mut sent = parts(QUERY, "Form=1", "x");
    for (header, value) in &mut sent.headers {
        if header == CONTENT_HASH {
            *value = signature_v3::body_hash(b"");
        }
    }
    let request = Request::read(&sent).unwrap();
    let signature = request.signature(&AS_SENT, &request.canonical(&AS_SENT), SECRET);
    for (header, value) in &mut sent.headers {
        if header == "authorization" {
            *value = value.replace("Signature=x", &format!("Signature={signature}"));
        }
    }
    let diagnosis = found(&sent);
    assert_eq!(
        diagnosis.mistakes,
        ["x-acs-content-sha256 is the hash of an empty body, and the request has one"]
    );
    let difference = diagnosis.first_difference.unwrap();
    assert!(difference.client.contains("e3b0c442"), "{difference:?}");
}

#[test]
fn without_a_match_ours_is_shown_and_never_a_secret() {
    let mut sent = parts("Name=s3cret", "", "00");
    sent.headers
        .push(("x-acs-security-token".to_owned(), "t0ken".to_owned()));
    for (header, value) in &mut sent.headers {
        if header == "authorization" {
            *value = value.replace(LIST, &format!("{LIST};x-acs-security-token"));
        }
    }
    let diagnosis = found(&sent);
    assert!(diagnosis.finding.contains("another secret"));
    assert!(
        diagnosis
            .server_string
            .contains("x-acs-security-token:masked\n")
    );
    let shown = serde_json::to_string(&diagnosis).unwrap();
    assert!(
        !shown.contains("t0ken") && !shown.contains("s3cret"),
        "{shown}"
    );
}
