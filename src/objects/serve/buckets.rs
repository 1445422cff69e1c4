//! Operations on the service and on buckets as such.

use super::Context;
use super::acl::{self, OWNER, Target};
use super::answer::Answer;
use super::body;
use super::code::Code;
use super::dialect::Dialect;
use super::error::ServeError;
use super::sign::timestamp;
use super::xml::{self, CreateBucket, Xml};
use crate::folder::{Acl, BucketClass, BucketInfo, FolderError, Redundancy, UploadQuery};

/// The location that buckets report: the region in the Host header if it names one.
fn location(context: &Context<'_>) -> String {
    location_in(context.request.host())
}

/// The endpoint stands behind the bucket, whose own name may begin with `oss-` too.
fn location_in(host: &str) -> String {
    let host = host.to_ascii_lowercase();
    let named = host
        .rsplit('.')
        .find(|label| label.starts_with("oss-"))
        .map(|label| label.trim_end_matches("-internal"));
    named.unwrap_or("oss-cn-shanghai").to_owned()
}

/// The owner element.
pub fn owner(xml: &mut Xml) {
    xml.nest("Owner", |xml| {
        xml.text("ID", OWNER).text("DisplayName", OWNER);
    });
}

/// Who began an upload: the one account.
pub fn initiator(xml: &mut Xml) {
    xml.nest("Initiator", |xml| {
        xml.text("ID", OWNER).text("DisplayName", OWNER);
    });
}

fn bucket_elements(xml: &mut Xml, bucket: &BucketInfo, location: &str) {
    let region = location.trim_start_matches("oss-");
    xml.text("CreationDate", timestamp(bucket.created_ms))
        .text("ExtranetEndpoint", format!("{location}.aliyuncs.com"))
        .text(
            "IntranetEndpoint",
            format!("{location}-internal.aliyuncs.com"),
        )
        .text("Location", location)
        .text("Name", &bucket.name)
        .text("Region", region)
        .text("StorageClass", bucket.storage_class.as_str());
}

/// `GetService`: the buckets.
pub async fn get_service(context: &Context<'_>) -> Result<Answer, ServeError> {
    let request = context.request;
    let max =
        request
            .number("max-keys", 1..=1000)?
            .unwrap_or(if context.dialect() == Dialect::S3 {
                1000
            } else {
                100
            });
    let (max, marker) = match context.dialect() {
        Dialect::Oss => (max, "marker"),
        Dialect::S3 => {
            let asked = request.number("max-buckets", 1..=10_000)?;
            (asked.unwrap_or(max), "continuation-token")
        }
    };
    let max = usize::try_from(max).unwrap_or(1000);
    let prefix = request.param("prefix").unwrap_or_default();
    let marker = request.param(marker).unwrap_or_default();
    let mut buckets = context.store().list_buckets().await?;
    buckets.retain(|bucket| bucket.name.starts_with(prefix) && bucket.name.as_str() > marker);
    let truncated = buckets.len() > max;
    buckets.truncate(max);
    let location = location(context);
    let mut xml = context.dialect().document("ListAllMyBucketsResult");
    if context.dialect() == Dialect::Oss {
        xml.text("Prefix", prefix)
            .text("Marker", marker)
            .text("MaxKeys", max)
            .text("IsTruncated", truncated);
        if truncated {
            xml.maybe("NextMarker", buckets.last().map(|bucket| &bucket.name));
        }
    }
    owner(&mut xml);
    xml.nest("Buckets", |xml| {
        for bucket in &buckets {
            xml.nest("Bucket", |xml| bucket_elements(xml, bucket, &location));
        }
    });
    if context.dialect() == Dialect::S3 {
        let next = buckets.last().filter(|_| truncated);
        xml.maybe("ContinuationToken", next.map(|bucket| &bucket.name));
    }
    Ok(Answer::xml(xml))
}

/// What S3 asks of a bucket's name beyond what the store does: it stands before a host, so that its dots divide labels, and is no address.
fn is_name_in_s3(name: &str) -> bool {
    let is_label =
        |label: &str| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-');
    name.split('.').all(is_label) && name.parse::<std::net::Ipv4Addr>().is_err()
}

