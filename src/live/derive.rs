//! From spool ranges to files: TS slices, CMAF fragments, MP4 and FLV, by the same code live and after a crash.
//!
//! Two passes where a container wants its index in front: the first reads the records' heads into a layout, the second copies payloads.
//! Work runs on blocking threads, a few at a time; files appear in the session's folder and are handed to the object store from there.

mod cmaf;
mod container;
pub mod disk_full;
pub mod long_mp4;
pub mod output;
pub mod playlist;

use std::io;
use std::path::{Path, PathBuf};

use bytes::BufMut;
use tokio::sync::Semaphore;

use crate::live::decide::segmenter::{File, Output as Decided, Slice, Span};
use crate::live::derive::output::Output;
use crate::live::spool::read::{Listed, ReadError, SpoolReader};
use crate::live::spool::record::Record;
use crate::live::spool::{Position, read};
use crate::media::codec::sets::Sets;
use crate::media::flv;
use crate::media::frame::{AudioConfig, Frame, SampleInfo, Track, VideoConfig};
use crate::media::mp4;
use crate::media::mpegts::{Continuity, MuxError, PACKET, TsMuxer};
use crate::model::rule::Format;

/// Slices are at least this long.
const SHORTEST_SLICE: u64 = 64 * PACKET as u64;
/// Muxing jobs at a time: they are bound by memory bandwidth and disk, and must leave room for ingest.
static SLOTS: Semaphore = Semaphore::const_new(2);

/// Why a file could not be made.
///
/// # What to do
/// The worker decides by `From<DeriveError> for Trouble`: an error of the disk is tried again, for ever where it may pass and some times
/// where that is doubtful. Any other stays what it is, since the spool does not change: the output is given up, and the log says so.
#[derive(Debug, thiserror::Error)]
pub enum DeriveError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("the spool cannot be read: {0}")]
    Spool(ReadError),
    #[error("the media cannot be muxed: {0}")]
    Ts(#[from] MuxError),
    #[error("the media cannot be muxed: {0}")]
    Mp4(#[from] mp4::MuxError),
    #[error("the media cannot be muxed: {0}")]
    Flv(#[from] flv::write::MuxError),
    #[error("the range holds no media")]
    Empty,
}

impl From<ReadError> for DeriveError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Io(error) => Self::Io(error),
            other => Self::Spool(other),
        }
    }
}

/// A file that was made.
pub struct Made {
    pub path: PathBuf,
    pub size: u64,
    pub crc64: u64,
    pub width: i32,
    pub height: i32,
    pub carry: Carry,
}

/// What a slice hands to the one after it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Carry {
    pub ts: Continuity,
    pub cmaf: crate::media::cmaf::Position,
    /// The file that it comes from: fragments of another one need not go on where this one's stopped.
    pub file: u64,
}

impl Made {
    /// A whole file of MP4 or FLV.
    pub(super) fn file(path: PathBuf, size: u64, crc64: u64, pixels: (i32, i32)) -> Self {
        Self {
            path,
            size,
            crc64,
            width: pixels.0,
            height: pixels.1,
            carry: Carry::default(),
        }
    }

    pub fn remove(&self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DeriveError> + Send + 'static,
) -> Result<T, DeriveError> {
    let _slot = SLOTS
        .acquire()
        .await
        .map_err(|e| io::Error::other(e.to_string()))?;
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| io::Error::other(e.to_string()))?
}

/// A slice or file of a spool that a full disk cut short, with the length that it really has.
pub async fn shortened(folder: PathBuf, mut output: Decided) -> Result<Decided, DeriveError> {
    blocking(move || {
        disk_full::fit(&folder, &mut output)?;
        Ok(output)
    })
    .await
}

