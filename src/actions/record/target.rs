//! OssBucket and OssEndpoint of a request: their form, and whether the bucket is there.

use std::time::Duration;

use crate::actions::Context;
use crate::clock::machine_timeout;
use crate::config::Buckets;
use crate::error::{ApiError, Code};
use crate::model::object_name::bucket_is_valid;
use crate::objects::{Objects, PutError};

/// The longest endpoint that a row keeps.
const LONGEST_ENDPOINT: usize = 255;

/// A bucket's name, if OSS allows it.
pub fn bucket_name(name: &str) -> Result<&str, ApiError> {
    if bucket_is_valid(name) {
        Ok(name)
    } else {
        Err(ApiError::coded(Code::InvalidOssBucketMalformed))
    }
}

/// An endpoint without scheme and closing slash. Every endpoint leads to the one configured store; its name only goes into answers.
pub fn endpoint(text: &str) -> Result<String, ApiError> {
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))
        .unwrap_or(text)
        .trim_end_matches('/');
    let foreign = |c: char| {
        c.is_whitespace() || c.is_control() || matches!(c, '/' | '\\' | '?' | '#' | '@' | '"')
    };
    if host.is_empty() || host.len() > LONGEST_ENDPOINT || host.chars().any(foreign) {
        return Err(ApiError::coded(Code::InvalidOssEndpointMalformed));
    }
    Ok(host.to_owned())
}

/// How long a store may take to answer about a bucket; the caller's own patience ends at 10 s, as a rule.
const STORE_PATIENCE: Duration = Duration::from_secs(4);

/// Makes sure that a bucket exists: by creating it, or by refusing one that does not, as the settings say. A store that is down
/// keeps nobody from adding a rule: the bucket is made, or found missing, when something is recorded into it.
pub async fn ensure_bucket(ctx: &Context, bucket: &str) -> Result<(), ApiError> {
    bucket_for(&ctx.services.objects, bucket, ctx.config.buckets).await
}

/// As [`ensure_bucket`], for a caller that says itself what becomes of a bucket that does not exist.
pub async fn bucket_for(objects: &Objects, bucket: &str, buckets: Buckets) -> Result<(), ApiError> {
    let asking = async {
        match buckets {
            Buckets::Auto => objects.create_bucket(bucket).await.map(|()| true),
            Buckets::Existing => objects.bucket_exists(bucket).await,
        }
    };
    let asked = machine_timeout(STORE_PATIENCE, asking)
        .await
        .unwrap_or_else(|| Err(PutError::Failed("no answer".to_owned())));
    match asked {
        Ok(true) => Ok(()),
        Ok(false) => Err(ApiError::coded(Code::InvalidOssBucketNotFound)),
        Err(PutError::Failed(why)) if objects.is_outside() => {
            tracing::warn!(
                bucket,
                why,
                "the object store cannot be asked; the rule is taken"
            );
            if buckets == Buckets::Auto {
                objects.create_later(bucket);
            }
            Ok(())
        }
        Err(error) => Err(store_error(error)),
    }
}

/// What the caller learns of a store that refuses.
pub fn store_error(error: PutError) -> ApiError {
    match error {
        PutError::NoSuchBucket => ApiError::coded(Code::InvalidOssBucketNotFound),
        PutError::Denied(_) | PutError::Name(_) => {
            ApiError::coded(Code::Forbidden).with_source(error)
        }
        PutError::Taken | PutError::Failed(_) => ApiError::internal(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_lose_scheme_and_slash() {
        for (given, kept) in [
            (
                "oss-cn-shanghai.aliyuncs.com",
                "oss-cn-shanghai.aliyuncs.com",
            ),
            (
                "https://oss-cn-shanghai.aliyuncs.com/",
                "oss-cn-shanghai.aliyuncs.com",
            ),
            ("http://127.0.0.1:9000", "127.0.0.1:9000"),
        ] {
            assert_eq!(endpoint(given).unwrap(), kept);
        }
        assert!(endpoint(&"e".repeat(255)).is_ok());
        for bad in ["", "http://", "a b", "a/b", "a\nb", &"e".repeat(256)] {
            assert_eq!(
                endpoint(bad).unwrap_err().code,
                Code::InvalidOssEndpointMalformed,
                "{bad:?}"
            );
        }
    }
}
