//! Where slices and files begin and end: pure, and a function of the spool's records alone, so that what was decided live is
//! decided again in the same way when a spool is read after a crash.
//!
//! One [`Lane`] a format. Sliced formats (m3u8, cmaf) cut slices at the first cut point at or after SliceDuration and files at the first
//! slice edge at or after CycleDuration; mp4 and flv cut files at the first cut point at or after CycleDuration. A cut point is a key
//! frame, or any audio frame while there is no picture.
//!
//! All fragments of a CMAF file share one header, so a changed codec configuration ends the file at the next cut point; the other formats
//! carry the change inside.

use serde::{Deserialize, Serialize};

use crate::clock::UnixMs;
use crate::live::decide::position::Position;
use crate::media::frame::Track;
use crate::model::rule::{Format, FormatRule};

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

fn first_segment(from: Position, configs: Configs) -> u32 {
    let configs = [configs.video, configs.audio].into_iter().flatten();
    configs.map(|at| at.segment).fold(from.segment, u32::min)
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
    /// The lowest composition offset in it; never above zero.
    pub lowest_cts_ms: i32,
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
    /// What its header is made from (CMAF): its last slice. A configuration that changes ends the file, so all of it has the same.
    pub header: Option<Span>,
}

/// An MP4 file that has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenMp4 {
    pub lane: usize,
    pub number: u64,
    pub from: Position,
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
    /// The lowest composition offset so far; never above zero.
    #[serde(default)]
    lowest_cts_ms: i32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct OpenFile {
    from: Position,
    configs: Configs,
    /// Fingerprints of the configurations that its header announces, by track.
    #[serde(default)]
    announced: [Option<u32>; 2],
    start_ms: i64,
    anchor_ms: Option<i64>,
    started_at: UnixMs,
    decodable: bool,
    slices: Option<(u64, u64)>,
    /// What its newest slice was made of.
    #[serde(default)]
    newest: Option<Span>,
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
    /// Fingerprints of the configurations in force, by track.
    #[serde(default)]
    prints: [Option<u32>; 2],
}

impl Span {
    /// The first segment that is needed to read it.
    #[must_use]
    pub fn first_segment(&self) -> u32 {
        first_segment(self.from, self.configs)
    }
}

impl Output {
    /// The first segment of the spool that it is made from.
    fn first_segment(&self) -> Option<u32> {
        match self {
            Self::Slice(slice) => Some(slice.span.first_segment()),
            Self::File(file) if file.slices.is_none() => Some(file.span.first_segment()),
            Self::File(file) => file.header.map(|span| span.first_segment()),
        }
    }
}

/// Each output with the first segment that is still needed once it is made: for what is open, and for the outputs behind it.
#[must_use]
pub fn with_needs(outputs: Vec<Output>, open: u32) -> Vec<(Output, u32)> {
    let mut needed = open;
    let mut all: Vec<(Output, u32)> = outputs
        .into_iter()
        .rev()
        .map(|output| {
            let behind = needed;
            needed = output.first_segment().map_or(needed, |own| own.min(needed));
            (output, behind)
        })
        .collect();
    all.reverse();
    all
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
            prints: [None; 2],
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
                let file = lane.file.as_ref().and_then(|file| {
                    if lane.rule.format.is_sliced() {
                        file.newest
                            .filter(|_| lane.rule.format == Format::Cmaf)
                            .map(|span| span.first_segment())
                    } else {
                        Some(first_segment(file.from, file.configs))
                    }
                });
                let slice = lane.slice.as_ref();
                [file, slice.map(|s| first_segment(s.from, s.configs))]
            })
            .flatten()
            .min()
    }

    /// The MP4 files that have begun.
    #[must_use]
    pub fn open_mp4s(&self) -> Vec<OpenMp4> {
        let lanes = self.lanes.iter().enumerate();
        lanes
            .filter(|(_, lane)| lane.rule.format == Format::Mp4)
            .filter_map(|(n, lane)| {
                Some(OpenMp4 {
                    lane: n,
                    number: lane.next_number,
                    from: lane.file.as_ref()?.from,
                })
            })
            .collect()
    }

    /// A codec configuration lies at `at` and holds from there on; `print` tells one configuration from another.
    pub fn config(&mut self, at: Position, track: Track, print: u32) {
        let [video, audio] = &mut self.prints;
        match track {
            Track::Video => {
                self.configs.video = Some(at);
                *video = Some(print);
            }
            Track::Audio => {
                self.configs.audio = Some(at);
                *audio = Some(print);
            }
        }
        // A track's first configuration in a file is what the header announces, also when it comes late.
        for file in self.lanes.iter_mut().filter_map(|lane| lane.file.as_mut()) {
            for (announced, print) in file.announced.iter_mut().zip(self.prints) {
                *announced = announced.or(print);
            }
        }
    }

    /// Takes the next frame, which lies at `at` in the spool.
    pub fn frame(
        &mut self,
        at: Position,
        track: Track,
        (dts_ms, cts_ms): (i64, i32),
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
        let (configs, announced) = (self.configs, self.prints);
        for lane in &mut self.lanes {
            let file = lane.file.get_or_insert(OpenFile {
                from: at,
                configs,
                announced,
                start_ms: dts_ms,
                anchor_ms: None,
                started_at: wall,
                decodable: false,
                slices: None,
                newest: None,
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
                    lowest_cts_ms: 0,
                });
                slice.lowest_cts_ms = slice.lowest_cts_ms.min(cts_ms);
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
        let outdated = l.rule.format == Format::Cmaf
            && l.file.as_ref().is_some_and(|f| f.announced != self.prints);
        if outdated {
            self.close_slice(lane, at, dts_ms, out);
            self.close_file(lane, at, dts_ms, out);
            return;
        }
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
        let span = Span {
            from: open.from,
            to: at,
            configs: open.configs,
        };
        if let Some(file) = &mut l.file {
            file.newest = Some(span);
            file.slices = Some(
                file.slices
                    .map_or((sequence, sequence), |(first, _)| (first, sequence)),
            );
        }
        out.push(Output::Slice(Slice {
            lane,
            sequence,
            file: l.next_number,
            span,
            start_ms: open.start_ms,
            duration_ms: (end_ms - open.start_ms).max(1),
            started_at: open.started_at,
            ended_at,
            discontinuity: open.discontinuity,
            lowest_cts_ms: open.lowest_cts_ms,
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
            header: open.newest.filter(|_| l.rule.format == Format::Cmaf),
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
mod tests;
