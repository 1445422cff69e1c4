//! From a track's configuration and a frame to the bytes of an elementary stream: Annex B for H.264 and H.265
//! (ISO/IEC 14496-10 and 23008-2), ADTS for AAC, as they are for MP3 and MPEG-4 part 2.

use bytes::{BufMut, Bytes, BytesMut};

use super::MuxError;
use super::adts::{self, Adts};
use crate::codec::{aac, h264, h265, mpeg4};
use crate::frame::{AudioCodec, AudioConfig, Frame, VideoCodec, VideoConfig};

const START_CODE: [u8; 4] = [0, 0, 0, 1];
/// Access unit delimiters that allow every slice type.
const H264_DELIMITER: [u8; 2] = [0x09, 0xF0];
const H265_DELIMITER: [u8; 3] = [0x46, 0x01, 0x50];
/// A PES packet of sound must tell its length, header fields included, in 16 bits.
const MAX_AUDIO: usize = 0xFFFF - 8;

/// One access unit in pieces, in the order they are written.
#[derive(Debug)]
pub(super) struct Unit<'a> {
    adts: Option<[u8; adts::HEADER]>,
    /// An access unit delimiter, ours or the picture's own, without a start code. It is first (H.264 and H.265, clause 7.4.1.2.3 and 7.4.2.4.4).
    delimiter: &'a [u8],
    headers: &'a [u8],
    body: Body<'a>,
    len: usize,
}

#[derive(Debug, Clone, Copy)]
enum Body<'a> {
    AsIs(&'a [u8]),
    /// NAL units with 4-byte lengths, checked.
    Nals(&'a [u8]),
}

impl Unit<'_> {
    /// Bytes in all.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Hands every piece to `sink`.
    pub fn feed(&self, sink: &mut impl FnMut(&[u8])) {
        if let Some(header) = &self.adts {
            sink(header);
        }
        if !self.delimiter.is_empty() {
            sink(&START_CODE);
            sink(self.delimiter);
        }
        sink(self.headers);
        match self.body {
            Body::AsIs(bytes) => sink(bytes),
            Body::Nals(bytes) => {
                for nal in Nals(bytes).flatten().filter(|nal| !nal.is_empty()) {
                    sink(&START_CODE);
                    sink(nal);
                }
            }
        }
    }
}

/// NAL units with 4-byte lengths.
struct Nals<'a>(&'a [u8]);

impl<'a> Iterator for Nals<'a> {
    type Item = Result<&'a [u8], MuxError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let cut = self
            .0
            .split_first_chunk::<4>()
            .and_then(|(length, rest)| rest.split_at_checked(nal_length(*length)?));
        let Some((nal, rest)) = cut else {
            self.0 = &[];
            return Some(Err(MuxError::BadNal));
        };
        self.0 = rest;
        Some(Ok(nal))
    }
}

/// The first unit that holds anything, and what comes behind it.
fn first_unit(data: &[u8]) -> (&[u8], &[u8]) {
    let mut units = Nals(data);
    let first = units.by_ref().flatten().find(|nal| !nal.is_empty());
    (first.unwrap_or_default(), units.0)
}

fn nal_length(bytes: [u8; 4]) -> Option<usize> {
    usize::try_from(u32::from_be_bytes(bytes)).ok()
}

/// A picture stream.
#[derive(Debug)]
pub(super) struct VideoTrack {
    codec: VideoCodec,
    /// Parameter sets with start codes, or the headers of MPEG-4 part 2.
    headers: Bytes,
}

impl VideoTrack {
    pub fn new(config: &VideoConfig) -> Result<Self, MuxError> {
        let headers = match config.codec {
            VideoCodec::H264 => {
                let record = h264::parse_avcc(&config.record)?;
                annex_b(&[record.sps, record.pps])
            }
            VideoCodec::H265 => {
                let record = h265::parse_hvcc(&config.record)?;
                annex_b(&[record.vps, record.sps, record.pps])
            }
            VideoCodec::Mpeg4 => config.record.clone(),
        };
        Ok(Self {
            codec: config.codec,
            headers,
        })
    }

    /// stream_type (ISO/IEC 13818-1 table 2-34).
    pub fn stream_type(&self) -> u8 {
        match self.codec {
            VideoCodec::H264 => 0x1B,
            VideoCodec::H265 => 0x24,
            VideoCodec::Mpeg4 => 0x10,
        }
    }

