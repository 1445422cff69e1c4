//! The code map: rooms from the top floor down, what each is for, and which of the rooms below it each may use.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde::Deserialize;

use crate::arrows::{Source, lies_in};
use crate::project;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Map {
    /// From the top floor down.
    room: Vec<Room>,
    /// Arrows that run up for a while, each with its reason: at most [`MOST_UP`].
    #[serde(default)]
    up: Vec<Up>,
    /// Libraries that only some modules may name.
    #[serde(default)]
    library: Vec<Library>,
}

/// A room is one module or a few, each with everything below it that has no row of its own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Room {
    name: String,
    /// The modules in it; where none is named, the one that is called as the room is.
    #[serde(default)]
    modules: Vec<String>,
    /// What it is for; a cell of the table.
    job: String,
    /// Names of rooms that stand below this one; `*` is every one of them.
    #[serde(default)]
    uses: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Up {
    from: String,
    to: String,
    why: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Library {
    name: String,
    /// Modules, each with everything below it.
    modules: Vec<String>,
}

impl Room {
    fn modules(&self) -> &[String] {
        if self.modules.is_empty() {
            std::slice::from_ref(&self.name)
        } else {
            &self.modules
        }
    }
}

/// Arrows that may run up at a time, while somebody moves what they need.
const MOST_UP: usize = 2;

/// Where the table stands in the document.
const DOCUMENT: &str = "docs/architecture.md";
const BEGIN: &str = "<!-- code map: begin -->\n";
const END: &str = "<!-- code map: end -->\n";

impl Map {
    pub fn of_the_project() -> Self {
        let text = std::fs::read_to_string(project().join("tests/tidy/map.toml")).unwrap();
        Self::read(&text)
    }

    pub fn read(text: &str) -> Self {
        let map: Self = toml::from_str(text).unwrap_or_else(|error| panic!("map.toml: {error}"));
        for (floor, room) in map.room.iter().enumerate() {
            for used in room.uses.iter().filter(|used| *used != "*") {
                let below = map.room.iter().position(|other| other.name == *used);
                assert!(
                    below.is_some_and(|below| below > floor),
                    "map.toml: {} may use only rooms that stand below it, and {used} does not",
                    room.name
                );
            }
        }
        assert!(
            map.up.len() <= MOST_UP,
            "map.toml: {} arrows run up; {MOST_UP} are borne at most",
            map.up.len()
        );
        for Up { why, .. } in &map.up {
            assert!(
                why.split_whitespace().count() > 3,
                "map.toml: a reason of a few words: {why:?}"
            );
        }
        map
    }

    /// The floor of the room that a module lies in: that with the longest name that begins the module's.
    fn floor(&self, module: &str) -> Option<usize> {
        let rooms = self.room.iter().enumerate();
        let (floor, _) = rooms
            .flat_map(|(floor, room)| room.modules().iter().map(move |name| (floor, name)))
            .filter(|(_, name)| lies_in(module, name))
            .max_by_key(|(_, name)| name.len())?;
        Some(floor)
    }

    /// The arrows between rooms, each with an example of it.
    fn arrows(&self, source: &Source) -> BTreeMap<(usize, usize), String> {
        let mut arrows = BTreeMap::new();
        for arrow in &source.arrows {
            let (Some(from), Some(to)) = (self.floor(&arrow.from), self.floor(&arrow.to)) else {
                continue;
            };
            if from != to {
                arrows.entry((from, to)).or_insert_with(|| {
                    format!("{} takes {} from {}", arrow.from, arrow.taken, arrow.to)
                });
            }
        }
        arrows
    }

    fn is_excused(&self, from: usize, to: usize) -> bool {
        self.up
            .iter()
            .any(|up| up.from == self.room[from].name && up.to == self.room[to].name)
    }

    /// Modules without a room, and arrows that run up or that no row allows.
    pub fn arrows_against(&self, source: &Source) -> Vec<String> {
        let homeless = source
            .modules
            .iter()
            .filter(|module| !module.path.is_empty() && self.floor(&module.path).is_none())
            .map(|module| format!("src/{} lies in no room of map.toml", module.file));
        let arrows = self.arrows(source);
        let wrong = arrows.iter().filter_map(|((from, to), example)| {
            let (above, below) = (&self.room[*from], &self.room[*to]);
            if self.is_excused(*from, *to) {
                None
            } else if to < from {
                Some(format!(
                    "an arrow up from {} to {}: {example}",
                    above.name, below.name
                ))
            } else if above
                .uses
                .iter()
                .any(|used| *used == below.name || used == "*")
            {
                None
            } else {
                Some(format!(
                    "map.toml does not let {} use {}: {example}",
                    above.name, below.name
                ))
            }
        });
        homeless.chain(wrong).collect()
    }

    /// Rows without a module, and permissions and excuses that nothing needs: a map that allows more than is there says less.
    pub fn idle_against(&self, source: &Source) -> Vec<String> {
        let arrows = self.arrows(source);
        let named: BTreeSet<(&str, &str)> = arrows
            .keys()
            .map(|(from, to)| (self.room[*from].name.as_str(), self.room[*to].name.as_str()))
            .collect();
        let is_there = |name: &&String| !source.modules.iter().any(|module| module.path == **name);
        let empty = self
            .room
            .iter()
            .flat_map(Room::modules)
            .filter(is_there)
            .map(|name| format!("map.toml: no module is called {name}"));
        let unused = self.room.iter().flat_map(|room| {
            room.uses
                .iter()
                .filter(|used| {
                    *used != "*" && !named.contains(&(room.name.as_str(), used.as_str()))
                })
                .map(|used| format!("map.toml: {} does not use {used}", room.name))
        });
        let excused = self
            .up
            .iter()
            .filter(|up| !named.contains(&(up.from.as_str(), up.to.as_str())))
            .map(|up| format!("map.toml: the arrow from {} to {} is gone", up.from, up.to));
        empty.chain(unused).chain(excused).collect()
    }

    /// Libraries that are named elsewhere than the map says.
    pub fn libraries_against(&self, source: &Source) -> Vec<String> {
        let mut wrong = Vec::new();
        for library in &self.library {
            let known = source
                .libraries
                .values()
                .any(|named| named.contains(&library.name));
            if !known {
                wrong.push(format!("map.toml: nobody names {}", library.name));
            }
            for (module, named) in &source.libraries {
                let may = library
                    .modules
                    .iter()
                    .any(|allowed| lies_in(module, allowed));
                if named.contains(&library.name) && !may {
                    wrong.push(format!(
                        "{module} names {}, which map.toml keeps from it",
                        library.name
                    ));
                }
            }
        }
        wrong
    }

    fn table(&self) -> String {
        let mut table = String::from("| room | job | may use |\n|---|---|---|\n");
        for room in &self.room {
            let uses: Vec<String> = room
                .uses
                .iter()
                .map(|used| match used.as_str() {
                    "*" => "everything below".to_owned(),
                    name => format!("`{name}`"),
                })
                .collect();
            let uses = if uses.is_empty() {
                "nothing".to_owned()
            } else {
                uses.join(", ")
            };
            writeln!(table, "| `{}` | {} | {uses} |", room.name, room.job).unwrap();
        }
        for up in &self.up {
            writeln!(
                table,
                "\n`{}` uses `{}` against the order: {}",
                up.from, up.to, up.why
            )
            .unwrap();
        }
        table
    }

    /// Compares the table in the document with the map; `TIDY=write` puts the map's there.
    pub fn table_in_document(&self) {
        let path = project().join(DOCUMENT);
        let text = std::fs::read_to_string(&path).unwrap();
        let (before, rest) = text
            .split_once(BEGIN)
            .expect("the document has the place of the table");
        let (there, after) = rest
            .split_once(END)
            .expect("the place of the table has an end");
        let table = self.table();
        if std::env::var_os("TIDY").is_some_and(|value| value == "write") {
            std::fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
            return;
        }
        assert!(
            there == table,
            "the table of {DOCUMENT} is not map.toml's: TIDY=write cargo test --test tidy writes it"
        );
    }
}