/// `PutBucket`. Making one's own bucket again is no error; a list named with it is set.
pub async fn put_bucket(
    context: &Context<'_>,
    payload: &mut body::Body,
) -> Result<Answer, ServeError> {
    let name = context.bucket();
    if context.dialect() == Dialect::S3 && !is_name_in_s3(name) {
        return Err(FolderError::InvalidBucketName(name.to_owned()).into());
    }
    let acl = acl::in_headers(context, Target::Bucket)?;
    let (class, redundancy) = kept_of_bucket(context, &body::document(context, payload).await?)?;
    match context
        .store()
        .create_bucket_of(name, acl.unwrap_or(Acl::Private), class, redundancy)
        .await
    {
        Ok(()) => {}
        Err(FolderError::BucketAlreadyExists(_)) => {
            if let Some(acl) = acl {
                context.store().set_bucket_acl(name, acl).await?;
            }
        }
        Err(error) => return Err(error.into()),
    }
    Ok(Answer::empty(200).header("location", format!("/{name}")))
}

/// What OSS's document says of the objects to come.
fn kept_of_bucket(
    context: &Context<'_>,
    body: &[u8],
) -> Result<(BucketClass, Redundancy), ServeError> {
    let asked = match context.dialect() {
        Dialect::Oss if !body.is_empty() => xml::parse(body)?,
        _ => CreateBucket::default(),
    };
    let class = asked.storage_class.filter(|word| !word.is_empty());
    let class = class.map_or(Ok(BucketClass::default()), |word| {
        BucketClass::parse(&word).ok_or_else(|| {
            ServeError::argument("StorageClass", &word, "The storage class is not known.")
        })
    })?;
    let redundancy = match asked.redundancy.as_deref() {
        None | Some("" | "LRS") => Redundancy::Lrs,
        Some("ZRS") => Redundancy::Zrs,
        Some(other) => {
            return Err(ServeError::argument(
                "DataRedundancyType",
                other,
                "The data redundancy type must be LRS or ZRS.",
            ));
        }
    };
    Ok((class, redundancy))
}

/// `DeleteBucket`.
pub async fn delete_bucket(context: &Context<'_>) -> Result<Answer, ServeError> {
    let (store, bucket) = (context.store(), context.bucket());
    // OSS wants uploads that somebody began to be ended first; in S3 they go with the bucket.
    if context.dialect() == Dialect::Oss {
        let one = UploadQuery {
            max_uploads: 1,
            ..UploadQuery::default()
        };
        if !store.list_uploads(bucket, one).await?.uploads.is_empty() {
            return Err(ServeError::of(Code::BucketHasUploads));
        }
    }
    store.delete_bucket(bucket).await?;
    Ok(Answer::empty(204))
}

/// `HeadBucket`.
pub async fn head_bucket(context: &Context<'_>) -> Result<Answer, ServeError> {
    context.store().bucket(context.bucket()).await?;
    let region = location(context).trim_start_matches("oss-").to_owned();
    let name = if context.dialect() == Dialect::S3 {
        "x-amz-bucket-region"
    } else {
        "x-oss-bucket-region"
    };
    Ok(Answer::empty(200).header(name, region))
}

/// `GetBucketInfo`.
pub async fn get_bucket_info(context: &Context<'_>) -> Result<Answer, ServeError> {
    let bucket = context.store().bucket(context.bucket()).await?;
    let location = location(context);
    let mut xml = context.dialect().document("BucketInfo");
    xml.nest("Bucket", |xml| {
        bucket_elements(xml, &bucket, &location);
        owner(xml);
        xml.nest("AccessControlList", |xml| {
            xml.text("Grant", bucket.acl.as_str());
        });
        xml.text("DataRedundancyType", bucket.redundancy.as_str())
            .text("AccessMonitor", "Disabled")
            .text("TransferAcceleration", "Disabled")
            .text("CrossRegionReplication", "Disabled")
            .text("Comment", "")
            .nest("ServerSideEncryptionRule", |xml| {
                xml.text("SSEAlgorithm", "None");
            });
    });
    Ok(Answer::xml(xml))
}

