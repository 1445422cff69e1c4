//! The parameters of an RPC call: from a query and a form to pairs, and from flat pairs to a tree.
//!
//! What: [`parse_pairs`] decodes `k=v&k=v` (a key without `=` has an empty value) into [`Pairs`], in the order they came,
//! which is what signatures need. [`Tree::from_pairs`] reads the dots: `RecordFormat.1.Format` is member `Format` of item 1
//! of list `RecordFormat`; lists count from 1.
//!
//! Why two steps: a signature covers every pair as it was sent, even the odd ones, while the spec check needs structure
//! and no ambiguity. Every size is bounded, and every refusal is a typed error that names the pair.

use std::collections::BTreeMap;

use thiserror::Error;

use super::percent::{self, DecodeError};

/// Most pairs of a request, query and form together.
pub const MAX_PAIRS: usize = 1_000;
/// Longest decoded name, in bytes.
pub const MAX_NAME: usize = 256;
/// Longest decoded value, in bytes.
pub const MAX_VALUE: usize = 100 * 1024;
/// Largest query and form together, as sent, in bytes.
pub const MAX_TOTAL: usize = 1024 * 1024;
/// Highest index of a list item.
pub const MAX_INDEX: usize = 1_000;
/// Deepest nesting, counted in the dots of a name plus one.
pub const MAX_DEPTH: usize = 8;

/// Why a request's parameters cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParamError {
    /// More than [`MAX_PAIRS`].
    #[error("the request has more than {MAX_PAIRS} parameters")]
    TooMany,
    /// More than [`MAX_TOTAL`].
    #[error("the parameters of the request are larger than {MAX_TOTAL} bytes")]
    TooLarge,
    /// A name longer than [`MAX_NAME`].
    #[error("a parameter name is longer than {MAX_NAME} bytes")]
    LongName,
    /// A value longer than [`MAX_VALUE`].
    #[error("the value of {name} is longer than {MAX_VALUE} bytes")]
    LongValue {
        /// Whose value.
        name: String,
    },
    /// A name that does not decode.
    #[error("a parameter name cannot be decoded: {error}")]
    Name {
        /// What is wrong with it.
        error: DecodeError,
    },
    /// A value that does not decode.
    #[error("the value of {name} cannot be decoded: {error}")]
    Value {
        /// Whose value.
        name: String,
        /// What is wrong with it.
        error: DecodeError,
    },
    /// `a=1&a=2`.
    #[error("{name} is given twice")]
    Duplicate {
        /// The full name.
        name: String,
    },
    /// A name with an empty part, such as `A..B`, or with more than [`MAX_DEPTH`] parts.
    #[error("{name} is not a parameter name")]
    Shape {
        /// The full name.
        name: String,
    },
    /// An index outside 1 to [`MAX_INDEX`].
    #[error("{name} has an index outside 1 to {MAX_INDEX}")]
    Index {
        /// The full name.
        name: String,
    },
    /// `A.1` and `A.3` without `A.2`.
    #[error("{name} is absent although a later item of the list is given")]
    Gap {
        /// The name of the absent item.
        name: String,
    },
    /// The same name used as a value and as a list, or as a list and as an object.
    #[error(
        "{name} contradicts another parameter: one name cannot be a value, a list and an object at once"
    )]
    Conflict {
        /// The full name of the second use.
        name: String,
    },
}

impl ParamError {
    /// The parameter to blame, where one can be named.
    #[must_use]
    pub fn param(&self) -> Option<&str> {
        match self {
            ParamError::TooMany
            | ParamError::TooLarge
            | ParamError::LongName
            | ParamError::Name { .. } => None,
            ParamError::LongValue { name }
            | ParamError::Value { name, .. }
            | ParamError::Duplicate { name }
            | ParamError::Shape { name }
            | ParamError::Index { name }
            | ParamError::Gap { name }
            | ParamError::Conflict { name } => Some(name),
        }
    }
}

/// Decoded pairs in the order they were sent, the query's before the form's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pairs {
    items: Vec<(String, String)>,
}

impl Pairs {
    /// The first value of this exact name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.items
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// All pairs.
    #[must_use]
    pub fn as_slice(&self) -> &[(String, String)] {
        &self.items
    }
}

impl FromIterator<(String, String)> for Pairs {
    /// For our own client, which knows what it sends; nothing is bounded here.
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        Self {
            items: pairs.into_iter().collect(),
        }
    }
}

