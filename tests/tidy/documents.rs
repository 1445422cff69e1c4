//! The documents against what they speak of: links, file names, settings, control routes, dependencies.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use localyun::testing::config::keys::KEYS;

use crate::{files_below, project};

/// One text with its path from the project's root.
pub struct Document {
    pub path: PathBuf,
    pub text: String,
}

pub struct Documents {
    pub root: PathBuf,
    pub documents: Vec<Document>,
    /// The files of the code, for what their comments name.
    pub code: Vec<Document>,
}

/// Top folders of the project; a name that begins with one of them is meant as a path from the root.
const TOP: [&str; 5] = ["src/", "tests/", "docs/", "api-spec/", "fixtures/"];

/// The document of the settings, and that of the control routes.
const SETTINGS: &str = "docs/cli.md";
const ROUTES: &str = "docs/control.md";
/// Where the table of routes stands in it.
const ROUTES_BEGIN: &str = "<!-- routes: begin -->\n";
const ROUTES_END: &str = "<!-- routes: end -->\n";

impl Documents {
    pub fn of_the_project() -> Self {
        let root = project();
        let read = |path: PathBuf| Document {
            text: std::fs::read_to_string(&path).unwrap(),
            path: path.strip_prefix(&root).unwrap().to_owned(),
        };
        let mut written: Vec<PathBuf> = std::fs::read_dir(&root)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|ending| ending == "md"))
            .collect();
        written.sort();
        written.extend(files_below(&root.join("docs"), ".md"));
        written.extend(
            files_below(&root.join("tests"), ".md")
                .into_iter()
                .filter(|path| !path.to_string_lossy().contains("node_modules")),
        );
        Self {
            documents: written.into_iter().map(read).collect(),
            code: files_below(&root.join("src"), ".rs")
                .into_iter()
                .map(read)
                .collect(),
            root,
        }
    }

    /// Links to files and headings that are not there, and names of files in backticks.
    pub fn dead_links(&self) -> Vec<String> {
        let mut dead = Vec::new();
        for document in &self.documents {
            let shown = document.path.display();
            let prose = without_code_blocks(&document.text);
            for link in links(&prose) {
                if link.contains("://") || link.starts_with("mailto:") {
                    continue;
                }
                let (file, heading) = link.split_once('#').unwrap_or((link, ""));
                let target = match file {
                    "" => document.path.clone(),
                    file => plain(&document.path.parent().unwrap().join(file)),
                };
                if !self.root.join(&target).exists() {
                    dead.push(format!("{shown}: the link {link} leads nowhere"));
                } else if !heading.is_empty() && !self.has_heading(&target, heading) {
                    dead.push(format!(
                        "{shown}: {} has no heading {heading}",
                        target.display()
                    ));
                }
            }
            for name in in_backticks(&prose).filter(|name| self.is_dead(name)) {
                dead.push(format!("{shown}: there is no {name}"));
            }
        }
        dead
    }

    pub fn dead_names_in_comments(&self) -> Vec<String> {
        let mut dead = Vec::new();
        for file in &self.code {
            let comments = file.text.lines().filter_map(|line| line.split_once("//"));
            for (_, comment) in comments {
                let words = comment.split(|c: char| c.is_whitespace() || "`()[],;\"'".contains(c));
                for word in words.map(|word| word.trim_end_matches(['.', ':'])) {
                    if self.is_dead(word) {
                        dead.push(format!("{}: there is no {word}", file.path.display()));
                    }
                }
            }
        }
        dead
    }

    /// Whether a word is the path of a file or folder of the project that is not there.
    fn is_dead(&self, word: &str) -> bool {
        let is_path = TOP.iter().any(|top| word.starts_with(top));
        let plain_name = word
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
        // What a test part makes for itself is not in the project.
        is_path && plain_name && !word.ends_with('/') && !self.root.join(word).exists()
    }

    fn has_heading(&self, target: &Path, heading: &str) -> bool {
        let text = std::fs::read_to_string(self.root.join(target)).unwrap_or_default();
        without_code_blocks(&text)
            .lines()
            .filter(|line| line.starts_with('#'))
            .any(|line| slug(line.trim_start_matches('#').trim()) == heading)
    }

    /// Documents that no chain of links from the README reaches.
    pub fn unreached(&self) -> Vec<String> {
        let mut reached: BTreeSet<PathBuf> = BTreeSet::new();
        let mut open = vec![PathBuf::from("README.md")];
        while let Some(path) = open.pop() {
            if !reached.insert(path.clone()) {
                continue;
            }
            let Some(document) = self.documents.iter().find(|document| document.path == path)
            else {
                continue;
            };
            for link in links(&document.text).filter(|link| !link.contains("://")) {
                let file = link.split('#').next().unwrap();
                let mut target = plain(&path.parent().unwrap().join(file));
                if self.root.join(&target).is_dir() {
                    target.push("README.md");
                }
                open.push(target);
            }
        }
        self.documents
            .iter()
            .filter(|document| {
                document.path.starts_with("docs") && !reached.contains(&document.path)
            })
            .map(|document| {
                format!(
                    "no chain of links leads from README.md to {}",
                    document.path.display()
                )
            })
            .collect()
    }

    fn text(&self, path: &str) -> &str {
        self.documents
            .iter()
            .find(|document| document.path == Path::new(path))
            .map_or("", |document| &document.text)
    }

    pub fn settings_missing(&self) -> Vec<String> {
        let text = self.text(SETTINGS);
        KEYS.iter()
            .flat_map(|key| [format!("`--{}`", key.name), format!("`{}`", key.env)])
            .filter(|name| !text.contains(name.as_str()))
            .map(|name| format!("{SETTINGS} does not have {name}"))
            .collect()
    }

    pub fn routes_missing(&self) -> Vec<String> {
        let text = self.text(ROUTES);
        localyun::testing::control::ROUTES
            .iter()
            .map(|route| format!("{} {}", route.method, route.path))
            .filter(|route| !text.contains(&format!("`{route}")))
            .map(|route| format!("{ROUTES} does not have {route}"))
            .collect()
    }

    /// Compares the table of the control routes with the router's; `TIDY=write` puts the router's there.
    pub fn table_of_routes(&self) -> Vec<String> {
        let text = self.text(ROUTES);
        let there = text
            .split_once(ROUTES_BEGIN)
            .and_then(|(before, rest)| Some((before, rest.split_once(ROUTES_END)?)));
        let Some((before, (there, after))) = there else {
            return vec![format!("{ROUTES} has no place for the table of routes")];
        };
        let table = localyun::testing::control::table_of_document();
        if std::env::var_os("TIDY").is_some_and(|value| value == "write") {
            let written = format!("{before}{ROUTES_BEGIN}{table}{ROUTES_END}{after}");
            std::fs::write(self.root.join(ROUTES), written).unwrap();
            return Vec::new();
        }
        if there == table {
            return Vec::new();
        }
        vec![format!(
            "the table of {ROUTES} is not the router's: TIDY=write cargo test --test tidy writes it"
        )]
    }

    pub fn dependencies_missing(&self) -> Vec<String> {
        let reasons = self.text("docs/dependencies.md");
        let read = |path: &Path| -> toml::Table {
            toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
        };
        let mut manifests = vec![read(&self.root.join("Cargo.toml"))];
        let below = files_below(&self.root.join("src"), "/Cargo.toml");
        manifests.extend(below.iter().map(|path| read(path)));
        let mut names = BTreeSet::new();
        for manifest in &manifests {
            let targets = manifest.get("target").and_then(toml::Value::as_table);
            let targets = targets.into_iter().flat_map(toml::Table::values);
            let own = ["dependencies", "dev-dependencies"]
                .iter()
                .filter_map(|table| manifest.get(*table));
            let tables = own.chain(targets.filter_map(|target| target.get("dependencies")));
            for (name, how) in tables.filter_map(toml::Value::as_table).flatten() {
                if how.get("path").is_none() {
                    names.insert(name.clone());
                }
            }
        }
        names
            .iter()
            .filter(|name| !words(reasons).any(|word| word == *name))
            .map(|name| format!("docs/dependencies.md does not say why {name} is there"))
            .collect()
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || "_-".contains(c)))
}

/// The targets of a text's links, `[…](target)`.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| {
        let target = rest.split([')', ' ']).next()?;
        (!target.is_empty()).then_some(target)
    })
}

fn in_backticks(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .map(|name| name.split([' ', ':']).next().unwrap_or(name))
}

fn without_code_blocks(text: &str) -> String {
    let mut inside = false;
    let outside = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !inside && !fence
    });
    outside.collect::<Vec<_>>().join("\n")
}

/// The name by which a heading is linked to, as web sites of repositories make it.
fn slug(heading: &str) -> String {
    heading
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

/// A path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::Normal(name) => plain.push(name),
            _ => {}
        }
    }
    plain
}
