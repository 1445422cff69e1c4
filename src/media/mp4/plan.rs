//! What is known of one track of a file besides its samples: configurations, and the few figures that the headers and the
//! choice of tables depend on.

use super::{MAX_CONFIGS, MAX_CTS_MS, MAX_STEP_MS, MAX_SWITCHES, MuxError};
use crate::frame::SampleInfo;

/// Largest time stamp; far beyond any recording and far below any overflow.
const MAX_TIME_MS: u64 = 1 << 43;

/// What is known of one track besides its samples.
#[derive(Debug)]
pub(super) struct Plan<C> {
    pub configs: Vec<C>,
    /// From which sample of the track on which configuration holds.
    pub switches: Vec<(u32, usize)>,
    pub samples: u32,
    pub keys: u32,
    /// The size that all samples so far have.
    pub constant_size: Option<u32>,
    pub first_dts_ms: i64,
    pub last_dts_ms: i64,
    /// The last step that was not zero.
    pub last_step_ms: Option<i64>,
    pub first_pts_ms: i64,
    pub cts_range_ms: (i32, i32),
}

impl<C> Default for Plan<C> {
    fn default() -> Self {
        Self {
            configs: Vec::new(),
            switches: Vec::new(),
            samples: 0,
            keys: 0,
            constant_size: None,
            first_dts_ms: 0,
            last_dts_ms: 0,
            last_step_ms: None,
            first_pts_ms: i64::MAX,
            cts_range_ms: (0, 0),
        }
    }
}

impl<C: PartialEq> Plan<C> {
    /// Makes `config` hold from the next sample on.
    pub fn switch(&mut self, config: C) -> Result<(), MuxError> {
        let known = self.configs.iter().position(|known| *known == config);
        let index = match known {
            Some(index) => index,
            None if self.configs.len() < MAX_CONFIGS => {
                self.configs.push(config);
                self.configs.len() - 1
            }
            None => {
                return Err(MuxError::TooMany {
                    what: "configurations of one track",
                    limit: MAX_CONFIGS as u64,
                });
            }
        };
        if self
            .switches
            .last()
            .is_some_and(|(from, _)| *from == self.samples)
        {
            self.switches.pop();
        }
        if self.switches.last().is_some_and(|(_, last)| *last == index) {
            return Ok(());
        }
        if self.switches.len() >= MAX_SWITCHES {
            return Err(MuxError::TooMany {
                what: "configuration changes of one track",
                limit: MAX_SWITCHES as u64,
            });
        }
        self.switches.push((self.samples, index));
        Ok(())
    }

    pub fn note(&mut self, sample: SampleInfo) -> Result<(), MuxError> {
        if self.switches.is_empty() {
            return Err(MuxError::NoConfig(sample.track));
        }
        if sample.dts_ms.unsigned_abs() > MAX_TIME_MS {
            return Err(MuxError::Time(sample.dts_ms));
        }
        if sample.cts_ms.unsigned_abs() > MAX_CTS_MS.unsigned_abs() {
            return Err(MuxError::Time(sample.cts_ms.into()));
        }
        if self.samples > 0 {
            let step = sample.dts_ms - self.last_dts_ms;
            if step < 0 {
                return Err(MuxError::OutOfOrder {
                    track: sample.track,
                    dts_ms: sample.dts_ms,
                    last_ms: self.last_dts_ms,
                });
            }
            if step > MAX_STEP_MS {
                return Err(MuxError::Time(step));
            }
            if step > 0 {
                self.last_step_ms = Some(step);
            }
            self.constant_size = self.constant_size.filter(|size| *size == sample.size);
        } else {
            self.first_dts_ms = sample.dts_ms;
            self.constant_size = Some(sample.size);
        }
        let (least, most) = self.cts_range_ms;
        self.cts_range_ms = (least.min(sample.cts_ms), most.max(sample.cts_ms));
        self.first_pts_ms = self
            .first_pts_ms
            .min(sample.dts_ms + i64::from(sample.cts_ms));
        self.last_dts_ms = sample.dts_ms;
        self.samples += 1;
        self.keys += u32::from(sample.key);
        Ok(())
    }

    /// The configuration of the first sample; one that was replaced before any sample came does not count.
    pub fn first_config(&self) -> Option<&C> {
        let (_, index) = self.switches.first()?;
        self.configs.get(*index)
    }

    /// For every sample of the track in turn: the index of its configuration.
    pub fn config_indexes(&self) -> impl Iterator<Item = usize> {
        let ends = self.switches.iter().skip(1).map(|(from, _)| *from);
        let ends = ends.chain([self.samples]);
        self.switches
            .iter()
            .zip(ends)
            .flat_map(|((from, index), end)| (*from..end).map(|_| *index))
    }
}
