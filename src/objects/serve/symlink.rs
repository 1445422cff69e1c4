//! `PutSymlink` and `GetSymlink`; what a read of a link brings stands in `link.rs`.

use percent_encoding::percent_decode_str;

use super::Context;
use super::answer::Answer;
use super::code::Code;
use super::dialect::Dialect;
use super::error::ServeError;
use super::metadata::no_such_key;
use super::object_write::{check_target, replace, stored, typed_object};
use super::sign::{encode_path, http_date};

/// Links are OSS's; S3 has no such operation.
fn of_oss(context: &Context<'_>, operation: &str) -> Result<(), ServeError> {
    match context.dialect() {
        Dialect::Oss => Ok(()),
        Dialect::S3 => Err(ServeError::not_implemented(operation)),
    }
}

/// `PutSymlink`. The target need not be there yet.
pub async fn put_symlink(context: &Context<'_>) -> Result<Answer, ServeError> {
    of_oss(context, "PutSymlink")?;
    check_target(context).await?;
    let named = context.own_header("symlink-target").unwrap_or_default();
    let target = percent_decode_str(named).decode_utf8().unwrap_or_default();
    if target.is_empty() {
        return Err(ServeError::argument(
            "x-oss-symlink-target",
            named,
            "The target of a symbolic link must be a key, percent-encoded as UTF-8.",
        ));
    }
    super::name::check(&target)?;
    let store = context.store();
    store.check_target(context.bucket(), &target).await?;
    let mut meta = typed_object(context).await?;
    meta.symlink_target = Some(target.into_owned());
    let nothing = store.draft().await?.finish().await?;
    let info = store
        .commit(
            context.bucket(),
            context.key(),
            nothing,
            meta,
            replace(context),
        )
        .await?;
    Ok(stored(context, &info))
}

/// `GetSymlink`: where a link leads.
pub async fn get_symlink(context: &Context<'_>) -> Result<Answer, ServeError> {
    of_oss(context, "GetSymlink")?;
    let info = context
        .store()
        .head(context.bucket(), context.key())
        .await?
        .ok_or_else(|| no_such_key(context))?;
    let Some(target) = &info.meta.symlink_target else {
        return Err(ServeError::of(Code::NotSymlink));
    };
    let mut answer = Answer::empty(200)
        .header("x-oss-symlink-target", encode_path(target))
        .header("etag", context.dialect().etag(&info.etag))
        .header("last-modified", http_date(info.last_modified_ms))
        .header("content-type", &info.content_type);
    for (name, value) in &info.meta.user_metadata {
        answer = answer.header(format!("x-oss-meta-{name}"), value);
    }
    Ok(answer)
}
