//! A control request as its handler gets it, and what comes back.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::app::App;
use crate::clock::UnixMs;
use crate::model::stream_key::{MAX_NAME, NameError};
use crate::phrases::{Phrase, Said};
use crate::site::addresses::Seen;
use crate::wire::http_parts::HttpParts;
use crate::wire::outgoing::{Body, Outgoing};
use crate::wire_time;

const JSON: &str = "application/json";

/// Why a control request is refused.
///
/// # What to do
/// It is handed up to the router, which answers with the status and the message. Nothing was changed, unless the route's document says
/// that it works piece by piece.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(super) status: u16,
    pub(super) message: String,
    /// The message as others can word it; a failure of ours is told in English alone.
    pub(super) said: Option<Said>,
    /// Members of the answer beside `error`.
    pub(super) more: Option<Box<Value>>,
    pub(super) allow: Option<String>,
}

impl Refused {
    pub(super) fn new(status: u16, said: impl Into<Said>) -> Self {
        let said = said.into();
        Self {
            status,
            message: said.to_string(),
            said: Some(said),
            more: None,
            allow: None,
        }
    }

    pub(super) fn bad(said: impl Into<Said>) -> Self {
        Self::new(400, said)
    }

    /// Of a parameter of the query that a route cannot do without.
    pub(super) fn missing(name: &str) -> Self {
        Self::bad(Phrase::QueryNameMissing.with([("name", &name)]))
    }

    /// Of a name that would break out of an object's.
    pub(super) fn name(error: &NameError) -> Self {
        Self::bad(match error {
            NameError::Empty(what) => Phrase::NameIsEmpty.with([("what", what)]),
            NameError::TooLong(what) => {
                Phrase::NameIsTooLong.with([("what", what), ("most", &MAX_NAME)])
            }
            NameError::BadCharacter(what) => Phrase::NameHoldsBadCharacter.with([("what", what)]),
        })
    }

    /// Another node does not answer.
    pub(super) fn silent(why: impl std::fmt::Display) -> Self {
        Self::new(503, Phrase::NodeIsSilent.with([("why", &why)]))
    }

    pub(super) fn broken(message: impl std::fmt::Display) -> Self {
        Self::plain(500, message)
    }

    /// In English alone: a failure of ours, or what another node is told.
    pub(super) fn plain(status: u16, message: impl std::fmt::Display) -> Self {
        Self {
            status,
            message: message.to_string(),
            said: None,
            more: None,
            allow: None,
        }
    }

    /// An object whose members stand beside `error`.
    pub(super) fn with(mut self, more: Value) -> Self {
        self.more = Some(Box::new(more));
        self
    }

    pub(super) fn into_answer(self) -> Outgoing {
        let mut told = json!({"error": self.message});
        let more = self.more.map(|more| *more);
        if let (Value::Object(told), Some(Value::Object(more))) = (&mut told, more) {
            told.extend(more);
        }
        if let (Value::Object(told), Some(said)) = (&mut told, &self.said) {
            told.insert("words".to_owned(), json!({"error": said}));
        }
        let answer = json_answer(self.status, &told);
        match self.allow {
            Some(allow) => answer.header("allow", allow),
            None => answer,
        }
    }
}

pub(super) type Outcome = Result<Outgoing, Refused>;

/// A value as an answer.
pub(super) fn answer(value: &impl Serialize) -> Outcome {
    Ok(json_answer(200, value))
}

fn json_answer(status: u16, value: &impl Serialize) -> Outgoing {
    let text = serde_json::to_string_pretty(value).unwrap_or_default() + "\n";
    Outgoing::new(status, JSON, Body::Bytes(text.into()))
}

/// A text of another kind as an answer.
pub(super) fn text(content_type: &'static str, text: impl Into<Bytes>) -> Outcome {
    Ok(Outgoing::new(200, content_type, Body::Bytes(text.into())))
}

/// How long a body may take, so that a client that sends a byte at a time does not hold its connection for ever; one that is taken as it
/// comes, its next bytes.
pub const BODY_PATIENCE: Duration = Duration::from_secs(20);
/// A body that is taken as it comes may be long, but must come: beyond that time at so many bytes a second on average.
pub const LEAST_RATE: u64 = 1024;

/// The body of a request, as its route takes it.
pub enum Incoming {
    /// In memory, within the bound of bodies.
    Kept(Bytes),
    /// Longer than that.
    TooLong,
    /// As it comes, for a route that takes streams; an error ends one that broke off.
    Stream(mpsc::Receiver<io::Result<Bytes>>),
}

/// One request.
pub(super) struct Ask {
    pub app: Arc<App>,
    pub parts: HttpParts,
    /// The parts of the path that the route leaves open, decoded, in order.
    pub open: Vec<String>,
    pub query: Vec<(String, String)>,
    pub body: Incoming,
    /// Another node asks, about this one alone.
    pub is_of_a_node: bool,
}

