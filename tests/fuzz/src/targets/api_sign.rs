//! The API's signatures: what is signed here verifies, one changed byte does not, and nothing verifies under another secret.

use localyun::testing::rpc::signature_v1;
use localyun::testing::rpc::signature_v3::{self, Authorization, Parts};
use localyun::testing::wire::params::{Pairs, parse_pairs};

use crate::input::Input;

const SECRET: &str = "testsecret";

struct Request<'a> {
    method: &'a str,
    path: &'a str,
    query: &'a str,
    headers: Vec<(String, String)>,
    body: &'a [u8],
}

fn read(data: &[u8]) -> Request<'_> {
    let mut input = Input::new(data);
    let (method, path, query) = (input.line(), input.line(), input.line());
    let mut headers = Vec::new();
    while !input.is_empty() && headers.len() < 200 {
        let line = input.line();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        headers.push((name.to_owned(), value.to_owned()));
    }
    Request {
        method,
        path,
        query,
        headers,
        body: input.rest(),
    }
}

fn v1(request: &Request<'_>) {
    let Ok(pairs) = parse_pairs(request.query, Some(request.body)) else {
        return;
    };
    let given = signature_v1::verify(request.method, &pairs, SECRET);
    if given.is_ok() {
        assert!(signature_v1::verify(request.method, &pairs, "othersecret").is_err());
    }
    // Sign it ourselves.
    let mut items: Vec<_> = pairs
        .as_slice()
        .iter()
        .filter(|(name, _)| {
            !matches!(
                name.as_ref(),
                "Signature" | "SignatureMethod" | "SignatureVersion"
            )
        })
        .cloned()
        .collect();
    let text = signature_v1::string_to_sign(request.method, &items);
    assert!(text.is_ascii() || !request.method.is_ascii());
    let signature = signature_v1::sign(signature_v1::Method::HmacSha1, SECRET, &text);
    items.push(("Signature".into(), signature.into()));
    let signed: Pairs<'_> = items.iter().cloned().collect();
    assert_eq!(
        signature_v1::verify(request.method, &signed, SECRET),
        Ok(())
    );
    let mut turned = items.clone();
    turned.reverse();
    let turned: Pairs<'_> = turned.into_iter().collect();
    assert_eq!(
        signature_v1::verify(request.method, &turned, SECRET),
        Ok(()),
        "the order does not count"
    );
    if let Some((_, value)) = items.first_mut().filter(|(name, _)| name != "Signature") {
        value.to_mut().push('x');
        let changed: Pairs<'_> = items.into_iter().collect();
        assert!(signature_v1::verify(request.method, &changed, SECRET).is_err());
    }
}

fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn v3(request: &Request<'_>) {
    let Ok(query) = parse_pairs(request.query, None) else {
        return;
    };
    let parts = |headers, body| Parts {
        method: request.method,
        path: request.path,
        query: query.as_slice(),
        headers,
        body,
    };
    let given = request
        .headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    if let Some((_, value)) = given {
        let is_acs3 = Authorization::is_acs3(value);
        if let Ok(authorization) = Authorization::parse(value) {
            assert!(is_acs3);
            assert!(!authorization.credential.is_empty() && !authorization.signature.is_empty());
            let parts = parts(&request.headers, request.body);
            if signature_v3::verify(&parts, &authorization, SECRET).is_ok() {
                assert!(signature_v3::verify(&parts, &authorization, "othersecret").is_err());
                let more = [request.body, b"x"].concat();
                let longer = Parts {
                    body: &more,
                    ..parts
                };
                assert!(signature_v3::verify(&longer, &authorization, SECRET).is_err());
            }
        }
    }
    // Sign it ourselves, with every header that can be named.
    let mut headers: Vec<_> = request
        .headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
        .filter(|(name, _)| {
            is_token(name)
                && name != "authorization"
                && !signature_v3::REQUIRED.contains(&name.as_str())
        })
        .take(40)
        .collect();
    for name in signature_v3::REQUIRED {
        headers.push((name.to_owned(), "2026-11-22T15:10:56Z".to_owned()));
    }
    if let Some((_, hash)) = headers
        .iter_mut()
        .find(|(name, _)| name == "x-acs-content-sha256")
    {
        *hash = signature_v3::body_hash(request.body);
    }
    let mut names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let signed_parts = parts(&headers, request.body);
    let header = signature_v3::sign(&signed_parts, "testid", SECRET, &names.join(";"))
        .expect("every listed header is there");
    let authorization = match Authorization::parse(&header) {
        Ok(authorization) => authorization,
        Err(error) => {
            assert!(header.len() > signature_v3::MAX_AUTHORIZATION, "{error}");
            return;
        }
    };
    assert_eq!(
        signature_v3::verify(&signed_parts, &authorization, SECRET),
        Ok(())
    );
    let mut changed = headers.clone();
    if let Some((_, value)) = changed.first_mut() {
        value.push('x');
    }
    let verdict =
        |headers| signature_v3::verify(&parts(headers, request.body), &authorization, SECRET);
    assert!(verdict(&changed).is_err());
    let mut added = headers.clone();
    added.push(("x-acs-injected".to_owned(), "1".to_owned()));
    assert!(
        verdict(&added).is_err(),
        "a header that the product acts on was added"
    );
}

pub fn run(data: &[u8]) {
    let request = read(data);
    v1(&request);
    v3(&request);
}
