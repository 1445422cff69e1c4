//! The form of answers: JSON or XML, with RequestId, and the error envelope.

use std::borrow::Cow;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::{ApiError, Code};
use crate::ids;

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    #[default]
    Json,
    Xml,
}

impl Format {
    /// The `Format` parameter. `None`: it names nothing (empty, or the text `None` that an old SDK leaks).
    #[must_use]
    pub fn parse(text: &str) -> Option<Result<Self, ApiError>> {
        if text.is_empty() || text == "None" {
            return None;
        }
        Some(if text.eq_ignore_ascii_case("json") {
            Ok(Self::Json)
        } else if text.eq_ignore_ascii_case("xml") {
            Ok(Self::Xml)
        } else {
            Err(ApiError::coded(Code::InvalidParameterFormat))
        })
    }

    /// What a query asks for, before it is known to be well-formed: errors about it must be readable too.
    #[must_use]
    pub fn guess(query: &str, otherwise: Self) -> Self {
        let wanted = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("Format="));
        match wanted.and_then(Self::parse) {
            Some(Ok(format)) => format,
            _ => otherwise,
        }
    }

    /// Its name, as `Format` has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::Xml => "XML",
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json;charset=utf-8",
            Self::Xml => "text/xml;charset=utf-8",
        }
    }
}

/// An answer, free of the web framework.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    pub body: Bytes,
}

impl Reply {
    /// The name in lower case; both in visible ASCII.
    pub fn header(&mut self, name: &'static str, value: impl Into<Cow<'static, str>>) {
        self.headers.push((name, value.into()));
    }

    fn new(status: u16, format: Format, request_id: &str, body: impl Into<Bytes>) -> Self {
        let headers = vec![
            ("content-type", format.content_type().into()),
            ("access-control-allow-origin", "*".into()),
            ("access-control-expose-headers", "*".into()),
            ("x-acs-request-id", request_id.to_owned().into()),
            ("x-acs-trace-id", ids::trace_id().into()),
        ];
        Self {
            status,
            headers,
            body: body.into(),
        }
    }
}

/// Text that may stand in a header.
#[must_use]
pub fn header_text(text: &str) -> String {
    text.chars()
        .take(1_000)
        .map(|c| if c.is_ascii_graphic() { c } else { '?' })
        .collect()
}

/// A sentence that may stand in a header.
#[must_use]
pub fn header_sentence(text: &str) -> String {
    text.chars()
        .take(1_000)
        .map(|c| {
            if c.is_ascii_graphic() || c == ' ' {
                c
            } else {
                '?'
            }
        })
        .collect()
}

/// Where a caller finds help with an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Help(String);

impl Help {
    /// The cloud's troubleshooter for the cloud's codes. For ours, which it does not know, this server's own pages.
    #[must_use]
    pub fn of(code: &Code, endpoint: &str, request_id: &str) -> Self {
        Self(match code {
            Code::ActionNotImplemented => format!("{endpoint}/_localyun/coverage"),
            code if code.is_ours() => format!("{endpoint}/_localyun/requests?limit=10"),
            code => format!(
                "https://api.aliyun.com/troubleshoot?q={}&product=live&requestId={request_id}",
                code.as_str()
            ),
        })
    }
}
/// An answer with its RequestId, written as JSON once and not looked at again on its way out.
pub type Answer = Vec<u8>;

/// Bytes that are reserved at most for an answer before it is known how long it is.
const RESERVED: usize = 64 * 1024;

/// Writes what a handler gave, a JSON object, with RequestId before its members. `last_length` is that of the action's last
/// answer, which its next one has too as a rule, so that the text seldom moves while it grows.
///
/// # Errors
/// It is no JSON object.
pub fn answer(
    request_id: &str,
    given: &impl Serialize,
    last_length: &AtomicUsize,
) -> serde_json::Result<Answer> {
    let last = last_length.load(Ordering::Relaxed);
    let mut text = Vec::with_capacity((last + last / 8 + 128).min(RESERVED));
    text.extend_from_slice(b"{\"RequestId\":\"");
    // Our own ids need no escaping.
    text.extend_from_slice(request_id.as_bytes());
    text.push(b'"');
    let brace = text.len();
    serde_json::to_writer(&mut text, given)?;
    match text.get_mut(brace..) {
        Some([b'{', b'}']) => {
            text.remove(brace);
        }
        Some([byte @ b'{', ..]) => *byte = b',',
        _ => return Err(serde::ser::Error::custom("an answer is no JSON object")),
    }
    if text.len() != last {
        last_length.store(text.len(), Ordering::Relaxed);
    }
    Ok(text)
}

/// A successful answer.
#[must_use]
pub fn success(format: Format, action: &str, request_id: &str, answer: Answer) -> Reply {
    match format {
        Format::Json => Reply::new(200, format, request_id, answer),
        Format::Xml => {
            let fields = serde_json::from_slice(&answer).unwrap_or_default();
            let body = document(&format!("{action}Response"), &fields);
            Reply::new(200, format, request_id, body)
        }
    }
}

