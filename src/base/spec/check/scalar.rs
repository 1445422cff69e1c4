//! Single values: text to typed JSON, and the limits that a spec puts on them.
//!
//! Integers are plain decimal text, booleans are taken in any case (one SDK writes `True`), dates are
//! `yyyy-MM-ddTHH:mm:ssZ` with a day that the calendar has.

use serde_json::{Number, Value};

use super::ProblemKind;
use crate::spec::model::{Format, Kind, Param};

/// Texts that clients send for a value that was never set.
const UNSET: [&str; 3] = ["None", "undefined", "null"];

/// Whether any text at all could be meant: a string without an enumeration, a format or a character set.
fn is_free_text(param: &Param) -> bool {
    param.kind == Kind::String
        && param.allowed.is_empty()
        && param.format.is_none()
        && param.chars.is_none()
}

/// Whether a text says that the parameter was not set; the rule is told in `api-spec/README.md`.
pub(super) fn is_unset(param: &Param, text: &str) -> bool {
    if text.is_empty() {
        return param.required || !is_free_text(param);
    }
    !is_free_text(param)
        && UNSET.contains(&text)
        && !param.allowed.iter().any(|allowed| allowed == text)
}

/// Reads and checks one value.
pub(super) fn read(param: &Param, text: &str) -> Result<Value, ProblemKind> {
    let value = match param.kind {
        // Nothing that a client means has one, and not every database keeps it.
        Kind::String if text.contains('\0') => return Err(ProblemKind::Type(Kind::String)),
        Kind::String => Value::from(text),
        Kind::Int32 => Value::from(integer::<i32>(text).ok_or(ProblemKind::Type(Kind::Int32))?),
        Kind::Int64 => Value::from(integer::<i64>(text).ok_or(ProblemKind::Type(Kind::Int64))?),
        Kind::Float => Value::Number(float(text).ok_or(ProblemKind::Type(Kind::Float))?),
        Kind::Bool if text.eq_ignore_ascii_case("true") => Value::Bool(true),
        Kind::Bool if text.eq_ignore_ascii_case("false") => Value::Bool(false),
        other => return Err(ProblemKind::Type(other)),
    };
    limits(param, text, &value)?;
    Ok(value)
}

fn integer<N: std::str::FromStr>(text: &str) -> Option<N> {
    if text.starts_with('+') {
        None
    } else {
        text.parse().ok()
    }
}

fn float(text: &str) -> Option<Number> {
    // The parser also takes words such as inf and nan; a wire number has digits only.
    let plain = text
        .bytes()
        .all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'.' | b'e' | b'E' | b'+'));
    if plain && !text.starts_with('+') {
        text.parse().ok().and_then(Number::from_f64)
    } else {
        None
    }
}

fn limits(param: &Param, text: &str, value: &Value) -> Result<(), ProblemKind> {
    if !param.allowed.is_empty() {
        let spelled = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        if !param.allowed.contains(&spelled) {
            return Err(ProblemKind::Enum(param.allowed.clone()));
        }
    }
    if let Some(number) = value.as_f64() {
        let too_small = param.min.is_some_and(|min| number < min);
        if too_small || param.max.is_some_and(|max| number > max) {
            return Err(ProblemKind::Range {
                min: param.min,
                max: param.max,
            });
        }
    }
    if param.kind == Kind::String && !text.is_empty() {
        string_limits(param, text)?;
    }
    Ok(())
}

fn string_limits(param: &Param, text: &str) -> Result<(), ProblemKind> {
    let characters = text.chars().count();
    let too_short = param.min_length.is_some_and(|min| characters < min);
    if too_short || param.max_length.is_some_and(|max| characters > max) {
        return Err(ProblemKind::Length {
            min: param.min_length,
            max: param.max_length,
            unit: "characters",
        });
    }
    if param.max_bytes.is_some_and(|max| text.len() > max) {
        return Err(ProblemKind::Length {
            min: None,
            max: param.max_bytes,
            unit: "bytes",
        });
    }
    if let Some(class) = &param.chars
        && !text.chars().all(|c| in_class(class, c))
    {
        return Err(ProblemKind::Chars(class.clone()));
    }
    match param.format {
        Some(Format::DateTime) if !is_date_time(text) => {
            Err(ProblemKind::Format("yyyy-MM-ddTHH:mm:ssZ"))
        }
        _ => Ok(()),
    }
}

/// Whether a character is in a class such as `0-9a-z_-`; a `-` that no range uses stands for itself.
fn in_class(class: &str, wanted: char) -> bool {
    let mut rest = class.chars();
    while let Some(first) = rest.next() {
        let mut ahead = rest.clone();
        if let (Some('-'), Some(last)) = (ahead.next(), ahead.next()) {
            if (first..=last).contains(&wanted) {
                return true;
            }
            rest = ahead;
        } else if first == wanted {
            return true;
        }
    }
    false
}

/// `yyyy-MM-ddTHH:mm:ssZ` with an existing day and time.
fn is_date_time(text: &str) -> bool {
    const PATTERN: &[u8; 20] = b"0000-00-00T00:00:00Z";
    let fits = |(have, want): (u8, &u8)| {
        if *want == b'0' {
            have.is_ascii_digit()
        } else {
            have == *want
        }
    };
    if text.len() != PATTERN.len() || !text.bytes().zip(PATTERN).all(fits) {
        return false;
    }
    let part = |from: usize, to: usize| {
        text.get(from..to)
            .and_then(|digits| digits.parse::<u32>().ok())
            .unwrap_or(u32::MAX)
    };
    let (year, month, day) = (part(0, 4), part(5, 7), part(8, 10));
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    (1..=days).contains(&day) && part(11, 13) < 24 && part(14, 16) < 60 && part(17, 19) < 60
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for good in [
            "2026-11-22T15:10:06Z",
            "2024-02-29T00:00:00Z",
            "2000-02-29T23:59:59Z",
        ] {
            assert!(is_date_time(good), "{good}");
        }
        for bad in [
            "2026-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-04-31T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z",
            "2026-01-01T00:00:00",
            "2026-01-01 00:00:00Z",
            "2026-01-01T00:00:00+08:00",
            "2026-1-1T0:0:0Z",
            "",
            "２０26-01-01T00:0Z",
        ] {
            assert!(!is_date_time(bad), "{bad}");
        }
    }

    #[test]
    fn character_classes_know_ranges_and_a_last_dash() {
        for c in "09azAZ_-".chars() {
            assert!(in_class("0-9a-zA-Z_-", c), "{c}");
        }
        for c in "/:@[`{ é".chars() {
            assert!(!in_class("0-9a-zA-Z_-", c), "{c}");
        }
    }

    #[test]
    fn numbers_are_plain_decimal_text() {
        assert_eq!(integer::<i32>("-5"), Some(-5));
        for bad in ["+5", "5.0", " 5", "0x5", "2147483648", ""] {
            assert_eq!(integer::<i32>(bad), None, "{bad}");
        }
        assert_eq!(integer::<i64>("2147483648"), Some(2_147_483_648));
        assert!(float("0.5").is_some() && float("-1e3").is_some());
        for bad in ["inf", "nan", "1e999", "+1", ".", ""] {
            assert!(float(bad).is_none(), "{bad}");
        }
    }
}
