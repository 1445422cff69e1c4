//! Frames out of a transport stream (ISO/IEC 13818-1) that comes in pieces of any size: the first programme's first picture and first
//! sound stream.
//!
//! For what a player is shown, so it is forgiving: bytes between packets are passed over, a unit that lost a packet is read as far as it
//! goes, tables that are longer than one packet are not read. Parameter sets are taken out of the pictures and told as configurations.

mod pictures;
mod sound;

use bytes::BytesMut;
use thiserror::Error;

use super::PACKET;
use crate::media::frame::{AudioConfig, Frame, VideoConfig};
use pictures::Pictures;
use sound::Sound;

const SYNC: u8 = 0x47;
const PAT_PID: u16 = 0;
/// Bytes without a packet in them after which this is no transport stream.
const MOST_STRAY: usize = 64 * 1024;
/// Bytes of one access unit.
const MOST_UNIT: usize = 32 << 20;
/// Time stamps have 33 bits.
const WRAP: i64 = 1 << 33;
const NO_PID: u16 = 0x1FFF;

/// What a transport stream turned out to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// The programme's tracks: whether there are pictures and sound that can be read.
    Tracks {
        /// Pictures.
        video: bool,
        /// Sound.
        audio: bool,
    },
    /// The first or a changed configuration of the pictures.
    Video(VideoConfig),
    /// The first or a changed configuration of the sound.
    Audio(AudioConfig),
    /// A picture or a frame of sound, with the stream's own time.
    Frame(Frame),
}

/// Why bytes cannot be read as a transport stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TsError {
    /// There are no packets.
    #[error("this is no MPEG transport stream")]
    NotTs,
    /// An access unit has no end.
    #[error("an access unit is longer than {MOST_UNIT} bytes")]
    Unit,
}

/// What the elementary stream of a track is read by.
#[derive(Debug)]
enum Reader {
    Pictures(Pictures),
    Sound(Sound),
}

/// One elementary stream: its packets become PES packets, those become frames.
#[derive(Debug)]
struct Elementary {
    pid: u16,
    stream_type: u8,
    reader: Reader,
    pes: BytesMut,
    random_access: bool,
    /// The last time stamp, counted on past the 33 bits.
    time: Option<i64>,
}

impl Elementary {
    fn new(pid: u16, stream_type: u8) -> Option<Self> {
        let reader = match stream_type {
            0x1B | 0x24 | 0x10 => Reader::Pictures(Pictures::new(stream_type)),
            0x0F | 0x03 | 0x04 => Reader::Sound(Sound::new(stream_type)),
            _ => return None,
        };
        Some(Self {
            pid,
            stream_type,
            reader,
            pes: BytesMut::new(),
            random_access: false,
            time: None,
        })
    }

    fn is_video(&self) -> bool {
        matches!(self.reader, Reader::Pictures(_))
    }

    /// A time stamp without its wraps.
    fn unrolled(&mut self, stamp: i64) -> i64 {
        let time = match self.time {
            None => stamp,
            Some(last) => {
                let ahead = (stamp - last).rem_euclid(WRAP);
                last + if ahead > WRAP / 2 {
                    ahead - WRAP
                } else {
                    ahead
                }
            }
        };
        self.time = Some(time);
        time
    }

    /// Reads the PES packet that is whole now.
    fn settle(&mut self, sink: &mut impl FnMut(Found)) {
        let pes = self.pes.split().freeze();
        let random_access = std::mem::take(&mut self.random_access);
        let Some(header) = PesHeader::read(&pes) else {
            return;
        };
        let Some(pts) = header.pts else { return };
        let dts = self.unrolled(header.dts.unwrap_or(pts));
        let cts = (pts - header.dts.unwrap_or(pts)).rem_euclid(WRAP);
        let cts = if cts > WRAP / 2 { cts - WRAP } else { cts };
        let payload = pes.slice(header.length.min(pes.len())..);
        match &mut self.reader {
            Reader::Pictures(pictures) => {
                pictures.unit(&payload, (ms(dts), ms(cts)), random_access, sink);
            }
            Reader::Sound(sound) => sound.unit(&payload, dts, sink),
        }
    }
}

/// Ticks of 90 kHz in milliseconds.
fn ms(ticks: i64) -> i64 {
    (ticks + 45).div_euclid(90)
}

/// What stands before a PES packet's payload (clause 2.4.3.6).
struct PesHeader {
    length: usize,
    pts: Option<i64>,
    dts: Option<i64>,
}

impl PesHeader {
    fn read(pes: &[u8]) -> Option<Self> {
        let [0, 0, 1, id, _, _, mark, flags, more, rest @ ..] = pes else {
            return None;
        };
        // Only streams of pictures and sound have this form of header.
        if !(0xC0..=0xEF).contains(id) && *id != 0xBD || mark & 0xC0 != 0x80 {
            return None;
        }
        let pts = (flags & 0x80 != 0).then(|| stamp(rest)).flatten();
        let behind = rest.get(5..).unwrap_or_default();
        let dts = (flags & 0xC0 == 0xC0).then(|| stamp(behind)).flatten();
        Some(Self {
            length: 9 + usize::from(*more),
            pts,
            dts,
        })
    }
}

fn stamp(bytes: &[u8]) -> Option<i64> {
    let [a, b, c, d, e, ..] = bytes else {
        return None;
    };
    let [a, b, c, d, e] = [*a, *b, *c, *d, *e].map(i64::from);
    Some((a >> 1 & 7) << 30 | b << 22 | (c >> 1) << 15 | d << 7 | e >> 1)
}

/// Reads one transport stream.
#[derive(Debug)]
pub struct TsReader {
    /// The beginning of a packet whose rest has not come.
    held: BytesMut,
    stray: usize,
    pmt_pid: u16,
    video: Option<Elementary>,
    audio: Option<Elementary>,
}

