//! A request as the dialects see it: decoded path and query, headers by lower-case name.

use std::borrow::Cow;

use actix_web::http::header::{HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;

use super::code::Code;
use super::error::ServeError;

/// Bytes of a request target at most.
const MAX_TARGET_BYTES: usize = 16 * 1024;

/// Parameters of a URL that are its signature, not words of the operation; in lower case.
const OF_A_SIGNATURE: &[&str] = &[
    "x-amz-algorithm",
    "x-amz-content-sha256",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-security-token",
    "x-amz-signature",
    "x-amz-signedheaders",
];

/// Headers that are read somewhere, or kept, besides the two products' own; `-` at the end: all that begin so. In lower case.
const READ: &[&str] = &[
    "access-control-",
    "authorization",
    "cache-control",
    "content-",
    "date",
    "encoding-type",
    "expires",
    "host",
    "if-",
    "origin",
    "range",
    "sec-",
    "transfer-encoding",
    "x-amz-",
    "x-oss-",
];

/// A request without its body.
#[derive(Debug, Clone)]
pub struct Request {
    /// Upper-case HTTP method.
    pub method: String,
    /// The path as it came.
    pub raw_path: String,
    /// The path, percent-decoded; `+` stays `+`.
    pub path: String,
    /// The query in its own order, decoded; `+` is a space.
    pub query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
}

impl Request {
    /// Reads a request line's target and the headers.
    pub fn new<'a>(
        method: &str,
        target: &str,
        headers: impl Iterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<Self, ServeError> {
        if target.len() > MAX_TARGET_BYTES {
            return Err(ServeError::of(Code::UriTooLong));
        }
        let (raw_path, raw_query) = target.split_once('?').unwrap_or((target, ""));
        let mut query = Vec::new();
        for pair in raw_query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            query.push((
                decode(&name.replace('+', " "))?,
                decode(&value.replace('+', " "))?,
            ));
        }
        let mut held = Vec::new();
        for (name, value) in headers {
            let name = name.to_ascii_lowercase();
            let value = match String::from_utf8_lossy(value) {
                Cow::Borrowed(text) => text.to_owned(),
                // Proxies and browsers add what they like.
                Cow::Owned(text) if !is_read(&name) => text,
                Cow::Owned(_) => {
                    return Err(ServeError::new(
                        Code::InvalidArgument,
                        format!("The header {name} is not UTF-8."),
                    ));
                }
            };
            held.push((name, value));
        }
        Ok(Self {
            method: method.to_ascii_uppercase(),
            raw_path: raw_path.to_owned(),
            path: decode(raw_path)?,
            query,
            headers: held,
        })
    }

    /// A header by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(held, _)| held == name)
            .map(|(_, value)| value.trim())
    }

    /// A header that is a list: the fields of one name in one (RFC 9110 section 5.3).
    pub fn list(&self, name: &str) -> Option<Cow<'_, str>> {
        let mut values = self
            .headers()
            .filter(|(held, _)| *held == name)
            .map(|(_, value)| value);
        let first = Cow::Borrowed(values.next()?);
        Some(values.fold(first, |list, value| Cow::Owned(format!("{list}, {value}"))))
    }

    /// All headers, names in lower case.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.trim()))
    }

    /// A query parameter; names count in their exact case.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(held, _)| held == name)
            .map(|(_, value)| value.as_str())
    }

    /// Whether a query parameter is there, with or without a value.
    pub fn has(&self, name: &str) -> bool {
        self.param(name).is_some()
    }

    /// The parameters of the query that stand for headers, by the headers' names: SDKs that sign a URL move the headers of the operation
    /// there, and they mean the same. `besides` names in lower case what may come so besides `x-amz-*`. A header that came as one counts alone.
    pub fn moved(&self, besides: &[&str]) -> impl Iterator<Item = (String, &str)> {
        self.query
            .iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value.as_str()))
            .filter(move |(name, _)| {
                (name.starts_with("x-amz-") || besides.contains(&name.as_str()))
                    && self.header(name).is_none()
            })
    }

    /// The request with those parameters among its headers; none where it has none. What is a word of the signature itself does not come
    /// along, nor does a digest, which was taken when there was no body yet.
    pub fn with_moved_headers(&self, besides: &[&str]) -> Result<Option<Self>, ServeError> {
        let moved: Vec<_> = self
            .moved(besides)
            .filter(|(name, _)| !OF_A_SIGNATURE.contains(&name.as_str()))
            .filter(|(name, _)| !name.starts_with("x-amz-checksum-"))
            .map(|(name, value)| {
                check_header(&name, value)?;
                Ok((name, value.to_owned()))
            })
            .collect::<Result<_, ServeError>>()?;
        Ok((!moved.is_empty()).then(|| {
            let mut request = self.clone();
            request.headers.extend(moved);
            request
        }))
    }

    /// Host without its port.
    pub fn host(&self) -> &str {
        let host = self.header("host").unwrap_or_default();
        match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        }
    }

    /// A number in the query, within bounds.
    pub fn number(
        &self,
        name: &str,
        bounds: std::ops::RangeInclusive<u64>,
    ) -> Result<Option<u64>, ServeError> {
        let Some(text) = self.param(name).filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        match text.parse() {
            Ok(number) if bounds.contains(&number) => Ok(Some(number)),
            _ => Err(ServeError::argument(
                name,
                text,
                format!(
                    "{name} must be an integer from {} to {}.",
                    bounds.start(),
                    bounds.end()
                ),
            )),
        }
    }
}

