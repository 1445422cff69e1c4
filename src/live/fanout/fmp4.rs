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

/// So much sound behind the newest picture is waited for the next one. Then that one lasts until now, since the picture may have stopped.
const PICTURE_PATIENCE_MS: i64 = 500;

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
    /// Where there are no pictures, a viewer can begin with the next sound.
    sound_begins: bool,
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
            sound_begins: false,
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
        for frame in frames {
            self.samples.push(SampleInfo {
                track: frame.track,
                dts_ms: frame.dts_ms,
                cts_ms: frame.cts_ms,
                key: frame.key,
                size: u32::try_from(frame.data.len()).unwrap_or(u32::MAX),
            });
            self.data.push(frame.data);
        }
        let has_picture = self.samples.iter().any(|it| it.track == Track::Video);
        // What comes before the first picture is for who was there before it, too.
        let begins = !self.has_begun
            || self.video.is_none()
            || self.samples.first().is_some_and(|it| it.key)
            || (self.sound_begins && !has_picture);
        match fragmenter.fragment(&self.samples, next_picture_ms) {
            Ok(head) => {
                let mut segments = Segments::new();
                segments.small().extend_from_slice(&head);
                for data in self.data.drain(..) {
                    segments.share(data);
                }
                self.has_begun = true;
                self.sound_begins &= !begins;
                tape.push(&mut segments, begins.then(Segments::new).as_mut());
            }
            Err(error) => tracing::debug!(%error, "frames are left out of MP4"),
        }
    }

    /// How many of the pending frames can be put on the tape, and the next picture's time. The newest picture waits for the next one, which tells
    /// how long it lasts.
    fn whole(&self) -> (usize, Option<i64>) {
        let all = self.pending.len();
        let is_picture = |frame: &Frame| frame.track == Track::Video;
        let newest = self.pending.iter().rposition(is_picture);
        let rest = newest.and_then(|index| self.pending.get(index..));
        let Some([picture, behind @ ..]) = rest else {
            return (all, None);
        };
        // By the sound's own times: the tracks may lie seconds apart.
        let waited = match behind {
            [first, .., last] => last.dts_ms - first.dts_ms,
            _ => 0,
        };
        if waited < PICTURE_PATIENCE_MS {
            return (all - 1 - behind.len(), Some(picture.dts_ms));
        }
        (all, Some(picture.dts_ms + waited))
    }
}

impl Maker for Fragments {
    fn take(&mut self, unit: &Unit, jumped: bool, tape: &Tape) -> Result<(), Over> {
        if jumped {
            self.put(self.pending.len(), None, tape);
        }
        self.sound_begins |= unit.is_sound_that_begins();
        self.frames.take(unit, jumped, &mut self.steps);
        self.work_off(tape)
    }

    fn flush(&mut self, tape: &Tape) {
        let (count, next_picture_ms) = self.whole();
        self.put(count, next_picture_ms, tape);
    }

    fn end(&mut self, tape: &Tape) {
        self.frames.end(&mut self.steps);
        let _ = self.work_off(tape);
        self.put(self.pending.len(), None, tape);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::{Context, Waker};

    use super::*;
    use crate::live::fanout::frames::pushed::{PICTURE, SOUND, picture, sound};
    use crate::live::fanout::outgoing::Outgoing;
    use crate::live::fanout::tape::{Coding, TapeReader};

    /// What a viewer is sent now: how many pictures and frames of sound.
    fn sent(viewer: &mut TapeReader) -> (usize, usize) {
        let mut outgoing = Outgoing::default();
        let mut context = Context::from_waker(Waker::noop());
        let mut bytes = Vec::new();
        while viewer
            .poll_next(&mut context, &mut outgoing, usize::MAX)
            .is_ready()
        {
            while let Some(more) = outgoing.take(usize::MAX) {
                bytes.extend_from_slice(&more);
            }
        }
        let count = |mark: &[u8]| bytes.windows(mark.len()).filter(|it| *it == mark).count();
        (count(PICTURE), count(SOUND))
    }

    /// A tape on which units come, every five of them in a tick.
    fn filled(units: impl Iterator<Item = Unit>) -> (Fragments, Arc<Tape>) {
        let mut fragments = Fragments::new(&Headers::default());
        let tape = Tape::new(Coding::Plain);
        for (number, unit) in units.enumerate() {
            fragments.take(&unit, number == 0, &tape).unwrap();
            if number % 5 == 4 {
                fragments.flush(&tape);
            }
        }
        (fragments, tape)
    }

    #[test]
    fn the_sound_goes_on_where_the_picture_stopped() {
        for behind in [0, 900] {
            let sounds = (0..500).map(|n| sound(10_000 - behind + n * 20, false));
            let units = std::iter::once(picture(10_000, true)).chain(sounds);
            let (fragments, tape) = filled(units);
            let (pictures, sounds) = sent(&mut tape.read());
            assert_eq!(pictures, 1, "{behind}");
            assert!(sounds > 490 && fragments.pending.len() < 10, "{sounds}");
        }
    }

    #[test]
    fn a_picture_waits_for_the_next_one_while_the_sound_is_short() {
        let units = (0..100).flat_map(|n| {
            let at = 1_000 + n * 40;
            [picture(at, n == 0), sound(at, false), sound(at + 20, false)]
        });
        let (mut fragments, tape) = filled(units);
        let mut viewer = tape.read();
        let (pictures, _) = sent(&mut viewer);
        assert!((95..100).contains(&pictures), "{pictures}");
        fragments.end(&tape);
        assert_eq!(pictures + sent(&mut viewer).0, 100);
    }

    #[test]
    fn who_comes_before_any_picture_begins_with_the_newest_sound() {
        let (_, tape) = filled((0..300).map(|n| sound(n * 20, n % 50 == 0)));
        let (pictures, sounds) = sent(&mut tape.read());
        assert_eq!(pictures, 0);
        assert!((45..60).contains(&sounds), "{sounds}");
    }

    #[test]
    fn sound_far_behind_the_picture_takes_no_picture_with_it() {
        let units = (0..300).flat_map(|n| {
            let at = 20_000 + n * 40;
            [picture(at, n == 0), sound(at - 9_900, false)]
        });
        let (mut fragments, tape) = filled(units);
        fragments.end(&tape);
        // The sound of the first 8.9 s lies before the beginning.
        assert_eq!(sent(&mut tape.read()), (300, 77));
    }
}
