//! Fragments for HLS and DASH (ISO/IEC 23000-19 on top of ISO/IEC 14496-12 clause 8.8): an init segment, and per slice a
//! movie fragment whose payload follows in arrival order.
//!
//! A CMAF track file holds one track. A recording's slice is one object, as it is with MPEG-TS, so picture and sound share
//! it: one `moof` with a `traf` each, the multiplexed form that HLS allows for fragmented MP4 (RFC 8216 section 3.3).
//! Everything else follows CMAF: `default-base-is-moof`, a `tfdt` in every `traf`, no edit lists. Decoding times count
//! from the recording's zero in all slices, so sound and picture stay together and slices can be played from anywhere.
//!
//! Samples of both tracks alternate in the payload. Each run of one track is a `trun` of its own, so that the payload can
//! be copied from the spool as it lies there.

mod fragment;
#[cfg(test)]
mod tests;

use bytes::{Bytes, BytesMut};
use mp4_atom::{Encode, Trex};
use serde::{Deserialize, Serialize};

use crate::frame::{AudioConfig, SampleInfo, Track, VideoConfig};
pub use crate::mp4::MuxError;
use crate::mp4::{
    AUDIO_TRACK, AudioClock, AudioTiming, Brands, TrackHeader, VIDEO_TICKS_PER_MS, VIDEO_TIMESCALE,
    VIDEO_TRACK, put_audio_entry, put_box, put_brands, put_full_box, put_movie_header, put_stsd,
    put_trak, put_video_entry, shown_size,
};
use fragment::{Sample, TrackRuns};

/// Most samples of one fragment: a slice of 30 seconds has some 2,200.
pub const MAX_FRAGMENT_SAMPLES: usize = 100_000;

/// How long a picture lasts whose successor is not known and that has no predecessor.
const LONE_PICTURE_MS: i64 = 40;

/// Of a header with one track, as CMAF has it.
const CMAF_BRANDS: Brands = Brands {
    major: b"iso6",
    compatible: &[b"iso6", b"cmfc", b"mp41"],
};
/// A header with picture and sound is no CMAF header (ISO/IEC 23000-19 has one track in it), so it does not call itself one.
const BOTH_BRANDS: Brands = Brands {
    major: b"iso6",
    compatible: &[b"iso6", b"mp41"],
};

/// The init segment of a recording: what decoders need before the first fragment.
///
/// # Errors
/// When there is no track or a configuration cannot be used.
pub fn init_segment(
    video: Option<&VideoConfig>,
    audio: Option<&AudioConfig>,
) -> Result<Bytes, MuxError> {
    if video.is_none() && audio.is_none() {
        return Err(MuxError::Empty);
    }
    let mut out = BytesMut::new();
    let has_both = video.is_some() && audio.is_some();
    let brands = if has_both { BOTH_BRANDS } else { CMAF_BRANDS };
    put_brands(&mut out, brands)?;
    put_box(&mut out, b"moov", |out| {
        put_movie_header(out, 0)?;
        if let Some(config) = video {
            let size = shown_size(config);
            let header = track_header(VIDEO_TRACK, Some(size), VIDEO_TIMESCALE);
            put_trak(out, &header, |out| {
                put_stsd(out, 1, |out| put_video_entry(out, config, VIDEO_TRACK))?;
                put_empty_tables(out)
            })?;
        }
        if let Some(config) = audio {
            let timing = AudioTiming::new(config)?;
            let header = track_header(AUDIO_TRACK, None, timing.sample_rate);
            put_trak(out, &header, |out| {
                put_stsd(out, 1, |out| put_audio_entry(out, config, AUDIO_TRACK))?;
                put_empty_tables(out)
            })?;
        }
        put_box(out, b"mvex", |out| {
            let tracks = [video.map(|_| VIDEO_TRACK), audio.map(|_| AUDIO_TRACK)];
            for track_id in tracks.into_iter().flatten() {
                let defaults = Trex {
                    track_id,
                    default_sample_description_index: 1,
                    ..Trex::default()
                };
                defaults.encode(out)?;
            }
            Ok(())
        })
    })?;
    Ok(out.freeze())
}

