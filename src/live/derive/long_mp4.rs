//! The payload of a long MP4, written while the recording goes on.
//!
//! An MP4's index stands first and is known last. The payload is therefore gathered in a file of its own, one spool segment at a time, and
//! at the end the file system puts the index in front, which moves no byte: an hour's file is there as soon as a minute's. It is
//! a head start only. What goes wrong ends it, and the file is made from the spool as any other; after a restart too.

use std::fs::File as DiskFile;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::output::Output;
use super::{DeriveError, InBand, Made, Tracks, blocking, file_path, mp4_layout, sample};
use crate::disk::held;
use crate::live::decide::segmenter::{File, OpenMp4, Span};
use crate::live::spool::folder::PAYLOAD;
use crate::live::spool::read::SpoolReader;
use crate::live::spool::record::{Record, put_audio_config, put_frame_head, put_video_config};
use crate::live::spool::{Position, segment_name};
use crate::media::mp4::HEAD_BLOCK;
use crate::model::rule::Format;
use crate::objects::folder::combine_crc64;

/// Bytes on the disk that are left to the spool and the store.
const SPARE_BYTES: u64 = 2 << 30;

/// One file in the making.
pub struct Ahead {
    /// The session's.
    folder: PathBuf,
    file: OpenMp4,
    /// Holds the payload and the frames' heads; removed with this.
    place: PathBuf,
    /// Everything before this position of the spool has been taken.
    upto: Position,
    size: u64,
    crc64: crc64fast::Digest,
}

impl Drop for Ahead {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.place);
    }
}

impl Ahead {
    /// Begins a file, where the file system has what its end will need.
    pub async fn begin(folder: PathBuf, file: OpenMp4) -> Result<Self, DeriveError> {
        blocking(move || {
            let place = folder.join(format!("ahead-{}-{}", file.lane, file.number));
            std::fs::create_dir_all(&place)?;
            let ahead = Self {
                folder,
                upto: file.from,
                file,
                place,
                size: 0,
                crc64: crc64fast::Digest::new(),
            };
            held::create(&ahead.heads())?;
            let payload = held::create(&ahead.payload())?;
            payload.set_len(HEAD_BLOCK as u64)?;
            put_in_front(&payload, &[0; HEAD_BLOCK])?;
            payload.set_len(0)?;
            Ok(ahead)
        })
        .await
    }

    /// Whether this is a session's file.
    #[must_use]
    pub fn is(&self, folder: &Path, lane: usize, number: u64) -> bool {
        self.is_in(folder) && (self.file.lane, self.file.number) == (lane, number)
    }

    #[must_use]
    pub fn is_in(&self, folder: &Path) -> bool {
        self.folder == folder
    }

    fn payload(&self) -> PathBuf {
        self.place.join(PAYLOAD)
    }

    /// A log of one segment, with the frames' heads only.
    fn heads(&self) -> PathBuf {
        self.place.join(segment_name(0))
    }

    /// Takes what the spool holds before `to`.
    pub async fn extend(mut self, to: Position) -> Result<Self, DeriveError> {
        blocking(move || {
            if free_bytes(&self.place)? < SPARE_BYTES {
                return Err(io::Error::from(io::ErrorKind::StorageFull).into());
            }
            self.take(to)?;
            Ok(self)
        })
        .await
    }

    fn take(&mut self, to: Position) -> Result<(), DeriveError> {
        self.take_from(SpoolReader::range(&self.folder, self.upto, to))
    }

    fn take_from(&mut self, mut reader: SpoolReader) -> Result<(), DeriveError> {
        let heads = DiskFile::options().append(true).open(self.heads())?;
        let mut heads = BufWriter::new(heads);
        let mut head = Vec::new();
        let mut out = Output::resume(&self.payload(), self.size, self.crc64.clone())?;
        while let Some((_, record)) = reader.next_record()? {
            match record {
                Record::Frame(frame) => {
                    put_frame_head(&mut head, sample(&frame));
                    out.payload(&frame.data)?;
                }
                Record::Video(config) => put_video_config(&mut head, &config),
                Record::Audio(config) => put_audio_config(&mut head, &config),
                Record::Mark(_) => {}
            }
            heads.write_all(&head)?;
            head.clear();
        }
        heads.flush()?;
        self.upto = reader.position();
        (self.size, self.crc64) = out.pause()?;
        Ok(())
    }

    /// Takes the rest and puts the index in front. None: the file is too short to have been begun like this, its pictures have more
    /// than one configuration and want their parameter sets inside, or some of what was taken turned out to be the next file's or nobody's.
    pub async fn finish(mut self, file: File) -> Result<Option<Made>, DeriveError> {
        let Span {
            to,
            pictures_from,
            pictures_to,
            sound_to,
            ..
        } = file.span;
        let mut ends = [Some(to), pictures_to, sound_to].into_iter().flatten();
        // What begins with sound alone may have left out pictures that were taken.
        if file.several || pictures_from.is_some() || ends.any(|end| end < self.upto) {
            return Ok(None);
        }
        blocking(move || {
            self.take_from(SpoolReader::rest_of(&self.folder, file.span, self.upto))?;
            let configs = Tracks::at(&self.folder, file.span)?;
            let (width, height) = configs.pixels();
            let start = Position {
                segment: 0,
                offset: 0,
            };
            let heads = SpoolReader::from(&self.place, start).heads_only();
            let head = mp4_layout(&self.folder, heads, configs, &mut InBand::none())?.head()?;
            if head.len() % HEAD_BLOCK != 0 {
                return Ok(None);
            }
            let payload = DiskFile::options().write(true).open(self.payload())?;
            put_in_front(&payload, &head)?;
            let path = file_path(&self.folder, &file, Format::Mp4);
            std::fs::rename(self.payload(), &path)?;
            let mut crc64 = crc64fast::Digest::new();
            crc64.write(&head);
            Ok(Some(Made::file(
                path,
                head.len() as u64 + self.size,
                combine_crc64(crc64.sum64(), self.crc64.sum64(), self.size),
                (width, height),
            )))
        })
        .await
    }
}

