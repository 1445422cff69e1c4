//! One format of a recording: its open file and slice, and what a frame ends of them.

use serde::{Deserialize, Serialize};

use super::print::Print;
use super::{Configs, File, Output, Place, Slice, Span, first_segment};
use crate::clock::UnixMs;
use crate::live::decide::position::Position;
use crate::media::flv::write as flv;
use crate::media::frame::Track;
use crate::media::mp4;
use crate::model::rule::{Format, FormatRule};

/// Timestamps are rounded to milliseconds, so a key frame may come this much before its nominal time.
const SLACK_MS: i64 = 20;
/// A track that shows itself this late is no part of the file that goes on without it.
const JOIN_MS: i64 = 5_000;
/// Sound that changes this soon after a key frame came with it, in a whole file. Slices are always cut back: players of playlists enter a file
/// whose pictures begin first anywhere, and those of FLV one whose sound does.
const NEAR_MS: i64 = 1_000;
/// An MP4 file ends at the next cut point when its pictures have had this many configurations beside the first one. The muxer holds more, for changes
/// in the midst of a group of pictures, where nothing can be cut.
const MOST_CONFIGS: usize = mp4::MAX_CONFIGS * 3 / 4;
/// The same for changes from one configuration to another, in FLV too.
const MOST_CHANGES: u32 = flv::MAX_CONFIG_TAGS / 2;
/// Sound before the first picture of a push belongs to that picture, up to this much of it.
const LEAD_MS: i64 = 10_000;

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
    #[serde(default)]
    pictures_from: Option<Position>,
    #[serde(default)]
    sound_from: Option<Position>,
    /// Which tracks have a frame in it.
    #[serde(default)]
    seen: [bool; 2],
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct OpenFile {
    from: Position,
    configs: Configs,
    start_ms: i64,
    anchor_ms: Option<i64>,
    started_at: UnixMs,
    /// A key frame is in it, or an audio frame that was a cut point.
    decodable: bool,
    slices: Option<(u64, u64)>,
    /// What its newest slice was made of.
    #[serde(default)]
    newest: Option<Span>,
    /// When that slice ended, by the clock.
    #[serde(default)]
    newest_ended_at: Option<UnixMs>,
    /// The configuration of each track's newest frame in it; `None` while the track has no frame in it.
    #[serde(default)]
    tracks: [Option<Print>; 2],
    /// False in a spool that an older program wrote: nothing is known of its tracks.
    #[serde(default)]
    tracks_known: bool,
    /// Its pictures have more than one configuration.
    #[serde(default)]
    several: bool,
    #[serde(default)]
    changes: Changes,
    /// Sound from here on has a configuration that this file cannot take: it is the next one's.
    #[serde(default)]
    sound_to: Option<Place>,
    #[serde(default)]
    pictures_from: Option<Position>,
    #[serde(default)]
    sound_from: Option<Position>,
}

/// The configurations that came after the first one of a file's pictures.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Changes {
    number: u32,
    /// Those that differ from each other, [`MOST_CONFIGS`] of them.
    prints: Vec<Print>,
}

impl Changes {
    fn note(&mut self, print: Print) {
        self.number = self.number.saturating_add(1);
        if self.prints.len() < MOST_CONFIGS && !self.prints.contains(&print) {
            self.prints.push(print);
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Lane {
    pub rule: FormatRule,
    /// The counter of the next slice.
    pub next_sequence: u64,
    next_number: u64,
    file: Option<OpenFile>,
    slice: Option<OpenSlice>,
    /// The next slice does not go on where the last one stopped.
    #[serde(default)]
    breaks: bool,
    /// Sound came that the format has no place for: it begins again at a cut point.
    #[serde(default)]
    barred: bool,
}

/// The other side of an interruption.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Gap {
    pub end_ms: i64,
    pub ended_at: UnixMs,
}

/// A frame, and all that decides what it ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub here: Place,
    pub track: Track,
    pub cut_point: bool,
    pub cts_ms: i32,
    /// Media time and wall time of the same instant.
    pub anchor: (i64, UnixMs),
    /// The first sound since the newest picture, or since the push began.
    pub lead: Option<Place>,
    /// The newest key frame, while its pictures go on.
    pub key_place: Option<Place>,
    /// Where the newest picture ends.
    pub pictures_end_ms: Option<i64>,
    /// The interruption that no picture has come after.
    pub gap: Option<Gap>,
    /// Files are to end at the next cut point.
    pub cut_wanted: bool,
    /// It is the first after an interruption.
    pub breaks: bool,
}

impl Moment {
    fn wall(&self, media_ms: i64) -> UnixMs {
        self.anchor.1 + media_ms - self.anchor.0
    }

