//! What differs between two services by nature is made alike before their answers are compared: ids, times, hosts, accounts, figures.
//!
//! A value becomes a word for what it is, and only where it has that form: another form of a time, or a number where a text was, stays
//! a difference. The rules of a step win over those of its script, and those over the ones that hold everywhere ([`EVERYWHERE`]).

use std::collections::BTreeMap;

use serde_json::Value;

use super::places::{Pattern, Place};

/// Shortest value of a variable that is looked for inside other texts.
const SHORTEST_WORD: usize = 4;

/// What a place holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// An id: a text or a number that is not empty.
    Id,
    /// An instant: a text in the form that it has, or seconds or milliseconds.
    Time,
    /// A figure: a number, or a text that holds one.
    Number,
    /// A text in which runs of digits differ.
    Digits,
    /// The name of a host.
    Host,
    /// The address of a machine.
    Address,
    /// The account.
    Account,
    /// A text for people that is not empty.
    Text,
    /// A message; what stands in brackets at its end is left out.
    Message,
    /// A list whose order means nothing.
    Set,
    /// Anything, as long as it is there.
    Any,
    /// Nothing is made alike here.
    Exact,
}

impl How {
    pub const ALL: [Self; 12] = [
        Self::Id,
        Self::Time,
        Self::Number,
        Self::Digits,
        Self::Host,
        Self::Address,
        Self::Account,
        Self::Text,
        Self::Message,
        Self::Set,
        Self::Any,
        Self::Exact,
    ];

    /// The word of a script.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Time => "time",
            Self::Number => "number",
            Self::Digits => "digits",
            Self::Host => "host",
            Self::Address => "address",
            Self::Account => "account",
            Self::Text => "text",
            Self::Message => "message",
            Self::Set => "set",
            Self::Any => "any",
            Self::Exact => "exact",
        }
    }

    /// The meaning of a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|how| how.word() == word)
    }
}

/// What holds at some places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    place: Pattern,
    how: How,
}

impl Rule {
    pub(super) fn new(place: Pattern, how: How) -> Self {
        Self { place, how }
    }
}

/// What members of these names hold in every answer of the API.
const EVERYWHERE: [(&str, How); 33] = [
    ("RequestId", How::Id),
    ("RecordId", How::Id),
    ("ConfigId", How::Id),
    ("CertId", How::Id),
    ("NextToken", How::Id),
    ("NextPageToken", How::Id),
    ("ResourceGroupId", How::Id),
    ("LastTime", How::Time),
    ("HostId", How::Host),
    ("Cname", How::Host),
    ("GslbCname", How::Host),
    ("ServerIp", How::Address),
    ("ClientIp", How::Address),
    ("ClientIP", How::Address),
    ("ClientAddr", How::Address),
    ("EdgeNodeAddr", How::Address),
    ("OwnerId", How::Account),
    ("Uid", How::Account),
    ("AliUid", How::Account),
    ("UserId", How::Account),
    ("TagOwnerUid", How::Account),
    ("StatName", How::Account),
    ("Recommend", How::Text),
    ("Message", How::Message),
    // Lists for which no page promises an order.
    ("DomainConfig", How::Set),
    ("FunctionArg", How::Set),
    ("LiveDomainModel", How::Set),
    ("TagResource", How::Set),
    ("TagResources", How::Set),
    ("Tags", How::Set),
    ("Tag", How::Set),
    ("StreamCountInfo", How::Set),
    ("Cert", How::Set),
];

/// What one side has that the other cannot have.
#[derive(Debug, Clone, Default)]
pub struct Own {
    /// Values of variables that differ between the sides, with the variable's name.
    words: Vec<(String, String)>,
    /// Times that this side was sent, with the parameter's name.
    sent: BTreeMap<String, String>,
}

impl Own {
    /// The variables of this side whose values are not those of the other.
    #[must_use]
    pub fn new(own: &BTreeMap<String, String>, other: &BTreeMap<String, String>) -> Self {
        let mut words: Vec<(String, String)> = own
            .iter()
            .filter(|(name, value)| {
                value.len() >= SHORTEST_WORD && other.get(*name) != Some(*value)
            })
            .map(|(name, value)| (value.clone(), format!("<{name}>")))
            .collect();
        // A longer one may hold a shorter one.
        words.sort_by(|left, right| right.0.len().cmp(&left.0.len()).then(left.cmp(right)));
        Self {
            words,
            sent: BTreeMap::new(),
        }
    }

