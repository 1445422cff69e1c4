//! The checks themselves are checked: each finds what is planted for it, and passes the same house without it.

use std::path::PathBuf;

use crate::arrows::Source;
use crate::circles;
use crate::documents::{Document, Documents};
use crate::map::Map;
use crate::unused;
use crate::words::Words;

const MAP: &str = r#"
[[room]]
name = "door"
job = "takes what comes"
uses = ["kitchen"]

[[room]]
name = "kitchen"
job = "makes it"

[[library]]
name = "stove"
modules = ["kitchen"]
"#;

fn house(files: &[(&str, &str)]) -> Source {
    Source::of(files.iter().map(|(file, text)| {
        (
            (*file).to_owned(),
            format!("//! A room of the house for tests.\n{text}"),
        )
    }))
}

#[test]
fn an_arrow_down_passes_and_one_up_does_not() {
    let map = Map::read(MAP);
    let down = house(&[("door.rs", "use crate::kitchen::cook;"), ("kitchen.rs", "")]);
    assert_eq!(map.arrows_against(&down), Vec::<String>::new());
    for up in [
        "use crate::door::bell;",
        "use super::door;",
        "fn ring() { crate::door::bell() }",
        "fn ring() { say!(\"{}\", crate::door::bell()) }",
        "pub(in crate::door) fn ring() {}",
        "use crate::{door::{bell}};",
    ] {
        let planted = house(&[("door.rs", "use crate::kitchen;"), ("kitchen.rs", up)]);
        let complaints = map.arrows_against(&planted);
        assert_eq!(complaints.len(), 1, "{up}: {complaints:?}");
        assert!(complaints[0].starts_with("an arrow up from kitchen to door"));
    }
}

#[test]
fn a_crate_below_is_a_room_like_others() {
    let map = Map::read(MAP);
    let kitchen = [
        ("kitchen/lib.rs", "pub mod pan; pub mod pot;"),
        ("kitchen/pan.rs", "use crate::pot::Lid;"),
        ("kitchen/pot.rs", "pub struct Lid;"),
    ];
    let with = |file, text| house(&[kitchen.as_slice(), &[(file, text)]].concat());
    let taken = |source: &Source| {
        let arrows = source.arrows.iter();
        arrows
            .map(|arrow| format!("{} > {}", arrow.from, arrow.to))
            .collect::<Vec<_>>()
    };
    let root = with("lib.rs", "use localyun_kitchen as kitchen;");
    assert_eq!(taken(&root), [" > kitchen", "kitchen::pan > kitchen::pot"]);
    let down = with("door.rs", "use localyun_kitchen::pan::Pan;");
    assert_eq!(
        taken(&down),
        ["door > kitchen::pan", "kitchen::pan > kitchen::pot"]
    );
    assert_eq!(map.arrows_against(&down), Vec::<String>::new());
    let circle = house(&[
        ("kitchen/lib.rs", "pub mod pan; pub mod pot;"),
        ("kitchen/pan.rs", "use crate::pot::Lid;"),
        ("kitchen/pot.rs", "use crate::pan::Pan;"),
    ]);
    assert_eq!(circles::of(&circle).len(), 1);
}

#[test]
fn what_a_crate_below_shows_and_nobody_names_is_told() {
    let kitchen = [
        ("kitchen/lib.rs", "pub mod pan;"),
        (
            "kitchen/pan.rs",
            "pub struct Pan; impl Pan { pub fn heat(&self) {} fn wipe(&self) {} } pub const DEEP: u32 = 3; pub(crate) fn inner() {}",
        ),
    ];
    let with = |text| house(&[kitchen.as_slice(), &[("door.rs", text)]].concat());
    let used = with(
        "use localyun_kitchen::pan::{Pan, DEEP}; fn ring() { Pan.heat(); say!(\"{DEEP} cm\") }",
    );
    assert_eq!(unused::in_crates_below(&used, &[]), Vec::<String>::new());
    let only_named = with(
        "pub use localyun_kitchen::pan::DEEP; fn ring() { localyun_kitchen::pan::Pan; } #[cfg(test)] mod tests { fn f() { heat() } }",
    );
    let told = unused::in_crates_below(&only_named, &[]);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("DEEP") && told[1].contains("heat"));
    // A fuzz target that comes through a door for tests.
    let visitor = "fn target() { kitchen::pan::Pan.heat() }".to_owned();
    let told = unused::in_crates_below(&only_named, &[visitor]);
    assert_eq!(told.len(), 1, "{told:?}");
}

