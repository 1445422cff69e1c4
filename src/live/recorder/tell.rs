//! What the recorder tells its worker, in order: ranges to be made into files, status events, the session's row.

use std::sync::Arc;

use super::{Inner, Recorder};
use crate::clock::UnixMs;
use crate::live::decide::segmenter::{File, Output, with_needs};
use crate::live::recorder::effect::{Effect, Stage, Status};
use crate::live::recorder::session::Session;
use crate::live::spool::record::FatalFault;
use crate::model::event::{Fault, Kind};

impl Recorder {
    pub(super) fn emit_outputs(&self, inner: &mut Inner) {
        let Some(session) = &mut inner.session else {
            return;
        };
        // What may turn out to be half a recording waits until that is decided.
        if !session.is_open() || session.is_half() {
            return;
        }
        for grown in session.take_grown() {
            self.send(Effect::Ahead {
                folder: session.folder().to_owned(),
                grown,
                handed: session.spool.handed(),
            });
        }
        let outputs = session.take_outputs();
        if outputs.is_empty() {
            return;
        }
        session.spool.flush();
        let (handed, open) = (session.spool.handed(), session.keep_from());
        let opening = Arc::new(session.opening.clone());
        let folder = session.folder().to_owned();
        let next = behind(&outputs);
        for ((output, keep_from), next) in with_needs(outputs, open).into_iter().zip(next) {
            self.send(Effect::Output {
                opening: opening.clone(),
                folder: folder.clone(),
                output: Box::new(output),
                next: next.map(Box::new),
                handed: Some(handed.clone()),
                keep_from,
            });
        }
    }

    pub(super) fn tell(&self, session: &mut Session, kind: Kind) {
        self.tell_as(session, kind, None, self.services.clock.now());
    }

    fn tell_as(&self, session: &mut Session, kind: Kind, fault: Option<Fault>, at: UnixMs) {
        let number = session.statuses;
        session.statuses += 1;
        self.send(Effect::Status(Status {
            session: session.opening.session.clone(),
            number,
            kind,
            fault,
            at,
        }));
    }

    /// When its push is over, nobody looks at a session any more: the worker itself waits until the disk has taken everything.
    pub(super) fn check_disk(&self, session: &Session) {
        self.send(Effect::Check {
            session: session.opening.session.clone(),
            handed: session.spool.handed(),
        });
    }

    /// A fault is told once, whatever comes of the session then. The session's end has it as well: the worker may be far behind, and a process
    /// that is killed tells nothing more.
    pub(super) fn tell_fault(&self, inner: &mut Inner, fault: Fault) {
        inner.last_fault = Some(fault);
        if let Some(session) = &mut inner.session {
            let (at, number) = (self.services.clock.now(), session.statuses);
            session.failed_by = Some(FatalFault { fault, at, number });
            self.tell_as(session, Kind::RecordError, Some(fault), at);
        }
    }

    /// An error that does not end the recording. It has a number of its own, since no mark in the spool stands for it.
    pub(super) fn tell_aside(&self, session: &Session, fault: Fault) {
        self.send(Effect::Status(Status {
            session: session.opening.session.clone(),
            number: u32::MAX,
            kind: Kind::RecordError,
            fault: Some(fault),
            at: self.services.clock.now(),
        }));
    }

    pub(super) fn tell_session(&self, session: &Session, stage: Stage) {
        self.send(Effect::Session {
            opening: Arc::new(session.opening.clone()),
            ended_at: session.wall_end(),
            stage,
        });
    }
}

/// Gives each output the file behind it, where both are whole files of one range, so that one reading of the spool makes both.
fn behind(outputs: &[Output]) -> Vec<Option<File>> {
    let next = outputs.iter().skip(1).map(Some).chain([None]);
    let pairs = outputs.iter().zip(next);
    let same = |(output, next): (&Output, Option<&Output>)| match (output, next) {
        (Output::File(file), Some(Output::File(next)))
            if file.span == next.span && file.slices.is_none() && next.slices.is_none() =>
        {
            Some(next.clone())
        }
        _ => None,
    };
    pairs.map(same).collect()
}
