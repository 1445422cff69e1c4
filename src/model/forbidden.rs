//! Streams that may not be published for a while, as ForbidLiveStream says it.

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use super::stream_key::StreamKey;
use crate::clock::UnixMs;

/// Streams that may be forbidden at a time, as the product documents it.
pub const MOST_FORBIDDEN: usize = 10_000;

/// How long a stream is kept out where nobody says it.
const USUAL_MONTHS: i64 = 6;

/// The end of a ban that begins at `now` and names none: as many months later.
#[must_use]
pub fn usual_end(now: UnixMs) -> UnixMs {
    let begin = Timestamp::from_millisecond(now).unwrap_or(Timestamp::UNIX_EPOCH);
    let end = begin
        .to_zoned(TimeZone::UTC)
        .checked_add(Span::new().months(USUAL_MONTHS));
    end.map_or(i64::MAX, |end| end.timestamp().as_millisecond())
}

/// A stream that is kept out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forbidden {
    /// The streaming domain that the stream belonged to when it was forbidden.
    pub domain: String,
    pub app: String,
    pub stream: String,
    pub since: UnixMs,
    /// From then on it may be published again.
    pub until: UnixMs,
}

impl Forbidden {
    #[must_use]
    pub fn key(&self) -> StreamKey {
        StreamKey::new(&self.domain, &self.app, &self.stream)
    }

    #[must_use]
    pub fn counts_at(&self, now: UnixMs) -> bool {
        now < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_months_are_those_of_the_calendar() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap().as_millisecond();
        for (begin, end) in [
            ("2026-03-01T02:00:00Z", "2026-09-01T02:00:00Z"),
            ("2026-08-31T00:00:00Z", "2027-02-28T00:00:00Z"),
        ] {
            assert_eq!(usual_end(at(begin)), at(end), "{begin}");
        }
    }

    #[test]
    fn the_end_itself_is_free() {
        let kept_out = Forbidden {
            domain: "d".into(),
            app: "a".into(),
            stream: "s".into(),
            since: 1,
            until: 10,
        };
        assert!(kept_out.counts_at(9) && !kept_out.counts_at(10));
        assert_eq!(kept_out.key(), StreamKey::new("d", "a", "s"));
    }
}