#[test]
fn a_line_of_the_log_under_the_name_of_a_crate_is_told() {
    let told = |call: &str| {
        let files = [("kitchen/lib.rs", "mod pan;"), ("kitchen/pan.rs", call)];
        unused::log_under_other_names(&house(&files)).len()
    };
    assert_eq!(told("fn f() { tracing::warn!(\"hot\"); }"), 1);
    let named = "fn f() { tracing::warn!(target: \"localyun::kitchen::pan\", \"hot\"); }";
    assert_eq!(told(named), 0);
    assert_eq!(told("use tracing::warn;"), 0);
}

#[test]
#[should_panic(expected = "3 arrows run up")]
fn a_third_arrow_up_is_not_excused() {
    let up = "[[up]]\nfrom = \"kitchen\"\nto = \"door\"\nwhy = \"a reason of some more words\"\n";
    Map::read(&format!("{MAP}{}", up.repeat(3)));
}

#[test]
fn what_is_for_tests_alone_draws_no_arrow() {
    let map = Map::read(MAP);
    let tests = house(&[
        ("door.rs", "use crate::kitchen;"),
        (
            "kitchen.rs",
            "#[cfg(test)] mod tests { use crate::door::bell; } #[cfg(test)] mod tasting;",
        ),
        ("kitchen/tasting.rs", "use crate::door::bell;"),
        ("kitchen/tasting/spoon.rs", "use crate::door::bell;"),
    ]);
    assert_eq!(map.arrows_against(&tests), Vec::<String>::new());
}

#[test]
fn an_arrow_that_no_row_allows_and_a_module_without_a_room_are_told() {
    let map = Map::read(&MAP.replace("uses = [\"kitchen\"]", ""));
    let source = house(&[
        ("door.rs", "use crate::kitchen;"),
        ("kitchen.rs", ""),
        ("cellar.rs", ""),
    ]);
    let complaints = map.arrows_against(&source);
    assert_eq!(complaints.len(), 2, "{complaints:?}");
    assert!(complaints[0].contains("cellar.rs lies in no room"));
    assert!(complaints[1].contains("does not let door use kitchen"));
}

#[test]
fn an_idle_permission_and_an_empty_room_are_told() {
    let map = Map::read(MAP);
    let complaints = map.idle_against(&house(&[("kitchen.rs", "")]));
    assert_eq!(complaints.len(), 2, "{complaints:?}");
}

#[test]
fn a_library_in_the_wrong_room_is_told() {
    let map = Map::read(MAP);
    let right = house(&[("door.rs", ""), ("kitchen/pan.rs", "use stove::Fire;")]);
    assert_eq!(map.libraries_against(&right), Vec::<String>::new());
    let wrong = house(&[
        ("door.rs", "fn f() { stove::light() }"),
        ("kitchen.rs", "use stove::Fire;"),
    ]);
    assert_eq!(map.libraries_against(&wrong).len(), 1);
}

#[test]
fn a_circle_of_three_is_found_and_named_once() {
    let source = house(&[
        ("a.rs", "use crate::b::B;"),
        ("b.rs", "use crate::c::C;"),
        ("c.rs", "use crate::a::A;"),
        ("d.rs", "use crate::a::A; use crate::d::e::E;"),
        ("d/e.rs", "use super::D;"),
    ]);
    let found: Vec<Vec<String>> = circles::of(&source).into_iter().collect();
    assert_eq!(found, [["a", "b", "c"]]);
    assert_eq!(circles::against(&source).len(), 1);
}

fn papers(text: &str) -> Documents {
    Documents {
        root: crate::project(),
        documents: vec![Document {
            path: PathBuf::from("docs/planted.md"),
            text: text.to_owned(),
        }],
        code: vec![Document {
            path: PathBuf::from("src/planted.rs"),
            text: text.to_owned(),
        }],
    }
}

#[test]
fn dead_links_and_dead_file_names_are_told() {
    let alive = "[a](../README.md) [b](media.md#codecs) `src/lib.rs` `docs/media.md`\n// see docs/media.md.\n";
    assert_eq!(papers(alive).dead_links(), Vec::<String>::new());
    assert_eq!(papers(alive).dead_names_in_comments(), Vec::<String>::new());
    for dead in [
        "[a](nowhere.md)",
        "[a](../docs/nowhere.md)",
        "[a](media.md#no-such-heading)",
        "see `src/nowhere.rs`",
    ] {
        assert_eq!(papers(dead).dead_links().len(), 1, "{dead}");
    }
    assert_eq!(
        papers("// as docs/nowhere.md says.")
            .dead_names_in_comments()
            .len(),
        1
    );
}

#[test]
fn a_setting_and_a_route_that_no_document_has_are_told() {
    let nothing = papers("");
    assert!(
        nothing
            .settings_missing()
            .iter()
            .any(|missing| missing.contains("--data-dir"))
    );
    assert!(
        nothing
            .routes_missing()
            .iter()
            .any(|missing| missing.contains("/_localyun/reset"))
    );
    assert!(
        nothing
            .dependencies_missing()
            .iter()
            .any(|missing| missing.contains("sea-orm"))
    );
}