/// Muxes a slice to MPEG-TS.
pub async fn ts_slice(folder: PathBuf, slice: Slice, start: Carry) -> Result<Made, DeriveError> {
    blocking(move || {
        let path = folder.join(format!("slice-{}-{}.ts", slice.lane, slice.sequence));
        let configs = Tracks::at(&folder, slice.span)?;
        let (width, height) = configs.pixels();
        let mut muxer = TsMuxer::new(configs.video.as_ref(), configs.audio.as_ref(), start.ts)?;
        muxer.expect_offsets_from(slice.lowest_cts_ms);
        let mut out = Output::create(&path)?;
        let mut left_out = 0_u32;
        muxer.begin_slice(&mut out.buffer);
        for_each(&folder, slice.span, |record| {
            match record {
                Record::Frame(mut frame) => {
                    frame.dts_ms -= slice.origin_ms;
                    match muxer.write(&frame, &mut out.buffer) {
                        // The slice is worth more than a frame of sound.
                        Err(MuxError::FrameTooLarge { .. }) if frame.track == Track::Audio => {
                            left_out += 1;
                        }
                        written => written?,
                    }
                }
                Record::Video(config) => muxer.set_video(&config)?,
                Record::Audio(config) => muxer.set_audio(&config)?,
                Record::Mark(_) => {}
            }
            Ok(out.drain()?)
        })?;
        if left_out > 0 {
            tracing::warn!(slice = %path.display(), left_out, "frames of sound are too large for MPEG-TS and left out of a slice");
        }
        pad(&mut out);
        let written = out.finish()?;
        Ok(Made {
            path,
            size: written.size,
            crc64: written.crc64,
            width,
            height,
            carry: Carry {
                ts: muxer.continuity(),
                ..start
            },
        })
    })
    .await
}

/// A last slice of a frame or two is too short for players to tell that it is MPEG-TS: null packets (ISO/IEC 13818-1, 2.4.1) make it longer.
fn pad(out: &mut Output) {
    const NULL_HEAD: [u8; 4] = [0x47, 0x1f, 0xff, 0x10];
    while out.size() < SHORTEST_SLICE {
        out.buffer.extend_from_slice(&NULL_HEAD);
        out.buffer.put_bytes(0xff, PACKET - NULL_HEAD.len());
    }
}

/// Where an MP4 or FLV file is made.
pub(super) fn file_path(folder: &Path, file: &File, format: Format) -> PathBuf {
    let suffix = format.suffix();
    folder.join(format!("file-{}-{}{suffix}", file.lane, file.number))
}

/// Makes an MP4 or FLV file.
pub async fn file(folder: PathBuf, file: File, format: Format) -> Result<Made, DeriveError> {
    let mut made = files(folder, vec![(file, format)]).await?;
    made.pop().ok_or(DeriveError::Empty)
}

/// Makes MP4 and FLV files that have one range, in the order given.
pub async fn files(folder: PathBuf, files: Vec<(File, Format)>) -> Result<Vec<Made>, DeriveError> {
    blocking(move || container::write_files(&folder, &files)).await
}

/// Parameter sets before each key frame, where a file's pictures have more than one configuration: its header cannot tell a player that
/// begins in its midst which one holds there.
pub(super) struct InBand {
    on: bool,
    sets: Option<Sets>,
}

impl InBand {
    pub fn none() -> Self {
        Self {
            on: false,
            sets: None,
        }
    }

    fn of(file: &File, configs: &Tracks) -> Result<Self, DeriveError> {
        let mut in_band = Self {
            on: file.several,
            sets: None,
        };
        if let Some(video) = &configs.video {
            in_band.config(video)?;
        }
        Ok(in_band)
    }

    fn config(&mut self, config: &VideoConfig) -> Result<(), DeriveError> {
        if self.on {
            self.sets = Some(Sets::of(config).map_err(mp4::MuxError::from)?);
        }
        Ok(())
    }

    /// The sets that a sample gets.
    fn sets(&self, track: Track, key: bool) -> Option<&Sets> {
        let sets = self.sets.as_ref()?;
        (track == Track::Video && key).then_some(sets)
    }

    fn sized(&self, mut sample: SampleInfo) -> SampleInfo {
        if let Some(sets) = self.sets(sample.track, sample.key) {
            sample.size = sample.size.saturating_add(sets.size());
        }
        sample
    }

    fn put(&self, frame: &Frame, out: &mut Output) -> io::Result<()> {
        match self.sets(frame.track, frame.key) {
            Some(sets) => sets
                .within(&frame.data)
                .into_iter()
                .try_for_each(|piece| out.payload(piece)),
            None => out.payload(&frame.data),
        }
    }
}

