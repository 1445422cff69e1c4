//! Answering from the cassette: by action, version, form and parameters; the nearest recorded call is named when none fits.
//!
//! At the start only the names of the files are read. A call whose parameters are as they were recorded is found by the digest in the
//! name; the files of an action are all read once, when a call comes that no name finds: then their patterns decide. Calls that are alike
//! are answered in the order in which they were recorded, and from the last one on with that one.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::keep::MOST_CALLS;
use super::pattern::Pattern;
use super::{Asked, MOST_VALUES, Params, Recorded, VERSION, Values, file_part, parts_of};
use crate::clock::UnixMs;
use crate::disk::held::{Held, Kind};
use crate::likeness;
use crate::upstream::answer;
use crate::wire_time;

/// Bytes of a file that is read.
const LARGEST: u64 = 256 * 1024 * 1024;
/// Values of a file that is read: those of the largest answer that is kept, and of the call.
const CROWDED: usize = 2 * MOST_VALUES;
/// The parameter of a recorded call that stands for any further ones.
const FURTHER: &str = "*";
/// Differences that are told of the nearest recorded call.
const TOLD: usize = 5;
/// Characters of a value that are told.
const SHOWN: usize = 100;
/// Names of actions and of broken files that are told.
const NAMES_TOLD: usize = 5;

/// When a call was recorded: the instant, and the text where that is none, as people may have written it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct When(Option<UnixMs>, String);

/// What a recorded call must be asked for; its answer is read when it is given.
struct Head {
    action: String,
    version: String,
    format: String,
    recorded: When,
    params: BTreeMap<String, Vec<Pattern>>,
    /// The same as they are written, for messages.
    written: Params,
    /// Further parameters do not matter.
    open: bool,
}

/// A file of the cassette.
struct Call {
    name: String,
    used: bool,
    /// Read when it is wanted: what it fits, or what is wrong with the file.
    head: Option<Result<Head, String>>,
}

/// The calls of one action, in the order of their names.
#[derive(Default)]
struct Shelf {
    calls: Vec<Call>,
    by_stem: HashMap<String, Alike>,
}

/// Calls of one stem.
#[derive(Default)]
struct Alike {
    /// Where they are, in the order of their numbers.
    places: Vec<usize>,
    /// Before this one all were used.
    first: usize,
}

/// The folder that is answered from.
pub struct Replay {
    folder: Held,
    shelves: Mutex<BTreeMap<String, Shelf>>,
}

/// Why a call is not answered: the nearest recorded one, and what differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed(pub String);

/// The file without what is only read with the answer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileHead {
    localyun_cassette: u32,
    recorded: String,
    #[serde(rename = "upstream")]
    _upstream: IgnoredAny,
    action: String,
    version: String,
    format: String,
    params: Params,
    #[serde(rename = "answer")]
    _answer: IgnoredAny,
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn shown(values: &Values) -> String {
    match values {
        Values::One(value) => format!("{:?}", cut(value)),
        Values::Many(all) => format!("{:?}", all.iter().map(|v| cut(v)).collect::<Vec<_>>()),
    }
}

fn all(values: &Values) -> &[String] {
    match values {
        Values::One(value) => std::slice::from_ref(value),
        Values::Many(all) => all,
    }
}

impl When {
    /// With milliseconds or, as earlier versions wrote it, without.
    fn read(text: String) -> Self {
        Self(wire_time::from_signature(&text), text)
    }
}

impl Head {
    fn of(file: FileHead) -> Self {
        let open = file.params.contains_key(FURTHER);
        let mut written = file.params;
        written.remove(FURTHER);
        let read = |values: &Values| all(values).iter().map(|v| Pattern::read(v)).collect();
        Self {
            action: file.action,
            version: file.version,
            format: file.format,
            recorded: When::read(file.recorded),
            params: written
                .iter()
                .map(|(name, values)| (name.clone(), read(values)))
                .collect(),
            written,
            open,
        }
    }

    fn fits(&self, asked: &Asked) -> bool {
        self.action == asked.action
            && self.version == asked.version
            && self.format == asked.format
            && (self.open || self.params.len() == asked.params.len())
            && self.params.iter().all(|(name, patterns)| {
                let values = asked.params.get(name);
                values.is_some_and(|values| fit(patterns, all(values)))
            })
    }

