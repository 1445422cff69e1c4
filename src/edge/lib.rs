//! Where the program meets the world, without what it is about: settings, signatures of calls and what is wrong with one, calls that another
//! endpoint answers, and the publisher of our own. Nothing in it knows a rule, a stream or a row.
//!
//! A crate of its own, so that a check of what lies above does not read it again. Nobody but localyun uses it, so every name may change.
#![forbid(unsafe_code)]

pub mod config;
pub mod diagnosis;
pub mod evidence;
pub mod publisher;
pub mod signature_v1;
pub mod signature_v3;
pub mod upstream;

use localyun_base::{
    clock, disk, error, identity, ids, likeness, metrics, phrases, secrets, site, wire, wire_time,
};
use localyun_media as media;
use localyun_objects as objects;
