//! What everything stands on and what knows nothing of streams or rules.

pub mod clock;
pub mod connection;
pub mod disk;
pub mod error;
pub mod events;
pub mod faults;
pub mod identity;
pub mod ids;
pub mod likeness;
pub mod metrics;
pub mod notes;
pub mod peer;
pub mod secrets;
pub mod sinks;
pub mod site;
pub mod spec;
pub mod wire;
