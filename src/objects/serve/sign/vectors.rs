//! Every captured OSS request of the SDKs verifies, and none does with one byte changed.

use serde::Deserialize;

use super::{Now, oss_v1, parse_basic_date, parse_http_date, v4};
use crate::serve::address::{Reading, readings};
use crate::serve::request::Request;

#[derive(Deserialize)]
struct Capture {
    name: String,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    string_to_sign: String,
}

/// Requests as oss2 2.19.1 and ali-oss 6.23.0 sent them on 2026-11-22, and the text that each SDK signed.
fn captures() -> Vec<Capture> {
    serde_json::from_str(include_str!("../../../../tests/oss/captures.json")).expect("captures")
}

fn verifies(capture: &Capture, secret: &str) -> Result<String, String> {
    let headers = capture
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()));
    let request = Request::new(&capture.method, &capture.target, headers)
        .map_err(|error| error.to_string())?;
    let mut all = readings(&request, |bucket| bucket == "rec-bucket");
    all.push(Reading::whole_path(&request, "rec-bucket"));
    let authorization = request
        .header("authorization")
        .unwrap_or_default()
        .to_owned();
    if authorization.starts_with("OSS ") || request.has("OSSAccessKeyId") {
        let claim = match authorization.strip_prefix("OSS ") {
            Some(rest) => oss_v1::claim_in_header(&request, rest),
            None => oss_v1::claim_in_url(&request),
        }
        .map_err(|error| error.to_string())?;
        let fits = all
            .iter()
            .find(|reading| oss_v1::verify(&request, &claim, reading, secret).is_ok());
        return fits
            .map(|reading| oss_v1::string_to_sign(&request, &claim, reading))
            .ok_or("mismatch".into());
    }
    let claim = match authorization.strip_prefix("OSS4-HMAC-SHA256 ") {
        Some(rest) => v4::Claim::in_header(&v4::OSS4, &request, rest),
        None => v4::Claim::in_url(&v4::OSS4, &request),
    }
    .map_err(|error| error.to_string())?;
    let fits = all
        .iter()
        .find(|reading| claim.verify(&request, reading, secret).is_ok());
    let canonical = fits.and_then(|reading| {
        claim
            .canonical_requests(&request, reading)
            .into_iter()
            .next()
    });
    canonical
        .map(|canonical| claim.string_to_sign(&canonical))
        .ok_or("mismatch".into())
}

#[test]
fn every_capture_verifies_with_the_text_that_the_sdk_signed() {
    let captures = captures();
    assert_eq!(captures.len(), 57);
    for capture in &captures {
        assert_eq!(
            verifies(capture, "testsecret").as_deref(),
            Ok(capture.string_to_sign.as_str()),
            "{}",
            capture.name
        );
    }
}

#[test]
fn no_capture_verifies_with_a_byte_changed() {
    for mut capture in captures() {
        assert!(
            verifies(&capture, "testsecreT").is_err(),
            "{} with another secret",
            capture.name
        );
        let method = std::mem::replace(&mut capture.method, "PATCH".into());
        assert!(
            verifies(&capture, "testsecret").is_err(),
            "{} with another method",
            capture.name
        );
        capture.method = method;
        if capture.target.contains("rec%2Fa") || capture.target.contains("rec/a") {
            let changed = Capture {
                target: capture.target.replacen("a%20b", "a%20c", 1),
                ..clone(&capture)
            };
            assert!(
                verifies(&changed, "testsecret").is_err(),
                "{} with another key",
                capture.name
            );
        }
        for (at, (name, value)) in capture.headers.iter().enumerate() {
            let signed = name.to_lowercase().starts_with("x-oss-")
                || ["content-type", "content-md5", "date", "authorization"]
                    .contains(&name.to_lowercase().as_str());
            // The last byte of a Base64 signature is padding, so change one further in.
            let Some(cut) = value.len().checked_sub(4).filter(|_| signed) else {
                continue;
            };
            let mut changed = clone(&capture);
            let byte = if value.as_bytes()[cut] == b'1' {
                "2"
            } else {
                "1"
            };
            changed.headers[at].1.replace_range(cut..=cut, byte);
            assert!(
                verifies(&changed, "testsecret").is_err(),
                "{} with another {name}",
                capture.name
            );
        }
    }
}

fn clone(capture: &Capture) -> Capture {
    Capture {
        name: capture.name.clone(),
        method: capture.method.clone(),
        target: capture.target.clone(),
        headers: capture.headers.clone(),
        string_to_sign: capture.string_to_sign.clone(),
    }
}

