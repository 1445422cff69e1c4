//! Where slices and files begin and end: pure, and a function of the spool's records alone, so that what was decided live is
//! decided again in the same way when a spool is read after a crash.
//!
//! One [`Lane`] a format. Sliced formats (m3u8, cmaf) cut slices at the first cut point at or after SliceDuration and files at the first
//! slice edge at or after CycleDuration; mp4 and flv cut files at the first cut point at or after CycleDuration. A cut point is a key
//! frame, or any audio frame while there is no picture.

use serde::{Deserialize, Serialize};

use crate::clock::UnixMs;
use crate::live::spool::Position;
use crate::media::frame::Track;
use crate::model::rule::FormatRule;

/// Timestamps are rounded to milliseconds, so a key frame may come this much before its nominal time.
const SLACK_MS: i64 = 20;
/// Without a picture for this long, sound alone decides the cuts.
const PICTURE_LOST_MS: i64 = 10_000;

/// What a slice or file is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    pub from: Position,
    pub to: Position,
    /// Where the codec configurations in force at `from` lie.
    pub configs: Configs,
}

/// The places of the newest codec configurations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Configs {
    pub video: Option<Position>,
    pub audio: Option<Position>,
}

/// A slice that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    pub lane: usize,
    /// The stream's counter, which goes into the object name.
    pub sequence: u64,
    /// The file (cycle) the slice belongs to.
    pub file: u64,
    pub span: Span,
    pub start_ms: i64,
    pub duration_ms: i64,
    pub started_at: UnixMs,
    pub ended_at: UnixMs,
    /// The first slice after an interruption.
    pub discontinuity: bool,
}

/// A file that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    pub lane: usize,
    /// Counts the files of a lane in the session from 0.
    pub number: u64,
    pub span: Span,
    /// Sum of the media, interruptions not counted.
    pub duration_ms: i64,
    pub started_at: UnixMs,
    pub ended_at: UnixMs,
    /// The counters of its first and last slice (sliced formats).
    pub slices: Option<(u64, u64)>,
}

