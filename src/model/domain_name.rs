//! What a domain's name may be: one rule for the API and for what a push or a player names.
//!
//! It is wider than that of a host (`site/host.rs`): a wildcard domain begins with a dot or an asterisk, and nobody looks these names up.

/// Bytes of the longest name (RFC 1035 section 2.3.4).
const LONGEST: usize = 253;

/// Whether a text can be the name of a domain of the product, in whatever case.
#[must_use]
pub fn is_valid(name: &str) -> bool {
    name.len() <= LONGEST
        && name.bytes().any(|b| b.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_are_names_and_what_breaks_out_of_one_is_none() {
        for good in [
            "a",
            ".example.com",
            "*.example.com",
            "Play_1.example.com",
            &"d".repeat(253),
        ] {
            assert!(is_valid(good), "{good}");
        }
        for bad in ["", ".", "*", "a/b", "a b", "a:1", "ä.com", &"d".repeat(254)] {
            assert!(!is_valid(bad), "{bad}");
        }
    }
}
