//! Which of the product's operations a request asks for, by method, address and sub-resource.
//!
//! A query name is either a parameter of an operation ([`PLAIN`]) or a sub-resource that names another operation. One that is not known
//! here must not fall through to the operation without it: `DELETE /?inventory` is not `DELETE /`. So what is no parameter and not in
//! the tables is refused with its name, for every method.

use super::address::Reading;
use super::auth::Caller;
use super::code::Code;
use super::dialect::Scheme;
use super::error::ServeError;
use super::playlist::PROCESS;
use super::request::Request;
use super::sign::aws_v2;

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
    GetBucketStat,
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
    PutSymlink,
    GetSymlink,
    ListObjectVersions,
    ListLiveChannel,
    GetSignedPlaylist,
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
            Self::GetBucketStat => "GetBucketStat",
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
            Self::PutSymlink => "PutSymlink",
            Self::GetSymlink => "GetSymlink",
            Self::ListObjectVersions => "ListObjectVersions",
            Self::ListLiveChannel => "ListLiveChannel",
            Self::GetSignedPlaylist => "GetSignedPlaylist",
        }
    }
}

/// Query names that say how an operation is done and not which one is meant.
const PLAIN: &[&str] = &[
    "allow-unordered",
    "AWSAccessKeyId",
    "continuation-token",
    "delimiter",
    "encoding-type",
    "Expires",
    "fetch-owner",
    "key-marker",
    "list-type",
    "marker",
    "max-buckets",
    "max-keys",
    "max-parts",
    "max-uploads",
    "OSSAccessKeyId",
    "partNumber",
    "part-number-marker",
    "position",
    "prefix",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "security-token",
    "sequential",
    "Signature",
    "start-after",
    "tag-key",
    "tag-value",
    "upload-id-marker",
    "versionId",
    "version-id-marker",
    "x-id",
    "x-oss-additional-headers",
    "x-oss-credential",
    "x-oss-date",
    "x-oss-expires",
    "x-oss-request-payer",
    "x-oss-security-token",
    "x-oss-signature",
    "x-oss-signature-version",
    "x-oss-traffic-limit",
];

type Row = (&'static str, &'static str, Operation);

/// Sub-resources of buckets: name, method, operation.
const OF_BUCKET: &[Row] = &[
    ("acl", "GET", Operation::GetBucketAcl),
    ("acl", "PUT", Operation::PutBucketAcl),
    ("bucketInfo", "GET", Operation::GetBucketInfo),
    ("cors", "GET", Operation::GetBucketCors),
    ("cors", "PUT", Operation::PutBucketCors),
    ("cors", "DELETE", Operation::DeleteBucketCors),
    ("delete", "POST", Operation::DeleteMultipleObjects),
    ("live", "GET", Operation::ListLiveChannel),
    ("location", "GET", Operation::GetBucketLocation),
    ("stat", "GET", Operation::GetBucketStat),
    ("uploads", "GET", Operation::ListMultipartUploads),
    ("versioning", "GET", Operation::GetBucketVersioning),
    ("versions", "GET", Operation::ListObjectVersions),
];

/// Sub-resources of objects.
const OF_OBJECT: &[Row] = &[
    ("acl", "GET", Operation::GetObjectAcl),
    ("acl", "PUT", Operation::PutObjectAcl),
    ("append", "POST", Operation::AppendObject),
    ("objectMeta", "GET", Operation::GetObjectMeta),
    ("objectMeta", "HEAD", Operation::GetObjectMeta),
    ("symlink", "GET", Operation::GetSymlink),
    ("symlink", "PUT", Operation::PutSymlink),
    ("tagging", "GET", Operation::GetObjectTagging),
    ("tagging", "PUT", Operation::PutObjectTagging),
    ("tagging", "DELETE", Operation::DeleteObjectTagging),
    ("uploadId", "GET", Operation::ListParts),
    ("uploadId", "PUT", Operation::UploadPart),
    ("uploadId", "POST", Operation::CompleteMultipartUpload),
    ("uploadId", "DELETE", Operation::AbortMultipartUpload),
    ("uploads", "POST", Operation::InitiateMultipartUpload),
    ("x-oss-process", "GET", Operation::GetSignedPlaylist),
];