/// What the segmenter decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Output {
    Slice(Slice),
    File(File),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct OpenSlice {
    from: Position,
    configs: Configs,
    start_ms: i64,
    /// From where the target is measured: the first cut point.
    anchor_ms: Option<i64>,
    started_at: UnixMs,
    discontinuity: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct OpenFile {
    from: Position,
    configs: Configs,
    start_ms: i64,
    anchor_ms: Option<i64>,
    started_at: UnixMs,
    decodable: bool,
    slices: Option<(u64, u64)>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Lane {
    rule: FormatRule,
    /// The counter of the next slice.
    next_sequence: u64,
    next_number: u64,
    file: Option<OpenFile>,
    slice: Option<OpenSlice>,
}

/// The segmenter of one session.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Segmenter {
    lanes: Vec<Lane>,
    /// Media time and wall time of the same instant in the current push.
    anchor: (i64, UnixMs),
    last_key_ms: Option<i64>,
    after_gap: bool,
    cut_wanted: bool,
    configs: Configs,
}

impl Segmenter {
    #[must_use]
    pub fn new(formats: &[FormatRule], first_sequence: u64, wall: UnixMs) -> Self {
        let lanes = formats
            .iter()
            .map(|rule| Lane {
                rule: rule.clone(),
                next_sequence: first_sequence,
                next_number: 0,
                file: None,
                slice: None,
            })
            .collect();
        Self {
            lanes,
            anchor: (0, wall),
            last_key_ms: None,
            after_gap: false,
            cut_wanted: false,
            configs: Configs::default(),
        }
    }

    /// The wall time of a media time.
    #[must_use]
    pub fn wall(&self, media_ms: i64) -> UnixMs {
        self.anchor.1 + media_ms - self.anchor.0
    }

    /// The counter that the stream's next recording starts at.
    #[must_use]
    pub fn next_sequence(&self) -> u64 {
        self.lanes
            .iter()
            .map(|lane| lane.next_sequence)
            .max()
            .unwrap_or(0)
    }

    /// The first segment of the spool that an open slice or file still needs.
    #[must_use]
    pub fn keep_from(&self) -> Option<u32> {
        self.lanes
            .iter()
            .flat_map(|lane| {
                [
                    lane.file
                        .as_ref()
                        .filter(|_| !lane.rule.format.is_sliced())
                        .map(|f| f.from.segment),
                    lane.slice.as_ref().map(|s| s.from.segment),
                ]
            })
            .flatten()
            .min()
    }

    /// A codec configuration lies at `at` and holds from there on.
    pub fn config(&mut self, at: Position, track: Track) {
        match track {
            Track::Video => self.configs.video = Some(at),
            Track::Audio => self.configs.audio = Some(at),
        }
    }

    /// Takes the next frame, which lies at `at` in the spool.
    pub fn frame(
        &mut self,
        at: Position,
        track: Track,
        dts_ms: i64,
        key: bool,
        out: &mut Vec<Output>,
    ) {
        let cut_point = match track {
            Track::Video => key,
            Track::Audio => self
                .last_key_ms
                .is_none_or(|last| dts_ms - last > PICTURE_LOST_MS),
        };
        if track == Track::Video && key {
            self.last_key_ms = Some(dts_ms);
        }
        if cut_point {
            if self.cut_wanted {
                self.close_files(at, dts_ms, out);
            } else {
                for lane in 0..self.lanes.len() {
                    self.cut_if_due(lane, at, dts_ms, out);
                }
            }
        }
        let wall = self.wall(dts_ms);
        let discontinuity = std::mem::take(&mut self.after_gap);
        let configs = self.configs;
        for lane in &mut self.lanes {
            let file = lane.file.get_or_insert(OpenFile {
                from: at,
                configs,
                start_ms: dts_ms,
                anchor_ms: None,
                started_at: wall,
                decodable: false,
                slices: None,
            });
            if cut_point {
                file.anchor_ms.get_or_insert(dts_ms);
                file.decodable = true;
            }
            if lane.rule.format.is_sliced() {
                let slice = lane.slice.get_or_insert(OpenSlice {
                    from: at,
                    configs,
                    start_ms: dts_ms,
                    anchor_ms: None,
                    started_at: wall,
                    discontinuity,
                });
                if cut_point {
                    slice.anchor_ms.get_or_insert(dts_ms);
                }
            }
        }
    }

    fn cut_if_due(&mut self, lane: usize, at: Position, dts_ms: i64, out: &mut Vec<Output>) {
        let Some(l) = self.lanes.get(lane) else {
            return;
        };
        let due = |anchor: Option<i64>, target_s: i64| {
            anchor.is_some_and(|anchor| dts_ms + SLACK_MS >= anchor + target_s * 1000)
        };
        let file_due = l
            .file
            .as_ref()
            .is_some_and(|f| due(f.anchor_ms, l.rule.cycle_s));
        if l.rule.format.is_sliced() {
            let target = l.rule.slice_s.min(l.rule.cycle_s);
            if !l.slice.as_ref().is_some_and(|s| due(s.anchor_ms, target)) {
                return;
            }
            self.close_slice(lane, at, dts_ms, out);
        }
        if file_due {
            self.close_file(lane, at, dts_ms, out);
        }
    }

    fn close_slice(&mut self, lane: usize, at: Position, end_ms: i64, out: &mut Vec<Output>) {
        let ended_at = self.wall(end_ms);
        let Some(l) = self.lanes.get_mut(lane) else {
            return;
        };
        let Some(open) = l.slice.take() else { return };
        let sequence = l.next_sequence;
        l.next_sequence += 1;
        if let Some(file) = &mut l.file {
            file.slices = Some(
                file.slices
                    .map_or((sequence, sequence), |(first, _)| (first, sequence)),
            );
        }
        out.push(Output::Slice(Slice {
            lane,
            sequence,
            file: l.next_number,
            span: Span {
                from: open.from,
                to: at,
                configs: open.configs,
            },
            start_ms: open.start_ms,
            duration_ms: (end_ms - open.start_ms).max(1),
            started_at: open.started_at,
            ended_at,
            discontinuity: open.discontinuity,
        }));
    }

    fn close_file(&mut self, lane: usize, at: Position, end_ms: i64, out: &mut Vec<Output>) {
        let ended_at = self.wall(end_ms);
        let Some(l) = self.lanes.get_mut(lane) else {
            return;
        };
        let Some(open) = l.file.take() else { return };
        // Nothing that a player could show: no file and no event.
        if !open.decodable {
            return;
        }
        out.push(Output::File(File {
            lane,
            number: l.next_number,
            span: Span {
                from: open.from,
                to: at,
                configs: open.configs,
            },
            duration_ms: (end_ms - open.start_ms).max(1),
            started_at: open.started_at,
            ended_at,
            slices: open.slices,
        }));
        l.next_number += 1;
    }

    /// Asks for new files at the next cut point.
    pub fn want_cut(&mut self) {
        self.cut_wanted = true;
    }

    /// Whether a wanted cut has not come yet.
    #[must_use]
    pub fn cut_is_wanted(&self) -> bool {
        self.cut_wanted
    }

    /// The stream was lost or paused at `end_ms`: slices end, files stay open.
    pub fn pause(&mut self, at: Position, end_ms: i64, out: &mut Vec<Output>) {
        for lane in 0..self.lanes.len() {
            self.close_slice(lane, at, end_ms, out);
        }
    }

    /// The stream is back: the media continues at `media_ms`, which is `wall` by the clock.
    pub fn resume(&mut self, media_ms: i64, wall: UnixMs) {
        self.anchor = (media_ms, wall.max(self.wall(media_ms)));
        self.after_gap = true;
    }

    /// Ends every slice and file at `end_ms`.
    pub fn close_files(&mut self, at: Position, end_ms: i64, out: &mut Vec<Output>) {
        self.cut_wanted = false;
        self.pause(at, end_ms, out);
        for lane in 0..self.lanes.len() {
            self.close_file(lane, at, end_ms, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rule::Format;

    fn lane(format: Format, slice_s: i64, cycle_s: i64) -> FormatRule {
        FormatRule {
            format,
            object_prefix: String::new(),
            slice_prefix: None,
            slice_s,
            cycle_s,
        }
    }

    /// 25 fps with a key frame every `gop_s` seconds and an audio frame beside every picture.
    fn push(
        segmenter: &mut Segmenter,
        from_ms: i64,
        seconds: i64,
        gop_s: i64,
        out: &mut Vec<Output>,
    ) -> (Position, i64) {
        let mut at = Position {
            segment: 0,
            offset: u64::try_from(from_ms).unwrap(),
        };
        for i in 0..seconds * 25 {
            let dts = from_ms + i * 40;
            at.offset = u64::try_from(dts).unwrap() * 2;
            segmenter.frame(at, Track::Video, dts, i % (gop_s * 25) == 0, out);
            at.offset += 1;
            segmenter.frame(at, Track::Audio, dts, false, out);
        }
        at.offset += 1;
        (at, from_ms + seconds * 1000)
    }

    fn slices(out: &[Output]) -> Vec<i64> {
        out.iter()
            .filter_map(|o| {
                if let Output::Slice(s) = o {
                    Some(s.duration_ms)
                } else {
                    None
                }
            })
            .collect()
    }

    fn files(out: &[Output]) -> Vec<(u64, i64)> {
        out.iter()
            .filter_map(|o| {
                if let Output::File(f) = o {
                    Some((f.number, f.duration_ms))
                } else {
                    None
                }
            })
            .collect()
    }

    #[test]
    fn slices_are_cut_at_the_first_key_frame_after_the_target() {
        let mut out = Vec::new();
        let mut segmenter = Segmenter::new(&[lane(Format::M3u8, 5, 21_600)], 7, 0);
        let (at, end) = push(&mut segmenter, 0, 40, 4, &mut out);
        segmenter.close_files(at, end, &mut out);
        assert_eq!(slices(&out), [8_000; 5]);
        assert_eq!(files(&out), [(0, 40_000)]);
        assert_eq!(segmenter.next_sequence(), 12);
    }

    #[test]
    fn each_format_has_its_own_cycle() {
        let mut out = Vec::new();
        let mut segmenter = Segmenter::new(
            &[lane(Format::M3u8, 5, 3600), lane(Format::Mp4, 30, 20)],
            0,
            0,
        );
        let (at, end) = push(&mut segmenter, 0, 50, 2, &mut out);
        segmenter.close_files(at, end, &mut out);
        let mp4: Vec<i64> = out
            .iter()
            .filter_map(|o| {
                if let Output::File(File {
                    lane: 1,
                    duration_ms,
                    ..
                }) = o
                {
                    Some(*duration_ms)
                } else {
                    None
                }
            })
            .collect();
        assert_eq!(mp4, [20_000, 20_000, 10_000]);
        assert_eq!(slices(&out).iter().sum::<i64>(), 50_000);
    }

    #[test]
    fn a_gap_belongs_to_the_clock_and_not_to_the_media() {
        let mut out = Vec::new();
        let mut segmenter = Segmenter::new(&[lane(Format::M3u8, 5, 21_600)], 0, 1_000_000);
        let (at, end) = push(&mut segmenter, 0, 20, 2, &mut out);
        segmenter.pause(at, end, &mut out);
        segmenter.resume(end, segmenter.wall(end) + 10_000);
        let (at, end) = push(&mut segmenter, end, 20, 2, &mut out);
        segmenter.close_files(at, end, &mut out);
        let Some(Output::File(file)) = out.last() else {
            panic!("no file")
        };
        assert_eq!(
            (file.duration_ms, file.ended_at - file.started_at),
            (40_000, 50_000)
        );
        let marked = out
            .iter()
            .filter(|o| matches!(o, Output::Slice(s) if s.discontinuity))
            .count();
        assert_eq!(marked, 1);
    }

    #[test]
    fn sound_alone_is_cut_at_audio_frames_and_a_stream_without_key_frames_makes_no_file() {
        let mut out = Vec::new();
        let mut segmenter = Segmenter::new(&[lane(Format::M3u8, 5, 21_600)], 0, 0);
        let mut at = Position {
            segment: 0,
            offset: 0,
        };
        for i in 0..500 {
            at.offset += 1;
            segmenter.frame(at, Track::Audio, i * 24, false, &mut out);
        }
        segmenter.close_files(at, 12_000, &mut out);
        assert_eq!(slices(&out).len(), 3);
        assert_eq!(files(&out), [(0, 12_000)]);

        let mut out = Vec::new();
        let mut segmenter = Segmenter::new(&[lane(Format::Mp4, 5, 21_600)], 0, 0);
        segmenter.frame(at, Track::Video, 0, false, &mut out);
        segmenter.close_files(at, 40, &mut out);
        assert_eq!(out, []);
    }

    #[test]
    fn the_segmenter_goes_on_alike_after_being_stored() {
        let rules = [lane(Format::M3u8, 5, 20), lane(Format::Flv, 30, 10)];
        let (mut whole, mut parts) = (Vec::new(), Vec::new());
        let mut one = Segmenter::new(&rules, 0, 0);
        push(&mut one, 0, 13, 2, &mut whole);
        let (at, end) = push(&mut one, 13_000, 30, 2, &mut whole);
        one.close_files(at, end, &mut whole);

        let mut two = Segmenter::new(&rules, 0, 0);
        push(&mut two, 0, 13, 2, &mut parts);
        let text = serde_json::to_string(&two).unwrap();
        let mut two: Segmenter = serde_json::from_str(&text).unwrap();
        let (at, end) = push(&mut two, 13_000, 30, 2, &mut parts);
        two.close_files(at, end, &mut parts);
        assert_eq!(whole, parts);
    }
}
