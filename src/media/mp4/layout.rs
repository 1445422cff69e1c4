//! Sees all samples of a file and writes what stands before them.

use bytes::{BufMut, Bytes, BytesMut};

use super::entry::check_video;
use super::header::Edit;
use super::log::{LoggedSample, SampleLog};
use super::plan::Plan;
use super::tables::{
    Chunk, OffsetSize, OffsetTable, put_ctts, put_offsets, put_stsc, put_stss, put_stsz, put_stts,
};
use super::{
    AUDIO_TRACK, AudioClock, AudioTiming, Brands, MAX_SAMPLES, MuxError, TrackHeader,
    VIDEO_TICKS_PER_MS, VIDEO_TIMESCALE, VIDEO_TRACK, put_audio_entry, put_box, put_brands,
    put_movie_header, put_stsd, put_trak, put_video_entry, shown_size,
};
use crate::frame::{AudioConfig, SampleInfo, Track, VideoConfig};

/// How long a picture lasts whose successor is not known and that has no predecessor.
const LONE_PICTURE_MS: i64 = 40;
/// From this many payload bytes on the head is filled up to whole blocks of a file system, so that it can be put in front of payload
/// that is written already.
pub(super) const LONG_BYTES: u64 = 32 << 20;
/// A block of the usual file systems.
pub const HEAD_BLOCK: usize = 4096;
/// Longest chunk, so that a file of one track is still read in small pieces.
const CHUNK_MS: i64 = 1_000;

const BRANDS: Brands = Brands {
    major: b"isom",
    compatible: &[b"isom", b"iso2", b"mp41"],
};
/// Composition offsets with a sign are for readers of `iso4` (ISO/IEC 14496-12 annex E).
const SIGNED_BRANDS: Brands = Brands {
    major: b"isom",
    compatible: &[b"isom", b"iso2", b"iso4", b"mp41"],
};

/// The index of an MP4 file in the making.
#[derive(Debug, Default)]
pub struct Layout {
    log: SampleLog,
    video: Plan<VideoConfig>,
    audio: Plan<(AudioConfig, AudioTiming)>,
    payload_bytes: u64,
}

impl Layout {
    /// An empty layout.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a picture configuration; it holds from the next picture on.
    ///
    /// # Errors
    /// When the record cannot be read, or there are too many.
    pub fn video_config(&mut self, config: VideoConfig) -> Result<(), MuxError> {
        check_video(&config)?;
        self.video.switch(config)
    }

    /// Takes a sound configuration; it holds from the next frame on.
    ///
    /// # Errors
    /// When the record cannot be read, or there are too many.
    pub fn audio_config(&mut self, config: AudioConfig) -> Result<(), MuxError> {
        let timing = AudioTiming::new(&config)?;
        self.audio.switch((config, timing))
    }

    /// Takes the next sample. Payloads must follow the head in the order of these calls.
    ///
    /// # Errors
    /// When the track has no configuration, its time goes back or jumps too far, or there are too many samples; the
    /// sample is not taken then.
    pub fn push(&mut self, sample: SampleInfo) -> Result<(), MuxError> {
        if self.video.samples + self.audio.samples >= MAX_SAMPLES {
            return Err(MuxError::TooMany {
                what: "samples in one file",
                limit: MAX_SAMPLES.into(),
            });
        }
        match sample.track {
            Track::Video => self.video.note(sample)?,
            Track::Audio => self.audio.note(SampleInfo {
                cts_ms: 0,
                ..sample
            })?,
        }
        self.log.push(sample);
        self.payload_bytes += u64::from(sample.size);
        Ok(())
    }

    /// Payload bytes of all samples.
    #[must_use]
    pub fn payload_bytes(&self) -> u64 {
        self.payload_bytes
    }

    /// Bytes of the whole file. Lays out the head, so a caller that writes the head anyway better adds its length.
    ///
    /// # Errors
    /// As [`Layout::head`].
    pub fn total_size(&self) -> Result<u64, MuxError> {
        Ok(self.head()?.len() as u64 + self.payload_bytes)
    }

    /// Everything that stands before the payloads: file type, index and the header of the media data box.
    ///
    /// # Errors
    /// When there is no sample, or a box cannot be written.
    pub fn head(&self) -> Result<Bytes, MuxError> {
        if self.video.samples + self.audio.samples == 0 {
            return Err(MuxError::Empty);
        }
        let limit = u64::from(u32::MAX);
        if self.payload_bytes <= limit {
            let narrow = self.render(OffsetSize::Narrow)?;
            if narrow.len() as u64 + self.payload_bytes <= limit {
                return Ok(narrow);
            }
        }
        self.render(OffsetSize::Wide)
    }

