//! Media time: publisher timestamps become one clean timeline of the recording, in milliseconds.
//!
//! The rules, in the order they apply (docs/media.md tells why):
//! 1. RTMP's 32-bit timestamps are unwrapped against the newest one seen.
//! 2. A push's first frame continues where the recording stands; the gap of an interruption is not media time.
//! 3. A step of up to [`FORWARD_LIMIT_MS`] forward is a pause and is kept; a longer one is a jump and is closed up.
//! 4. A step back of up to [`BACKWARD_LIMIT_MS`] is disorder: the frame is put 1 ms after its predecessor on the track; a longer one is a jump.
//! 5. A jump moves both tracks by the same offset, so that sound and picture stay together, also while the slower track still
//!    brings frames from before the jump.

use serde::{Deserialize, Serialize};

use crate::media::frame::Track;

/// Longer steps forward are jumps. A push that is silent for this long is cut off anyway.
pub const FORWARD_LIMIT_MS: i64 = 10_000;
/// Longer steps back are jumps.
pub const BACKWARD_LIMIT_MS: i64 = 1_000;
/// What a frame lasts until its track has shown a step of its own.
const NOMINAL_MS: [i64; 2] = [40, 23];

/// Where a frame lies on the recording's timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    pub dts_ms: i64,
    /// The publisher's clock jumped at this frame.
    pub jumped: bool,
}

/// The timeline of one recording session.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Timeline {
    last_raw: Option<(u32, i64)>,
    offset: Option<i64>,
    previous_offset: Option<i64>,
    last: [Option<i64>; 2],
    step: [Option<i64>; 2],
    in_push: [bool; 2],
    end: i64,
    jumps: u64,
}

impl Timeline {
    /// The next frame starts a new push.
    pub fn begin_push(&mut self) {
        self.last_raw = None;
        self.offset = None;
        self.previous_offset = None;
        self.in_push = [false; 2];
    }

    /// Takes note of a frame that was placed before a restart.
    pub fn observe(&mut self, track: Track, dts_ms: i64) {
        let t = index(track);
        if let Some(seen) = self.in_push.get_mut(t) {
            *seen = true;
        }
        self.put(t, dts_ms, false);
    }

    /// The end of the media so far: the last frame of either track and what it lasts.
    #[must_use]
    pub fn end_ms(&self) -> i64 {
        self.end
    }

    /// How often the publisher's clock jumped.
    #[must_use]
    pub fn jumps(&self) -> u64 {
        self.jumps
    }

    /// Places a frame with the publisher's timestamp `raw`.
    pub fn place(&mut self, track: Track, raw: u32) -> Placed {
        let t = index(track);
        let unwrapped = self.unwrap(raw);
        let Some(offset) = self.offset else {
            self.offset = Some(self.end - unwrapped);
            return self.put(t, self.end, false);
        };
        let before = self.reference(t);
        let plausible = |offset: i64| {
            let step = unwrapped + offset - before;
            (-BACKWARD_LIMIT_MS..=FORWARD_LIMIT_MS).contains(&step)
        };
        if plausible(offset) {
            return self.put(t, unwrapped + offset, false);
        }
        if let Some(previous) = self.previous_offset
            && plausible(previous)
        {
            return self.put(t, unwrapped + previous, false);
        }
        let next = before
            + if self.in_push_any() {
                self.nominal(t)
            } else {
                0
            };
        self.previous_offset = Some(offset);
        self.offset = Some(next - unwrapped);
        self.jumps += 1;
        self.put(t, next, true)
    }

    fn unwrap(&mut self, raw: u32) -> i64 {
        let unwrapped = match self.last_raw {
            None => i64::from(raw),
            Some((last, unwrapped)) => unwrapped + i64::from(raw.wrapping_sub(last).cast_signed()),
        };
        self.last_raw = Some((raw, unwrapped));
        unwrapped
    }

    /// What a frame's step is measured from: its track's last frame in this push, else the other track's.
    fn reference(&self, t: usize) -> i64 {
        let own = self.last.get(t).copied().flatten();
        match own {
            Some(own) if self.in_push.get(t).copied().unwrap_or(false) => own,
            _ => self
                .last
                .iter()
                .zip(self.in_push)
                .filter(|(_, seen)| *seen)
                .find_map(|(last, _)| *last)
                .unwrap_or(self.end),
        }
    }

