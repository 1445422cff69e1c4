//! What can go wrong in the folder store, as types that the wire dialects turn into their own codes.

use std::io;

/// A refusal or failure of the store.
///
/// # What to do
/// All but the last two are for whoever asked, and `serve` has a code for each. `Full` and `Io` may pass; what was begun is a draft that
/// nobody sees, and the object is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("bucket {0} does not exist")]
    NoSuchBucket(String),
    #[error("bucket {0} exists already")]
    BucketAlreadyExists(String),
    #[error(
        "bucket name {0:?} is not 3 to 63 of a-z, 0-9, '-' and '.', starting and ending with a letter or digit"
    )]
    InvalidBucketName(String),
    #[error("the store holds {0} buckets already")]
    TooManyBuckets(usize),
    #[error("bucket {0} still holds objects")]
    BucketNotEmpty(String),
    #[error("object {0} does not exist")]
    NoSuchKey(String),
    #[error("object {0} exists already")]
    AlreadyExists(String),
    #[error("object name is longer than 1024 bytes")]
    KeyTooLong,
    #[error("the condition {0} does not hold")]
    ConditionFailed(&'static str),
    #[error("object name is not valid: {0}")]
    InvalidKey(&'static str),
    #[error("multipart upload {0} does not exist")]
    NoSuchUpload(String),
    #[error("part {0} was not uploaded or has another ETag")]
    InvalidPart(u32),
    #[error("part numbers must be 1 to 10000, in ascending order")]
    InvalidPartOrder,
    #[error("part {number} has {size} bytes; every part but the last needs at least {minimum}")]
    EntityTooSmall {
        number: u32,
        size: u64,
        minimum: u64,
    },
    #[error("the parts have {size} bytes together, and {wanted} were announced")]
    OtherSize { wanted: u64, size: u64 },
    #[error("the object was not made by AppendObject")]
    ObjectNotAppendable,
    #[error("the object is {length} bytes long, which is not the position given")]
    PositionNotEqualToLength { length: u64 },
    #[error("the disk under the data folder is full")]
    Full,
    #[error("{0}")]
    Io(#[source] io::Error),
}

impl From<io::Error> for FolderError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Io(error),
        }
    }
}

impl From<tokio::task::JoinError> for FolderError {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::Io(io::Error::other(error))
    }
}
