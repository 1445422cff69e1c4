//! The types of `api-spec/2016-11-01/actions/*.json`; the format is told in `api-spec/README.md`.

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use serde_json::Value;

/// One documented action.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ActionSpec {
    /// Its name on the wire.
    pub action: String,
    /// The group of actions it belongs to.
    pub family: String,
    /// Whether it changes anything.
    pub access: Access,
    /// HTTP methods the gateway lists.
    pub methods: Vec<String>,
    /// Documented calls per time, such as `30/second`.
    pub rate: Option<String>,
    /// False for an action that only SDKs know.
    #[serde(default = "yes")]
    pub in_gateway_metadata: bool,
    /// True for an action that the product has no more and released code still calls.
    #[serde(default)]
    pub retired: bool,
    /// Its parameters.
    pub request: Vec<Param>,
    /// The fields of its answer.
    pub response: Fields,
    /// The codes it documents.
    pub errors: Vec<ErrorFact>,
}

impl ActionSpec {
    /// The HTTP status that this action documents for a code, if it does.
    #[must_use]
    pub fn error_status(&self, code: &str) -> Option<u16> {
        self.errors
            .iter()
            .find(|error| error.code == code)
            .map(|error| error.status)
    }
}

fn yes() -> bool {
    true
}

/// Reading or writing, by the action's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Changes nothing.
    Read,
    /// Changes something.
    Write,
}

impl Access {
    /// The word of the spec file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Access::Read => "read",
            Access::Write => "write",
        }
    }
}

/// The type words, of parameters and answers alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Text.
    String,
    /// 32-bit integer.
    Int32,
    /// 64-bit integer.
    Int64,
    /// A number.
    Float,
    /// true or false.
    Bool,
    /// A list.
    Array,
    /// Named members.
    Object,
    /// Members with any name.
    Map,
}

impl Kind {
    /// The word of the spec file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::String => "string",
            Kind::Int32 => "int32",
            Kind::Int64 => "int64",
            Kind::Float => "float",
            Kind::Bool => "bool",
            Kind::Array => "array",
            Kind::Object => "object",
            Kind::Map => "map",
        }
    }
}

/// How a list or an object travels in flat pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// `Name.1`, `Name.2`.
    Repeat,
    /// `Name.Member`.
    Dotted,
    /// JSON text in one parameter.
    Json,
    /// Values joined by commas in one parameter.
    Comma,
}

/// What kind of text a string has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Format {
    /// `yyyy-MM-ddTHH:mm:ssZ`, UTC.
    #[serde(rename = "date-time")]
    DateTime,
}

/// A parameter, a member of one, or the item of a list (then without a name).
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Param {
    /// Its name; dots and indexes of outer names are not repeated.
    #[serde(default)]
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// How it travels, for lists, objects and maps outside JSON text.
    pub encoding: Option<Encoding>,
    /// The members of an object.
    #[serde(default)]
    pub fields: Vec<Param>,
    /// The item of a list.
    pub item: Option<Box<Param>>,
    /// Whether it must be there.
    #[serde(default)]
    pub required: bool,
    /// Filled in when it is absent.
    pub default: Option<Value>,
    /// The only values allowed, as text.
    #[serde(default, rename = "enum")]
    pub allowed: Vec<String>,
    /// Smallest number.
    pub min: Option<f64>,
    /// Largest number.
    pub max: Option<f64>,
    /// Fewest characters.
    pub min_length: Option<usize>,
    /// Most characters.
    pub max_length: Option<usize>,
    /// Most bytes.
    pub max_bytes: Option<usize>,
    /// Fewest items.
    pub min_items: Option<usize>,
    /// Most items.
    pub max_items: Option<usize>,
    /// The characters a text may hold, as the inside of a regular expression's brackets (`0-9a-zA-Z_-`).
    pub chars: Option<String>,
    /// What kind of text it has to be.
    pub format: Option<Format>,
    /// The product's code for a bad value, instead of `Invalid{Param}`.
    pub code: Option<String>,
    /// What a page says and nothing here enforces.
    pub documented: Option<Value>,
    /// `body` where SDKs put it there; both places are accepted.
    #[serde(rename = "in")]
    pub place: Option<String>,
    /// Plumbing that callers do not set.
    #[serde(default)]
    pub internal: bool,
    /// Newer than a certain SDK.
    pub since: Option<String>,
    /// Which sources call it required, where they differ.
    pub required_sources: Option<Value>,
}

/// A documented error of one action.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorFact {
    /// The wire string.
    pub code: String,
    /// The HTTP status for this action.
    pub status: u16,
    /// Where this is known from.
    pub source: String,
}

/// Named shapes in the order of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(pub Vec<(String, Shape)>);

impl Fields {
    /// The shape of a field.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Shape> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, shape)| shape)
    }

    /// All fields.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Shape)> {
        self.0.iter().map(|(name, shape)| (name.as_str(), shape))
    }
}

/// A place in an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// A value (never `Array` or `Object`).
    Leaf(Kind),
    /// A list of one kind of item.
    List(Box<Shape>),
    /// Named fields.
    Object(Fields),
}

impl Shape {
    /// Nesting is bounded by the JSON reader.
    fn from_json(json: &Value) -> Result<Self, String> {
        match json {
            Value::String(word) => Kind::deserialize(json)
                .map(Shape::Leaf)
                .map_err(|_: serde_json::Error| format!("unknown type {word}")),
            Value::Array(items) => match items.as_slice() {
                [item] => Ok(Shape::List(Box::new(Shape::from_json(item)?))),
                _ => Err("a list must show one item".to_owned()),
            },
            Value::Object(members) => members
                .iter()
                .map(|(name, member)| Ok((name.clone(), Shape::from_json(member)?)))
                .collect::<Result<_, String>>()
                .map(|fields| Shape::Object(Fields(fields))),
            _ => Err("an answer is described by type words, objects and lists".to_owned()),
        }
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Shape::from_json(&Value::deserialize(deserializer)?).map_err(D::Error::custom)? {
            Shape::Object(fields) => Ok(fields),
            _ => Err(D::Error::custom("an answer is an object")),
        }
    }
}
