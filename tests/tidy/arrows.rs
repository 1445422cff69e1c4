//! The modules of the crate and what each takes from which other, read from the source itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::LazyLock;

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;

use crate::{files_below, project};

/// One module: its path without `crate` (`live::spool::read`), its file, and the text of it.
pub struct Module {
    pub path: String,
    pub file: String,
    pub text: String,
}

/// A module that uses another one, and the name of what it takes first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrow {
    pub from: String,
    pub to: String,
    pub taken: String,
}

pub struct Source {
    pub modules: Vec<Module>,
    pub arrows: BTreeSet<Arrow>,
    /// For each module, the crates whose names its code begins a path with.
    pub libraries: BTreeMap<String, BTreeSet<String>>,
    /// Modules that are compiled for tests alone, each with everything below it.
    for_tests: Vec<String>,
}

impl Source {
    /// Read once for all tests of the process.
    pub fn of_the_project() -> &'static Self {
        static SOURCE: LazyLock<Source> = LazyLock::new(|| {
            let root = project().join("src");
            let read = |path: &Path| {
                let file = path.strip_prefix(&root).unwrap().to_str().unwrap();
                (file.to_owned(), std::fs::read_to_string(path).unwrap())
            };
            Source::of(files_below(&root, ".rs").iter().map(|path| read(path)))
        });
        &SOURCE
    }

    /// Of files by their names below `src`.
    pub fn of(files: impl Iterator<Item = (String, String)>) -> Self {
        let modules: Vec<Module> = files
            .map(|(file, text)| Module {
                path: module_path(&file),
                file,
                text,
            })
            .collect();
        let roots: Vec<&str> = modules
            .iter()
            .filter_map(|module| module.file.strip_suffix("/lib.rs"))
            .collect();
        let known: BTreeSet<&str> = modules.iter().map(|module| module.path.as_str()).collect();
        let parsed: Vec<syn::File> = modules
            .iter()
            .map(|module| {
                syn::parse_file(&module.text)
                    .unwrap_or_else(|error| panic!("src/{}: {error}", module.file))
            })
            .collect();
        let for_tests: Vec<String> = modules
            .iter()
            .zip(&parsed)
            .flat_map(|(module, file)| declared_for_tests(&module.path, file))
            .collect();
        let mut arrows = BTreeSet::new();
        let mut libraries = BTreeMap::new();
        for (module, file) in modules.iter().zip(&parsed) {
            if for_tests.iter().any(|tests| lies_in(&module.path, tests)) {
                continue;
            }
            let mut reader = Reader {
                module: &module.path,
                root: root_of(&module.file, &roots),
                known: &known,
                arrows: &mut arrows,
                libraries: BTreeSet::new(),
            };
            reader.items(&file.items);
            let named = reader.libraries;
            libraries.insert(module.path.clone(), named);
        }
        Self {
            modules,
            arrows,
            libraries,
            for_tests,
        }
    }

    /// The modules that are more than tests.
    pub fn shipped(&self) -> impl Iterator<Item = &Module> {
        let is_test = |path: &str| self.for_tests.iter().any(|tests| lies_in(path, tests));
        self.modules
            .iter()
            .filter(move |module| !is_test(&module.path))
    }

    /// The files without a `//!` head that says more than a word or two.
    pub fn without_head(&self) -> Vec<String> {
        let has_head = |module: &&Module| {
            let head: Vec<&str> = module
                .text
                .lines()
                .take_while(|line| line.starts_with("//!"))
                .collect();
            head.join(" ").split_whitespace().count() < 3
        };
        self.modules
            .iter()
            .filter(has_head)
            .map(|module| format!("src/{}: no `//!` head", module.file))
            .collect()
    }
}

/// `live/spool/read.rs` is `live::spool::read`; `lib.rs` is the crate itself, with the empty path. `media/lib.rs` is `media`: the root of a crate
/// below ours, which is called as a module is. Some crates lend their rooms to all: they are called as if they lay beside the others.
fn module_path(file: &str) -> String {
    let name = file.trim_end_matches(".rs").trim_end_matches("/mod");
    let name = LENDING
        .iter()
        .find_map(|folder| name.strip_prefix(folder)?.strip_prefix('/'))
        .unwrap_or(name);
    if name == "lib" {
        String::new()
    } else {
        name.trim_end_matches("/lib").replace('/', "::")
    }
}

/// The path of the root of the crate that a file belongs to.
fn root_of<'a>(file: &str, roots: &[&'a str]) -> &'a str {
    let lies_below = |root: &&&str| {
        file.strip_prefix(**root)
            .is_some_and(|rest| rest.starts_with('/'))
    };
    let root = roots.iter().find(lies_below).copied().unwrap_or_default();
    if LENDING.contains(&root) { "" } else { root }
}

/// What the names of our crates below begin with.
const CRATES: &str = "localyun_";
/// The crates whose rooms are called as if they lay beside those of the program.
const LENDING: [&str; 3] = ["base", "command", "edge"];

