//! Which known name a misspelt one was most likely meant to be.

/// From this likeness on (1 is equal) a name is worth a "did you mean".
const LIKENESS: f64 = 0.75;

/// The known name that is most like `wanted`; `None` where none is like it.
pub fn closest<'a>(known: impl Iterator<Item = &'a str>, wanted: &str) -> Option<&'a str> {
    let wanted = wanted.to_ascii_lowercase();
    known
        .map(|name| {
            let likeness = strsim::jaro_winkler(&name.to_ascii_lowercase(), &wanted);
            (likeness, name)
        })
        .filter(|(likeness, _)| *likeness >= LIKENESS)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_a_stranger_is_not() {
        let known = || ["api_addr", "rtmp_addr", "log"].into_iter();
        assert_eq!(closest(known(), "api_adr"), Some("api_addr"));
        assert_eq!(closest(known(), "LOGG"), Some("log"));
        assert_eq!(closest(known(), "xyzzy"), None);
    }
}
