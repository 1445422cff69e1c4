//! Callback events: one constructor a kind, the body exactly as the product sends it.

use std::io;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::clock::UnixMs;
use crate::model::stream_key::StreamKey;
use crate::wire_time::{to_api, unix_seconds};

/// What a callback tells; the name is that of DescribeLiveRecordNotifyRecords' NotifyType.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    FileCreated,
    RecordStarted,
    RecordPaused,
    RecordResumed,
    RecordError,
    TransformatError,
    /// Stream ingest began (GET to the ingest domain's notify URL).
    Publish,
    /// Stream ingest ended.
    PublishDone,
}

impl Kind {
    pub const ALL: [Self; 8] = [
        Self::FileCreated,
        Self::RecordStarted,
        Self::RecordPaused,
        Self::RecordResumed,
        Self::RecordError,
        Self::TransformatError,
        Self::Publish,
        Self::PublishDone,
    ];

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FileCreated => "file_created",
            Self::RecordStarted => "record_started",
            Self::RecordPaused => "record_paused",
            Self::RecordResumed => "record_resumed",
            Self::RecordError => "record_error",
            Self::TransformatError => "transformat_error",
            Self::Publish => "publish",
            Self::PublishDone => "publish_done",
        }
    }
}

/// How a callback stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Delivery {
    /// It is being tried, or about to be.
    Pending,
    Success,
    /// Every try failed.
    Failed,
}

impl Delivery {
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "pending" => Some(Self::Pending),
            "success" => Some(Self::Success),
            "failed" => Some(Self::Failed),
            _ => None,
        }
    }

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Success => "success",
            Self::Failed => "failed",
        }
    }
}

/// Why a recording failed, by the product's codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Fault {
    BucketNotFound,
    AccessDenied,
    StreamFormatError,
    TsSegmenterFail,
    /// What an MP4 or FLV is made from is damaged or gone.
    ContentBad,
    /// Ours: the disk under the data folder is full.
    StorageFull,
    /// Ours: a file of the recording is longer than the process or the file system may have one.
    StorageFileTooLarge,
    /// Ours: the data folder may not be written.
    StorageDenied,
    /// Ours: no descriptor is left.
    StorageNoDescriptors,
    /// Ours: the disk under the data folder fails in another way.
    StorageFailed,
}

impl Fault {
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::BucketNotFound => "BucketNotFound",
            Self::AccessDenied => "AccessDenied",
            Self::StreamFormatError => "StreamFormatError",
            Self::TsSegmenterFail => "TsSegmenterFail",
            Self::ContentBad => "InvalidParameter.ResourceContentBad",
            Self::StorageFull => "StorageFull",
            Self::StorageFileTooLarge => "StorageFileTooLarge",
            Self::StorageDenied => "StorageDenied",
            Self::StorageNoDescriptors => "StorageNoDescriptors",
            Self::StorageFailed => "StorageFailed",
        }
    }

    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::BucketNotFound => "Bucket not found",
            Self::AccessDenied => "Bucket not belong config userId",
            Self::StreamFormatError => "video stream format error",
            Self::TsSegmenterFail => "ts segmenter error",
            Self::ContentBad => "The resource operated InputFile is bad",
            Self::StorageFull => "no space left for the recording",
            Self::StorageFileTooLarge => "a file of the recording is larger than the system allows",
            Self::StorageDenied => "the data folder of the recording may not be written",
            Self::StorageNoDescriptors => "too many open files to go on with the recording",
            Self::StorageFailed => "the disk of the recording fails",
        }
    }

    /// The same of a write whose error is known as a rule.
    #[must_use]
    pub fn of_writing(error: Option<&io::Error>) -> Self {
        error.map_or(Self::StorageFailed, Self::of_storage)
    }

    /// What an error of the data folder means for the recordings in it.
    #[must_use]
    pub fn of_storage(error: &io::Error) -> Self {
        const NO_DESCRIPTORS: [i32; 2] = [23, 24]; // ENFILE, EMFILE
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::StorageFull,
            io::ErrorKind::FileTooLarge => Self::StorageFileTooLarge,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::StorageDenied
            }
            _ if error
                .raw_os_error()
                .is_some_and(|n| NO_DESCRIPTORS.contains(&n)) =>
            {
                Self::StorageNoDescriptors
            }
            _ => Self::StorageFailed,
        }
    }
}

