//! The mirror: what the spools hold and is not finished yet, in the object store too, for the loss of this node.
//!
//! Nothing waits for it. The disk's threads note what they have written, and its buffers are kept as far as there is room; at each beat what is
//! noted is put as one object, and what was not kept is read back from the spool (from the page cache, as a rule). A store that is slow or away
//! makes ranges wait and not their bytes: they lie in the spool.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use super::batch::{self, Batch};
use super::kept::Buffers;
use super::ledger::{Ledger, Number, PIECE, Portion, Range};
use crate::clock;
use crate::disk::descriptors;
use crate::disk::held::Held;
use crate::disk::writers::{SpoolSegment, Tap};
use crate::live::spool::folder::is_session;
use crate::live::spool::{segment_name, segment_number, was_taken};
use crate::objects::Objects;
use crate::objects::look::LookError;

/// Bytes of an object at most: a request has its price, and all of a second of a hundred streams goes in two.
const OBJECT: u64 = 4 * PIECE;
/// The same where the line is slow or dead: a request is waited for by its size.
const LEAST_OBJECT_BYTES: u64 = 512 << 10;
/// After this time a piece of a segment that still holds up objects is put as a whole.
const OLD: Duration = Duration::from_secs(60);
/// The spool's own delay: bytes lie in memory that long before they reach the disk.
const SPOOL_DELAY: Duration = Duration::from_millis(350);
/// What a flush takes at least, as far as the beat goes by it.
const UPLOAD: Duration = Duration::from_millis(125);
/// Between two objects at least, however young the mirror is to be kept.
const LEAST_BEAT: Duration = Duration::from_millis(50);
/// Names of a page of a list.
const PAGE: usize = 1_000;
/// Objects that are read ahead.
const AHEAD: usize = 8;
/// Bytes that an object has at most.
const MOST: u64 = 256 << 20;
/// Bytes of an object that are read first: all of most objects, and the index of nearly all.
const FIRST: u64 = 256 << 10;
/// Bytes that are read back from a spool at once, into a buffer.
const READ: usize = 64 << 10;
/// Ranges with less between them are read at once.
const GAP_BYTES: u64 = 64 << 10;

/// The copy in the object store.
pub struct Mirror {
    objects: Objects,
    bucket: String,
    /// How old bytes may be that are not in the store.
    age: Duration,
    noted: Arc<Noted>,
    number: AtomicU64,
    /// One flush at a time.
    turn: tokio::sync::Mutex<()>,
    /// What the longest flush of the last ones took, in milliseconds: each one lets go a tenth of it.
    took: AtomicU64,
    /// Bytes of the next object at most.
    object: AtomicU64,
    /// How often everything was forgotten.
    lives: AtomicU64,
    /// Nothing is let go any more.
    retired: AtomicBool,
}

/// What the disk's threads tell.
#[derive(Default)]
pub struct Noted {
    ledger: Mutex<Ledger>,
    buffers: Arc<Buffers>,
    /// The flush that was begun last.
    begun: AtomicU64,
    /// The flush that put all that was noted when it began.
    done: watch::Sender<u64>,
}

impl Noted {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tap for Noted {
    fn written(
        &self,
        place: &SpoolSegment,
        file: &Arc<File>,
        offset: u64,
        data: Vec<u8>,
    ) -> Vec<u8> {
        let range = (offset, offset + data.len() as u64);
        let (kept, buffer) = self.buffers.keep(data);
        let (file, now) = (Arc::downgrade(file), clock::monotonic());
        self.ledger().note(place, file, range, kept, now);
        buffer
    }

    fn caught_up(&self) -> BoxFuture<'_, ()> {
        // One that is under way may have taken what there was before the newest was noted.
        let next = self.begun.load(Ordering::Acquire) + 1;
        let mut done = self.done.subscribe();
        Box::pin(async move {
            let _ = done.wait_for(|done| *done >= next).await;
        })
    }
}

fn session_of(folder: &Path) -> Option<&str> {
    folder.file_name()?.to_str()
}

fn key(incarnation: &str, number: u64) -> String {
    format!("{incarnation}/{number:016}")
}

impl Mirror {
    #[must_use]
    pub fn new(objects: Objects, bucket: String, age: Duration, noted: Arc<Noted>) -> Self {
        Self {
            objects,
            bucket,
            age,
            noted,
            number: AtomicU64::new(0),
            turn: tokio::sync::Mutex::default(),
            took: AtomicU64::new(0),
            object: AtomicU64::new(OBJECT),
            lives: AtomicU64::new(0),
            retired: AtomicBool::new(false),
        }
    }

