//! `PutObject`, `CopyObject`, `AppendObject`, `DeleteObject`, `DeleteMultipleObjects`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

use super::Context;
use super::access;
use super::acl::{self, Target};
use super::answer::Answer;
use super::body;
use super::code::Code;
use super::dialect::Dialect;
use super::error::ServeError;
use super::listing::Names;
use super::metadata::tags_in_header;
use super::object_read::{content_md5, of_copy_source};
use super::pace::Pace;
use super::request::check_header;
use super::sign::{parse_http_date, timestamp};
use super::version;
use super::xml::{self, Delete, DeleteKey};
use crate::folder::{Condition, FolderError, NewObject, ObjectInfo, Replace, StorageClass, Tags};

/// Bytes of user metadata at most, names and values together (OSS: 8 KB).
const MAX_USER_METADATA: usize = 8 * 1024;
/// Keys of one `DeleteMultipleObjects`.
const MAX_DELETED: usize = 1000;
/// Standard headers that are kept with an object.
const KEPT_HEADERS: &[&str] = &[
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
];

/// User metadata and kept headers of an object, among the names and values of a request's headers or of a form's fields. What is kept is
/// told as headers, so it is held to what they may hold.
pub fn kept<'a>(
    dialect: Dialect,
    words: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<NewObject, ServeError> {
    let prefix = format!("{}meta-", dialect.prefix());
    let mut user_metadata = BTreeMap::new();
    let mut headers = BTreeMap::new();
    for (name, value) in words {
        let own = name.strip_prefix(&prefix);
        if own.is_none() && !KEPT_HEADERS.contains(&name) {
            continue;
        }
        check_header(name, value)?;
        if let Some(name) = own {
            user_metadata.insert(name.to_owned(), value.to_owned());
        } else if name == "content-encoding" {
            // The frame around the body is not the object's encoding.
            let own: Vec<_> = value
                .split(',')
                .map(str::trim)
                .filter(|coding| *coding != "aws-chunked")
                .collect();
            if !own.concat().is_empty() {
                headers.insert(name.to_owned(), own.join(", "));
            }
        } else {
            headers.insert(name.to_owned(), value.to_owned());
        }
    }
    let size: usize = user_metadata
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if size > MAX_USER_METADATA {
        return Err(ServeError::of(Code::MetadataTooLarge));
    }
    Ok(NewObject {
        user_metadata,
        headers,
        ..NewObject::default()
    })
}

/// What a request says of the object it makes, besides the bytes.
async fn new_object(context: &Context<'_>) -> Result<NewObject, ServeError> {
    let (request, dialect) = (context.request, context.dialect());
    let content_type = request
        .header("content-type")
        .filter(|text| !text.is_empty());
    Ok(NewObject {
        content_type: content_type.map(str::to_owned),
        acl: acl::in_headers(context, Target::Object)?.unwrap_or_default(),
        tags: context
            .own_header("tagging")
            .map_or(Ok(Vec::new()), |text| tags_in_header(dialect, text))?,
        storage_class: class(context, dialect, context.own_header("storage-class")).await?,
        ..kept(dialect, request.headers())?
    })
}

/// The same for an object that is made of the request alone.
pub async fn typed_object(context: &Context<'_>) -> Result<NewObject, ServeError> {
    let mut object = new_object(context).await?;
    let plain = || context.dialect().plain_type().to_owned();
    object.content_type.get_or_insert_with(plain);
    Ok(object)
}

/// The storage class that a writer names, or else the bucket's, which OSS has.
pub async fn class(
    context: &Context<'_>,
    dialect: Dialect,
    named: Option<&str>,
) -> Result<StorageClass, ServeError> {
    match (named, dialect) {
        (Some(word), _) => dialect.read_storage_class(word),
        (None, Dialect::S3) => Ok(StorageClass::default()),
        (None, Dialect::Oss) => {
            let bucket = context.store().bucket(context.bucket()).await?;
            Ok(bucket.storage_class.of_objects())
        }
    }
}

/// Whether the request may replace an object.
pub fn replace(context: &Context<'_>) -> Replace {
    if context.own_header("forbid-overwrite") == Some("true") {
        return Replace::Never;
    }
    let condition = condition(context);
    if condition.is_empty() {
        Replace::Always
    } else {
        Replace::If(condition)
    }
}

/// S3's conditions on the object that is there already; OSS has none.
fn condition(context: &Context<'_>) -> Condition {
    if context.dialect() == Dialect::Oss {
        return Condition::default();
    }
    let list = |name: &str| context.request.list(name);
    Condition {
        matches: list("if-match").map(|list| tags(&list)),
        none_matches: list("if-none-match").map(|list| tags(&list.replace("W/", ""))),
        ..Condition::default()
    }
}

/// What `DeleteObject` demands besides.
fn condition_of_delete(context: &Context<'_>) -> Result<Condition, ServeError> {
    let mut condition = condition(context);
    condition.none_matches = None;
    if context.dialect() == Dialect::Oss {
        return Ok(condition);
    }
    if let Some(text) = context.own_header("if-match-last-modified-time") {
        condition.last_modified_s = Some(seconds("x-amz-if-match-last-modified-time", text)?);
    }
    if let Some(text) = context.own_header("if-match-size") {
        condition.size = Some(size("x-amz-if-match-size", text)?);
    }
    Ok(condition)
}

