//! Whether the last run ended in order, and if it did not, whether the database that it left is whole.
//!
//! SQLite keeps what was committed last in a file beside the database, the write-ahead log, and takes it up at the next start. Where that
//! file is lost (a copy of the database alone, a cleaned-up folder), the database opens as it was at its last checkpoint, without a word.
//! So each run counts itself in the database and in a small file in the data folder, which also says whether the run ended in order. A
//! count that went back, or a log that is gone although nobody closed the database, is told.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::disk::held::Held;
use crate::store::{self, Store};

const OWN_VERSION: &str = env!("CARGO_PKG_VERSION");
const NOTE: &str = "last-run.json";
const FRESH: &str = "last-run.json.new";
/// Bytes of the note that are read.
const LONGEST: u64 = 16 * 1024;

/// What is noted of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    database: PathBuf,
    /// The how-manieth run on that database it was.
    run: i64,
    in_order: bool,
    /// The program that ran; empty where it was one that did not say.
    #[serde(default)]
    version: String,
}

/// What the start of this run found, and where its own note goes.
pub struct LastRun {
    /// Where the database is a SQLite file.
    place: Option<Place>,
    trouble: Option<Trouble>,
}

struct Place {
    folder: Held,
    database: PathBuf,
    last: Option<Note>,
    run: std::sync::atomic::AtomicI64,
}

/// What is missing of what the last run left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Trouble {
    #[error("the database of the last run is not there: an empty one takes its place")]
    Database,
    #[error(
        "the last run was cut off, and the database's write-ahead log (its name with -wal) is not there: what was committed last is lost, unless another program has opened the database since"
    )]
    Log,
    #[error(
        "the database is older than the last run: what was committed since then is lost (its write-ahead log is gone, or an older copy was put back)"
    )]
    Older,
}

impl LastRun {
    /// Looks before the database is opened, which makes what is missing anew.
    pub fn look(folder: &Held, database_url: &str) -> Self {
        let Some((database, folder)) = store::file_of(database_url).zip(folder.again().ok()) else {
            return Self {
                place: None,
                trouble: None,
            };
        };
        let last = read(&folder).filter(|note| note.database == database);
        let trouble = last.as_ref().and_then(|note| missing(note, &database));
        Self {
            place: Some(Place {
                folder,
                database,
                last,
                run: Default::default(),
            }),
            trouble,
        }
    }

    /// The version that used the folder last, where that is another one than this.
    pub fn other_version(&self) -> Option<&str> {
        let last = self.place.as_ref()?.last.as_ref()?;
        let said = last.version.as_str();
        (said != OWN_VERSION).then_some(if said.is_empty() {
            "an older version"
        } else {
            said
        })
    }

    /// Tells what is lost and whether another version was here before, and counts this run.
    pub async fn tell(&self, store: &Store) {
        let Some(place) = &self.place else {
            return;
        };
        match self.other_version() {
            Some(other) if is_later(other, OWN_VERSION) => tracing::warn!(
                "the data folder was last used by localyun {other}, which is newer than this {OWN_VERSION}"
            ),
            Some(other) => tracing::info!(
                "the data folder of localyun {other} is taken up by {OWN_VERSION}; an older program may not take it back"
            ),
            None => {}
        }
        let counted = match store.run_number().await {
            Ok(counted) => counted,
            Err(error) => {
                tracing::warn!(%error, "the database does not say how many runs it has seen");
                return;
            }
        };
        let noted = place.last.as_ref().map_or(0, |note| note.run);
        let older = (counted < noted).then_some(Trouble::Older);
        // One that is gone as a whole is older too; that is the shorter word.
        let gone = self.trouble.filter(|it| *it == Trouble::Database);
        if let Some(trouble) = gone.or(older).or(self.trouble) {
            tracing::error!(database = %place.database.display(), "{trouble}");
        }
        let run = counted.max(noted) + 1;
        place.run.store(run, std::sync::atomic::Ordering::Relaxed);
        match store.keep_run_number(run).await {
            Ok(()) => place.note(run, false),
            Err(error) => tracing::warn!(%error, "this run cannot be counted in the database"),
        }
    }

    /// Notes that the database is closed in order now. Before it is: closing takes the log away, and a second signal ends the process at any
    /// moment after that.
    pub fn ends(&self) {
        self.note(true);
    }

    /// Notes that it could not be closed after all.
    pub fn is_cut_off(&self) {
        self.note(false);
    }

    fn note(&self, in_order: bool) {
        if let Some(place) = &self.place {
            let run = place.run.load(std::sync::atomic::Ordering::Relaxed);
            place.note(run, in_order);
        }
    }
}

impl Place {
    fn note(&self, run: i64, in_order: bool) {
        let note = Note {
            database: self.database.clone(),
            run,
            in_order,
            version: OWN_VERSION.to_owned(),
        };
        if let Err(error) = write(&self.folder, &note) {
            tracing::warn!(%error, "whether this run ends in order cannot be noted");
        }
    }
}

/// Whether a version comes behind another: by its numbers.
fn is_later(version: &str, other: &str) -> bool {
    let numbers = |text: &str| -> Option<Vec<u64>> {
        let plain = text.split(['-', '+']).next().unwrap_or(text);
        plain.split('.').map(|part| part.parse().ok()).collect()
    };
    matches!((numbers(version), numbers(other)), (Some(one), Some(other)) if one > other)
}

fn missing(last: &Note, database: &Path) -> Option<Trouble> {
    if !database.exists() {
        return Some(Trouble::Database);
    }
    let mut log = database.as_os_str().to_owned();
    log.push("-wal");
    // A run begins with a commit, so its log is never empty.
    let is_whole = std::fs::metadata(log).is_ok_and(|log| log.len() > 0);
    (!last.in_order && !is_whole).then_some(Trouble::Log)
}

