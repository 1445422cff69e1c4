//! HLS: MPEG-TS slices of whole groups of pictures, in memory, and the playlist that slides over them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::frames::{Frames, Step};
use super::kept::Reader;
use super::log::{From, Taken, USUAL};
use super::{Fanout, Headers, Unit};
use crate::clock;
use crate::media::frame::{AudioConfig, Frame, Track, VideoConfig};
use crate::media::hls::{self, Segment};
use crate::media::mpegts::{Continuity, TsMuxer, can_carry};

/// A slice is cut at the first key frame at or after this length.
const TARGET_MS: i64 = 2_000;
/// Frames of whole seconds may come some milliseconds early.
const ROUNDING_MS: i64 = 100;
/// Where no key frame comes, a slice ends here all the same.
const LONGEST_MS: i64 = 30_000;
/// Bytes of the largest slice.
const LARGEST: usize = 24 << 20;
/// Slices that the playlist lists, or more where those are shorter than three target durations.
pub const LISTED: usize = 6;
/// Bytes of a stream's slices.
pub const MOST_BYTES: usize = 96 << 20;
/// Slices of a stream, however short they are.
const MOST_SLICES: usize = 256;
/// Bytes of messages that are worked on at a time.
const TURN: usize = 2 << 20;

/// One slice.
#[derive(Debug)]
pub struct Slice {
    pub number: u64,
    pub bytes: Bytes,
    duration_ms: u64,
    discontinuity: bool,
}

/// A slice as a player knows it.
#[derive(Debug, Clone)]
struct Offered {
    /// The player's number of it.
    number: u64,
    /// It does not follow the one before.
    breaks: bool,
    slice: Arc<Slice>,
}

/// What a player was told of earlier publishes of the stream: its playlist goes on from there, since the numbers of slices never fall.
#[derive(Debug, Default)]
pub struct Told {
    slices: u64,
    discontinuities: u64,
    longest_ms: u64,
    /// How long the longest playlist was.
    longest_list_ms: u64,
    shown: Mutex<Shown>,
}

/// What changes as a player asks.
#[derive(Debug, Default)]
struct Shown {
    /// The player's number of the first slice on its list: one that has left it does not come back when the target duration grows.
    first: u64,
    /// The last slices of earlier publishes, which the player may not have fetched yet. They go as this publish has slices of its own.
    tail: Vec<Offered>,
}

impl Told {
    /// Whether the player knows slices of earlier publishes.
    #[must_use]
    pub fn has_slices(&self) -> bool {
        self.slices > 0
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same without the slices: what is kept of a player that is silent for long.
    #[must_use]
    pub fn counts(&self) -> Self {
        let first = self.shown().first;
        let tail = Vec::new();
        Self {
            shown: Mutex::new(Shown { first, tail }),
            ..*self
        }
    }

    /// What is listed of what the player is offered, and how long that is. The oldest leaves the list as soon as enough is left.
    fn list<'a>(&self, offered: &'a [Offered], longest_ms: u64) -> (&'a [Offered], u64) {
        let mut shown = self.shown();
        let gone = offered.iter().take_while(|it| it.number < shown.first);
        let mut listed = offered.get(gone.count()..).unwrap_or_default();
        let mut list_ms: u64 = listed.iter().map(|it| it.slice.duration_ms).sum();
        let least_ms = hls::least_left_ms(longest_ms);
        while let [oldest, rest @ ..] = listed
            && rest.len() >= LISTED
            && list_ms - oldest.slice.duration_ms >= least_ms
        {
            list_ms -= oldest.slice.duration_ms;
            listed = rest;
        }
        shown.first = listed.first().map_or(shown.first, |it| it.number);
        (listed, list_ms)
    }

    fn breaks_at(&self, slice: &Slice) -> bool {
        slice.discontinuity || (slice.number == 0 && self.slices > 0)
    }
}

#[derive(Default)]
struct Inner {
    slices: VecDeque<Arc<Slice>>,
    next: u64,
    bytes: usize,
    /// Discontinuities of slices that are gone.
    discontinuities: u64,
    longest_ms: u64,
    /// The longest slice that one of the players was told of by an earlier publish: its target duration does not fall.
    longest_told_ms: u64,
    /// How long the longest playlist was.
    longest_list_ms: u64,
    has_ended: bool,
}

