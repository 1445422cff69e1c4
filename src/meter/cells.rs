//! The counters of one stream: what a publisher brings, and what the viewers of one domain and form take.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use crate::clock::UnixMs;
use crate::media::frame::Track;
use crate::model::figures::{self, Player, TrackFigures};
use crate::model::stream_key::StreamKey;

/// A step between two timestamps above this is a jump and no frame's length.
const LONGEST_FRAME_MS: i64 = 10_000;
/// No frame came yet.
const NONE: i64 = i64::MIN;

/// Whether counters go on or begin anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    Leave,
    Take,
}

impl Look {
    fn at(self, counter: &AtomicU64) -> u64 {
        match self {
            Self::Leave => counter.load(Relaxed),
            Self::Take => counter.swap(0, Relaxed),
        }
    }
}

/// One track. A frame lasts as long as the step that leads to it; the first one as long as the second.
#[derive(Debug)]
struct TrackCell {
    frames: AtomicU64,
    bytes: AtomicU64,
    media_ms: AtomicU64,
    last: AtomicI64,
    step: AtomicI64,
}

impl Default for TrackCell {
    fn default() -> Self {
        Self {
            frames: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            media_ms: AtomicU64::new(0),
            last: AtomicI64::new(NONE),
            step: AtomicI64::new(0),
        }
    }
}

impl TrackCell {
    /// One publisher writes, so that what is read here is what it wrote.
    fn note(&self, timestamp: i64, bytes: u64) {
        self.frames.fetch_add(1, Relaxed);
        self.bytes.fetch_add(bytes, Relaxed);
        let last = self.last.swap(timestamp, Relaxed);
        let known = self.step.load(Relaxed);
        let step = timestamp.saturating_sub(last);
        let lasts = if last == NONE || !(0..=LONGEST_FRAME_MS).contains(&step) {
            known
        } else {
            self.step.store(step, Relaxed);
            // The frame before the first step has had no length yet.
            if known == 0 { 2 * step } else { step }
        };
        self.media_ms
            .fetch_add(u64::try_from(lasts).unwrap_or(0), Relaxed);
    }

    fn begin(&self) {
        self.last.store(NONE, Relaxed);
        self.step.store(0, Relaxed);
    }

    fn figures(&self, look: Look) -> TrackFigures {
        TrackFigures {
            frames: look.at(&self.frames),
            bytes: look.at(&self.bytes),
            media_ms: look.at(&self.media_ms),
        }
    }
}

/// What a stream brings.
#[derive(Debug, Default)]
pub struct InCell {
    bytes: AtomicU64,
    video: TrackCell,
    audio: TrackCell,
}

impl InCell {
    pub fn row(
        &self,
        minute: UnixMs,
        key: &StreamKey,
        ingest_domain: &str,
        look: Look,
    ) -> Option<figures::Inflow> {
        let bytes = look.at(&self.bytes);
        let (video, audio) = (self.video.figures(look), self.audio.figures(look));
        (bytes + video.frames + audio.frames > 0).then(|| figures::Inflow {
            minute,
            key: key.clone(),
            ingest_domain: ingest_domain.to_owned(),
            bytes,
            video,
            audio,
        })
    }
}

/// What the viewers of a stream take, by one domain and in one form.
#[derive(Debug, Default)]
pub struct OutCell {
    bytes: AtomicU64,
    came: AtomicU64,
    now: AtomicU64,
    /// The most at a time in the minute.
    most: AtomicU64,
}

impl OutCell {
    pub fn row(
        &self,
        minute: UnixMs,
        key: &StreamKey,
        player: Player,
        secure: bool,
        look: Look,
    ) -> Option<figures::Outflow> {
        let (bytes, came) = (look.at(&self.bytes), look.at(&self.came));
        let now = self.now();
        let most = match look {
            Look::Leave => self.most.load(Relaxed),
            Look::Take => self.most.swap(now, Relaxed),
        };
        let viewers = most.max(now);
        (bytes + came + viewers > 0).then(|| figures::Outflow {
            minute,
            key: key.clone(),
            player,
            secure,
            bytes,
            viewers,
            came,
        })
    }

    /// Viewers at this moment.
    pub fn now(&self) -> u64 {
        self.now.load(Relaxed)
    }
}

/// A publisher's hold on its stream's counters.
#[derive(Debug)]
pub struct Inflow(Arc<InCell>);

impl Inflow {
    pub(super) fn on(cell: Arc<InCell>) -> Self {
        Self(cell)
    }

