//! S3's signature version 2, which s3cmd signs addresses with, and older SDKs: `Authorization: AWS id:signature`, and URLs with
//! `AWSAccessKeyId`, `Expires`, `Signature`. It is OSS's version 1 with other words, and signs the path as it is sent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::oss_v1::Claim;
use super::{encode_path, hmac_sha1, mismatch, push_sub_resources, same};
use crate::serve::address::Reading;
use crate::serve::error::ServeError;
use crate::serve::request::Request;

/// Query parameters that count as part of the resource.
const SUB_RESOURCES: &[&str] = &[
    "accelerate",
    "acl",
    "analytics",
    "cors",
    "delete",
    "encryption",
    "inventory",
    "legal-hold",
    "lifecycle",
    "location",
    "logging",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "partNumber",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "replication",
    "requestPayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "retention",
    "select",
    "select-type",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
];

/// Headers that SDKs move into the query of an address besides `x-amz-*`, in lower case.
pub const MOVED: &[&str] = &["content-md5", "content-type"];

/// Whether the signature covers a parameter of the query.
pub fn signs(name: &str) -> bool {
    SUB_RESOURCES.contains(&name)
}

/// The claim of an `Authorization: AWS ...` header.
pub fn claim_in_header(request: &Request, value: &str) -> Result<Claim, ServeError> {
    let (key_id, signature) = value.trim().split_once(':').ok_or_else(|| {
        ServeError::argument(
            "Authorization",
            value,
            "The Authorization header must read: AWS id:signature.",
        )
    })?;
    let date = request
        .header("x-amz-date")
        .or_else(|| request.header("date"))
        .unwrap_or_default();
    if date.is_empty() {
        return Err(ServeError::denied(
            "AWS authentication requires a valid Date or x-amz-date header",
        ));
    }
    Ok(Claim {
        key_id: key_id.into(),
        signature: signature.into(),
        date: date.into(),
        in_url: false,
    })
}

/// The claim of a signed URL.
pub fn claim_in_url(request: &Request) -> Result<Claim, ServeError> {
    let need = |name: &str| {
        let value = request.param(name).filter(|value| !value.is_empty());
        value.ok_or_else(|| {
            ServeError::denied(
                "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters",
            )
        })
    };
    Ok(Claim {
        key_id: need("AWSAccessKeyId")?.into(),
        signature: need("Signature")?.into(),
        date: need("Expires")?.into(),
        in_url: true,
    })
}

/// The text that is signed for a path.
fn string_to_sign(request: &Request, claim: &Claim, path: &str) -> String {
    // SDKs (botocore is one) sign the headers of an upload and put them into the query of its address, so that they stand in this text
    // wherever they come from. What somebody adds there changes it.
    let moved: Vec<_> = if claim.in_url {
        request.moved(MOVED).collect()
    } else {
        Vec::new()
    };
    let moved = moved
        .iter()
        .map(|(name, value)| (name.as_str(), value.trim()));
    let headers: Vec<_> = request.headers().chain(moved).collect();
    let header = |wanted: &str| {
        let found = headers.iter().find(|(name, _)| *name == wanted);
        found.map_or("", |(_, value)| *value)
    };
    let mut own: Vec<(&str, String)> = Vec::new();
    for (name, value) in headers.iter().copied() {
        if name.starts_with("x-amz-") {
            match own.iter_mut().find(|(held, _)| *held == name) {
                Some((_, held)) => *held = format!("{held},{value}"),
                None => own.push((name, value.to_owned())),
            }
        }
    }
    own.sort_unstable();
    // The date stands among the headers where it is one of them.
    let date = if !claim.in_url && request.header("x-amz-date").is_some() {
        ""
    } else {
        &claim.date
    };
    let mut text = format!(
        "{}\n{}\n{}\n{date}\n",
        request.method,
        header("content-md5"),
        header("content-type"),
    );
    for (name, value) in own {
        text.push_str(&format!("{name}:{value}\n"));
    }
    text.push_str(path);
    push_sub_resources(&mut text, request, SUB_RESOURCES);
    text
}

