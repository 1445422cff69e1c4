//! Flat names to a tree: the dots and numbers of `RecordFormat.1.Format` read as members and list items.
//!
//! Pairs come in any order, so only when all are in their places can a list say that an item is absent. A name that
//! contradicts another one is refused, because a guess would let two readers see two different calls.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::{MAX_DEPTH, MAX_INDEX, Pairs, ParamError};

/// One place in the tree; all texts are the request's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node<'a> {
    /// A plain value.
    Value(&'a str),
    /// Items by their number, from 1; in a [`Tree`] without a gap.
    List(BTreeMap<usize, Node<'a>>),
    /// Members by name.
    Object(BTreeMap<&'a str, Node<'a>>),
}

/// Flat pairs as a tree; names keep their spelling.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree<'a> {
    root: BTreeMap<&'a str, Node<'a>>,
}

impl<'a> Tree<'a> {
    /// Reads the dots of all names.
    ///
    /// # Errors
    /// Names that are malformed, given twice, contradict each other, or leave a gap in a list.
    pub fn from_pairs(pairs: &'a Pairs<'_>) -> Result<Self, ParamError> {
        let mut root = BTreeMap::new();
        for (name, value) in pairs.as_slice() {
            insert(&mut root, name, value)?;
        }
        for (name, node) in &root {
            node.check_gaps(name)?;
        }
        Ok(Self { root })
    }

    /// The parameter of this exact name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Node<'a>> {
        self.root.get(name)
    }

    /// All parameters, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Node<'a>)> {
        self.root.iter().map(|(name, node)| (*name, node))
    }
}

enum Step<'a> {
    Index(usize),
    Member(&'a str),
}

fn insert<'a>(
    root: &mut BTreeMap<&'a str, Node<'a>>,
    name: &'a str,
    value: &'a str,
) -> Result<(), ParamError> {
    let (head, below) = match name.split_once('.') {
        None if !name.is_empty() => return leaf(root, name, name, value),
        Some((head, below)) if !head.is_empty() => (head, below),
        _ => return Err(shape(name)),
    };
    let steps = below
        .split('.')
        .map(|part| step(name, part))
        .collect::<Result<Vec<_>, _>>()?;
    let (first, more) = match steps.split_first() {
        Some((first, more)) if steps.len() < MAX_DEPTH => (first, more),
        _ => return Err(shape(name)),
    };
    let mut here = root.entry(head).or_insert_with(|| empty_for(first));
    let mut current = first;
    for next in more {
        here = descend(here, current, next).ok_or_else(|| conflict(name))?;
        current = next;
    }
    match (here, current) {
        (Node::List(items), Step::Index(index)) => leaf(items, *index, name, value),
        (Node::Object(members), Step::Member(member)) => leaf(members, *member, name, value),
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

fn leaf<'a, K: Ord>(
    map: &mut BTreeMap<K, Node<'a>>,
    key: K,
    name: &str,
    value: &'a str,
) -> Result<(), ParamError> {
    match map.entry(key) {
        Entry::Vacant(place) => {
            place.insert(Node::Value(value));
            Ok(())
        }
        Entry::Occupied(place) => Err(match place.get() {
            Node::Value(_) => ParamError::Duplicate {
                name: name.to_owned(),
            },
            _ => conflict(name),
        }),
    }
}

fn empty_for<'a>(step: &Step<'_>) -> Node<'a> {
    match step {
        Step::Index(_) => Node::List(BTreeMap::new()),
        Step::Member(_) => Node::Object(BTreeMap::new()),
    }
}

fn descend<'m, 'a>(
    here: &'m mut Node<'a>,
    step: &Step<'a>,
    next: &Step<'_>,
) -> Option<&'m mut Node<'a>> {
    match (here, step) {
        (Node::List(items), Step::Index(index)) => {
            Some(items.entry(*index).or_insert_with(|| empty_for(next)))
        }
        (Node::Object(members), Step::Member(member)) => {
            Some(members.entry(member).or_insert_with(|| empty_for(next)))
        }
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

impl Node<'_> {
    /// Depth is bounded by [`MAX_DEPTH`], so is this recursion.
    fn check_gaps(&self, name: &str) -> Result<(), ParamError> {
        match self {
            Node::Value(_) => Ok(()),
            Node::List(items) => (1..).zip(items).try_for_each(|(expected, (index, node))| {
                if *index != expected {
                    return Err(ParamError::Gap {
                        name: format!("{name}.{expected}"),
                    });
                }
                node.check_gaps(&format!("{name}.{index}"))
            }),
            Node::Object(members) => members
                .iter()
                .try_for_each(|(member, node)| node.check_gaps(&format!("{name}.{member}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::parse_pairs;
    use super::*;

    fn pairs(query: &str) -> Pairs<'_> {
        parse_pairs(query, None).unwrap()
    }

    #[test]
    fn dotted_names_become_lists_and_objects_in_any_order() {
        let pairs = pairs(
            "R.2.Format=mp4&DomainName=d&R.1.Format=m3u8&R.1.CycleDuration=900&T.1=a&O.In.Side=x",
        );
        let tree = Tree::from_pairs(&pairs).unwrap();
        let Some(Node::List(formats)) = tree.get("R") else {
            panic!("R is a list")
        };
        assert_eq!(formats.len(), 2);
        let Some(Node::Object(first)) = formats.get(&1) else {
            panic!("R.1 is an object")
        };
        assert_eq!(first.get("Format"), Some(&Node::Value("m3u8")));
        assert_eq!(first.get("CycleDuration"), Some(&Node::Value("900")));
        let one = [(1, Node::Value("a"))].into();
        assert_eq!(tree.get("T"), Some(&Node::List(one)));
        assert_eq!(tree.get("DomainName"), Some(&Node::Value("d")));
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
            assert_eq!(Tree::from_pairs(&pairs(query)), Err(expected), "{query}");
        }
    }

    #[test]
    fn the_highest_index_and_the_deepest_name_pass() {
        let list = (1..=MAX_INDEX)
            .map(|i| format!("A.{i}=x"))
            .collect::<Vec<_>>()
            .join("&");
        let full = pairs(&list);
        let tree = Tree::from_pairs(&full).unwrap();
        assert!(matches!(tree.get("A"), Some(Node::List(items)) if items.len() == MAX_INDEX));
        assert!(Tree::from_pairs(&pairs("a.b.c.d.e.f.g.h=1")).is_ok());
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