/// The body of a status event: four fields, and on an event that tells a fault what and when it was.
#[must_use]
pub fn status(key: &StreamKey, kind: Kind, fault: Option<(Fault, UnixMs)>) -> String {
    let mut body =
        json!({"domain": key.domain, "app": key.app, "stream": key.stream, "event": kind.as_str()});
    if let (Some((fault, at)), Value::Object(fields)) = (fault, &mut body) {
        let info = json!({"code": fault.code(), "message": fault.message()});
        fields.insert("error_info".to_owned(), info);
        fields.insert("time".to_owned(), to_api(at).into());
    }
    body.to_string()
}

/// The body of a file event.
#[must_use]
pub fn file_created(
    key: &StreamKey,
    uri: &str,
    duration_ms: i64,
    start: UnixMs,
    stop: UnixMs,
    push_args: &[(String, String)],
) -> String {
    let mut body = json!({
        "domain": key.domain,
        "app": key.app,
        "stream": key.stream,
        "uri": uri,
        "duration": seconds(duration_ms),
        "start_time": unix_seconds(start),
        "stop_time": unix_seconds(stop),
    });
    if !push_args.is_empty()
        && let Value::Object(fields) = &mut body
    {
        let args: Map<String, Value> = push_args
            .iter()
            .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
            .collect();
        fields.insert("push_args".to_owned(), Value::Object(args));
    }
    body.to_string()
}

/// Milliseconds as the number of seconds that bodies and answers carry.
#[must_use]
pub fn seconds(ms: i64) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "durations are far below 2^52 milliseconds"
    )]
    let ms = ms as f64;
    ms / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_disk_is_what_it_is() {
        for (number, wanted) in [
            (28, Fault::StorageFull),          // ENOSPC
            (122, Fault::StorageFull),         // EDQUOT
            (27, Fault::StorageFileTooLarge),  // EFBIG
            (13, Fault::StorageDenied),        // EACCES
            (1, Fault::StorageDenied),         // EPERM
            (30, Fault::StorageDenied),        // EROFS
            (23, Fault::StorageNoDescriptors), // ENFILE
            (24, Fault::StorageNoDescriptors), // EMFILE
            (5, Fault::StorageFailed),         // EIO
            (20, Fault::StorageFailed),        // ENOTDIR
        ] {
            let error = io::Error::from_raw_os_error(number);
            assert_eq!(Fault::of_storage(&error), wanted, "{error}");
        }
    }

    #[test]
    fn the_documented_file_event_comes_out() {
        let key = StreamKey::new("aliyundoc.com", "live", "teststream");
        let uri = "live/teststream/0_2017-03-08-23:09:46_2017-03-08-23:10:40.flv";
        let body = file_created(&key, uri, 69_403, 1_488_985_786_000, 1_488_985_840_000, &[]);
        assert_eq!(
            body,
            format!(
                r#"{{"domain":"aliyundoc.com","app":"live","stream":"teststream","uri":"{uri}","duration":69.403,"start_time":1488985786,"stop_time":1488985840}}"#
            )
        );
    }

    #[test]
    fn only_events_of_faults_say_what_was_wrong() {
        let key = StreamKey::new("d", "a", "s");
        assert_eq!(
            status(&key, Kind::RecordPaused, None),
            r#"{"domain":"d","app":"a","stream":"s","event":"record_paused"}"#
        );
        let fault = Some((Fault::BucketNotFound, 1_737_367_500_000));
        assert_eq!(
            status(&key, Kind::RecordError, fault),
            r#"{"domain":"d","app":"a","stream":"s","event":"record_error","error_info":{"code":"BucketNotFound","message":"Bucket not found"},"time":"2025-01-20T10:05:00Z"}"#
        );
    }

    #[test]
    fn push_arguments_are_an_object_and_only_there_when_some() {
        let key = StreamKey::new("d", "a", "s");
        let body = file_created(&key, "u", 1, 0, 0, &[("callback_a".into(), "1".into())]);
        assert!(
            body.ends_with(r#""push_args":{"callback_a":"1"}}"#),
            "{body}"
        );
    }
}
