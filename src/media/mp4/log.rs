//! All samples of a file in a few bytes each.
//!
//! Six hours are some 1.6 million samples, and an MP4 needs them all before its first byte. Times are kept as steps and
//! sizes in as many bytes as they need: 5 to 7 bytes a sample together. Every table is derived by reading the log again.

use crate::frame::{SampleInfo, Track};

/// Samples in the order their payloads follow each other.
#[derive(Debug, Default)]
pub(super) struct SampleLog {
    bytes: Vec<u8>,
    /// Of the picture and of the sound.
    last_dts_ms: [i64; 2],
}

/// One sample read back.
#[derive(Debug, Clone, Copy)]
pub(super) struct LoggedSample {
    pub info: SampleInfo,
    /// Payload bytes of all samples before it.
    pub position: u64,
}

impl SampleLog {
    /// Appends a sample.
    pub fn push(&mut self, sample: SampleInfo) {
        let [video, audio] = &mut self.last_dts_ms;
        let last = match sample.track {
            Track::Video => video,
            Track::Audio => audio,
        };
        let step = sample.dts_ms.wrapping_sub(*last);
        *last = sample.dts_ms;
        let track = u64::from(sample.track == Track::Audio);
        self.put((u64::from(sample.size) << 2) | (u64::from(sample.key) << 1) | track);
        self.put(zigzag(step));
        if sample.track == Track::Video {
            self.put(zigzag(sample.cts_ms.into()));
        }
    }

    /// Bytes in use.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Reads all samples.
    pub fn iter(&self) -> Iter<'_> {
        Iter {
            rest: &self.bytes,
            dts_ms: [0; 2],
            position: 0,
        }
    }

    /// Groups of seven bits, the lowest first, with the top bit set on all but the last.
    fn put(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push((value & 0x7F) as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }
}

/// Small numbers of either sign become small numbers.
fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// Reads a [`SampleLog`].
#[derive(Debug, Clone)]
pub(super) struct Iter<'a> {
    rest: &'a [u8],
    dts_ms: [i64; 2],
    position: u64,
}

impl Iter<'_> {
    fn take(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        Some(value)
    }
}

impl Iterator for Iter<'_> {
    type Item = LoggedSample;

    fn next(&mut self) -> Option<LoggedSample> {
        let head = self.take()?;
        let step = unzigzag(self.take()?);
        let is_audio = head & 1 == 1;
        let [video, audio] = &mut self.dts_ms;
        let dts = if is_audio { audio } else { video };
        *dts = dts.wrapping_add(step);
        let dts_ms = *dts;
        let cts_ms = if is_audio { 0 } else { unzigzag(self.take()?) };
        let position = self.position;
        self.position += head >> 2;
        Some(LoggedSample {
            info: SampleInfo {
                track: if is_audio { Track::Audio } else { Track::Video },
                dts_ms,
                cts_ms: i32::try_from(cts_ms).unwrap_or_default(),
                key: head & 2 != 0,
                size: u32::try_from(head >> 2).unwrap_or(u32::MAX),
            },
            position,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_usual_hour_takes_seven_bytes_a_sample() {
        let mut log = SampleLog::default();
        let mut count = 0;
        for n in 0..90_000 {
            for (track, dts_ms, cts_ms, size) in [
                (Track::Video, n * 40, 80, 12_000),
                (Track::Audio, n * 40, 0, 370),
                (Track::Audio, n * 40 + 23, 0, 370),
            ] {
                let key = track == Track::Video && n % 50 == 0;
                let info = SampleInfo {
                    track,
                    dts_ms,
                    cts_ms,
                    key,
                    size,
                };
                log.push(info);
                count += 1;
            }
        }
        assert!(log.len() <= count * 7, "{} bytes for {count}", log.len());
    }

    proptest! {
        #[test]
        fn every_sample_comes_back(
            samples in prop::collection::vec(
                (any::<bool>(), any::<i64>(), any::<i32>(), any::<bool>(), any::<u32>()), 0..50,
            )
        ) {
            let mut log = SampleLog::default();
            let mut expected = Vec::new();
            for (audio, dts_ms, cts_ms, key, size) in samples {
                let (track, cts_ms) = if audio { (Track::Audio, 0) } else { (Track::Video, cts_ms) };
                let info = SampleInfo { track, dts_ms, cts_ms, key, size };
                log.push(info);
                expected.push(info);
            }
            let mut position = 0;
            for (found, wanted) in log.iter().zip(&expected) {
                prop_assert_eq!(&found.info, wanted);
                prop_assert_eq!(found.position, position);
                position += u64::from(wanted.size);
            }
            prop_assert_eq!(log.iter().count(), expected.len());
        }
    }
}
