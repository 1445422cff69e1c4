//! The cassette: calls that were forwarded, kept as files that people read, edit and review, one file a call.
//!
//! A file's name is stable: the action, a digest of what a call must be like to be answered from it, and a number that counts the calls
//! that were alike. A story that is recorded again makes the same names. What is secret by its name or its place never gets into a file;
//! instants, which differ in every run, are written as patterns.

pub mod keep;
pub mod mask;
pub mod pattern;
pub mod replay;

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::answer;
use super::request::Call;
use crate::secrets;
use crate::wire::params::SIGNING;
use crate::wire::render::Format;

/// The form of the files.
const VERSION: u32 = 1;
/// How the names of the files end.
const ENDING: &str = ".json";
/// Characters of an action's name that a file's name has.
const NAME: usize = 80;
/// Bytes of the digest in a file's name.
const DIGEST: usize = 6;
/// Values that a JSON answer has at most that is kept; it lies in memory as values then.
const MOST_VALUES: usize = 200_000;
/// Headers of an answer that are kept.
const HEADERS: [&str; 4] = [
    "content-type",
    "retry-after",
    "x-acs-request-id",
    "x-localyun-note",
];

/// The values of a parameter: nearly always one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Values {
    One(String),
    /// A request may name one several times.
    Many(Vec<String>),
}

/// Parameters by name, in the order of the names.
pub type Params = BTreeMap<String, Values>;

/// One file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    pub localyun_cassette: u32,
    /// When the call was made.
    pub recorded: String,
    /// Whom it was made to.
    pub upstream: String,
    pub action: String,
    pub version: String,
    /// `JSON` or `XML`.
    pub format: String,
    /// Values are patterns.
    pub params: Params,
    pub answer: Answer,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    #[serde(flatten)]
    pub body: Body,
}

/// A body in the most readable of the forms that give its bytes back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Body {
    /// JSON, where written without white space it is the body.
    #[serde(rename = "body")]
    Json(Value),
    #[serde(rename = "body_text")]
    Text(String),
    #[serde(rename = "body_base64")]
    Base64(String),
}

impl Body {
    /// The body without its secrets.
    ///
    /// # Errors
    /// Why nobody can look for secrets in it.
    pub fn of(bytes: &[u8], format: Format) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
        if format == Format::Xml {
            return Ok(Self::Text(mask::xml(text).into_owned()));
        }
        if answer::values(bytes) > MOST_VALUES {
            return Err(format!("it has more than {MOST_VALUES} values"));
        }
        let mut value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let written = value.to_string();
        let exact = written == text;
        let masked = secrets::json(&mut value);
        // What is masked is another body in any case.
        Ok(if exact || masked {
            Self::Json(value)
        } else {
            Self::Text(secrets::text(text).into_owned())
        })
    }

    /// The bytes; `None` where it is no base64.
    #[must_use]
    pub fn bytes(&self) -> Option<Bytes> {
        Some(match self {
            Self::Json(value) => Bytes::from(value.to_string()),
            Self::Text(text) => Bytes::copy_from_slice(text.as_bytes()),
            Self::Base64(text) => Bytes::from(STANDARD.decode(text).ok()?),
        })
    }
}

/// A call as the cassette compares it: what it asks for, without what signs it, secrets masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub action: String,
    pub version: String,
    pub format: &'static str,
    pub params: Params,
}

impl Asked {
    #[must_use]
    pub fn of(call: Call<'_>) -> Self {
        let mut params = Params::new();
        let business = call.pairs.as_slice().iter();
        for (name, value) in business.filter(|(name, _)| !SIGNING.contains(&name.as_ref())) {
            let value = secrets::shown(name, value).into_owned();
            match params.entry(name.to_string()) {
                std::collections::btree_map::Entry::Vacant(slot) => {
                    slot.insert(Values::One(value));
                }
                std::collections::btree_map::Entry::Occupied(mut slot) => {
                    let there = std::mem::replace(slot.get_mut(), Values::Many(Vec::new()));
                    let mut all = match there {
                        Values::One(first) => vec![first],
                        Values::Many(all) => all,
                    };
                    all.push(value);
                    slot.insert(Values::Many(all));
                }
            }
        }
        Self {
            action: call.action.to_owned(),
            version: call.version.to_owned(),
            format: call.format.name(),
            params,
        }
    }

