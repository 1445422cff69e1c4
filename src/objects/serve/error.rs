//! A refusal on its way out: a row of the table of codes, and what this one case has to say beyond it.

use std::borrow::Cow;

use super::code::Code;
use crate::folder::FolderError;

/// A refusal, before it is written in a dialect.
///
/// # What to do
/// It is handed up to the door, which writes it in the client's dialect. Nothing was changed. A code of 5xx asks clients to come again,
/// and their SDKs do.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}: {message}", code.as_str())]
pub struct ServeError {
    pub code: Code,
    pub message: Cow<'static, str>,
    /// Further elements of the error document.
    pub details: Vec<(&'static str, String)>,
    /// Further headers of the answer.
    pub headers: Vec<(&'static str, String)>,
}

impl ServeError {
    /// A refusal in the words of the table.
    pub fn of(code: Code) -> Self {
        let text = code.text();
        Self::new(code, text)
    }

    /// A refusal that has more to say than the table.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            details: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// 400 `InvalidArgument`, naming the argument.
    pub fn argument(name: &str, value: &str, message: impl Into<Cow<'static, str>>) -> Self {
        let value = value.chars().take(256).collect();
        Self::new(Code::InvalidArgument, message)
            .with("ArgumentName", name.to_owned())
            .with("ArgumentValue", value)
    }

    /// 403 `AccessDenied`.
    pub fn denied(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::AccessDenied, message)
    }

    /// 412 `PreconditionFailed`, naming the condition.
    pub fn precondition(condition: &str) -> Self {
        Self::of(Code::PreconditionFailed).with("Condition", condition.to_owned())
    }

    /// 501 `NotImplemented`, naming the operation.
    pub fn not_implemented(operation: &str) -> Self {
        Self::new(
            Code::NotImplemented,
            format!("localyun does not implement the operation {operation}."),
        )
        .with("Operation", operation.to_owned())
    }

    /// 400 `MalformedXML`.
    pub fn malformed_xml() -> Self {
        Self::of(Code::MalformedXml)
    }

    /// Adds an element to the error document.
    #[must_use]
    pub fn with(mut self, element: &'static str, text: String) -> Self {
        self.details.push((element, text));
        self
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl From<FolderError> for ServeError {
    fn from(error: FolderError) -> Self {
        match error {
            FolderError::NoSuchBucket(name) => {
                Self::of(Code::NoSuchBucket).with("BucketName", name)
            }
            FolderError::BucketAlreadyExists(name) => {
                Self::of(Code::BucketAlreadyExists).with("BucketName", name)
            }
            FolderError::TooManyBuckets(_) => Self::of(Code::TooManyBuckets),
            FolderError::InvalidBucketName(name) => {
                Self::of(Code::InvalidBucketName).with("BucketName", name)
            }
            FolderError::BucketNotEmpty(name) => {
                Self::of(Code::BucketNotEmpty).with("BucketName", name)
            }
            FolderError::NoSuchKey(key) => Self::of(Code::NoSuchKey).with("Key", key),
            FolderError::AlreadyExists(key) => Self::of(Code::FileAlreadyExists).with("Key", key),
            FolderError::ConditionFailed(condition) => Self::precondition(condition),
            FolderError::KeyTooLong => Self::of(Code::KeyTooLong),
            FolderError::InvalidKey(reason) => Self::new(
                Code::InvalidObjectName,
                format!("The specified object is not valid: {reason}."),
            ),
            FolderError::NoSuchUpload(id) => Self::of(Code::NoSuchUpload).with("UploadId", id),
            FolderError::InvalidPart(number) => {
                Self::of(Code::InvalidPart).with("PartNumber", number.to_string())
            }
            FolderError::InvalidPartOrder => Self::of(Code::InvalidPartOrder),
            FolderError::EntityTooSmall {
                number,
                size,
                minimum,
            } => Self::of(Code::EntityTooSmall)
                .with("ProposedSize", size.to_string())
                .with("MinSizeAllowed", minimum.to_string())
                .with("PartNumber", number.to_string()),
            FolderError::OtherSize { wanted, size } => Self::new(
                Code::InvalidRequest,
                format!(
                    "The x-amz-mp-object-size is {wanted}, and the parts have {size} bytes together."
                ),
            ),
            FolderError::ObjectNotAppendable => Self::of(Code::ObjectNotAppendable),
            FolderError::PositionNotEqualToLength { length } => {
                Self::of(Code::PositionNotEqualToLength)
                    .with_header("x-oss-next-append-position", length.to_string())
            }
            FolderError::Full => Self::of(Code::InsufficientStorage),
            FolderError::Io(error) => {
                tracing::error!(target: "localyun::objects::serve::error", %error, "object store I/O failed");
                Self::new(
                    Code::InternalError,
                    format!("The object store failed on its folder: {error}"),
                )
            }
        }
    }
}
