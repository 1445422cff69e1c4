//! `GetBucket` (ListObjects and ListObjectsV2) and `ListMultipartUploads`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::Context;
use super::answer::Answer;
use super::buckets::{initiator, owner};
use super::dialect::Dialect;
use super::error::ServeError;
use super::sign::{encode, encode_path, timestamp};
use super::version;
use super::xml::Xml;
use crate::folder::{ListPage, ListQuery, ObjectInfo, UploadQuery};

/// How names are written: as they are, or percent-encoded when the client asked for it, by a parameter or, where it has no query to put
/// one in, by a header.
pub struct Names {
    encoded: bool,
    dialect: Dialect,
}

impl Names {
    /// As the request wants them.
    pub fn of(context: &Context<'_>) -> Result<Self, ServeError> {
        let request = context.request;
        let asked = request
            .param("encoding-type")
            .or_else(|| request.header("encoding-type"));
        let encoded = match asked {
            None | Some("") => false,
            Some("url") => true,
            Some(other) => {
                return Err(ServeError::argument(
                    "encoding-type",
                    other,
                    "The encoding-type must be url.",
                ));
            }
        };
        Ok(Self {
            encoded,
            dialect: context.dialect(),
        })
    }

    /// A name as it goes into the document.
    pub fn write(&self, name: &str) -> String {
        match (self.encoded, self.dialect) {
            (false, _) => name.to_owned(),
            (true, Dialect::Oss) => encode(name),
            (true, Dialect::S3) => encode_path(name),
        }
    }

    /// OSS tells a delimiter that nobody asked for, as an empty one; S3 tells none.
    fn delimiter(&self, asked: &str) -> Option<String> {
        (self.dialect == Dialect::Oss || !asked.is_empty()).then(|| self.write(asked))
    }

    /// Says in the document how names are written.
    pub fn declare(&self, xml: &mut Xml) {
        if self.encoded {
            xml.text("EncodingType", "url");
        }
    }
}

fn query(context: &Context<'_>, after: &str) -> Result<ListQuery, ServeError> {
    let request = context.request;
    let default = if context.dialect() == Dialect::S3 {
        1000
    } else {
        100
    };
    let bounds = if context.dialect() == Dialect::S3 {
        0..=u64::from(i32::MAX.unsigned_abs())
    } else {
        1..=1000
    };
    let max_keys = request
        .number("max-keys", bounds)?
        .unwrap_or(default)
        .min(1000);
    for name in ["prefix", "delimiter"] {
        if request.param(name).is_some_and(|value| value.len() > 1024) {
            return Err(ServeError::argument(
                name,
                "",
                format!("The {name} is longer than 1024 bytes."),
            ));
        }
    }
    Ok(ListQuery {
        prefix: request.param("prefix").unwrap_or_default().to_owned(),
        delimiter: request.param("delimiter").unwrap_or_default().to_owned(),
        after: after.to_owned(),
        max_keys: usize::try_from(max_keys).unwrap_or(1000),
    })
}

fn contents(xml: &mut Xml, names: &Names, page: &ListPage, dialect: Dialect, with_owner: bool) {
    for object in &page.objects {
        xml.nest("Contents", |xml| {
            entry(xml, names, object, dialect, with_owner);
        });
    }
    put_prefixes(xml, names, &page.common_prefixes);
}

/// What the names below a delimiter have in common.
fn put_prefixes(xml: &mut Xml, names: &Names, prefixes: &[String]) {
    for prefix in prefixes {
        xml.nest("CommonPrefixes", |xml| {
            xml.text("Prefix", names.write(prefix));
        });
    }
}

fn entry(xml: &mut Xml, names: &Names, object: &ObjectInfo, dialect: Dialect, with_owner: bool) {
    xml.text("Key", names.write(&object.key))
        .text("LastModified", timestamp(object.last_modified_ms))
        .text("ETag", dialect.etag(&object.etag));
    if dialect == Dialect::Oss {
        xml.text("Type", object.kind.as_str());
    }
    xml.text("Size", object.size).text(
        "StorageClass",
        dialect.storage_class(object.meta.storage_class),
    );
    if with_owner {
        owner(xml);
    }
}

/// `GetBucket`, version 1.
pub async fn list_objects(context: &Context<'_>) -> Result<Answer, ServeError> {
    let names = Names::of(context)?;
    let marker = context.request.param("marker").unwrap_or_default();
    let query = query(context, marker)?;
    let page = context
        .store()
        .list(context.bucket(), query.clone())
        .await?;
    let dialect = context.dialect();
    let mut xml = dialect.document("ListBucketResult");
    xml.text("Name", context.bucket())
        .text("Prefix", names.write(&query.prefix))
        .text("Marker", names.write(marker))
        .text("MaxKeys", query.max_keys)
        .maybe("Delimiter", names.delimiter(&query.delimiter))
        .text("IsTruncated", page.next.is_some());
    names.declare(&mut xml);
    xml.maybe(
        "NextMarker",
        page.next.as_ref().map(|next| names.write(next)),
    );
    contents(&mut xml, &names, &page, dialect, true);
    Ok(Answer::xml(xml))
}

