//! The nouns of the product: streams, recording rules, object names, events. No I/O and no async below this folder.

pub mod domain;
pub mod domain_name;
pub mod event;
pub mod figures;
pub mod forbidden;
pub mod issued_key;
pub mod notify;
pub mod object_name;
pub mod on_demand;
pub mod reason;
pub mod recorded;
pub mod retention;
pub mod rule;
pub mod stream_key;