impl Inner {
    /// All discontinuities that a player can have come across.
    fn discontinuities_for(&self, before: &Told) -> u64 {
        let kept = self.slices.iter().filter(|it| it.discontinuity).count() as u64;
        let between = u64::from(before.slices > 0 && self.next > 0);
        before.discontinuities + self.discontinuities + kept + between
    }

    /// What a player is offered: the slices of this publish, and those of earlier ones that go before its first. They have no hole among them,
    /// and are no more than one publish keeps.
    fn offered(&self, before: &Told) -> Vec<Offered> {
        let mut shown = before.shown();
        // Where the first slice of this publish is gone, those before it do not adjoin any more.
        if self.slices.front().is_some_and(|it| it.number > 0) {
            shown.tail.clear();
        }
        let earlier = shown.tail.iter().map(|it| &it.slice);
        let list_ms = self.longest_list_ms.max(before.longest_list_ms);
        let gone = outlived(earlier.chain(&self.slices), list_ms).min(shown.tail.len());
        shown.tail.drain(..gone);
        let own = self.slices.iter().map(|slice| Offered {
            number: before.slices + slice.number,
            breaks: before.breaks_at(slice),
            slice: slice.clone(),
        });
        shown.tail.iter().cloned().chain(own).collect()
    }

    /// What a player has been told by now; `tail` is what it may not have fetched.
    fn told(&self, before: &Told, tail: Vec<Offered>) -> Told {
        let first = before.shown().first;
        Told {
            slices: before.slices + self.next,
            discontinuities: self.discontinuities_for(before),
            longest_ms: self.longest_ms.max(before.longest_ms),
            longest_list_ms: self.longest_list_ms.max(before.longest_list_ms),
            shown: Mutex::new(Shown { first, tail }),
        }
    }

    /// How long the list is now of a player that asks all the time and was told of the longest slices.
    fn list_ms(&self) -> u64 {
        let least_ms = hls::least_left_ms(self.longest_ms.max(self.longest_told_ms));
        let mut list_ms = 0;
        for (count, slice) in self.slices.iter().rev().enumerate() {
            if count >= LISTED && list_ms >= least_ms {
                break;
            }
            list_ms += slice.duration_ms;
        }
        list_ms
    }

    fn drop_outlived(&mut self) {
        self.longest_list_ms = self.longest_list_ms.max(self.list_ms());
        let gone = outlived(self.slices.iter(), self.longest_list_ms);
        for slice in self.slices.drain(..gone) {
            self.bytes -= slice.bytes.len();
            self.discontinuities += u64::from(slice.discontinuity);
        }
    }
}

/// How many of the oldest slices need not be kept. One that has left the list stays for its own duration and that of the longest list (RFC 8216
/// section 6.2.2). What lay behind it when it left was a list, too, and so no longer than the longest one. The bounds come before that.
fn outlived<'a>(
    slices: impl Iterator<Item = &'a Arc<Slice>> + Clone,
    longest_list_ms: u64,
) -> usize {
    let (mut count, mut behind_ms, mut bytes) = (0, 0, 0);
    for slice in slices.clone() {
        count += 1;
        behind_ms += slice.duration_ms;
        bytes += slice.bytes.len();
    }
    let mut gone = 0;
    for slice in slices {
        behind_ms -= slice.duration_ms;
        let stays_ms = slice.duration_ms + 2 * longest_list_ms;
        let is_outlived = behind_ms >= stays_ms.max(1);
        let is_too_much = bytes > MOST_BYTES || count > MOST_SLICES;
        let may_go = is_outlived || is_too_much;
        if count == 1 || !may_go {
            break;
        }
        bytes -= slice.bytes.len();
        count -= 1;
        gone += 1;
    }
    gone
}

/// The slices of a publish.
#[derive(Default)]
pub struct Hls {
    inner: Mutex<Inner>,
    changed: Notify,
}

