//! What a stream's log keeps of each message. A payload that the recording's spool has is not held in memory as well: who begins to watch
//! reads it from the disk, as a rule from the page cache. While somebody watches, the newest stay until they are on the disk.
//!
//! Fifty recorded streams of 2.5 Mbit/s with groups of two seconds would otherwise hold sixty megabytes for viewers that may never come.

use std::collections::VecDeque;
use std::fmt::Display;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::log::{Cursor, From, Log, Taken, USUAL};
use super::{Headers, Unit};
use crate::clock;
use crate::disk::laid::{Laid, Place};
use crate::media::flv::TagKind;
use crate::media::rtmp::Message;

/// What goes before a frame in its message: the codec's few bytes. Longer ones stay in memory.
const MOST_HEAD: usize = 16;
/// Entries looked through for payloads that reached the disk: those of the last seconds.
const LOOKED_THROUGH: usize = 1_024;
/// A payload is on the disk within half a second, or its recording came to nothing and it never will be.
const WRITTEN_PATIENCE: Duration = Duration::from_secs(5);

/// A message as it is kept.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    kind: TagKind,
    timestamp: u32,
    payload: Payload,
    headers: Option<Arc<Headers>>,
}

#[derive(Debug, Clone)]
enum Payload {
    Here(Bytes),
    OnDisk {
        head: [u8; MOST_HEAD],
        head_length: u8,
        rest: Place,
    },
}

impl Entry {
    pub(super) fn new(unit: Unit) -> Self {
        Self {
            kind: unit.message.kind,
            timestamp: unit.message.timestamp,
            payload: Payload::Here(unit.message.payload),
            headers: unit.headers,
        }
    }

    fn is_here(&self) -> bool {
        matches!(self.payload, Payload::Here(_))
    }

    /// Whether it can be had without waiting for a write.
    fn is_ready(&self) -> bool {
        match &self.payload {
            Payload::Here(_) => true,
            Payload::OnDisk { rest, .. } => rest.is_there(),
        }
    }

    /// Lets go of a payload that ends with what was laid down; the bytes that it took.
    fn let_go(&mut self, laid: &Laid) -> usize {
        let Payload::Here(payload) = &self.payload else {
            return 0;
        };
        let Some(before) = payload.len().checked_sub(laid.bytes.len()) else {
            return 0;
        };
        let is_same = payload.as_ptr().addr() + before == laid.bytes.as_ptr().addr();
        let (Some(first), true) = (payload.get(..before), is_same) else {
            return 0;
        };
        let mut head = [0; MOST_HEAD];
        let Some(room) = head.get_mut(..before) else {
            return 0;
        };
        room.copy_from_slice(first);
        let bytes = payload.len();
        self.payload = Payload::OnDisk {
            head,
            head_length: u8::try_from(before).unwrap_or(0),
            rest: laid.place.clone(),
        };
        bytes
    }

    fn unit(self) -> io::Result<Unit> {
        let payload = match self.payload {
            Payload::Here(payload) => payload,
            Payload::OnDisk {
                head,
                head_length,
                rest,
            } => {
                let head = head.get(..usize::from(head_length)).unwrap_or_default();
                let mut payload = Vec::with_capacity(head.len() + rest.length());
                payload.extend_from_slice(head);
                rest.read(&mut payload)?;
                payload.into()
            }
        };
        Ok(Unit {
            message: Message {
                kind: self.kind,
                timestamp: self.timestamp,
                payload,
            },
            headers: self.headers,
        })
    }
}

/// Lets the log's payloads go that are on disk.
#[derive(Debug, Default)]
pub(super) struct Lightening {
    /// Where the last call found its first one: what was laid down before was looked at.
    from: Mutex<u64>,
}

impl Lightening {
    pub(super) fn let_go(&self, log: &Log<Entry>, laid: &mut Vec<Laid>) {
        if laid.is_empty() {
            return;
        }
        let mut from = self.from.lock().unwrap_or_else(PoisonError::into_inner);
        let found = log.lighten(*from, LOOKED_THROUGH, |entry| {
            if !entry.is_here() {
                return 0;
            }
            laid.iter()
                .map(|laid| entry.let_go(laid))
                .find(|less| *less > 0)
                .unwrap_or(0)
        });
        *from = found.unwrap_or(*from);
        laid.clear();
    }
}

/// One reader of the messages.
pub struct Reader {
    cursor: Cursor<Entry>,
    /// Taken from the log and not yet handed out: what came last may be on its way to the disk.
    entries: VecDeque<Entry>,
    fresh: Vec<Entry>,
    /// What the cursor said of the first entry.
    taken: Taken,
    readers: Arc<AtomicUsize>,
}

