//! Whether an action has a parameter of some full name (`RecordFormat.1.Format`), and which one was meant where it has none.

use super::check::is_system;
use super::model::{ActionSpec, Kind, Param};
use crate::likeness;

/// Parameters that say which call it is and prove who makes it: whoever makes the call sets them, and nobody beside.
const OF_THE_CALL: [&str; 8] = [
    "AccessKeyId",
    "Action",
    "Signature",
    "SignatureMethod",
    "SignatureNonce",
    "SignatureVersion",
    "Timestamp",
    "Version",
];

/// Whether a parameter is set by whoever signs, so that another one of its name would overrule it, or be dropped.
#[must_use]
pub fn is_of_the_call(name: &str) -> bool {
    OF_THE_CALL.contains(&name)
}

/// Walks a full name down the action's parameters.
///
/// # Errors
/// The nearest full name, where one is near.
pub fn find(action: &ActionSpec, full: &str) -> Result<(), Option<String>> {
    let mut parts = full.split('.');
    let first = parts.next().unwrap_or_default();
    if is_system(first) {
        return Ok(());
    }
    let public = action.request.iter().filter(|param| !param.internal);
    let Some(mut param) = public.clone().find(|param| param.name == first) else {
        let near = closest(public, first);
        return Err(near.map(|near| full.replacen(first, near, 1)));
    };
    let mut path = first.to_owned();
    for part in parts {
        match (&param.kind, &param.item) {
            (Kind::Array, Some(item)) if part.bytes().all(|b| b.is_ascii_digit()) => param = item,
            (Kind::Object, _) if !param.fields.is_empty() => {
                let Some(field) = param.fields.iter().find(|field| field.name == part) else {
                    return Err(
                        closest(param.fields.iter(), part).map(|near| format!("{path}.{near}"))
                    );
                };
                param = field;
            }
            (Kind::Map, _) | (Kind::Object, _) => return Ok(()),
            // Deeper than the parameter goes.
            _ => return Err(Some(path)),
        }
        path.push('.');
        path.push_str(part);
    }
    Ok(())
}

fn closest<'a>(known: impl Iterator<Item = &'a Param>, name: &str) -> Option<&'a str> {
    likeness::closest(known.map(|param| param.name.as_str()), name)
}
