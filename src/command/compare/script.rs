//! A script: calls, pushes and waits that both services get, read from YAML with every mistake told by its line.
//!
//! Its form is described in docs/parity.md. What a script may do to an account is counted from its steps ([`Script::needs`]) and not
//! declared, so that nobody has to believe it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::alike::{How, Rule};
use super::places::Pattern;
use super::tree::{Key, Kind, Node};
pub use super::tree::{MAX_BYTES, ScriptError};
use super::words::{self, Text};
use crate::likeness;
use crate::spec::model::{Access, ActionSpec, Encoding, Kind as Type, Param};
use crate::spec::{Spec, names};

/// The API's version where a step names none.
pub const VERSION: &str = "2016-11-01";
/// The variables that every script has without saying so.
pub const GIVEN: [&str; 8] = [
    "run",
    "domain",
    "push_domain",
    "bucket",
    "oss_endpoint",
    "region",
    "zone",
    "push_query",
];
/// Most steps, those of setup and cleanup among them.
const MAX_STEPS: usize = 300;
/// Most variables, captures among them.
const MAX_VARIABLES: usize = 200;
/// Most rules of one place.
const MAX_RULES: usize = 100;
/// Most parameters of a call.
const MAX_PARAMETERS: usize = 1_000;
/// Longest name of a script or a step.
const MAX_NAME: usize = 200;
/// Seconds that a step waits for an answer at most, and where it does not say.
const MAX_WITHIN_S: u64 = 3_600;
const WITHIN_S: u64 = 30;
/// Seconds that a step sleeps at most.
const MAX_SLEEP_S: u64 = 21_600;
/// Seconds of media of a push at most, and where it does not say.
const MAX_MEDIA_S: f64 = 3_600.0;
const MEDIA_S: f64 = 6.0;
/// Longer waits on the other side need to be allowed.
const SHORT_S: u64 = 60;

/// What a script does to an account, beyond reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// Calls that change something.
    Write,
    /// Calls that delete something.
    Delete,
    /// Streams are pushed, which costs traffic and storage.
    Push,
    /// More than a minute of waiting.
    Wait,
}

impl Need {
    pub const ALL: [Self; 4] = [Self::Write, Self::Delete, Self::Push, Self::Wait];

    /// The word of `--allow`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Delete => "delete",
            Self::Push => "push",
            Self::Wait => "wait",
        }
    }
}

/// One script.
#[derive(Debug, Clone)]
pub struct Script {
    pub name: String,
    pub about: String,
    /// The actions that it is there for.
    pub covers: Vec<String>,
    /// The rows of docs/limits.md that it decides.
    pub decides: Vec<String>,
    /// In the order of the file: a later one may use an earlier one.
    pub variables: Vec<(String, Text)>,
    pub alike: Vec<Rule>,
    pub setup: Vec<Step>,
    pub steps: Vec<Step>,
    pub cleanup: Vec<Step>,
}

/// One step.
#[derive(Debug, Clone)]
pub struct Step {
    pub line: usize,
    pub name: String,
    pub alike: Vec<Rule>,
    pub what: What,
}

/// What a step does.
#[derive(Debug, Clone)]
pub enum What {
    Call(Call),
    Push(Push),
    /// Ends the push of that stream.
    End(Text),
    Wait(Wait),
    /// Seconds.
    Sleep(u64),
}

/// A call of the API.
#[derive(Debug, Clone)]
pub struct Call {
    pub action: String,
    pub version: String,
    pub parameters: Vec<(String, Text)>,
    /// Variables that are set from the answer, and the pointer to each value.
    pub captures: Vec<(String, String)>,
    /// How localyun has to answer; otherwise the script says nothing.
    pub expect: Option<Expect>,
    access: Access,
}

/// How a call has to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    Ok,
    Code(String),
    /// Either way; a step of the setup whose work may be done already.
    Any,
}

/// A push of a clip.
#[derive(Debug, Clone)]
pub struct Push {
    pub domain: Text,
    pub app: Text,
    pub stream: Text,
    pub clip: Option<String>,
    pub seconds: f64,
    pub query: Option<Text>,
    /// It goes on, and the next step begins when it was accepted.
    pub keep: bool,
}

/// A call that is made until its answer is as wanted.
#[derive(Debug, Clone)]
pub struct Wait {
    pub call: Call,
    /// Pointer to a value of the answer.
    pub at: String,
    pub until: Until,
    pub within_s: u64,
}

