//! Each fuzz target lives: it is listed, has its file, a row in docs/fuzzing.md that says what must hold, and seeds.

use std::collections::BTreeSet;

use crate::{files_below, project};

/// Where targets are listed, told and given their seeds.
const LIST: &str = "tests/fuzz/src/targets.rs";
const PAGE: &str = "docs/fuzzing.md";
const SEEDS: &str = "tests/fuzz/seeds.py";

/// What is wrong with the targets of the project.
pub fn halves() -> Vec<String> {
    let read = |path: &str| std::fs::read_to_string(project().join(path)).unwrap();
    let files = files_below(&project().join("tests/fuzz/src/targets"), ".rs");
    let files = files
        .iter()
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned());
    halves_of(&read(LIST), &files.collect(), &read(PAGE), &read(SEEDS))
}

pub fn halves_of(list: &str, files: &BTreeSet<String>, page: &str, seeds: &str) -> Vec<String> {
    let listed: BTreeSet<String> = list
        .lines()
        .filter_map(|line| line.trim().strip_prefix("target(\"")?.split('"').next())
        .map(str::to_owned)
        .collect();
    let mut complaints = Vec::new();
    for name in files.difference(&listed) {
        complaints.push(format!("{LIST} does not list {name}"));
    }
    for name in &listed {
        if !files.contains(name) {
            complaints.push(format!("{LIST} lists {name}, which has no file"));
        }
        if !page.contains(&format!("\n| `{name}` | ")) {
            complaints.push(format!("{PAGE} does not say what must hold in {name}"));
        }
        if !seeds.contains(&format!("seed(\"{name}\", ")) {
            complaints.push(format!("{SEEDS} makes no seed for {name}"));
        }
    }
    let count = format!("runs {} targets", listed.len());
    if !page.contains(&count) {
        complaints.push(format!("{PAGE} does not say {count:?}"));
    }
    complaints
}
