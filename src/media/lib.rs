//! The media library: RTMP in, FLV, MPEG-TS, MP4, CMAF and M3U8 out.
//!
//! Pure code: no socket, no file, no clock, no randomness of its own lives below this folder, so that every
//! part can be driven by bytes in a test. It may use only `std`, `bytes`, `serde`, `thiserror`, `mp4-atom` and itself.

pub mod access_unit;
pub mod amf0;
pub mod cmaf;
pub mod codec;
pub mod flv;
pub mod fragmented;
pub mod frame;
pub mod hls;
pub mod mp4;
pub mod mpegts;
pub mod playable;
pub mod rtmp;
pub mod segments;