impl Hls {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the first slice; false where none came in time.
    pub async fn has_begun(&self, patience: Duration) -> bool {
        let waiting = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                {
                    let inner = self.lock();
                    if !inner.slices.is_empty() {
                        return true;
                    }
                    if inner.has_ended {
                        return false;
                    }
                }
                changed.await;
            }
        };
        clock::machine_timeout(patience, waiting).await == Some(true)
    }

    /// Whether the publish is over.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.lock().has_ended
    }

    /// What a player knows as slice `number`, of this publish or of an earlier one.
    #[must_use]
    pub fn slice(&self, before: &Told, number: u64) -> Option<Arc<Slice>> {
        let Some(own) = number.checked_sub(before.slices) else {
            let shown = before.shown();
            let found = shown.tail.iter().find(|it| it.number == number);
            return found.map(|it| it.slice.clone());
        };
        let inner = self.lock();
        inner.slices.iter().find(|s| s.number == own).cloned()
    }

    /// The playlist now, for a player that was told something before; `uri` names a slice. Until this publish has enough slices, the last ones of
    /// earlier publishes stay listed before them: a playlist loses entries from its beginning, one by one (RFC 8216 section 6.2.2).
    #[must_use]
    pub fn playlist(&self, before: &Told, uri: impl Fn(u64) -> String) -> String {
        let mut inner = self.lock();
        inner.longest_told_ms = inner.longest_told_ms.max(before.longest_ms);
        let longest_ms = inner.longest_ms.max(before.longest_ms);
        let offered = inner.offered(before);
        let (listed, list_ms) = before.list(&offered, longest_ms);
        inner.longest_list_ms = inner.longest_list_ms.max(list_ms);
        let entries: Vec<Segment> = listed
            .iter()
            .map(|it| Segment {
                uri: uri(it.number),
                duration_ms: it.slice.duration_ms,
                discontinuity: it.breaks,
            })
            .collect();
        let first = listed.first().map(|it| it.number);
        let all = inner.discontinuities_for(before);
        let shown = entries.iter().filter(|it| it.discontinuity).count() as u64;
        let window = hls::Window {
            first: first.unwrap_or(before.slices + inner.next),
            discontinuities: all - shown,
            longest_ms,
            has_ended: inner.has_ended,
        };
        hls::sliding(&window, &entries)
    }

    /// What a player has been told by the end of this publish, with what it may not have fetched of it.
    #[must_use]
    pub fn told(&self, before: &Told) -> Told {
        let inner = self.lock();
        inner.told(before, inner.offered(before))
    }

    /// The same by now, without the slices: what is kept of a player that is silent for long.
    #[must_use]
    pub fn counts(&self, before: &Told) -> Told {
        self.lock().told(before, Vec::new())
    }

    fn push(&self, bytes: Bytes, duration_ms: u64, discontinuity: bool) {
        let mut inner = self.lock();
        let number = inner.next;
        // The first one of a publish follows nothing of it.
        let discontinuity = discontinuity && number > 0;
        inner.next += 1;
        inner.bytes += bytes.len();
        inner.longest_ms = inner.longest_ms.max(duration_ms);
        inner.slices.push_back(Arc::new(Slice {
            number,
            bytes,
            duration_ms,
            discontinuity,
        }));
        inner.drop_outlived();
        drop(inner);
        self.changed.notify_waiters();
    }

    pub(super) fn end(&self) {
        self.lock().has_ended = true;
        self.changed.notify_waiters();
    }
}

/// Begins to slice a stream, for as long as somebody has the slices.
pub(super) fn make(fanout: &Arc<Fanout>, runtime: &Handle) -> Arc<Hls> {
    let made = Arc::new(Hls::default());
    let weak = Arc::downgrade(&made);
    let fanout = fanout.clone();
    let source = fanout.read(From::Oldest);
    runtime.spawn(async move {
        if fanout.tracks_known().await {
            let slicer = Slicer::new(&fanout.headers());
            drop(fanout);
            run(source, &weak, slicer).await;
        }
        if let Some(hls) = weak.upgrade() {
            hls.end();
        }
    });
    made
}

async fn run(mut source: Reader, hls: &Weak<Hls>, mut slicer: Slicer) {
    let mut units = Vec::new();
    loop {
        let taken = source.take(&mut units, TURN).await;
        let Some(hls) = hls.upgrade() else { return };
        let mut jumped = taken == Taken::Jumped;
        for unit in units.drain(..) {
            slicer.take(&unit, std::mem::take(&mut jumped), &hls);
        }
        units.shrink_to(USUAL);
        if taken == Taken::Ended {
            slicer.end(&hls);
            return;
        }
    }
}

