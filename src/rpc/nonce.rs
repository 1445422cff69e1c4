//! Nonces that were used: a request is taken once, before and after a restart.
//!
//! Requests are valid by the service clock or the machine's, so a nonce must be remembered for as long as either might still
//! accept its timestamp: for one to two windows of machine time, and on while the service clock, which may stand still, is within a window
//! of when it was used. Only hashes are kept, in two generations, each in a file of its own:
//! a head, then one hash after the other, in the order in which they came. A hash is written before the request is answered and never
//! synced: a killed process forgets none, a machine without power forgets what its kernel still held.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::clock::{self, UnixMs};
use crate::disk::held::Held;

/// A generation's life: both sides of the validity window.
pub const WINDOW: Duration = Duration::from_secs(2 * 15 * 60);
/// Nonces of a generation; more begin a new one early.
const LIMIT: usize = 2_000_000;
/// The two files, used in turn.
const FILES: [&str; 2] = ["nonces-0", "nonces-1"];
/// What a file begins with; the machine's time at its generation's beginning follows.
const MAGIC: &[u8; 8] = b"NONCES-1";
const HEAD: u64 = 16;
/// Bytes by which a file grows, so that most hashes only fill what is there. A hash is never 0: that is room.
const GROWTH: u64 = 64 * 1024;
/// Bytes of a file that are read: a full generation.
const LONGEST: u64 = HEAD + 8 * LIMIT as u64 + GROWTH;

/// The hash under which all nodes know a nonce.
#[must_use]
pub fn shared_hash(access_key_id: &str, nonce: &str) -> String {
    let mut digest = Sha256::new();
    digest.update(access_key_id.as_bytes());
    digest.update([0]);
    digest.update(nonce.as_bytes());
    hex::encode(digest.finalize())
}

struct Generations {
    now: HashSet<u64>,
    before: HashSet<u64>,
    /// When `now` is over by machine time.
    due: Instant,
    /// The service clock when `before` was closed; none: it was before this process began, and the first time that is heard counts.
    closed: Option<UnixMs>,
    log: Option<Log>,
}

/// The file of the generation that is filled.
struct Log {
    folder: Held,
    /// Which of [`FILES`].
    turn: usize,
    file: File,
    at: u64,
    room: u64,
}

pub struct Nonces(Mutex<Generations>);

impl Default for Nonces {
    /// Remembers in memory only.
    fn default() -> Self {
        Self(Mutex::new(Generations {
            now: HashSet::new(),
            before: HashSet::new(),
            due: clock::monotonic() + WINDOW,
            closed: None,
            log: None,
        }))
    }
}

impl Nonces {
    /// Takes up what an earlier run left in the data folder, and keeps on there.
    ///
    /// # Errors
    /// The folder's files cannot be read or written.
    pub fn open(folder: Held) -> io::Result<Self> {
        Self::open_at(folder, clock::machine_now())
    }

    fn open_at(folder: Held, now_ms: UnixMs) -> io::Result<Self> {
        let window_ms = i64::try_from(WINDOW.as_millis()).unwrap_or(i64::MAX);
        let mut found: Vec<(UnixMs, usize, HashSet<u64>)> = Vec::new();
        for (turn, name) in FILES.iter().enumerate() {
            if let Some((since, seen)) = read(&folder, name)?
                // Where the clock was set back since, it is kept for longer.
                && now_ms.saturating_sub(since) < 2 * window_ms
            {
                found.push((since, turn, seen));
            }
        }
        found.sort_by_key(|(since, ..)| *since);
        let newest = found.pop();
        let older = found.pop().map(|(_, _, seen)| seen).unwrap_or_default();
        let age = |since: UnixMs| {
            let ms = u64::try_from(now_ms.saturating_sub(since)).unwrap_or(0);
            Duration::from_millis(ms)
        };
        let (log, left, now, before) = match newest {
            Some((since, turn, now)) => match WINDOW.checked_sub(age(since)) {
                Some(left) => (Log::resume(folder, turn, now.len())?, left, now, older),
                None => (
                    Log::begin(folder, 1 - turn, now_ms)?,
                    WINDOW,
                    HashSet::new(),
                    now,
                ),
            },
            None => (
                Log::begin(folder, 0, now_ms)?,
                WINDOW,
                HashSet::new(),
                older,
            ),
        };
        Ok(Self(Mutex::new(Generations {
            due: clock::monotonic() + left,
            closed: None,
            now,
            before,
            log: Some(log),
        })))
    }

