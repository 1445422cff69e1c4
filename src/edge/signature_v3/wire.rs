//! Every request of `fixtures/wire`, as 14 client builds sent it, through both signature schemes: accepted as sent,
//! refused with one byte changed.

use std::path::Path;

use serde_json::Value;

use crate::diagnosis::examine;
use crate::wire::http_parts::HttpParts;
use crate::wire::params::{Pairs, Tree, parse_pairs};
use crate::{signature_v1, signature_v3};

const SECRET: &str = "testsecret";

struct Request {
    scheme: String,
    method: String,
    query: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Request {
    fn from_row(row: &Value) -> Self {
        let text = |key: &str| row[key].as_str().unwrap().to_owned();
        let pair = |h: &Value| {
            (
                h[0].as_str().unwrap().to_owned(),
                h[1].as_str().unwrap().to_owned(),
            )
        };
        Self {
            scheme: text("scheme"),
            method: text("method"),
            query: text("target")
                .split_once('?')
                .map_or(String::new(), |(_, query)| query.to_owned()),
            headers: row["headers"]
                .as_array()
                .unwrap()
                .iter()
                .map(pair)
                .collect(),
            body: text("body"),
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    fn form(&self) -> Option<&[u8]> {
        let is_form = self
            .header("content-type")
            .is_some_and(|t| t.starts_with("application/x-www-form-urlencoded"));
        is_form.then_some(self.body.as_bytes())
    }

    fn pairs(&self) -> Pairs<'_> {
        parse_pairs(&self.query, self.form()).unwrap()
    }

    fn parts(&self) -> HttpParts {
        let headers = self.headers.iter();
        HttpParts {
            method: self.method.clone(),
            path: "/".to_owned(),
            query: self.query.clone(),
            headers: headers
                .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
                .collect(),
            body: self.body.clone().into(),
            authority: None,
            local: true,
            peer: None,
        }
    }

    fn accepted(&self) -> bool {
        if self.scheme == "v1" {
            return signature_v1::verify(&self.method, &self.pairs(), SECRET).is_ok();
        }
        let query = parse_pairs(&self.query, None).unwrap();
        let parts = signature_v3::Parts {
            method: &self.method,
            path: "/",
            query: query.as_slice(),
            headers: &self.headers,
            body: self.body.as_bytes(),
        };
        let header = self.header("authorization").unwrap();
        signature_v3::Authorization::parse(header)
            .and_then(|authorization| signature_v3::verify(&parts, &authorization, SECRET))
            .is_ok()
    }
}

fn requests() -> Vec<Request> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/wire");
    let mut requests = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            let json: Value =
                serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
            requests.extend(
                json["rows"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(Request::from_row),
            );
        }
    }
    requests
}

#[test]
fn every_signed_request_of_every_client_is_accepted() {
    let (mut v1, mut v3, mut sm3) = (0, 0, 0);
    for request in requests() {
        match request.scheme.as_str() {
            "v1" => v1 += 1,
            "ACS3-HMAC-SHA256" => v3 += 1,
            "ACS3-HMAC-SM3" => {
                sm3 += 1;
                assert!(!request.accepted());
                continue;
            }
            _ => continue,
        }
        assert!(
            request.accepted(),
            "{} {} {}",
            request.scheme,
            request.method,
            request.query
        );
        Tree::from_pairs(&request.pairs()).unwrap();
    }
    assert_eq!((v1, v3, sm3), (102, 80, 1), "the fixtures changed");
}

#[test]
fn one_byte_changed_in_query_body_or_signed_header_is_refused() {
    for mut request in requests()
        .into_iter()
        .filter(|r| r.scheme == "v1" || r.scheme == "ACS3-HMAC-SHA256")
    {
        let query = request.query.clone();
        request.query = if query.is_empty() {
            "A=".to_owned()
        } else {
            format!("{query}x")
        };
        assert!(!request.accepted(), "query of {query}");
        request.query = query;

        let body_is_signed = request.scheme != "v1" || request.form().is_some();
        if body_is_signed && !request.body.is_empty() {
            request.body.push('x');
            assert!(!request.accepted(), "body of {}", request.query);
            request.body.pop();
        }
        if request.scheme == "v1" {
            continue;
        }
        let signed = request
            .header("authorization")
            .unwrap()
            .split("SignedHeaders=")
            .nth(1)
            .unwrap()
            .to_owned();
        let signed: Vec<String> = signed
            .split(',')
            .next()
            .unwrap()
            .split(';')
            .map(str::to_owned)
            .collect();
        for name in signed {
            let at = request
                .headers
                .iter()
                .position(|(key, _)| key.eq_ignore_ascii_case(&name))
                .unwrap();
            request.headers[at].1.push('x');
            assert!(!request.accepted(), "header {name}");
            request.headers[at].1.pop();
        }
        assert!(request.accepted());
    }
}

#[test]
fn a_good_request_is_diagnosed_as_right_and_one_of_another_secret_as_unknown() {
    let signed = |request: &Request| matches!(request.scheme.as_str(), "v1" | "ACS3-HMAC-SHA256");
    for (number, request) in requests().iter().filter(|r| signed(r)).enumerate() {
        let parts = request.parts();
        let diagnosis = examine(&parts, SECRET).unwrap();
        assert!(diagnosis.is_right(), "{} {diagnosis:?}", request.query);
        // The whole search is long in a debug build.
        if number % 10 == 0 {
            let other = examine(&parts, "another").unwrap();
            assert_eq!((other.mistakes.len(), other.client_string), (0, None));
            assert_eq!(other.server_string, diagnosis.server_string);
        }
    }
}
