//! Which of the product's operations a request asks for, by method, address and sub-resource.

use super::address::Reading;
use super::auth::Caller;
use super::code::Code;
use super::error::ServeError;
use super::request::Request;

/// An operation, by the product's name for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    GetService,
    PutBucket,
    DeleteBucket,
    HeadBucket,
    GetBucket,
    GetBucketV2,
    GetBucketInfo,
    GetBucketLocation,
    GetBucketVersioning,
    GetBucketAcl,
    PutBucketAcl,
    GetBucketCors,
    PutBucketCors,
    DeleteBucketCors,
    OptionObject,
    ListMultipartUploads,
    DeleteMultipleObjects,
    PostObject,
    GetObject,
    HeadObject,
    GetObjectMeta,
    PutObject,
    CopyObject,
    AppendObject,
    DeleteObject,
    InitiateMultipartUpload,
    UploadPart,
    UploadPartCopy,
    CompleteMultipartUpload,
    AbortMultipartUpload,
    ListParts,
    GetObjectAcl,
    PutObjectAcl,
    GetObjectTagging,
    PutObjectTagging,
    DeleteObjectTagging,
    /// One that exists in the product and not here.
    Other(&'static str),
}

impl Operation {
    /// The product's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::GetService => "GetService",
            Self::PutBucket => "PutBucket",
            Self::DeleteBucket => "DeleteBucket",
            Self::HeadBucket => "HeadBucket",
            Self::GetBucket => "GetBucket",
            Self::GetBucketV2 => "GetBucketV2",
            Self::GetBucketInfo => "GetBucketInfo",
            Self::GetBucketLocation => "GetBucketLocation",
            Self::GetBucketVersioning => "GetBucketVersioning",
            Self::GetBucketAcl => "GetBucketAcl",
            Self::PutBucketAcl => "PutBucketAcl",
            Self::GetBucketCors => "GetBucketCors",
            Self::PutBucketCors => "PutBucketCors",
            Self::DeleteBucketCors => "DeleteBucketCors",
            Self::OptionObject => "OptionObject",
            Self::ListMultipartUploads => "ListMultipartUploads",
            Self::DeleteMultipleObjects => "DeleteMultipleObjects",
            Self::PostObject => "PostObject",
            Self::GetObject => "GetObject",
            Self::HeadObject => "HeadObject",
            Self::GetObjectMeta => "GetObjectMeta",
            Self::PutObject => "PutObject",
            Self::CopyObject => "CopyObject",
            Self::AppendObject => "AppendObject",
            Self::DeleteObject => "DeleteObject",
            Self::InitiateMultipartUpload => "InitiateMultipartUpload",
            Self::UploadPart => "UploadPart",
            Self::UploadPartCopy => "UploadPartCopy",
            Self::CompleteMultipartUpload => "CompleteMultipartUpload",
            Self::AbortMultipartUpload => "AbortMultipartUpload",
            Self::ListParts => "ListParts",
            Self::GetObjectAcl => "GetObjectACL",
            Self::PutObjectAcl => "PutObjectACL",
            Self::GetObjectTagging => "GetObjectTagging",
            Self::PutObjectTagging => "PutObjectTagging",
            Self::DeleteObjectTagging => "DeleteObjectTagging",
            Self::Other(name) => name,
        }
    }
}

/// Sub-resources of buckets and objects that only the product has: method (`*`: any), parameter, operation.
const ELSEWHERE_BUCKET: &[(&str, &str, &str)] = &[
    ("GET", "stat", "GetBucketStat"),
    ("GET", "lifecycle", "GetBucketLifecycle"),
    ("PUT", "lifecycle", "PutBucketLifecycle"),
    ("DELETE", "lifecycle", "DeleteBucketLifecycle"),
    ("GET", "logging", "GetBucketLogging"),
    ("PUT", "logging", "PutBucketLogging"),
    ("DELETE", "logging", "DeleteBucketLogging"),
    ("GET", "website", "GetBucketWebsite"),
    ("PUT", "website", "PutBucketWebsite"),
    ("DELETE", "website", "DeleteBucketWebsite"),
    ("GET", "referer", "GetBucketReferer"),
    ("PUT", "referer", "PutBucketReferer"),
    ("GET", "policy", "GetBucketPolicy"),
    ("PUT", "policy", "PutBucketPolicy"),
    ("DELETE", "policy", "DeleteBucketPolicy"),
    ("GET", "policyStatus", "GetBucketPolicyStatus"),
    ("GET", "encryption", "GetBucketEncryption"),
    ("PUT", "encryption", "PutBucketEncryption"),
    ("DELETE", "encryption", "DeleteBucketEncryption"),
    ("GET", "tagging", "GetBucketTags"),
    ("PUT", "tagging", "PutBucketTags"),
    ("DELETE", "tagging", "DeleteBucketTags"),
    ("PUT", "versioning", "PutBucketVersioning"),
    ("GET", "versions", "ListObjectVersions"),
    ("GET", "inventory", "GetBucketInventory"),
    ("PUT", "inventory", "PutBucketInventory"),
    ("GET", "requestPayment", "GetBucketRequestPayment"),
    ("PUT", "requestPayment", "PutBucketRequestPayment"),
    ("GET", "live", "ListLiveChannel"),
    ("*", "replication", "BucketReplication"),
    ("*", "worm", "BucketWorm"),
    ("*", "cname", "BucketCname"),
    ("*", "metaQuery", "MetaQuery"),
    ("*", "style", "BucketStyle"),
    ("*", "qosInfo", "BucketQosInfo"),
    ("*", "resourceGroup", "BucketResourceGroup"),
    ("*", "transferAcceleration", "BucketTransferAcceleration"),
    ("*", "accessmonitor", "BucketAccessMonitor"),
    ("*", "publicAccessBlock", "BucketPublicAccessBlock"),
    ("*", "notification", "BucketNotification"),
    ("*", "object-lock", "ObjectLockConfiguration"),
    ("*", "ownershipControls", "BucketOwnershipControls"),
];

