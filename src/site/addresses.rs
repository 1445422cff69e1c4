//! Where the listeners of this service are: as they were bound, and as clients reach them.

use serde::Serialize;

use super::host;
use crate::wire::http_parts::HttpParts;

/// The URL of each listener; [`Addresses::public`] is how clients write one.
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
    /// `HOST:PORT` of each listener of the API, as it was bound.
    pub fn of_the_api(&self) -> impl Iterator<Item = &str> {
        let bound = [Some(self.api.as_str()), self.tls.as_deref()];
        let authority = |url: &'_ str| url.find("://").map(|at| at + 3);
        bound
            .into_iter()
            .flatten()
            .filter_map(move |url| url.get(authority(url)?..))
    }

    /// A URL as clients reach it: with the public host, where one is set.
    #[must_use]
    pub fn public(&self, url: &str) -> String {
        let Some(host) = &self.public_host else {
            return url.to_owned();
        };
        match (url.split_once("://"), url.rsplit_once(':')) {
            (Some((scheme, _)), Some((_, port))) => {
                format!("{scheme}://{}:{port}", host::in_url(host))
            }
            _ => url.to_owned(),
        }
    }

    /// The API's URL for who sent a request: the public host where one is set, else the host by which the request came.
    #[must_use]
    pub fn endpoint_for(&self, parts: &HttpParts) -> String {
        let host = parts.header("host");
        let Some(host) = host.filter(|_| self.public_host.is_none()) else {
            return self.public(&self.api);
        };
        let port = |authority: &str| authority.rsplit_once(':').map(|(_, port)| port.to_owned());
        let tls = self.tls.as_deref().and_then(port);
        let scheme = match tls {
            Some(tls) if port(host).as_ref() == Some(&tls) => "https",
            _ => "http",
        };
        format!("{scheme}://{host}")
    }
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
        assert_eq!(own.public("rtmp://0.0.0.0:1935"), "rtmp://[fd00::2]:1935");
    }
}
