//! localyun: Alibaba Cloud ApsaraVideo Live (product `live`, version 2016-11-01) on your own machine.
//!
//! Code map, one line a part; `docs/architecture.md` tells the flows and the invariants.
//!
//! - `cli` the subcommands; `server` starts and stops everything; `config` the settings
//! - `web` where the web framework begins and ends; `rpc` the life of one API call; `wire` what travels in it; `spec` what the documented
//!   API is; `error` the one error of the wire; `actions` one file an action; `diagnosis` what a client did wrong when it signed
//! - `control` the routes under `/_localyun`
//! - `live` ingest, recorder, spool, what is derived from it, and who watches; `media` the formats, pure; `publisher` and `viewer` our own
//!   clients
//! - `notify` callbacks; `objects` the object store; `store` the database; `meter` what is counted by the minute; `model` the nouns, pure
//! - `clock` the service clock with the one scheduler; `identity` who may call; `site` whom a request means and whose page sent it;
//!   `secrets` what is shown to nobody; `disk` large files, who writes them, folders without links; `faults`, `metrics`
#![forbid(unsafe_code)]

pub mod actions;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod diagnosis;
pub mod disk;
pub mod error;
pub mod events;
pub mod faults;
pub mod identity;
pub mod ids;
pub mod likeness;
pub mod live;
pub mod media;
pub mod meter;
pub mod metrics;
pub mod model;
pub mod notes;
pub mod notify;
pub mod objects;
pub mod publisher;
pub mod rpc;
pub mod secrets;
pub mod server;
pub mod services;
pub mod sinks;
pub mod site;
pub mod spec;
pub mod store;
pub mod tls;
pub mod viewer;
pub mod web;
pub mod wire;
