//! What a recording decides: when it begins and ends, where its slices and files end, when a frame is shown. Pure: no file, no socket, no clock.

pub mod machine;
pub mod pictures;
pub mod position;
pub mod segmenter;
pub mod timeline;
