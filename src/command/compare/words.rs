//! Variables in the texts of a script: `${name}`, and times such as `${now-1h}`.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::clock::UnixMs;
use crate::likeness;
use crate::wire_time;

/// Bytes of the longest value of a variable.
pub const MAX_VALUE: usize = 64 * 1024;
/// Furthest a time of a script lies from now.
const MAX_OFFSET_S: i64 = 400 * 86_400;

/// A text with places for variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Plain(String),
    Variable(String),
    /// Now, and so many seconds.
    Time(i64),
}

/// Why a text cannot be read or filled in.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WordError {
    #[error("`${{` without its `}}`")]
    Open,
    #[error("`${{{0}}}` is no variable; write ${{name}}, ${{now}}, ${{now-1h}} or ${{now+30m}}")]
    Form(String),
    #[error("`${{{0}}}` has no value")]
    Unset(String),
    #[error("the text is longer than {MAX_VALUE} bytes with its variables filled in")]
    Long,
}

impl Text {
    /// Reads a text; `$$` is a dollar.
    ///
    /// # Errors
    /// What stands between `${` and `}` is neither a name nor a time.
    pub fn parse(text: &str) -> Result<Self, WordError> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            plain.push_str(before);
            if let Some(after) = after.strip_prefix('$') {
                plain.push('$');
                rest = after;
            } else if let Some(after) = after.strip_prefix('{') {
                let (name, after) = after.split_once('}').ok_or(WordError::Open)?;
                if !plain.is_empty() {
                    parts.push(Part::Plain(std::mem::take(&mut plain)));
                }
                parts.push(Part::parse(name)?);
                rest = after;
            } else {
                plain.push('$');
                rest = after;
            }
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Plain(plain));
        }
        Ok(Self { parts })
    }

    /// The variables that it needs.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Variable(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Whether it holds a time that is counted from now.
    #[must_use]
    pub fn has_time(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Time(_)))
    }

    /// The text with everything filled in.
    ///
    /// # Errors
    /// A variable has no value, or the text becomes too long.
    pub fn filled(
        &self,
        values: &BTreeMap<String, String>,
        now: UnixMs,
    ) -> Result<String, WordError> {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Plain(text) => out.push_str(text),
                Part::Variable(name) => out.push_str(
                    values
                        .get(name)
                        .ok_or_else(|| WordError::Unset(name.clone()))?,
                ),
                Part::Time(seconds) => out.push_str(&wire_time::to_api(now + seconds * 1_000)),
            }
            if out.len() > MAX_VALUE {
                return Err(WordError::Long);
            }
        }
        Ok(out)
    }
}

impl Part {
    fn parse(name: &str) -> Result<Self, WordError> {
        let wrong = || WordError::Form(name.to_owned());
        if let Some(offset) = name.strip_prefix("now") {
            if offset.is_empty() {
                return Ok(Self::Time(0));
            }
            if let Some(seconds) = seconds(offset) {
                return Ok(Self::Time(seconds));
            }
            if offset.starts_with(['-', '+']) {
                return Err(wrong());
            }
        }
        is_name(name)
            .then(|| Self::Variable(name.to_owned()))
            .ok_or_else(wrong)
    }
}

/// `-1h`, `+30m`, `+5s`, `-7d`.
fn seconds(offset: &str) -> Option<i64> {
    let (sign, rest) = match offset.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, offset.strip_prefix('+')?),
    };
    let unit = rest.chars().last()?;
    let number = rest.strip_suffix(unit)?;
    if !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let unit = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    let seconds = number.parse::<i64>().ok()?.checked_mul(unit)?;
    (seconds <= MAX_OFFSET_S).then_some(sign * seconds)
}

/// Whether a variable may have this name.
#[must_use]
pub fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 64
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// The known variable that an unknown one was most likely meant to be.
pub fn nearest<'a>(known: impl Iterator<Item = &'a str>, name: &str) -> Option<&'a str> {
    likeness::closest(known, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> Result<String, WordError> {
        let values = [("run", "7f"), ("domain", "play.example.com")];
        let values = values
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        Text::parse(text)?.filled(&values, 1_767_225_600_000)
    }

    #[test]
    fn variables_and_times_are_filled_in() {
        for (text, out) in [
            ("live", "live"),
            ("a-${run}.${domain}", "a-7f.play.example.com"),
            ("${now}", "2026-01-01T00:00:00Z"),
            ("${now-1h}", "2025-12-31T23:00:00Z"),
            (
                "${now+30m}/${now+1d}",
                "2026-01-01T00:30:00Z/2026-01-02T00:00:00Z",
            ),
            ("$${run} 5$ {AppName}", "${run} 5$ {AppName}"),
            ("", ""),
        ] {
            assert_eq!(filled(text).as_deref(), Ok(out), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_filled_in_is_told() {
        assert_eq!(filled("${run"), Err(WordError::Open));
        for bad in [
            "",
            "Run",
            "a b",
            "now-1x",
            "now-",
            "now+1",
            "now-9999d",
            "1a",
        ] {
            let text = format!("${{{bad}}}");
            assert_eq!(filled(&text), Err(WordError::Form(bad.into())), "{bad}");
        }
        assert_eq!(filled("${rum}"), Err(WordError::Unset("rum".into())));
        let values = [("a".to_owned(), "x".repeat(MAX_VALUE))].into();
        let long = |text: &str| Text::parse(text).unwrap().filled(&values, 0);
        assert!(long("${a}").is_ok());
        assert_eq!(long("${a}y"), Err(WordError::Long));
    }
}
