//! Multipart uploads: initiate, upload, copy, complete, abort, list parts.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;

use super::Context;
use super::acl::{self, Target};
use super::answer::Answer;
use super::body;
use super::buckets::{initiator, owner};
use super::code::Code;
use super::dialect::Dialect;
use super::error::ServeError;
use super::link;
use super::listing::{Names, page_size};
use super::object_read::{Wanted, exact_range, of_copy_source, wanted};
use super::object_write::{check_target, copy_source, replace, size, typed_object};
use super::pace::Pace;
use super::sign::timestamp;
use super::xml::{self, Complete};
use crate::folder::{Completion, FolderError, MAX_PART_NUMBER, ObjectInfo, ObjectKind};

fn upload_id<'a>(context: &'a Context<'_>) -> &'a str {
    context.request.param("uploadId").unwrap_or_default()
}

fn part_number(context: &Context<'_>) -> Result<u32, ServeError> {
    let number = context
        .request
        .number("partNumber", 1..=u64::from(MAX_PART_NUMBER))?;
    number
        .and_then(|number| u32::try_from(number).ok())
        .ok_or_else(|| {
            ServeError::argument(
                "partNumber",
                "",
                "Part number must be an integer between 1 and 10000, inclusive.",
            )
        })
}

/// A part's refusal; the product tells by the EC which operation looked for the upload.
fn refused_as(code: Code) -> impl FnOnce(FolderError) -> ServeError {
    move |error| match error {
        FolderError::NoSuchUpload(id) => ServeError::of(code).with("UploadId", id),
        other => other.into(),
    }
}

/// `InitiateMultipartUpload`.
pub async fn initiate(context: &Context<'_>) -> Result<Answer, ServeError> {
    // S3 has no conditions here.
    if context.dialect() == Dialect::Oss {
        check_target(context).await?;
    }
    let id = context
        .store()
        .initiate_upload(
            context.bucket(),
            context.key(),
            typed_object(context).await?,
        )
        .await?;
    let mut xml = context.dialect().document("InitiateMultipartUploadResult");
    let names = Names::of(context)?;
    names.declare(&mut xml);
    xml.text("Bucket", context.bucket())
        .text("Key", names.write(context.key()))
        .text("UploadId", id);
    Ok(Answer::xml(xml))
}

/// `UploadPart`.
pub async fn upload_part(
    context: &Context<'_>,
    payload: &mut body::Body,
) -> Result<Answer, ServeError> {
    let number = part_number(context)?;
    let id = upload_id(context);
    context
        .store()
        .check_part(context.bucket(), context.key(), id, number)
        .await
        .map_err(refused_as(Code::NoUploadForPart))?;
    let finished = body::object(context, payload).await?;
    let part = context
        .store()
        .put_part(context.bucket(), context.key(), id, number, finished)
        .await
        .map_err(refused_as(Code::NoUploadForPart))?;
    let mut answer = Answer::empty(200)
        .header("etag", context.dialect().etag(&part.etag()))
        .header("x-oss-hash-crc64ecma", part.crc64.to_string());
    if context.dialect() == Dialect::Oss {
        answer = answer.header("content-md5", STANDARD.encode(part.md5));
    }
    Ok(answer)
}

/// `UploadPartCopy`.
pub async fn upload_part_copy(context: &Context<'_>) -> Result<Answer, ServeError> {
    let number = part_number(context)?;
    let id = upload_id(context);
    context
        .store()
        .check_part(context.bucket(), context.key(), id, number)
        .await
        .map_err(refused_as(Code::NoUploadForCopy))?;
    let (bucket, key) = copy_source(context)?;
    let range = context.own_header("copy-source-range");
    let choose = |info: &ObjectInfo| -> Result<(u64, u64), ServeError> {
        of_copy_source(context.dialect()).check(context.request, info, context.dialect())?;
        if let (Some(range), Dialect::S3) = (range, context.dialect()) {
            return exact_range(range, info.size);
        }
        // In OSS a range that is not inside the source means all of it.
        match wanted(range, info.size, false) {
            Wanted::Whole => Ok((0, info.size)),
            Wanted::Part { start, length } => Ok((start, length)),
            Wanted::Nothing => Err(ServeError::of(Code::InvalidRange)),
        }
    };
    let link_or_part = |info: &ObjectInfo| match info.kind {
        ObjectKind::Symlink => Ok((0, 0)),
        _ => choose(info),
    };
    let (info, mut reader) = context.store().read(&bucket, &key, link_or_part).await?;
    if let Some(target) = link::followed_in(context, &bucket, &info).await? {
        let seen = |target: &ObjectInfo| choose(&link::seen_through(&info, target));
        (_, reader) = context.store().read(&bucket, &target.key, seen).await?;
    }
    let mut draft = context.store().draft().await?;
    let mut pace = Pace::of(context.request)?;
    let mut blocks = std::pin::pin!(reader.into_stream());
    while let Some(block) = blocks.next().await {
        let block = block?;
        if let Some(pace) = &mut pace {
            pace.keep(block.len() as u64).await;
        }
        body::store_part(&mut draft, block).await?;
    }
    let finished = draft.finish().await?;
    let part = context
        .store()
        .put_part(context.bucket(), context.key(), id, number, finished)
        .await
        .map_err(refused_as(Code::NoUploadForCopy))?;
    let mut xml = context.dialect().document("CopyPartResult");
    xml.text("LastModified", timestamp(part.last_modified_ms))
        .text("ETag", context.dialect().etag(&part.etag()));
    Ok(Answer::xml(xml).header("etag", context.dialect().etag(&part.etag())))
}

