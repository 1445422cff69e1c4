//! Writing calls into the cassette's folder: whole or not at all, within bounds, never through a link, by one process at a time.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::{Answer, Asked, Body, HEADERS, Recorded, VERSION, file_name, parts_of};
use crate::clock::UnixMs;
use crate::disk::held::{Held, Kind};
use crate::secrets;
use crate::upstream::forward::Arrived;
use crate::wire_time;

/// Calls that a cassette has at most.
pub const MOST_CALLS: usize = 100_000;
/// Bytes that its files have together at most.
pub const MOST_BYTES: u64 = 1 << 30;
/// How the name of a file ends that is being written.
const UNFINISHED: &str = ".part";

#[derive(Default)]
struct Kept {
    /// The highest number of each stem.
    numbers: HashMap<String, u32>,
    calls: usize,
    bytes: u64,
}

/// The folder that is written to.
pub struct Keeper {
    folder: Held,
    kept: Mutex<Kept>,
    most: (usize, u64),
}

/// An instant with its milliseconds: calls are replayed in the order of these instants, and a second has many.
fn instant(at: UnixMs) -> String {
    let second = wire_time::to_api(at);
    let second = second.trim_end_matches('Z');
    format!("{second}.{:03}Z", at.rem_euclid(1_000))
}

fn told(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}

impl Keeper {
    /// Opens the folder, which is made where there is none; what it holds is added to.
    ///
    /// # Errors
    /// Why it cannot be written to.
    pub fn open(path: &Path) -> Result<Self, String> {
        std::fs::create_dir_all(path).map_err(|error| told(path, &error))?;
        let folder = Held::open(path).map_err(|error| told(path, &error))?;
        let alone = folder.take_alone().map_err(|error| told(path, &error))?;
        if !alone {
            let problem = "another localyun keeps its calls there";
            return Err(format!("{}: {problem}", path.display()));
        }
        let keeper = Self {
            kept: Mutex::new(survey(&folder).map_err(|error| told(path, &error))?),
            folder,
            most: (MOST_CALLS, MOST_BYTES),
        };
        // Better now than with the first call.
        let tried = keeper.write_whole(".localyun", b"");
        tried.map_err(|error| told(path, &error))?;
        let gone = keeper.folder.remove(".localyun");
        gone.map_err(|error| told(path, &error))?;
        Ok(keeper)
    }

    /// Keeps a call and its answer; gives the file's name. It is on disk when this returns.
    ///
    /// # Errors
    /// Why it could not be kept.
    pub fn keep(
        &self,
        asked: &Asked,
        place: &str,
        at: UnixMs,
        arrived: &Arrived,
    ) -> Result<String, String> {
        let header = |name: &str| {
            let found = arrived.headers.iter().find(|(known, _)| *known == name);
            found.map(|(name, value)| ((*name).to_owned(), secrets::text(value).into_owned()))
        };
        let recorded = Recorded {
            localyun_cassette: VERSION,
            recorded: instant(at),
            upstream: place.to_owned(),
            action: asked.action.clone(),
            version: asked.version.clone(),
            format: asked.format.to_owned(),
            params: asked.recorded_params(),
            answer: Answer {
                status: arrived.status,
                headers: HEADERS.iter().filter_map(|name| header(name)).collect(),
                body: Body::of(&arrived.body, arrived.format)
                    .map_err(|problem| format!("its answer cannot be looked through: {problem}"))?,
            },
        };
        let mut text = serde_json::to_vec_pretty(&recorded).map_err(|error| error.to_string())?;
        text.push(b'\n');
        let stem = asked.stem();
        let size = u64::try_from(text.len()).unwrap_or(u64::MAX);
        let name = {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            let (calls, bytes) = self.most;
            if kept.calls >= calls {
                return Err(format!("the cassette has {calls} calls, the most it holds"));
            }
            if kept.bytes.saturating_add(size) > bytes {
                return Err(format!("the cassette would have more than {bytes} bytes"));
            }
            kept.calls += 1;
            kept.bytes += size;
            let number = kept.numbers.entry(stem.clone()).or_default();
            *number += 1;
            file_name(&stem, *number)
        };
        self.write_whole(&name, &text)
            .map_err(|error| told(self.folder.path(), &error))?;
        Ok(name)
    }

    fn write_whole(&self, name: &str, text: &[u8]) -> io::Result<()> {
        let unfinished = format!(".{name}{UNFINISHED}");
        let written = (|| {
            let mut file = self.folder.write(&unfinished, true)?;
            file.write_all(text)?;
            file.sync_all()?;
            self.folder.rename(&unfinished, name)?;
            self.folder.sync()
        })();
        if written.is_err() {
            // What could not be written whole is nothing.
            let _ = self.folder.remove(&unfinished);
        }
        written
    }
}