/// The modules that a file declares in other files and for tests alone.
fn declared_for_tests(module: &str, file: &syn::File) -> Vec<String> {
    file.items
        .iter()
        .filter_map(|item| match item {
            syn::Item::Mod(declared)
                if is_for_tests(&declared.attrs) && declared.content.is_none() =>
            {
                Some(format!("{module}::{}", declared.ident))
            }
            _ => None,
        })
        .map(|path| path.trim_start_matches("::").to_owned())
        .collect()
}

/// Whether a module is the named one or lies below it.
pub fn lies_in(module: &str, name: &str) -> bool {
    module
        .strip_prefix(name)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Whether something is compiled for tests alone.
pub fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg") && attribute.to_token_stream().to_string().contains("test")
    })
}

/// Finds the paths in one module's code: in declarations, in expressions, and in what macros are given.
struct Reader<'a> {
    module: &'a str,
    /// What `crate` is in it.
    root: &'a str,
    known: &'a BTreeSet<&'a str>,
    arrows: &'a mut BTreeSet<Arrow>,
    libraries: BTreeSet<String>,
}

impl Reader<'_> {
    fn items(&mut self, items: &[syn::Item]) {
        for item in items {
            match item {
                syn::Item::Mod(module) if is_for_tests(&module.attrs) => {}
                syn::Item::Mod(module) => {
                    if let Some((_, items)) = &module.content {
                        self.items(items);
                    }
                }
                syn::Item::Fn(function) if is_for_tests(&function.attrs) => {}
                syn::Item::Use(import) if is_for_tests(&import.attrs) => {}
                syn::Item::Use(import) => self.tree(&[], &import.tree),
                other => self.tokens(other.to_token_stream()),
            }
        }
    }

    fn tree(&mut self, before: &[String], tree: &syn::UseTree) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.tree(&with(&path.ident), &path.tree),
            syn::UseTree::Name(name) => self.path(&with(&name.ident)),
            syn::UseTree::Rename(rename) => self.path(&with(&rename.ident)),
            syn::UseTree::Glob(_) => self.path(before),
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.tree(before, tree);
                }
            }
        }
    }

    /// Paths of two and more names in code and in the arguments of macros.
    fn tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Ident(first) => {
                    let mut path = vec![first.to_string()];
                    while let Some(TokenTree::Ident(next)) = after_colons(&tokens, at) {
                        path.push(next.to_string());
                        at += 3;
                    }
                    if path.len() > 1 {
                        self.path(&path);
                    }
                }
                _ => {}
            }
            at += 1;
        }
    }

    fn is_crate_below(&self, name: &str) -> bool {
        name.strip_prefix(CRATES)
            .is_some_and(|root| LENDING.contains(&root) || self.known.contains(root))
    }

    fn path(&mut self, path: &[String]) {
        let mut from: Vec<&str> = match self.module {
            "" => Vec::new(),
            module => module.split("::").collect(),
        };
        let mut rest = path;
        match path[0].as_str() {
            "crate" => {
                from = self.root.split("::").filter(|it| !it.is_empty()).collect();
                rest = &path[1..];
            }
            "self" => rest = &path[1..],
            "super" => {
                while rest.first().is_some_and(|name| name == "super") {
                    from.pop();
                    rest = &rest[1..];
                }
            }
            first if self.is_crate_below(first) => {
                let root = &first[CRATES.len()..];
                from = if LENDING.contains(&root) {
                    Vec::new()
                } else {
                    vec![root]
                };
                rest = &path[1..];
            }
            first => {
                // A child of this module, or a crate beside ours.
                let child = [self.module, first].join("::");
                if !self.known.contains(child.trim_start_matches("::")) {
                    self.libraries.insert(first.to_owned());
                    return;
                }
            }
        }
        let mut target = from.join("::");
        // What the root of a crate below takes from one that lends is called there as it is everywhere.
        if let Some(first) = rest.first()
            && path[0] == "crate"
            && !self
                .known
                .contains([target.as_str(), first].join("::").as_str())
            && self.known.contains(first.as_str())
        {
            target.clear();
        }
        let mut taken = String::new();
        for name in rest {
            let longer = format!("{target}::{name}");
            let longer = longer.trim_start_matches("::");
            if self.known.contains(longer) {
                target = longer.to_owned();
            } else {
                taken.clone_from(name);
                break;
            }
        }
        if target != self.module && !target.is_empty() {
            self.arrows.insert(Arrow {
                from: self.module.to_owned(),
                to: target,
                taken,
            });
        }
    }
}

/// The token behind `::` behind the one at `at`.
fn after_colons(tokens: &[TokenTree], at: usize) -> Option<&TokenTree> {
    let colon = |token: Option<&TokenTree>| matches!(token, Some(TokenTree::Punct(p)) if p.as_char() == ':');
    (colon(tokens.get(at + 1)) && colon(tokens.get(at + 2))).then(|| tokens.get(at + 3))?
}