/// Puts whole blocks in front of a file's content (`fallocate(2)`, FALLOC_FL_INSERT_RANGE: ext4, XFS, f2fs).
#[cfg(target_os = "linux")]
fn put_in_front(file: &DiskFile, head: &[u8]) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    fallocate(file, FallocateFlags::INSERT_RANGE, 0, head.len() as u64)?;
    file.write_all_at(head, 0)
}

#[cfg(not(target_os = "linux"))]
fn put_in_front(_: &DiskFile, _: &[u8]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

fn free_bytes(path: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(path)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::disk::writers::Disk;
    use crate::live::decide::segmenter::Configs;
    use crate::live::derive;
    use crate::live::spool::record::Mark;
    use crate::live::spool::write::SpoolWriter;
    use crate::media::frame::{AudioCodec, AudioConfig, Frame, Track};

    const FRAME: usize = 1 << 20;

    /// A spool with this many frames of sound in each segment, and what an MP4 of all of it is.
    async fn spool(folder: &Path, segments: &[u8]) -> (File, Vec<Position>) {
        let mut writer = SpoolWriter::create(Disk::start().unwrap(), folder.to_owned(), 0).unwrap();
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
        let (mut time, mut starts) = (0, Vec::new());
        for frames in segments {
            for n in 0..*frames {
                writer.frame(&Frame {
                    track: Track::Audio,
                    dts_ms: time,
                    cts_ms: 0,
                    key: true,
                    data: Bytes::from(vec![n; FRAME + usize::from(n)]),
                });
                time += 23;
            }
            writer.next_segment(&Mark::End { end_ms: time }).unwrap();
            starts.push(Position {
                segment: writer.position().segment,
                offset: 0,
            });
        }
        let to = writer.position();
        writer.handed().written().await;
        let file = File {
            lane: 0,
            number: 0,
            span: Span {
                from,
                to,
                configs,
                ..Span::default()
            },
            duration_ms: time,
            started_at: 0,
            ended_at: time,
            slices: None,
            header: None,
            several: false,
        };
        (file, starts)
    }

    /// None where the temporary folder's file system cannot insert.
    async fn begun(folder: &Path, file: &File) -> Option<Ahead> {
        let open = OpenMp4 {
            lane: file.lane,
            number: file.number,
            from: file.span.from,
        };
        match Ahead::begin(folder.to_owned(), open).await {
            Err(DeriveError::Io(error)) if error.kind() == io::ErrorKind::Unsupported => None,
            other => Some(other.unwrap()),
        }
    }

    #[tokio::test]
    async fn a_file_written_ahead_is_the_file_made_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("s");
        let (file, starts) = spool(&folder, &[13, 12, 11]).await;
        let Some(mut ahead) = begun(&folder, &file).await else {
            return;
        };
        for start in &starts[..2] {
            ahead = ahead.extend(*start).await.unwrap();
        }
        let made = ahead.finish(file.clone()).await.unwrap().unwrap();
        let bytes = std::fs::read(&made.path).unwrap();
        made.remove();
        let plain = derive::file(folder.clone(), file, Format::Mp4)
            .await
            .unwrap();
        assert!(std::fs::read(&plain.path).unwrap() == bytes);
        assert_eq!((made.size, made.crc64), (plain.size, plain.crc64));
        assert_eq!(made.size, bytes.len() as u64);
        assert!(!folder.join("ahead-0-0").exists());
    }

    /// Sound that led a push was taken before the picture came that made it the next file's.
    #[tokio::test]
    async fn a_file_written_ahead_holds_nothing_of_the_next_one() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("s");
        let (file, starts) = spool(&folder, &[18, 18, 1]).await;
        let (cut, taken) = (starts[0], starts[1]);
        let ends: [fn(&mut Span, Position); 3] = [
            |span, end| span.to = end,
            |span, end| span.pictures_to = Some(end),
            |span, end| span.sound_to = Some(end),
        ];
        for (end, is_whole) in [(cut, false), (taken, true)] {
            for put in ends {
                let mut file = file.clone();
                put(&mut file.span, end);
                let Some(ahead) = begun(&folder, &file).await else {
                    return;
                };
                let ahead = ahead.extend(taken).await.unwrap();
                let made = ahead.finish(file).await.unwrap();
                assert_eq!(made.is_some(), is_whole, "{end:?}");
                if let Some(made) = made {
                    made.remove();
                }
            }
        }
        let mut file = file.clone();
        file.span.pictures_from = Some(cut);
        let Some(ahead) = begun(&folder, &file).await else {
            return;
        };
        let ahead = ahead.extend(taken).await.unwrap();
        assert!(ahead.finish(file).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_short_file_is_left_to_the_ordinary_way() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("s");
        let (file, starts) = spool(&folder, &[1, 1]).await;
        let Some(ahead) = begun(&folder, &file).await else {
            return;
        };
        let ahead = ahead.extend(starts[0]).await.unwrap();
        assert!(ahead.is(&folder, 0, 0) && !ahead.is(&folder, 0, 1));
        assert!(ahead.finish(file).await.unwrap().is_none());
    }
}
