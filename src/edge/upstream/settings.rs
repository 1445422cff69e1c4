//! What the settings of the upstream come to.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::patterns::ActionPatterns;
use crate::identity::AccessKey;

/// Which calls are answered from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// None.
    Off,
    /// Those that localyun has no handler for: known and unknown actions, the declined ones too.
    Unimplemented,
    All,
    /// All, from the cassette, without a network.
    Replay,
}

impl Mode {
    /// Whether calls go out.
    #[must_use]
    pub fn forwards(self) -> bool {
        matches!(self, Self::Unimplemented | Self::All)
    }
}

/// What becomes of a call that no recorded one fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Miss {
    /// It is refused with NotRecorded.
    Refuse,
    /// localyun answers itself.
    Emulate,
}

/// The resolved settings of the upstream.
#[derive(Debug, Clone)]
pub struct Settings {
    pub mode: Mode,
    /// Scheme, host and port alone.
    pub endpoint: Option<Url>,
    /// What forwarded calls are signed with.
    pub key: Option<AccessKey>,
    pub ca_file: Option<PathBuf>,
    /// Machine time for a call, from its connection to the end of its answer.
    pub timeout: Duration,
    /// Bytes of an answer, unpacked.
    pub answer_limit: usize,
    /// Where it is given, nothing else is forwarded.
    pub allow: Option<ActionPatterns>,
    pub refuse: ActionPatterns,
    /// The folder of the recorded calls.
    pub cassette: Option<PathBuf>,
    pub miss: Miss,
}
