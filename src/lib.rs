//! localyun: Alibaba Cloud ApsaraVideo Live (product `live`, version 2016-11-01) on your own machine.
//!
//! Code map, one line a part; `docs/architecture.md` tells the flows and the invariants.
#![forbid(unsafe_code)]

pub mod clock;
pub mod ids;
pub mod live;
pub mod media;
pub mod model;
pub mod store;
