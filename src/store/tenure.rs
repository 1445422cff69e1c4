//! How long a node has held its lease without a break, and what it may do for it. Pure: whoever asks brings the time.
//!
//! A lease lasts for its length after the moment in which its renewal was asked for. While it lasts the node may write. It may take over
//! from others only when its renewals have come about for a whole length without a break of half a one: after a failover of the database every
//! lease looks expired, and whoever comes back first would take the streams of all who come back a second later. Half a length, since leases are
//! renewed at a third of it: where the database was away for less nobody's lease is over yet, and where it was away for more everybody noticed,
//! also who was renewed last and has a lease that lasts still when that of who was renewed first is over.

use std::time::{Duration, Instant};

/// A node's own view of its lease.
#[derive(Debug, Clone)]
pub struct Tenure {
    lease: Duration,
    run: Option<Run>,
}

/// Renewals that came about without a break.
#[derive(Debug, Clone, Copy)]
struct Run {
    since: Instant,
    /// When the newest of them was asked for.
    newest: Instant,
}

impl Tenure {
    #[must_use]
    pub fn new(lease: Duration) -> Self {
        Self { lease, run: None }
    }

    /// A renewal that was asked for at that time came about.
    pub fn renewed(&mut self, asked: Instant) {
        let goes_on = self
            .run
            .filter(|run| asked < run.newest + self.longest_break());
        self.run = Some(Run {
            since: goes_on.map_or(asked, |run| run.since),
            newest: goes_on.map_or(asked, |run| run.newest.max(asked)),
        });
    }

    /// What is longer between two renewals may be the database's, for everybody.
    fn longest_break(&self) -> Duration {
        self.lease / 2
    }

    /// The node was declared dead.
    pub fn ended(&mut self) {
        self.run = None;
    }

    /// Whether the lease is known to last.
    #[must_use]
    pub fn holds(&self, now: Instant) -> bool {
        self.run.is_some_and(|run| now < run.newest + self.lease)
    }

    /// Whether the node may declare others dead.
    #[must_use]
    pub fn may_take_over(&self, now: Instant) -> bool {
        self.run.is_some_and(|run| {
            now < run.newest + self.longest_break() && now >= run.since + self.lease
        })
    }