    /// Lays out one picture.
    pub fn unit<'a>(&'a self, frame: &'a Frame) -> Result<Unit<'a>, MuxError> {
        let data = frame.data.as_ref();
        if self.codec == VideoCodec::Mpeg4 {
            let lacks = frame.key && mpeg4::leading_headers(data).is_empty();
            let headers = if lacks { self.headers.as_ref() } else { &[] };
            return Ok(Unit {
                adts: None,
                delimiter: &[],
                headers,
                body: Body::AsIs(data),
                len: headers.len() + data.len(),
            });
        }
        let mut seen = Seen::default();
        let mut len = 0;
        for nal in Nals(data) {
            let nal = nal?;
            if let Some(first) = nal.first() {
                seen.note(self.codec, *first, len == 0);
                len += START_CODE.len() + nal.len();
            }
        }
        let headers = if frame.key && !seen.parameter_sets(self.codec) {
            self.headers.as_ref()
        } else {
            &[]
        };
        let (delimiter, rest) = if seen.delimiter {
            first_unit(data)
        } else {
            let ours: &[u8] = match self.codec {
                VideoCodec::H265 => &H265_DELIMITER,
                _ => &H264_DELIMITER,
            };
            len += START_CODE.len() + ours.len();
            (ours, data)
        };
        Ok(Unit {
            adts: None,
            delimiter,
            headers,
            body: Body::Nals(rest),
            len: headers.len() + len,
        })
    }
}

fn annex_b<const N: usize>(sets: &[Vec<Bytes>; N]) -> Bytes {
    let mut out = BytesMut::new();
    for nal in sets.iter().flatten().filter(|nal| !nal.is_empty()) {
        out.put_slice(&START_CODE);
        out.put_slice(nal);
    }
    out.freeze()
}

/// Which NAL unit types a picture brings along.
#[derive(Debug, Default)]
struct Seen {
    delimiter: bool,
    vps: bool,
    sps: bool,
    pps: bool,
}

impl Seen {
    fn note(&mut self, codec: VideoCodec, header: u8, at_start: bool) {
        let (delimiter, vps, sps, pps, found) = match codec {
            VideoCodec::H265 => (35, 32, 33, 34, (header >> 1) & 0x3F),
            _ => (9, u8::MAX, 7, 8, header & 0x1F),
        };
        self.delimiter |= found == delimiter && at_start;
        self.vps |= found == vps;
        self.sps |= found == sps;
        self.pps |= found == pps;
    }

    /// All sets, or they are written again: half of them could belong to another configuration.
    fn parameter_sets(&self, codec: VideoCodec) -> bool {
        self.sps && self.pps && (self.vps || codec != VideoCodec::H265)
    }
}

/// A sound stream.
#[derive(Debug)]
pub(super) struct AudioTrack {
    /// `None` for MP3, whose frames have their own header.
    adts: Option<Adts>,
    /// The channel layout as the first element of a raw data block; empty where the header tells it. Each frame has it, so that
    /// decoding can begin with any.
    program_config: Vec<u8>,
    sample_rate: u32,
}

impl AudioTrack {
    pub fn new(config: &AudioConfig) -> Result<Self, MuxError> {
        let adts = match config.codec {
            AudioCodec::Aac => Some(Adts::new(&config.record)?),
            AudioCodec::Mp3 => None,
        };
        let program_config = match adts {
            Some(adts) if adts.needs_program_config() => aac::program_config(&config.record)?,
            _ => None,
        };
        Ok(Self {
            adts,
            program_config: program_config.unwrap_or_default(),
            sample_rate: config.sample_rate,
        })
    }

    /// stream_type: ADTS, or MPEG-1 audio, or MPEG-2 audio with its halved sample rates.
    pub fn stream_type(&self) -> u8 {
        match (self.adts, self.sample_rate) {
            (Some(_), _) => 0x0F,
            (None, 32_000..) => 0x03,
            (None, _) => 0x04,
        }
    }

    /// Lays out one frame.
    pub fn unit<'a>(&'a self, data: &'a [u8]) -> Result<Unit<'a>, MuxError> {
        if data.len() > MAX_AUDIO {
            return Err(MuxError::FrameTooLarge {
                size: data.len(),
                limit: MAX_AUDIO,
            });
        }
        let headers = if aac::begins_with_program_config(data) {
            &[]
        } else {
            self.program_config.as_slice()
        };
        let size = headers.len() + data.len();
        let adts = self.adts.map(|adts| adts.header(size)).transpose()?;
        Ok(Unit {
            len: adts.map_or(0, |header| header.len()) + size,
            adts,
            delimiter: &[],
            headers,
            body: Body::AsIs(data),
        })
    }
}
