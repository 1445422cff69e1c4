//! The names of a folder in the order of the keys that they stand for, a run at a time.
//!
//! A folder gives its names in no order, so the next thousand of a million cannot be had without looking at all of them. A run is what one
//! look yields: the first many names behind a place. It is kept for the pages that follow, as long as the folder is as it was, which its
//! times tell. A folder that is being written to is looked at anew for each page, and for fewer names.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use super::error::FolderError;
use super::key::{Entry, decode};
use super::layout::is_absent;
use crate::clock::{machine_now, monotonic};

/// Names of one run at most, in a folder that rests and in one that does not.
const LONG_RUN: usize = 65_536;
const SHORT_RUN: usize = 1200;
/// A folder that changed longer ago than this rests: no file system counts time more coarsely (FAT: two seconds).
const REST_MS: i64 = 2_000;
/// The same where the folder's time shows that its file system counts in ticks of the kernel: no kernel has longer ones than 10 ms.
const REST_OF_TICKS_MS: i64 = 50;
/// A time that is no multiple of this is of such a file system: the coarser ones count in 10 ms (exFAT), seconds or two.
const COARSE_NS: u32 = 10_000_000;
/// Bytes of all runs that are kept.
const KEPT_BYTES: usize = 32 * 1024 * 1024;
/// How long a run is kept that nobody asks for.
const KEPT_FOR: Duration = Duration::from_secs(60);
/// Folders that are still to be looked into, at most.
const MAX_FOLDERS: usize = 4096;
/// What a name takes besides its letters.
const NAME_BYTES: usize = 64;

/// One entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// What it adds to the keys below; a folder's ends in `/` where its segment does.
    pub text: Box<str>,
    pub folder: bool,
    /// Its name on disk where that is another.
    file_name: Option<Box<str>>,
}

impl Name {
    /// Reads a directory entry; none for what no key produces.
    fn read(file_name: &str, folder: bool) -> Option<Self> {
        let (Entry::File(text) | Entry::Folder(text)) = decode(file_name, folder)?;
        let plain = text.strip_suffix('/').filter(|_| folder).unwrap_or(&text);
        let file_name = (plain != file_name).then(|| file_name.into());
        Some(Self {
            text: text.into(),
            folder,
            file_name,
        })
    }

    pub fn file_name(&self) -> &str {
        match &self.file_name {
            Some(name) => name,
            None if self.folder => self.text.strip_suffix('/').unwrap_or(&self.text),
            None => &self.text,
        }
    }

    fn bytes(&self) -> usize {
        NAME_BYTES + self.text.len() + self.file_name.as_ref().map_or(0, |name| name.len())
    }

    /// Whether keys behind `place` may stand at or below it.
    fn reaches(&self, place: &Place) -> bool {
        match (*self.text).cmp(&place.text) {
            Ordering::Greater => true,
            Ordering::Equal => match place.side {
                Side::From => true,
                Side::Behind => self.folder,
                Side::Past => false,
            },
            Ordering::Less => {
                place.side != Side::Past && self.folder && place.text.starts_with(&*self.text)
            }
        }
    }
}

/// Where to go on in a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub text: String,
    pub side: Side,
}

/// Which names count beside a place. A folder that stands before it may hold keys behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The name itself, and folders that reach beyond the place.
    From,
    /// Folders that reach beyond the place.
    Behind,
    /// Nothing but what sorts after it: all else was taken.
    Past,
}

/// Names of a folder in order, without a gap, from a place on.
#[derive(Debug)]
pub struct Run {
    from: Place,
    names: Vec<Name>,
    /// There are more behind them.
    pub more: bool,
}

impl Run {
    pub fn get(&self, at: usize) -> Option<&Name> {
        self.names.get(at)
    }

    /// The first name that may hold keys behind a place.
    pub fn seek(&self, place: &Place) -> usize {
        let at = self.names.partition_point(|name| *name.text < *place.text);
        // At most one folder stands before the place and reaches beyond it, and nothing lies between.
        let before = at
            .checked_sub(1)
            .and_then(|at| Some((at, self.names.get(at)?)));
        match before {
            Some((before, name)) if name.reaches(place) => before,
            _ => match self.names.get(at) {
                Some(name) if !name.reaches(place) => at + 1,
                _ => at,
            },
        }
    }

