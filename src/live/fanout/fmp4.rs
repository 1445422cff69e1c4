//! Fragmented MP4: a movie fragment for what came in a tick, each picture with its true duration, a new one at each key frame.
//!
//! One `moov` stands at the head, so a changed configuration ends the tape; whoever asks again gets one that begins with it.

use bytes::Bytes;

use super::frames::{Frames, Step};
use super::tape::{Maker, Over, Tape};
use super::{Headers, Unit};
use crate::media::cmaf::{Fragmenter, Position, init_segment};
use crate::media::frame::{AudioConfig, Frame, SampleInfo, Track, VideoConfig};
use crate::media::segments::Segments;

/// Makes fragments.
pub struct Fragments {
    frames: Frames,
    steps: Vec<Step>,
    video: Option<VideoConfig>,
    audio: Option<AudioConfig>,
    /// Made with the first frame.
    fragmenter: Option<Fragmenter>,
    /// Something is on the tape.
    has_begun: bool,
    pending: Vec<Frame>,
    samples: Vec<SampleInfo>,
    data: Vec<Bytes>,
}

impl Fragments {
    #[must_use]
    pub fn new(headers: &Headers) -> Self {
        Self {
            frames: Frames::default(),
            steps: Vec::new(),
            video: headers.video_config.clone(),
            audio: headers.audio_config.clone(),
            fragmenter: None,
            has_begun: false,
            pending: Vec::new(),
            samples: Vec::new(),
            data: Vec::new(),
        }
    }

    fn begin(&mut self, tape: &Tape) -> Result<(), Over> {
        if self.fragmenter.is_none() {
            let (video, audio) = (self.video.as_ref(), self.audio.as_ref());
            let over = |error| {
                tracing::debug!(%error, "the stream has no form as MP4");
                Over
            };
            tape.set_head(init_segment(video, audio).map_err(over)?);
            let fragmenter = Fragmenter::new(video, audio, Position::default());
            self.fragmenter = Some(fragmenter.map_err(over)?);
        }
        Ok(())
    }

    fn work_off(&mut self, tape: &Tape) -> Result<(), Over> {
        let mut steps = std::mem::take(&mut self.steps);
        let mut outcome = Ok(());
        for step in steps.drain(..) {
            outcome = outcome.and_then(|()| self.step(step, tape));
        }
        self.steps = steps;
        outcome
    }

    fn step(&mut self, step: Step, tape: &Tape) -> Result<(), Over> {
        match step {
            Step::Video(config) if self.video.as_ref() == Some(&config) => Ok(()),
            Step::Audio(config) if self.audio.as_ref() == Some(&config) => Ok(()),
            // Nothing is on the tape yet: it begins with a group that is older than the newest configuration.
            Step::Video(config) if self.fragmenter.is_none() => {
                self.video = Some(config);
                Ok(())
            }
            Step::Audio(config) if self.fragmenter.is_none() => {
                self.audio = Some(config);
                Ok(())
            }
            Step::Video(_) | Step::Audio(_) => {
                self.put(self.pending.len(), None, tape);
                Err(Over)
            }
            Step::Frame(frame) => {
                self.begin(tape)?;
                if frame.key {
                    self.put(self.pending.len(), Some(frame.dts_ms), tape);
                }
                self.pending.push(frame);
                Ok(())
            }
        }
    }

    /// Puts the first frames on the tape.
    fn put(&mut self, count: usize, next_picture_ms: Option<i64>, tape: &Tape) {
        let Some(fragmenter) = self.fragmenter.as_mut().filter(|_| count > 0) else {
            return;
        };
        let frames = self.pending.drain(..count.min(self.pending.len()));
        self.samples.clear();
        self.data.clear();
        // What comes before the first picture is for who was there before it.
        let mut begins = self.video.is_none() || !std::mem::replace(&mut self.has_begun, true);
        for (index, frame) in frames.enumerate() {
            begins |= index == 0 && frame.key;
            self.samples.push(SampleInfo {
                track: frame.track,
                dts_ms: frame.dts_ms,
                cts_ms: frame.cts_ms,
                key: frame.key,
                size: u32::try_from(frame.data.len()).unwrap_or(u32::MAX),
            });
            self.data.push(frame.data);
        }
        match fragmenter.fragment(&self.samples, next_picture_ms) {
            Ok(head) => {
                let mut segments = Segments::new();
                segments.small().extend_from_slice(&head);
                for data in self.data.drain(..) {
                    segments.share(data);
                }
                tape.push(&mut segments, begins.then(Segments::new).as_mut());
            }
            Err(error) => tracing::debug!(%error, "frames are left out of MP4"),
        }
    }
}

impl Maker for Fragments {
    fn take(&mut self, unit: &Unit, jumped: bool, tape: &Tape) -> Result<(), Over> {
        if jumped {
            self.put(self.pending.len(), None, tape);
        }
        self.frames.take(unit, jumped, &mut self.steps);
        self.work_off(tape)
    }

    /// The newest picture waits for the next one, which tells how long it lasts.
    fn flush(&mut self, tape: &Tape) {
        let newest = self
            .pending
            .iter()
            .rposition(|frame| frame.track == Track::Video);
        match newest {
            Some(index) => {
                let next = self.pending.get(index).map(|frame| frame.dts_ms);
                self.put(index, next, tape);
            }
            None => self.put(self.pending.len(), None, tape),
        }
    }

    fn end(&mut self, tape: &Tape) {
        self.frames.end(&mut self.steps);
        let _ = self.work_off(tape);
        self.put(self.pending.len(), None, tape);
    }
}