    fn is_sound(&self) -> bool {
        self.track == Track::Audio
    }

    fn print(&self) -> Print {
        let [video, _] = self.here.prints;
        if self.is_sound() { self.sound() } else { video }
    }

    fn sound(&self) -> Print {
        self.here.sound()
    }

    fn end_before(&self, place: Place) -> End {
        End {
            to: place.at,
            end_ms: place.dts_ms,
            ended_at: self.wall(place.dts_ms),
            pictures_to: None,
        }
    }

    /// The same, but not before the pictures on this side have ended: sound may lie behind the picture that it comes after.
    fn end_behind(&self, place: Place, pictures_end_ms: i64) -> End {
        let end_ms = place.dts_ms.max(pictures_end_ms);
        End {
            end_ms,
            ended_at: self.wall(end_ms),
            ..self.end_before(place)
        }
    }
}

/// Where the media of something open end.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    pub to: Position,
    pub end_ms: i64,
    pub ended_at: UnixMs,
    /// Where its pictures end, if its sound goes on beyond.
    pub pictures_to: Option<Position>,
}

/// An end, and where what comes next begins.
#[derive(Debug, Clone, Copy)]
struct Edge {
    end: End,
    begin: Place,
    pictures_from: Option<Position>,
    sound_from: Option<Position>,
}

/// What a frame's configuration means for a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fit {
    Same,
    /// The slice has to end.
    NewSlice,
    NewFile,
}

/// What a frame ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    GoOn,
    /// `breaks`: what comes next does not go on where it stopped.
    Slice {
        breaks: bool,
    },
    File {
        breaks: bool,
    },
    /// Nothing yet, but this sound is the next file's.
    Hold,
    /// All that is open, and nothing is told of it.
    Drop,
}

fn slot(track: Track) -> usize {
    match track {
        Track::Video => 0,
        Track::Audio => 1,
    }
}

impl OpenSlice {
    fn has(&self, track: Track) -> bool {
        self.seen.get(slot(track)).copied().unwrap_or(false)
    }

    fn note(&mut self, track: Track) {
        if let Some(seen) = self.seen.get_mut(slot(track)) {
            *seen = true;
        }
    }
}

impl OpenFile {
    fn has(&self, track: Track) -> bool {
        self.track(track).is_some()
    }

    fn track(&self, track: Track) -> Option<Print> {
        self.tracks.get(slot(track)).copied().flatten()
    }

    /// Nothing is told yet that holds for all of it.
    fn is_young(&self, now_ms: i64) -> bool {
        now_ms - self.start_ms < JOIN_MS && self.slices.is_none()
    }

    /// The container's index takes few more configurations: what still comes of this group of pictures.
    fn is_full(&self, format: Format) -> bool {
        let Changes { number, prints } = &self.changes;
        match format {
            Format::Mp4 => prints.len() >= MOST_CONFIGS || *number >= MOST_CHANGES,
            Format::Flv => *number >= MOST_CHANGES,
            Format::M3u8 | Format::Cmaf => false,
        }
    }

    /// Its first picture is here. Where that is shown before the sound that came first, the file is as long as from there.
    fn begins_with(&mut self, picture: Place, slice: Option<&mut OpenSlice>) {
        let earlier_ms = (self.start_ms - picture.dts_ms).max(0);
        self.start_ms -= earlier_ms;
        self.started_at -= earlier_ms;
        if let Some(slice) = slice {
            slice.start_ms -= earlier_ms;
            slice.started_at -= earlier_ms;
        }
    }

