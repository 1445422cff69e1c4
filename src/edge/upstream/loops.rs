//! A call that comes back to where it has been: told by a mark that every localyun on its way leaves on it, and at the start by the
//! upstream's address.
//!
//! The mark stands in a header, where a proxy may take it out, and at the beginning of the nonce, which is signed and so arrives as it was
//! made or not at all.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use url::Url;

use crate::clock;
use crate::ids;
use crate::wire::http_parts::HttpParts;

use std::time::Duration;

/// The header with a mark of each localyun that a call has passed.
pub const HEADER: &str = "x-localyun-via";
/// More than this many are no way that anybody built on purpose.
const LONGEST_WAY: usize = 8;
/// Machine time that looking up the upstream's name may take at the start.
const LOOK_UP: Duration = Duration::from_secs(5);

/// What this process leaves on the calls that it forwards: random, so that it tells nothing.
#[derive(Debug)]
pub struct Mark(String);

impl Default for Mark {
    fn default() -> Self {
        Self(ids::nonce().chars().take(16).collect())
    }
}

impl Mark {
    /// A nonce for a call that goes on, by which it is known should it come back.
    #[must_use]
    pub fn nonce(&self) -> String {
        format!("{}{}", self.0, ids::nonce())
    }

    /// The header's value for the way on of a call that was signed with one of these nonces; `None` where the call has been here, or has
    /// been forwarded too often.
    #[must_use]
    pub fn on(&self, parts: &HttpParts, nonces: &[Option<&str>]) -> Option<String> {
        let ours = |nonce: &&str| nonce.starts_with(self.0.as_str());
        if nonces.iter().flatten().any(ours) {
            return None;
        }
        let mut way: Vec<&str> = parts
            .headers(HEADER)
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .filter(|mark| !mark.is_empty())
            .collect();
        let sound = way
            .iter()
            .all(|mark| mark.bytes().all(|b| b.is_ascii_alphanumeric()));
        if !sound || way.len() >= LONGEST_WAY || way.contains(&self.0.as_str()) {
            return None;
        }
        way.push(&self.0);
        Some(way.join(","))
    }
}

/// Whether a URL leads to one of these listeners of this machine. A name that cannot be looked up leads nowhere yet.
pub async fn leads_to(endpoint: &Url, listeners: &[SocketAddr]) -> bool {
    let (Some(host), Some(port)) = (endpoint.host_str(), endpoint.port_or_known_default()) else {
        return false;
    };
    let same_port = listeners.iter().filter(|listener| listener.port() == port);
    let same_port: Vec<IpAddr> = same_port.map(SocketAddr::ip).collect();
    if same_port.is_empty() {
        return false;
    }
    let host = host.trim_matches(['[', ']']);
    let looking = tokio::net::lookup_host((host, port));
    let Some(Ok(found)) = clock::machine_timeout(LOOK_UP, looking).await else {
        return false;
    };
    let leads = |at: IpAddr, listener: IpAddr| {
        // One that listens at every address is reached by each that this machine has.
        let every = listener.is_unspecified() && is_of_this_machine(at);
        at == listener || every || (at.is_unspecified() && listener.is_loopback())
    };
    found.map(|address| address.ip().to_canonical()).any(|at| {
        same_port
            .iter()
            .any(|listener| leads(at, listener.to_canonical()))
    })
}

/// Whether an address is one of this machine's: only those can be bound.
fn is_of_this_machine(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forwarded(way: &str) -> HttpParts {
        HttpParts {
            headers: vec![(HEADER.to_owned(), way.to_owned())],
            ..HttpParts::default()
        }
    }

    #[test]
    fn a_call_that_was_here_goes_no_further() {
        let (here, there) = (Mark::default(), Mark::default());
        let out = here.on(&HttpParts::default(), &[]).unwrap();
        assert_eq!(out, here.0);
        let further = there.on(&forwarded(&out), &[]).unwrap();
        assert_eq!(here.on(&forwarded(&further), &[]), None);
        assert_eq!(there.on(&forwarded(&further), &[]), None);
        let long = ["a"; LONGEST_WAY].join(",");
        assert_eq!(here.on(&forwarded(&long), &[]), None);
        let nearly = ["a"; LONGEST_WAY - 1].join(",");
        assert!(here.on(&forwarded(&nearly), &[]).is_some());
        assert_eq!(here.on(&forwarded("a b"), &[]), None);
    }

    #[test]
    fn a_call_is_known_by_its_nonce_where_the_header_was_lost() {
        let (here, there) = (Mark::default(), Mark::default());
        let nonce = here.nonce();
        assert_ne!(nonce, here.nonce());
        let bare = HttpParts::default();
        for nonces in [[Some(nonce.as_str()), None], [None, Some(nonce.as_str())]] {
            assert_eq!(here.on(&bare, &nonces), None);
            assert_eq!(there.on(&bare, &nonces), Some(there.0.clone()));
        }
        assert!(here.on(&bare, &[Some(""), Some("n-1")]).is_some());
    }

    #[tokio::test]
    async fn an_address_of_our_own_is_told() {
        let listeners = [
            "127.0.0.1:8080".parse().unwrap(),
            "0.0.0.0:8443".parse().unwrap(),
        ];
        for (url, is) in [
            ("http://127.0.0.1:8080", true),
            ("http://0.0.0.0:8080", true),
            ("http://localhost:8080", true),
            ("http://127.0.0.1:8081", false),
            ("http://127.0.0.2:8080", false),
            ("https://127.0.0.2:8443", true),
            ("https://192.0.2.1:8443", false),
        ] {
            let url = Url::parse(url).unwrap();
            assert_eq!(leads_to(&url, &listeners).await, is, "{url}");
        }
    }
}