/// What a value has to be.
#[derive(Debug, Clone, PartialEq)]
pub enum Until {
    Is(Value),
    Not(Value),
    /// A number, or the length of a list, of at least that.
    Least(f64),
    There(bool),
}

impl Until {
    /// Whether a value is as wanted.
    #[must_use]
    pub fn holds(&self, value: Option<&Value>) -> bool {
        match self {
            Self::Is(wanted) => value == Some(wanted),
            Self::Not(wanted) => value != Some(wanted),
            Self::There(wanted) => value.is_some_and(|value| !value.is_null()) == *wanted,
            Self::Least(least) => value.is_some_and(|value| match value {
                Value::Array(items) => {
                    u32::try_from(items.len()).is_ok_and(|n| f64::from(n) >= *least)
                }
                Value::String(text) => text.parse::<f64>().is_ok_and(|number| number >= *least),
                other => other.as_f64().is_some_and(|number| number >= *least),
            }),
        }
    }
}

impl Script {
    /// Reads a script; `known` are variables that the caller brings.
    ///
    /// # Errors
    /// What is wrong, with its line.
    pub fn read(text: &str, known: &[String]) -> Result<Self, ScriptError> {
        let root = Node::read(text)?;
        Reader {
            known: known.iter().cloned().collect(),
            steps: 0,
        }
        .script(&root)
    }

    /// All steps in the order in which they are made.
    pub fn all_steps(&self) -> impl Iterator<Item = &Step> {
        self.setup.iter().chain(&self.steps).chain(&self.cleanup)
    }

    /// What has to be allowed for it.
    #[must_use]
    pub fn needs(&self) -> BTreeSet<Need> {
        let mut needs = BTreeSet::new();
        for step in self.all_steps() {
            match &step.what {
                What::Call(call) => needs.extend(call.need()),
                What::Wait(wait) => needs.extend(wait.call.need()),
                What::Push(_) => {
                    needs.insert(Need::Push);
                }
                What::End(_) | What::Sleep(_) => {}
            }
        }
        if self.sleeps_s() > SHORT_S {
            needs.insert(Need::Wait);
        }
        needs
    }

    /// Seconds that it sleeps, without its waits for answers.
    #[must_use]
    pub fn sleeps_s(&self) -> u64 {
        let sleeps = self.all_steps().map(|step| match step.what {
            What::Sleep(seconds) => seconds,
            _ => 0,
        });
        sleeps.sum()
    }

    /// Seconds of media that it pushes.
    #[must_use]
    pub fn media_s(&self) -> f64 {
        let media = self.all_steps().map(|step| match &step.what {
            What::Push(push) => push.seconds,
            _ => 0.0,
        });
        media.sum()
    }
}

impl Call {
    fn need(&self) -> Option<Need> {
        let deletes = ["Delete", "BatchDelete", "Remove", "UnTag", "Release"];
        if deletes.iter().any(|word| self.action.starts_with(word)) {
            return Some(Need::Delete);
        }
        (self.access == Access::Write).then_some(Need::Write)
    }
}

struct Reader {
    /// The variables that have a value at this point of the script.
    known: BTreeSet<String>,
    steps: usize,
}

/// The members of a mapping whose keys are all known.
struct Members<'a> {
    line: usize,
    members: &'a [(Key, Node)],
}

impl<'a> Members<'a> {
    fn of(node: &'a Node, what: &str, known: &[&str]) -> Result<Self, ScriptError> {
        let Kind::Map(members) = &node.kind else {
            return Err(ScriptError::at(
                node.line,
                format!("{what} is a mapping of {}", known.join(", ")),
            ));
        };
        for (key, _) in members {
            if !known.contains(&key.name.as_str()) {
                return Err(unknown(
                    key,
                    &format!("key of {what}"),
                    known.iter().copied(),
                ));
            }
        }
        Ok(Self {
            line: node.line,
            members,
        })
    }

    fn get(&self, name: &str) -> Option<&'a Node> {
        let mut members = self.members.iter();
        members
            .find(|(key, _)| key.name == name)
            .map(|(_, node)| node)
    }

    fn must(&self, name: &str, what: &str) -> Result<&'a Node, ScriptError> {
        self.get(name)
            .ok_or_else(|| ScriptError::at(self.line, format!("{what} has no `{name}`")))
    }
}