    fn render(&self, size: OffsetSize) -> Result<Bytes, MuxError> {
        let mut out = BytesMut::new();
        let signed = self.has_signed_offsets();
        put_brands(&mut out, if signed { SIGNED_BRANDS } else { BRANDS })?;
        let video = (self.video.samples > 0).then(|| self.video_header());
        let audio = (self.audio.samples > 0).then(|| self.audio_header());
        let longest = [&video, &audio]
            .into_iter()
            .flatten()
            .map(TrackHeader::movie_ms)
            .max();
        let mut offsets = Vec::with_capacity(2);
        put_box(&mut out, b"moov", |out| {
            put_movie_header(out, longest.unwrap_or(0))?;
            if let Some(header) = &video {
                put_trak(out, header, |out| {
                    offsets.push(self.put_video_tables(out, size)?);
                    Ok(())
                })?;
            }
            if let Some(header) = &audio {
                put_trak(out, header, |out| {
                    offsets.push(self.put_audio_tables(out, size)?);
                    Ok(())
                })?;
            }
            Ok(())
        })?;
        let mdat = mdat_header(self.payload_bytes);
        if self.payload_bytes >= LONG_BYTES {
            put_free(&mut out, mdat.len())?;
        }
        out.put_slice(&mdat);
        let before = out.len() as u64;
        for table in offsets {
            table.shift(&mut out, size, before);
        }
        Ok(out.freeze())
    }

    /// The movie begins where the first of the tracks is presented; the other one is delayed by an empty edit.
    fn origin_ms(&self) -> i64 {
        let video = (self.video.samples > 0).then_some(self.video.first_pts_ms);
        let audio = (self.audio.samples > 0).then_some(self.audio.first_pts_ms);
        video.into_iter().chain(audio).min().unwrap_or(0)
    }

    fn edit(&self, start_ms: i64, media_time: u64) -> Option<Edit> {
        let delay_ms = u64::try_from(start_ms - self.origin_ms()).unwrap_or(0);
        (delay_ms > 0 || media_time > 0).then_some(Edit {
            delay_ms,
            media_time,
        })
    }

    fn video_header(&self) -> TrackHeader {
        let plan = &self.video;
        let length_ms = plan.last_dts_ms - plan.first_dts_ms + self.last_picture_ms();
        let lead_ms = plan.first_pts_ms - plan.first_dts_ms + self.cts_shift_ms();
        let first = plan.first_config();
        TrackHeader {
            id: VIDEO_TRACK,
            picture: Some(first.map_or((0, 0), shown_size)),
            timescale: VIDEO_TIMESCALE,
            media_duration: video_ticks(length_ms),
            edit: self.edit(plan.first_pts_ms, video_ticks(lead_ms)),
        }
    }

    fn audio_header(&self) -> TrackHeader {
        TrackHeader {
            id: AUDIO_TRACK,
            picture: None,
            timescale: self.audio_timescale(),
            media_duration: self.audio_durations().map(u64::from).sum(),
            edit: self.edit(self.audio.first_pts_ms, 0),
        }
    }

    /// A picture presented before the first one decoded would need a negative media time: all are moved up instead.
    fn cts_shift_ms(&self) -> i64 {
        (self.video.first_dts_ms - self.video.first_pts_ms).max(0)
    }

    /// A picture is presented before it is decoded, even when all are moved up.
    fn has_signed_offsets(&self) -> bool {
        let (least, _) = self.video.cts_range_ms;
        i64::from(least) + self.cts_shift_ms() < 0
    }

    fn last_picture_ms(&self) -> i64 {
        self.video.last_step_ms.unwrap_or(LONE_PICTURE_MS)
    }

    fn put_video_tables(
        &self,
        out: &mut BytesMut,
        size: OffsetSize,
    ) -> Result<OffsetTable, MuxError> {
        let plan = &self.video;
        put_stsd(out, plan.configs.len(), |out| {
            plan.configs
                .iter()
                .try_for_each(|config| put_video_entry(out, config, VIDEO_TRACK))
        })?;
        let times = self.samples(Track::Video).map(|sample| sample.info.dts_ms);
        let steps = times
            .clone()
            .zip(times.skip(1))
            .map(|(now, next)| next - now);
        let steps = steps.chain([self.last_picture_ms()]);
        put_stts(out, steps.map(|step| narrow(video_ticks(step))))?;
        let shift_ms = self.cts_shift_ms();
        if plan.cts_range_ms != (0, 0) || shift_ms > 0 {
            let offsets = self.samples(Track::Video).map(|sample| {
                let ticks = (i64::from(sample.info.cts_ms) + shift_ms) * VIDEO_TICKS_PER_MS;
                i32::try_from(ticks).unwrap_or(i32::MAX)
            });
            put_ctts(out, self.has_signed_offsets(), offsets)?;
        }
        if plan.keys < plan.samples {
            put_stss(
                out,
                self.samples(Track::Video).map(|sample| sample.info.key),
            )?;
        }
        self.put_places(out, size, Track::Video, plan)
    }