/// Sub-resources that only the products have, whatever value they carry, and what they call the thing behind each: with the method in
/// front it is the operation's name. Those that are not here and have no value are told by their own name.
const ELSEWHERE: &[(&str, &str)] = &[
    ("accelerate", "BucketAccelerateConfiguration"),
    ("accessmonitor", "BucketAccessMonitor"),
    ("accessPoint", "AccessPoint"),
    ("accessPointPolicy", "AccessPointPolicy"),
    ("analytics", "BucketAnalyticsConfiguration"),
    ("asyncFetch", "AsyncFetchTask"),
    ("attributes", "ObjectAttributes"),
    ("bucketArchiveDirectRead", "BucketArchiveDirectRead"),
    ("callback", "Callback"),
    ("callback-var", "Callback"),
    ("cname", "Cname"),
    ("encryption", "BucketEncryption"),
    ("group", "ObjectGroup"),
    ("httpsConfig", "BucketHttpsConfig"),
    (
        "intelligent-tiering",
        "BucketIntelligentTieringConfiguration",
    ),
    ("inventory", "BucketInventory"),
    ("inventoryId", "BucketInventory"),
    ("legal-hold", "ObjectLegalHold"),
    ("lifecycle", "BucketLifecycle"),
    ("link", "ObjectLink"),
    ("logging", "BucketLogging"),
    ("metaQuery", "MetaQuery"),
    ("metrics", "BucketMetricsConfiguration"),
    ("notification", "BucketNotificationConfiguration"),
    ("object-lock", "ObjectLockConfiguration"),
    ("ownershipControls", "BucketOwnershipControls"),
    ("policy", "BucketPolicy"),
    ("policyStatus", "BucketPolicyStatus"),
    ("publicAccessBlock", "BucketPublicAccessBlock"),
    ("qos", "BucketQos"),
    ("qosInfo", "BucketQosInfo"),
    ("qosRequester", "BucketQosRequester"),
    ("redundancyTransition", "BucketDataRedundancyTransition"),
    ("referer", "BucketReferer"),
    ("regionList", "Regions"),
    ("regions", "Regions"),
    ("replication", "BucketReplication"),
    ("replicationLocation", "BucketReplicationLocation"),
    ("replicationProgress", "BucketReplicationProgress"),
    ("requesterQosInfo", "BucketRequesterQosInfo"),
    ("requestPayment", "BucketRequestPayment"),
    ("resourceGroup", "BucketResourceGroup"),
    ("resourcePool", "BucketResourcePool"),
    ("restore", "RestoreObject"),
    ("retention", "ObjectRetention"),
    ("select", "SelectObject"),
    ("stat", "BucketStat"),
    ("style", "Style"),
    ("styleName", "Style"),
    ("symlink", "Symlink"),
    ("tagging", "BucketTags"),
    ("torrent", "ObjectTorrent"),
    ("transferAcceleration", "BucketTransferAcceleration"),
    ("versioning", "BucketVersioning"),
    ("vod", "VodPlaylist"),
    ("live", "LiveChannel"),
    ("website", "BucketWebsite"),
    ("worm", "BucketWorm"),
    ("wormExtend", "BucketWorm"),
    ("wormId", "BucketWorm"),
    ("x-oss-process", "Process"),
    ("x-oss-async-process", "AsyncProcess"),
];

/// Names the operation.
pub fn operation(request: &Request, caller: &Caller) -> Result<Operation, ServeError> {
    let method = request.method.as_str();
    if method == "OPTIONS" {
        return Ok(Operation::OptionObject);
    }
    let table = match &caller.reading {
        Reading::Service => &[],
        Reading::Bucket { key, .. } if key.is_empty() => OF_BUCKET,
        Reading::Bucket { .. } => OF_OBJECT,
    };
    let of_version_2 = matches!(
        Scheme::of(request),
        Some(Scheme::AwsV2Header | Scheme::AwsV2Url)
    );
    for (name, value) in &request.query {
        // Whoever holds an address could make another operation of it.
        if of_version_2 && is_sub_resource(name) && !aws_v2::signs(name) {
            return Err(ServeError::denied(format!(
                "S3's signature of version 2 does not cover the parameter {name}."
            )));
        }
        if let Some(refusal) = unknown(table, method, name, value) {
            return Err(refusal);
        }
    }
    let named = table.iter().find(|(name, ..)| request.has(name));
    let found = match named {
        Some((name, ..)) => table
            .iter()
            .find(|(own, verb, _)| own == name && *verb == method)
            .map(|(.., operation)| *operation),
        None => plain(request, &caller.reading, method),
    };
    let copies = caller.dialect.header(request, "copy-source").is_some();
    match found {
        Some(Operation::UploadPart) if copies => Ok(Operation::UploadPartCopy),
        Some(Operation::PutObject) if copies => Ok(Operation::CopyObject),
        Some(operation) => Ok(operation),
        None => Err(ServeError::of(Code::MethodNotAllowed).with("Method", method.to_owned())),
    }
}

