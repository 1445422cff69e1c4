//! What everything stands on and what knows nothing of rules or streams: time, ids, disk, connections, keys, errors, the description of the API.
//!
//! A crate of its own, so that a check of what lies above does not read it again. Nobody but localyun uses it, so every name may change.
#![forbid(unsafe_code)]

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
pub mod phrases;
pub mod secrets;
pub mod signals;
pub mod sinks;
pub mod site;
pub mod spec;
pub mod wire;
pub mod wire_time;
