//! An independent reader: from the boxes of a head back to the place and time of every sample.

use bytes::Buf;
use mp4_atom::{Decode, Ftyp, Moov, Stbl, StszSamples, Trak};

use crate::mp4::layout::LONG_BYTES;
use crate::mp4::{HEAD_BLOCK, Layout};

pub(super) struct Read {
    pub moov: Moov,
    pub head_len: u64,
    /// Content of the media data box as its header tells.
    pub payload: u64,
}

/// Decodes a head.
pub(super) fn read(layout: &Layout) -> Read {
    let mut head = layout.head().unwrap();
    let head_len = head.len() as u64;
    assert_eq!(
        layout.total_size().unwrap(),
        head_len + layout.payload_bytes()
    );
    Ftyp::decode(&mut head).unwrap();
    let moov = Moov::decode(&mut head).unwrap();
    let mut short = u64::from(head.get_u32());
    let filled = head.starts_with(b"free");
    if filled {
        head.advance(usize::try_from(short).unwrap() - 4);
        short = u64::from(head.get_u32());
    }
    assert_eq!(head.get_u32().to_be_bytes(), *b"mdat");
    let payload = if short == 1 {
        head.get_u64() - 16
    } else {
        short - 8
    };
    assert!(head.is_empty());
    assert_eq!(filled, payload >= LONG_BYTES);
    assert!(!filled || head_len.is_multiple_of(HEAD_BLOCK as u64));
    Read {
        moov,
        head_len,
        payload,
    }
}

impl Read {
    pub fn trak(&self, id: u32) -> &Trak {
        self.moov
            .trak
            .iter()
            .find(|trak| trak.tkhd.track_id == id)
            .unwrap()
    }

    pub fn stbl(&self, id: u32) -> &Stbl {
        &self.trak(id).mdia.minf.stbl
    }

    /// Delay in milliseconds and media time of the edit list.
    pub fn edit(&self, id: u32) -> (u64, u64) {
        let Some(edts) = &self.trak(id).edts else {
            return (0, 0);
        };
        match edts.elst.as_ref().unwrap().entries.as_slice() {
            [one] => (0, one.media_time.unwrap()),
            [empty, one] if empty.media_time.is_none() => {
                (empty.segment_duration, one.media_time.unwrap())
            }
            other => panic!("{other:?}"),
        }
    }

    /// Offset, size, decoding ticks, composition ticks, description of every sample.
    pub fn samples(&self, id: u32) -> Vec<(u64, u32, u64, i64, u32)> {
        let stbl = self.stbl(id);
        let sizes = match &stbl.stsz.samples {
            StszSamples::Identical { count, size } => vec![*size; *count as usize],
            StszSamples::Different { sizes } => sizes.clone(),
        };
        let offsets: Vec<u64> = match (&stbl.stco, &stbl.co64) {
            (Some(stco), None) => stco.entries.iter().map(|o| u64::from(*o)).collect(),
            (None, Some(co64)) => co64.entries.clone(),
            other => panic!("{other:?}"),
        };
        let steps = stbl.stts.entries.iter();
        let steps: Vec<u32> = steps
            .flat_map(|e| vec![e.sample_delta; e.sample_count as usize])
            .collect();
        let cts: Vec<i64> = match &stbl.ctts {
            Some(ctts) => ctts
                .entries
                .iter()
                .flat_map(|e| vec![e.sample_offset; e.sample_count as usize])
                .collect(),
            None => vec![0; sizes.len()],
        };
        assert_eq!((steps.len(), cts.len()), (sizes.len(), sizes.len()));
        let (mut found, mut dts) = (Vec::new(), 0);
        let mut next = 0;
        for (number, offset) in (1..).zip(offsets) {
            let entries = &stbl.stsc.entries;
            let entry = entries.iter().rfind(|e| e.first_chunk <= number).unwrap();
            let mut at = offset;
            for _ in 0..entry.samples_per_chunk {
                let description = entry.sample_description_index;
                found.push((at, sizes[next], dts, cts[next], description));
                at += u64::from(sizes[next]);
                dts += u64::from(steps[next]);
                next += 1;
            }
        }
        assert_eq!(found.len(), sizes.len());
        assert_eq!(self.trak(id).mdia.mdhd.duration, dts);
        found
    }
}
