//! Import circles between files: a group of files of which each reaches each other by what it takes.

use std::collections::{BTreeMap, BTreeSet};

use crate::arrows::{Source, lies_in};

/// A complaint for each circle. None is excused: two files that need each other are one thing, or want a third below both.
pub fn against(source: &Source) -> Vec<String> {
    of(source)
        .iter()
        .map(|circle| format!("an import circle: {}", circle.join(", ")))
        .collect()
}

/// Every circle, its modules by name. That a module leans on what its parent holds for all its children closes none: they are one thing
/// in several files.
pub fn of(source: &Source) -> BTreeSet<Vec<String>> {
    let mut next: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for arrow in source
        .arrows
        .iter()
        .filter(|arrow| !lies_in(&arrow.from, &arrow.to))
    {
        next.entry(&arrow.from).or_default().insert(&arrow.to);
    }
    let reaches: BTreeMap<&str, BTreeSet<&str>> = next
        .keys()
        .map(|from| (*from, reached(&next, from)))
        .collect();
    let mut circles = BTreeSet::new();
    for (from, reached) in &reaches {
        if !reached.contains(from) {
            continue;
        }
        let circle: Vec<String> = reached
            .iter()
            .filter(|to| reaches.get(*to).is_some_and(|back| back.contains(from)))
            .map(|module| (*module).to_owned())
            .collect();
        circles.insert(circle);
    }
    circles
}

fn reached<'a>(next: &BTreeMap<&'a str, BTreeSet<&'a str>>, from: &str) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    let mut open: Vec<&str> = next.get(from).into_iter().flatten().copied().collect();
    while let Some(module) = open.pop() {
        if seen.insert(module) {
            open.extend(next.get(module).into_iter().flatten());
        }
    }
    seen
}
