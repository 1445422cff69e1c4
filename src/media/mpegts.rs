//! MPEG transport streams (ISO/IEC 13818-1): the slices of a recording.
//!
//! One programme, at most one picture and one sound stream. Every slice begins with PAT and PMT, so that it plays alone;
//! the counters and the programme's version go on in the next slice through [`Continuity`], so that slices laid end to
//! end are one faultless stream. Elementary streams are not touched beyond what the container asks for: start codes in
//! place of NAL unit lengths, an access unit delimiter, the parameter sets before a key picture that lacks them, and an
//! ADTS header before an AAC frame.

mod adts;
mod packet;
mod psi;
pub mod read;
mod track;
pub mod units;

#[cfg(test)]
mod tests;

use bytes::BytesMut;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::codec::CodecError;
use crate::frame::{AudioConfig, Frame, Track, VideoConfig};
use packet::{Adaptation, Packets, PesTimes};
use track::{AudioTrack, VideoTrack};

/// Bytes of one transport packet.
pub const PACKET: usize = 188;

const VIDEO_PID: u16 = 0x0100;
const AUDIO_PID: u16 = 0x0101;

/// Added to every time stamp, so that a small negative presentation time stays above zero.
const OFFSET_TICKS: i64 = 126_000;
/// How far the clock reference runs behind decoding: the time a decoder has to take in a large key picture.
const PCR_LEAD_MS: i64 = 700;
/// Clause 2.7.2 allows 100 ms between two clock references.
const PCR_INTERVAL_MS: i64 = 100;
/// A picture this long after the last clock reference carries one itself.
const PCR_IN_PES_MS: i64 = 40;
/// Most clock references written to bridge one pause of the media (30 s of them); behind a longer pause the clock jumps.
const MAX_PCR_FILL: i64 = 300;
/// Most that decoding times are moved ahead for pictures with a negative composition offset; the clock reference must
/// stay behind them.
const MAX_DECODE_SHIFT_MS: i64 = 500;
/// Largest access unit; well above a key picture at the product's limit of 100 MB a slice.
const MAX_FRAME: usize = 128 << 20;

/// Why a frame or a configuration cannot go into a transport stream.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MuxError {
    /// There is neither picture nor sound.
    #[error("a transport stream needs at least one track")]
    NoTrack,
    /// A frame came before the configuration of its track.
    #[error("a {0:?} frame came before the configuration of its track")]
    NoConfig(Track),
    /// The configuration record cannot be read.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// ADTS has no way to say this.
    #[error("ADTS cannot carry AAC with {what} {value}")]
    Adts {
        /// The property.
        what: &'static str,
        /// Its value.
        value: u32,
    },
    /// A NAL unit length runs over the end of the picture.
    #[error("a NAL unit runs over the end of its picture")]
    BadNal,
    /// The frame is larger than its packet form allows.
    #[error("a frame of {size} bytes is more than the {limit} allowed here")]
    FrameTooLarge {
        /// Bytes found.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
}

/// What must be known to go on with a transport stream in another slice, also in another process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Continuity {
    /// Next continuity counter of each PID, 0 to 15.
    pat: u8,
    pmt: u8,
    video: u8,
    audio: u8,
    /// version_number of the PMT last written, 0 to 31, and the stream types it told.
    version: u8,
    video_type: Option<u8>,
    audio_type: Option<u8>,
    /// Milliseconds by which decoding times are written ahead, because a picture had a negative composition offset.
    decode_shift_ms: u16,
    /// Decoding time of the newest picture in milliseconds: its own, and as it was written.
    video_dts_ms: Option<(i64, i64)>,
}

impl Continuity {
    /// Decoding times are written so far ahead that a picture with this offset is not shown before it is decoded.
    fn shift_for(&mut self, cts_ms: i32) {
        let early = (-i64::from(cts_ms)).clamp(0, MAX_DECODE_SHIFT_MS);
        if early > i64::from(self.decode_shift_ms) {
            self.decode_shift_ms = u16::try_from(early).unwrap_or(u16::MAX);
        }
    }
}

/// Whether sound of this configuration has a form in a transport stream: of AAC, ADTS has the object types Main, LC, SSR and LTP, in frames
/// of 1,024 samples, at the rates of its table.
#[must_use]
pub fn can_carry(config: &AudioConfig) -> bool {
    AudioTrack::new(config).is_ok()
}