    /// From the beginning of one flush to that of the next. Bytes that one has just missed wait for the next one, and for as long as that takes: a store
    /// that is slow at the moment has flushes follow sooner, so that they are in it when they are as old as they may become.
    #[must_use]
    pub fn beat(&self) -> Duration {
        let flush = Duration::from_millis(self.took.load(Ordering::Relaxed)).max(UPLOAD);
        self.age.saturating_sub(SPOOL_DELAY + flush).max(LEAST_BEAT)
    }

    /// The rest after a flush that took that long.
    #[must_use]
    pub fn rest(&self, took: Duration) -> Duration {
        self.beat().saturating_sub(took).max(LEAST_BEAT)
    }

    fn has_taken(&self, took: Duration) {
        let took = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let before = self.took.load(Ordering::Relaxed);
        let before = before - before.div_ceil(10);
        self.took.store(took.max(before), Ordering::Relaxed);
    }

    /// An object was put, or not in the time that it had: after one that was not, the next are an eighth as large, and after each that was, twice.
    fn was_put(&self, in_time: bool) {
        let object = self.object.load(Ordering::Relaxed);
        let next = if in_time { object * 2 } else { object / 8 };
        let next = next.clamp(LEAST_OBJECT_BYTES, OBJECT);
        self.object.store(next, Ordering::Relaxed);
    }

    /// How long the oldest bytes have waited for the store.
    #[must_use]
    pub fn lag(&self) -> Duration {
        self.noted.ledger().lag(clock::monotonic())
    }

    /// Forgets everything: this node was declared dead, and what is in the store is its heirs'.
    pub fn forget(&self) {
        let mut ledger = self.noted.ledger();
        self.lives.fetch_add(1, Ordering::AcqRel);
        *ledger = Ledger::default();
    }

    /// Does something with the ledger of a life.
    ///
    /// # Errors
    /// That life is over, and the ledger is the next one's.
    fn in_life<T>(&self, life: u64, act: impl FnOnce(&mut Ledger) -> T) -> Result<T, String> {
        let mut ledger = self.noted.ledger();
        if self.lives.load(Ordering::Acquire) == life {
            return Ok(act(&mut ledger));
        }
        Err("this node has joined anew".to_owned())
    }

    /// Bytes of the next object at most.
    fn most(&self) -> u64 {
        self.object.load(Ordering::Relaxed)
    }

