//! An outside S3-compatible store, through aws-sdk-s3.

mod look;
mod pieces;

use std::path::Path;
use std::time::Duration;

use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::{ByteStream, Length};
use aws_sdk_s3::types::{
    BucketLocationConstraint, CompletedMultipartUpload, CompletedPart, CreateBucketConfiguration,
};
use bytes::Bytes;

use super::{PutError, Upload};
use pieces::Pieces;

/// Bytes of a part; larger files go in several.
const PART: u64 = 16 << 20;

const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// From a request's start to the first byte of its answer: a store that vanished answers never, and nothing says so.
const ANSWER_PATIENCE: Duration = Duration::from_secs(20);
/// What the slowest line takes in a second; a body's time at that speed comes on top.
const SLOWEST_BYTES: u64 = 128 << 10;
/// The same for bytes of our own: who puts them makes them smaller where the line is slow.
const SLOWEST_OWN_BYTES: u64 = 1 << 20;
/// A store that puts together an object of thousands of parts.
const JOIN_PATIENCE: Duration = Duration::from_secs(300);

/// How buckets are addressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressing {
    Path,
    Virtual,
}

fn timeouts(answer: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_PATIENCE)
        .read_timeout(answer)
        .build()
}

/// For a request that needs more than the usual time.
fn patient(answer: Duration) -> aws_sdk_s3::config::Builder {
    aws_sdk_s3::Config::builder().timeout_config(timeouts(answer))
}

/// For a request with a body.
fn carrying(bytes: u64, slowest: u64) -> aws_sdk_s3::config::Builder {
    patient(ANSWER_PATIENCE + Duration::from_secs(bytes / slowest))
}

/// The metadata name that tells under which epoch an object was put.
const EPOCH: &str = "localyun-epoch";

/// What is put.
enum Content<'a> {
    /// A file, and how many bytes it has.
    File(&'a Path, u64),
    Text(Bytes),
}

/// What a name in the store is to an upload.
enum Room {
    Free,
    /// The object is this very file.
    Same,
    /// It is what an earlier owner of the stream made of it; its entity tag.
    Older(String),
}

/// A client of one outside store.
pub struct Client {
    s3: aws_sdk_s3::Client,
    /// Signs addresses for others, who may see the store under another name: the name is signed too.
    signer: aws_sdk_s3::Client,
}

