//! Live streams: ingest by RTMP, the recorder, its spool, and what is derived from the spool.
//!
//! A frame's life: `ingest` (socket) → `media::rtmp` → `media::flv::read` → `media::access_unit` → `recorder` (one per stream:
//! timeline, gate, segmenter) → `spool` (append-only, on disk within half a second). A file's life: the segmenter says where a slice or a file ends →
//! `worker` (one per stream, in order) → `derive` (mux from spool ranges) → `objects` → rows and callbacks in the store.

pub mod decide;
pub mod derive;
pub mod hub;
pub mod ingest;
pub mod recorder;
pub mod recovery;
pub mod spool;
pub mod worker;