/// Cuts a stream into slices.
struct Slicer {
    frames: Frames,
    steps: Vec<Step>,
    video: Option<VideoConfig>,
    audio: Option<AudioConfig>,
    muxer: Option<TsMuxer>,
    open: BytesMut,
    began_ms: Option<i64>,
    /// Decoding time of the newest picture, and how long the one before it lasted.
    newest_picture: Option<(i64, i64)>,
    /// The same of sound.
    newest_sound: Option<(i64, i64)>,
    /// Where there are no pictures, a slice can begin with the next sound.
    sound_begins: bool,
    /// The next slice does not follow the one before.
    discontinuity: bool,
}

impl Slicer {
    fn new(headers: &Headers) -> Self {
        Self {
            frames: Frames::default(),
            steps: Vec::new(),
            video: headers.video_config.clone(),
            audio: headers.audio_config.clone(),
            muxer: None,
            open: BytesMut::new(),
            began_ms: None,
            newest_picture: None,
            newest_sound: None,
            sound_begins: false,
            discontinuity: false,
        }
    }

    fn take(&mut self, unit: &Unit, jumped: bool, hls: &Hls) {
        if jumped {
            self.end(hls);
            self.discontinuity = self.muxer.is_some();
        }
        self.sound_begins = unit.is_sound_that_begins();
        self.frames.take(unit, jumped, &mut self.steps);
        self.work_off(hls);
    }

    fn end(&mut self, hls: &Hls) {
        self.frames.end(&mut self.steps);
        self.work_off(hls);
        self.cut(self.end_ms(), hls);
    }

    /// Where what came so far ends: one track may have stopped, and the other one goes on.
    fn end_ms(&self) -> i64 {
        let newest = [self.newest_picture, self.newest_sound];
        let ends = newest.into_iter().flatten().map(|(at, lasts)| at + lasts);
        ends.max().unwrap_or(0)
    }

    fn work_off(&mut self, hls: &Hls) {
        let mut steps = std::mem::take(&mut self.steps);
        for step in steps.drain(..) {
            match step {
                Step::Video(config) => self.video_config(config, hls),
                Step::Audio(config) => self.audio_config(config, hls),
                Step::Frame(frame) => self.frame(&frame, hls),
            }
        }
        self.steps = steps;
    }

    fn video_config(&mut self, config: VideoConfig, hls: &Hls) {
        if self.video.as_ref() == Some(&config) {
            return;
        }
        self.change(hls);
        if let Some(muxer) = &mut self.muxer
            && let Err(error) = muxer.set_video(&config)
        {
            tracing::debug!(%error, "a configuration has no form in MPEG-TS");
        }
        self.video = Some(config);
    }

    fn audio_config(&mut self, config: AudioConfig, hls: &Hls) {
        if self.audio.as_ref() == Some(&config) {
            return;
        }
        self.change(hls);
        if let Some(muxer) = &mut self.muxer
            && let Err(error) = muxer.set_audio(&config)
        {
            tracing::debug!(%error, "a configuration has no form in MPEG-TS");
        }
        self.audio = Some(config);
    }

    /// A decoder has to begin anew with the next slice.
    fn change(&mut self, hls: &Hls) {
        if self.muxer.is_some() {
            self.cut(self.end_ms(), hls);
            self.discontinuity = true;
        }
    }

