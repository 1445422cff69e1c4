//! Pictures without a key frame: since when a recording waits for one.

use crate::clock::UnixMs;

/// How long a push that has shown no key frame yet is waited for, by its own clock or the service's.
pub const PATIENCE_MS: i64 = 15_000;
/// The same for a push that has shown one: groups of pictures may be long.
const LATER_PATIENCE_MS: i64 = 60_000;

/// Since when pictures come in vain.
#[derive(Debug, Default)]
pub struct Keyless {
    since: Option<(u32, UnixMs)>,
    has_key: bool,
}

impl Keyless {
    /// The push has a key frame.
    pub fn key(&mut self) {
        self.has_key = true;
    }

    /// Nothing is waited for any more.
    pub fn found(&mut self) {
        self.since = None;
    }

    /// Notes a message of pictures that is no use without a key frame: how long that has lasted, once it is too long.
    pub fn note(&mut self, timestamp: u32, now: UnixMs) -> Option<i64> {
        let (first, began) = *self.since.get_or_insert((timestamp, now));
        let by_media = i64::from(timestamp.wrapping_sub(first).cast_signed());
        let waited = by_media.max(now - began);
        let patience = if self.has_key {
            LATER_PATIENCE_MS
        } else {
            PATIENCE_MS
        };
        (waited >= patience).then_some(waited)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_time_or_the_clock_ends_the_patience() {
        let mut keyless = Keyless::default();
        assert_eq!(keyless.note(u32::MAX - 999, 0), None);
        assert_eq!(keyless.note(13_999, 0), None);
        assert_eq!(keyless.note(14_000, 0), Some(15_000));
        keyless.found();
        assert_eq!(keyless.note(14_040, 100), None);
        assert_eq!(keyless.note(14_080, 15_100), Some(15_000));
    }

    #[test]
    fn a_push_with_long_groups_is_given_longer() {
        let mut keyless = Keyless::default();
        keyless.key();
        assert_eq!(keyless.note(0, 0), None);
        assert_eq!(keyless.note(25_000, 25_000), None);
        assert_eq!(keyless.note(60_000, 60_000), Some(60_000));
    }
}
