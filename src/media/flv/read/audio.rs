//! Audio tag bodies: AAC and MP3, legacy (annex E.4.2) and extended headers.

use bytes::{Buf, Bytes};

use super::extended::{self, Forms, OtherTracks, Share};
use super::{Item, TagError, UnsupportedNotice, fourcc_name, own_record};
use crate::codec::{aac, mp3};
use crate::frame::{AudioCodec, AudioConfig, Track};

const TRACK: Track = Track::Audio;

/// AudioPacketType of extended headers.
mod packet {
    pub(super) const SEQUENCE_START: u8 = 0;
    pub(super) const CODED_FRAMES: u8 = 1;
    pub(super) const SEQUENCE_END: u8 = 2;
}

const FORMS: Forms = Forms {
    multitrack: 5,
    mod_ex: 7,
};

#[derive(Debug, Default)]
pub(super) struct AudioReader {
    config: Option<AudioConfig>,
    unsupported: UnsupportedNotice,
    others: OtherTracks,
}

impl AudioReader {
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
        if first >> 4 != 9 {
            self.others.see_default();
        }
        match first >> 4 {
            9 => self.read_extended(first & 0x0F, timestamp, body, sink),
            10 => {
                let packet_type = body.try_get_u8().map_err(|_| TagError::Truncated(TRACK))?;
                match packet_type {
                    0 => self.aac_config(&body, sink),
                    1 => self.aac_frame(timestamp, body, sink),
                    _ => Ok(()),
                }
            }
            2 | 14 => self.mp3_frames(timestamp, body, sink),
            format => {
                self.unsupported.say(TRACK, format_name(format), sink);
                Ok(())
            }
        }
    }

    fn read_extended(
        &mut self,
        packet_type: u8,
        timestamp: u32,
        mut body: Bytes,
        sink: &mut impl FnMut(Item),
    ) -> Result<(), TagError> {
        let packet_type = extended::skip_mod_ex(FORMS, TRACK, packet_type, &mut body)?;
        extended::shares(FORMS, TRACK, packet_type, body, &mut |share| {
            if share.number == 0 {
                self.others.see_default();
                return self.read_share(timestamp, share, sink);
            }
            let name = || extended_name(share.fourcc);
            if self.others.say(TRACK, share.number, name, timestamp, sink) {
                let form = "sound that is in no default track (number 0)";
                self.unsupported.say(TRACK, form, sink);
            }
            Ok(())
        })
    }

    /// What is for the default track.
    fn read_share(
        &mut self,
        timestamp: u32,
        share: Share,
        sink: &mut impl FnMut(Item),
    ) -> Result<(), TagError> {
        let Share {
            packet_type,
            fourcc,
            body,
            ..
        } = share;
        match (&fourcc, packet_type) {
            (b"mp4a", packet::SEQUENCE_START) => self.aac_config(&body, sink),
            (b"mp4a", packet::CODED_FRAMES) => self.aac_frame(timestamp, body, sink),
            (b".mp3", packet::CODED_FRAMES) => self.mp3_frames(timestamp, body, sink),
            (b"mp4a" | b".mp3", packet::SEQUENCE_END) => {
                sink(Item::End { track: TRACK });
                Ok(())
            }
            // Speaker layouts and packet types to come say nothing of the frames.
            (b"mp4a" | b".mp3", _) => Ok(()),
            _ => {
                self.unsupported.say(TRACK, &extended_name(fourcc), sink);
                Ok(())
            }
        }
    }

    fn aac_config(&mut self, record: &[u8], sink: &mut impl FnMut(Item)) -> Result<(), TagError> {
        let asc = aac::parse_asc(record).map_err(codec_error)?;
        let record = own_record(record).map_err(codec_error)?;
        self.set_config(
            AudioConfig {
                codec: AudioCodec::Aac,
                record,
                sample_rate: asc.sample_rate,
                channels: asc.channels,
            },
            sink,
        );
        Ok(())
    }

    fn aac_frame(
        &mut self,
        timestamp: u32,
        data: Bytes,
        sink: &mut impl FnMut(Item),
    ) -> Result<(), TagError> {
        if data.is_empty() {
            return Ok(());
        }
        if self.codec() != Some(AudioCodec::Aac) {
            return Err(TagError::NoConfig(TRACK));
        }
        sink(Item::Audio { timestamp, data });
        Ok(())
    }

    /// A tag may hold several frames; each is handed on by itself.
    fn mp3_frames(
        &mut self,
        timestamp: u32,
        mut body: Bytes,
        sink: &mut impl FnMut(Item),
    ) -> Result<(), TagError> {
        let mut samples = 0_u64;
        while !body.is_empty() {
            let header = mp3::parse_header(&body).map_err(codec_error)?;
            let size = usize::try_from(header.frame_bytes).unwrap_or(usize::MAX);
            if size > body.len() {
                return Err(TagError::Mp3Frame {
                    needed: header.frame_bytes,
                    left: body.len(),
                });
            }
            self.set_config(
                AudioConfig {
                    codec: AudioCodec::Mp3,
                    record: Bytes::new(),
                    sample_rate: header.sample_rate,
                    channels: header.channels,
                },
                sink,
            );
            let offset_ms = samples * 1000 / u64::from(header.sample_rate);
            sink(Item::Audio {
                timestamp: timestamp.wrapping_add(u32::try_from(offset_ms).unwrap_or_default()),
                data: body.split_to(size),
            });
            samples += u64::from(header.samples);
        }
        Ok(())
    }

    fn codec(&self) -> Option<AudioCodec> {
        self.config.as_ref().map(|config| config.codec)
    }

    fn set_config(&mut self, config: AudioConfig, sink: &mut impl FnMut(Item)) {
        self.unsupported.clear();
        if self.config.as_ref() != Some(&config) {
            self.config = Some(config.clone());
            sink(Item::AudioConfig(config));
        }
    }
}

fn codec_error(source: crate::codec::CodecError) -> TagError {
    TagError::Codec {
        track: TRACK,
        source,
    }
}

fn extended_name(fourcc: [u8; 4]) -> String {
    match &fourcc {
        b"mp4a" => "AAC".to_owned(),
        b".mp3" => "MP3".to_owned(),
        b"Opus" => "Opus".to_owned(),
        b"fLaC" => "FLAC".to_owned(),
        b"ac-3" => "AC-3".to_owned(),
        b"ec-3" => "E-AC-3".to_owned(),
        _ => fourcc_name(fourcc),
    }
}

/// SoundFormat (annex E.4.2.1) of what is not recorded.
fn format_name(format: u8) -> &'static str {
    match format {
        0 | 3 => "Linear PCM",
        1 => "ADPCM",
        4..=6 => "Nellymoser",
        7 => "G.711 A-law",
        8 => "G.711 mu-law",
        11 => "Speex",
        // Not in the standard, but what publishers use for Opus beside H.265 as video codec 12.
        13 => "Opus",
        15 => "device-specific sound",
        _ => "unknown sound format",
    }
}
