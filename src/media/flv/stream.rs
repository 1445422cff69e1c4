//! FLV as it comes and goes over a network: tags out of pieces of any size, and tags whose bodies are at hand.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::TagKind;
use super::file::{FlvFileError, Tag};
use crate::segments::Segments;

const FILE_HEADER: usize = 9;
const TAG_HEADER: usize = 11;
const BACK_POINTER: usize = 4;
/// The longest body, in bytes.
const LONGEST: usize = 0x00FF_FFFF;
const HAS_AUDIO: u8 = 4;
const HAS_VIDEO: u8 = 1;
/// Bytes of the longest file header that is passed over.
const MOST_HEADER: usize = 64 << 10;
/// Bytes of room that an announced body is given before it has come.
const FIRST_ROOM: usize = 64 << 10;

/// What stands before the first tag.
#[must_use]
pub fn file_header(video: bool, audio: bool) -> Bytes {
    let mut out = BytesMut::with_capacity(FILE_HEADER + BACK_POINTER);
    out.put_slice(b"FLV\x01");
    out.put_u8((u8::from(audio) * HAS_AUDIO) | (u8::from(video) * HAS_VIDEO));
    out.put_u32(FILE_HEADER as u32);
    out.put_u32(0);
    out.freeze()
}

/// Appends a tag. A body of more than 16,777,215 bytes cannot be told and is cut off.
pub fn put_tag(kind: TagKind, timestamp: u32, body: &[u8], out: &mut BytesMut) {
    let body = body.get(..LONGEST).unwrap_or(body);
    out.reserve(TAG_HEADER + body.len() + BACK_POINTER);
    out.put_slice(&tag_header(kind, timestamp, body.len()));
    out.put_slice(body);
    out.put_u32(back_pointer(body.len()));
}

/// As [`put_tag`], without a copy of the body.
pub fn share_tag(kind: TagKind, timestamp: u32, mut body: Bytes, out: &mut Segments) {
    body.truncate(LONGEST);
    let size = body.len();
    let header = tag_header(kind, timestamp, size);
    out.small().put_slice(&header);
    out.share(body);
    out.small().put_u32(back_pointer(size));
}

fn tag_header(kind: TagKind, timestamp: u32, size: usize) -> [u8; TAG_HEADER] {
    let [_, s2, s1, s0] = (size as u32).to_be_bytes();
    let [t3, t2, t1, t0] = timestamp.to_be_bytes();
    [kind.number(), s2, s1, s0, t2, t1, t0, t3, 0, 0, 0]
}

fn back_pointer(size: usize) -> u32 {
    (size + TAG_HEADER) as u32
}

/// Takes tags out of a stream. After an error there is nothing more.
#[derive(Debug, Default)]
pub struct TagStream {
    held: BytesMut,
    has_header: bool,
    failure: Option<FlvFileError>,
}

impl TagStream {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends what came.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.failure.is_none() {
            self.held.extend_from_slice(bytes);
        }
    }

    /// Bytes that are no whole tag yet.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// The next whole tag; none until more has come.
    ///
    /// # Errors
    /// When this is no FLV.
    pub fn next_tag(&mut self) -> Result<Option<Tag>, FlvFileError> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let tag = self.read();
        if let Err(failure) = tag {
            self.failure = Some(failure);
            self.held.clear();
        }
        tag
    }

    fn read(&mut self) -> Result<Option<Tag>, FlvFileError> {
        if !self.has_header {
            let Some(header) = self.held.first_chunk::<FILE_HEADER>() else {
                // What cannot become one is told at once.
                let begun = b"FLV\x01".iter().zip(&self.held).all(|(a, b)| a == b);
                return if begun {
                    Ok(None)
                } else {
                    Err(FlvFileError::NotFlv)
                };
            };
            let [b'F', b'L', b'V', 1, _, offset @ ..] = *header else {
                return Err(FlvFileError::NotFlv);
            };
            let offset = usize::try_from(u32::from_be_bytes(offset)).unwrap_or(usize::MAX);
            if !(FILE_HEADER..=MOST_HEADER).contains(&offset) {
                return Err(FlvFileError::NotFlv);
            }
            if self.held.len() < offset + BACK_POINTER {
                return Ok(None);
            }
            self.held.advance(offset + BACK_POINTER);
            self.has_header = true;
        }
        let Some(header) = self.held.first_chunk::<TAG_HEADER>() else {
            return Ok(None);
        };
        let [number, s2, s1, s0, t2, t1, t0, t3, ..] = *header;
        let kind = TagKind::from_number(number).ok_or(FlvFileError::TagType(number))?;
        let size = usize::try_from(u32::from_be_bytes([0, s2, s1, s0])).unwrap_or(usize::MAX);
        let whole = TAG_HEADER + size + BACK_POINTER;
        if self.held.len() < whole {
            let missing = whole - self.held.len();
            self.held.reserve(missing.min(FIRST_ROOM));
            return Ok(None);
        }
        let mut payload = self.held.split_to(whole).freeze();
        payload.advance(TAG_HEADER);
        payload.truncate(size);
        Ok(Some(Tag {
            kind,
            timestamp: u32::from_be_bytes([t3, t2, t1, t0]),
            payload,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> (Vec<Tag>, Bytes) {
        let tags = vec![
            Tag {
                kind: TagKind::Data,
                timestamp: 0,
                payload: Bytes::from_static(b"data"),
            },
            Tag {
                kind: TagKind::Video,
                timestamp: 0x0100_0203,
                payload: Bytes::from_static(&[7; 300]),
            },
            Tag {
                kind: TagKind::Audio,
                timestamp: u32::MAX,
                payload: Bytes::new(),
            },
        ];
        let mut out = BytesMut::from(&file_header(true, true)[..]);
        for tag in &tags {
            put_tag(tag.kind, tag.timestamp, &tag.payload, &mut out);
        }
        (tags, out.freeze())
    }

    #[test]
    fn tags_come_out_as_they_were_put_however_they_are_cut() {
        let (tags, bytes) = written();
        for step in [1, 3, 11, 64, 1_000] {
            let mut stream = TagStream::new();
            let mut read = Vec::new();
            for piece in bytes.chunks(step) {
                stream.feed(piece);
                while let Some(tag) = stream.next_tag().unwrap() {
                    read.push(tag);
                }
            }
            assert_eq!(read, tags, "{step}");
            assert_eq!(stream.held(), 0);
        }
        let file = super::super::file::FlvFile::new(bytes).unwrap();
        assert_eq!(file.map(Result::unwrap).collect::<Vec<_>>(), tags);
    }

    #[test]
    fn the_head_tells_the_tracks() {
        assert_eq!(&file_header(true, false)[..5], b"FLV\x01\x01");
        assert_eq!(&file_header(false, true)[..5], b"FLV\x01\x04");
    }

    #[test]
    fn what_is_no_flv_is_told_at_once() {
        for bytes in [
            &b"HTTP"[..],
            b"FLV\x02",
            b"FLV\x01\x05\xff\xff\xff\xff\0\0\0\0",
        ] {
            let mut stream = TagStream::new();
            stream.feed(bytes);
            assert_eq!(stream.next_tag(), Err(FlvFileError::NotFlv), "{bytes:?}");
            assert_eq!(stream.next_tag(), Err(FlvFileError::NotFlv));
        }
        let mut stream = TagStream::new();
        stream.feed(&file_header(true, true));
        stream.feed(&[3; 11]);
        assert_eq!(stream.next_tag(), Err(FlvFileError::TagType(3)));
    }
}