/// The index of an MP4, from a log that lists its frames.
pub(super) fn mp4_layout(
    folder: &Path,
    log: SpoolReader,
    configs: Tracks,
    in_band: &mut InBand,
) -> Result<mp4::Layout, DeriveError> {
    let mut layout = mp4::Layout::new();
    if let Some(video) = configs.video {
        layout.video_config(video)?;
    }
    if let Some(audio) = configs.audio {
        layout.audio_config(audio)?;
    }
    list(folder, log, |listed| {
        match listed {
            Listed::Frame(sample) => layout.push(in_band.sized(sample))?,
            Listed::Other(Record::Video(config)) => {
                in_band.config(&config)?;
                layout.video_config(config)?;
            }
            Listed::Other(Record::Audio(config)) => layout.audio_config(config)?,
            Listed::Other(_) => {}
        }
        Ok(())
    })?;
    Ok(layout)
}

/// Muxes a slice to a CMAF fragment.
pub async fn cmaf_slice(folder: PathBuf, slice: Slice, start: Carry) -> Result<Made, DeriveError> {
    blocking(move || {
        let path = folder.join(format!("slice-{}-{}.m4s", slice.lane, slice.sequence));
        let configs = Tracks::at(&folder, slice.span)?;
        let (width, height) = configs.pixels();
        let from = if start.file == slice.file {
            start.cmaf
        } else {
            start.cmaf.afresh()
        };
        let (written, next) = cmaf::write_fragment(&folder, &path, &slice, &configs, from)?;
        Ok(Made {
            path,
            size: written.size,
            crc64: written.crc64,
            width,
            height,
            carry: Carry {
                cmaf: next,
                file: slice.file,
                ..start
            },
        })
    })
    .await
}

/// Makes the CMAF header of a file.
pub async fn cmaf_init(folder: PathBuf, file: File) -> Result<Made, DeriveError> {
    blocking(move || {
        let path = folder.join(format!("init-{}-{}.mp4", file.lane, file.number));
        let configs = Tracks::at(&folder, file.header.unwrap_or(file.span))?;
        let (width, height) = configs.pixels();
        let written = cmaf::write_init(&path, &configs)?;
        Ok(Made {
            path,
            size: written.size,
            crc64: written.crc64,
            width,
            height,
            carry: Carry::default(),
        })
    })
    .await
}

/// The codec configurations that hold at the beginning of a range.
#[derive(Default)]
pub struct Tracks {
    pub video: Option<VideoConfig>,
    pub audio: Option<AudioConfig>,
}

impl Tracks {
    /// Those in force at the range's start; a track that begins later in the range counts from the start, so that every header
    /// announces it.
    pub(super) fn at(folder: &Path, span: Span) -> Result<Self, DeriveError> {
        let mut found = Self::default();
        for at in [span.configs.video, span.configs.audio]
            .into_iter()
            .flatten()
        {
            match one(folder, at)? {
                Some(Record::Video(config)) => found.video = Some(config),
                Some(Record::Audio(config)) => found.audio = Some(config),
                _ => {}
            }
        }
        let mut reader = SpoolReader::listing(folder, span);
        let mut told = Told::default();
        while found.video.is_none() || found.audio.is_none() {
            match reader.next_listed()? {
                None => break,
                Some(Listed::Other(record)) => drop(told.hold(record)),
                Some(Listed::Frame(frame)) => match told.before(frame.track) {
                    Some(Record::Video(config)) if found.video.is_none() => {
                        found.video = Some(config);
                    }
                    Some(Record::Audio(config)) if found.audio.is_none() => {
                        found.audio = Some(config);
                    }
                    _ => {}
                },
            }
        }
        if found.video.is_none() && found.audio.is_none() {
            return Err(DeriveError::Empty);
        }
        Ok(found)
    }

    pub(super) fn pixels(&self) -> (i32, i32) {
        let pixels = |n: u32| i32::try_from(n).unwrap_or(0);
        self.video
            .as_ref()
            .map_or((0, 0), |v| (pixels(v.width), pixels(v.height)))
    }
}

fn one(folder: &Path, at: Position) -> Result<Option<Record>, DeriveError> {
    Ok(SpoolReader::from(folder, at)
        .sparing()
        .next_record()?
        .map(|(_, record)| record))
}

/// Configurations that no frame of their track has followed yet. The last ones of a range may be those of the next file.
#[derive(Default)]
struct Told {
    video: Option<VideoConfig>,
    audio: Option<AudioConfig>,
}

impl Told {
    /// Keeps a configuration; gives back any other record.
    fn hold(&mut self, record: Record) -> Option<Record> {
        match record {
            Record::Video(config) => self.video = Some(config),
            Record::Audio(config) => self.audio = Some(config),
            other => return Some(other),
        }
        None
    }