    fn put_audio_tables(
        &self,
        out: &mut BytesMut,
        size: OffsetSize,
    ) -> Result<OffsetTable, MuxError> {
        let plan = &self.audio;
        put_stsd(out, plan.configs.len(), |out| {
            plan.configs
                .iter()
                .try_for_each(|(config, _)| put_audio_entry(out, config, AUDIO_TRACK))
        })?;
        put_stts(out, self.audio_durations())?;
        self.put_places(out, size, Track::Audio, plan)
    }

    /// Chunks, sizes and offsets.
    fn put_places<C: PartialEq>(
        &self,
        out: &mut BytesMut,
        size: OffsetSize,
        track: Track,
        plan: &Plan<C>,
    ) -> Result<OffsetTable, MuxError> {
        put_stsc(out, self.chunks(track, plan.config_indexes()))?;
        let sizes = self.samples(track).map(|sample| sample.info.size);
        put_stsz(out, plan.samples, plan.constant_size, sizes)?;
        put_offsets(out, size, self.chunks(track, plan.config_indexes()))
    }

    fn samples(&self, track: Track) -> impl Iterator<Item = LoggedSample> + Clone {
        self.log
            .iter()
            .filter(move |sample| sample.info.track == track)
    }

    /// The time scale is the first configuration's sample rate; a later one of another rate is counted in it.
    fn audio_timescale(&self) -> u32 {
        let first = self.audio.first_config();
        first.map_or(1, |(_, timing)| timing.sample_rate)
    }

    fn audio_durations(&self) -> impl Iterator<Item = u32> {
        let first_ms = self.audio.first_dts_ms;
        let mut clock = AudioClock::new(self.audio_timescale(), None);
        let timings = self.audio.config_indexes();
        let timings = timings.filter_map(|index| self.audio.configs.get(index));
        let mut samples = self.samples(Track::Audio).zip(timings);
        let mut before: Option<u64> = None;
        std::iter::from_fn(move || {
            loop {
                let Some((sample, (_, timing))) = samples.next() else {
                    // The last frame lasts until a next one could begin.
                    let (begin, end) = (before.take()?, clock.next()?);
                    return Some(narrow(end.saturating_sub(begin)));
                };
                let ms = u64::try_from(sample.info.dts_ms - first_ms).unwrap_or(0);
                let at = clock.place(ms, *timing);
                if let Some(begin) = before.replace(at) {
                    return Some(narrow(at - begin));
                }
            }
        })
    }

    /// Runs of the track's samples that nothing of the other track interrupts, cut at [`CHUNK_MS`].
    fn chunks(
        &self,
        track: Track,
        mut config_indexes: impl Iterator<Item = usize>,
    ) -> impl Iterator<Item = Chunk> {
        let mut samples = self.log.iter();
        let mut open: Option<(Chunk, i64)> = None;
        std::iter::from_fn(move || {
            for sample in samples.by_ref() {
                if sample.info.track != track {
                    if let Some((done, _)) = open.take() {
                        return Some(done);
                    }
                    continue;
                }
                let index = config_indexes.next().unwrap_or(0);
                let description = u32::try_from(index + 1).unwrap_or(1);
                match &mut open {
                    Some((chunk, from_ms))
                        if chunk.description == description
                            && sample.info.dts_ms - *from_ms < CHUNK_MS =>
                    {
                        chunk.samples += 1;
                    }
                    _ => {
                        let chunk = Chunk {
                            position: sample.position,
                            samples: 1,
                            description,
                        };
                        if let Some((done, _)) = open.replace((chunk, sample.info.dts_ms)) {
                            return Some(done);
                        }
                    }
                }
            }
            open.take().map(|(done, _)| done)
        })
    }
}

/// Steps and leads are checked to be small enough when they come.
fn video_ticks(ms: i64) -> u64 {
    u64::try_from(ms.saturating_mul(VIDEO_TICKS_PER_MS)).unwrap_or(0)
}

fn narrow(ticks: u64) -> u32 {
    u32::try_from(ticks).unwrap_or(u32::MAX)
}

/// Space (clause 8.1.2) up to where `behind` more bytes end a block.
fn put_free(out: &mut BytesMut, behind: usize) -> Result<(), MuxError> {
    const BOX_HEADER: usize = 8;
    let least = out.len() + BOX_HEADER + behind;
    let space = least.next_multiple_of(HEAD_BLOCK) - least;
    put_box(out, b"free", |out| {
        out.put_bytes(0, space);
        Ok(())
    })
}

/// The header of the media data box; sizes beyond 32 bits take the long form (clause 4.2).
fn mdat_header(payload: u64) -> BytesMut {
    let mut out = BytesMut::new();
    match u32::try_from(payload.saturating_add(8)) {
        Ok(size) => {
            out.put_u32(size);
            out.put_slice(b"mdat");
        }
        Err(_) => {
            out.put_u32(1);
            out.put_slice(b"mdat");
            out.put_u64(payload.saturating_add(16));
        }
    }
    out
}