#[test]
fn a_failure_that_nobody_explains_is_told() {
    let told = |text: &str| Words::of(&house(&[("store.rs", text)])).failures_unexplained();
    for unexplained in [
        "pub fn cook() -> Result<(), String> {}",
        "/// Cooks.\n///\n/// # Errors\n/// When it fails.\npub fn cook() -> io::Result<()> {}",
        "pub(super) fn cook<E>() -> Result<(), E> {}",
        "struct Pan; impl Pan { pub async fn cook(&self) -> Result<(), &'static str> {} }",
        "pub fn cook() -> Result<(), Burnt> {} enum Burnt { Black }",
    ] {
        assert_eq!(told(unexplained).len(), 1, "{unexplained}");
    }
    for explained in [
        "fn cook() -> Result<(), String> {}",
        "pub fn cook() -> Option<()> {}",
        "/// # Errors\n/// When the stove is cold: light it and try again.\npub fn cook() -> io::Result<()> {}",
        "pub fn cook() -> Result<(), Burnt> {}\n/// # What to do\n/// Scrape it off, and try with less heat.\nenum Burnt { Black }",
        "struct Pan; impl Display for Pan { fn cook(&self) -> Result<(), String> {} }",
        "#[cfg(test)] pub fn cook() -> Result<(), String> {}",
    ] {
        assert_eq!(told(explained), Vec::<String>::new(), "{explained}");
    }
}

#[test]
fn a_number_without_a_unit_is_told() {
    let told = |text: &str| Words::of(&house(&[("kitchen.rs", text)])).numbers_without_unit();
    for bare in [
        "struct Pan { delay: u64 }",
        "fn cook(timeout: Option<i64>) {}",
        "/// The largest pan.\nconst LARGEST_PAN: usize = 64 * 1024;",
        "const MOST_PANS: usize = 5;",
        "const ROOM: usize = 16 << 20;",
    ] {
        assert_eq!(told(bare).len(), 1, "{bare}");
    }
    for said in [
        "struct Pan { delay_ms: u64, wait: Duration }",
        "/// The timeout is in seconds.\nfn cook(timeout: Option<i64>) {}",
        "/// Bytes of the largest pan.\nconst LARGEST_PAN: usize = 64 * 1024;",
        "/// Pans on the stove.\nconst MOST_PANS: usize = 5;",
        "const ROOM_BYTES: usize = 16 << 20;",
    ] {
        assert_eq!(told(said), Vec::<String>::new(), "{said}");
    }
}

#[test]
fn a_row_and_its_script_have_to_name_each_other() {
    let limits = |cell: &str| {
        format!(
            "| point | what | settled by |\n|---|---|---|\n| a row | x | {cell} |\n\nBounds: none\n"
        )
    };
    let decided = |pairs: &[(&str, &str)]| {
        let pairs = pairs.iter();
        pairs
            .map(|(row, script)| ((*row).to_owned(), (*script).to_owned()))
            .collect()
    };
    let link = "[s](../tests/parity/s.yaml)";
    let of = |cell: &str, pairs: &[(&str, &str)]| {
        crate::parity::rows_against(&limits(cell), &decided(pairs)).len()
    };
    assert_eq!(of(link, &[("a row", "s")]), 0);
    assert_eq!(of("-", &[]), 0);
    assert_eq!(of("x", &[]), 1);
    assert_eq!(of(link, &[]), 1);
    assert_eq!(of("-", &[("a row", "s")]), 1);
    assert_eq!(of(link, &[("another", "s")]), 2);
}

#[test]
fn half_a_fuzz_target_is_found() {
    let list = "const ALL: &[Target] = &[\n    target(\"a\", a::run, 1, 1),\n    target(\"b\", b::run, 1, 1),\n];";
    let files = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let page = "runs 2 targets\n| `a` | x | y |\n| `b` | x | y |\n";
    let seeds = "seed(\"a\", 1)\nseed(\"b\", 2)\n";
    let halves = |list: &str, names: &[&str], page: &str, seeds: &str| {
        crate::fuzzing::halves_of(list, &files(names), page, seeds).len()
    };
    assert_eq!(halves(list, &["a", "b"], page, seeds), 0);
    assert_eq!(halves(list, &["a"], page, seeds), 1);
    assert_eq!(halves(list, &["a", "b", "c"], page, seeds), 1);
    assert_eq!(
        halves(list, &["a", "b"], "runs 3 targets\n| `a` | x |\n", seeds),
        2
    );
    assert_eq!(halves(list, &["a", "b"], page, "seed(\"a\", 1)"), 1);
}
