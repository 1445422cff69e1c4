//! A temporary key, as nodes share it.

use crate::clock::UnixMs;

/// What AssumeRole gave out.
#[derive(Clone, PartialEq, Eq)]
pub struct IssuedKey {
    pub id: String,
    pub secret: String,
    pub token: String,
    /// By the service clock, which all nodes share.
    pub expires: UnixMs,
}
