//! What of the spools is in the mirror, and which objects of the mirror are needed no more. Pure: whoever asks brings the time.
//!
//! Bytes that reached the disk are noted as ranges and taken in portions, an object each. A segment is seen in pieces of one size; an object that holds
//! a piece from its beginning (a whole) stands for what earlier objects have of that piece. An object goes when every range in it is stood for or its
//! segment is gone. In pieces, since a segment ends at a key frame and there may be none for hours: a whole of such a one would be read and put anew each
//! minute, and be too large to be read back in the end.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fs::File;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::disk::writers::SpoolSegment;

/// Bytes of a piece of a segment, which is put as one object where it is put as a whole.
pub const PIECE: u64 = 8 << 20;

/// From where to where a segment is meant.
#[derive(Debug, Clone)]
pub struct Range {
    pub place: Arc<SpoolSegment>,
    /// The segment's file, for as long as whoever writes it has it open.
    pub file: Weak<File>,
    pub from: u64,
    pub to: u64,
}

/// A segment's number here: each object tells of hundreds, and many objects tell of the same ones.
type Number = u32;

struct Stored {
    number: u64,
    at: Instant,
    parts: Vec<Part>,
}

/// A range of an object.
struct Part {
    segment: Number,
    from: u64,
    to: u64,
}

/// What of a segment is not in the store.
#[derive(Default)]
struct Waiting {
    file: Weak<File>,
    ranges: VecDeque<(u64, u64)>,
}

/// A portion on its way into the store.
pub struct Portion {
    pub ranges: Vec<Range>,
    /// When the oldest of it was noted.
    oldest: Option<Instant>,
}

pub struct Ledger {
    /// Bytes of a piece.
    piece: u64,
    numbers: HashMap<Arc<SpoolSegment>, Number>,
    /// Every segment that is waiting or in the store.
    places: BTreeMap<Number, Arc<SpoolSegment>>,
    next: Number,
    pending: BTreeMap<Number, Waiting>,
    oldest: Option<Instant>,
    /// When the oldest was noted of what is on its way into the store.
    under_way: Option<Instant>,
    stored: VecDeque<Stored>,
    /// The number of the newest whole of a piece, and where that ends; pieces are counted within their segment.
    wholes: BTreeMap<(Number, u64), (u64, u64)>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self::with_pieces_of(PIECE)
    }
}

impl Ledger {
    fn with_pieces_of(piece: u64) -> Self {
        Self {
            piece: piece.max(1),
            numbers: HashMap::default(),
            places: BTreeMap::default(),
            next: 0,
            pending: BTreeMap::default(),
            oldest: None,
            under_way: None,
            stored: VecDeque::default(),
            wholes: BTreeMap::default(),
        }
    }

    fn number_of(&mut self, place: &SpoolSegment) -> Number {
        if let Some(number) = self.numbers.get(place) {
            return *number;
        }
        let (number, place) = (self.next, Arc::new(place.clone()));
        self.next += 1;
        self.numbers.insert(place.clone(), number);
        self.places.insert(number, place);
        number
    }