/// The refusal of a query name that means an operation which is not there.
fn unknown(table: &[Row], method: &str, name: &str, value: &str) -> Option<ServeError> {
    let ours = |verb: &str| {
        table
            .iter()
            .any(|(own, row, _)| *own == name && (verb.is_empty() || *row == verb))
    };
    if name == "x-oss-process" && ours(method) && !value.starts_with(PROCESS) {
        let step: String = value
            .split(',')
            .next()
            .unwrap_or_default()
            .chars()
            .take(64)
            .collect();
        return Some(ServeError::not_implemented(&format!("{name}={step}")));
    }
    if PLAIN.contains(&name) || ours(method) {
        return None;
    }
    if let Some((_, thing)) = ELSEWHERE.iter().find(|(own, _)| *own == name) {
        return Some(ServeError::not_implemented(&named(method, thing)));
    }
    // Clients add names of their own with a value (`?v=3` past a cache), and numbers without one.
    let clients_own = !value.is_empty() && !name.starts_with("x-oss-") && !is_sub_resource(name);
    let means_nothing = clients_own || !name.starts_with(|first: char| first.is_ascii_alphabetic());
    if means_nothing || ours("") {
        return None;
    }
    let name: String = name.chars().take(64).collect();
    Some(ServeError::not_implemented(&name))
}

/// Whether a name stands for an operation of buckets or of objects. On the other of the two it means nothing that is here.
fn is_sub_resource(name: &str) -> bool {
    let mut rows = OF_BUCKET.iter().chain(OF_OBJECT);
    rows.any(|(own, ..)| *own == name)
}

/// An operation's name, as the product makes it of a method and a thing.
fn named(method: &str, thing: &str) -> String {
    if thing.starts_with("Restore") || thing.starts_with("Select") {
        return thing.to_owned();
    }
    let mut letters = method.chars();
    let verb: String = letters
        .next()
        .into_iter()
        .chain(letters.map(|letter| letter.to_ascii_lowercase()))
        .collect();
    format!("{verb}{thing}")
}

