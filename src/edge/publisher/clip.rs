//! What can be pushed: a few clips inside the binary, or an FLV file.
//!
//! A clip is checked once, as a whole, so that a push cannot fail half-way on a broken file; its tags share the memory
//! of the file.

use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use rustix::fs::OFlags;
use thiserror::Error;

use crate::media::flv::TagKind;
use crate::media::flv::file::{FlvFile, FlvFileError, Tag};

/// The clip that is pushed when none is named.
pub const DEFAULT_CLIP: &str = "h264_aac";
/// Largest file that is taken; a clip lies in memory.
pub const MAX_CLIP_BYTES: u64 = 256 * 1024 * 1024;
/// Distance that a lone frame is given, in microseconds.
const LONE_FRAME_US: u64 = 40_000;

/// The clips inside the binary: name, what it is, file.
pub const BUILTIN: &[(&str, &str, &[u8])] = &[
    (
        DEFAULT_CLIP,
        "10 s of H.264 320x180 at 25 fps with AAC, a key frame every 2 s",
        include_bytes!("../../../fixtures/media/h264_aac.flv"),
    ),
    (
        "hevc_enhanced",
        "10 s of H.265 in the Enhanced RTMP form with AAC",
        include_bytes!("../../../fixtures/media/hevc_enhanced.flv"),
    ),
    (
        "audio_only",
        "10 s of AAC without pictures",
        include_bytes!("../../../fixtures/media/audio_only.flv"),
    ),
    (
        "video_only",
        "10 s of H.264 without sound",
        include_bytes!("../../../fixtures/media/video_only.flv"),
    ),
    (
        "one_per_second",
        "60 s of H.264 with one tiny picture a second, for hours of media",
        include_bytes!("../../../fixtures/media/one_per_second.flv"),
    ),
];

/// Why something is no clip.
#[derive(Debug, Error)]
pub enum ClipError {
    /// The file cannot be read.
    #[error("{path} cannot be read: {source}")]
    Read {
        /// As given.
        path: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Nothing of that name can be read as a file, for whatever reason.
    #[error("{0} is neither the name of a built-in clip nor a regular file that can be read")]
    NoFile(String),
    /// The file is too large to lie in memory.
    #[error("{0} is larger than {MAX_CLIP_BYTES} bytes")]
    TooLarge(String),
    /// The content is no FLV.
    #[error("{name}: {source}")]
    Flv {
        /// Name or path.
        name: String,
        /// What is wrong with it.
        source: FlvFileError,
    },
    /// There is nothing to push in it.
    #[error("{0} holds neither pictures nor sound")]
    Empty(String),
}

/// What a tag is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Metadata and other script data.
    Script,
    /// A sequence header.
    Header,
    /// The mark that a track is over.
    End,
    /// A picture or a piece of sound.
    Frame,
}

/// A checked clip; clones share its memory.
#[derive(Debug, Clone)]
pub struct Clip {
    name: Arc<str>,
    tags: Arc<[Tag]>,
    base_ms: u32,
    period_us: u64,
    frame_ms: u64,
}

impl Clip {
    /// A clip of [`BUILTIN`] by its name.
    #[must_use]
    pub fn builtin(name: &str) -> Option<Self> {
        let (name, _, file) = BUILTIN.iter().find(|(known, ..)| *known == name)?;
        Self::from_bytes(*name, Bytes::from_static(file)).ok()
    }

    /// Reads an FLV file.
    ///
    /// # Errors
    /// It cannot be read, is too large, or is no FLV with media.
    pub fn file(path: &Path) -> Result<Self, ClipError> {
        let name = path.display().to_string();
        let read = |source| ClipError::Read {
            path: name.clone(),
            source,
        };
        let file = File::open(path).map_err(read)?;
        Self::read(name.clone(), file, read)
    }

    /// Reads an FLV file that somebody else named, in one answer for everything that is no file to be read: who asks must not learn what
    /// lies where, and a pipe must not be waited for.
    ///
    /// # Errors
    /// There is no such regular file that can be read, it is too large, or is no FLV with media.
    pub fn regular_file(path: &Path) -> Result<Self, ClipError> {
        let name = path.display().to_string();
        let none = || ClipError::NoFile(name.clone());
        // Before it is opened: opening a device can do something already. And after: it may have been changed for another one.
        let is_file = |found: std::io::Result<Metadata>| found.is_ok_and(|it| it.is_file());
        if !is_file(std::fs::metadata(path)) {
            return Err(none());
        }
        let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
        let opened = File::options().read(true).custom_flags(flags).open(path);
        let file = opened.map_err(|_| none())?;
        if !is_file(file.metadata()) {
            return Err(none());
        }
        Self::read(name.clone(), file, |_| none())
    }