    /// The track's first frame is here: what its header tells is what holds here.
    fn begin_track(&mut self, track: Track, configs: Configs) {
        if !self.has(track) {
            self.configs.take(track, configs);
        }
    }

    /// The configurations of those tracks that it holds.
    fn own(&self, configs: Configs) -> Configs {
        let [video, audio] = self
            .tracks
            .map(|track| track.is_some() || !self.tracks_known);
        Configs {
            video: configs.video.filter(|_| video),
            audio: configs.audio.filter(|_| audio),
        }
    }
}

impl Lane {
    pub fn new(rule: FormatRule, first_sequence: u64) -> Self {
        Self {
            rule,
            next_sequence: first_sequence,
            next_number: 0,
            file: None,
            slice: None,
            breaks: false,
            barred: false,
        }
    }

    /// The first segment of the spool that the open slice or file still needs.
    pub fn keep_from(&self) -> Option<u32> {
        let file = self.file.as_ref().and_then(|file| {
            if self.rule.format.is_sliced() {
                file.newest
                    .filter(|_| self.rule.format == Format::Cmaf)
                    .map(|span| span.first_segment())
            } else {
                Some(first_segment(file.from, file.configs))
            }
        });
        let slice = self.slice.as_ref();
        let slice = slice.map(|s| first_segment(s.from, s.configs));
        file.into_iter().chain(slice).min()
    }

    /// The number of an open file all of whose media so far are its own, and where it begins.
    pub fn growing(&self) -> Option<(u64, Position)> {
        let file = self.file.as_ref()?;
        let is_whole =
            file.sound_to.is_none() && file.pictures_from.is_none() && file.sound_from.is_none();
        (is_whole && !file.several).then_some((self.next_number, file.from))
    }

    /// Takes a frame that is one more of what is open, as most are. False: it may end something, or begin it.
    pub fn goes_on(&mut self, track: Track, print: Print, cts_ms: i32) -> bool {
        let is_same = self.file.as_ref().is_some_and(|file| {
            file.track(track) == Some(print) && (track == Track::Video || file.sound_to.is_none())
        });
        match &mut self.slice {
            Some(slice) if is_same => {
                slice.lowest_cts_ms = slice.lowest_cts_ms.min(cts_ms);
                slice.note(track);
                true
            }
            Some(_) => false,
            None => is_same && !self.rule.format.is_sliced(),
        }
    }

    /// Ends what ends before the frame, begins what begins, and takes the frame.
    pub fn take(&mut self, moment: &Moment, out: &mut Vec<Output>) {
        self.breaks |= moment.breaks;
        if self.lacks_key_of(moment) {
            self.leave_out(moment.here.at);
            return;
        }
        let edge = match self.turn(moment) {
            Turn::GoOn => None,
            Turn::Hold => {
                if let Some(file) = &mut self.file {
                    file.sound_to.get_or_insert(moment.here);
                }
                return;
            }
            Turn::Drop => {
                (self.file, self.slice) = (None, None);
                None
            }
            Turn::Slice { breaks } => {
                self.close_slice(moment.end_before(moment.here), out);
                self.breaks |= breaks;
                None
            }
            Turn::File { breaks } => {
                self.breaks |= breaks;
                self.edge(moment)
            }
        };
        if let Some(edge) = edge {
            // Sound that leads a push was told as no slice yet: it is the new file's.
            let begins_there = |slice: &OpenSlice| slice.from >= edge.begin.at;
            if edge.pictures_from.is_none() && self.slice.as_ref().is_some_and(begins_there) {
                self.breaks |= self.slice.take().is_some_and(|slice| slice.discontinuity);
            }
            self.close(edge.end, out);
        }
        if self.file.is_none() && (self.bars(moment.sound()) || self.barred && !moment.cut_point) {
            self.barred = true;
            return;
        }
        self.barred = false;
        self.open(moment, edge);
        self.note(moment);
    }