    /// The times among the parameters of a call.
    pub fn sent(&mut self, parameters: &[(String, String)]) {
        self.sent = parameters
            .iter()
            .filter(|(_, value)| form_of_time(value).is_some())
            .map(|(name, value)| (value.clone(), format!("<the {name} that was sent>")))
            .collect();
    }

    fn text(&self, text: &str) -> String {
        if let Some(sent) = self.sent.get(text) {
            return sent.clone();
        }
        if let Some(form) = form_of_time(text) {
            return format!("<time {form}>");
        }
        let mut out = without_ids(text);
        for (value, word) in &self.words {
            if out.contains(value.as_str()) {
                out = out.replace(value.as_str(), word);
            }
        }
        out
    }
}

/// An answer's body with everything made alike that the rules name; the first list of rules wins.
#[must_use]
pub fn alike(value: &Value, rules: &[&[Rule]], own: &Own) -> Value {
    Maker { rules, own }.value(value, &mut Place::default())
}

struct Maker<'a> {
    rules: &'a [&'a [Rule]],
    own: &'a Own,
}

impl Maker<'_> {
    fn how(&self, place: &Place) -> Option<How> {
        let mut written = self.rules.iter().flat_map(|rules| rules.iter());
        if let Some(rule) = written.find(|rule| rule.place.fits(place)) {
            return Some(rule.how);
        }
        let name = place.name();
        let known = EVERYWHERE.iter().find(|(known, _)| *known == name);
        known.map(|(_, how)| *how)
    }

    fn value(&self, value: &Value, place: &mut Place) -> Value {
        let how = self.how(place);
        match value {
            Value::Object(members) => {
                if matches!(how, Some(How::Any)) {
                    return word("any");
                }
                let members = members.iter().map(|(name, member)| {
                    place.push(name.as_str());
                    let member = self.value(member, place);
                    place.pop();
                    (name.clone(), member)
                });
                Value::Object(members.collect())
            }
            Value::Array(items) => {
                if matches!(how, Some(How::Any)) {
                    return word("any");
                }
                let mut made: Vec<Value> = Vec::with_capacity(items.len());
                for (number, item) in items.iter().enumerate() {
                    place.push(number.to_string());
                    made.push(self.value(item, place));
                    place.pop();
                }
                if matches!(how, Some(How::Set)) {
                    made.sort_by_cached_key(canonical);
                }
                Value::Array(made)
            }
            leaf => self.leaf(leaf, how),
        }
    }

    fn leaf(&self, value: &Value, how: Option<How>) -> Value {
        let made = match (how, value) {
            (Some(How::Exact), _) => Some(value.clone()),
            (Some(How::Any), _) => Some(word("any")),
            (Some(How::Id), Value::String(text)) if !text.is_empty() => Some(word("id")),
            (Some(How::Id), Value::Number(_)) => Some(word("number of an id")),
            (Some(How::Account), Value::String(text)) if !text.is_empty() => Some(word("account")),
            (Some(How::Account), Value::Number(_)) => Some(word("number of an account")),
            (Some(How::Host), Value::String(text)) if !text.is_empty() => Some(word("host")),
            (Some(How::Address), Value::String(text)) if !text.is_empty() => Some(word("address")),
            (Some(How::Text), Value::String(text)) if !text.is_empty() => Some(word("text")),
            (Some(How::Number), Value::Number(_)) => Some(word("number")),
            (Some(How::Number), Value::String(text)) if text.parse::<f64>().is_ok() => {
                Some(word("number in a text"))
            }
            (Some(How::Time), Value::Number(number)) => form_of_number(number.as_f64()).map(word),
            (Some(How::Digits), Value::String(text)) => {
                Some(Value::String(without_digits(&self.own.text(text))))
            }
            (Some(How::Message), Value::String(text)) => {
                Some(Value::String(self.own.text(without_brackets(text))))
            }
            _ => None,
        };
        made.unwrap_or_else(|| match value {
            Value::String(text) => Value::String(self.own.text(text)),
            other => other.clone(),
        })
    }
}

fn word(word: &str) -> Value {
    Value::String(format!("<{word}>"))
}

/// Members by name, so that two values that mean the same are the same text.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let mut members: Vec<String> = members
                .iter()
                .map(|(name, member)| format!("{name:?}:{}", canonical(member)))
                .collect();
            members.sort_unstable();
            format!("{{{}}}", members.join(","))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(canonical).collect();
            format!("[{}]", items.join(","))
        }
        leaf => leaf.to_string(),
    }
}

