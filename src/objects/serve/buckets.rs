//! Operations on the service and on buckets as such.

use super::Context;
use super::acl::{self, OWNER, Target};
use super::answer::Answer;
use super::dialect::Dialect;
use super::error::ServeError;
use super::sign::timestamp;
use super::xml::Xml;
use crate::objects::folder::{Acl, BucketInfo, FolderError};

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
        .text("StorageClass", "Standard");
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
    let max = usize::try_from(max).unwrap_or(1000);
    let prefix = request.param("prefix").unwrap_or_default();
    let marker = request.param("marker").unwrap_or_default();
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
    Ok(Answer::xml(xml))
}

/// `PutBucket`. Making one's own bucket again is no error; a list named with it is set.
pub async fn put_bucket(context: &Context<'_>) -> Result<Answer, ServeError> {
    let name = context.bucket();
    let acl = acl::in_headers(context, Target::Bucket)?;
    match context
        .store()
        .create_bucket(name, acl.unwrap_or(Acl::Private))
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

/// `DeleteBucket`.
pub async fn delete_bucket(context: &Context<'_>) -> Result<Answer, ServeError> {
    context.store().delete_bucket(context.bucket()).await?;
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
        xml.text("DataRedundancyType", "LRS")
            .text("Versioning", "")
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