fn unknown<'a>(key: &Key, what: &str, known: impl Iterator<Item = &'a str>) -> ScriptError {
    /// Names that are listed at most.
    const SHOWN: usize = 16;
    let known: Vec<&str> = known.collect();
    let told = match likeness::closest(known.iter().copied(), &key.name) {
        Some(near) => format!("; did you mean `{near}`?"),
        None if known.len() <= SHOWN => format!("; there are: {}", known.join(", ")),
        None => String::new(),
    };
    ScriptError::at(key.line, format!("unknown {what} `{}`{told}", key.name))
}

/// The text of a scalar.
fn text_of<'a>(node: &'a Node, what: &str) -> Result<&'a str, ScriptError> {
    node.text().ok_or_else(|| {
        ScriptError::at(
            node.line,
            format!("{what} is a text (\"\" for an empty one)"),
        )
    })
}

fn number_of(node: &Node, what: &str, most: f64) -> Result<f64, ScriptError> {
    let number = node.text().and_then(|text| text.parse::<f64>().ok());
    number
        .filter(|number| (0.0..=most).contains(number))
        .ok_or_else(|| ScriptError::at(node.line, format!("{what} is a number from 0 to {most}")))
}

fn seconds_of(node: &Node, what: &str, most: u64) -> Result<u64, ScriptError> {
    let number = node.text().and_then(|text| text.parse::<u64>().ok());
    number.filter(|number| *number <= most).ok_or_else(|| {
        ScriptError::at(
            node.line,
            format!("{what} is a whole number of seconds from 0 to {most}"),
        )
    })
}

fn texts_of(node: &Node, what: &str) -> Result<Vec<String>, ScriptError> {
    let Kind::List(items) = &node.kind else {
        return Err(ScriptError::at(
            node.line,
            format!("{what} is a list of texts"),
        ));
    };
    items
        .iter()
        .map(|item| text_of(item, what).map(str::to_owned))
        .collect()
}

fn pointer_of(node: &Node, what: &str) -> Result<String, ScriptError> {
    let text = text_of(node, what)?;
    if !text.starts_with('/') {
        return Err(ScriptError::at(
            node.line,
            format!("{what} is a pointer into the answer, such as /RecordInfo/RecordId"),
        ));
    }
    Ok(text.to_owned())
}

fn short_name(node: &Node, what: &str) -> Result<String, ScriptError> {
    let text = text_of(node, what)?;
    if text.chars().count() > MAX_NAME {
        return Err(ScriptError::at(
            node.line,
            format!("{what} has at most {MAX_NAME} characters"),
        ));
    }
    Ok(text.to_owned())
}

impl Reader {
    fn script(mut self, root: &Node) -> Result<Script, ScriptError> {
        let keys = [
            "script", "about", "covers", "decides", "vars", "alike", "setup", "steps", "cleanup",
        ];
        let members = Members::of(root, "a script", &keys)?;
        let mut covers = Vec::new();
        if let Some(node) = members.get("covers") {
            covers = texts_of(node, "`covers`")?;
            for action in &covers {
                if Spec::embedded().action(action).is_none() {
                    let key = Key {
                        name: action.clone(),
                        line: node.line,
                    };
                    return Err(unknown(&key, "action", Spec::embedded().names()));
                }
            }
        }
        let mut variables = Vec::new();
        if let Some(node) = members.get("vars") {
            variables = self.variables(node)?;
        }
        let script = Script {
            name: short_name(members.must("script", "a script")?, "`script`")?,
            about: members
                .get("about")
                .map_or(Ok(String::new()), |node| short_name(node, "`about`"))?,
            covers,
            decides: members
                .get("decides")
                .map_or(Ok(Vec::new()), |node| texts_of(node, "`decides`"))?,
            variables,
            alike: rules(members.get("alike"))?,
            setup: self.steps(members.get("setup"), "`setup`")?,
            steps: self.steps(members.get("steps"), "`steps`")?,
            cleanup: self.steps(members.get("cleanup"), "`cleanup`")?,
        };
        if script.steps.is_empty() {
            return Err(ScriptError::at(root.line, "a script has `steps`"));
        }
        Ok(script)
    }

    fn variables(&mut self, node: &Node) -> Result<Vec<(String, Text)>, ScriptError> {
        let Kind::Map(members) = &node.kind else {
            return Err(ScriptError::at(
                node.line,
                "`vars` is a mapping of names to texts",
            ));
        };
        let mut variables = Vec::new();
        for (key, node) in members {
            let value = self.text(node, &format!("the variable {}", key.name))?;
            self.learn(key)?;
            variables.push((key.name.clone(), value));
        }
        Ok(variables)
    }