impl Ask {
    /// The listeners as this caller reaches them.
    pub fn seen(&self) -> Seen<'_> {
        self.app.addresses().seen_by(&self.parts)
    }

    /// An open part of the path.
    pub fn part(&self, number: usize) -> &str {
        self.open.get(number).map_or("", String::as_str)
    }

    /// A parameter of the query that has a value.
    pub fn query(&self, wanted: &str) -> Option<&str> {
        let found = self.query.iter().find(|(name, _)| name == wanted);
        found
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// A number of the query within bounds.
    pub fn number(
        &self,
        name: &str,
        bounds: std::ops::RangeInclusive<u64>,
    ) -> Result<Option<u64>, Refused> {
        let Some(text) = self.query(name) else {
            return Ok(None);
        };
        let number = text.parse().ok().filter(|number| bounds.contains(number));
        number.map(Some).ok_or_else(|| {
            Refused::bad(Phrase::NotWholeNumber.with([
                ("name", &name),
                ("least", bounds.start()),
                ("most", bounds.end()),
            ]))
        })
    }

    /// A switch of the query.
    pub fn switch(&self, name: &str) -> Result<bool, Refused> {
        match self.query(name) {
            None | Some("false" | "0" | "off") => Ok(false),
            Some("true" | "1" | "on") => Ok(true),
            Some(_) => Err(Refused::bad(Phrase::NotTrueOrFalse.with([("name", &name)]))),
        }
    }

    /// An instant of the query.
    pub fn instant(&self, name: &str) -> Result<Option<UnixMs>, Refused> {
        self.query(name).map(|text| instant(name, text)).transpose()
    }

    /// The body as JSON; none is an empty object.
    pub fn json(&self) -> Result<Value, Refused> {
        let Incoming::Kept(body) = &self.body else {
            return Err(Refused::broken("the body is not in memory"));
        };
        if body.is_empty() {
            return Ok(json!({}));
        }
        serde_json::from_slice(body)
            .map_err(|error| Refused::bad(Phrase::BodyIsNoJson.with([("why", &error)])))
    }

    /// The body's fields as a type.
    pub fn fields<T: DeserializeOwned>(&self) -> Result<T, Refused> {
        fields(self.json()?)
    }
}

/// A body's fields as a type; the error says where in it the trouble is.
pub(super) fn fields<T: DeserializeOwned>(body: Value) -> Result<T, Refused> {
    // A list would fill a type's fields by position.
    if !body.is_object() {
        return Err(Refused::bad(Phrase::BodyIsNoObject));
    }
    serde_path_to_error::deserialize(body)
        .map_err(|error| Refused::bad(Phrase::BadField.with([("why", &in_plain_words(&error))])))
}

/// A reader's complaint without the names of Rust's types, for people who write no Rust.
pub(super) fn in_plain_words(problem: &impl std::fmt::Display) -> String {
    let mut told = problem.to_string();
    for float in ["f64", "f32"] {
        told = told.replace(&format!("expected {float}"), "expected a number");
    }
    for whole in ["u64", "i64", "u32", "i32", "u16", "i16", "u8", "usize"] {
        told = told.replace(&format!("expected {whole}"), "expected a whole number");
    }
    told
}

/// An instant as text or in Unix milliseconds.
pub(super) fn instant(name: &str, text: &str) -> Result<UnixMs, Refused> {
    let plain = text.parse().ok().filter(|ms: &UnixMs| *ms >= 0);
    plain
        .or_else(|| wire_time::from_signature(text))
        .ok_or_else(|| Refused::bad(Phrase::NotAnInstant.with([("name", &name)])))
}

/// A name that a caller made up, as a refusal shows it: quoted, and no longer than a sentence bears.
pub(super) fn shown_name(name: &str) -> String {
    format!("{:?}", name.chars().take(100).collect::<String>())
}

/// A part of a path as it was meant.
pub(super) fn decoded(text: &str) -> String {
    let decoded: Cow<'_, str> = percent_encoding::percent_decode_str(text).decode_utf8_lossy();
    decoded.into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[serde(rename = "seconds")]
        _seconds: f64,
        #[serde(rename = "count")]
        _count: Option<u32>,
    }

    #[test]
    fn a_body_that_does_not_fit_is_told_in_plain_words() {
        for (body, told) in [
            (json!([1]), "the body must be a JSON object"),
            (json!({}), "missing field `seconds`"),
            (
                json!({"seconds": "x"}),
                "seconds: invalid type: string \"x\", expected a number",
            ),
            (
                json!({"seconds": 1, "count": -1}),
                "count: invalid value: integer `-1`, expected a whole number",
            ),
        ] {
            let refused = fields::<Body>(body).unwrap_err();
            assert_eq!((refused.status, refused.message.as_str()), (400, told));
        }
    }
}
