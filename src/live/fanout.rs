//! A live stream's messages, for whoever watches: the newest groups of pictures are kept with their headers, so that a player starts at once.
//!
//! A publish writes, many read. What a container needs is made once for all its viewers, on a tape of that container ([`tape`]); whoever makes
//! a tape is one reader of the messages, and a tape is made only while somebody watches it. The recorder alone is no reader of these: it must
//! lose nothing and holds the publisher back instead, so the publisher's connection hands it each frame itself.

mod flat;
pub mod fmp4;
mod frames;
pub mod hls;
mod kept;
pub mod log;
pub mod outgoing;
pub mod tape;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::runtime::Handle;

use crate::clock;
use crate::disk::laid::Laid;
use crate::media::frame::{AudioConfig, VideoConfig};
use crate::media::rtmp::{Message, TagKind};
use flat::Flat;
use fmp4::Fragments;
use hls::Hls;
use kept::{Entry, Lightening, Reader};
use log::{Bounds, Budget, From, Log};
use tape::{Coding, Form, Maker, Tape};

/// What is kept of a stream: the group that grows and the whole one before it.
const KEPT: Bounds = Bounds {
    groups: 2,
    linger: Duration::ZERO,
    bytes: 32 << 20,
    entries: 16_384,
};
/// Bytes that all streams keep together; above, each keeps [`LEAN`] bytes at most, and what is new.
pub const MOST_KEPT: usize = 512 << 20;
/// Bytes that one stream keeps where all streams keep too much.
const LEAN: usize = 256 << 10;
/// What came within this is new: its readers hear of it by ticks, and have come before the next one.
const FRESH: Duration = Duration::from_millis(100);
/// Sound alone has no key frames: a group begins so often, in the publisher's milliseconds.
const SOUND_GROUP_MS: u32 = 1_000;
/// So long without a picture, sound begins groups.
const PICTURES_GONE_MS: u32 = 10_000;
/// The second track's configuration is waited for so long after the first frame.
const TRACKS_PATIENCE: Duration = Duration::from_millis(1_000);
/// Looks at whether both tracks are there.
const TRACKS_AGAIN: Duration = Duration::from_millis(20);
/// Bytes of the largest script message that is passed on.
const MOST_DATA: usize = 64 << 10;

/// One message of a publish.
#[derive(Debug, Clone)]
pub struct Unit {
    pub message: Message,
    /// Of the first message of a group: what a player must have before it.
    pub headers: Option<Arc<Headers>>,
}

impl Unit {
    /// Whether sound begins a group here, since there are no pictures (yet, or any more).
    fn is_sound_that_begins(&self) -> bool {
        self.headers.is_some() && self.message.kind == TagKind::Audio
    }
}

/// The headers in force, as they were pushed.
#[derive(Debug, Clone, Default)]
pub struct Headers {
    pub metadata: Option<Message>,
    pub video: Option<Message>,
    pub audio: Option<Message>,
    pub video_config: Option<VideoConfig>,
    pub audio_config: Option<AudioConfig>,
}

impl Headers {
    /// The messages as they go before a frame of that time. Metadata has none: ffmpeg takes those of a later time for a track of text.
    pub fn messages(&self, timestamp: u32) -> impl Iterator<Item = Message> + '_ {
        let headers = [
            (0, &self.metadata),
            (timestamp, &self.video),
            (timestamp, &self.audio),
        ];
        headers.into_iter().filter_map(|(timestamp, header)| {
            header.as_ref().map(|header| Message {
                timestamp,
                ..header.clone()
            })
        })
    }

    /// Whether a video and an audio track are known.
    #[must_use]
    pub fn tracks(&self) -> (bool, bool) {
        (self.video_config.is_some(), self.audio_config.is_some())
    }
}

/// What a message turned out to hold.
#[derive(Debug, Default, PartialEq)]
pub struct Held {
    pub metadata: bool,
    pub video_config: Option<VideoConfig>,
    pub audio_config: Option<AudioConfig>,
    pub picture: bool,
    /// Decoding can begin with the picture.
    pub key: bool,
    pub sound: bool,
}

