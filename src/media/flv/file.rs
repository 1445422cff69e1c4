//! The tags of an FLV file that lies in memory, without copying (annex E.2 and E.3).

use bytes::{Buf, Bytes};
use thiserror::Error;

use super::TagKind;

const TAG_HEADER: usize = 11;
const PREVIOUS_TAG_SIZE: usize = 4;

/// One tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// What it holds.
    pub kind: TagKind,
    /// Milliseconds.
    pub timestamp: u32,
    /// The tag body.
    pub payload: Bytes,
}

/// Why bytes are no FLV file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FlvFileError {
    /// No FLV header, or not version 1.
    #[error("this is no FLV file")]
    NotFlv,
    /// The file stops inside a tag.
    #[error("the FLV file ends inside a tag")]
    Truncated,
    /// A tag has a type that no FLV file uses.
    #[error("an FLV tag has the unknown type {0}")]
    TagType(u8),
}

/// Iterates the tags of a file. After an error there is nothing more.
#[derive(Debug, Clone)]
pub struct FlvFile {
    rest: Bytes,
}

impl FlvFile {
    /// Checks the header.
    ///
    /// # Errors
    /// When it is not that of an FLV file.
    pub fn new(mut file: Bytes) -> Result<Self, FlvFileError> {
        let header: &[u8; 9] = file.first_chunk().ok_or(FlvFileError::NotFlv)?;
        let [b'F', b'L', b'V', 1, _, offset @ ..] = *header else {
            return Err(FlvFileError::NotFlv);
        };
        let offset = usize::try_from(u32::from_be_bytes(offset)).unwrap_or(usize::MAX);
        let body = offset.saturating_add(PREVIOUS_TAG_SIZE);
        if offset < 9 || body > file.len() {
            return Err(FlvFileError::NotFlv);
        }
        file.advance(body);
        Ok(Self { rest: file })
    }

    fn tag(&mut self) -> Result<Tag, FlvFileError> {
        let header: [u8; TAG_HEADER] = *self.rest.first_chunk().ok_or(FlvFileError::Truncated)?;
        let [number, s2, s1, s0, t2, t1, t0, t3, ..] = header;
        let kind = TagKind::from_number(number).ok_or(FlvFileError::TagType(number))?;
        let size = usize::try_from(u32::from_be_bytes([0, s2, s1, s0])).unwrap_or(usize::MAX);
        let end = TAG_HEADER.saturating_add(size);
        if end > self.rest.len() {
            return Err(FlvFileError::Truncated);
        }
        let mut payload = self.rest.split_to(end);
        payload.advance(TAG_HEADER);
        // Writers that were cut off leave out the last back pointer; nothing needs it.
        self.rest.advance(PREVIOUS_TAG_SIZE.min(self.rest.len()));
        Ok(Tag {
            kind,
            timestamp: u32::from_be_bytes([t3, t2, t1, t0]),
            payload,
        })
    }
}

impl Iterator for FlvFile {
    type Item = Result<Tag, FlvFileError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let tag = self.tag();
        if tag.is_err() {
            self.rest.clear();
        }
        Some(tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &[u8] = b"FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00";

    fn file(tags: &[u8]) -> Result<FlvFile, FlvFileError> {
        FlvFile::new([HEADER, tags].concat().into())
    }

    #[test]
    fn tags_with_extended_timestamps() {
        let tags = b"\x09\x00\x00\x02\x11\x22\x33\x44\x00\x00\x00ab\x00\x00\x00\x0d\
                     \x08\x00\x00\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00\x0b";
        let tags: Vec<Tag> = file(tags).unwrap().map(Result::unwrap).collect();
        assert_eq!(tags.len(), 2);
        assert_eq!(
            (tags[0].kind, tags[0].timestamp),
            (TagKind::Video, 0x4411_2233)
        );
        assert_eq!(tags[0].payload.as_ref(), b"ab");
        assert_eq!((tags[1].kind, tags[1].timestamp), (TagKind::Audio, 7));
        assert!(tags[1].payload.is_empty());
    }

    #[test]
    fn an_error_ends_the_walk() {
        let cut = b"\x09\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00ab";
        let mut tags = file(cut).unwrap();
        assert_eq!(tags.next(), Some(Err(FlvFileError::Truncated)));
        assert_eq!(tags.next(), None);
        let mut tags = file(&[7; 15]).unwrap();
        assert_eq!(tags.next(), Some(Err(FlvFileError::TagType(7))));
        assert_eq!(tags.next(), None);
    }

    #[test]
    fn a_missing_last_back_pointer_is_no_loss() {
        let mut tags = file(b"\x12\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00a").unwrap();
        assert_eq!(tags.next().unwrap().unwrap().kind, TagKind::Data);
        assert_eq!(tags.next(), None);
    }

    #[test]
    fn other_files_are_refused() {
        for bytes in [
            &b""[..],
            b"FLV",
            b"GIF89a.......",
            b"FLV\x02\x05\x00\x00\x00\x09\x00\x00\x00\x00",
            b"FLV\x01\x05\x00\x00\x00\x08\x00\x00\x00\x00",
            b"FLV\x01\x05\xff\xff\xff\xff\x00\x00\x00\x00",
        ] {
            let refused = FlvFile::new(Bytes::copy_from_slice(bytes)).err();
            assert_eq!(refused, Some(FlvFileError::NotFlv));
        }
    }
}
