//! Reading a spool back: a span for the muxers, or a whole session after a crash.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use rustix::buffer::spare_capacity;
use rustix::io::{Errno, pread};

use super::record::{HEAD, Record, RecordError, frame_of, parse, payload_length};
use super::{Position, segment_name, segment_number};
use crate::disk::held::Held;
use crate::live::decide::segmenter::Span;
use crate::media::frame::SampleInfo;

/// Bytes read from disk at a time.
const BLOCK: usize = 64 * 1024;
/// Bytes read at a time where payloads are passed over: two frames of sound and the heads around them.
const HEAD_BLOCK: usize = 1024;

/// Why a spool cannot be read.
///
/// # What to do
/// An error of the disk may pass, and the read is tried again. What is damaged stays so: live, the output is given up; at a start, the
/// rest of the segment is lost, and a spool without a whole record is put aside (docs/design/recovery.md). `Missing` means that the reader
/// came after the segment was dropped, which only happens to a range that somebody has made already.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("the spool cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("the spool is damaged at {at:?}: {error}")]
    Damaged { at: Position, error: RecordError },
    #[error("segment {0} of the spool is not there any more")]
    Missing(u32),
}

/// Iterates the records of a span, or of everything from a position to the end of the log.
pub struct SpoolReader {
    folder: Place,
    file: Option<File>,
    at: Position,
    end: Option<Position>,
    buffer: Bytes,
    /// Memory of an earlier block, empty.
    spare: Vec<u8>,
    block: usize,
    /// The segment's length when it was opened: records passed over must lie within.
    length: u64,
    /// Frames stand in this log without their payload.
    heads_only: bool,
    /// A span whose range holds frames of its neighbour.
    part: Option<Span>,
}

/// Where the segments are.
enum Place {
    Path(PathBuf),
    Held(Arc<Held>),
}

impl Place {
    /// Opens a segment: a regular file, not reached through a link, and no pipe that would be waited for.
    fn open(&self, segment: u32) -> io::Result<File> {
        let name = segment_name(segment);
        match self {
            Self::Path(folder) => Held::open(folder)?.read(name),
            Self::Held(folder) => folder.read(name),
        }
    }

    fn has(&self, segment: u32) -> bool {
        let name = segment_name(segment);
        match self {
            Self::Path(folder) => folder.join(name).exists(),
            Self::Held(folder) => folder.names_of(name).is_ok(),
        }
    }

    fn is_there(&self) -> bool {
        match self {
            Self::Path(folder) => folder.is_dir(),
            Self::Held(_) => true,
        }
    }
}

/// A record whose payload was passed over when it is a frame's.
#[derive(Debug)]
pub enum Listed {
    Frame(SampleInfo),
    Other(Record),
}

impl SpoolReader {
    /// The records of a span.
    #[must_use]
    pub fn span(folder: &Path, span: Span) -> Self {
        Self::rest_of(folder, span, span.from)
    }

    /// The records of a span from a position in it on.
    #[must_use]
    pub fn rest_of(folder: &Path, span: Span, from: Position) -> Self {
        Self {
            part: (!span.is_whole()).then_some(span),
            ..Self::range(folder, from, span.to)
        }
    }

    /// The records of a span, for [`SpoolReader::next_listed`].
    #[must_use]
    pub fn listing(folder: &Path, span: Span) -> Self {
        Self::span(folder, span).sparing()
    }

    /// The records between two positions.
    #[must_use]
    pub fn range(folder: &Path, from: Position, to: Position) -> Self {
        Self {
            end: Some(to),
            ..Self::from(folder, from)
        }
    }

    /// All records from a position on.
    #[must_use]
    pub fn from(folder: &Path, at: Position) -> Self {
        Self::at(Place::Path(folder.to_owned()), at)
    }

    /// All records from a position on, of a folder that is held open.
    #[must_use]
    pub fn held(folder: Arc<Held>, at: Position) -> Self {
        Self::at(Place::Held(folder), at)
    }

    fn at(folder: Place, at: Position) -> Self {
        Self {
            folder,
            file: None,
            at,
            end: None,
            buffer: Bytes::new(),
            spare: Vec::new(),
            block: BLOCK,
            length: 0,
            heads_only: false,
            part: None,
        }
    }

    /// Reads little at a time: for [`SpoolReader::next_listed`], or a single record.
    #[must_use]
    pub fn sparing(self) -> Self {
        Self {
            block: HEAD_BLOCK,
            ..self
        }
    }