    fn read(
        name: String,
        file: File,
        failed: impl Fn(std::io::Error) -> ClipError,
    ) -> Result<Self, ClipError> {
        if file.metadata().map_err(&failed)?.len() > MAX_CLIP_BYTES {
            return Err(ClipError::TooLarge(name));
        }
        let mut content = Vec::new();
        // A pipe has no length of its own.
        file.take(MAX_CLIP_BYTES)
            .read_to_end(&mut content)
            .map_err(&failed)?;
        Self::from_bytes(name, content.into())
    }

    /// Takes an FLV file that lies in memory; `name` is for messages.
    ///
    /// # Errors
    /// It is no FLV, or has no media.
    pub fn from_bytes(name: impl Into<String>, content: Bytes) -> Result<Self, ClipError> {
        let name = name.into();
        let tags: Result<Vec<Tag>, FlvFileError> =
            FlvFile::new(content).and_then(|file| file.collect());
        let tags = match tags {
            Ok(tags) => tags,
            Err(source) => return Err(ClipError::Flv { name, source }),
        };
        let (video, audio) = (
            Span::of(&tags, TagKind::Video),
            Span::of(&tags, TagKind::Audio),
        );
        let Some(base_ms) = video.iter().chain(&audio).map(|span| span.first).min() else {
            return Err(ClipError::Empty(name));
        };
        // The pictures set the pace of the loop, so that their distance stays exact over its seam; sound that lasts longer
        // than they do has to fit in as well.
        let period_us = match (&video, &audio) {
            (Some(video), Some(audio)) if audio.fits(video.period_us()) => video.period_us(),
            (Some(video), Some(audio)) => audio.period_us().max(video.period_us()),
            (Some(only), None) | (None, Some(only)) => only.period_us(),
            (None, None) => return Err(ClipError::Empty(name)),
        };
        let frame_us = video
            .as_ref()
            .or(audio.as_ref())
            .map_or(0, Span::distance_us);
        Ok(Self {
            name: name.into(),
            tags: tags.into(),
            base_ms,
            period_us,
            frame_ms: frame_us.div_ceil(1_000),
        })
    }

    /// Its name, or the path of its file.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How long one round takes.
    #[must_use]
    pub fn period_ms(&self) -> u64 {
        self.period_us.div_ceil(1_000)
    }

    pub(super) fn period_us(&self) -> u64 {
        self.period_us
    }

    /// How long a frame stands, for the length of what was pushed.
    pub(super) fn frame_ms(&self) -> u64 {
        self.frame_ms
    }

    pub(super) fn tag(&self, index: usize) -> Option<&Tag> {
        self.tags.get(index)
    }

    /// A tag's time from the start of the clip.
    pub(super) fn time_of(&self, tag: &Tag) -> u64 {
        u64::from(tag.timestamp.saturating_sub(self.base_ms))
    }
}

/// Where the frames of one track lie.
#[derive(Debug)]
struct Span {
    first: u32,
    last: u32,
    frames: u64,
}

impl Span {
    fn of(tags: &[Tag], kind: TagKind) -> Option<Self> {
        let mut times = tags
            .iter()
            .filter(|tag| tag.kind == kind && role(tag) == Role::Frame)
            .map(|tag| tag.timestamp);
        let first = times.next()?;
        let start = Self {
            first,
            last: first,
            frames: 1,
        };
        Some(times.fold(start, |span, time| Self {
            first: span.first.min(time),
            last: span.last.max(time),
            frames: span.frames + 1,
        }))
    }

    fn length_us(&self) -> u64 {
        u64::from(self.last - self.first) * 1_000
    }

    /// Mean distance of the frames.
    fn distance_us(&self) -> u64 {
        match (self.length_us(), self.frames - 1) {
            (0, _) | (_, 0) => LONE_FRAME_US,
            (length, gaps) => length / gaps,
        }
    }

    /// Time after which the first frame may come again.
    fn period_us(&self) -> u64 {
        self.length_us() + self.distance_us().max(1_000)
    }

    /// Whether the first frame of the next round comes after the last one of this round.
    fn fits(&self, period_us: u64) -> bool {
        self.length_us() < period_us
    }
}