/// `CompleteMultipartUpload`.
pub async fn complete(
    context: &Context<'_>,
    payload: &mut body::Body,
) -> Result<Answer, ServeError> {
    let body = body::document_about_object(context, payload).await?;
    let chosen = if context.own_header("complete-all") == Some("yes") {
        if !body.is_empty() {
            return Err(ServeError::of(Code::CompleteAllWithBody)
                .with("ArgumentName", "x-oss-complete-all".to_owned()));
        }
        None
    } else {
        let document: Complete = xml::parse(&body)?;
        let none = document.parts.is_empty() && context.dialect() == Dialect::S3;
        if none || document.parts.len() > 10_000 {
            return Err(ServeError::malformed_xml());
        }
        let parts = document.parts.into_iter();
        Some(
            parts
                .map(|part| (part.number, part.etag.trim().trim_matches('"').to_owned()))
                .collect(),
        )
    };
    let told = match context.dialect() {
        Dialect::Oss => None,
        Dialect::S3 => context.own_header("mp-object-size"),
    };
    let told = told.map(|text| size("x-amz-mp-object-size", text));
    let told = told.transpose()?;
    let id = upload_id(context);
    let info = context
        .store()
        .complete_upload(
            context.bucket(),
            context.key(),
            id,
            Completion {
                chosen,
                etag: context.dialect().etag_form(),
                acl: acl::in_headers(context, Target::Object)?,
                size: told,
                replace: replace(context),
            },
        )
        .await?;
    let host = context.request.header("host").unwrap_or_default();
    let names = Names::of(context)?;
    let mut xml = context.dialect().document("CompleteMultipartUploadResult");
    names.declare(&mut xml);
    xml.text(
        "Location",
        format!("http://{host}{}", context.request.raw_path),
    )
    .text("Bucket", context.bucket())
    .text("Key", names.write(context.key()))
    .text("ETag", context.dialect().etag(&info.etag));
    Ok(Answer::xml(xml)
        .header("etag", context.dialect().etag(&info.etag))
        .header("x-oss-hash-crc64ecma", info.crc64.to_string()))
}

/// `AbortMultipartUpload`.
pub async fn abort(context: &Context<'_>) -> Result<Answer, ServeError> {
    context
        .store()
        .abort_upload(context.bucket(), context.key(), upload_id(context))
        .await?;
    Ok(Answer::empty(204))
}

/// `ListParts`.
pub async fn list_parts(context: &Context<'_>) -> Result<Answer, ServeError> {
    let request = context.request;
    let max = page_size(context, "max-parts")?;
    let after = request
        .number("part-number-marker", 0..=u64::from(MAX_PART_NUMBER))?
        .unwrap_or(0);
    let after = u32::try_from(after).unwrap_or(MAX_PART_NUMBER);
    let id = upload_id(context);
    let page = context
        .store()
        .list_parts(context.bucket(), context.key(), id, after, max)
        .await?;
    // OSS names none where there is none.
    let next = match (page.parts.last(), context.dialect()) {
        (Some(part), _) => part.number.to_string(),
        (None, Dialect::Oss) => String::new(),
        (None, Dialect::S3) => after.to_string(),
    };
    let mut xml = context.dialect().document("ListPartsResult");
    let names = Names::of(context)?;
    names.declare(&mut xml);
    xml.text("Bucket", context.bucket())
        .text("Key", names.write(context.key()))
        .text("UploadId", id);
    if context.dialect() == Dialect::S3 {
        initiator(&mut xml);
        owner(&mut xml);
    }
    let class = context.dialect().storage_class(page.storage_class);
    xml.text("StorageClass", class)
        .text("PartNumberMarker", after)
        .text("NextPartNumberMarker", next)
        .text("MaxParts", max)
        .text("IsTruncated", page.truncated);
    for part in &page.parts {
        xml.nest("Part", |xml| {
            xml.text("PartNumber", part.number)
                .text("LastModified", timestamp(part.last_modified_ms))
                .text("ETag", context.dialect().etag(&part.etag()))
                .text("HashCrc64ecma", part.crc64)
                .text("Size", part.size);
        });
    }
    Ok(Answer::xml(xml))
}
