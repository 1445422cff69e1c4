//! The threads that write spools to disk, so that a slow disk never holds a thread that serves sockets.

use std::ffi::OsStr;
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{Notify, oneshot};

const THREADS: usize = 2;
/// A thread that was woken lets this much time gather more, so that the publishers of one tick wake it once.
const GATHER: Duration = Duration::from_millis(4);
/// Buffers kept for use again.
const SPARE: usize = 16;
/// A spool segment this long is followed by a new one at the next cut point.
const SEGMENT_BYTES: u64 = 64 << 20;
/// The same where somebody copies what is written.
const TAPPED_SEGMENT_BYTES: u64 = 8 << 20;

/// What one session has handed over and what has reached the file system.
#[derive(Debug, Default)]
pub struct Progress {
    handed: AtomicU64,
    written: AtomicU64,
    failure: OnceLock<io::Error>,
    /// Somebody tells the failure.
    told: AtomicBool,
    changed: Notify,
}

impl Progress {
    /// Bytes handed over and not yet written.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.handed
            .load(Ordering::Acquire)
            .saturating_sub(self.written.load(Ordering::Acquire))
    }

    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failure.get().is_some()
    }

    /// Why a write failed; nothing is written after that.
    #[must_use]
    pub fn failure(&self) -> Option<&io::Error> {
        self.failure.get()
    }

    /// True for the first that asks: a failure is told once, by whoever meets it first.
    pub fn is_mine_to_tell(&self) -> bool {
        !self.told.swap(true, Ordering::AcqRel)
    }
}

/// What a session had handed over at one moment.
#[derive(Debug, Clone)]
pub struct Handed {
    progress: Arc<Progress>,
    bytes: u64,
}

impl Handed {
    #[must_use]
    pub fn now(progress: Arc<Progress>) -> Self {
        Self {
            bytes: progress.handed.load(Ordering::Acquire),
            progress,
        }
    }

    /// Up to where bytes will have been handed over: what its owner has still in hand counts.
    #[must_use]
    pub fn up_to(progress: Arc<Progress>, bytes: u64) -> Self {
        Self { progress, bytes }
    }

    /// Whether it is written.
    #[must_use]
    pub fn is_written(&self) -> bool {
        // In this order: what a failed write leaves out counts as written, after its failure is told.
        self.progress.written.load(Ordering::Acquire) >= self.bytes && !self.progress.has_failed()
    }

    /// Waits until it is written, and not for what comes later. False: a write failed.
    pub async fn written(&self) -> bool {
        loop {
            let changed = self.progress.changed.notified();
            if self.is_written() {
                return true;
            }
            if self.progress.has_failed() {
                return false;
            }
            changed.await;
        }
    }

    /// What has become of the session's writes.
    #[must_use]
    pub fn progress(&self) -> &Progress {
        &self.progress
    }
}

/// A segment of a spool, for whoever copies what is written.
#[derive(Debug, Clone)]
pub struct SpoolSegment {
    /// Of the session.
    pub folder: PathBuf,
    pub segment: u32,
    /// Whose it is: the hash of the stream's name.
    pub owner: String,
}

impl SpoolSegment {
    /// As text: taken apart into the names on its way, as paths are compared, a folder costs more than all else that is done with a write here.
    fn identity(&self) -> (&OsStr, u32) {
        (self.folder.as_os_str(), self.segment)
    }
}

impl PartialEq for SpoolSegment {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for SpoolSegment {}

impl Hash for SpoolSegment {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

/// Hears of what reached the file system.
pub trait Tap: Send + Sync {
    /// Bytes of a segment are written to its file. They may be kept; a buffer comes back in either case, to be used again, with whatever is in it.
    fn written(
        &self,
        segment: &SpoolSegment,
        file: &Arc<File>,
        offset: u64,
        data: Vec<u8>,
    ) -> Vec<u8>;

    /// Ends when all that was written by now is copied.
    fn caught_up(&self) -> BoxFuture<'_, ()>;
}

/// One write: at an offset that was decided when it was handed over.
pub struct Write {
    pub file: Arc<File>,
    pub offset: u64,
    pub data: Vec<u8>,
    pub progress: Arc<Progress>,
    /// The segment that it belongs to, where somebody copies it.
    pub copied: Option<Arc<SpoolSegment>>,
}

enum Order {
    Write(Write),
    /// Says that everything before it is written.
    Tell(oneshot::Sender<()>),
}

/// The writing threads and the buffers they give back.
#[derive(Clone)]
pub struct Disk {
    queues: Arc<[Sender<Order>]>,
    spare: Arc<Mutex<Vec<Vec<u8>>>>,
    segment_bytes: u64,
    tap: Option<Arc<dyn Tap>>,
}

impl Disk {
    pub fn start() -> io::Result<Self> {
        Self::with_segments_of(SEGMENT_BYTES)
    }

    /// With somebody who copies what is written; short segments, since a copy keeps an open one twice.
    pub fn tapped(tap: &Arc<dyn Tap>) -> io::Result<Self> {
        Self::of(TAPPED_SEGMENT_BYTES, Some(tap))
    }

    /// For tests that want many segments of little media.
    pub fn with_segments_of(segment_bytes: u64) -> io::Result<Self> {
        Self::of(segment_bytes, None)
    }

    fn of(segment_bytes: u64, tap: Option<&Arc<dyn Tap>>) -> io::Result<Self> {
        let spare = Arc::new(Mutex::new(Vec::new()));
        let mut queues = Vec::with_capacity(THREADS);
        for n in 0..THREADS {
            let (send, receive) = channel();
            let (spare, tap) = (spare.clone(), tap.cloned());
            std::thread::Builder::new()
                .name(format!("spool-{n}"))
                .spawn(move || serve(&receive, &spare, tap.as_deref()))?;
            queues.push(send);
        }
        Ok(Self {
            queues: queues.into(),
            spare,
            segment_bytes,
            tap: tap.cloned(),
        })
    }