    /// From here on a variable has a value.
    fn learn(&mut self, key: &Key) -> Result<(), ScriptError> {
        if !words::is_name(&key.name) {
            return Err(ScriptError::at(
                key.line,
                format!(
                    "`{}` is no name of a variable: lower case letters, digits and _",
                    key.name
                ),
            ));
        }
        self.known.insert(key.name.clone());
        if self.known.len() > MAX_VARIABLES {
            return Err(ScriptError::at(
                key.line,
                format!("more than {MAX_VARIABLES} variables"),
            ));
        }
        Ok(())
    }

    /// A text whose variables all have values by now.
    fn text(&self, node: &Node, what: &str) -> Result<Text, ScriptError> {
        self.text_from(node.line, text_of(node, what)?)
    }

    fn text_from(&self, line: usize, text: &str) -> Result<Text, ScriptError> {
        if text.len() > words::MAX_VALUE {
            return Err(ScriptError::at(
                line,
                format!("a text has at most {} bytes", words::MAX_VALUE),
            ));
        }
        let text = Text::parse(text).map_err(|error| ScriptError::at(line, error.to_string()))?;
        for name in text.variables() {
            if !self.known.contains(name) {
                let near = words::nearest(self.known.iter().map(String::as_str), name);
                let near =
                    near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
                return Err(ScriptError::at(
                    line,
                    format!(
                        "the variable `{name}` has no value here{near} (--var {name}=… gives it one)"
                    ),
                ));
            }
        }
        Ok(text)
    }

    fn steps(&mut self, node: Option<&Node>, what: &str) -> Result<Vec<Step>, ScriptError> {
        let Some(node) = node else {
            return Ok(Vec::new());
        };
        let Kind::List(items) = &node.kind else {
            return Err(ScriptError::at(
                node.line,
                format!("{what} is a list of steps"),
            ));
        };
        let mut steps = Vec::with_capacity(items.len().min(MAX_STEPS));
        for item in items {
            self.steps += 1;
            if self.steps > MAX_STEPS {
                return Err(ScriptError::at(
                    item.line,
                    format!("more than {MAX_STEPS} steps"),
                ));
            }
            steps.push(self.step(item)?);
        }
        Ok(steps)
    }

    fn step(&mut self, node: &Node) -> Result<Step, ScriptError> {
        const DOES: [&str; 5] = ["call", "push", "end", "wait", "sleep"];
        const KEYS: [&str; 11] = [
            "name", "alike", "call", "push", "end", "wait", "sleep", "with", "version", "capture",
            "expect",
        ];
        let members = Members::of(node, "a step", &[&KEYS[..], &["force"]].concat())?;
        let does: Vec<&str> = DOES
            .into_iter()
            .filter(|word| members.get(word).is_some())
            .collect();
        let &[does] = does.as_slice() else {
            return Err(ScriptError::at(
                node.line,
                format!("a step has one of {}", DOES.join(", ")),
            ));
        };
        if does != "call" {
            let strays = ["with", "version", "capture", "expect", "force"];
            if let Some((key, _)) = members
                .members
                .iter()
                .find(|(key, _)| strays.contains(&key.name.as_str()))
            {
                return Err(ScriptError::at(
                    key.line,
                    format!("`{}` belongs to a call", key.name),
                ));
            }
        }
        let subject = members.must(does, "a step")?;
        let (what, own_name) = match does {
            "call" => {
                let call = self.call(&members)?;
                let name = call.action.clone();
                (What::Call(call), name)
            }
            "push" => (What::Push(self.push(subject)?), "push".to_owned()),
            "end" => (
                What::End(self.text(subject, "`end`")?),
                "end of a push".to_owned(),
            ),
            "wait" => {
                let wait = self.wait(subject)?;
                let name = format!("wait for {}", wait.call.action);
                (What::Wait(wait), name)
            }
            _ => {
                let seconds = seconds_of(subject, "`sleep`", MAX_SLEEP_S)?;
                (What::Sleep(seconds), format!("sleep {seconds} s"))
            }
        };
        Ok(Step {
            line: node.line,
            name: members
                .get("name")
                .map_or(Ok(own_name), |node| short_name(node, "`name`"))?,
            alike: rules(members.get("alike"))?,
            what,
        })
    }

