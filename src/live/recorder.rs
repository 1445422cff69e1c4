//! The recorder of one stream: carries out what the state machine says, and feeds frames to the session.
//!
//! All state lies behind one mutex that is never held across an await. What takes time (questions, uploads, rows, callbacks)
//! is handed to tasks: each stream has one worker that takes [`Effect`]s in order.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::clock::{Busy, UnixMs};
use crate::ids;
use crate::live::machine::{self, Cause, Input, Refusal, State, Step};
use crate::live::question;
use crate::live::session::{Session, Taken};
use crate::live::spool::record::Opening;
use crate::live::worker::{self, Effect, Status};
use crate::media::frame::{AudioConfig, Frame, VideoConfig};
use crate::model::event::{Fault, Kind};
use crate::model::on_demand::ingest_parameter_wants;
use crate::model::rule::{Choice, FormatRule, Rule, Window, choose};
use crate::model::stream_key::{PushArgs, StreamKey};
use crate::services::Services;

/// Bytes on their way to disk above which a publisher is held back.
const BACKLOG_LIMIT: u64 = 8 << 20;
/// A wanted cut that no key frame brings within this time is made where the stream stands.
const CUT_PATIENCE_MS: i64 = 2_000;

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
    choice: Choice,
    unsupported_told: bool,
}

struct Inner {
    state: State,
    publisher: Publisher,
    session: Option<Session>,
    next_sequence: u64,
    delay: Option<AbortHandle>,
    window: Option<AbortHandle>,
    question: Option<AbortHandle>,
    last_fault: Option<Fault>,
}

pub struct Recorder {
    pub key: StreamKey,
    me: Weak<Recorder>,
    services: Arc<Services>,
    effects: mpsc::UnboundedSender<(Busy, Effect)>,
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
}