impl Client {
    #[must_use]
    pub fn new(
        endpoint: &str,
        region: &str,
        key_id: &str,
        secret: &str,
        addressing: Addressing,
    ) -> Self {
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(aws_smithy_http_client::tls::Provider::Rustls(
                aws_smithy_http_client::tls::rustls_provider::CryptoMode::Ring,
            ))
            .build_https();
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(http)
            .region(Region::new(region.to_owned()))
            .endpoint_url(endpoint)
            .credentials_provider(Credentials::new(key_id, secret, None, None, "localyun"))
            .force_path_style(addressing == Addressing::Path)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts(ANSWER_PATIENCE))
            .build();
        let s3 = aws_sdk_s3::Client::from_conf(config);
        Self {
            signer: s3.clone(),
            s3,
        }
    }

    /// Addresses that are handed out begin with that one.
    #[must_use]
    pub fn seen_at(mut self, public_url: &str) -> Self {
        let config = self.s3.config().to_builder().endpoint_url(public_url);
        self.signer = aws_sdk_s3::Client::from_conf(config.build());
        self
    }

    async fn look_for_room(&self, upload: &Upload<'_>, tag: &str) -> Result<Room, PutError> {
        match self
            .s3
            .head_object()
            .bucket(upload.bucket)
            .key(upload.key)
            .send()
            .await
        {
            Ok(head) => {
                let told = |name: &str| head.metadata().and_then(|m| m.get(name));
                if told(tag).is_none_or(|value| value != upload.tag) {
                    return Err(PutError::Taken);
                }
                let epoch = told(EPOCH).and_then(|text| text.parse().ok()).unwrap_or(0);
                Ok(match head.e_tag() {
                    Some(etag) if upload.epoch > epoch => Room::Older(etag.to_owned()),
                    _ => Room::Same,
                })
            }
            Err(SdkError::ServiceError(error))
                if error.err().is_not_found() || error.raw().status().as_u16() == 404 =>
            {
                Ok(Room::Free)
            }
            Err(error) => Err(fault(&error)),
        }
    }

    /// A signed address of an object, good for that long.
    pub async fn signed_url(&self, bucket: &str, key: &str, good_for: Duration) -> Option<String> {
        let until = PresigningConfig::expires_in(good_for).ok()?;
        let request = self.signer.get_object().bucket(bucket).key(key);
        let signed = request.presigned(until).await.ok()?;
        Some(signed.uri().to_owned())
    }

    pub async fn put_file(
        &self,
        upload: &Upload<'_>,
        tag: &str,
        path: &Path,
    ) -> Result<(), PutError> {
        let found = tokio::fs::metadata(path).await;
        let size = found.map_err(|e| PutError::Failed(e.to_string()))?.len();
        self.put_once(upload, tag, &Content::File(path, size)).await
    }

    pub async fn put_text(
        &self,
        upload: &Upload<'_>,
        tag: &str,
        text: String,
    ) -> Result<(), PutError> {
        let text = Content::Text(text.into());
        self.put_once(upload, tag, &text).await
    }

    /// Puts an object where it is not there yet. Who comes between may be another owner of the stream, whose object then counts: it is looked for once more.
    async fn put_once(
        &self,
        upload: &Upload<'_>,
        tag: &str,
        content: &Content<'_>,
    ) -> Result<(), PutError> {
        for again in [true, false] {
            let room = self.look_for_room(upload, tag).await?;
            if matches!(room, Room::Same) {
                return Ok(());
            }
            let put = match content {
                Content::File(path, size) if *size > PART * 2 => {
                    self.put_parts(upload, tag, path, *size, &room).await
                }
                Content::File(path, size) => {
                    let body = ByteStream::from_path(path)
                        .await
                        .map_err(|e| PutError::Failed(e.to_string()))?;
                    self.put(upload, tag, body, *size, &room).await
                }
                Content::Text(text) => {
                    let size = text.len() as u64;
                    self.put(upload, tag, text.clone().into(), size, &room)
                        .await
                }
            };
            match put {
                Err(PutError::Taken) if again && upload.epoch > 0 => {}
                done => return done,
            }
        }
        Err(PutError::Taken)
    }

    /// Puts a text in place of an earlier one of the same tag.
    pub async fn replace_text(
        &self,
        upload: &Upload<'_>,
        tag: &str,
        text: String,
    ) -> Result<(), PutError> {
        self.look_for_room(upload, tag).await?;
        let size = text.len() as u64;
        self.put(upload, tag, text.into_bytes().into(), size, &Room::Same)
            .await
    }

    /// Puts bytes of our own under a name that nobody else uses.
    pub async fn put_own(&self, bucket: &str, key: &str, body: Vec<Bytes>) -> Result<(), PutError> {
        let body = Pieces::from(body);
        let size = body.left();
        self.s3
            .put_object()
            .bucket(bucket)
            .key(key)
            .content_type("application/octet-stream")
            .body(ByteStream::from_body_1_x(body))
            .customize()
            .config_override(carrying(size, SLOWEST_OWN_BYTES))
            // Each range in it has a checksum of its own. A digest of all of it, here and in the store, would cost more than the way there.
            .disable_payload_signing()
            .send()
            .await
            .map(|_| ())
            .map_err(|error| fault(&error))
    }

    async fn put(
        &self,
        upload: &Upload<'_>,
        tag: &str,
        body: ByteStream,
        size: u64,
        room: &Room,
    ) -> Result<(), PutError> {
        let mut put = self
            .s3
            .put_object()
            .bucket(upload.bucket)
            .key(upload.key)
            .content_type(upload.content_type)
            .metadata(tag, upload.tag)
            .body(body);
        if upload.epoch > 0 {
            put = put.metadata(EPOCH, upload.epoch.to_string());
            put = match room {
                Room::Free => put.if_none_match("*"),
                Room::Older(etag) => put.if_match(etag),
                Room::Same => put,
            };
        }
        put.customize()
            .config_override(carrying(size, SLOWEST_BYTES))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| fault(&error))
    }

    async fn put_parts(
        &self,
        upload: &Upload<'_>,
        tag: &str,
        path: &Path,
        size: u64,
        room: &Room,
    ) -> Result<(), PutError> {
        let mut begin = self
            .s3
            .create_multipart_upload()
            .bucket(upload.bucket)
            .key(upload.key)
            .content_type(upload.content_type)
            .metadata(tag, upload.tag);
        if upload.epoch > 0 {
            begin = begin.metadata(EPOCH, upload.epoch.to_string());
        }
        let begun = begin.send().await.map_err(|error| fault(&error))?;
        let id = begun.upload_id().unwrap_or_default().to_owned();
        let done = self.send_parts(upload, &id, path, size, room).await;
        if done.is_err() {
            let _ = self
                .s3
                .abort_multipart_upload()
                .bucket(upload.bucket)
                .key(upload.key)
                .upload_id(&id)
                .send()
                .await;
        }
        done
    }

    async fn send_parts(
        &self,
        upload: &Upload<'_>,
        id: &str,
        path: &Path,
        size: u64,
        room: &Room,
    ) -> Result<(), PutError> {
        // At most 10,000 parts.
        let part = PART.max(size.div_ceil(9_000));
        let mut parts = Vec::new();
        let mut offset = 0;
        let mut number = 1;
        while offset < size {
            let length = part.min(size - offset);
            let body = ByteStream::read_from()
                .path(path)
                .offset(offset)
                .length(Length::Exact(length))
                .build()
                .await
                .map_err(|e| PutError::Failed(e.to_string()))?;
            let sent = self
                .s3
                .upload_part()
                .bucket(upload.bucket)
                .key(upload.key)
                .upload_id(id)
                .part_number(number)
                .body(body)
                .customize()
                .config_override(carrying(length, SLOWEST_BYTES))
                .send()
                .await
                .map_err(|error| fault(&error))?;
            parts.push(
                CompletedPart::builder()
                    .part_number(number)
                    .set_e_tag(sent.e_tag().map(str::to_owned))
                    .build(),
            );
            offset += length;
            number += 1;
        }
        let mut complete = self
            .s3
            .complete_multipart_upload()
            .bucket(upload.bucket)
            .key(upload.key)
            .upload_id(id);
        if upload.epoch > 0 {
            complete = match room {
                Room::Free => complete.if_none_match("*"),
                Room::Older(etag) => complete.if_match(etag),
                Room::Same => complete,
            };
        }
        complete
            .multipart_upload(
                CompletedMultipartUpload::builder()
                    .set_parts(Some(parts))
                    .build(),
            )
            .customize()
            .config_override(patient(JOIN_PATIENCE))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| fault(&error))
    }

    pub async fn bucket_exists(&self, bucket: &str) -> Result<bool, PutError> {
        match self.s3.head_bucket().bucket(bucket).send().await {
            Ok(_) => Ok(true),
            Err(SdkError::ServiceError(error)) if error.raw().status().as_u16() == 404 => Ok(false),
            Err(error) => Err(fault(&error)),
        }
    }

    pub async fn create_bucket(&self, bucket: &str) -> Result<(), PutError> {
        // Whoever may not make buckets may still write into one.
        if matches!(self.bucket_exists(bucket).await, Ok(true)) {
            return Ok(());
        }
        let ask = self.s3.create_bucket().bucket(bucket);
        let made = match ask.clone().send().await {
            // AWS wants to be told the region everywhere but in us-east-1; others need not know the word, so it comes second.
            Err(SdkError::ServiceError(error))
                if error.err().code() == Some("IllegalLocationConstraintException") =>
            {
                let region = self.s3.config().region().map_or("", AsRef::as_ref);
                let place = CreateBucketConfiguration::builder()
                    .location_constraint(BucketLocationConstraint::from(region))
                    .build();
                ask.create_bucket_configuration(place).send().await
            }
            made => made,
        };
        match made {
            Ok(_) => Ok(()),
            Err(SdkError::ServiceError(error)) if error.raw().status().as_u16() == 409 => Ok(()),
            Err(error) => Err(fault(&error)),
        }
    }

    pub async fn delete(&self, bucket: &str, key: &str) -> Result<bool, PutError> {
        match self.s3.head_object().bucket(bucket).key(key).send().await {
            Ok(_) => {}
            Err(SdkError::ServiceError(error)) if error.raw().status().as_u16() == 404 => {
                return Ok(false);
            }
            Err(error) => return Err(fault(&error)),
        }
        self.s3
            .delete_object()
            .bucket(bucket)
            .key(key)
            .send()
            .await
            .map(|_| true)
            .map_err(|error| fault(&error))
    }

    pub async fn ping(&self) -> Result<(), PutError> {
        match self.s3.list_buckets().send().await {
            Ok(_) | Err(SdkError::ServiceError(_)) => Ok(()),
            Err(error) => Err(fault(&error)),
        }
    }
}

