//! What a caller without a key may do: what the access control lists of bucket and object grant to everybody.

use super::acl::{self, refused};
use super::error::ServeError;
use super::route::Operation;
use super::{Context, base, cors};
use crate::folder::Acl;
use crate::site::{self, Authority, Host};

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
        // Where the bucket lets in everybody, each object that it names is judged by itself.
        Operation::DeleteMultipleObjects => {
            match context.store().bucket(context.bucket()).await?.acl {
                Acl::PublicReadWrite => Ok(()),
                _ => Err(refused()),
            }
        }
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
/// go out without a preflight. So the bucket's rules must allow it, as they must where the browser asks first. A page whose own name was
/// made to lead here is no stranger to its browser, which shows it every answer: it may not even read without them, and its browser says
/// neither `Origin` nor `Sec-Fetch-Site` then. A form is what a page may always send.
async fn page(context: &Context<'_>, operation: Operation) -> Result<(), ServeError> {
    if matches!(operation, Operation::PostObject | Operation::OptionObject) {
        return Ok(());
    }
    let request = context.request;
    let changes = !matches!(request.method.as_str(), "GET" | "HEAD");
    let host = request.header("host").unwrap_or_default();
    let said = |wanted: &'static str| {
        let headers = request.headers();
        headers.filter(move |(name, _)| *name == wanted)
    };
    let mut origins = said("origin").peekable();
    if origins.peek().is_none() {
        let harmless = if request.header("sec-fetch-site").is_some() {
            said("sec-fetch-site").all(|(_, site)| match site {
                "same-origin" => means_this_machine(context, host),
                "cross-site" | "same-site" => !changes,
                _ => true,
            })
        } else {
            // Its origin, were it told: over TLS the browser would have told the site.
            !site::is_page(|name| request.header(name))
                || means_this_machine(context, host)
                || allowed(context, &format!("http://{host}")).await
        };
        return if harmless { Ok(()) } else { Err(foreign()) };
    }
    for (_, origin) in origins {
        let harmless = if site::is_origin_of(origin, host) {
            means_this_machine(context, host)
        } else {
            !changes
        };
        if !harmless && !allowed(context, origin).await {
            return Err(foreign());
        }
    }
    Ok(())
}

/// Whether a host is one of this machine's names, or a bucket before one. An address is nobody's name: no name server leads it elsewhere.
fn means_this_machine(context: &Context<'_>, host: &str) -> bool {
    let state = context.state;
    let Some(authority) = Authority::read(host) else {
        return false;
    };
    matches!(authority.host, Host::Address(_))
        || state.own_names.include(&authority.host)
        || base::is_below_own_base(context.request.host(), state.public_host.as_deref())
}

/// Whether the bucket's rules allow the pages of an origin to do this.
async fn allowed(context: &Context<'_>, origin: &str) -> bool {
    match context.store().bucket(context.bucket()).await {
        Ok(bucket) => {
            cors::find(&bucket.cors, origin, context.request.method.as_str(), "").is_some()
        }
        Err(_) => false,
    }
}

fn foreign() -> ServeError {
    ServeError::denied(
        "The page of another site, or of a name that this machine does not have (setting --public-host), may use a bucket only as its CORS rules say.",
    )
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
