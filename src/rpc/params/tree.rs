//! Flat names to a tree: the dots and numbers of `RecordFormat.1.Format` read as members and list items.
//!
//! Pairs come in any order, so a draft is filled first and then closed: only then can a list say that an item is absent.
//! A name that contradicts another one is refused, because a guess would let two readers see two different calls.

use std::collections::BTreeMap;

use super::{MAX_DEPTH, MAX_INDEX, Pairs, ParamError};

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

    use super::super::parse_pairs;
    use super::*;

    fn tree(query: &str) -> Result<Tree, ParamError> {
        Tree::from_pairs(&parse_pairs(query, None)?)
    }

    fn value(text: &str) -> Node {
        Node::Value(text.to_owned())
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
