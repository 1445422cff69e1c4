//! Callbacks: what is told (`rows`, `publish`), a durable outbox with one sender a stream (`outbox`, `asking`), and how one
//! callback is sent (`deliver`, `sign`, `receiver`).
//!
//! Who has something to tell stores a row and wakes the sender by [`crate::notifier::Notifier`], which lies below the shared services; the sender
//! itself uses them.

pub mod asking;
pub mod deliver;
pub mod outbox;
pub mod publish;
pub mod receiver;
pub mod rows;
pub mod sign;
