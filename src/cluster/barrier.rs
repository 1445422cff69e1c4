//! What all nodes do together: their clock moves, and they forget. One node leads: it has the job, holds the clock of each, and walks the due
//! times of all of them in order, one due time at a time. A node that a leader does not speak to any more lets its clock go by itself, and what
//! a node has missed it makes up for by what the database keeps of the clock.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Cluster, locked};
use crate::app::{Middle, Moved, To};
use crate::clock::{self, Barrier, UnixMs};
use crate::ids;
use crate::live::hub::Closed;
use crate::store::clock::KeptClock;
use crate::store::streams::Peer;

/// The job of whoever leads.
const JOB: &str = "clock";
/// How long it is kept for a leader that says nothing.
const LEADING: Duration = Duration::from_secs(60);
/// How often a leader keeps it.
const KEEP_LEADING: Duration = Duration::from_secs(10);
/// How long a call waits for another leader to end.
const TURN: Duration = Duration::from_secs(30);
/// A node that is held and hears nothing for so long lets its clock go.
const FORSAKEN: Duration = Duration::from_secs(60);
/// After that time it asks whether whoever holds it leads still.
const QUIET: Duration = Duration::from_secs(2);
/// For one thing that a node is told: work that falls due is waited for.
const DOING: Duration = Duration::from_secs(50);
const AGAIN: Duration = Duration::from_millis(100);
/// Milliseconds by which the clocks of two machines may differ.
const SKEW_MS: i64 = 2_000;

/// A clock that a leader holds.
pub(super) struct Held {
    by: String,
    /// The incarnation that leads.
    leader: String,
    barrier: Barrier,
    drained: bool,
    heard: Instant,
    _moving: tokio::sync::OwnedMutexGuard<()>,
}

/// Pushes wait, until this node has forgotten or whoever leads is gone.
pub(super) struct Resting {
    leader: String,
    since: Instant,
    _closed: Option<Closed>,
}

#[derive(Deserialize)]
struct Step {
    by: String,
    #[serde(default)]
    leader: String,
    #[serde(default)]
    to: UnixMs,
    #[serde(default)]
    stopped: bool,
}

/// What a node that is held says of its clock.
#[derive(Deserialize, Clone, Copy)]
struct Standing {
    now: UnixMs,
    next: Option<UnixMs>,
    /// Without housekeeping.
    #[serde(default)]
    told_next: Option<UnixMs>,
}

/// A node under a leader.
struct Led {
    peer: Peer,
    standing: Standing,
}

/// All nodes, held.
struct Party<'a> {
    cluster: &'a Cluster,
    by: String,
    led: Vec<Led>,
    /// Every one of them did what it was told.
    is_whole: bool,
}

impl Cluster {
    // ---- a node that is led ----

    /// Does what a leader says.
    pub(super) async fn do_together(&self, verb: &str, args: Value) -> Result<Value, String> {
        let read = || serde_json::from_value::<Step>(args.clone()).map_err(|e| e.to_string());
        match verb {
            "hold" => self.hold(read()?).await,
            "step" => self.step(read()?).await,
            "let-go" => self.let_go(read()?).await,
            "rest" => {
                self.come_to_rest(args.get("leader").and_then(Value::as_str))
                    .await?;
                Ok(json!({}))
            }
            "forget" => {
                // A node that joined in the middle of it has publishers that nobody has ended.
                if locked(&self.resting).is_none() {
                    self.come_to_rest(None).await?;
                }
                let rewinds = args.get("rewinds") == Some(&Value::Bool(true));
                self.store().forget_documents();
                let refreshed = self.store().refresh().await;
                refreshed.map_err(|error| error.to_string())?;
                self.app.forget_own(rewinds).await?;
                locked(&self.resting).take();
                Ok(json!({}))
            }
            other => Err(format!("{other} is not known here")),
        }
    }

    /// Ends what this node has, and has pushes wait.
    async fn come_to_rest(&self, leader: Option<&str>) -> Result<(), String> {
        self.rest(leader).await;
        self.app.come_to_rest().await;
        let text = |error: crate::store::StoreError| error.to_string();
        self.tell_publishers().await.map_err(text)?;
        let store = self.store();
        store.forget_streams(&self.member).await.map_err(text)
    }