impl Recorder {
    /// A recorder with its worker; `next_sequence` is the stream's slice counter.
    pub fn start(key: StreamKey, services: Arc<Services>, next_sequence: u64) -> Arc<Self> {
        let (effects, queue) = mpsc::unbounded_channel();
        let recorder = Arc::new_cyclic(|me: &Weak<Recorder>| Self {
            key,
            me: me.clone(),
            services,
            effects,
            inner: Mutex::new(Inner {
                state: State::Idle,
                publisher: Publisher::default(),
                session: None,
                next_sequence,
                delay: None,
                window: None,
                question: None,
                last_fault: None,
            }),
        });
        worker::spawn(
            recorder.services.clone(),
            recorder.key.clone(),
            queue,
            recorder.me.clone(),
        );
        recorder
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes back a session that a restart found, still open or about to be finished.
    pub fn restore(&self, session: Session, cause: Cause, cut_off: bool, delay_until: UnixMs) {
        let mut inner = self.lock();
        inner.next_sequence = inner.next_sequence.max(session.next_sequence());
        inner.state = State::Paused(cause);
        inner.session = Some(session);
        self.emit_outputs(&mut inner);
        // The process died while it recorded: the interruption has not been told yet.
        if cut_off && let Some(session) = &mut inner.session {
            self.tell_session(session, "paused");
            self.tell(session, Kind::RecordPaused);
        }
        self.arm_delay(&mut inner, delay_until);
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
        let _ = self.effects.send((self.services.clock.busy(), effect));
    }

    // ---- what happens to the stream ----

    /// A publisher is there. The rules in force now hold for the whole push.
    pub fn published(&self, args: PushArgs) {
        let now = self.services.clock.now();
        let rules = self.services.store.rules_of(&self.key.domain);
        let choice = choose(&rules, &self.key.app, &self.key.stream, now);
        let mut inner = self.lock();
        inner.publisher = Publisher {
            present: true,
            args,
            fresh: true,
            choice,
            ..Publisher::default()
        };
        self.watch_upcoming(&mut inner);
        // A session that goes on keeps the rule it began with.
        let rule = inner
            .session
            .as_ref()
            .map(|s| s.opening.rule.clone())
            .or_else(|| inner.publisher.choice.winner.clone());
        if let Some(rule) = rule {
            let wanted = ingest_parameter_wants(&inner.publisher.args);
            self.apply(
                &mut inner,
                Input::Publish {
                    mode: rule.on_demand,
                    wanted,
                },
            );
        }
    }

    /// The publisher is gone.
    pub fn lost(&self) {
        let mut inner = self.lock();
        inner.publisher.present = false;
        stop(&mut inner.window);
        self.apply(&mut inner, Input::Lost);
    }

    pub fn video_config(&self, config: VideoConfig) {
        let mut inner = self.lock();
        if let Some(session) = &mut inner.session {
            session.video_config(&config);
        }
        inner.publisher.video = Some(config);
    }

    pub fn audio_config(&self, config: AudioConfig) {
        let mut inner = self.lock();
        if let Some(session) = &mut inner.session {
            session.audio_config(&config);
        }
        inner.publisher.audio = Some(config);
    }

    /// The video bitrate that the publisher announced.
    pub fn bitrate(&self, kbps: u32) {
        self.lock().publisher.kbps = kbps;
    }

    /// Takes a frame with the publisher's own timestamp.
    pub fn frame(&self, frame: Frame, raw: u32) {
        let mut inner = self.lock();
        inner.publisher.fresh = false;
        let Some(session) = &mut inner.session else {
            return;
        };
        let now = self.services.clock.now();
        match session.frame(frame, raw, now) {
            Taken::No | Taken::Yes => {}
            Taken::First => {
                self.tell_session(session, "recording");
                self.tell(session, Kind::RecordStarted);
            }
            Taken::Resumed => {
                self.tell_session(session, "recording");
                self.tell(session, Kind::RecordResumed);
            }
        }
        self.emit_outputs(&mut inner);
    }

    /// Work between batches of frames: flushes, and looks whether the disk still takes what is written.
    /// False: the publisher is too far ahead of the disk and must wait.
    pub fn tick(&self) -> bool {
        let mut inner = self.lock();
        let Some(session) = &mut inner.session else {
            return true;
        };
        session.spool.tick();
        let progress = session.spool.progress();
        let held = session.holds_back(BACKLOG_LIMIT);
        if progress.has_failed() {
            self.fail(&mut inner, Fault::StorageFull);
            return true;
        }
        !held
    }

    /// Pushes everything taken so far towards the disk.
    pub fn flush(&self) {
        if let Some(session) = &mut self.lock().session {
            session.spool.flush();
        }
    }

    /// The stream holds something that the product does not record: an error event, and no half recording.
    pub fn unsupported(&self) {
        let mut inner = self.lock();
        if inner.publisher.unsupported_told {
            return;
        }
        inner.publisher.unsupported_told = true;
        if !matches!(inner.state, State::Idle) {
            self.fail(&mut inner, Fault::StreamFormatError);
        }
    }

    /// The recording of `session` cannot go on.
    pub fn failed(&self, session: &str, fault: Fault) {
        let mut inner = self.lock();
        if inner
            .session
            .as_ref()
            .is_some_and(|s| s.opening.session == session)
        {
            self.fail(&mut inner, fault);
        }
    }

    fn fail(&self, inner: &mut Inner, fault: Fault) {
        tracing::warn!(stream.key = %self.key, code = fault.code(), "recording failed");
        inner.last_fault = Some(fault);
        if let Some(session) = &mut inner.session {
            self.tell_as(session, Kind::RecordError, Some(fault));
        }
        self.apply(inner, Input::Failed);
    }

    // ---- commands and time ----

    /// Runs a RealTimeRecordCommand; the caller has checked that the stream is live and names a rule for a session to come.
    pub fn command(&self, input: Input, rule: Option<Rule>) -> Result<(), Refusal> {
        let mut inner = self.lock();
        if let (Some(rule), None) = (rule, &inner.session) {
            inner.publisher.choice.winner = Some(rule);
        }
        let (next, steps) = machine::step(inner.state, inner.publisher.present, input)?;
        self.carry_out(&mut inner, next, steps);
        Ok(())
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
        self.apply(&mut inner, Input::Shutdown);
    }

    /// Whether nothing is going on that would need this recorder.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let inner = self.lock();
        inner.state == State::Idle
            && !inner.publisher.present
            && inner.session.is_none()
            && self.effects.strong_count() > 0
    }

