//! From transport packets to access units: what players and readers of our own need of a transport stream (ISO/IEC 13818-1).
//!
//! One programme, of it the first picture and the first sound stream. Packets may come in pieces of any size. Times are in ticks of 90 kHz,
//! as written; continuity counters are held against each other, so that a missing packet is told. A table that is longer than one packet is
//! not read.

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;

use super::PACKET;
use crate::frame::Track;

pub(super) const SYNC: u8 = 0x47;
const PAT_PID: u16 = 0;
const STUFFING_PID: u16 = 0x1FFF;
/// Bytes of the largest access unit that is put together.
pub(super) const MOST_UNIT: usize = 32 << 20;
/// Bytes without a packet in them after which a forgiving reader says that this is no transport stream.
pub(super) const MOST_STRAY: usize = 64 * 1024;
/// Bytes of a PES header before its optional fields.
const PES_HEADER: usize = 9;

/// Why bytes are no transport stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TsError {
    /// A packet does not begin with the synchronisation byte.
    #[error("this is no MPEG transport stream: a packet begins with {0:#04x}")]
    Sync(u8),
    /// An access unit does not end.
    #[error("an access unit has more than {MOST_UNIT} bytes")]
    TooLarge,
}

/// What a transport stream turned out to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Demuxed {
    /// The programme's streams: before their first units, and again when they change.
    Programme(Programme),
    /// A unit of one of them.
    Unit(Unit),
}

/// The streams of a programme that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Programme {
    pub video: Option<StreamId>,
    pub audio: Option<StreamId>,
}

/// An elementary stream as the programme's table tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamId {
    pub pid: u16,
    pub stream_type: u8,
}

/// One access unit, in the form of the container: start codes before NAL units, ADTS before AAC. Of sound it may be several frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    pub track: Track,
    /// As the programme's table tells it.
    pub stream_type: u8,
    /// Presentation time in ticks of 90 kHz, modulo 2^33; none where the header has none.
    pub pts: Option<i64>,
    /// Decoding time likewise; none where it is the presentation time.
    pub dts: Option<i64>,
    /// The packet says that decoding can begin here.
    pub random_access: bool,
    pub data: Bytes,
}

/// What is known of one elementary stream.
#[derive(Debug)]
struct Stream {
    id: StreamId,
    track: Track,
    counter: Option<u8>,
    /// What has come of the unit under way, its PES header included.
    open: BytesMut,
    is_open: bool,
    random_access: bool,
}

/// Reads one transport stream.
#[derive(Debug, Default)]
pub struct TsUnits {
    /// The beginning of a packet whose rest has not come.
    held: BytesMut,
    /// Bytes that were passed over since the last packet, and how many may be.
    stray: usize,
    most_stray: usize,
    pmt: Option<u16>,
    programme: Programme,
    /// The programme's, at most one of each track.
    streams: Vec<Stream>,
    gaps: u64,
    failure: Option<TsError>,
}

impl TsUnits {
    /// A reader that takes packets alone.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A reader that passes over up to 64 KiB of bytes between packets.
    #[must_use]
    pub fn forgiving() -> Self {
        Self {
            most_stray: MOST_STRAY,
            ..Self::default()
        }
    }

    /// Times that a continuity counter did not go on.
    #[must_use]
    pub fn gaps(&self) -> u64 {
        self.gaps
    }

