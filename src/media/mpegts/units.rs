//! From transport packets to access units: what a player of our own needs of the slices that it was given (ISO/IEC 13818-1).
//!
//! One programme, of it the first picture and the first sound stream. Packets may come in pieces of any size. Times are in ticks of 90 kHz,
//! as written; continuity counters are held against each other, so that a missing packet is told.

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;

use super::PACKET;
use crate::media::frame::Track;

const SYNC: u8 = 0x47;
const PAT_PID: u16 = 0;
const STUFFING_PID: u16 = 0x1FFF;
/// The largest access unit that is put together.
const MOST_UNIT: usize = 16 << 20;
/// Without its flags, a PES header.
const PES_HEADER: usize = 9;

/// Why bytes are no transport stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TsError {
    /// A packet does not begin with the synchronisation byte.
    #[error("this is no transport stream: a packet begins with {0:#04x}")]
    Sync(u8),
    /// An access unit does not end.
    #[error("an access unit has more than {MOST_UNIT} bytes")]
    TooLarge,
}

/// One access unit, in the form of the container: start codes before NAL units, ADTS before AAC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    pub track: Track,
    /// As the programme's table tells it.
    pub stream_type: u8,
    /// Presentation time in ticks of 90 kHz, modulo 2^33; none where the header has none.
    pub pts: Option<u64>,
    /// The packet says that decoding can begin here.
    pub random_access: bool,
    pub data: Bytes,
}

/// What is known of one elementary stream.
#[derive(Debug)]
struct Stream {
    pid: u16,
    track: Track,
    stream_type: u8,
    counter: Option<u8>,
    /// What has come of the unit under way, its PES header included.
    open: BytesMut,
    is_open: bool,
    random_access: bool,
}

/// Reads one transport stream.
#[derive(Debug, Default)]
pub struct TsUnits {
    held: BytesMut,
    pmt: Option<u16>,
    streams: Vec<Stream>,
    gaps: u64,
    failure: Option<TsError>,
}

impl TsUnits {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Times that a continuity counter did not go on.
    #[must_use]
    pub fn gaps(&self) -> u64 {
        self.gaps
    }

    /// Takes what came; whole units go to `sink`.
    ///
    /// # Errors
    /// When this is no transport stream; the same error comes again.
    pub fn feed(&mut self, bytes: &[u8], sink: &mut impl FnMut(Unit)) -> Result<(), TsError> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        self.held.extend_from_slice(bytes);
        while let Some(packet) = self.held.first_chunk::<PACKET>() {
            let packet = *packet;
            self.held.advance(PACKET);
            if let Err(failure) = self.packet(&packet, sink) {
                self.failure = Some(failure);
                self.held.clear();
                return Err(failure);
            }
        }
        Ok(())
    }

    /// The units under way are whole: the end of a slice.
    pub fn end(&mut self, sink: &mut impl FnMut(Unit)) {
        for stream in &mut self.streams {
            stream.close(sink);
        }
    }

    fn packet(
        &mut self,
        packet: &[u8; PACKET],
        sink: &mut impl FnMut(Unit),
    ) -> Result<(), TsError> {
        let [sync, high, low, flags, rest @ ..] = packet;
        if *sync != SYNC {
            return Err(TsError::Sync(*sync));
        }
        let pid = u16::from_be_bytes([high & 0x1F, *low]);
        let begins = high & 0x40 != 0;
        let (adaptation, payload) = split(flags >> 4 & 3, rest);
        if pid == STUFFING_PID {
            return Ok(());
        }
        if pid == PAT_PID {
            if begins && let Some(section) = section(payload, 0x00) {
                self.pmt = program(section);
            }
            return Ok(());
        }
        if self.pmt == Some(pid) {
            if begins && let Some(section) = section(payload, 0x02) {
                self.table(section);
            }
            return Ok(());
        }
        let Some(stream) = self.streams.iter_mut().find(|stream| stream.pid == pid) else {
            return Ok(());
        };
        // A packet without a payload does not count on (clause 2.4.3.3), and a break may be announced.
        if !payload.is_empty() {
            let counter = flags & 0x0F;
            let announced = adaptation.is_some_and(|flags| flags & 0x80 != 0);
            let expected = stream.counter.map(|before| (before + 1) & 0x0F);
            if !announced && expected.is_some_and(|expected| expected != counter) {
                self.gaps += 1;
            }
            stream.counter = Some(counter);
        }
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

    /// Takes a programme's table; streams that it names again go on.
    fn table(&mut self, section: &[u8]) {
        let Some(([_, _, high, low], rest)) = section.split_first_chunk::<4>() else {
            return;
        };
        let skip = usize::from(u16::from_be_bytes([high & 0x0F, *low]));
        let mut rest = rest.get(skip..).unwrap_or_default();
        let mut streams: Vec<Stream> = Vec::new();
        while let Some((entry, behind)) = rest.split_first_chunk::<5>() {
            let [stream_type, high, low, more_high, more_low] = *entry;
            let pid = u16::from_be_bytes([high & 0x1F, low]);
            let more = usize::from(u16::from_be_bytes([more_high & 0x0F, more_low]));
            rest = behind.get(more..).unwrap_or_default();
            let Some(track) = track_of(stream_type) else {
                continue;
            };
            if streams.iter().any(|stream| stream.track == track) {
                continue;
            }
            let known = self
                .streams
                .iter()
                .position(|s| s.pid == pid && s.stream_type == stream_type);
            streams.push(match known {
                Some(index) => self.streams.swap_remove(index),
                None => Stream {
                    pid,
                    track,
                    stream_type,
                    counter: None,
                    open: BytesMut::new(),
                    is_open: false,
                    random_access: false,
                },
            });
        }
        self.streams = streams;
    }
}