/// Decodes the raw query and, when the body is a form, the body.
///
/// # Errors
/// A bound is passed or a text does not decode.
pub fn parse_pairs(query: &str, form: Option<&[u8]>) -> Result<Pairs, ParamError> {
    let form = form.unwrap_or_default();
    if query.len().saturating_add(form.len()) > MAX_TOTAL {
        return Err(ParamError::TooLarge);
    }
    let mut items = Vec::new();
    let raw_pairs = query
        .as_bytes()
        .split(|b| *b == b'&')
        .chain(form.split(|b| *b == b'&'));
    for raw in raw_pairs.filter(|raw| !raw.is_empty()) {
        if items.len() == MAX_PAIRS {
            return Err(ParamError::TooMany);
        }
        let mut halves = raw.splitn(2, |b| *b == b'=');
        let name = percent::decode(halves.next().unwrap_or_default())
            .map_err(|error| ParamError::Name { error })?;
        if name.len() > MAX_NAME {
            return Err(ParamError::LongName);
        }
        let value = match percent::decode(halves.next().unwrap_or_default()) {
            Ok(value) if value.len() > MAX_VALUE => return Err(ParamError::LongValue { name }),
            Ok(value) => value,
            Err(error) => return Err(ParamError::Value { name, error }),
        };
        items.push((name, value));
    }
    Ok(Pairs { items })
}

/// One place in the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A plain value.
    Value(String),
    /// Items 1, 2, … in order.
    List(Vec<Node>),
    /// Members by name.
    Object(BTreeMap<String, Node>),
}

/// Flat pairs as a tree; names keep their spelling.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    root: BTreeMap<String, Node>,
}

impl Tree {
    /// Reads the dots of all names.
    ///
    /// # Errors
    /// Names that are malformed, given twice, contradict each other, or leave a gap in a list.
    pub fn from_pairs(pairs: &Pairs) -> Result<Self, ParamError> {
        let mut root = BTreeMap::new();
        for (name, value) in pairs.as_slice() {
            insert(&mut root, name, value)?;
        }
        let root = root
            .into_iter()
            .map(|(name, draft)| Ok((name.clone(), draft.close(&name)?)))
            .collect::<Result<_, ParamError>>()?;
        Ok(Self { root })
    }

    /// The parameter of this exact name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Node> {
        self.root.get(name)
    }

    /// All parameters, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.root.iter().map(|(name, node)| (name.as_str(), node))
    }
}

/// A node while pairs still come in, in any order.
#[derive(Debug)]
enum Draft {
    Value(String),
    List(BTreeMap<usize, Draft>),
    Object(BTreeMap<String, Draft>),
}

enum Step<'a> {
    Index(usize),
    Member(&'a str),
}

fn insert(root: &mut BTreeMap<String, Draft>, name: &str, value: &str) -> Result<(), ParamError> {
    let mut parts = name.split('.');
    let head = parts
        .next()
        .filter(|part| !part.is_empty())
        .ok_or_else(|| shape(name))?;
    let steps = parts
        .map(|part| step(name, part))
        .collect::<Result<Vec<_>, _>>()?;
    if steps.len() >= MAX_DEPTH {
        return Err(shape(name));
    }
    let Some((first, rest)) = steps.split_first() else {
        return leaf(root, head.to_owned(), name, value);
    };
    let mut here = root
        .entry(head.to_owned())
        .or_insert_with(|| empty_for(first));
    let mut current = first;
    for next in rest {
        here = descend(here, current, next).ok_or_else(|| conflict(name))?;
        current = next;
    }
    match (here, current) {
        (Draft::List(items), Step::Index(index)) => leaf(items, *index, name, value),
        (Draft::Object(members), Step::Member(member)) => {
            leaf(members, (*member).to_owned(), name, value)
        }
        _ => Err(conflict(name)),
    }
}

fn step<'a>(name: &str, part: &'a str) -> Result<Step<'a>, ParamError> {
    if part.is_empty() {
        return Err(shape(name));
    }
    if !part.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(Step::Member(part));
    }
    match part.parse::<usize>() {
        // A leading zero would give one item two names.
        Ok(index) if (1..=MAX_INDEX).contains(&index) && !part.starts_with('0') => {
            Ok(Step::Index(index))
        }
        _ => Err(ParamError::Index {
            name: name.to_owned(),
        }),
    }
}

