//! YAML as a tree that knows its lines, within bounds.
//!
//! What: mappings, lists and scalars of one document. Why not by serde: a mistake in a script is told with the line and the nearest known
//! key, which needs the place of every key. Anchors, aliases and tags are refused: a script is read by people from top to bottom, and
//! an alias of an alias is how a short file becomes an endless tree.

use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::{Map, Number, Value};
use thiserror::Error;

/// Largest script.
pub const MAX_BYTES: usize = 1024 * 1024;
/// Most values of a script.
const MAX_NODES: usize = 20_000;
/// Deepest nesting.
const MAX_DEPTH: usize = 32;

/// What is wrong with a script, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}: {problem}")]
pub struct ScriptError {
    pub line: usize,
    pub problem: String,
}

impl ScriptError {
    pub(super) fn at(line: usize, problem: impl Into<String>) -> Self {
        Self {
            line,
            problem: problem.into(),
        }
    }
}

/// A value and the line that it begins on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// A scalar without quotes: a text, a number, a word such as `true`.
    Plain(String),
    /// A scalar in quotes or in a block: always text.
    Quoted(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// The name of a member and its line.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) line: usize,
}

impl Node {
    /// Reads the one document of a text.
    pub(super) fn read(text: &str) -> Result<Node, ScriptError> {
        if text.len() > MAX_BYTES {
            return Err(ScriptError::at(
                1,
                format!("a script has at most {MAX_BYTES} bytes"),
            ));
        }
        Reader::default().whole(text)
    }

    /// What a scalar says; `None` for a list, a mapping, and a place where nothing stands.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Plain(text) if is_null(text) => None,
            Kind::Plain(text) | Kind::Quoted(text) => Some(text),
            Kind::List(_) | Kind::Map(_) => None,
        }
    }

    /// The same as JSON: a scalar without quotes is a number, a truth value or null where it reads as one.
    pub(super) fn to_json(&self) -> Value {
        match &self.kind {
            Kind::Quoted(text) => Value::String(text.clone()),
            Kind::Plain(text) if is_null(text) => Value::Null,
            Kind::Plain(text) => match text.as_str() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                other => serde_json::from_str::<Number>(other)
                    .map_or_else(|_| Value::String(other.to_owned()), Value::Number),
            },
            Kind::List(items) => items.iter().map(Node::to_json).collect(),
            Kind::Map(members) => {
                let members = members.iter();
                let members = members.map(|(key, node)| (key.name.clone(), node.to_json()));
                Value::Object(members.collect::<Map<_, _>>())
            }
        }
    }
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null")
}

/// A list or a mapping whose end has not come.
struct Open {
    line: usize,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Node>),
    /// The members, and a key that waits for its value.
    Map(Vec<(Key, Node)>, Option<Key>),
}

#[derive(Default)]
struct Reader {
    open: Vec<Open>,
    root: Option<Node>,
    nodes: usize,
}