    /// Has pushes wait.
    async fn rest(&self, leader: Option<&str>) {
        let closed = match locked(&self.resting).take() {
            Some(resting) => resting._closed,
            None => None,
        };
        let closed = match closed {
            Some(closed) => Some(closed),
            None => self.app.hub.close_gate().await,
        };
        *locked(&self.resting) = Some(Resting {
            leader: leader.unwrap_or_default().to_owned(),
            since: clock::monotonic(),
            _closed: closed,
        });
    }

    /// Lets pushes in again where whoever had all nodes forget is gone.
    async fn let_in_again(&self) {
        let quiet = locked(&self.resting)
            .as_ref()
            .map(|resting| (resting.since.elapsed(), resting.leader.clone()));
        let Some((quiet, leader)) = quiet.filter(|(quiet, _)| *quiet >= QUIET) else {
            return;
        };
        let mut resting = match self.store().who_has_job(JOB).await {
            Ok(now) if now.as_ref() == Some(&leader) => {
                if let Some(resting) = &mut *locked(&self.resting) {
                    resting.since = clock::monotonic();
                }
                return;
            }
            Ok(_) => locked(&self.resting),
            Err(_) if quiet >= FORSAKEN => locked(&self.resting),
            Err(_) => return,
        };
        if resting.as_ref().is_some_and(|it| it.leader == leader) {
            resting.take();
        }
    }

    /// A node that was away while the others forgot is ahead of the clock of all. Nothing lives here that would notice.
    pub(super) async fn take_clock_back(&self) {
        let clock = &self.app.services.clock;
        match self.store().kept_clock().await {
            Ok(kept) => {
                let is_ahead = match kept.stopped_at {
                    Some(at) => clock.now() > at + SKEW_MS,
                    None => clock.offset_ms() > kept.offset_ms + SKEW_MS,
                };
                if is_ahead {
                    tracing::info!(
                        "the clock of all nodes was taken back meanwhile; this one's follows"
                    );
                    clock.rewind().await;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "this node's clock may be ahead of the others'");
            }
        }
    }

    async fn hold(&self, step: Step) -> Result<Value, String> {
        let mut held = self.held.lock().await;
        if held.as_ref().is_none_or(|held| held.by != step.by) {
            // Whoever held it before does not lead any more.
            held.take();
            let moving = clock::machine_timeout(TURN, self.app.moving()).await;
            let moving = moving.ok_or("its clock is being moved")?;
            self.app.services.notifier.patience.renew();
            let drained = self.app.hub.drain().await;
            *held = Some(Held {
                by: step.by,
                leader: step.leader,
                barrier: self.app.services.clock.hold().await,
                drained,
                heard: clock::monotonic(),
                _moving: moving,
            });
        }
        let clock = &self.app.services.clock;
        let next = held.as_ref().and_then(|held| held.barrier.next_due());
        Ok(json!({"now": clock.now(), "next": next, "told_next": clock.next_due()}))
    }

    async fn step(&self, step: Step) -> Result<Value, String> {
        let mut held = self.held.lock().await;
        let held = held.as_mut().filter(|held| held.by == step.by);
        let held = held.ok_or("it is not held by this one")?;
        held.barrier.step(step.to).await;
        held.heard = clock::monotonic();
        Ok(json!({"now": held.barrier.now(), "next": held.barrier.next_due()}))
    }

    async fn let_go(&self, step: Step) -> Result<Value, String> {
        let taken = {
            let mut held = self.held.lock().await;
            held.take_if(|held| held.by == step.by)
        };
        let held = taken.ok_or("it is not held by this one")?;
        let target = step.to.max(held.barrier.now());
        let advanced = held.barrier.end(target, step.stopped).await;
        let drained = self.app.hub.drain().await && held.drained;
        let settled = self.app.has_settled(advanced.settled).await && drained;
        Ok(json!({"settled": settled}))
    }