fn leaf<K: Ord>(
    map: &mut BTreeMap<K, Draft>,
    key: K,
    name: &str,
    value: &str,
) -> Result<(), ParamError> {
    match map.get(&key) {
        None => {
            map.insert(key, Draft::Value(value.to_owned()));
            Ok(())
        }
        Some(Draft::Value(_)) => Err(ParamError::Duplicate {
            name: name.to_owned(),
        }),
        Some(_) => Err(conflict(name)),
    }
}

fn empty_for(step: &Step<'_>) -> Draft {
    match step {
        Step::Index(_) => Draft::List(BTreeMap::new()),
        Step::Member(_) => Draft::Object(BTreeMap::new()),
    }
}

fn descend<'a>(here: &'a mut Draft, step: &Step<'_>, next: &Step<'_>) -> Option<&'a mut Draft> {
    match (here, step) {
        (Draft::List(items), Step::Index(index)) => {
            Some(items.entry(*index).or_insert_with(|| empty_for(next)))
        }
        (Draft::Object(members), Step::Member(member)) => Some(
            members
                .entry((*member).to_owned())
                .or_insert_with(|| empty_for(next)),
        ),
        _ => None,
    }
}

fn shape(name: &str) -> ParamError {
    ParamError::Shape {
        name: name.to_owned(),
    }
}

fn conflict(name: &str) -> ParamError {
    ParamError::Conflict {
        name: name.to_owned(),
    }
}

