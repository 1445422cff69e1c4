//! Looking into an outside store.

use std::io;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use futures_util::stream;

use super::Client;
use crate::look::{Bucket, Content, LookError, Object, Page};

fn ms(time: Option<&DateTime>) -> Option<i64> {
    time.and_then(|time| time.to_millis().ok())
}

fn etag(text: Option<&str>) -> String {
    text.unwrap_or_default().trim_matches('"').to_owned()
}

fn size(told: Option<i64>) -> u64 {
    told.and_then(|size| u64::try_from(size).ok()).unwrap_or(0)
}

fn trouble<E>(error: &SdkError<E>, bucket: &str, key: &str) -> LookError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let text = aws_sdk_s3::error::DisplayErrorContext(error).to_string();
    let SdkError::ServiceError(service) = error else {
        return LookError::Failed(text);
    };
    match (service.err().code(), service.raw().status().as_u16()) {
        (Some("NoSuchBucket"), _) => LookError::NoSuchBucket(bucket.to_owned()),
        (_, 404) if !key.is_empty() => LookError::NoSuchKey(key.to_owned()),
        (_, 404) => LookError::NoSuchBucket(bucket.to_owned()),
        (_, 403) => LookError::Refused(text),
        _ => LookError::Failed(text),
    }
}

impl Client {
    pub(crate) async fn buckets(&self) -> Result<Vec<Bucket>, LookError> {
        let told = self.s3.list_buckets().send().await;
        let told = told.map_err(|error| trouble(&error, "", ""))?;
        let buckets = told.buckets().iter().map(|bucket| Bucket {
            name: bucket.name().unwrap_or_default().to_owned(),
            created_ms: ms(bucket.creation_date()),
            acl: None,
            cors: Vec::new(),
        });
        Ok(buckets.collect())
    }

    pub(crate) async fn page(
        &self,
        bucket: &str,
        prefix: &str,
        folded: bool,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page, LookError> {
        let ask = self.s3.list_objects_v2().bucket(bucket).prefix(prefix);
        let ask = ask
            .set_delimiter(folded.then(|| "/".to_owned()))
            .set_continuation_token(after.map(str::to_owned))
            .max_keys(i32::try_from(limit).unwrap_or(i32::MAX));
        let told = ask.send().await;
        let told = told.map_err(|error| trouble(&error, bucket, ""))?;
        let objects = told.contents().iter().map(|object| Object {
            key: object.key().unwrap_or_default().to_owned(),
            size: size(object.size()),
            last_modified_ms: ms(object.last_modified()).unwrap_or(0),
            etag: etag(object.e_tag()),
            content_type: None,
            acl: None,
            crc64: None,
            user_metadata: Default::default(),
        });
        let folders = told.common_prefixes().iter();
        Ok(Page {
            objects: objects.collect(),
            folders: folders
                .filter_map(|folder| folder.prefix().map(str::to_owned))
                .collect(),
            next: told.next_continuation_token().map(str::to_owned),
        })
    }

    pub(crate) async fn facts(&self, bucket: &str, key: &str) -> Result<Object, LookError> {
        let told = self.s3.head_object().bucket(bucket).key(key).send().await;
        let told = told.map_err(|error| trouble(&error, bucket, key))?;
        Ok(Object {
            key: key.to_owned(),
            size: size(told.content_length()),
            last_modified_ms: ms(told.last_modified()).unwrap_or(0),
            etag: etag(told.e_tag()),
            content_type: told.content_type().map(str::to_owned),
            acl: None,
            crc64: None,
            user_metadata: told
                .metadata()
                .cloned()
                .unwrap_or_default()
                .into_iter()
                .collect(),
        })
    }

    pub(crate) async fn content(
        &self,
        bucket: &str,
        key: &str,
        start: u64,
        length: u64,
    ) -> Result<Content, LookError> {
        if length == 0 {
            return Ok(Box::pin(stream::empty()));
        }
        let last = start.saturating_add(length) - 1;
        let ask = self.s3.get_object().bucket(bucket).key(key);
        let told = ask.range(format!("bytes={start}-{last}")).send().await;
        let told = told.map_err(|error| trouble(&error, bucket, key))?;
        let pieces = stream::unfold(told.body, |mut body: ByteStream| async move {
            let piece = body.next().await?;
            Some((piece.map_err(io::Error::other), body))
        });
        Ok(Box::pin(pieces))
    }
}