    /// For a log of [`put_frame_head`](super::record::put_frame_head): to be read by [`SpoolReader::next_listed`].
    #[must_use]
    pub fn heads_only(self) -> Self {
        Self {
            heads_only: true,
            ..self
        }
    }

    /// Where the next record lies; after the last one, where the log ends.
    #[must_use]
    pub fn position(&self) -> Position {
        self.at
    }

    /// The next record with its place; `None` at the end. A segment that was cut inside a record is followed by the next one.
    pub fn next_record(&mut self) -> Result<Option<(Position, Record)>, ReadError> {
        loop {
            let Some((head, length)) = self.next_head()? else {
                return Ok(None);
            };
            let is_foreign = self.is_foreign(&head);
            match self.whole(&head, length)? {
                Some(_) if is_foreign => continue,
                Some(whole) => return Ok(Some(whole)),
                None => {}
            }
            if !self.next_segment()? {
                return Ok(None);
            }
        }
    }

    /// Goes on behind the segment being read; false when it is the last one.
    pub fn leave_segment(&mut self) -> Result<bool, ReadError> {
        self.next_segment()
    }

    /// The next record, without a frame's payload and without a look at its checksum: whoever reads the payload checks it.
    pub fn next_listed(&mut self) -> Result<Option<Listed>, ReadError> {
        loop {
            let Some((head, length)) = self.next_head()? else {
                return Ok(None);
            };
            let is_foreign = self.is_foreign(&head);
            let listed = match frame_of(&head, length) {
                Some(frame) => self.pass(length).then_some(Listed::Frame(frame)),
                None => self
                    .whole(&head, length)?
                    .map(|(_, record)| Listed::Other(record)),
            };
            if is_foreign && listed.is_some() {
                continue;
            }
            if listed.is_some() {
                return Ok(listed);
            }
            if !self.next_segment()? {
                return Ok(None);
            }
        }
    }

    /// Whether the record at hand is a frame that is not the span's.
    fn is_foreign(&self, head: &[u8; HEAD]) -> bool {
        self.part.is_some_and(|span| {
            frame_of(head, 0).is_some_and(|frame| !span.holds(self.at, frame.track))
        })
    }

    /// Passes over a frame; false when the segment does not hold all of it.
    fn pass(&mut self, length: usize) -> bool {
        let size = if self.heads_only { HEAD } else { HEAD + length };
        if self.at.offset + size as u64 > self.length {
            return false;
        }
        if self.buffer.len() >= size {
            self.buffer.advance(size);
        } else {
            self.buffer.clear();
        }
        self.at.offset += size as u64;
        true
    }

    /// The head of the next record, left in the buffer, and the length of its payload.
    fn next_head(&mut self) -> Result<Option<([u8; HEAD], usize)>, ReadError> {
        loop {
            if self.end.is_some_and(|end| self.at >= end) {
                return Ok(None);
            }
            if self.fill(HEAD)? {
                break;
            }
            if !self.next_segment()? {
                return Ok(None);
            }
        }
        let Some(head) = self.buffer.first_chunk::<HEAD>().copied() else {
            return Ok(None);
        };
        let at = self.at;
        let length = payload_length(&head).map_err(|error| ReadError::Damaged { at, error })?;
        Ok(Some((head, length)))
    }

    fn whole(
        &mut self,
        head: &[u8; HEAD],
        length: usize,
    ) -> Result<Option<(Position, Record)>, ReadError> {
        let at = self.at;
        if !self.fill(HEAD + length)? {
            return Ok(None);
        }
        let whole: Bytes = self.buffer.split_to(HEAD + length);
        let record =
            parse(head, whole.slice(HEAD..)).map_err(|error| ReadError::Damaged { at, error })?;
        self.at.offset += (HEAD + length) as u64;
        Ok(Some((at, record)))
    }