    /// Lets nothing go from here on: other nodes go on with what is in the store, and that something is gone from this disk says nothing of them.
    pub fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }

    fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// Notes all that lies in a session's folder, to be put anew.
    ///
    /// # Errors
    /// The folder cannot be looked through.
    pub fn note_session(&self, folder: &Path, owner: &str) -> io::Result<()> {
        // Of an earlier time with the same stream, when a sweep may just find its files missing.
        let earlier = self.noted.ledger().places();
        for (_, place) in earlier.iter().filter(|(_, it)| it.folder == folder) {
            self.noted.ledger().gone(place);
        }
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let Some(segment) = entry.file_name().to_str().and_then(segment_number) else {
                continue;
            };
            let place = SpoolSegment {
                folder: folder.to_owned(),
                segment,
                owner: owner.to_owned(),
            };
            let length = entry.metadata()?.len();
            self.noted
                .ledger()
                .note(&place, Weak::new(), (0, length), None, clock::monotonic());
        }
        Ok(())
    }

    /// Puts everything that is noted by now. What is noted meanwhile is for the next one: a store that takes its time would never see an end.
    ///
    /// # Errors
    /// The store refused, or the spool cannot be read now: what was not put waits. Or this node was declared dead since it was called.
    pub async fn flush(&self, incarnation: &str) -> Result<u64, String> {
        // Before the turn: whoever calls means the life that it is in.
        let life = self.lives.load(Ordering::Acquire);
        let _turn = self.turn.lock().await;
        let flush = self.noted.begun.fetch_add(1, Ordering::AcqRel) + 1;
        let began = clock::monotonic();
        let mut put = 0;
        let done = |put| {
            self.has_taken(began.elapsed());
            self.noted.done.send_replace(flush);
            Ok(put)
        };
        loop {
            let Some(mut portion) = self.in_life(life, |ledger| ledger.take(self.most()))? else {
                if put == 0 {
                    self.noted.buffers.let_go();
                }
                return done(put);
            };
            let is_last = portion.is_last;
            let Some(read) = read_back(portion.hand_out(), &self.noted.buffers).await else {
                self.in_life(life, |ledger| {
                    ledger.give_back(portion, clock::monotonic());
                })?;
                return Err("the reading of the spool was interrupted".to_owned());
            };
            self.forget_missing(&read.missing);
            let waits = !read.unread.is_empty();
            if waits {
                // Before the rest is put: a store that refuses that keeps nobody from putting this later.
                self.in_life(life, |ledger| {
                    ledger.give_back(portion.of(read.unread), clock::monotonic());
                })?;
            }
            if !read.batch.is_empty() {
                put += self
                    .put(incarnation, read.batch, life, portion.of(read.done))
                    .await?;
            } else {
                self.noted.ledger().nothing_under_way();
            }
            if waits {
                return Err("a part of the spool cannot be read now".to_owned());
            }
            if is_last {
                return done(put);
            }
        }
    }

    /// Puts an object; how many bytes it has.
    async fn put(
        &self,
        incarnation: &str,
        batch: Batch,
        life: u64,
        portion: Portion,
    ) -> Result<u64, String> {
        let object = batch.finish().map_err(|error| error.to_string())?;
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let size = object.iter().map(|piece| piece.len() as u64).sum();
        let name = key(incarnation, number);
        let done = self.objects.put_own(&self.bucket, &name, object).await;
        self.was_put(done.is_ok());
        let now = clock::monotonic();
        // What was put in an earlier life lies in that one's mirror.
        self.in_life(life, |ledger| match &done {
            Ok(()) => ledger.stored(number, &portion.ranges, now),
            Err(_) => ledger.give_back(portion, now),
        })?;
        done.map(|()| size).map_err(|error| error.to_string())
    }

    fn forget_missing(&self, missing: &[Arc<SpoolSegment>]) {
        for place in missing {
            if was_taken(&place.folder) {
                self.noted.ledger().ends_here(place);
            } else {
                self.noted.ledger().gone(place);
            }
        }
    }

    /// Lets go what is needed no more: of segments that are gone, and of those that lie long and are put as a whole. Only while `may` says so: whoever
    /// does not know that its streams are still its own lets nothing go, since their heirs may be reading it. What was put aside is theirs as well.
    pub async fn sweep(&self, incarnation: &str, may: impl Fn() -> bool) -> Result<(), String> {
        let may_not = || self.is_retired() || !may();
        if may_not() {
            return Ok(());
        }
        let life = self.lives.load(Ordering::Acquire);
        let places = self.in_life(life, |ledger| ledger.places())?;
        let gone = tokio::task::spawn_blocking(move || {
            let is_gone = |(_, place): &(Number, Arc<SpoolSegment>)| {
                !place.folder.join(segment_name(place.segment)).exists()
                    && !was_taken(&place.folder)
            };
            places.into_iter().filter(is_gone).collect::<Vec<_>>()
        });
        let gone = gone.await.map_err(|error| error.to_string())?;
        if may_not() {
            return Ok(());
        }
        let overdue = self.in_life(life, |ledger| {
            for (number, place) in gone {
                ledger.gone_as(number, &place);
            }
            ledger.overdue(OLD, clock::monotonic())
        })?;
        for piece in overdue {
            self.put_whole(incarnation, piece, life).await?;
        }
        let removable = self.in_life(life, |ledger| ledger.removable())?;
        let mut removed = HashSet::new();
        let mut failure = None;
        for number in removable {
            if may_not() {
                break;
            }
            // In their order, and none before the one before it: what an heir finds has no hole in the middle.
            let name = key(incarnation, number);
            if let Err(error) = self.objects.delete_own(&self.bucket, &name).await {
                failure = Some(error.to_string());
                break;
            }
            removed.insert(number);
        }
        self.in_life(life, |ledger| ledger.removed(&removed))?;
        failure.map_or(Ok(()), Err)
    }

    /// Puts a piece of a segment as it is by now. No flush waits for it: what one puts meanwhile says the same of the same places.
    async fn put_whole(
        &self,
        incarnation: &str,
        mut piece: Range,
        life: u64,
    ) -> Result<(), String> {
        // Before it is read: what takes the place of the segment's file afterwards is put under a later number, which this does not stand for.
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let SpoolSegment {
            folder, segment, ..
        } = &*piece.place;
        let path = folder.join(segment_name(*segment));
        let length = std::fs::metadata(&path).map_or(0, |found| found.len());
        piece.to = piece.to.min(length);
        if piece.to <= piece.from {
            return Ok(());
        }
        let read = read_back(vec![piece], &self.noted.buffers).await;
        let read = read.unwrap_or_default();
        let Some(range) = read.done.first() else {
            return Ok(());
        };
        let object = read.batch.finish().map_err(|error| error.to_string())?;
        let name = key(incarnation, number);
        let put = self.objects.put_own(&self.bucket, &name, object).await;
        put.map_err(|error| error.to_string())?;
        self.in_life(life, |ledger| {
            ledger.whole(number, range, clock::monotonic());
        })
    }

    /// A mirror's objects, in order, with their sizes.
    async fn objects_of(&self, incarnation: &str) -> Result<Vec<(String, u64)>, String> {
        let prefix = format!("{incarnation}/");
        let (mut found, mut after) = (Vec::new(), None::<String>);
        loop {
            let page = self
                .objects
                .page(&self.bucket, &prefix, false, after.as_deref(), PAGE)
                .await
                .map_err(|error| error.to_string())?;
            let objects = page.objects.into_iter();
            found.extend(objects.map(|object| (object.key, object.size)));
            after = page.next;
            if after.is_none() {
                found.sort_unstable();
                return Ok(found);
            }
        }
    }

    async fn bytes(&self, name: &str, from: u64, length: u64) -> Result<Bytes, LookError> {
        let content = self.objects.content(&self.bucket, name, from, length);
        let mut content = content.await?;
        let mut bytes = BytesMut::with_capacity(usize::try_from(length).unwrap_or(0));
        while let Some(piece) = content.next().await {
            let piece = piece.map_err(|error| LookError::Failed(error.to_string()))?;
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes.freeze())
    }

    /// The ranges of an object that are wanted, with their bytes. Of a large object that others' streams fill no more is read than that: a
    /// node that takes one stream of thousands does not read what they all recorded.
    async fn ranges(
        &self,
        name: &str,
        size: u64,
        is_wanted: impl Fn(&batch::Part) -> bool,
    ) -> Result<Vec<(batch::Part, Bytes)>, Unread> {
        if size > MOST {
            return Err(Unread::Damaged("it is too large".to_owned()));
        }
        let mut first = self.bytes(name, 0, size.min(FIRST)).await?;
        let begins = batch::data_begins(&first)? as u64;
        if begins > first.len() as u64 {
            first = self.bytes(name, 0, begins).await?;
        }
        let mut wanted = batch::index(&first)?;
        wanted.retain(|placed| is_wanted(&placed.part));
        let mut ranges = Vec::with_capacity(wanted.len());
        for stretch in batch::stretches(wanted, GAP_BYTES) {
            let from = stretch.first().map_or(0, |placed| placed.at);
            let to = stretch.last().map_or(0, batch::Placed::end);
            let (from, bytes) = if to <= first.len() as u64 {
                (0, first.clone())
            } else {
                (from, self.bytes(name, from, to - from).await?)
            };
            for placed in stretch {
                match placed.cut(from, &bytes) {
                    Some(bytes) => ranges.push((placed.part, bytes)),
                    None => {
                        tracing::error!(
                            name,
                            session = placed.part.session,
                            "a range of an object of the mirror is damaged; the others are read"
                        );
                    }
                }
            }
        }
        Ok(ranges)
    }

    /// Fetches what the mirrors of some incarnations hold of some streams, each incarnation's own, in this order, into a folder: a folder a
    /// session. Their names by stream. `unwanted` says which sessions are left.
    ///
    /// # Errors
    /// The store does not answer, or the folder cannot be written.
    pub async fn fetch(
        &self,
        steps: &[(&str, HashSet<String>)],
        unwanted: &HashSet<String>,
        into: &Path,
    ) -> Result<HashMap<String, HashSet<String>>, String> {
        let mut found: HashMap<String, HashSet<String>> = HashMap::new();
        for (incarnation, streams) in steps {
            let is_wanted = |part: &batch::Part| {
                streams.contains(&part.owner)
                    && is_session(&part.session)
                    && !unwanted.contains(&part.session)
            };
            let mut seen: HashSet<String> = HashSet::new();
            loop {
                let mut objects = self.objects_of(incarnation).await?;
                objects.retain(|(name, _)| seen.insert(name.clone()));
                let mut is_whole = true;
                let mut objects = Box::pin(
                    futures_util::stream::iter(objects)
                        .map(|(name, size)| async move {
                            (self.ranges(&name, size, is_wanted).await, name)
                        })
                        .buffered(AHEAD),
                );
                while let Some((ranges, name)) = objects.next().await {
                    let ranges = match ranges {
                        Ok(ranges) => ranges,
                        Err(Unread::Damaged(error)) => {
                            tracing::error!(name, %error, "an object of the mirror cannot be read; the others are");
                            continue;
                        }
                        // It went between the list and now: nobody needs it, or something newer stands for it, which may not have been in
                        // the list. An owner that is cut off from the database alone tidies up as if nobody else were there.
                        Err(Unread::Store(LookError::NoSuchKey(_))) => {
                            is_whole = false;
                            continue;
                        }
                        Err(Unread::Store(error)) => return Err(error.to_string()),
                    };
                    for (part, bytes) in ranges {
                        put_part(into, &part, &bytes).map_err(|error| error.to_string())?;
                        found.entry(part.owner).or_default().insert(part.session);
                    }
                }
                if is_whole {
                    break;
                }
            }
        }
        Ok(found)
    }

    /// The incarnations that have a mirror.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn incarnations(&self) -> Result<Vec<String>, String> {
        let (mut found, mut after) = (Vec::new(), None::<String>);
        loop {
            let page = self
                .objects
                .page(&self.bucket, "", true, after.as_deref(), PAGE)
                .await
                .map_err(|error| error.to_string())?;
            let names = page
                .folders
                .iter()
                .map(|folder| folder.trim_end_matches('/'));
            found.extend(names.filter(|name| is_session(name)).map(str::to_owned));
            after = page.next;
            if after.is_none() {
                return Ok(found);
            }
        }
    }

    /// Removes the mirror of an incarnation; how many objects it had.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn remove(&self, incarnation: &str) -> Result<usize, String> {
        let objects = self.objects_of(incarnation).await?;
        for (name, _) in &objects {
            let gone = self.objects.delete_own(&self.bucket, name).await;
            gone.map_err(|error| error.to_string())?;
        }
        Ok(objects.len())
    }
}