impl Reader {
    pub(super) fn new(log: Arc<Log<Entry>>, from: From, readers: Arc<AtomicUsize>) -> Self {
        readers.fetch_add(1, Ordering::Relaxed);
        Self {
            cursor: Cursor::new(log, from),
            entries: VecDeque::new(),
            fresh: Vec::new(),
            taken: Taken::More,
            readers,
        }
    }

    /// Appends what is new to `out`, one message at least and up to `most` bytes where there are more; waits while there is nothing. What the
    /// disk does not give back ends the reading: who asks again begins with what is kept then.
    pub async fn take(&mut self, out: &mut Vec<Unit>, most: usize) -> Taken {
        if self.entries.is_empty() {
            self.taken = self.cursor.take(&mut self.fresh, most).await;
            let are_here = self.fresh.iter().all(Entry::is_here);
            if are_here {
                out.extend(self.fresh.drain(..).flat_map(Entry::unit));
            } else {
                self.entries.extend(self.fresh.drain(..));
            }
            self.fresh.shrink_to(USUAL);
            if are_here {
                return self.taken;
            }
        }
        // What is there goes first: nobody waits for a picture because a later one is on its way to the disk.
        let ready = self.entries.iter().take_while(|entry| entry.is_ready());
        let mut ready = ready.count();
        if ready == 0 {
            match self.entries.front().map(|entry| &entry.payload) {
                Some(Payload::OnDisk { rest, .. })
                    if clock::machine_timeout(WRITTEN_PATIENCE, rest.is_written()).await
                        == Some(true) =>
                {
                    ready = 1;
                }
                _ => return self.cut("what was to be there is not written"),
            }
        }
        let entries: Vec<Entry> = self.entries.drain(..ready).collect();
        self.entries.shrink_to(USUAL);
        let read = move || {
            let units = entries.into_iter().map(Entry::unit);
            units.collect::<io::Result<Vec<_>>>()
        };
        match tokio::task::spawn_blocking(read).await {
            Ok(Ok(units)) => {
                out.extend(units);
                std::mem::replace(&mut self.taken, Taken::More)
            }
            Ok(Err(error)) => self.cut(error),
            Err(error) => self.cut(error),
        }
    }

