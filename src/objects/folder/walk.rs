//! Keys of a bucket in order of their UTF-8 bytes, straight from the folders, in bounded memory.
//!
//! A folder's entries sort by the key text they stand for, a `/` at the end of folders, so depth first is key order. The walk begins in
//! the folder that the prefix names, goes in it to the place behind the start (`names.rs`), and enters no folder that lies outside the
//! prefix, before the start or inside a common prefix.

use std::path::PathBuf;
use std::sync::Arc;

use super::error::FolderError;
use super::key::MAX_KEY_BYTES;
use super::names::{Place, Run, Runs, Side, holds_objects};

/// Folder levels entered at most; a key of 1024 bytes cannot need more.
const MAX_DEPTH: usize = 1100;

/// Where a walk begins, and what it passes over.
#[derive(Debug, Clone, Default)]
pub struct Route {
    /// Only keys with this prefix.
    pub prefix: String,
    /// Only keys behind this one.
    pub after: String,
    /// A folder behind the prefix is told and not entered.
    pub fold: bool,
}

/// What a walk meets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Key(String),
    /// All keys below a folder, which holds some.
    Folder(String),
}

/// A walk over the keys with a prefix, after a given key.
pub struct Walk<'a> {
    runs: &'a Runs,
    stack: Vec<Level>,
    route: Route,
    /// Keys with this prefix are passed over.
    skip: Option<String>,
}

/// One folder on the way.
struct Level {
    folder: PathBuf,
    /// Key text that all names below share.
    text: String,
    /// Names, and the next of them.
    run: Option<(Arc<Run>, usize)>,
    /// Where the run that comes next begins.
    place: Place,
}

impl<'a> Walk<'a> {
    /// A walk from `folder` on, whose keys all begin with `text`.
    pub fn new(runs: &'a Runs, folder: PathBuf, text: String, route: Route) -> Self {
        let mut walk = Self {
            runs,
            stack: Vec::new(),
            route,
            skip: None,
        };
        let route = &walk.route;
        // Everything below sorts before the start otherwise.
        if text > route.after || route.after.starts_with(&text) {
            walk.enter(folder, text);
        }
        walk
    }

    /// Passes over all further keys with this prefix.
    pub fn skip_prefix(&mut self, prefix: String) {
        self.skip = Some(prefix);
    }

    fn enter(&mut self, folder: PathBuf, text: String) {
        let rest_of = |whole: &str| whole.strip_prefix(text.as_str()).map(str::to_owned);
        let prefix = rest_of(&self.route.prefix).unwrap_or_default();
        let place = match rest_of(&self.route.after) {
            Some(after) if after >= prefix => Place {
                text: after,
                side: Side::Behind,
            },
            _ => Place {
                text: prefix,
                side: Side::From,
            },
        };
        self.stack.push(Level {
            folder,
            text,
            run: None,
            place,
        });
    }

    /// The next key, or folder of keys.
    pub fn next_step(&mut self) -> Result<Option<Step>, FolderError> {
        while let Some(level) = self.stack.last_mut() {
            let skipped = self.skip.as_ref();
            if skipped.is_some_and(|skip| level.text.starts_with(skip.as_str())) {
                self.stack.pop();
                continue;
            }
            let Some((text, folder, path)) = level.next(self.runs, &self.route.prefix)? else {
                self.stack.pop();
                continue;
            };
            if skipped.is_some_and(|skip| text.starts_with(skip.as_str())) {
                continue;
            }
            if !folder {
                // Whoever made folders by hand may have made them deeper than any key goes.
                if text.len() > MAX_KEY_BYTES {
                    continue;
                }
                return Ok(Some(Step::Key(text)));
            }
            let route = &self.route;
            // Behind a start inside a common prefix there are folders below it: what they hold rolls up into it, not into them.
            let is_common = text
                .get(route.prefix.len()..)
                .is_some_and(|rest| rest.find('/').is_some_and(|at| at + 1 == rest.len()));
            let told = route.fold && is_common && !route.after.starts_with(&text);
            if told {
                if holds_objects(path)? {
                    return Ok(Some(Step::Folder(text)));
                }
            } else if self.stack.len() < MAX_DEPTH {
                self.enter(path, text);
            }
        }
        Ok(None)
    }
}

impl Level {
    /// Text, kind and path of the next name with the prefix; none at the end.
    fn next(
        &mut self,
        runs: &Runs,
        prefix: &str,
    ) -> Result<Option<(String, bool, PathBuf)>, FolderError> {
        loop {
            let Some((run, at)) = &mut self.run else {
                let Some(run) = runs.read(&self.folder, &self.place)? else {
                    return Ok(None);
                };
                let at = run.seek(&self.place);
                self.run = Some((run, at));
                continue;
            };
            let Some(name) = run.get(*at) else {
                if !run.more {
                    return Ok(None);
                }
                let Some(last) = at.checked_sub(1).and_then(|at| run.get(at)) else {
                    return Ok(None);
                };
                self.place = Place {
                    text: last.text.to_string(),
                    side: Side::Past,
                };
                self.run = None;
                continue;
            };
            *at += 1;
            let text = format!("{}{}", self.text, name.text);
            if text.starts_with(prefix) || (name.folder && prefix.starts_with(&text)) {
                return Ok(Some((
                    text,
                    name.folder,
                    self.folder.join(name.file_name()),
                )));
            }
            if text.as_str() > prefix {
                return Ok(None);
            }
        }
    }
}
