//! Transport packets (ISO/IEC 13818-1 clause 2.4.3.2), adaptation fields (2.4.3.4) and PES headers (2.4.3.6).

use bytes::{BufMut, BytesMut};

use super::PACKET;
use crate::frame::Track;

const HEADER: usize = 4;
const CAPACITY: usize = PACKET - HEADER;
const SYNC: u8 = 0x47;
/// Length and flags, then the clock reference.
const PCR_FIELD: usize = 8;

const RANDOM_ACCESS: u8 = 0x40;
const PCR_FLAG: u8 = 0x10;

/// What the adaptation field of a frame's first packet says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Adaptation {
    /// program_clock_reference_base.
    pub pcr: Option<u64>,
    pub random_access: bool,
}

impl Adaptation {
    const NONE: Self = Self {
        pcr: None,
        random_access: false,
    };

    fn len(self) -> usize {
        match (self.pcr, self.random_access) {
            (Some(_), _) => PCR_FIELD,
            (None, true) => 2,
            (None, false) => 0,
        }
    }
}

/// Time stamps in ticks of 90 kHz, modulo 2^33.
#[derive(Debug, Clone, Copy)]
pub(super) struct PesTimes {
    pub pts: u64,
    pub dts: u64,
}

/// Spreads one PES packet over transport packets. The bytes announced to `begin` must be put exactly.
pub(super) struct Packets<'a> {
    out: &'a mut BytesMut,
    pid: u16,
    counter: &'a mut u8,
    /// Bytes not yet put.
    left: usize,
    /// Payload bytes still free in the packet begun last.
    room: usize,
}

impl<'a> Packets<'a> {
    /// Begins the first packet of a PES packet of `total` bytes.
    pub fn begin(
        out: &'a mut BytesMut,
        pid: u16,
        counter: &'a mut u8,
        total: usize,
        first: Adaptation,
    ) -> Self {
        out.reserve((total + first.len()).div_ceil(CAPACITY) * PACKET);
        let mut packets = Self {
            out,
            pid,
            counter,
            left: total,
            room: 0,
        };
        packets.start(0x4000, first);
        packets
    }

    /// Appends payload.
    pub fn put(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.room == 0 {
                self.start(0, Adaptation::NONE);
            }
            let (now, later) = bytes.split_at(bytes.len().min(self.room));
            if now.is_empty() {
                return; // more than announced
            }
            self.out.put_slice(now);
            self.room -= now.len();
            self.left = self.left.saturating_sub(now.len());
            bytes = later;
        }
    }

    /// Packet header and adaptation field, stuffed so that the packet is full with what is left.
    fn start(&mut self, unit_start: u16, adaptation: Adaptation) {
        let wanted = adaptation.len();
        let payload = self.left.min(CAPACITY - wanted);
        let field = CAPACITY - payload;
        self.room = payload;
        let [high, low] = (unit_start | self.pid).to_be_bytes();
        let control = if field == 0 { 0x10 } else { 0x30 };
        let header = [SYNC, high, low, control | (*self.counter & 0x0F)];
        *self.counter = (*self.counter + 1) & 0x0F;
        self.out.extend_from_slice(&header);
        if field > 0 {
            write_adaptation(adaptation, field, self.out);
        }
    }
}

/// An adaptation field of `field` bytes in all; 0 writes nothing.
fn write_adaptation(adaptation: Adaptation, field: usize, out: &mut BytesMut) {
    let Some(length) = field.checked_sub(1) else {
        return;
    };
    let end = out.len() + field;
    out.put_u8(u8::try_from(length).unwrap_or(u8::MAX));
    if length > 0 {
        let random_access = if adaptation.random_access {
            RANDOM_ACCESS
        } else {
            0
        };
        let pcr = if adaptation.pcr.is_some() {
            PCR_FLAG
        } else {
            0
        };
        out.put_u8(random_access | pcr);
        if let Some(base) = adaptation.pcr {
            put_pcr(base, out);
        }
    }
    out.resize(end, 0xFF);
}

/// 33 bits of base, 6 reserved ones, 9 bits of extension (always 0: the base is exact to a millisecond).
fn put_pcr(base: u64, out: &mut BytesMut) {
    let field = ((base & 0x1_FFFF_FFFF) << 15) | 0x7E00;
    out.put_uint(field, 6);
}

/// A packet that carries only a clock reference. Its counter repeats that of the packet before (clause 2.4.3.3);
/// `next` is the counter of the packet to come.
pub(super) fn write_pcr_only(pid: u16, next: u8, base: u64, out: &mut BytesMut) {
    out.put_u8(SYNC);
    out.put_u16(pid);
    out.put_u8(0x20 | (next.wrapping_sub(1) & 0x0F));
    let adaptation = Adaptation {
        pcr: Some(base),
        random_access: false,
    };
    write_adaptation(adaptation, CAPACITY, out);
}

/// The header of a PES packet: 14 bytes, or 19 with a decoding time.
#[derive(Debug, Clone, Copy)]
pub(super) struct PesHeader {
    bytes: [u8; 19],
    len: usize,
}

impl std::ops::Deref for PesHeader {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// The header before an access unit of `payload` bytes.
pub(super) fn pes_header(track: Track, times: &PesTimes, payload: usize) -> PesHeader {
    let with_dts = times.pts != times.dts;
    let fields: u8 = if with_dts { 10 } else { 5 };
    let stream_id = match track {
        Track::Video => 0xE0,
        Track::Audio => 0xC0,
    };
    // 0 = unbounded, which clause 2.4.3.7 allows for pictures only; sound frames are checked to be shorter.
    let length = u16::try_from(payload + 3 + usize::from(fields)).unwrap_or(0);
    let mut bytes = [0; 19];
    let mut rest = bytes.as_mut_slice();
    rest.put_slice(&[0, 0, 1, stream_id]);
    rest.put_u16(length);
    rest.put_u8(0x84); // data_alignment_indicator: the payload begins with an access unit
    rest.put_u8(if with_dts { 0xC0 } else { 0x80 });
    rest.put_u8(fields);
    if with_dts {
        rest.put_uint(stamp(0x3, times.pts), 5);
        rest.put_uint(stamp(0x1, times.dts), 5);
    } else {
        rest.put_uint(stamp(0x2, times.pts), 5);
    }
    PesHeader {
        bytes,
        len: 9 + usize::from(fields),
    }
}

/// Four bits of prefix, then the 33 bits in groups of 3, 15 and 15 with a marker bit behind each.
fn stamp(prefix: u64, ticks: u64) -> u64 {
    let high = (ticks >> 30) & 0x7;
    let middle = (ticks >> 15) & 0x7FFF;
    let low = ticks & 0x7FFF;
    (prefix << 36) | (high << 33) | (1 << 32) | (middle << 17) | (1 << 16) | (low << 1) | 1
}
