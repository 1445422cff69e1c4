//! Carrying out what the state machine says: sessions begin, pause, resume and end, questions are put, due times armed.

use tokio::task::AbortHandle;

use super::{CUT_PATIENCE_MS, Inner, Recorder, STANDS_MS, stop};
use crate::clock::UnixMs;
use crate::ids;
use crate::live::decide::machine::{self, Cause, Input, State, Step};
use crate::live::decide::pictures::Pictures;
use crate::live::recorder::effect::{Effect, Stage, Status};
use crate::live::recorder::on_demand;
use crate::live::recorder::session::Session;
use crate::live::spool::record::{Mark, Opening};
use crate::model::event::{Fault, Kind};
use crate::model::on_demand::ingest_parameter_wants;
use crate::model::rule::{FormatRule, Rule, choose};

impl Recorder {
    pub(super) fn apply(&self, inner: &mut Inner, input: Input) {
        if let Ok((next, steps)) = machine::step(inner.state, inner.publisher.present, input) {
            self.carry_out(inner, next, steps);
        }
    }

    pub(super) fn carry_out(&self, inner: &mut Inner, next: State, steps: &[Step]) {
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
                    let due = self.silent_since(inner) + delay * 1000;
                    self.arm_delay(inner, due);
                }
                Step::DisarmDelay => stop(&mut inner.delay),
            }
        }
    }

    pub(super) fn begin(&self, inner: &mut Inner, rule: Rule, undecided: bool) -> bool {
        let session = ids::session_id(&self.key.to_string());
        let (name, folder) = (session.clone(), self.services.spool.join(&session));
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
                // Its wait for a key frame begins with it.
                inner.publisher.keyless.found();
                true
            }
            Err(error) => {
                let fault = Fault::of_storage(&error);
                tracing::error!(stream.key = %self.key, %error, code = fault.code(), "no spool can be opened: the stream is not recorded");
                self.send(Effect::Status(Status {
                    session: name,
                    number: 0,
                    kind: Kind::RecordError,
                    fault: Some(fault),
                    at: self.services.clock.now(),
                }));
                inner.last_fault = Some(fault);
                inner.state = State::Idle;
                false
            }
        }
    }

    pub(super) fn open(&self, inner: &mut Inner, rule: Option<Rule>) {
        let Some(rule) = rule.or_else(|| inner.publisher.choice.winner.clone()) else {
            inner.state = State::Idle;
            return;
        };
        if self.begin(inner, rule, false) {
            self.watch_window_end(inner);
        }
    }

    pub(super) fn ask(&self, inner: &mut Inner) {
        let Some(rule) = inner.publisher.choice.winner.clone() else {
            inner.state = State::Idle;
            return;
        };
        if !self.begin(inner, rule.clone(), true) {
            return;
        }
        let Some(session) = &inner.session else {
            return;
        };
        let asked_for = session.opening.session.clone();
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
            let answer = on_demand::ask(&services, &key, &rule.formats, describe, busy).await;
            if let Some(recorder) = me.upgrade() {
                recorder.answered(&asked_for, answer.0);
            }
        });
        inner.question = Some(task.abort_handle());
        // A window may open under a push that has shown what it is by then.
        self.refuse_formats(inner);
    }

    pub(super) fn answered(&self, session: &str, formats: Option<Vec<FormatRule>>) {
        let mut inner = self.lock();
        let waiting = inner.session.as_ref();
        let Some(waiting) = waiting.filter(|waiting| waiting.opening.session == session) else {
            return;
        };
        let asked_by = waiting.opening.rule.clone();
        match formats {
            Some(formats) if inner.state == State::Asking => {
                if let Ok((next, steps)) =
                    machine::step(inner.state, inner.publisher.present, Input::AnswerYes)
                {
                    inner.state = next;
                    if let [Step::Adopt, rest @ ..] = steps {
                        self.adopt(&mut inner, Some(formats));
                        self.carry_out(&mut inner, next, rest);
                        self.refuse_formats(&mut inner);
                    }
                }
            }
            Some(_) => {}
            None => {
                self.apply(&mut inner, Input::AnswerNo);
                // The window of another rule may have opened meanwhile.
                if inner.publisher.choice.winner != Some(asked_by) {
                    self.begin_by_rule(&mut inner);
                }
            }
        }
    }

    pub(super) fn adopt(&self, inner: &mut Inner, formats: Option<Vec<FormatRule>>) {
        // A command may have come before the answer.
        stop(&mut inner.question);
        let Some(session) = &mut inner.session else {
            return;
        };
        let formats = formats.unwrap_or_else(|| session.opening.rule.formats.clone());
        if session.adopt(formats) {
            self.tell_session(session, Stage::Started);
            self.tell(session, Kind::RecordStarted);
        }
        self.emit_outputs(inner);
        self.watch_window_end(inner);
    }

    pub(super) fn discard(&self, inner: &mut Inner) {
        stop(&mut inner.question);
        stop(&mut inner.window_end);
        if let Some(mut session) = inner.session.take() {
            // Slices of it may be in the bucket: the next recording's have other numbers.
            inner.next_sequence = inner.next_sequence.max(session.next_sequence());
            if session.is_open() {
                // The worker may be far behind, and a restart must not take this for a recording that was cut off.
                session.spool.mark(&Mark::Void);
                self.tell_session(&session, Stage::Ended);
            }
            self.send(Effect::Forget {
                folder: session.folder().to_owned(),
            });
        }
    }

    pub(super) fn pause(&self, inner: &mut Inner, cause: Cause) {
        let since = self.silent_since(inner);
        let Some(session) = &mut inner.session else {
            return;
        };
        let paused = session.pause(cause, since);
        self.emit_outputs(inner);
        if let Some(session) = &mut inner.session {
            if paused {
                self.tell_session(session, Stage::Paused);
                self.tell(session, Kind::RecordPaused);
            }
            self.check_disk(session);
        }
    }

    /// Since when nothing comes of what is paused: as a rule since now. A push that ended while the question was out ended before the answer.
    fn silent_since(&self, inner: &Inner) -> UnixMs {
        let gone_at = inner.publisher.gone_at;
        gone_at.unwrap_or_else(|| self.services.clock.now())
    }

    pub(super) fn resume(&self, inner: &mut Inner) {
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

    pub(super) fn finalise(&self, inner: &mut Inner) {
        stop(&mut inner.delay);
        stop(&mut inner.window_end);
        let pictures = inner.session.as_ref().map(Session::pictures);
        if pictures.is_some_and(Pictures::are_missing) && inner.last_fault.is_none() {
            tracing::warn!(stream.key = %self.key, "the push ended without a key frame among its pictures");
            self.tell_fault(inner, Fault::StreamFormatError);
        }
        if pictures.is_some_and(Pictures::leave_half) {
            self.discard(inner);
            return;
        }
        if let Some(session) = &mut inner.session {
            session.finish();
        }
        self.emit_outputs(inner);
        let Some(session) = inner.session.take() else {
            return;
        };
        self.check_disk(&session);
        inner.next_sequence = session.next_sequence();
        if session.is_open() {
            self.tell_session(&session, Stage::Ended);
        }
        self.send(Effect::Forget {
            folder: session.folder().to_owned(),
        });
    }

    pub(super) fn cut_files(&self, inner: &mut Inner) {
        // Before its first frame a recording has no files, and has not been told of.
        let Some(session) = inner.session.as_mut().filter(|session| session.is_open()) else {
            return;
        };
        // Nothing came since the pause: the files end there, and what comes next is told as resumed.
        if session.is_resuming() {
            session.cut_now();
            self.emit_outputs(inner);
            return;
        }
        session.want_cut();
        self.tell(session, Kind::RecordStarted);
        let (id, seen_ms) = (session.opening.session.clone(), session.timeline.end_ms());
        self.watch_cut(id, seen_ms);
    }

    /// Cuts without a key frame when the stream stands still, and looks again as long as it does not. `seen_ms`: the end of what had come
    /// by the last look.
    fn watch_cut(&self, id: String, seen_ms: i64) {
        let due = self.services.clock.now() + CUT_PATIENCE_MS;
        self.at(due, move |recorder, inner| {
            recorder.settle(inner);
            let session = inner.session.as_mut();
            let Some(session) = session.filter(|s| s.opening.session == id && s.cut_is_wanted())
            else {
                return;
            };
            let end_ms = session.timeline.end_ms();
            if end_ms - seen_ms < STANDS_MS {
                session.cut_now();
                recorder.emit_outputs(inner);
            } else {
                recorder.watch_cut(id, end_ms);
            }
        });
    }

    /// Does something at a due time, where the recorder is still there.
    fn at(
        &self,
        due: UnixMs,
        what: impl FnOnce(&Self, &mut Inner) + Send + 'static,
    ) -> AbortHandle {
        let me = self.me.clone();
        self.services.clock.at(due, async move {
            if let Some(recorder) = me.upgrade() {
                what(&recorder, &mut recorder.lock());
            }
        })
    }

    pub(super) fn arm_delay(&self, inner: &mut Inner, due: UnixMs) {
        stop(&mut inner.delay);
        inner.delay = Some(self.at(due, |recorder, inner| {
            inner.delay = None;
            recorder.apply(inner, Input::DelayElapsed);
        }));
    }

    /// A window that opens under a live stream starts a recording then, where nothing is recorded.
    pub(super) fn watch_upcoming(&self, inner: &mut Inner) {
        stop(&mut inner.window_begin);
        let upcoming = inner.publisher.choice.upcoming.as_ref();
        let Some(opens) = upcoming.and_then(|rule| rule.start_time) else {
            return;
        };
        let gone = inner.gone;
        inner.window_begin = Some(self.at(opens, move |recorder, inner| {
            // Its push is still there.
            if inner.gone == gone {
                inner.window_begin = None;
                recorder.window_opens(inner);
            }
        }));
    }

    fn window_opens(&self, inner: &mut Inner) {
        let publisher = &mut inner.publisher;
        let awaited = publisher.choice.upcoming.take();
        let now = self.services.clock.now();
        publisher.choice = choose(&publisher.rules, &self.key.app, &self.key.stream, now);
        // False where the clock was set back, which wakes whoever waits.
        let has_opened = publisher.choice.winner == awaited;
        // Another one may open later.
        self.watch_upcoming(inner);
        if has_opened {
            self.begin_by_rule(inner);
        }
    }

    /// The rule that the push has by now decides whether a recording begins, where there is none.
    fn begin_by_rule(&self, inner: &mut Inner) {
        if inner.session.is_some() || !inner.publisher.present {
            return;
        }
        let rule = inner.publisher.choice.winner.as_ref();
        let Some(rule) = rule.filter(|rule| !rule.formats.is_empty()) else {
            return;
        };
        let mode = rule.on_demand;
        let wanted = ingest_parameter_wants(&inner.publisher.args);
        self.apply(inner, Input::Publish { mode, wanted });
    }

    /// A session ends with the window of its rule, whether its publisher is there or not.
    pub(super) fn watch_window_end(&self, inner: &mut Inner) {
        stop(&mut inner.window_end);
        let Some(session) = &inner.session else {
            return;
        };
        let Some(end) = session.window_end() else {
            return;
        };
        let id = session.opening.session.clone();
        inner.window_end = Some(self.at(end, move |recorder, inner| {
            let session = inner.session.as_ref();
            if session.is_some_and(|session| session.opening.session == id) {
                inner.window_end = None;
                recorder.settle(inner);
                recorder.apply(inner, Input::WindowClosed);
            }
        }));
    }
}