impl Default for TsReader {
    fn default() -> Self {
        Self {
            held: BytesMut::new(),
            stray: 0,
            pmt_pid: NO_PID,
            video: None,
            audio: None,
        }
    }
}

impl TsReader {
    /// A reader that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what came, and hands what it completes to `sink`.
    ///
    /// # Errors
    /// When this is no transport stream or an access unit has no end; there is nothing more to read then.
    pub fn feed(&mut self, bytes: &[u8], sink: &mut impl FnMut(Found)) -> Result<(), TsError> {
        self.held.extend_from_slice(bytes);
        let mut held = self.held.split();
        let mut at = 0;
        while let Some(packet) = held.get(at..at + PACKET) {
            if packet.first() != Some(&SYNC) {
                at += 1;
                self.stray += 1;
                if self.stray > MOST_STRAY {
                    return Err(TsError::NotTs);
                }
                continue;
            }
            self.stray = 0;
            self.packet(packet, sink)?;
            at += PACKET;
        }
        self.held = held.split_off(at.min(held.len()));
        Ok(())
    }

    /// The stream is over: what was begun is whole.
    pub fn finish(&mut self, sink: &mut impl FnMut(Found)) {
        for stream in [&mut self.video, &mut self.audio].into_iter().flatten() {
            stream.settle(sink);
        }
    }

    fn packet(&mut self, packet: &[u8], sink: &mut impl FnMut(Found)) -> Result<(), TsError> {
        let [_, high, low, control, rest @ ..] = packet else {
            return Ok(());
        };
        let pid = u16::from_be_bytes([high & 0x1F, *low]);
        let begins = high & 0x40 != 0;
        let adaptation = if control & 0x20 == 0 {
            0
        } else {
            1 + usize::from(rest.first().copied().unwrap_or(0))
        };
        let random_access = adaptation > 1 && rest.get(1).is_some_and(|flags| flags & 0x40 != 0);
        // No payload, or scrambled: nothing for us.
        if control & 0x10 == 0 || control & 0xC0 != 0 {
            return Ok(());
        }
        let payload = rest.get(adaptation..).unwrap_or_default();
        if pid == PAT_PID && begins {
            if let Some(pmt) = section(payload, 0).and_then(first_programme) {
                self.pmt_pid = pmt;
            }
        } else if pid == self.pmt_pid && begins {
            if let Some(body) = section(payload, 2) {
                self.programme(body, sink);
            }
        } else {
            let mut streams = [&mut self.video, &mut self.audio].into_iter().flatten();
            let Some(stream) = streams.find(|stream| stream.pid == pid) else {
                return Ok(());
            };
            if begins {
                stream.settle(sink);
                stream.random_access = random_access;
            } else if stream.pes.is_empty() {
                // The middle of a unit whose beginning was not seen.
                return Ok(());
            }
            if stream.pes.len() + payload.len() > MOST_UNIT {
                return Err(TsError::Unit);
            }
            stream.pes.extend_from_slice(payload);
        }
        Ok(())
    }

    /// Takes a programme map (clause 2.4.4.8).
    fn programme(&mut self, body: &[u8], sink: &mut impl FnMut(Found)) {
        let Some((head, rest)) = body.split_first_chunk::<4>() else {
            return;
        };
        let info = usize::from(u16::from_be_bytes([head[2] & 0x0F, head[3]]));
        let mut rest = rest.get(info..).unwrap_or_default();
        let (mut video, mut audio) = (None, None);
        while let Some((entry, after)) = rest.split_first_chunk::<5>() {
            let [kind, high, low, info_high, info_low] = *entry;
            let info = usize::from(u16::from_be_bytes([info_high & 0x0F, info_low]));
            rest = after.get(info..).unwrap_or_default();
            let pid = u16::from_be_bytes([high & 0x1F, low]);
            let slot = match kind {
                0x1B | 0x24 | 0x10 => &mut video,
                0x0F | 0x03 | 0x04 => &mut audio,
                _ => continue,
            };
            slot.get_or_insert((pid, kind));
        }
        let known = |stream: &Option<Elementary>| stream.as_ref().map(|s| (s.pid, s.stream_type));
        if (known(&self.video), known(&self.audio)) == (video, audio) {
            return;
        }
        self.finish(sink);
        for (slot, wanted) in [(&mut self.video, video), (&mut self.audio, audio)] {
            if known(slot) != wanted {
                *slot = wanted.and_then(|(pid, kind)| Elementary::new(pid, kind));
            }
        }
        let is_video = |stream: &Option<Elementary>| stream.as_ref().map(Elementary::is_video);
        sink(Found::Tracks {
            video: is_video(&self.video).is_some(),
            audio: is_video(&self.audio).is_some(),
        });
    }
}

/// The body of a section that lies in one packet: between its header and its checksum.
fn section(payload: &[u8], table: u8) -> Option<&[u8]> {
    let pointer = usize::from(*payload.first()?);
    let section = payload.get(1 + pointer..)?;
    let [id, high, low, ..] = section else {
        return None;
    };
    let length = usize::from(u16::from_be_bytes([high & 0x0F, *low]));
    if *id != table {
        return None;
    }
    // Behind the length come five bytes of header, at the end four of checksum.
    section.get(8..(3 + length).checked_sub(4)?)
}

/// The PID of the first programme's map (clause 2.4.4.3).
fn first_programme(body: &[u8]) -> Option<u16> {
    let programmes = body.as_chunks::<4>().0.iter();
    programmes
        .filter(|[a, b, ..]| (*a, *b) != (0, 0))
        .map(|[_, _, high, low]| u16::from_be_bytes([high & 0x1F, *low]))
        .next()
}

#[cfg(test)]
mod tests;