    /// A picture whose key frame is in another file: no picture came for long, and sound alone has begun this one. Nobody could decode it here.
    fn lacks_key_of(&self, moment: &Moment) -> bool {
        if moment.is_sound() || moment.cut_point {
            return false;
        }
        let is_lost = moment.key_place.is_none();
        let begun_by_sound = |file: &OpenFile| {
            file.tracks_known && !file.has(Track::Video) && (is_lost || file.decodable)
        };
        self.file.as_ref().map_or(is_lost, begun_by_sound)
    }

    /// What is open holds no picture up to this one.
    fn leave_out(&mut self, picture: Position) {
        let behind = Some(Position {
            offset: picture.offset + 1,
            ..picture
        });
        if let Some(file) = &mut self.file {
            file.pictures_from = behind;
        }
        if let Some(slice) = &mut self.slice {
            slice.pictures_from = behind;
        }
    }

    /// The format has no place for such sound: nothing of the stream is taken meanwhile.
    fn bars(&self, sound: Print) -> bool {
        sound.is_barred_from(self.rule.format)
    }

    /// What the frame ends.
    fn turn(&self, moment: &Moment) -> Turn {
        let (fit, bars) = (self.fit(moment), self.bars(moment.sound()));
        let Some(file) = &self.file else {
            return Turn::GoOn;
        };
        if bars && file.is_young(moment.here.dts_ms) {
            return Turn::Drop;
        }
        let misfit = fit == Fit::NewFile;
        if !moment.cut_point {
            let without_pictures = !file.has(Track::Video) || moment.gap.is_some();
            return match misfit && moment.is_sound() {
                false => Turn::GoOn,
                true if without_pictures || self.came_with(moment).is_some() => {
                    Turn::File { breaks: true }
                }
                true => Turn::Hold,
            };
        }
        let ends = misfit || bars || file.is_full(self.rule.format);
        if ends || file.sound_to.is_some() || self.is_lost(moment) {
            return Turn::File { breaks: true };
        }
        let breaks = fit == Fit::NewSlice;
        let due = |anchor: Option<i64>, target_s: i64| {
            anchor.is_some_and(|anchor| moment.here.dts_ms + SLACK_MS >= anchor + target_s * 1000)
        };
        let file_due = moment.cut_wanted || due(file.anchor_ms, self.rule.cycle_s);
        if !self.rule.format.is_sliced() {
            return if file_due {
                Turn::File { breaks }
            } else {
                Turn::GoOn
            };
        }
        let target_s = self.rule.slice_s.min(self.rule.cycle_s);
        let slice = self.slice.as_ref();
        let slice_due = slice.is_some_and(|slice| due(slice.anchor_ms, target_s));
        // After an interruption a slice begins here, also where sound came before the picture.
        let begins = moment.gap.is_some() && slice.is_none_or(|slice| slice.anchor_ms.is_none());
        if file_due && (slice_due || begins || moment.cut_wanted) {
            Turn::File { breaks }
        } else if !begins && (slice_due || breaks) {
            Turn::Slice { breaks }
        } else {
            Turn::GoOn
        }
    }

    /// The key frame that a cut for a sound of another configuration goes back to.
    fn came_with(&self, moment: &Moment) -> Option<Place> {
        let file = self.file.as_ref()?;
        let key = moment.key_place.filter(|key| key.at > file.from)?;
        let is_near = moment.here.dts_ms - key.dts_ms <= NEAR_MS;
        if !is_near && !self.rule.format.is_sliced() {
            return None;
        }
        let is_free = self
            .slice
            .as_ref()
            .is_none_or(|slice| slice.from < key.at || !slice.has(Track::Audio));
        let applies = moment.is_sound() && !moment.cut_point && moment.gap.is_none();
        (applies && is_free && file.sound_to.is_none() && file.has(Track::Video)).then_some(key)
    }

    /// Fragments and slices of sound alone are another file's than those with pictures, or players wait for the pictures.
    fn is_lost(&self, moment: &Moment) -> bool {
        self.rule.format.is_sliced()
            && moment.cut_point
            && moment.is_sound()
            && self
                .file
                .as_ref()
                .is_some_and(|file| file.has(Track::Video))
    }