#[test]
fn the_published_url_vector_of_version_1() {
    let headers = [(
        "host",
        b"oss-example.oss-cn-hangzhou.aliyuncs.com".as_slice(),
    )];
    let target = "/oss-api.pdf?OSSAccessKeyId=id&Expires=1141889120&Signature=EwaNTn1erJGkimiJ9WmXgwnANLc%3D";
    let request = Request::new("GET", target, headers.into_iter()).expect("request");
    let claim = oss_v1::claim_in_url(&request).expect("claim");
    let reading = Reading::whole_path(&request, "oss-example");
    assert_eq!(
        oss_v1::string_to_sign(&request, &claim, &reading),
        "GET\n\n\n1141889120\n/oss-example/oss-api.pdf"
    );
    assert!(
        oss_v1::verify(
            &request,
            &claim,
            &reading,
            "OtxrzxIsfpFjA7SwPzILwy8Bw21TLhquhboDYROV"
        )
        .is_ok()
    );
}

/// The worked example of Amazon's documentation of signature version 4 (GET Object).
#[test]
fn the_published_header_vector_of_aws4() {
    let headers = [
        ("Host", "examplebucket.s3.amazonaws.com"),
        ("Range", "bytes=0-9"),
        (
            "x-amz-content-sha256",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ),
        ("x-amz-date", "20130524T000000Z"),
    ];
    let request = Request::new(
        "GET",
        "/test.txt",
        headers
            .iter()
            .map(|(name, value)| (*name, value.as_bytes())),
    )
    .expect("request");
    let authorization = "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
                         SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,\
                         Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";
    let claim = v4::Claim::in_header(&v4::AWS4, &request, authorization).expect("claim");
    let reading = Reading::whole_path(&request, "examplebucket");
    assert!(
        claim
            .verify(
                &request,
                &reading,
                "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
            )
            .is_ok()
    );
    assert!(
        claim
            .verify(
                &request,
                &reading,
                "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEy"
            )
            .is_err()
    );
}

#[test]
fn what_is_wrong_in_an_address_of_s3_has_its_own_code() {
    let credential = "X-Amz-Credential=a/20130524/us-east-1/s3/aws4_request";
    let rest = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0";
    let (date, expires) = ("X-Amz-Date=20130524T000000Z", "X-Amz-Expires=60");
    let signed = "X-Amz-SignedHeaders=host";
    let refused = |words: &[&str]| {
        let target = format!("/k?{rest}&{}", words.join("&"));
        let headers = [("host", b"b.example".as_slice())];
        let request = Request::new("GET", &target, headers.into_iter()).expect("request");
        let reading = Reading::whole_path(&request, "bucket");
        let claim = v4::Claim::in_url(&v4::AWS4, &request);
        let verified = claim.and_then(|claim| claim.verify(&request, &reading, "secret"));
        let error = verified.expect_err("malformed");
        (error.code.as_str().to_owned(), error.code.status())
    };
    let other = "X-Amz-Credential=a/20130523/us-east-1/s3/aws4_request";
    for words in [
        &[credential, date, signed, "X-Amz-Expires=604801"][..],
        &[credential, date, signed, "X-Amz-Expires=0"],
        &[credential, date, signed],
        &[credential, expires, signed],
        &[credential, date, expires],
        &[other, date, expires, signed],
        &["X-Amz-Credential=a", date, expires, signed],
    ] {
        let code = "AuthorizationQueryParametersError".to_owned();
        assert_eq!(refused(words), (code, 400), "{words:?}");
    }
    let whole = refused(&[credential, date, expires, signed]);
    assert_eq!(whole, ("SignatureDoesNotMatch".to_owned(), 403));
    let header = Request::new("GET", "/k", std::iter::empty()).expect("request");
    let claim = v4::Claim::in_header(&v4::AWS4, &header, "Credential=a, Signature=0");
    let error = claim.expect_err("malformed");
    assert_eq!(error.code, "AuthorizationHeaderMalformed");
}

#[test]
fn captures_are_as_old_as_their_dates_say() {
    let day = parse_basic_date("20261122T000000Z").expect("day");
    let now = Now {
        service_ms: day + 15 * 3_600_000 + 15 * 60_000,
        machine_ms: 0,
        offset_at: &|_| 0,
    };
    for capture in captures() {
        let header = |wanted: &str| {
            capture
                .headers
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
                .map(|(_, value)| value.as_str())
        };
        let Some(text) = header("x-oss-date").or(header("date")) else {
            continue;
        };
        let date = parse_http_date(text)
            .or_else(|| parse_basic_date(text))
            .expect("date");
        assert!(now.check_date(date).is_ok(), "{}", capture.name);
    }
}
