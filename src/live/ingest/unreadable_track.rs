//! A track whose tags cannot be read for long: its header is missing or broken, and a recording would be half a recording.

use crate::media::flv::TagKind;

/// How long a header may be missing, in the publisher's milliseconds. Shorter than what is thrown away when it never comes.
const PATIENCE_MS: u32 = 4_000;

/// Since when each track brings nothing that can be read.
#[derive(Debug, Default)]
pub struct Unreadable {
    since: [Option<u32>; 2],
}

impl Unreadable {
    /// Takes note of a tag; true when its track has brought nothing readable for too long.
    pub fn note(&mut self, kind: TagKind, timestamp: u32, is_read: bool) -> bool {
        let [video, audio] = &mut self.since;
        let since = match kind {
            TagKind::Video => video,
            TagKind::Audio => audio,
            TagKind::Data => return false,
        };
        if is_read {
            *since = None;
            return false;
        }
        let passed = timestamp.wrapping_sub(*since.get_or_insert(timestamp));
        // A clock that was set back looks like weeks.
        if passed > u32::MAX / 2 {
            *since = Some(timestamp);
            return false;
        }
        passed >= PATIENCE_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_track_is_given_some_seconds_to_show_its_header() {
        let mut tracks = Unreadable::default();
        for n in 0..100 {
            assert!(!tracks.note(TagKind::Video, n * 40, n == 90));
            assert!(!tracks.note(TagKind::Audio, n * 40, true));
        }
        assert!(!tracks.note(TagKind::Video, 3_640 + PATIENCE_MS - 1, false));
        assert!(tracks.note(TagKind::Video, 3_640 + PATIENCE_MS, false));
    }

    #[test]
    fn a_clock_set_back_begins_anew() {
        let mut tracks = Unreadable::default();
        assert!(!tracks.note(TagKind::Audio, u32::MAX - 100, false));
        assert!(!tracks.note(TagKind::Audio, 100, false));
        assert!(!tracks.note(TagKind::Audio, u32::MAX - 50_000, false));
        assert!(!tracks.note(TagKind::Audio, u32::MAX - 49_000, false));
        assert!(tracks.note(TagKind::Audio, u32::MAX - 46_000, false));
    }
}