    /// Whether somebody copies what is written.
    #[must_use]
    pub fn is_tapped(&self) -> bool {
        self.tap.is_some()
    }

    /// Waits until whoever copies what is written has all that is written by now.
    pub async fn copied(&self) {
        if let Some(tap) = &self.tap {
            tap.caught_up().await;
        }
    }

    #[must_use]
    pub fn segment_bytes(&self) -> u64 {
        self.segment_bytes
    }

    /// Hands a write over; writes of one `series` stay in order. It never waits and never refuses: what one publisher may
    /// have on its way is bounded where its socket is read, and a session that ends leaves nothing behind.
    pub fn write(&self, series: usize, write: Write) {
        let bytes = write.data.len() as u64;
        let progress = write.progress.clone();
        progress.handed.fetch_add(bytes, Ordering::AcqRel);
        let queue = self.queues.get(series % self.queues.len().max(1));
        if queue.is_none_or(|queue| queue.send(Order::Write(write)).is_err()) {
            let _ = progress
                .failure
                .set(io::Error::other("the writing threads have ended"));
            progress.changed.notify_waiters();
        }
    }

    /// Waits until everything that was handed over is written, or has failed.
    pub async fn settle(&self) {
        let told: Vec<_> = self
            .queues
            .iter()
            .map(|queue| {
                let (tell, told) = oneshot::channel();
                let _ = queue.send(Order::Tell(tell));
                told
            })
            .collect();
        for told in told {
            let _ = told.await;
        }
    }

    /// An empty buffer, used before if there is one.
    #[must_use]
    pub fn buffer(&self, capacity: usize) -> Vec<u8> {
        let spare = self
            .spare
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        spare.unwrap_or_else(|| Vec::with_capacity(capacity))
    }
}

fn serve(queue: &Receiver<Order>, spare: &Mutex<Vec<Vec<u8>>>, tap: Option<&dyn Tap>) {
    while let Ok(order) = queue.recv() {
        carry_out(order, spare, tap);
        std::thread::sleep(GATHER);
        while let Ok(order) = queue.try_recv() {
            carry_out(order, spare, tap);
        }
    }
}

fn carry_out(order: Order, spare: &Mutex<Vec<Vec<u8>>>, tap: Option<&dyn Tap>) {
    match order {
        Order::Write(write) => put(write, spare, tap),
        Order::Tell(tell) => {
            let _ = tell.send(());
        }
    }
}

fn put(mut write: Write, spare: &Mutex<Vec<Vec<u8>>>, tap: Option<&dyn Tap>) {
    let bytes = write.data.len() as u64;
    if !write.progress.has_failed() {
        match write.file.write_all_at(&write.data, write.offset) {
            Ok(()) => {
                if let (Some(tap), Some(segment)) = (tap, &write.copied) {
                    write.data = tap.written(segment, &write.file, write.offset, write.data);
                }
            }
            Err(error) => {
                tracing::error!(target: "localyun::disk::writers", %error, "the spool cannot be written");
                let _ = write.progress.failure.set(error);
            }
        }
    }
    write.progress.written.fetch_add(bytes, Ordering::AcqRel);
    write.progress.changed.notify_waiters();
    write.data.clear();
    let mut spare = spare.lock().unwrap_or_else(PoisonError::into_inner);
    if spare.len() < SPARE && write.data.capacity() > 0 {
        spare.push(write.data);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_handed_over_is_written_when_the_disk_has_settled() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let file = Arc::new(File::create(&path).unwrap());
        let disk = Disk::start().unwrap();
        let progress = Arc::new(Progress::default());
        for n in 0..200_u8 {
            let data = vec![n; 1_000];
            let offset = 1_000 * u64::from(n);
            let (file, progress) = (file.clone(), progress.clone());
            let write = Write {
                file,
                offset,
                data,
                progress,
                copied: None,
            };
            disk.write(usize::from(n), write);
        }
        disk.settle().await;
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 200_000);
        assert_eq!(progress.pending(), 0);
    }

    /// A writer whose file takes nothing: opened for reading.
    fn refused(path: &std::path::Path) -> (Disk, impl Fn(&Arc<Progress>) -> Write + use<>) {
        std::fs::write(path, "").unwrap();
        let file = Arc::new(File::open(path).unwrap());
        let write = move |progress: &Arc<Progress>| Write {
            file: file.clone(),
            offset: 0,
            data: vec![7; 1_000],
            progress: progress.clone(),
            copied: None,
        };
        (Disk::start().unwrap(), write)
    }

    #[tokio::test]
    async fn a_failed_write_is_never_taken_for_a_done_one() {
        let folder = tempfile::tempdir().unwrap();
        let (disk, write) = refused(&folder.path().join("f"));
        let progress = Arc::new(Progress::default());
        // Those who waited before it failed hear of it as well as those who ask later.
        let early = Handed::up_to(progress.clone(), 1_000);
        let waiting = tokio::spawn(async move { early.written().await });
        tokio::task::yield_now().await;
        disk.write(0, write(&progress));
        let handed = Handed::now(progress.clone());
        assert!(!handed.written().await);
        assert!(!waiting.await.unwrap());
        disk.settle().await;
        assert!(!handed.is_written() && progress.has_failed());
        // Nothing is left out of the account: whoever bounds what is on its way goes on.
        assert_eq!(progress.pending(), 0);
        assert!(progress.is_mine_to_tell() && !progress.is_mine_to_tell());
    }
}
