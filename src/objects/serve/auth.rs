//! Who asks, in which dialect, for which bucket and key.

use super::address::{Reading, readings};
use super::chunked::Framing;
use super::code::Code;
use super::dialect::{Dialect, Scheme};
use super::error::ServeError;
use super::keys;
use super::request::Request;
use super::sign::{Now, aws_v2, oss_v1, parse_http_date, v4};
use crate::folder::FolderError;
use crate::identity::{AccessKey, KeyRing};

/// A request whose caller is settled.
#[derive(Debug, Clone)]
pub struct Caller {
    /// None: nobody in particular.
    pub key_id: Option<String>,
    pub dialect: Dialect,
    pub reading: Reading,
    pub payload: Payload,
}

/// What the signature says of the body.
#[derive(Debug, Clone)]
pub enum Payload {
    Unsigned,
    /// SHA-256 of the whole body, lower-case hexadecimal.
    Sha256(String),
    /// `aws-chunked`.
    Framed(Framing),
}

/// What a request says of its caller, not checked yet.
pub enum Claim {
    V1(oss_v1::Claim),
    /// S3's; it carries the same.
    V2(oss_v1::Claim),
    V4(v4::Claim),
}

impl Claim {
    /// The id of the key.
    pub fn key_id(&self) -> &str {
        match self {
            Self::V1(claim) | Self::V2(claim) => &claim.key_id,
            Self::V4(claim) => &claim.key_id,
        }
    }
}

/// Whether a request is a form and no other operation, which its query would name.
fn is_form(request: &Request) -> bool {
    let content_type = request.header("content-type").unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default();
    request.query.is_empty()
        && media_type
            .trim()
            .eq_ignore_ascii_case("multipart/form-data")
}

/// Finds the claim, checks it and picks the reading of the address that it was signed for. `strict` off takes any
/// claim for true. `host_bucket` is what the host names before a base of the store: where no signature says otherwise, that is meant,
/// whether there is such a bucket or not.
pub fn authenticate(
    request: &Request,
    keys: &KeyRing,
    now: Now<'_>,
    strict: bool,
    buckets: &[String],
    host_bucket: Option<&str>,
) -> Result<Caller, ServeError> {
    let known = |name: &str| {
        buckets
            .binary_search_by(|held| held.as_str().cmp(name))
            .is_ok()
    };
    let mut choices = readings(request, known);
    let dialect = Dialect::of(request);
    // A browser asks before it sends a signed request, by the same address and another method: nothing there is signed.
    let claim = match request.method.as_str() {
        "OPTIONS" => None,
        // It is signed in its fields, and OSS looks at no other signature of it: pages send a token of their own with every request.
        "POST" if is_form(request) => None,
        _ => find_claim(request)?,
    };
    // Only OSS signs the bucket with the request; S3's version 4 signs the host and a path that mean either.
    let told_by_signature = strict && claim.is_some() && dialect == Dialect::Oss;
    if let Some(bucket) = host_bucket {
        let by_host = Reading::whole_path(request, bucket);
        if told_by_signature {
            choices.retain(|reading| *reading != by_host);
        } else {
            choices.clear();
        }
        choices.insert(0, by_host);
    }
    let Some(claim) = claim else {
        let payload = payload(request, None, None, strict)?;
        let reading = likeliest(choices, known);
        return Ok(Caller {
            key_id: None,
            dialect,
            reading,
            payload,
        });
    };
    let key_id = claim.key_id().to_owned();
    let v4 = if let Claim::V4(claim) = &claim {
        Some(claim)
    } else {
        None
    };
    if !strict {
        let payload = payload(request, v4, None, false)?;
        let reading = likeliest(choices, known);
        return Ok(Caller {
            key_id: Some(key_id.clone()),
            dialect,
            reading,
            payload,
        });
    }
    let found = keys::known(keys, &key_id)?;
    let entry = &found.key;
    check_times(&claim, now)?;
    keys::check_token(&found, token(request), now.service_ms)?;
    // A CNAME may mean any of them. The store bounds how many there are, and to try them all takes some milliseconds.
    let of_cname = buckets
        .iter()
        .filter(|_| dialect == Dialect::Oss)
        .map(|bucket| Reading::whole_path(request, bucket));
    let mut refusal = None;
    for reading in choices.into_iter().chain(of_cname) {
        let checked = match &claim {
            Claim::V1(claim) => oss_v1::verify(request, claim, &reading, &entry.secret),
            Claim::V2(claim) => aws_v2::verify(request, claim, &reading, &entry.secret),
            Claim::V4(claim) => claim.verify(request, &reading, &entry.secret),
        };
        match checked {
            Ok(()) => {
                check_headers_are_signed(request, &claim)?;
                let payload = payload(request, v4, Some(entry), true)?;
                return Ok(Caller {
                    key_id: Some(key_id.clone()),
                    dialect,
                    reading,
                    payload,
                });
            }
            Err(error) => {
                refusal.get_or_insert(error);
            }
        }
    }
    Err(refusal.unwrap_or_else(|| ServeError::denied("The request could not be verified.")))
}

