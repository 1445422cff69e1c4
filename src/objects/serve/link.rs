//! Symbolic links between the objects of a bucket, which OSS has: what a read of one brings.
//!
//! A link is an object without bytes whose metadata names a key. Nothing on disk is a link, and a read follows one step: a link to a link is
//! refused, as in the product.

use super::Context;
use super::acl;
use super::code::Code;
use super::error::ServeError;
use crate::folder::{ObjectInfo, ObjectKind};

/// The object whose bytes a read of a link brings; none where what was found is no link. Whoever has no key must be let read both.
pub async fn followed(
    context: &Context<'_>,
    link: &ObjectInfo,
) -> Result<Option<ObjectInfo>, ServeError> {
    followed_in(context, context.bucket(), link).await
}

/// As [`followed`], for a link of another bucket, as the source of a copy may be one. Nobody copies without a key.
pub async fn followed_in(
    context: &Context<'_>,
    bucket: &str,
    link: &ObjectInfo,
) -> Result<Option<ObjectInfo>, ServeError> {
    let Some(key) = &link.meta.symlink_target else {
        return Ok(None);
    };
    let is_owner = !context.state.strict || context.caller.key_id.is_some();
    if !is_owner && !acl::is_readable(context, key).await? {
        return Err(acl::refused());
    }
    let gone = || ServeError::of(Code::SymlinkTargetNotExist).with("SymlinkTarget", key.clone());
    let target = context.store().head(bucket, key).await?;
    let target = target.ok_or_else(gone)?;
    if target.kind == ObjectKind::Symlink {
        return Err(ServeError::of(Code::InvalidTargetType));
    }
    Ok(Some(target))
}

/// What a read tells: the target's bytes and their digests, the rest of the link.
pub fn seen_through(link: &ObjectInfo, target: &ObjectInfo) -> ObjectInfo {
    ObjectInfo {
        size: target.size,
        etag: target.etag.clone(),
        crc64: target.crc64,
        last_modified_ms: link.last_modified_ms.max(target.last_modified_ms),
        ..link.clone()
    }
}