    fn cut(&mut self, reason: impl Display) -> Taken {
        tracing::warn!(%reason, "a group of pictures cannot be read back from the spool, its viewers are cut");
        self.entries.clear();
        Taken::Ended
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.readers.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::writers::{Disk, Handed};
    use crate::live::fanout::log::Bounds;
    use crate::live::spool::write::SpoolWriter;
    use crate::media::frame::{Frame, Track};
    use std::io::Write;

    const BOUNDS: Bounds = Bounds {
        groups: 2,
        linger: Duration::ZERO,
        bytes: 1 << 20,
        entries: 5_000,
    };

    fn unit(timestamp: u32, payload: Bytes) -> Unit {
        Unit {
            message: Message {
                kind: TagKind::Video,
                timestamp,
                payload,
            },
            headers: None,
        }
    }

    fn at_once() -> Handed {
        Handed::up_to(Arc::default(), 0)
    }

    /// A log of `count` payloads of a thousand bytes, each with five bytes of the codec before it, and where a file has them.
    fn filled(count: u32) -> (Arc<Log<Entry>>, Vec<Laid>, Vec<Bytes>) {
        let log = Log::new(BOUNDS, None);
        let mut file = tempfile::tempfile().unwrap();
        let mut payloads = Vec::new();
        for number in 0..count {
            let mut payload = b"codec".to_vec();
            payload
                .extend((0..1_000).map(|at| (number as u8).wrapping_mul(7).wrapping_add(at as u8)));
            let payload = Bytes::from(payload);
            file.write_all(&payload.slice(5..)).unwrap();
            log.push(
                Entry::new(unit(number, payload.clone())),
                payload.len(),
                number == 0,
            );
            payloads.push(payload);
        }
        let file = Arc::new(file);
        let laid = payloads.iter().enumerate().map(|(number, payload)| Laid {
            bytes: payload.slice(5..),
            place: Place::new(file.clone(), number as u64 * 1_000, 1_000, at_once()),
        });
        (log.clone(), laid.collect(), payloads)
    }

    async fn read(log: &Arc<Log<Entry>>) -> (Taken, Vec<Bytes>) {
        let mut units = Vec::new();
        let mut reader = Reader::new(log.clone(), From::Oldest, Arc::default());
        let taken = reader.take(&mut units, usize::MAX).await;
        (
            taken,
            units.into_iter().map(|unit| unit.message.payload).collect(),
        )
    }

    #[tokio::test]
    async fn what_is_on_disk_takes_no_memory_and_is_read_back_as_it_was() {
        let (log, mut laid, payloads) = filled(20);
        let lightening = Lightening::default();
        // The newest five have not reached the disk.
        laid.truncate(15);
        let mut first = laid.split_off(7);
        std::mem::swap(&mut first, &mut laid);
        lightening.let_go(&log, &mut first);
        lightening.let_go(&log, &mut laid);
        assert!(first.is_empty() && laid.is_empty());
        assert_eq!(log.bytes(), 5 * 1_005);
        assert_eq!(read(&log).await, (Taken::Jumped, payloads));
    }

    #[tokio::test]
    async fn a_payload_that_only_looks_alike_stays() {
        let (log, laid, payloads) = filled(3);
        // The same bytes at another address, a part of a payload, and one with too much before it.
        let mut laid: Vec<Laid> = laid
            .into_iter()
            .zip(["copy", "part", "late"])
            .map(|(laid, what)| Laid {
                bytes: match what {
                    "copy" => Bytes::copy_from_slice(&laid.bytes),
                    "part" => laid.bytes.slice(..500),
                    _ => laid.bytes.slice(100..),
                },
                place: laid.place,
            })
            .collect();
        Lightening::default().let_go(&log, &mut laid);
        assert_eq!(log.bytes(), 3 * 1_005);
        assert_eq!(read(&log).await, (Taken::Jumped, payloads));
    }

    #[tokio::test]
    async fn only_the_newest_entries_are_looked_through() {
        let count = LOOKED_THROUGH as u32 + 10;
        let (log, mut laid, payloads) = filled(900);
        Lightening::default().let_go(&log, &mut laid);
        assert_eq!(log.bytes(), 0);
        assert_eq!(read(&log).await.1, payloads);
        let (log, mut laid, _) = filled(count);
        let kept = log.bytes();
        laid.truncate(10);
        Lightening::default().let_go(&log, &mut laid);
        assert!(laid.is_empty());
        assert_eq!(log.bytes(), kept, "those are too old to be found");
    }

    #[tokio::test]
    async fn a_file_that_lost_its_end_cuts_the_viewers() {
        let (log, mut laid, _) = filled(3);
        let short = Arc::new(tempfile::tempfile().unwrap());
        for laid in &mut laid {
            laid.place = Place::new(short.clone(), 0, 1_000, at_once());
        }
        Lightening::default().let_go(&log, &mut laid);
        assert_eq!(read(&log).await, (Taken::Ended, Vec::new()));
    }

    #[tokio::test]
    async fn what_never_reaches_the_disk_is_not_waited_for_for_ever() {
        let (log, mut laid, _) = filled(1);
        for laid in &mut laid {
            let never = Handed::up_to(Arc::default(), 1);
            laid.place = Place::new(Arc::new(tempfile::tempfile().unwrap()), 0, 1_000, never);
        }
        Lightening::default().let_go(&log, &mut laid);
        assert_eq!(read(&log).await, (Taken::Ended, Vec::new()));
    }

    #[tokio::test]
    async fn what_is_on_its_way_is_waited_for_and_keeps_nothing_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let mut writer = SpoolWriter::create(Disk::start().unwrap(), path, 0).unwrap();
        let log = Log::new(BOUNDS, None);
        let lightening = Lightening::default();
        let readers = Arc::default();
        let mut early = Reader::new(log.clone(), From::Newest, Arc::clone(&readers));
        let mut payloads = Vec::new();
        for number in 0..4_u8 {
            let payload = Bytes::from(vec![number; 1_000]);
            log.push(
                Entry::new(unit(number.into(), payload.clone())),
                1_000,
                number == 0,
            );
            payloads.push(payload.clone());
            writer.frame(&Frame {
                track: Track::Video,
                dts_ms: 0,
                cts_ms: 0,
                key: number == 0,
                data: payload.slice(5..),
            });
            if number == 1 {
                writer.flush();
                writer.handed().written().await;
            }
            let mut laid = Vec::new();
            writer.take_laid(false, &mut laid);
            lightening.let_go(&log, &mut laid);
        }
        assert_eq!(log.bytes(), 0);
        let mut units = Vec::new();
        assert_eq!(early.take(&mut units, usize::MAX).await, Taken::Jumped);
        assert_eq!(units.len(), 2, "what is on the disk goes first");
        let rest = async {
            while units.len() < 4 {
                assert_eq!(early.take(&mut units, usize::MAX).await, Taken::More);
            }
        };
        tokio::join!(rest, async { writer.flush() });
        let got: Vec<Bytes> = units.into_iter().map(|unit| unit.message.payload).collect();
        assert_eq!(got, payloads);
        assert_eq!(readers.load(Ordering::Relaxed), 1);
        drop(early);
        assert_eq!(readers.load(Ordering::Relaxed), 0);
    }
}