    /// Remembers a nonce; false when it was used before. `service_ms` is what the service clock shows.
    pub fn use_once(&self, access_key_id: &str, nonce: &str, service_ms: UnixMs) -> bool {
        let hash = hash(access_key_id, nonce);
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = clock::monotonic() >= seen.due && seen.may_forget(service_ms);
        if is_over || seen.now.len() >= LIMIT {
            seen.turn(service_ms);
        }
        let new = !seen.before.contains(&hash) && seen.now.insert(hash);
        if new {
            seen.keep(hash);
        }
        new
    }
}

impl Generations {
    /// Whether the service clock takes nothing any more of what `before` holds. One that stands still, or was set back a little, does.
    fn may_forget(&mut self, service_ms: UnixMs) -> bool {
        let closed = *self.closed.get_or_insert(service_ms);
        self.before.is_empty() || service_ms.abs_diff(closed) >= window_ms()
    }

    fn turn(&mut self, service_ms: UnixMs) {
        self.before = std::mem::take(&mut self.now);
        self.due = clock::monotonic() + WINDOW;
        self.closed = Some(service_ms);
        let begun = self
            .log
            .take()
            .map(|log| Log::begin(log.folder, 1 - log.turn, clock::machine_now()));
        self.log = begun.and_then(|begun| begun.inspect_err(lost).ok());
    }

    fn keep(&mut self, hash: u64) {
        if let Some(Err(error)) = self.log.as_mut().map(|log| log.write(hash)) {
            lost(&error);
            self.log = None;
        }
    }
}

fn window_ms() -> u64 {
    u64::try_from(WINDOW.as_millis()).unwrap_or(u64::MAX)
}

fn lost(error: &io::Error) {
    tracing::error!(%error, "used nonces cannot be written: a restart forgets those from now on");
}

impl Log {
    fn begin(folder: Held, turn: usize, now_ms: UnixMs) -> io::Result<Self> {
        let file = folder.write(FILES.get(turn).copied().unwrap_or_default(), false)?;
        file.set_len(0)?;
        let mut head = [0; HEAD as usize];
        head[..8].copy_from_slice(MAGIC);
        head[8..].copy_from_slice(&now_ms.to_le_bytes());
        file.write_all_at(&head, 0)?;
        Ok(Self {
            folder,
            turn,
            file,
            at: HEAD,
            room: HEAD,
        })
    }

    fn resume(folder: Held, turn: usize, hashes: usize) -> io::Result<Self> {
        let file = folder.write(FILES.get(turn).copied().unwrap_or_default(), false)?;
        let at = HEAD + 8 * hashes as u64;
        // What a crash left behind the last whole hash.
        file.set_len(at)?;
        Ok(Self {
            folder,
            turn,
            file,
            at,
            room: at,
        })
    }

    fn write(&mut self, hash: u64) -> io::Result<()> {
        if self.at + 8 > self.room {
            self.room += GROWTH;
            self.file.set_len(self.room)?;
        }
        self.file.write_all_at(&hash.to_le_bytes(), self.at)?;
        self.at += 8;
        Ok(())
    }
}

/// When a file's generation began, and its hashes; none where it is none of ours.
fn read(folder: &Held, name: &str) -> io::Result<Option<(UnixMs, HashSet<u64>)>> {
    let file = match folder.read(name) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes)?;
    let Some((magic, rest)) = bytes.split_first_chunk::<8>() else {
        return Ok(None);
    };
    let Some((since, rest)) = rest.split_first_chunk::<8>().filter(|_| magic == MAGIC) else {
        return Ok(None);
    };
    let (hashes, _) = rest.as_chunks::<8>();
    let hashes = hashes.iter().map(|hash| u64::from_le_bytes(*hash));
    let seen = hashes.take_while(|hash| *hash != 0).collect();
    Ok(Some((i64::from_le_bytes(*since), seen)))
}

