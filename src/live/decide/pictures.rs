//! What a recording has of its stream's pictures: it decides whether its sound alone is half a recording. Every checkpoint holds it.

use serde::{Deserialize, Serialize};

/// Milliseconds of media. What is shorter when the stream shows what cannot be recorded is not a recording of it but the edge of one. No
/// slice is as short as this.
pub const EDGE_MS: i64 = 5_000;

/// What came of pictures so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Pictures {
    /// One is in the recording.
    pub are_recorded: bool,
    /// Some came, and none of them was a key frame.
    pub keyless: bool,
    /// When they came, sound alone had been recorded for longer than an edge: it stays.
    pub late: bool,
}

impl Pictures {
    /// Of a recording that has some. So it was in every checkpoint of programs that began a segment before key frames alone.
    #[must_use]
    pub fn recorded() -> Self {
        Self {
            are_recorded: true,
            ..Self::default()
        }
    }

    /// The stream has pictures, and the recording has none.
    #[must_use]
    pub fn are_missing(self) -> bool {
        self.keyless && !self.are_recorded
    }

    /// What is recorded is the sound alone of a stream that had pictures from the beginning.
    #[must_use]
    pub fn leave_half(self) -> bool {
        self.are_missing() && !self.late
    }
}
