//! The small language in which a recorded value says what it fits: text, with `{any}`, `{time}`, `{unix}`, `{id}` and `{number}` in it.
//!
//! Other braces are text, since values such as `record/{AppName}/{StreamName}` are full of them. A value that has one of the five words
//! itself is written with `{=any}`. `***` stands for a secret that nobody kept: it fits what is shown as `***`. Pure.

use std::borrow::Cow;

use crate::wire_time;

/// Placeholders of one value; further ones are text.
const MOST: usize = 16;
/// An id's length.
const ID: std::ops::RangeInclusive<usize> = 8..=64;
/// Digits of a number at most.
const DIGITS: usize = 24;
/// Digits of Unix seconds, and of milliseconds.
const UNIX: [usize; 2] = [10, 13];
/// An instant as the API writes it, and with milliseconds.
const TIME: [usize; 2] = [20, 24];

/// Names of parameters that clients draw anew for each call.
const DRAWN: [&str; 2] = ["ClientToken", "IdempotencyToken"];

const WORDS: [(&str, Piece); 5] = [
    ("any", Piece::Any),
    ("time", Piece::Time),
    ("unix", Piece::Unix),
    ("id", Piece::Id),
    ("number", Piece::Number),
];

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// Any text, also none.
    Any,
    Time,
    Unix,
    Id,
    Number,
}

/// A value's pattern, read once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<Piece>);

/// A word in braces at the beginning of a text: the piece that it is, and its length.
fn word(text: &str) -> Option<(Piece, usize)> {
    let inner = text.strip_prefix('{')?;
    WORDS.iter().find_map(|(word, piece)| {
        let rest = inner.strip_prefix(word)?;
        rest.starts_with('}')
            .then(|| (piece.clone(), word.len() + 2))
    })
}

/// How the pattern of a value is written that was seen: itself, or a pattern where it differs in every run.
#[must_use]
pub fn recorded<'a>(name: &str, value: &'a str) -> Cow<'a, str> {
    let last = name.rsplit('.').next().unwrap_or(name);
    if DRAWN.contains(&last) {
        return Cow::Borrowed("{any}");
    }
    if last.ends_with("Time") && is_time(value) {
        return Cow::Borrowed("{time}");
    }
    let mut written = String::new();
    let mut from = 0;
    for (at, _) in value.match_indices('{') {
        let rest = value.get(at..).unwrap_or_default();
        if word(rest).is_some() || rest.starts_with("{=") {
            written.push_str(value.get(from..=at).unwrap_or_default());
            written.push('=');
            from = at + 1;
        }
    }
    if from == 0 {
        return Cow::Borrowed(value);
    }
    written.push_str(value.get(from..).unwrap_or_default());
    Cow::Owned(written)
}

fn is_time(text: &str) -> bool {
    TIME.contains(&text.len()) && wire_time::from_signature(text).is_some()
}

impl Pattern {
    /// Every text is a pattern.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if let Some((piece, length)) = word(rest).filter(|_| pieces.len() < 2 * MOST) {
                if !plain.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                }
                pieces.push(piece);
                rest = rest.get(length..).unwrap_or_default();
                continue;
            }
            plain.push(first);
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
            if first == '{'
                && let Some(after) = rest.strip_prefix('=')
            {
                rest = after;
            }
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Self(pieces)
    }

    /// Whether a value fits.
    #[must_use]
    pub fn fits(&self, value: &str) -> bool {
        match self.0.as_slice() {
            [] => value.is_empty(),
            [Piece::Text(text)] => text == value,
            [Piece::Any] => true,
            pieces => walk(pieces, value),
        }
    }
}