/// Refuses a word that no header can be: forms and addresses may hold any character, and an answer could not tell what is kept of such a one.
pub fn check_header(name: &str, value: &str) -> Result<(), ServeError> {
    if HeaderName::from_bytes(name.as_bytes()).is_ok()
        && HeaderValue::from_bytes(value.as_bytes()).is_ok()
    {
        return Ok(());
    }
    Err(ServeError::argument(
        name,
        value,
        "The argument holds a character that no HTTP header may hold.",
    ))
}

/// Whether anything depends on a header, by its lower-case name.
fn is_read(name: &str) -> bool {
    READ.iter().any(|listed| {
        if listed.ends_with('-') {
            name.starts_with(listed)
        } else {
            name == *listed
        }
    })
}

fn decode(text: &str) -> Result<String, ServeError> {
    let invalid = || ServeError::of(Code::InvalidUri);
    percent_decode_str(text)
        .decode_utf8()
        .map(Into::into)
        .map_err(|_| invalid())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(target: &str) -> Result<Request, ServeError> {
        Request::new(
            "get",
            target,
            [("Host", b"b.example:9000".as_slice())].into_iter(),
        )
    }

    #[test]
    fn plus_is_a_space_in_the_query_and_itself_in_the_path() {
        let request = request("/b/a+b%2Fc%20d?prefix=x+y%2B&acl").expect("valid");
        assert_eq!(request.path, "/b/a+b/c d");
        assert_eq!(request.param("prefix"), Some("x y+"));
        assert_eq!(request.param("acl"), Some(""));
        assert_eq!(request.host(), "b.example");
    }

    #[test]
    fn bytes_that_are_no_text_and_long_targets_are_refused() {
        assert_eq!(request("/b/%FF").expect_err("not UTF-8").code, "InvalidURI");
        let at_limit = format!("/{}", "a".repeat(MAX_TARGET_BYTES - 1));
        assert!(request(&at_limit).is_ok());
        assert_eq!(
            request(&(at_limit + "a")).expect_err("too long").code,
            Code::UriTooLong
        );
    }

    #[test]
    fn a_header_that_is_no_text_counts_only_where_it_is_read() {
        let with = |name: &str| {
            let headers = [(name, b"caf\xE9".as_slice())];
            Request::new("get", "/b/k", headers.into_iter())
        };
        for name in ["User-Agent", "Referer", "X-Forwarded-For", "Cookie"] {
            let request = with(name).expect(name);
            let held = request.header(&name.to_ascii_lowercase());
            assert_eq!(held, Some("caf\u{FFFD}"), "{name}");
        }
        for name in [
            "x-oss-meta-a",
            "X-Amz-Meta-A",
            "Content-Type",
            "Expires",
            "If-Match",
        ] {
            let refused = with(name).expect_err(name);
            assert_eq!(refused.code, Code::InvalidArgument, "{name}");
        }
    }

    #[test]
    fn headers_that_a_signed_url_carries_in_its_query_are_headers() {
        let moved = |target: &str, besides: &[&str]| {
            let signed = request(target).expect("valid");
            signed.with_moved_headers(besides)
        };
        let target = "/b/k?X-Amz-Signature=s&X-Amz-Date=d&x-amz-acl=public-read&x-amz-meta-a=1\
                      &x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-security-token=t&Content-Type=a/b";
        let both = moved(target, &[]).expect("headers").expect("some");
        assert_eq!(both.header("x-amz-acl"), Some("public-read"));
        assert_eq!(both.header("x-amz-meta-a"), Some("1"));
        for absent in [
            "x-amz-date",
            "x-amz-checksum-crc32",
            "x-amz-security-token",
            "content-type",
        ] {
            assert_eq!(both.header(absent), None, "{absent}");
        }
        let typed = moved(target, &["content-type"]).expect("headers");
        assert_eq!(typed.expect("some").header("content-type"), Some("a/b"));
        let plain = moved("/b/k?X-Amz-Signature=s", &[]);
        assert!(plain.expect("nothing wrong").is_none());
    }

    #[test]
    fn what_no_header_can_hold_is_not_moved_among_them() {
        for query in [
            "x-amz-meta-a=%0A",
            "x-amz-meta-a=a%0Ab",
            "x-amz-meta-a%20b=1",
        ] {
            let signed = request(&format!("/b/k?{query}")).expect("valid");
            let refused = signed.with_moved_headers(&[]).expect_err(query);
            assert_eq!(refused.code, Code::InvalidArgument, "{query}");
        }
        let signed = request("/b/k?x-amz-meta-a=%E4%B8%AD%09x&v=%0A").expect("valid");
        assert!(signed.with_moved_headers(&[]).is_ok());
    }

    #[test]
    fn numbers_are_held_to_their_bounds() {
        let request = request("/?a=1000&b=1001&c=x&d=").expect("valid");
        assert_eq!(
            request.number("a", 1..=1000).expect("in bounds"),
            Some(1000)
        );
        assert_eq!(request.number("d", 1..=1000).expect("empty"), None);
        assert!(request.number("b", 1..=1000).is_err());
        assert!(request.number("c", 1..=1000).is_err());
    }
}