    /// What is left of the lease.
    #[must_use]
    pub fn left(&self, now: Instant) -> Duration {
        self.run.map_or(Duration::ZERO, |run| {
            (run.newest + self.lease).saturating_duration_since(now)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock;

    const LEASE_MS: u64 = 6_000;
    const NODES: usize = 3;

    /// The table of nodes and the nodes on it, as far as leases go. Time is that of the test.
    struct Model {
        origin: Instant,
        now_ms: u64,
        /// Per node: the incarnation of its row and when that expires, by the database's clock.
        rows: [Option<(u32, u64)>; NODES],
        nodes: [(u32, Tenure); NODES],
        /// The incarnation that owns the one stream, and its epoch.
        owner: (u32, u32),
        incarnations: u32,
    }

    impl Model {
        fn new() -> Self {
            let origin = clock::monotonic();
            let lease = Duration::from_millis(LEASE_MS);
            let mut model = Self {
                origin,
                now_ms: 0,
                rows: [None; NODES],
                nodes: std::array::from_fn(|_| (0, Tenure::new(lease))),
                owner: (1, 1),
                incarnations: 0,
            };
            for node in 0..NODES {
                model.join(node);
            }
            model
        }

        fn at(&self) -> Instant {
            self.origin + Duration::from_millis(self.now_ms)
        }

        fn join(&mut self, node: usize) {
            self.incarnations += 1;
            self.rows[node] = Some((self.incarnations, self.now_ms + LEASE_MS));
            let at = self.at();
            let (incarnation, tenure) = &mut self.nodes[node];
            *incarnation = self.incarnations;
            tenure.ended();
            tenure.renewed(at);
        }

        /// The renewal is conditional on the incarnation; who has no row joins as another one.
        fn renew(&mut self, node: usize) {
            let (mine, _) = self.nodes[node];
            match &mut self.rows[node] {
                Some((incarnation, expires)) if *incarnation == mine => {
                    *expires = self.now_ms + LEASE_MS;
                    let at = self.at();
                    self.nodes[node].1.renewed(at);
                }
                _ => self.join(node),
            }
        }

        /// Declares dead whose lease is over, and takes what has no owner.
        fn look(&mut self, node: usize) {
            let at = self.at();
            let (mine, tenure) = &self.nodes[node];
            let mine = *mine;
            let own_row = self.rows[node].filter(|(it, until)| *it == mine && *until > self.now_ms);
            if !tenure.may_take_over(at) || own_row.is_none() {
                return;
            }
            for other in 0..NODES {
                if self.rows[other].is_some_and(|(_, until)| until <= self.now_ms) {
                    self.rows[other] = None;
                }
            }
            let has_owner = self
                .rows
                .iter()
                .flatten()
                .any(|(it, _)| *it == self.owner.0);
            if !has_owner {
                self.owner = (mine, self.owner.1 + 1);
            }
        }

        /// A commit goes through where the epoch is still the node's.
        fn commits(&self, incarnation: u32, epoch: u32) -> bool {
            self.owner == (incarnation, epoch)
        }
    }

    #[derive(Debug, Clone)]
    enum Act {
        Wait(u64),
        Renew(usize),
        Look(usize),
        /// Nobody reaches the database for that long, and each node was renewed some time before; then all come back within a lease, in some order.
        Outage(u64, [u64; NODES], [u64; NODES]),
        /// One node hangs for that long; the others go on.
        Hang(usize, u64),
    }

    fn act() -> impl Strategy<Value = Act> {
        let (before, back) = (|| 0..LEASE_MS / 3, || 0..LEASE_MS - 500);
        prop_oneof![
            (1..2_500_u64).prop_map(Act::Wait),
            (0..NODES).prop_map(Act::Renew),
            (0..NODES).prop_map(Act::Look),
            (
                1..60_000_u64,
                [before(), before(), before()],
                [back(), back(), back()]
            )
                .prop_map(|(ms, before, back)| Act::Outage(ms, before, back)),
            (0..NODES, 1..30_000_u64).prop_map(|(node, ms)| Act::Hang(node, ms)),
        ]
    }

    /// Lets time pass in steps of half a second, in which all but one node do what they do.
    fn pass(model: &mut Model, ms: u64, but: Option<usize>) {
        let mut left = ms;
        while left > 0 {
            let step = left.min(500);
            model.now_ms += step;
            left -= step;
            for node in (0..NODES).filter(|node| Some(*node) != but) {
                model.renew(node);
                model.look(node);
            }
        }
    }

    proptest! {
        /// Whatever happens: who is alive is not declared dead by a failover, and who was declared dead commits nothing.
        #[test]
        fn a_failover_declares_nobody_dead_and_a_zombie_commits_nothing(acts in proptest::collection::vec(act(), 1..30)) {
            let mut model = Model::new();
            pass(&mut model, 2 * LEASE_MS, None);
            for act in acts {
                match act {
                    Act::Wait(ms) => pass(&mut model, ms, None),
                    Act::Renew(node) => model.renew(node),
                    Act::Look(node) => model.look(node),
                    Act::Outage(ms, renewed, back) => {
                        let third = LEASE_MS / 3;
                        for step in (0..third).step_by(100) {
                            model.now_ms += 100;
                            for node in (0..NODES).filter(|node| step + renewed[*node] < third) {
                                model.renew(node);
                            }
                        }
                        let before = model.rows.map(|row| row.map(|(it, _)| it));
                        let owner = model.owner;
                        model.now_ms += ms;
                        let from = model.now_ms;
                        // A break that is shorter than half a lease is noticed by nobody: who is away for longer than the others is dead.
                        let is_noticed = ms >= LEASE_MS / 2;
                        let left = LEASE_MS.saturating_sub(ms + third + 200);
                        let back = if is_noticed { back } else { back.map(|back| back.min(left)) };
                        // Each comes back at its moment, and from then on does what it does.
                        let mut is_back = [false; NODES];
                        while is_back.contains(&false) {
                            for node in 0..NODES {
                                if is_back[node] || model.now_ms >= from + back[node] {
                                    is_back[node] = true;
                                    model.renew(node);
                                    model.look(node);
                                }
                            }
                            model.now_ms += 100;
                        }
                        prop_assert_eq!(model.rows.map(|row| row.map(|(it, _)| it)), before);
                        prop_assert_eq!(model.owner, owner);
                    }
                    Act::Hang(node, ms) => {
                        let (mine, _) = model.nodes[node];
                        let (owned, epoch) = (model.owner.0 == mine, model.owner.1);
                        pass(&mut model, ms, Some(node));
                        if owned && model.owner.1 != epoch {
                            prop_assert!(!model.commits(mine, epoch));
                            model.renew(node);
                            prop_assert!(model.nodes[node].0 != mine, "it must join anew");
                        }
                        if ms > LEASE_MS + 1_000 {
                            let heirs = model.rows.iter().flatten().filter(|(it, _)| *it == model.owner.0);
                            prop_assert_eq!(heirs.count(), 1);
                        }
                        pass(&mut model, 2 * LEASE_MS, None);
                    }
                }
                let owners = model.rows.iter().flatten().filter(|(it, _)| *it == model.owner.0).count();
                prop_assert!(owners <= 1);
            }
        }
    }

    #[test]
    fn a_lease_lasts_from_when_it_was_asked_for_and_a_break_begins_a_new_run() {
        let origin = clock::monotonic();
        let at = |ms| origin + Duration::from_millis(ms);
        let mut tenure = Tenure::new(Duration::from_secs(6));
        assert!(!tenure.holds(at(0)));
        tenure.renewed(at(0));
        assert!(tenure.holds(at(5_999)) && !tenure.holds(at(6_000)));
        tenure.renewed(at(2_000));
        tenure.renewed(at(4_000));
        assert!(!tenure.may_take_over(at(5_999)) && tenure.may_take_over(at(6_000)));
        assert_eq!(tenure.left(at(9_000)), Duration::from_secs(1));
        // Whoever was renewed earlier may be expired by now without being dead.
        assert!(tenure.may_take_over(at(6_999)) && !tenure.may_take_over(at(7_000)));
        let mut late = tenure.clone();
        late.renewed(at(8_000));
        assert!(late.holds(at(13_999)) && !late.may_take_over(at(10_999)));
        // It was over for a second.
        tenure.renewed(at(11_000));
        assert!(tenure.holds(at(11_000)) && !tenure.may_take_over(at(16_999)));
        tenure.ended();
        assert!(!tenure.holds(at(11_001)));
    }
}