/// Writes frames as transport packets.
#[derive(Debug)]
pub struct TsMuxer {
    video: Option<VideoTrack>,
    audio: Option<AudioTrack>,
    state: Continuity,
    last_pcr_ms: Option<i64>,
    /// Decoding time last written for a picture of this muxer, in milliseconds.
    last_video_dts_ms: Option<i64>,
    /// A stream type changed since the PMT was written.
    psi_due: bool,
}

impl TsMuxer {
    /// A muxer for the given tracks that goes on where `start` stopped; `Continuity::default()` begins a stream.
    ///
    /// # Errors
    /// When there is no track, or a configuration cannot be used.
    pub fn new(
        video: Option<&VideoConfig>,
        audio: Option<&AudioConfig>,
        start: Continuity,
    ) -> Result<Self, MuxError> {
        if video.is_none() && audio.is_none() {
            return Err(MuxError::NoTrack);
        }
        let mut muxer = Self {
            video: video.map(VideoTrack::new).transpose()?,
            audio: audio.map(AudioTrack::new).transpose()?,
            state: start,
            last_pcr_ms: None,
            last_video_dts_ms: None,
            psi_due: true,
        };
        muxer.note_types();
        Ok(muxer)
    }

    /// The lowest composition offset to come is known: decoding times fit it from the first picture on.
    pub fn expect_offsets_from(&mut self, lowest_cts_ms: i32) {
        self.state.shift_for(lowest_cts_ms);
    }

    /// Begins a slice: PAT and PMT.
    pub fn begin_slice(&mut self, out: &mut BytesMut) {
        write_psi(&mut self.state, out);
        self.psi_due = false;
    }

    /// Takes a new picture configuration; it holds from the next key picture on.
    ///
    /// # Errors
    /// When the record cannot be used; the old one stays.
    pub fn set_video(&mut self, config: &VideoConfig) -> Result<(), MuxError> {
        self.video = Some(VideoTrack::new(config)?);
        self.note_types();
        Ok(())
    }

    /// Takes a new sound configuration; it holds from the next frame on.
    ///
    /// # Errors
    /// When the record cannot be used. There is no sound then: what comes next is none of the old configuration's.
    pub fn set_audio(&mut self, config: &AudioConfig) -> Result<(), MuxError> {
        let (audio, outcome) = match AudioTrack::new(config) {
            Ok(audio) => (Some(audio), Ok(())),
            Err(error) => (None, Err(error)),
        };
        self.audio = audio;
        self.note_types();
        outcome
    }

    /// Appends one frame, and the clock references due before it.
    ///
    /// # Errors
    /// When the frame's track has no configuration or the frame is malformed or too large; then nothing was written.
    pub fn write(&mut self, frame: &Frame, out: &mut BytesMut) -> Result<(), MuxError> {
        if frame.data.len() > MAX_FRAME {
            return Err(MuxError::FrameTooLarge {
                size: frame.data.len(),
                limit: MAX_FRAME,
            });
        }
        let missing = MuxError::NoConfig(frame.track);
        let (pid, unit) = match frame.track {
            Track::Video => (VIDEO_PID, self.video.as_ref().ok_or(missing)?.unit(frame)?),
            Track::Audio => (
                AUDIO_PID,
                self.audio.as_ref().ok_or(missing)?.unit(&frame.data)?,
            ),
        };
        if self.psi_due {
            write_psi(&mut self.state, out);
            self.psi_due = false;
        }
        let carries_clock = pid == pcr_pid(&self.state);
        let pcr_ms = advance_clock(
            &mut self.last_pcr_ms,
            &self.state,
            frame,
            carries_clock,
            out,
        );
        let times = pes_times(&mut self.state, &mut self.last_video_dts_ms, frame);
        let first = Adaptation {
            pcr: pcr_ms.map(pcr_ticks),
            random_access: frame.key || (frame.track == Track::Audio && carries_clock),
        };
        let counter = match frame.track {
            Track::Video => &mut self.state.video,
            Track::Audio => &mut self.state.audio,
        };
        let header = packet::pes_header(frame.track, &times, unit.len());
        let mut packets = Packets::begin(out, pid, counter, header.len() + unit.len(), first);
        packets.put(&header);
        unit.feed(&mut |bytes| packets.put(bytes));
        Ok(())
    }

    /// The state that the muxer of the next slice starts from.
    #[must_use]
    pub fn continuity(&self) -> Continuity {
        self.state
    }