    /// Lets a clock go whose leader is gone, and makes up for what was missed of the clock of all.
    pub(super) async fn keep_time(&self, before: &mut Option<KeptClock>) -> Result<(), String> {
        self.let_in_again().await;
        let Ok(mut held) = self.held.try_lock() else {
            return Ok(());
        };
        if let Some(held) = held.as_ref() {
            *before = None;
            let quiet = held.heard.elapsed();
            if quiet < QUIET {
                return Ok(());
            }
            // One that hung heard late what nobody meant any more.
            let leads = match self.store().who_has_job(JOB).await {
                Ok(leader) => leader.is_some_and(|leader| leader == held.leader),
                Err(_) => true,
            };
            if leads && quiet < FORSAKEN {
                return Ok(());
            }
        }
        if held.take().is_some() {
            tracing::warn!(
                "whoever moved the clock of all nodes is gone; this one goes on by itself"
            );
        }
        drop(held);
        let kept = self.store().kept_clock().await;
        let kept = kept.map_err(|error| error.to_string())?;
        // What was being changed when it was read is read once more.
        if before.replace(kept) != Some(kept) {
            return Ok(());
        }
        let clock = &self.app.services.clock;
        let missed = match kept.stopped_at {
            Some(at) => !clock.is_stopped() || clock.now() < at,
            None => clock.is_stopped() || kept.offset_ms - clock.offset_ms() > SKEW_MS,
        };
        if !missed || clock.is_advancing() {
            return Ok(());
        }
        let _moving = self.app.moving().await;
        tracing::info!("the clock of all nodes was moved meanwhile; this one's follows");
        let barrier = clock.hold().await;
        let here = barrier.now();
        let target = match kept.stopped_at {
            Some(at) => at.max(here),
            None => (clock::machine_now() + kept.offset_ms).max(here),
        };
        while let Some(due) = barrier.next_due().filter(|due| *due <= target) {
            barrier.step(due).await;
        }
        barrier.end(target, kept.stopped_at.is_some()).await;
        Ok(())
    }

    // ---- the node that leads ----

    /// Has a node, this one or another, do something.
    async fn have(&self, peer: &Peer, verb: &str, args: &Value) -> Result<Value, String> {
        if peer.incarnation == *self.member.incarnation() {
            return self.do_together(verb, args.clone()).await;
        }
        // One that hangs is waited for until it is declared dead.
        let patience = match verb {
            "hold" => self.patience(),
            _ => DOING,
        };
        self.peers.tell(peer, verb, args, patience).await
    }

    fn patience(&self) -> Duration {
        self.member.lease() + super::ENTER_PATIENCE
    }

    /// The nodes that serve.
    async fn serving(&self) -> Result<Vec<Peer>, String> {
        let peers = self.store().peers().await;
        let mut peers = peers.map_err(|error| error.to_string())?;
        peers.retain(|peer| !peer.is_draining);
        Ok(peers)
    }

