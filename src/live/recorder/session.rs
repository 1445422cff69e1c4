//! One recording session: the spool being written and what its media decided so far.
//!
//! Everything here is synchronous and cheap: it runs in the publisher's own task, once a frame.

use std::io;
use std::path::{Path, PathBuf};

use crate::clock::UnixMs;
use crate::disk::writers::Disk;
use crate::live::decide::machine::Cause;
use crate::live::decide::pictures::{EDGE_MS, Pictures};
use crate::live::decide::segmenter::{Output, PICTURE_LOST_MS, Print, Segmenter};
use crate::live::decide::timeline::Timeline;
use crate::live::recorder::effect::Grown;
use crate::live::spool::Position;
use crate::live::spool::record::{Checkpoint, FatalFault, Mark, Opening};
use crate::live::spool::write::SpoolWriter;
use crate::media::frame::{AudioConfig, Frame, Track, VideoConfig};
use crate::phrases::Phrase;

/// Whether frames are let into the recording yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    Closed,
    /// Waiting for a key frame; sound passes already (`fresh`) when the push begins here, or when it has come alone for long.
    Waiting {
        fresh: bool,
    },
    Open,
}

/// What is kept of a record while nothing is decided: enough to decide later.
#[derive(Debug, Clone, Copy)]
pub enum Kept {
    Config(Position, Track, Print),
    Frame {
        at: Position,
        track: Track,
        dts_ms: i64,
        cts_ms: i32,
        key: bool,
    },
}

impl Kept {
    pub fn feed(self, segmenter: &mut Segmenter, out: &mut Vec<Output>) {
        match self {
            Self::Config(at, track, print) => segmenter.config(at, track, print),
            Self::Frame {
                at,
                track,
                dts_ms,
                cts_ms,
                key,
            } => segmenter.frame(at, track, (dts_ms, cts_ms), key, out),
        }
    }
}

/// More kept frames than this hold the publisher back until the answer is there.
const KEPT_LIMIT: usize = 1_000_000;

pub struct Session {
    pub opening: Opening,
    pub spool: SpoolWriter,
    pub timeline: Timeline,
    /// There from the first frame on, once it is decided that this is a recording.
    segmenter: Option<Segmenter>,
    gate: Gate,
    /// The publisher's timestamp of the first sound since the newest picture that is waited for in vain.
    sound_since: Option<u32>,
    video: Option<VideoConfig>,
    audio: Option<AudioConfig>,
    /// Frames that wait for the on-demand answer.
    undecided: Option<Vec<Kept>>,
    first_frame_at: Option<UnixMs>,
    /// Events told so far; the next one's number goes into its name.
    pub statuses: u32,
    /// The fault that it ends by, as it was told.
    pub failed_by: Option<FatalFault>,
    /// Why some of its formats cannot have the stream's sound, as far as it was told.
    pub refused: Vec<Phrase>,
    /// The service clock when the stream was lost.
    lost_at: Option<UnixMs>,
    resuming: bool,
    pictures: Pictures,
    /// The segment is full and no new one could be begun.
    goes_on_long: bool,
    outputs: Vec<Output>,
    grown: Vec<Grown>,
}

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    No,
    Yes,
    /// It is the first of the recording.
    First,
    /// It is the first after an interruption.
    Resumed,
}

impl Session {
    /// Starts a session; with `undecided`, frames are only kept until [`Session::adopt`].
    ///
    /// # Errors
    /// When the spool's folder or first file cannot be made. The recording does not begin; the caller tells the fault and stays ready.
    pub fn begin(
        opening: Opening,
        folder: PathBuf,
        disk: Disk,
        undecided: bool,
    ) -> io::Result<Self> {
        let series = opening.session.bytes().map(usize::from).sum();
        let mut spool = SpoolWriter::create(disk, folder, series)?;
        spool.belongs_to(|| opening.key.hash());
        Ok(Self {
            opening,
            spool,
            timeline: Timeline::default(),
            segmenter: None,
            gate: Gate::Closed,
            sound_since: None,
            video: None,
            audio: None,
            undecided: undecided.then(Vec::new),
            first_frame_at: None,
            statuses: 0,
            failed_by: None,
            refused: Vec::new(),
            lost_at: None,
            resuming: false,
            pictures: Pictures::default(),
            goes_on_long: false,
            outputs: Vec::new(),
            grown: Vec::new(),
        })
    }

