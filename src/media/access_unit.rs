//! Access units: the messages of a publish become pictures, one picture one frame.
//!
//! An FLV tag is meant to hold one picture, and nearly every encoder does so. Some send the delimiter, the SEI and the slice in
//! messages of their own, some each slice. What begins a picture stands in its bitstream, never in a timestamp, and that decides here:
//!
//! - A message without a slice waits, and goes before the next picture, whatever its own timestamp is.
//! - A message whose first slice does not begin a picture joins the picture before it.
//! - Two fields of one frame (ISO/IEC 14496-10 clause 7.4.1.2.4) that come under one timestamp are one frame.
//! - A message that holds the rest of a picture and the beginning of another is cut there. Whole pictures in one message stay together, as sent.
//! - A joined picture has the timestamp and the composition offset of its first slice.
//!
//! Whether a picture is a key frame is read from it as well (`codec::unit::is_key`). Since only the next picture shows that one is whole, the
//! newest is held, and with it the sound behind it, so that the order stays that of arrival. The caller ends the wait with
//! [`AccessUnits::settle`]. A picture of one message is passed on as it came, without a copy or an allocation, unless its delimiter is out of place.

use bytes::{Bytes, BytesMut};
use thiserror::Error;

use super::codec::h264::{self, FieldSyntax};
use super::codec::mpeg4;
use super::codec::unit::{self, Kind, units};
use super::frame::{Frame, VideoCodec, VideoConfig};

/// Bytes of the largest picture that is put together of several messages: two messages of the largest size.
pub const MOST_PICTURE: usize = 16 << 20;
/// Most bytes of units that wait for their picture.
pub const MOST_AHEAD: usize = 256 << 10;

/// A frame on its way, with what the publisher's clock and ours said. Before it is a picture, `frame.data` is what a message held and
/// `frame.key` what the message called it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrived {
    pub frame: Frame,
    /// The publisher's timestamp in milliseconds.
    pub timestamp: u32,
    /// When it came, by the caller's clock.
    pub at: i64,
}

/// Why a message was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UnitError {
    /// The picture that a slice belongs to is not there (any more).
    #[error("a slice comes without the beginning of its picture")]
    NoBeginning,
    /// A picture of several messages is too large.
    #[error("the messages of one picture are more than {MOST_PICTURE} bytes together")]
    Picture,
    /// Too much waits for a picture.
    #[error(
        "more than {MOST_AHEAD} bytes of delimiters, parameter sets and SEI came without a picture"
    )]
    Ahead,
}

/// How much sound may wait behind a picture, and for how long by its timestamps.
#[derive(Debug, Clone, Copy)]
struct Patience {
    sounds: usize,
    ms: i32,
}

const ORDINARY: Patience = Patience {
    sounds: 64,
    ms: 500,
};
/// For a publisher that has been seen to send pictures in parts.
const IN_PARTS: Patience = Patience {
    sounds: 256,
    ms: 2_000,
};

/// Puts the pictures of one publish together.
#[derive(Debug, Default)]
pub struct AccessUnits {
    codec: Option<VideoCodec>,
    fields: Option<FieldSyntax>,
    held: Option<Held>,
    /// Units that came since the last slice and open the next picture.
    ahead: Vec<u8>,
    /// Sound that came after the held picture.
    behind: Vec<Arrived>,
    in_parts: bool,
    begun: u64,
}

/// The newest picture.
#[derive(Debug)]
struct Held {
    first: Arrived,
    /// The whole of it, once a second message has joined.
    joined: Option<BytesMut>,
    /// Both fields are there.
    is_pair: bool,
}

impl Held {
    fn data(&self) -> &[u8] {
        self.joined.as_deref().unwrap_or(&self.first.frame.data)
    }

    fn append(&mut self, more: &[u8]) -> Result<(), UnitError> {
        let size = self.data().len() + more.len();
        if size > MOST_PICTURE {
            return Err(UnitError::Picture);
        }
        let first = &mut self.first.frame.data;
        let joined = self.joined.get_or_insert_with(|| {
            let mut joined = BytesMut::with_capacity(size * 2);
            joined.extend_from_slice(&std::mem::take(first));
            joined
        });
        joined.extend_from_slice(more);
        Ok(())
    }

    fn into_arrived(self) -> Arrived {
        let mut arrived = self.first;
        if let Some(joined) = self.joined {
            arrived.frame.data = joined.freeze();
        }
        arrived
    }
}