fn tags(list: &str) -> Tags {
    if list.trim() == "*" {
        return Tags::Any;
    }
    let tags = list.split(',').map(|tag| tag.trim().trim_matches('"'));
    Tags::OneOf(tags.map(str::to_owned).collect())
}

/// A date as HTTP or ISO 8601 writes it.
fn seconds(argument: &'static str, text: &str) -> Result<i64, ServeError> {
    let iso = || {
        let moment: jiff::Timestamp = text.trim().parse().ok()?;
        Some(moment.as_millisecond())
    };
    parse_http_date(text)
        .or_else(iso)
        .map(|ms| ms.div_euclid(1000))
        .ok_or_else(|| ServeError::argument(argument, text, format!("{argument} must be a date.")))
}

/// A number of bytes that a request tells.
pub fn size(argument: &'static str, text: &str) -> Result<u64, ServeError> {
    text.trim()
        .parse()
        .map_err(|_| ServeError::argument(argument, text, format!("{argument} must be a number.")))
}

/// Refuses before the body is read what would be refused after it.
pub async fn check_target(context: &Context<'_>) -> Result<(), ServeError> {
    let (bucket, key) = (context.bucket(), context.key());
    context.store().check_target(bucket, key).await?;
    match replace(context) {
        Replace::Always => Ok(()),
        Replace::Never => match context.store().acl(bucket, key).await? {
            Some(_) => Err(FolderError::AlreadyExists(key.to_owned()).into()),
            None => Ok(()),
        },
        Replace::If(condition) => {
            match context.store().head(bucket, key).await? {
                Some(there) => condition.check(&there)?,
                None => condition.check_absent(key)?,
            }
            Ok(())
        }
    }
}

/// The headers that tell of a stored object.
pub fn stored(context: &Context<'_>, info: &ObjectInfo) -> Answer {
    let answer = Answer::empty(200)
        .header("etag", context.dialect().etag(&info.etag))
        .header("x-oss-hash-crc64ecma", info.crc64.to_string());
    match content_md5(info).filter(|_| context.dialect() == Dialect::Oss) {
        Some(md5) => answer.header("content-md5", md5),
        None => answer,
    }
}

/// `PutObject`.
pub async fn put_object(
    context: &Context<'_>,
    payload: &mut body::Body,
) -> Result<Answer, ServeError> {
    check_target(context).await?;
    let meta = typed_object(context).await?;
    let finished = body::object(context, payload).await?;
    let info = context
        .store()
        .commit(
            context.bucket(),
            context.key(),
            finished,
            meta,
            replace(context),
        )
        .await?;
    Ok(stored(context, &info))
}

/// Bucket and key of a copy's source.
pub fn copy_source(context: &Context<'_>) -> Result<(String, String), ServeError> {
    let text = context.own_header("copy-source").unwrap_or_default();
    let invalid = || {
        ServeError::argument(
            "copy-source",
            text,
            "The copy source must be /bucket/key, percent-encoded as UTF-8.",
        )
    };
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    if let Some(id) = query.strip_prefix("versionId=")
        && !version::is_there(id)
    {
        return Err(version::no_such_version(id));
    }
    // S3 reads the source as a form's value, and its clients write it so.
    let path = match context.dialect() {
        Dialect::Oss => Cow::Borrowed(path),
        Dialect::S3 => Cow::Owned(path.replace('+', " ")),
    };
    let path = percent_decode_str(&path)
        .decode_utf8()
        .map_err(|_| invalid())?;
    let (bucket, key) = path
        .strip_prefix('/')
        .unwrap_or(&path)
        .split_once('/')
        .ok_or_else(invalid)?;
    if bucket.is_empty() || key.is_empty() {
        return Err(invalid());
    }
    Ok((bucket.to_owned(), key.to_owned()))
}

