//! What of the spools is in the mirror, and which objects of the mirror are needed no more. Pure: whoever asks brings the time.
//!
//! Bytes that reached the disk are noted as ranges and taken in portions, an object each. An object that holds a segment from its
//! beginning (a whole) stands for all earlier objects' ranges of it. An object goes when every range in it is stood for or its segment is gone.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::disk::writers::SpoolSegment;

/// From where to where a segment is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    pub place: SpoolSegment,
    pub from: u64,
    pub to: u64,
}

struct Stored {
    number: u64,
    at: Instant,
    /// Each with the end of its range.
    parts: Vec<(SpoolSegment, u64)>,
}

/// A portion on its way into the store.
pub struct Portion {
    pub ranges: Vec<Range>,
    /// When the oldest of it was noted.
    oldest: Option<Instant>,
}

#[derive(Default)]
pub struct Ledger {
    pending: BTreeMap<SpoolSegment, Vec<(u64, u64)>>,
    oldest: Option<Instant>,
    /// When the oldest was noted of what is on its way into the store.
    under_way: Option<Instant>,
    stored: VecDeque<Stored>,
    /// The number of a segment's newest whole, and where that ends.
    wholes: HashMap<SpoolSegment, (u64, u64)>,
}

impl Ledger {
    /// Bytes of a segment reached the disk.
    pub fn note(&mut self, place: &SpoolSegment, from: u64, to: u64, now: Instant) {
        if from >= to {
            return;
        }
        self.oldest.get_or_insert(now);
        let ranges = match self.pending.get_mut(place) {
            Some(ranges) => ranges,
            None => self.pending.entry(place.clone()).or_default(),
        };
        match ranges.last_mut() {
            Some((_, end)) if *end == from => *end = to,
            _ => ranges.push((from, to)),
        }
    }

    /// Takes what waits, as much as fits into an object.
    pub fn take(&mut self, most: u64) -> Option<Portion> {
        let mut left = most;
        let mut ranges = Vec::new();
        while left > 0 {
            let Some(mut entry) = self.pending.first_entry() else {
                break;
            };
            let place = entry.key().clone();
            let waiting = entry.get_mut();
            if waiting.is_empty() {
                entry.remove();
                continue;
            }
            let (from, end) = waiting[0];
            let to = end.min(from + left);
            if to == end {
                waiting.remove(0);
            } else {
                waiting[0].0 = to;
            }
            left -= to - from;
            ranges.push(Range { place, from, to });
        }
        self.pending.retain(|_, ranges| !ranges.is_empty());
        if ranges.is_empty() {
            self.oldest = None;
            return None;
        }
        let oldest = self.oldest;
        if self.pending.is_empty() {
            self.oldest = None;
        }
        self.under_way = oldest;
        Some(Portion { ranges, oldest })
    }

    /// A portion did not get into the store: it waits again.
    pub fn give_back(&mut self, portion: Portion, now: Instant) {
        for range in portion.ranges {
            let ranges = self.pending.entry(range.place).or_default();
            ranges.insert(0, (range.from, range.to));
        }
        self.under_way = None;
        let oldest = portion.oldest.unwrap_or(now);
        self.oldest = Some(self.oldest.map_or(oldest, |other| other.min(oldest)));
    }

    /// A portion is in the store, as the object of that number.
    pub fn stored(&mut self, number: u64, ranges: Vec<Range>, now: Instant) {
        self.under_way = None;
        let parts = ranges.into_iter().map(|range| (range.place, range.to));
        self.stored.push_back(Stored {
            number,
            at: now,
            parts: parts.collect(),
        });
    }

    /// A segment from its beginning to `to` is in the store, as the object of that number.
    pub fn whole(&mut self, number: u64, place: SpoolSegment, to: u64, now: Instant) {
        self.wholes.insert(place.clone(), (number, to));
        let range = Range { place, from: 0, to };
        self.stored(number, vec![range], now);
    }

