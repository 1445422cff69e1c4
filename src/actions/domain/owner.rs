//! What proves who owns a domain: a text that the product wants to find in the domain's DNS records, or in a file below it.
//!
//! On one machine every domain is the caller's, so nothing is looked up; the text is the same for a domain each time.

use sha2::{Digest, Sha256};

/// The text for a domain.
#[must_use]
pub fn content(domain: &str) -> String {
    let mut digest = hex::encode(Sha256::digest(format!("localyun owner of {domain}")));
    digest.truncate(32);
    format!("verify_{digest}")
}