fn track_header(id: u32, picture: Option<(u32, u32)>, timescale: u32) -> TrackHeader {
    TrackHeader {
        id,
        picture,
        timescale,
        media_duration: 0,
        edit: None,
    }
}

/// The tables that must be there although fragments hold all samples.
fn put_empty_tables(out: &mut BytesMut) -> Result<(), MuxError> {
    let no_entries = |out: &mut BytesMut| {
        out.extend_from_slice(&[0; 4]);
        Ok(())
    };
    put_full_box(out, b"stts", 0, 0, no_entries)?;
    put_full_box(out, b"stsc", 0, 0, no_entries)?;
    put_full_box(out, b"stsz", 0, 0, |out| {
        out.extend_from_slice(&[0; 8]);
        Ok(())
    })?;
    put_full_box(out, b"stco", 0, 0, no_entries)
}

/// What must be known to go on with fragments in another slice, also in another process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Position {
    /// Fragments written.
    sequence: u32,
    /// Where the next sound frame begins if it follows without a gap, and in which time scale.
    next_audio: Option<u64>,
    audio_timescale: u32,
}

impl Position {
    /// Where sound does not go on from what was written.
    #[must_use]
    pub fn afresh(self) -> Self {
        Self {
            next_audio: None,
            ..self
        }
    }
}

/// Writes what stands before the payload of each fragment.
#[derive(Debug)]
pub struct Fragmenter {
    has_video: bool,
    audio: Option<AudioTiming>,
    position: Position,
}

impl Fragmenter {
    /// A fragmenter that goes on where `start` stopped; `Position::default()` begins a recording. A changed configuration
    /// needs a new init segment and a new fragmenter with the [`Fragmenter::position`] of the old one.
    ///
    /// # Errors
    /// When there is no track or the sound configuration cannot be used.
    pub fn new(
        video: Option<&VideoConfig>,
        audio: Option<&AudioConfig>,
        start: Position,
    ) -> Result<Self, MuxError> {
        if video.is_none() && audio.is_none() {
            return Err(MuxError::Empty);
        }
        let audio = audio.map(AudioTiming::new).transpose()?;
        let mut position = start;
        if let Some(timing) = audio
            && timing.sample_rate != position.audio_timescale
        {
            position.audio_timescale = timing.sample_rate;
            position.next_audio = None;
        }
        Ok(Self {
            has_video: video.is_some(),
            audio,
            position,
        })
    }

    /// `moof` and the header of `mdat` for `samples`, whose payloads follow in this order. `next_picture_ms` is the decoding
    /// time of the first picture of the next fragment, if there is one: the last picture lasts until then. One that does not lie
    /// behind the last picture tells nothing.
    ///
    /// # Errors
    /// When there is no sample or too many, a track has no configuration, times go back or before 0, or a value does not
    /// fit; the position stays as it was.
    pub fn fragment(
        &mut self,
        samples: &[SampleInfo],
        next_picture_ms: Option<i64>,
    ) -> Result<Bytes, MuxError> {
        if samples.is_empty() {
            return Err(MuxError::Empty);
        }
        if samples.len() > MAX_FRAGMENT_SAMPLES {
            return Err(MuxError::TooMany {
                what: "samples in a fragment",
                limit: MAX_FRAGMENT_SAMPLES as u64,
            });
        }
        self.check(samples)?;
        let mut position = self.position;
        position.sequence = position.sequence.wrapping_add(1).max(1);
        let video = video_samples(samples, next_picture_ms)?;
        let (audio, next_audio) = match self.audio {
            Some(timing) => audio_samples(samples, timing, position.next_audio)?,
            None => (Vec::new(), None),
        };
        position.next_audio = next_audio;
        let tracks = [
            TrackRuns::new(VIDEO_TRACK, &video),
            TrackRuns::new(AUDIO_TRACK, &audio),
        ];
        let head = fragment::head(position.sequence, &tracks, samples)?;
        self.position = position;
        Ok(head)
    }

