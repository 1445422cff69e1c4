//! MP4 and FLV files: an index from the heads of the frames first, then the payloads. Files of one range are made in one reading for all.

use std::path::{Path, PathBuf};

use super::{DeriveError, InBand, Made, Tracks, file_path, for_each, list, sample};
use crate::live::decide::segmenter::File;
use crate::live::derive::output::Output;
use crate::live::spool::read::{Listed, SpoolReader};
use crate::live::spool::record::Record;
use crate::media::flv::write as flv;
use crate::media::mp4;
use crate::model::rule::Format;

/// Makes files of the same range.
pub(super) fn write_files(
    folder: &Path,
    files: &[(File, Format)],
) -> Result<Vec<Made>, DeriveError> {
    let Some(span) = files.first().map(|(file, _)| file.span) else {
        return Ok(Vec::new());
    };
    let configs = Tracks::at(folder, span)?;
    let mut indexes = Vec::with_capacity(files.len());
    for (file, format) in files {
        indexes.push(Index::new(file, *format, &configs)?);
    }
    list(folder, SpoolReader::listing(folder, span), |listed| {
        indexes.iter_mut().try_for_each(|index| index.take(&listed))
    })?;
    let mut bodies = Vec::with_capacity(files.len());
    for ((file, format), index) in files.iter().zip(indexes) {
        let in_band = InBand::of(file, &configs)?;
        bodies.push(index.begin(file_path(folder, file, *format), &configs, in_band)?);
    }
    for_each(folder, span, |record| {
        bodies.iter_mut().try_for_each(|body| body.put(&record))
    })?;
    bodies
        .into_iter()
        .map(|body| body.finish(configs.pixels()))
        .collect()
}

/// The index of a file in the making.
struct Index {
    in_band: InBand,
    layout: Layout,
}

enum Layout {
    Mp4(Box<mp4::Layout>),
    Flv(Box<flv::Layout>),
}

impl Index {
    fn new(file: &File, format: Format, configs: &Tracks) -> Result<Self, DeriveError> {
        let mut index = Self {
            in_band: InBand::of(file, configs)?,
            layout: match format {
                Format::Flv => Layout::Flv(Box::default()),
                _ => Layout::Mp4(Box::new(mp4::Layout::new())),
            },
        };
        let records = [
            configs.video.clone().map(Record::Video),
            configs.audio.clone().map(Record::Audio),
        ];
        for record in records.into_iter().flatten() {
            index.config(&record)?;
        }
        Ok(index)
    }

    fn take(&mut self, listed: &Listed) -> Result<(), DeriveError> {
        match listed {
            Listed::Frame(sample) => {
                let sample = self.in_band.sized(*sample);
                match &mut self.layout {
                    Layout::Mp4(layout) => layout.push(sample)?,
                    Layout::Flv(layout) => layout.push(sample)?,
                }
                Ok(())
            }
            Listed::Other(record) => self.config(record),
        }
    }

    fn config(&mut self, record: &Record) -> Result<(), DeriveError> {
        if let Record::Video(config) = record {
            self.in_band.config(config)?;
        }
        match (&mut self.layout, record) {
            (Layout::Mp4(layout), Record::Video(config)) => layout.video_config(config.clone())?,
            (Layout::Mp4(layout), Record::Audio(config)) => layout.audio_config(config.clone())?,
            (Layout::Flv(layout), Record::Video(config)) => layout.video_config(config)?,
            (Layout::Flv(layout), Record::Audio(config)) => layout.audio_config(config)?,
            (_, Record::Frame(_) | Record::Mark(_)) => {}
        }
        Ok(())
    }

    /// Begins the file with its head.
    fn begin(self, path: PathBuf, configs: &Tracks, in_band: InBand) -> Result<Body, DeriveError> {
        let mut out = Output::create(&path)?;
        let tags = match &self.layout {
            Layout::Mp4(layout) => {
                out.buffer.extend_from_slice(&layout.head()?);
                None
            }
            Layout::Flv(layout) => {
                out.buffer.extend_from_slice(&layout.head()?);
                let mut tags = layout.writer()?;
                if let Some(video) = &configs.video {
                    out.buffer.extend_from_slice(&tags.video_config(video)?);
                }
                if let Some(audio) = &configs.audio {
                    out.buffer.extend_from_slice(&tags.audio_config(audio)?);
                }
                Some(tags)
            }
        };
        Ok(Body {
            path,
            out,
            tags,
            in_band,
        })
    }
}

