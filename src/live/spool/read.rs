//! Reading a spool back: a span for the muxers, or a whole session after a crash.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};

use super::record::{HEAD, Record, RecordError, parse, payload_length};
use super::{Position, segment_name, segment_number};
use crate::live::segmenter::Span;

/// Bytes read from disk at a time.
const BLOCK: usize = 256 * 1024;

/// Why a spool cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("the spool cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("the spool is damaged at {at:?}: {error}")]
    Damaged { at: Position, error: RecordError },
}

/// Iterates the records of a span, or of everything from a position to the end of the log.
pub struct SpoolReader {
    folder: PathBuf,
    file: Option<File>,
    at: Position,
    end: Option<Position>,
    buffer: BytesMut,
}

impl SpoolReader {
    #[must_use]
    pub fn span(folder: &Path, span: Span) -> Self {
        Self {
            folder: folder.to_owned(),
            file: None,
            at: span.from,
            end: Some(span.to),
            buffer: BytesMut::new(),
        }
    }

    #[must_use]
    pub fn from(folder: &Path, at: Position) -> Self {
        Self {
            folder: folder.to_owned(),
            file: None,
            at,
            end: None,
            buffer: BytesMut::new(),
        }
    }

    /// Where the next record lies; after the last one, where the log ends.
    #[must_use]
    pub fn position(&self) -> Position {
        self.at
    }

    /// The next record with its place; `None` at the end.
    pub fn next_record(&mut self) -> Result<Option<(Position, Record)>, ReadError> {
        loop {
            if self.end.is_some_and(|end| self.at >= end) {
                return Ok(None);
            }
            let at = self.at;
            if !self.fill(HEAD)? {
                if self.next_segment()? {
                    continue;
                }
                return Ok(None);
            }
            let Some(head) = self.buffer.first_chunk::<HEAD>().copied() else {
                return Ok(None);
            };
            let damaged = |error| ReadError::Damaged { at, error };
            let length = payload_length(&head).map_err(damaged)?;
            if !self.fill(HEAD + length)? {
                return Ok(None);
            }
            let whole: Bytes = self.buffer.split_to(HEAD + length).freeze();
            let record = parse(&head, whole.slice(HEAD..)).map_err(damaged)?;
            self.at.offset += (HEAD + length) as u64;
            return Ok(Some((at, record)));
        }
    }

    /// Makes sure that `wanted` bytes are in the buffer; false when the segment ends before.
    fn fill(&mut self, wanted: usize) -> Result<bool, ReadError> {
        while self.buffer.len() < wanted {
            if self.file.is_none() {
                match File::open(self.folder.join(segment_name(self.at.segment))) {
                    Ok(mut file) => {
                        file.seek(SeekFrom::Start(self.at.offset))?;
                        self.file = Some(file);
                    }
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                    Err(error) => return Err(error.into()),
                }
            }
            let Some(file) = &mut self.file else {
                return Ok(false);
            };
            let missing = (wanted - self.buffer.len()).max(BLOCK);
            let start = self.buffer.len();
            self.buffer.resize(start + missing, 0);
            let read = match self.buffer.get_mut(start..) {
                Some(free) => file.read(free)?,
                None => 0,
            };
            self.buffer.truncate(start + read);
            if read == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn next_segment(&mut self) -> Result<bool, ReadError> {
        let next = self.at.segment + 1;
        if !self.folder.join(segment_name(next)).exists() {
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
    use crate::live::spool::disk::Disk;
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
    async fn a_log_cut_at_any_byte_ends_at_its_last_whole_record() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let mut writer = SpoolWriter::create(Disk::start().unwrap(), path.clone(), 0).unwrap();
        for n in 0..5 {
            writer.frame(&frame(n));
        }
        writer.flush();
        writer.progress().wait_below(0).await;
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
        writer.progress().wait_below(0).await;
        assert_eq!(read_all(&path).0, [1, 2, 3, 4]);
        let mut reader = SpoolReader::span(
            &path,
            Span {
                from,
                to,
                configs: Default::default(),
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
}