    /// The parameters as they are recorded: what differs in every run is a pattern.
    #[must_use]
    pub fn recorded_params(&self) -> Params {
        let one = |name: &str, value: &str| pattern::recorded(name, value).into_owned();
        self.params
            .iter()
            .map(|(name, values)| {
                let values = match values {
                    Values::One(value) => Values::One(one(name, value)),
                    Values::Many(all) => {
                        Values::Many(all.iter().map(|value| one(name, value)).collect())
                    }
                };
                (name.clone(), values)
            })
            .collect()
    }

    /// What the file of such a call is called, but for its number and ending.
    #[must_use]
    pub fn stem(&self) -> String {
        let params = serde_json::to_vec(&self.recorded_params()).unwrap_or_default();
        let digest = Sha256::new()
            .chain_update(&self.action)
            .chain_update([0])
            .chain_update(&self.version)
            .chain_update([0])
            .chain_update(self.format)
            .chain_update([0])
            .chain_update(params)
            .finalize();
        let digest = hex::encode(digest.get(..DIGEST).unwrap_or_default());
        format!("{}.{digest}", file_part(&self.action))
    }
}

/// An action's name as a part of a file's name.
fn file_part(action: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if action.len() <= NAME && !action.is_empty() && action.chars().all(plain) {
        return Cow::Borrowed(action);
    }
    let part = action.chars().take(NAME);
    let part: String = part.map(|c| if plain(c) { c } else { '_' }).collect();
    Cow::Owned(if part.is_empty() {
        "_".to_owned()
    } else {
        part
    })
}

/// A file's name in its parts: the action's part, the stem and the number.
#[must_use]
fn parts_of(name: &str) -> Option<(&str, &str, u32)> {
    let rest = name.strip_suffix(ENDING)?;
    let (stem, number) = rest.rsplit_once('.')?;
    let (action, digest) = stem.rsplit_once('.')?;
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_hexdigit());
    let sound = !action.is_empty() && digest.len() == 2 * DIGEST && digits(digest);
    let number: u32 = number.parse().ok().filter(|number| *number > 0)?;
    sound.then_some((action, stem, number))
}