    fn covers(&self, place: &Place) -> bool {
        let reaches = |last: &Name| match (*last.text).cmp(&place.text) {
            Ordering::Greater => true,
            Ordering::Equal => place.side != Side::Past,
            Ordering::Less => false,
        };
        // A run that begins behind a folder lacks the folder, in which the place may lie.
        let is_inside = self.from.side == Side::Past
            && place.text.len() > self.from.text.len()
            && place.text.starts_with(&*self.from.text);
        !is_inside && self.from <= *place && (!self.more || self.names.last().is_some_and(reaches))
    }

    fn bytes(&self) -> usize {
        self.names.iter().map(Name::bytes).sum()
    }
}

/// What tells that a folder changed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    #[cfg(unix)]
    node: (u64, u64, i64, i64),
    modified: std::time::SystemTime,
}

impl State {
    fn of(folder: &Path) -> std::io::Result<Self> {
        let metadata = fs::symlink_metadata(folder)?;
        Ok(Self {
            #[cfg(unix)]
            node: {
                use std::os::unix::fs::MetadataExt;
                (
                    metadata.dev(),
                    metadata.ino(),
                    metadata.ctime(),
                    metadata.ctime_nsec(),
                )
            },
            modified: metadata.modified()?,
        })
    }

    fn rests(&self) -> bool {
        let since = self.modified.duration_since(std::time::UNIX_EPOCH);
        since.is_ok_and(|since| rests(since, machine_now()))
    }
}

/// Whether a folder that changed at `since` would show a change from now on by another time.
fn rests(since: Duration, now_ms: i64) -> bool {
    let modified = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    let is_fine = !since.subsec_nanos().is_multiple_of(COARSE_NS);
    let rest = if is_fine { REST_OF_TICKS_MS } else { REST_MS };
    now_ms.saturating_sub(modified) >= rest
}

struct Kept {
    folder: PathBuf,
    state: State,
    run: Arc<Run>,
    bytes: usize,
    used: Instant,
}

/// The runs that are kept, the one used last behind.
#[derive(Default)]
pub struct Runs {
    kept: Mutex<VecDeque<Kept>>,
}

impl Runs {
    /// Names of a folder from a place on; none when it is gone.
    pub fn read(&self, folder: &Path, place: &Place) -> Result<Option<Arc<Run>>, FolderError> {
        let state = match State::of(folder) {
            Ok(state) => state,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if let Some(run) = self.find(folder, &state, place) {
            return Ok(Some(run));
        }
        let rests = state.rests();
        let limit = if rests { LONG_RUN } else { SHORT_RUN };
        let Some(run) = scan(folder, place, limit)? else {
            return Ok(None);
        };
        let run = Arc::new(run);
        // A short run that holds all there is costs little to read again.
        let worth_it = run.more || run.names.len() > SHORT_RUN;
        if rests && worth_it && State::of(folder).is_ok_and(|now| now == state) {
            self.keep(folder, state, &run);
        }
        Ok(Some(run))
    }

    fn find(&self, folder: &Path, state: &State, place: &Place) -> Option<Arc<Run>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|kept| {
            kept.used.elapsed() < KEPT_FOR && (kept.folder != folder || kept.state == *state)
        });
        let at = kept
            .iter()
            .position(|kept| kept.folder == folder && kept.run.covers(place))?;
        let mut found = kept.remove(at)?;
        found.used = monotonic();
        let run = found.run.clone();
        kept.push_back(found);
        Some(run)
    }

    fn keep(&self, folder: &Path, state: State, run: &Arc<Run>) {
        let bytes = run.bytes();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut total = bytes + kept.iter().map(|kept| kept.bytes).sum::<usize>();
        while total > KEPT_BYTES {
            let Some(oldest) = kept.pop_front() else {
                return;
            };
            total -= oldest.bytes;
        }
        kept.push_back(Kept {
            folder: folder.to_owned(),
            state,
            run: run.clone(),
            bytes,
            used: monotonic(),
        });
    }
}

/// The first `limit` names of a folder from a place on.
fn scan(folder: &Path, place: &Place, limit: usize) -> Result<Option<Run>, FolderError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        // Emptied and removed since it was seen.
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut names: Vec<Name> = Vec::new();
    let mut last: Option<Box<str>> = None;
    let mut more = false;
    for entry in entries {
        let entry = entry?;
        let file_name = entry.file_name();
        let Some(file_name) = file_name.to_str() else {
            tell(&entry);
            continue;
        };
        let kind = entry.file_type()?;
        if !kind.is_file() && !kind.is_dir() {
            continue;
        }
        // Most names are their own text, and most lie outside of the run.
        if kind.is_file() && !file_name.contains('%') {
            if last.as_deref().is_some_and(|last| file_name > last) {
                continue;
            }
            if file_name < place.text.as_str()
                || (file_name == place.text && place.side != Side::From)
            {
                continue;
            }
        }
        let Some(name) = Name::read(file_name, kind.is_dir()) else {
            tell(&entry);
            continue;
        };
        if !name.reaches(place) {
            continue;
        }
        if last.as_deref().is_some_and(|last| *name.text > *last) {
            continue;
        }
        names.push(name);
        if names.len() >= limit.saturating_mul(2) {
            cut(&mut names, limit);
            last = names.iter().map(|name| &name.text).max().cloned();
            more = true;
        }
    }
    if names.len() > limit {
        cut(&mut names, limit);
        more = true;
    }
    names.sort_unstable_by(|left, right| left.text.cmp(&right.text));
    Ok(Some(Run {
        from: place.clone(),
        names,
        more,
    }))
}

