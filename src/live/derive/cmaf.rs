//! CMAF outputs: a slice is one fragment, a file has one header.

use std::path::Path;

use super::output::{Output, Written};
use super::{DeriveError, Tracks, for_each, list};
use crate::live::decide::segmenter::Slice;
use crate::live::spool::read::{Listed, SpoolReader};
use crate::live::spool::record::Record;
use crate::media::cmaf::{Fragmenter, Position, init_segment};
use crate::media::frame::SampleInfo;

/// Where a session begins on the fragments' timeline: sound that comes a little before the first picture must not be negative.
const ORIGIN_MS: i64 = 1_000;

/// Writes a slice as a fragment that goes on where `start` stopped.
pub fn write_fragment(
    folder: &Path,
    path: &Path,
    slice: &Slice,
    tracks: &Tracks,
    start: Position,
) -> Result<(Written, Position), DeriveError> {
    let origin_ms = ORIGIN_MS - slice.origin_ms;
    let mut samples: Vec<SampleInfo> = Vec::new();
    list(folder, SpoolReader::listing(folder, slice.span), |listed| {
        if let Listed::Frame(mut sample) = listed {
            sample.dts_ms += origin_ms;
            samples.push(sample);
        }
        Ok(())
    })?;
    let mut fragmenter = Fragmenter::new(tracks.video.as_ref(), tracks.audio.as_ref(), start)?;
    let head = fragmenter.fragment(
        &samples,
        Some(slice.start_ms + slice.duration_ms + origin_ms),
    )?;
    let mut out = Output::create(path)?;
    out.buffer.extend_from_slice(&head);
    for_each(folder, slice.span, |record| {
        if let Record::Frame(frame) = record {
            out.payload(&frame.data)?;
        }
        Ok(())
    })?;
    Ok((out.finish()?, fragmenter.position()))
}

/// Writes the header that a file's fragments need.
pub fn write_init(path: &Path, tracks: &Tracks) -> Result<Written, DeriveError> {
    let mut out = Output::create(path)?;
    out.buffer
        .extend_from_slice(&init_segment(tracks.video.as_ref(), tracks.audio.as_ref())?);
    Ok(out.finish()?)
}