fn file_name(stem: &str, number: u32) -> String {
    format!("{stem}.{number}{ENDING}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http_parts::HttpParts;
    use crate::wire::params::parse_pairs;

    pub fn asked(query: &str) -> Asked {
        let parts = HttpParts::default();
        let pairs = parse_pairs(query, None).unwrap();
        let action = pairs
            .get("Action")
            .unwrap_or("DescribeLiveDomainLog")
            .to_owned();
        Asked::of(Call {
            action: &action,
            version: "2016-11-01",
            format: Format::Json,
            acs3: false,
            parts: &parts,
            pairs: &pairs,
        })
    }

    #[test]
    fn a_call_is_kept_without_what_signs_it_and_without_secrets() {
        let asked = asked(
            "B=2&A=1&AccessKeyId=tell&Signature=tell&SignatureNonce=tell&Timestamp=tell&SecurityToken=tell&NotifyAuthKey=tell&NotifyUrl=http%3A%2F%2Fu%3Atell%40h%2F&A=3",
        );
        let text = serde_json::to_string(&asked.params).unwrap();
        assert_eq!(
            text,
            r#"{"A":["1","3"],"B":"2","NotifyAuthKey":"***","NotifyUrl":"http://***@h/"}"#
        );
    }

    #[test]
    fn names_are_the_same_in_every_run() {
        let first = asked("DomainName=d&StartTime=2026-11-26T10:00:00Z&SignatureNonce=1");
        let again = asked("StartTime=2026-11-27T11:22:33Z&DomainName=d&SignatureNonce=2");
        assert_eq!(first.stem(), again.stem());
        assert_ne!(first.stem(), asked("DomainName=e").stem());
        assert_eq!(
            first.recorded_params().get("StartTime"),
            Some(&Values::One("{time}".to_owned()))
        );
        let name = file_name(&first.stem(), 7);
        assert!(name.starts_with("DescribeLiveDomainLog.") && name.ends_with(".7.json"));
        assert_eq!(
            parts_of(&name),
            Some(("DescribeLiveDomainLog", first.stem().as_str(), 7))
        );
    }

    #[test]
    fn odd_actions_make_plain_names() {
        for action in [
            "../../etc/passwd",
            "a/b",
            "",
            "中",
            "x\u{0}",
            &"long".repeat(100),
        ] {
            let part = file_part(action);
            assert!((1..=NAME).contains(&part.len()), "{part}");
            assert!(
                part.bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)),
                "{part}"
            );
        }
        for name in [
            "x.json",
            "A.0123456789ab.0.json",
            "A.0123456789ab.json",
            ".0123456789ab.1.json",
            "A.0123456789ag.1.json",
            "A.0123456789ab.1.json.tmp",
        ] {
            assert_eq!(parts_of(name), None, "{name}");
        }
    }

    #[test]
    fn bodies_give_their_bytes_back() {
        for (bytes, format, form) in [
            (
                &br#"{"RequestId":"A","N":1.5,"B":"a/\"","L":[1,2]}"#[..],
                Format::Json,
                "body",
            ),
            (br#"{"RequestId": "A"}"#, Format::Json, "body_text"),
            (b"{\"N\":1.0e5}", Format::Json, "body_text"),
            (b"<a>x</a>", Format::Xml, "body_text"),
        ] {
            let body = Body::of(bytes, format).unwrap();
            let text = serde_json::to_string(&body).unwrap();
            assert!(text.starts_with(&format!("{{\"{form}\"")), "{text}");
            assert_eq!(body.bytes().unwrap(), bytes, "{text}");
        }
        let packed: Body = serde_json::from_str(r#"{"body_base64":"//4="}"#).unwrap();
        assert_eq!(packed.bytes().unwrap(), &b"\xff\xfe"[..]);
    }

    #[test]
    fn what_nobody_can_look_through_is_not_kept() {
        let secret = r#""AuthKey":"tell","a":"#;
        let deep = format!("{{{secret}{}{}}}", "[".repeat(200), "]".repeat(200));
        assert!(answer::read(Format::Json, deep.as_bytes()).is_some());
        assert!(Body::of(deep.as_bytes(), Format::Json).is_err());
        for (values, is_kept) in [(MOST_VALUES - 4, true), (MOST_VALUES + 1, false)] {
            let crowded = format!("{{{secret}[{}0]}}", "0,".repeat(values));
            let kept = Body::of(crowded.as_bytes(), Format::Json);
            assert_eq!(kept.is_ok(), is_kept, "{values}");
        }
        assert!(Body::of(b"{\"AuthKey\":\"tell\",\"a\":\"\xff\"}", Format::Json).is_err());
    }

    #[test]
    fn a_file_says_what_it_does_not_know() {
        let text = r#"{"localyun_cassette":1,"recorded":"t","upstream":"u","action":"A","version":"v","format":"JSON","params":{},"answer":{"status":200,"headers":{},"body":{"a":1}}}"#;
        let recorded: Recorded = serde_json::from_str(text).unwrap();
        assert_eq!(recorded.answer.body.bytes().unwrap(), &b"{\"a\":1}"[..]);
        assert_eq!(serde_json::to_string(&recorded).unwrap(), text);
        let misspelt = text.replace("\"params\"", "\"parms\"");
        assert!(serde_json::from_str::<Recorded>(&misspelt).is_err());
    }
}
