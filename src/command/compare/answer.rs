//! What one side said to a step: an answer of the API, or how a push or a wait ended.

use serde_json::Value;

/// Characters of a body that is no JSON which a difference shows.
const SHOWN: usize = 200;
/// Bytes of a body that is read as JSON; no answer of the API comes near, and read it takes many times that.
const READ: usize = 4 * 1024 * 1024;

/// One side's answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    pub status: u16,
    /// The media type without its parameters.
    pub media: String,
    pub body: Body,
}

/// The body of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    Json(Value),
    /// What is no JSON; its beginning.
    Other(String),
}

impl Answered {
    /// Reads what came over HTTP.
    #[must_use]
    pub fn read(status: u16, content_type: &str, body: &[u8]) -> Self {
        let media = content_type.split(';').next().unwrap_or_default();
        let json = (body.len() <= READ).then(|| serde_json::from_slice(body).ok());
        let body = json.flatten().map_or_else(
            || {
                let begins = body.get(..body.len().min(4 * SHOWN)).unwrap_or_default();
                Body::Other(
                    String::from_utf8_lossy(begins)
                        .chars()
                        .take(SHOWN)
                        .collect(),
                )
            },
            Body::Json,
        );
        Self {
            status,
            media: media.trim().to_ascii_lowercase(),
            body,
        }
    }

    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    #[must_use]
    pub fn json(&self) -> Option<&Value> {
        match &self.body {
            Body::Json(value) => Some(value),
            Body::Other(_) => None,
        }
    }

    /// The code of an error.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        if self.is_success() {
            return None;
        }
        self.json()?.get("Code")?.as_str()
    }

    /// How it ended, in a few words.
    #[must_use]
    pub fn brief(&self) -> String {
        match self.code() {
            Some(code) => format!("{} {code}", self.status),
            None => self.status.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_as_it_came() {
        let good = Answered::read(200, "application/json;charset=utf-8", br#"{"Code": 1}"#);
        assert_eq!(
            (good.media.as_str(), good.code(), good.brief().as_str()),
            ("application/json", None, "200")
        );
        let bad = Answered::read(
            404,
            "Application/JSON",
            br#"{"Code": "InvalidDomain.NotFound"}"#,
        );
        assert_eq!(bad.brief(), "404 InvalidDomain.NotFound");
        assert_eq!(bad.media, "application/json");
        let page = Answered::read(502, "text/html", "<".repeat(1_000).as_bytes());
        assert_eq!((page.json(), page.code()), (None, None));
        assert_eq!(page.body, Body::Other("<".repeat(SHOWN)));
        for (length, is_read) in [(READ, true), (READ + 1, false)] {
            let long = format!("{{}}{}", " ".repeat(length - 2));
            let answered = Answered::read(200, "application/json", long.as_bytes());
            assert_eq!(answered.json().is_some(), is_read, "{length}");
        }
    }
}