    /// The position that the fragmenter of the next slice starts from.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    fn check(&self, samples: &[SampleInfo]) -> Result<(), MuxError> {
        let (mut video_ms, mut audio_ms) = (0, 0);
        for sample in samples {
            let (known, last_ms) = match sample.track {
                Track::Video => (self.has_video, &mut video_ms),
                Track::Audio => (self.audio.is_some(), &mut audio_ms),
            };
            if !known {
                return Err(MuxError::NoConfig(sample.track));
            }
            if sample.dts_ms < 0 {
                return Err(MuxError::Time(sample.dts_ms));
            }
            if sample.dts_ms < *last_ms {
                return Err(MuxError::OutOfOrder {
                    track: sample.track,
                    dts_ms: sample.dts_ms,
                    last_ms: *last_ms,
                });
            }
            *last_ms = sample.dts_ms;
        }
        Ok(())
    }
}

fn video_samples(
    samples: &[SampleInfo],
    next_picture_ms: Option<i64>,
) -> Result<Vec<Sample>, MuxError> {
    let pictures = || samples.iter().filter(|sample| sample.track == Track::Video);
    let mut nexts = pictures().skip(1).map(|sample| sample.dts_ms);
    let mut step_ms = LONE_PICTURE_MS;
    let mut list = Vec::new();
    for picture in pictures() {
        let next_ms = nexts
            .next()
            .or_else(|| next_picture_ms.filter(|next| *next > picture.dts_ms));
        // Without a successor a picture lasts as long as the one before it.
        step_ms = next_ms.map_or(step_ms, |next| next.saturating_sub(picture.dts_ms));
        list.push(Sample {
            begin: picture
                .dts_ms
                .checked_mul(VIDEO_TICKS_PER_MS)
                .and_then(|ticks| u64::try_from(ticks).ok())
                .ok_or(MuxError::Time(picture.dts_ms))?,
            duration: step_ms
                .checked_mul(VIDEO_TICKS_PER_MS)
                .and_then(|ticks| u32::try_from(ticks).ok())
                .ok_or(MuxError::Time(step_ms))?,
            offset: i64::from(picture.cts_ms)
                .checked_mul(VIDEO_TICKS_PER_MS)
                .and_then(|ticks| i32::try_from(ticks).ok())
                .ok_or(MuxError::Time(picture.cts_ms.into()))?,
            sync: picture.key,
            size: picture.size,
        });
    }
    Ok(list)
}

/// The frames, and where the next one begins.
fn audio_samples(
    samples: &[SampleInfo],
    timing: AudioTiming,
    next: Option<u64>,
) -> Result<(Vec<Sample>, Option<u64>), MuxError> {
    let mut clock = AudioClock::new(timing.sample_rate, next);
    let mut list: Vec<Sample> = Vec::new();
    let span = |from: u64, to: u64| {
        let ticks = to.saturating_sub(from);
        let ms = i64::try_from(ticks / u64::from(timing.sample_rate)).unwrap_or(i64::MAX);
        u32::try_from(ticks).map_err(|_| MuxError::Time(ms.saturating_mul(1000)))
    };
    for frame in samples.iter().filter(|sample| sample.track == Track::Audio) {
        let begin = clock.place(u64::try_from(frame.dts_ms).unwrap_or(0), timing);
        if let Some(before) = list.last_mut() {
            before.duration = span(before.begin, begin)?;
        }
        list.push(Sample {
            begin,
            duration: 0,
            offset: 0,
            sync: true,
            size: frame.size,
        });
    }
    if let (Some(last), Some(end)) = (list.last_mut(), clock.next()) {
        last.duration = span(last.begin, end)?;
    }
    Ok((list, clock.next()))
}
