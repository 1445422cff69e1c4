//! Parameters against the spec: a tree of texts in, one typed JSON object out.
//!
//! What: required parameters, types, enumerations, ranges, lengths and list sizes are checked, lists and objects decoded
//! from whichever way they travel, defaults filled in, and names that the action does not know collected. The object holds
//! the parameters under their wire names: integers as numbers, lists as arrays. What an action leaves unset is absent.
//!
//! Why a [`Problem`] and not an error text: the gateway answers `Missing{Param}`, `Invalid{Param}` or the code that the
//! product documents for that parameter, and all three come from the same place.

use std::fmt;

use serde_json::{Map, Value};

use super::loose_json;
use super::model::{ActionSpec, Encoding, Kind, Param};
use crate::error::{ApiError, Code};
use crate::wire::params::{Node, SIGNING, Tree};

mod json;
mod scalar;

/// Plumbing that SDKs may add; no action needs to know it.
const PLUMBING: [&str; 5] = [
    "OwnerAccount",
    "OwnerId",
    "RegionId",
    "ResourceOwnerAccount",
    "ResourceOwnerId",
];
/// Most items of a list that travels as one text and for which the spec names no limit.
const MAX_TEXT_ITEMS: usize = 1_000;

/// What a call's parameters come to.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// The typed parameters, an object.
    pub value: Value,
    /// Full names that the action does not know.
    pub unknown: Vec<String>,
}

/// Why a parameter is refused.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// The full name on the wire, such as `RecordFormat.1.Format`.
    pub param: String,
    /// Its last part, which error codes carry.
    pub name: String,
    /// What is wrong.
    pub kind: ProblemKind,
    /// The product's code for it, where one is documented.
    pub code: Option<String>,
}

/// The ways to be wrong.
#[derive(Debug, Clone, PartialEq)]
pub enum ProblemKind {
    /// Mandatory and absent.
    Missing,
    /// Not of this type.
    Type(Kind),
    /// Not one of these.
    Enum(Vec<String>),
    /// Outside these bounds.
    Range {
        /// Smallest.
        min: Option<f64>,
        /// Largest.
        max: Option<f64>,
    },
    /// Too short or too long.
    Length {
        /// Shortest.
        min: Option<usize>,
        /// Longest.
        max: Option<usize>,
        /// What is counted.
        unit: &'static str,
    },
    /// Too few or too many list items.
    Items {
        /// Fewest.
        min: Option<usize>,
        /// Most.
        max: Option<usize>,
    },
    /// Holds a character outside this class.
    Chars(String),
    /// Not of this format.
    Format(&'static str),
    /// JSON text that does not read.
    Json,
    /// Sent in another encoding than this.
    Encoding(&'static str),
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn bounds<T: fmt::Display>(
            f: &mut fmt::Formatter<'_>,
            min: Option<T>,
            max: Option<T>,
        ) -> fmt::Result {
            match (min, max) {
                (Some(min), Some(max)) => write!(f, "{min} to {max}"),
                (Some(min), None) => write!(f, "at least {min}"),
                (None, Some(max)) => write!(f, "at most {max}"),
                (None, None) => f.write_str("any number"),
            }
        }
        match self {
            ProblemKind::Missing => f.write_str("it is absent"),
            ProblemKind::Type(kind) => write!(f, "expected {}", kind.as_str()),
            ProblemKind::Enum(allowed) => write!(f, "expected one of {}", allowed.join(", ")),
            ProblemKind::Range { min, max } => f
                .write_str("expected ")
                .and_then(|()| bounds(f, *min, *max)),
            ProblemKind::Length { min, max, unit } => {
                f.write_str("expected ")
                    .and_then(|()| bounds(f, *min, *max))?;
                write!(f, " {unit}")
            }
            ProblemKind::Items { min, max } => {
                f.write_str("expected ")
                    .and_then(|()| bounds(f, *min, *max))?;
                f.write_str(" items")
            }
            ProblemKind::Chars(class) => write!(f, "only characters of [{class}] are allowed"),
            ProblemKind::Format(format) => write!(f, "expected the form {format}"),
            ProblemKind::Json => f.write_str("expected JSON text of the documented form"),
            ProblemKind::Encoding(how) => write!(f, "expected it as {how}"),
        }
    }
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        if problem.kind == ProblemKind::Missing {
            return ApiError::missing(problem.name)
                .with_message(format!("{} is mandatory for this action.", problem.param));
        }
        let code = problem
            .code
            .map_or(Code::Invalid(problem.name.into()), |code| {
                Code::from_wire(&code)
            });
        let error = ApiError::coded(code);
        // The gateway's own sentence names the parameter; a sentence of the product's stays as it is.
        if !error.message.starts_with("Specified parameter ") {
            return error.with_hint(format!("{}: {}", problem.param, problem.kind));
        }
        let named = format!("Specified parameter {} is not valid.", problem.param);
        error.with_message(named).with_hint(problem.kind)
    }
}

