//! Which machine a request names, and whether the page of another site sent it: the one place for checks of hosts.
//!
//! Two ways lead a stranger's web page to a server on the developer's own machine. It sends requests across sites, and the browser says so
//! (`Origin`, `Sec-Fetch-Site`). Or the name of its own site is made to lead to 127.0.0.1 (DNS rebinding): then the browser takes both for
//! one site, says neither where it reads, and only `Host` still shows the stranger's name. Pure functions; who asks decides what follows.

pub mod addresses;
pub mod host;

use std::net::{IpAddr, Ipv6Addr};

use crate::wire::http_parts::HttpParts;

/// A host and a port, as `Host`, `Origin` and settings write them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    pub host: Host,
    pub port: Option<u16>,
}

/// An address in its plain form (an IPv4 address written as IPv6 is an IPv4 address), or a name in lower case without the dot of the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    Address(IpAddr),
    Name(String),
}

impl std::fmt::Display for Host {
    /// An IPv6 address without brackets, as settings write it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

impl Host {
    fn read(text: &str) -> Option<Self> {
        if let Some(inner) = text.strip_prefix('[') {
            let address: Ipv6Addr = inner.strip_suffix(']')?.parse().ok()?;
            return Some(Self::Address(IpAddr::V6(address).to_canonical()));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            // Without brackets it is no host of a request.
            return address.is_ipv4().then_some(Self::Address(address));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        (!name.is_empty() && name.bytes().all(plain)).then(|| Self::Name(name.to_ascii_lowercase()))
    }

    /// Whether it means this machine on every machine: no name server is asked for it.
    fn is_loopback(&self) -> bool {
        match self {
            Self::Address(address) => address.is_loopback(),
            Self::Name(name) => name == "localhost",
        }
    }
}

impl Authority {
    /// `HOST` or `HOST:PORT`, and nothing else: no user, no space, no list.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (host, port) = match text.rsplit_once(':') {
            // The colon of an address in brackets.
            Some(_) if text.ends_with(']') => (text, None),
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => {
                // RFC 3986 section 3.2.3 lets the port be empty.
                let port = (!port.is_empty()).then(|| port.parse()).transpose().ok()?;
                (host, port)
            }
            Some(_) => return None,
            None => (text, None),
        };
        Some(Self {
            host: Host::read(host)?,
            port,
        })
    }

    /// The same place: equal hosts, and equal ports where one that is not written is the scheme's.
    fn is_same(&self, other: &Self, default_port: u16) -> bool {
        let port = |authority: &Self| authority.port.unwrap_or(default_port);
        self.host == other.host && port(self) == port(other)
    }
}

/// The names of this machine beside those that every machine has: of `--public-host`, and of the addresses that the API is bound to.
#[derive(Debug, Clone, Default)]
pub struct OwnNames(Vec<Host>);

impl OwnNames {
    /// `bound`: `HOST:PORT` as settings write it or as a socket tells it; an IPv6 address stands in brackets.
    #[must_use]
    pub fn new<'a>(public_host: Option<&str>, bound: impl IntoIterator<Item = &'a str>) -> Self {
        // The setting's own form of an IPv6 address has no brackets.
        let public = public_host.and_then(|host| {
            let address = host.parse::<IpAddr>().ok();
            address
                .map(|address| Host::Address(address.to_canonical()))
                .or_else(|| Host::read(host))
        });
        let bound = bound
            .into_iter()
            .filter_map(|text| Authority::read(text).map(|authority| authority.host));
        Self(public.into_iter().chain(bound).collect())
    }

    /// Whether a host means this machine. Ports are not compared: whoever forwards one to another changes it.
    #[must_use]
    pub fn include(&self, host: &Host) -> bool {
        host.is_loopback() || self.0.contains(host)
    }

    /// Whether a request names this machine, and no other beside it.
    #[must_use]
    pub fn are_named_by(&self, parts: &HttpParts) -> bool {
        let mut named = hosts(parts).peekable();
        named.peek().is_some()
            && named.all(|text| {
                Authority::read(text).is_some_and(|authority| self.include(&authority.host))
            })
    }
}

/// Everything by which a request says whom it means: each `Host`, and the authority of a request line in absolute form, which counts more
/// (RFC 9112 section 3.2.2).
fn hosts(parts: &HttpParts) -> impl Iterator<Item = &str> {
    parts.headers("host").chain(parts.authority.as_deref())
}

