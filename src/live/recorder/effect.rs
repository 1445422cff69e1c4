//! What the recorder hands to its worker, and why it may not come about.

use std::path::PathBuf;
use std::sync::Arc;

use crate::clock::{Busy, UnixMs};
use crate::disk::descriptors;
use crate::disk::writers::{Handed, Progress};
use crate::live::decide::position::Position;
use crate::live::decide::segmenter::{File, OpenMp4, Output};
use crate::live::derive::DeriveError;
use crate::live::spool::record::Opening;
use crate::model::event::{Fault, Kind};
use crate::model::recorded::SessionState;
use crate::objects::PutError;
use crate::store::StoreError;

/// What became of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Started,
    Resumed,
    Paused,
    Ended,
}

impl Stage {
    /// What its row says from then on.
    #[must_use]
    pub fn state(self) -> SessionState {
        match self {
            Self::Started | Self::Resumed => SessionState::Recording,
            Self::Paused => SessionState::Paused,
            Self::Ended => SessionState::Ended,
        }
    }

    /// What its event says.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Resumed => "resumed",
            Self::Paused => "paused",
            Self::Ended => "ended",
        }
    }
}

/// A status event to be told.
#[derive(Debug, Clone)]
pub struct Status {
    pub session: String,
    pub number: u32,
    pub kind: Kind,
    pub fault: Option<Fault>,
    pub at: UnixMs,
}

/// An MP4 file that has grown by a spool segment.
#[derive(Debug, Clone, Copy)]
pub struct Grown {
    pub file: OpenMp4,
    /// The end of the part of its payload that is in the spool now.
    pub to: Position,
}

/// Whom a worker tells what failed: the stream's recorder, as far as the worker knows it.
pub trait FaultListener: Send + Sync {
    /// The recording of `session` cannot go on. False: it is over already, and nobody has been told of the fault.
    fn failed(&self, session: &str, fault: Fault) -> bool;

    /// What was handed over for `session` did not reach the disk. False as for [`FaultListener::failed`].
    fn failed_by_disk(&self, session: &str, progress: &Progress) -> bool;

    /// The stream is another node's by now: nothing more of it is to be written here.
    fn fenced(&self);
}

/// What the recorder hands over.
pub enum Effect {
    /// The session's row: where it stands.
    Session {
        opening: Arc<Opening>,
        ended_at: UnixMs,
        stage: Stage,
    },
    Status(Status),
    Output {
        opening: Arc<Opening>,
        folder: PathBuf,
        output: Box<Output>,
        /// The file behind it, where that is made of the same range.
        next: Option<Box<File>>,
        handed: Option<Handed>,
        keep_from: u32,
    },
    /// The session's media has ended for now: what the disk did not take is told.
    Check {
        session: String,
        handed: Handed,
    },
    /// An MP4 file has grown by a spool segment.
    Ahead {
        folder: PathBuf,
        grown: Grown,
        handed: Handed,
    },
    /// Everything of this spool is done or unwanted.
    Forget {
        folder: PathBuf,
    },
}

/// An effect on its way to the worker.
pub struct Job {
    pub busy: Busy,
    /// Boxed, since a queue keeps room for dozens of jobs, and nearly every queue is empty.
    pub effect: Box<Effect>,
    /// Held until the effect is done.
    pub open: Arc<()>,
}

/// Why an effect did not come about.
///
/// # What to do
/// The worker keeps the effect at the head of its queue and tries again on `Passing`, at most `DOUBTFUL_TRIES` times on `Doubtful`. On
/// `Fatal` it tells the recorder, whose session ends with that fault. On `Lost` it goes on with the next effect.
pub enum Trouble {
    /// Try again.
    Passing(String),
    /// Try again, but not for ever: it is not likely to pass.
    Doubtful(String),
    /// The recording cannot go on.
    Fatal(Fault),
    /// Nothing to be done; told in the log.
    Lost(String),
    /// The stream is another node's by now.
    Fenced,
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Fenced => Self::Fenced,
            other => Self::Passing(other.to_string()),
        }
    }
}

impl From<PutError> for Trouble {
    fn from(error: PutError) -> Self {
        match error {
            PutError::NoSuchBucket => Self::Fatal(Fault::BucketNotFound),
            PutError::Denied(_) => Self::Fatal(Fault::AccessDenied),
            PutError::Name(_) => Self::Lost(error.to_string()),
            other => Self::Passing(other.to_string()),
        }
    }
}

impl From<DeriveError> for Trouble {
    fn from(error: DeriveError) -> Self {
        match error {
            DeriveError::Io(error) if descriptors::passes(&error) => {
                Self::Passing(error.to_string())
            }
            DeriveError::Io(error) => Self::Doubtful(error.to_string()),
            other => Self::Lost(other.to_string()),
        }
    }
}