/// Checks a call's parameters.
///
/// # Errors
/// The first parameter that is refused: absent mandatory ones before bad values, each in the order of the spec.
pub fn check(action: &ActionSpec, params: &Tree<'_>) -> Result<Checked, Problem> {
    let mut unknown = Vec::new();
    let mut value = Map::new();
    let known = || action.request.iter().filter(|param| !param.internal);
    for param in known().filter(|param| param.required && param.default.is_none()) {
        if params
            .get(&param.name)
            .is_none_or(|node| is_unset(param, node))
        {
            return Err(problem(param, &param.name, ProblemKind::Missing));
        }
    }
    for param in known() {
        if let Some(found) = member(param, params.get(&param.name), &param.name, &mut unknown)? {
            value.insert(param.name.clone(), found);
        }
    }
    let foreign = params.iter().filter(|(name, _)| {
        !is_system(name) && !action.request.iter().any(|param| param.name == *name)
    });
    unknown.extend(foreign.map(|(name, _)| name.to_owned()));
    Ok(Checked {
        value: Value::Object(value),
        unknown,
    })
}

/// Whether a parameter is the gateway's own or plumbing, which no action needs to know.
#[must_use]
pub(super) fn is_system(name: &str) -> bool {
    SIGNING.contains(&name) || PLUMBING.contains(&name)
}

fn problem(param: &Param, path: &str, kind: ProblemKind) -> Problem {
    // Items of a list have no name of their own, and an index in a code would help nobody.
    let last = path
        .rsplit('.')
        .find(|part| !part.bytes().all(|b| b.is_ascii_digit()));
    let name = if param.name.is_empty() {
        last.unwrap_or(path)
    } else {
        &param.name
    };
    Problem {
        param: path.to_owned(),
        name: name.to_owned(),
        kind,
        code: param.code.clone(),
    }
}

fn is_unset(param: &Param, node: &Node<'_>) -> bool {
    matches!(node, Node::Value(text) if scalar::is_unset(param, text))
}

/// A parameter or member that may be absent: its value, its default, or nothing.
fn member(
    param: &Param,
    node: Option<&Node<'_>>,
    path: &str,
    unknown: &mut Vec<String>,
) -> Result<Option<Value>, Problem> {
    match node.filter(|node| !is_unset(param, node)) {
        Some(node) => read(param, node, path, unknown).map(Some),
        None => absent(param, path),
    }
}

fn absent(param: &Param, path: &str) -> Result<Option<Value>, Problem> {
    match &param.default {
        None if param.required => Err(problem(param, path, ProblemKind::Missing)),
        default => Ok(default.clone()),
    }
}

