//! What a caller without a key may do: what the access control lists of bucket and object grant to everybody.

use super::acl::{self, refused};
use super::error::ServeError;
use super::route::Operation;
use super::{Context, cors};
use crate::site;

/// Refuses an anonymous request that no list allows. Signed callers are the account's owner.
pub async fn check(context: &Context<'_>, operation: Operation) -> Result<(), ServeError> {
    if !context.state.strict {
        return page(context, operation).await;
    }
    if context.caller.key_id.is_some() {
        return Ok(());
    }
    match operation {
        Operation::GetObject
        | Operation::HeadObject
        | Operation::GetObjectMeta
        | Operation::GetSymlink
        | Operation::GetSignedPlaylist => read(context).await,
        Operation::GetBucket | Operation::GetBucketV2 | Operation::ListObjectVersions => {
            let acl = context.store().bucket(context.bucket()).await?.acl;
            if acl.lets_anyone_read() {
                Ok(())
            } else {
                Err(refused())
            }
        }
        Operation::PutObject
        | Operation::PutSymlink
        | Operation::AppendObject
        | Operation::InitiateMultipartUpload
        | Operation::UploadPart
        | Operation::CompleteMultipartUpload
        | Operation::AbortMultipartUpload
        | Operation::ListParts
        | Operation::DeleteObject => write(context, context.key()).await,
        // A form brings its signature in its fields, a preflight has none by nature.
        Operation::PostObject | Operation::OptionObject => Ok(()),
        _ => {
            if operation != Operation::GetService {
                context.store().bucket(context.bucket()).await?;
            }
            Err(refused())
        }
    }
}

/// Where nobody has to sign, the page of another site could change what it likes through the browser of whoever looks at it: some requests
/// go out without a preflight. So the bucket's rules must allow it, as they must where the browser asks first. A form is what a page may
/// always send.
async fn page(context: &Context<'_>, operation: Operation) -> Result<(), ServeError> {
    let request = context.request;
    let changes = !matches!(request.method.as_str(), "GET" | "HEAD" | "OPTIONS");
    let Some(origin) = request.header("origin").filter(|_| changes) else {
        return Ok(());
    };
    if operation == Operation::PostObject
        || site::is_origin_of(origin, request.header("host").unwrap_or_default())
    {
        return Ok(());
    }
    let rules = match context.store().bucket(context.bucket()).await {
        Ok(bucket) => bucket.cors,
        Err(_) => Vec::new(),
    };
    match cors::find(&rules, origin, request.method.as_str(), "") {
        Some(_) => Ok(()),
        None => Err(ServeError::denied(
            "The page of another site may change a bucket only as its CORS rules say.",
        )),
    }
}

/// Refuses what not everybody may write.
pub async fn write(context: &Context<'_>, key: &str) -> Result<(), ServeError> {
    if acl::is_writable(context, key).await? {
        Ok(())
    } else {
        Err(refused())
    }
}

async fn read(context: &Context<'_>) -> Result<(), ServeError> {
    if acl::is_readable(context, context.key()).await? {
        Ok(())
    } else {
        Err(refused())
    }
}
