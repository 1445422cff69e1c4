//! A bounded log with one writer and many readers, in groups: a reader begins where a group begins, and one that falls behind what is
//! kept goes on at the newest group. Nobody waits for a reader.
//!
//! News are told in ticks ([`Log::wake`]), not with each entry: a reader is woken once for all that came meanwhile.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::clock;

/// Who reads keeps room for so many entries from one tick to the next. The first viewer of a stream brings a whole group at once, and of many
/// streams the room for those would be as much as their viewers take.
pub(super) const USUAL: usize = 64;

/// What a log keeps at most.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Groups, the one that grows included.
    pub groups: usize,
    /// Further groups stay for this long after their end, in machine time.
    pub linger: Duration,
    pub bytes: usize,
    pub entries: usize,
}

/// Bytes that many logs keep together; above `most`, each keeps no more than `lean`, and what is new.
#[derive(Debug)]
pub struct Budget {
    pub kept: AtomicUsize,
    pub most: usize,
    pub lean: usize,
    /// What came within this, in machine time, is new: its readers are only being told of it, so it stays up to the log's own bounds.
    pub fresh: Duration,
}

pub struct Log<T> {
    bounds: Bounds,
    budget: Option<Arc<Budget>>,
    inner: Mutex<Inner<T>>,
}

struct Kept<T> {
    entry: T,
    /// Bytes that it takes here.
    here: usize,
    /// Bytes that a reader gets.
    whole: usize,
}

struct Inner<T> {
    entries: VecDeque<Kept<T>>,
    /// Number of the oldest entry.
    first: u64,
    /// Numbers of the entries that begin a group, oldest first, and when they came.
    starts: VecDeque<(u64, Instant)>,
    bytes: usize,
    /// Where there is a budget: the number of the first entry that is new.
    fresh: u64,
    /// Where the log ended at a wake, and when that was. The readers have had [`Budget::fresh`] to come when this becomes `fresh`.
    told: (u64, Instant),
    /// Counts the wakes.
    generation: u64,
    waiting: Vec<Waker>,
    is_closed: bool,
}