    /// Becomes the one that leads, when nobody else does any more.
    async fn lead(&self) -> Result<Leading<'_>, String> {
        let one = self.leading.lock().await;
        let began = clock::monotonic();
        loop {
            let taken = self.store().take_job(&self.member, JOB, LEADING).await;
            if taken.map_err(|error| error.to_string())? {
                return Ok(Leading {
                    cluster: self,
                    _one: one,
                });
            }
            if began.elapsed() >= TURN {
                return Err("another node is moving the clock of all, or resets them".to_owned());
            }
            clock::machine_sleep(AGAIN).await;
        }
    }

    /// Holds the clocks of all nodes. One that does not answer is waited for until it is declared dead.
    async fn gather(&self) -> Result<Party<'_>, String> {
        let patience = self.patience() * 2;
        let by = ids::nonce();
        let args = json!({"by": by, "leader": *self.member.incarnation()});
        let began = clock::monotonic();
        loop {
            let peers = self.serving().await?;
            let asked = peers.iter().map(|peer| self.have(peer, "hold", &args));
            let mut led = Vec::new();
            let mut why = None;
            for (peer, answer) in peers.iter().zip(join_all(asked).await) {
                let standing = answer.and_then(|answer| {
                    serde_json::from_value::<Standing>(answer).map_err(|error| error.to_string())
                });
                match standing {
                    Ok(standing) => led.push(Led {
                        peer: peer.clone(),
                        standing,
                    }),
                    Err(error) => why = Some(error),
                }
            }
            let party = Party {
                cluster: self,
                by: by.clone(),
                led,
                is_whole: true,
            };
            let Some(why) = why else {
                return Ok(party);
            };
            if began.elapsed() >= patience {
                let stopped = self.app.services.clock.is_stopped();
                party.let_go(0, stopped).await;
                return Err(format!("{why}; nothing was moved"));
            }
            clock::machine_sleep(AGAIN * 2).await;
        }
    }

    pub(super) async fn advance_all(&self, to: To) -> Result<Moved, String> {
        let leading = self.lead().await?;
        let done = self.advance_led(&leading, to).await;
        leading.end().await;
        let moved = done?;
        self.app.tell_moved(&moved);
        Ok(moved)
    }

    async fn advance_led(&self, leading: &Leading<'_>, to: To) -> Result<Moved, String> {
        let mut party = self.gather().await?;
        let start = party.now();
        let told = party.led.iter().filter_map(|led| led.standing.told_next);
        let by_ms = to.ahead_of(start, told.min());
        let target = start + by_ms;
        let stopped = self.app.services.clock.is_stopped();
        self.app.keep_clock(by_ms).await;
        if let Err(error) = self.keep_standing(target, stopped).await {
            party.let_go(0, stopped).await;
            return Err(error);
        }
        party.walk(target, leading).await;
        // The clocks stood while they were walked.
        if let Err(error) = self.keep_running(target, stopped).await {
            tracing::warn!(error, "a node that starts now may be ahead of the others");
        }
        let settled = party.let_go(target, stopped).await && party.is_whole;
        Ok(Moved {
            by_ms,
            now: target,
            settled,
        })
    }

    /// Keeps where the clock of all stands, if it does.
    async fn keep_standing(&self, at: UnixMs, stopped: bool) -> Result<(), String> {
        let kept = self.store().keep_stopped(stopped.then_some(at)).await;
        kept.map_err(|error| error.to_string())
    }

    /// Keeps how far a clock is ahead that runs from `now` on.
    async fn keep_running(&self, now: UnixMs, stopped: bool) -> Result<(), String> {
        if stopped {
            return Ok(());
        }
        let offset = now - clock::machine_now();
        let kept = self.store().keep_clock_offset(offset).await;
        kept.map_err(|error| error.to_string())
    }

    pub(super) async fn freeze_all(&self, frozen: bool) -> Result<(), String> {
        let leading = self.lead().await?;
        let done = self.freeze_led(&leading, frozen).await;
        leading.end().await;
        done?;
        self.app.tell_frozen(frozen);
        Ok(())
    }

    async fn freeze_led(&self, leading: &Leading<'_>, frozen: bool) -> Result<(), String> {
        let mut party = self.gather().await?;
        let now = party.now();
        let was_stopped = self.app.services.clock.is_stopped();
        if was_stopped != frozen {
            let kept = async {
                self.keep_standing(now, frozen).await?;
                self.keep_running(now, frozen).await
            };
            if let Err(error) = kept.await {
                party.let_go(0, was_stopped).await;
                return Err(error);
            }
        }
        party.walk(now, leading).await;
        party.let_go(now, frozen).await;
        Ok(())
    }

    pub(super) async fn forget_all(&self, rewinds: bool, middle: Middle<'_>) -> Result<(), String> {
        let leading = self.lead().await?;
        let all = async {
            self.have_all("rest", json!({"leader": *self.member.incarnation()}))
                .await?;
            middle.await?;
            self.have_all("forget", json!({"rewinds": rewinds})).await
        };
        // The middle takes as long as the database needs for all rows. Where nobody were seen to lead any more, the nodes would let pushes in.
        let keeping = async {
            loop {
                clock::machine_sleep(KEEP_LEADING).await;
                leading.keep().await;
            }
        };
        let done = tokio::select! {
            done = all => done,
            () = keeping => Err("the lead was lost".to_owned()),
        };
        leading.end().await;
        done
    }

    /// Has all nodes do something. One that does not answer is asked again, until it is declared dead: it joins anew, and forgets by that.
    async fn have_all(&self, verb: &str, args: Value) -> Result<(), String> {
        let began = clock::monotonic();
        let mut peers = self.serving().await?;
        loop {
            let told = peers
                .iter()
                .map(|peer| self.have_or_lose(peer, verb, &args));
            let told = join_all(told).await;
            let mut silent = HashSet::new();
            let mut why = None;
            for (peer, done) in peers.iter().zip(told) {
                if let Err(error) = done {
                    silent.insert(peer.incarnation.clone());
                    why = Some(error);
                }
            }
            let Some(why) = why else {
                return Ok(());
            };
            if began.elapsed() >= self.patience() * 2 {
                return Err(why);
            }
            clock::machine_sleep(AGAIN * 2).await;
            peers = self.serving().await?;
            peers.retain(|peer| silent.contains(&peer.incarnation));
        }
    }

    /// Has a node do something, for as long as it is not declared dead.
    async fn have_or_lose(&self, peer: &Peer, verb: &str, args: &Value) -> Result<(), String> {
        let gone = async {
            loop {
                clock::machine_sleep(QUIET).await;
                if let Ok(peers) = self.serving().await
                    && !peers.iter().any(|it| it.incarnation == peer.incarnation)
                {
                    return;
                }
            }
        };
        tokio::select! {
            done = self.have(peer, verb, args) => done.map(drop),
            () = gone => Ok(()),
        }
    }
}

