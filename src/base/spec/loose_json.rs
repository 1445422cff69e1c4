//! JSON text of a parameter, as it should be or as Python prints it.
//!
//! Released programs send `str(value)` where `json.dumps(value)` was meant: single quotes, `True`, `None`, and from Python 2 a `u` before
//! each text. What the product makes of it is not documented; such programs were sold and worked. So text that is no JSON is read
//! once more as a value that Python's `repr` prints, by a grammar as strict as JSON's own: nothing is guessed or mended.

use serde_json::{Map, Number, Value};

use crate::notes::{self, Note};

/// Deepest nesting: far more than any parameter has, far less than the stack takes.
const DEEPEST: usize = 64;

/// Reads a parameter's JSON text. Where it was no JSON, the caller is told so.
///
/// # Errors
/// What is wrong with it as JSON, where it is neither.
pub fn read(parameter: &str, text: &str) -> serde_json::Result<Value> {
    serde_json::from_str(text).or_else(|error| {
        let value = Reader::new(text).whole().ok_or(error)?;
        notes::tell(Note::LooseJson {
            parameter: parameter.to_owned(),
        });
        Ok(value)
    })
}

/// What is left of the text.
struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn new(rest: &'a str) -> Self {
        Self { rest, depth: 0 }
    }

    /// The text's one value, with nothing behind it.
    fn whole(mut self) -> Option<Value> {
        let value = self.value()?;
        self.blanks();
        self.rest.is_empty().then_some(value)
    }

    fn blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
    }

    /// Takes `token` if it comes next.
    fn takes(&mut self, token: &str) -> bool {
        self.blanks();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn character(&mut self) -> Option<char> {
        let mut rest = self.rest.chars();
        let next = rest.next()?;
        self.rest = rest.as_str();
        Some(next)
    }

    fn value(&mut self) -> Option<Value> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        let value = if self.takes("{") {
            self.members()?
        } else if self.takes("[") {
            self.items()?
        } else if let Some(text) = self.text() {
            Value::String(text)
        } else {
            self.plain()?
        };
        self.depth -= 1;
        Some(value)
    }

    fn members(&mut self) -> Option<Value> {
        let mut members = Map::new();
        if self.takes("}") {
            return Some(Value::Object(members));
        }
        loop {
            let name = self.text()?;
            let value = self.takes(":").then(|| self.value())??;
            members.insert(name, value);
            if self.takes("}") {
                return Some(Value::Object(members));
            }
            self.takes(",").then_some(())?;
        }
    }

    fn items(&mut self) -> Option<Value> {
        let mut items = Vec::new();
        if self.takes("]") {
            return Some(Value::Array(items));
        }
        loop {
            items.push(self.value()?);
            if self.takes("]") {
                return Some(Value::Array(items));
            }
            self.takes(",").then_some(())?;
        }
    }

    /// A word or a number, which ends where a letter, digit or sign cannot go on.
    fn plain(&mut self) -> Option<Value> {
        self.blanks();
        let goes_on = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_');
        let end = self.rest.find(|c| !goes_on(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        match word {
            "True" | "true" => Some(Value::Bool(true)),
            "False" | "false" => Some(Value::Bool(false)),
            "None" | "null" => Some(Value::Null),
            number => serde_json::from_str::<Number>(number)
                .ok()
                .map(Value::Number),
        }
    }

    /// A text in quotes of either kind; the other kind may stand within.
    fn text(&mut self) -> Option<String> {
        self.blanks();
        let whole = self.rest;
        let unicode = self.takes("u");
        let quote = ['\'', '"'].into_iter().find(|q| self.rest.starts_with(*q));
        let Some(quote) = quote else {
            // No text: an `u` that was taken belongs to something else.
            self.rest = whole;
            return None;
        };
        self.character();
        let mut text = String::new();
        loop {
            match self.character()? {
                end if end == quote => return Some(text),
                '\\' => text.push(self.escaped(unicode)?),
                control if control.is_control() => return None,
                plain => text.push(plain),
            }
        }
    }

    fn escaped(&mut self, unicode: bool) -> Option<char> {
        Some(match self.character()? {
            same @ ('\\' | '\'' | '"' | '/') => same,
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            'x' => {
                let code = self.hex(2)?;
                // Python 2 prints the bytes of a plain text so and Python 3 its characters: no one can tell which it was.
                (code < 0x80 || unicode).then(|| char::from_u32(code))??
            }
            'u' => self.half_or_whole()?,
            'U' => char::from_u32(self.hex(8)?)?,
            _ => return None,
        })
    }

    /// `\uXXXX`, two of them where the character needs it.
    fn half_or_whole(&mut self) -> Option<char> {
        let first = self.hex(4)?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first);
        }
        self.rest = self.rest.strip_prefix("\\u")?;
        let second = self
            .hex(4)?
            .checked_sub(0xdc00)
            .filter(|low| *low < 0x400)?;
        char::from_u32(0x10000 + ((first - 0xd800) << 10) + second)
    }

    fn hex(&mut self, digits: usize) -> Option<u32> {
        let (number, rest) = self.rest.split_at_checked(digits)?;
        self.rest = rest;
        let all = number.bytes().all(|b| b.is_ascii_hexdigit());
        all.then(|| u32::from_str_radix(number, 16).ok())?
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn loose(text: &str) -> Option<Value> {
        Reader::new(text).whole()
    }

    #[test]
    fn what_python_prints_is_read() {
        for (text, value) in [
            (
                "[{'functionName': 'aliauth', 'functionArgs': [{'argName': 'auth_type', 'argValue': 'type_a'}]}]",
                json!([{"functionName": "aliauth", "functionArgs": [{"argName": "auth_type", "argValue": "type_a"}]}]),
            ),
            (
                "[{u'a': u'\\u4e2d\\xe9', u\"b\": 'c'}]",
                json!([{"a": "中é", "b": "c"}]),
            ),
            (
                "{'on': True, 'off': False, 'no': None}",
                json!({"on": true, "off": false, "no": null}),
            ),
            (
                "{'on': true, 'off': false, 'no': null}",
                json!({"on": true, "off": false, "no": null}),
            ),
            // Python chooses the quotes that need no escapes.
            (
                "[\"it's\", 'a \"b\"', 'it\\'s \"x\"']",
                json!(["it's", "a \"b\"", "it's \"x\""]),
            ),
            (
                "['a\\\\', '\\n\\t\\r\\x1b', '\\U0001f600', '\\ud83d\\ude00']",
                json!(["a\\", "\n\t\r\u{1b}", "😀", "😀"]),
            ),
            ("[ ]", json!([])),
            (" { } ", json!({})),
            ("[-1, 2.5, 1e3]", json!([-1, 2.5, 1e3])),
            ("{'a': 1, 'a': 2}", json!({"a": 2})),
            (
                "['{\"x\": [1, 2]}', 'a, b: c]']",
                json!(["{\"x\": [1, 2]}", "a, b: c]"]),
            ),
        ] {
            assert_eq!(loose(text), Some(value), "{text}");
        }
    }

    #[test]
    fn what_nobody_prints_is_not() {
        for text in [
            "",
            " ",
            "[",
            "{",
            "]",
            "['a'",
            "['a' 'b']",
            "['a',]",
            "{'a': 1,}",
            "{'a'}",
            "{'a' 1}",
            "{1: 2}",
            "{a: 'b'}",
            "['a\"]",
            "['a'] x",
            "['a']]",
            "[01]",
            "[1_000]",
            "[0x10]",
            "[+1]",
            "[1L]",
            "[nan]",
            "[inf]",
            "[TRUE]",
            "[u]",
            "[u 'a']x",
            "('a',)",
            "['\\q']",
            "['\\x4']",
            "['\\u12']",
            "['\\ud83d']",
            "['\\ud83dx']",
            "['\\udc00']",
            "['\\U00110000']",
            "['\\xe4\\xb8\\xad']",
            "['a\nb']",
            "['a\u{0}b']",
            "['\\",
            "b'a'",
            "'a' + 'b'",
            "['\\u+123']",
            "['\\x\u{e9}']",
        ] {
            assert_eq!(loose(text), None, "{text:?}");
        }
    }

    #[test]
    fn nesting_has_an_end() {
        let nested = |n: usize| format!("{}'x'{}", "[".repeat(n), "]".repeat(n));
        assert!(loose(&nested(DEEPEST - 1)).is_some());
        assert_eq!(loose(&nested(DEEPEST)), None);
        assert_eq!(loose(&"[".repeat(100_000)), None);
    }

    #[tokio::test]
    async fn only_text_that_is_no_json_is_told() {
        let (value, told) = notes::collected(async { read("P", r#"["it's"]"#) }).await;
        assert_eq!((value.unwrap(), told), (json!(["it's"]), vec![]));
        let (value, told) = notes::collected(async { read("P", "['a']") }).await;
        let note = Note::LooseJson {
            parameter: "P".to_owned(),
        };
        assert_eq!((value.unwrap(), told), (json!(["a"]), vec![note]));
        let (refused, told) = notes::collected(async { read("P", "['a'") }).await;
        assert!(refused.is_err() && told.is_empty());
    }

    /// What Python 3 prints for a value.
    fn python(value: &Value) -> String {
        let list = |parts: Vec<String>| parts.join(", ");
        match value {
            Value::Null => "None".to_owned(),
            Value::Bool(true) => "True".to_owned(),
            Value::Bool(false) => "False".to_owned(),
            Value::Number(number) => number.to_string(),
            Value::String(text) => {
                let quote = if text.contains('\'') && !text.contains('"') {
                    '"'
                } else {
                    '\''
                };
                let mut out = String::from(quote);
                for c in text.chars() {
                    match c {
                        '\\' => out.push_str("\\\\"),
                        '\n' => out.push_str("\\n"),
                        c if c == quote => out.extend(['\\', c]),
                        c if c.is_ascii_control() => {
                            out.push_str(&format!("\\x{:02x}", u32::from(c)));
                        }
                        c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
                        c => out.push(c),
                    }
                }
                out.push(quote);
                out
            }
            Value::Array(items) => format!("[{}]", list(items.iter().map(python).collect())),
            Value::Object(members) => {
                let member = |(name, value): (&String, &Value)| {
                    format!("{}: {}", python(&Value::from(name.as_str())), python(value))
                };
                format!("{{{}}}", list(members.iter().map(member).collect()))
            }
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::hash_map(any::<String>(), inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_value_comes_back_from_pythons_print(value in any_value()) {
            prop_assert_eq!(loose(&python(&value)), Some(value));
        }

        /// JSON is a part of the grammar but for texts with an unescaped DEL, which Python escapes.
        #[test]
        fn any_text_is_read_or_refused(text in "[\\[\\]{}'\",:u\\\\xU0-9a-fTrueNon ]{0,40}") {
            let _ = loose(&text);
        }
    }
}
