//! The command line and what only it uses: the comparison of two services and the viewer of our own. The server that it starts is handed in.
//!
//! A crate of its own, so that an edit of what the server is about does not have it read again. Nobody but localyun uses it, so every name may
//! change.
#![forbid(unsafe_code)]

pub mod cli;
pub mod compare;
mod viewer;

use localyun_base::{clock, ids, likeness, secrets, signals, site, spec, wire, wire_time};
use localyun_edge::{config, diagnosis, evidence, publisher, signature_v1, signature_v3};
use localyun_media as media;