/// The publisher's side of what is kept.
#[derive(Default)]
struct State {
    headers: Arc<Headers>,
    /// When the first frame came, by the machine.
    began: Option<Instant>,
    /// Of the newest group.
    last_start: Option<u32>,
    /// Of the newest group that a picture began.
    last_key: Option<u32>,
    last_picture: Option<u32>,
}

/// One publish, as its viewers see it.
pub struct Fanout {
    log: Arc<Log<Entry>>,
    lightening: Lightening,
    readers: Arc<AtomicUsize>,
    state: Mutex<State>,
    tapes: Mutex<HashMap<(Form, Coding), Weak<Tape>>>,
    hls: Mutex<Weak<Hls>>,
    viewers: AtomicUsize,
    runtime: Handle,
}

/// The budget of all streams of a process.
#[must_use]
pub fn budget() -> Arc<Budget> {
    Arc::new(Budget {
        kept: AtomicUsize::new(0),
        most: MOST_KEPT,
        lean: LEAN,
        fresh: FRESH,
    })
}

impl Fanout {
    /// A publish that has brought nothing yet. Tapes are made on the runtime of the caller.
    #[must_use]
    pub fn new(budget: Arc<Budget>) -> Arc<Self> {
        Arc::new(Self {
            log: Log::new(KEPT, Some(budget)),
            lightening: Lightening::default(),
            readers: Arc::default(),
            state: Mutex::default(),
            tapes: Mutex::default(),
            hls: Mutex::default(),
            viewers: AtomicUsize::new(0),
            runtime: Handle::current(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ---- the publisher's side ----

    /// Takes a message that could be read.
    pub fn push(&self, message: Message, held: &Held) {
        let mut state = self.state();
        self.take_headers(&mut state, &message, held);
        let frame = held.picture || held.sound;
        let has_begun = state.last_start.is_some();
        let starts = frame && state.starts_group(message.timestamp, held);
        // Before the first key frame no picture can be shown, and headers are kept beside the log.
        let is_shown = starts || (has_begun && (!held.picture || state.last_key.is_some()));
        if !is_shown {
            return;
        }
        if !frame && message.payload.len() > MOST_DATA {
            return;
        }
        if starts {
            state.last_start = Some(message.timestamp);
            if held.picture {
                state.last_key = state.last_start;
            }
            state.began.get_or_insert_with(clock::monotonic);
        }
        let headers = starts.then(|| state.headers.clone());
        let size = message.payload.len() + size_of::<Entry>();
        drop(state);
        let entry = Entry::new(Unit { message, headers });
        self.log.push(entry, size, starts);
    }

    /// Whether the messages are read: a container is made of them.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.readers.load(Ordering::Relaxed) > 0
    }

    /// Payloads that the recording has need not be held here; `laid` is empty afterwards.
    pub fn let_go(&self, laid: &mut Vec<Laid>) {
        self.lightening.let_go(&self.log, laid);
    }

    /// Bytes of memory that the kept groups take.
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        self.log.bytes()
    }

    fn take_headers(&self, state: &mut State, message: &Message, held: &Held) {
        let is_header = held.metadata || held.video_config.is_some() || held.audio_config.is_some();
        if !is_header {
            return;
        }
        let headers = Arc::make_mut(&mut state.headers);
        // A copy: what is kept for hours must not keep what came beside it.
        let copy = || Message {
            payload: Bytes::copy_from_slice(&message.payload),
            ..message.clone()
        };
        if held.metadata && message.payload.len() <= MOST_DATA {
            headers.metadata = Some(copy());
        }
        if let Some(config) = &held.video_config {
            headers.video_config = Some(config.clone());
            headers.video = (!held.picture).then(copy);
        }
        if let Some(config) = &held.audio_config {
            headers.audio_config = Some(config.clone());
            // Frames of MP3 carry their own header.
            headers.audio = (!held.sound).then(copy);
        }
    }

    /// Tells the readers what came since the last call.
    pub fn tick(&self) {
        self.log.wake();
    }

    /// The publish ended.
    pub fn close(&self) {
        self.log.close();
    }

    // ---- the viewers' side ----

    #[must_use]
    pub fn is_over(&self) -> bool {
        self.log.is_closed()
    }

    /// A reader of the messages.
    #[must_use]
    pub fn read(&self, from: From) -> Reader {
        Reader::new(self.log.clone(), from, self.readers.clone())
    }

    /// The headers in force now.
    #[must_use]
    pub fn headers(&self) -> Arc<Headers> {
        self.state().headers.clone()
    }

    /// Waits until both tracks are known, or it is clear that there is one: a container's head tells them. A publish that is over has those that it
    /// had. False: it ended before anything came.
    pub async fn tracks_known(&self) -> bool {
        loop {
            // Before the look at what came: nothing comes behind the end.
            let is_over = self.is_over();
            {
                let state = self.state();
                let waited = state.began.map(|began| began.elapsed());
                let both = state.headers.tracks() == (true, true);
                if waited.is_some_and(|waited| is_over || both || waited >= TRACKS_PATIENCE) {
                    return true;
                }
            }
            if is_over {
                return false;
            }
            clock::machine_sleep(TRACKS_AGAIN).await;
        }
    }

    /// The tape of a container, made when nobody watches it yet.
    #[must_use]
    pub fn tape(self: &Arc<Self>, form: Form, coding: Coding) -> Arc<Tape> {
        let mut tapes = self.tapes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tape) = tapes.get(&(form, coding)).and_then(Weak::upgrade)
            && !tape.is_over()
        {
            return tape;
        }
        let tape = tape::make(
            self,
            &self.runtime,
            coding,
            move |headers| -> Box<dyn Maker> {
                match form {
                    Form::Flv => Box::new(Flat::flv(headers)),
                    Form::Rtmp { stream_id } => Box::new(Flat::rtmp(stream_id)),
                    Form::Mp4 => Box::new(Fragments::new(headers)),
                }
            },
        );
        tapes.retain(|_, tape| tape.strong_count() > 0);
        tapes.insert((form, coding), Arc::downgrade(&tape));
        tape
    }

    /// The HLS slices, made when nobody watches them yet, and anew where they ended before the publish: what was kept could not be read back.
    #[must_use]
    pub fn hls(self: &Arc<Self>) -> Arc<Hls> {
        let mut hls = self.hls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(hls) = hls.upgrade()
            && (!hls.has_ended() || self.is_over())
        {
            return hls;
        }
        let made = hls::make(self, &self.runtime);
        *hls = Arc::downgrade(&made);
        made
    }

    /// A viewer came.
    pub fn viewer_came(&self) {
        self.viewers.fetch_add(1, Ordering::Relaxed);
    }

    pub fn viewer_went(&self) {
        self.viewers.fetch_sub(1, Ordering::Relaxed);
    }

    /// Who watches now.
    #[must_use]
    pub fn viewers(&self) -> usize {
        self.viewers.load(Ordering::Relaxed)
    }
}

impl State {
    /// Whether a player can begin with this frame.
    fn starts_group(&mut self, timestamp: u32, held: &Held) -> bool {
        let since = |last: Option<u32>| last.map(|last| timestamp.wrapping_sub(last));
        if held.picture {
            let before = self.last_picture.replace(timestamp);
            // A further part of the picture that began the group is no beginning. A later picture of the same time is one: who pushes a clip over
            // and over may set the clock back each time.
            let begun = self.last_key == Some(timestamp) && before == Some(timestamp);
            return held.key && !begun;
        }
        // Sound that comes before the first picture, as most encoders send it, is there for who came before it.
        if self.headers.video_config.is_some() && self.last_key.is_some() {
            // The picture may have stopped, and the sound goes on.
            let gone = since(self.last_picture)
                .is_some_and(|ms| (PICTURES_GONE_MS..u32::MAX / 2).contains(&ms));
            if !gone {
                return false;
            }
        }
        since(self.last_start).is_none_or(|ms| ms >= SOUND_GROUP_MS)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Context;

    use super::*;
    use crate::live::fanout::frames::pushed;
    use crate::live::fanout::log::Taken;
    use crate::live::fanout::outgoing::Outgoing;
    use crate::live::fanout::tape::TapeReader;
    use crate::media::frame::{AudioCodec, VideoCodec};

    fn message(kind: TagKind, timestamp: u32) -> Message {
        Message {
            kind,
            timestamp,
            payload: Bytes::from_static(b"payload"),
        }
    }

    fn picture(key: bool) -> Held {
        Held {
            picture: true,
            key,
            ..Held::default()
        }
    }

    fn sound() -> Held {
        Held {
            sound: true,
            ..Held::default()
        }
    }

    fn video_config() -> Held {
        Held {
            video_config: Some(VideoConfig {
                codec: VideoCodec::H264,
                record: Bytes::new(),
                width: 0,
                height: 0,
            }),
            ..Held::default()
        }
    }

    async fn kept(fanout: &Fanout) -> Vec<(u32, bool)> {
        let mut out = Vec::new();
        fanout.close();
        let mut cursor = fanout.read(From::Oldest);
        cursor.take(&mut out, usize::MAX).await;
        out.iter()
            .map(|unit| (unit.message.timestamp, unit.headers.is_some()))
            .collect()
    }

    #[tokio::test]
    async fn the_newest_two_groups_are_kept_with_their_headers() {
        let fanout = Fanout::new(budget());
        fanout.push(message(TagKind::Video, 0), &video_config());
        // What comes before the first key frame cannot be shown.
        fanout.push(message(TagKind::Video, 0), &picture(false));
        fanout.push(message(TagKind::Audio, 5), &sound());
        for at in (10..60).step_by(5) {
            fanout.push(message(TagKind::Video, at), &picture(at % 20 == 0));
        }
        let kept = kept(&fanout).await;
        assert_eq!(kept.first(), Some(&(20, true)));
        assert_eq!(kept.iter().filter(|(_, starts)| *starts).count(), 2);
        assert_eq!(kept.last(), Some(&(55, false)));
    }

    #[tokio::test]
    async fn sound_before_the_first_picture_is_kept_and_no_picture_before_a_key_frame() {
        let fanout = Fanout::new(budget());
        fanout.push(message(TagKind::Video, 0), &video_config());
        fanout.push(message(TagKind::Audio, 0), &sound());
        fanout.push(message(TagKind::Video, 10), &picture(false));
        fanout.push(message(TagKind::Audio, 20), &sound());
        // At the time of the group that sound began.
        fanout.push(message(TagKind::Video, 0), &picture(true));
        fanout.push(message(TagKind::Video, 40), &picture(false));
        assert_eq!(
            kept(&fanout).await,
            [(0, true), (20, false), (0, true), (40, false)]
        );
    }

    #[tokio::test]
    async fn sound_alone_begins_a_group_every_second() {
        let fanout = Fanout::new(budget());
        for at in (0..3_000).step_by(500) {
            fanout.push(message(TagKind::Audio, at), &sound());
        }
        let starts: Vec<u32> = kept(&fanout)
            .await
            .into_iter()
            .filter_map(|(at, starts)| starts.then_some(at))
            .collect();
        assert_eq!(starts, [1_000, 2_000]);
    }

    #[tokio::test]
    async fn sound_goes_on_where_the_picture_stopped() {
        let fanout = Fanout::new(budget());
        fanout.push(message(TagKind::Video, 0), &video_config());
        fanout.push(message(TagKind::Video, 0), &picture(true));
        for at in (500..12_000).step_by(500) {
            fanout.push(message(TagKind::Audio, at), &sound());
        }
        assert_eq!(kept(&fanout).await.first(), Some(&(10_000, true)));
    }

    #[tokio::test]
    async fn a_second_part_of_a_key_picture_begins_nothing() {
        let fanout = Fanout::new(budget());
        fanout.push(message(TagKind::Video, 0), &video_config());
        fanout.push(message(TagKind::Video, 40), &picture(true));
        fanout.push(message(TagKind::Video, 40), &picture(true));
        assert_eq!(kept(&fanout).await, [(40, true), (40, false)]);
    }

    #[tokio::test]
    async fn a_key_picture_begins_a_group_each_time_that_a_clip_is_pushed_again() {
        let fanout = Fanout::new(budget());
        fanout.push(message(TagKind::Video, 0), &video_config());
        for _ in 0..3 {
            for at in (0..120).step_by(40) {
                fanout.push(message(TagKind::Video, at), &picture(at == 0));
                // Of the time of the picture, and no part of it.
                fanout.push(message(TagKind::Audio, at), &sound());
            }
        }
        let kept = kept(&fanout).await;
        assert_eq!(kept.len(), 12);
        let starts: Vec<usize> = (0..kept.len()).filter(|index| kept[*index].1).collect();
        assert_eq!(starts, [0, 6]);
    }

    #[tokio::test]
    async fn both_tracks_are_waited_for_and_one_alone_is_taken() {
        let fanout = Fanout::new(budget());
        fanout.push(message(TagKind::Video, 0), &video_config());
        fanout.push(message(TagKind::Video, 0), &picture(true));
        let audio = Held {
            audio_config: Some(AudioConfig {
                codec: AudioCodec::Aac,
                record: Bytes::new(),
                sample_rate: 48_000,
                channels: 2,
            }),
            ..Held::default()
        };
        let began = clock::monotonic();
        fanout.push(message(TagKind::Audio, 0), &audio);
        assert!(fanout.tracks_known().await);
        assert!(began.elapsed() < TRACKS_PATIENCE);
        assert_eq!(fanout.headers().tracks(), (true, true));
        let empty = Fanout::new(budget());
        empty.close();
        assert!(!empty.tracks_known().await);
    }

    /// All that a viewer is sent.
    async fn sent(mut reader: TapeReader) -> Vec<u8> {
        let (mut outgoing, mut sent) = (Outgoing::default(), Vec::new());
        loop {
            let next =
                |context: &mut Context<'_>| reader.poll_next(context, &mut outgoing, usize::MAX);
            if std::future::poll_fn(next).await == Taken::Ended {
                return sent;
            }
            while let Some(more) = outgoing.take(usize::MAX) {
                sent.extend_from_slice(&more);
            }
        }
    }

    #[tokio::test]
    async fn a_push_of_one_track_that_is_over_at_once_reaches_who_was_there() {
        let fanout = Fanout::new(budget());
        let key = pushed::picture(0, true);
        let config = key.headers.and_then(|headers| headers.video.clone());
        fanout.push(config.unwrap(), &video_config());
        let began = clock::monotonic();
        let forms = [Form::Flv, Form::Rtmp { stream_id: 1 }, Form::Mp4];
        let readers = forms.map(|form| fanout.tape(form, Coding::Plain).read());
        let slices = fanout.hls();
        fanout.push(key.message, &picture(true));
        fanout.tick();
        fanout.close();
        for (form, reader) in forms.into_iter().zip(readers) {
            let sent = sent(reader).await;
            let mut parts = sent.windows(pushed::PICTURE.len());
            assert!(parts.any(|part| part == pushed::PICTURE), "{form:?}");
        }
        assert!(slices.has_begun(TRACKS_PATIENCE).await);
        assert!(slices.slice(&hls::Told::default(), 0).is_some());
        assert!(began.elapsed() < TRACKS_PATIENCE);
    }

    #[tokio::test]
    async fn slices_that_ended_before_the_publish_are_made_anew() {
        let fanout = Fanout::new(budget());
        let first = fanout.hls();
        assert!(Arc::ptr_eq(&first, &fanout.hls()));
        // As where the spool does not give back what was kept.
        first.end();
        let second = fanout.hls();
        assert!(!Arc::ptr_eq(&first, &second) && !second.has_ended());
        assert!(Arc::ptr_eq(&second, &fanout.hls()));
        fanout.close();
        second.end();
        assert!(Arc::ptr_eq(&second, &fanout.hls()));
    }
}
