//! Programme specific information: PAT and PMT (ISO/IEC 13818-1 clauses 2.4.4.3 and 2.4.4.8), each in one packet.

use bytes::{BufMut, BytesMut};

use super::PACKET;

const PAT_PID: u16 = 0x0000;
const PMT_PID: u16 = 0x1000;
const PROGRAM: u16 = 1;
const TRANSPORT_STREAM_ID: u16 = 1;

const PAT_TABLE: u8 = 0x00;
const PMT_TABLE: u8 = 0x02;

/// What a PMT says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Streams {
    /// Stream type and PID.
    pub video: Option<(u8, u16)>,
    pub audio: Option<(u8, u16)>,
    pub pcr_pid: u16,
    /// 0 to 31.
    pub version: u8,
}

/// Appends the PAT packet.
pub(super) fn write_pat(counter: &mut u8, out: &mut BytesMut) {
    let mut body = BytesMut::with_capacity(16);
    body.put_u16(PROGRAM);
    body.put_u16(0xE000 | PMT_PID);
    write_section(
        PAT_PID,
        PAT_TABLE,
        TRANSPORT_STREAM_ID,
        0,
        &body,
        counter,
        out,
    );
}

/// Appends the PMT packet.
pub(super) fn write_pmt(counter: &mut u8, streams: &Streams, out: &mut BytesMut) {
    let mut body = BytesMut::with_capacity(32);
    body.put_u16(0xE000 | streams.pcr_pid);
    body.put_u16(0xF000); // no programme descriptors
    for (stream_type, pid) in streams.video.into_iter().chain(streams.audio) {
        body.put_u8(stream_type);
        body.put_u16(0xE000 | pid);
        body.put_u16(0xF000); // no stream descriptors
    }
    write_section(
        PMT_PID,
        PMT_TABLE,
        PROGRAM,
        streams.version,
        &body,
        counter,
        out,
    );
}

/// One section in one packet, padded with 0xFF as clause 2.4.4 says.
fn write_section(
    pid: u16,
    table: u8,
    id: u16,
    version: u8,
    body: &[u8],
    counter: &mut u8,
    out: &mut BytesMut,
) {
    let start = out.len();
    out.put_u8(0x47);
    out.put_u16(0x4000 | pid);
    out.put_u8(0x10 | (*counter & 0x0F));
    *counter = (*counter + 1) & 0x0F;
    out.put_u8(0); // pointer_field
    let section = out.len();
    out.put_u8(table);
    // Five bytes of header and four of checksum follow the length.
    let length = u16::try_from(body.len() + 9).unwrap_or(0x0FFF) & 0x0FFF;
    out.put_u16(0xB000 | length);
    out.put_u16(id);
    out.put_u8(0xC1 | ((version & 0x1F) << 1));
    out.put_u16(0); // section 0 of 0
    out.put_slice(body);
    let crc = crc32(out.get(section..).unwrap_or_default());
    out.put_u32(crc);
    out.resize(start + PACKET, 0xFF);
}

/// The checksum of ISO/IEC 13818-1 annex A: polynomial 0x04C11DB7, not reflected, all ones at the start.
fn crc32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ (u32::from(*byte) << 24), |crc, _| {
            let shifted = crc << 1;
            if crc & 0x8000_0000 == 0 {
                shifted
            } else {
                shifted ^ 0x04C1_1DB7
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_of_the_standard_check_string() {
        assert_eq!(crc32(b"123456789"), 0x0376_E6E7);
    }

    #[test]
    fn a_section_with_its_checksum_leaves_no_remainder() {
        let (mut out, mut counter) = (BytesMut::new(), 15);
        write_pat(&mut counter, &mut out);
        assert_eq!((out.len(), counter), (PACKET, 0));
        let length = usize::from(u16::from_be_bytes([out[6], out[7]]) & 0x0FFF);
        assert_eq!(crc32(&out[5..8 + length]), 0);
        assert!(out[8 + length..].iter().all(|byte| *byte == 0xFF));
    }
}
