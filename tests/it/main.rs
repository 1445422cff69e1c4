//! Tests of several parts together, in one process and without the network.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::allow_attributes,
    reason = "tests fail by panicking"
)]

mod entrance;
mod forgetting;
mod outbox;
mod players;
mod publishers;
mod recovery;
mod sessions;
mod support;
mod tracks;
mod windows;