    /// What holds from the next frame of a track on, if that is news.
    fn before(&mut self, track: Track) -> Option<Record> {
        match track {
            Track::Video => self.video.take().map(Record::Video),
            Track::Audio => self.audio.take().map(Record::Audio),
        }
    }
}

/// Walks the records of a range, each configuration right before the first frame that has it.
pub fn for_each(
    folder: &Path,
    span: Span,
    mut work: impl FnMut(Record) -> Result<(), DeriveError>,
) -> Result<(), DeriveError> {
    let mut reader = SpoolReader::span(folder, span);
    let mut told = Told::default();
    let mut any = false;
    while let Some((_, record)) = reader.next_record()? {
        if let Record::Frame(frame) = &record {
            any = true;
            if let Some(config) = told.before(frame.track) {
                work(config)?;
            }
        }
        if let Some(record) = told.hold(record) {
            work(record)?;
        }
    }
    there(folder, any)
}

/// Walks a log without the payloads of frames, in the same way.
pub fn list(
    folder: &Path,
    mut log: SpoolReader,
    mut work: impl FnMut(Listed) -> Result<(), DeriveError>,
) -> Result<(), DeriveError> {
    let mut told = Told::default();
    let mut any = false;
    while let Some(listed) = log.next_listed()? {
        match listed {
            Listed::Frame(frame) => {
                any = true;
                if let Some(config) = told.before(frame.track) {
                    work(Listed::Other(config))?;
                }
                work(Listed::Frame(frame))?;
            }
            Listed::Other(record) => {
                if let Some(record) = told.hold(record) {
                    work(Listed::Other(record))?;
                }
            }
        }
    }
    there(folder, any)
}

/// Turns an absent output into an error: the range has no media, or what was there is gone.
fn there(folder: &Path, any: bool) -> Result<(), DeriveError> {
    if any {
        return Ok(());
    }
    match read::segments(folder) {
        Ok(_) => Err(DeriveError::Empty),
        Err(error) => Err(DeriveError::Io(error)),
    }
}

#[must_use]
pub fn sample(frame: &Frame) -> SampleInfo {
    SampleInfo {
        track: frame.track,
        dts_ms: frame.dts_ms,
        cts_ms: frame.cts_ms,
        key: frame.key,
        size: u32::try_from(frame.data.len()).unwrap_or(u32::MAX),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::disk::writers::Disk;
    use crate::live::decide::segmenter::Configs;
    use crate::live::spool::write::SpoolWriter;
    use crate::media::frame::AudioCodec;
    use crate::media::mpegts::read::{Found, TsReader};

    #[tokio::test]
    async fn a_frame_of_sound_that_is_too_large_does_not_cost_its_slice() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("s");
        let mut writer = SpoolWriter::create(Disk::start().unwrap(), folder.clone(), 0).unwrap();
        let configs = Configs {
            video: None,
            audio: Some(writer.position()),
        };
        writer.audio_config(&AudioConfig {
            codec: AudioCodec::Aac,
            record: Bytes::from_static(&[0x12, 0x10]),
            sample_rate: 44_100,
            channels: 2,
        });
        let from = writer.position();
        // ADTS tells lengths up to 8,191 bytes, its header of 7 included.
        for (dts_ms, size) in [(0, 100), (23, 8_185), (46, 8_184), (69, 100)] {
            writer.frame(&Frame {
                track: Track::Audio,
                dts_ms,
                cts_ms: 0,
                key: false,
                data: Bytes::from(vec![0x21; size]),
            });
        }
        writer.flush();
        writer.handed().written().await;
        let slice = Slice {
            lane: 0,
            sequence: 0,
            file: 0,
            span: Span {
                from,
                to: writer.position(),
                configs,
                ..Span::default()
            },
            start_ms: 0,
            duration_ms: 92,
            started_at: 0,
            ended_at: 92,
            discontinuity: false,
            lowest_cts_ms: 0,
            origin_ms: 0,
        };
        let made = ts_slice(folder, slice, Carry::default()).await.unwrap();
        let bytes = std::fs::read(&made.path).unwrap();
        let mut sizes = Vec::new();
        let mut note = |found| {
            if let Found::Frame(frame) = found {
                sizes.push(frame.data.len());
            }
        };
        let mut reader = TsReader::new();
        reader.feed(&bytes, &mut note).unwrap();
        reader.finish(&mut note);
        assert_eq!(sizes, [100, 8_184, 100]);
    }
}
