//! The mirror: what the spools hold and is not finished yet, in the object store too, for the loss of this node.
//!
//! Nothing waits for it. The disk's threads note what they have written; at each beat the noted ranges are read back (from the page cache, as
//! a rule) and put as one object. A store that is slow or away makes the ranges wait, not the bytes: they lie in the spool.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

use super::batch::{self, Batch};
use super::ledger::{Ledger, Range};
use crate::clock;
use crate::disk::held::Held;
use crate::disk::writers::{SpoolSegment, Tap};
use crate::live::spool::folder::is_session;
use crate::live::spool::{segment_name, segment_number};
use crate::objects::Objects;

/// Bytes of an object.
const OBJECT: u64 = 8 << 20;
/// After this time a segment that still holds up objects is put as a whole.
const OLD: Duration = Duration::from_secs(60);
/// The spool's own delay: bytes lie in memory that long before they reach the disk.
const SPOOL_DELAY: Duration = Duration::from_millis(350);
/// What putting an object takes as a rule, so that bytes are in the store when they are as old as they may become.
const UPLOAD: Duration = Duration::from_millis(150);
/// Between two objects at least, however young the mirror is to be kept.
const LEAST_BEAT: Duration = Duration::from_millis(50);
/// Names of a page of a list.
const PAGE: usize = 1_000;
/// Objects that are read ahead.
const AHEAD: usize = 4;
/// Bytes that an object has at most.
const MOST: u64 = 256 << 20;

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
}

/// What the disk's threads tell.
#[derive(Default)]
pub struct Noted(Mutex<Ledger>);

impl Noted {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tap for Noted {
    fn written(&self, place: &SpoolSegment, offset: u64, length: u64) {
        self.ledger()
            .note(place, offset, offset + length, clock::monotonic());
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
        }
    }

    /// Between two objects.
    #[must_use]
    pub fn beat(&self) -> Duration {
        self.age
            .saturating_sub(SPOOL_DELAY + UPLOAD)
            .max(LEAST_BEAT)
    }

    /// How long the oldest bytes have waited for the store.
    #[must_use]
    pub fn lag(&self) -> Duration {
        self.noted.ledger().lag(clock::monotonic())
    }

    /// Forgets everything: this node was declared dead, and what is in the store is its heirs'.
    pub fn forget(&self) {
        *self.noted.ledger() = Ledger::default();
    }