impl Draft {
    /// Depth is bounded by [`MAX_DEPTH`], so is this recursion.
    fn close(self, name: &str) -> Result<Node, ParamError> {
        Ok(match self {
            Draft::Value(value) => Node::Value(value),
            Draft::List(items) => {
                let mut list = Vec::with_capacity(items.len());
                for (index, draft) in items {
                    let expected = list.len() + 1;
                    if index != expected {
                        return Err(ParamError::Gap {
                            name: format!("{name}.{expected}"),
                        });
                    }
                    list.push(draft.close(&format!("{name}.{index}"))?);
                }
                Node::List(list)
            }
            Draft::Object(members) => Node::Object(
                members
                    .into_iter()
                    .map(|(member, draft)| {
                        let node = draft.close(&format!("{name}.{member}"))?;
                        Ok((member, node))
                    })
                    .collect::<Result<_, ParamError>>()?,
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tree(query: &str) -> Result<Tree, ParamError> {
        Tree::from_pairs(&parse_pairs(query, None)?)
    }

    fn value(text: &str) -> Node {
        Node::Value(text.to_owned())
    }

    #[test]
    fn query_and_form_are_merged_in_order() {
        let pairs = parse_pairs("A=1&&B", Some(b"C=x+y&D=a=b")).unwrap();
        let expected = [("A", "1"), ("B", ""), ("C", "x y"), ("D", "a=b")];
        let got: Vec<_> = pairs
            .as_slice()
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        assert_eq!(got, expected);
        assert_eq!(pairs.get("C"), Some("x y"));
        assert_eq!(pairs.get("c"), None);
    }

    #[test]
    fn bounds_hold_and_the_last_allowed_passes() {
        let many = |n: usize| {
            (0..n)
                .map(|i| format!("P{i}=1"))
                .collect::<Vec<_>>()
                .join("&")
        };
        assert_eq!(
            parse_pairs(&many(MAX_PAIRS), None)
                .unwrap()
                .as_slice()
                .len(),
            MAX_PAIRS
        );
        assert_eq!(
            parse_pairs(&many(MAX_PAIRS), Some(b"one=more")),
            Err(ParamError::TooMany)
        );
        assert!(parse_pairs(&format!("{}=1", "n".repeat(MAX_NAME)), None).is_ok());
        assert_eq!(
            parse_pairs(&format!("{}=1", "n".repeat(MAX_NAME + 1)), None),
            Err(ParamError::LongName)
        );
        assert!(parse_pairs(&format!("A={}", "v".repeat(MAX_VALUE)), None).is_ok());
        let long = parse_pairs(&format!("A={}", "v".repeat(MAX_VALUE + 1)), None);
        assert_eq!(long, Err(ParamError::LongValue { name: "A".into() }));
        let ampersands = "&".repeat(MAX_TOTAL);
        assert_eq!(parse_pairs(&ampersands, None), Ok(Pairs::default()));
        assert_eq!(
            parse_pairs(&ampersands, Some(b"&")),
            Err(ParamError::TooLarge)
        );
    }

    #[test]
    fn bad_encoding_names_the_parameter() {
        let error = parse_pairs("Good=1&AppName=%zz", None).unwrap_err();
        assert_eq!(error.param(), Some("AppName"));
        assert!(matches!(
            parse_pairs("%ff=1", None),
            Err(ParamError::Name {
                error: DecodeError::NotUtf8
            })
        ));
    }

    #[test]
    fn dotted_names_become_lists_and_objects_in_any_order() {
        let tree = tree(
            "R.2.Format=mp4&DomainName=d&R.1.Format=m3u8&R.1.CycleDuration=900&T.1=a&O.In.Side=x",
        )
        .unwrap();
        let Some(Node::List(formats)) = tree.get("R") else {
            panic!("R is a list")
        };
        assert_eq!(formats.len(), 2);
        let Some(Node::Object(first)) = formats.first() else {
            panic!("R.1 is an object")
        };
        assert_eq!(first.get("Format"), Some(&value("m3u8")));
        assert_eq!(first.get("CycleDuration"), Some(&value("900")));
        assert_eq!(tree.get("T"), Some(&Node::List(vec![value("a")])));
        assert_eq!(tree.get("DomainName"), Some(&value("d")));
        let Some(Node::Object(outer)) = tree.get("O") else {
            panic!("O is an object")
        };
        assert!(matches!(outer.get("In"), Some(Node::Object(_))));
    }

    #[test]
    fn ambiguous_names_are_refused_with_their_name() {
        let name = |text: &str| text.to_owned();
        let cases = [
            ("A=1&A=1", ParamError::Duplicate { name: name("A") }),
            ("A.1=1&A.1=2", ParamError::Duplicate { name: name("A.1") }),
            ("A=1&A.1=2", ParamError::Conflict { name: name("A.1") }),
            ("A.1=1&A=2", ParamError::Conflict { name: name("A") }),
            ("A.1=1&A.B=2", ParamError::Conflict { name: name("A.B") }),
            (
                "A.1=1&A.1.B=2",
                ParamError::Conflict {
                    name: name("A.1.B"),
                },
            ),
            ("A.1=1&A.3=2", ParamError::Gap { name: name("A.2") }),
            ("A.2=1", ParamError::Gap { name: name("A.1") }),
            (
                "A.1.B.2=1",
                ParamError::Gap {
                    name: name("A.1.B.1"),
                },
            ),
            ("A.0=1", ParamError::Index { name: name("A.0") }),
            ("A.01=1", ParamError::Index { name: name("A.01") }),
            (
                "A.1001=1",
                ParamError::Index {
                    name: name("A.1001"),
                },
            ),
            (
                "A.99999999999999999999999=1",
                ParamError::Index {
                    name: name("A.99999999999999999999999"),
                },
            ),
            ("A..B=1", ParamError::Shape { name: name("A..B") }),
            ("A.=1", ParamError::Shape { name: name("A.") }),
            (".A=1", ParamError::Shape { name: name(".A") }),
            ("=1", ParamError::Shape { name: name("") }),
            (
                "a.b.c.d.e.f.g.h.i=1",
                ParamError::Shape {
                    name: name("a.b.c.d.e.f.g.h.i"),
                },
            ),
        ];
        for (query, expected) in cases {
            assert_eq!(tree(query), Err(expected), "{query}");
        }
    }

    #[test]
    fn the_highest_index_and_the_deepest_name_pass() {
        let list = (1..=MAX_INDEX)
            .map(|i| format!("A.{i}=x"))
            .collect::<Vec<_>>()
            .join("&");
        let Ok(tree_of_list) = tree(&list) else {
            panic!("a full list is fine")
        };
        assert!(
            matches!(tree_of_list.get("A"), Some(Node::List(items)) if items.len() == MAX_INDEX)
        );
        assert!(tree("a.b.c.d.e.f.g.h=1").is_ok());
    }

    proptest! {
        #[test]
        fn any_query_parses_or_is_refused(query in "[A-C.0-3=&%+a]{0,60}") {
            if let Ok(pairs) = parse_pairs(&query, None)
                && let Ok(tree) = Tree::from_pairs(&pairs)
            {
                prop_assert!(tree.iter().count() <= pairs.as_slice().len());
            }
        }
    }
}
