//! From the PES packets of a sound stream to frames: AAC in ADTS (ISO/IEC 14496-3 clause 1.A.3.2), and MP3.

use bytes::{Buf, Bytes, BytesMut};

use super::{Found, ms};
use crate::codec::{aac, mp3};
use crate::frame::{AudioCodec, AudioConfig, Frame, Track};

/// Bytes of a frame that is not whole yet; the longest of either codec is 8 KiB.
const MOST_HELD: usize = 16 * 1024;
const TICKS_A_SECOND: i64 = 90_000;

/// Reads one sound stream.
#[derive(Debug)]
pub(super) struct Sound {
    codec: AudioCodec,
    held: BytesMut,
    /// When what is held begins, in ticks of 90 kHz.
    held_at: i64,
    told: Option<AudioConfig>,
}

/// A frame's place in what is held.
struct Place {
    /// Bytes before the payload, and the whole.
    header: usize,
    length: usize,
    samples: u32,
    config: AudioConfig,
}

impl Sound {
    pub fn new(stream_type: u8) -> Self {
        Self {
            codec: if stream_type == 0x0F {
                AudioCodec::Aac
            } else {
                AudioCodec::Mp3
            },
            held: BytesMut::new(),
            held_at: 0,
            told: None,
        }
    }

    /// Reads one PES packet; its time stamp is that of the first frame that begins in it.
    pub fn unit(&mut self, payload: &Bytes, at: i64, sink: &mut impl FnMut(Found)) {
        let rest = self.held.len();
        if rest == 0 {
            self.held_at = at;
        }
        self.held.extend_from_slice(payload);
        // Bytes of `held` that lie before this packet; the first frame behind them begins at `at`.
        let mut before = rest;
        loop {
            let Some(place) = self.place() else {
                // Not a frame, or not whole yet.
                if self.held.len() > MOST_HELD {
                    self.held.clear();
                }
                return;
            };
            if place.length > self.held.len() {
                return;
            }
            let mut frame = self.held.split_to(place.length);
            frame.advance(place.header);
            let config = place.config;
            if self.told.as_ref() != Some(&config) {
                self.told = Some(config.clone());
                sink(Found::Audio(config.clone()));
            }
            sink(Found::Frame(Frame {
                track: Track::Audio,
                dts_ms: ms(self.held_at),
                cts_ms: 0,
                key: false,
                data: frame.freeze(),
            }));
            let rate = i64::from(config.sample_rate.max(1));
            let whole = place.length;
            self.held_at += i64::from(place.samples) * TICKS_A_SECOND / rate;
            if before > 0 {
                before = before.saturating_sub(whole);
                if before == 0 {
                    self.held_at = at;
                }
            }
        }
    }

    /// The frame at the beginning of what is held, after passing over what is none.
    fn place(&mut self) -> Option<Place> {
        loop {
            let read = match self.codec {
                AudioCodec::Aac => adts(&self.held),
                AudioCodec::Mp3 => layer_3(&self.held),
            };
            match read {
                Read::Frame(place) => return Some(place),
                Read::More => return None,
                Read::Other => self.held.advance(1.min(self.held.len())),
            }
        }
    }
}

enum Read {
    Frame(Place),
    /// Too little is there to tell.
    More,
    Other,
}

fn adts(bytes: &[u8]) -> Read {
    let Some([a, b, c, d, e, f, _]) = bytes.first_chunk::<7>() else {
        return Read::More;
    };
    if *a != 0xFF || b & 0xF6 != 0xF0 {
        return Read::Other;
    }
    let header = if b & 1 == 0 { 9 } else { 7 };
    let length = usize::from(d & 3) << 11 | usize::from(*e) << 3 | usize::from(f >> 5);
    // Object type, frequency index and channels as an AudioSpecificConfig has them.
    let (object_type, frequency) = (((c >> 6) & 3) + 1, c >> 2 & 15);
    let channels = (c & 1) << 2 | d >> 6;
    let record = [
        object_type << 3 | frequency >> 1,
        frequency << 7 | channels << 3,
    ];
    let Ok(asc) = aac::parse_asc(&record) else {
        return Read::Other;
    };
    if length < header {
        return Read::Other;
    }
    Read::Frame(Place {
        header,
        length,
        samples: asc.frame_samples,
        config: AudioConfig {
            codec: AudioCodec::Aac,
            record: Bytes::copy_from_slice(&record),
            sample_rate: asc.sample_rate,
            channels: asc.channels,
        },
    })
}

fn layer_3(bytes: &[u8]) -> Read {
    if bytes.len() < 4 {
        return Read::More;
    }
    let Ok(header) = mp3::parse_header(bytes) else {
        return Read::Other;
    };
    Read::Frame(Place {
        header: 0,
        length: usize::try_from(header.frame_bytes)
            .unwrap_or(usize::MAX)
            .max(4),
        samples: header.samples,
        config: AudioConfig {
            codec: AudioCodec::Mp3,
            record: Bytes::new(),
            sample_rate: header.sample_rate,
            channels: header.channels,
        },
    })
}