impl Reader {
    fn whole(mut self, text: &str) -> Result<Node, ScriptError> {
        let mut documents = 0;
        for event in Parser::new_from_str(text) {
            let (event, span) = event
                .map_err(|error| ScriptError::at(error.marker().line(), error.info().to_owned()))?;
            if let Event::DocumentStart(_) = event {
                documents += 1;
                if documents > 1 {
                    return Err(ScriptError::at(
                        span.start.line(),
                        "one script a file, so no second document",
                    ));
                }
            }
            self.take(event, span)?;
        }
        self.root
            .ok_or_else(|| ScriptError::at(1, "there is nothing in it"))
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), ScriptError> {
        let line = span.start.line();
        match event {
            Event::Alias(_) => Err(ScriptError::at(line, "aliases (*name) are not taken")),
            Event::Scalar(text, style, anchor, tag) => {
                plain(line, anchor, tag.is_some())?;
                let text = text.into_owned();
                let kind = match style {
                    ScalarStyle::Plain => Kind::Plain(text),
                    _ => Kind::Quoted(text),
                };
                self.place(Node { line, kind })
            }
            Event::SequenceStart(anchor, tag) => {
                plain(line, anchor, tag.is_some())?;
                self.begin(line, OpenKind::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                plain(line, anchor, tag.is_some())?;
                self.begin(line, OpenKind::Map(Vec::new(), None))
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(Open { line, kind }) = self.open.pop() else {
                    return Ok(());
                };
                let kind = match kind {
                    OpenKind::List(items) => Kind::List(items),
                    OpenKind::Map(members, _) => Kind::Map(members),
                };
                self.place(Node { line, kind })
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, line: usize, kind: OpenKind) -> Result<(), ScriptError> {
        if self.open.len() >= MAX_DEPTH {
            return Err(ScriptError::at(
                line,
                format!("nested deeper than {MAX_DEPTH}"),
            ));
        }
        self.open.push(Open { line, kind });
        Ok(())
    }

    fn place(&mut self, node: Node) -> Result<(), ScriptError> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(ScriptError::at(
                node.line,
                format!("more than {MAX_NODES} values"),
            ));
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut open.kind {
            OpenKind::List(items) => items.push(node),
            OpenKind::Map(members, waiting) => match waiting.take() {
                Some(key) => members.push((key, node)),
                None => {
                    let line = node.line;
                    let (Kind::Plain(name) | Kind::Quoted(name)) = node.kind else {
                        return Err(ScriptError::at(line, "a key is a word"));
                    };
                    if members.iter().any(|(key, _)| key.name == name) {
                        return Err(ScriptError::at(line, format!("`{name}` stands here twice")));
                    }
                    *waiting = Some(Key { name, line });
                }
            },
        }
        Ok(())
    }
}

fn plain(line: usize, anchor: usize, tagged: bool) -> Result<(), ScriptError> {
    if anchor != 0 {
        return Err(ScriptError::at(line, "anchors (&name) are not taken"));
    }
    if tagged {
        return Err(ScriptError::at(line, "tags (!name) are not taken"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(text: &str) -> String {
        Node::read(text).unwrap_err().to_string()
    }

    #[test]
    fn values_are_what_they_look_like_and_lines_are_known() {
        let text = "a: 1\nb: [x, \"2\", 3.5, true, ~, '']\nc:\n  d: |\n    text\n  e:\n";
        let root = Node::read(text).unwrap();
        let json =
            json!({"a": 1, "b": ["x", "2", 3.5, true, null, ""], "c": {"d": "text\n", "e": null}});
        assert_eq!(root.to_json(), json);
        let Kind::Map(members) = &root.kind else {
            panic!("a mapping")
        };
        let lines: Vec<usize> = members.iter().map(|(key, _)| key.line).collect();
        assert_eq!(lines, [1, 2, 3]);
    }

    #[test]
    fn what_is_no_script_is_told_with_its_line() {
        assert_eq!(told(""), "line 1: there is nothing in it");
        assert_eq!(told("a: 1\na: 2\n"), "line 2: `a` stands here twice");
        assert_eq!(told("a: &x 1\n"), "line 1: anchors (&name) are not taken");
        assert_eq!(told("a: !!str 1\n"), "line 1: tags (!name) are not taken");
        assert_eq!(
            told("a: 1\n---\nb: 2\n"),
            "line 2: one script a file, so no second document"
        );
        assert_eq!(told("? [a]\n: b\n"), "line 1: a key is a word");
        assert!(told("a:\n  - b\n c: d\n").starts_with("line 3: "));
        assert!(told("a: [\n").starts_with("line "));
        assert!(told("a: *x\n").contains("line 1"));
    }

    #[test]
    fn size_depth_and_number_have_ends() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(Node::read(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(
            told(&nested(MAX_DEPTH + 1)),
            format!("line 1: nested deeper than {MAX_DEPTH}")
        );
        let many = |n: usize| format!("[{}]", vec!["1"; n].join(","));
        // The list itself is one more.
        assert!(Node::read(&many(MAX_NODES - 1)).is_ok());
        assert_eq!(
            told(&many(MAX_NODES)),
            format!("line 1: more than {MAX_NODES} values")
        );
        let long = format!("a: {}", "x".repeat(MAX_BYTES - 3));
        assert!(Node::read(&long).is_ok());
        assert_eq!(
            told(&format!("{long}x")),
            format!("line 1: a script has at most {MAX_BYTES} bytes")
        );
    }
}
