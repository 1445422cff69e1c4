//! Flash Video: the tags that RTMP carries and that `.flv` files hold (Adobe's Video File Format 10.1, annex E, and
//! Enhanced RTMP).

pub mod file;
pub mod read;
pub mod stream;
pub mod write;

/// What a tag holds. The numbers are those of the tag header, and of the RTMP message that carries such a tag body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TagKind {
    /// Type 8.
    Audio,
    /// Type 9.
    Video,
    /// Type 18: AMF0 values, `onMetaData` above all.
    Data,
}

impl TagKind {
    /// The number in the tag header.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Audio => 8,
            Self::Video => 9,
            Self::Data => 18,
        }
    }

    /// The kind by its number; none for what media does not use.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            8 => Some(Self::Audio),
            9 => Some(Self::Video),
            18 => Some(Self::Data),
            _ => None,
        }
    }
}
