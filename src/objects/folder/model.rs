//! The nouns of the store: objects, their metadata, access control lists and list pages.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Access control list of a bucket or object, in the product's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Acl {
    /// Objects only: the bucket's list applies.
    #[default]
    Default,
    Private,
    PublicRead,
    PublicReadWrite,
}

impl Acl {
    /// The product's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Private => "private",
            Self::PublicRead => "public-read",
            Self::PublicReadWrite => "public-read-write",
        }
    }

    /// Reads the product's word.
    pub fn parse(word: &str) -> Option<Self> {
        [
            Self::Default,
            Self::Private,
            Self::PublicRead,
            Self::PublicReadWrite,
        ]
        .into_iter()
        .find(|acl| acl.as_str() == word)
    }

    /// Whether anybody may read under this list.
    pub fn lets_anyone_read(self) -> bool {
        matches!(self, Self::PublicRead | Self::PublicReadWrite)
    }
}

/// How an object came to be; the product reports it as `x-oss-object-type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectKind {
    #[default]
    Normal,
    Multipart,
    Appendable,
    /// Stands for another object of its bucket, by that one's key.
    Symlink,
}

impl ObjectKind {
    /// The product's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Multipart => "Multipart",
            Self::Appendable => "Appendable",
            Self::Symlink => "Symlink",
        }
    }
}

/// What the ETag of an object of several parts is the MD5 of; the number of parts follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EtagForm {
    /// The parts' MD5s, as S3 makes it.
    OfDigests,
    /// The parts' ETags as text, in upper case, as OSS makes it.
    OfEtags,
}

/// What an object costs to keep and to read, in the product. Here it is kept and told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StorageClass {
    #[default]
    Standard,
    InfrequentAccess,
}

impl StorageClass {
    fn is_standard(&self) -> bool {
        *self == Self::Standard
    }
}

/// The class that a bucket was made of. It is kept and told; objects are readable at once in each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BucketClass {
    #[default]
    Standard,
    InfrequentAccess,
    Archive,
    ColdArchive,
    DeepColdArchive,
}

impl BucketClass {
    /// The product's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "Standard",
            Self::InfrequentAccess => "IA",
            Self::Archive => "Archive",
            Self::ColdArchive => "ColdArchive",
            Self::DeepColdArchive => "DeepColdArchive",
        }
    }

    /// Reads the product's word.
    pub fn parse(word: &str) -> Option<Self> {
        [
            Self::Standard,
            Self::InfrequentAccess,
            Self::Archive,
            Self::ColdArchive,
            Self::DeepColdArchive,
        ]
        .into_iter()
        .find(|class| class.as_str() == word)
    }

    /// The class of objects whose writer names none.
    pub fn of_objects(self) -> StorageClass {
        match self {
            Self::InfrequentAccess => StorageClass::InfrequentAccess,
            _ => StorageClass::Standard,
        }
    }

    pub(super) fn is_standard(&self) -> bool {
        *self == Self::Standard
    }
}

/// How many copies the product keeps and where. Here it is kept and told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Redundancy {
    #[default]
    Lrs,
    Zrs,
}

impl Redundancy {
    /// The product's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lrs => "LRS",
            Self::Zrs => "ZRS",
        }
    }

    pub(super) fn is_lrs(&self) -> bool {
        *self == Self::Lrs
    }
}

/// What a writer says about an object besides its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NewObject {
    /// Media type; without one it is guessed from the key.
    pub content_type: Option<String>,
    /// `x-oss-meta-*` / `x-amz-meta-*`, names in lower case without the prefix.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub user_metadata: BTreeMap<String, String>,
    /// Standard headers kept with the object (`cache-control`, `content-disposition`, ...), names in lower case.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    pub acl: Acl,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<(String, String)>,
    #[serde(skip_serializing_if = "StorageClass::is_standard")]
    pub storage_class: StorageClass,
    /// The key that a symbolic link stands for. It is metadata: nothing on disk is a link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub symlink_target: Option<String>,
}

/// A stored object as its readers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    pub key: String,
    pub size: u64,
    /// Unix milliseconds on the service clock.
    pub last_modified_ms: i64,
    /// Lower-case hexadecimal without quotes; `-N` follows for an object of N parts.
    pub etag: String,
    pub crc64: u64,
    pub kind: ObjectKind,
    pub content_type: String,
    pub meta: NewObject,
}

/// A bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketInfo {
    pub name: String,
    pub created_ms: i64,
    pub acl: Acl,
    pub cors: Vec<CorsRule>,
    /// Every answer says that it may depend on the origin, whoever asks.
    pub cors_vary: bool,
    pub storage_class: BucketClass,
    pub redundancy: Redundancy,
}

/// One rule of a bucket's cross-origin configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CorsRule {
    pub origins: Vec<String>,
    pub methods: Vec<String>,
    pub allowed_headers: Vec<String>,
    pub expose_headers: Vec<String>,
    pub max_age_seconds: Option<u32>,
}

/// What to list.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    pub prefix: String,
    /// Empty: no roll-up.
    pub delimiter: String,
    /// Only names after this one.
    pub after: String,
    pub max_keys: usize,
}

/// One page of a listing.
#[derive(Debug, Clone, Default)]
pub struct ListPage {
    pub objects: Vec<ObjectInfo>,
    pub common_prefixes: Vec<String>,
    /// Where the next page goes on; none on the last page.
    pub next: Option<String>,
}

/// Media type by the key's extension, for writers that name none.
pub fn guess_content_type(key: &str) -> &'static str {
    let extension = key.rsplit_once('.').map_or("", |(_, extension)| extension);
    match extension.to_ascii_lowercase().as_str() {
        "m3u8" => "application/vnd.apple.mpegurl",
        "ts" => "video/mp2t",
        "mp4" | "m4s" | "cmfv" => "video/mp4",
        "m4a" | "cmfa" => "audio/mp4",
        "flv" => "video/x-flv",
        "aac" => "audio/aac",
        "mp3" => "audio/mpeg",
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "json" => "application/json",
        "xml" => "application/xml",
        "html" | "htm" => "text/html",
        "txt" | "log" => "text/plain",
        _ => "application/octet-stream",
    }
}
