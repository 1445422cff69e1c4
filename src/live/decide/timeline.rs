//! Media time: publisher timestamps become one clean timeline of the recording, in milliseconds.
//!
//! The rules, in the order they apply (docs/media.md tells why):
//! 1. RTMP's 32-bit timestamps are unwrapped against the newest one seen.
//! 2. A push's first frame continues where the recording stands; the gap of an interruption is not media time.
//! 3. A step of up to [`FORWARD_LIMIT_MS`] forward is a pause and is kept; a longer one is a jump and is closed up, unless the other track
//!    went on meanwhile and is near: then it is the track that was silent, not the clock that jumped.
//! 4. A step back of up to [`BACKWARD_LIMIT_MS`] is disorder: the frame is put 1 ms after its predecessor on the track; a longer one is a jump.
//!    A picture is shown all the same when its sender said, up to [`MOST_EARLY_MS`] before it is decoded: some senders give pictures the time
//!    at which they are shown. A track's first frame of a push may lie as far behind the other track as it may lie ahead.
//! 5. A jump moves both tracks by the same offset, so that sound and picture stay together, also while the slower track still
//!    brings frames from before the jump.
//! 6. A composition offset of more than [`FORWARD_LIMIT_MS`] either way is a jump of that picture alone: it is shown when it is decoded.

use serde::{Deserialize, Serialize};

use crate::media::frame::Track;

/// Longer steps forward are jumps. A push that is silent for this long is cut off anyway.
pub const FORWARD_LIMIT_MS: i64 = 10_000;
/// Longer steps back are jumps.
pub const BACKWARD_LIMIT_MS: i64 = 1_000;
/// Most milliseconds by which a picture is shown before it is decoded because it was put behind its predecessor. Transport streams carry
/// no more than that.
const MOST_EARLY_MS: i32 = 500;
/// How long after a jump, in media time, the other track may still bring frames from before it.
const COMES_OVER_MS: i64 = 1_000;
/// What a frame lasts until its track has shown a step of its own.
const NOMINAL_MS: [i64; 2] = [40, 23];

/// Where a frame lies on the recording's timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    pub dts_ms: i64,
    /// The composition offset, if that is one a picture can have.
    pub cts_ms: i32,
    /// The publisher's clock jumped at this frame.
    pub jumped: bool,
}

/// The timeline of one recording session.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Timeline {
    last_raw: Option<(u32, i64)>,
    offset: Option<i64>,
    previous_offset: Option<i64>,
    /// The track that has brought nothing by the new offset yet, and until when on the timeline that is looked at.
    #[serde(default)]
    comes_over: Option<(usize, i64)>,
    last: [Option<i64>; 2],
    step: [Option<i64>; 2],
    in_push: [bool; 2],
    end: i64,
    jumps: u64,
    /// Where the last picture ends by presentation time.
    #[serde(default)]
    shown_until: i64,
    /// How long after its decoding the first picture is shown.
    #[serde(default)]
    lead: Option<i64>,
    /// The latest time of a picture of this push as it was sent.
    #[serde(default)]
    latest_sent: Option<i64>,
}

impl Timeline {
    /// The next frame starts a new push.
    pub fn begin_push(&mut self) {
        self.last_raw = None;
        self.offset = None;
        self.previous_offset = None;
        self.comes_over = None;
        self.in_push = [false; 2];
        self.latest_sent = None;
    }