/// `CopyObject`.
pub async fn copy_object(context: &Context<'_>) -> Result<Answer, ServeError> {
    check_target(context).await?;
    let (bucket, key) = copy_source(context)?;
    // Held open: the conditions are those on the very version that is copied.
    let opened = context.store().source(&bucket, &key).await?;
    let source = opened.info.clone();
    of_copy_source(context.dialect()).check(context.request, &source, context.dialect())?;
    let replaces = |name: &str| match context
        .own_header(name)
        .map(str::to_ascii_uppercase)
        .as_deref()
    {
        None | Some("COPY") => Ok(false),
        Some("REPLACE") => Ok(true),
        Some(other) => Err(ServeError::argument(
            name,
            other,
            format!("The {name} must be COPY or REPLACE."),
        )),
    };
    let said = new_object(context).await?;
    let onto_itself = (bucket.as_str(), key.as_str()) == (context.bucket(), context.key());
    // OSS takes the metadata of a copy onto itself from the request, whatever the directive says.
    let replaced =
        replaces("metadata-directive")? || (context.dialect() == Dialect::Oss && onto_itself);
    let unchanged = !replaced && said.storage_class == source.meta.storage_class;
    if context.dialect() == Dialect::S3 && unchanged && onto_itself {
        return Err(ServeError::new(
            Code::InvalidRequest,
            "This copy request is illegal because it is trying to copy an object to itself without changing the object's \
             metadata, storage class, website redirect location or encryption attributes.",
        ));
    }
    let link = source.meta.symlink_target.clone();
    let tags = if replaces("tagging-directive")? {
        said.tags.clone()
    } else {
        source.meta.tags.clone()
    };
    let mut meta = if replaced {
        // OSS keeps the type of the source where no other is named.
        let kept = match context.dialect() {
            Dialect::Oss => source.content_type,
            Dialect::S3 => context.dialect().plain_type().to_owned(),
        };
        NewObject {
            content_type: said.content_type.clone().or(Some(kept)),
            ..said.clone()
        }
    } else {
        source.meta
    };
    // A link is copied as what it is.
    meta.symlink_target = link;
    meta.acl = said.acl;
    meta.storage_class = said.storage_class;
    // Replaced or kept apart from the rest.
    meta.tags = tags;
    if let Some(mut pace) = Pace::of(context.request)? {
        pace.keep(source.size).await;
    }
    let target = (context.bucket(), context.key());
    let info = context
        .store()
        .copy(
            opened,
            target,
            Some(meta),
            replace(context),
            context.dialect().etag_form(),
        )
        .await?;
    let mut xml = context.dialect().document("CopyObjectResult");
    xml.text("LastModified", timestamp(info.last_modified_ms))
        .text("ETag", context.dialect().etag(&info.etag));
    Ok(Answer::xml(xml)
        .header("etag", context.dialect().etag(&info.etag))
        .header("x-oss-hash-crc64ecma", info.crc64.to_string()))
}

/// `AppendObject`.
pub async fn append_object(
    context: &Context<'_>,
    payload: &mut body::Body,
) -> Result<Answer, ServeError> {
    let position = context.request.number("position", 0..=u64::MAX / 2)?;
    let position = position.ok_or_else(|| {
        ServeError::of(Code::MissingArgument).with("ArgumentName", "position".to_owned())
    })?;
    context
        .store()
        .check_target(context.bucket(), context.key())
        .await?;
    let meta = typed_object(context).await?;
    let finished = body::object(context, payload).await?;
    let info = context
        .store()
        .append(
            context.bucket(),
            context.key(),
            position,
            finished,
            meta,
            acl::in_headers(context, Target::Object)?,
        )
        .await?;
    Ok(stored(context, &info).header("x-oss-next-append-position", info.size.to_string()))
}

/// `DeleteObject`: absence is no error.
pub async fn delete_object(context: &Context<'_>) -> Result<Answer, ServeError> {
    let (store, bucket) = (context.store(), context.bucket());
    if version::is_there(context.request.param("versionId").unwrap_or_default()) {
        store
            .delete_if(bucket, context.key(), condition_of_delete(context)?)
            .await?;
    } else {
        store.bucket(bucket).await?;
    }
    Ok(Answer::empty(204))
}

/// `DeleteMultipleObjects`.
pub async fn delete_multiple(
    context: &Context<'_>,
    payload: &mut body::Body,
) -> Result<Answer, ServeError> {
    let document: Delete = xml::parse(&body::document(context, payload).await?)?;
    if document.objects.is_empty() || document.objects.len() > MAX_DELETED {
        return Err(ServeError::malformed_xml());
    }
    context.store().bucket(context.bucket()).await?;
    let names = Names::of(context)?;
    let mut xml = context.dialect().document("DeleteResult");
    names.declare(&mut xml);
    for object in document.objects {
        match delete_one(context, &object).await {
            Ok(()) if document.quiet => {}
            Ok(()) => {
                xml.nest("Deleted", |xml| {
                    xml.text("Key", names.write(&object.key));
                    xml.maybe("VersionId", object.version.as_deref());
                });
            }
            Err(error) => {
                xml.nest("Error", |xml| {
                    xml.text("Key", names.write(&object.key))
                        .text("Code", error.code.as_str())
                        .text("Message", &error.message);
                });
            }
        }
    }
    Ok(Answer::xml(xml))
}

/// Deletes one object of a list, if it is as the list says. Whoever brings no key may delete what everybody may write.
async fn delete_one(context: &Context<'_>, object: &DeleteKey) -> Result<(), ServeError> {
    let is_owner = !context.state.strict || context.caller.key_id.is_some();
    if !is_owner {
        access::write(context, &object.key).await?;
    }
    if !version::is_there(object.version.as_deref().unwrap_or_default()) {
        return Ok(());
    }
    let mut condition = Condition::default();
    if context.dialect() == Dialect::S3 {
        condition.matches = object.etag.as_deref().map(tags);
        if let Some(text) = &object.last_modified {
            condition.last_modified_s = Some(seconds("LastModifiedTime", text)?);
        }
        if let Some(text) = &object.size {
            condition.size = Some(size("Size", text)?);
        }
    }
    context
        .store()
        .delete_if(context.bucket(), &object.key, condition)
        .await?;
    Ok(())
}