/// What a folder holds already. What an earlier run left unfinished is removed.
fn survey(folder: &Held) -> io::Result<Kept> {
    let mut kept = Kept::default();
    for (name, kind) in folder.entries()? {
        let Some(name) = name.to_str().filter(|_| kind == Kind::File) else {
            continue;
        };
        let unfinished = name.strip_prefix('.');
        let unfinished = unfinished.and_then(|name| name.strip_suffix(UNFINISHED));
        if unfinished.is_some_and(|name| parts_of(name).is_some()) {
            folder.remove(name)?;
            continue;
        }
        let Some((_, stem, number)) = parts_of(name) else {
            continue;
        };
        kept.calls += 1;
        kept.bytes += folder.read(name)?.metadata()?.len();
        let highest = kept.numbers.entry(stem.to_owned()).or_default();
        *highest = number.max(*highest);
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::super::tests::asked;
    use super::*;
    use crate::upstream::answer::Said;
    use crate::wire::render::Format;

    const AT: UnixMs = 1_772_330_400_007;

    fn arrived(body: &str) -> Arrived {
        Arrived {
            status: 200,
            headers: vec![
                ("content-type", "application/json;charset=utf-8".into()),
                ("x-acs-trace-id", "another one each time".into()),
            ],
            body: body.as_bytes().to_vec().into(),
            format: Format::Json,
            said: Said::default(),
        }
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_call_is_a_file_that_people_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/cassette");
        let keeper = Keeper::open(&path).unwrap();
        let call = asked("DomainName=d&NotifyAuthKey=tell-nobody");
        let answer = arrived(r#"{"RequestId":"A","AuthKey":"tell-nobody"}"#);
        let first = keeper.keep(&call, "http://up", AT, &answer).unwrap();
        let second = keeper.keep(&call, "http://up", AT, &answer).unwrap();
        assert_eq!(names(&path), [first.clone(), second.clone()]);
        assert!(first.ends_with(".1.json") && second.ends_with(".2.json"));
        let text = std::fs::read_to_string(path.join(&first)).unwrap();
        assert_eq!(
            text,
            "{\n  \"localyun_cassette\": 1,\n  \"recorded\": \"2026-03-01T02:00:00.007Z\",\n  \"upstream\": \"http://up\",\n  \"action\": \"DescribeLiveDomainLog\",\n  \"version\": \"2016-11-01\",\n  \"format\": \"JSON\",\n  \"params\": {\n    \"DomainName\": \"d\",\n    \"NotifyAuthKey\": \"***\"\n  },\n  \"answer\": {\n    \"status\": 200,\n    \"headers\": {\n      \"content-type\": \"application/json;charset=utf-8\"\n    },\n    \"body\": {\n      \"RequestId\": \"A\",\n      \"AuthKey\": \"***\"\n    }\n  }\n}\n"
        );
        // A later run goes on behind them.
        drop(keeper);
        let third = Keeper::open(&path)
            .unwrap()
            .keep(&call, "http://up", AT, &answer);
        assert!(third.unwrap().ends_with(".3.json"));
    }

    #[test]
    fn bounds_hold_and_the_last_that_fits_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut keeper = Keeper::open(folder.path()).unwrap();
        keeper.most = (3, MOST_BYTES);
        let keep = |keeper: &Keeper| keeper.keep(&asked("A=1"), "u", AT, &arrived("{}"));
        for _ in 0..3 {
            keep(&keeper).unwrap();
        }
        assert!(keep(&keeper).unwrap_err().contains("has 3 calls"));
        let size = std::fs::metadata(folder.path().join(&names(folder.path())[0]));
        let size = size.unwrap().len();
        keeper.most = (5, 4 * size);
        keep(&keeper).unwrap();
        assert!(keep(&keeper).unwrap_err().contains("bytes"));
        assert_eq!(names(folder.path()).len(), 4);
    }

    #[test]
    fn nothing_goes_through_links_and_two_do_not_write_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(elsewhere.path(), &link).unwrap();
        assert!(Keeper::open(&link).is_err());
        let keeper = Keeper::open(elsewhere.path()).unwrap();
        let second = Keeper::open(elsewhere.path()).map(|_| ()).unwrap_err();
        assert!(second.contains("another localyun"), "{second}");
        // A link in the place of the file that is written.
        let call = asked("A=1");
        let victim = folder.path().join("victim");
        std::fs::write(&victim, "mine").unwrap();
        let unfinished = format!(".{}{UNFINISHED}", file_name(&call.stem(), 1));
        std::os::unix::fs::symlink(&victim, elsewhere.path().join(unfinished)).unwrap();
        assert!(keeper.keep(&call, "u", AT, &arrived("{}")).is_err());
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "mine");
        // A file in the place of the folder.
        assert!(Keeper::open(&victim).is_err());
    }

    #[test]
    fn what_a_crash_left_unfinished_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let name = file_name(&asked("A=1").stem(), 1);
        for file in [
            format!(".{name}{UNFINISHED}"),
            ".x.part".to_owned(),
            "README.md".to_owned(),
        ] {
            std::fs::write(folder.path().join(file), "half").unwrap();
        }
        Keeper::open(folder.path()).unwrap();
        assert_eq!(names(folder.path()), [".x.part", "README.md"]);
    }
}