    /// Notes all that lies in a session's folder, to be put anew.
    ///
    /// # Errors
    /// The folder cannot be looked through.
    pub fn note_session(&self, folder: &Path, owner: &str) -> io::Result<()> {
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
                .note(&place, 0, length, clock::monotonic());
        }
        Ok(())
    }

    /// Puts everything that is noted by now.
    ///
    /// # Errors
    /// The store refused, and what was not put waits.
    pub async fn flush(&self, incarnation: &str) -> Result<u64, String> {
        let _turn = self.turn.lock().await;
        let mut put = 0;
        loop {
            let Some(portion) = self.noted.ledger().take(OBJECT) else {
                return Ok(put);
            };
            let (read, ranges) = read_back(portion.ranges.clone()).await;
            for place in read.missing {
                self.noted.ledger().gone(&place);
            }
            if read.batch.is_empty() {
                self.noted.ledger().nothing_under_way();
                continue;
            }
            let object = match read.batch.finish() {
                Ok(object) => object,
                Err(error) => return Err(error.to_string()),
            };
            let number = self.number.fetch_add(1, Ordering::Relaxed);
            let size = object.len() as u64;
            let name = key(incarnation, number);
            match self.objects.put_own(&self.bucket, &name, object).await {
                Ok(()) => {
                    self.noted
                        .ledger()
                        .stored(number, ranges, clock::monotonic());
                    put += size;
                }
                Err(error) => {
                    self.noted.ledger().give_back(portion, clock::monotonic());
                    return Err(error.to_string());
                }
            }
        }
    }

    /// Lets go what is needed no more: of segments that are gone, and of those that lie long and are put as a whole.
    pub async fn sweep(&self, incarnation: &str) -> Result<(), String> {
        let places = self.noted.ledger().places();
        let gone = tokio::task::spawn_blocking(move || {
            let is_gone =
                |place: &SpoolSegment| !place.folder.join(segment_name(place.segment)).exists();
            places.into_iter().filter(is_gone).collect::<Vec<_>>()
        });
        for place in gone.await.map_err(|error| error.to_string())? {
            self.noted.ledger().gone(&place);
        }
        let overdue = self.noted.ledger().overdue(OLD, clock::monotonic());
        for place in overdue {
            self.put_whole(incarnation, place).await?;
        }
        let removable = self.noted.ledger().removable();
        for number in removable {
            let name = key(incarnation, number);
            if let Err(error) = self.objects.delete_own(&self.bucket, &name).await {
                tracing::debug!(%error, name, "an object of the mirror stays until this node's end");
            }
        }
        Ok(())
    }

    async fn put_whole(&self, incarnation: &str, place: SpoolSegment) -> Result<(), String> {
        let _turn = self.turn.lock().await;
        let path = place.folder.join(segment_name(place.segment));
        let length = std::fs::metadata(&path).map_or(0, |found| found.len());
        let all = Range {
            place: place.clone(),
            from: 0,
            to: length,
        };
        let (read, ranges) = read_back(vec![all]).await;
        let Some(range) = ranges.first().filter(|range| range.to == length) else {
            return Ok(());
        };
        let object = read.batch.finish().map_err(|error| error.to_string())?;
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let name = key(incarnation, number);
        let put = self.objects.put_own(&self.bucket, &name, object).await;
        put.map_err(|error| error.to_string())?;
        self.noted
            .ledger()
            .whole(number, place, range.to, clock::monotonic());
        Ok(())
    }

    /// Names of a mirror's objects, in order.
    async fn names(&self, incarnation: &str) -> Result<Vec<String>, String> {
        let prefix = format!("{incarnation}/");
        let (mut names, mut after) = (Vec::new(), None::<String>);
        loop {
            let page = self
                .objects
                .page(&self.bucket, &prefix, false, after.as_deref(), PAGE)
                .await
                .map_err(|error| error.to_string())?;
            names.extend(page.objects.into_iter().map(|object| object.key));
            after = page.next;
            if after.is_none() {
                names.sort_unstable();
                return Ok(names);
            }
        }
    }

    async fn get(&self, name: &str) -> Result<Bytes, String> {
        let facts = self
            .objects
            .facts(&self.bucket, name)
            .await
            .map_err(|error| error.to_string())?;
        if facts.size > MOST {
            return Err(format!("{name} is too large for an object of a mirror"));
        }
        let content = self.objects.content(&self.bucket, name, 0, facts.size);
        let mut content = content.await.map_err(|error| error.to_string())?;
        let mut bytes = BytesMut::with_capacity(usize::try_from(facts.size).unwrap_or(0));
        while let Some(piece) = content.next().await {
            bytes.extend_from_slice(&piece.map_err(|error| error.to_string())?);
        }
        Ok(bytes.freeze())
    }

    /// Fetches what the mirrors of some incarnations, the oldest first, hold of some streams into a folder: a folder a session. Their
    /// names by stream. `unwanted` says which sessions are left.
    ///
    /// # Errors
    /// The store does not answer, or the folder cannot be written.
    pub async fn fetch(
        &self,
        incarnations: &[String],
        streams: &HashSet<String>,
        unwanted: &HashSet<String>,
        into: &Path,
    ) -> Result<HashMap<String, HashSet<String>>, String> {
        let mut found: HashMap<String, HashSet<String>> = HashMap::new();
        for incarnation in incarnations {
            let names = self.names(incarnation).await?;
            let mut objects = Box::pin(
                futures_util::stream::iter(names)
                    .map(|name| async move { (self.get(&name).await, name) })
                    .buffered(AHEAD),
            );
            while let Some((object, name)) = objects.next().await {
                let parts = match object.map(|object| batch::read(&object)) {
                    Ok(Ok(parts)) => parts,
                    Ok(Err(error)) => {
                        tracing::error!(name, %error, "an object of the mirror cannot be read; the others are");
                        continue;
                    }
                    // It went between the list and now: something newer stands for it, or nobody needs it.
                    Err(error) if error.contains("there is no object") => continue,
                    Err(error) => return Err(error),
                };
                for (part, bytes) in parts {
                    let wanted = streams.contains(&part.owner)
                        && is_session(&part.session)
                        && !unwanted.contains(&part.session);
                    if wanted {
                        put_part(into, &part, &bytes).map_err(|error| error.to_string())?;
                        found.entry(part.owner).or_default().insert(part.session);
                    }
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
        let names = self.names(incarnation).await?;
        for name in &names {
            let gone = self.objects.delete_own(&self.bucket, name).await;
            gone.map_err(|error| error.to_string())?;
        }
        Ok(names.len())
    }
}

fn put_part(into: &Path, part: &batch::Part, bytes: &[u8]) -> io::Result<()> {
    let folder = Held::open(into)?.enter_or_make(&part.session)?;
    let file = folder.write(segment_name(part.segment), false)?;
    file.write_all_at(bytes, part.offset)
}

struct Read {
    batch: Batch,
    /// Segments that are not there any more.
    missing: Vec<SpoolSegment>,
}

/// Reads ranges from the spool; those that were read come back.
async fn read_back(ranges: Vec<Range>) -> (Read, Vec<Range>) {
    let reading = tokio::task::spawn_blocking(move || {
        let mut read = Read {
            batch: Batch::default(),
            missing: Vec::new(),
        };
        let mut done = Vec::new();
        for range in ranges {
            match read_range(&range) {
                Ok(bytes) => {
                    let session = session_of(&range.place.folder).unwrap_or_default();
                    let at = (range.place.segment, range.from);
                    read.batch.add(session, &range.place.owner, at, &bytes);
                    done.push(range);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    read.missing.push(range.place);
                }
                Err(error) => {
                    tracing::error!(segment = ?range.place, %error, "a part of the spool cannot be read for the mirror");
                }
            }
        }
        (read, done)
    });
    reading.await.unwrap_or_else(|_| {
        let nothing = Read {
            batch: Batch::default(),
            missing: Vec::new(),
        };
        (nothing, Vec::new())
    })
}

fn read_range(range: &Range) -> io::Result<Vec<u8>> {
    let folder: &PathBuf = &range.place.folder;
    let file = Held::open(folder)?.read(segment_name(range.place.segment))?;
    let length = usize::try_from(range.to - range.from).unwrap_or(0);
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, range.from)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_gone_from_the_disk_is_not_missed() {
        let folder = tempfile::tempdir().unwrap();
        let session = folder.path().join(crate::ids::ordered_id());
        std::fs::create_dir(&session).unwrap();
        std::fs::write(session.join(segment_name(0)), b"0123456789").unwrap();
        let range = |segment, from, to| Range {
            place: SpoolSegment {
                folder: session.clone(),
                segment,
                owner: "o".to_owned(),
            },
            from,
            to,
        };
        let (read, done) = read_back(vec![range(0, 2, 5), range(1, 0, 4)]).await;
        assert_eq!((done.len(), read.missing.len()), (1, 1));
        let parts = batch::read(&read.batch.finish().unwrap()).unwrap();
        assert_eq!(&parts[0].1[..], b"234");
        let into = tempfile::tempdir().unwrap();
        for (part, bytes) in &parts {
            put_part(into.path(), part, bytes).unwrap();
        }
        let back = into
            .path()
            .join(session.file_name().unwrap())
            .join(segment_name(0));
        assert_eq!(std::fs::read(back).unwrap(), b"\x00\x00234");
    }
}
