//! Where the listeners of this service are: as they were bound, and as clients reach them.

use std::net::IpAddr;

use serde::Serialize;

use super::{Authority, Host, host};
use crate::wire::http_parts::HttpParts;

/// The URL of each listener as it was bound; [`Addresses::seen_by`] is how clients write one.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Addresses {
    pub api: String,
    pub rtmp: String,
    pub oss: String,
    pub tls: Option<String>,
    pub play: String,
    pub play_tls: Option<String>,
    /// The name of this node.
    #[serde(skip)]
    pub node: String,
    /// The host by which clients reach this machine, where a setting names one.
    #[serde(skip)]
    pub public_host: Option<String>,
}

impl Addresses {
    /// The same with each URL written anew.
    #[must_use]
    pub fn map(&self, write: impl Fn(&str) -> String) -> Self {
        Self {
            api: write(&self.api),
            rtmp: write(&self.rtmp),
            oss: write(&self.oss),
            tls: self.tls.as_deref().map(&write),
            play: write(&self.play),
            play_tls: self.play_tls.as_deref().map(&write),
            node: self.node.clone(),
            public_host: self.public_host.clone(),
        }
    }

    /// `HOST:PORT` of each listener of the API, as it was bound.
    pub fn of_the_api(&self) -> impl Iterator<Item = &str> {
        let bound = [Some(self.api.as_str()), self.tls.as_deref()];
        bound.into_iter().flatten().filter_map(authority)
    }

    /// The listeners as the sender of a request reaches them.
    #[must_use]
    pub fn seen_by(&self, parts: &HttpParts) -> Seen<'_> {
        let asked = parts.header("host").and_then(Authority::read);
        Seen {
            addresses: self,
            asked: asked.map(|authority| authority.host),
        }
    }

    /// The listeners for who has not asked: somebody at this machine.
    #[must_use]
    pub fn seen_from_here(&self) -> Seen<'_> {
        Seen {
            addresses: self,
            asked: None,
        }
    }

    /// The API's URL for who sent a request: the public host where one is set, else the host and port by which the request came.
    #[must_use]
    pub fn endpoint_for(&self, parts: &HttpParts) -> String {
        let host = parts.header("host");
        let Some(host) = host.filter(|_| self.public_host.is_none()) else {
            return self.seen_by(parts).url(&self.api);
        };
        let port = |authority: &str| authority.rsplit_once(':').map(|(_, port)| port.to_owned());
        let tls = self.tls.as_deref().and_then(port);
        let scheme = match tls {
            Some(tls) if port(host).as_ref() == Some(&tls) => "https",
            _ => "http",
        };
        from_here(&format!("{scheme}://{host}"))
    }
}

/// The listeners as one caller reaches them.
#[derive(Debug, Clone)]
pub struct Seen<'a> {
    addresses: &'a Addresses,
    /// The host that the caller's request named.
    asked: Option<Host>,
}

impl Seen<'_> {
    /// A URL of one of the listeners, with the host by which this caller reaches it: the public host where one is set, else the host by
    /// which the caller came, where that leads to the listener too. An address that stands for every address of the machine is never told.
    #[must_use]
    pub fn url(&self, bound: &str) -> String {
        if let Some(host) = &self.addresses.public_host {
            return with_host(bound, host);
        }
        let Some(own) = host_of(bound) else {
            return bound.to_owned();
        };
        // Whoever came by a name to the address that the API has is led by it to everything that listens there as well.
        let beside_the_api =
            is_everywhere(&own) || host_of(&self.addresses.api).as_ref() == Some(&own);
        match &self.asked {
            Some(asked) if beside_the_api && !is_everywhere(asked) => {
                with_host(bound, &asked.to_string())
            }
            _ => from_here(bound),
        }
    }
}

/// A URL of a listener as this machine reaches it: the address that stands for all of them is none to connect to everywhere.
#[must_use]
pub fn from_here(url: &str) -> String {
    match split(url) {
        Some((_, Host::Address(IpAddr::V4(all)), _)) if all.is_unspecified() => {
            with_host(url, "127.0.0.1")
        }
        Some((_, Host::Address(IpAddr::V6(all)), _)) if all.is_unspecified() => {
            with_host(url, "::1")
        }
        _ => url.to_owned(),
    }
}

/// The URL with another host.
fn with_host(url: &str, host: &str) -> String {
    let Some((scheme, _, port)) = split(url) else {
        return url.to_owned();
    };
    let port = port.map_or_else(String::new, |port| format!(":{port}"));
    format!("{scheme}://{}{port}", host::in_url(host))
}

