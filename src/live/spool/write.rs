//! Appending to a session's spool.

use std::collections::VecDeque;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::record::{Mark, frame_head, put_audio_config, put_mark, put_video_config};
use super::{Position, segment_name};
use crate::clock;
use crate::disk::descriptors;
use crate::disk::held::{Held, OWN_FOLDER};
use crate::disk::laid::{Laid, Place};
use crate::disk::writers::{Disk, Handed, Progress, SpoolSegment, Write};
use crate::media::frame::{AudioConfig, Frame, VideoConfig};

/// Bytes go to disk when they reach a multiple of this in their segment: the page cache takes whole large pages at a fraction of the
/// cost of small ones.
const FLUSH_BYTES: usize = 64 * 1024;
/// A buffer this old goes to disk. Whoever asks does so in ticks of a tenth of a second, and so does who reads the socket: all that a
/// publisher sent is on disk within half a second.
const FLUSH_AGE: Duration = Duration::from_millis(250);
/// Smaller payloads are not worth a reading of their own.
const LAID_BYTES: usize = 128;
/// Payloads on their way to disk that are remembered at most; of more, the oldest stay in memory for who has them.
const MOST_LAID: usize = 1_024;

/// The writing end of one session's spool. Positions are known at once; bytes follow within [`FLUSH_AGE`].
pub struct SpoolWriter {
    disk: Disk,
    series: usize,
    folder: PathBuf,
    file: Arc<File>,
    segment: u32,
    /// Offset in the segment of the first byte of `buffer`.
    base: u64,
    buffer: Vec<u8>,
    oldest: Option<Instant>,
    progress: Arc<Progress>,
    /// Bytes appended since this writer began: what [`Progress`] counts, and what is in the buffer.
    appended: u64,
    /// Payloads that nobody has been told of.
    laid: VecDeque<Laid>,
    /// The segment, for whoever copies what is written.
    copied: Option<Arc<SpoolSegment>>,
}

fn open_segment(folder: &Path, segment: u32, new: bool) -> io::Result<Arc<File>> {
    let file = descriptors::open(|| Held::open(folder)?.write(segment_name(segment), new))?;
    Ok(Arc::new(file))
}

impl SpoolWriter {
    /// Starts a spool in a new folder.
    ///
    /// # Errors
    /// When the folder is there already, or it or its first segment cannot be made: there is no spool to write to then.
    pub fn create(disk: Disk, folder: PathBuf, series: usize) -> io::Result<Self> {
        if let Some(spool) = folder.parent() {
            std::fs::create_dir_all(spool)?;
        }
        DirBuilder::new().mode(OWN_FOLDER).create(&folder)?;
        let file = open_segment(&folder, 0, true)?;
        Ok(Self::with(
            disk,
            folder,
            series,
            file,
            Position {
                segment: 0,
                offset: 0,
            },
        ))
    }

    /// Goes on after the last whole record of a spool found at start; what lies behind it is cut off.
    ///
    /// # Errors
    /// When the last segment cannot be opened or cut. The spool is as it was, and what it holds can still be read.
    pub fn resume(disk: Disk, folder: PathBuf, series: usize, end: Position) -> io::Result<Self> {
        let file = open_segment(&folder, end.segment, false)?;
        file.set_len(end.offset)?;
        Ok(Self::with(disk, folder, series, file, end))
    }

    fn with(disk: Disk, folder: PathBuf, series: usize, file: Arc<File>, at: Position) -> Self {
        let buffer = disk.buffer(FLUSH_BYTES);
        Self {
            disk,
            series,
            folder,
            file,
            segment: at.segment,
            base: at.offset,
            buffer,
            oldest: None,
            progress: Arc::new(Progress::default()),
            appended: 0,
            laid: VecDeque::new(),
            copied: None,
        }
    }

    /// Says whose stream it is, where somebody copies what is written.
    pub fn belongs_to(&mut self, owner: impl FnOnce() -> String) {
        if self.disk.is_tapped() {
            self.copied = Some(Arc::new(SpoolSegment {
                folder: self.folder.clone(),
                segment: self.segment,
                owner: owner(),
            }));
        }
    }

    /// Where the next record will lie.
    #[must_use]
    pub fn position(&self) -> Position {
        Position {
            segment: self.segment,
            offset: self.base + self.buffer.len() as u64,
        }
    }

    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    #[must_use]
    pub fn progress(&self) -> Arc<Progress> {
        self.progress.clone()
    }

    /// What has gone to the disk threads so far, to be waited for.
    #[must_use]
    pub fn handed(&self) -> Handed {
        Handed::now(self.progress.clone())
    }

    pub fn frame(&mut self, frame: &Frame) {
        let head = frame_head(frame);
        let whole = head.len() + frame.data.len();
        // As a rule all of it fits in, and the head is copied as a few words.
        let fits = self.oldest.is_some() && whole < self.room();
        if fits {
            self.buffer.extend_from_slice(&head);
        } else {
            self.append(&head);
        }
        let at = self.position();
        let file = self.file.clone();
        if fits {
            self.buffer.extend_from_slice(&frame.data);
            self.appended += whole as u64;
        } else {
            self.append(&frame.data);
        }
        let length = u32::try_from(frame.data.len()).unwrap_or(0);
        if frame.data.len() >= LAID_BYTES && length > 0 {
            if self.laid.len() >= MOST_LAID {
                self.laid.pop_front();
            }
            let handed = Handed::up_to(self.progress.clone(), self.appended);
            let place = Place::new(file, at.offset, length, handed);
            let bytes = frame.data.clone();
            self.laid.push_back(Laid { bytes, place });
        }
    }

