//! The recorder of one stream: carries out what the state machine says, and feeds frames to the session.
//!
//! All state lies behind one mutex that is never held across an await. What takes time (questions, uploads, rows, callbacks)
//! is handed to tasks: each stream has one worker that takes [`Effect`]s in order.

pub mod effect;
mod keyless;
pub mod on_demand;
pub mod session;
mod steps;
mod tell;
pub mod unrecorded;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::clock::{self, UnixMs};
use crate::disk::laid::Laid;
use crate::disk::writers::Progress;
use crate::live::decide::machine::{self, Cause, Done, Input, Refusal, State};
use crate::live::decide::segmenter::Print;
use crate::live::recorder::effect::{Effect, FaultListener, Job, Stage};
use crate::live::recorder::keyless::Keyless;
use crate::live::recorder::session::{Session, Taken};
use crate::live::spool::put_aside_taken;
use crate::media::access_unit::{AccessUnits, Arrived, UnitError};
use crate::media::frame::{AudioConfig, Track, VideoConfig};
use crate::model::event::{Fault, Kind};
use crate::model::on_demand::ingest_parameter_wants;
use crate::model::rule::{Choice, Format, OnDemand, Rule, choose};
use crate::model::stream_key::{PushArgs, StreamKey};
use crate::phrases::{Phrase, Said};
use crate::services::Services;
use crate::store::streams::Fence;

/// Bytes on their way to disk above which a publisher is held back.
const BACKLOG_LIMIT: u64 = 8 << 20;
/// A stream that stands still for this long is cut where it stands; one that goes on is cut before its next key frame.
const CUT_PATIENCE_MS: i64 = 2_000;
/// Milliseconds of media below which a stream counts as standing still, though something came: the newest picture had been held back.
const STANDS_MS: i64 = 500;

/// The newest picture waits this long for more of it or for the next one.
const HELD: Duration = Duration::from_millis(250);
/// The same for a publisher that sends pictures in parts, where a stop of the network may lie between two of them.
const HELD_IN_PARTS: Duration = Duration::from_secs(2);

/// The publisher's side as the recorder knows it.
#[derive(Default)]
struct Publisher {
    present: bool,
    args: PushArgs,
    video: Option<VideoConfig>,
    audio: Option<AudioConfig>,
    kbps: u32,
    /// The first frame of the push has not come yet.
    fresh: bool,
    /// When it went.
    gone_at: Option<UnixMs>,
    choice: Choice,
    /// The rules of the push that fit its stream, where a window of theirs is still to open.
    rules: Vec<Rule>,
    /// The push holds something that is not recorded.
    unsupported: bool,
    units: AccessUnits,
    keyless: Keyless,
}

struct Inner {
    state: State,
    publisher: Publisher,
    /// The publishers up to this one are gone.
    gone: u64,
    session: Option<Session>,
    next_sequence: u64,
    delay: Option<AbortHandle>,
    /// The next window of the push's rules that opens.
    window_begin: Option<AbortHandle>,
    /// The end of the window of the session's rule.
    window_end: Option<AbortHandle>,
    question: Option<AbortHandle>,
    last_fault: Option<Fault>,
    /// Frames between the access units and the session; empty between two calls.
    ready: Vec<Arrived>,
    /// The held picture that the last tick saw, and since when.
    held: Option<(u64, Instant)>,
}

pub struct Recorder {
    pub key: StreamKey,
    me: Weak<Recorder>,
    services: Arc<Services>,
    effects: mpsc::UnboundedSender<Job>,
    /// What has to hold for whatever is committed of it.
    fence: Fence,
    /// Every job holds a clone: alone, it tells that the worker has nothing to do.
    open: Arc<()>,
    inner: Mutex<Inner>,
}

/// A recorder's state, for the control plane.
#[derive(Debug, Clone, serde::Serialize)]
pub struct View {
    pub state: State,
    pub session: Option<String>,
    pub rule: Option<Rule>,
    pub recorded_ms: i64,
    pub timestamp_jumps: u64,
    pub last_error: Option<Fault>,
    /// Formats of the rule that this stream cannot have, each with the reason.
    pub refused_formats: Vec<&'static str>,
    pub words: Words,
}