    fn call(&mut self, members: &Members<'_>) -> Result<Call, ScriptError> {
        let node = members.must("call", "a step")?;
        let action = text_of(node, "`call`")?;
        let force = match members.get("force").and_then(Node::text) {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => {
                return Err(ScriptError::at(members.line, "`force` is true or false"));
            }
        };
        let spec = Spec::embedded().action(action);
        if spec.is_none() && !force {
            let key = Key {
                name: action.to_owned(),
                line: node.line,
            };
            return Err(unknown(&key, "action", Spec::embedded().names()));
        }
        let mut parameters = Vec::new();
        if let Some(with) = members.get("with") {
            let Kind::Map(given) = &with.kind else {
                return Err(ScriptError::at(
                    with.line,
                    "`with` is a mapping of parameters to values",
                ));
            };
            for (key, value) in given {
                // What the script may do was judged by the action that it names.
                if names::is_of_the_call(&key.name) {
                    let name = &key.name;
                    let problem = format!("`{name}` is set by localyun itself");
                    return Err(ScriptError::at(key.line, problem));
                }
                if let (Some(spec), false) = (spec, force) {
                    documented(spec, key)?;
                }
                let param = spec.and_then(|spec| spec.request.iter().find(|p| p.name == key.name));
                self.parameter(&key.name, param, value, &mut parameters)?;
            }
        }
        if parameters.len() > MAX_PARAMETERS {
            return Err(ScriptError::at(
                node.line,
                format!("more than {MAX_PARAMETERS} parameters"),
            ));
        }
        let mut captures = Vec::new();
        if let Some(node) = members.get("capture") {
            let Kind::Map(wanted) = &node.kind else {
                return Err(ScriptError::at(
                    node.line,
                    "`capture` is a mapping of variables to pointers",
                ));
            };
            for (key, node) in wanted {
                captures.push((key.name.clone(), pointer_of(node, "a capture")?));
                self.learn(key)?;
            }
        }
        let expect = match members.get("expect") {
            None => None,
            Some(node) => Some(match text_of(node, "`expect`")? {
                "ok" => Expect::Ok,
                "any" => Expect::Any,
                code => Expect::Code(code.to_owned()),
            }),
        };
        Ok(Call {
            action: action.to_owned(),
            version: members
                .get("version")
                .map_or(Ok(VERSION), |node| text_of(node, "`version`"))?
                .to_owned(),
            parameters,
            captures,
            expect,
            // What nobody knows may do anything.
            access: spec.map_or(Access::Write, |spec| spec.access),
        })
    }

    /// A parameter as flat pairs, in the form that the spec gives it.
    fn parameter(
        &self,
        name: &str,
        param: Option<&Param>,
        value: &Node,
        out: &mut Vec<(String, Text)>,
    ) -> Result<(), ScriptError> {
        let travels = param.and_then(|param| param.encoding);
        match &value.kind {
            Kind::Plain(_) | Kind::Quoted(_) => {
                out.push((name.to_owned(), self.text(value, name)?));
            }
            Kind::List(items) if matches!(travels, Some(Encoding::Repeat)) => {
                let item = param.and_then(|param| param.item.as_deref());
                for (number, value) in items.iter().enumerate() {
                    let name = format!("{name}.{}", number + 1);
                    self.parameter(&name, item, value, out)?;
                }
            }
            Kind::List(items) if matches!(travels, Some(Encoding::Comma)) => {
                let texts: Result<Vec<&str>, _> =
                    items.iter().map(|item| text_of(item, name)).collect();
                out.push((
                    name.to_owned(),
                    self.text_from(value.line, &texts?.join(","))?,
                ));
            }
            // Members of an item of a list, and of what is written with dots.
            Kind::Map(members)
                if param.is_some_and(|param| {
                    param.kind == Type::Object
                        && !matches!(param.encoding, Some(Encoding::Json))
                        && (param.name.is_empty() || param.encoding.is_some())
                }) =>
            {
                for (key, value) in members {
                    let fields = param.into_iter().flat_map(|param| &param.fields);
                    let field = fields.clone().find(|field| field.name == key.name);
                    if field.is_none() {
                        let known: Vec<&str> = fields.map(|field| field.name.as_str()).collect();
                        return Err(unknown(
                            key,
                            &format!("member of {name}"),
                            known.into_iter(),
                        ));
                    }
                    self.parameter(&format!("{name}.{}", key.name), field, value, out)?;
                }
            }
            Kind::List(_) | Kind::Map(_) => {
                let json = value.to_json().to_string();
                out.push((name.to_owned(), self.text_from(value.line, &json)?));
            }
        }
        Ok(())
    }