/// Whether the page of another site sent a request. A browser tells it for anybody who got the developer to look at a page, and the
/// developer's machine is whom a server on it trusts. Other ports of one machine are other sites.
#[must_use]
pub fn is_foreign_page(parts: &HttpParts) -> bool {
    let mut origins = parts.headers("origin").peekable();
    if origins.peek().is_some() {
        return origins.any(|origin| !is_own_origin(parts, origin));
    }
    // A request without an Origin that changes something all the same: a link, a picture, a form that is sent by GET.
    parts
        .headers("sec-fetch-site")
        .any(|site| matches!(site, "cross-site" | "same-site"))
}

/// Whether a page sent a request at all; `header` gives the first header of a name, which is in lower case. A page's GET to its own site
/// has no `Origin`, and what goes to a name without TLS no `Sec-Fetch-Site`. So what browsers add by themselves counts too: one of its words
/// stays, whatever a page sets or leaves out.
#[must_use]
pub fn is_page<'a>(header: impl Fn(&'static str) -> Option<&'a str>) -> bool {
    let has = |name| header(name).is_some();
    // Node's fetch sends every language and a Sec-Fetch-Mode. No page can set that one, and a browser that tells it tells the site as well.
    let of_node = |languages: &str| languages == "*" && has("sec-fetch-mode");
    has("origin")
        || has("sec-fetch-site")
        || has("referer")
        || header("user-agent").is_some_and(|agent| agent.starts_with("Mozilla/"))
        || header("accept-language").is_some_and(|languages| !of_node(languages))
}

fn is_own_origin(parts: &HttpParts, origin: &str) -> bool {
    let mut asked = hosts(parts).peekable();
    asked.peek().is_some() && asked.all(|host| is_origin_of(origin, host))
}

