//! The XML that goes out (a small writer) and comes in (read by serde).

use std::fmt::Display;

use serde::Deserialize;

use super::error::ServeError;

/// A document being written.
#[derive(Debug)]
pub struct Xml {
    text: String,
    open: Vec<&'static str>,
    /// Control characters are written as references, as S3 does; XML 1.0 has no form for them at all.
    references: bool,
}

impl Xml {
    /// Starts a document with its root element; `references`: control characters are written as such.
    pub fn new(root: &'static str, namespace: Option<&str>, references: bool) -> Self {
        let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        match namespace {
            Some(namespace) => text.push_str(&format!("<{root} xmlns=\"{namespace}\">")),
            None => text.push_str(&format!("<{root}>")),
        }
        Self {
            text,
            open: vec![root],
            references,
        }
    }

    /// An element with text in it.
    pub fn text(&mut self, name: &str, value: impl Display) -> &mut Self {
        self.text.push_str(&format!("<{name}>"));
        push_escaped(&mut self.text, &value.to_string(), self.references);
        self.text.push_str(&format!("</{name}>"));
        self
    }

    /// An element with text in it, if there is any.
    pub fn maybe(&mut self, name: &str, value: Option<impl Display>) -> &mut Self {
        if let Some(value) = value {
            self.text(name, value);
        }
        self
    }

    /// An element with elements in it.
    pub fn nest(&mut self, name: &'static str, inside: impl FnOnce(&mut Self)) -> &mut Self {
        self.text.push_str(&format!("<{name}>"));
        self.open.push(name);
        inside(self);
        self.close();
        self
    }

    /// Text directly in the element that is open.
    pub fn inner(&mut self, value: impl Display) -> &mut Self {
        push_escaped(&mut self.text, &value.to_string(), self.references);
        self
    }