    /// Takes what came; what it makes whole goes to `sink`.
    ///
    /// # Errors
    /// When this is no transport stream or an access unit has no end. There is nothing more to read then: the same error comes again.
    pub fn feed(&mut self, bytes: &[u8], sink: &mut impl FnMut(Demuxed)) -> Result<(), TsError> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        self.held.extend_from_slice(bytes);
        let mut held = self.held.split();
        let mut at = 0;
        while let Some(packet) = held.get(at..).and_then(<[u8]>::first_chunk::<PACKET>) {
            let taken = match packet {
                [SYNC, ..] => {
                    self.stray = 0;
                    self.packet(packet, sink).map(|()| PACKET)
                }
                _ if self.stray < self.most_stray => {
                    self.stray += 1;
                    Ok(1)
                }
                [other, ..] => Err(TsError::Sync(*other)),
            };
            at += taken.inspect_err(|failure| self.failure = Some(*failure))?;
        }
        held.advance(at);
        self.held = held;
        Ok(())
    }

    /// The units under way are whole: the end of a slice or of the stream.
    pub fn end(&mut self, sink: &mut impl FnMut(Demuxed)) {
        for stream in &mut self.streams {
            stream.close(sink);
        }
    }

    fn packet(
        &mut self,
        packet: &[u8; PACKET],
        sink: &mut impl FnMut(Demuxed),
    ) -> Result<(), TsError> {
        let [_, high, low, control, rest @ ..] = packet;
        let pid = u16::from_be_bytes([high & 0x1F, *low]);
        let begins = high & 0x40 != 0;
        let is_scrambled = control & 0xC0 != 0;
        let (adaptation, payload) = split(control >> 4 & 3, rest);
        // A packet without a payload does not count on (clause 2.4.3.3).
        if pid == STUFFING_PID || is_scrambled || payload.is_empty() {
            return Ok(());
        }
        if pid == PAT_PID {
            if begins && let Some(pmt) = section(payload, 0x00).and_then(first_programme) {
                self.pmt = Some(pmt);
            }
            return Ok(());
        }
        if self.pmt == Some(pid) {
            if begins && let Some(body) = section(payload, 0x02) {
                self.table(body, sink);
            }
            return Ok(());
        }
        let Some(stream) = self.streams.iter_mut().find(|stream| stream.id.pid == pid) else {
            return Ok(());
        };
        let counter = control & 0x0F;
        let expected = stream.counter.map(|before| (before + 1) & 0x0F);
        let is_announced = adaptation.is_some_and(|flags| flags & 0x80 != 0);
        if !is_announced && expected.is_some_and(|expected| expected != counter) {
            self.gaps += 1;
        }
        stream.counter = Some(counter);
        if begins {
            stream.close(sink);
            stream.is_open = true;
            stream.random_access = adaptation.is_some_and(|flags| flags & 0x40 != 0);
        }
        if stream.is_open {
            if stream.open.len() + payload.len() > MOST_UNIT {
                return Err(TsError::TooLarge);
            }
            stream.open.extend_from_slice(payload);
        }
        Ok(())
    }

    /// Takes a programme's table (clause 2.4.4.8); streams that it names again go on.
    fn table(&mut self, body: &[u8], sink: &mut impl FnMut(Demuxed)) {
        let Some(programme) = programme(body).filter(|found| *found != self.programme) else {
            return;
        };
        self.programme = programme;
        let mut before = std::mem::take(&mut self.streams);
        let wanted = [
            (programme.video, Track::Video),
            (programme.audio, Track::Audio),
        ];
        for (id, track) in wanted {
            let Some(id) = id else { continue };
            let known = before.iter().position(|stream| stream.id == id);
            self.streams.push(match known {
                Some(index) => before.swap_remove(index),
                None => Stream {
                    id,
                    track,
                    counter: None,
                    open: BytesMut::new(),
                    is_open: false,
                    random_access: false,
                },
            });
        }
        for mut gone in before {
            gone.close(sink);
        }
        sink(Demuxed::Programme(programme));
    }
}

impl Stream {
    fn close(&mut self, sink: &mut impl FnMut(Demuxed)) {
        if !std::mem::take(&mut self.is_open) {
            return;
        }
        let whole = self.open.split().freeze();
        let Some((pts, dts, data)) = pes(whole) else {
            return;
        };
        sink(Demuxed::Unit(Unit {
            track: self.track,
            stream_type: self.id.stream_type,
            pts,
            dts,
            random_access: self.random_access,
            data,
        }));
    }
}

/// The flags of the adaptation field, and the payload.
fn split(control: u8, rest: &[u8]) -> (Option<u8>, &[u8]) {
    let has_payload = control & 1 != 0;
    if control & 2 == 0 {
        return (None, if has_payload { rest } else { &[] });
    }
    let Some((length, behind)) = rest.split_first() else {
        return (None, &[]);
    };
    let length = usize::from(*length);
    let flags = (length > 0).then(|| behind.first().copied()).flatten();
    let payload = behind.get(length..).unwrap_or_default();
    (flags, if has_payload { payload } else { &[] })
}