    fn fit(&self, moment: &Moment) -> Fit {
        let Some(file) = &self.file else {
            return Fit::Same;
        };
        let print = moment.print();
        match file.track(moment.track) {
            None if !file.tracks_known || file.is_young(moment.here.dts_ms) => Fit::Same,
            None => Fit::NewFile,
            Some(known) if !known.differs(print) => Fit::Same,
            Some(_) if moment.is_sound() => Fit::NewFile,
            Some(known) if known.codec != print.codec => Fit::NewFile,
            Some(_) => match self.rule.format {
                Format::Cmaf => Fit::NewFile,
                Format::M3u8 => Fit::NewSlice,
                Format::Mp4 | Format::Flv => Fit::Same,
            },
        }
    }

    /// Where the file ends and the next one begins.
    fn edge(&self, moment: &Moment) -> Option<Edge> {
        let file = self.file.as_ref()?;
        let here = moment.here;
        let plain = Edge {
            end: moment.end_before(here),
            begin: here,
            pictures_from: None,
            sound_from: None,
        };
        if let Some(held) = file.sound_to {
            return Some(Edge {
                begin: held,
                pictures_from: Some(here.at),
                ..plain
            });
        }
        if let Some(key) = self.came_with(moment) {
            let told = self.slice.as_ref().is_some_and(|slice| slice.from < key.at);
            let goes_beyond = file.has(Track::Audio) && (told || !self.rule.format.is_sliced());
            let end = if goes_beyond {
                End {
                    pictures_to: Some(key.at),
                    ..moment.end_behind(here, key.dts_ms)
                }
            } else {
                moment.end_before(key)
            };
            return Some(Edge {
                end,
                begin: key,
                sound_from: Some(here.at),
                ..plain
            });
        }
        let is_lost = self.is_lost(moment);
        let first = moment.lead.unwrap_or(here);
        let is_near = here.dts_ms - first.dts_ms <= LEAD_MS;
        // What leads is not of the configuration that ends the file.
        let is_other = moment.is_sound() && first.sound().differs(moment.sound());
        // Sound that goes on alone is cut where it is.
        let ends_lead = !moment.is_sound() || is_lost || first.at == here.at;
        let slice = self.slice.as_ref();
        let is_told = slice.is_some_and(|slice| slice.from > first.at);
        if file.from >= first.at || is_other || !ends_lead || is_told {
            return Some(plain);
        }
        Some(match moment.gap {
            Some(gap) if is_lost || is_near => Edge {
                end: End {
                    to: first.at,
                    end_ms: gap.end_ms,
                    ended_at: gap.ended_at,
                    pictures_to: None,
                },
                begin: first,
                ..plain
            },
            None if is_lost => Edge {
                end: moment.end_behind(first, moment.pictures_end_ms.unwrap_or(first.dts_ms)),
                begin: first,
                ..plain
            },
            _ => plain,
        })
    }

