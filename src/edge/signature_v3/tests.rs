//! ACS3 against the vectors of `fixtures/signature/acs3.json`, unchanged and with one byte changed.

use serde_json::Value;

use super::*;
use crate::wire::params::parse_pairs;

type Headers = Vec<(String, String)>;

/// A vector, owned.
struct Vector {
    method: String,
    query: Vec<Pair<'static>>,
    headers: Headers,
    body: Vec<u8>,
    secret: String,
    row: Value,
}

impl Vector {
    fn parts(&self) -> Parts<'_> {
        Parts {
            method: &self.method,
            path: "/",
            query: &self.query,
            headers: &self.headers,
            body: &self.body,
        }
    }

    fn authorization(&self) -> String {
        let signed: Vec<&str> = self.row["signed_headers"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let signature = self.row["signature"].as_str().unwrap();
        format!(
            "{ALGORITHM} Signature={signature}, Credential=testid, SignedHeaders={}",
            signed.join(";")
        )
    }

    fn verify(&self) -> Result<(), SignatureError> {
        let header = self.authorization();
        verify(
            &self.parts(),
            &Authorization::parse(&header).unwrap(),
            &self.secret,
        )
    }
}

fn owned(pairs: Headers) -> Vec<Pair<'static>> {
    let owned = pairs.into_iter();
    owned
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

fn vectors() -> Vec<Vector> {
    let json: Value =
        serde_json::from_str(include_str!("../../../fixtures/signature/acs3.json")).unwrap();
    let rows = json["rows"].as_array().unwrap();
    assert!(rows.len() >= 20, "vectors are missing");
    rows.iter()
        .map(|row| {
            let text = |key: &str| row[key].as_str().unwrap().to_owned();
            let target = text("target");
            let query = target.split_once('?').map_or("", |(_, query)| query);
            let values = row["header_values"].as_object().unwrap();
            Vector {
                method: text("method"),
                query: owned(parse_pairs(query, None).unwrap().into_owned()),
                headers: values
                    .iter()
                    .map(|(k, v)| (k.to_uppercase(), format!(" {} ", v.as_str().unwrap())))
                    .collect(),
                body: text("body").into_bytes(),
                secret: text("access_key_secret"),
                row: row.clone(),
            }
        })
        .collect()
}