fn read(folder: &Held) -> Option<Note> {
    let mut bytes = Vec::new();
    let file = folder.read(NOTE).ok()?;
    file.take(LONGEST).read_to_end(&mut bytes).ok()?;
    serde_json::from_slice(&bytes).ok()
}

fn write(folder: &Held, note: &Note) -> io::Result<()> {
    folder.remove(FRESH)?;
    let mut file = folder.write(FRESH, true)?;
    file.write_all(&serde_json::to_vec(note)?)?;
    file.sync_all()?;
    folder.rename(FRESH, NOTE)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bench(tempfile::TempDir);

    impl Bench {
        fn database(&self) -> PathBuf {
            self.0.path().join("localyun.db")
        }

        fn url(&self) -> String {
            format!("sqlite://{}?mode=rwc", self.database().display())
        }

        /// A run: what was told at its start, and whether it is closed in order.
        async fn run(&self, in_order: bool) -> Option<Trouble> {
            let held = Held::open(self.0.path()).unwrap();
            let last = LastRun::look(&held, &self.url());
            let store = Store::open(&self.url()).await.unwrap();
            let counted = store.run_number().await.unwrap();
            let noted = last
                .place
                .as_ref()
                .unwrap()
                .last
                .as_ref()
                .map_or(0, |note| note.run);
            last.tell(&store).await;
            let told = last.trouble.or((counted < noted).then_some(Trouble::Older));
            if in_order {
                last.ends();
                store.close().await;
            } else {
                std::mem::forget(store);
            }
            told
        }
    }

    fn wal(path: &Path) -> PathBuf {
        path.with_file_name("localyun.db-wal")
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_second_signal_while_the_database_is_closed_loses_nothing() {
        let bench = Bench(tempfile::tempdir().unwrap());
        let held = Held::open(bench.0.path()).unwrap();
        let last = LastRun::look(&held, &bench.url());
        let store = Store::open(&bench.url()).await.unwrap();
        last.tell(&store).await;
        last.ends();
        store.close().await;
        // The process ends here.
        drop(last);
        assert_eq!(bench.run(true).await, None);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_version_that_was_here_before_is_known() {
        let bench = Bench(tempfile::tempdir().unwrap());
        bench.run(true).await;
        let held = Held::open(bench.0.path()).unwrap();
        let other = || {
            let last = LastRun::look(&held, &bench.url());
            last.other_version().map(str::to_owned)
        };
        assert_eq!(other(), None);
        let mut note = read(&held).unwrap();
        for (said, told) in [("99.0.0", "99.0.0"), ("", "an older version")] {
            note.version = said.to_owned();
            write(&held, &note).unwrap();
            assert_eq!(other().as_deref(), Some(told));
        }
        // As 0.1 wrote it.
        let text = serde_json::to_string(&note).unwrap();
        assert!(serde_json::from_str::<Note>(&text.replace(",\"version\":\"\"", "")).is_ok());
        assert!(is_later("0.10.0", "0.9.9") && !is_later("0.2.0", "0.2.0"));
        assert!(is_later("1.0.0-rc", "0.2.0") && !is_later("an older version", "0.2.0"));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_lost_log_a_lost_database_and_an_older_one_are_told() {
        let bench = Bench(tempfile::tempdir().unwrap());
        assert_eq!(bench.run(true).await, None);
        assert_eq!(bench.run(true).await, None);
        std::fs::copy(bench.database(), bench.0.path().join("copy")).unwrap();
        assert_eq!(bench.run(false).await, None);
        // As it is after a kill: the log is there.
        let killed = Bench(tempfile::tempdir().unwrap());
        for name in ["localyun.db", "localyun.db-wal"] {
            std::fs::copy(bench.0.path().join(name), killed.0.path().join(name)).unwrap();
        }
        let mut note = read(&Held::open(bench.0.path()).unwrap()).unwrap();
        assert_eq!((note.run, note.in_order), (3, false));
        note.database = std::path::absolute(killed.database()).unwrap();
        write(&Held::open(killed.0.path()).unwrap(), &note).unwrap();
        let whole = killed.0.path().join("whole");
        std::fs::create_dir(&whole).unwrap();
        for name in ["localyun.db", "localyun.db-wal", NOTE] {
            std::fs::copy(killed.0.path().join(name), whole.join(name)).unwrap();
        }
        let again = || {
            for name in ["localyun.db", "localyun.db-wal", "localyun.db-shm"] {
                let _ = std::fs::remove_file(killed.0.path().join(name));
            }
            for name in ["localyun.db", "localyun.db-wal", NOTE] {
                std::fs::copy(whole.join(name), killed.0.path().join(name)).unwrap();
            }
        };
        assert_eq!(killed.run(true).await, None);
        again();
        std::fs::remove_file(wal(&killed.database())).unwrap();
        assert_eq!(killed.run(true).await, Some(Trouble::Log));
        again();
        std::fs::write(wal(&killed.database()), b"").unwrap();
        assert_eq!(killed.run(true).await, Some(Trouble::Log));
        again();
        std::fs::remove_file(killed.database()).unwrap();
        assert_eq!(killed.run(true).await, Some(Trouble::Database));
        again();
        // A log is there, and the count in it is the last run's.
        assert_eq!(killed.run(true).await, None);
        std::fs::copy(bench.0.path().join("copy"), killed.database()).unwrap();
        assert_eq!(killed.run(true).await, Some(Trouble::Older));
        assert_eq!(killed.run(true).await, None, "told once");
    }
}
