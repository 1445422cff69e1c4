//! From the access units of a picture stream to frames and configurations: Annex B for H.264 and H.265 (ISO/IEC 14496-10 and 23008-2), as
//! it is for MPEG-4 part 2.

use bytes::{BufMut, Bytes, BytesMut};

use super::Found;
use crate::codec::{h264, h265, mpeg4, unit};
use crate::frame::{Frame, Track, VideoCodec, VideoConfig};

/// Parameter sets of a kind that are kept.
const MOST_SETS: usize = 16;

/// Reads one picture stream.
#[derive(Debug)]
pub(super) struct Pictures {
    codec: VideoCodec,
    /// VPS (H.265), SPS and PPS as they were last seen, and what was told of them.
    sets: [Vec<Bytes>; 3],
    told: Option<Bytes>,
}

/// What a NAL unit is to us.
enum Role {
    /// A parameter set and its place in [`Pictures::sets`].
    Set(usize),
    Delimiter,
    Picture,
}

fn role(codec: VideoCodec, nal: &[u8]) -> Role {
    let first = nal.first().copied().unwrap_or(0);
    match (codec, first & 0x1F, first >> 1 & 0x3F) {
        (VideoCodec::H265, _, 32) => Role::Set(0),
        (VideoCodec::H265, _, 33) | (VideoCodec::H264, 7, _) => Role::Set(1),
        (VideoCodec::H265, _, 34) | (VideoCodec::H264, 8, _) => Role::Set(2),
        (VideoCodec::H265, _, 35) | (VideoCodec::H264, 9, _) => Role::Delimiter,
        _ => Role::Picture,
    }
}

impl Pictures {
    pub fn new(stream_type: u8) -> Self {
        Self {
            codec: match stream_type {
                0x24 => VideoCodec::H265,
                0x10 => VideoCodec::Mpeg4,
                _ => VideoCodec::H264,
            },
            sets: Default::default(),
            told: None,
        }
    }

    /// Reads one access unit; `times` are its decoding time and composition offset in milliseconds.
    pub fn unit(
        &mut self,
        payload: &Bytes,
        times: (i64, i64),
        random_access: bool,
        sink: &mut impl FnMut(Found),
    ) {
        let (data, key) = if self.codec == VideoCodec::Mpeg4 {
            self.part_2(payload, sink);
            (payload.clone(), mpeg4::is_intra(payload))
        } else {
            let data = self.annex_b(payload, sink);
            let key = unit::is_key(self.codec, &data, random_access);
            (data, key)
        };
        if data.is_empty() || self.told.is_none() {
            return;
        }
        sink(Found::Frame(Frame {
            track: Track::Video,
            dts_ms: times.0,
            cts_ms: i32::try_from(times.1).unwrap_or(0),
            key,
            data,
        }));
    }

    /// The picture with lengths in place of start codes, and without what a configuration says.
    fn annex_b(&mut self, payload: &[u8], sink: &mut impl FnMut(Found)) -> Bytes {
        let mut out = BytesMut::with_capacity(payload.len() + 16);
        let mut sets: [Vec<Bytes>; 3] = Default::default();
        for nal in nals(payload) {
            match role(self.codec, nal) {
                Role::Delimiter => {}
                Role::Set(place) => {
                    if let Some(list) = sets.get_mut(place).filter(|list| list.len() < MOST_SETS) {
                        list.push(Bytes::copy_from_slice(nal));
                    }
                }
                Role::Picture => {
                    out.put_u32(u32::try_from(nal.len()).unwrap_or(u32::MAX));
                    out.put_slice(nal);
                }
            }
        }
        for (known, found) in self.sets.iter_mut().zip(sets) {
            if !found.is_empty() {
                *known = found;
            }
        }
        self.tell(sink);
        out.freeze()
    }

    fn tell(&mut self, sink: &mut impl FnMut(Found)) {
        let [vps, sps, pps] = &self.sets;
        let (Some(first), false) = (sps.first(), pps.is_empty()) else {
            return;
        };
        let described = match self.codec {
            VideoCodec::H265 if !vps.is_empty() => h265::parse_sps(first)
                .ok()
                .zip(h265::write_hvcc([vps, sps, pps]))
                .map(|(size, record)| (size.width, size.height, record)),
            VideoCodec::H264 => h264::parse_sps(first)
                .ok()
                .zip(h264::write_avcc(sps, pps))
                .map(|(size, record)| (size.width, size.height, record)),
            _ => None,
        };
        if let Some((width, height, record)) = described {
            self.say(record, (width, height), sink);
        }
    }

    fn part_2(&mut self, payload: &[u8], sink: &mut impl FnMut(Found)) {
        let headers = mpeg4::leading_headers(payload);
        if let (false, Ok(vol)) = (headers.is_empty(), mpeg4::parse_vol(headers)) {
            let size = (vol.width, vol.height);
            self.say(Bytes::copy_from_slice(headers), size, sink);
        }
    }

    fn say(&mut self, record: Bytes, size: (u32, u32), sink: &mut impl FnMut(Found)) {
        if self.told.as_ref() == Some(&record) {
            return;
        }
        self.told = Some(record.clone());
        sink(Found::Video(VideoConfig {
            codec: self.codec,
            record,
            width: size.0,
            height: size.1,
        }));
    }
}

/// The NAL units between start codes (ISO/IEC 14496-10 annex B), without the zeros behind them.
fn nals(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    let start = |bytes: &[u8]| bytes.windows(3).position(|three| three == [0, 0, 1]);
    rest = start(rest)
        .and_then(|at| rest.get(at + 3..))
        .unwrap_or_default();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (nal, after) = match start(rest) {
            Some(at) => (rest.get(..at)?, rest.get(at + 3..)?),
            None => (rest, &[][..]),
        };
        rest = after;
        let end = nal
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |at| at + 1);
        nal.get(..end)
    })
    .filter(|nal| !nal.is_empty())
}