    /// A segment is needed no more.
    pub fn gone(&mut self, place: &SpoolSegment) {
        self.pending.remove(place);
        self.wholes.remove(place);
        for object in &mut self.stored {
            object.parts.retain(|(of, _)| of != place);
        }
        if self.pending.is_empty() {
            self.oldest = None;
        }
    }

    /// Nothing of a portion was left to be put.
    pub fn nothing_under_way(&mut self) {
        self.under_way = None;
    }

    /// How long the oldest bytes have waited that are not in the store.
    #[must_use]
    pub fn lag(&self, now: Instant) -> Duration {
        let oldest = self.under_way.into_iter().chain(self.oldest).min();
        oldest.map_or(Duration::ZERO, |oldest| {
            now.saturating_duration_since(oldest)
        })
    }

    /// Every segment that is waiting or in the store.
    #[must_use]
    pub fn places(&self) -> BTreeSet<SpoolSegment> {
        let stored = self.stored.iter().flat_map(|object| &object.parts);
        stored
            .map(|(place, _)| place)
            .chain(self.pending.keys())
            .cloned()
            .collect()
    }

    fn is_stood_for(&self, number: u64, (place, to): &(SpoolSegment, u64)) -> bool {
        self.wholes
            .get(place)
            .is_some_and(|(whole, end)| *whole > number && end >= to)
    }

    /// Segments that hold up objects older than `age`: wholes of them let those go.
    #[must_use]
    pub fn overdue(&self, age: Duration, now: Instant) -> BTreeSet<SpoolSegment> {
        let old = self
            .stored
            .iter()
            .filter(|object| now.saturating_duration_since(object.at) >= age);
        old.flat_map(|object| {
            let open = object.parts.iter().filter(|part| {
                // A whole holds up nothing but itself.
                !self.is_stood_for(object.number, part)
                    && self
                        .wholes
                        .get(&part.0)
                        .is_none_or(|(whole, _)| *whole != object.number)
            });
            open.map(|(place, _)| place.clone())
        })
        .collect()
    }

    /// The objects that may go; they are forgotten here.
    pub fn removable(&mut self) -> Vec<u64> {
        let (mut gone, mut kept) = (Vec::new(), VecDeque::new());
        for object in std::mem::take(&mut self.stored) {
            let done = object
                .parts
                .iter()
                .all(|part| self.is_stood_for(object.number, part));
            if done {
                gone.push(object.number);
            } else {
                kept.push_back(object);
            }
        }
        self.stored = kept;
        gone
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap as Map;

    use proptest::prelude::*;

    use super::*;
    use crate::clock;

    fn place(n: u32) -> SpoolSegment {
        SpoolSegment {
            folder: "/s".into(),
            segment: n,
            owner: "o".to_owned(),
        }
    }

    #[test]
    fn neighbours_are_one_range_and_a_portion_has_an_end() {
        let now = clock::monotonic();
        let mut ledger = Ledger::default();
        ledger.note(&place(0), 0, 10, now);
        ledger.note(&place(0), 10, 30, now);
        ledger.note(&place(1), 5, 6, now);
        let first = ledger.take(20).unwrap();
        assert_eq!(
            first.ranges,
            [Range {
                place: place(0),
                from: 0,
                to: 20
            }]
        );
        let second = ledger.take(100).unwrap();
        assert_eq!(second.ranges.len(), 2);
        assert!(ledger.take(100).is_none());
        let later = now + Duration::from_secs(3);
        assert_eq!(
            ledger.lag(later),
            Duration::from_secs(3),
            "it is on its way"
        );
        ledger.nothing_under_way();
        assert_eq!(ledger.lag(later), Duration::ZERO);
        ledger.give_back(second, later);
        assert_eq!(ledger.lag(later), Duration::from_secs(3));
        assert_eq!(ledger.take(100).unwrap().ranges.len(), 2);
    }

    #[test]
    fn an_object_goes_when_wholes_stand_for_it_or_its_segments_are_gone() {
        let now = clock::monotonic();
        let mut ledger = Ledger::default();
        let range = |n, to| Range {
            place: place(n),
            from: 0,
            to,
        };
        ledger.stored(1, vec![range(0, 10), range(1, 10)], now);
        ledger.stored(2, vec![range(0, 30)], now);
        assert!(ledger.removable().is_empty());
        let late = now + Duration::from_secs(60);
        assert_eq!(ledger.overdue(Duration::from_secs(60), late).len(), 2);
        ledger.whole(3, place(0), 20, late);
        ledger.gone(&place(1));
        assert_eq!(ledger.removable(), [1]);
        ledger.whole(4, place(0), 30, late);
        assert_eq!(ledger.removable(), [2, 3]);
        assert!(ledger.overdue(Duration::ZERO, late).is_empty());
        ledger.gone(&place(0));
        assert_eq!(ledger.removable(), [4]);
        assert!(ledger.places().is_empty());
    }

    #[derive(Debug, Clone)]
    enum Act {
        Write(u32, u64),
        Put(u64),
        Fail(u64),
        Whole(u32),
        Gone(u32),
        Sweep,
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            4 => (0..3_u32, 1..50_u64).prop_map(|(n, length)| Act::Write(n, length)),
            2 => (1..80_u64).prop_map(Act::Put),
            1 => (1..80_u64).prop_map(Act::Fail),
            1 => (0..3_u32).prop_map(Act::Whole),
            1 => (0..3_u32).prop_map(Act::Gone),
            1 => Just(Act::Sweep),
        ]
    }

