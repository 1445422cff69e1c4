//! What a signature does not say: when something fails and what its caller does then, and in which unit a number measures.
//!
//! Of failures: a function that fails with a type of ours relies on that type, whose documentation has a section `# What to do`. One that
//! fails with somebody else's (`io::Error`), a text or whatever its caller chooses has a section `# Errors` of its own.
//!
//! Of units: a number that measures time, and a bound that is counted in bytes, says so in its name or in its documentation. `size` and
//! `length` are always bytes and `width` and `height` pixels (docs/glossary.md), so they need not.

use std::collections::{BTreeMap, BTreeSet};

use quote::ToTokens;
use syn::{Attribute, Item, ReturnType, Type, Visibility};

use crate::arrows::{Module, Source, is_for_tests, lies_in};

/// The rooms whose failures are explained: those whose callers have something to decide.
const ROOMS: [&str; 5] = ["live", "store", "control", "notify", "objects"];
/// Names of parameters and answers are the product's there, and the spec has their units.
const PRODUCTS: &str = "actions";
/// Errors of libraries that a type of ours sorts, and is explained in their place.
const SORTED: [(&str, &str); 1] = [("DbErr", "Failure")];

/// The section of an error's documentation, and that of a function's.
const WHAT_TO_DO: &str = "# What to do";
const ERRORS: &str = "# Errors";
/// Words of a section; fewer only repeat the name.
const FEWEST_WORDS: usize = 5;

/// Words of a name that stand for a stretch of time.
const TIME: [&str; 15] = [
    "timeout", "delay", "duration", "interval", "age", "patience", "wait", "period", "cycle",
    "ttl", "lifetime", "elapsed", "expires", "validity", "pause",
];
/// Words of a name, or of the documentation, that are units of time.
const TIME_UNITS: [&str; 18] = [
    "ms",
    "s",
    "us",
    "ns",
    "millisecond",
    "milliseconds",
    "second",
    "seconds",
    "minute",
    "minutes",
    "hour",
    "hours",
    "day",
    "days",
    "month",
    "months",
    "ticks",
    "timescale",
];
/// Words that say that bytes are counted.
const BYTES: [&str; 6] = ["byte", "bytes", "kib", "mib", "kb", "mb"];
/// Words of a constant's name that make it a bound, whose documentation says of what.
const BOUNDS: [&str; 9] = [
    "most", "max", "longest", "largest", "shortest", "least", "limit", "kept", "fewest",
];

/// A function that can fail.
struct Failing {
    place: String,
    error: String,
    doc: String,
}

/// A number with a name.
struct Number {
    place: String,
    name: String,
    doc: String,
    /// The text of its value, of a constant.
    value: Option<String>,
}

pub struct Words {
    failing: Vec<Failing>,
    numbers: Vec<Number>,
    /// The documentation of types by their names; of several of one name, those of the rooms.
    types: BTreeMap<String, Vec<(String, String)>>,
}

impl Words {
    pub fn of(source: &Source) -> Self {
        let mut words = Self {
            failing: Vec::new(),
            numbers: Vec::new(),
            types: BTreeMap::new(),
        };
        for module in source.shipped() {
            let file = syn::parse_file(&module.text).unwrap();
            Walk {
                module,
                words: &mut words,
            }
            .items(&file.items);
        }
        words
    }

    pub fn failures_unexplained(&self) -> Vec<String> {
        let mut complaints = BTreeSet::new();
        for Failing { place, error, doc } in &self.failing {
            let sorted = SORTED.iter().find(|(library, _)| library == error);
            let named = sorted.map_or(error.as_str(), |(_, ours)| ours);
            let Some(types) = self.types.get(named) else {
                if !says(doc, ERRORS) {
                    complaints.insert(format!(
                        "{place} fails with {error}, which does not say when: a section `{ERRORS}` does, and what the caller can do"
                    ));
                }
                continue;
            };
            for (of, _) in types.iter().filter(|(_, doc)| !says(doc, WHAT_TO_DO)) {
                complaints.insert(format!(
                    "{of} has no section `{WHAT_TO_DO}`, on which functions rely that fail with it"
                ));
            }
        }
        complaints.into_iter().collect()
    }

    pub fn numbers_without_unit(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        for number in &self.numbers {
            let name: Vec<String> = number
                .name
                .to_lowercase()
                .split('_')
                .map(str::to_owned)
                .collect();
            let has = |words: &[&str]| name.iter().any(|word| words.contains(&word.as_str()));
            let documented = |words: &[&str]| {
                let doc = number.doc.to_lowercase();
                let mut parts = doc.split(|c: char| !c.is_alphanumeric());
                parts.any(|word| words.contains(&word))
            };
            let Number { place, .. } = number;
            if has(&TIME) && !has(&TIME_UNITS) && !documented(&TIME_UNITS) {
                complaints.push(format!("{place} measures time: in which unit?"));
            }
            let Some(value) = &number.value else { continue };
            if is_of_bytes(value) && !has(&BYTES) && !documented(&BYTES) {
                complaints.push(format!("{place} counts bytes, and does not say so"));
            } else if has(&BOUNDS) && number.doc.is_empty() {
                complaints.push(format!("{place} bounds something: of what?"));
            }
        }
        complaints
    }
}

/// Whether a text has a section of some words.
fn says(doc: &str, section: &str) -> bool {
    doc.split_once(section).is_some_and(|(_, rest)| {
        let own = rest.split("\n #").next().unwrap();
        own.split_whitespace().count() >= FEWEST_WORDS
    })
}

