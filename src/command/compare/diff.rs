//! Where two answers differ, place by place.
//!
//! Both have been made alike before. Each difference is told once and at its own place: what lies below it is not compared, and of an
//! answer that one side refuses only status and code are told.

use serde_json::Value;

use super::answer::{Answered, Body};
use super::places::Place;
use crate::secrets;

/// Most differences of one answer; what is beyond is counted.
pub const MAX_DIFFERENCES: usize = 200;
/// Largest product of two lists' lengths up to which their items are matched.
const MAX_CELLS: usize = 1_000_000;

/// Names of what pages a list.
const PAGING: [&str; 10] = [
    "PageNum",
    "PageNumber",
    "PageNo",
    "PageSize",
    "TotalNum",
    "TotalCount",
    "TotalPage",
    "Total",
    "NextToken",
    "NextPageToken",
];

/// In which way two answers differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// The value.
    Value,
    OnlyHere,
    OnlyThere,
    /// A text where a number is, null where a list is, another media type.
    Type,
    /// The name is written in other letters (`requestId`).
    Name,
    /// The code of an error.
    Code,
    Status,
    /// The same items in another order.
    Order,
    /// The value of what pages a list.
    Paging,
}

impl Way {
    /// As people and programs read it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Value => "different",
            Self::OnlyHere => "only here",
            Self::OnlyThere => "only there",
            Self::Type => "other type",
            Self::Name => "other name",
            Self::Code => "other code",
            Self::Status => "other status",
            Self::Order => "other order",
            Self::Paging => "other paging",
        }
    }
}

/// One difference.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    pub way: Way,
    /// A JSON pointer into the body; empty for the answer as a whole.
    pub at: String,
    pub here: Option<Value>,
    pub there: Option<Value>,
}

/// All differences of one answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Differences {
    pub found: Vec<Difference>,
    /// Those that are not listed, since there are too many.
    pub more: usize,
}

impl Differences {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    fn add(&mut self, way: Way, at: String, here: Option<&Value>, there: Option<&Value>) {
        if self.found.len() >= MAX_DIFFERENCES {
            self.more += 1;
            return;
        }
        self.found.push(Difference {
            way,
            at,
            here: here.cloned(),
            there: there.cloned(),
        });
    }
}

/// Compares two answers whose bodies were made alike.
#[must_use]
pub fn answers(here: &Answered, there: &Answered) -> Differences {
    let mut differences = Differences::default();
    let number = |answer: &Answered| Value::from(answer.status);
    if here.status != there.status {
        differences.add(
            Way::Status,
            String::new(),
            Some(&number(here)),
            Some(&number(there)),
        );
    }
    let (Body::Json(ours), Body::Json(theirs)) = (&here.body, &there.body) else {
        let shown = |answer: &Answered| match &answer.body {
            Body::Json(_) => Value::from("JSON"),
            Body::Other(text) => Value::from(text.as_str()),
        };
        let (ours, theirs) = (shown(here), shown(there));
        if ours != theirs {
            let both_other = here.json().is_none() && there.json().is_none();
            let way = if both_other { Way::Value } else { Way::Type };
            differences.add(way, String::new(), Some(&ours), Some(&theirs));
        }
        return differences;
    };
    if here.media != there.media {
        let media = |answer: &Answered| Value::from(answer.media.as_str());
        differences.add(
            Way::Type,
            String::new(),
            Some(&media(here)),
            Some(&media(there)),
        );
    }
    if here.is_success() != there.is_success() {
        let (ours, theirs) = (here.code().map(Value::from), there.code().map(Value::from));
        differences.add(
            Way::Code,
            "/Code".to_owned(),
            ours.as_ref(),
            theirs.as_ref(),
        );
        return differences;
    }
    let mut comparing = Comparing {
        differences: &mut differences,
        place: Place::default(),
        of_an_error: !here.is_success(),
        is_secret: false,
    };
    comparing.values(ours, theirs);
    differences
}

struct Comparing<'a> {
    differences: &'a mut Differences,
    place: Place,
    of_an_error: bool,
    /// The place is the value of a secret that a member beside it names, or lies in one; its own name does not tell.
    is_secret: bool,
}