/// Audio or video packet types that are the same in legacy and extended headers.
const SEQUENCE_START: u8 = 0;
const SEQUENCE_END: u8 = 2;
/// Colours and the like, in extended video headers only.
const VIDEO_METADATA: u8 = 4;

/// Tells headers from frames by the first two bytes of a tag body (annex E.4.2 and E.4.3; Enhanced RTMP).
pub(super) fn role(tag: &Tag) -> Role {
    let (Some(&first), second) = (tag.payload.first(), tag.payload.get(1)) else {
        return Role::Script;
    };
    let packet = match tag.kind {
        TagKind::Data => return Role::Script,
        TagKind::Video if first & 0x80 != 0 && first & 0x0F == VIDEO_METADATA => {
            return Role::Script;
        }
        TagKind::Video if first & 0x80 != 0 => Some(first & 0x0F),
        // H.264, and H.265 and MPEG-4 part 2 as they are commonly numbered.
        TagKind::Video if matches!(first & 0x0F, 7 | 9 | 12) => second.copied(),
        // Extended audio headers are sound format 9; AAC is 10 and ends without a mark.
        TagKind::Audio if first >> 4 == 9 => Some(first & 0x0F),
        TagKind::Audio if first >> 4 == 10 => second.copied().filter(|packet| *packet == 0),
        TagKind::Video | TagKind::Audio => None,
    };
    match packet {
        Some(SEQUENCE_START) => Role::Header,
        Some(SEQUENCE_END) => Role::End,
        _ => Role::Frame,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clips_inside_have_their_true_periods() {
        let periods: Vec<(&str, u64)> = BUILTIN
            .iter()
            .map(|(name, ..)| (*name, Clip::builtin(name).unwrap().period_us()))
            .collect();
        assert_eq!(
            periods,
            [
                ("h264_aac", 10_000_000),
                ("hevc_enhanced", 10_000_000),
                ("audio_only", 10_008_220),
                ("video_only", 10_000_000),
                ("one_per_second", 60_000_000)
            ]
        );
        assert!(Clip::builtin("nothing").is_none());
    }

    #[test]
    fn what_is_no_clip_is_refused_with_its_name() {
        let refused = |bytes: &'static [u8]| {
            let error = Clip::from_bytes("x.flv", Bytes::from_static(bytes)).unwrap_err();
            error.to_string()
        };
        assert_eq!(refused(b"GIF89a.......xx"), "x.flv: this is no FLV file");
        let empty = b"FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00";
        assert_eq!(refused(empty), "x.flv holds neither pictures nor sound");
        // A sequence header alone is nothing to push.
        let header = b"FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00\
                       \x09\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x17\x00\x00\x00\x00\x0d";
        assert_eq!(refused(header), "x.flv holds neither pictures nor sound");
        let missing = Clip::file(Path::new("no/such/clip.flv")).unwrap_err();
        assert!(
            missing
                .to_string()
                .starts_with("no/such/clip.flv cannot be read")
        );
    }

    #[test]
    fn a_file_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.flv");
        std::fs::write(&path, BUILTIN[0].2).unwrap();
        assert_eq!(Clip::file(&path).unwrap().period_ms(), 10_000);
    }

    #[test]
    fn a_file_above_the_bound_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("huge.flv");
        // A sparse file: it takes no room on the disk.
        File::create(&path)
            .unwrap()
            .set_len(MAX_CLIP_BYTES + 1)
            .unwrap();
        assert!(matches!(Clip::file(&path), Err(ClipError::TooLarge(_))));
    }

    #[test]
    fn longer_sound_stretches_the_period() {
        let tag = |kind: u8, time: u8, body: &[u8]| {
            let size = u8::try_from(body.len()).unwrap();
            let head = [kind, 0, 0, size, 0, 0, time, 0, 0, 0, 0];
            [&head[..], body, &[0; 4]].concat()
        };
        let tags = [
            tag(9, 0, b"\x17\x01\0\0\0a"),
            tag(8, 0, b"\xaf\x01s"),
            tag(9, 40, b"\x27\x01\0\0\0b"),
            tag(8, 100, b"\xaf\x01s"),
        ];
        let file = [
            &b"FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00"[..],
            &tags.concat(),
        ]
        .concat();
        let clip = Clip::from_bytes("c", file.into()).unwrap();
        assert_eq!(clip.period_us(), 200_000);
    }
}