/// The same in every run. The id's length keeps it apart from the nonce.
fn hash(access_key_id: &str, nonce: &str) -> u64 {
    let digest = Sha256::new()
        .chain_update((access_key_id.len() as u64).to_le_bytes())
        .chain_update(access_key_id)
        .chain_update(nonce)
        .finalize();
    let first = digest.first_chunk::<8>().copied().unwrap_or_default();
    u64::from_le_bytes(first).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;
    /// What the service clock shows, where it does not matter.
    const NOW: UnixMs = 1_772_330_400_000;

    fn open(folder: &tempfile::TempDir, at: UnixMs) -> Nonces {
        Nonces::open_at(Held::open(folder.path()).unwrap(), at).unwrap()
    }

    #[test]
    fn a_nonce_counts_once_for_each_key() {
        let nonces = Nonces::default();
        assert!(nonces.use_once("a", "n", NOW));
        assert!(!nonces.use_once("a", "n", NOW));
        assert!(nonces.use_once("b", "n", NOW));
        assert!(nonces.use_once("ab", "c", NOW) && nonces.use_once("a", "bc", NOW));
    }

    #[test]
    fn a_nonce_is_remembered_over_restarts_for_its_window() {
        let folder = tempfile::tempdir().unwrap();
        let start = clock::machine_now();
        assert!(open(&folder, start).use_once("a", "first", NOW));
        assert!(open(&folder, start + MINUTE).use_once("a", "second", NOW));
        for (minutes, first) in [
            (2, false),
            (29, false),
            (31, false),
            (59, false),
            (61, true),
        ] {
            let copy = tempfile::tempdir().unwrap();
            for name in FILES {
                let _ = std::fs::copy(folder.path().join(name), copy.path().join(name));
            }
            let nonces = open(&copy, start + minutes * MINUTE);
            assert_eq!(
                nonces.use_once("a", "first", NOW),
                first,
                "after {minutes} minutes"
            );
            assert!(nonces.use_once("a", "new", NOW));
            assert!(!open(&copy, start + (minutes + 1) * MINUTE).use_once("a", "new", NOW));
        }
    }

    #[test]
    fn many_come_back_and_a_file_cut_anywhere_keeps_what_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let start = clock::machine_now();
        let count = usize::try_from(GROWTH / 8).unwrap() + 100;
        let nonces = open(&folder, start);
        for n in 0..count {
            assert!(nonces.use_once("a", &n.to_string(), NOW));
        }
        drop(nonces);
        let nonces = open(&folder, start);
        assert!((0..count).all(|n| !nonces.use_once("a", &n.to_string(), NOW)));
        drop(nonces);
        let path = folder.path().join(FILES[0]);
        let whole = std::fs::read(&path).unwrap();
        for cut in [0, 7, 15, 16, 17, 23, 24, 25] {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let nonces = open(&folder, start);
            let kept = cut.saturating_sub(16) / 8;
            assert!(
                (0..kept).all(|n| !nonces.use_once("a", &n.to_string(), NOW)),
                "cut at {cut}"
            );
            assert!(nonces.use_once("a", "another", NOW));
        }
        std::fs::write(&path, b"something else entirely").unwrap();
        assert!(open(&folder, start).use_once("a", "0", NOW));
    }

    #[test]
    fn nothing_is_forgotten_while_the_service_clock_stands_still() {
        let nonces = Nonces::default();
        let turn = |service_ms: UnixMs, nonce: &str| {
            // A window of machine time has gone by.
            nonces.0.lock().unwrap().due = clock::monotonic();
            nonces.use_once("a", nonce, service_ms)
        };
        assert!(turn(NOW, "first"));
        for _ in 0..4 {
            assert!(!turn(NOW, "first"));
            // Nor where it goes on a little.
            assert!(!turn(NOW + 14 * MINUTE, "first"));
        }
        // Its timestamp is too old for both clocks.
        let later = NOW + 2 * 30 * MINUTE;
        assert!(turn(later, "second"));
        assert!(turn(later + 30 * MINUTE, "first"));
        assert!(!turn(later + 30 * MINUTE, "second"));
    }

    #[test]
    fn a_full_generation_begins_a_new_one() {
        let nonces = Nonces::default();
        let mut seen = nonces.0.lock().unwrap();
        seen.now = (1..=LIMIT as u64).collect();
        drop(seen);
        assert!(nonces.use_once("a", "n", NOW));
        let seen = nonces.0.lock().unwrap();
        assert_eq!((seen.now.len(), seen.before.len()), (1, LIMIT));
    }
}