    #[must_use]
    pub fn view(&self) -> View {
        let inner = self.lock();
        let session = inner.session.as_ref();
        View {
            state: inner.state,
            session: session.map(|s| s.opening.session.clone()),
            rule: session
                .map(|s| s.opening.rule.clone())
                .or_else(|| inner.publisher.choice.winner.clone()),
            recorded_ms: session.map_or(0, |s| s.timeline.end_ms()),
            timestamp_jumps: session.map_or(0, |s| s.timeline.jumps()),
            last_error: inner.last_fault,
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

    // ---- carrying out ----

    fn apply(&self, inner: &mut Inner, input: Input) {
        if let Ok((next, steps)) = machine::step(inner.state, inner.publisher.present, input) {
            self.carry_out(inner, next, steps);
        }
    }

    fn carry_out(&self, inner: &mut Inner, next: State, steps: &[Step]) {
        let cause = if let State::Paused(cause) = next {
            cause
        } else {
            Cause::Lost
        };
        inner.state = next;
        for step in steps {
            match step {
                Step::Ask => self.ask(inner),
                Step::Discard => self.discard(inner),
                Step::Open => self.open(inner, None),
                Step::Adopt => self.adopt(inner, None),
                Step::Resume => self.resume(inner),
                Step::Pause => self.pause(inner, cause),
                Step::Finalise => self.finalise(inner),
                Step::CutFiles => self.cut_files(inner),
                Step::ArmDelay => {
                    let delay = inner.session.as_ref().map_or(0, |s| s.opening.rule.delay_s);
                    self.arm_delay(inner, self.services.clock.now() + delay * 1000);
                }
                Step::DisarmDelay => stop(&mut inner.delay),
            }
        }
    }

    fn begin(&self, inner: &mut Inner, rule: Rule, undecided: bool) -> bool {
        let session = ids::ordered_id();
        let folder = self.services.spool.join(&session);
        let opening = Opening {
            session,
            key: self.key.clone(),
            formats: rule.formats.clone(),
            rule,
            first_sequence: inner.next_sequence,
            wall: self.services.clock.now(),
            push_args: inner.publisher.args.callback_args(),
        };
        match Session::begin(opening, folder, self.services.disk.clone(), undecided) {
            Ok(mut session) => {
                let publisher = &inner.publisher;
                session.open_gate(
                    publisher.fresh,
                    publisher.video.as_ref(),
                    publisher.audio.as_ref(),
                );
                inner.session = Some(session);
                inner.last_fault = None;
                true
            }
            Err(error) => {
                tracing::error!(stream.key = %self.key, %error, "no spool can be opened");
                inner.last_fault = Some(Fault::StorageFull);
                inner.state = State::Idle;
                false
            }
        }
    }

    fn open(&self, inner: &mut Inner, rule: Option<Rule>) {
        let Some(rule) = rule.or_else(|| inner.publisher.choice.winner.clone()) else {
            inner.state = State::Idle;
            return;
        };
        if self.begin(inner, rule, false) {
            self.watch_window_end(inner);
        }
    }

    fn ask(&self, inner: &mut Inner) {
        let Some(rule) = inner.publisher.choice.winner.clone() else {
            inner.state = State::Idle;
            return;
        };
        if !self.begin(inner, rule.clone(), true) {
            return;
        }
        let (me, services, key) = (self.me.clone(), self.services.clone(), self.key.clone());
        let busy = self.services.clock.busy();
        let task = tokio::spawn(async move {
            let describe = {
                let me = me.clone();
                move || {
                    let recorder = me.upgrade()?;
                    let inner = recorder.lock();
                    Some((
                        inner.publisher.kbps,
                        inner.publisher.video.as_ref().map(|v| v.codec),
                    ))
                }
            };
            let answer = question::ask(&services, &key, &rule.formats, describe, busy).await;
            if let Some(recorder) = me.upgrade() {
                recorder.answered(answer.0);
            }
        });
        inner.question = Some(task.abort_handle());
    }

    fn answered(&self, formats: Option<Vec<FormatRule>>) {
        let mut inner = self.lock();
        match formats {
            Some(formats) if inner.state == State::Asking => {
                if let Ok((next, steps)) =
                    machine::step(inner.state, inner.publisher.present, Input::AnswerYes)
                {
                    inner.state = next;
                    if let [Step::Adopt, rest @ ..] = steps {
                        self.adopt(&mut inner, Some(formats));
                        self.carry_out(&mut inner, next, rest);
                    }
                }
            }
            Some(_) => {}
            None => self.apply(&mut inner, Input::AnswerNo),
        }
    }

    fn adopt(&self, inner: &mut Inner, formats: Option<Vec<FormatRule>>) {
        inner.question = None;
        let Some(session) = &mut inner.session else {
            return;
        };
        let formats = formats.unwrap_or_else(|| session.opening.rule.formats.clone());
        if session.adopt(formats) {
            self.tell_session(session, "recording");
            self.tell(session, Kind::RecordStarted);
        }
        self.emit_outputs(inner);
        self.watch_window_end(inner);
    }

    fn discard(&self, inner: &mut Inner) {
        stop(&mut inner.question);
        if let Some(session) = inner.session.take() {
            self.send(Effect::Forget {
                folder: session.folder().to_owned(),
            });
        }
    }

    fn pause(&self, inner: &mut Inner, cause: Cause) {
        let now = self.services.clock.now();
        let Some(session) = &mut inner.session else {
            return;
        };
        session.pause(cause, now);
        self.emit_outputs(inner);
        if let Some(session) = &mut inner.session
            && session.is_open()
        {
            self.tell_session(session, "paused");
            self.tell(session, Kind::RecordPaused);
        }
    }

    fn resume(&self, inner: &mut Inner) {
        let Some(session) = &mut inner.session else {
            return;
        };
        session.resume();
        let publisher = &inner.publisher;
        session.open_gate(
            publisher.fresh,
            publisher.video.as_ref(),
            publisher.audio.as_ref(),
        );
    }

    fn finalise(&self, inner: &mut Inner) {
        stop(&mut inner.delay);
        if let Some(session) = &mut inner.session {
            session.finish();
        }
        self.emit_outputs(inner);
        let Some(session) = inner.session.take() else {
            return;
        };
        inner.next_sequence = session.next_sequence();
        if session.is_open() {
            self.tell_session(&session, "ended");
        }
        self.send(Effect::Forget {
            folder: session.folder().to_owned(),
        });
    }

    fn cut_files(&self, inner: &mut Inner) {
        let Some(session) = &mut inner.session else {
            return;
        };
        session.want_cut();
        self.tell(session, Kind::RecordStarted);
        let me = self.me.clone();
        let clock = self.services.clock.clone();
        let due = clock.now() + CUT_PATIENCE_MS;
        let id = session.opening.session.clone();
        tokio::spawn(async move {
            let _busy = clock.sleep_until(due).await;
            let Some(recorder) = me.upgrade() else { return };
            let mut inner = recorder.lock();
            if let Some(session) = inner
                .session
                .as_mut()
                .filter(|s| s.opening.session == id && s.cut_is_wanted())
            {
                session.cut_now();
            }
            recorder.emit_outputs(&mut inner);
        });
    }

    fn arm_delay(&self, inner: &mut Inner, due: UnixMs) {
        stop(&mut inner.delay);
        let me = self.me.clone();
        let clock = self.services.clock.clone();
        let task = tokio::spawn(async move {
            let _busy = clock.sleep_until(due).await;
            if let Some(recorder) = me.upgrade() {
                let mut inner = recorder.lock();
                inner.delay = None;
                recorder.apply(&mut inner, Input::DelayElapsed);
            }
        });
        inner.delay = Some(task.abort_handle());
    }

    /// A window that opens under a live stream starts a recording then.
    fn watch_upcoming(&self, inner: &mut Inner) {
        stop(&mut inner.window);
        let Some(rule) = inner.publisher.choice.upcoming.clone() else {
            return;
        };
        let Window::Ahead(opens) = rule.window_at(self.services.clock.now()) else {
            return;
        };
        let me = self.me.clone();
        let clock = self.services.clock.clone();
        let task = tokio::spawn(async move {
            let _busy = clock.sleep_until(opens).await;
            let Some(recorder) = me.upgrade() else { return };
            let mut inner = recorder.lock();
            if inner.session.is_none() && inner.publisher.present {
                let (mode, wanted) = (
                    rule.on_demand,
                    ingest_parameter_wants(&inner.publisher.args),
                );
                inner.publisher.choice.winner = Some(rule);
                recorder.apply(&mut inner, Input::Publish { mode, wanted });
            }
        });
        inner.window = Some(task.abort_handle());
    }

    fn watch_window_end(&self, inner: &mut Inner) {
        let Some(end) = inner.session.as_ref().and_then(|s| s.opening.rule.end_time) else {
            return;
        };
        if inner
            .session
            .as_ref()
            .is_some_and(|s| s.opening.rule.stream == crate::model::rule::ANY)
        {
            return;
        }
        stop(&mut inner.window);
        let me = self.me.clone();
        let clock = self.services.clock.clone();
        let task = tokio::spawn(async move {
            let _busy = clock.sleep_until(end).await;
            if let Some(recorder) = me.upgrade() {
                let mut inner = recorder.lock();
                recorder.apply(&mut inner, Input::WindowClosed);
            }
        });
        inner.window = Some(task.abort_handle());
    }

    // ---- telling the worker ----

    fn emit_outputs(&self, inner: &mut Inner) {
        let Some(session) = &mut inner.session else {
            return;
        };
        if !session.is_open() {
            return;
        }
        let outputs = session.take_outputs();
        if outputs.is_empty() {
            return;
        }
        let (progress, flushed_at) = {
            session.spool.flush();
            (session.spool.progress(), session.keep_from())
        };
        let opening = Arc::new(session.opening.clone());
        let folder = session.folder().to_owned();
        for output in outputs {
            self.send(Effect::Output {
                opening: opening.clone(),
                folder: folder.clone(),
                output,
                progress: Some(progress.clone()),
                keep_from: flushed_at,
            });
        }
    }

    fn tell(&self, session: &mut Session, kind: Kind) {
        self.tell_as(session, kind, None);
    }

    fn tell_as(&self, session: &mut Session, kind: Kind, fault: Option<Fault>) {
        let number = session.statuses;
        session.statuses += 1;
        self.send(Effect::Status(Status {
            session: session.opening.session.clone(),
            number,
            kind,
            fault,
            at: self.services.clock.now(),
        }));
    }

    fn tell_session(&self, session: &Session, state: &'static str) {
        self.send(Effect::Session {
            opening: Arc::new(session.opening.clone()),
            ended_at: session.wall_end(),
            state,
        });
    }
}

fn stop(task: &mut Option<AbortHandle>) {
    if let Some(task) = task.take() {
        task.abort();
    }
}