/// OSS looks for the bucket before it looks at who asks: a caller it does not know is told that there is no such bucket. Where a request
/// does not say for sure which bucket it means (it may be one of a CNAME), a wrong signature is the better answer.
pub fn or_no_bucket(
    refusal: ServeError,
    request: &Request,
    buckets: &[String],
    host_bucket: Option<&str>,
) -> ServeError {
    let sure = host_bucket.is_some() || refusal.code == Code::InvalidAccessKeyId;
    if refusal.code.status() != 403 || !sure || Dialect::of(request) != Dialect::Oss {
        return refusal;
    }
    let known = |name: &str| buckets.iter().any(|held| held == name);
    let mut choices = readings(request, known);
    if let Some(bucket) = host_bucket {
        choices.insert(0, Reading::whole_path(request, bucket));
    }
    // PutBucket, and PutBucketAcl, which makes one too; any other sub-resource is that of a bucket that is there.
    let other = |(name, value): &(String, String)| value.is_empty() && name != "acl";
    let makes_one = request.method == "PUT"
        && !request.query.iter().any(other)
        && choices.iter().any(|reading| reading.key().is_empty());
    let named = choices.first().and_then(Reading::bucket);
    match named {
        Some(named) if !makes_one && !choices.iter().filter_map(Reading::bucket).any(known) => {
            FolderError::NoSuchBucket(named.to_owned()).into()
        }
        _ => refusal,
    }
}

/// Of several readings nobody signed: the first whose bucket exists, else the first.
fn likeliest(choices: Vec<Reading>, known: impl Fn(&str) -> bool) -> Reading {
    let existing = choices
        .iter()
        .position(|reading| reading.bucket().is_some_and(&known));
    choices
        .into_iter()
        .nth(existing.unwrap_or(0))
        .unwrap_or(Reading::Service)
}

/// The claim that a request carries, if any.
pub fn find_claim(request: &Request) -> Result<Option<Claim>, ServeError> {
    let authorization = request.header("authorization").unwrap_or_default();
    let (scheme, rest) = authorization.split_once(' ').unwrap_or((authorization, ""));
    let v1 = |claim: Result<_, _>| claim.map(|claim| Some(Claim::V1(claim)));
    let v2 = |claim: Result<_, _>| claim.map(|claim| Some(Claim::V2(claim)));
    let v4 = |claim: Result<_, _>| claim.map(|claim| Some(Claim::V4(claim)));
    match Scheme::of(request) {
        None => Ok(None),
        Some(Scheme::OssV1Header) => v1(oss_v1::claim_in_header(request, rest)),
        Some(Scheme::AwsV2Header) => v2(aws_v2::claim_in_header(request, rest)),
        Some(Scheme::AwsV2Url) => v2(aws_v2::claim_in_url(request)),
        Some(Scheme::OssV4Header) => v4(v4::Claim::in_header(&v4::OSS4, request, rest)),
        Some(Scheme::AwsV4Header) => v4(v4::Claim::in_header(&v4::AWS4, request, rest)),
        Some(Scheme::OssV1Url) => v1(oss_v1::claim_in_url(request)),
        Some(Scheme::OssV4Url) => v4(v4::Claim::in_url(&v4::OSS4, request)),
        Some(Scheme::AwsV4Url) => v4(v4::Claim::in_url(&v4::AWS4, request)),
        Some(Scheme::OtherHeader) => {
            let scheme: String = scheme.chars().take(32).collect();
            Err(ServeError::argument(
                "Authorization",
                &scheme,
                "The signature is none of OSS, OSS4-HMAC-SHA256, AWS and AWS4-HMAC-SHA256.",
            ))
        }
    }
}

/// Refuses headers of either product that the signature does not cover: whoever holds a signed address, or sees a signed request, could
/// add them, and they decide what the request does.
fn check_headers_are_signed(request: &Request, claim: &Claim) -> Result<(), ServeError> {
    let mut unsigned: Vec<_> = request
        .headers()
        .map(|(name, _)| name)
        .filter(|name| name.starts_with("x-amz-") || name.starts_with("x-oss-"))
        .filter(|name| match claim {
            Claim::V1(_) => !name.starts_with("x-oss-"),
            Claim::V2(_) => !name.starts_with("x-amz-"),
            Claim::V4(claim) => !claim.covers(name),
        })
        .collect();
    unsigned.dedup();
    if unsigned.is_empty() {
        return Ok(());
    }
    Err(
        ServeError::denied("There were headers present in the request which were not signed")
            .with("HeadersNotSigned", unsigned.join(", ")),
    )
}

