//! What may be passed on of an upstream's answer: a whole JSON object or XML document, and what it says of itself. Pure.

use quick_xml::Reader;
use quick_xml::events::Event;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::wire::render::Format;

/// Characters of an upstream's words that are repeated.
const WORDS: usize = 100;
/// Levels of an XML answer; no product's answer has as many.
const DEEPEST: usize = 64;

/// What an answer says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    pub request_id: Option<String>,
    /// Of an error.
    pub code: Option<String>,
}

/// Codes that speak of the key or the clock of the request's sender. The caller's own were checked here, so these mean ours.
const ABOUT_OUR_KEY: [&str; 14] = [
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidAccessKeyId.Inactive",
    "InvalidAccessKeyId.NotFound",
    "InvalidAccessKeySecret",
    "InvalidSecurityToken.Expired",
    "InvalidSecurityToken.Malformed",
    "InvalidSecurityToken.MismatchWithAccessKey",
    "InvalidSignatureMethod",
    "InvalidTimeStamp.Expired",
    "InvalidTimeStamp.Format",
    "MissingSecurityToken",
    "SignatureDoesNotMatch",
    "SignatureNonceUsed",
];

impl Said {
    /// The code, where it means that the upstream does not take the key that we sign with.
    #[must_use]
    pub fn refuses_our_key(&self) -> Option<&str> {
        let code = self.code.as_deref();
        code.filter(|code| ABOUT_OUR_KEY.contains(code))
    }
}

/// The form that a content type names.
#[must_use]
pub fn format_of(content_type: &str) -> Option<Format> {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    match kind.to_ascii_lowercase().as_str() {
        "application/json" | "text/json" => Some(Format::Json),
        "application/xml" | "text/xml" => Some(Format::Xml),
        _ => None,
    }
}

/// Words of somebody else, short and in one line of visible characters.
#[must_use]
pub fn words(text: &str) -> String {
    let clean = text.chars().take(WORDS);
    clean
        .map(|c| {
            if c.is_ascii_graphic() || c == ' ' {
                c
            } else {
                '?'
            }
        })
        .collect()
}

/// How many values a JSON text has at most, itself whole or not: each takes many times the memory of its text when it is read.
#[must_use]
pub fn values(json: &[u8]) -> usize {
    let (mut count, mut in_text, mut escaped) = (1, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b',' | b'[' | b'{' if !in_text => count += 1,
            _ => {}
        }
    }
    count
}