/// A file whose payloads are being written.
struct Body {
    path: PathBuf,
    out: Output,
    /// What stands around each payload (FLV).
    tags: Option<flv::TagWriter>,
    in_band: InBand,
}

impl Body {
    fn put(&mut self, record: &Record) -> Result<(), DeriveError> {
        let Self {
            out, tags, in_band, ..
        } = self;
        match (record, tags) {
            (Record::Frame(frame), None) => in_band.put(frame, out)?,
            (Record::Frame(frame), Some(tags)) => {
                let head = tags.tag_head(&in_band.sized(sample(frame)))?;
                out.buffer.extend_from_slice(&head);
                in_band.put(frame, out)?;
                out.buffer.extend_from_slice(&head.tail());
            }
            (Record::Video(config), tags) => {
                in_band.config(config)?;
                if let Some(tags) = tags {
                    out.buffer.extend_from_slice(&tags.video_config(config)?);
                }
            }
            (Record::Audio(config), Some(tags)) => {
                out.buffer.extend_from_slice(&tags.audio_config(config)?);
            }
            (Record::Audio(_), None) | (Record::Mark(_), _) => {}
        }
        Ok(())
    }

    fn finish(self, pixels: (i32, i32)) -> Result<Made, DeriveError> {
        let written = self.out.finish()?;
        Ok(Made::file(self.path, written.size, written.crc64, pixels))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::disk::writers::Disk;
    use crate::live::decide::segmenter::{Configs, Span};
    use crate::live::spool::write::SpoolWriter;
    use crate::media::frame::{AudioCodec, AudioConfig, Frame, Track};

    fn sound(record: &'static [u8]) -> AudioConfig {
        AudioConfig {
            codec: AudioCodec::Aac,
            record: Bytes::from_static(record),
            sample_rate: 44_100,
            channels: 2,
        }
    }

    /// Two hundred frames of sound whose configuration changes in the middle.
    async fn spool(folder: &Path) -> Span {
        let mut writer = SpoolWriter::create(Disk::start().unwrap(), folder.to_owned(), 0).unwrap();
        let configs = Configs {
            video: None,
            audio: Some(writer.position()),
        };
        writer.audio_config(&sound(&[0x12, 0x10]));
        let from = writer.position();
        for n in 0..200_u8 {
            if n == 100 {
                writer.audio_config(&sound(&[0x12, 0x08]));
            }
            writer.frame(&Frame {
                track: Track::Audio,
                dts_ms: i64::from(n) * 23,
                cts_ms: 0,
                key: false,
                data: Bytes::from(vec![n; 3_000 + usize::from(n)]),
            });
        }
        writer.flush();
        writer.handed().written().await;
        Span {
            from,
            to: writer.position(),
            configs,
            ..Span::default()
        }
    }

    #[tokio::test]
    async fn files_made_in_one_reading_are_those_made_alone() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("s");
        let span = spool(&folder).await;
        let file = |lane| File {
            lane,
            number: 0,
            span,
            duration_ms: 4_600,
            started_at: 0,
            ended_at: 4_600,
            slices: None,
            header: None,
            several: false,
        };
        let kinds = [(file(0), Format::Mp4), (file(1), Format::Flv)];
        let together = write_files(&folder, &kinds).unwrap();
        let content = |made: &Made| std::fs::read(&made.path).unwrap();
        let both: Vec<_> = together.iter().map(content).collect();
        for (kind, (made, bytes)) in kinds.into_iter().zip(together.iter().zip(both)) {
            made.remove();
            let alone = write_files(&folder, &[kind]).unwrap().remove(0);
            assert_eq!((alone.size, alone.crc64), (made.size, made.crc64));
            assert_eq!(alone.path, made.path);
            assert!(content(&alone) == bytes && bytes.len() > 600_000);
        }
    }
}