/// Why ranges of an object were not read.
enum Unread {
    Store(LookError),
    /// It is no object of a mirror.
    Damaged(String),
}

impl From<LookError> for Unread {
    fn from(error: LookError) -> Self {
        Self::Store(error)
    }
}

impl From<batch::BatchError> for Unread {
    fn from(error: batch::BatchError) -> Self {
        Self::Damaged(error.to_string())
    }
}

fn put_part(into: &Path, part: &batch::Part, bytes: &[u8]) -> io::Result<()> {
    let folder = Held::open(into)?.enter_or_make(&part.session)?;
    let file = folder.write(segment_name(part.segment), false)?;
    file.write_all_at(bytes, part.offset)
}

#[derive(Default)]
struct Read {
    batch: Batch,
    /// What is in it, without the bytes.
    done: Vec<Range>,
    /// Segments that are not there any more.
    missing: Vec<Arc<SpoolSegment>>,
    /// What can be read when others have made room.
    unread: Vec<Range>,
}

/// Reads from the spool what of some ranges is not kept; nothing where that was interrupted.
async fn read_back(ranges: Vec<Range>, buffers: &Arc<Buffers>) -> Option<Read> {
    let buffers = buffers.clone();
    let reading = tokio::task::spawn_blocking(move || {
        let mut read = Read::default();
        for mut range in ranges {
            match bytes_of(&mut range, &buffers) {
                Ok(pieces) => {
                    let SpoolSegment {
                        folder,
                        segment,
                        owner,
                    } = &*range.place;
                    let session = session_of(folder).unwrap_or_default();
                    let at = (*segment, range.from);
                    read.batch.add(session, owner, at, pieces, range.crc32);
                    read.done.push(range);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    read.missing.push(range.place);
                }
                Err(error) if descriptors::passes(&error) => {
                    tracing::warn!(segment = ?range.place, %error, "a part of the spool cannot be read for the mirror now");
                    read.unread.push(range);
                }
                Err(error) => {
                    tracing::error!(segment = ?range.place, %error, "a part of the spool cannot be read for the mirror");
                }
            }
        }
        read
    });
    reading.await.ok()
}

