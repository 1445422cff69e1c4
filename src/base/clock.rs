//! The service clock: machine time plus an offset that `clock/advance` moves, or stopped so that only that moves it; and the one scheduler
//! of all due times.
//!
//! Everything in the product that waits (interruption, silent push, window start and end, callback timeout and retry,
//! retention) waits here, by [`Clock::sleep_until`]. That gives one ordered list of due times, which [`Clock::advance`] can walk:
//! it moves the clock to each due time in turn, wakes the sleeper and waits until the work that follows is done before it
//! goes on. "Done" is counted by [`Busy`] guards: whoever does work that a due time (or a request, or a frame) set off holds one.
//!
//! Machine time is read once and then carried on by the monotonic clock, so that an operating system that sets its clock back
//! never makes the product's time run backwards. The web framework's and the runtime's own time functions are not used elsewhere.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::{Notify, oneshot};

mod beat;
mod jumps;

pub use beat::{Beat, Listener};
use jumps::Jumps;

/// Milliseconds since the Unix epoch, on the service clock unless a name says otherwise.
pub type UnixMs = i64;

/// How long, in machine time, `advance` waits for work that does not end (a store that hangs) before it goes on. It does so once:
/// what did not end then is not waited for again at each due time.
const PATIENCE: Duration = Duration::from_secs(20);

/// A handle to the service clock; clones share it.
#[derive(Clone)]
pub struct Clock {
    inner: Arc<Inner>,
}

struct Inner {
    patience: Duration,
    origin: Instant,
    machine_at_origin: UnixMs,
    /// The offset before any advance.
    first_offset: i64,
    offset: AtomicI64,
    /// While `advance` runs, the time that it has reached, and while the clock is stopped, the time that it shows; `i64::MIN` otherwise.
    frozen: AtomicI64,
    /// Only an advance moves the clock.
    stopped: AtomicBool,
    /// Where the clock was stopped from the start on: what it shows then.
    stopped_at_start: Option<UnixMs>,
    timers: Mutex<Timers>,
    jumps: Mutex<Jumps>,
    changed: Notify,
    busy: AtomicU64,
    /// Guards that an advance under way waited for in vain.
    not_waited_for: AtomicU64,
    /// Work that nobody waits for and that is not done.
    under_way: AtomicU64,
    idle: Notify,
    advancing: Arc<tokio::sync::Mutex<()>>,
    in_advance: AtomicBool,
}

#[derive(Default)]
struct Timers {
    next_id: u64,
    due: BTreeMap<(UnixMs, u64), Sleeper>,
}

struct Sleeper {
    wake: oneshot::Sender<Busy>,
    sleep: Sleep,
}

/// How somebody sleeps.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sleep {
    /// Until the due time.
    Sound,
    /// The same, for housekeeping, which nobody means who asks for the next due time.
    Quiet,
    /// Until the due time, or until all who sleep so are roused.
    Light,
}

/// Where an advance has brought the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advanced {
    pub now: UnixMs,
    /// Everything that fell due on the way is done.
    pub settled: bool,
}

/// A clock that is moved step by step, by whoever holds it. Let go of, it runs on from where it was brought, or stands there as before.
pub struct Barrier {
    clock: Clock,
    is_over: bool,
    _one: tokio::sync::OwnedMutexGuard<()>,
}

impl Barrier {
    /// What the clock shows.
    #[must_use]
    pub fn now(&self) -> UnixMs {
        self.clock.now()
    }

    /// The next due time, housekeeping included.
    #[must_use]
    pub fn next_due(&self) -> Option<UnixMs> {
        let timers = self.clock.timers();
        timers.due.first_key_value().map(|((due, _), _)| *due)
    }

    /// Moves the clock to `due`, wakes what falls due there and waits until it has been worked off.
    pub async fn step(&self, due: UnixMs) {
        let now = due.max(self.now());
        self.clock.inner.frozen.store(now, Ordering::Release);
        if self.clock.fire_until(now) > 0 {
            self.clock.settle_once().await;
        }
    }

    /// Lets the clock go at `target`: running, or stopped there.
    pub async fn end(mut self, target: UnixMs, stopped: bool) -> Advanced {
        self.let_go(target, stopped);
        let clock = &self.clock;
        clock.settle_once().await;
        clock.inner.not_waited_for.store(0, Ordering::Release);
        Advanced {
            now: target,
            settled: clock.is_settled(),
        }
    }

