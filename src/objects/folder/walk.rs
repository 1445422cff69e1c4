//! Keys of a bucket in order of their UTF-8 bytes, straight from the folders, in bounded memory.
//!
//! A folder's entries sort by the key text they stand for, a `/` at the end of folders, so depth first is key order.
//! Of each folder only the next few hundred names are held; when they are used up it is read again from there. Folders
//! that lie outside the prefix, before the start or inside a skipped prefix are not entered.

use std::collections::BinaryHeap;
use std::fs;
use std::path::PathBuf;

use super::error::FolderError;
use super::key::{Entry, decode};
use super::layout::is_absent;

/// Names of one folder held at a time.
const WINDOW: usize = 1200;

/// Folder levels entered at most; a key of 1024 bytes cannot need more.
const MAX_DEPTH: usize = 1100;

/// A walk over the keys with a prefix, after a given key.
pub struct Walk {
    stack: Vec<Level>,
    prefix: String,
    after: String,
    /// Keys with this prefix are passed over.
    skip: Option<String>,
}

/// One folder on the way.
struct Level {
    folder: PathBuf,
    /// Key text that all names below share.
    text: String,
    /// Next names, the last one first.
    window: Vec<Name>,
    /// Sort text of the last name taken; reading again starts behind it.
    taken: Option<String>,
    more: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    text: String,
    folder: bool,
    file_name: String,
}

impl Walk {
    /// A walk below `folder`, a bucket's data folder.
    pub fn new(folder: PathBuf, prefix: &str, after: &str) -> Self {
        let root = Level {
            folder,
            text: String::new(),
            window: Vec::new(),
            taken: None,
            more: true,
        };
        Self {
            stack: vec![root],
            prefix: prefix.to_owned(),
            after: after.to_owned(),
            skip: None,
        }
    }

    /// Passes over all further keys with this prefix.
    pub fn skip_prefix(&mut self, prefix: String) {
        self.skip = Some(prefix);
    }

    /// The next key.
    pub fn next_key(&mut self) -> Result<Option<String>, FolderError> {
        while let Some(level) = self.stack.last_mut() {
            let Some(name) = level.window.pop() else {
                if level.more {
                    level.refill(&self.prefix, &self.after)?;
                } else {
                    self.stack.pop();
                }
                continue;
            };
            let text = format!("{}{}", level.text, name.text);
            let path = level.folder.join(&name.file_name);
            level.taken = Some(name.text);
            if self
                .skip
                .as_ref()
                .is_some_and(|skip| text.starts_with(skip.as_str()))
            {
                continue;
            }
            if !name.folder {
                return Ok(Some(text));
            }
            if self.stack.len() < MAX_DEPTH {
                self.stack.push(Level {
                    folder: path,
                    text,
                    window: Vec::new(),
                    taken: None,
                    more: true,
                });
            }
        }
        Ok(None)
    }
}

impl Level {
    /// Reads the folder for the next names in order.
    fn refill(&mut self, prefix: &str, after: &str) -> Result<(), FolderError> {
        self.more = false;
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            // Emptied and removed since it was seen.
            Err(error) if is_absent(&error) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let mut nearest = BinaryHeap::new();
        for entry in entries {
            let entry = entry?;
            let Ok(file_name) = entry.file_name().into_string() else {
                continue;
            };
            let kind = entry.file_type()?;
            if !kind.is_file() && !kind.is_dir() {
                continue;
            }
            let folder = kind.is_dir();
            let Some(Entry::File(text) | Entry::Folder(text)) = decode(&file_name, folder) else {
                continue;
            };
            if self.taken.as_ref().is_some_and(|taken| text <= *taken)
                || !self.wants(&text, folder, prefix, after)
            {
                continue;
            }
            nearest.push(Name {
                text,
                folder,
                file_name,
            });
            if nearest.len() > WINDOW {
                nearest.pop();
                self.more = true;
            }
        }
        self.window = nearest.into_sorted_vec();
        self.window.reverse();
        Ok(())
    }

    /// Whether a name can hold keys with the prefix and behind the start.
    fn wants(&self, name: &str, folder: bool, prefix: &str, after: &str) -> bool {
        let text = format!("{}{name}", self.text);
        if folder {
            (text.starts_with(prefix) || prefix.starts_with(&text))
                && (text.as_str() > after || after.starts_with(&text))
        } else {
            text.starts_with(prefix) && text.as_str() > after
        }
    }
}
