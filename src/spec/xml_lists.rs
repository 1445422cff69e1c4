//! Which fields of an answer are lists, for rendering XML.
//!
//! JSON `{"LiveAppRecordList":{"LiveAppRecord":[…]}}` is `<LiveAppRecordList><LiveAppRecord>…</LiveAppRecord>…</LiveAppRecordList>`:
//! a list is its own name, once for each item. Most lists sit alone in a wrapper object, which stays there when the list is
//! empty; a bare list (`CallbackList` of DescribeLiveRecordNotifyRecords) leaves nothing behind then.

use super::model::{ActionSpec, Fields, Shape};

/// One list of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// Names from the answer's root to the list, list items without a number: `LiveAppRecordList`, `LiveAppRecord`.
    pub path: Vec<String>,
    /// The element that is repeated.
    pub element: String,
    /// Whether an object around it has no other field.
    pub wrapped: bool,
}

/// All lists of an action's answer, outer ones first.
#[must_use]
pub fn lists(action: &ActionSpec) -> Vec<List> {
    let mut found = Vec::new();
    collect(&action.response, &mut Vec::new(), &mut found);
    found
}

/// Nesting is as deep as the spec file, which is ours.
fn collect(fields: &Fields, path: &mut Vec<String>, found: &mut Vec<List>) {
    for (name, shape) in fields.iter() {
        path.push(name.to_owned());
        let mut inner = shape;
        if let Shape::List(item) = shape {
            let wrapped = path.len() > 1 && fields.0.len() == 1;
            found.push(List {
                path: path.clone(),
                element: name.to_owned(),
                wrapped,
            });
            inner = item;
        }
        if let Shape::Object(fields) = inner {
            collect(fields, path, found);
        }
        path.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Spec;

    fn of(action: &str) -> Vec<(String, String, bool)> {
        lists(Spec::embedded().action(action).unwrap())
            .into_iter()
            .map(|list| (list.path.join("/"), list.element, list.wrapped))
            .collect()
    }

    #[test]
    fn wrapped_nested_and_bare_lists_are_found() {
        let row =
            |path: &str, element: &str, wrapped| (path.to_owned(), element.to_owned(), wrapped);
        let record = "LiveAppRecordList/LiveAppRecord";
        assert_eq!(
            of("DescribeLiveRecordConfig"),
            [
                row(record, "LiveAppRecord", true),
                row(
                    &format!("{record}/RecordFormatList/RecordFormat"),
                    "RecordFormat",
                    true
                ),
                row(
                    &format!("{record}/TranscodeRecordFormatList/RecordFormat"),
                    "RecordFormat",
                    true
                ),
                row(
                    &format!("{record}/TranscodeTemplates/Templates"),
                    "Templates",
                    true
                ),
            ]
        );
        assert_eq!(
            of("DescribeLiveRecordNotifyRecords"),
            [row("CallbackList", "CallbackList", false)]
        );
        assert!(of("AddLiveAppRecordConfig").is_empty());
    }
}
