//! localyun: Alibaba Cloud ApsaraVideo Live (product `live`, version 2016-11-01) on your own machine.
//!
//! Code map, one line a part; `docs/architecture.md` tells the flows and the invariants.
//!
//! - `cli` the subcommands; `server` starts and stops everything; `config` the settings
//! - `web` where the web framework begins and ends; `rpc` the life of one API call; `wire` what travels in it; `spec` what the documented
//!   API is; `error` the one error of the wire; `actions` one file an action; `diagnosis` what a client did wrong when it signed
//! - `upstream` calls that another endpoint of the API answers, or the cassette of such calls
//! - `compare` whether two services answer alike; `control` the routes under `/_localyun`; `cluster` this process as one of several nodes
//! - `live` ingest, recorder, spool, what is derived from it, and who watches; `media` the formats, pure; `publisher` and `viewer` our own
//!   clients
//! - `notify` callbacks; `objects` the object store; `store` the database; `meter` what is counted by the minute; `model` the nouns, pure
//! - `clock` the service clock with the one scheduler; `identity` who may call; `site` whom a request means and whose page sent it;
//!   `secrets` what is shown to nobody; `phrases` what is said to people; `peer` where the call under way came from; `certificates` those that users bring;
//!   `disk` large files, who writes them, folders without links; `faults`, `metrics`
//!
//! Everything but `cli` is private, so that the compiler names what nothing uses; what tests outside of the crate drive stands in `testing`.
// A start is one future that holds all that it starts; the optimizer asks how large it is by as many questions as it is deep.
#![recursion_limit = "256"]
#![forbid(unsafe_code)]

mod actions;
mod app;
mod certificates;
mod cluster;
mod control;
mod live;
mod meter;
mod model;
mod notifier;
mod notify;
pub mod program;
mod rpc;
mod server;
mod services;
mod store;
#[doc(hidden)]
pub mod testing;
mod tls;
mod web;

// Crates of their own (docs/design/house.md), whose parts are called as modules of this one are.
use localyun_base::{
    clock, connection, disk, error, events, faults, identity, ids, likeness, metrics, notes, peer,
    phrases, secrets, signals, sinks, site, spec, wire, wire_time,
};
use localyun_command::{cli, compare};
use localyun_edge::{config, diagnosis, evidence, publisher, signature_v1, signature_v3, upstream};
use localyun_media as media;
use localyun_objects as objects;