/// The body of a section that lies whole in a packet: between its header and its checksum.
fn section(payload: &[u8], table: u8) -> Option<&[u8]> {
    let pointer = usize::from(*payload.first()?);
    let section = payload.get(1 + pointer..)?;
    let [id, high, low, ..] = section.first_chunk::<8>()?;
    if *id != table {
        return None;
    }
    let length = usize::from(u16::from_be_bytes([high & 0x0F, *low]));
    // Behind the length: 5 bytes of header, at the end 4 of checksum.
    let size = length.checked_sub(5 + 4)?;
    section.get(8..)?.get(..size)
}

/// The PID of the first programme's table (clause 2.4.4.3).
fn first_programme(body: &[u8]) -> Option<u16> {
    let programmes = body.as_chunks::<4>().0.iter();
    programmes
        .filter(|[a, b, ..]| (*a, *b) != (0, 0))
        .map(|[_, _, high, low]| u16::from_be_bytes([high & 0x1F, *low]))
        .next()
}

/// The first stream of each track that a programme's table names; none where it is cut short.
fn programme(body: &[u8]) -> Option<Programme> {
    let ([_, _, high, low], rest) = body.split_first_chunk::<4>()?;
    let skip = usize::from(u16::from_be_bytes([high & 0x0F, *low]));
    let mut rest = rest.get(skip..).unwrap_or_default();
    let mut found = Programme::default();
    while let Some((entry, behind)) = rest.split_first_chunk::<5>() {
        let [stream_type, high, low, more_high, more_low] = *entry;
        let pid = u16::from_be_bytes([high & 0x1F, low]);
        let more = usize::from(u16::from_be_bytes([more_high & 0x0F, more_low]));
        rest = behind.get(more..).unwrap_or_default();
        let slot = match track_of(stream_type) {
            Some(Track::Video) => &mut found.video,
            Some(Track::Audio) => &mut found.audio,
            None => continue,
        };
        slot.get_or_insert(StreamId { pid, stream_type });
    }
    Some(found)
}

fn track_of(stream_type: u8) -> Option<Track> {
    match stream_type {
        0x10 | 0x1B | 0x24 => Some(Track::Video),
        0x03 | 0x04 | 0x0F => Some(Track::Audio),
        _ => None,
    }
}

/// Presentation time, decoding time and payload of a PES packet (clause 2.4.3.6).
fn pes(mut packet: Bytes) -> Option<(Option<i64>, Option<i64>, Bytes)> {
    let head = packet.first_chunk::<PES_HEADER>()?;
    let [0, 0, 1, id, l1, l0, mark, flags, more] = *head else {
        return None;
    };
    // Only streams of pictures and sound have this form of header.
    if !(0xC0..=0xEF).contains(&id) && id != 0xBD || mark & 0xC0 != 0x80 {
        return None;
    }
    let length = usize::from(u16::from_be_bytes([l1, l0]));
    if length > 0 {
        packet.truncate(6 + length);
    }
    let header = PES_HEADER + usize::from(more);
    let fields = packet.get(PES_HEADER..header)?;
    let pts = (flags & 0x80 != 0).then(|| stamp(fields)).flatten();
    let behind = fields.get(5..).unwrap_or_default();
    let dts = (flags & 0xC0 == 0xC0).then(|| stamp(behind)).flatten();
    packet.advance(header);
    Some((pts, dts, packet))
}

/// The 33 bits of a time stamp, in groups of 3, 15 and 15.
fn stamp(bytes: &[u8]) -> Option<i64> {
    let [a, b, c, d, e] = bytes.first_chunk::<5>()?.map(i64::from);
    Some((a >> 1 & 7) << 30 | b << 22 | (c >> 1) << 15 | d << 7 | e >> 1)
}

#[cfg(test)]
mod tests;