    fn in_push_any(&self) -> bool {
        self.in_push.contains(&true)
    }

    fn nominal(&self, t: usize) -> i64 {
        self.step
            .get(t)
            .copied()
            .flatten()
            .or(NOMINAL_MS.get(t).copied())
            .unwrap_or(0)
    }

    fn put(&mut self, t: usize, wanted: i64, jumped: bool) -> Placed {
        let last = self.last.get(t).copied().flatten();
        let dts = last.map_or(wanted, |last| wanted.max(last + 1));
        if let Some(last) = last
            && self.in_push.get(t).copied().unwrap_or(false)
            && dts - last <= 1_000
            && let Some(step) = self.step.get_mut(t)
        {
            *step = Some(dts - last);
        }
        if let Some(slot) = self.last.get_mut(t) {
            *slot = Some(dts);
        }
        if let Some(seen) = self.in_push.get_mut(t) {
            *seen = true;
        }
        self.end = self.end.max(dts + self.nominal(t));
        Placed {
            dts_ms: dts,
            jumped,
        }
    }
}

fn index(track: Track) -> usize {
    match track {
        Track::Video => 0,
        Track::Audio => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Track::{Audio, Video};

    fn place(timeline: &mut Timeline, frames: &[(Track, u32)]) -> Vec<i64> {
        frames
            .iter()
            .map(|(track, raw)| timeline.place(*track, *raw).dts_ms)
            .collect()
    }

    #[test]
    fn a_push_that_starts_late_starts_at_zero() {
        let mut timeline = Timeline::default();
        let out = place(
            &mut timeline,
            &[
                (Video, 5_000),
                (Audio, 5_000),
                (Video, 5_040),
                (Audio, 5_023),
            ],
        );
        assert_eq!(out, [0, 0, 40, 23]);
        assert_eq!(timeline.end_ms(), 80);
    }

    #[test]
    fn sound_that_begins_before_the_picture_keeps_its_distance() {
        let mut timeline = Timeline::default();
        assert_eq!(
            place(
                &mut timeline,
                &[(Video, 67), (Audio, 44), (Audio, 67), (Video, 100)]
            ),
            [0, -23, 0, 33]
        );
    }

    #[test]
    fn timestamps_wrap_after_32_bits() {
        let mut timeline = Timeline::default();
        let out = place(
            &mut timeline,
            &[(Video, u32::MAX - 39), (Video, 0), (Video, 40)],
        );
        assert_eq!(out, [0, 40, 80]);
    }

    #[test]
    fn a_jump_forward_is_closed_up_for_both_tracks() {
        let mut timeline = Timeline::default();
        let out = place(
            &mut timeline,
            &[
                (Video, 0),
                (Audio, 0),
                (Video, 40),
                (Audio, 20),
                (Video, 100_080),
                (Audio, 40),
                (Video, 100_120),
                (Audio, 100_060),
            ],
        );
        assert_eq!(out, [0, 0, 40, 20, 80, 40, 120, 60]);
        assert_eq!(timeline.jumps(), 1);
    }

    #[test]
    fn a_jump_back_goes_on() {
        let mut timeline = Timeline::default();
        let out = place(
            &mut timeline,
            &[(Video, 60_000), (Video, 60_040), (Video, 0), (Video, 40)],
        );
        assert_eq!(out, [0, 40, 80, 120]);
    }

    #[test]
    fn small_disorder_stays_in_order() {
        let mut timeline = Timeline::default();
        assert_eq!(
            place(
                &mut timeline,
                &[(Audio, 0), (Audio, 46), (Audio, 23), (Audio, 69)]
            ),
            [0, 46, 47, 69]
        );
        assert_eq!(
            place(
                &mut Timeline::default(),
                &[(Audio, 5), (Audio, 5), (Audio, 5)]
            ),
            [0, 1, 2]
        );
    }

    #[test]
    fn a_pause_is_kept_and_a_new_push_continues_at_the_end() {
        let mut timeline = Timeline::default();
        assert_eq!(
            place(&mut timeline, &[(Video, 0), (Video, 40), (Video, 8_040)]),
            [0, 40, 8_040]
        );
        timeline.begin_push();
        assert_eq!(
            place(&mut timeline, &[(Video, 0), (Audio, 0), (Video, 40)]),
            [8_080, 8_080, 8_120]
        );
    }
}
