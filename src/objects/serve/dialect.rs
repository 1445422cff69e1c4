//! The two dialects at the rim: the words in which OSS and S3 differ for the same thing.

use super::error::ServeError;
use super::request::Request;
use super::xml::Xml;

/// Which product's words a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Oss,
    S3,
}

impl Dialect {
    /// What an unverified request looks like: S3 where it carries S3's words, OSS otherwise.
    pub fn of(request: &Request) -> Self {
        let authorization = request.header("authorization").unwrap_or_default();
        let s3 = authorization.starts_with("AWS")
            || request.has("X-Amz-Algorithm")
            || request.has("AWSAccessKeyId")
            || (authorization.is_empty()
                && request
                    .headers()
                    .any(|(name, _)| name.starts_with("x-amz-")));
        if s3 { Self::S3 } else { Self::Oss }
    }

    /// Prefix of the dialect's own headers.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Oss => "x-oss-",
            Self::S3 => "x-amz-",
        }
    }

    /// A request header of the dialect, by the part of its name behind the prefix.
    pub fn header<'a>(self, request: &'a Request, name: &str) -> Option<&'a str> {
        request.header(&format!("{}{name}", self.prefix()))
    }

    /// An ETag as the dialect writes it: quoted, upper case in OSS.
    pub fn etag(self, etag: &str) -> String {
        match self {
            Self::Oss => format!("\"{}\"", etag.to_uppercase()),
            Self::S3 => format!("\"{etag}\""),
        }
    }

    /// Namespace of documents.
    pub fn namespace(self) -> Option<&'static str> {
        match self {
            Self::Oss => None,
            Self::S3 => Some("http://s3.amazonaws.com/doc/2006-03-01/"),
        }
    }

    /// A document of the dialect.
    pub fn document(self, root: &'static str) -> Xml {
        Xml::new(root, self.namespace())
    }

    /// An error document.
    pub fn error_document(
        self,
        error: &ServeError,
        request_id: &str,
        host: &str,
        path: &str,
    ) -> String {
        let mut xml = Xml::new("Error", None);
        xml.text("Code", error.code.as_str())
            .text("Message", &error.message);
        if self == Self::S3 {
            xml.text("Resource", path);
        }
        xml.text("RequestId", request_id).text("HostId", host);
        for (name, value) in &error.details {
            xml.text(name, value);
        }
        if self == Self::Oss {
            xml.maybe("EC", error.code.ec());
        }
        xml.finish()
    }
}

/// Turns a refusal into S3's words where the two products differ.
pub fn reword(mut error: ServeError, dialect: Dialect) -> ServeError {
    if dialect == Dialect::S3
        && let Some(code) = error.code.in_s3()
    {
        error.message = code.text().into();
        error.code = code;
    }
    error
}
