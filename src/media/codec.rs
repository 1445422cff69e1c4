//! Decoder configurations and headers of the codecs that the product records.
//!
//! Only what a reader and a muxer need is parsed: picture size, parameter sets, sample rate and frame length. Nothing
//! here decodes media. Every parser takes untrusted bytes: it answers with a value or a [`CodecError`], in time linear
//! in the input.

pub mod aac;
mod bits;
pub mod h264;
pub mod h265;
pub mod mp3;
pub mod mpeg4;
pub mod sets;
pub mod unit;

use thiserror::Error;

/// Why a header or a configuration record cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CodecError {
    /// The bytes stop inside the named structure.
    #[error("the {what} ends too early")]
    Truncated {
        /// The structure being read.
        what: &'static str,
    },
    /// A field holds a value that its standard forbids or that no real stream uses.
    #[error("the {what} has the value {value}, which is not allowed")]
    Invalid {
        /// The field.
        what: &'static str,
        /// What was found.
        value: u64,
    },
    /// The named structure does not occur where it must.
    #[error("there is no {what}")]
    Missing {
        /// The structure looked for.
        what: &'static str,
    },
}

impl CodecError {
    pub(crate) fn invalid(what: &'static str, value: impl Into<u64>) -> Self {
        Self::Invalid {
            what,
            value: value.into(),
        }
    }
}