#[test]
fn every_vector_verifies_and_its_texts_are_ours() {
    for vector in vectors() {
        let signed: Vec<&str> = vector.row["signed_headers"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let canonical =
            canonical_request(&vector.parts(), &signed.join(";"), &body_hash(&vector.body))
                .unwrap();
        assert_eq!(canonical, vector.row["canonical_request"].as_str().unwrap());
        assert_eq!(
            string_to_sign(&canonical),
            vector.row["string_to_sign"].as_str().unwrap()
        );
        assert_eq!(vector.verify(), Ok(()), "{}", vector.row["source"]);
    }
}

#[test]
fn one_changed_byte_anywhere_is_refused() {
    let mismatch =
        |result: Result<(), SignatureError>| matches!(result, Err(SignatureError::Mismatch { .. }));
    for mut vector in vectors() {
        for at in 0..vector.query.len() {
            vector.query[at].1.to_mut().push('x');
            assert!(mismatch(vector.verify()));
            vector.query[at].1.to_mut().pop();
        }
        for at in 0..vector.headers.len() {
            let kept = vector.headers[at].1.clone();
            vector.headers[at].1 = format!("{}x", kept.trim());
            let expected_hash_error = vector.headers[at].0.eq_ignore_ascii_case(CONTENT_HASH);
            let result = vector.verify();
            assert!(if expected_hash_error {
                result == Err(SignatureError::BodyHash)
            } else {
                mismatch(result)
            });
            vector.headers[at].1 = kept;
        }
        vector.body.push(b'x');
        assert_eq!(vector.verify(), Err(SignatureError::BodyHash));
        vector.body.pop();
        vector.secret.push('x');
        assert!(mismatch(vector.verify()));
    }
}

#[test]
fn what_we_sign_we_accept() {
    let Some(vector) = vectors().into_iter().next() else {
        panic!("there are vectors")
    };
    let signed =
        "host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version";
    let mut parts = vector.parts();
    let headers: Headers = parts
        .headers
        .iter()
        .filter(|(name, _)| {
            signed
                .split(';')
                .any(|listed| name.eq_ignore_ascii_case(listed))
        })
        .cloned()
        .collect();
    parts.headers = &headers;
    let header = sign(&parts, "testid", "testsecret", signed).unwrap();
    let authorization = Authorization::parse(&header).unwrap();
    assert_eq!(authorization.credential, "testid");
    assert_eq!(verify(&parts, &authorization, "testsecret"), Ok(()));
    let absent = sign(&parts, "testid", "testsecret", "host;x-acs-nothing");
    assert_eq!(absent, Err(SignatureError::Absent("x-acs-nothing".into())));
}

#[test]
fn headers_that_matter_must_be_signed() {
    for mut vector in vectors() {
        for required in REQUIRED {
            let header = vector
                .authorization()
                .replace(&format!("{required};"), "")
                .replace(&format!(";{required}"), "");
            let result = verify(
                &vector.parts(),
                &Authorization::parse(&header).unwrap(),
                &vector.secret,
            );
            assert_eq!(result, Err(SignatureError::Unsigned(required.to_owned())));
        }
        vector.headers.push(("X-Acs-Unsigned".into(), "1".into()));
        assert_eq!(
            vector.verify(),
            Err(SignatureError::Unsigned("x-acs-unsigned".into()))
        );
    }
}

#[test]
fn odd_authorization_headers_are_refused() {
    let refused = |header: &str| Authorization::parse(header).unwrap_err();
    let sm3 = "ACS3-HMAC-SM3 Credential=a,SignedHeaders=b,Signature=c";
    assert!(Authorization::is_acs3(sm3));
    assert_eq!(
        refused(sm3),
        SignatureError::Algorithm("ACS3-HMAC-SM3".into())
    );
    for bad in [
        "ACS3-HMAC-SHA256",
        "ACS3-HMAC-SHA256 Credential",
        "ACS3-HMAC-SHA256 Credential=a,SignedHeaders=b",
        "ACS3-HMAC-SHA256 Credential=,SignedHeaders=b,Signature=c",
        "ACS3-HMAC-SHA256 Credential=a,Credential=a,SignedHeaders=b,Signature=c",
    ] {
        assert!(
            matches!(refused(bad), SignatureError::Malformed(_)),
            "{bad}"
        );
    }
    let long = format!(
        "ACS3-HMAC-SHA256 Credential=a,SignedHeaders={},Signature=c",
        "b".repeat(MAX_AUTHORIZATION)
    );
    assert_eq!(refused(&long), SignatureError::Malformed("it is too long"));
    assert!(!Authorization::is_acs3("Bearer x"));
    assert!(!Authorization::is_acs3("é"));
}

#[test]
fn refusals_have_the_codes_of_the_gateway() {
    let code = |error: SignatureError| ApiError::from(error).code;
    assert_eq!(
        code(SignatureError::Algorithm("ACS3-HMAC-SM3".into())),
        Code::InvalidSignatureMethod
    );
    assert_eq!(
        code(SignatureError::Unsigned("x-acs-date".into())),
        Code::IncompleteSignature
    );
    let body = ApiError::from(SignatureError::BodyHash);
    assert_eq!(body.code, Code::SignatureDoesNotMatch);
    assert_eq!(body.message.matches(':').count(), 1);
    let mismatch = SignatureError::Mismatch {
        string_to_sign: "S".into(),
        canonical_request: "C".into(),
    };
    assert!(
        ApiError::from(mismatch)
            .message
            .ends_with("server StringToSign is [S] server CanonicalRequest is [C]")
    );
}