    fn let_go(&mut self, target: UnixMs, stopped: bool) {
        self.is_over = true;
        let inner = &self.clock.inner;
        if stopped {
            inner.frozen.store(target, Ordering::Release);
        } else {
            self.clock.run_from(target);
        }
        inner.stopped.store(stopped, Ordering::Release);
        inner.in_advance.store(false, Ordering::Release);
        inner.changed.notify_one();
    }
}

impl Drop for Barrier {
    fn drop(&mut self) {
        if !self.is_over {
            let (now, stopped) = (self.now(), self.clock.is_stopped());
            self.let_go(now, stopped);
            self.clock.inner.not_waited_for.store(0, Ordering::Release);
        }
    }
}

/// Held while something is under way that nobody waits for any more.
pub struct UnderWay {
    inner: Arc<Inner>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.inner.under_way.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Held while work is under way that a caller of `advance` must be able to wait for.
pub struct Busy {
    inner: Arc<Inner>,
}

impl Drop for Busy {
    fn drop(&mut self) {
        // Whoever waits may wait for less than all of it.
        let left = self.inner.busy.fetch_sub(1, Ordering::AcqRel) - 1;
        if left <= self.inner.not_waited_for.load(Ordering::Acquire) {
            self.inner.idle.notify_waiters();
        }
    }
}

impl std::fmt::Debug for Busy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Busy")
    }
}

/// The machine's own time; only the clock and request signatures look at it.
#[must_use]
pub fn machine_now() -> UnixMs {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the machine's clock"
    )]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|d| i64::try_from(d.as_millis()).ok())
        .unwrap_or(0)
}

/// A monotonic instant, for measuring how long something took.
#[must_use]
pub fn monotonic() -> Instant {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the monotonic clock"
    )]
    Instant::now()
}

impl Clock {
    /// A clock that starts at `start` (or at the machine's time) and runs on from there.
    #[must_use]
    pub fn new(start: Option<UnixMs>) -> Self {
        Self::made(start, false, PATIENCE)
    }

    /// A clock that stands at `start` (or at the machine's time) until it is advanced.
    #[must_use]
    pub fn stopped(start: Option<UnixMs>) -> Self {
        Self::made(start, true, PATIENCE)
    }

    fn made(start: Option<UnixMs>, stopped: bool, patience: Duration) -> Self {
        let machine = machine_now();
        let first_offset = start.map_or(0, |s| s - machine);
        let stopped_at_start = stopped.then_some(machine + first_offset);
        Self {
            inner: Arc::new(Inner {
                patience,
                origin: monotonic(),
                machine_at_origin: machine,
                first_offset,
                offset: AtomicI64::new(first_offset),
                frozen: AtomicI64::new(stopped_at_start.unwrap_or(i64::MIN)),
                stopped: AtomicBool::new(stopped),
                stopped_at_start,
                timers: Mutex::new(Timers::default()),
                jumps: Mutex::new(Jumps::default()),
                changed: Notify::new(),
                busy: AtomicU64::new(0),
                not_waited_for: AtomicU64::new(0),
                under_way: AtomicU64::new(0),
                idle: Notify::new(),
                advancing: Arc::default(),
                in_advance: AtomicBool::new(false),
            }),
        }
    }

    /// The service's time.
    #[must_use]
    pub fn now(&self) -> UnixMs {
        let frozen = self.inner.frozen.load(Ordering::Acquire);
        if frozen == i64::MIN {
            self.running_now()
        } else {
            frozen
        }
    }

    fn running_now(&self) -> UnixMs {
        self.machine_carried_on() + self.inner.offset.load(Ordering::Acquire)
    }

    /// The machine's time as the monotonic clock carries it on.
    fn machine_carried_on(&self) -> UnixMs {
        let elapsed = i64::try_from(self.inner.origin.elapsed().as_millis()).unwrap_or(0);
        self.inner.machine_at_origin + elapsed
    }

    /// How far the service clock is ahead of the machine's.
    #[must_use]
    pub fn offset_ms(&self) -> i64 {
        if self.is_stopped() {
            self.now() - self.machine_carried_on()
        } else {
            self.inner.offset.load(Ordering::Acquire)
        }
    }