/// Sentences of a view as others can word them.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Words {
    pub refused_formats: Vec<Said>,
}

impl Recorder {
    /// A recorder, and the queue of what its worker is to do. `next_sequence` is the stream's slice counter.
    pub fn new(
        key: StreamKey,
        services: Arc<Services>,
        next_sequence: u64,
        fence: Fence,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<Job>) {
        let (effects, queue) = mpsc::unbounded_channel();
        let recorder = Arc::new_cyclic(|me: &Weak<Recorder>| Self {
            key,
            me: me.clone(),
            services,
            effects,
            fence,
            open: Arc::default(),
            inner: Mutex::new(Inner {
                state: State::Idle,
                publisher: Publisher::default(),
                gone: 0,
                session: None,
                next_sequence,
                delay: None,
                window_begin: None,
                window_end: None,
                question: None,
                last_fault: None,
                ready: Vec::new(),
                held: None,
            }),
        });
        (recorder, queue)
    }

    /// What has to hold for whatever is committed of it.
    #[must_use]
    pub fn fence(&self) -> &Fence {
        &self.fence
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes back a session that a restart found, still open or about to be finished.
    pub fn restore(&self, session: Session, cause: Cause, cut_off: bool, delay_until: UnixMs) {
        let mut inner = self.lock();
        if inner.session.is_some() {
            // Sessions come in the order of their beginnings: the next one has begun, so this one is over.
            self.finalise(&mut inner);
        }
        inner.next_sequence = inner.next_sequence.max(session.next_sequence());
        inner.state = State::Paused(cause);
        inner.session = Some(session);
        self.emit_outputs(&mut inner);
        // The process died while it recorded: the interruption has not been told yet.
        if cut_off && let Some(session) = &mut inner.session {
            self.tell_session(session, Stage::Paused);
            self.tell(session, Kind::RecordPaused);
        }
        self.arm_delay(&mut inner, delay_until);
        self.watch_window_end(&mut inner);
    }

    /// Hands effects of a finished session that a restart found to the worker.
    pub fn replay(&self, effects: Vec<Effect>, next_sequence: u64) {
        let mut inner = self.lock();
        inner.next_sequence = inner.next_sequence.max(next_sequence);
        drop(inner);
        for effect in effects {
            self.send(effect);
        }
    }

    fn send(&self, effect: Effect) {
        let _ = self.effects.send(Job {
            busy: self.services.clock.busy(),
            effect: Box::new(effect),
            open: self.open.clone(),
        });
    }

    // ---- what happens to the stream ----

    /// A publisher is there. The rules in force now hold for the whole push. `ingest_domain` is the domain that it names, before mapping.
    ///
    /// Of two publishers the later one has the higher `id`; what is told of them may come in any order.
    pub fn published(&self, id: u64, args: PushArgs, ingest_domain: &str) {
        let now = self.services.clock.now();
        let rules = self.services.store.rules_of(&self.key.domain);
        let choice = choose(&rules, &self.key.app, &self.key.stream, now);
        let fits = |rule: &&Rule| rule.rank(&self.key.app, &self.key.stream).is_some();
        let rules = if choice.upcoming.is_some() {
            rules.iter().filter(fits).cloned().collect()
        } else {
            Vec::new()
        };
        let mut inner = self.lock();
        if id <= inner.gone {
            return;
        }
        self.let_go(&mut inner, id - 1);
        inner.publisher = Publisher {
            present: true,
            args,
            fresh: true,
            choice,
            rules,
            ..Publisher::default()
        };
        self.watch_upcoming(&mut inner);
        // A session that goes on keeps the rule it began with. What waits for an answer has not begun.
        let going_on = inner
            .session
            .as_ref()
            .filter(|_| inner.state != State::Asking);
        let rule = going_on
            .map(|s| s.opening.rule.clone())
            .or_else(|| inner.publisher.choice.winner.clone());
        // One that names formats of transcoded streams alone has nothing that could be made here, and nothing would let go of what was kept for it.
        let rule = rule.filter(|rule| !rule.formats.is_empty());
        let wanted = ingest_parameter_wants(&inner.publisher.args);
        self.apply(
            &mut inner,
            Input::Publish {
                // Without a rule nothing begins by itself.
                mode: rule.map_or(OnDemand::Manual, |rule| rule.on_demand),
                wanted,
            },
        );
        self.tell_if_unrecorded(&inner, ingest_domain);
    }

    /// The publisher is gone.
    pub fn lost(&self, id: u64) {
        self.let_go(&mut self.lock(), id);
    }

    /// The publishers up to this one are gone.
    fn let_go(&self, inner: &mut Inner, id: u64) {
        if id <= inner.gone {
            return;
        }
        inner.gone = id;
        if inner.publisher.present {
            self.settle(inner);
            inner.publisher.present = false;
            inner.publisher.gone_at = Some(self.services.clock.now());
            stop(&mut inner.window_begin);
            self.apply(inner, Input::Lost);
        }
    }

    pub fn video_config(&self, config: VideoConfig) {
        let mut inner = self.lock();
        self.arrange(&mut inner, |units, ready| {
            units.configure(&config, &mut |frame| ready.push(frame));
        });
        if let Some(session) = &mut inner.session {
            session.video_config(&config);
        }
        inner.publisher.video = Some(config);
    }

    pub fn audio_config(&self, config: AudioConfig) {
        let mut inner = self.lock();
        self.settle(&mut inner);
        if let Some(session) = &mut inner.session {
            session.audio_config(&config);
        }
        inner.publisher.audio = Some(config);
        self.refuse_formats(&mut inner);
    }

    /// Refuses what a recording cannot hold of a push. It may have been seen before the recording began. Where a format alone has no place
    /// for the sound (MP3 in CMAF, some kinds of AAC in MPEG-TS), that is told once a recording, and its other formats go on.
    fn refuse_formats(&self, inner: &mut Inner) {
        if inner.publisher.unsupported {
            if inner.state == State::Asking {
                // The answer decides whether there is a recording at all. What came so far is what there would be of it.
                if let Some(session) = &mut inner.session {
                    session.close_gate();
                }
            } else if inner.session.is_some() {
                self.fail_unrecordable(inner);
            }
            return;
        }
        let Some(sound) = inner.publisher.audio.as_ref().map(Print::of_audio) else {
            return;
        };
        let Some(session) = inner.session.as_mut().filter(|session| session.is_open()) else {
            return;
        };
        let formats = &session.opening.formats;
        let barred = || formats.iter().filter(|f| sound.is_barred_from(f.format));
        let Some(why) = barred().next().map(|barred| refusal(barred.format)) else {
            return;
        };
        if barred().count() == formats.len() {
            tracing::warn!(stream.key = %self.key, reason = why.text(), "nothing of the stream can be recorded");
            self.fail_unrecordable(inner);
            return;
        }
        if !session.refused.contains(&why) {
            session.refused.push(why);
            tracing::warn!(stream.key = %self.key, reason = why.text(), "a format is not recorded, the others are");
            let fault = Fault::StreamFormatError;
            self.tell_aside(session, fault);
            inner.last_fault = Some(fault);
        }
    }

    /// The video bitrate that the publisher announced.
    pub fn bitrate(&self, kbps: u32) {
        self.lock().publisher.kbps = kbps;
    }

    /// Takes what a message held: a picture or a part of one, or a frame of sound.
    ///
    /// # Errors
    /// When it cannot become part of a picture; it is dropped.
    pub fn message(&self, message: Arrived) -> Result<(), UnitError> {
        let mut inner = self.lock();
        if message.frame.track == Track::Audio {
            self.arrange(&mut inner, |units, ready| {
                units.audio(message, &mut |frame| ready.push(frame));
            });
            return Ok(());
        }
        let (timestamp, at) = (message.timestamp, message.at);
        let taken = self.arrange(&mut inner, |units, ready| {
            units.video(message, &mut |frame| ready.push(frame))
        });
        self.look_for_key(&mut inner, timestamp, at);
        taken
    }

    /// The newest picture is taken for whole.
    fn settle(&self, inner: &mut Inner) {
        self.arrange(inner, |units, ready| {
            units.settle(&mut |frame| ready.push(frame));
        });
    }

    /// Works on the access units and takes the frames that come of it.
    fn arrange<T>(
        &self,
        inner: &mut Inner,
        work: impl FnOnce(&mut AccessUnits, &mut Vec<Arrived>) -> T,
    ) -> T {
        let mut ready = std::mem::take(&mut inner.ready);
        let outcome = work(&mut inner.publisher.units, &mut ready);
        for frame in ready.drain(..) {
            self.take(inner, frame);
        }
        inner.ready = ready;
        outcome
    }

    fn take(&self, inner: &mut Inner, arrived: Arrived) {
        inner.publisher.fresh = false;
        if arrived.frame.key {
            inner.publisher.keyless.key();
        }
        let Some(session) = &mut inner.session else {
            return;
        };
        let track = arrived.frame.track;
        let taken = session.frame(arrived.frame, arrived.timestamp, arrived.at);
        if track == Track::Audio && matches!(taken, Taken::First | Taken::Resumed) {
            // The stream may be one of sound alone: pictures that come later have their own time to show a key frame.
            inner.publisher.keyless.found();
        }
        match taken {
            Taken::No | Taken::Yes => {}
            Taken::First => {
                self.tell_session(session, Stage::Started);
                self.tell(session, Kind::RecordStarted);
            }
            Taken::Resumed => {
                self.tell_session(session, Stage::Resumed);
                self.tell(session, Kind::RecordResumed);
            }
        }
        // A push that runs ahead of the clock reaches the window's end before the clock does.
        let is_over = session.is_past_window();
        if is_over && inner.state == State::Asking {
            // The question stays open, and nothing more is kept for it.
            session.close_gate();
        }
        self.emit_outputs(inner);
        if is_over {
            self.apply(inner, Input::WindowClosed);
        }
        if matches!(taken, Taken::First | Taken::Resumed) {
            self.refuse_formats(inner);
        }
    }

    /// Pictures that come while a key frame is waited for are no recording: after a while that is said.
    fn look_for_key(&self, inner: &mut Inner, timestamp: u32, at: UnixMs) {
        let Some(session) = &mut inner.session else {
            return;
        };
        if !session.awaits_key() {
            inner.publisher.keyless.found();
            return;
        }
        session.note_keyless();
        let Some(waited_ms) = inner.publisher.keyless.note(timestamp, at) else {
            return;
        };
        // Whether there is a recording at all is not answered yet. If there is, and still no key frame, the next message ends it.
        if inner.state == State::Asking {
            return;
        }
        inner.publisher.keyless.found();
        tracing::warn!(stream.key = %self.key, waited_ms, "no key frame (IDR or IRAP picture) among the pictures: the encoder must send one every few seconds");
        let input = if session.is_half() {
            Input::Unrecordable
        } else {
            Input::Failed
        };
        self.fail_as(inner, Fault::StreamFormatError, input);
    }

    /// Work between batches of frames: flushes, and looks whether the disk still takes what is written.
    /// False: the publisher is too far ahead of the disk and must wait.
    pub fn tick(&self) -> bool {
        let mut inner = self.lock();
        self.end_wait(&mut inner);
        let Some(session) = &mut inner.session else {
            return true;
        };
        session.spool.tick();
        let progress = session.spool.progress();
        let held = session.holds_back(BACKLOG_LIMIT);
        if progress.has_failed() {
            self.fail_by_disk(&mut inner, &progress);
            return true;
        }
        !held
    }

    /// Hands out the payloads that the spool took since the last call, or those of them that are on disk by now: whoever keeps them need
    /// not do so in memory.
    pub fn take_laid(&self, only_written: bool, out: &mut Vec<Laid>) {
        if let Some(session) = &mut self.lock().session {
            session.spool.take_laid(only_written, out);
        }
    }

    /// A picture that nothing follows goes to disk in time.
    fn end_wait(&self, inner: &mut Inner) {
        let Some(number) = inner.publisher.units.held() else {
            inner.held = None;
            return;
        };
        let patience = if inner.publisher.units.are_in_parts() {
            HELD_IN_PARTS
        } else {
            HELD
        };
        match inner.held {
            Some((seen, since)) if seen == number => {
                if since.elapsed() >= patience {
                    self.settle(inner);
                    if let Some(session) = &mut inner.session {
                        session.spool.flush();
                    }
                }
            }
            _ => inner.held = Some((number, clock::monotonic())),
        }
    }

    /// Pushes everything taken so far towards the disk. Of a publisher that sends pictures in parts, more of the newest may be on its way.
    pub fn flush(&self) {
        let mut inner = self.lock();
        if !inner.publisher.units.are_in_parts() {
            self.settle(&mut inner);
        }
        if let Some(session) = &mut inner.session {
            session.spool.flush();
        }
    }

    /// The stream holds something that the product does not record: an error event, and no half recording.
    pub fn unsupported(&self) {
        let mut inner = self.lock();
        if !std::mem::replace(&mut inner.publisher.unsupported, true) {
            self.refuse_formats(&mut inner);
        }
    }

    fn fail_unrecordable(&self, inner: &mut Inner) {
        // Media that came before the other track was seen is not a recording of the stream: it is the edge of one.
        let is_edge = inner.session.as_ref().is_some_and(Session::is_edge);
        let input = if is_edge {
            Input::Unrecordable
        } else {
            Input::Failed
        };
        self.fail_as(inner, Fault::StreamFormatError, input);
    }

    /// Lets `session` fail in one of the ways, if it is the one that is being recorded.
    fn fail_current(&self, session: &str, fail: impl FnOnce(&Self, &mut Inner)) -> bool {
        let mut inner = self.lock();
        let is_current = inner
            .session
            .as_ref()
            .is_some_and(|s| s.opening.session == session);
        if is_current {
            fail(self, &mut inner);
        }
        is_current
    }

    fn fail_by_disk(&self, inner: &mut Inner, progress: &Progress) {
        let fault = Fault::of_writing(progress.failure());
        if progress.is_mine_to_tell() {
            self.fail(inner, fault);
        } else {
            self.apply(inner, Input::Failed);
        }
    }

    fn fail(&self, inner: &mut Inner, fault: Fault) {
        self.fail_as(inner, fault, Input::Failed);
    }

    fn fail_as(&self, inner: &mut Inner, fault: Fault, input: Input) {
        tracing::warn!(stream.key = %self.key, code = fault.code(), "recording failed");
        self.tell_fault(inner, fault);
        self.apply(inner, input);
    }

    // ---- commands and time ----

    /// Runs a RealTimeRecordCommand; the caller has checked that the stream is live and names a rule for a session to come.
    pub fn command(&self, input: Input, rule: Option<Rule>) -> Result<Done, Refusal> {
        let mut inner = self.lock();
        // Frames that came before the command belong to the time before it. A restart cuts at the next key frame in any case.
        if (input, inner.state) != (Input::Restart, State::Recording) {
            self.settle(&mut inner);
        }
        let before = inner.state;
        let (next, steps) = machine::step(before, inner.publisher.present, input)?;
        let acted = !steps.is_empty();
        if acted && let Some(rule) = rule {
            let is_first = inner.session.is_none();
            let winner = &mut inner.publisher.choice.winner;
            if is_first {
                *winner = Some(rule);
            } else if steps.contains(&machine::Step::Open) {
                // The push found none, where the rule that the recording keeps was deleted meanwhile.
                winner.get_or_insert(rule);
            }
        }
        self.carry_out(&mut inner, next, steps);
        self.refuse_formats(&mut inner);
        Ok(Done { before, acted })
    }

    /// The rule of the recording that there is, or that waits for its answer.
    #[must_use]
    pub fn rule_of_session(&self) -> Option<Rule> {
        let inner = self.lock();
        inner.session.as_ref().map(|s| s.opening.rule.clone())
    }

    /// The rule in force for the stream as it is published now.
    #[must_use]
    pub fn rule_in_force(&self) -> Option<Rule> {
        let inner = self.lock();
        inner
            .session
            .as_ref()
            .map(|s| s.opening.rule.clone())
            .or_else(|| inner.publisher.choice.winner.clone())
    }

    /// The service stops: whatever is recorded is finished now.
    pub fn shutdown(&self) {
        let mut inner = self.lock();
        self.settle(&mut inner);
        self.apply(&mut inner, Input::Shutdown);
    }

    /// The stream becomes another node's: its session stays on disk as it is, and nothing more is done with it here. The session's name.
    pub fn part(&self) -> Option<String> {
        let mut inner = self.lock();
        self.settle(&mut inner);
        stop(&mut inner.delay);
        stop(&mut inner.window_begin);
        stop(&mut inner.window_end);
        stop(&mut inner.question);
        inner.state = State::Idle;
        let mut session = inner.session.take()?;
        session.spool.flush();
        Some(session.opening.session.clone())
    }

    /// Whether its worker has something to do.
    #[must_use]
    pub fn has_work(&self) -> bool {
        Arc::strong_count(&self.open) > 1
    }

    /// Whether nothing is going on that would need this recorder. What its worker has still to do counts: a new recorder of the
    /// stream would number its slices by the rows, and those that wait for their upload have none.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let inner = self.lock();
        inner.state == State::Idle
            && !inner.publisher.present
            && inner.session.is_none()
            && !self.has_work()
    }

