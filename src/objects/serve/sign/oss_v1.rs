//! OSS signature version 1: `Authorization: OSS id:signature`, and URLs with `OSSAccessKeyId`, `Expires`, `Signature`.
//! HMAC-SHA1 over verb, Content-MD5, Content-Type, date or expiry, the `x-oss-*` headers and the resource with its
//! sub-resources.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{hmac_sha1, mismatch, push_sub_resources, same};
use crate::serve::address::Reading;
use crate::serve::error::ServeError;
use crate::serve::request::Request;

/// Query parameters that count as part of the resource.
const SUB_RESOURCES: &[&str] = &[
    "accessPoint",
    "accessPointPolicy",
    "acl",
    "append",
    "asyncFetch",
    "bucketArchiveDirectRead",
    "bucketInfo",
    "callback",
    "callback-var",
    "cname",
    "comp",
    "continuation-token",
    "cors",
    "delete",
    "encryption",
    "endTime",
    "group",
    "httpsConfig",
    "inventory",
    "inventoryId",
    "lifecycle",
    "link",
    "live",
    "location",
    "logging",
    "metaQuery",
    "objectInfo",
    "objectMeta",
    "partNumber",
    "policy",
    "policyStatus",
    "position",
    "publicAccessBlock",
    "qos",
    "qosInfo",
    "qosRequester",
    "redundancyTransition",
    "referer",
    "regionList",
    "replication",
    "replicationLocation",
    "replicationProgress",
    "requestPayment",
    "requesterQosInfo",
    "resourceGroup",
    "resourcePool",
    "resourcePoolBuckets",
    "resourcePoolInfo",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "security-token",
    "sequential",
    "startTime",
    "stat",
    "status",
    "style",
    "styleName",
    "symlink",
    "tagging",
    "transferAcceleration",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "vod",
    "website",
    "worm",
    "wormExtend",
    "wormId",
    "x-oss-ac-forward-allow",
    "x-oss-ac-source-ip",
    "x-oss-ac-subnet-mask",
    "x-oss-ac-vpc-id",
    "x-oss-access-point-name",
    "x-oss-async-process",
    "x-oss-process",
    "x-oss-redundancy-transition-taskid",
    "x-oss-request-payer",
    "x-oss-target-redundancy-type",
    "x-oss-traffic-limit",
    "x-oss-write-get-object-response",
];

/// What a request of this version carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub key_id: String,
    pub signature: String,
    /// The date line: a header's text, or the expiry of a URL in Unix seconds.
    pub date: String,
    pub in_url: bool,
}

/// The claim of an `Authorization: OSS ...` header.
pub fn claim_in_header(request: &Request, value: &str) -> Result<Claim, ServeError> {
    let (key_id, signature) = value.trim().split_once(':').ok_or_else(|| {
        ServeError::argument(
            "Authorization",
            value,
            "The Authorization header must read: OSS id:signature.",
        )
    })?;
    // A client that cannot set Date (a browser) sends x-oss-date instead, and signs its text in Date's place.
    let date = request
        .header("x-oss-date")
        .or_else(|| request.header("date"))
        .unwrap_or_default();
    if date.is_empty() {
        return Err(ServeError::denied(
            "OSS authentication requires a valid Date.",
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
        request
            .param(name)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| {
                ServeError::denied(format!(
                    "A signed URL needs OSSAccessKeyId, Expires and Signature; {name} is missing."
                ))
            })
    };
    Ok(Claim {
        key_id: need("OSSAccessKeyId")?.into(),
        signature: need("Signature")?.into(),
        date: need("Expires")?.into(),
        in_url: true,
    })
}

/// The text that is signed under one reading of the address.
pub fn string_to_sign(request: &Request, claim: &Claim, reading: &Reading) -> String {
    let header = |name| request.header(name).unwrap_or_default();
    let mut own: Vec<_> = request
        .headers()
        .filter(|(name, _)| name.starts_with("x-oss-"))
        .collect();
    own.sort_unstable();
    let mut text = format!(
        "{}\n{}\n{}\n{}\n",
        request.method,
        header("content-md5"),
        header("content-type"),
        claim.date
    );
    for (name, value) in own {
        text.push_str(&format!("{name}:{value}\n"));
    }
    text.push_str(&reading.resource());
    push_sub_resources(&mut text, request, SUB_RESOURCES);
    text
}

/// The signature under one reading of the address.
pub fn signature(request: &Request, claim: &Claim, reading: &Reading, secret: &str) -> String {
    let text = string_to_sign(request, claim, reading);
    STANDARD.encode(hmac_sha1(secret.as_bytes(), text.as_bytes()))
}

/// Checks the claim under one reading.
pub fn verify(
    request: &Request,
    claim: &Claim,
    reading: &Reading,
    secret: &str,
) -> Result<(), ServeError> {
    if same(
        &signature(request, claim, reading, secret),
        &claim.signature,
    ) {
        return Ok(());
    }
    let text = string_to_sign(request, claim, reading);
    Err(mismatch(&claim.key_id, &claim.signature, &text, None))
}