/// Reads an answer to its end; `None` where it is no whole document of that form. Nothing of it is kept but what [`Said`] has.
#[must_use]
pub fn read(format: Format, body: &[u8]) -> Option<Said> {
    let body = std::str::from_utf8(body).ok()?;
    match format {
        Format::Json => read_json(body),
        Format::Xml => read_xml(body),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Members<'a> {
    #[serde(borrow, default)]
    request_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    code: Option<&'a RawValue>,
}

fn read_json(body: &str) -> Option<Said> {
    let members: Members<'_> = serde_json::from_str(body).ok()?;
    // Lists would do for a struct as well.
    let is_object = body.trim_ascii_start().starts_with('{');
    let text = |raw: Option<&RawValue>| {
        let text: String = serde_json::from_str(raw?.get()).ok()?;
        Some(words(&text))
    };
    is_object.then(|| Said {
        request_id: text(members.request_id),
        code: text(members.code),
    })
}

fn read_xml(body: &str) -> Option<Said> {
    let mut reader = Reader::from_str(body);
    let mut said = Said::default();
    let mut open: Vec<String> = Vec::new();
    let mut whole = false;
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                if whole || open.len() == DEEPEST {
                    return None;
                }
                open.push(start.name().into_inner().to_owned());
            }
            Event::End(_) => {
                open.pop()?;
                whole = open.is_empty();
            }
            Event::Empty(_) if whole => return None,
            Event::Empty(_) => whole = open.is_empty(),
            Event::Text(text) => match open.as_slice() {
                [] if !text.trim().is_empty() => return None,
                [_, name] => {
                    let slot = match name.as_str() {
                        "RequestId" => &mut said.request_id,
                        "Code" => &mut said.code,
                        _ => continue,
                    };
                    *slot = Some(words(&text));
                }
                _ => {}
            },
            Event::Eof => return whole.then_some(said),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(request_id: &str, code: Option<&str>) -> Option<Said> {
        Some(Said {
            request_id: Some(request_id.to_owned()),
            code: code.map(str::to_owned),
        })
    }

    #[test]
    fn whole_answers_say_their_request_id_and_code() {
        let json = br#"{"RequestId":"A-1","List":{"Item":[{"Code":"x"}]}}"#;
        assert_eq!(read(Format::Json, json), said("A-1", None));
        let error = br#" {"Code":"InvalidDomain.NotFound","RequestId":"A-1","HostId":1}"#;
        assert_eq!(
            read(Format::Json, error),
            said("A-1", Some("InvalidDomain.NotFound"))
        );
        let xml = b"<?xml version='1.0' encoding='UTF-8'?><Error><RequestId>A-1</RequestId><Code>X</Code><M><Code>Y</Code></M><R><![CDATA[a&b]]></R><E/></Error>\n";
        assert_eq!(read(Format::Xml, xml), said("A-1", Some("X")));
        assert_eq!(read(Format::Json, b"{}"), Some(Said::default()));
    }

    #[test]
    fn half_answers_are_none() {
        for json in [
            "",
            "{",
            r#"{"RequestId":"A"#,
            "[]",
            "1",
            "{}x",
            r#"["a","b"]"#,
            "<a/>",
        ] {
            assert_eq!(read(Format::Json, json.as_bytes()), None, "{json}");
        }
        for xml in ["", "<a>", "<a><b></a>", "<a/><b/>", "a", "<a></a>x", "{}"] {
            assert_eq!(read(Format::Xml, xml.as_bytes()), None, "{xml}");
        }
        let deep = "<a>".repeat(100_000) + &"</a>".repeat(100_000);
        assert_eq!(read(Format::Xml, deep.as_bytes()), None);
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        let deep = format!(r#"{{"a":{deep}}}"#);
        // Deep or not, nothing of it is kept, and nothing overflows.
        let _ = read(Format::Json, deep.as_bytes());
        assert_eq!(read(Format::Xml, b"\xff"), None);
        // Where it is no text, nobody could look for secrets in it.
        assert_eq!(
            read(Format::Json, b"{\"RequestId\":\"A\",\"B\":\"\xff\"}"),
            None
        );
    }

    #[test]
    fn values_are_counted_outside_of_texts() {
        for (json, count) in [
            ("", 1),
            ("1", 1),
            ("[]", 2),
            (r#"{"a":1,"b":[1,2,3],"c":{}}"#, 8),
            (r#"{"a,[{":"x,\",[","b":"\\"}"#, 3),
            (r#"["a"#, 2),
        ] {
            assert_eq!(values(json.as_bytes()), count, "{json}");
        }
    }

    #[test]
    fn codes_about_the_key_mean_ours() {
        let of = |code: &str| Said {
            request_id: None,
            code: Some(code.to_owned()),
        };
        assert_eq!(
            of("SignatureDoesNotMatch").refuses_our_key(),
            Some("SignatureDoesNotMatch")
        );
        assert_eq!(of("InvalidDomain.NotFound").refuses_our_key(), None);
    }

    #[test]
    fn content_types_are_told_by_their_kind() {
        assert_eq!(
            format_of("application/json;charset=utf-8"),
            Some(Format::Json)
        );
        assert_eq!(format_of("Text/XML; charset=utf-8"), Some(Format::Xml));
        assert_eq!(format_of("text/html"), None);
        assert_eq!(format_of(""), None);
        assert_eq!(words("a\r\nb\u{e9}"), "a??b?");
    }
}