    /// The publisher was let in: its timestamps have nothing to do with those of the one before it.
    pub fn begin(&self) {
        self.0.video.begin();
        self.0.audio.begin();
    }

    /// A frame arrived. The timestamp is the push's own, in milliseconds.
    pub fn frame(&self, track: Track, timestamp: u32, bytes: usize) {
        let (timestamp, bytes) = (
            i64::from(timestamp),
            u64::try_from(bytes).unwrap_or(u64::MAX),
        );
        match track {
            // Some encoders send a picture in parts.
            Track::Video if self.0.video.last.load(Relaxed) == timestamp => {
                self.0.video.bytes.fetch_add(bytes, Relaxed);
            }
            Track::Video => self.0.video.note(timestamp, bytes),
            Track::Audio => self.0.audio.note(timestamp, bytes),
        }
    }

    /// Media arrived: everything that the frames came in.
    pub fn arrived(&self, bytes: u64) {
        self.0.bytes.fetch_add(bytes, Relaxed);
    }
}

/// A viewer who is there; going away is being dropped.
#[derive(Debug)]
pub struct ViewerGuard(Arc<OutCell>);

impl ViewerGuard {
    pub(super) fn on(cell: Arc<OutCell>) -> Self {
        cell.came.fetch_add(1, Relaxed);
        let now = cell.now.fetch_add(1, Relaxed) + 1;
        cell.most.fetch_max(now, Relaxed);
        Self(cell)
    }

    /// Bytes were sent to the viewer.
    pub fn sent(&self, bytes: u64) {
        self.0.bytes.fetch_add(bytes, Relaxed);
    }
}

impl Drop for ViewerGuard {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media_ms(timestamps: &[i64]) -> u64 {
        let cell = TrackCell::default();
        for at in timestamps {
            cell.note(*at, 1);
        }
        cell.figures(Look::Leave).media_ms
    }

    #[test]
    fn frames_fill_the_time_that_their_timestamps_tell() {
        assert_eq!(media_ms(&[]), 0);
        assert_eq!(media_ms(&[7_000]), 0);
        assert_eq!(media_ms(&[7_000, 7_040]), 80);
        assert_eq!(media_ms(&[0, 40, 80, 120]), 160);
        // A loop of the clip and a jump are no frames' lengths; the frame at one lasts as long as the one before it.
        assert_eq!(media_ms(&[0, 40, 80, 0, 40]), 200);
        assert_eq!(media_ms(&[0, 40, 900_000, 900_040]), 160);
        assert_eq!(media_ms(&[i64::MAX, i64::MIN + 1, 0]), 0);
    }

    #[test]
    fn counters_that_are_taken_begin_anew_and_go_on_in_time() {
        let cell = TrackCell::default();
        cell.note(0, 10);
        cell.note(40, 10);
        assert_eq!(cell.figures(Look::Take).media_ms, 80);
        cell.note(80, 10);
        let next = cell.figures(Look::Take);
        assert_eq!((next.frames, next.bytes, next.media_ms), (1, 10, 40));
    }

    #[test]
    fn a_picture_in_parts_is_one_frame() {
        let inflow = Inflow::on(Arc::default());
        for at in [0, 0, 40, 80] {
            inflow.frame(Track::Video, at, 100);
            inflow.frame(Track::Audio, at, 10);
        }
        let row = inflow
            .0
            .row(0, &StreamKey::new("d", "a", "s"), "i", Look::Take)
            .unwrap();
        assert_eq!((row.video.frames, row.video.bytes), (3, 400));
        assert_eq!((row.audio.frames, row.audio.bytes), (4, 40));
        assert!((row.video.frame_rate() - 25.0).abs() < f64::EPSILON);
    }

    #[test]
    fn viewers_are_counted_while_they_are_there() {
        let cell: Arc<OutCell> = Arc::default();
        let key = StreamKey::new("d", "a", "s");
        let row = |look| cell.row(0, &key, Player::Flv, false, look);
        assert_eq!(row(Look::Take), None);
        let first = ViewerGuard::on(cell.clone());
        drop(ViewerGuard::on(cell.clone()));
        first.sent(100);
        let minute = row(Look::Take).unwrap();
        assert_eq!((minute.viewers, minute.came, minute.bytes), (2, 2, 100));
        // Who stays is there without a byte.
        let minute = row(Look::Take).unwrap();
        assert_eq!((minute.viewers, minute.came, minute.bytes), (1, 0, 0));
        drop(first);
        // It was there when the minute began.
        assert_eq!(row(Look::Take).unwrap().viewers, 1);
        assert_eq!(row(Look::Take), None);
    }
}