impl<T> Inner<T> {
    fn next(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    fn drop_first(&mut self) {
        if let Some(kept) = self.entries.pop_front() {
            self.bytes -= kept.here;
            self.first += 1;
        }
        while self
            .starts
            .front()
            .is_some_and(|(start, _)| *start < self.first)
        {
            self.starts.pop_front();
        }
    }

    fn drop_group(&mut self) {
        let until = self.second_start().unwrap_or_else(|| self.next());
        while self.first < until {
            self.drop_first();
        }
    }

    fn second_start(&self) -> Option<u64> {
        self.starts.get(1).map(|(start, _)| *start)
    }

    /// Drops the oldest entries until no more than `entries` of `bytes` bytes are left, and none from number `until` on. Whole groups go first; of
    /// a group that is too large alone, or that reaches beyond `until`, its beginning goes.
    fn shrink(&mut self, bytes: usize, entries: usize, until: u64) {
        while self.first < until && (self.bytes > bytes || self.entries.len() > entries) {
            if self.second_start().is_some_and(|second| second <= until) {
                self.drop_group();
            } else {
                self.drop_first();
            }
        }
    }
}

impl<T> Log<T> {
    #[must_use]
    pub fn new(bounds: Bounds, budget: Option<Arc<Budget>>) -> Arc<Self> {
        Arc::new(Self {
            bounds,
            budget,
            inner: Mutex::new(Inner {
                entries: VecDeque::new(),
                first: 0,
                starts: VecDeque::new(),
                bytes: 0,
                fresh: 0,
                told: (0, clock::monotonic()),
                generation: 1,
                waiting: Vec::new(),
                is_closed: false,
            }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends an entry that counts as `size` bytes. Whole groups go first where that is too much; of a group that is too large alone its
    /// beginning goes, and whoever comes then begins with the next one. Where all logs keep too much together, what is new stays all the same.
    pub fn push(&self, entry: T, size: usize, starts_group: bool) {
        let mut inner = self.lock();
        let before = inner.bytes;
        if starts_group {
            let number = inner.next();
            inner.starts.push_back((number, clock::monotonic()));
        }
        inner.entries.push_back(Kept {
            entry,
            here: size,
            whole: size,
        });
        inner.bytes += size;
        while inner.starts.len() > self.bounds.groups
            && inner
                .starts
                .get(1)
                .is_none_or(|(_, ended)| ended.elapsed() >= self.bounds.linger)
        {
            inner.drop_group();
        }
        inner.shrink(self.bounds.bytes, self.bounds.entries, u64::MAX);
        if let Some(budget) = &self.budget
            && budget.kept.load(Ordering::Relaxed) > budget.most
        {
            let fresh = inner.fresh;
            inner.shrink(budget.lean, usize::MAX, fresh);
        }
        let after = inner.bytes;
        drop(inner);
        self.account(before, after);
    }

    /// Lets entries be exchanged for lighter ones: `lighten` sees the newest `most` ones from number `from` on, and says how many bytes fewer
    /// an entry takes now. The number of the first one that became lighter, if one did.
    pub fn lighten(
        &self,
        from: u64,
        most: usize,
        mut lighten: impl FnMut(&mut T) -> usize,
    ) -> Option<u64> {
        let mut inner = self.lock();
        let before = inner.bytes;
        let first = inner.first;
        let old = inner.entries.len().saturating_sub(most);
        let skipped = usize::try_from(from.saturating_sub(first))
            .unwrap_or(usize::MAX)
            .max(old);
        let mut saved = 0;
        let mut lightened = None;
        for (index, kept) in inner.entries.iter_mut().enumerate().skip(skipped) {
            let less = lighten(&mut kept.entry).min(kept.here);
            if less > 0 {
                kept.here -= less;
                saved += less;
                lightened.get_or_insert(first + index as u64);
            }
        }
        inner.bytes -= saved;
        let after = inner.bytes;
        drop(inner);
        self.account(before, after);
        lightened
    }

    fn account(&self, before: usize, after: usize) {
        if let Some(budget) = &self.budget {
            if after >= before {
                budget.kept.fetch_add(after - before, Ordering::Relaxed);
            } else {
                budget.kept.fetch_sub(before - after, Ordering::Relaxed);
            }
        }
    }

    /// Tells the readers that there is something new.
    pub fn wake(&self) {
        let waiting = {
            let mut inner = self.lock();
            if let Some(budget) = &self.budget
                && inner.told.1.elapsed() >= budget.fresh
            {
                inner.fresh = inner.told.0;
                inner.told = (inner.next(), clock::monotonic());
            }
            if inner.waiting.is_empty() {
                return;
            }
            inner.generation += 1;
            std::mem::take(&mut inner.waiting)
        };
        for waker in waiting {
            waker.wake();
        }
    }

    /// Nothing more comes; readers get what is left.
    pub fn close(&self) {
        self.lock().is_closed = true;
        self.wake();
    }

    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    /// Bytes kept.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.lock().bytes
    }
}

impl<T> Drop for Log<T> {
    fn drop(&mut self) {
        let bytes = self.lock().bytes;
        self.account(bytes, 0);
    }
}

/// Where a reader begins. After a fall it goes on with the newest group, which alone helps to catch up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// With the group that grows when it comes, or with the first one to come.
    Newest,
    /// With the oldest group that is kept.
    Oldest,
}

/// What a reader got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// Entries that follow those before.
    More,
    /// Entries that begin with a group and do not follow those before: the first ones, or others were left out.
    Jumped,
    /// There is nothing more, and nothing will come.
    Ended,
}

/// One reader's place in a log.
pub struct Cursor<T> {
    log: Arc<Log<T>>,
    next: Option<u64>,
    began: bool,
    /// What is taken next does not follow what was taken before.
    jumps: bool,
    /// The wake that this reader waits for.
    waits_for: u64,
    /// Times it fell behind since it last had read everything.
    skips: u32,
    all_skips: u64,
}

impl<T> Cursor<T> {
    #[must_use]
    pub fn new(log: Arc<Log<T>>, from: From) -> Self {
        let next = {
            let inner = log.lock();
            match from {
                From::Newest => inner.starts.back(),
                From::Oldest => inner.starts.front(),
            }
            .map(|(start, _)| *start)
        };
        Self {
            log,
            next,
            began: false,
            jumps: true,
            waits_for: 0,
            skips: 0,
            all_skips: 0,
        }
    }

    /// How often it fell behind since it last had read everything.
    #[must_use]
    pub fn skips_in_a_row(&self) -> u32 {
        self.skips
    }

    /// How often it fell behind.
    #[must_use]
    pub fn skips(&self) -> u64 {
        self.all_skips
    }