fn read(
    param: &Param,
    node: &Node<'_>,
    path: &str,
    unknown: &mut Vec<String>,
) -> Result<Value, Problem> {
    let refused = |kind| problem(param, path, kind);
    match (param.kind, param.encoding, node) {
        (Kind::Array, Some(Encoding::Comma), Node::Value(text)) => {
            let items: Vec<&str> = text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .collect();
            counted(param, items.len(), MAX_TEXT_ITEMS).map_err(refused)?;
            let Some(item) = param.item.as_deref() else {
                return Ok(Value::from(items));
            };
            items
                .into_iter()
                .map(|text| scalar::read(item, text).map_err(refused))
                .collect()
        }
        (Kind::Array | Kind::Object | Kind::Map, Some(Encoding::Json), Node::Value(text)) => {
            let value: Value =
                loose_json::read(path, text).map_err(|_| refused(ProblemKind::Json))?;
            json::read(param, &value, path, unknown)
        }
        (Kind::Array, Some(Encoding::Repeat), Node::List(items)) => {
            counted(param, items.len(), usize::MAX).map_err(refused)?;
            let Some(item) = param.item.as_deref() else {
                return Err(refused(ProblemKind::Type(Kind::Array)));
            };
            items
                .iter()
                .map(|(index, node)| list_item(param, item, node, path, *index, unknown))
                .collect()
        }
        (Kind::Object, _, Node::Object(_)) => object(param, node, path, unknown),
        (Kind::Array | Kind::Object | Kind::Map, encoding, _) => {
            Err(refused(ProblemKind::Encoding(match encoding {
                Some(Encoding::Repeat) => "numbered parameters, Name.1, Name.2",
                Some(Encoding::Comma) => "one parameter, values joined by commas",
                Some(Encoding::Json) => "one parameter that holds JSON text",
                Some(Encoding::Dotted) | None => "parameters of the form Name.Member",
            })))
        }
        (_, _, Node::Value(text)) => scalar::read(param, text).map_err(refused),
        (kind, ..) => Err(refused(ProblemKind::Type(kind))),
    }
}

fn list_item(
    list: &Param,
    item: &Param,
    node: &Node<'_>,
    path: &str,
    index: usize,
    unknown: &mut Vec<String>,
) -> Result<Value, Problem> {
    let path = format!("{path}.{index}");
    read(item, node, &path, unknown).map_err(|mut problem| {
        // A bad plain item is a bad value of the list itself.
        if problem.code.is_none() && problem.param == path {
            problem.code.clone_from(&list.code);
        }
        problem
    })
}

fn object(
    param: &Param,
    node: &Node<'_>,
    path: &str,
    unknown: &mut Vec<String>,
) -> Result<Value, Problem> {
    let Node::Object(members) = node else {
        return Err(problem(param, path, ProblemKind::Type(Kind::Object)));
    };
    let names = members.keys().map(|name| &**name);
    fields(param, path, names, unknown, |field, path, unknown| {
        member(field, members.get(field.name.as_str()), path, unknown)
    })
}

/// Reads the fields of an object, each by `member`; those of the names that came which no field has are told.
fn fields<'a>(
    param: &Param,
    path: &str,
    names: impl Iterator<Item = &'a str>,
    unknown: &mut Vec<String>,
    member: impl Fn(&Param, &str, &mut Vec<String>) -> Result<Option<Value>, Problem>,
) -> Result<Value, Problem> {
    let mut value = Map::new();
    for field in &param.fields {
        let path = format!("{path}.{}", field.name);
        if let Some(found) = member(field, &path, unknown)? {
            value.insert(field.name.clone(), found);
        }
    }
    let foreign = names.filter(|name| !param.fields.iter().any(|field| field.name == *name));
    unknown.extend(foreign.map(|name| format!("{path}.{name}")));
    Ok(Value::Object(value))
}

/// Whether a list has a legal number of items; `bound` holds where the spec names none.
fn counted(param: &Param, items: usize, bound: usize) -> Result<(), ProblemKind> {
    let max = param.max_items.unwrap_or(bound);
    if items > max || param.min_items.is_some_and(|min| items < min) {
        return Err(ProblemKind::Items {
            min: param.min_items,
            max: (max != usize::MAX).then_some(max),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