    /// How a call differs that does not fit.
    fn differences(&self, asked: &Asked) -> Vec<String> {
        let mut told = Vec::new();
        let facts = [
            ("action", &self.action, asked.action.as_str()),
            ("version", &self.version, asked.version.as_str()),
            ("format", &self.format, asked.format),
        ];
        for (what, recorded, asked) in facts {
            if recorded != asked {
                told.push(format!("{what}: recorded {recorded}, asked {}", cut(asked)));
            }
        }
        for (name, patterns) in &self.params {
            let written = self.written.get(name).map(shown).unwrap_or_default();
            match asked.params.get(name) {
                None => told.push(format!("{name}: recorded {written}, not asked")),
                Some(values) if !fit(patterns, all(values)) => {
                    told.push(format!(
                        "{name}: recorded {written}, asked {}",
                        shown(values)
                    ));
                }
                Some(_) => {}
            }
        }
        let further = asked.params.iter();
        let further = further.filter(|(name, _)| !self.open && !self.params.contains_key(*name));
        told.extend(
            further.map(|(name, values)| format!("{name}: not recorded, asked {}", shown(values))),
        );
        told
    }
}

fn fit(patterns: &[Pattern], values: &[String]) -> bool {
    patterns.len() == values.len()
        && patterns
            .iter()
            .zip(values)
            .all(|(pattern, value)| pattern.fits(value))
}

impl Replay {
    /// Opens the folder and learns the names of its files.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn open(path: &Path) -> Result<Self, String> {
        let told = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let folder = Held::open(path).map_err(|error| told(&error))?;
        let mut shelves: BTreeMap<String, Shelf> = BTreeMap::new();
        let mut found: Vec<(String, String, u32, String)> = Vec::new();
        for (name, kind) in folder.entries().map_err(|error| told(&error))? {
            let Some(name) = name.to_str().filter(|_| kind == Kind::File) else {
                continue;
            };
            let Some((action, stem, number)) = parts_of(name) else {
                continue;
            };
            found.push((action.to_owned(), stem.to_owned(), number, name.to_owned()));
        }
        if found.is_empty() {
            return Err(told(&"there is no recorded call in it"));
        }
        if found.len() > MOST_CALLS {
            return Err(told(&format!(
                "it has more than {MOST_CALLS} recorded calls"
            )));
        }
        found.sort_unstable();
        for (action, stem, _, name) in found {
            let shelf = shelves.entry(action).or_default();
            let alike = shelf.by_stem.entry(stem).or_default();
            alike.places.push(shelf.calls.len());
            shelf.calls.push(Call {
                name,
                used: false,
                head: None,
            });
        }
        Ok(Self {
            folder,
            shelves: Mutex::new(shelves),
        })
    }

    /// How many calls there are.
    #[must_use]
    pub fn calls(&self) -> usize {
        let shelves = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
        shelves.values().map(|shelf| shelf.calls.len()).sum()
    }

    /// Every recorded call may be answered from its first one on again.
    pub fn rewind(&self) {
        let mut shelves = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
        for shelf in shelves.values_mut() {
            shelf.calls.iter_mut().for_each(|call| call.used = false);
            shelf.by_stem.values_mut().for_each(|alike| alike.first = 0);
        }
    }

    /// The recorded call that answers this one, and its file's name. Reads files.
    ///
    /// # Errors
    /// No recorded call fits.
    pub fn find(&self, asked: &Asked) -> Result<(String, Recorded), Missed> {
        let name = self.choose(asked)?;
        let read = self.read(&name).and_then(|text| {
            let recorded: Recorded =
                serde_json::from_slice(&text).map_err(|error| error.to_string())?;
            if !(200..600).contains(&recorded.answer.status) {
                return Err(format!(
                    "{} is no status of an answer",
                    recorded.answer.status
                ));
            }
            if recorded.answer.body.bytes().is_none() {
                return Err("body_base64 is no base64".to_owned());
            }
            Ok(recorded)
        });
        match read {
            Ok(recorded) => Ok((name, recorded)),
            Err(problem) => Err(Missed(format!("{name} fits and cannot be read: {problem}"))),
        }
    }

    fn choose(&self, asked: &Asked) -> Result<String, Missed> {
        let mut shelves = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
        let part = file_part(&asked.action);
        let Some(shelf) = shelves.get_mut(part.as_ref()) else {
            let known = shelves.keys().map(String::as_str);
            return Err(no_such_action(&asked.action, known));
        };
        if let Some(chosen) = self.among_alike(shelf, asked) {
            return Ok(chosen);
        }
        let mut fitting = Vec::new();
        for (at, call) in shelf.calls.iter_mut().enumerate() {
            if let Some(recorded) = self.fits(call, asked) {
                fitting.push((recorded.clone(), at));
            }
        }
        // Those of one instant in the order of their names.
        fitting.sort();
        let unused = fitting
            .iter()
            .find(|(_, at)| shelf.calls.get(*at).is_some_and(|call| !call.used));
        let chosen = unused.or(fitting.last()).map(|(_, at)| *at);
        match chosen.and_then(|at| shelf.calls.get_mut(at)) {
            Some(call) => {
                call.used = true;
                Ok(call.name.clone())
            }
            None => Err(nearest(shelf, asked)),
        }
    }

    /// Of the calls of the same stem the first that fits and was not used, else the last that fits.
    fn among_alike(&self, shelf: &mut Shelf, asked: &Asked) -> Option<String> {
        let alike = shelf.by_stem.get_mut(&asked.stem())?;
        let calls = &mut shelf.calls;
        let mut chosen = None;
        for at in alike.places.iter().skip(alike.first) {
            let call = calls.get_mut(*at)?;
            if !call.used && self.fits(call, asked).is_some() {
                chosen = Some(*at);
                break;
            }
        }
        if chosen.is_none() {
            for at in alike.places.iter().rev() {
                if self.fits(calls.get_mut(*at)?, asked).is_some() {
                    chosen = Some(*at);
                    break;
                }
            }
        }
        let call = calls.get_mut(chosen?)?;
        call.used = true;
        let name = call.name.clone();
        let is_used = |at: &usize| calls.get(*at).is_some_and(|call| call.used);
        while alike.places.get(alike.first).is_some_and(is_used) {
            alike.first += 1;
        }
        Some(name)
    }

    /// When a call was recorded that this one fits. Its head is read where nobody has done so.
    fn fits<'c>(&self, call: &'c mut Call, asked: &Asked) -> Option<&'c When> {
        let name = &call.name;
        let head = call.head.get_or_insert_with(|| {
            let head = self.head(name);
            if let Err(problem) = &head {
                tracing::warn!(target: "localyun::upstream::cassette::replay", file = %name, problem, "a file of the cassette cannot be read");
            }
            head
        });
        let head = head.as_ref().ok()?;
        head.fits(asked).then_some(&head.recorded)
    }

    fn head(&self, name: &str) -> Result<Head, String> {
        let text = self.read(name)?;
        let file: FileHead = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
        if file.localyun_cassette != VERSION {
            return Err(format!(
                "localyun_cassette is {} and not {VERSION}",
                file.localyun_cassette
            ));
        }
        Ok(Head::of(file))
    }

    fn read(&self, name: &str) -> Result<Vec<u8>, String> {
        let file = self.folder.read(name).map_err(|error| error.to_string())?;
        let mut text = Vec::new();
        file.take(LARGEST + 1)
            .read_to_end(&mut text)
            .map_err(|error| error.to_string())?;
        if text.len() as u64 > LARGEST {
            return Err(format!("it is larger than {LARGEST} bytes"));
        }
        if answer::values(&text) > CROWDED {
            return Err(format!("it has more than {CROWDED} values"));
        }
        Ok(text)
    }
}

