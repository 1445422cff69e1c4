//! What a crate below ours owes: that it shows nothing which nobody names, and that its log speaks under the names of modules.
//!
//! The compiler tells of private items only that nobody names them, and what another crate uses cannot be private.
//!
//! By names: an item counts as used where its name stands more often than it is defined, so that one of two methods of a name may hide behind the
//! other. Imports count for nothing, since what is imported and not used is told by the compiler; what tests name does not count either.

use std::collections::BTreeMap;

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Attribute, ImplItem, Item, Visibility};

use crate::arrows::{Module, Source, is_for_tests, lies_in};
use crate::{files_below, project};

/// The doors for tests: what they name is used from outside.
const DOORS: &str = "testing";
/// Who comes through them.
const VISITORS: [&str; 3] = ["tests/bench", "tests/fuzz/src", "tests/it"];

/// The texts of those who come through the doors for tests.
pub fn visitors() -> Vec<String> {
    let folders = VISITORS.iter().map(|folder| project().join(folder));
    let files = folders.flat_map(|folder| files_below(&folder, ".rs"));
    files
        .map(|file| std::fs::read_to_string(file).unwrap())
        .collect()
}

/// A complaint for each item that neither the program nor one of the visitors names.
pub fn in_crates_below(source: &Source, visitors: &[String]) -> Vec<String> {
    let below: Vec<&str> = source
        .modules
        .iter()
        .filter_map(|module| module.file.strip_suffix("lib.rs"))
        .filter(|folder| !folder.is_empty())
        .collect();
    let mut names = Names::default();
    for module in source.shipped() {
        let shows = below.iter().any(|folder| module.file.starts_with(folder));
        let file = syn::parse_file(&module.text).unwrap();
        names.items(module, &file.items, shows);
    }
    for visitor in visitors {
        names.see(syn::parse_file(visitor).unwrap().into_token_stream());
    }
    let is_idle = |(name, _): &(&String, &Vec<String>)| {
        names.seen.get(*name).copied().unwrap_or_default()
            <= names.defined.get(*name).copied().unwrap_or_default()
    };
    names
        .shown
        .iter()
        .filter(is_idle)
        .flat_map(|(name, places)| {
            let told = move |place: &String| {
                format!("{place} is public, and nobody names {name}: it can go, or be private")
            };
            places.iter().map(told)
        })
        .collect()
}

/// Lines of the log that would stand under the name of a crate: filters and readers know those of modules (`localyun::disk`).
pub fn log_under_other_names(source: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    for module in source.shipped() {
        let Some((crate_below, _)) = module.file.split_once('/') else {
            continue;
        };
        let is_below = source
            .modules
            .iter()
            .any(|root| root.file == format!("{crate_below}/lib.rs"));
        let name = format!("target: \"localyun::{}", module.path);
        for (at, line) in module.text.lines().enumerate() {
            let Some((_, call)) = line.split_once("tracing::") else {
                continue;
            };
            let behind = module.text.lines().nth(at + 1).unwrap_or_default();
            if is_below && call.contains("!(") && !call.contains(&name) && !behind.contains(&name) {
                complaints.push(format!(
                    "src/{}: `{name}\"` is missing in: {}",
                    module.file,
                    line.trim()
                ));
            }
        }
    }
    complaints
}

#[derive(Default)]
struct Names {
    /// Public items of the crates below, by name, with their files.
    shown: BTreeMap<String, Vec<String>>,
    /// How often each name is defined anywhere, and how often it stands anywhere, its definitions among them.
    defined: BTreeMap<String, usize>,
    seen: BTreeMap<String, usize>,
}

impl Names {
    fn items(&mut self, module: &Module, items: &[Item], shows: bool) {
        for item in items {
            let mut define = |name: &syn::Ident, visible: &Visibility| {
                self.define(module, name, visible, shows);
            };
            match item {
                Item::Const(it) => define(&it.ident, &it.vis),
                Item::Static(it) => define(&it.ident, &it.vis),
                Item::Enum(it) => define(&it.ident, &it.vis),
                Item::Struct(it) => define(&it.ident, &it.vis),
                Item::Trait(it) => define(&it.ident, &it.vis),
                Item::Type(it) => define(&it.ident, &it.vis),
                Item::Fn(it) if is_for_tests(&it.attrs) => continue,
                Item::Fn(it) => define(&it.sig.ident, &it.vis),
                Item::Mod(it) if is_for_tests(&it.attrs) => continue,
                Item::Mod(it) => {
                    if let Some((_, items)) = &it.content {
                        self.items(module, items, shows);
                    }
                    continue;
                }
                Item::Use(_) if !lies_in(&module.path, DOORS) => continue,
                Item::Impl(it) if is_for_tests(&it.attrs) => continue,
                Item::Impl(it) => {
                    self.block(module, it, shows);
                    continue;
                }
                _ => {}
            }
            self.see(item.to_token_stream());
        }
    }

    fn block(&mut self, module: &Module, block: &syn::ItemImpl, shows: bool) {
        if let Some((_, of, _)) = &block.trait_ {
            self.see(of.to_token_stream());
        }
        for item in &block.items {
            let attributes: &[Attribute] = match item {
                ImplItem::Fn(it) => &it.attrs,
                ImplItem::Const(it) => &it.attrs,
                _ => &[],
            };
            if is_for_tests(attributes) {
                continue;
            }
            // What a trait calls for is not public by itself.
            match item {
                ImplItem::Fn(it) => self.define(module, &it.sig.ident, &it.vis, shows),
                ImplItem::Const(it) => self.define(module, &it.ident, &it.vis, shows),
                _ => {}
            }
            self.see(item.to_token_stream());
        }
    }

    fn define(&mut self, module: &Module, name: &syn::Ident, visible: &Visibility, shows: bool) {
        let name = name.to_string();
        if shows && matches!(visible, Visibility::Public(_)) {
            let place = format!("src/{}: {name}", module.file);
            self.shown.entry(name.clone()).or_default().push(place);
        }
        *self.defined.entry(name).or_default() += 1;
    }

    fn see(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => self.see(group.stream()),
                TokenTree::Ident(name) => *self.seen.entry(name.to_string()).or_default() += 1,
                // What a text takes in: `{name}`, `{name:?}`.
                TokenTree::Literal(text) => {
                    let text = text.to_string();
                    for part in text.split('{').skip(1) {
                        let name = part.split(|c: char| !(c.is_alphanumeric() || c == '_'));
                        let name = name.into_iter().next().unwrap_or_default();
                        *self.seen.entry(name.to_owned()).or_default() += 1;
                    }
                }
                TokenTree::Punct(_) => {}
            }
        }
    }
}
