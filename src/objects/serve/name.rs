//! Names of objects that OSS refuses and S3 takes.

use super::code::Code;
use super::error::ServeError;

/// Bytes of a name at most.
const MAX_BYTES: usize = 1023;

/// Refuses a name that OSS does not take: it must not begin with `/` or `\\` and have at most 1,023 bytes. An empty one means the bucket.
pub fn check(key: &str) -> Result<(), ServeError> {
    if key.len() > MAX_BYTES {
        return Err(ServeError::of(Code::NameTooLong));
    }
    if key.starts_with(['/', '\\']) {
        return Err(ServeError::of(Code::NameBeginsWithSlash));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_held_to_what_oss_takes() {
        let (longest, longer) = ("x".repeat(1023), "x".repeat(1024));
        for good in ["", "a", "a//b", "a\\b", " /a", &longest] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in ["/", "/a", "//a", "\\", "\\a", &longer] {
            assert_eq!(check(bad).expect_err(bad).code, "InvalidObjectName");
        }
    }
}