fn authority(url: &str) -> Option<&str> {
    url.get(url.find("://")? + 3..)
}

/// Scheme, host and port of a URL without a path.
fn split(url: &str) -> Option<(&str, Host, Option<u16>)> {
    let (scheme, rest) = url.split_once("://")?;
    let Authority { host, port } = Authority::read(rest)?;
    Some((scheme, host, port))
}

fn host_of(url: &str) -> Option<Host> {
    split(url).map(|(_, host, _)| host)
}

fn is_everywhere(host: &Host) -> bool {
    matches!(host, Host::Address(address) if address.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(public_host: Option<&str>) -> Addresses {
        Addresses {
            api: "http://127.0.0.1:8080".to_owned(),
            tls: Some("https://127.0.0.1:8443".to_owned()),
            public_host: public_host.map(str::to_owned),
            ..Addresses::default()
        }
    }

    fn from(host: &str) -> HttpParts {
        HttpParts {
            headers: vec![("host".to_owned(), host.to_owned())],
            ..HttpParts::default()
        }
    }

    #[test]
    fn a_caller_is_told_the_host_by_which_it_came() {
        let own = addresses(None);
        assert_eq!(own.endpoint_for(&from("live:8080")), "http://live:8080");
        assert_eq!(own.endpoint_for(&from("live:8443")), "https://live:8443");
        assert_eq!(own.endpoint_for(&HttpParts::default()), own.api);
        let bound: Vec<&str> = own.of_the_api().collect();
        assert_eq!(bound, ["127.0.0.1:8080", "127.0.0.1:8443"]);
    }

    #[test]
    fn a_public_host_stands_in_every_url() {
        let own = addresses(Some("fd00::2"));
        assert_eq!(
            own.endpoint_for(&from("live:8080")),
            "http://[fd00::2]:8080"
        );
        let seen = own.seen_by(&from("live:8080"));
        assert_eq!(seen.url("rtmp://0.0.0.0:1935"), "rtmp://[fd00::2]:1935");
    }

    #[test]
    fn listeners_beside_the_api_are_told_by_the_callers_host() {
        let told = |api: &str, host: &str, bound: &str| {
            let own = Addresses {
                api: api.to_owned(),
                ..Addresses::default()
            };
            own.seen_by(&from(host)).url(bound)
        };
        let (everywhere, six) = ("http://0.0.0.0:8080", "http://[::]:8080");
        for (api, host, bound, expected) in [
            // Everything listens everywhere, as in the image.
            (
                everywhere,
                "10.0.0.8:8080",
                "rtmp://0.0.0.0:1935",
                "rtmp://10.0.0.8:1935",
            ),
            (
                everywhere,
                "Localyun:18080",
                "http://0.0.0.0:9000",
                "http://localyun:9000",
            ),
            (
                everywhere,
                "[fd00::2]:8080",
                "rtmp://0.0.0.0:1935",
                "rtmp://[fd00::2]:1935",
            ),
            (six, "devbox", "rtmp://[::]:1935", "rtmp://devbox:1935"),
            // Everything listens on this machine alone.
            (
                "http://127.0.0.1:1",
                "localhost:1",
                "rtmp://127.0.0.1:2",
                "rtmp://localhost:2",
            ),
            // What listens elsewhere than the API is told as it is.
            (
                everywhere,
                "10.0.0.8:8080",
                "rtmp://127.0.0.1:1935",
                "rtmp://127.0.0.1:1935",
            ),
            (
                "http://127.0.0.1:1",
                "localhost:1",
                "rtmp://10.0.0.8:2",
                "rtmp://10.0.0.8:2",
            ),
            // A caller that names no machine.
            (
                everywhere,
                "0.0.0.0:8080",
                "rtmp://0.0.0.0:1935",
                "rtmp://127.0.0.1:1935",
            ),
            (
                everywhere,
                "a b",
                "rtmp://0.0.0.0:1935",
                "rtmp://127.0.0.1:1935",
            ),
            (six, "[::]:8080", "rtmp://[::]:1935", "rtmp://[::1]:1935"),
        ] {
            assert_eq!(told(api, host, bound), expected, "{api} by {host}");
        }
        let own = addresses(None);
        assert_eq!(
            own.seen_from_here().url("http://0.0.0.0:1"),
            "http://127.0.0.1:1"
        );
    }
}
