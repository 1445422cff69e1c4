//! Live streams: ingest by RTMP, the recorder, its spool, what is derived from the spool, and who watches.
//!
//! A frame's life: `ingest` (socket) → `media::rtmp` → `media::flv::read` → `media::access_unit` → `recorder` (one per stream:
//! timeline, gate, segmenter) → `spool` (append-only, on disk within half a second). Beside it the message goes to `fanout`, which keeps the
//! newest groups of pictures and makes each container once for all its viewers; `play` says who they may be. A file's life: the segmenter says where a slice or a file ends →
//! `worker` (one per stream, in order) → `derive` (mux from spool ranges) → `objects` → rows and callbacks in the store.

pub mod decide;
pub mod derive;
pub mod fanout;
pub mod hub;
pub mod ingest;
pub mod play;
pub mod recorder;
pub mod recovery;
pub mod spool;
pub mod worker;