    fn open(&mut self, moment: &Moment, edge: Option<Edge>) {
        let is_sliced = self.rule.format.is_sliced();
        if self.file.is_some() && (self.slice.is_some() || !is_sliced) {
            return;
        }
        // Cut off in the midst of a group of pictures: nobody can decode its rest without the key frame.
        let group = moment
            .key_place
            .filter(|_| edge.is_none() && !moment.cut_point);
        self.breaks |= group.is_some();
        let begin = edge.map(|edge| edge.begin).or(group).unwrap_or(moment.here);
        let pictures_from = edge.and_then(|edge| edge.pictures_from);
        let sound_from = edge.and_then(|edge| edge.sound_from);
        let is_alone = moment.is_sound() && moment.cut_point;
        // Whether it begins with a key frame that came before this frame.
        let has_key = group.is_some() || sound_from.is_some();
        let anchor_ms = (is_alone || has_key).then_some(begin.dts_ms);
        let is_before = begin.at < moment.here.at;
        let seen = [has_key, is_before && sound_from.is_none()];
        let started_at = moment.wall(begin.dts_ms);
        if self.file.is_none() {
            // What lies between there and this frame is in it.
            let [video, sound] = begin.prints;
            let [has_video, has_sound] = seen;
            let has_sound = has_sound && sound.codec.is_some();
            self.file = Some(OpenFile {
                from: begin.at,
                configs: begin.configs,
                start_ms: begin.dts_ms,
                anchor_ms,
                started_at,
                decodable: has_key,
                slices: None,
                newest: None,
                newest_ended_at: None,
                tracks: [has_video.then_some(video), has_sound.then_some(sound)],
                tracks_known: true,
                several: false,
                changes: Changes::default(),
                sound_to: None,
                pictures_from,
                sound_from,
            });
        }
        if is_sliced && self.slice.is_none() {
            self.slice = Some(OpenSlice {
                from: begin.at,
                configs: begin.configs,
                start_ms: begin.dts_ms,
                anchor_ms,
                started_at,
                discontinuity: std::mem::take(&mut self.breaks),
                lowest_cts_ms: 0,
                pictures_from,
                sound_from,
                seen,
            });
        }
    }

    fn note(&mut self, moment: &Moment) {
        let print = moment.print();
        if let Some(file) = &mut self.file {
            if moment.is_sound() && file.sound_to.is_some() {
                return;
            }
            let is_first_picture = !moment.is_sound() && !file.has(Track::Video);
            if is_first_picture && file.slices.is_none() {
                file.begins_with(moment.here, self.slice.as_mut());
            }
            file.begin_track(moment.track, moment.here.configs);
            let known = file.track(moment.track);
            let is_other = known.is_some_and(|known| known.differs(print));
            if is_other && moment.track == Track::Video {
                file.several = true;
                file.changes.note(print);
            }
            if let Some(slot) = file.tracks.get_mut(slot(moment.track)) {
                *slot = Some(print);
            }
            if moment.cut_point {
                file.anchor_ms.get_or_insert(moment.here.dts_ms);
                file.decodable = true;
            }
        }
        if let Some(slice) = &mut self.slice {
            slice.lowest_cts_ms = slice.lowest_cts_ms.min(moment.cts_ms);
            if !slice.has(moment.track) {
                slice.configs.take(moment.track, moment.here.configs);
            }
            slice.note(moment.track);
            if moment.cut_point {
                slice.anchor_ms.get_or_insert(moment.here.dts_ms);
            }
        }
    }

    /// The stream was lost or paused: the slice ends, the file stays open.
    pub fn pause(&mut self, end: End, out: &mut Vec<Output>) {
        self.release(end, out);
        self.close_slice(end, out);
    }

    /// Ends slice and file.
    pub fn close(&mut self, end: End, out: &mut Vec<Output>) {
        self.close_slice(end, out);
        self.close_file(end, out);
    }

    /// Ends everything at once, also sound that waits for the next key frame: it becomes a file of its own.
    pub fn finish(&mut self, end: End, out: &mut Vec<Output>) {
        self.release(end, out);
        self.close(end, out);
    }

    fn release(&mut self, end: End, out: &mut Vec<Output>) {
        let held = self.file.as_ref().and_then(|file| file.sound_to);
        let Some(held) = held else { return };
        self.close(end, out);
        if self.bars(held.sound()) {
            self.barred = true;
            return;
        }
        let started_at = end.ended_at - (end.end_ms - held.dts_ms);
        self.file = Some(OpenFile {
            from: held.at,
            configs: held.configs,
            start_ms: held.dts_ms,
            anchor_ms: Some(held.dts_ms),
            started_at,
            decodable: true,
            slices: None,
            newest: None,
            newest_ended_at: None,
            tracks: [None, Some(held.sound())],
            tracks_known: true,
            several: false,
            changes: Changes::default(),
            sound_to: None,
            pictures_from: Some(end.to),
            sound_from: None,
        });
        if self.rule.format.is_sliced() {
            self.slice = Some(OpenSlice {
                from: held.at,
                configs: held.configs,
                start_ms: held.dts_ms,
                anchor_ms: Some(held.dts_ms),
                started_at,
                discontinuity: true,
                lowest_cts_ms: 0,
                pictures_from: Some(end.to),
                sound_from: None,
                seen: [false, true],
            });
        }
    }