    /// Markup as it is, for the few places that need attributes.
    pub fn verbatim(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    fn close(&mut self) {
        if let Some(name) = self.open.pop() {
            self.text.push_str(&format!("</{name}>"));
        }
    }

    /// The document.
    pub fn finish(mut self) -> String {
        self.close();
        self.text
    }
}

/// Control characters have no form in XML 1.0. S3 writes them as references, OSS as they are, and readers of either count on that; clients
/// ask for names in percent-encoding where they may meet some.
fn push_escaped(target: &mut String, text: &str, references: bool) {
    for character in text.chars() {
        match character {
            '&' => target.push_str("&amp;"),
            '<' => target.push_str("&lt;"),
            '>' => target.push_str("&gt;"),
            '"' => target.push_str("&quot;"),
            '\t' | '\n' | '\r' => target.push_str(&format!("&#{};", u32::from(character))),
            control if references && control.is_control() => {
                target.push_str(&format!("&#x{:x};", u32::from(control)));
            }
            plain => target.push(plain),
        }
    }
}

/// Reads a request body's document.
pub fn parse<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, ServeError> {
    let text = std::str::from_utf8(body).map_err(|_| ServeError::malformed_xml())?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    quick_xml::de::from_str(text).map_err(|_| ServeError::malformed_xml())
}

/// `DeleteMultipleObjects`.
#[derive(Debug, Deserialize)]
pub struct Delete {
    #[serde(rename = "Quiet", default)]
    pub quiet: bool,
    #[serde(rename = "Object", default)]
    pub objects: Vec<DeleteKey>,
}

#[derive(Debug, Deserialize)]
pub struct DeleteKey {
    #[serde(rename = "Key")]
    pub key: String,
    /// S3's conditions.
    #[serde(rename = "ETag")]
    pub etag: Option<String>,
    #[serde(rename = "LastModifiedTime")]
    pub last_modified: Option<String>,
    #[serde(rename = "Size")]
    pub size: Option<String>,
    #[serde(rename = "VersionId")]
    pub version: Option<String>,
}

/// `CompleteMultipartUpload`.
#[derive(Debug, Deserialize)]
pub struct Complete {
    #[serde(rename = "Part", default)]
    pub parts: Vec<CompletePart>,
}

#[derive(Debug, Deserialize)]
pub struct CompletePart {
    #[serde(rename = "PartNumber")]
    pub number: u32,
    #[serde(rename = "ETag")]
    pub etag: String,
}

/// `PutObjectTagging`.
#[derive(Debug, Deserialize)]
pub struct Tagging {
    #[serde(rename = "TagSet")]
    pub set: TagSet,
}

#[derive(Debug, Default, Deserialize)]
pub struct TagSet {
    #[serde(rename = "Tag", default)]
    pub tags: Vec<Tag>,
}

#[derive(Debug, Deserialize)]
pub struct Tag {
    #[serde(rename = "Key")]
    pub key: String,
    #[serde(rename = "Value", default)]
    pub value: String,
}

/// A list of grants in S3's form.
#[derive(Debug, Deserialize)]
pub struct AccessControlPolicy {
    #[serde(rename = "AccessControlList", default)]
    pub list: Grants,
}

#[derive(Debug, Default, Deserialize)]
pub struct Grants {
    #[serde(rename = "Grant", default)]
    pub grants: Vec<Grant>,
}

#[derive(Debug, Deserialize)]
pub struct Grant {
    #[serde(rename = "Grantee")]
    pub grantee: Grantee,
    #[serde(rename = "Permission")]
    pub permission: String,
}

/// One of the three is there.
#[derive(Debug, Deserialize)]
pub struct Grantee {
    #[serde(rename = "ID")]
    pub id: Option<String>,
    #[serde(rename = "URI")]
    pub uri: Option<String>,
    #[serde(rename = "EmailAddress")]
    pub email: Option<String>,
}

/// `PutBucket`. S3 has another thing in the same document.
#[derive(Debug, Default, Deserialize)]
pub struct CreateBucket {
    #[serde(rename = "StorageClass")]
    pub storage_class: Option<String>,
    #[serde(rename = "DataRedundancyType")]
    pub redundancy: Option<String>,
}

/// `PutBucketCors`.
#[derive(Debug, Deserialize)]
pub struct Cors {
    #[serde(rename = "CORSRule", default)]
    pub rules: Vec<CorsRule>,
    /// OSS's: the answers vary by the origin, whether or not a request names one.
    #[serde(rename = "ResponseVary", default)]
    pub vary: bool,
}

#[derive(Debug, Deserialize)]
pub struct CorsRule {
    #[serde(rename = "AllowedOrigin", default)]
    pub origins: Vec<String>,
    #[serde(rename = "AllowedMethod", default)]
    pub methods: Vec<String>,
    #[serde(rename = "AllowedHeader", default)]
    pub headers: Vec<String>,
    #[serde(rename = "ExposeHeader", default)]
    pub expose: Vec<String>,
    /// Seconds for which a browser may remember the answer to a preflight.
    #[serde(rename = "MaxAgeSeconds", default)]
    pub max_age: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_elements_close() {
        let written = |namespace, references| {
            let mut xml = Xml::new("Root", namespace, references);
            xml.text("Key", "a<b>&\u{1}\n中").nest("In", |xml| {
                xml.text("N", 1).maybe("None", None::<&str>);
            });
            let text = xml.finish();
            let (_, document) = text.split_once('\n').expect("a head");
            document.to_owned()
        };
        assert_eq!(
            written(None, false),
            "<Root><Key>a&lt;b&gt;&amp;\u{1}&#10;中</Key><In><N>1</N></In></Root>"
        );
        for namespace in [None, Some("s3")] {
            let text = written(namespace, true);
            assert!(text.contains("<Key>a&lt;b&gt;&amp;&#x1;&#10;中</Key>"));
        }
    }

    #[test]
    fn documents_of_both_dialects_are_read() {
        let s3 = "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Object><Key>a&amp;b</Key></Object></Delete>";
        let delete: Delete = parse(s3.as_bytes()).expect("S3 form");
        assert_eq!((delete.quiet, delete.objects.len()), (false, 1));
        let oss = "<?xml version='1.0'?>\n<Delete><Quiet>true</Quiet><Object><Key>a</Key></Object><Object><Key>b</Key></Object></Delete>";
        let delete: Delete = parse(oss.as_bytes()).expect("OSS form");
        assert_eq!((delete.quiet, delete.objects.len()), (true, 2));
        assert_eq!(
            parse::<Complete>(b"<Complete").expect_err("cut off").code,
            "MalformedXML"
        );
    }
}
