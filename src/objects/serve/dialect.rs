//! The two dialects at the rim: the words in which OSS and S3 differ for the same thing.

use super::error::ServeError;
use super::request::Request;
use super::xml::Xml;
use crate::folder::{EtagForm, StorageClass};

/// Which product's words a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Oss,
    S3,
}

impl Dialect {
    /// The dialect of a request: what its signature says. Only a request that brings none is judged by its headers, since whoever holds a
    /// signed address can add any header to it.
    pub fn of(request: &Request) -> Self {
        match Scheme::of(request) {
            Some(scheme) => scheme.dialect(),
            None if request
                .headers()
                .any(|(name, _)| name.starts_with(Self::S3.prefix())) =>
            {
                Self::S3
            }
            None => Self::Oss,
        }
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

    /// How the dialect makes the ETag of an object of parts.
    pub fn etag_form(self) -> EtagForm {
        match self {
            Self::Oss => EtagForm::OfEtags,
            Self::S3 => EtagForm::OfDigests,
        }
    }

    /// The dialect's word for a storage class.
    pub fn storage_class(self, class: StorageClass) -> &'static str {
        match (self, class) {
            (Self::Oss, StorageClass::Standard) => "Standard",
            (Self::Oss, StorageClass::InfrequentAccess) => "IA",
            (Self::S3, StorageClass::Standard) => "STANDARD",
            (Self::S3, StorageClass::InfrequentAccess) => "STANDARD_IA",
        }
    }

    /// Reads the dialect's word for a storage class. Classes whose objects cannot be read at once, or that promise something else, are
    /// not there.
    pub fn read_storage_class(self, word: &str) -> Result<StorageClass, ServeError> {
        [StorageClass::Standard, StorageClass::InfrequentAccess]
            .into_iter()
            .find(|class| self.storage_class(*class).eq_ignore_ascii_case(word))
            .ok_or_else(|| {
                let word: String = word.chars().take(32).collect();
                ServeError::not_implemented(&format!("{}storage-class: {word}", self.prefix()))
            })
    }

    /// The media type of an object whose writer names none. Only what somebody put into the folder is guessed by its name.
    pub fn plain_type(self) -> &'static str {
        match self {
            Self::Oss => "application/octet-stream",
            Self::S3 => "binary/octet-stream",
        }
    }

    /// Namespace of documents.
    pub fn namespace(self) -> Option<&'static str> {
        match self {
            Self::Oss => None,
            Self::S3 => Some("http://s3.amazonaws.com/doc/2006-03-01/"),
        }
    }

    /// Whether documents have control characters as references. The namespace does not tell: S3's errors have none.
    pub fn has_references(self) -> bool {
        self == Self::S3
    }

    /// A document of the dialect.
    pub fn document(self, root: &'static str) -> Xml {
        Xml::new(root, self.namespace(), self.has_references())
    }

    /// An error document.
    pub fn error_document(
        self,
        error: &ServeError,
        request_id: &str,
        host: &str,
        path: &str,
    ) -> String {
        let mut xml = Xml::new("Error", None, self.has_references());
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

/// How a request is signed, by what it carries; nothing is verified yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    OssV1Header,
    OssV4Header,
    AwsV2Header,
    AwsV4Header,
    /// An `Authorization` header of another kind.
    OtherHeader,
    OssV1Url,
    OssV4Url,
    AwsV2Url,
    AwsV4Url,
}

impl Scheme {
    /// A header wins over a URL, and in a URL the newer version over the older.
    pub fn of(request: &Request) -> Option<Self> {
        if let Some(authorization) = request.header("authorization") {
            let (scheme, _) = authorization.split_once(' ').unwrap_or((authorization, ""));
            return Some(match scheme {
                "OSS" => Self::OssV1Header,
                "AWS" => Self::AwsV2Header,
                "OSS4-HMAC-SHA256" => Self::OssV4Header,
                "AWS4-HMAC-SHA256" => Self::AwsV4Header,
                _ => Self::OtherHeader,
            });
        }
        if request.has("x-oss-signature-version") || request.has("x-oss-signature") {
            return Some(Self::OssV4Url);
        }
        if request.has("X-Amz-Algorithm") || request.has("X-Amz-Signature") {
            return Some(Self::AwsV4Url);
        }
        if request.has("OSSAccessKeyId") {
            return Some(Self::OssV1Url);
        }
        if request.has("AWSAccessKeyId") {
            return Some(Self::AwsV2Url);
        }
        (request.has("Signature") && request.has("Expires")).then_some(Self::OssV1Url)
    }

    fn dialect(self) -> Dialect {
        match self {
            Self::AwsV2Header | Self::AwsV4Header | Self::AwsV2Url | Self::AwsV4Url => Dialect::S3,
            _ => Dialect::Oss,
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::code::Code;

    fn dialect(target: &str, headers: &[(&str, &str)]) -> Dialect {
        let headers = headers
            .iter()
            .map(|(name, value)| (*name, value.as_bytes()));
        Dialect::of(&Request::new("PUT", target, headers).expect("a request"))
    }

    #[test]
    fn an_error_tells_control_characters_as_the_dialects_documents_do() {
        let error = ServeError::of(Code::NoSuchKey).with("Key", "a\u{1}".into());
        let told = |dialect: Dialect| dialect.error_document(&error, "id", "host", "/b/a%01");
        assert!(told(Dialect::S3).contains("<Key>a&#x1;</Key>"));
        assert!(told(Dialect::Oss).contains("<Key>a\u{1}</Key>"));
    }

    #[test]
    fn the_signature_says_the_dialect_and_an_unsigned_header_never_does() {
        let copy = [("x-amz-copy-source", "/b/k")];
        let v1 = "/b/k?OSSAccessKeyId=a&Expires=1&Signature=s";
        for oss in [
            v1.to_owned(),
            format!("{v1}&AWSAccessKeyId=a"),
            "/b/k?Expires=1&Signature=s".to_owned(),
            "/b/k?x-oss-signature-version=OSS4-HMAC-SHA256".to_owned(),
            "/b/k?x-oss-signature=s&X-Amz-Signature=s".to_owned(),
        ] {
            assert_eq!(dialect(&oss, &copy), Dialect::Oss, "{oss}");
        }
        for authorization in ["OSS a:s", "OSS4-HMAC-SHA256 Credential=x"] {
            let headers = [("authorization", authorization), copy[0]];
            assert_eq!(dialect("/b/k", &headers), Dialect::Oss);
        }
        for authorization in ["AWS4-HMAC-SHA256 Credential=x", "AWS a:s"] {
            let aws = [("authorization", authorization)];
            assert_eq!(dialect("/b/k", &aws), Dialect::S3);
        }
        let v2 = "/b/k?AWSAccessKeyId=a&Expires=1&Signature=s";
        assert_eq!(dialect(v2, &[("x-oss-date", "x")]), Dialect::S3);
        let oss_header = [("x-oss-object-acl", "private")];
        assert_eq!(dialect("/b/k?X-Amz-Signature=s", &oss_header), Dialect::S3);
        assert_eq!(dialect("/b/k", &copy), Dialect::S3);
        assert_eq!(dialect("/b/k", &[]), Dialect::Oss);
    }
}