fn bytes_of(range: &mut Range, buffers: &Arc<Buffers>) -> io::Result<Vec<Bytes>> {
    if !range.kept.is_empty() {
        return Ok(std::mem::take(&mut range.kept));
    }
    // As a rule it is open: whoever writes it has not begun the next one yet.
    let file = match range.file.upgrade() {
        Some(file) => file,
        None => {
            let SpoolSegment {
                folder, segment, ..
            } = &*range.place;
            let name = segment_name(*segment);
            Arc::new(descriptors::open(|| Held::open(folder)?.read(&name))?)
        }
    };
    let (mut at, mut pieces) = (range.from, Vec::new());
    while at < range.to {
        let length = usize::try_from(range.to - at).map_or(READ, |left| left.min(READ));
        let mut buffer = buffers.empty();
        buffer.resize(length, 0);
        file.read_exact_at(&mut buffer, at)?;
        pieces.push(buffers.read(buffer));
        at += length as u64;
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::disk::writers::{Disk, Write};
    use crate::objects::Store;
    use crate::objects::folder::FolderStore;
    use crate::objects::s3::{Addressing, Client};

    /// A mirror in a store of our own, which takes none, and what is noted for it.
    fn refused_mirror(folder: &Path) -> (Mirror, Arc<Noted>) {
        let store = FolderStore::open(folder.join("oss")).unwrap();
        let objects = Objects::new(Store::Embedded(store), Arc::default());
        let noted = Arc::new(Noted::default());
        (
            Mirror::new(objects, "b".to_owned(), OLD, noted.clone()),
            noted,
        )
    }

    #[tokio::test]
    async fn who_has_left_lets_nothing_go() {
        let folder = tempfile::tempdir().unwrap();
        let (mirror, noted) = refused_mirror(folder.path());
        let place = SpoolSegment {
            folder: folder.path().join("gone"),
            segment: 0,
            owner: "o".to_owned(),
        };
        let note = || {
            let range = Range::in_file(Arc::new(place.clone()), (0, 5));
            noted.ledger().stored(0, &[range], clock::monotonic());
        };
        note();
        mirror.sweep("i", || true).await.unwrap();
        assert!(noted.ledger().places().is_empty());
        note();
        mirror.sweep("i", || false).await.unwrap();
        assert_eq!(noted.ledger().places().len(), 1, "it may not be its own");
        mirror.retire();
        mirror.sweep("i", || true).await.unwrap();
        assert_eq!(noted.ledger().places().len(), 1);
    }

    #[tokio::test]
    async fn what_was_put_aside_is_its_heirs() {
        let data = tempfile::tempdir().unwrap();
        let (mirror, noted) = refused_mirror(data.path());
        let segment = |folder: &Path, segment| SpoolSegment {
            folder: folder.to_owned(),
            segment,
            owner: "o".to_owned(),
        };
        let session = || {
            let folder = data.path().join("spool").join(crate::ids::ordered_id());
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(segment_name(0)), b"0123456789").unwrap();
            let range = Range::in_file(Arc::new(segment(&folder, 0)), (0, 10));
            noted.ledger().stored(0, &[range], clock::monotonic());
            folder
        };
        let (taken, finished) = (session(), session());
        mirror.sweep("i", || true).await.unwrap();
        assert_eq!(noted.ledger().places().len(), 2);
        // Bytes that were not put yet cannot be any more.
        let later = segment(&taken, 1);
        let now = clock::monotonic();
        noted.ledger().note(&later, Weak::new(), (0, 5), None, now);
        crate::live::spool::put_aside_taken(&taken);
        std::fs::remove_dir_all(&finished).unwrap();
        mirror.flush("i").await.unwrap();
        assert_eq!(mirror.lag(), Duration::ZERO);
        mirror.sweep("i", || true).await.unwrap();
        let places = noted.ledger().places();
        assert!(!places.is_empty() && places.iter().all(|(_, it)| it.folder == taken));
    }

    #[tokio::test]
    async fn a_sweep_does_not_wait_for_a_flush() {
        let data = tempfile::tempdir().unwrap();
        let (mirror, noted) = refused_mirror(data.path());
        let folder = data.path().join(crate::ids::ordered_id());
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join(segment_name(0)), b"0123456789").unwrap();
        let place = Arc::new(SpoolSegment {
            folder: folder.clone(),
            segment: 0,
            owner: "o".to_owned(),
        });
        let long_ago = clock::monotonic().checked_sub(OLD).unwrap();
        let part = Range::in_file(place, (0, 5));
        noted.ledger().stored(0, &[part], long_ago);
        let flush = mirror.turn.lock().await;
        let swept = clock::machine_timeout(OLD, mirror.sweep("i", || true)).await;
        drop(flush);
        let refused = swept.expect("it waits for the flush").unwrap_err();
        assert!(refused.contains("outside stores"), "{refused}");
    }

    #[tokio::test]
    async fn what_was_put_in_an_earlier_life_is_not_of_this_one() {
        let data = tempfile::tempdir().unwrap();
        let (mirror, noted) = refused_mirror(data.path());
        let place = SpoolSegment {
            folder: data.path().join("s"),
            segment: 0,
            owner: "o".to_owned(),
        };
        let now = clock::monotonic();
        noted.ledger().note(&place, Weak::new(), (0, 5), None, now);
        let portion = noted.ledger().take(OBJECT).unwrap();
        mirror.forget();
        let store = |life| mirror.in_life(life, |ledger| ledger.stored(0, &portion.ranges, now));
        store(0).unwrap_err();
        assert!(noted.ledger().places().is_empty());
        store(1).unwrap();
        assert_eq!(noted.ledger().places().len(), 1);
    }

    #[tokio::test]
    async fn a_flush_of_an_earlier_life_takes_nothing_of_this_one() {
        let data = tempfile::tempdir().unwrap();
        let (mirror, noted) = refused_mirror(data.path());
        let before = mirror.turn.lock().await;
        let mut flush = Box::pin(mirror.flush("old"));
        assert!((&mut flush).now_or_never().is_none());
        mirror.forget();
        let place = SpoolSegment {
            folder: data.path().join("s"),
            segment: 0,
            owner: "o".to_owned(),
        };
        let now = clock::monotonic();
        noted.ledger().note(&place, Weak::new(), (0, 5), None, now);
        drop(before);
        assert_eq!(flush.await.unwrap_err(), "this node has joined anew");
        assert_eq!(noted.ledger().take(100).unwrap().ranges.len(), 1);
    }

    #[tokio::test]
    async fn a_slow_store_has_flushes_follow_sooner() {
        let folder = tempfile::tempdir().unwrap();
        let store = FolderStore::open(folder.path().join("oss")).unwrap();
        let objects = Objects::new(Store::Embedded(store), Arc::default());
        let age = Duration::from_secs(1);
        let mirror = Mirror::new(objects, "b".to_owned(), age, Arc::default());
        let ms = Duration::from_millis;
        mirror.has_taken(ms(30));
        assert_eq!(mirror.beat(), age - SPOOL_DELAY - UPLOAD);
        assert_eq!(mirror.rest(ms(30)), age - SPOOL_DELAY - UPLOAD - ms(30));
        mirror.has_taken(ms(300));
        assert_eq!(mirror.beat(), ms(350));
        assert_eq!(mirror.rest(ms(340)), LEAST_BEAT);
        mirror.has_taken(ms(40_000));
        assert_eq!(mirror.beat(), LEAST_BEAT);
        for _ in 0..100 {
            mirror.has_taken(ms(30));
        }
        assert_eq!(mirror.beat(), age - SPOOL_DELAY - UPLOAD);
    }

    /// Where a store is that takes its time with every object.
    async fn slow_store(each: Duration) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            loop {
                let (peer, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(peer, each));
            }
        });
        endpoint
    }

    async fn serve(mut peer: TcpStream, each: Duration) -> io::Result<()> {
        loop {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(peer.read_u8().await?);
            }
            let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
            let mut lines = head.lines();
            let length = lines.find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.parse().unwrap());
            peer.read_exact(&mut vec![0; length]).await?;
            clock::machine_sleep(each).await;
            let answer = b"HTTP/1.1 200 OK\r\nETag: \"e\"\r\nContent-Length: 0\r\n\r\n";
            peer.write_all(answer).await?;
        }
    }

    #[tokio::test]
    async fn a_flush_has_an_end_though_media_come_all_the_while() {
        let endpoint = slow_store(Duration::from_millis(100)).await;
        let client = Client::new(&endpoint, "r", "id", "secret", Addressing::Path);
        let objects = Objects::new(Store::Outside(Arc::new(client)), Arc::default());
        let noted = Arc::new(Noted::default());
        let mirror = Mirror::new(objects, "b".to_owned(), OLD, noted.clone());
        let live = noted.clone();
        let coming = tokio::spawn(async move {
            let place = SpoolSegment {
                folder: "/nowhere".into(),
                segment: 0,
                owner: "o".to_owned(),
            };
            for from in (0..).step_by(5) {
                let kept = Some(Bytes::from_static(b"12345"));
                let (range, now) = ((from, from + 5), clock::monotonic());
                live.ledger().note(&place, Weak::new(), range, kept, now);
                clock::machine_sleep(Duration::from_millis(10)).await;
            }
        });
        clock::machine_sleep(Duration::from_millis(50)).await;
        let copied = noted.caught_up();
        for _ in 0..2 {
            let flush = clock::machine_timeout(OLD / 6, mirror.flush("i")).await;
            assert!(flush.expect("it has no end").unwrap() > 0);
        }
        assert!(copied.now_or_never().is_some());
        coming.abort();
    }

    #[tokio::test]
    async fn objects_are_small_while_the_store_takes_none() {
        let folder = tempfile::tempdir().unwrap();
        let (mirror, noted) = refused_mirror(folder.path());
        let place = SpoolSegment {
            folder: folder.path().join(crate::ids::ordered_id()),
            segment: 0,
            owner: "o".to_owned(),
        };
        let bytes = Bytes::from_static(b"12345");
        let now = clock::monotonic();
        let note = |from| {
            let mut ledger = noted.ledger();
            ledger.note(
                &place,
                Weak::new(),
                (from, from + 5),
                Some(bytes.clone()),
                now,
            );
        };
        let object = || mirror.object.load(Ordering::Relaxed);
        note(0);
        let refused = mirror.flush("i").await.unwrap_err();
        assert!(refused.contains("outside stores"), "{refused}");
        assert_eq!(object(), OBJECT / 8);
        // What waits now lies in a file that is not there.
        mirror.flush("i").await.unwrap();
        for n in 1..5 {
            note(n * 5);
            mirror.flush("i").await.unwrap_err();
            mirror.flush("i").await.unwrap();
        }
        assert_eq!(object(), LEAST_OBJECT_BYTES);
        for _ in 0..10 {
            mirror.was_put(true);
        }
        assert_eq!(object(), OBJECT);
    }

    #[tokio::test]
    async fn who_waits_for_the_copy_waits_for_a_flush_that_begins_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let (mirror, noted) = refused_mirror(folder.path());
        mirror.flush("i").await.unwrap();
        let mut copied = noted.caught_up();
        let told = (&mut copied).now_or_never();
        assert!(told.is_none(), "that flush was before");
        mirror.flush("i").await.unwrap();
        assert!(copied.now_or_never().is_some());
    }

    #[tokio::test]
    async fn what_was_just_written_is_not_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let session = folder.path().join(crate::ids::ordered_id());
        std::fs::create_dir(&session).unwrap();
        let path = session.join(segment_name(0));
        let file = Arc::new(File::create(&path).unwrap());
        let noted = Arc::new(Noted::default());
        let tap: Arc<dyn Tap> = noted.clone();
        let disk = Disk::tapped(&tap).unwrap();
        let place = Arc::new(SpoolSegment {
            folder: session,
            segment: 0,
            owner: "o".to_owned(),
        });
        for n in 0..3 {
            let write = Write {
                file: file.clone(),
                offset: u64::from(n) * 1_000,
                data: vec![n; 1_000],
                progress: Arc::default(),
                copied: Some(place.clone()),
            };
            disk.write(0, write);
        }
        disk.settle().await;
        let written = std::fs::read(&path).unwrap();
        // What is in the file from here on is not what is put.
        std::fs::write(&path, vec![b'x'; 3_000]).unwrap();
        let mut portion = noted.ledger().take(OBJECT).unwrap();
        let read = read_back(portion.hand_out(), &noted.buffers).await.unwrap();
        let done = &read.done;
        assert_eq!((done.len(), done[0].from, done[0].to), (1, 0, 3_000));
        let object = Bytes::from(read.batch.finish().unwrap().concat());
        let placed = batch::index(&object).unwrap();
        assert_eq!(placed[0].cut(0, &object).unwrap(), written);
        // What the store did not take is read from the file.
        noted.ledger().give_back(portion, clock::monotonic());
        let mut portion = noted.ledger().take(OBJECT).unwrap();
        let read = read_back(portion.hand_out(), &noted.buffers).await.unwrap();
        let object = read.batch.finish().unwrap().concat();
        assert!(object.ends_with(&[b'x'; 3_000]));
    }

    #[tokio::test]
    async fn what_is_gone_from_the_disk_is_not_missed() {
        let folder = tempfile::tempdir().unwrap();
        let session = folder.path().join(crate::ids::ordered_id());
        std::fs::create_dir(&session).unwrap();
        std::fs::write(session.join(segment_name(0)), b"0123456789").unwrap();
        let range = |segment, from, to| {
            let place = SpoolSegment {
                folder: session.clone(),
                segment,
                owner: "o".to_owned(),
            };
            Range::in_file(Arc::new(place), (from, to))
        };
        let ranges = vec![range(0, 2, 5), range(1, 0, 4)];
        let read = read_back(ranges, &Arc::default()).await.unwrap();
        assert_eq!((read.done.len(), read.missing.len()), (1, 1));
        let object = Bytes::from(read.batch.finish().unwrap().concat());
        let placed = batch::index(&object).unwrap();
        let bytes = placed[0].cut(0, &object).unwrap();
        assert_eq!(&bytes[..], b"234");
        let into = tempfile::tempdir().unwrap();
        put_part(into.path(), &placed[0].part, &bytes).unwrap();
        let back = into
            .path()
            .join(session.file_name().unwrap())
            .join(segment_name(0));
        assert_eq!(std::fs::read(back).unwrap(), b"\x00\x00234");
    }
}
