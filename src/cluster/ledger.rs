//! What of the spools is in the mirror, and which objects of the mirror are needed no more. Pure: whoever asks brings the time.
//!
//! Bytes that reached the disk are noted as ranges and taken in portions, an object each. A segment is seen in pieces of one size; an object that holds
//! a piece from its beginning (a whole) stands for what earlier objects have of that piece. An object goes when every range in it is stood for or its
//! segment is gone. In pieces, since a segment ends at a key frame and there may be none for hours: a whole of such a one would be read and put anew each
//! minute, and be too large to be read back in the end.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::fs::File;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use crc32fast::Hasher;

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
    /// All its bytes, one behind the other, or none: then they are read from the file.
    pub kept: Vec<Bytes>,
    /// The checksum of what is kept, where it is known.
    pub crc32: Option<u32>,
}

impl Range {
    /// Of bytes that lie in the segment's file alone.
    #[must_use]
    pub fn in_file(place: Arc<SpoolSegment>, (from, to): (u64, u64)) -> Self {
        Self {
            place,
            file: Weak::new(),
            from,
            to,
            kept: Vec::new(),
            crc32: None,
        }
    }
}

/// A segment's number here: each object tells of hundreds, and many objects tell of the same ones.
pub type Number = u32;

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
    stretches: VecDeque<Stretch>,
}

/// Bytes of a segment that wait: all of them in memory, or none.
struct Stretch {
    from: u64,
    to: u64,
    kept: VecDeque<Bytes>,
    /// Of what is kept, as long as all of it is here. It is counted while the bytes are in the processor's cache, where whoever wrote them left them.
    checksum: Option<Hasher>,
}

impl Stretch {
    fn new((from, to): (u64, u64), kept: Option<Bytes>) -> Self {
        let mut new = Self {
            from,
            to: from,
            kept: VecDeque::new(),
            checksum: kept.as_ref().map(|_| Hasher::new()),
        };
        new.goes_on(to, kept);
        new
    }

    fn goes_on(&mut self, to: u64, kept: Option<Bytes>) {
        self.to = to;
        if let Some((checksum, kept)) = self.checksum.as_mut().zip(kept.as_ref()) {
            checksum.update(kept);
        }
        self.kept.extend(kept);
    }

    /// Whether what begins there is a part of it: kept as it is, or as little.
    fn takes(&self, from: u64, is_kept: bool) -> bool {
        self.to == from && self.kept.is_empty() != is_kept
    }

    /// Its beginning, of so many bytes at most, with what is kept of that.
    fn split_to(&mut self, most: u64) -> ((u64, u64), Vec<Bytes>, Option<u32>) {
        let (from, to) = (self.from, self.to.min(self.from.saturating_add(most)));
        self.from = to;
        let checksum = self.checksum.take().filter(|_| to == self.to);
        let (mut left, mut kept) = (to - from, Vec::new());
        while left > 0
            && let Some(mut next) = self.kept.pop_front()
        {
            let length = usize::try_from(left).map_or(next.len(), |left| left.min(next.len()));
            kept.push(next.split_to(length));
            left -= length as u64;
            if !next.is_empty() {
                self.kept.push_front(next);
            }
        }
        ((from, to), kept, checksum.map(Hasher::finalize))
    }
}

/// A portion on its way into the store.
pub struct Portion {
    pub ranges: Vec<Range>,
    /// When the oldest of it was noted.
    oldest: Option<Instant>,
    /// Nothing waits behind it.
    pub is_last: bool,
}

impl Portion {
    /// Its ranges, with the bytes that are kept of them, which nobody keeps here from now on.
    #[must_use]
    pub fn hand_out(&mut self) -> Vec<Range> {
        let ranges = self.ranges.clone();
        for range in &mut self.ranges {
            (range.kept, range.crc32) = (Vec::new(), None);
        }
        ranges
    }

    /// Some of its ranges, as old as it is.
    #[must_use]
    pub fn of(&self, ranges: Vec<Range>) -> Self {
        Self { ranges, ..*self }
    }
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

    /// Bytes of a segment reached the disk, and may be kept in memory as well.
    pub fn note(
        &mut self,
        place: &SpoolSegment,
        file: Weak<File>,
        (from, to): (u64, u64),
        kept: Option<Bytes>,
        now: Instant,
    ) {
        if from >= to {
            return;
        }
        self.oldest.get_or_insert(now);
        let number = self.number_of(place);
        let waiting = self.pending.entry(number).or_default();
        waiting.file = file;
        match waiting.stretches.back_mut() {
            Some(last) if last.takes(from, kept.is_some()) => last.goes_on(to, kept),
            _ => waiting.stretches.push_back(Stretch::new((from, to), kept)),
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
            let Some((place, mut stretch)) = place.zip(waiting.stretches.pop_front()) else {
                entry.remove();
                continue;
            };
            let ((from, to), kept, crc32) = stretch.split_to(left);
            if stretch.from < stretch.to {
                waiting.stretches.push_front(stretch);
            }
            left -= to - from;
            ranges.push(Range {
                place,
                file: waiting.file.clone(),
                from,
                to,
                kept,
                crc32,
            });
        }
        self.pending
            .retain(|_, waiting| !waiting.stretches.is_empty());
        if ranges.is_empty() {
            self.oldest = None;
            return None;
        }
        let (oldest, is_last) = (self.oldest, self.pending.is_empty());
        if is_last {
            self.oldest = None;
        }
        self.under_way = oldest;
        Some(Portion {
            ranges,
            oldest,
            is_last,
        })
    }

