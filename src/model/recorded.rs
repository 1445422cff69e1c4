//! Words of what was recorded, as rows, snapshots and the control plane say them.

use serde::{Deserialize, Serialize};

/// How a recording session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionState {
    Recording,
    /// Interrupted or stopped; it goes on within DelayTime or ends.
    Paused,
    Ended,
}

impl SessionState {
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "recording" => Some(Self::Recording),
            "paused" => Some(Self::Paused),
            "ended" => Some(Self::Ended),
            _ => None,
        }
    }

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Recording => "recording",
            Self::Paused => "paused",
            Self::Ended => "ended",
        }
    }
}

/// What a recorded file was made by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The recording itself.
    Auto,
    /// CreateLiveStreamRecordIndexFiles.
    Index,
}

impl Origin {
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "auto" => Some(Self::Auto),
            "index" => Some(Self::Index),
            _ => None,
        }
    }

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Index => "index",
        }
    }
}
