//! Parameters: pairs survive being written and read again, a tree holds each pair at its place, and the specification's check
//! of any action answers with known names only.

use std::sync::Once;

use localyun::testing::error::ApiError;
use localyun::testing::spec::{Spec, check};
use localyun::testing::wire::params::{
    MAX_DEPTH, MAX_INDEX, MAX_NAME, MAX_PAIRS, MAX_VALUE, Node, Tree, parse_pairs,
};
use localyun::testing::wire::percent;

use crate::input::Input;

fn leaves(node: &Node<'_>, name: &str, depth: usize, out: &mut Vec<(String, String)>) {
    assert!(depth <= MAX_DEPTH);
    match node {
        Node::Value(value) => out.push((name.to_owned(), (*value).to_owned())),
        Node::List(items) => {
            assert!(!items.is_empty() && items.len() <= MAX_INDEX);
            for (expected, (at, item)) in (1..).zip(items) {
                assert_eq!(*at, expected);
                leaves(item, &format!("{name}.{at}"), depth + 1, out);
            }
        }
        Node::Object(members) => {
            assert!(!members.is_empty());
            for (member, node) in members {
                leaves(node, &format!("{name}.{member}"), depth + 1, out);
            }
        }
    }
}

pub fn run(data: &[u8]) {
    static READ: Once = Once::new();
    let spec = Spec::embedded();
    READ.call_once(|| assert_eq!(spec.actions().count(), spec.names().len()));

    let mut input = Input::new(data);
    let action = usize::from(input.u16()) % spec.names().len();
    let query = input.line();
    let form = input.rest();
    let Ok(pairs) = parse_pairs(query, Some(form)) else {
        return;
    };
    let items = pairs.as_slice();
    assert!(items.len() <= MAX_PAIRS);
    assert!(
        items
            .iter()
            .all(|(name, value)| name.len() <= MAX_NAME && value.len() <= MAX_VALUE)
    );
    let encoded: Vec<String> = items
        .iter()
        .map(|(name, value)| format!("{}={}", percent::encode(name), percent::encode(value)))
        .collect();
    assert_eq!(parse_pairs(&encoded.join("&"), None).as_ref(), Ok(&pairs));

    let tree = match Tree::from_pairs(&pairs) {
        Ok(tree) => tree,
        Err(error) => {
            let _ = ApiError::from(error).to_string();
            return;
        }
    };
    let mut found = Vec::new();
    for (name, node) in tree.iter() {
        leaves(node, name, 1, &mut found);
    }
    let mut wanted = pairs.clone().into_owned();
    wanted.sort();
    found.sort();
    assert_eq!(found, wanted);

    let name = spec
        .names()
        .nth(action)
        .expect("the index is below the number of names");
    let action = spec.action(name).expect("every action parses");
    match check::check(action, &tree) {
        Ok(checked) => {
            assert!(checked.value.is_object());
            for name in &checked.unknown {
                assert!(
                    items
                        .iter()
                        .any(|(held, _)| held == name || held.starts_with(&format!("{name}."))),
                    "{name} was never sent"
                );
            }
        }
        Err(problem) => {
            assert!(!problem.name.is_empty() && !problem.param.is_empty());
            let _ = ApiError::from(problem).to_string();
        }
    }
}