/// Whether an `Origin` is that of pages which a `Host` serves.
#[must_use]
pub fn is_origin_of(origin: &str, host: &str) -> bool {
    // `null`: a sandbox, a file, a redirect across sites.
    let Some((scheme, authority)) = origin.split_once("://") else {
        return false;
    };
    let default_port = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return false,
    };
    match (Authority::read(authority), Authority::read(host)) {
        (Some(page), Some(host)) => page.is_same(&host, default_port),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(headers: &[(&str, &str)]) -> HttpParts {
        HttpParts {
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            ..HttpParts::default()
        }
    }

    fn own() -> OwnNames {
        let bound = ["192.0.2.7:8080", "devbox:8080", "[2001:db8::7]:8080"];
        OwnNames::new(Some("live.example.com"), bound)
    }

    #[test]
    fn every_way_to_write_this_machine_is_one_of_its_names() {
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "localhost.",
            "localhost.:8080",
            "127.0.0.1",
            "127.0.0.1:1",
            "127.255.1.2:8080",
            "[::1]",
            "[::1]:8080",
            "[0:0:0:0:0:0:0:1]:8080",
            "[::ffff:127.0.0.1]:8080",
            "localhost:",
            "Live.Example.com.:443",
            "192.0.2.7",
            "devbox:9",
            "[2001:DB8::7]",
        ] {
            assert!(own().are_named_by(&parts(&[("host", host)])), "{host}");
        }
    }

    #[test]
    fn a_name_that_a_stranger_can_own_is_none_of_them() {
        for host in [
            "",
            ".",
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "localhost..",
            "evil.localhost",
            "127.0.0.1:8080@evil.example",
            "evil.example@127.0.0.1:8080",
            "user:word@localhost",
            "localhost, evil.example",
            "localhost evil.example",
            "127.0.0.1:8080:9",
            "127.0.0.1:99999",
            "localhost:80x",
            "::1",
            "[::1",
            "[::1]x",
            "[::1%25lo]",
            "127.1",
            "2130706433",
            "0x7f.0.0.1",
            "0177.0.0.1",
            "0.0.0.0:8080",
            "[::]:8080",
            "192.0.2.8",
            "localhost/",
            "http://localhost",
            "l\u{f6}calhost",
        ] {
            assert!(!own().are_named_by(&parts(&[("host", host)])), "{host}");
        }
        assert!(!own().are_named_by(&parts(&[])));
    }

    #[test]
    fn a_request_that_names_two_machines_names_none() {
        let two = [("host", "localhost:8080"), ("host", "evil.example")];
        assert!(!own().are_named_by(&parts(&two)));
        let absolute = |host: &str, authority: &str| HttpParts {
            authority: Some(authority.to_owned()),
            ..parts(&[("host", host)])
        };
        assert!(own().are_named_by(&absolute("localhost", "127.0.0.1:8080")));
        assert!(!own().are_named_by(&absolute("localhost", "evil.example")));
        assert!(!own().are_named_by(&absolute("evil.example", "localhost")));
        assert!(!own().are_named_by(&absolute("localhost", "u@localhost")));
    }

    #[test]
    fn the_unspecified_address_is_a_name_where_it_is_bound() {
        let everywhere = OwnNames::new(None, ["0.0.0.0:8080", "[::]:8080"]);
        for host in ["0.0.0.0:8080", "[::]:8080", "localhost"] {
            assert!(everywhere.are_named_by(&parts(&[("host", host)])), "{host}");
        }
        let six = OwnNames::new(Some("2001:db8::1"), []);
        assert!(six.are_named_by(&parts(&[("host", "[2001:db8::1]:8080")])));
    }

    #[test]
    fn a_page_is_known_by_what_its_browser_adds() {
        let sent = |headers: &[(&str, &str)]| {
            let parts = parts(headers);
            is_page(|name| parts.header(name))
        };
        for page in [
            ("origin", "http://evil.example"),
            ("sec-fetch-site", "none"),
            ("referer", "http://evil.example/"),
            ("user-agent", "Mozilla/5.0 (X11; Linux x86_64)"),
            ("accept-language", "en-US,en;q=0.5"),
            // What a page can make of it by itself.
            ("accept-language", "*"),
            ("accept-language", ""),
        ] {
            assert!(sent(&[("host", "evil.example"), page]), "{page:?}");
        }
        let node = [
            ("user-agent", "node"),
            ("accept-language", "*"),
            ("sec-fetch-mode", "cors"),
        ];
        for client in [
            vec![],
            vec![("user-agent", "AlibabaCloud (linux; amd64) Python/3.12")],
            vec![("user-agent", "curl/8.5.0"), ("accept", "*/*")],
            node.to_vec(),
        ] {
            assert!(!sent(&client), "{client:?}");
        }
        for more in [
            ("sec-fetch-site", "same-origin"),
            ("user-agent", "Mozilla/5.0"),
            ("referer", "http://evil.example/"),
        ] {
            assert!(sent(&[node[1], node[2], more]), "{more:?}");
        }
    }

    #[test]
    fn pages_of_other_sites_are_told_apart() {
        let host = ("host", "127.0.0.1:8080");
        for own in [
            vec![host],
            vec![host, ("origin", "http://127.0.0.1:8080")],
            vec![
                host,
                ("origin", "http://127.0.0.1:8080"),
                ("sec-fetch-site", "same-origin"),
            ],
            vec![host, ("sec-fetch-site", "same-origin")],
            vec![host, ("sec-fetch-site", "none")],
            vec![
                ("host", "Live.Example.com"),
                ("origin", "https://live.example.com"),
            ],
            vec![
                ("host", "live.example.com:80"),
                ("origin", "http://live.example.com"),
            ],
            vec![("host", "[::1]:8080"), ("origin", "http://[::1]:8080")],
        ] {
            assert!(!is_foreign_page(&parts(&own)), "{own:?}");
        }
        for foreign in [
            vec![host, ("origin", "http://evil.example")],
            vec![host, ("origin", "http://127.0.0.1:9")],
            vec![host, ("origin", "http://127.0.0.1")],
            vec![host, ("origin", "null")],
            vec![host, ("origin", "")],
            vec![
                host,
                ("origin", "http://127.0.0.1:8080, http://evil.example"),
            ],
            vec![
                host,
                ("origin", "http://127.0.0.1:8080"),
                ("origin", "http://evil.example"),
            ],
            vec![host, ("origin", "chrome-extension://127.0.0.1:8080")],
            vec![
                host,
                ("origin", "http://evil.example"),
                ("sec-fetch-site", "same-origin"),
            ],
            vec![host, ("sec-fetch-site", "cross-site")],
            vec![host, ("sec-fetch-site", "same-site")],
            vec![("origin", "http://evil.example")],
            vec![
                ("host", "evil.example"),
                ("host", "127.0.0.1:8080"),
                ("origin", "http://evil.example"),
            ],
        ] {
            assert!(is_foreign_page(&parts(&foreign)), "{foreign:?}");
        }
    }
}
