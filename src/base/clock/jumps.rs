//! What `advance` did to the clock, so that a moment of the machine's clock can be told as the service clock showed it.
//!
//! A signed URL needs this: its date comes from the machine's clock, and only advances after that date bring its end nearer.

use std::collections::VecDeque;

use super::UnixMs;

/// Jumps remembered; before the oldest of them the clock counts as it stood behind it.
const KEPT: usize = 256;

/// The latest jumps, oldest first.
#[derive(Debug, Default)]
pub struct Jumps(VecDeque<Jump>);

#[derive(Debug)]
struct Jump {
    machine: UnixMs,
    offset_before: i64,
}

impl Jumps {
    /// Remembers that the offset was another until this moment of the machine's clock.
    pub fn note(&mut self, machine: UnixMs, offset_before: i64) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(Jump {
            machine,
            offset_before,
        });
    }

    /// The offset at a moment of the machine's clock, where `current` is that of now.
    pub fn offset_at(&self, machine: UnixMs, current: i64) -> i64 {
        self.0
            .iter()
            .find(|jump| jump.machine > machine)
            .map_or(current, |jump| jump.offset_before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_has_the_offset_of_its_time() {
        let mut jumps = Jumps::default();
        assert_eq!(jumps.offset_at(50, 7), 7);
        jumps.note(100, 0);
        jumps.note(200, 60);
        for (machine, offset) in [(0, 0), (99, 0), (100, 60), (199, 60), (200, 90), (900, 90)] {
            assert_eq!(jumps.offset_at(machine, 90), offset, "{machine}");
        }
    }

    #[test]
    fn the_oldest_jumps_are_forgotten() {
        let mut jumps = Jumps::default();
        for number in 0..=KEPT {
            let at = i64::try_from(number).expect("small");
            jumps.note(at, at);
        }
        assert_eq!(jumps.0.len(), KEPT);
        assert_eq!(jumps.offset_at(-1, 0), 1);
    }
}
