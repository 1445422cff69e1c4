//! What the extended headers of audio and video have in common (Enhanced RTMP v2): ModEx before the packet, and several tracks in
//! one publish.
//!
//! Track 0 is the default one and is recorded. A message without a track number is for it.

use bytes::{Buf, Bytes};

use super::{Item, TagError};
use crate::frame::Track;

/// How long other tracks may come without a default one, in the publisher's milliseconds, before it is taken for missing.
const PATIENCE_MS: u32 = 4_000;

/// Packet types that change the header; their numbers differ between sound and picture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Forms {
    pub multitrack: u8,
    pub mod_ex: u8,
}

/// One track's part of a message.
#[derive(Debug)]
pub(super) struct Share {
    pub number: u8,
    pub packet_type: u8,
    pub fourcc: [u8; 4],
    pub body: Bytes,
}

/// AvMultitrackType.
mod multitrack {
    pub(super) const ONE_TRACK: u8 = 0;
    pub(super) const MANY_TRACKS: u8 = 1;
    pub(super) const MANY_TRACKS_MANY_CODECS: u8 = 2;
}

/// Passes over what ModEx packets say, a part of a millisecond or something not known yet, and gives the type of the packet behind.
pub(super) fn skip_mod_ex(
    forms: Forms,
    track: Track,
    mut packet_type: u8,
    body: &mut Bytes,
) -> Result<u8, TagError> {
    let truncated = |_| TagError::Truncated(track);
    while packet_type == forms.mod_ex {
        let mut size = usize::from(body.try_get_u8().map_err(truncated)?) + 1;
        if size == 256 {
            size = usize::from(body.try_get_u16().map_err(truncated)?) + 1;
        }
        if size > body.remaining() {
            return Err(TagError::Truncated(track));
        }
        body.advance(size);
        packet_type = body.try_get_u8().map_err(truncated)? & 0x0F;
    }
    Ok(packet_type)
}

/// Takes a message apart into what it brings for each track.
pub(super) fn shares(
    forms: Forms,
    track: Track,
    packet_type: u8,
    mut body: Bytes,
    each: &mut impl FnMut(Share) -> Result<(), TagError>,
) -> Result<(), TagError> {
    if packet_type != forms.multitrack {
        let fourcc = take_fourcc(track, &mut body)?;
        return each(Share {
            number: 0,
            packet_type,
            fourcc,
            body,
        });
    }
    let truncated = |_| TagError::Truncated(track);
    let kinds = body.try_get_u8().map_err(truncated)?;
    let (kind, packet_type) = (kinds >> 4, kinds & 0x0F);
    if kind > multitrack::MANY_TRACKS_MANY_CODECS {
        return Ok(()); // a form to come: nobody can tell where its tracks are
    }
    let common = match kind {
        multitrack::ONE_TRACK | multitrack::MANY_TRACKS => Some(take_fourcc(track, &mut body)?),
        _ => None,
    };
    loop {
        let fourcc = match common {
            Some(fourcc) => fourcc,
            None => take_fourcc(track, &mut body)?,
        };
        let number = body.try_get_u8().map_err(truncated)?;
        let size = match kind {
            multitrack::ONE_TRACK => body.remaining(),
            _ if body.remaining() < 3 => return Err(TagError::Truncated(track)),
            _ => usize::try_from(body.get_uint(3)).unwrap_or(usize::MAX),
        };
        if size > body.remaining() {
            return Err(TagError::Truncated(track));
        }
        each(Share {
            number,
            packet_type,
            fourcc,
            body: body.split_to(size),
        })?;
        if !body.has_remaining() {
            return Ok(());
        }
    }
}

fn take_fourcc(track: Track, body: &mut Bytes) -> Result<[u8; 4], TagError> {
    let fourcc = *body.first_chunk().ok_or(TagError::Truncated(track))?;
    body.advance(4);
    Ok(fourcc)
}

/// The tracks beside the default one: each is named once.
#[derive(Debug, Default)]
pub(super) struct OtherTracks {
    /// A bit for each number.
    said: [u64; 4],
    has_default: bool,
    since: Option<u32>,
}

impl OtherTracks {
    /// Something came for the default track.
    pub(super) fn see_default(&mut self) {
        self.has_default = true;
    }

    /// Notes that something came for another track; true when the default one has not shown itself for too long.
    pub(super) fn say(
        &mut self,
        track: Track,
        number: u8,
        codec: impl FnOnce() -> String,
        timestamp: u32,
        sink: &mut impl FnMut(Item),
    ) -> bool {
        let bit = 1_u64 << (number % 64);
        if let Some(said) = self.said.get_mut(usize::from(number / 64))
            && *said & bit == 0
        {
            *said |= bit;
            let kind = match track {
                Track::Video => "video",
                Track::Audio => "audio",
            };
            sink(Item::Ignored {
                what: format!("{kind} track {number} ({})", codec()),
            });
        }
        let passed = timestamp.wrapping_sub(*self.since.get_or_insert(timestamp));
        !self.has_default && (PATIENCE_MS..u32::MAX / 2).contains(&passed)
    }
}
