//! Script tags: `onMetaData`, with or without the `@setDataFrame` that publishers put before it.

use super::TagError;
use crate::amf0::{self, Value};

/// What the encoder says of its stream; nothing of it is verified.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Metadata {
    /// Pixels.
    pub width: Option<u32>,
    /// Pixels.
    pub height: Option<u32>,
    /// Pictures a second.
    pub frame_rate: Option<f64>,
    /// Kilobits a second.
    pub video_kbps: Option<u32>,
    /// Kilobits a second.
    pub audio_kbps: Option<u32>,
    /// Hertz.
    pub audio_sample_rate: Option<u32>,
    /// Name of the encoder.
    pub encoder: Option<String>,
}

/// Longest encoder name that is kept.
const MAX_ENCODER_CHARS: usize = 256;

/// Reads a script tag; none when it is something else than metadata.
pub(super) fn read(payload: &[u8]) -> Result<Option<Metadata>, TagError> {
    // Encoders in the field write their names in other encodings than UTF-8; that costs only the name.
    let values = amf0::decode_all_lossy(payload)?;
    let mut values = values.iter();
    let mut name = values.next().and_then(Value::as_str);
    if name == Some("@setDataFrame") {
        name = values.next().and_then(Value::as_str);
    }
    if name != Some("onMetaData") {
        return Ok(None);
    }
    let Some(fields) = values.next() else {
        return Ok(None);
    };
    let number = |name: &str| fields.get(name).and_then(Value::as_number);
    let count = |name: &str| number(name).and_then(whole);
    Ok(Some(Metadata {
        width: count("width"),
        height: count("height"),
        frame_rate: number("framerate").filter(|rate| rate.is_finite() && *rate > 0.0),
        video_kbps: count("videodatarate"),
        audio_kbps: count("audiodatarate"),
        audio_sample_rate: count("audiosamplerate"),
        encoder: fields
            .get("encoder")
            .and_then(Value::as_str)
            .map(|name| name.chars().take(MAX_ENCODER_CHARS).collect()),
    }))
}

/// A positive number without its fraction; none when it is out of range.
fn whole(number: f64) -> Option<u32> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked before"
    )]
    (number >= 1.0 && number <= f64::from(u32::MAX)).then_some(number as u32)
}