/// The error envelope.
#[must_use]
pub fn failure(
    format: Format,
    request_id: &str,
    host: &str,
    help: &Help,
    error: &ApiError,
) -> Reply {
    let code = error.code.as_str();
    let recommend = help.0.as_str();
    let mut fields = Map::new();
    fields.insert("RequestId".to_owned(), Value::from(request_id));
    fields.insert("HostId".to_owned(), Value::from(host));
    fields.insert("Code".to_owned(), Value::from(code.as_ref()));
    fields.insert("Message".to_owned(), Value::from(error.message.as_ref()));
    let body = match format {
        Format::Json => {
            fields.insert("Recommend".to_owned(), Value::from(recommend));
            Value::Object(fields).to_string()
        }
        Format::Xml => {
            let mut xml = document("Error", &fields);
            let recommend = format!("<Recommend><![CDATA[{recommend}]]></Recommend></Error>");
            xml.truncate(xml.len() - "</Error>".len());
            xml + &recommend
        }
    };
    Reply::new(error.status, format, request_id, body)
}

fn document(root: &str, fields: &Map<String, Value>) -> String {
    let mut out = String::from("<?xml version='1.0' encoding='UTF-8'?>");
    out.push('<');
    out.push_str(root);
    out.push('>');
    members(&mut out, fields);
    close(&mut out, root);
    out
}

fn members(out: &mut String, fields: &Map<String, Value>) {
    for (name, value) in fields {
        match value {
            // A list is its element, once for each item.
            Value::Array(items) => items.iter().for_each(|item| element(out, name, item)),
            value => element(out, name, value),
        }
    }
}

fn element(out: &mut String, name: &str, value: &Value) {
    out.push('<');
    out.push_str(name);
    out.push('>');
    match value {
        Value::Object(fields) => members(out, fields),
        Value::Array(items) => items.iter().for_each(|item| element(out, name, item)),
        Value::String(text) => escape(out, text),
        Value::Null => {}
        other => out.push_str(&other.to_string()),
    }
    close(out, name);
}

fn close(out: &mut String, name: &str) {
    out.push_str("</");
    out.push_str(name);
    out.push('>');
}

/// Characters that XML 1.0 cannot carry at all become a question mark.
fn escape(out: &mut String, text: &str) {
    let clean: String = text
        .chars()
        .map(|c| {
            if (c < ' ' && !matches!(c, '\t' | '\n' | '\r')) || matches!(c, '\u{fffe}' | '\u{ffff}')
            {
                '?'
            } else {
                c
            }
        })
        .collect();
    out.push_str(&quick_xml::escape::escape(clean.as_str()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn written(given: &Value) -> Answer {
        answer("ID", given, &AtomicUsize::new(0)).unwrap()
    }

    #[test]
    fn lists_are_repeated_elements_in_xml() {
        let value = json!({"LiveAppRecordList": {"LiveAppRecord": [{"AppName": "a<b"}, {"AppName": "c"}]}, "TotalNum": 2});
        let body = success(
            Format::Xml,
            "DescribeLiveRecordConfig",
            "ID",
            written(&value),
        )
        .body;
        let xml = std::str::from_utf8(&body).unwrap();
        assert_eq!(
            xml,
            "<?xml version='1.0' encoding='UTF-8'?><DescribeLiveRecordConfigResponse><RequestId>ID</RequestId>\
             <LiveAppRecordList><LiveAppRecord><AppName>a&lt;b</AppName></LiveAppRecord><LiveAppRecord><AppName>c</AppName>\
             </LiveAppRecord></LiveAppRecordList><TotalNum>2</TotalNum></DescribeLiveRecordConfigResponse>"
        );
    }

    #[test]
    fn the_request_id_leads_every_json_answer() {
        let body = |given: Value| success(Format::Json, "A", "ID", written(&given)).body;
        assert_eq!(body(json!({})), r#"{"RequestId":"ID"}"#);
        assert_eq!(body(json!({"A": {}})), r#"{"RequestId":"ID","A":{}}"#);
    }

    #[test]
    fn an_answer_that_is_no_object_is_an_error() {
        let refused = |given: Value| answer("ID", &given, &AtomicUsize::new(0)).is_err();
        assert!(refused(Value::Null) && refused(json!([])) && !refused(json!({})));
    }

    #[test]
    fn errors_carry_the_envelope_in_both_forms() {
        let error = ApiError::missing("DomainName");
        let help = Help::of(&error.code, "http://h:1", "ID");
        let json: Value =
            serde_json::from_slice(&failure(Format::Json, "ID", "h:1", &help, &error).body)
                .unwrap();
        assert_eq!(json["Code"], "MissingDomainName");
        assert_eq!(json["HostId"], "h:1");
        let body = failure(Format::Xml, "ID", "h:1", &help, &error).body;
        let xml = std::str::from_utf8(&body).unwrap();
        assert!(xml.starts_with("<?xml version='1.0' encoding='UTF-8'?><Error><RequestId>ID</RequestId><HostId>h:1</HostId><Code>"), "{xml}");
        assert!(
            xml.ends_with("requestId=ID]]></Recommend></Error>"),
            "{xml}"
        );
    }

    #[test]
    fn help_with_our_own_codes_is_ours() {
        let help = |code| Help::of(&code, "http://h:1", "ID").0;
        assert_eq!(
            help(Code::ActionNotImplemented),
            "http://h:1/_localyun/coverage"
        );
        for code in Code::all() {
            let cloud = help(code.clone()).starts_with("https://api.aliyun.com/");
            assert_eq!(cloud, !code.is_ours(), "{code}");
        }
    }
}