    fn push(&mut self, node: &Node) -> Result<Push, ScriptError> {
        let keys = [
            "domain", "app", "stream", "clip", "seconds", "query", "keep",
        ];
        let members = Members::of(node, "`push`", &keys)?;
        let clip = members
            .get("clip")
            .map(|node| text_of(node, "`clip`").map(str::to_owned))
            .transpose()?;
        let keep = match members.get("keep").and_then(Node::text) {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(ScriptError::at(node.line, "`keep` is true or false")),
        };
        Ok(Push {
            domain: self.text(members.must("domain", "`push`")?, "`domain`")?,
            app: self.text(members.must("app", "`push`")?, "`app`")?,
            stream: self.text(members.must("stream", "`push`")?, "`stream`")?,
            clip,
            seconds: members.get("seconds").map_or(Ok(MEDIA_S), |node| {
                number_of(node, "`seconds`", MAX_MEDIA_S)
            })?,
            query: members
                .get("query")
                .map(|node| self.text(node, "`query`"))
                .transpose()?,
            keep,
        })
    }

    fn wait(&mut self, node: &Node) -> Result<Wait, ScriptError> {
        let keys = [
            "call", "with", "at", "is", "not", "least", "there", "within",
        ];
        let members = Members::of(node, "`wait`", &keys)?;
        let conditions: Vec<&str> = ["is", "not", "least", "there"]
            .into_iter()
            .filter(|word| members.get(word).is_some())
            .collect();
        let &[condition] = conditions.as_slice() else {
            return Err(ScriptError::at(
                node.line,
                "a wait has one of is, not, least, there",
            ));
        };
        let subject = members.must(condition, "`wait`")?;
        let until = match condition {
            "is" => Until::Is(subject.to_json()),
            "not" => Until::Not(subject.to_json()),
            "least" => Until::Least(number_of(subject, "`least`", 1e9)?),
            _ => match subject.text() {
                Some("true") => Until::There(true),
                Some("false") => Until::There(false),
                _ => return Err(ScriptError::at(subject.line, "`there` is true or false")),
            },
        };
        Ok(Wait {
            call: self.call(&members)?,
            at: pointer_of(members.must("at", "`wait`")?, "`at`")?,
            until,
            within_s: members.get("within").map_or(Ok(WITHIN_S), |node| {
                seconds_of(node, "`within`", MAX_WITHIN_S)
            })?,
        })
    }
}

/// Whether the documented action has a parameter of this name.
fn documented(spec: &ActionSpec, key: &Key) -> Result<(), ScriptError> {
    names::find(spec, &key.name).map_err(|near| {
        let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        ScriptError::at(
            key.line,
            format!(
                "unknown parameter of {}: `{}`{near} (force: true sends it all the same)",
                spec.action, key.name
            ),
        )
    })
}