/// Seconds or milliseconds of a time of our century.
fn form_of_number(number: Option<f64>) -> Option<&'static str> {
    let number = number?;
    if (1e9..1e10).contains(&number) {
        Some("time in seconds")
    } else if (1e12..1e13).contains(&number) {
        Some("time in milliseconds")
    } else {
        None
    }
}

/// The form of a text that is an instant or a day.
fn form_of_time(text: &str) -> Option<&'static str> {
    const FORMS: [&str; 9] = [
        "yyyy-MM-ddTHH:mm:ssZ",
        "yyyy-MM-ddTHH:mmZ",
        "yyyy-MM-ddTHH:mm:ss",
        "yyyy-MM-ddTHH:mm:ss.SSSZ",
        "yyyy-MM-ddTHH:mm:ss+hh:mm",
        "yyyy-MM-ddTHH:mm:ss-hh:mm",
        "yyyy-MM-dd HH:mm:ss",
        "yyyy-MM-dd HH:mm:ss.SSS",
        "yyyy-MM-dd",
    ];
    FORMS.into_iter().find(|form| {
        form.len() == text.len()
            && form.bytes().zip(text.bytes()).all(|(wanted, byte)| {
                if b"yMdHmsSh".contains(&wanted) {
                    byte.is_ascii_digit()
                } else {
                    byte == wanted
                }
            })
    })
}

/// Ids in the form of a UUID, taken out of a text.
fn without_ids(text: &str) -> String {
    const LENGTHS: [usize; 5] = [8, 4, 4, 4, 12];
    const WHOLE: usize = 36;
    let is_id = |piece: &str| {
        let parts: Vec<&str> = piece.split('-').collect();
        parts.len() == LENGTHS.len()
            && parts.iter().zip(LENGTHS).all(|(part, length)| {
                part.len() == length && part.bytes().all(|b| b.is_ascii_hexdigit())
            })
    };
    if text.len() < WHOLE {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        match rest.get(..WHOLE) {
            Some(piece) if is_id(piece) => {
                out.push_str("<id>");
                rest = rest.get(WHOLE..).unwrap_or_default();
            }
            _ => {
                out.push(first);
                rest = rest.get(first.len_utf8()..).unwrap_or_default();
            }
        }
    }
    out
}

/// Each run of digits as one mark.
fn without_digits(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_run = false;
    for c in text.chars() {
        if c.is_ascii_digit() {
            if !in_run {
                out.push('#');
            }
            in_run = true;
        } else {
            out.push(c);
            in_run = false;
        }
    }
    out
}