/// `64 * 1024`, `16 << 20`: nobody counts anything else like this.
fn is_of_bytes(value: &str) -> bool {
    let words: Vec<&str> = value.split_whitespace().collect();
    let is_shift = |pair: &&[&str]| pair[0] == "<<" && ["10", "20", "30"].contains(&pair[1]);
    words.contains(&"1024") || words.windows(2).any(|pair| is_shift(&pair))
}

/// The lines of a documentation, each behind a line's end.
fn documentation(attributes: &[Attribute]) -> String {
    let mut text = String::new();
    for attribute in attributes.iter().filter(|it| it.path().is_ident("doc")) {
        if let syn::Meta::NameValue(pair) = &attribute.meta
            && let syn::Expr::Lit(literal) = &pair.value
            && let syn::Lit::Str(line) = &literal.lit
        {
            text.push_str(&line.value());
            text.push('\n');
        }
    }
    text
}

/// The name of what a function fails with; none where it does not.
fn error_of(output: &ReturnType) -> Option<String> {
    let ReturnType::Type(_, answer) = output else {
        return None;
    };
    let Type::Path(path) = answer.as_ref() else {
        return None;
    };
    let last = path.path.segments.last()?;
    let syn::PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    if last.ident != "Result" {
        return None;
    }
    match arguments.args.iter().nth(1) {
        Some(syn::GenericArgument::Type(Type::Path(error))) => {
            Some(error.path.segments.last()?.ident.to_string())
        }
        Some(other) => Some(other.to_token_stream().to_string()),
        None => Some("io::Error".to_owned()),
    }
}

/// Whether a type is a plain number, or may be one.
fn is_number(of: &Type) -> bool {
    let Type::Path(path) = of else { return false };
    let Some(last) = path.path.segments.last() else {
        return false;
    };
    let name = last.ident.to_string();
    if let ("Option", syn::PathArguments::AngleBracketed(inner)) = (name.as_str(), &last.arguments)
    {
        return matches!(inner.args.first(), Some(syn::GenericArgument::Type(of)) if is_number(of));
    }
    let plain = [
        "u16", "u32", "u64", "usize", "i32", "i64", "isize", "f32", "f64",
    ];
    plain.contains(&name.as_str()) || name.starts_with("AtomicU") || name.starts_with("AtomicI")
}

/// Reads one module.
struct Walk<'a> {
    module: &'a Module,
    words: &'a mut Words,
}

impl Walk<'_> {
    fn place(&self, what: &str) -> String {
        format!("src/{}: {what}", self.module.file)
    }

    fn is_in_rooms(&self) -> bool {
        ROOMS.iter().any(|room| lies_in(&self.module.path, room))
    }

    fn items(&mut self, items: &[Item]) {
        for item in items {
            match item {
                Item::Mod(module) if !is_for_tests(&module.attrs) => {
                    if let Some((_, items)) = &module.content {
                        self.items(items);
                    }
                }
                Item::Fn(function) if !is_for_tests(&function.attrs) => {
                    self.function(&function.vis, &function.sig, &function.attrs);
                }
                Item::Impl(block) if !is_for_tests(&block.attrs) => self.block(block),
                Item::Enum(it) => self.type_of(&it.ident, &it.attrs),
                Item::Struct(it) => {
                    self.type_of(&it.ident, &it.attrs);
                    for field in &it.fields {
                        self.number(field.ident.as_ref(), &field.ty, &field.attrs, None);
                    }
                }
                Item::Const(it) => {
                    let value = it.expr.to_token_stream().to_string();
                    self.number(Some(&it.ident), &it.ty, &it.attrs, Some(value));
                }
                _ => {}
            }
        }
    }

    fn block(&mut self, block: &syn::ItemImpl) {
        for item in &block.items {
            match item {
                syn::ImplItem::Fn(function)
                    if block.trait_.is_none() && !is_for_tests(&function.attrs) =>
                {
                    self.function(&function.vis, &function.sig, &function.attrs);
                }
                syn::ImplItem::Const(it) => {
                    let value = it.expr.to_token_stream().to_string();
                    self.number(Some(&it.ident), &it.ty, &it.attrs, Some(value));
                }
                _ => {}
            }
        }
    }

    fn function(&mut self, visible: &Visibility, signature: &syn::Signature, attrs: &[Attribute]) {
        let name = &signature.ident;
        for input in &signature.inputs {
            if let syn::FnArg::Typed(argument) = input
                && let syn::Pat::Ident(named) = argument.pat.as_ref()
            {
                // What the function says counts for what it takes.
                self.number(Some(&named.ident), &argument.ty, attrs, None);
            }
        }
        if matches!(visible, Visibility::Inherited) || !self.is_in_rooms() {
            return;
        }
        if let Some(error) = error_of(&signature.output) {
            self.words.failing.push(Failing {
                place: self.place(&name.to_string()),
                error,
                doc: documentation(attrs),
            });
        }
    }

    fn type_of(&mut self, name: &syn::Ident, attrs: &[Attribute]) {
        if self.is_in_rooms() {
            let said = (self.place(&name.to_string()), documentation(attrs));
            self.words
                .types
                .entry(name.to_string())
                .or_default()
                .push(said);
        }
    }

    fn number(
        &mut self,
        name: Option<&syn::Ident>,
        of: &Type,
        attrs: &[Attribute],
        value: Option<String>,
    ) {
        let Some(name) = name.filter(|_| is_number(of)) else {
            return;
        };
        if lies_in(&self.module.path, PRODUCTS) || is_for_tests(attrs) {
            return;
        }
        self.words.numbers.push(Number {
            place: self.place(&name.to_string()),
            name: name.to_string(),
            doc: documentation(attrs),
            value,
        });
    }
}