    /// Compares the stream types with those of the last PMT; clause 2.4.4.9 wants another version when they differ.
    fn note_types(&mut self) {
        let video = self.video.as_ref().map(VideoTrack::stream_type);
        let audio = self.audio.as_ref().map(AudioTrack::stream_type);
        if (video, audio) == (self.state.video_type, self.state.audio_type) {
            return;
        }
        let began = self.state.video_type.is_some() || self.state.audio_type.is_some();
        if began {
            self.state.version = (self.state.version + 1) & 0x1F;
        }
        self.state.video_type = video;
        self.state.audio_type = audio;
        self.psi_due = true;
    }
}

fn write_psi(state: &mut Continuity, out: &mut BytesMut) {
    psi::write_pat(&mut state.pat, out);
    let streams = psi::Streams {
        video: state.video_type.map(|kind| (kind, VIDEO_PID)),
        audio: state.audio_type.map(|kind| (kind, AUDIO_PID)),
        pcr_pid: pcr_pid(state),
        version: state.version,
    };
    psi::write_pmt(&mut state.pmt, &streams, out);
}

fn pcr_pid(state: &Continuity) -> u16 {
    if state.video_type.is_some() {
        VIDEO_PID
    } else {
        AUDIO_PID
    }
}

/// Time stamps are modulo 2^33, which divides the range of the wrapping product.
fn ticks(ms: i64) -> u64 {
    let ticks = ms.wrapping_mul(90).wrapping_add(OFFSET_TICKS);
    ticks.cast_unsigned() & 0x1_FFFF_FFFF
}

fn pcr_ticks(ms: i64) -> u64 {
    ticks(ms.wrapping_sub(PCR_LEAD_MS))
}

/// Writes the clock references due before `frame` and answers with the one that the frame itself must carry.
fn advance_clock(
    last: &mut Option<i64>,
    state: &Continuity,
    frame: &Frame,
    carries_clock: bool,
    out: &mut BytesMut,
) -> Option<i64> {
    let now = frame.dts_ms;
    let Some(mut clock) = *last else {
        *last = Some(now);
        if carries_clock {
            return Some(now);
        }
        write_clock(state, now, out);
        return None;
    };
    if now.saturating_sub(clock) > PCR_INTERVAL_MS * MAX_PCR_FILL {
        clock = now - PCR_INTERVAL_MS;
        write_clock(state, clock, out);
    }
    while now.saturating_sub(clock) > PCR_INTERVAL_MS {
        clock += PCR_INTERVAL_MS;
        write_clock(state, clock, out);
    }
    let in_pes = carries_clock && now.saturating_sub(clock) >= PCR_IN_PES_MS;
    *last = Some(if in_pes { now } else { clock });
    in_pes.then_some(now)
}

fn write_clock(state: &Continuity, ms: i64, out: &mut BytesMut) {
    let (pid, counter) = match pcr_pid(state) {
        VIDEO_PID => (VIDEO_PID, state.video),
        other => (other, state.audio),
    };
    packet::write_pcr_only(pid, counter, pcr_ticks(ms), out);
}

/// Presentation and decoding time of a frame.
///
/// A transport stream forbids presentation before decoding. Where a publisher sends that (negative composition
/// offsets), decoding times are written ahead by the most that was announced or seen, from then on and in all later slices.
fn pes_times(state: &mut Continuity, last_dts: &mut Option<i64>, frame: &Frame) -> PesTimes {
    if frame.track == Track::Audio {
        let pts = ticks(frame.dts_ms);
        return PesTimes { pts, dts: pts };
    }
    state.shift_for(frame.cts_ms);
    // The shift may have grown at the edge of a slice. Where a slice begins earlier than the last one ended, its times go back as they are.
    let last_slice = state.video_dts_ms.filter(|(own, _)| *own < frame.dts_ms);
    let before = last_dts.or(last_slice.map(|(_, written)| written));
    let pts_ms = frame.dts_ms.wrapping_add(i64::from(frame.cts_ms));
    let dts_ms = frame
        .dts_ms
        .wrapping_sub(i64::from(state.decode_shift_ms))
        .max(before.unwrap_or(i64::MIN)) // holds still for a moment when the shift has just grown
        .min(pts_ms);
    *last_dts = Some(dts_ms);
    state.video_dts_ms = Some((frame.dts_ms, dts_ms));
    PesTimes {
        pts: ticks(pts_ms),
        dts: ticks(dts_ms),
    }
}
