//! The two clocks a client sees: API times in UTC with `Z`, object names in UTC+8. One formatter each, so that they cannot be mixed.

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

use crate::clock::UnixMs;

/// Prints an instant as the API does: `yyyy-MM-ddTHH:mm:ssZ`.
#[must_use]
pub fn to_api(ms: UnixMs) -> String {
    format!("{:.0}", timestamp(ms))
}

/// Reads an API time. Only the documented form is accepted.
#[must_use]
pub fn from_api(text: &str) -> Option<UnixMs> {
    let bytes = text.as_bytes();
    let shape = bytes.len() == 20
        && bytes.iter().enumerate().all(|(i, b)| match i {
            4 | 7 => *b == b'-',
            10 => *b == b'T',
            13 | 16 => *b == b':',
            19 => *b == b'Z',
            _ => b.is_ascii_digit(),
        });
    if !shape {
        return None;
    }
    text.parse::<Timestamp>()
        .ok()
        .map(Timestamp::as_millisecond)
}

/// Reads a signature's timestamp: as [`from_api`], with milliseconds tolerated.
#[must_use]
pub fn from_signature(text: &str) -> Option<UnixMs> {
    if let Some(ms) = from_api(text) {
        return Some(ms);
    }
    if text.len() > 30 || !text.ends_with('Z') || text.as_bytes().get(10) != Some(&b'T') {
        return None;
    }
    text.parse::<Timestamp>()
        .ok()
        .map(Timestamp::as_millisecond)
}

/// An instant as object names show it, in China Standard Time.
#[derive(Debug, Clone, Copy)]
pub struct NameTime(pub UnixMs);

impl NameTime {
    fn format(self, pattern: &str) -> String {
        let zone = TimeZone::fixed(Offset::constant(8));
        timestamp(self.0)
            .to_zoned(zone)
            .strftime(pattern)
            .to_string()
    }

    /// `2017-03-08-23:09:46`
    #[must_use]
    pub fn plain(self) -> String {
        self.format("%Y-%m-%d-%H:%M:%S")
    }

    /// `2017-03-08-23-09-46`
    #[must_use]
    pub fn escaped(self) -> String {
        self.format("%Y-%m-%d-%H-%M-%S")
    }

    /// `2017-03-08`
    #[must_use]
    pub fn date(self) -> String {
        self.format("%Y-%m-%d")
    }

    #[must_use]
    pub fn hour(self) -> String {
        self.format("%H")
    }

    #[must_use]
    pub fn minute(self) -> String {
        self.format("%M")
    }

    #[must_use]
    pub fn second(self) -> String {
        self.format("%S")
    }
}

/// Whole Unix seconds of an instant.
#[must_use]
pub fn unix_seconds(ms: UnixMs) -> i64 {
    ms.div_euclid(1000)
}

fn timestamp(ms: UnixMs) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_file_name_is_in_utc_plus_8() {
        let start = NameTime(1_488_985_786_000);
        assert_eq!(start.plain(), "2017-03-08-23:09:46");
        assert_eq!(start.escaped(), "2017-03-08-23-09-46");
        assert_eq!(to_api(1_488_985_786_000), "2017-03-08T15:09:46Z");
        assert_eq!(to_api(1_488_985_786_999), "2017-03-08T15:09:46Z");
        assert_eq!(to_api(-1), "1969-12-31T23:59:59Z");
    }

    #[test]
    fn only_the_documented_form_is_read() {
        assert_eq!(from_api("2019-02-15T01:00:00Z"), Some(1_550_192_400_000));
        for bad in [
            "2019-02-15 01:00:00",
            "2019-02-15T01:00:00",
            "2019-02-30T01:00:00Z",
            "2019-02-15T01:00:00+08:00",
            "",
        ] {
            assert_eq!(from_api(bad), None, "{bad}");
        }
        assert_eq!(
            from_signature("2019-02-15T01:00:00.250Z"),
            Some(1_550_192_400_250)
        );
    }
}