/// Says once what lies in a folder and is in no listing.
fn tell(entry: &DirEntry) {
    static TOLD: Once = Once::new();
    TOLD.call_once(|| {
        let path = entry.path();
        tracing::warn!(target: "localyun::objects::folder::names", path = %path.display(), "no key has this name on disk, so what lies there is no object; told once");
    });
}

/// Leaves the first `limit`.
fn cut(names: &mut Vec<Name>, limit: usize) {
    names.select_nth_unstable_by(limit, |left, right| left.text.cmp(&right.text));
    names.truncate(limit);
}

/// Whether a folder holds any object, at whatever depth. Folders without any are rare, so where very many are to be looked into, it does.
pub fn holds_objects(folder: PathBuf) -> Result<bool, FolderError> {
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if is_absent(&error) => continue,
            Err(error) => return Err(error.into()),
        };
        for entry in entries {
            let entry = entry?;
            let kind = entry.file_type()?;
            let file_name = entry.file_name();
            let name = file_name
                .to_str()
                .filter(|_| kind.is_file() || kind.is_dir())
                .and_then(|name| Name::read(name, kind.is_dir()));
            match name {
                None => {}
                Some(name) if !name.folder || folders.len() >= MAX_FOLDERS => return Ok(true),
                Some(_) => folders.push(entry.path()),
            }
        }
    }
    Ok(false)
}