fn no_such_action<'a>(action: &str, known: impl Iterator<Item = &'a str> + Clone) -> Missed {
    let near = likeness::closest(known.clone(), action);
    let hint = match near {
        Some(near) => format!("; did you mean {near}?"),
        None => {
            let some: Vec<&str> = known.take(NAMES_TOLD).collect();
            format!("; recorded are {}, …", some.join(", "))
        }
    };
    Missed(format!("no call of {} is recorded{hint}", cut(action)))
}

fn nearest(shelf: &Shelf, asked: &Asked) -> Missed {
    let heads = shelf.calls.iter().filter_map(|call| {
        let head = call.head.as_ref()?.as_ref().ok()?;
        Some((&call.name, head.differences(asked)))
    });
    let nearest = heads.min_by_key(|(_, differences)| differences.len());
    let mut told = match nearest {
        Some((name, differences)) => {
            let more = differences.len().saturating_sub(TOLD);
            let mut some: Vec<String> = differences.into_iter().take(TOLD).collect();
            if more > 0 {
                some.push(format!("and {more} more"));
            }
            format!(
                "the nearest recorded call is {name}, which differs in {}",
                some.join("; ")
            )
        }
        None => "no file of the action can be read".to_owned(),
    };
    let broken: Vec<String> = shelf
        .calls
        .iter()
        .filter_map(|call| match call.head.as_ref()? {
            Err(problem) => Some(format!("{}: {problem}", call.name)),
            Ok(_) => None,
        })
        .collect();
    if !broken.is_empty() {
        let some: Vec<&str> = broken.iter().map(String::as_str).take(NAMES_TOLD).collect();
        told.push_str(&format!(
            "; {} files cannot be read: {}",
            broken.len(),
            some.join("; ")
        ));
    }
    Missed(told)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::keep::Keeper;
    use super::super::tests::asked;
    use super::super::{Answer, Body, file_name};
    use super::*;
    use crate::upstream::answer::Said;
    use crate::upstream::forward::Arrived;
    use crate::wire::render::Format;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn keep(&self, keeper: &Keeper, query: &str, answer: &str) -> String {
            self.keep_at(0, keeper, query, answer)
        }

        fn keep_at(&self, at: UnixMs, keeper: &Keeper, query: &str, answer: &str) -> String {
            let arrived = Arrived {
                status: 200,
                headers: Vec::new(),
                body: answer.as_bytes().to_vec().into(),
                format: Format::Json,
                said: Said::default(),
            };
            keeper.keep(&asked(query), "u", at, &arrived).unwrap()
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn edit(&self, name: &str, from: &str, to: &str) {
            let text = std::fs::read_to_string(self.path(name)).unwrap();
            assert!(text.contains(from), "{text}");
            std::fs::write(self.path(name), text.replace(from, to)).unwrap();
        }
    }

    fn answered(replay: &Replay, query: &str) -> String {
        let (_, recorded) = replay.find(&asked(query)).unwrap();
        String::from_utf8(recorded.answer.body.bytes().unwrap().to_vec()).unwrap()
    }

    #[test]
    fn calls_that_are_alike_are_answered_in_their_order_and_then_by_the_last() {
        let folder = Folder::new();
        let keeper = Keeper::open(folder.0.path()).unwrap();
        for number in 1..=12 {
            folder.keep(
                &keeper,
                "A=1&StartTime=2026-11-26T10:00:00Z",
                &format!(r#"{{"N":{number}}}"#),
            );
        }
        folder.keep(&keeper, "A=2", r#"{"N":0}"#);
        let replay = Replay::open(folder.0.path()).unwrap();
        assert_eq!(replay.calls(), 13);
        for number in (1..=12).chain([12, 12]) {
            let later = format!("A=1&StartTime=2027-01-01T00:00:{number:02}Z");
            assert_eq!(answered(&replay, &later), format!(r#"{{"N":{number}}}"#));
        }
        assert_eq!(answered(&replay, "A=2"), r#"{"N":0}"#);
        replay.rewind();
        assert_eq!(
            answered(&replay, "A=1&StartTime=2026-11-26T10:00:00Z"),
            r#"{"N":1}"#
        );
    }

    #[test]
    fn edited_patterns_decide() {
        let folder = Folder::new();
        let keeper = Keeper::open(folder.0.path()).unwrap();
        let name = folder.keep(&keeper, "A=1&B=x", r#"{"N":1}"#);
        folder.edit(&name, "\"B\": \"x\"", "\"B\": \"x-{number}\"");
        let replay = Replay::open(folder.0.path()).unwrap();
        assert_eq!(answered(&replay, "A=1&B=x-7"), r#"{"N":1}"#);
        assert!(replay.find(&asked("A=1&B=x")).is_err());
        assert!(replay.find(&asked("A=1&B=x-7&C=1")).is_err());
        folder.edit(&name, "\"A\": \"1\"", "\"*\": \"{any}\"");
        let replay = Replay::open(folder.0.path()).unwrap();
        assert_eq!(answered(&replay, "B=x-7&C=1&A=5"), r#"{"N":1}"#);
        // The answer is read when it is given.
        folder.edit(&name, "\"N\": 1", "\"N\": 2");
        assert_eq!(answered(&replay, "B=x-7"), r#"{"N":2}"#);
    }

    #[test]
    fn calls_of_one_second_are_answered_in_the_order_in_which_they_were_recorded() {
        const AT: UnixMs = 1_772_330_400_000;
        let folder = Folder::new();
        let keeper = Keeper::open(folder.0.path()).unwrap();
        let mut queries = [1, 2, 3, 4].map(|number| format!("A=1&B=x{number}"));
        // Their names have the opposite order.
        queries.sort_by_key(|query| asked(query).stem());
        queries.reverse();
        let mut names = Vec::new();
        for (at, query) in (AT..).zip(&queries) {
            let name = folder.keep_at(at, &keeper, query, &format!(r#"{{"N":{at}}}"#));
            let (_, value) = query.split_once("B=").unwrap();
            folder.edit(&name, &format!("\"{value}\""), "\"{any}\"");
            names.push(name);
        }
        assert!(names.is_sorted_by(|earlier, later| earlier > later));
        // As an earlier version wrote it.
        folder.edit(&names[0], "02:00:00.000Z", "02:00:00Z");
        let replay = Replay::open(folder.0.path()).unwrap();
        for at in (AT..AT + 4).chain([AT + 3]) {
            assert_eq!(answered(&replay, "A=1&B=y"), format!(r#"{{"N":{at}}}"#));
        }
    }

    #[test]
    fn the_nearest_is_named_with_what_differs() {
        let folder = Folder::new();
        let keeper = Keeper::open(folder.0.path()).unwrap();
        folder.keep(&keeper, "A=1&B=1&C=1", "{}");
        let near = folder.keep(&keeper, "A=1&B=2", "{}");
        let replay = Replay::open(folder.0.path()).unwrap();
        let Missed(told) = replay
            .find(&asked("A=1&B=3&NotifyAuthKey=tell"))
            .unwrap_err();
        assert_eq!(
            told,
            format!(
                "the nearest recorded call is {near}, which differs in B: recorded \"2\", asked \"3\"; NotifyAuthKey: not recorded, asked \"***\""
            )
        );
        let Missed(told) = replay
            .find(&asked("Action=DescribeLiveDomainLogs"))
            .unwrap_err();
        assert_eq!(
            told,
            "no call of DescribeLiveDomainLogs is recorded; did you mean DescribeLiveDomainLog?"
        );
    }

    #[test]
    fn a_broken_file_is_named_and_the_others_answer() {
        let folder = Folder::new();
        let keeper = Keeper::open(folder.0.path()).unwrap();
        let name = folder.keep(&keeper, "A=1", "{}");
        let other = folder.keep(&keeper, "A=2", "{}");
        std::fs::write(folder.path(&name), "{").unwrap();
        let replay = Replay::open(folder.0.path()).unwrap();
        let Missed(told) = replay.find(&asked("A=1")).unwrap_err();
        assert!(
            told.contains("1 files cannot be read") && told.contains(&name),
            "{told}"
        );
        assert_eq!(answered(&replay, "A=2"), "{}");
        folder.edit(&other, "\"status\": 200", "\"status\": 20");
        let Missed(told) = replay.find(&asked("A=2")).unwrap_err();
        assert!(told.contains("20 is no status"), "{told}");
        let crowded = format!("\"params\": {{\"B\": [{}\"\"],", "\"\",".repeat(CROWDED));
        folder.edit(&other, "\"params\": {", &crowded);
        let replay = Replay::open(folder.0.path()).unwrap();
        let Missed(told) = replay.find(&asked("A=2")).unwrap_err();
        assert!(told.contains("more than 400000 values"), "{told}");
        let empty = tempfile::tempdir().unwrap();
        assert!(Replay::open(empty.path()).is_err());
        assert!(Replay::open(&empty.path().join("none")).is_err());
    }

    #[test]
    fn ten_thousand_calls_are_not_read_to_start_and_one_is_read_to_answer() {
        let folder = Folder::new();
        let mut texts = Vec::new();
        for number in 0..10_000 {
            let call = asked(&format!("StreamName=s{number}"));
            let recorded = Recorded {
                localyun_cassette: VERSION,
                recorded: String::new(),
                upstream: String::new(),
                action: call.action.clone(),
                version: call.version.clone(),
                format: "JSON".to_owned(),
                params: call.recorded_params(),
                answer: Answer {
                    status: 200,
                    headers: BTreeMap::new(),
                    body: Body::Text(format!("{number}")),
                },
            };
            // All but the one that is asked for are no cassette at all: reading them would show.
            let text = match number {
                7_777 => serde_json::to_string(&recorded).unwrap(),
                _ => "no JSON".to_owned(),
            };
            texts.push((file_name(&call.stem(), 1), text));
        }
        for (name, text) in texts {
            std::fs::write(folder.path(&name), text).unwrap();
        }
        let began = crate::clock::monotonic();
        let replay = Replay::open(folder.0.path()).unwrap();
        assert_eq!(answered(&replay, "StreamName=s7777"), "7777");
        assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
        let shelves = replay.shelves.lock().unwrap();
        let read = shelves.values().flat_map(|shelf| &shelf.calls);
        assert_eq!(read.filter(|call| call.head.is_some()).count(), 1);
    }
}