    fn frame(&mut self, frame: &Frame, hls: &Hls) {
        let at = frame.dts_ms;
        if let Some(began) = self.began_ms {
            let length = at - began;
            let may_begin = match frame.track {
                Track::Video => frame.key,
                Track::Audio => self.video.is_none() || self.sound_begins,
            };
            if (may_begin && length >= TARGET_MS - ROUNDING_MS)
                || length >= LONGEST_MS
                || self.open.len() >= LARGEST
            {
                self.cut(at, hls);
            }
        }
        if self.muxer.is_none() {
            // Sound that has no form in MPEG-TS is left out, then and when it comes later.
            let audio = self.audio.as_ref().filter(|audio| can_carry(audio));
            let muxer = TsMuxer::new(self.video.as_ref(), audio, Continuity::default());
            match muxer {
                Ok(muxer) => self.muxer = Some(muxer),
                Err(error) => {
                    tracing::debug!(%error, "the stream has no form as MPEG-TS");
                    return;
                }
            }
        }
        let Some(muxer) = &mut self.muxer else { return };
        if self.began_ms.is_none() {
            muxer.begin_slice(&mut self.open);
            self.began_ms = Some(at);
        }
        if let Err(error) = muxer.write(frame, &mut self.open) {
            tracing::debug!(%error, "a frame is left out of MPEG-TS");
        }
        let (newest, usual_ms) = match frame.track {
            Track::Video => (&mut self.newest_picture, 40),
            Track::Audio => (&mut self.newest_sound, 23),
        };
        let step = newest.map_or(usual_ms, |(before, _)| at - before);
        *newest = Some((at, step.clamp(0, TARGET_MS)));
    }

    /// The open slice ends where the next one begins.
    fn cut(&mut self, end_ms: i64, hls: &Hls) {
        let Some(began) = self.began_ms.take() else {
            return;
        };
        let duration = u64::try_from(end_ms - began).unwrap_or(0);
        let discontinuity = std::mem::take(&mut self.discontinuity);
        hls.push(self.open.split().freeze(), duration, discontinuity);
        self.open = BytesMut::new();
    }
}

/// Slices as a publish has them.
#[cfg(test)]
pub(in crate::live) mod made {
    use bytes::Bytes;

    use super::Hls;

    /// Slices of two seconds, of which one does not follow the one before.
    pub(in crate::live) fn publish(slices: u64, breaks_at: u64) -> Hls {
        let made = Hls::default();
        for number in 0..slices {
            made.push(Bytes::from_static(b"ts"), 2_000, number == breaks_at);
        }
        made
    }
}

#[cfg(test)]
mod tests {
    use super::made::publish;
    use super::*;
    use crate::live::fanout::frames::pushed::{picture, sound};
    use crate::media::frame::{AudioCodec, VideoCodec};
    use crate::media::mpegts::read::{Found, TsReader};

    /// How long each slice is that is made of units.
    fn lengths(units: impl Iterator<Item = Unit>) -> Vec<u64> {
        let made = Hls::default();
        let mut slicer = Slicer::new(&Headers::default());
        for (number, unit) in units.enumerate() {
            slicer.take(&unit, number == 0, &made);
        }
        slicer.end(&made);
        let slices = &made.lock().slices;
        slices.iter().map(|slice| slice.duration_ms).collect()
    }

    #[test]
    fn the_last_slice_ends_with_the_track_that_goes_on() {
        let sounds = (0..1_750).map(|n| sound(n * 20, false));
        let slices = lengths(std::iter::once(picture(0, true)).chain(sounds));
        assert_eq!(slices, [30_000, 5_000]);
        let pictures = (0..100).map(|n| picture(n * 40, n == 0));
        let slices = lengths(std::iter::once(sound(0, true)).chain(pictures));
        assert_eq!(slices, [4_000]);
    }

    #[test]
    fn sound_without_pictures_is_sliced_where_it_begins_groups() {
        let sounds = (0..400).map(|n| sound(n * 20, n % 50 == 0));
        assert_eq!(lengths(sounds), [2_000; 4]);
        let stopped = (1..501).map(|n| sound(n * 20, n > 400 && n % 50 == 0));
        let slices = lengths(std::iter::once(picture(0, true)).chain(stopped));
        assert_eq!(slices.len(), 2, "{slices:?}");
    }

