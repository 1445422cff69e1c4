//! Whether two services of the same API answer alike: scripts of calls, what is made alike before answers are laid side by side, and
//! where they differ.
//!
//! Pure: a [`script`] is read from text, [`alike`] takes out of an answer what differs by nature (ids, times, hosts), [`diff`] finds the
//! rest, [`mask`] takes out of a report what is nobody else's business. Calls, pushes and waits are made by `cli::compare`.

pub mod alike;
pub mod answer;
pub mod diff;
pub mod junit;
pub mod mask;
pub mod outcome;
mod places;
pub mod script;
mod tree;
pub mod words;