    /// Bytes of a segment reached the disk.
    pub fn note(
        &mut self,
        place: &SpoolSegment,
        file: Weak<File>,
        (from, to): (u64, u64),
        now: Instant,
    ) {
        if from >= to {
            return;
        }
        self.oldest.get_or_insert(now);
        let number = self.number_of(place);
        let waiting = self.pending.entry(number).or_default();
        waiting.file = file;
        match waiting.ranges.back_mut() {
            Some((_, end)) if *end == from => *end = to,
            _ => waiting.ranges.push_back((from, to)),
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
            let place = self.places.get(entry.key()).cloned();
            let waiting = entry.get_mut();
            let Some((place, (from, end))) = place.zip(waiting.ranges.pop_front()) else {
                entry.remove();
                continue;
            };
            let to = end.min(from + left);
            if to < end {
                waiting.ranges.push_front((to, end));
            }
            left -= to - from;
            ranges.push(Range {
                place,
                file: waiting.file.clone(),
                from,
                to,
            });
        }
        self.pending.retain(|_, waiting| !waiting.ranges.is_empty());
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
            let number = self.number_of(&range.place);
            let waiting = self.pending.entry(number).or_default();
            waiting.ranges.push_front((range.from, range.to));
        }
        self.under_way = None;
        let oldest = portion.oldest.unwrap_or(now);
        self.oldest = Some(self.oldest.map_or(oldest, |other| other.min(oldest)));
    }

    /// A portion is in the store, as the object of that number.
    pub fn stored(&mut self, number: u64, ranges: &[Range], now: Instant) {
        self.under_way = None;
        self.lies_there(number, ranges, now);
    }

    fn lies_there(&mut self, number: u64, ranges: &[Range], now: Instant) {
        let parts = ranges
            .iter()
            .map(|range| Part {
                segment: self.number_of(&range.place),
                from: range.from,
                to: range.to,
            })
            .collect();
        self.stored.push_back(Stored {
            number,
            at: now,
            parts,
        });
    }

    /// A piece of a segment from its beginning to the range's end is in the store, as the object of that number.
    pub fn whole(&mut self, number: u64, range: &Range, now: Instant) {
        let piece = (self.number_of(&range.place), range.from / self.piece);
        self.wholes.insert(piece, (number, range.to));
        // A portion may be on its way meanwhile.
        self.lies_there(number, std::slice::from_ref(range), now);
    }

    /// A segment is needed no more.
    pub fn gone(&mut self, place: &SpoolSegment) {
        if let Some(number) = self.numbers.remove(place) {
            self.places.remove(&number);
            self.pending.remove(&number);
            let mut later = self.wholes.split_off(&(number, 0));
            self.wholes.append(&mut later.split_off(&(number + 1, 0)));
            for object in &mut self.stored {
                object.parts.retain(|part| part.segment != number);
            }
        }
        if self.pending.is_empty() {
            self.oldest = None;
        }
    }

    /// What of a segment is not in the store will not come there any more; what is there is needed.
    pub fn ends_here(&mut self, place: &SpoolSegment) {
        if let Some(number) = self.numbers.get(place) {
            self.pending.remove(number);
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
    pub fn places(&self) -> Vec<Arc<SpoolSegment>> {
        self.places.values().cloned().collect()
    }

    /// The pieces of a part of the object of that number that no newer whole stands for.
    fn open_pieces(&self, number: u64, part: &Part) -> impl Iterator<Item = (Number, u64)> {
        let (segment, to) = (part.segment, part.to);
        let last = to.saturating_sub(1).max(part.from) / self.piece;
        (part.from / self.piece..=last)
            .map(move |piece| (segment, piece))
            .filter(move |at| {
                let needed = to.min((at.1 + 1) * self.piece);
                self.wholes
                    .get(at)
                    .is_none_or(|(whole, end)| *whole <= number || *end < needed)
            })
    }

    fn is_stood_for(&self, number: u64, part: &Part) -> bool {
        self.open_pieces(number, part).next().is_none()
    }

    /// Pieces that hold up objects older than `age`, as ranges from where each begins to where it ends at most: wholes of them let those go.
    #[must_use]
    pub fn overdue(&self, age: Duration, now: Instant) -> Vec<Range> {
        let old = self
            .stored
            .iter()
            .filter(|object| now.saturating_duration_since(object.at) >= age);
        let held_up: BTreeSet<(Number, u64)> = old
            .flat_map(|object| {
                let open = object
                    .parts
                    .iter()
                    .flat_map(|part| self.open_pieces(object.number, part));
                // A whole holds up nothing but itself.
                open.filter(|at| {
                    self.wholes
                        .get(at)
                        .is_none_or(|(whole, _)| *whole != object.number)
                })
            })
            .collect();
        let range = |(segment, piece): (Number, u64)| {
            Some(Range {
                place: self.places.get(&segment)?.clone(),
                file: Weak::new(),
                from: piece * self.piece,
                to: (piece + 1) * self.piece,
            })
        };
        held_up.into_iter().filter_map(range).collect()
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
    use std::collections::{BTreeMap as Map, BTreeSet};

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

    fn range(n: u32, to: u64) -> Range {
        Range {
            place: Arc::new(place(n)),
            file: Weak::new(),
            from: 0,
            to,
        }
    }

    #[test]
    fn neighbours_are_one_range_and_a_portion_has_an_end() {
        let now = clock::monotonic();
        let mut ledger = Ledger::default();
        ledger.note(&place(0), Weak::new(), (0, 10), now);
        ledger.note(&place(0), Weak::new(), (10, 30), now);
        ledger.note(&place(1), Weak::new(), (5, 6), now);
        let first = ledger.take(20).unwrap();
        let [one] = &first.ranges[..] else {
            panic!("{:?}", first.ranges);
        };
        assert_eq!((&*one.place, one.from, one.to), (&place(0), 0, 20));
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
        ledger.stored(1, &[range(0, 10), range(1, 10)], now);
        ledger.stored(2, &[range(0, 30)], now);
        assert!(ledger.removable().is_empty());
        let late = now + Duration::from_secs(60);
        assert_eq!(ledger.overdue(Duration::from_secs(60), late).len(), 2);
        ledger.whole(3, &range(0, 20), late);
        ledger.gone(&place(1));
        assert_eq!(ledger.removable(), [1]);
        ledger.whole(4, &range(0, 30), late);
        assert_eq!(ledger.removable(), [2, 3]);
        assert!(ledger.overdue(Duration::ZERO, late).is_empty());
        ledger.gone(&place(0));
        assert_eq!(ledger.removable(), [4]);
        assert!(ledger.places().is_empty());
    }

    /// A segment that has no end for hours is put in pieces, each of which is read and put again only while something is added to it.
    #[test]
    fn a_long_segment_is_put_piece_by_piece() {
        let now = clock::monotonic();
        let mut ledger = Ledger::with_pieces_of(100);
        let part = |from, to| Range {
            from,
            ..range(0, to)
        };
        ledger.stored(1, &[part(0, 90)], now);
        ledger.stored(2, &[part(90, 250)], now);
        let ranges = |ledger: &Ledger| -> Vec<_> {
            let overdue = ledger.overdue(Duration::ZERO, now);
            overdue.iter().map(|it| (it.from, it.to)).collect()
        };
        assert_eq!(ranges(&ledger), [(0, 100), (100, 200), (200, 300)]);
        ledger.whole(3, &part(0, 100), now);
        ledger.whole(4, &part(100, 200), now);
        assert_eq!(ledger.removable(), [1]);
        ledger.whole(5, &part(200, 250), now);
        assert_eq!(ledger.removable(), [2]);
        assert!(ranges(&ledger).is_empty());
        ledger.stored(6, &[part(250, 260)], now);
        assert_eq!(ranges(&ledger), [(200, 300)]);
        ledger.whole(7, &part(200, 260), now);
        assert_eq!(ledger.removable(), [5, 6]);
        ledger.gone(&place(0));
        assert_eq!(ledger.removable(), [3, 4, 7]);
    }

    #[test]
    fn what_is_on_its_way_is_late_whatever_else_is_put_meanwhile() {
        let mut ledger = Ledger::default();
        let now = clock::monotonic();
        let later = now + Duration::from_secs(2);
        ledger.note(&place(0), Weak::new(), (0, 10), now);
        ledger.note(&place(1), Weak::new(), (0, 10), now);
        let portion = ledger.take(10).unwrap();
        ledger.stored(0, &portion.ranges, now);
        let portion = ledger.take(10).unwrap();
        let whole = Range {
            place: Arc::new(place(0)),
            file: Weak::new(),
            from: 0,
            to: 10,
        };
        ledger.whole(1, &whole, now);
        assert_eq!(ledger.lag(later), Duration::from_secs(2));
        ledger.stored(2, &portion.ranges, later);
        assert_eq!(ledger.lag(later), Duration::ZERO);
    }

    #[derive(Debug, Clone)]
    enum Act {
        Write(u32, u64),
        Put(u64),
        Fail(u64),
        Whole(u32, u64),
        Gone(u32),
        Sweep,
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            4 => (0..3_u32, 1..50_u64).prop_map(|(n, length)| Act::Write(n, length)),
            2 => (1..80_u64).prop_map(Act::Put),
            1 => (1..80_u64).prop_map(Act::Fail),
            1 => (0..3_u32, 0..4_u64).prop_map(|(n, piece)| Act::Whole(n, piece)),
            1 => (0..3_u32).prop_map(Act::Gone),
            1 => Just(Act::Sweep),
        ]
    }

    proptest! {
        /// Whatever was put into the store and is still needed can be read from the objects that are left, in their order.
        #[test]
        fn what_was_stored_stays_readable(acts in proptest::collection::vec(act(), 0..80)) {
            let now = clock::monotonic();
            let mut ledger = Ledger::with_pieces_of(40);
            let mut written: Map<u32, u64> = Map::new();
            // What the objects hold, and which bytes of a segment must be there.
            let mut objects: Map<u64, Vec<Range>> = Map::new();
            let mut needed: Map<u32, BTreeSet<u64>> = Map::new();
            let mut number = 0;
            for act in acts {
                match act {
                    Act::Write(n, length) => {
                        let end = written.entry(n).or_default();
                        ledger.note(&place(n), Weak::new(), (*end, *end + length), now);
                        *end += length;
                    }
                    Act::Put(most) => if let Some(portion) = ledger.take(most) {
                        number += 1;
                        for range in &portion.ranges {
                            needed.entry(range.place.segment).or_default().extend(range.from..range.to);
                        }
                        ledger.stored(number, &portion.ranges, now);
                        objects.insert(number, portion.ranges);
                    },
                    Act::Fail(most) => if let Some(portion) = ledger.take(most) {
                        ledger.give_back(portion, now);
                    },
                    Act::Whole(n, piece) => if let Some(end) = written.get(&n).copied().filter(|end| *end > piece * 40) {
                        number += 1;
                        let whole = Range { from: piece * 40, ..range(n, end.min((piece + 1) * 40)) };
                        needed.entry(n).or_default().extend(whole.from..whole.to);
                        ledger.whole(number, &whole, now);
                        objects.insert(number, vec![whole]);
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