fn fault<E>(error: &SdkError<E>) -> PutError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let text = aws_sdk_s3::error::DisplayErrorContext(error).to_string();
    let SdkError::ServiceError(service) = error else {
        return PutError::Failed(text);
    };
    match (service.err().code(), service.raw().status().as_u16()) {
        (Some("NoSuchBucket"), _) => PutError::NoSuchBucket,
        (Some("PreconditionFailed"), _) => PutError::Taken,
        (Some("KeyTooLongError" | "InvalidObjectName"), _) => PutError::Name(text),
        (_, 403) => PutError::Denied(text),
        _ => PutError::Failed(text),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers a request each with one of these, in order; how each began.
    async fn answer(listener: TcpListener, answers: [String; 3]) -> Vec<String> {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut peer, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(peer.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
                .unwrap_or(0);
            peer.read_exact(&mut vec![0; length]).await.unwrap();
            peer.write_all(answer.as_bytes()).await.unwrap();
            asked.push(head.split(' ').next().unwrap_or_default().to_owned());
        }
        asked
    }

    /// Another owner of the stream puts the same text between the look and the put: the name is not a stranger's.
    #[tokio::test]
    async fn what_another_owner_put_in_between_is_the_same_object() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let with = |head: &str, body: &str| {
            let length = body.len();
            format!(
                "HTTP/1.1 {head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            )
        };
        let refused = "<Error><Code>PreconditionFailed</Code></Error>";
        let theirs = "200 OK\r\nETag: \"e\"\r\nx-amz-meta-localyun: s:m3u8:0\r\nx-amz-meta-localyun-epoch: 9";
        let answers = [
            with("404 Not Found", ""),
            with("412 Precondition Failed", refused),
            with(theirs, ""),
        ];
        let answering = tokio::spawn(answer(listener, answers));
        let client = Client::new(&endpoint, "r", "id", "secret", Addressing::Path);
        let upload = Upload {
            bucket: "b",
            key: "a.m3u8",
            content_type: "application/vnd.apple.mpegurl",
            tag: "s:m3u8:0",
            epoch: 8,
        };
        let put = client.put_text(&upload, "localyun", "#EXTM3U\n".to_owned());
        put.await.unwrap();
        assert_eq!(answering.await.unwrap(), ["HEAD", "PUT", "HEAD"]);
    }
}
