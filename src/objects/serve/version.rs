//! Versions of objects: localyun keeps none, and every object is the version `null`, as in a bucket whose versioning was never on.

use super::code::Code;
use super::error::ServeError;
use super::request::Request;
use super::route::Operation;

/// The id of the one version that an object has.
pub const NULL: &str = "null";

/// Whether an id names the one version there is.
pub fn is_there(id: &str) -> bool {
    id.is_empty() || id == NULL
}

/// Refuses a request for a version that does not exist. Deleting one is no error and touches nothing, which the operation decides.
pub fn check(request: &Request, operation: Operation) -> Result<(), ServeError> {
    match request.param("versionId") {
        Some(id) if !is_there(id) && operation != Operation::DeleteObject => {
            Err(no_such_version(id))
        }
        _ => Ok(()),
    }
}

/// The refusal of a version that does not exist.
pub fn no_such_version(id: &str) -> ServeError {
    ServeError::of(Code::NoSuchVersion).with("VersionId", id.chars().take(64).collect())
}