impl AccessUnits {
    /// Takes a configuration of the video track; what it does not hold for goes first.
    pub fn configure(&mut self, config: &VideoConfig, sink: &mut impl FnMut(Arrived)) {
        self.settle(sink);
        if self.codec != Some(config.codec) {
            self.ahead.clear();
        }
        self.codec = Some(config.codec);
        self.fields = None;
        if config.codec == VideoCodec::H264
            && let Ok(record) = h264::parse_avcc(&config.record)
            && let Some(Ok(sps)) = record.sps.first().map(|sps| h264::parse_sps(sps))
        {
            self.fields = sps.fields;
        }
    }

    /// Takes what a video message held, NAL units with 4-byte lengths.
    ///
    /// # Errors
    /// When it cannot become part of a picture; it is dropped.
    pub fn video(
        &mut self,
        part: Arrived,
        sink: &mut impl FnMut(Arrived),
    ) -> Result<(), UnitError> {
        match self.lead(&part.frame.data) {
            Some(Kind::Begins) if self.is_second_field(&part) => self.pair(&part.frame.data),
            Some(Kind::Begins) => {
                self.begin(part, sink);
                Ok(())
            }
            Some(Kind::Continues) => self.go_on(part, sink),
            Some(Kind::Opens) => self.wait(&part.frame.data),
            Some(Kind::Follows) | None => self.follow(&part.frame.data),
        }
    }

    /// Takes a frame of sound.
    pub fn audio(&mut self, sound: Arrived, sink: &mut impl FnMut(Arrived)) {
        let Some(held) = &self.held else {
            return sink(sound);
        };
        let patience = if self.in_parts { IN_PARTS } else { ORDINARY };
        let ahead_ms = sound
            .timestamp
            .wrapping_sub(held.first.timestamp)
            .cast_signed();
        self.behind.push(sound);
        if ahead_ms >= patience.ms || self.behind.len() >= patience.sounds {
            self.settle(sink);
        }
    }

    /// The held picture is whole: it and the sound behind it go on.
    pub fn settle(&mut self, sink: &mut impl FnMut(Arrived)) {
        if let Some(held) = self.held.take() {
            sink(held.into_arrived());
        }
        for sound in self.behind.drain(..) {
            sink(sound);
        }
    }

    /// The number of the held picture, which is another one for each.
    #[must_use]
    pub fn held(&self) -> Option<u64> {
        self.held.as_ref().map(|_| self.begun)
    }

    /// Whether pictures came in several messages: then more of the held one may be on its way.
    #[must_use]
    pub fn are_in_parts(&self) -> bool {
        self.in_parts
    }

    /// What decides about a message: its first slice, else whether something opens a picture.
    fn lead(&self, data: &[u8]) -> Option<Kind> {
        let codec = match self.codec {
            Some(VideoCodec::Mpeg4) => return Some(mpeg4_kind(data)),
            Some(codec) => codec,
            None => return Some(Kind::Begins),
        };
        let mut lead = None;
        for (_, unit) in units(data).filter(|(_, unit)| !unit.is_empty()) {
            match unit::kind(codec, unit) {
                slice @ (Kind::Begins | Kind::Continues) => return Some(slice),
                Kind::Opens => lead = Some(Kind::Opens),
                Kind::Follows => {}
            }
        }
        lead
    }

    fn begin(&mut self, mut part: Arrived, sink: &mut impl FnMut(Arrived)) {
        self.settle(sink);
        if !self.ahead.is_empty() || self.has_late_delimiter(&part.frame.data) {
            part.frame.data = self.with_ahead(&part.frame.data);
            self.ahead.clear();
        }
        part.frame.key = match self.codec {
            Some(VideoCodec::Mpeg4) => mpeg4::is_intra(&part.frame.data),
            Some(codec) => unit::is_key(codec, &part.frame.data, part.frame.key),
            None => part.frame.key,
        };
        self.begun += 1;
        self.held = Some(Held {
            first: part,
            joined: None,
            is_pair: false,
        });
    }

    /// Whether a delimiter stands behind other units that open the picture. No access unit may have one there, and muxers look for it
    /// at the beginning alone.
    fn has_late_delimiter(&self, data: &[u8]) -> bool {
        let codec = match self.codec {
            Some(codec) if codec != VideoCodec::Mpeg4 => codec,
            _ => return false,
        };
        units(data)
            .take_while(|(_, unit)| unit::kind(codec, unit) != Kind::Begins)
            .skip(1)
            .any(|(_, unit)| unit::is_delimiter(codec, unit))
    }

