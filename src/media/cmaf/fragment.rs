//! The movie fragment box: `moof` with `traf`, `tfhd`, `tfdt` and `trun` (ISO/IEC 14496-12 clauses 8.8.4 to 8.8.8 and
//! 8.8.12), and the header of the `mdat` behind it.

use bytes::{BufMut, Bytes, BytesMut};
use mp4_atom::{Encode, FourCC, Mfhd, Styp, Tfdt, Tfhd};

use super::MuxError;
use crate::frame::{SampleInfo, Track};
use crate::mp4::{VIDEO_TRACK, put_box, put_full_box};

/// sample_depends_on = no other; a sync sample.
const SYNC: u32 = 0x0200_0000;
/// sample_depends_on = others; not a sync sample.
const DEPENDENT: u32 = 0x0101_0000;

/// `trun` flags: data offset, and duration, size, flags and composition offset of each sample.
const DATA_OFFSET: u32 = 0x0001;
/// Each sample has its duration, in units of the timescale.
const DURATION: u32 = 0x0100;
const SIZE: u32 = 0x0200;
const FLAGS: u32 = 0x0400;
const COMPOSITION: u32 = 0x0800;

const MDAT_HEADER: u64 = 8;

/// One sample on its track's time scale.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub begin: u64,
    /// In units of the track's timescale.
    pub duration: u32,
    pub offset: i32,
    pub sync: bool,
    pub size: u32,
}

/// The samples of one track.
#[derive(Debug, Clone, Copy)]
pub(super) struct TrackRuns<'a> {
    id: u32,
    samples: &'a [Sample],
}

impl<'a> TrackRuns<'a> {
    pub fn new(id: u32, samples: &'a [Sample]) -> Self {
        Self { id, samples }
    }

    fn is_video(&self) -> bool {
        self.id == VIDEO_TRACK
    }
}

/// A data offset to fill in when the length of the `moof` is known.
struct Patch {
    at: usize,
    /// Payload bytes before the run.
    position: u64,
}

/// Everything before the payload of a fragment. `order` tells how the samples of the tracks follow each other.
pub(super) fn head(
    sequence_number: u32,
    tracks: &[TrackRuns<'_>],
    order: &[SampleInfo],
) -> Result<Bytes, MuxError> {
    let payload: u64 = order.iter().map(|sample| u64::from(sample.size)).sum();
    let mut out = BytesMut::new();
    let styp = Styp {
        major_brand: FourCC::new(b"msdh"),
        minor_version: 0,
        compatible_brands: vec![FourCC::new(b"msdh"), FourCC::new(b"iso6")],
    };
    styp.encode(&mut out)?;
    let moof = out.len();
    let mut patches = Vec::new();
    put_box(&mut out, b"moof", |out| {
        Mfhd { sequence_number }.encode(out)?;
        for track in tracks {
            put_traf(out, track, order, &mut patches)?;
        }
        Ok(())
    })?;
    let before_payload = (out.len() - moof) as u64 + MDAT_HEADER;
    for patch in patches {
        // Relative to the first byte of the `moof`, signed 32 bits (clause 8.8.8).
        let offset = i32::try_from(before_payload + patch.position).map_err(|_| too_large())?;
        if let Some(place) = out.get_mut(patch.at..patch.at + 4) {
            place.copy_from_slice(&offset.to_be_bytes());
        }
    }
    out.put_u32(u32::try_from(payload + MDAT_HEADER).map_err(|_| too_large())?);
    out.put_slice(b"mdat");
    Ok(out.freeze())
}

fn too_large() -> MuxError {
    MuxError::TooMany {
        what: "bytes in a fragment",
        limit: i32::MAX.unsigned_abs().into(),
    }
}

fn put_traf(
    out: &mut BytesMut,
    track: &TrackRuns<'_>,
    order: &[SampleInfo],
    patches: &mut Vec<Patch>,
) -> Result<(), MuxError> {
    let Some(first) = track.samples.first() else {
        return Ok(());
    };
    put_box(out, b"traf", |out| {
        let tfhd = Tfhd {
            track_id: track.id,
            // Sound frames are all alike; pictures tell their flags one by one.
            default_sample_flags: (!track.is_video()).then_some(SYNC),
            default_base_is_moof: true,
            ..Tfhd::default()
        };
        tfhd.encode(out)?;
        let tfdt = Tfdt {
            base_media_decode_time: first.begin,
        };
        tfdt.encode(out)?;
        let mut rest = track.samples;
        for (position, count) in runs(track, order) {
            let (run, later) = rest.split_at_checked(count).unwrap_or((rest, &[]));
            put_trun(out, track.is_video(), run, position, patches)?;
            rest = later;
        }
        Ok(())
    })
}

/// Where each uninterrupted run of the track begins in the payload, and how many samples it has.
fn runs(track: &TrackRuns<'_>, order: &[SampleInfo]) -> Vec<(u64, usize)> {
    let mut runs = Vec::new();
    let mut position = 0;
    for group in order.chunk_by(|one, next| one.track == next.track) {
        let is_video = group
            .first()
            .is_some_and(|sample| sample.track == Track::Video);
        if is_video == track.is_video() {
            runs.push((position, group.len()));
        }
        position += group
            .iter()
            .map(|sample| u64::from(sample.size))
            .sum::<u64>();
    }
    runs
}

fn put_trun(
    out: &mut BytesMut,
    is_video: bool,
    samples: &[Sample],
    position: u64,
    patches: &mut Vec<Patch>,
) -> Result<(), MuxError> {
    let signed = samples.iter().any(|sample| sample.offset < 0);
    let flags = DATA_OFFSET | DURATION | SIZE | if is_video { FLAGS | COMPOSITION } else { 0 };
    put_full_box(out, b"trun", signed.into(), flags, |out| {
        out.put_u32(u32::try_from(samples.len()).unwrap_or(u32::MAX));
        patches.push(Patch {
            at: out.len(),
            position,
        });
        out.put_u32(0);
        for sample in samples {
            out.put_u32(sample.duration);
            out.put_u32(sample.size);
            if is_video {
                out.put_u32(if sample.sync { SYNC } else { DEPENDENT });
                out.put_i32(sample.offset);
            }
        }
        Ok(())
    })
}
