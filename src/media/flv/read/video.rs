//! Video tag bodies: H.264, H.265 and MPEG-4 part 2, legacy (annex E.4.3) and extended headers.
//!
//! H.265 as codec id 12 is no standard but what publishers and servers agree on; its tags look like those of H.264.
//! The same holds for MPEG-4 part 2 as codec id 9.

use bytes::{Buf, Bytes, BytesMut};

use super::extended::{self, Forms, OtherTracks, Share};
use super::nal::with_long_lengths;
use super::{Item, TagError, UnsupportedNotice, fourcc_name, own_record};
use crate::codec::{CodecError, h264, h265, mpeg4};
use crate::frame::{Track, VideoCodec, VideoConfig};

const TRACK: Track = Track::Video;

/// FrameType of a message to the player that holds no picture.
const COMMAND_FRAME: u8 = 5;

/// VideoPacketType of extended headers.
mod packet {
    pub(super) const SEQUENCE_START: u8 = 0;
    pub(super) const CODED_FRAMES: u8 = 1;
    pub(super) const SEQUENCE_END: u8 = 2;
    pub(super) const CODED_FRAMES_X: u8 = 3;
}

const FORMS: Forms = Forms {
    multitrack: 6,
    mod_ex: 7,
};

/// FFmpeg with a global header writes MPEG-4 part 2 in a form of its own, which leaves the decoder's headers out.
const SEND_HEADERS: &str =
    "let the encoder put its headers into the stream; with ffmpeg: -flags:v -global_header";

#[derive(Debug, Default)]
pub(super) struct VideoReader {
    config: Option<CurrentConfig>,
    unsupported: UnsupportedNotice,
    others: OtherTracks,
}

#[derive(Debug)]
struct CurrentConfig {
    codec: VideoCodec,
    /// As sent, to tell a repetition from a change.
    sent: Bytes,
    /// Bytes of a NAL unit's length as sent.
    length_size: u8,
}