/// The operation of a request without a sub-resource.
fn plain(request: &Request, reading: &Reading, method: &str) -> Option<Operation> {
    Some(match (reading, method) {
        (Reading::Service, "GET" | "HEAD") => Operation::GetService,
        (Reading::Service, _) => return None,
        (Reading::Bucket { key, .. }, _) if key.is_empty() => match method {
            "GET" if request.param("list-type") == Some("2") => Operation::GetBucketV2,
            "GET" => Operation::GetBucket,
            "HEAD" => Operation::HeadBucket,
            "PUT" => Operation::PutBucket,
            "DELETE" => Operation::DeleteBucket,
            "POST" => Operation::PostObject,
            _ => return None,
        },
        (_, "GET") => Operation::GetObject,
        (_, "HEAD") => Operation::HeadObject,
        (_, "PUT") => Operation::PutObject,
        (_, "DELETE") => Operation::DeleteObject,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::auth::Payload;
    use super::super::dialect::Dialect;
    use super::super::sign::oss_v1;
    use super::*;

    fn route(method: &str, target: &str, reading: Reading) -> Result<Operation, ServeError> {
        let request = Request::new(method, target, std::iter::empty()).expect("valid");
        let caller = Caller {
            key_id: None,
            dialect: Dialect::Oss,
            reading,
            payload: Payload::Unsigned,
        };
        operation(&request, &caller)
    }

    fn at(key: &str) -> Reading {
        Reading::Bucket {
            bucket: "rec".into(),
            key: key.into(),
        }
    }

    /// Every method, on the service, a bucket and an object: a sub-resource that is not known never means the operation without it.
    #[test]
    fn what_is_no_parameter_is_refused_by_its_name() {
        let unknown = [
            "inventory",
            "httpsConfig",
            "frobnicate",
            "worm",
            "x-oss-unheard-of",
        ];
        for method in ["GET", "HEAD", "PUT", "POST", "DELETE"] {
            for reading in [Reading::Service, at(""), at("a.ts")] {
                for name in unknown {
                    for query in [name.to_owned(), format!("prefix=a&{name}&acl")] {
                        let refused = route(method, &format!("/?{query}"), reading.clone())
                            .expect_err("not there");
                        assert_eq!(refused.code, Code::NotImplemented, "{method} {query}");
                    }
                }
            }
        }
        let refused = route("DELETE", "/?inventory", at("")).expect_err("not there");
        assert!(
            refused.message.contains("DeleteBucketInventory"),
            "{refused}"
        );
        let refused = route("GET", "/?frobnicate", at("")).expect_err("not there");
        assert!(refused.message.contains("frobnicate"), "{refused}");
    }

    #[test]
    fn a_sub_resource_with_a_method_it_does_not_have_is_no_plain_operation() {
        for (method, query, key) in [
            ("DELETE", "acl", ""),
            ("PUT", "location", ""),
            ("DELETE", "uploads", ""),
            ("POST", "versions", ""),
            ("DELETE", "acl", "a"),
            ("PUT", "objectMeta", "a"),
            ("DELETE", "append", "a"),
        ] {
            let refused = route(method, &format!("/?{query}"), at(key)).expect_err("no method");
            assert_eq!(refused.code, Code::MethodNotAllowed, "{method} ?{query}");
        }
        for (method, query, key, name) in [
            ("PUT", "versioning", "", "PutBucketVersioning"),
            ("DELETE", "tagging", "", "DeleteBucketTags"),
            ("PUT", "live", "channel", "PutLiveChannel"),
            ("POST", "select", "a", "SelectObject"),
            // Those of objects on a bucket, and the reverse, with a value as without one.
            ("DELETE", "uploadId", "", "uploadId"),
            ("DELETE", "uploadId=ID", "", "uploadId"),
            ("PUT", "uploadId=ID&partNumber=1", "", "uploadId"),
            ("PUT", "append=1&position=0", "", "append"),
            ("GET", "objectMeta=1", "", "objectMeta"),
            ("DELETE", "cors=1", "a", "cors"),
            ("GET", "location=1", "a", "location"),
            ("PUT", "versions=1", "a", "versions"),
        ] {
            let refused = route(method, &format!("/?{query}"), at(key)).expect_err("not there");
            assert!(
                refused.message.contains(name),
                "{method} ?{query}: {refused}"
            );
        }
    }

    #[test]
    fn what_an_older_signature_does_not_cover_is_no_other_operation() {
        let signed = "AWSAccessKeyId=a&Expires=1&Signature=s";
        for (method, query, key) in [
            ("POST", "append&position=0", "a"),
            ("HEAD", "objectMeta", "a"),
            ("GET", "symlink", "a"),
            ("GET", "x-oss-process=hls/sign", "a"),
            ("GET", "bucketInfo", ""),
            ("GET", "stat", ""),
            ("GET", "live", ""),
        ] {
            let refused = route(method, &format!("/?{signed}&{query}"), at(key));
            let refused = refused.expect_err("not signed");
            assert_eq!(refused.code, Code::AccessDenied, "{method} ?{query}");
            let name = query.split(['=', '&']).next().unwrap_or_default();
            assert!(refused.message.contains(name), "{refused}");
        }
        for query in ["acl", "uploads", "versioning"] {
            let target = format!("/?{signed}&{query}");
            assert!(route("GET", &target, at("")).is_ok(), "{query}");
        }
        let claim = oss_v1::Claim {
            key_id: String::new(),
            signature: String::new(),
            date: String::new(),
            in_url: true,
        };
        for (name, ..) in OF_BUCKET.iter().chain(OF_OBJECT) {
            let request = Request::new("GET", &format!("/a?{name}"), std::iter::empty());
            let signed = oss_v1::string_to_sign(&request.expect("valid"), &claim, &at("a"));
            assert!(signed.ends_with(&format!("/rec/a?{name}")), "{signed}");
        }
    }

    #[test]
    fn parameters_and_names_of_clients_own_change_nothing() {
        for query in [
            "",
            "prefix&delimiter=/",
            "v=3",
            "1795360256",
            "_=5",
            "x-id=ListObjects",
            "versionId=null",
        ] {
            let target = format!("/?{query}");
            assert_eq!(
                route("GET", &target, at("")).expect("listed"),
                Operation::GetBucket
            );
            assert_eq!(
                route("GET", &target, at("a")).expect("read"),
                Operation::GetObject
            );
        }
        let playlist = route("GET", "/a?x-oss-process=hls/sign", at("a")).expect("signed");
        assert_eq!(playlist, Operation::GetSignedPlaylist);
        let refused =
            route("GET", "/a?x-oss-process=image/resize,w_1", at("a")).expect_err("image");
        assert!(refused.message.contains("image/resize"), "{refused}");
    }
}