    /// A session found in a spool after a restart; `held` are the outputs of one that may turn out to be half a recording.
    #[must_use]
    pub fn recovered(
        checkpoint: Checkpoint,
        spool: SpoolWriter,
        lost_at: UnixMs,
        held: Vec<Output>,
    ) -> Self {
        Self {
            opening: checkpoint.opening,
            spool,
            timeline: checkpoint.timeline,
            segmenter: Some(checkpoint.segmenter),
            gate: Gate::Closed,
            sound_since: None,
            video: None,
            audio: None,
            undecided: None,
            first_frame_at: None,
            statuses: checkpoint.statuses,
            failed_by: None,
            refused: Vec::new(),
            lost_at: Some(lost_at),
            resuming: false,
            pictures: checkpoint.pictures,
            goes_on_long: false,
            outputs: held,
            grown: Vec::new(),
        }
    }

    #[must_use]
    pub fn folder(&self) -> &Path {
        self.spool.folder()
    }

    /// Whether the recording has begun: a first frame is in it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.segmenter.is_some()
    }

    /// The first segment that open slices and files still need.
    #[must_use]
    pub fn keep_from(&self) -> u32 {
        let current = self.spool.position().segment;
        self.segmenter
            .as_ref()
            .and_then(Segmenter::keep_from)
            .unwrap_or(current)
            .min(current)
    }

    /// The counter that the stream's next slice takes.
    #[must_use]
    pub fn next_sequence(&self) -> u64 {
        self.segmenter
            .as_ref()
            .map_or(self.opening.first_sequence, Segmenter::next_sequence)
    }

    /// A push begins (`fresh`), or the recording begins in the middle of one.
    pub fn open_gate(
        &mut self,
        fresh: bool,
        video: Option<&VideoConfig>,
        audio: Option<&AudioConfig>,
    ) {
        self.timeline.begin_push();
        self.gate = Gate::Waiting { fresh };
        self.sound_since = None;
        self.video = None;
        self.audio = None;
        if let Some(video) = video {
            self.video_config(video);
        }
        if let Some(audio) = audio {
            self.audio_config(audio);
        }
    }

    /// Nothing more comes into it, until a push opens it again.
    pub fn close_gate(&mut self) {
        self.gate = Gate::Closed;
    }

    pub fn video_config(&mut self, config: &VideoConfig) {
        let codec = self.video.as_ref().map(|video| video.codec);
        if self.gate == Gate::Open && codec.is_some_and(|codec| codec != config.codec) {
            // Pictures of the new codec before its first key frame cannot be shown by anybody.
            self.gate = Gate::Waiting { fresh: true };
        }
        self.video = Some(config.clone());
        if self.writes_at_once() {
            self.write_video();
        }
    }

    pub fn audio_config(&mut self, config: &AudioConfig) {
        self.audio = Some(config.clone());
        if self.writes_at_once() {
            self.write_audio();
        }
    }

    /// Configurations that come before the first frame are written with it.
    fn writes_at_once(&self) -> bool {
        self.first_frame_at.is_some() && self.gate != Gate::Closed && !self.resuming
    }

    /// Takes a frame with the publisher's timestamp.
    pub fn frame(&mut self, mut frame: Frame, raw: u32, now: UnixMs) -> Taken {
        if let Gate::Waiting { fresh } = self.gate {
            let starts = match frame.track {
                Track::Video => {
                    self.sound_since = None;
                    frame.key
                }
                Track::Audio => fresh || self.video.is_none() || self.sound_goes_alone(raw),
            };
            if !starts {
                return Taken::No;
            }
            if frame.track == Track::Video {
                self.gate = Gate::Open;
                self.pictures.are_recorded = true;
            }
        }
        if self.gate == Gate::Closed {
            return Taken::No;
        }
        let before = self.timeline.end_ms();
        let placed = self.timeline.place(frame.track, raw, frame.cts_ms);
        (frame.dts_ms, frame.cts_ms) = (placed.dts_ms, placed.cts_ms);
        let mut taken = Taken::Yes;
        if self.first_frame_at.is_none() {
            self.first_frame_at = Some(now);
            if self.segmenter.is_none() {
                self.opening.wall = now;
                if self.undecided.is_none() {
                    self.open();
                    taken = Taken::First;
                }
            }
            if !self.resuming {
                self.write_configs();
            }
        }
        if std::mem::take(&mut self.resuming) {
            taken = if self.is_open() {
                Taken::Resumed
            } else {
                taken
            };
            self.mark_resume(before, now);
            self.write_configs();
        }
        if self.begins_segment(&frame) {
            self.rotate();
        }
        let at = self.spool.position();
        self.spool.frame(&frame);
        if let Some(kept) = &mut self.undecided {
            kept.push(Kept::Frame {
                at,
                track: frame.track,
                dts_ms: frame.dts_ms,
                cts_ms: frame.cts_ms,
                key: frame.key,
            });
        } else if let Some(segmenter) = &mut self.segmenter {
            let times = (frame.dts_ms, frame.cts_ms);
            segmenter.frame(at, frame.track, times, frame.key, &mut self.outputs);
        }
        taken
    }

    /// Whether sound has been refused for so long, and no picture came, that it is let in: what the push shows is sound alone.
    fn sound_goes_alone(&mut self, raw: u32) -> bool {
        let since = self.sound_since.get_or_insert(raw);
        let waited_ms = i64::from(raw.wrapping_sub(*since).cast_signed());
        if waited_ms < 0 {
            // The publisher's clock went back: it does not tell how long the wait was before.
            *since = raw;
        }
        if waited_ms <= PICTURE_LOST_MS {
            return false;
        }
        // From here on as in a push that begins with its sound.
        self.gate = Gate::Waiting { fresh: true };
        if self.first_frame_at.is_none() && !self.is_open() {
            // Pictures without a key frame that came before are no part of what begins now, which is no half recording for their sake.
            self.pictures = Pictures::default();
        }
        true
    }

    /// Whether pictures are of no use until a key frame comes.
    #[must_use]
    pub fn awaits_key(&self) -> bool {
        matches!(self.gate, Gate::Waiting { .. })
    }

    /// Pictures come, and none of them is a key frame. A restart could not see it: they are not in the spool.
    pub fn note_keyless(&mut self) {
        if self.pictures.keyless {
            return;
        }
        self.pictures.keyless = true;
        self.pictures.late = !self.is_edge();
        if self.is_open() {
            self.mark_keyless();
        }
    }

    fn mark_keyless(&mut self) {
        if self.pictures.are_missing() {
            let late = self.pictures.late;
            self.spool.mark(&Mark::Keyless { late });
        }
    }

    /// What of the stream's pictures is in it.
    #[must_use]
    pub fn pictures(&self) -> Pictures {
        self.pictures
    }

    /// So far it is half a recording: sound alone of a stream that has pictures.
    #[must_use]
    pub fn is_half(&self) -> bool {
        self.pictures.leave_half()
    }

    /// So far it is so short that nothing is lost with it.
    #[must_use]
    pub fn is_edge(&self) -> bool {
        self.timeline.end_ms() < EDGE_MS
    }

    fn open(&mut self) {
        self.spool.mark(&Mark::Open(Box::new(self.opening.clone())));
        self.mark_keyless();
        self.segmenter = Some(Segmenter::new(
            &self.opening.formats,
            self.opening.first_sequence,
            self.opening.wall,
        ));
    }

    fn write_configs(&mut self) {
        self.write_video();
        self.write_audio();
    }

    fn write_video(&mut self) {
        let Some(config) = &self.video else { return };
        let at = self.spool.position();
        self.spool.video_config(config);
        let print = Print::of_video(config);
        self.note_config(at, Track::Video, print);
    }

    fn write_audio(&mut self) {
        let Some(config) = &self.audio else { return };
        let at = self.spool.position();
        self.spool.audio_config(config);
        let print = Print::of_audio(config);
        self.note_config(at, Track::Audio, print);
    }

    fn note_config(&mut self, at: Position, track: Track, print: Print) {
        match (&mut self.segmenter, &mut self.undecided) {
            (Some(segmenter), _) => segmenter.config(at, track, print),
            (None, Some(kept)) => kept.push(Kept::Config(at, track, print)),
            (None, None) => {}
        }
    }

    /// The gap of the interruption is what the service clock shows.
    fn mark_resume(&mut self, media_ms: i64, now: UnixMs) {
        let gap = self.lost_at.take().map_or(0, |lost| (now - lost).max(0));
        let Some(segmenter) = &mut self.segmenter else {
            return;
        };
        let wall = segmenter.wall(media_ms) + gap;
        segmenter.resume(media_ms, wall);
        self.spool.mark(&Mark::Resume { media_ms, wall });
    }

    /// The kept frames become a recording with these formats. True when there is a frame already.
    pub fn adopt(&mut self, formats: Vec<crate::model::rule::FormatRule>) -> bool {
        self.opening.formats = formats;
        let kept = self.undecided.take().unwrap_or_default();
        if self.first_frame_at.is_none() {
            return false;
        }
        self.open();
        if let Some(segmenter) = &mut self.segmenter {
            for record in kept {
                record.feed(segmenter, &mut self.outputs);
            }
        }
        true
    }

    /// Whether the publisher must wait before it sends more.
    #[must_use]
    pub fn holds_back(&self, limit: u64) -> bool {
        self.spool.backlog() > limit
            || self
                .undecided
                .as_ref()
                .is_some_and(|kept| kept.len() > KEPT_LIMIT)
    }

    /// A segment of the spool begins where a file could: then those before it can go when what lies in them is made.
    fn begins_segment(&self, frame: &Frame) -> bool {
        let could_cut =
            |segmenter: &Segmenter| segmenter.cuts_at(frame.track, frame.dts_ms, frame.key);
        self.spool.segment_is_full()
            && self.undecided.is_none()
            && self.segmenter.as_ref().is_some_and(could_cut)
    }

    fn rotate(&mut self) {
        let Some(segmenter) = &self.segmenter else {
            return;
        };
        let checkpoint = Mark::Checkpoint(Box::new(Checkpoint {
            opening: self.opening.clone(),
            segmenter: segmenter.clone(),
            timeline: self.timeline.clone(),
            statuses: self.statuses,
            pictures: self.pictures,
        }));
        if let Err(error) = self.spool.next_segment(&checkpoint) {
            // It is tried again at each cut point, and the log says it once.
            if !std::mem::replace(&mut self.goes_on_long, true) {
                tracing::error!(%error, "a new spool segment cannot be opened; the old one goes on");
            }
            return;
        }
        self.goes_on_long = false;
        let to = Position {
            segment: self.spool.position().segment,
            offset: 0,
        };
        let files = segmenter.open_mp4s();
        self.grown
            .extend(files.into_iter().map(|file| Grown { file, to }));
        self.write_configs();
    }

    /// The files that grew since the last call.
    pub fn take_grown(&mut self) -> Vec<Grown> {
        std::mem::take(&mut self.grown)
    }

    /// What was decided since the last call.
    pub fn take_outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }

    /// The end of the media by the wall clock.
    #[must_use]
    pub fn wall_end(&self) -> UnixMs {
        let end_ms = self.timeline.end_ms();
        self.segmenter
            .as_ref()
            .map_or(self.opening.wall + end_ms, |s| s.wall(end_ms))
    }

    /// When the rule's window ends; only a rule for one stream has one.
    #[must_use]
    pub fn window_end(&self) -> Option<UnixMs> {
        self.opening.rule.end_time
    }

    /// Whether the media has reached the end of the rule's window.
    #[must_use]
    pub fn is_past_window(&self) -> bool {
        self.window_end().is_some_and(|end| self.wall_end() >= end)
    }

    /// The stream is lost or a command pauses it. False when nothing came since the last pause: then it simply goes on, and its
    /// gap counts from the first loss.
    pub fn pause(&mut self, cause: Cause, since: UnixMs) -> bool {
        self.close_gate();
        // Before the first frame there is nothing that could be interrupted.
        if self.is_open() {
            self.lost_at.get_or_insert(since);
        }
        if std::mem::take(&mut self.resuming) {
            return false;
        }
        if self.cut_is_wanted() {
            self.cut_now();
        }
        let end_ms = self.timeline.end_ms();
        let Some(segmenter) = &mut self.segmenter else {
            return false;
        };
        self.spool.mark(&Mark::Pause {
            end_ms,
            at: since,
            cause,
        });
        segmenter.pause(self.spool.position(), end_ms, &mut self.outputs);
        true
    }

    /// Whether frames may come again and none has come yet.
    #[must_use]
    pub fn is_resuming(&self) -> bool {
        self.resuming
    }

    /// Frames may come again.
    pub fn resume(&mut self) {
        self.resuming = self.first_frame_at.is_some() || self.segmenter.is_some();
    }

    /// New files at the next cut point.
    pub fn want_cut(&mut self) {
        if let Some(segmenter) = &mut self.segmenter {
            segmenter.want_cut();
            self.spool.mark(&Mark::Cut {
                at_once: false,
                end_ms: self.timeline.end_ms(),
            });
        }
    }

    #[must_use]
    pub fn cut_is_wanted(&self) -> bool {
        self.segmenter
            .as_ref()
            .is_some_and(Segmenter::cut_is_wanted)
    }

    /// New files from here on.
    pub fn cut_now(&mut self) {
        let end_ms = self.timeline.end_ms();
        let Some(segmenter) = &mut self.segmenter else {
            return;
        };
        self.spool.mark(&Mark::Cut {
            at_once: true,
            end_ms,
        });
        segmenter.close_files(self.spool.position(), end_ms, &mut self.outputs);
    }

    /// Ends the session.
    pub fn finish(&mut self) {
        self.close_gate();
        let end_ms = self.timeline.end_ms();
        let Some(segmenter) = &mut self.segmenter else {
            return;
        };
        let mark = match self.failed_by {
            Some(by) => Mark::Failed { end_ms, by },
            None => Mark::End { end_ms },
        };
        self.spool.mark(&mark);
        segmenter.close_files(self.spool.position(), end_ms, &mut self.outputs);
    }
}