    #[must_use]
    pub fn view(&self) -> View {
        let inner = self.lock();
        let session = inner.session.as_ref();
        let refused = session.map_or_else(Vec::new, |session| session.refused.clone());
        View {
            state: inner.state,
            session: session.map(|s| s.opening.session.clone()),
            rule: session
                .map(|s| s.opening.rule.clone())
                .or_else(|| inner.publisher.choice.winner.clone()),
            recorded_ms: session.map_or(0, |s| s.timeline.end_ms()),
            timestamp_jumps: session.map_or(0, |s| s.timeline.jumps()),
            last_error: inner.last_fault,
            refused_formats: refused.iter().map(|why| why.text()).collect(),
            words: Words {
                refused_formats: refused.into_iter().map(Said::from).collect(),
            },
        }
    }

    /// The session being recorded and its end so far, for answers about a stream that is still live.
    #[must_use]
    pub fn live_end(&self) -> Option<(String, UnixMs)> {
        let inner = self.lock();
        inner
            .session
            .as_ref()
            .filter(|s| s.is_open())
            .map(|s| (s.opening.session.clone(), s.wall_end()))
    }
}

impl FaultListener for Recorder {
    fn failed(&self, session: &str, fault: Fault) -> bool {
        self.fail_current(session, |me, inner| me.fail(inner, fault))
    }

    fn failed_by_disk(&self, session: &str, progress: &Progress) -> bool {
        self.fail_current(session, |me, inner| me.fail_by_disk(inner, progress))
    }

    fn fenced(&self) {
        // What is on this disk is not what goes on elsewhere: nothing here may take it up again.
        if let Some(session) = self.part() {
            put_aside_taken(&self.services.spool.join(session));
        }
    }
}

fn stop(task: &mut Option<AbortHandle>) {
    if let Some(task) = task.take() {
        task.abort();
    }
}

/// Why a format has no place for sound that is barred from it.
fn refusal(format: Format) -> Phrase {
    match format {
        Format::Cmaf => Phrase::NoMp3InCmaf,
        Format::M3u8 | Format::Mp4 | Format::Flv => Phrase::NoSuchAacInTs,
    }
}