    proptest! {
        /// Whatever was put into the store and is still needed can be read from the objects that are left, in their order.
        #[test]
        fn what_was_stored_stays_readable(acts in proptest::collection::vec(act(), 0..80)) {
            let now = clock::monotonic();
            let mut ledger = Ledger::default();
            let mut written: Map<u32, u64> = Map::new();
            // What the objects hold, and which bytes of a segment must be there.
            let mut objects: Map<u64, Vec<Range>> = Map::new();
            let mut needed: Map<u32, BTreeSet<u64>> = Map::new();
            let mut number = 0;
            for act in acts {
                match act {
                    Act::Write(n, length) => {
                        let end = written.entry(n).or_default();
                        ledger.note(&place(n), *end, *end + length, now);
                        *end += length;
                    }
                    Act::Put(most) => if let Some(portion) = ledger.take(most) {
                        number += 1;
                        for range in &portion.ranges {
                            needed.entry(range.place.segment).or_default().extend(range.from..range.to);
                        }
                        objects.insert(number, portion.ranges.clone());
                        ledger.stored(number, portion.ranges, now);
                    },
                    Act::Fail(most) => if let Some(portion) = ledger.take(most) {
                        ledger.give_back(portion, now);
                    },
                    Act::Whole(n) => if let Some(end) = written.get(&n).copied() {
                        number += 1;
                        needed.entry(n).or_default().extend(0..end);
                        objects.insert(number, vec![Range { place: place(n), from: 0, to: end }]);
                        ledger.whole(number, place(n), end, now);
                    },
                    Act::Gone(n) => {
                        written.remove(&n);
                        needed.remove(&n);
                        ledger.gone(&place(n));
                    }
                    Act::Sweep => for gone in ledger.removable() {
                        objects.remove(&gone);
                    },
                }
                for (segment, bytes) in &needed {
                    let held: BTreeSet<u64> = objects.values().flatten()
                        .filter(|range| range.place.segment == *segment)
                        .flat_map(|range| range.from..range.to).collect();
                    prop_assert!(bytes.is_subset(&held), "segment {segment}");
                }
            }
            // In the end everything gets there.
            while let Some(portion) = ledger.take(1 << 20) {
                for range in &portion.ranges {
                    needed.entry(range.place.segment).or_default().extend(range.from..range.to);
                }
            }
            for (segment, end) in written {
                prop_assert_eq!(needed.get(&segment).map_or(0, BTreeSet::len) as u64, end);
            }
        }
    }
}