    /// Takes note of a frame that was placed before a restart.
    pub fn observe(&mut self, track: Track, dts_ms: i64, cts_ms: i32) {
        let t = index(track);
        if let Some(seen) = self.in_push.get_mut(t) {
            *seen = true;
        }
        self.put(t, dts_ms, false);
        self.note_picture(track, dts_ms, plausible_offset(cts_ms));
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

    /// Places a frame with the publisher's timestamp `raw` and its composition offset.
    pub fn place(&mut self, track: Track, raw: u32, cts_ms: i32) -> Placed {
        let mut placed = self.place_by_decoding(index(track), raw);
        let sent = plausible_offset(cts_ms);
        self.jumps += u64::from(sent != cts_ms);
        placed.cts_ms = (sent + placed.cts_ms).max(sent.min(-MOST_EARLY_MS));
        self.note_picture(track, placed.dts_ms, placed.cts_ms);
        placed
    }

    /// A push that breaks off between reordered pictures ends later for the eye than for the decoder.
    fn note_picture(&mut self, track: Track, dts_ms: i64, cts_ms: i32) {
        if track == Track::Video {
            let cts = i64::from(cts_ms);
            self.lead.get_or_insert(cts);
            let shown = dts_ms + cts + self.nominal(index(track));
            self.shown_until = self.shown_until.max(shown);
        }
    }

    /// Where the next push begins: its first picture is shown when the last one has been.
    fn next_start(&self) -> i64 {
        self.end.max(self.shown_until - self.lead.unwrap_or(0))
    }

    fn place_by_decoding(&mut self, t: usize, raw: u32) -> Placed {
        let unwrapped = self.unwrap(raw);
        let Some(offset) = self.offset else {
            let start = self.next_start();
            self.offset = Some(start - unwrapped);
            return self.put(t, start, false);
        };
        let before = self.reference(t);
        let plausible = |offset: i64| self.is_plausible(t, unwrapped + offset);
        let previous = self.previous_offset.filter(|offset| plausible(*offset));
        if plausible(offset) {
            let is_from_before = previous
                .is_some_and(|previous| self.is_from_before(t, unwrapped, (previous, offset)));
            let offset = previous.filter(|_| is_from_before).unwrap_or(offset);
            return self.put(t, unwrapped + offset, false);
        }
        if let Some(previous) = previous {
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
        self.comes_over = Some((1 - t.min(1), next + COMES_OVER_MS));
        self.jumps += 1;
        self.put(t, next, true)
    }

    /// Whether a frame that both offsets could place is one that the slower track still brings from before the jump: it follows its predecessor by the
    /// old one. Not for long, since a track that was silent across a jump would be held to the old clock for ever.
    fn is_from_before(&mut self, t: usize, unwrapped: i64, (old, new): (i64, i64)) -> bool {
        let Some((_, until)) = self.comes_over.filter(|(track, _)| *track == t) else {
            return false;
        };
        let expected = self.reference(t) + self.nominal(t);
        let off = |offset: i64| (unwrapped + offset - expected).abs();
        let is_from_before = self.end <= until && off(old) < off(new);
        if !is_from_before {
            self.comes_over = None;
        }
        is_from_before
    }

    fn is_plausible(&self, t: usize, at: i64) -> bool {
        let newest = |t: usize| self.last.get(t).copied().flatten();
        let in_push = |t: usize| self.in_push.get(t).copied().unwrap_or(false);
        let other = 1 - t.min(1);
        let is_near_other = newest(other)
            .filter(|_| in_push(other))
            .is_some_and(|other| (at - other).abs() <= FORWARD_LIMIT_MS);
        match newest(t) {
            Some(own) if in_push(t) => {
                let step = at - own;
                step >= -BACKWARD_LIMIT_MS && (step <= FORWARD_LIMIT_MS || is_near_other)
            }
            // What an earlier push brought is not to be overlapped.
            own => is_near_other && own.is_none_or(|own| at - own >= -BACKWARD_LIMIT_MS),
        }
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
        let cts_ms = if t == index(Track::Video) {
            self.shown_early(wanted, dts)
        } else {
            0
        };
        Placed {
            dts_ms: dts,
            cts_ms,
            jumped,
        }
    }

    /// The offset of a picture that was sent with an earlier time than one before it: it is shown then. One that repeats a time goes on after
    /// its predecessor.
    fn shown_early(&mut self, wanted: i64, dts: i64) -> i32 {
        let latest = self.latest_sent.unwrap_or(wanted);
        self.latest_sent = Some(latest.max(wanted));
        if wanted < latest {
            i32::try_from(wanted - dts).unwrap_or(0)
        } else {
            0
        }
    }
}

fn plausible_offset(cts_ms: i32) -> i32 {
    if i64::from(cts_ms).abs() > FORWARD_LIMIT_MS {
        0
    } else {
        cts_ms
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
            .map(|(track, raw)| timeline.place(*track, *raw, 0).dts_ms)
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
    fn a_short_jump_back_leaves_no_hole_while_the_other_track_brings_its_rest() {
        let mut timeline = Timeline::default();
        let frames = [
            (Video, 5_000),
            (Audio, 4_980),
            (Video, 2_000),
            (Audio, 5_003),
            (Video, 2_040),
            (Audio, 2_003),
            (Video, 2_080),
        ];
        let out = place(&mut timeline, &frames);
        assert_eq!(out, [0, -20, 40, 3, 80, 43, 120]);
        assert_eq!(timeline.jumps(), 1);
        // A track that was silent meanwhile comes back by the new clock.
        for raw in (2_120..5_000).step_by(40) {
            timeline.place(Video, raw, 0);
        }
        let skew = timeline.place(Audio, 4_960, 0).dts_ms - (4_960 - 1_960);
        assert_eq!((skew, timeline.jumps()), (0, 1));
        let mut timeline = Timeline::default();
        place(&mut timeline, &[(Video, 5_000), (Audio, 5_000)]);
        for raw in (2_000..5_000).step_by(40) {
            timeline.place(Video, raw, 0);
        }
        let offset = timeline.place(Video, 5_000, 0).dts_ms - 5_000;
        assert_eq!(timeline.place(Audio, 5_000, 0).dts_ms, 5_000 + offset);
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
    fn pictures_that_are_sent_with_the_times_of_their_showing_are_shown_then() {
        let mut timeline = Timeline::default();
        let sent = [0, 120, 40, 80, 240, 160, 200];
        let placed = sent.map(|raw| timeline.place(Video, raw, 0));
        let shown = placed.map(|it| it.dts_ms + i64::from(it.cts_ms));
        assert_eq!(
            placed.map(|it| it.dts_ms),
            [0, 120, 121, 122, 240, 241, 242]
        );
        assert_eq!(shown, sent.map(i64::from));
        assert_eq!(timeline.jumps(), 0);
        // The next push knows nothing of it: it begins behind what there is.
        timeline.begin_push();
        let next = timeline.place(Video, 0, 0);
        assert!(next.dts_ms > 242 && next.cts_ms == 0, "{next:?}");
    }

    #[test]
    fn only_pictures_that_go_back_are_shown_before_they_are_decoded() {
        let offsets = |sent: &[(Track, u32, i32)]| {
            let mut timeline = Timeline::default();
            let mut found = Vec::new();
            for (track, raw, cts_ms) in sent {
                found.push(timeline.place(*track, *raw, *cts_ms).cts_ms);
            }
            found
        };
        let repeated = [(Video, 5, 0), (Video, 5, 0), (Video, 5, 0), (Video, 6, 0)];
        assert_eq!(offsets(&repeated), [0; 4]);
        let sound = [(Audio, 0, 0), (Audio, 46, 0), (Audio, 23, 0)];
        assert_eq!(offsets(&sound), [0; 3]);
        // What was sent with it counts as well, and no container is asked for more than all can carry.
        let late = [(Video, 2_000, 0), (Video, 1_960, 80), (Video, 1_100, 0)];
        assert_eq!(offsets(&late), [0, 39, -500]);
        let low = [(Video, 2_000, 0), (Video, 1_900, -700)];
        assert_eq!(offsets(&low), [0, -700]);
        let jump = [(Video, 60_000, 0), (Video, 0, 0), (Video, 40, 0)];
        assert_eq!(offsets(&jump), [0; 3]);
    }

    #[test]
    fn a_track_that_was_silent_comes_back_in_step_with_the_other() {
        let mut timeline = Timeline::default();
        let mut seen = Vec::new();
        for n in 0..1_000_u32 {
            let raw = n * 40;
            assert_eq!(timeline.place(Video, raw, 0).dts_ms, i64::from(raw));
            if !(100..500).contains(&n) {
                seen.push(timeline.place(Audio, raw, 0).dts_ms - i64::from(raw));
            }
        }
        assert!(seen.iter().all(|skew| *skew == 0), "{seen:?}");
        assert_eq!(timeline.jumps(), 0);
    }

    #[test]
    fn sound_far_behind_the_picture_stays_there() {
        for behind in [1_100_u32, 3_000, 9_900] {
            let mut timeline = Timeline::default();
            for n in 0..300_u32 {
                let raw = 20_000 + n * 40;
                let picture = timeline.place(Video, raw, 0).dts_ms;
                let sound = timeline.place(Audio, raw - behind, 0).dts_ms;
                assert_eq!(
                    (picture, sound),
                    (i64::from(n * 40), picture - i64::from(behind))
                );
            }
            assert_eq!(timeline.jumps(), 0);
        }
    }

    #[test]
    fn a_push_cut_between_reordered_pictures_is_followed_by_later_ones() {
        let mut timeline = Timeline::default();
        // I P B in decoding order, and the second B lost: the P is shown last.
        let shown = [(0, 40), (40, 120), (80, 0)]
            .map(|(raw, cts)| timeline.place(Video, raw, cts).dts_ms + i64::from(cts));
        timeline.begin_push();
        let next = timeline.place(Video, 7_000, 40).dts_ms + 40;
        assert_eq!((shown, next), ([40, 160, 80], 200));
        // A whole group leaves no gap.
        let mut timeline = Timeline::default();
        for (raw, cts) in [(0, 40), (40, 120), (80, 0), (120, 0)] {
            timeline.place(Video, raw, cts);
        }
        timeline.begin_push();
        assert_eq!(timeline.place(Video, 0, 40).dts_ms, 160);
    }

    #[test]
    fn a_picture_with_a_wild_composition_offset_is_shown_when_it_is_decoded() {
        for wild in [i32::MIN, -10_001, 10_001, 4_000_000, i32::MAX] {
            let mut timeline = Timeline::default();
            let shown = [(0, 80), (40, wild), (80, -80), (120, 10_000)]
                .map(|(raw, cts)| timeline.place(Video, raw, cts).cts_ms);
            assert_eq!((shown, timeline.jumps()), ([80, 0, -80, 10_000], 1));
        }
        // The next push begins where the pictures end, and not where that one would have been shown.
        let mut timeline = Timeline::default();
        timeline.place(Video, 0, 0);
        timeline.place(Video, 40, 4_000_000);
        timeline.begin_push();
        assert_eq!(timeline.place(Video, 0, 0).dts_ms, 80);
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