    /// A picture with what waited for it. An access unit has one delimiter at most, at its beginning.
    fn with_ahead(&self, data: &[u8]) -> Bytes {
        let mut whole = BytesMut::with_capacity(self.ahead.len() + data.len());
        let codec = match self.codec {
            Some(codec) if codec != VideoCodec::Mpeg4 => codec,
            _ => {
                whole.extend_from_slice(&self.ahead);
                whole.extend_from_slice(data);
                return whole.freeze();
            }
        };
        let slices_at = units(data)
            .find(|(_, unit)| unit::kind(codec, unit) == Kind::Begins)
            .map_or(data.len(), |(at, _)| at);
        let (opening, slices) = data.split_at(slices_at);
        let delimiter = |bytes| units(bytes).find(|(_, u)| unit::is_delimiter(codec, u));
        if let Some((_, unit)) = delimiter(&self.ahead).or_else(|| delimiter(opening)) {
            put(&mut whole, unit);
        }
        for (_, unit) in units(&self.ahead).chain(units(opening)) {
            if !unit::is_delimiter(codec, unit) {
                put(&mut whole, unit);
            }
        }
        whole.extend_from_slice(slices);
        whole.freeze()
    }

    /// The rest of the held picture, and perhaps the beginning of another one.
    fn go_on(&mut self, part: Arrived, sink: &mut impl FnMut(Arrived)) -> Result<(), UnitError> {
        self.in_parts = true;
        let data = part.frame.data.clone();
        let codec = match self.codec {
            Some(codec) if codec != VideoCodec::Mpeg4 => codec,
            _ => return self.append(&data),
        };
        let mut outcome = Ok(());
        // Where units that open a picture stand that no slice has followed yet.
        let mut opened = None;
        let mut ranges: Vec<std::ops::Range<usize>> = Vec::new();
        for (at, unit) in units(&data).filter(|(_, unit)| !unit.is_empty()) {
            let end = at + 4 + unit.len();
            match unit::kind(codec, unit) {
                Kind::Begins => {
                    let from = opened.unwrap_or(at);
                    for range in ranges.into_iter().filter(|range| range.end <= from) {
                        outcome = outcome.and(self.wait(data.get(range).unwrap_or_default()));
                    }
                    let mut next = part;
                    next.frame.data = data.slice(from..);
                    self.begin(next, sink);
                    return outcome;
                }
                Kind::Opens => {
                    opened.get_or_insert(at);
                    ranges.push(at..end);
                }
                Kind::Continues | Kind::Follows => {
                    opened = None;
                    outcome = outcome.and(self.append(data.get(at..end).unwrap_or_default()));
                }
            }
        }
        // In the middle of a picture there is no place for them: they go before the next one.
        for range in ranges {
            outcome = outcome.and(self.wait(data.get(range).unwrap_or_default()));
        }
        outcome
    }

    fn append(&mut self, more: &[u8]) -> Result<(), UnitError> {
        self.held
            .as_mut()
            .ok_or(UnitError::NoBeginning)?
            .append(more)
    }

    fn wait(&mut self, data: &[u8]) -> Result<(), UnitError> {
        if self.ahead.len() + data.len() > MOST_AHEAD {
            return Err(UnitError::Ahead);
        }
        self.ahead.extend_from_slice(data);
        Ok(())
    }

    /// Filler and the like goes behind whatever is before it; with nothing before it, it says nothing.
    fn follow(&mut self, data: &[u8]) -> Result<(), UnitError> {
        match &mut self.held {
            _ if !self.ahead.is_empty() => self.wait(data),
            Some(held) => held.append(data),
            None => Ok(()),
        }
    }

    fn is_second_field(&self, part: &Arrived) -> bool {
        let (Some(syntax), Some(held)) = (self.fields, &self.held) else {
            return false;
        };
        if held.is_pair || held.first.timestamp != part.timestamp {
            return false;
        }
        let field = |data| {
            units(data)
                .find(|(_, unit)| unit::kind(VideoCodec::H264, unit) == Kind::Begins)
                .and_then(|(_, unit)| unit::field(syntax, unit))
        };
        match (field(held.data()), field(&part.frame.data)) {
            (Some((one, bottom)), Some((two, other))) => one == two && bottom != other,
            _ => false,
        }
    }

    fn pair(&mut self, second: &Bytes) -> Result<(), UnitError> {
        self.in_parts = true;
        let Some(held) = &mut self.held else {
            return Err(UnitError::NoBeginning);
        };
        held.is_pair = true;
        held.append(&self.ahead)?;
        self.ahead.clear();
        held.append(second)
    }
}

/// A unit with its length before it.
fn put(out: &mut BytesMut, unit: &[u8]) {
    out.extend_from_slice(&u32::try_from(unit.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(unit);
}

/// Start codes tell: a message with a VOP is a picture, headers alone open one, and anything else is the rest of one.
fn mpeg4_kind(data: &[u8]) -> Kind {
    if mpeg4::has_picture(data) {
        Kind::Begins
    } else if data.starts_with(&[0, 0, 1]) {
        Kind::Opens
    } else {
        Kind::Continues
    }
}

#[cfg(test)]
mod tests;