    /// Whether only an advance moves the clock.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.inner.stopped.load(Ordering::Acquire)
    }

    /// Stops the clock where it is.
    pub async fn stop(&self) {
        let _one = self.inner.advancing.lock().await;
        if !self.inner.stopped.swap(true, Ordering::AcqRel) {
            self.inner
                .frozen
                .store(self.running_now(), Ordering::Release);
            self.inner.changed.notify_one();
        }
    }

    /// Lets a stopped clock run on from where it is.
    pub async fn run_on(&self) {
        let _one = self.inner.advancing.lock().await;
        if !self.is_stopped() {
            return;
        }
        self.run_from(self.now());
        self.inner.stopped.store(false, Ordering::Release);
        self.inner.changed.notify_one();
    }

    /// Sets the offset so that the running clock shows `now`.
    fn run_from(&self, now: UnixMs) {
        let jump = now - self.running_now();
        {
            let mut jumps = self.jumps();
            let before = self.inner.offset.fetch_add(jump, Ordering::AcqRel);
            jumps.note(machine_now(), before);
        }
        self.inner.frozen.store(i64::MIN, Ordering::Release);
    }

    /// How far the service clock was ahead at a moment of the machine's clock.
    #[must_use]
    pub fn offset_at(&self, machine: UnixMs) -> i64 {
        self.jumps().offset_at(machine, self.offset_ms())
    }

    /// Whether an `advance` is walking the due times right now.
    #[must_use]
    pub fn is_advancing(&self) -> bool {
        self.inner.in_advance.load(Ordering::Acquire)
    }

    /// Marks work as under way until the guard is dropped.
    #[must_use]
    pub fn busy(&self) -> Busy {
        self.inner.busy.fetch_add(1, Ordering::AcqRel);
        Busy {
            inner: self.inner.clone(),
        }
    }

    /// Marks something as under way that nobody need wait for: an advance goes on without it, and says so.
    #[must_use]
    pub fn under_way(&self) -> UnderWay {
        self.inner.under_way.fetch_add(1, Ordering::AcqRel);
        UnderWay {
            inner: self.inner.clone(),
        }
    }

    /// Waits until the service clock shows `due`. The guard that comes back counts the caller's work from the very
    /// instant of waking; keep it until the work is done.
    pub async fn sleep_until(&self, due: UnixMs) -> Busy {
        self.wait(due, None, Sleep::Sound, || true).await
    }

    /// As [`Clock::sleep_until`], for work that rests in between: the guard is given up only once the due time is
    /// registered, so that an `advance` under way cannot miss it.
    pub async fn rest_until(&self, busy: Busy, due: UnixMs) -> Busy {
        self.wait(due, Some(busy), Sleep::Sound, || true).await
    }

    /// As [`Clock::rest_until`], for as long as `goes_on` says so. It is asked here; when it comes to say something else, [`Clock::rouse`] is called.
    pub async fn rest_while(&self, busy: Busy, due: UnixMs, goes_on: impl Fn() -> bool) -> Busy {
        self.wait(due, Some(busy), Sleep::Light, goes_on).await
    }

    /// Wakes whoever rests by [`Clock::rest_while`], to look whether it is to go on. Like work that falls due, theirs counts from here on.
    pub fn rouse(&self) {
        let mut timers = self.timers();
        let light = timers
            .due
            .extract_if(.., |_, sleeper| sleeper.sleep == Sleep::Light);
        for (_, sleeper) in light {
            let _ = sleeper.wake.send(self.busy());
        }
    }

    /// As [`Clock::rest_until`], for housekeeping: [`Clock::next_due`] does not tell of it.
    pub async fn rest_quietly_until(&self, busy: Busy, due: UnixMs) -> Busy {
        self.wait(due, Some(busy), Sleep::Quiet, || true).await
    }

    /// Does `work` when the clock shows `due`, as a task of its own, which is counted until the work is done. The due time stands from
    /// this call on, so that no advance can slip in before it. The handle takes it back.
    pub fn at(
        &self,
        due: UnixMs,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> tokio::task::AbortHandle {
        let (clock, busy) = (self.clone(), self.busy());
        let waiting = async move {
            let _busy = clock.rest_until(busy, due).await;
            work.await;
        };
        tokio::spawn(waiting).abort_handle()
    }

    async fn wait(
        &self,
        due: UnixMs,
        busy: Option<Busy>,
        sleep: Sleep,
        goes_on: impl Fn() -> bool,
    ) -> Busy {
        if due <= self.now() {
            return busy.unwrap_or_else(|| self.busy());
        }
        let (wake, woken) = oneshot::channel();
        let key = {
            let mut timers = self.timers();
            timers.next_id += 1;
            let key = (due, timers.next_id);
            timers.due.insert(key, Sleeper { wake, sleep });
            key
        };
        self.inner.changed.notify_one();
        let _remove = RemoveOnDrop { clock: self, key };
        // Asked once it can be roused, so that no call comes in between.
        if !goes_on() {
            return busy.unwrap_or_else(|| self.busy());
        }
        drop(busy);
        match woken.await {
            Ok(busy) => busy,
            // Only a clock that is being torn down drops its senders.
            Err(_) => std::future::pending().await,
        }
    }

    /// Waits `ms` milliseconds of the service clock.
    pub async fn sleep(&self, ms: i64) -> Busy {
        self.sleep_until(self.now() + ms).await
    }

    /// Due times waiting, for metrics and tests.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.timers().due.len()
    }

    /// The next due time that is not housekeeping's.
    #[must_use]
    pub fn next_due(&self) -> Option<UnixMs> {
        let timers = self.timers();
        let mut told = timers
            .due
            .iter()
            .filter(|(_, sleeper)| sleeper.sleep != Sleep::Quiet);
        told.next().map(|((due, _), _)| *due)
    }

    /// Runs the due times as machine time passes. One task of the process does this for ever.
    pub async fn run(&self) {
        loop {
            let changed = self.inner.changed.notified();
            let next = self
                .timers()
                .due
                .first_key_value()
                .map(|((due, _), _)| *due);
            if self.is_advancing() || self.is_stopped() {
                changed.await;
                continue;
            }
            let Some(due) = next else {
                changed.await;
                continue;
            };
            let wait = due - self.now();
            if wait <= 0 {
                self.fire_until(self.now());
                continue;
            }
            let wait = Duration::from_millis(u64::try_from(wait).unwrap_or(0));
            #[expect(
                clippy::disallowed_methods,
                reason = "the scheduler itself waits on machine time"
            )]
            let machine_sleep = tokio::time::sleep(wait);
            tokio::select! {
                () = machine_sleep => {}
                () = changed => {}
            }
        }
    }

    fn fire_until(&self, now: UnixMs) -> usize {
        let mut fired = 0;
        loop {
            let sleeper = {
                let mut timers = self.timers();
                match timers.due.first_entry() {
                    Some(entry) if entry.key().0 <= now => entry.remove(),
                    _ => return fired,
                }
            };
            fired += 1;
            let _ = sleeper.wake.send(self.busy());
        }
    }

    /// Moves the clock forward by `ms`, waking what falls due on the way, in order; returns when everything that fell due has been
    /// worked off, or says that it has not. Calls queue behind each other.
    pub async fn advance(&self, ms: i64) -> Advanced {
        let barrier = self.hold().await;
        let target = barrier.now() + ms.max(0);
        while let Some(due) = barrier.next_due().filter(|due| *due <= target) {
            barrier.step(due).await;
        }
        let is_stopped = self.is_stopped();
        barrier.end(target, is_stopped).await
    }

    /// Holds the clock where it is, when what is under way has been worked off: only the barrier moves it from here on. Calls queue
    /// behind each other.
    pub async fn hold(&self) -> Barrier {
        let one = self.inner.advancing.clone().lock_owned().await;
        self.settle_once().await;
        self.inner.in_advance.store(true, Ordering::Release);
        self.inner.frozen.store(self.now(), Ordering::Release);
        Barrier {
            clock: self.clone(),
            is_over: false,
            _one: one,
        }
    }

    /// Whether no work is under way at all.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let nothing = |count: &AtomicU64| count.load(Ordering::Acquire) == 0;
        nothing(&self.inner.busy) && nothing(&self.inner.under_way)
    }

    /// Takes up the offset that the advances of an earlier run left, where it lies ahead.
    pub fn take_up(&self, offset_ms: i64) {
        self.inner.offset.fetch_max(offset_ms, Ordering::AcqRel);
        if self.is_stopped() {
            self.inner
                .frozen
                .fetch_max(self.running_now(), Ordering::AcqRel);
        }
    }

    /// Takes every advance back, and stops the clock or lets it run as at the start. Whoever waits is woken: due times of the old time
    /// would be far off.
    pub async fn rewind(&self) {
        let _one = self.inner.advancing.lock().await;
        {
            let mut jumps = self.jumps();
            let before = self
                .inner
                .offset
                .swap(self.inner.first_offset, Ordering::AcqRel);
            jumps.note(machine_now(), before);
        }
        let shown = self.inner.stopped_at_start;
        self.inner
            .frozen
            .store(shown.unwrap_or(i64::MIN), Ordering::Release);
        self.inner.stopped.store(shown.is_some(), Ordering::Release);
        self.inner.changed.notify_one();
        self.fire_until(UnixMs::MAX);
        self.settle().await;
    }

    /// As [`Clock::settle`], but what was waited for in vain once is not waited for again in this advance.
    async fn settle_once(&self) {
        if !self.settle().await {
            let left = self.inner.busy.load(Ordering::Acquire);
            self.inner.not_waited_for.store(left, Ordering::Release);
        }
    }

    /// Waits until no work is under way, within the patience that work without an end is given. False: it has not ended.
    pub async fn settle(&self) -> bool {
        let is_idle = || {
            let busy = self.inner.busy.load(Ordering::Acquire);
            // What ends after all is one less that is not waited for.
            let given_up = &self.inner.not_waited_for;
            busy <= given_up.fetch_min(busy, Ordering::AcqRel)
        };
        let wait = async {
            loop {
                let idle = self.inner.idle.notified();
                tokio::pin!(idle);
                idle.as_mut().enable();
                if is_idle() {
                    // Wakers that were sent but whose tasks have not run yet hold guards themselves.
                    tokio::task::yield_now().await;
                    if is_idle() {
                        return;
                    }
                    continue;
                }
                idle.await;
            }
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "patience is measured in machine time"
        )]
        let settled = tokio::time::timeout(self.inner.patience, wait).await;
        if settled.is_err() {
            tracing::warn!(
                target: "localyun::clock",
                busy = self.inner.busy.load(Ordering::Acquire),
                "work does not end; the clock goes on without it"
            );
        }
        settled.is_ok()
    }

    fn jumps(&self) -> MutexGuard<'_, Jumps> {
        self.inner
            .jumps
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn timers(&self) -> MutexGuard<'_, Timers> {
        self.inner
            .timers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits in machine time; for the rim only (sockets, patience), never for anything that the product times.