impl Stream {
    fn close(&mut self, sink: &mut impl FnMut(Unit)) {
        if !std::mem::take(&mut self.is_open) {
            return;
        }
        let whole = self.open.split().freeze();
        let Some((pts, data)) = pes(whole) else {
            return;
        };
        sink(Unit {
            track: self.track,
            stream_type: self.stream_type,
            pts,
            random_access: self.random_access,
            data,
        });
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

/// The body of a section that lies whole in a packet, without its checksum.
fn section(payload: &[u8], table: u8) -> Option<&[u8]> {
    let pointer = usize::from(*payload.first()?);
    let section = payload.get(1 + pointer..)?;
    let head = section.first_chunk::<8>()?;
    if head[0] != table {
        return None;
    }
    let length = usize::from(u16::from_be_bytes([head[1] & 0x0F, head[2]]));
    // Behind the length: 5 bytes of head, 4 of checksum.
    let size = length.checked_sub(5 + 4)?;
    section.get(8..)?.get(..size)
}

/// The table's PID of the first programme.
fn program(body: &[u8]) -> Option<u16> {
    body.chunks_exact(4)
        .find(|entry| entry[0] != 0 || entry[1] != 0)
        .map(|entry| u16::from_be_bytes([entry[2] & 0x1F, entry[3]]))
}

fn track_of(stream_type: u8) -> Option<Track> {
    match stream_type {
        0x10 | 0x1B | 0x24 => Some(Track::Video),
        0x03 | 0x04 | 0x0F => Some(Track::Audio),
        _ => None,
    }
}

/// Presentation time and payload of a PES packet.
fn pes(mut packet: Bytes) -> Option<(Option<u64>, Bytes)> {
    let head = packet.first_chunk::<PES_HEADER>()?;
    let [0, 0, 1, _, l1, l0, _, flags, more] = *head else {
        return None;
    };
    let length = usize::from(u16::from_be_bytes([l1, l0]));
    if length > 0 {
        packet.truncate(6 + length);
    }
    let more = usize::from(more);
    let fields = packet.get(PES_HEADER..PES_HEADER + more)?;
    let pts = fields
        .first_chunk::<5>()
        .filter(|_| flags & 0x80 != 0)
        .map(|[a, b, c, d, e]| {
            u64::from(a >> 1 & 7) << 30
                | u64::from(*b) << 22
                | u64::from(c >> 1) << 15
                | u64::from(*d) << 7
                | u64::from(e >> 1)
        });
    packet.advance(PES_HEADER + more);
    Some((pts, packet))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::frame::{AudioCodec, AudioConfig, Frame, VideoCodec, VideoConfig};
    use crate::media::mpegts::{Continuity, TsMuxer};

    const AVCC: &[u8] = &[
        1, 0x4D, 0x00, 0x1E, 0xFF, 0xE1, 0, 4, 0x67, 0x4D, 0x00, 0x1E, 1, 0, 2, 0x68, 0xEE,
    ];

    fn stream() -> (Vec<Frame>, Bytes) {
        let video = VideoConfig {
            codec: VideoCodec::H264,
            record: Bytes::from_static(AVCC),
            width: 0,
            height: 0,
        };
        let audio = AudioConfig {
            codec: AudioCodec::Aac,
            record: Bytes::from_static(&[0x11, 0x90]),
            sample_rate: 48_000,
            channels: 2,
        };
        let mut muxer = TsMuxer::new(Some(&video), Some(&audio), Continuity::default()).unwrap();
        let mut out = BytesMut::new();
        muxer.begin_slice(&mut out);
        let mut frames = Vec::new();
        for n in 0..20_u8 {
            let size = 200 + usize::from(n) * 37;
            let mut picture = BytesMut::new();
            picture.extend_from_slice(&(size as u32).to_be_bytes());
            picture.extend_from_slice(&[if n % 10 == 0 { 0x65 } else { 0x41 }]);
            picture.resize(4 + size, n);
            for (track, data) in [
                (Track::Video, picture.freeze()),
                (Track::Audio, Bytes::from(vec![n; 60])),
            ] {
                let frame = Frame {
                    track,
                    dts_ms: i64::from(n) * 40,
                    cts_ms: 0,
                    key: track == Track::Video && n % 10 == 0,
                    data,
                };
                muxer.write(&frame, &mut out).unwrap();
                frames.push(frame);
            }
        }
        (frames, out.freeze())
    }

    fn read(bytes: &[u8], step: usize) -> (Vec<Unit>, u64) {
        let mut reader = TsUnits::new();
        let mut units = Vec::new();
        for piece in bytes.chunks(step) {
            reader.feed(piece, &mut |unit| units.push(unit)).unwrap();
        }
        reader.end(&mut |unit| units.push(unit));
        (units, reader.gaps())
    }

    #[test]
    fn what_was_muxed_comes_out_however_it_is_cut() {
        let (frames, bytes) = stream();
        for step in [1, 188, 500, bytes.len()] {
            let (units, gaps) = read(&bytes, step);
            assert_eq!((units.len(), gaps), (frames.len(), 0));
            for track in [Track::Video, Track::Audio] {
                let of = |units: &[Unit]| -> Vec<Unit> {
                    units.iter().filter(|u| u.track == track).cloned().collect()
                };
                let sent = frames.iter().filter(|frame| frame.track == track);
                for (unit, frame) in of(&units).iter().zip(sent) {
                    let payload = match track {
                        Track::Video => frame.data.slice(4..),
                        Track::Audio => frame.data.clone(),
                    };
                    assert!(unit.data.ends_with(&payload));
                    assert_eq!(unit.pts, Some((frame.dts_ms * 90 + 126_000) as u64));
                    assert!(!frame.key || unit.random_access);
                }
            }
        }
    }

    #[test]
    fn a_missing_packet_is_told() {
        let (_, bytes) = stream();
        // The sixth packet lies inside the second picture.
        let cut = [&bytes[..5 * PACKET], &bytes[6 * PACKET..]].concat();
        assert!(read(&cut, 188).1 > 0);
    }

    #[test]
    fn other_bytes_are_refused() {
        let mut reader = TsUnits::new();
        let failure = Err(TsError::Sync(b'<'));
        assert_eq!(reader.feed(&[b'<'; 188], &mut |_| {}), failure);
        assert_eq!(reader.feed(&[], &mut |_| {}), failure);
    }
}