fn rules(node: Option<&Node>) -> Result<Vec<Rule>, ScriptError> {
    let Some(node) = node else {
        return Ok(Vec::new());
    };
    let Kind::Map(members) = &node.kind else {
        return Err(ScriptError::at(
            node.line,
            "`alike` is a mapping of places to what they are",
        ));
    };
    if members.len() > MAX_RULES {
        return Err(ScriptError::at(
            node.line,
            format!("more than {MAX_RULES} rules"),
        ));
    }
    let mut rules = Vec::new();
    for (key, node) in members {
        let pattern = Pattern::parse(&key.name).ok_or_else(|| {
            ScriptError::at(
                key.line,
                format!(
                    "`{}` is no place: write Name, or /Path/*/Name from the top",
                    key.name
                ),
            )
        })?;
        let word = text_of(node, "what a place is")?;
        let how = How::parse(word).ok_or_else(|| {
            let key = Key {
                name: word.to_owned(),
                line: node.line,
            };
            unknown(&key, "word of alike", How::ALL.iter().map(|how| how.word()))
        })?;
        rules.push(Rule::new(pattern, how));
    }
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    const WHOLE: &str = "
script: a rule
about: It is added and read.
covers: [AddLiveAppRecordConfig]
decides: [CycleDuration absent]
vars:
  app: a-${run}
alike: {OssObject: digits}
setup:
  - call: AddLiveDomain
    with: {DomainName: \"${domain}\", LiveDomainType: liveVideo, Region: cn-shanghai}
steps:
  - call: AddLiveAppRecordConfig
    name: two formats
    with:
      DomainName: ${domain}
      AppName: ${app}
      OssBucket: b
      OssEndpoint: oss-cn-shanghai.aliyuncs.com
      RecordFormat: [{Format: mp4}, {Format: m3u8, SliceDuration: 10}]
      TranscodeTemplates: [sd]
    expect: ok
  - push: {domain: \"${domain}\", app: \"${app}\", stream: s1, keep: true}
  - wait:
      call: DescribeLiveStreamsOnlineList
      with: {DomainName: \"${domain}\"}
      at: /TotalNum
      is: 1
      within: 10
  - end: s1
  - sleep: 61
  - call: CreateLiveStreamRecordIndexFiles
    with: {DomainName: \"${domain}\", AppName: live, StreamName: s1, OssBucket: b, OssEndpoint: e, OssObject: o.m3u8, StartTime: \"${now-1h}\", EndTime: \"${now}\"}
    capture: {id: /RecordInfo/RecordId}
  - call: BatchSetLiveDomainConfigs
    with:
      DomainNames: ${domain}
      Functions: [{functionName: ali_auth, functionArgs: []}]
cleanup:
  - call: DeleteLiveAppRecordConfig
    with: {DomainName: \"${domain}\", AppName: \"${app}\", StreamName: \"${id}\"}
";

    fn known() -> Vec<String> {
        ["run", "domain"].map(str::to_owned).to_vec()
    }

    fn told(text: &str) -> String {
        Script::read(text, &known()).unwrap_err().to_string()
    }

    #[test]
    fn a_whole_script_is_read() {
        let script = Script::read(WHOLE, &known()).unwrap();
        assert_eq!(
            (script.setup.len(), script.steps.len(), script.cleanup.len()),
            (1, 7, 1)
        );
        assert_eq!(script.needs().into_iter().collect::<Vec<_>>(), Need::ALL);
        let What::Call(call) = &script.steps[0].what else {
            panic!("a call")
        };
        let values: BTreeMap<String, String> = [("domain", "d.example.com"), ("app", "a-1")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let pairs: Vec<String> = call
            .parameters
            .iter()
            .map(|(name, text)| format!("{name}={}", text.filled(&values, 0).unwrap()))
            .collect();
        assert_eq!(
            pairs,
            [
                "DomainName=d.example.com",
                "AppName=a-1",
                "OssBucket=b",
                "OssEndpoint=oss-cn-shanghai.aliyuncs.com",
                "RecordFormat.1.Format=mp4",
                "RecordFormat.2.Format=m3u8",
                "RecordFormat.2.SliceDuration=10",
                "TranscodeTemplates.1=sd",
            ]
        );
        let What::Call(functions) = &script.steps[6].what else {
            panic!("a call")
        };
        let text = functions.parameters[1].1.filled(&values, 0).unwrap();
        assert_eq!(text, r#"[{"functionName":"ali_auth","functionArgs":[]}]"#);
        assert_eq!(script.steps[4].name, "sleep 61 s");
        assert_eq!(
            (script.sleeps_s(), script.steps[0].name.as_str()),
            (61, "two formats")
        );
    }

    #[test]
    fn each_mistake_is_told_with_its_line_and_what_was_meant() {
        let step = |step: &str| format!("script: x\nsteps:\n  - {step}\n");
        for (text, words) in [
            (
                "script: x\nstps: []\n".to_owned(),
                "line 2: unknown key of a script `stps`; did you mean `steps`?",
            ),
            (
                "script: x\nsteps: []\n".to_owned(),
                "line 1: a script has `steps`",
            ),
            (
                step("cal: X"),
                "line 3: unknown key of a step `cal`; did you mean `call`?",
            ),
            (
                step("name: x"),
                "line 3: a step has one of call, push, end, wait, sleep",
            ),
            (
                step("call: A\n    sleep: 1"),
                "line 3: a step has one of call, push, end, wait, sleep",
            ),
            (
                step("call: AddLiveAppRecordConfg"),
                "line 3: unknown action `AddLiveAppRecordConfg`; did you mean `AddLiveAppRecordConfig`?",
            ),
            (
                step("call: AddLiveDomain\n    with:\n      DomainNam: x"),
                "line 5: unknown parameter of AddLiveDomain: `DomainNam`; did you mean `DomainName`? (force: true sends it all the same)",
            ),
            (
                step("call: DescribeLiveDomainDetail\n    with:\n      Action: DeleteLiveDomain"),
                "line 5: `Action` is set by localyun itself",
            ),
            (
                step("call: AddLiveDomain\n    with:\n      DomainName:"),
                "line 5: DomainName is a text (\"\" for an empty one)",
            ),
            (
                step("call: AddLiveAppRecordConfig\n    with:\n      RecordFormat: [{Formt: x}]"),
                "line 5: unknown member of RecordFormat.1 `Formt`; did you mean `Format`?",
            ),
            (
                step("call: DescribeLiveUserTags\n    with: {RegionId: \"${domian}\"}"),
                "line 4: the variable `domian` has no value here; did you mean `domain`? (--var domian=… gives it one)",
            ),
            (
                step("sleep: soon"),
                "line 3: `sleep` is a whole number of seconds from 0 to 21600",
            ),
            (
                step("sleep: 1\n    with: {}"),
                "line 4: `with` belongs to a call",
            ),
            (
                step("push: {domain: d, app: a}"),
                "line 3: `push` has no `stream`",
            ),
            (
                step("push: {domain: d, app: a, stream: s, seconds: -1}"),
                "line 3: `seconds` is a number from 0 to 3600",
            ),
            (
                step("wait: {call: DescribeLiveUserTags, at: /x}"),
                "line 3: a wait has one of is, not, least, there",
            ),
            (
                step("wait: {call: DescribeLiveUserTags, at: x, is: 1}"),
                "line 3: `at` is a pointer into the answer, such as /RecordInfo/RecordId",
            ),
            (
                step("call: DescribeLiveUserTags\n    alike: {Name: tme}"),
                "line 4: unknown word of alike `tme`; did you mean `time`?",
            ),
            (
                step("call: DescribeLiveUserTags\n    alike: {a/b: time}"),
                "line 4: `a/b` is no place: write Name, or /Path/*/Name from the top",
            ),
            (
                step("call: DescribeLiveUserTags\n    capture: {Id: /x}"),
                "line 4: `Id` is no name of a variable: lower case letters, digits and _",
            ),
            (
                step("call: DescribeLiveUserTags\n    force: yes"),
                "line 3: `force` is true or false",
            ),
        ] {
            assert_eq!(told(&text), words, "{text}");
        }
    }

    #[test]
    fn numbers_of_things_have_ends() {
        let many = |n: usize| format!("script: x\nsteps:\n{}", "  - sleep: 1\n".repeat(n));
        assert!(Script::read(&many(MAX_STEPS), &known()).is_ok());
        assert!(told(&many(MAX_STEPS + 1)).ends_with("more than 300 steps"));
        let variables = |n: usize| {
            let names: String = (0..n).map(|n| format!("  v{n}: x\n")).collect();
            format!("script: x\nvars:\n{names}steps:\n  - sleep: 1\n")
        };
        assert!(Script::read(&variables(MAX_VARIABLES - 2), &known()).is_ok());
        assert!(told(&variables(MAX_VARIABLES - 1)).ends_with("more than 200 variables"));
        let named = |n: usize| format!("script: {}\nsteps:\n  - sleep: 1\n", "n".repeat(n));
        assert!(Script::read(&named(MAX_NAME), &known()).is_ok());
        assert!(told(&named(MAX_NAME + 1)).contains("at most 200 characters"));
    }

    #[test]
    fn needs_are_counted_from_the_steps() {
        let needs = |step: &str| {
            let text = format!("script: x\nsteps:\n  - {step}\n");
            let script = Script::read(&text, &known()).unwrap();
            script
                .needs()
                .into_iter()
                .map(Need::word)
                .collect::<Vec<_>>()
        };
        assert!(needs("call: DescribeLiveUserTags").is_empty());
        assert_eq!(needs("call: AddLiveDomain"), ["write"]);
        assert_eq!(needs("call: DeleteLiveDomain"), ["delete"]);
        assert_eq!(needs("call: UnTagLiveResources"), ["delete"]);
        assert_eq!(needs("call: Whatever\n    force: true"), ["write"]);
        assert_eq!(needs("push: {domain: d, app: a, stream: s}"), ["push"]);
        assert!(needs("sleep: 60").is_empty());
        assert_eq!(needs("sleep: 61"), ["wait"]);
    }

    #[test]
    fn a_wait_knows_when_it_is_over() {
        let one = json!(1);
        assert!(Until::Is(json!(1)).holds(Some(&one)) && !Until::Is(json!("1")).holds(Some(&one)));
        assert!(Until::Not(json!(2)).holds(Some(&one)) && Until::Not(json!(2)).holds(None));
        assert!(
            Until::Least(2.0).holds(Some(&json!([1, 2]))) && !Until::Least(2.0).holds(Some(&one))
        );
        assert!(Until::Least(2.0).holds(Some(&json!("2.5"))) && !Until::Least(0.0).holds(None));
        assert!(Until::There(true).holds(Some(&one)) && Until::There(false).holds(None));
        assert!(Until::There(false).holds(Some(&Value::Null)));
    }
}