impl VideoReader {
    pub(super) fn read(
        &mut self,
        timestamp: u32,
        mut body: Bytes,
        sink: &mut impl FnMut(Item),
    ) -> Result<(), TagError> {
        if body.is_empty() {
            return Ok(());
        }
        let first = body.get_u8();
        let frame_type = first >> 4 & 7;
        if first & 0x80 != 0 {
            return self.read_extended(frame_type, first & 0x0F, timestamp, body, sink);
        }
        self.others.see_default();
        if frame_type == COMMAND_FRAME {
            return Ok(());
        }
        let codec = match first & 0x0F {
            7 => VideoCodec::H264,
            9 => VideoCodec::Mpeg4,
            12 => VideoCodec::H265,
            other => {
                self.unsupported.say(TRACK, codec_name(other), sink);
                return Ok(());
            }
        };
        let packet_type = body.try_get_u8().map_err(|_| TagError::Truncated(TRACK))?;
        let cts_ms = composition_time(&mut body)?;
        match packet_type {
            0 => self.configure(codec, &body, sink),
            1 => self.picture(codec, timestamp, cts_ms, is_key(frame_type), body, sink),
            2 => {
                sink(Item::End { track: TRACK });
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn read_extended(
        &mut self,
        frame_type: u8,
        packet_type: u8,
        timestamp: u32,
        mut body: Bytes,
        sink: &mut impl FnMut(Item),
    ) -> Result<(), TagError> {
        let packet_type = extended::skip_mod_ex(FORMS, TRACK, packet_type, &mut body)?;
        if frame_type == COMMAND_FRAME {
            return Ok(());
        }
        extended::shares(FORMS, TRACK, packet_type, body, &mut |share| {
            if share.number == 0 {
                self.others.see_default();
                return self.read_share(frame_type, timestamp, share, sink);
            }
            let name = || extended_name(share.fourcc);
            if self.others.say(TRACK, share.number, name, timestamp, sink) {
                let form = "pictures that are in no default track (number 0)";
                self.unsupported.say(TRACK, form, sink);
            }
            Ok(())
        })
    }

    /// What is for the default track.
    fn read_share(
        &mut self,
        frame_type: u8,
        timestamp: u32,
        share: Share,
        sink: &mut impl FnMut(Item),
    ) -> Result<(), TagError> {
        let Share {
            packet_type,
            fourcc,
            mut body,
            ..
        } = share;
        let codec = match &fourcc {
            b"avc1" => VideoCodec::H264,
            b"hvc1" => VideoCodec::H265,
            b"mp4v" => VideoCodec::Mpeg4,
            _ => {
                self.unsupported.say(TRACK, &extended_name(fourcc), sink);
                return Ok(());
            }
        };
        let key = is_key(frame_type);
        match packet_type {
            packet::SEQUENCE_START => self.configure(codec, &body, sink),
            packet::CODED_FRAMES => {
                let cts_ms = composition_time(&mut body)?;
                self.picture(codec, timestamp, cts_ms, key, body, sink)
            }
            packet::CODED_FRAMES_X => self.picture(codec, timestamp, 0, key, body, sink),
            packet::SEQUENCE_END => {
                sink(Item::End { track: TRACK });
                Ok(())
            }
            // Colour metadata and packet types to come say nothing of the pictures.
            _ => Ok(()),
        }
    }

    fn configure(
        &mut self,
        codec: VideoCodec,
        record: &[u8],
        sink: &mut impl FnMut(Item),
    ) -> Result<(), TagError> {
        self.unsupported.clear();
        let known = self
            .config
            .as_ref()
            .is_some_and(|config| config.codec == codec && config.sent == record);
        if known {
            return Ok(());
        }
        // FFmpeg sends an empty record for MPEG-4 part 2; the headers may still come with a picture.
        if codec == VideoCodec::Mpeg4 && record.is_empty() {
            return Ok(());
        }
        // A copy, so that a configuration kept for hours does not keep the network buffer it came in.
        let record = own_record(record).map_err(codec_error)?;
        let (config, length_size) = describe(codec, record.clone()).map_err(codec_error)?;
        self.config = Some(CurrentConfig {
            codec,
            sent: record,
            length_size,
        });
        sink(Item::VideoConfig(config));
        Ok(())
    }

    fn picture(
        &mut self,
        codec: VideoCodec,
        timestamp: u32,
        cts_ms: i32,
        key: bool,
        body: Bytes,
        sink: &mut impl FnMut(Item),
    ) -> Result<(), TagError> {
        if body.is_empty() {
            return Ok(());
        }
        if codec == VideoCodec::Mpeg4 && !self.mpeg4_headers(key, &body, sink)? {
            return Ok(());
        }
        let length_size = self
            .config
            .as_ref()
            .filter(|config| config.codec == codec)
            .map(|config| config.length_size)
            .ok_or(TagError::NoConfig(TRACK))?;
        let data = if codec == VideoCodec::Mpeg4 {
            body
        } else {
            with_long_lengths(body, length_size)?
        };
        // Empty units alone are no part of any picture.
        if data.is_empty() {
            return Ok(());
        }
        sink(Item::Video {
            timestamp,
            cts_ms,
            key,
            data,
        });
        Ok(())
    }

    /// Takes the headers that an encoder repeats before its intra pictures; false when there are none at all yet.
    fn mpeg4_headers(
        &mut self,
        key: bool,
        picture: &Bytes,
        sink: &mut impl FnMut(Item),
    ) -> Result<bool, TagError> {
        let configured = matches!(&self.config, Some(config) if config.codec == VideoCodec::Mpeg4);
        if configured {
            return Ok(true);
        }
        let headers = if key {
            mpeg4::leading_headers(picture)
        } else {
            &[]
        };
        if headers.is_empty() {
            let form = "MPEG-4 part 2 without decoder headers";
            self.unsupported
                .say_with_cure(TRACK, form, Some(SEND_HEADERS), sink);
            return Ok(false);
        }
        self.configure(VideoCodec::Mpeg4, headers, sink)?;
        Ok(true)
    }
}

/// The configuration with 4-byte NAL lengths, and the length size it was sent with.
fn describe(codec: VideoCodec, record: Bytes) -> Result<(VideoConfig, u8), CodecError> {
    // A picture size that cannot be read costs nothing but the size.
    let (record, length_size, (width, height)) = match codec {
        VideoCodec::H264 => {
            let avcc = h264::parse_avcc(&record)?;
            let sps = avcc.sps.first().and_then(|sps| h264::parse_sps(sps).ok());
            let size = sps.map_or((0, 0), |sps| (sps.width, sps.height));
            let record = with_length_size_4(record, avcc.length_size, 4);
            (record, avcc.length_size, size)
        }
        VideoCodec::H265 => {
            let hvcc = h265::parse_hvcc(&record)?;
            let sps = hvcc.sps.first().and_then(|sps| h265::parse_sps(sps).ok());
            let size = sps.map_or((0, 0), |sps| (sps.width, sps.height));
            let record = with_length_size_4(record, hvcc.length_size, 21);
            (record, hvcc.length_size, size)
        }
        VideoCodec::Mpeg4 => {
            let vol = mpeg4::parse_vol(&record)?;
            (record, 4, (vol.width, vol.height))
        }
    };
    let config = VideoConfig {
        codec,
        record,
        width,
        height,
    };
    Ok((config, length_size))
}

/// Sets lengthSizeMinusOne, the low bits of the byte at `offset`, to 3.
fn with_length_size_4(record: Bytes, length_size: u8, offset: usize) -> Bytes {
    if length_size == 4 {
        return record;
    }
    let mut rewritten = BytesMut::from(record);
    if let Some(byte) = rewritten.get_mut(offset) {
        *byte |= 3;
    }
    rewritten.freeze()
}

fn composition_time(body: &mut Bytes) -> Result<i32, TagError> {
    let [high, middle, low] = *body.first_chunk().ok_or(TagError::Truncated(TRACK))?;
    body.advance(3);
    // Shifted down from the top so that the sign of the 24 bits is kept.
    Ok(i32::from_be_bytes([high, middle, low, 0]) >> 8)
}

/// Key frames, and those that a server made (FrameType 4).
fn is_key(frame_type: u8) -> bool {
    frame_type == 1 || frame_type == 4
}

fn codec_error(source: CodecError) -> TagError {
    TagError::Codec {
        track: TRACK,
        source,
    }
}

/// CodecID (annex E.4.3.1) of what is not recorded.
fn codec_name(codec_id: u8) -> &'static str {
    match codec_id {
        1 => "JPEG",
        2 => "Sorenson H.263",
        3 => "Screen video",
        4 => "On2 VP6",
        5 => "On2 VP6 with alpha channel",
        6 => "Screen video version 2",
        8 => "H.263",
        // Not in the standard: the number that publishers gave AV1 beside H.265 as 12.
        13 => "AV1",
        _ => "unknown video codec",
    }
}

fn extended_name(fourcc: [u8; 4]) -> String {
    match &fourcc {
        b"avc1" => "H.264".to_owned(),
        b"hvc1" => "H.265".to_owned(),
        b"mp4v" => "MPEG-4 part 2".to_owned(),
        b"av01" => "AV1".to_owned(),
        b"vp08" => "VP8".to_owned(),
        b"vp09" => "VP9".to_owned(),
        b"vvc1" => "H.266".to_owned(),
        _ => fourcc_name(fourcc),
    }
}
