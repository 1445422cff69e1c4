//! Host names as settings write them.

use std::net::{IpAddr, Ipv6Addr};

use url::Url;

/// Bytes of the longest name (RFC 1035 section 2.3.4).
const LONGEST: usize = 253;
/// Bytes of the longest part of a name between dots.
const LONGEST_LABEL: usize = 63;

/// A name or an address in lower case; an IPv6 address without its brackets.
#[must_use]
pub fn host(text: &str) -> Option<String> {
    let inner = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    if let Ok(address) = inner.unwrap_or(text).parse::<Ipv6Addr>() {
        return Some(address.to_string());
    }
    domain(text)
}

/// Whether a text is `HOST:PORT`.
#[must_use]
pub fn has_port(text: &str) -> bool {
    text.rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

/// A domain name in lower case.
#[must_use]
pub fn domain(text: &str) -> Option<String> {
    let label = |label: &str| {
        (1..=LONGEST_LABEL).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    let fits = text.len() <= LONGEST && text.split('.').all(label);
    fits.then(|| text.to_ascii_lowercase())
}

/// The Host header as HTTP clients write it: the port only where it is not the scheme's own.
#[must_use]
pub fn header_of(endpoint: &Url) -> String {
    let name = endpoint.host_str().unwrap_or_default();
    endpoint
        .port()
        .map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"))
}

/// A host as it stands in a URL.
#[must_use]
pub fn in_url(host: &str) -> String {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) => format!("[{address}]"),
        _ => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_and_nothing_more() {
        for (text, kept) in [
            ("Live.Example.com", "live.example.com"),
            ("localyun", "localyun"),
            ("10.0.0.7", "10.0.0.7"),
            ("[::1]", "::1"),
            ("fd00::2", "fd00::2"),
        ] {
            assert_eq!(host(text).as_deref(), Some(kept));
        }
        for bad in [
            "",
            "http://h",
            "h:80",
            "h/x",
            "a b",
            "a..b",
            "h.",
            "[h]",
            "ä.de",
            "::1]",
            &"a".repeat(64),
        ] {
            assert_eq!(host(bad), None, "{bad}");
        }
        assert_eq!(domain("::1"), None);
        assert_eq!(in_url("::1"), "[::1]");
        assert_eq!(in_url("h.example"), "h.example");
    }
}
