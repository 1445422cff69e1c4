//! From spool ranges to files: TS slices, CMAF fragments, MP4 and FLV, by the same code live and after a crash.
//!
//! Two passes where a container wants its index in front: the first reads the records' heads into a layout, the second copies payloads.
//! Work runs on blocking threads, a few at a time; files appear in the session's folder and are handed to the object store from there.

use std::fs::File as DiskFile;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytes::{BufMut, BytesMut};
use tokio::sync::Semaphore;

use crate::live::segmenter::{File, Output as Decided, Slice, Span};
use crate::live::spool::read::{Listed, ReadError, SpoolReader};
use crate::live::spool::record::Record;
use crate::live::spool::{Position, read};
use crate::media::frame::{AudioConfig, Frame, SampleInfo, VideoConfig};
use crate::media::mp4;
use crate::media::mpegts::{Continuity, MuxError, PACKET, TsMuxer};
use crate::media::{cmaf, flv};
use crate::model::rule::Format;

/// Written to disk at a time.
const BLOCK: usize = 96 * 1024;
/// Slices are at least this long.
const SHORTEST_SLICE: u64 = 64 * PACKET as u64;
/// Muxing jobs at a time: they are bound by memory bandwidth and disk, and must leave room for ingest.
static SLOTS: Semaphore = Semaphore::const_new(2);

/// Why a file could not be made.
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
            damaged @ ReadError::Damaged { .. } => Self::Spool(damaged),
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
    pub cmaf: cmaf::Position,
}