/// Checks the claim under one reading.
pub fn verify(
    request: &Request,
    claim: &Claim,
    reading: &Reading,
    secret: &str,
) -> Result<(), ServeError> {
    // A bucket that the host names stands before the path.
    let before = match reading.bucket() {
        Some(bucket) if Reading::whole_path(request, bucket) == *reading => format!("/{bucket}"),
        _ => String::new(),
    };
    let mut refusal = None;
    // Some HTTP libraries write the path differently from what was signed, and some sign a bucket in the path with a slash behind it.
    let mut paths = vec![request.raw_path.clone(), encode_path(&request.path)];
    if reading.key().is_empty() && !request.raw_path.ends_with('/') {
        paths.push(format!("{}/", request.raw_path));
    }
    for path in paths {
        let text = string_to_sign(request, claim, &format!("{before}{path}"));
        if same(
            &STANDARD.encode(hmac_sha1(secret.as_bytes(), text.as_bytes())),
            &claim.signature,
        ) {
            return Ok(());
        }
        refusal.get_or_insert_with(|| mismatch(&claim.key_id, &claim.signature, &text, None));
    }
    Err(refusal.unwrap_or_else(|| mismatch(&claim.key_id, &claim.signature, "", None)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

    fn checks(method: &str, target: &str, headers: &[(&str, &str)], bucket: &str) -> bool {
        let headers = headers
            .iter()
            .map(|(name, value)| (*name, value.as_bytes()));
        let request = Request::new(method, target, headers).expect("a request");
        let claim = match request.header("authorization") {
            Some(value) => claim_in_header(&request, value.trim_start_matches("AWS ")),
            None => claim_in_url(&request),
        };
        let reading = Reading::whole_path(&request, bucket);
        verify(&request, &claim.expect("a claim"), &reading, SECRET).is_ok()
    }

    /// Worked examples of Amazon's documentation of this version.
    #[test]
    fn the_published_vectors_verify() {
        let host = ("Host", "awsexamplebucket1.us-west-1.s3.amazonaws.com");
        let get = [
            host,
            ("Date", "Tue, 27 Mar 2007 19:36:42 +0000"),
            (
                "Authorization",
                "AWS AKIAIOSFODNN7EXAMPLE:qgk2+6Sv9/oM7G3qLEjTH1a1l1g=",
            ),
        ];
        assert!(checks(
            "GET",
            "/photos/puppy.jpg",
            &get,
            "awsexamplebucket1"
        ));
        assert!(!checks(
            "GET",
            "/photos/kitty.jpg",
            &get,
            "awsexamplebucket1"
        ));
        assert!(!checks(
            "PUT",
            "/photos/puppy.jpg",
            &get,
            "awsexamplebucket1"
        ));
        let list = [
            host,
            ("Date", "Tue, 27 Mar 2007 19:42:41 +0000"),
            (
                "Authorization",
                "AWS AKIAIOSFODNN7EXAMPLE:m0WP8eCtspQl5Ahe6L1SozdX9YA=",
            ),
        ];
        let target = "/?prefix=photos&max-keys=50&marker=puppy";
        assert!(checks("GET", target, &list, "awsexamplebucket1"));
    }

    /// As botocore 1.x signs `create_bucket` with the bucket in the path.
    #[test]
    fn a_bucket_in_the_path_may_be_signed_with_a_slash() {
        let headers = [
            ("Host", "127.0.0.1:9000"),
            ("Date", "Thu, 26 Nov 2026 16:37:23 GMT"),
            ("Authorization", "AWS testid:HZknwhrsZiuTmqrw+8h0xsbu9eA="),
        ];
        let headers = headers.map(|(name, value)| (name, value.as_bytes()));
        let verified = |target: &str, key: &str| {
            let request = Request::new("PUT", target, headers.into_iter()).expect("a request");
            let value = "testid:HZknwhrsZiuTmqrw+8h0xsbu9eA=";
            let claim = claim_in_header(&request, value).expect("a claim");
            let reading = Reading::Bucket {
                bucket: "v2buckc".into(),
                key: key.into(),
            };
            verify(&request, &claim, &reading, "testsecret").is_ok()
        };
        assert!(verified("/v2buckc", "") && verified("/v2buckc/", ""));
        assert!(!verified("/v2buckc/a", "a") && !verified("/other", ""));
    }

    #[test]
    fn headers_of_s3_are_signed() {
        let headers = [
            ("Host", "b.example"),
            ("x-amz-date", "Tue, 27 Mar 2007 19:36:42 +0000"),
            ("x-amz-acl", "private"),
        ];
        let request = |headers: &[(&str, &str)]| {
            let headers = headers
                .iter()
                .map(|(name, value)| (*name, value.as_bytes()));
            Request::new("PUT", "/k%20+", headers).expect("a request")
        };
        let claim = claim_in_header(&request(&headers), "id:s").expect("a claim");
        assert_eq!(
            string_to_sign(&request(&headers), &claim, "/b/k%20+"),
            "PUT\n\n\n\nx-amz-acl:private\nx-amz-date:Tue, 27 Mar 2007 19:36:42 +0000\n/b/k%20+"
        );
    }

    /// As botocore makes an address for an upload.
    #[test]
    fn headers_that_an_address_carries_in_its_query_are_signed() {
        let signed = "Signature=ggcDFef9%2FVVmo9wNwuda8joNoGw%3D&Expires=1795360256";
        let verified = |query: &str, headers: &[(&str, &str)]| {
            let target = format!("/k?AWSAccessKeyId=id&{signed}&{query}");
            checks("PUT", &target, headers, "b")
        };
        let moved = "x-amz-meta-who=me&x-amz-acl=public-read&content-type=text%2Fplain";
        assert!(verified(moved, &[]));
        // A client that sends them besides says the same.
        assert!(verified(moved, &[("x-amz-acl", "public-read")]));
        assert!(verified(moved, &[("Content-Type", "text/plain")]));
        for changed in [
            moved.replace("=me", "=you"),
            moved.replace("x-amz-meta-who=me&", ""),
            moved.replace("plain", "html"),
            format!("{moved}&x-amz-tagging=a"),
            format!("{moved}&X-Amz-Acl=private"),
            format!("{moved}&content-md5=AAAA"),
        ] {
            assert!(!verified(&changed, &[]), "{changed}");
        }
        assert!(!verified(moved, &[("x-amz-acl", "private")]));
        assert!(!verified(moved, &[("x-amz-tagging", "a")]));
        assert!(!verified(moved, &[("Content-Type", "text/html")]));
    }
}