/// `GetBucket`, version 2. The continuation token is the last name, in Base64 so that nobody builds on it.
pub async fn list_objects_v2(context: &Context<'_>) -> Result<Answer, ServeError> {
    let request = context.request;
    let names = Names::of(context)?;
    let token = request
        .param("continuation-token")
        .filter(|token| !token.is_empty());
    let start_after = request.param("start-after").unwrap_or_default();
    let after = match token {
        Some(token) => URL_SAFE_NO_PAD
            .decode(token)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or_else(|| {
                ServeError::argument(
                    "continuation-token",
                    token,
                    "The continuation token provided is incorrect.",
                )
            })?,
        None => start_after.to_owned(),
    };
    let query = query(context, &after)?;
    let page = context
        .store()
        .list(context.bucket(), query.clone())
        .await?;
    let dialect = context.dialect();
    let mut xml = dialect.document("ListBucketResult");
    xml.text("Name", context.bucket())
        .text("Prefix", names.write(&query.prefix))
        .text("MaxKeys", query.max_keys)
        .maybe("Delimiter", names.delimiter(&query.delimiter));
    if !start_after.is_empty() {
        xml.text("StartAfter", names.write(start_after));
    }
    xml.maybe("ContinuationToken", request.param("continuation-token"))
        .text("IsTruncated", page.next.is_some())
        .text("KeyCount", page.objects.len() + page.common_prefixes.len());
    names.declare(&mut xml);
    xml.maybe(
        "NextContinuationToken",
        page.next.as_ref().map(|next| URL_SAFE_NO_PAD.encode(next)),
    );
    contents(
        &mut xml,
        &names,
        &page,
        dialect,
        request.param("fetch-owner") == Some("true"),
    );
    Ok(Answer::xml(xml))
}

/// `ListObjectVersions` of a bucket that never had versions: each object is its one and latest, called `null`.
pub async fn list_versions(context: &Context<'_>) -> Result<Answer, ServeError> {
    let request = context.request;
    let names = Names::of(context)?;
    let key_marker = request.param("key-marker").unwrap_or_default();
    let id_marker = request.param("version-id-marker").unwrap_or_default();
    if key_marker.is_empty() && !id_marker.is_empty() {
        return Err(ServeError::argument(
            "version-id-marker",
            id_marker,
            "A version-id marker cannot be specified without a key marker.",
        ));
    }
    let query = query(context, key_marker)?;
    let page = context
        .store()
        .list(context.bucket(), query.clone())
        .await?;
    let dialect = context.dialect();
    let mut xml = dialect.document("ListVersionsResult");
    xml.text("Name", context.bucket())
        .text("Prefix", names.write(&query.prefix))
        .text("KeyMarker", names.write(key_marker))
        .text("VersionIdMarker", id_marker)
        .text("MaxKeys", query.max_keys)
        .maybe("Delimiter", names.delimiter(&query.delimiter))
        .text("IsTruncated", page.next.is_some());
    names.declare(&mut xml);
    if let Some(next) = &page.next {
        xml.text("NextKeyMarker", names.write(next))
            .text("NextVersionIdMarker", version::NULL);
    }
    for object in &page.objects {
        xml.nest("Version", |xml| {
            entry(xml, &names, object, dialect, true);
            xml.text("VersionId", version::NULL).text("IsLatest", true);
        });
    }
    put_prefixes(&mut xml, &names, &page.common_prefixes);
    Ok(Answer::xml(xml))
}

/// How many uploads or parts a page has at most, by the parameter that says so. S3 cuts what is more than it gives, OSS refuses it.
pub fn page_size(context: &Context<'_>, parameter: &str) -> Result<usize, ServeError> {
    let bounds = match context.dialect() {
        Dialect::Oss => 1..=1000,
        Dialect::S3 => 1..=u64::from(i32::MAX.unsigned_abs()),
    };
    let asked = context.request.number(parameter, bounds)?.unwrap_or(1000);
    Ok(usize::try_from(asked.min(1000)).unwrap_or(1000))
}

/// `ListMultipartUploads`.
pub async fn list_uploads(context: &Context<'_>) -> Result<Answer, ServeError> {
    let request = context.request;
    let names = Names::of(context)?;
    let param = |name: &str| request.param(name).unwrap_or_default().to_owned();
    let query = UploadQuery {
        prefix: param("prefix"),
        delimiter: param("delimiter"),
        key_marker: param("key-marker"),
        upload_id_marker: if param("key-marker").is_empty() {
            String::new()
        } else {
            param("upload-id-marker")
        },
        max_uploads: page_size(context, "max-uploads")?,
    };
    let page = context
        .store()
        .list_uploads(context.bucket(), query.clone())
        .await?;
    let mut xml = context.dialect().document("ListMultipartUploadsResult");
    // OSS names the last upload of the page also where no other page follows.
    let last = page
        .uploads
        .last()
        .filter(|_| context.dialect() == Dialect::Oss);
    let (next_key, next_id) = page
        .next
        .clone()
        .or_else(|| last.map(|upload| (upload.key.clone(), upload.id.clone())))
        .unwrap_or_default();
    xml.text("Bucket", context.bucket())
        .text("KeyMarker", names.write(&query.key_marker))
        .text("UploadIdMarker", &query.upload_id_marker)
        .text("NextKeyMarker", names.write(&next_key))
        .text("NextUploadIdMarker", next_id)
        .maybe("Delimiter", names.delimiter(&query.delimiter))
        .text("Prefix", names.write(&query.prefix))
        .text("MaxUploads", query.max_uploads)
        .text("IsTruncated", page.next.is_some());
    names.declare(&mut xml);
    for upload in &page.uploads {
        xml.nest("Upload", |xml| {
            xml.text("Key", names.write(&upload.key))
                .text("UploadId", &upload.id);
            if context.dialect() == Dialect::S3 {
                owner(xml);
                initiator(xml);
            }
            let class = context.dialect().storage_class(upload.storage_class);
            xml.text("StorageClass", class)
                .text("Initiated", timestamp(upload.initiated_ms));
        });
    }
    put_prefixes(&mut xml, &names, &page.common_prefixes);
    Ok(Answer::xml(xml))
}