impl Comparing<'_> {
    fn add(&mut self, way: Way, here: Option<&Value>, there: Option<&Value>) {
        let at = self.place.pointer();
        if self.is_secret {
            let (ours, theirs) = (here.map(secrets::hidden), there.map(secrets::hidden));
            self.differences
                .add(way, at, ours.as_ref(), theirs.as_ref());
        } else {
            self.differences.add(way, at, here, there);
        }
    }

    fn values(&mut self, here: &Value, there: &Value) {
        match (here, there) {
            (Value::Object(ours), Value::Object(theirs)) => self.objects(ours, theirs),
            (Value::Array(ours), Value::Array(theirs)) => self.lists(ours, theirs),
            (here, there) if kind(here) != kind(there) => {
                self.add(Way::Type, Some(here), Some(there));
            }
            (here, there) if here == there => {}
            (here, there) => {
                let way = if self.of_an_error && self.place.pointer() == "/Code" {
                    Way::Code
                } else if PAGING.contains(&self.place.name()) {
                    Way::Paging
                } else {
                    Way::Value
                };
                self.add(way, Some(here), Some(there));
            }
        }
    }

    fn objects(
        &mut self,
        ours: &serde_json::Map<String, Value>,
        theirs: &serde_json::Map<String, Value>,
    ) {
        let is_above = self.is_secret;
        // One side may name a secret where the other one names something else.
        let is_named =
            |name: &str| secrets::is_named(ours, name) || secrets::is_named(theirs, name);
        for (name, here) in ours {
            self.place.push(name.as_str());
            self.is_secret = is_above || is_named(name);
            if let Some(there) = theirs.get(name) {
                self.values(here, there);
            } else if let Some(other) = in_other_letters(name, ours, theirs) {
                // The member's own name is none.
                self.is_secret = is_above;
                let names = (Value::from(name.as_str()), Value::from(other));
                self.add(Way::Name, Some(&names.0), Some(&names.1));
            } else {
                self.add(Way::OnlyHere, Some(here), None);
            }
            self.place.pop();
        }
        for (name, there) in theirs {
            if ours.contains_key(name) || in_other_letters(name, theirs, ours).is_some() {
                continue;
            }
            self.place.push(name.as_str());
            self.is_secret = is_above || is_named(name);
            self.add(Way::OnlyThere, None, Some(there));
            self.place.pop();
        }
        self.is_secret = is_above;
    }

    fn lists(&mut self, ours: &[Value], theirs: &[Value]) {
        if ours == theirs {
            return;
        }
        if ours.len() == theirs.len() {
            if same_items(ours, theirs) {
                let list = |items: &[Value]| Value::Array(items.to_vec());
                return self.add(Way::Order, Some(&list(ours)), Some(&list(theirs)));
            }
            for (number, (here, there)) in ours.iter().zip(theirs).enumerate() {
                self.item(number, Some(here), Some(there));
            }
            return;
        }
        // What both have is found first, so that one item too many is one difference.
        let (mut i, mut j) = (0, 0);
        for (next_here, next_there) in common(ours, theirs) {
            self.between(ours, theirs, (i, next_here), (j, next_there));
            (i, j) = (next_here + 1, next_there + 1);
        }
        self.between(ours, theirs, (i, ours.len()), (j, theirs.len()));
    }

    /// Items between two that both sides have.
    fn between(
        &mut self,
        ours: &[Value],
        theirs: &[Value],
        (mut i, ours_end): (usize, usize),
        (mut j, theirs_end): (usize, usize),
    ) {
        while i < ours_end || j < theirs_end {
            let here = ours.get(i).filter(|_| i < ours_end);
            let there = theirs.get(j).filter(|_| j < theirs_end);
            self.item(if here.is_some() { i } else { j }, here, there);
            i += usize::from(here.is_some());
            j += usize::from(there.is_some());
        }
    }

    fn item(&mut self, number: usize, here: Option<&Value>, there: Option<&Value>) {
        self.place.push(number.to_string());
        match (here, there) {
            (Some(here), Some(there)) => self.values(here, there),
            (Some(_), None) => self.add(Way::OnlyHere, here, None),
            _ => self.add(Way::OnlyThere, None, there),
        }
        self.place.pop();
    }
}

/// The one name of `others` that is this name of `own` but for capital letters, where each has only that one to itself.
fn in_other_letters<'a>(
    name: &str,
    own: &serde_json::Map<String, Value>,
    others: &'a serde_json::Map<String, Value>,
) -> Option<&'a str> {
    let alone = |in_one: &'a str, without: &serde_json::Map<String, Value>| {
        in_one.eq_ignore_ascii_case(name) && !without.contains_key(in_one)
    };
    let mut names = others.keys().filter(|other| alone(other, own));
    let only = names.next()?;
    let mut rivals = own.keys().filter(|rival| {
        rival.as_str() != name && rival.eq_ignore_ascii_case(name) && !others.contains_key(*rival)
    });
    (names.next().is_none() && rivals.next().is_none()).then_some(only.as_str())
}

/// The kind of a value; whole numbers and those with a fraction are two, since readers take them into different types.
fn kind(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(number) if number.is_f64() => 2,
        Value::Number(_) => 3,
        Value::String(_) => 4,
        Value::Array(_) => 5,
        Value::Object(_) => 6,
    }
}