/// This node leads, until it says that it has ended or is not heard of.
struct Leading<'a> {
    cluster: &'a Cluster,
    _one: tokio::sync::MutexGuard<'a, ()>,
}

impl Leading<'_> {
    async fn keep(&self) {
        let (store, member) = (self.cluster.store(), &self.cluster.member);
        if let Err(error) = store.take_job(member, JOB, LEADING).await {
            tracing::debug!(%error, "the other nodes may take this one for gone");
        }
    }

    async fn end(self) {
        let (store, member) = (self.cluster.store(), &self.cluster.member);
        if let Err(error) = store.drop_job(member, JOB).await {
            tracing::debug!(%error, "the next one to move the clock waits");
        }
    }
}

impl Party<'_> {
    /// The latest of their clocks.
    fn now(&self) -> UnixMs {
        let all = self.led.iter().map(|led| led.standing.now);
        all.max()
            .unwrap_or_else(|| self.cluster.app.services.clock.now())
    }

    /// Walks all due times until `target`, in order. Of nodes with the same one, one after the other does its work; a node that does not
    /// answer any more is left behind.
    async fn walk(&mut self, target: UnixMs, leading: &Leading<'_>) {
        let mut kept = clock::monotonic();
        loop {
            let next = self.led.iter().filter_map(|led| led.standing.next).min();
            let Some(due) = next.filter(|due| *due <= target) else {
                return;
            };
            let args = json!({"by": self.by, "to": due});
            let (with_work, others): (Vec<usize>, Vec<usize>) = (0..self.led.len())
                .partition(|at| self.next_of(*at).is_some_and(|next| next <= due));
            let cluster = self.cluster;
            let mut done = Vec::new();
            let peers: Vec<(usize, Peer)> = others
                .into_iter()
                .filter_map(|at| Some((at, self.led.get(at)?.peer.clone())))
                .collect();
            let shown = peers
                .iter()
                .map(|(_, peer)| cluster.have(peer, "step", &args));
            let shown = join_all(shown).await;
            done.extend(peers.iter().map(|(at, _)| *at).zip(shown));
            for at in with_work {
                if let Some(led) = self.led.get(at) {
                    done.push((at, cluster.have(&led.peer, "step", &args).await));
                }
            }
            let mut left_behind = Vec::new();
            for (at, answer) in done {
                let standing = answer.and_then(|answer| {
                    serde_json::from_value::<Standing>(answer).map_err(|error| error.to_string())
                });
                match (standing, self.led.get_mut(at)) {
                    (Ok(standing), Some(led)) => led.standing = standing,
                    (Err(why), Some(led)) => {
                        tracing::warn!(
                            why,
                            node = led.peer.id,
                            "the clock of all goes on without a node"
                        );
                        left_behind.push(led.peer.id.clone());
                    }
                    _ => {}
                }
            }
            if !left_behind.is_empty() {
                self.is_whole = false;
                self.led.retain(|led| !left_behind.contains(&led.peer.id));
            }
            if kept.elapsed() >= KEEP_LEADING {
                kept = clock::monotonic();
                leading.keep().await;
            }
        }
    }

    fn next_of(&self, at: usize) -> Option<UnixMs> {
        self.led.get(at)?.standing.next
    }

    /// Lets all clocks go. Whether everything has come to rest.
    async fn let_go(&self, to: UnixMs, stopped: bool) -> bool {
        let args = json!({"by": self.by, "to": to, "stopped": stopped});
        let led = self.led.iter();
        let told = led.map(|led| self.cluster.have(&led.peer, "let-go", &args));
        let mut settled = true;
        for done in join_all(told).await {
            match done {
                Ok(answer) => settled &= answer.get("settled") == Some(&Value::Bool(true)),
                Err(why) => {
                    tracing::warn!(why, "a node's clock goes on by itself");
                    settled = false;
                }
            }
        }
        settled
    }
}
