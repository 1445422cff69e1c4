//! Players whose sessions went: a player of a stream that goes on may come back after a long silence, and the numbers of its playlist must not
//! fall then (RFC 8216 section 6.2.2). What is kept of one is some numbers.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::Mark;
use crate::live::fanout::hls::{Hls, Told};

/// A player is remembered for so long, in machine time.
const KEPT: Duration = Duration::from_secs(3_600);
/// Players that are remembered; the oldest one goes.
const MOST: usize = 10_000;

/// What a player was told when its session went.
pub(super) struct Left {
    /// The slices that it watched: while others do, they are the same.
    hls: Weak<Hls>,
    /// Of the publishes before those slices.
    before: Told,
    /// With those slices.
    told: Told,
}

impl Left {
    pub(super) fn of(hls: &Arc<Hls>, before: &Told) -> Self {
        Self {
            hls: Arc::downgrade(hls),
            before: before.counts(),
            told: hls.counts(before),
        }
    }

    /// What the player was told before these slices. Where they are those that it watched, each has the number that it had.
    pub(super) fn before(self, hls: &Arc<Hls>) -> Told {
        if std::ptr::eq(self.hls.as_ptr(), Arc::as_ptr(hls)) {
            self.before
        } else {
            self.told
        }
    }
}

struct Kept {
    number: u64,
    left: Left,
}

/// The players that are remembered.
#[derive(Default)]
pub(super) struct Gone {
    players: HashMap<Mark, Kept>,
    /// The same in the order in which they went, and when that was.
    order: BTreeMap<u64, (Mark, Instant)>,
    next: u64,
}

impl Gone {
    pub(super) fn keep(&mut self, mark: Mark, left: Left, now: Instant) {
        let number = self.next;
        self.next += 1;
        let kept = Kept { number, left };
        if let Some(older) = self.players.insert(mark, kept) {
            self.order.remove(&older.number);
        }
        self.order.insert(number, (mark, now));
        if self.order.len() > MOST {
            self.drop_oldest();
        }
    }

    /// What is remembered of a player that comes back.
    pub(super) fn take(&mut self, mark: &Mark, now: Instant) -> Option<Left> {
        self.forget(now);
        let Kept { number, left } = self.players.remove(mark)?;
        self.order.remove(&number);
        Some(left)
    }

    /// Lets those go that have had their time.
    pub(super) fn forget(&mut self, now: Instant) {
        while let Some((_, (_, since))) = self.order.first_key_value()
            && now.saturating_duration_since(*since) > KEPT
        {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some((_, (mark, _))) = self.order.pop_first() {
            self.players.remove(&mark);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::live::fanout::hls::made::publish;

    fn mark(number: usize) -> Mark {
        let mut mark = [0; 32];
        mark[..8].copy_from_slice(&number.to_be_bytes());
        Mark(mark)
    }

    /// The number of the first slice, the discontinuities before it, and the whole text.
    fn playlist(hls: &Hls, before: &Told) -> (u64, u64, String) {
        let text = hls.playlist(before, |number| format!("{number}.ts"));
        let number = |tag: &str| -> u64 {
            let found = text.lines().find_map(|line| line.strip_prefix(tag));
            found.map_or(0, |value| value.parse().unwrap())
        };
        let first = number("#EXT-X-MEDIA-SEQUENCE:");
        let discontinuities = number("#EXT-X-DISCONTINUITY-SEQUENCE:");
        (first, discontinuities, text)
    }

    #[test]
    fn the_numbers_of_a_player_that_was_silent_do_not_fall() {
        let now = clock::monotonic();
        let mut gone = Gone::default();
        let (first, player) = (Arc::new(publish(9, 1)), Told::default());
        let (number, discontinuities, _) = playlist(&first, &player);
        assert_eq!((number, discontinuities), (3, 1));
        for player_number in [1, 2] {
            gone.keep(mark(player_number), Left::of(&first, &player), now);
        }
        // Others watch: the slices are the same, and so are their numbers.
        let before = gone.take(&mark(1), now).unwrap().before(&first);
        let (number, discontinuities, _) = playlist(&first, &before);
        assert_eq!((number, discontinuities), (3, 1));
        // Nobody does, and slicing begins anew for the one that comes back.
        drop(first);
        let second = Arc::new(publish(1, 9));
        let before = gone.take(&mark(2), now).unwrap().before(&second);
        let (number, discontinuities, text) = playlist(&second, &before);
        assert_eq!((number, discontinuities), (9, 1));
        assert!(text.contains("#EXT-X-DISCONTINUITY\n#EXTINF:2.000,\n9.ts\n"));
        assert!(gone.take(&mark(2), now).is_none(), "it is back");
    }

    #[test]
    fn an_hour_and_ten_thousand_are_remembered() {
        let now = clock::monotonic();
        let hls = Arc::new(publish(1, 9));
        let left = || Left::of(&hls, &Told::default());
        let mut gone = Gone::default();
        for number in 0..MOST + 5 {
            gone.keep(mark(number), left(), now);
        }
        // One that went again is remembered once, and as the newest.
        gone.keep(mark(5), left(), now + Duration::from_secs(1));
        assert_eq!((gone.players.len(), gone.order.len()), (MOST, MOST));
        assert!(gone.take(&mark(4), now).is_none());
        assert!(gone.take(&mark(6), now + KEPT).is_some());
        gone.forget(now + KEPT + Duration::from_millis(1));
        assert_eq!((gone.players.len(), gone.order.len()), (1, 1));
        let later = now + KEPT + Duration::from_secs(2);
        assert!(gone.take(&mark(5), later).is_none());
        assert!(gone.players.is_empty() && gone.order.is_empty());
    }
}
