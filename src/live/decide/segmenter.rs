//! Where slices and files begin and end: pure, and a function of the spool's records alone, so that what was decided live is
//! decided again in the same way when a spool is read after a crash.
//!
//! One [`Lane`] a format. Sliced formats (m3u8, cmaf) cut slices at the first cut point at or after SliceDuration and files at the first
//! slice edge at or after CycleDuration; mp4 and flv cut files at the first cut point at or after CycleDuration. A cut point is a key
//! frame and nothing else, unless no picture has come for [`PICTURE_LOST_MS`]: then any audio frame is one.
//!
//! What one file cannot hold ends it at a cut point (docs/media.md has the table, [`lane`] the rules). Where sound changes in the midst of a group
//! of pictures, the cut lies before the key frame that it came right after, or else before the next one: the new sound belongs to the
//! new file, the pictures on this side of the cut to the old one. So the ranges of two files may overlap, and [`Span`] tells which
//! track of the overlap is whose.

mod lane;
mod print;

use serde::{Deserialize, Serialize};

use crate::clock::UnixMs;
use crate::live::decide::position::Position;
use crate::media::frame::Track;
use crate::model::rule::{Format, FormatRule};
use lane::{End, Gap, Lane, Moment};
pub use print::Print;

/// What containers have room for before the first frame that came.
const ROOM_MS: i64 = 500;
/// Without a picture for this long, sound alone decides the cuts, and is recorded alone.
pub const PICTURE_LOST_MS: i64 = 10_000;
/// How long a picture lasts that has none before it.
const LONE_PICTURE_MS: i64 = 40;
/// Pictures further apart than this tell nothing of how long one lasts.
const LONGEST_PICTURE_MS: i64 = 1_000;

/// What a slice or file is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Span {
    pub from: Position,
    pub to: Position,
    /// Where the codec configurations in force at `from` lie, of the tracks that it holds.
    pub configs: Configs,
    /// Sound from here on is not in it.
    #[serde(default)]
    pub sound_to: Option<Position>,
    /// Pictures before this are not in it.
    #[serde(default)]
    pub pictures_from: Option<Position>,
    /// Pictures from here on are not in it.
    #[serde(default)]
    pub pictures_to: Option<Position>,
    /// Sound before this is not in it.
    #[serde(default)]
    pub sound_from: Option<Position>,
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
    /// What is zero in the time stamps of the recording's slices; never above zero.
    #[serde(default)]
    pub origin_ms: i64,
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
    /// Its pictures have more than one configuration (mp4, flv).
    #[serde(default)]
    pub several: bool,
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

/// A place in the spool, its media time, and the configurations in force there.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Place {
    at: Position,
    dts_ms: i64,
    configs: Configs,
    prints: [Print; 2],
}

impl Place {
    fn sound(&self) -> Print {
        let [_, audio] = self.prints;
        audio
    }
}

/// The segmenter of one session.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Segmenter {
    lanes: Vec<Lane>,
    /// Media time and wall time of the same instant in the current push.
    anchor: (i64, UnixMs),
    /// The newest picture; before the first one, since when it is waited for.
    #[serde(default)]
    last_picture_ms: Option<i64>,
    /// Where the newest picture ends, if it lasts as long as the one before it.
    #[serde(default)]
    pictures_end_ms: Option<i64>,
    after_gap: bool,
    cut_wanted: bool,
    configs: Configs,
    /// Of the configurations in force, by track.
    #[serde(default)]
    in_force: [Print; 2],
    /// The interruption that no picture has come after.
    #[serde(default)]
    gap: Option<Gap>,
    /// The first sound since the newest picture, or since the push began.
    #[serde(default)]
    lead: Option<Place>,
    /// The newest key frame of the push.
    #[serde(default)]
    key: Option<Place>,
    /// What is zero in the time stamps of slices. A track's first frame may lie seconds before the frame that came first.
    #[serde(default)]
    origin_ms: i64,
}

impl Configs {
    /// Takes one track's from others.
    fn take(&mut self, track: Track, from: Self) {
        match track {
            Track::Video => self.video = from.video,
            Track::Audio => self.audio = from.audio,
        }
    }
}

impl Span {
    /// Whether a frame within the range is in it, or its neighbour's.
    #[must_use]
    pub fn holds(&self, at: Position, track: Track) -> bool {
        let (from, to) = match track {
            Track::Video => (self.pictures_from, self.pictures_to),
            Track::Audio => (self.sound_from, self.sound_to),
        };
        from.is_none_or(|from| at >= from) && to.is_none_or(|to| at < to)
    }