/// A message without what stands in brackets at its end.
fn without_brackets(text: &str) -> &str {
    let Some(inner) = text.strip_suffix(')') else {
        return text;
    };
    let mut depth = 1;
    for (at, c) in inner.char_indices().rev() {
        match c {
            ')' => depth += 1,
            '(' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return inner.get(..at).unwrap_or_default().trim_end();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn made(value: &Value, rules: &[(&str, How)]) -> Value {
        let rules: Vec<Rule> = rules
            .iter()
            .map(|(place, how)| Rule::new(Pattern::parse(place).unwrap(), *how))
            .collect();
        alike(value, &[&rules], &Own::default())
    }

    #[test]
    fn ids_times_and_hosts_become_words_for_what_they_are() {
        let answer = json!({
            "RequestId": "5056369B-D337-499E-B8B7-B761BD37B08A",
            "HostId": "live.aliyuncs.com",
            "Message": "Not found. (localyun: try (this))",
            "List": [{"CreateTime": "2026-11-26T20:00:00Z", "StopTime": "", "Day": "2026-11-26", "LastTime": 1_764_187_200}],
            "Text": "request 5056369b-d337-499e-b8b7-b761bd37b08a failed",
        });
        assert_eq!(
            made(&answer, &[]),
            json!({
                "RequestId": "<id>",
                "HostId": "<host>",
                "Message": "Not found.",
                "List": [{"CreateTime": "<time yyyy-MM-ddTHH:mm:ssZ>", "StopTime": "", "Day": "<time yyyy-MM-dd>", "LastTime": "<time in seconds>"}],
                "Text": "request <id> failed",
            })
        );
    }

    #[test]
    fn another_form_stays_what_it_is() {
        for (name, value) in [
            ("RequestId", json!("")),
            ("RequestId", json!(null)),
            ("HostId", json!(7)),
            ("LastTime", json!(17)),
            ("LastTime", json!("soon")),
            ("Message", json!(null)),
        ] {
            let answer = json!({name: value});
            assert_eq!(made(&answer, &[]), answer);
        }
        let times = [
            "2026-11-26T20:00:00Z",
            "2026-11-26T20:00:00.000Z",
            "2026-11-26 20:00:00",
        ];
        let forms: Vec<Value> = times.map(|time| made(&json!({"T": time}), &[])).to_vec();
        assert!(forms[0] != forms[1] && forms[1] != forms[2] && forms[0] != forms[2]);
        assert_ne!(
            made(&json!({"RequestId": 1}), &[]),
            made(&json!({"RequestId": "1"}), &[])
        );
    }

    #[test]
    fn a_script_says_what_its_places_hold() {
        let answer = json!({"A": [{"Bps": 12.5}, {"Bps": "9"}], "Object": "record/live/s1/20261126-1.mp4", "T": "x", "RequestId": "abc"});
        let rules = [
            ("/A/*/Bps", How::Number),
            ("Object", How::Digits),
            ("/T", How::Text),
            ("RequestId", How::Exact),
        ];
        assert_eq!(
            made(&answer, &rules),
            json!({"A": [{"Bps": "<number>"}, {"Bps": "<number in a text>"}], "Object": "record/live/s#/#-#.mp#", "T": "<text>", "RequestId": "abc"})
        );
        assert_eq!(
            made(&json!({"A": [1, {"b": 2}]}), &[("/A", How::Any)]),
            json!({"A": "<any>"})
        );
    }

    #[test]
    fn a_list_without_an_order_is_sorted_by_what_remains() {
        let one =
            json!({"DomainConfig": [{"ConfigId": "9", "F": "b"}, {"F": "a", "ConfigId": "8"}]});
        let other =
            json!({"DomainConfig": [{"ConfigId": "1", "F": "a"}, {"ConfigId": "2", "F": "b"}]});
        assert_eq!(made(&one, &[]), made(&other, &[]));
        let ordered = [json!({"Ordered": [1, 2]}), json!({"Ordered": [2, 1]})];
        assert_ne!(made(&ordered[0], &[]), made(&ordered[1], &[]));
    }

    #[test]
    fn what_only_one_side_knows_is_named() {
        let variables = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter();
            pairs
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect::<BTreeMap<_, _>>()
        };
        let here = variables(&[
            ("domain", "a.example.com"),
            ("app", "live"),
            ("id", "rec-1"),
        ]);
        let there = variables(&[
            ("domain", "b.example.org"),
            ("app", "live"),
            ("id", "rec-2"),
        ]);
        let mut own = [Own::new(&here, &there), Own::new(&there, &here)];
        own[0].sent(&[("StartTime".into(), "2026-11-26T20:00:00Z".into())]);
        own[1].sent(&[("StartTime".into(), "2026-11-26T21:00:00Z".into())]);
        let of = |domain: &str, id: &str, time: &str| json!({"Url": format!("rtmp://{domain}/live/s"), "Id": id, "StartTime": time});
        let here = alike(
            &of("a.example.com", "rec-1", "2026-11-26T20:00:00Z"),
            &[],
            &own[0],
        );
        let there = alike(
            &of("b.example.org", "rec-2", "2026-11-26T21:00:00Z"),
            &[],
            &own[1],
        );
        assert_eq!(here, there);
        assert_eq!(here["Url"], "rtmp://<domain>/live/s");
        assert_eq!(here["StartTime"], "<the StartTime that was sent>");
        // A time that was not sent is another thing than the one that was.
        let wrong = alike(
            &of("b.example.org", "rec-2", "2026-11-26T22:00:00Z"),
            &[],
            &own[1],
        );
        assert_ne!(here, wrong);
    }

    #[test]
    fn brackets_are_cut_where_they_close() {
        for (text, rest) in [
            ("a (b)", "a"),
            ("a (b) c", "a (b) c"),
            ("a (b (c) d)", "a"),
            ("a b)", "a b)"),
            ("(a)", ""),
            ("", ""),
        ] {
            assert_eq!(without_brackets(text), rest, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_made_alike_stays_so(text in ".{0,80}") {
            let _ = without_brackets(&text);
            let own = Own::default();
            let once = own.text(&text);
            prop_assert_eq!(own.text(&once), once.clone());
            prop_assert_eq!(without_digits(&once).contains(|c: char| c.is_ascii_digit()), false);
        }
    }
}
