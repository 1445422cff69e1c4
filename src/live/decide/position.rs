//! Places in a session's spool, as those who decide and those who read speak of them.

use serde::{Deserialize, Serialize};

/// A place in a session's spool.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Position {
    /// The number of the spool's file, from 0.
    pub segment: u32,
    /// Bytes from the beginning of that file.
    pub offset: u64,
}