    /// First number, discontinuities that are gone, and which of the listed slices have one.
    fn seen(made: &Hls, before: &Told) -> (u64, u64, Vec<String>) {
        let text = made.playlist(before, |number| number.to_string());
        let of = |tag: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(tag));
            line.map_or(0, |it| it.parse().unwrap())
        };
        let mut breaks = Vec::new();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if line == "#EXT-X-DISCONTINUITY" {
                breaks.extend(lines.find(|it| !it.starts_with('#')).map(str::to_owned));
            }
        }
        (
            of("#EXT-X-MEDIA-SEQUENCE:"),
            of("#EXT-X-DISCONTINUITY-SEQUENCE:"),
            breaks,
        )
    }

    #[test]
    fn sound_that_has_no_form_in_a_transport_stream_is_left_out() {
        let mut slicer = Slicer::new(&Headers {
            video_config: Some(VideoConfig {
                codec: VideoCodec::H264,
                record: Bytes::from_static(
                    b"\x01\x4d\0\x1e\xff\xe1\0\x04\x67\x4d\0\x1e\x01\0\x02\x68\xee",
                ),
                width: 320,
                height: 180,
            }),
            // Enhanced low delay.
            audio_config: Some(AudioConfig {
                codec: AudioCodec::Aac,
                record: Bytes::from_static(&[0xF8, 0xE8, 0x50]),
                sample_rate: 44_100,
                channels: 2,
            }),
            ..Headers::default()
        });
        let made = Hls::default();
        for dts_ms in (0..2_100).step_by(40) {
            for track in [Track::Video, Track::Audio] {
                let frame = Frame {
                    track,
                    dts_ms,
                    cts_ms: 0,
                    key: track == Track::Video && dts_ms % 2_000 == 0,
                    data: Bytes::from_static(&[0, 0, 0, 2, 0x65, 0x88]),
                };
                slicer.frame(&frame, &made);
            }
        }
        let slice = made.slice(&Told::default(), 0).unwrap();
        let mut tracks = Vec::new();
        let mut note = |found| match found {
            Found::Tracks { video, audio } => tracks.push((video, audio)),
            Found::Frame(frame) => assert_eq!(frame.track, Track::Video),
            Found::Video(_) | Found::Audio(_) => {}
        };
        let mut reader = TsReader::new();
        reader.feed(&slice.bytes, &mut note).unwrap();
        reader.finish(&mut note);
        assert_eq!(tracks, [(true, false)]);
    }

    #[test]
    fn a_publisher_that_comes_back_goes_on_in_the_players_playlist() {
        let (first, none) = (publish(10, 2), Told::default());
        assert_eq!(seen(&first, &none), (4, 1, vec![]));
        let before = first.told(&none);
        let second = publish(3, 1);
        assert_eq!(
            seen(&second, &before),
            (7, 1, vec!["10".to_owned(), "11".to_owned()])
        );
        let own = second.slice(&before, 12).unwrap();
        assert_eq!(own.number, 2);
        let earlier = second.slice(&before, 9).unwrap();
        assert!(Arc::ptr_eq(&earlier, &first.slice(&none, 9).unwrap()));
        assert!(second.slice(&before, 13).is_none());
        // What has left the list is counted.
        let longer = publish(8, 1);
        assert_eq!(seen(&longer, &before), (12, 3, vec![]));
        let new = Told::default();
        assert_eq!(seen(&longer, &new), (2, 1, vec![]), "a player that is new");
        // Another one after that.
        let third = publish(1, 9);
        let before = longer.told(&before);
        assert_eq!(seen(&third, &before), (13, 3, vec!["18".to_owned()]));
    }

    #[test]
    fn what_a_player_has_not_fetched_stays_until_there_is_enough_of_the_new_publish() {
        let none = Told::default();
        let first = publish(10, 8);
        let before = first.told(&none);
        drop(first);
        let broken = |at: &[u64]| at.iter().map(u64::to_string).collect::<Vec<_>>();
        let second = publish(1, 9);
        assert_eq!(seen(&second, &before), (5, 0, broken(&[8, 10])));
        let kept = |made: &Hls, before: &Told| {
            let kept = (0..40).filter(|number| made.slice(before, *number).is_some());
            kept.collect::<Vec<u64>>()
        };
        assert_eq!(kept(&second, &before), (0..11).collect::<Vec<_>>());
        // It breaks off as well: what is left of both is no more than one publish keeps.
        let again = second.told(&before);
        let third = publish(2, 9);
        assert_eq!(seen(&third, &again), (7, 0, broken(&[8, 10, 11])));
        assert_eq!(kept(&third, &again), (0..13).collect::<Vec<_>>());
        let third = publish(4, 9);
        assert_eq!(seen(&third, &again), (9, 1, broken(&[10, 11])));
        assert_eq!(kept(&third, &again), (2..15).collect::<Vec<_>>());
        // One that has lost its own beginning has nothing of before.
        let long = publish(14, 99);
        assert_eq!(seen(&long, &before), (18, 2, vec![]));
        assert_eq!(kept(&long, &before), (11..24).collect::<Vec<_>>());
        // Nor has one that takes all the room there is.
        let before = second.told(&none);
        let large = Hls::default();
        large.push(Bytes::from(vec![0; MOST_BYTES]), 2_000, false);
        assert_eq!(seen(&large, &before), (1, 0, vec!["1".to_owned()]));
        assert_eq!(kept(&large, &before), [1]);
    }

    #[test]
    fn slices_leave_a_playlist_while_three_targets_are_left_and_stay_to_be_had() {
        let (made, player) = (Hls::default(), Told::default());
        let (mut now_ms, mut longest_list_ms) = (0_u64, 0_u64);
        // How long each slice is, and until when each that has left must be there.
        let (mut durations, mut until) = (Vec::new(), Vec::new());
        let stretches = [
            (20, 2_000),
            (1, 21_000),
            (40, 2_000),
            (12, 10_000),
            (60, 2_000),
        ];
        for (count, duration_ms) in stretches {
            for _ in 0..count {
                made.push(Bytes::from_static(b"ts"), duration_ms, false);
                durations.push(duration_ms);
                now_ms += duration_ms;
                let text = made.playlist(&player, |number| number.to_string());
                let list = hls::read(&text).unwrap();
                let first = usize::try_from(list.media_sequence).unwrap();
                assert!(first >= until.len(), "{first} came back");
                assert_eq!(list.segments.len(), durations.len() - first);
                let list_ms: u64 = durations[first..].iter().sum();
                if first > until.len() {
                    assert!(list.segments.len() >= LISTED && list_ms >= 3_000 * list.target_s);
                }
                let gone = &durations[until.len()..first];
                let stays = |lasts_ms: &u64| now_ms + lasts_ms + longest_list_ms;
                until.extend(gone.iter().map(stays));
                longest_list_ms = longest_list_ms.max(list_ms);
                for (number, until_ms) in (0..).zip(&until) {
                    let is_there = made.slice(&player, number).is_some();
                    assert!(is_there || *until_ms <= now_ms, "{number} at {now_ms}");
                }
            }
            if duration_ms == 2_000 && longest_list_ms == 12_000 {
                assert_eq!(made.lock().slices.len(), 13);
            }
        }
        assert!(until.len() > 100 && made.lock().slices.len() < durations.len());
    }

    #[test]
    fn a_player_that_was_told_of_longer_slices_has_a_longer_list() {
        let before = Told {
            slices: 1,
            longest_ms: 29_001,
            ..Told::default()
        };
        let made = Hls::default();
        for _ in 0..60 {
            made.push(Bytes::from_static(b"ts"), 2_000, false);
            seen(&made, &before);
        }
        // Three targets of 30 s.
        assert_eq!(seen(&made, &before), (16, 1, vec![]));
        assert_eq!(seen(&made, &Told::default()), (54, 0, vec![]));
    }

    #[test]
    fn slices_of_no_length_are_bounded() {
        let made = Hls::default();
        for _ in 0..2 * MOST_SLICES {
            made.push(Bytes::from_static(b"ts"), 0, false);
        }
        assert_eq!(made.lock().slices.len(), MOST_SLICES);
        assert_eq!(made.lock().bytes, 2 * MOST_SLICES);
    }

    #[test]
    fn counts_are_all_that_a_playlist_needs_to_go_on() {
        let none = Told::default();
        let first = publish(10, 2);
        assert_eq!(seen(&first, &none), (4, 1, vec![]));
        let counts = first.counts(&none);
        let second = publish(3, 1);
        let breaks = ["10", "11"].map(str::to_owned).to_vec();
        assert_eq!(seen(&second, &counts), (10, 1, breaks));
        assert!(second.slice(&counts, 9).is_none());
        assert_eq!(seen(&first, &none.counts()), (4, 1, vec![]));
    }
}
