//! From the media's milliseconds to the sample clock of sound.
//!
//! A publisher's time stamps are whole milliseconds, while an AAC frame at 44.1 kHz lasts 23.22 of them. Writing the
//! rounded steps would give every frame another length. Frames are therefore laid end to end, exactly as long as they
//! are, for as long as that agrees with the stamps; where it does not (lost frames, a drifting encoder clock) the
//! stamps win.

use super::MuxError;
use crate::codec::aac;
use crate::frame::{AudioCodec, AudioConfig};

/// A stamp may be off by its rounding, and so may the first one.
const TOLERANCE_US: u64 = 1_500;

/// Sample rate and frame length of a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AudioTiming {
    pub sample_rate: u32,
    pub frame_samples: u32,
}

impl AudioTiming {
    /// Takes both from a configuration.
    pub fn new(config: &AudioConfig) -> Result<Self, MuxError> {
        let (sample_rate, frame_samples) = match config.codec {
            AudioCodec::Aac => {
                let asc = aac::parse_asc(&config.record)?;
                (asc.sample_rate, asc.frame_samples)
            }
            // Layer III: MPEG-2 and 2.5, with the low rates, halve the frame.
            AudioCodec::Mp3 if config.sample_rate < 32_000 => (config.sample_rate, 576),
            AudioCodec::Mp3 => (config.sample_rate, 1152),
        };
        // The bounds keep a step of MAX_STEP_MS within 32 bits of ticks.
        if !(1..=96_000).contains(&sample_rate) {
            return Err(MuxError::TooMany {
                what: "sound samples a second",
                limit: 96_000,
            });
        }
        Ok(Self {
            sample_rate,
            frame_samples,
        })
    }
}

/// Places frames on a time scale.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AudioClock {
    timescale: u32,
    /// Where the next frame begins at the earliest.
    least: u64,
    /// Where it begins if it follows without a gap.
    next: Option<u64>,
}

impl AudioClock {
    /// A clock that counts `timescale` ticks a second; `next` where an earlier clock stopped.
    pub fn new(timescale: u32, next: Option<u64>) -> Self {
        Self {
            timescale,
            least: next.unwrap_or(0),
            next,
        }
    }

    /// The tick at which the frame with this stamp begins: behind that of the frame before, whatever the stamps say.
    pub fn place(&mut self, ms: u64, timing: AudioTiming) -> u64 {
        let scale = u64::from(self.timescale);
        let stamped = (ms.saturating_mul(scale).saturating_add(500)) / 1000;
        let tolerance = scale * TOLERANCE_US / 1_000_000;
        let at = match self.next {
            Some(next) if next.abs_diff(stamped) <= tolerance => next,
            _ => stamped.max(self.least),
        };
        self.least = at.saturating_add(1);
        self.next = Some(at + self.frame_ticks(timing));
        at
    }

    /// Where the next frame begins if it follows without a gap.
    pub fn next(&self) -> Option<u64> {
        self.next
    }

    /// A frame's length; only a frame of another rate than the track's own needs rounding.
    fn frame_ticks(&self, timing: AudioTiming) -> u64 {
        let rate = u64::from(timing.sample_rate.max(1));
        (u64::from(timing.frame_samples) * u64::from(self.timescale) + rate / 2) / rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AAC: AudioTiming = AudioTiming {
        sample_rate: 44_100,
        frame_samples: 1024,
    };

    #[test]
    fn rounded_stamps_give_exact_frames() {
        // Rounded down, up and to the nearest, as encoders do.
        for bias in [0, 500, 999] {
            let mut clock = AudioClock::new(44_100, None);
            for n in 0..100_000_u64 {
                let ms = (n * 1024 * 1000 * 1000 / 44_100 + bias) / 1000;
                assert_eq!(clock.place(ms, AAC), n * 1024);
            }
        }
    }

    #[test]
    fn a_gap_is_kept_and_a_drift_is_followed() {
        let mut clock = AudioClock::new(44_100, None);
        assert_eq!(clock.place(0, AAC), 0);
        assert_eq!(clock.place(24, AAC), 1024, "0.78 ms is rounding");
        assert_eq!(clock.place(146, AAC), 6_439, "100 ms are missing");
        assert_eq!(clock.place(169, AAC), 6_439 + 1024);
        // Frames that come 24 ms apart are never further from their stamps than the tolerance.
        let mut clock = AudioClock::new(44_100, None);
        for n in 0..10_000 {
            let at = clock.place(n * 24, AAC);
            assert!(at.abs_diff(n * 24 * 441 / 10) <= 67);
        }
    }

    #[test]
    fn time_always_goes_on() {
        let mut clock = AudioClock::new(48_000, None);
        let at: Vec<_> = [100, 50, 50, 121].map(|ms| clock.place(ms, AAC)).to_vec();
        assert_eq!(
            at[..3],
            [4_800, 4_801, 4_802],
            "a frame of no length is none"
        );
        assert!(at[3] > 4_802);
        assert!(AudioClock::new(96_000, None).place(u64::MAX, AAC) > 0);
    }
}
