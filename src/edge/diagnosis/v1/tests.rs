//! What clients do wrong with signature V1, each planted and found.

use std::collections::HashSet;

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use super::super::search::WORK;
use super::super::{Diagnosis, examine};
use super::*;

const SECRET: &str = "s3cret";
/// Characters that encoders treat differently, names that sort differently, and an empty value.
const RICH: &str =
    "Zeta=a%20b%2Ac~d%2Fe%3Af%28%29%27%21%26&alpha=1&List=x&List.1=y&Empty=&Void=&Stern=%E4%B8%AD";

fn parts(method: &str, query: &str, form: &str) -> HttpParts {
    let kind = "application/x-www-form-urlencoded";
    HttpParts {
        method: method.to_owned(),
        path: "/".to_owned(),
        query: query.to_owned(),
        headers: if form.is_empty() {
            Vec::new()
        } else {
            vec![("content-type".to_owned(), kind.to_owned())]
        },
        body: form.to_owned().into(),
        authority: None,
        local: true,
        peer: None,
    }
}

/// A text signed by the definition of HMAC-SHA1, with none of the code under test.
fn signed(key: &str, text: &str) -> String {
    let mut mac = <Hmac<Sha1> as KeyInit>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

/// A request of these parameters that carries this signature.
fn carrying(query: &str, signature: &str) -> HttpParts {
    parts(
        "GET",
        &format!("{query}&Signature={}", percent::encode(signature)),
        "",
    )
}

fn found(parts: &HttpParts) -> Diagnosis {
    examine(parts, SECRET).unwrap()
}

#[test]
fn every_mistake_is_found_and_told_by_its_own_words() {
    let json = "{\"DomainName\":\"d\",\"Count\":2}";
    let with_form = || {
        parts(
            "POST",
            &format!("{RICH}&Plus=a+b&Signature=x"),
            "Deep=1&Form=2",
        )
    };
    let mut with_json = with_form();
    with_json.headers.clear();
    with_json.body = json.into();
    with_json.path = "/live".to_owned();
    let mut seen = HashSet::new();
    let mut names = HashSet::new();
    for original in [with_form(), with_json] {
        let request = Request::read(&original).unwrap();
        for mistake in mistakes(&request) {
            let mut way = RIGHT;
            (mistake.change)(&mut way);
            let text = request.text(&way);
            // Some have no effect on one of the two requests.
            let signature = request.signature(&way, &text, SECRET);
            if signature == request.signature(&RIGHT, &request.text(&RIGHT), SECRET) {
                continue;
            }
            assert!(seen.insert(signature.clone()), "{}", mistake.words);
            let mut sent = original.clone();
            sent.query = format!("{RICH}&Plus=a+b&Signature={}", percent::encode(&signature));
            let diagnosis = found(&sent);
            assert_eq!(diagnosis.mistakes.join("; "), mistake.words.to_string());
            assert_eq!(diagnosis.client_string.as_deref(), Some(text.as_str()));
            let differs = text != request.text(&RIGHT);
            assert_eq!(diagnosis.first_difference.is_some(), differs);
            names.insert(mistake.words.to_string());
        }
    }
    let all = mistakes(&Request::read(&with_form()).unwrap());
    let missed: Vec<String> = all
        .iter()
        .map(|mistake| mistake.words.to_string())
        .filter(|words| !names.contains(words))
        .collect();
    assert_eq!(missed, Vec::<&str>::new());
}

#[test]
fn strings_written_by_hand_are_recovered() {
    let query = "AccessKeyId=testid&Action=X&StreamName=a%20b%2A";
    let right = "GET&%2F&AccessKeyId%3Dtestid%26Action%3DX%26StreamName%3Da%2520b%252A";
    let rows = [
        ("s3cret", right, "without the `&`"),
        (
            "s3cret&",
            "POST&%2F&AccessKeyId%3Dtestid%26Action%3DX%26StreamName%3Da%2520b%252A",
            "swapped",
        ),
        (
            "s3cret&",
            "GET&%2F&AccessKeyId%3Dtestid%26Action%3DX%26StreamName%3Da%2Bb%252A",
            "`+` for a space",
        ),
        (
            "s3cret&",
            "GET&%2F&AccessKeyId%3Dtestid%26Action%3DX%26StreamName%3Da%2520b%2A",
            "`*` kept",
        ),
        (
            "s3cret&",
            "GET&%2F&AccessKeyId%3Dtestid%26Action%3DX%26StreamName%3Da%20b%2A",
            "not percent-encoded",
        ),
        (
            "s3cret&",
            "GET&%2F&AccessKeyId=testid&Action=X&StreamName=a%20b%2A",
            "the second time, not percent-encoded",
        ),
        (
            "s3cret&",
            "GET&%2F&AccessKeyId%3Dtestid%26Action%3DX",
            "StreamName is not signed",
        ),
    ];
    for (key, text, words) in rows {
        let diagnosis = found(&carrying(query, &signed(key, text)));
        assert!(diagnosis.finding.contains(words), "{words}: {diagnosis:?}");
        assert_eq!(diagnosis.server_string, right);
        assert_eq!(diagnosis.client_string.as_deref(), Some(text));
    }
    let plus = found(&carrying(
        query,
        &signed(
            "s3cret&",
            "GET&%2F&AccessKeyId%3Dtestid%26Action%3DX%26StreamName%3Da%2Bb%252A",
        ),
    ));
    let difference = plus.first_difference.unwrap();
    assert_eq!(difference.at, 60);
    assert!(difference.client.ends_with("StreamName%3Da%2Bb%252A"));
    assert!(difference.server.ends_with("StreamName%3Da%2520b%252A"));
}

#[test]
fn two_mistakes_at_once_are_found() {
    let text = "GET&%2F&Action%3DX%26StreamName%3Da%2Bb";
    let diagnosis = found(&carrying(
        "Action=X&StreamName=a%20b",
        &signed("s3cret", text),
    ));
    assert_eq!(diagnosis.mistakes.len(), 2, "{diagnosis:?}");
    assert!(diagnosis.finding.contains("without the `&`"));
    let three = "POST&%2F&StreamName%3Da%2Bb%26Action%3DX";
    let diagnosis = found(&carrying(
        "StreamName=a%20b&Action=X",
        &signed("s3cret&", three),
    ));
    // Three are more than what is tried.
    assert_eq!(diagnosis.client_string, None);
}

#[test]
fn a_signature_that_suffered_on_the_wire_is_recognised() {
    let query = |signature: &str| format!("Action=X&N={signature}&Signature=");
    let signature = (0..)
        .map(|n: u32| {
            (
                n,
                signed("s3cret&", &format!("GET&%2F&Action%3DX%26N%3D{n}")),
            )
        })
        .find(|(_, signature)| signature.contains('+'))
        .unwrap();
    let (n, signature) = signature;
    let raw = parts("GET", &format!("{}{signature}", query(&n.to_string())), "");
    assert!(found(&raw).finding.contains("arrived as a space"));
    let twice = percent::encode(&percent::encode(&signature));
    let twice = parts("GET", &format!("{}{twice}", query(&n.to_string())), "");
    assert!(
        found(&twice)
            .finding
            .contains("once too often when it was sent")
    );
    let good = parts(
        "GET",
        &format!("{}{}", query(&n.to_string()), percent::encode(&signature)),
        "",
    );
    assert_eq!(found(&good).finding, "The signature is the right one.");
}

#[test]
fn without_a_match_ours_is_shown_and_never_a_secret() {
    let query = "Action=X&SecurityToken=t0ken&AccessKeySecret=s3cret&NotifyAuthKey=k3y";
    let diagnosis = found(&carrying(query, "AAAA"));
    assert_eq!(
        (diagnosis.client_string, diagnosis.first_difference),
        (None, None)
    );
    assert!(diagnosis.finding.contains("another secret"));
    assert!(diagnosis.server_string.contains("SecurityToken%3Dmasked"));
    let text = "POST&%2F&AccessKeySecret%3Ds3cret%26Action%3DX%26NotifyAuthKey%3Dk3y%26SecurityToken%3Dt0ken";
    let recovered = found(&carrying(query, &signed("s3cret&", text)));
    let shown = serde_json::to_string(&recovered).unwrap();
    assert!(recovered.client_string.is_some());
    for secret in ["s3cret", "t0ken", "k3y"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn the_work_is_bounded_whatever_comes() {
    let many: String = (0..100)
        .map(|n| format!("P{n}={}&", "*".repeat(20)))
        .collect();
    let sent = parts("GET", &format!("{many}Signature=x"), "");
    let request = Request::read(&sent).unwrap();
    let length = request.text(&RIGHT).len();
    let recovered = recover(&sent, SECRET).unwrap();
    // Other spellings are shorter or longer than ours, at most by half here.
    assert!(
        recovered.tries * length / 2 <= WORK,
        "{} tries",
        recovered.tries
    );
    assert!(recovered.tries > 50);
}