const ELSEWHERE_OBJECT: &[(&str, &str, &str)] = &[
    ("GET", "x-oss-process", "ProcessImage"),
    ("POST", "x-oss-process", "PostProcess"),
    ("POST", "x-oss-async-process", "PostAsyncProcess"),
    ("GET", "symlink", "GetSymlink"),
    ("PUT", "symlink", "PutSymlink"),
    ("POST", "restore", "RestoreObject"),
    ("POST", "select", "SelectObject"),
    ("*", "live", "LiveChannel"),
    ("*", "vod", "PostVodPlaylist"),
    ("*", "versionId", "ObjectVersion"),
    ("*", "torrent", "GetObjectTorrent"),
    ("*", "retention", "ObjectRetention"),
    ("*", "legal-hold", "ObjectLegalHold"),
    ("GET", "attributes", "GetObjectAttributes"),
];

/// Names the operation.
pub fn operation(request: &Request, caller: &Caller) -> Result<Operation, ServeError> {
    let method = request.method.as_str();
    let found = match &caller.reading {
        _ if method == "OPTIONS" => Some(Operation::OptionObject),
        Reading::Service => service(method),
        Reading::Bucket { key, .. } if key.is_empty() => bucket(request, method),
        Reading::Bucket { .. } => object(request, caller, method),
    };
    found.ok_or_else(|| ServeError::of(Code::MethodNotAllowed).with("Method", method.to_owned()))
}

fn service(method: &str) -> Option<Operation> {
    matches!(method, "GET" | "HEAD").then_some(Operation::GetService)
}

fn elsewhere(
    table: &[(&str, &str, &'static str)],
    request: &Request,
    method: &str,
) -> Option<Operation> {
    let row = table
        .iter()
        .find(|(verb, name, _)| (*verb == "*" || *verb == method) && request.has(name));
    row.map(|(_, _, name)| Operation::Other(name))
}

fn bucket(request: &Request, method: &str) -> Option<Operation> {
    let has = |name| request.has(name);
    if let Some(other) = elsewhere(ELSEWHERE_BUCKET, request, method) {
        return Some(other);
    }
    Some(match method {
        "GET" if has("acl") => Operation::GetBucketAcl,
        "GET" if has("location") => Operation::GetBucketLocation,
        "GET" if has("bucketInfo") => Operation::GetBucketInfo,
        "GET" if has("versioning") => Operation::GetBucketVersioning,
        "GET" if has("cors") => Operation::GetBucketCors,
        "GET" if has("uploads") => Operation::ListMultipartUploads,
        "GET" if request.param("list-type") == Some("2") => Operation::GetBucketV2,
        "GET" => Operation::GetBucket,
        "HEAD" => Operation::HeadBucket,
        "PUT" if has("acl") => Operation::PutBucketAcl,
        "PUT" if has("cors") => Operation::PutBucketCors,
        "PUT" => Operation::PutBucket,
        "DELETE" if has("cors") => Operation::DeleteBucketCors,
        "DELETE" => Operation::DeleteBucket,
        "POST" if has("delete") => Operation::DeleteMultipleObjects,
        "POST" => Operation::PostObject,
        _ => return None,
    })
}

fn object(request: &Request, caller: &Caller, method: &str) -> Option<Operation> {
    let has = |name| request.has(name);
    if let Some(other) = elsewhere(ELSEWHERE_OBJECT, request, method) {
        return Some(other);
    }
    let copies = caller.dialect.header(request, "copy-source").is_some();
    Some(match method {
        "GET" if has("acl") => Operation::GetObjectAcl,
        "GET" if has("tagging") => Operation::GetObjectTagging,
        "GET" if has("uploadId") => Operation::ListParts,
        "GET" | "HEAD" if has("objectMeta") => Operation::GetObjectMeta,
        "GET" => Operation::GetObject,
        "HEAD" => Operation::HeadObject,
        "PUT" if has("acl") => Operation::PutObjectAcl,
        "PUT" if has("tagging") => Operation::PutObjectTagging,
        "PUT" if has("uploadId") && copies => Operation::UploadPartCopy,
        "PUT" if has("uploadId") => Operation::UploadPart,
        "PUT" if copies => Operation::CopyObject,
        "PUT" => Operation::PutObject,
        "POST" if has("append") => Operation::AppendObject,
        "POST" if has("uploads") => Operation::InitiateMultipartUpload,
        "POST" if has("uploadId") => Operation::CompleteMultipartUpload,
        "DELETE" if has("uploadId") => Operation::AbortMultipartUpload,
        "DELETE" if has("tagging") => Operation::DeleteObjectTagging,
        "DELETE" => Operation::DeleteObject,
        _ => return None,
    })
}
