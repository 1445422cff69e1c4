//! A request, free of the web framework.

use std::net::IpAddr;

use bytes::Bytes;

/// A request, free of the web framework. Header names are in lower case.
#[derive(Debug, Clone, Default)]
pub struct HttpParts {
    pub method: String,
    pub path: String,
    pub query: String,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    /// The host of a request line in absolute form.
    pub authority: Option<String>,
    /// The caller is on this machine.
    pub local: bool,
    /// Where it came from.
    pub peer: Option<IpAddr>,
}

impl HttpParts {
    /// The first value of the header of that name, which is given in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }

    /// Every value of the headers of that name, which is given in lower case.
    pub fn headers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers
            .iter()
            .filter(move |(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }

    /// Whether the body is a form.
    #[must_use]
    pub fn is_form(&self) -> bool {
        self.header("content-type").is_some_and(|t| {
            t.to_ascii_lowercase()
                .starts_with("application/x-www-form-urlencoded")
        })
    }
}