/// Whether two lists hold the same in another order.
fn same_items(ours: &[Value], theirs: &[Value]) -> bool {
    if ours.len().saturating_mul(theirs.len()) > MAX_CELLS {
        return false;
    }
    let mut taken = vec![false; theirs.len()];
    ours.iter().all(|here| {
        let free = theirs
            .iter()
            .zip(&mut taken)
            .find(|(there, taken)| !**taken && *there == here);
        free.is_some_and(|(_, taken)| {
            *taken = true;
            true
        })
    })
}

/// Pairs of numbers of items that are the same and in the same order: a longest common subsequence.
fn common(ours: &[Value], theirs: &[Value]) -> Vec<(usize, usize)> {
    if ours.len().saturating_mul(theirs.len()) > MAX_CELLS {
        return Vec::new();
    }
    let width = theirs.len() + 1;
    let mut lengths = vec![0_u32; (ours.len() + 1) * width];
    let get =
        |lengths: &[u32], i: usize, j: usize| lengths.get(i * width + j).copied().unwrap_or(0);
    for (i, here) in ours.iter().enumerate().rev() {
        for (j, there) in theirs.iter().enumerate().rev() {
            let best = if here == there {
                get(&lengths, i + 1, j + 1) + 1
            } else {
                get(&lengths, i + 1, j).max(get(&lengths, i, j + 1))
            };
            if let Some(cell) = lengths.get_mut(i * width + j) {
                *cell = best;
            }
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut pairs = Vec::new();
    while let (Some(here), Some(there)) = (ours.get(i), theirs.get(j)) {
        if here == there {
            pairs.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if get(&lengths, i + 1, j) >= get(&lengths, i, j + 1) {
            i += 1;
        } else {
            j += 1;
        }
    }
    pairs
}

/// Compares two values, for tests that need no answer around them.
#[cfg(test)]
pub fn values(here: &Value, there: &Value) -> Differences {
    let mut differences = Differences::default();
    let mut comparing = Comparing {
        differences: &mut differences,
        place: Place::default(),
        of_an_error: false,
        is_secret: false,
    };
    comparing.values(here, there);
    differences
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn told(differences: &Differences) -> Vec<String> {
        let found = differences.found.iter();
        found
            .map(|difference| format!("{} {}", difference.way.word(), difference.at))
            .collect()
    }

    #[expect(clippy::needless_pass_by_value)]
    fn of(here: Value, there: Value) -> Vec<String> {
        told(&values(&here, &there))
    }

    #[test]
    fn each_way_is_told_once_and_at_its_place() {
        let list = |items: Value| json!({"List": {"Item": items}});
        for (here, there, expected) in [
            (json!({"A": 1}), json!({"A": 1}), vec![]),
            (json!({"A": 1, "B": 2}), json!({"B": 2, "A": 1}), vec![]),
            (json!({"A": 1}), json!({"A": 2}), vec!["different /A"]),
            (json!({"A": 1}), json!({"A": "1"}), vec!["other type /A"]),
            (json!({"A": 1}), json!({"A": 1.0}), vec!["other type /A"]),
            (
                json!({"A": true}),
                json!({"A": "true"}),
                vec!["other type /A"],
            ),
            (json!({"A": []}), json!({"A": null}), vec!["other type /A"]),
            (
                json!({"A": [1]}),
                json!({"A": {"0": 1}}),
                vec!["other type /A"],
            ),
            (json!({"A": 1}), json!({}), vec!["only here /A"]),
            (json!({}), json!({"A": {"B": 1}}), vec!["only there /A"]),
            (json!({"Aa": 1}), json!({"aA": 1}), vec!["other name /Aa"]),
            (
                json!({"A": 1, "a": 2}),
                json!({"A": 1}),
                vec!["only here /a"],
            ),
            (
                json!({"PageNum": 1}),
                json!({"PageNum": 2}),
                vec!["other paging /PageNum"],
            ),
            (
                json!({"PageNum": 1}),
                json!({"PageNum": "1"}),
                vec!["other type /PageNum"],
            ),
            (
                json!({"Code": 1}),
                json!({"Code": 2}),
                vec!["different /Code"],
            ),
            (
                list(json!([1, 2, 3])),
                list(json!([3, 1, 2])),
                vec!["other order /List/Item"],
            ),
            (
                list(json!([1, 1, 2])),
                list(json!([1, 2, 2])),
                vec!["different /List/Item/1"],
            ),
            (
                list(json!([1, 2, 3])),
                list(json!([1, 3])),
                vec!["only here /List/Item/1"],
            ),
            (
                list(json!([1, 3])),
                list(json!([1, 2, 3])),
                vec!["only there /List/Item/1"],
            ),
            (
                list(json!([{"a": 1}, {"a": 2}])),
                list(json!([{"a": 9}, {"a": 2}, {"a": 3}])),
                vec!["different /List/Item/0/a", "only there /List/Item/2"],
            ),
            (
                list(json!([{"a": 1}])),
                list(json!([{"a": 2}])),
                vec!["different /List/Item/0/a"],
            ),
            (
                list(json!([])),
                list(json!([1])),
                vec!["only there /List/Item/0"],
            ),
        ] {
            assert_eq!(of(here.clone(), there.clone()), expected, "{here} {there}");
        }
    }

    #[test]
    fn both_values_are_kept() {
        let found = values(&json!({"A": 1}), &json!({"A": 2})).found;
        assert_eq!(
            (&found[0].here, &found[0].there),
            (&Some(json!(1)), &Some(json!(2)))
        );
    }

    #[test]
    fn a_secret_that_a_member_beside_it_names_is_in_no_difference() {
        let pair = |name: &str, value: Value| json!({"ArgName": name, "ArgValue": value});
        let key = |value: Value| pair("auth_key1", value);
        for (here, there, shown) in [
            (key(json!("a")), key(json!("b")), ["***", "***"]),
            (key(json!("a")), key(json!("")), ["***", ""]),
            (key(json!(["a"])), key(json!(["b"])), ["***", "***"]),
            (key(json!({"K": "a"})), key(json!(7)), ["***", "***"]),
        ] {
            let found = values(&json!([here]), &json!([there])).found;
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!(found[0].here, Some(json!(shown[0])));
            assert_eq!(found[0].there, Some(json!(shown[1])));
        }
        // On the other side the same text is none.
        let found = values(&key(json!("a")), &pair("auth_type", json!("b"))).found;
        assert_eq!(found[0].at, "/ArgName");
        assert_eq!(found[0].here, Some(json!("auth_key1")));
        assert_eq!(found[1].at, "/ArgValue");
        assert_eq!(found[1].there, Some(json!("***")));
        // What comes behind such an object is shown again.
        let behind = |value: &str, more: i32| json!([key(json!(value)), {"More": more}]);
        let found = values(&behind("a", 1), &behind("b", 2)).found;
        assert_eq!(found[1].here, Some(json!(1)));
    }

    fn answer(status: u16, body: &Value) -> Answered {
        Answered::read(status, "application/json", body.to_string().as_bytes())
    }

    #[test]
    fn of_errors_status_and_code_count() {
        let error = |code: &str| json!({"Code": code, "Message": "m"});
        let of = |here: &Answered, there: &Answered| told(&answers(here, there));
        let not_found = answer(404, &error("InvalidDomain.NotFound"));
        assert!(of(&not_found, &not_found).is_empty());
        assert_eq!(
            of(&not_found, &answer(404, &error("Forbidden"))),
            ["other code /Code"]
        );
        assert_eq!(
            of(&not_found, &answer(403, &error("InvalidDomain.NotFound"))),
            ["other status "]
        );
        assert_eq!(
            of(&not_found, &answer(200, &json!({"A": 1}))),
            ["other status ", "other code /Code"]
        );
        let other_words = answer(
            404,
            &json!({"Code": "InvalidDomain.NotFound", "Message": "n"}),
        );
        assert_eq!(of(&not_found, &other_words), ["different /Message"]);
    }

    #[test]
    fn of_what_is_no_json_the_kind_counts() {
        let json = answer(200, &json!({}));
        let page = Answered::read(200, "text/html", b"<html>");
        assert_eq!(told(&answers(&json, &page)), ["other type "]);
        assert!(answers(&page, &page).is_empty());
        let plain = Answered::read(200, "text/plain", b"{}");
        assert_eq!(told(&answers(&json, &plain)), ["other type "]);
    }

    #[test]
    fn the_number_of_differences_has_an_end() {
        let object = |value: i32| {
            let members = (0..MAX_DIFFERENCES + 5).map(|n| (n.to_string(), json!(value)));
            Value::Object(members.collect())
        };
        let differences = values(&object(1), &object(2));
        assert_eq!(
            (differences.found.len(), differences.more),
            (MAX_DIFFERENCES, 5)
        );
        let long = |length: usize| (0..length).map(Value::from).collect::<Value>();
        // Beyond the bound items are compared by their numbers.
        assert_eq!(values(&long(2_000), &long(2_001)).found.len(), 1);
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[a-zA-Z0-9/~<>\u{4e2d}]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 48, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::btree_map("[a-cA-C]{0,2}", inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn nothing_differs_from_itself(value in any_value()) {
            prop_assert!(values(&value, &value).is_empty());
        }

        #[test]
        fn what_is_not_the_same_differs(here in any_value(), there in any_value()) {
            prop_assert_eq!(values(&here, &there).is_empty(), here == there);
        }
    }
}