/// Expiry comes before the signature, as in the product.
fn check_times(claim: &Claim, now: Now<'_>) -> Result<(), ServeError> {
    match claim {
        Claim::V1(claim) | Claim::V2(claim) if claim.in_url => {
            let expires = claim
                .date
                .parse::<i64>()
                .ok()
                .and_then(|seconds| seconds.checked_mul(1000));
            let expires = expires
                .ok_or_else(|| ServeError::denied("Expires must be a time in Unix seconds."))?;
            now.check_expiry(None, expires)
        }
        Claim::V1(of_header) | Claim::V2(of_header) => {
            let date = parse_http_date(&of_header.date).ok_or_else(|| {
                ServeError::denied(match claim {
                    Claim::V2(_) => "AWS authentication requires a valid Date or x-amz-date header",
                    _ => "OSS authentication requires a valid Date.",
                })
            })?;
            now.check_date(date)
        }
        Claim::V4(claim) => match claim.expires_ms() {
            Some(expires) => {
                now.check_begun(claim.date_ms)?;
                now.check_expiry(Some(claim.date_ms), expires)
            }
            None => now.check_date(claim.date_ms),
        },
    }
}

/// The security token that a request brings.
fn token(request: &Request) -> Option<&str> {
    request
        .header("x-oss-security-token")
        .or_else(|| request.header("x-amz-security-token"))
        .or_else(|| request.param("security-token"))
        .or_else(|| request.param("x-oss-security-token"))
        .or_else(|| request.param("X-Amz-Security-Token"))
        // As SDKs move the header into an address of S3's version 2.
        .or_else(|| request.param("x-amz-security-token"))
}

fn payload(
    request: &Request,
    claim: Option<&v4::Claim>,
    entry: Option<&AccessKey>,
    strict: bool,
) -> Result<Payload, ServeError> {
    let Some(hash) = request.header("x-amz-content-sha256") else {
        return Ok(Payload::Unsigned);
    };
    match hash {
        "UNSIGNED-PAYLOAD" => Ok(Payload::Unsigned),
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => Ok(Payload::Framed(Framing::unsigned())),
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" | "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => {
            match (claim, entry) {
                (Some(claim), Some(entry)) if strict => Ok(Payload::Framed(Framing::signed(
                    claim,
                    claim.signing_key(&entry.secret),
                ))),
                _ if strict => Err(ServeError::denied(
                    "A body signed in chunks needs a signed request.",
                )),
                _ => Ok(Payload::Framed(Framing::unsigned())),
            }
        }
        // Unsigned requests are free to tell a digest, and are held to it.
        hash if hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            Ok(Payload::Sha256(hash.to_ascii_lowercase()))
        }
        other => Err(ServeError::argument(
            "x-amz-content-sha256",
            other,
            "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, a STREAMING form, or a SHA-256 in hexadecimal.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::sign::encode;
    use super::*;

    fn bucket_of(headers: &[(&str, &str)], host_bucket: Option<&str>) -> String {
        let headers = headers.iter().map(|(name, text)| (*name, text.as_bytes()));
        let request = Request::new("PUT", "/live/s1/x.ts", headers).unwrap();
        let now = Now {
            service_ms: 0,
            machine_ms: 0,
            offset_at: &|_| 0,
        };
        let known = ["live".to_owned()];
        let caller = authenticate(
            &request,
            &KeyRing::default(),
            now,
            false,
            &known,
            host_bucket,
        )
        .unwrap();
        caller.reading.bucket().unwrap_or_default().to_owned()
    }

    #[test]
    fn a_signature_finds_its_bucket_among_all_that_a_store_may_hold() {
        let buckets: Vec<_> = (0..1000).map(|number| format!("b-{number:04}")).collect();
        let keys = KeyRing::new(vec![AccessKey {
            id: "testid".to_owned(),
            secret: "testsecret".to_owned(),
            token: None,
            disabled: false,
        }]);
        let now = Now {
            service_ms: 0,
            machine_ms: 0,
            offset_at: &|_| 0,
        };
        let signed_by = |signature: &str| {
            let target = format!(
                "/live/a.ts?OSSAccessKeyId=testid&Expires=60&Signature={}",
                encode(signature)
            );
            let host = [("host", b"files.example:9000".as_slice())];
            Request::new("GET", &target, host.into_iter()).unwrap()
        };
        let unsigned = signed_by("x");
        let claim = oss_v1::claim_in_url(&unsigned).unwrap();
        for bucket in ["b-0000", "b-0100", "b-0999"] {
            let meant = Reading::whole_path(&unsigned, bucket);
            let request = signed_by(&oss_v1::signature(&unsigned, &claim, &meant, "testsecret"));
            let caller = authenticate(&request, &keys, now, true, &buckets, None).unwrap();
            assert_eq!(caller.reading, meant);
        }
        assert!(authenticate(&unsigned, &keys, now, true, &buckets, None).is_err());
    }

    #[test]
    fn without_a_signature_that_counts_the_hosts_bucket_is_meant() {
        let unsigned = [("host", "absent.localhost:9000")];
        let oss = [
            unsigned[0],
            ("date", "x"),
            ("authorization", "OSS testid:x"),
        ];
        for headers in [&unsigned[..], &oss[..]] {
            assert_eq!(bucket_of(headers, Some("absent")), "absent");
            assert_eq!(bucket_of(headers, None), "live");
        }
    }
}
