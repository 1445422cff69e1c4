//! Words of a request that would change what is done and that localyun does not know how to do. They are refused by name: whoever asks for
//! encryption or a callback must not be left to believe in it.

use super::Context;
use super::acl::OWNER;
use super::dialect::Dialect;
use super::error::ServeError;

/// Headers and form fields, in lower case; `-` at the end: all that begin so.
const OSS: &[&str] = &[
    "callback",
    "callback-var",
    "x-oss-callback",
    "x-oss-callback-var",
    "x-oss-copy-source-server-side-encryption-",
    "x-oss-object-worm-",
    "x-oss-server-side-data-encryption",
    "x-oss-server-side-encryption",
    "x-oss-server-side-encryption-",
];
const S3: &[&str] = &[
    "x-amz-copy-source-server-side-encryption-",
    "x-amz-object-lock-",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-",
    "x-amz-website-redirect-location",
    "x-amz-write-offset-bytes",
];
/// Parameters of a URL that stand for a header.
const PARAMETERS: &[&str] = &["callback", "callback-var"];

/// Whether a header or form field asks for something that is not done.
pub fn is_unsupported(dialect: Dialect, name: &str) -> bool {
    let list = match dialect {
        Dialect::Oss => OSS,
        Dialect::S3 => S3,
    };
    list.iter().any(|listed| {
        if listed.ends_with('-') {
            name.starts_with(listed)
        } else {
            name == *listed
        }
    })
}

/// Refuses a request that asks for what is not done.
pub fn check(context: &Context<'_>) -> Result<(), ServeError> {
    let request = context.request;
    let dialect = context.dialect();
    let header = request.headers().map(|(name, _)| name).find(|name| {
        // As headers these two are of other protocols.
        !name.starts_with("callback") && is_unsupported(dialect, name)
    });
    if let Some(name) = header {
        return Err(ServeError::not_implemented(name));
    }
    if dialect == Dialect::Oss {
        let parameter = PARAMETERS.iter().find(|name| request.has(name));
        return match parameter {
            Some(name) => Err(ServeError::not_implemented(name)),
            None => Ok(()),
        };
    }
    let is = |name: &str, value: &str| {
        let held = request.header(name);
        held.is_some_and(|held| held.eq_ignore_ascii_case(value))
    };
    if is("x-amz-bucket-object-lock-enabled", "true") {
        return Err(ServeError::not_implemented(
            "x-amz-bucket-object-lock-enabled",
        ));
    }
    if is("x-amz-object-ownership", "BucketOwnerEnforced") {
        return Err(ServeError::not_implemented(
            "x-amz-object-ownership: BucketOwnerEnforced",
        ));
    }
    for name in [
        "x-amz-expected-bucket-owner",
        "x-amz-source-expected-bucket-owner",
    ] {
        if request.header(name).is_some_and(|owner| owner != OWNER) {
            return Err(ServeError::denied("Access Denied").with("Header", name.to_owned()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_believed_and_is_not_done_is_refused() {
        for (dialect, name) in [
            (Dialect::Oss, "x-oss-callback"),
            (Dialect::Oss, "callback"),
            (Dialect::Oss, "x-oss-server-side-encryption"),
            (Dialect::Oss, "x-oss-server-side-encryption-key-id"),
            (Dialect::S3, "x-amz-server-side-encryption"),
            (Dialect::S3, "x-amz-server-side-encryption-customer-key"),
            (Dialect::S3, "x-amz-object-lock-mode"),
        ] {
            assert!(is_unsupported(dialect, name), "{name}");
        }
        for (dialect, name) in [
            (Dialect::Oss, "x-oss-meta-callback"),
            (Dialect::Oss, "x-oss-storage-class"),
            (Dialect::S3, "x-amz-acl"),
            (Dialect::S3, "x-amz-storage-class"),
            (Dialect::S3, "x-oss-callback"),
        ] {
            assert!(!is_unsupported(dialect, name), "{name}");
        }
    }
}
