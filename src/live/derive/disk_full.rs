//! What a full disk cut off: the spool ends before the media that was received, and a slice or file of it must say where its own
//! media ends, before that goes into a name, a row or an event.

use std::path::Path;

use crate::clock::UnixMs;
use crate::live::decide::segmenter::{File, Output, Span};
use crate::live::decide::timeline::Timeline;
use crate::live::derive::DeriveError;
use crate::live::spool::read::SpoolReader;
use crate::live::spool::record::{Mark, Record};
use crate::store::records::SliceRow;

/// The media that a range really holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    duration_ms: i64,
    ended_at: UnixMs,
}

/// Shortens a slice or file to the media that the spool holds of it; one that is there in full stays as it is. A file of slices is
/// the matter of [`fit_to_slices`].
pub fn fit(folder: &Path, output: &mut Output) -> Result<(), DeriveError> {
    match output {
        Output::Slice(slice) => {
            if let Some(held) = held(folder, slice.span, slice.started_at)? {
                slice.duration_ms = held.duration_ms.min(slice.duration_ms);
                slice.ended_at = held.ended_at.min(slice.ended_at);
            }
        }
        Output::File(file) if file.slices.is_none() => {
            if let Some(held) = held(folder, file.span, file.started_at)? {
                file.duration_ms = held.duration_ms.min(file.duration_ms);
                file.ended_at = held.ended_at.min(file.ended_at);
            }
        }
        Output::File(_) => {}
    }
    Ok(())
}

/// Shortens a file of slices to those that came about.
pub fn fit_to_slices(file: &mut File, rows: &[SliceRow]) {
    if let Some(last) = rows.iter().map(|row| row.ended_at).max() {
        file.duration_ms = rows
            .iter()
            .map(|row| row.duration_ms)
            .sum::<i64>()
            .min(file.duration_ms);
        file.ended_at = last.min(file.ended_at);
    }
}

/// None: the range is there in full.
fn held(folder: &Path, span: Span, started_at: UnixMs) -> Result<Option<Held>, DeriveError> {
    let mut reader = SpoolReader::span(folder, span);
    let mut timeline = Timeline::default();
    let mut start_ms = None;
    // Media time and wall time of the same instant.
    let mut anchor = None;
    while let Some((_, record)) = reader.next_record()? {
        match record {
            Record::Frame(frame) => {
                start_ms.get_or_insert(frame.dts_ms);
                anchor.get_or_insert((frame.dts_ms, started_at));
                timeline.observe(frame.track, frame.dts_ms, frame.cts_ms);
            }
            Record::Mark(mark) => {
                if let Mark::Resume { media_ms, wall } = *mark
                    && start_ms.is_some()
                {
                    anchor = Some((media_ms, wall));
                }
            }
            Record::Video(_) | Record::Audio(_) => {}
        }
    }
    if reader.position() >= span.to {
        return Ok(None);
    }
    let (Some(start_ms), Some((media_ms, wall))) = (start_ms, anchor) else {
        return Err(DeriveError::Empty);
    };
    let end_ms = timeline.end_ms();
    Ok(Some(Held {
        duration_ms: (end_ms - start_ms).max(1),
        ended_at: wall + end_ms - media_ms,
    }))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::disk::writers::Disk;
    use crate::live::decide::machine::Cause;
    use crate::live::spool::segment_name;
    use crate::live::spool::write::SpoolWriter;
    use crate::media::frame::{Frame, Track};

    fn frame(dts_ms: i64) -> Frame {
        Frame {
            track: Track::Video,
            dts_ms,
            cts_ms: 0,
            key: true,
            data: Bytes::from(vec![7; 100]),
        }
    }

    /// Frames at 0, 40, …, 360, an interruption of 60 s, and frames at 400, …, 760.
    async fn spool(folder: &Path) -> (Span, u64) {
        let mut writer = SpoolWriter::create(Disk::start().unwrap(), folder.to_owned(), 0).unwrap();
        let from = writer.position();
        for n in 0..10 {
            writer.frame(&frame(n * 40));
        }
        writer.mark(&Mark::Pause {
            end_ms: 400,
            at: 1_400,
            cause: Cause::Lost,
        });
        let pause = writer.position().offset;
        writer.mark(&Mark::Resume {
            media_ms: 400,
            wall: 61_400,
        });
        for n in 10..20 {
            writer.frame(&frame(n * 40));
        }
        writer.flush();
        writer.handed().written().await;
        let span = Span {
            from,
            to: writer.position(),
            ..Span::default()
        };
        (span, pause)
    }

    fn cut(folder: &Path, bytes: u64) {
        let file = std::fs::File::options()
            .write(true)
            .open(folder.join(segment_name(0)))
            .unwrap();
        file.set_len(bytes).unwrap();
    }

    #[tokio::test]
    async fn the_end_is_that_of_the_last_whole_frame() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let (span, pause) = spool(&path).await;
        assert_eq!(held(&path, span, 1_000).unwrap(), None, "all is there");
        cut(&path, span.to.offset - 1);
        let end = Held {
            duration_ms: 760,
            ended_at: 61_760,
        };
        assert_eq!(held(&path, span, 1_000).unwrap(), Some(end));
        cut(&path, pause);
        let end = Held {
            duration_ms: 400,
            ended_at: 1_400,
        };
        assert_eq!(held(&path, span, 1_000).unwrap(), Some(end));
        cut(&path, 3);
        assert!(matches!(held(&path, span, 1_000), Err(DeriveError::Empty)));
    }
}