/// `GetBucketLocation`.
pub async fn get_bucket_location(context: &Context<'_>) -> Result<Answer, ServeError> {
    context.store().bucket(context.bucket()).await?;
    let mut xml = context.dialect().document("LocationConstraint");
    xml.inner(location(context));
    Ok(Answer::xml(xml))
}

/// `GetBucketStat`: counted now, and not once an hour as in the product.
pub async fn get_bucket_stat(context: &Context<'_>) -> Result<Answer, ServeError> {
    let usage = context.store().usage(context.bucket()).await?;
    let (standard, cold) = (usage.standard, usage.infrequent_access);
    let mut xml = context.dialect().document("BucketStat");
    xml.text("Storage", standard.bytes + cold.bytes + usage.part_bytes)
        .text("ObjectCount", standard.objects + cold.objects)
        .text("MultipartUploadCount", usage.uploads)
        .text("MultipartPartCount", usage.parts)
        .text("LiveChannelCount", 0)
        .text("LastModifiedTime", (context.state.clock)() / 1000)
        .text("StandardStorage", standard.bytes)
        .text("StandardObjectCount", standard.objects)
        .text("InfrequentAccessStorage", cold.bytes)
        .text("InfrequentAccessRealStorage", cold.bytes)
        .text("InfrequentAccessObjectCount", cold.objects);
    for class in ["Archive", "ColdArchive", "DeepColdArchive"] {
        for count in ["Storage", "RealStorage", "ObjectCount"] {
            xml.text(&format!("{class}{count}"), 0);
        }
    }
    xml.text("DeleteMarkerCount", 0);
    Ok(Answer::xml(xml))
}

/// `GetBucketVersioning`: never turned on, which the product tells by an empty document.
pub async fn get_bucket_versioning(context: &Context<'_>) -> Result<Answer, ServeError> {
    context.store().bucket(context.bucket()).await?;
    Ok(Answer::xml(
        context.dialect().document("VersioningConfiguration"),
    ))
}

/// `ListLiveChannel`: none are ever made, and those who clean a bucket ask before they go on.
pub async fn list_live_channels(context: &Context<'_>) -> Result<Answer, ServeError> {
    let request = context.request;
    context.store().bucket(context.bucket()).await?;
    let max = request.number("max-keys", 1..=1000)?.unwrap_or(100);
    let mut xml = context.dialect().document("ListLiveChannelResult");
    xml.text("Prefix", request.param("prefix").unwrap_or_default())
        .text("Marker", request.param("marker").unwrap_or_default())
        .text("MaxKeys", max)
        .text("IsTruncated", false)
        .text("NextMarker", "");
    Ok(Answer::xml(xml))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_s3_is_a_name_of_hosts_and_no_address() {
        for good in ["abc", "a.b-c.d", "192.168.5", "1.2.3.4.5", "a--b"] {
            assert!(is_name_in_s3(good), "{good}");
        }
        for bad in ["192.168.5.123", "a.-b", "a-.b", "a..b", ".ab", "ab."] {
            assert!(!is_name_in_s3(bad), "{bad}");
        }
    }

    #[test]
    fn the_location_is_the_endpoint_and_not_the_bucket() {
        for (host, location) in [
            ("rec.oss-cn-beijing.aliyuncs.com", "oss-cn-beijing"),
            (
                "oss-logs.oss-cn-beijing-internal.aliyuncs.com",
                "oss-cn-beijing",
            ),
            ("oss-a.oss-b.Oss-cn-hangzhou.localhost", "oss-cn-hangzhou"),
            ("rec.s3.oss-cn-shenzhen.aliyuncs.com", "oss-cn-shenzhen"),
            ("127.0.0.1", "oss-cn-shanghai"),
        ] {
            assert_eq!(location_in(host), location, "{host}");
        }
    }
}
