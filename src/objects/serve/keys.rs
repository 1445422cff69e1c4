//! The key ring as the object store asks it, and its refusals in the store's words.

use super::code::Code;
use super::error::ServeError;
use crate::clock::UnixMs;
use crate::identity::{Found, KeyFault, KeyRing, TokenFault};

/// The key of an id.
pub fn known(keys: &KeyRing, id: &str) -> Result<Found, ServeError> {
    keys.known(id).map_err(|fault| {
        ServeError::of(match fault {
            KeyFault::Unknown => Code::InvalidAccessKeyId,
            KeyFault::Disabled => Code::AccessKeyDisabled,
        })
        .with("OSSAccessKeyId", id.to_owned())
    })
}

/// A key of a session needs its token, and ends with the session, whatever was signed by it: an address that was signed for longer ends
/// too. A token beside a key without a session is let pass.
pub fn check_token(found: &Found, given: Option<&str>, now: UnixMs) -> Result<(), ServeError> {
    match found.check_token(given, now) {
        Ok(()) | Err(TokenFault::NotWanted) => Ok(()),
        Err(TokenFault::Expired) => Err(ServeError::of(Code::SecurityTokenExpired)),
        Err(TokenFault::Missing | TokenFault::Wrong) => {
            Err(ServeError::of(Code::InvalidSecurityToken))
        }
    }
}