impl Made {
    pub fn remove(&self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn blocking<T: Send + 'static>(
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
        super::cut_short::fit(&folder, &mut output)?;
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
        let mut out = Output::create(&path)?;
        muxer.begin_slice(&mut out.buffer);
        for_each(&folder, slice.span, |record| {
            match record {
                Record::Frame(frame) => muxer.write(&frame, &mut out.buffer)?,
                Record::Video(config) => muxer.set_video(&config)?,
                Record::Audio(config) => muxer.set_audio(&config)?,
                Record::Mark(_) => {}
            }
            out.drain()
        })?;
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
    while out.size + (out.buffer.len() as u64) < SHORTEST_SLICE {
        out.buffer.extend_from_slice(&NULL_HEAD);
        out.buffer.put_bytes(0xff, PACKET - NULL_HEAD.len());
    }
}

/// Makes an MP4 or FLV file.
pub async fn file(folder: PathBuf, file: File, format: Format) -> Result<Made, DeriveError> {
    blocking(move || {
        let path = folder.join(format!(
            "file-{}-{}{}",
            file.lane,
            file.number,
            format.suffix()
        ));
        let configs = Tracks::at(&folder, file.span)?;
        let (width, height) = configs.pixels();
        let written = match format {
            Format::Flv => write_flv(&folder, &path, file.span, &configs)?,
            _ => write_mp4(&folder, &path, file.span, configs)?,
        };
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

fn write_mp4(
    folder: &Path,
    path: &Path,
    span: Span,
    configs: Tracks,
) -> Result<Written, DeriveError> {
    let mut layout = mp4::Layout::new();
    if let Some(video) = configs.video {
        layout.video_config(video)?;
    }
    if let Some(audio) = configs.audio {
        layout.audio_config(audio)?;
    }
    list(folder, span, |listed| {
        match listed {
            Listed::Frame(sample) => layout.push(sample)?,
            Listed::Other(Record::Video(config)) => layout.video_config(config)?,
            Listed::Other(Record::Audio(config)) => layout.audio_config(config)?,
            Listed::Other(_) => {}
        }
        Ok(())
    })?;
    let mut out = Output::create(path)?;
    out.buffer.extend_from_slice(&layout.head()?);
    drop(layout);
    for_each(folder, span, |record| {
        if let Record::Frame(frame) = record {
            out.payload(&frame.data)?;
        }
        Ok(())
    })?;
    out.finish()
}

fn write_flv(
    folder: &Path,
    path: &Path,
    span: Span,
    configs: &Tracks,
) -> Result<Written, DeriveError> {
    let mut layout = flv::write::Layout::new();
    if let Some(video) = &configs.video {
        layout.video_config(video)?;
    }
    if let Some(audio) = &configs.audio {
        layout.audio_config(audio)?;
    }
    list(folder, span, |listed| {
        match listed {
            Listed::Frame(sample) => layout.push(sample)?,
            Listed::Other(Record::Video(config)) => layout.video_config(&config)?,
            Listed::Other(Record::Audio(config)) => layout.audio_config(&config)?,
            Listed::Other(_) => {}
        }
        Ok(())
    })?;
    let mut out = Output::create(path)?;
    out.buffer.extend_from_slice(&layout.head()?);
    let mut writer = layout.writer()?;
    if let Some(video) = &configs.video {
        out.buffer.extend_from_slice(&writer.video_config(video)?);
    }
    if let Some(audio) = &configs.audio {
        out.buffer.extend_from_slice(&writer.audio_config(audio)?);
    }
    for_each(folder, span, |record| {
        match record {
            Record::Frame(frame) => {
                let head = writer.tag_head(&sample(&frame))?;
                out.buffer.extend_from_slice(&head);
                out.payload(&frame.data)?;
                out.buffer.extend_from_slice(&head.tail());
            }
            Record::Video(config) => out.buffer.extend_from_slice(&writer.video_config(&config)?),
            Record::Audio(config) => out.buffer.extend_from_slice(&writer.audio_config(&config)?),
            Record::Mark(_) => {}
        }
        Ok(())
    })?;
    out.finish()
}

/// Muxes a slice to a CMAF fragment.
pub async fn cmaf_slice(folder: PathBuf, slice: Slice, start: Carry) -> Result<Made, DeriveError> {
    blocking(move || {
        let path = folder.join(format!("slice-{}-{}.m4s", slice.lane, slice.sequence));
        let configs = Tracks::at(&folder, slice.span)?;
        let (width, height) = configs.pixels();
        let (written, next) =
            super::cmaf::write_fragment(&folder, &path, &slice, &configs, start.cmaf)?;
        Ok(Made {
            path,
            size: written.size,
            crc64: written.crc64,
            width,
            height,
            carry: Carry {
                cmaf: next,
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
        let configs = Tracks::at(&folder, file.span)?;
        let (width, height) = configs.pixels();
        let written = super::cmaf::write_init(&path, &configs)?;
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
    /// Those in force at the range's start; a track whose configuration comes later in the range counts from the start, so that
    /// every header announces it.
    fn at(folder: &Path, span: Span) -> Result<Self, DeriveError> {
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
        if found.video.is_none() || found.audio.is_none() {
            let mut reader = SpoolReader::span(folder, span).sparing();
            while let Some(listed) = reader.next_listed()? {
                match listed {
                    Listed::Other(Record::Video(config)) if found.video.is_none() => {
                        found.video = Some(config);
                    }
                    Listed::Other(Record::Audio(config)) if found.audio.is_none() => {
                        found.audio = Some(config);
                    }
                    _ => {}
                }
                if found.video.is_some() && found.audio.is_some() {
                    break;
                }
            }
        }
        if found.video.is_none() && found.audio.is_none() {
            return Err(DeriveError::Empty);
        }
        Ok(found)
    }

    fn pixels(&self) -> (i32, i32) {
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

/// Walks the records of a range.
pub fn for_each(
    folder: &Path,
    span: Span,
    mut work: impl FnMut(Record) -> Result<(), DeriveError>,
) -> Result<(), DeriveError> {
    let mut reader = SpoolReader::span(folder, span);
    let mut any = false;
    while let Some((_, record)) = reader.next_record()? {
        any |= matches!(record, Record::Frame(_));
        work(record)?;
    }
    there(folder, any)
}

/// Walks the records of a range without the payloads of frames.
pub fn list(
    folder: &Path,
    span: Span,
    mut work: impl FnMut(Listed) -> Result<(), DeriveError>,
) -> Result<(), DeriveError> {
    let mut reader = SpoolReader::span(folder, span).sparing();
    let mut any = false;
    while let Some(listed) = reader.next_listed()? {
        any |= matches!(listed, Listed::Frame(_));
        work(listed)?;
    }
    there(folder, any)
}

/// A range without media, or one that was there and is not, as an error.
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

/// A file being written in large blocks.
pub struct Output {
    file: DiskFile,
    pub buffer: BytesMut,
    size: u64,
    crc64: crc64fast::Digest,
}

/// What came of a file that was written.
pub struct Written {
    pub size: u64,
    /// CRC-64 of all its bytes, taken while they were at hand.
    pub crc64: u64,
}

impl Output {
    pub fn create(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: DiskFile::create(path)?,
            buffer: BytesMut::with_capacity(BLOCK),
            size: 0,
            crc64: crc64fast::Digest::new(),
        })
    }

    /// Writes what has gathered once it makes a block.
    pub fn drain(&mut self) -> Result<(), DeriveError> {
        if self.buffer.len() >= BLOCK {
            self.flush()?;
        }
        Ok(())
    }

    /// Appends a payload.
    pub fn payload(&mut self, data: &[u8]) -> Result<(), DeriveError> {
        if self.buffer.len() + data.len() > BLOCK {
            self.flush()?;
        }
        if data.len() >= BLOCK {
            self.crc64.write(data);
            self.size += data.len() as u64;
            return Ok(self.file.write_all(data)?);
        }
        self.buffer.extend_from_slice(data);
        self.drain()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.crc64.write(&self.buffer);
        self.file.write_all(&self.buffer)?;
        self.size += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    pub fn finish(mut self) -> Result<Written, DeriveError> {
        self.flush()?;
        Ok(Written {
            size: self.size,
            crc64: self.crc64.sum64(),
        })
    }
}