pub async fn machine_sleep(wait: Duration) {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one way to wait in machine time"
    )]
    tokio::time::sleep(wait).await;
}

/// Runs `work` for at most `limit` of machine time.
pub async fn machine_timeout<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one way to limit by machine time"
    )]
    tokio::time::timeout(limit, work).await.ok()
}

struct RemoveOnDrop<'a> {
    clock: &'a Clock,
    key: (UnixMs, u64),
}

impl Drop for RemoveOnDrop<'_> {
    fn drop(&mut self) {
        self.clock.timers().due.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn advance_wakes_in_order_and_waits_for_the_work() {
        let clock = Clock::new(Some(1_000_000));
        let log = Arc::new(Mutex::new(Vec::new()));
        for (name, after) in [("b", 20_000), ("a", 10_000)] {
            let (clock, log) = (clock.clone(), log.clone());
            let due = clock.now() + after;
            tokio::spawn(async move {
                let _busy = clock.sleep_until(due).await;
                machine_sleep(Duration::from_millis(30)).await;
                log.lock().unwrap().push((name, clock.now() - due));
            });
        }
        while clock.waiting() < 2 {
            tokio::task::yield_now().await;
        }
        let before = clock.now();
        let after = clock.advance(15_000).await;
        assert!(after.settled && after.now - before >= 15_000);
        assert_eq!(*log.lock().unwrap(), [("a", 0)]);
        clock.advance(15_000).await;
        assert_eq!(*log.lock().unwrap(), [("a", 0), ("b", 0)]);
    }

    #[tokio::test]
    async fn work_at_a_due_time_is_done_in_the_advance_over_it_or_never() {
        let clock = Clock::stopped(Some(0));
        let done = Arc::new(AtomicU64::new(0));
        let add = |n: u64| {
            let done = done.clone();
            async move {
                machine_sleep(Duration::from_millis(5)).await;
                done.fetch_add(n, Ordering::AcqRel);
            }
        };
        clock.at(10, add(1));
        let taken_back = clock.at(10, add(10));
        clock.at(11, add(100));
        taken_back.abort();
        assert!(clock.advance(10).await.settled);
        assert_eq!(done.load(Ordering::Acquire), 1);
        assert_eq!(clock.waiting(), 1);
    }

    #[tokio::test]
    async fn a_held_clock_moves_by_its_barrier_alone() {
        let clock = Clock::new(Some(1_000_000));
        let woken = Arc::new(AtomicU64::new(0));
        for due in [1_050_000, 1_050_000, 1_090_000] {
            let woken = woken.clone();
            clock.at(due, async move {
                woken.fetch_add(1, Ordering::AcqRel);
            });
        }
        while clock.waiting() < 3 {
            tokio::task::yield_now().await;
        }
        let barrier = clock.hold().await;
        let held_at = clock.now();
        machine_sleep(Duration::from_millis(5)).await;
        assert_eq!((clock.now(), clock.is_advancing()), (held_at, true));
        assert_eq!(barrier.next_due(), Some(1_050_000));
        barrier.step(1_050_000).await;
        assert_eq!(woken.load(Ordering::Acquire), 2);
        assert_eq!(barrier.next_due(), Some(1_090_000));
        let end = barrier.end(1_060_000, true).await;
        assert_eq!((end.now, end.settled), (1_060_000, true));
        assert!(clock.is_stopped() && clock.now() == 1_060_000);
        // Let go of without a word, it stands or runs as before.
        let barrier = clock.hold().await;
        barrier.step(1_061_000).await;
        drop(barrier);
        assert!(clock.is_stopped() && clock.now() == 1_061_000 && !clock.is_advancing());
        let running = clock.hold().await.end(1_070_000, false).await;
        assert!(running.settled && !clock.is_stopped() && clock.now() >= 1_070_000);
    }

    #[tokio::test]
    async fn a_sleeper_that_is_dropped_leaves_no_due_time() {
        let clock = Clock::new(None);
        {
            let sleep = clock.sleep(60_000);
            tokio::pin!(sleep);
            assert!(
                machine_timeout(Duration::from_millis(10), sleep.as_mut())
                    .await
                    .is_none()
            );
            assert_eq!(clock.waiting(), 1);
        }
        assert_eq!(clock.waiting(), 0);
    }

    #[tokio::test]
    async fn who_rests_while_something_holds_is_roused_and_waited_for() {
        let clock = Clock::stopped(Some(1_000));
        let holds = Arc::new(AtomicBool::new(true));
        let roused = Arc::new(AtomicBool::new(false));
        let sound = clock.clone();
        let sound = tokio::spawn(async move { drop(sound.sleep_until(2_000).await) });
        let (resting, held, seen) = (clock.clone(), holds.clone(), roused.clone());
        tokio::spawn(async move {
            let goes_on = || held.load(Ordering::Acquire);
            let busy = resting.rest_while(resting.busy(), 2_000, goes_on).await;
            machine_sleep(Duration::from_millis(20)).await;
            seen.store(true, Ordering::Release);
            drop(busy);
        });
        while clock.waiting() < 2 {
            tokio::task::yield_now().await;
        }
        holds.store(false, Ordering::Release);
        clock.rouse();
        assert!(clock.settle().await && roused.load(Ordering::Acquire));
        assert_eq!((clock.waiting(), sound.is_finished()), (1, false));
        // Who comes after the call does not rest.
        drop(clock.rest_while(clock.busy(), 2_000, || false).await);
        assert_eq!(clock.waiting(), 1);
    }

    #[tokio::test]
    async fn rewinding_takes_advances_back_and_wakes_who_waits() {
        let clock = Clock::new(Some(1_000_000));
        clock.advance(50_000).await;
        let sleeper = clock.clone();
        let woken = tokio::spawn(async move { drop(sleeper.sleep(3_600_000).await) });
        while clock.waiting() < 1 {
            tokio::task::yield_now().await;
        }
        clock.rewind().await;
        woken.await.unwrap();
        assert!((1_000_000..1_050_000).contains(&clock.now()));
        clock.take_up(clock.offset_ms() + 9_000);
        assert!(clock.now() >= 1_009_000);
        clock.take_up(0);
        assert!(clock.now() >= 1_009_000, "never back");
    }

    #[tokio::test]
    async fn a_stopped_clock_moves_by_advances_alone() {
        let clock = Clock::stopped(Some(1_000_000));
        let scheduler = clock.clone();
        let running = tokio::spawn(async move { scheduler.run().await });
        let sleeper = clock.clone();
        let woken = tokio::spawn(async move { drop(sleeper.sleep_until(1_000_020).await) });
        while clock.waiting() < 1 {
            tokio::task::yield_now().await;
        }
        machine_sleep(Duration::from_millis(60)).await;
        assert_eq!((clock.now(), woken.is_finished()), (1_000_000, false));
        assert_eq!(clock.next_due(), Some(1_000_020));
        assert_eq!(clock.advance(20).await.now, 1_000_020);
        woken.await.unwrap();
        assert_eq!((clock.now(), clock.next_due()), (1_000_020, None));
        let (ahead, machine) = (clock.offset_ms(), machine_now());
        assert!((ahead - (1_000_020 - machine)).abs() < 1_000);
        clock.run_on().await;
        machine_sleep(Duration::from_millis(20)).await;
        assert!((1_000_030..1_060_000).contains(&clock.now()));
        clock.stop().await;
        let stood = clock.now();
        machine_sleep(Duration::from_millis(5)).await;
        assert_eq!(clock.now(), stood);
        // As at the start.
        clock.rewind().await;
        assert_eq!((clock.now(), clock.is_stopped()), (1_000_000, true));
        running.abort();
    }

    #[tokio::test]
    async fn housekeeping_is_not_the_next_due_time() {
        let clock = Clock::stopped(Some(0));
        let sleeper = clock.clone();
        let quiet = tokio::spawn(async move {
            let busy = sleeper.busy();
            drop(sleeper.rest_quietly_until(busy, 50).await);
        });
        while clock.waiting() < 1 {
            tokio::task::yield_now().await;
        }
        assert_eq!(clock.next_due(), None);
        clock.advance(50).await;
        quiet.await.unwrap();
    }

    #[tokio::test]
    async fn a_chain_of_sleeps_inside_one_advance_all_fire() {
        let clock = Clock::new(None);
        let (done, woken) = oneshot::channel();
        let chained = clock.clone();
        tokio::spawn(async move {
            let mut at = chained.now();
            let mut busy = chained.busy();
            for _ in 0..5 {
                at += 1_000;
                busy = chained.rest_until(busy, at).await;
            }
            done.send(chained.now()).unwrap();
        });
        while clock.waiting() < 1 {
            tokio::task::yield_now().await;
        }
        let end = clock.advance(5_500).await;
        assert!(woken.await.unwrap() <= end.now);
    }

    #[tokio::test]
    async fn an_advance_says_when_something_is_still_under_way() {
        let clock = Clock::new(None);
        let peer = clock.under_way();
        assert!(!clock.advance(1_000).await.settled);
        drop(peer);
        assert!(clock.advance(1_000).await.settled);
    }

    #[tokio::test]
    async fn work_without_an_end_is_waited_for_once() {
        let patience = Duration::from_millis(300);
        let clock = Clock::made(None, false, patience);
        let stuck = clock.busy();
        for after in 1..=100 {
            let sleeper = clock.clone();
            tokio::spawn(async move {
                let _busy = sleeper.sleep(after * 1_000).await;
                // Ordinary work at the due time is waited for all the same.
                machine_sleep(Duration::from_millis(5)).await;
            });
        }
        while clock.waiting() < 100 {
            tokio::task::yield_now().await;
        }
        let began = monotonic();
        let end = clock.advance(3_600_000).await;
        assert!(!end.settled && clock.waiting() == 0);
        // Once for each of the hundred due times would be half a minute.
        assert!(began.elapsed() < patience * 20);
        drop(stuck);
        assert!(clock.advance(1_000).await.settled);
    }
}