    /// Makes sure that `wanted` bytes are in the buffer; false when the segment ends before.
    fn fill(&mut self, wanted: usize) -> Result<bool, ReadError> {
        if self.buffer.len() >= wanted {
            return Ok(true);
        }
        if self.file.is_none() {
            match self.folder.open(self.at.segment) {
                Ok(file) => {
                    self.length = file.metadata()?.len();
                    self.file = Some(file);
                }
                // The end of a log that is read to its end; within a range, a hole.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let is_hole = self.end.is_some_and(|end| self.at.segment <= end.segment)
                        && self.folder.is_there();
                    return if is_hole {
                        Err(ReadError::Missing(self.at.segment))
                    } else {
                        Ok(false)
                    };
                }
                Err(error) => return Err(error.into()),
            }
        }
        let Some(file) = &self.file else {
            return Ok(false);
        };
        let missing = (wanted - self.buffer.len()).max(self.block);
        let mut bytes = std::mem::take(&mut self.spare);
        bytes.reserve_exact(self.buffer.len() + missing);
        bytes.extend_from_slice(&self.buffer);
        while bytes.len() < wanted {
            let offset = self.at.offset + bytes.len() as u64;
            match pread(file, spare_capacity(&mut bytes), offset) {
                Ok(0) => break,
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(io::Error::from(error).into()),
            }
        }
        // The block before can be filled again when no frame of it is held any more.
        let before = std::mem::replace(&mut self.buffer, bytes.into());
        if let Ok(mut before) = before.try_into_mut() {
            before.clear();
            self.spare = before.into();
        }
        Ok(self.buffer.len() >= wanted)
    }

    fn next_segment(&mut self) -> Result<bool, ReadError> {
        let next = self.at.segment + 1;
        if !self.folder.has(next) {
            return Ok(false);
        }
        self.at = Position {
            segment: next,
            offset: 0,
        };
        self.file = None;
        self.buffer.clear();
        Ok(true)
    }
}