/// Removes a folder, and folders in it, as long as there is nothing but folders. Else what lies there stays, and its path is told.
pub fn remove_empty(folder: PathBuf) -> Result<Option<PathBuf>, FolderError> {
    let mut open = vec![folder];
    while let Some(inner) = open.last() {
        let first = fs::read_dir(inner)?.next().transpose()?;
        match first {
            None => {
                fs::remove_dir(inner)?;
                open.pop();
            }
            Some(entry) if entry.file_type()?.is_dir() => open.push(entry.path()),
            Some(entry) => return Ok(Some(entry.path())),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str, inclusive: bool) -> Place {
        Place {
            text: text.to_owned(),
            side: if inclusive { Side::From } else { Side::Behind },
        }
    }

    fn texts(run: &Run, from: &Place) -> Vec<String> {
        (run.seek(from)..)
            .map_while(|at| run.get(at))
            .map(|name| name.text.to_string())
            .collect()
    }

    fn folder_of(files: impl Iterator<Item = String>, folders: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("folder");
        for name in files {
            fs::write(root.path().join(name), b"").expect("file");
        }
        for name in folders {
            fs::create_dir(root.path().join(name)).expect("folder");
        }
        root
    }

    fn rest(root: &Path) {
        let long_ago = std::time::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        fs::File::open(root)
            .and_then(|folder| folder.set_modified(long_ago))
            .expect("times of a folder");
    }

    #[test]
    fn a_run_that_begins_behind_a_folder_says_nothing_of_what_is_in_it() {
        let root = folder_of(["b".to_owned()].into_iter(), &["a"]);
        let behind = Place {
            text: "a/".to_owned(),
            side: Side::Past,
        };
        let run = scan(root.path(), &behind, 7).unwrap().unwrap();
        assert_eq!(texts(&run, &behind), ["b"]);
        assert!(run.covers(&behind) && run.covers(&place("b", false)));
        assert!(!run.covers(&place("a/x", false)));
    }

    #[test]
    fn a_run_is_the_first_names_from_a_place_on() {
        let long = "b".repeat(180);
        let start = format!("{long}%+");
        let root = folder_of((0..50).map(|n| format!("{n:02}")), &["a", start.as_str()]);
        let run = scan(root.path(), &place("10", false), 7)
            .expect("scan")
            .expect("there");
        assert!(run.more);
        assert_eq!(
            texts(&run, &place("10", false)),
            ["11", "12", "13", "14", "15", "16", "17"]
        );
        assert_eq!(texts(&run, &place("16", true)), ["16", "17"]);
        assert_eq!(texts(&run, &place("16", false)), ["17"]);
        let all = scan(root.path(), &place("", true), 1000)
            .expect("scan")
            .expect("there");
        assert!(!all.more);
        assert_eq!(all.names.len(), 52);
        // A folder before the place may hold keys behind it.
        assert_eq!(texts(&all, &place("a/x", false)), ["a/", long.as_str()]);
        let inside = format!("{long}cd");
        assert_eq!(texts(&all, &place(&inside, false)), [long.as_str()]);
        assert_eq!(texts(&all, &place("a/", false)), ["a/", long.as_str()]);
        assert!(texts(&all, &place("c", false)).is_empty());
        let past = |text: &str| Place {
            side: Side::Past,
            ..place(text, true)
        };
        assert_eq!(texts(&all, &past("a/")), [long.as_str()]);
        assert_eq!(texts(&all, &past("48")), ["49", "a/", long.as_str()]);
        let gone = scan(&root.path().join("gone"), &place("", true), 9).expect("scan");
        assert!(gone.is_none());
    }

    #[test]
    fn a_folder_rests_as_soon_as_its_time_would_tell_the_next_change() {
        let at = |ns| Duration::new(1_000, ns);
        for (changed, ms, does) in [
            (at(123_456_789), 49, false),
            (at(123_456_789), 51, true),
            // A file system of whole seconds, or of hundredths, or by chance neither.
            (at(0), 1_999, false),
            (at(0), 2_000, true),
            (at(120_000_000), 1_000, false),
            (at(120_000_000), 2_000, true),
            // A clock that was set back.
            (at(123_456_789), -5_000, false),
        ] {
            let now = i64::try_from(changed.as_millis()).unwrap() + ms;
            assert_eq!(rests(changed, now), does, "{changed:?} + {ms}");
        }
    }

    #[test]
    fn a_folder_that_was_just_filled_is_looked_through_once() {
        let root = folder_of((0..3000).map(|n| format!("{n:04}")), &[]);
        let runs = Runs::default();
        let ago = machine_now() - 2 * REST_OF_TICKS_MS;
        let ago = Duration::from_millis(u64::try_from(ago).expect("after 1970"));
        fs::File::open(root.path())
            .and_then(|folder| {
                folder.set_modified(std::time::UNIX_EPOCH + ago + Duration::from_nanos(321))
            })
            .expect("times of a folder");
        let read = |from: &str| runs.read(root.path(), &place(from, false)).expect("read");
        let first = read("").expect("there");
        for page in ["0999", "1999", "2999"] {
            assert!(Arc::ptr_eq(&first, &read(page).expect("there")), "{page}");
        }
    }

    #[test]
    fn a_run_is_kept_while_its_folder_rests() {
        let root = folder_of((0..3000).map(|n| format!("{n:04}")), &[]);
        let runs = Runs::default();
        let read = |from: &Place| runs.read(root.path(), from).expect("read").expect("there");
        // What was written just now may change again within the same tick of the clock.
        let fresh = read(&place("", true));
        assert!(fresh.more && runs.kept.lock().expect("kept").is_empty());
        rest(root.path());
        let first = read(&place("", true));
        assert!(!first.more);
        assert!(Arc::ptr_eq(&first, &read(&place("2000", false))));
        fs::write(root.path().join("2000a"), b"").expect("file");
        let changed = read(&place("2000", false));
        assert_eq!(texts(&changed, &place("2000", false))[0], "2000a");
        rest(root.path());
        let behind = read(&place("1000", false));
        assert!(
            !Arc::ptr_eq(&behind, &read(&place("0500", false))),
            "it begins too late"
        );
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let runs = Runs::default();
        let root = folder_of(std::iter::empty(), &[]);
        for number in 0..20 {
            let names = (0..LONG_RUN)
                .map(|name| Name {
                    text: format!("{name:032}").into(),
                    folder: false,
                    file_name: None,
                })
                .collect();
            let run = Arc::new(Run {
                from: place("", true),
                names,
                more: true,
            });
            let state = State::of(root.path()).expect("state");
            runs.keep(&root.path().join(number.to_string()), state, &run);
            let kept = runs.kept.lock().expect("kept");
            assert!(kept.iter().map(|kept| kept.bytes).sum::<usize>() <= KEPT_BYTES);
            assert!(kept.iter().any(|kept| Arc::ptr_eq(&kept.run, &run)));
        }
    }
}
