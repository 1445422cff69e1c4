//! Refusals as the product words them: status, Code, Message, and the EC that its documents list for the case.

use crate::objects::folder::FolderError;

/// A refusal, before it is written in a dialect.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ServeError {
    pub status: u16,
    pub code: String,
    pub message: String,
    /// Further elements of the error document.
    pub details: Vec<(&'static str, String)>,
    /// Further headers of the answer.
    pub headers: Vec<(&'static str, String)>,
}

impl ServeError {
    pub fn new(status: u16, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.into(),
            message: message.into(),
            details: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// 400 `InvalidArgument`, naming the argument.
    pub fn argument(name: &str, value: &str, message: impl Into<String>) -> Self {
        let value = value.chars().take(256).collect();
        Self::new(400, "InvalidArgument", message)
            .with("ArgumentName", name.to_owned())
            .with("ArgumentValue", value)
    }

    /// 403 `AccessDenied`.
    pub fn denied(message: impl Into<String>) -> Self {
        Self::new(403, "AccessDenied", message)
    }

    /// 501 `NotImplemented`, naming the operation.
    pub fn not_implemented(operation: &str) -> Self {
        Self::new(
            501,
            "NotImplemented",
            format!("localyun does not implement the operation {operation}."),
        )
        .with("Operation", operation.to_owned())
    }

    /// 400 `MalformedXML`.
    pub fn malformed_xml() -> Self {
        Self::new(
            400,
            "MalformedXML",
            "The XML you provided was not well-formed or did not validate against our published schema.",
        )
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

    /// The product's finer error code, where its documents give one for the case.
    pub fn ec(&self) -> Option<&'static str> {
        Some(match self.code.as_str() {
            "SignatureDoesNotMatch" => "0002-00000040",
            "InvalidAccessKeyId" => "0002-00000902",
            "RequestTimeTooSkewed" => "0002-00000504",
            "InvalidSecurityToken" => "0002-00000802",
            "AccessDenied" if self.message.starts_with("Request has expired") => "0002-00000069",
            "AccessDenied" => "0003-00000001",
            "NoSuchBucket" => "0015-00000101",
            "BucketAlreadyExists" => "0015-00000104",
            "BucketNotEmpty" => "0015-00000301",
            "InvalidBucketName" => "0015-00000001",
            "NoSuchKey" => "0026-00000001",
            "ObjectNotAppendable" => "0026-00000008",
            "PositionNotEqualToLength" => "0026-00000007",
            "FileAlreadyExists" => "0026-00000013",
            "NoSuchUpload" => "0042-00000002",
            "InvalidPart" => "0042-00000005",
            "EntityTooSmall" => "0042-00000008",
            _ => return None,
        })
    }
}

impl From<FolderError> for ServeError {
    fn from(error: FolderError) -> Self {
        match error {
            FolderError::NoSuchBucket(name) => {
                Self::new(404, "NoSuchBucket", "The specified bucket does not exist.").with("BucketName", name)
            }
            FolderError::BucketAlreadyExists(name) => {
                Self::new(409, "BucketAlreadyExists", "The requested bucket name is not available.")
                    .with("BucketName", name)
            }
            FolderError::InvalidBucketName(name) => {
                Self::new(400, "InvalidBucketName", "The specified bucket is not valid.").with("BucketName", name)
            }
            FolderError::BucketNotEmpty(name) => {
                Self::new(409, "BucketNotEmpty", "The bucket you tried to delete is not empty.")
                    .with("BucketName", name)
            }
            FolderError::NoSuchKey(key) => {
                Self::new(404, "NoSuchKey", "The specified key does not exist.").with("Key", key)
            }
            FolderError::AlreadyExists(key) => Self::new(
                409,
                "FileAlreadyExists",
                "The object you specified already exists and can not be overwritten.",
            )
            .with("Key", key),
            FolderError::InvalidKey(reason) => {
                Self::new(400, "InvalidObjectName", format!("The specified object is not valid: {reason}."))
            }
            FolderError::NoSuchUpload(id) => Self::new(
                404,
                "NoSuchUpload",
                "The specified upload does not exist. The upload ID may be invalid, or the upload may have been \
                 aborted or completed.",
            )
            .with("UploadId", id),
            FolderError::InvalidPart(number) => Self::new(
                400,
                "InvalidPart",
                "One or more of the specified parts could not be found or the specified entity tag might not have \
                 matched the part's entity tag.",
            )
            .with("PartNumber", number.to_string()),
            FolderError::InvalidPartOrder => Self::new(
                400,
                "InvalidPartOrder",
                "Part numbers must be from 1 to 10000 and listed in ascending order.",
            ),
            FolderError::EntityTooSmall { number, size, minimum } => Self::new(
                400,
                "EntityTooSmall",
                "Your proposed upload smaller than the minimum allowed size.",
            )
            .with("ProposedSize", size.to_string())
            .with("MinSizeAllowed", minimum.to_string())
            .with("PartNumber", number.to_string()),
            FolderError::ObjectNotAppendable => {
                Self::new(409, "ObjectNotAppendable", "The object is not appendable")
            }
            FolderError::PositionNotEqualToLength { length } => {
                Self::new(409, "PositionNotEqualToLength", "Position is not equal to file length")
                    .with_header("x-oss-next-append-position", length.to_string())
            }
            FolderError::Full => {
                Self::new(507, "InsufficientStorage", "The disk under the data folder of localyun is full.")
            }
            FolderError::Io(error) => {
                tracing::error!(%error, "object store I/O failed");
                Self::new(500, "InternalError", format!("The object store failed on its folder: {error}"))
            }
        }
    }
}