/// The segments of a session's folder, in order.
///
/// # Errors
/// When the folder is not there, or cannot be read.
pub fn segments(folder: &Path) -> io::Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        if let Some(number) = entry?.file_name().to_str().and_then(segment_number) {
            found.push(number);
        }
    }
    found.sort_unstable();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::writers::Disk;
    use crate::live::spool::record::Mark;
    use crate::live::spool::write::SpoolWriter;
    use crate::media::frame::{Frame, Track};

    fn frame(n: i64) -> Frame {
        Frame {
            track: Track::Video,
            dts_ms: n,
            cts_ms: 0,
            key: true,
            data: Bytes::from(vec![7; 1000]),
        }
    }

    fn read_all(folder: &Path) -> (Vec<i64>, Position) {
        let mut reader = SpoolReader::from(
            folder,
            Position {
                segment: 0,
                offset: 0,
            },
        );
        let mut times = Vec::new();
        while let Ok(Some((_, record))) = reader.next_record() {
            if let Record::Frame(frame) = record {
                times.push(frame.dts_ms);
            }
        }
        (times, reader.position())
    }

    #[tokio::test]
    async fn a_span_leaves_out_what_is_its_neighbours() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let mut writer = SpoolWriter::create(Disk::start().unwrap(), path.clone(), 0).unwrap();
        let mut places = Vec::new();
        for n in 0..10 {
            places.push(writer.position());
            let track = if n % 2 == 0 {
                Track::Video
            } else {
                Track::Audio
            };
            writer.frame(&Frame { track, ..frame(n) });
        }
        writer.flush();
        writer.handed().written().await;
        let whole = Span {
            from: places[0],
            to: writer.position(),
            ..Span::default()
        };
        let at = |n: usize| Some(places[n]);
        for (span, wanted) in [
            (whole, vec![0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
            (
                Span {
                    sound_to: at(3),
                    pictures_from: at(4),
                    ..whole
                },
                vec![1, 4, 6, 8],
            ),
            (
                Span {
                    pictures_to: at(6),
                    sound_from: at(5),
                    ..whole
                },
                vec![0, 2, 4, 5, 7, 9],
            ),
        ] {
            let (mut read, mut listed) = (Vec::new(), Vec::new());
            let mut reader = SpoolReader::span(&path, span);
            while let Some((_, record)) = reader.next_record().unwrap() {
                if let Record::Frame(frame) = record {
                    read.push(frame.dts_ms);
                }
            }
            let mut reader = SpoolReader::listing(&path, span);
            while let Some(record) = reader.next_listed().unwrap() {
                if let Listed::Frame(frame) = record {
                    listed.push(frame.dts_ms);
                }
            }
            assert_eq!((&read, &listed), (&wanted, &wanted));
        }
    }

    #[tokio::test]
    async fn a_log_cut_at_any_byte_ends_at_its_last_whole_record() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let mut writer = SpoolWriter::create(Disk::start().unwrap(), path.clone(), 0).unwrap();
        for n in 0..5 {
            writer.frame(&frame(n));
        }
        writer.flush();
        writer.handed().written().await;
        let whole = std::fs::read(path.join(segment_name(0))).unwrap();
        assert_eq!(whole.len(), 5 * (HEAD + 1000));
        for cut in [
            0,
            1,
            HEAD,
            HEAD + 999,
            HEAD + 1000,
            3000,
            whole.len() - 1,
            whole.len(),
        ] {
            std::fs::write(path.join(segment_name(0)), &whole[..cut]).unwrap();
            let (times, end) = read_all(&path);
            assert_eq!(times.len(), cut / (HEAD + 1000), "cut at {cut}");
            assert_eq!(end.offset, (times.len() * (HEAD + 1000)) as u64);
        }
    }

    #[tokio::test]
    async fn a_segment_cut_in_the_middle_of_a_log_is_followed_by_the_next_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let mut writer = SpoolWriter::create(Disk::start().unwrap(), path.clone(), 0).unwrap();
        for n in 0..9 {
            writer.frame(&frame(n));
            if n % 3 == 2 {
                writer.next_segment(&Mark::End { end_ms: 0 }).unwrap();
            }
        }
        writer.flush();
        writer.handed().written().await;
        let middle = path.join(segment_name(1));
        let whole = std::fs::read(&middle).unwrap();
        for cut in (0..whole.len()).step_by(97) {
            std::fs::write(&middle, &whole[..cut]).unwrap();
            let mark = whole.len() - 3 * (HEAD + 1000);
            let kept = i64::try_from(cut.saturating_sub(mark) / (HEAD + 1000)).unwrap();
            let expected: Vec<i64> = (0..3 + kept).chain(6..9).collect();
            let (times, end) = read_all(&path);
            assert_eq!((times, end.segment), (expected, 3), "cut at {cut}");
        }
    }

    #[tokio::test]
    async fn a_reader_goes_on_into_the_next_segment_and_stops_at_its_span() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let mut writer = SpoolWriter::create(Disk::start().unwrap(), path.clone(), 0).unwrap();
        writer.frame(&frame(1));
        let from = writer.position();
        writer.frame(&frame(2));
        writer.next_segment(&Mark::End { end_ms: 0 }).unwrap();
        writer.frame(&frame(3));
        let to = writer.position();
        writer.frame(&frame(4));
        writer.flush();
        writer.handed().written().await;
        assert_eq!(read_all(&path).0, [1, 2, 3, 4]);
        let mut reader = SpoolReader::span(
            &path,
            Span {
                from,
                to,
                ..Span::default()
            },
        );
        let mut times = Vec::new();
        while let Some((_, record)) = reader.next_record().unwrap() {
            if let Record::Frame(frame) = record {
                times.push(frame.dts_ms);
            }
        }
        assert_eq!(times, [2, 3]);
        assert_eq!(segments(&path).unwrap(), [0, 1]);
    }

    #[tokio::test]
    async fn a_listing_names_the_frames_that_a_reading_brings() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let mut writer = SpoolWriter::create(Disk::start().unwrap(), path.clone(), 0).unwrap();
        let from = writer.position();
        for n in 0..40 {
            let size = [1, 300, 5_000, 70_000][usize::try_from(n % 4).unwrap()];
            writer.frame(&Frame {
                data: Bytes::from(vec![9; size]),
                ..frame(n)
            });
            if n % 10 == 9 {
                writer.next_segment(&Mark::End { end_ms: n }).unwrap();
            }
        }
        writer.flush();
        writer.handed().written().await;
        let listed = |to| {
            let span = Span {
                from,
                to,
                ..Span::default()
            };
            let mut reader = SpoolReader::span(&path, span).sparing();
            let (mut frames, mut marks) = (Vec::new(), 0);
            while let Some(listed) = reader.next_listed().unwrap() {
                match listed {
                    Listed::Frame(sample) => frames.push((sample.dts_ms, sample.size)),
                    Listed::Other(_) => marks += 1,
                }
            }
            (frames, marks)
        };
        let (frames, marks) = listed(writer.position());
        let sizes = [1, 300, 5_000, 70_000].into_iter().cycle();
        let expected: Vec<(i64, u32)> = (0..40).zip(sizes).collect();
        assert_eq!((frames, marks), (expected, 4));
        // What was announced and never written is not listed.
        let last = path.join(segment_name(3));
        let length = std::fs::metadata(&last).unwrap().len();
        let file = std::fs::OpenOptions::new().write(true).open(&last).unwrap();
        file.set_len(length - 1).unwrap();
        assert_eq!(listed(writer.position()).0.len(), 39);
    }
}