    /// A portion did not get into the store: it waits again, in its files alone. While the store is slow, memory is for what comes.
    pub fn give_back(&mut self, portion: Portion, now: Instant) {
        for range in portion.ranges {
            let number = self.number_of(&range.place);
            let waiting = self.pending.entry(number).or_default();
            let stretch = Stretch::new((range.from, range.to), None);
            waiting.stretches.push_front(stretch);
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

    /// As [`Self::gone`], of a segment that was noted under that number: what was noted under the same name since then is another one.
    pub fn gone_as(&mut self, number: Number, place: &SpoolSegment) {
        if self.numbers.get(place) == Some(&number) {
            self.gone(place);
        }
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

    /// Every segment that is waiting or in the store, with its number here.
    #[must_use]
    pub fn places(&self) -> Vec<(Number, Arc<SpoolSegment>)> {
        let places = self.places.iter();
        places.map(|(number, it)| (*number, it.clone())).collect()
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
            let place = self.places.get(&segment)?.clone();
            let (from, to) = (piece * self.piece, (piece + 1) * self.piece);
            Some(Range::in_file(place, (from, to)))
        };
        held_up.into_iter().filter_map(range).collect()
    }

    /// The objects that may go, the oldest first.
    #[must_use]
    pub fn removable(&self) -> Vec<u64> {
        let is_done = |object: &&Stored| {
            let mut parts = object.parts.iter();
            parts.all(|part| self.is_stood_for(object.number, part))
        };
        let done = self.stored.iter().filter(is_done);
        done.map(|object| object.number).collect()
    }

    /// Objects are not in the store any more.
    pub fn removed(&mut self, numbers: &HashSet<u64>) {
        self.stored
            .retain(|object| !numbers.contains(&object.number));
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
        Range::in_file(Arc::new(place(n)), (0, to))
    }

    /// The objects that go.
    fn removed(ledger: &mut Ledger) -> Vec<u64> {
        let gone = ledger.removable();
        ledger.removed(&gone.iter().copied().collect());
        gone
    }

    /// What a sweep saw missing may have been noted anew by the time that it says so.
    #[test]
    fn a_segment_that_was_noted_anew_is_not_gone() {
        let now = clock::monotonic();
        let mut ledger = Ledger::default();
        ledger.stored(1, &[range(0, 10)], now);
        let seen = ledger.places();
        ledger.gone(&place(0));
        ledger.note(&place(0), Weak::new(), (0, 10), None, now);
        for (number, place) in &seen {
            ledger.gone_as(*number, place);
        }
        assert_eq!(ledger.take(100).unwrap().ranges.len(), 1);
        let seen = ledger.places();
        ledger.gone_as(seen[0].0, &seen[0].1);
        assert!(ledger.places().is_empty());
    }

    #[test]
    fn an_object_is_known_until_it_is_removed() {
        let now = clock::monotonic();
        let mut ledger = Ledger::default();
        ledger.stored(1, &[range(0, 10)], now);
        ledger.stored(2, &[range(0, 20)], now);
        ledger.gone(&place(0));
        assert_eq!(ledger.removable(), [1, 2]);
        ledger.removed(&[1].into());
        assert_eq!(ledger.removable(), [2]);
    }

    #[test]
    fn neighbours_are_one_range_and_a_portion_has_an_end() {
        let now = clock::monotonic();
        let mut ledger = Ledger::default();
        ledger.note(&place(0), Weak::new(), (0, 10), None, now);
        ledger.note(&place(0), Weak::new(), (10, 30), None, now);
        ledger.note(&place(1), Weak::new(), (5, 6), None, now);
        let first = ledger.take(20).unwrap();
        let [one] = &first.ranges[..] else {
            panic!("{:?}", first.ranges);
        };
        assert_eq!((&*one.place, one.from, one.to), (&place(0), 0, 20));
        assert!(!first.is_last);
        let second = ledger.take(100).unwrap();
        assert_eq!(second.ranges.len(), 2);
        assert!(second.is_last);
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
        assert!(removed(&mut ledger).is_empty());
        let late = now + Duration::from_secs(60);
        assert_eq!(ledger.overdue(Duration::from_secs(60), late).len(), 2);
        ledger.whole(3, &range(0, 20), late);
        ledger.gone(&place(1));
        assert_eq!(removed(&mut ledger), [1]);
        ledger.whole(4, &range(0, 30), late);
        assert_eq!(removed(&mut ledger), [2, 3]);
        assert!(ledger.overdue(Duration::ZERO, late).is_empty());
        ledger.gone(&place(0));
        assert_eq!(removed(&mut ledger), [4]);
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
        assert_eq!(removed(&mut ledger), [1]);
        ledger.whole(5, &part(200, 250), now);
        assert_eq!(removed(&mut ledger), [2]);
        assert!(ranges(&ledger).is_empty());
        ledger.stored(6, &[part(250, 260)], now);
        assert_eq!(ranges(&ledger), [(200, 300)]);
        ledger.whole(7, &part(200, 260), now);
        assert_eq!(removed(&mut ledger), [5, 6]);
        ledger.gone(&place(0));
        assert_eq!(removed(&mut ledger), [3, 4, 7]);
    }

    #[test]
    fn what_is_on_its_way_is_late_whatever_else_is_put_meanwhile() {
        let mut ledger = Ledger::default();
        let now = clock::monotonic();
        let later = now + Duration::from_secs(2);
        ledger.note(&place(0), Weak::new(), (0, 10), None, now);
        ledger.note(&place(1), Weak::new(), (0, 10), None, now);
        let portion = ledger.take(10).unwrap();
        ledger.stored(0, &portion.ranges, now);
        let portion = ledger.take(10).unwrap();
        ledger.whole(1, &range(0, 10), now);
        assert_eq!(ledger.lag(later), Duration::from_secs(2));
        ledger.stored(2, &portion.ranges, later);
        assert_eq!(ledger.lag(later), Duration::ZERO);
    }

    #[derive(Debug, Clone)]
    enum Act {
        Write(u32, u64, bool),
        Put(u64),
        Fail(u64),
        Whole(u32, u64),
        Gone(u32),
        Sweep,
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            4 => (0..3_u32, 1..50_u64, any::<bool>()).prop_map(|(n, length, kept)| Act::Write(n, length, kept)),
            2 => (1..80_u64).prop_map(Act::Put),
            1 => (1..80_u64).prop_map(Act::Fail),
            1 => (0..3_u32, 0..4_u64).prop_map(|(n, piece)| Act::Whole(n, piece)),
            1 => (0..3_u32).prop_map(Act::Gone),
            1 => Just(Act::Sweep),
        ]
    }

    /// What a segment has from one place to another.
    fn content(n: u32, from: u64, to: u64) -> Vec<u8> {
        (from..to).map(|at| (at * 7 + u64::from(n)) as u8).collect()
    }

    #[test]
    fn what_is_kept_is_given_out_once_and_read_back_afterwards() {
        let now = clock::monotonic();
        let mut ledger = Ledger::default();
        let write = |ledger: &mut Ledger, from, to, is_kept: bool| {
            let kept = is_kept.then(|| content(0, from, to).into());
            ledger.note(&place(0), Weak::new(), (from, to), kept, now);
        };
        write(&mut ledger, 0, 10, true);
        write(&mut ledger, 10, 30, true);
        write(&mut ledger, 30, 40, false);
        write(&mut ledger, 40, 50, true);
        let mut first = ledger.take(25).unwrap();
        let put = first.hand_out();
        let pieces: Vec<_> = put[0].kept.iter().map(Bytes::len).collect();
        assert_eq!((put.len(), pieces), (1, vec![10, 15]));
        assert_eq!(put[0].kept.concat(), content(0, 0, 25));
        let second = ledger.take(100).unwrap();
        let ranges = second
            .ranges
            .iter()
            .map(|it| (it.from, it.to, it.kept.concat()));
        assert_eq!(
            ranges.collect::<Vec<_>>(),
            [
                (25, 30, content(0, 25, 30)),
                (30, 40, Vec::new()),
                (40, 50, content(0, 40, 50))
            ]
        );
        ledger.give_back(first, now);
        let again = ledger.take(100).unwrap();
        let [range] = &again.ranges[..] else {
            panic!("{:?}", again.ranges);
        };
        assert_eq!((range.from, range.to, range.kept.len()), (0, 25, 0));
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
                    Act::Write(n, length, kept) => {
                        let end = written.entry(n).or_default();
                        let kept = kept.then(|| content(n, *end, *end + length).into());
                        ledger.note(&place(n), Weak::new(), (*end, *end + length), kept, now);
                        *end += length;
                    }
                    Act::Put(most) => if let Some(portion) = ledger.take(most) {
                        number += 1;
                        for range in &portion.ranges {
                            let segment = range.place.segment;
                            let kept = range.kept.concat();
                            prop_assert!(kept.is_empty() || kept == content(segment, range.from, range.to));
                            prop_assert!(range.crc32.is_none_or(|crc32| crc32 == crc32fast::hash(&kept)));
                            needed.entry(segment).or_default().extend(range.from..range.to);
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
                    Act::Sweep => for gone in removed(&mut ledger) {
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
