//! What a caller without a key may do: what the access control lists of bucket and object grant to everybody.

use super::Context;
use super::error::ServeError;
use super::route::Operation;
use crate::objects::folder::Acl;

/// Refuses an anonymous request that no list allows. Signed callers are the account's owner.
pub async fn check(context: &Context<'_>, operation: Operation) -> Result<(), ServeError> {
    if context.caller.key_id.is_some() || !context.state.strict {
        return Ok(());
    }
    match operation {
        Operation::GetObject
        | Operation::HeadObject
        | Operation::GetObjectMeta
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
        | Operation::AppendObject
        | Operation::InitiateMultipartUpload
        | Operation::UploadPart
        | Operation::CompleteMultipartUpload
        | Operation::AbortMultipartUpload
        | Operation::ListParts
        | Operation::DeleteObject => write(context).await,
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

/// Whether everybody may write to the bucket.
pub async fn write(context: &Context<'_>) -> Result<(), ServeError> {
    let acl = context.store().bucket(context.bucket()).await?.acl;
    if acl == Acl::PublicReadWrite {
        Ok(())
    } else {
        Err(refused())
    }
}

async fn read(context: &Context<'_>) -> Result<(), ServeError> {
    let bucket = context.store().bucket(context.bucket()).await?;
    // Whether a key exists is told only to those who may list or read it.
    let own = context
        .store()
        .acl(context.bucket(), context.key())
        .await?
        .unwrap_or_default();
    let acl = if own == Acl::Default { bucket.acl } else { own };
    if acl.lets_anyone_read() {
        Ok(())
    } else {
        Err(refused())
    }
}

fn refused() -> ServeError {
    ServeError::denied("You have no right to access this object because of bucket acl.")
}