    /// Hands out the payloads that came since the last call, or those of them that are on the disk by now; each is told once.
    pub fn take_laid(&mut self, only_written: bool, out: &mut Vec<Laid>) {
        let is_due = |laid: &Laid| !only_written || laid.place.is_there();
        while self.laid.front().is_some_and(is_due) {
            out.extend(self.laid.pop_front());
        }
    }

    pub fn video_config(&mut self, config: &VideoConfig) {
        let mut record = Vec::new();
        put_video_config(&mut record, config);
        self.append(&record);
    }

    pub fn audio_config(&mut self, config: &AudioConfig) {
        let mut record = Vec::new();
        put_audio_config(&mut record, config);
        self.append(&record);
    }

    /// Marks go to disk at once.
    pub fn mark(&mut self, mark: &Mark) {
        let mut record = Vec::new();
        put_mark(&mut record, mark);
        self.append(&record);
        self.flush();
    }

    /// Bytes up to the next multiple of [`FLUSH_BYTES`] in the segment.
    fn room(&self) -> usize {
        let into = (self.base + self.buffer.len() as u64) % FLUSH_BYTES as u64;
        FLUSH_BYTES - usize::try_from(into).unwrap_or(0)
    }

    fn append(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = self.room();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.buffer.extend_from_slice(now);
            self.appended += now.len() as u64;
            if now.len() == room {
                self.flush();
            } else if self.oldest.is_none() {
                self.oldest = Some(clock::monotonic());
            }
            bytes = later;
        }
    }

    /// Hands the buffer over when it is old enough.
    pub fn tick(&mut self) {
        if self
            .oldest
            .is_some_and(|oldest| oldest.elapsed() >= FLUSH_AGE)
        {
            self.flush();
        }
    }

    /// Hands everything over to the disk threads.
    pub fn flush(&mut self) {
        if !self.buffer.is_empty() {
            let data = std::mem::replace(&mut self.buffer, self.disk.buffer(FLUSH_BYTES));
            self.hand_over(data);
        }
        self.oldest = None;
    }

    fn hand_over(&mut self, data: Vec<u8>) {
        let write = Write {
            file: self.file.clone(),
            offset: self.base,
            data,
            progress: self.progress.clone(),
            copied: self.copied.clone(),
        };
        self.base += write.data.len() as u64;
        self.disk.write(self.series, write);
    }

    /// Bytes not yet on disk: what the publisher must be held back for.
    #[must_use]
    pub fn backlog(&self) -> u64 {
        self.progress.pending() + self.buffer.len() as u64
    }

    /// Whether a new segment should begin at the next cut point.
    #[must_use]
    pub fn segment_is_full(&self) -> bool {
        self.base + self.buffer.len() as u64 >= self.disk.segment_bytes()
    }

    /// Begins a new segment, which must start with a checkpoint.
    ///
    /// # Errors
    /// When the file cannot be made. The segment that is open goes on, and the caller tries at the next cut.
    pub fn next_segment(&mut self, checkpoint: &Mark) -> io::Result<()> {
        self.flush();
        self.file = open_segment(&self.folder, self.segment + 1, true)?;
        self.segment += 1;
        self.base = 0;
        if let Some(copied) = &self.copied {
            self.copied = Some(Arc::new(SpoolSegment {
                segment: self.segment,
                ..SpoolSegment::clone(copied)
            }));
        }
        self.mark(checkpoint);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::frame::Track;
    use bytes::Bytes;

    fn frame(number: usize, length: usize) -> Frame {
        Frame {
            track: Track::Video,
            dts_ms: 0,
            cts_ms: 0,
            key: false,
            data: Bytes::from(vec![number as u8; length]),
        }
    }

    #[tokio::test]
    async fn payloads_are_told_once_when_they_are_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let mut writer = SpoolWriter::create(Disk::start().unwrap(), path, 0).unwrap();
        let lengths = [600, LAID_BYTES - 1, 200_000, LAID_BYTES];
        for (number, length) in lengths.into_iter().enumerate() {
            writer.frame(&frame(number, length));
        }
        let mut laid = Vec::new();
        // The last one is still in the buffer.
        writer.take_laid(true, &mut laid);
        assert!(laid.len() < 3);
        writer.flush();
        writer.handed().written().await;
        writer.take_laid(true, &mut laid);
        writer.take_laid(false, &mut laid);
        let told: Vec<usize> = laid.iter().map(|laid| laid.bytes.len()).collect();
        assert_eq!(
            told,
            [600, 200_000, LAID_BYTES],
            "small ones are not worth it"
        );
        for laid in laid {
            let mut read = Vec::new();
            laid.place.read(&mut read).unwrap();
            assert!(read == laid.bytes);
        }
    }

    #[tokio::test]
    async fn so_many_payloads_are_remembered_at_most() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let mut writer = SpoolWriter::create(Disk::start().unwrap(), path, 0).unwrap();
        for number in 0..MOST_LAID + 10 {
            writer.frame(&frame(number, LAID_BYTES));
        }
        writer.flush();
        writer.handed().written().await;
        let mut laid = Vec::new();
        writer.take_laid(true, &mut laid);
        assert_eq!(laid.len(), MOST_LAID);
    }
}