    fn close_slice(&mut self, end: End, out: &mut Vec<Output>) {
        let Some(mut open) = self.slice.take() else {
            return;
        };
        if self.is_mute(&open, end) {
            self.leave_sound(&open, out);
            open.discontinuity = true;
        }
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        let file = self.file.as_ref();
        let span = Span {
            from: open.from,
            to: end.to,
            configs: file.map_or(open.configs, |file| file.own(open.configs)),
            sound_to: file.and_then(|file| file.sound_to).map(|held| held.at),
            pictures_from: open.pictures_from,
            pictures_to: end.pictures_to,
            sound_from: open.sound_from,
        };
        if let Some(file) = &mut self.file {
            file.newest = Some(span);
            file.newest_ended_at = Some(end.ended_at);
            file.slices = Some(
                file.slices
                    .map_or((sequence, sequence), |(first, _)| (first, sequence)),
            );
        }
        out.push(Output::Slice(Slice {
            lane: 0,
            sequence,
            file: self.next_number,
            span,
            start_ms: open.start_ms,
            duration_ms: (end.end_ms - open.start_ms).max(1),
            started_at: open.started_at,
            ended_at: end.ended_at,
            discontinuity: open.discontinuity,
            lowest_cts_ms: open.lowest_cts_ms,
            origin_ms: 0,
        }));
    }

    /// Players wait for the sound of a slice that has none, if the slices before it had some.
    fn is_mute(&self, slice: &OpenSlice, end: End) -> bool {
        let is_long = end.end_ms - slice.start_ms >= JOIN_MS;
        let file = self.file.as_ref();
        is_long
            && !slice.has(Track::Audio)
            && file.is_some_and(|file| {
                file.has(Track::Audio) && file.has(Track::Video) && file.sound_to.is_none()
            })
    }

    /// The file ends where the slice begins, which becomes the first one of a file without sound.
    fn leave_sound(&mut self, slice: &OpenSlice, out: &mut Vec<Output>) {
        let file = self.file.as_ref();
        let end = End {
            to: slice.from,
            end_ms: slice.start_ms,
            ended_at: file
                .and_then(|file| file.newest_ended_at)
                .unwrap_or(slice.started_at),
            pictures_to: None,
        };
        let video = file.and_then(|file| file.track(Track::Video));
        self.close_file(end, out);
        self.file = Some(OpenFile {
            from: slice.from,
            configs: slice.configs,
            start_ms: slice.start_ms,
            anchor_ms: slice.anchor_ms,
            started_at: slice.started_at,
            decodable: slice.anchor_ms.is_some(),
            slices: None,
            newest: None,
            newest_ended_at: None,
            tracks: [video, None],
            tracks_known: true,
            several: false,
            changes: Changes::default(),
            sound_to: None,
            pictures_from: slice.pictures_from,
            sound_from: slice.sound_from,
        });
    }

    fn close_file(&mut self, end: End, out: &mut Vec<Output>) {
        let Some(open) = self.file.take() else { return };
        // Nothing that a player could show: no file and no event.
        if !open.decodable && (open.has(Track::Video) || !open.tracks_known) {
            return;
        }
        out.push(Output::File(File {
            lane: 0,
            number: self.next_number,
            span: Span {
                from: open.from,
                to: end.to,
                configs: open.own(open.configs),
                sound_to: open.sound_to.map(|held| held.at),
                pictures_from: open.pictures_from,
                pictures_to: end.pictures_to,
                sound_from: open.sound_from,
            },
            duration_ms: (end.end_ms - open.start_ms).max(1),
            started_at: open.started_at,
            ended_at: end.ended_at,
            slices: open.slices,
            header: open.newest.filter(|_| self.rule.format == Format::Cmaf),
            several: open.several,
        }));
        self.next_number += 1;
    }
}
