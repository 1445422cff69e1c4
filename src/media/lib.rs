//! The media library: RTMP in, FLV, MPEG-TS, MP4, CMAF and M3U8 out.
//!
//! Pure code: no socket, no file, no clock, no randomness of its own lives below this folder, so that every
//! part can be driven by bytes in a test. Its manifest names all that it may use.
//!
//! A crate of its own, so that a check of what lies above does not read it again. Nobody but localyun uses it, so every name may change.
#![forbid(unsafe_code)]

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