    /// Shows what is new, one entry at least and up to `most` bytes where there are more. The log is held meanwhile.
    pub fn poll_each(
        &mut self,
        context: &mut Context<'_>,
        most: usize,
        mut each: impl FnMut(Taken, &T),
    ) -> Poll<Taken> {
        let mut inner = self.log.lock();
        if self.next.is_some_and(|next| next < inner.first) {
            self.next = None;
            self.skips += u32::from(self.began);
            self.all_skips += u64::from(self.began);
            self.jumps = true;
        }
        if self.next.is_none() {
            let start = if self.began {
                inner.starts.back()
            } else {
                inner.starts.front()
            };
            self.next = start.map(|(start, _)| *start);
        }
        let next = self.next.unwrap_or_else(|| inner.next());
        if next >= inner.next() {
            self.skips = 0;
            if inner.is_closed {
                return Poll::Ready(Taken::Ended);
            }
            if self.waits_for != inner.generation {
                self.waits_for = inner.generation;
                inner.waiting.push(context.waker().clone());
            }
            return Poll::Pending;
        }
        self.began = true;
        let taken = if std::mem::take(&mut self.jumps) {
            Taken::Jumped
        } else {
            Taken::More
        };
        let from = usize::try_from(next - inner.first).unwrap_or(usize::MAX);
        let (mut bytes, mut count) = (0, 0);
        for kept in inner.entries.iter().skip(from) {
            if count > 0 && bytes + kept.whole > most {
                break;
            }
            // The first entry may not follow what was taken before; the others do.
            each(if count == 0 { taken } else { Taken::More }, &kept.entry);
            bytes += kept.whole;
            count += 1;
        }
        self.next = Some(next + count);
        Poll::Ready(taken)
    }
}

impl<T: Clone> Cursor<T> {
    /// As [`Cursor::poll_each`], waiting; what is new is appended to `out`.
    pub async fn take(&mut self, out: &mut Vec<T>, most: usize) -> Taken {
        std::future::poll_fn(|context| {
            self.poll_each(context, most, |_, entry| out.push(entry.clone()))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        groups: 2,
        linger: Duration::ZERO,
        bytes: 100,
        entries: 50,
    };

    /// Groups of `length` entries of one byte.
    fn filled(log: &Log<u32>, numbers: std::ops::Range<u32>, length: u32) {
        for number in numbers {
            log.push(number, 1, number.is_multiple_of(length));
        }
    }

    fn take(cursor: &mut Cursor<u32>, most: usize) -> Option<(Taken, Vec<u32>)> {
        let mut out = Vec::new();
        let mut context = Context::from_waker(Waker::noop());
        match cursor.poll_each(&mut context, most, |_, entry| out.push(*entry)) {
            Poll::Ready(taken) => Some((taken, out)),
            Poll::Pending => None,
        }
    }

    #[test]
    fn a_reader_begins_with_a_group_and_gets_everything_then() {
        let log = Log::new(BOUNDS, None);
        filled(&log, 0..25, 10);
        let mut newest = Cursor::new(log.clone(), From::Newest);
        let mut oldest = Cursor::new(log.clone(), From::Oldest);
        assert_eq!(
            take(&mut newest, 99),
            Some((Taken::Jumped, (20..25).collect()))
        );
        assert_eq!(
            take(&mut oldest, 3),
            Some((Taken::Jumped, vec![10, 11, 12]))
        );
        assert_eq!(
            take(&mut oldest, 99),
            Some((Taken::More, (13..25).collect()))
        );
        assert_eq!(take(&mut newest, 99), None);
        filled(&log, 25..26, 10);
        log.close();
        assert_eq!(take(&mut newest, 99), Some((Taken::More, vec![25])));
        assert_eq!(take(&mut newest, 99), Some((Taken::Ended, vec![])));
    }

    #[test]
    fn a_reader_that_came_before_anything_begins_with_the_first_group() {
        let log = Log::new(BOUNDS, None);
        let mut early = Cursor::new(log.clone(), From::Newest);
        let mut empty = Cursor::new(log.clone(), From::Oldest);
        filled(&log, 0..15, 10);
        assert_eq!(
            take(&mut early, 99),
            Some((Taken::Jumped, (0..15).collect()))
        );
        filled(&log, 15..35, 10);
        // What went before it had begun is no fall.
        assert_eq!(
            take(&mut empty, 99),
            Some((Taken::Jumped, (20..35).collect()))
        );
        assert_eq!(empty.skips(), 0);
    }

    #[test]
    fn a_reader_that_falls_behind_goes_on_at_the_newest_group() {
        let log = Log::new(BOUNDS, None);
        filled(&log, 0..5, 10);
        let mut slow = Cursor::new(log.clone(), From::Oldest);
        assert_eq!(take(&mut slow, 2), Some((Taken::Jumped, vec![0, 1])));
        filled(&log, 5..35, 10);
        assert_eq!(
            take(&mut slow, 99),
            Some((Taken::Jumped, (30..35).collect()))
        );
        assert_eq!((slow.skips_in_a_row(), slow.skips()), (1, 1));
        assert_eq!(take(&mut slow, 99), None);
        assert_eq!((slow.skips_in_a_row(), slow.skips()), (0, 1));
    }

    #[test]
    fn groups_that_have_just_ended_stay_for_who_is_a_little_behind() {
        let bounds = Bounds {
            linger: Duration::from_secs(3_600),
            ..BOUNDS
        };
        let log = Log::new(bounds, None);
        filled(&log, 0..5, 10);
        let mut slow = Cursor::new(log.clone(), From::Oldest);
        assert_eq!(take(&mut slow, 2), Some((Taken::Jumped, vec![0, 1])));
        filled(&log, 5..45, 10);
        assert_eq!(take(&mut slow, 99), Some((Taken::More, (2..45).collect())));
        filled(&log, 45..99, 10);
        let (taken, numbers) = take(&mut slow, 99).unwrap();
        assert_eq!(
            (taken, numbers.first()),
            (Taken::Jumped, Some(&90)),
            "the bound of entries counts all the same"
        );
    }

    #[test]
    fn a_group_beyond_the_bound_loses_its_beginning_and_no_reader_its_place() {
        let log = Log::new(BOUNDS, None);
        filled(&log, 0..49, 1_000);
        let mut reader = Cursor::new(log.clone(), From::Newest);
        assert!(take(&mut reader, 99).is_some());
        filled(&log, 49..90, 1_000);
        assert_eq!(
            take(&mut reader, 99),
            Some((Taken::More, (49..90).collect()))
        );
        let mut late = Cursor::new(log.clone(), From::Newest);
        assert_eq!(take(&mut late, 99), None, "nothing to begin with");
        filled(&log, 1_000..1_001, 1_000);
        assert_eq!(take(&mut late, 99), Some((Taken::Jumped, vec![1_000])));
        assert_eq!(take(&mut reader, 99), Some((Taken::More, vec![1_000])));
        log.push(7, 1_000, false);
        assert_eq!(log.bytes(), 0, "an entry beyond the bound is not kept");
    }

    #[test]
    fn logs_that_keep_too_much_together_keep_less_each() {
        let budget = Arc::new(Budget {
            kept: AtomicUsize::new(0),
            most: 60,
            lean: 5,
            fresh: Duration::ZERO,
        });
        let (one, other) = (
            Log::new(BOUNDS, Some(budget.clone())),
            Log::new(BOUNDS, Some(budget.clone())),
        );
        for log in [&one, &other] {
            for number in 0..40 {
                filled(log, number..number + 1, 1_000);
                log.wake();
            }
        }
        assert!(other.bytes() <= 22, "{}", other.bytes());
        assert_eq!(
            budget.kept.load(Ordering::Relaxed),
            one.bytes() + other.bytes()
        );
        drop((one, other));
        assert_eq!(budget.kept.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn what_is_new_stays_where_logs_keep_too_much_together() {
        let log_of = |fresh| {
            let budget = Budget {
                kept: AtomicUsize::new(1),
                most: 0,
                lean: 5,
                fresh,
            };
            let log = Log::new(BOUNDS, Some(Arc::new(budget)));
            let mut reader = Cursor::new(log.clone(), From::Newest);
            filled(&log, 0..1, 1_000);
            log.wake();
            assert_eq!(take(&mut reader, 99), Some((Taken::Jumped, vec![0])));
            (log, reader)
        };
        let (log, mut reader) = log_of(Duration::ZERO);
        // An entry that is too large alone, and a group that comes in one tick.
        log.push(1, 30, false);
        log.wake();
        assert_eq!(take(&mut reader, 99), Some((Taken::More, vec![1])));
        filled(&log, 2..42, 1_000);
        assert_eq!(
            take(&mut reader, 99),
            Some((Taken::More, (2..42).collect()))
        );
        // The readers have had their time.
        log.wake();
        log.wake();
        filled(&log, 42..43, 1_000);
        assert_eq!(log.bytes(), 5);
        assert_eq!(take(&mut reader, 99), Some((Taken::More, vec![42])));
        // Several wakes in one tick are as one; the log's own bounds hold all the same.
        let (log, mut reader) = log_of(Duration::from_secs(3_600));
        for number in 1..40 {
            filled(&log, number..number + 1, 1_000);
            log.wake();
        }
        assert_eq!(
            take(&mut reader, 99),
            Some((Taken::More, (1..40).collect()))
        );
        filled(&log, 40..200, 1_000);
        assert!(log.bytes() <= BOUNDS.bytes && reader.skips() == 0);
        assert_eq!(take(&mut reader, 99), None, "it is too far behind");
        assert_eq!(reader.skips(), 1);
    }

    #[tokio::test]
    async fn a_reader_is_woken_once_for_all_that_came() {
        let log = Log::new(BOUNDS, None);
        let mut reader = Cursor::new(log.clone(), From::Newest);
        let reading = tokio::spawn(async move {
            let mut out = Vec::new();
            reader.take(&mut out, 99).await;
            out
        });
        while log.lock().waiting.is_empty() {
            tokio::task::yield_now().await;
        }
        filled(&log, 0..3, 10);
        log.wake();
        assert_eq!(reading.await.unwrap(), [0, 1, 2]);
    }
}