/// Walks through the pieces with every place of the value that the pieces so far can end at.
fn walk(pieces: &[Piece], value: &str) -> bool {
    let bytes = value.as_bytes();
    let mut reached = vec![false; bytes.len() + 1];
    if let Some(first) = reached.first_mut() {
        *first = true;
    }
    for piece in pieces {
        let mut next = vec![false; bytes.len() + 1];
        let mut mark = |at: usize| {
            if let Some(place) = next.get_mut(at) {
                *place = true;
            }
        };
        let starts = reached.iter().enumerate();
        let starts = starts.filter(|(_, reached)| **reached).map(|(at, _)| at);
        for at in starts {
            let rest = bytes.get(at..).unwrap_or_default();
            let run = |fits: fn(&u8) -> bool, most: usize| {
                rest.iter().take(most).take_while(|b| fits(b)).count()
            };
            match piece {
                Piece::Text(text) => {
                    if rest.starts_with(text.as_bytes()) {
                        mark(at + text.len());
                    }
                }
                Piece::Any => {
                    (at..=bytes.len()).for_each(&mut mark);
                    // Later starts reach nothing more.
                    break;
                }
                Piece::Time => {
                    for length in TIME {
                        let text = value.get(at..at + length);
                        if text.is_some_and(is_time) {
                            mark(at + length);
                        }
                    }
                }
                Piece::Unix => {
                    let digits = run(u8::is_ascii_digit, 14);
                    UNIX.into_iter()
                        .filter(|length| *length <= digits)
                        .for_each(|length| mark(at + length));
                }
                Piece::Id => {
                    let is_of_id: fn(&u8) -> bool =
                        |b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
                    let longest = run(is_of_id, *ID.end());
                    (*ID.start()..=longest).for_each(|length| mark(at + length));
                }
                Piece::Number => {
                    let sign = usize::from(rest.first() == Some(&b'-'));
                    let digits = rest.iter().skip(sign).take(DIGITS);
                    let digits = digits.take_while(|b| b.is_ascii_digit()).count();
                    (1..=digits).for_each(|length| mark(at + sign + length));
                }
            }
        }
        reached = next;
    }
    reached.last() == Some(&true)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fits(pattern: &str, value: &str) -> bool {
        Pattern::read(pattern).fits(value)
    }

    #[test]
    fn words_in_braces_stand_for_what_they_say() {
        for (pattern, value, is) in [
            ("a", "a", true),
            ("a", "b", false),
            ("", "", true),
            ("{any}", "", true),
            ("x{any}y", "xy", true),
            ("x{any}y", "x{y}y", true),
            ("x{any}y", "xyz", false),
            ("{time}", "2026-11-26T10:00:00Z", true),
            ("{time}", "2026-11-26T10:00:00.123Z", true),
            ("{time}", "2026-13-26T10:00:00Z", false),
            ("{time}", "soon", false),
            ("{unix}", "1772330400", true),
            ("{unix}", "1772330400123", true),
            ("{unix}", "17723304001", false),
            ("{id}", "0123abcd-ABCD_x", true),
            ("{id}", "0123abc", false),
            ("{id}", "a b c d e f g", false),
            ("{number}", "-12", true),
            ("{number}", "1.5", false),
            ("{number}.{number}", "1.5", true),
            ("rec/{id}/{number}.m3u8", "rec/0123456789/7.m3u8", true),
            (
                "record/{AppName}/{StreamName}",
                "record/{AppName}/{StreamName}",
                true,
            ),
            ("record/{AppName}", "record/live", false),
            ("{=any}", "{any}", true),
            ("{=any}", "x", false),
            ("{any", "{any", true),
            ("***", "***", true),
            ("{id}{id}", "0123456789abcdef", true),
        ] {
            assert_eq!(fits(pattern, value), is, "{pattern} {value}");
        }
    }

    #[test]
    fn what_differs_in_every_run_is_recorded_as_a_pattern() {
        assert_eq!(recorded("StartTime", "2026-11-26T10:00:00Z"), "{time}");
        assert_eq!(
            recorded("Slice.1.EndTime", "2026-11-26T10:00:00Z"),
            "{time}"
        );
        assert_eq!(recorded("StartTime", "now"), "now");
        assert_eq!(
            recorded("StreamName", "2026-11-26T10:00:00Z"),
            "2026-11-26T10:00:00Z"
        );
        assert_eq!(recorded("ClientToken", "abc"), "{any}");
        assert_eq!(recorded("X", "a{any}{=b}{App}"), "a{=any}{==b}{App}");
    }

    #[test]
    fn a_long_value_against_many_pieces_ends_soon() {
        let pattern = "{any}a{id}".repeat(64);
        assert!(!fits(
            &pattern,
            &"a".repeat(100 * 1024 - 1).replace('a', "b")
        ));
    }

    proptest! {
        #[test]
        fn what_was_recorded_fits_itself(name in "[A-Z][a-zA-Z]{0,8}(Time)?", value in "(\\PC|\\{=?(any|id|time)?\\}?){0,12}") {
            let written = recorded(&name, &value);
            prop_assert!(fits(&written, &value), "{written}");
        }

        #[test]
        fn no_pattern_and_no_value_breaks_it(pattern in "(\\PC|\\{(any|time|unix|id|number)\\}){0,8}", value in "\\PC{0,24}") {
            let _ = fits(&pattern, &value);
        }
    }
}