    /// Whether every frame within the range is in it.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let edges = [
            self.pictures_from,
            self.pictures_to,
            self.sound_from,
            self.sound_to,
        ];
        edges.iter().all(Option::is_none)
    }

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
            .map(|rule| Lane::new(rule.clone(), first_sequence))
            .collect();
        Self {
            lanes,
            anchor: (0, wall),
            last_picture_ms: None,
            pictures_end_ms: None,
            after_gap: false,
            cut_wanted: false,
            configs: Configs::default(),
            in_force: [Print::default(); 2],
            gap: None,
            lead: None,
            key: None,
            origin_ms: 0,
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

    /// The first segment of the spool that an open slice or file still needs, or one that is cut off from its key frame would.
    #[must_use]
    pub fn keep_from(&self) -> Option<u32> {
        let key = self.key.map(|key| first_segment(key.at, key.configs));
        self.lanes
            .iter()
            .filter_map(Lane::keep_from)
            .chain(key)
            .min()
    }

    /// The MP4 files that have begun and may be written from their begin on.
    #[must_use]
    pub fn open_mp4s(&self) -> Vec<OpenMp4> {
        let lanes = self.lanes.iter().enumerate();
        lanes
            .filter(|(_, lane)| lane.rule.format == Format::Mp4)
            .filter_map(|(lane, open)| {
                let (number, from) = open.growing()?;
                Some(OpenMp4 { lane, number, from })
            })
            .collect()
    }

    /// A codec configuration lies at `at` and holds from there on; `print` tells one configuration from another.
    pub fn config(&mut self, at: Position, track: Track, print: Print) {
        let [video, audio] = &mut self.in_force;
        match track {
            Track::Video => {
                self.configs.video = Some(at);
                *video = print;
            }
            Track::Audio => {
                self.configs.audio = Some(at);
                *audio = print;
            }
        }
    }

    /// Whether slices and files may end before the frame that comes next.
    #[must_use]
    pub fn cuts_at(&self, track: Track, dts_ms: i64, key: bool) -> bool {
        let [video, _] = self.in_force;
        match (track, self.last_picture_ms) {
            (Track::Video, _) => key,
            (Track::Audio, Some(last_ms)) => dts_ms - last_ms > PICTURE_LOST_MS,
            // The first picture is waited for where a configuration tells of one.
            (Track::Audio, None) => video.codec.is_none(),
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
        let [video, audio] = self.in_force;
        let cut_point = self.cuts_at(track, dts_ms, key);
        let print = match track {
            Track::Video => video,
            Track::Audio => {
                if video.codec.is_some() {
                    self.last_picture_ms.get_or_insert(dts_ms);
                }
                audio
            }
        };
        let here = Place {
            at,
            dts_ms,
            configs: self.configs,
            prints: [video, audio],
        };
        self.origin_ms = self.origin_ms.min(dts_ms + ROOM_MS);
        if track == Track::Audio {
            self.lead.get_or_insert(here);
        }
        // A gap breaks the timeline of what comes first after it.
        let breaks = std::mem::take(&mut self.after_gap);
        for (number, lane) in self.lanes.iter_mut().enumerate() {
            if !cut_point && !breaks && lane.goes_on(track, print, cts_ms) {
                continue;
            }
            let moment = Moment {
                here,
                track,
                cut_point,
                cts_ms,
                anchor: self.anchor,
                lead: self.lead,
                key_place: self.key,
                pictures_end_ms: self.pictures_end_ms,
                gap: self.gap,
                cut_wanted: self.cut_wanted,
                breaks,
            };
            let before = out.len();
            lane.take(&moment, out);
            number_them(out, before, number, self.origin_ms);
        }
        self.cut_wanted &= !cut_point;
        if track == Track::Video {
            self.pictures_end_ms = Some(dts_ms + self.picture_lasts_ms(dts_ms));
            self.last_picture_ms = Some(dts_ms);
            (self.lead, self.gap) = (None, None);
            if key {
                self.key = Some(here);
            }
        } else if cut_point {
            self.key = None;
        }
    }

    /// How long a picture lasts whose successor is not known.
    fn picture_lasts_ms(&self, dts_ms: i64) -> i64 {
        let before = self.last_picture_ms.zip(self.pictures_end_ms);
        before.map_or(LONE_PICTURE_MS, |(last_ms, end_ms)| {
            let step_ms = dts_ms - last_ms;
            if step_ms <= LONGEST_PICTURE_MS {
                step_ms
            } else {
                end_ms - last_ms
            }
        })
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
        let end = self.end(at, end_ms);
        self.gap = Some(Gap {
            end_ms,
            ended_at: end.ended_at,
        });
        (self.lead, self.key) = (None, None);
        for (number, lane) in self.lanes.iter_mut().enumerate() {
            let before = out.len();
            lane.pause(end, out);
            number_them(out, before, number, self.origin_ms);
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
        let end = self.end(at, end_ms);
        for (number, lane) in self.lanes.iter_mut().enumerate() {
            let before = out.len();
            lane.finish(end, out);
            number_them(out, before, number, self.origin_ms);
        }
    }

    fn end(&self, to: Position, end_ms: i64) -> End {
        End {
            to,
            end_ms,
            ended_at: self.wall(end_ms),
            pictures_to: None,
        }
    }
}

/// Says of which lane the newest outputs are, and what is zero in them.
fn number_them(out: &mut [Output], from: usize, number: usize, origin_ms: i64) {
    for output in out.iter_mut().skip(from) {
        match output {
            Output::Slice(slice) => (slice.lane, slice.origin_ms) = (number, origin_ms),
            Output::File(file) => file.lane = number,
        }
    }
}

#[cfg(test)]
mod tests;
