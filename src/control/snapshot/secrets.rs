//! Secrets leave the service as `***` only. On the way in that means "the one you hold"; which are not held is told.

use serde::Serialize;

use super::state::State;
use crate::model::domain::{Function, NamedCertificate};
use crate::model::notify::{RecordNotify, StreamNotify};
use crate::secrets::{self, HIDDEN};
use crate::store::documents::Kind;
use crate::store::{Store, StoreError};

/// What goes out in a secret's place. One that is `needed` and not held is still to be set, so it goes out as one that is hidden.
pub fn hidden(secret: &str, needed: bool) -> String {
    if secret.is_empty() && !needed {
        String::new()
    } else {
        HIDDEN.to_owned()
    }
}

/// A URL as it goes out.
pub fn hidden_url(url: Option<String>) -> Option<String> {
    url.map(|url| secrets::url(&url).into_owned())
}

/// An argument of a function as it goes out; a secret that is `needed` is one though it be empty.
pub fn hidden_argument(name: &str, value: &str, needed: bool) -> String {
    if secrets::is_name(name) {
        hidden(value, needed)
    } else {
        secrets::text(value).into_owned()
    }
}

/// A secret that a snapshot hides and that is not held here; it is empty until somebody sets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// The part of the snapshot, such as `record_notify`.
    pub kind: &'static str,
    /// The domain.
    pub name: String,
    pub field: String,
}

/// The secrets that the service holds.
#[derive(Default)]
pub struct Held {
    record: Vec<(String, RecordNotify)>,
    stream: Vec<(String, StreamNotify)>,
    functions: Vec<(String, Vec<Function>)>,
    certificates: Vec<(String, NamedCertificate)>,
}

impl Held {
    pub async fn of(store: &Store) -> Result<Self, StoreError> {
        Ok(Self {
            record: store.list_documents(Kind::RecordNotify).await?,
            stream: store.list_documents(Kind::StreamNotify).await?,
            functions: store.list_documents(Kind::DomainConfig).await?,
            certificates: store.list_documents(Kind::Certificate).await?,
        })
    }

    /// Puts the secrets that are held in the place of hidden ones, and names the others.
    pub fn fill(&self, state: &mut State) -> Vec<Missing> {
        let mut missing = Vec::new();
        for (name, config) in &mut state.record_notify {
            let held = named(&self.record, name);
            let slot = |field| Slot::of("record_notify", name, field);
            let key = held.map(|held| held.notify_auth_key.as_str());
            slot("notify_auth_key").fill(&mut config.notify_auth_key, key, &mut missing);
            let url = held.and_then(|held| held.notify_url.as_deref());
            slot("notify_url").fill_url(config.notify_url.as_mut(), url, &mut missing);
            let url = held.and_then(|held| held.on_demand_url.as_deref());
            slot("on_demand_url").fill_url(config.on_demand_url.as_mut(), url, &mut missing);
        }
        for (name, config) in &mut state.stream_notify {
            let held = named(&self.stream, name);
            let slot = |field| Slot::of("stream_notify", name, field);
            let key = held.map(|held| held.notify_auth_key.as_str());
            slot("notify_auth_key").fill(&mut config.notify_auth_key, key, &mut missing);
            let url = held.and_then(|held| held.notify_url.as_deref());
            slot("notify_url").fill_url(config.notify_url.as_mut(), url, &mut missing);
            let url = held.and_then(|held| held.exception_notify_url.as_deref());
            let given = config.exception_notify_url.as_mut();
            slot("exception_notify_url").fill_url(given, url, &mut missing);
        }
        for (name, certificate) in &mut state.certificates {
            // The key of another certificate is not this one's.
            let held = named(&self.certificates, name)
                .filter(|held| held.chain == certificate.chain)
                .map(|held| held.key.as_str());
            let slot = Slot::of("certificates", name, "key");
            slot.fill(&mut certificate.key, held, &mut missing);
        }
        for (name, functions) in &mut state.domain_configs {
            let known = named(&self.functions, name)
                .map(Vec::as_slice)
                .unwrap_or_default();
            for function in functions {
                let held = held_as(known, function);
                for (argument, value) in &mut function.args {
                    let held = held.and_then(|held| named(&held.args, argument));
                    let held = held.map(String::as_str);
                    let slot = Slot::of("domain_configs", name, argument);
                    if secrets::is_name(argument) {
                        slot.fill(value, held, &mut missing);
                    } else {
                        slot.fill_url(Some(value), held, &mut missing);
                    }
                }
            }
        }
        missing
    }
}

/// Which of the functions that a domain has is meant: that of the same number. A name alone says it where no other function has it.
fn held_as<'a>(known: &'a [Function], function: &Function) -> Option<&'a Function> {
    let mut same = known.iter().filter(|held| held.name == function.name);
    let by_number = same.clone().find(|held| held.id == function.id);
    by_number.or_else(|| same.next().filter(|_| same.next().is_none()))
}

fn named<'a, T>(list: &'a [(String, T)], name: &str) -> Option<&'a T> {
    list.iter()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value)
}

/// Where a secret belongs.
struct Slot<'a> {
    kind: &'static str,
    name: &'a str,
    field: &'a str,
}

impl<'a> Slot<'a> {
    fn of(kind: &'static str, name: &'a str, field: &'a str) -> Self {
        Self { kind, name, field }
    }

    /// A URL, or a text with some in it, of which parts may be hidden. What is held is meant where it looks the same without its secrets.
    fn fill_url(self, value: Option<&mut String>, held: Option<&str>, missing: &mut Vec<Missing>) {
        let Some(value) = value.filter(|value| value.contains(HIDDEN)) else {
            return;
        };
        if let Some(held) = held.filter(|held| {
            [secrets::url(held), secrets::text(held)].contains(&value.as_str().into())
        }) {
            held.clone_into(value);
            return;
        }
        let without = secrets::without(value);
        // Asterisks of its own.
        if without != *value {
            *value = without;
            missing.push(self.missing());
        }
    }

    fn missing(&self) -> Missing {
        Missing {
            kind: self.kind,
            name: self.name.to_owned(),
            field: self.field.to_owned(),
        }
    }

    fn fill(self, value: &mut String, held: Option<&str>, missing: &mut Vec<Missing>) {
        if value != HIDDEN {
            return;
        }
        held.unwrap_or_default().clone_into(value);
        if value.is_empty() {
            missing.push(self.missing());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_kept_and_what_is_not_is_named() {
        let notify = |key: &str| RecordNotify {
            notify_auth_key: key.to_owned(),
            ..RecordNotify::default()
        };
        let auth = |key: &str| Function {
            name: "aliauth".to_owned(),
            args: vec![("auth_key1".to_owned(), key.to_owned())],
            id: 1,
        };
        let held = Held {
            record: vec![("a".to_owned(), notify("secret"))],
            ..Held::default()
        };
        let mut state = State {
            record_notify: ["a", "b"]
                .map(|name| (name.to_owned(), notify(HIDDEN)))
                .to_vec(),
            domain_configs: vec![("c".to_owned(), vec![auth(HIDDEN), auth("given")])],
            ..State::default()
        };
        let missing = held.fill(&mut state);
        let told: Vec<_> = missing
            .iter()
            .map(|m| (m.kind, m.name.as_str(), m.field.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                ("record_notify", "b", "notify_auth_key"),
                ("domain_configs", "c", "auth_key1")
            ]
        );
        assert_eq!(state.record_notify[0].1, notify("secret"));
        assert_eq!(state.record_notify[1].1, notify(""));
        assert_eq!(state.domain_configs[0].1, [auth(""), auth("given")]);
    }

    #[test]
    fn of_several_functions_of_one_name_each_has_its_own_secret_again() {
        let header = |id, password: &str| Function {
            name: "set_resp_header".to_owned(),
            args: vec![("value".to_owned(), format!("https://u:{password}@h/"))],
            id,
        };
        let auth = |id, key: &str| Function {
            name: "aliauth".to_owned(),
            args: vec![("auth_key1".to_owned(), key.to_owned())],
            id,
        };
        let all = || vec![header(1, "p1"), header(2, "p2"), auth(3, "secret")];
        let held = Held {
            functions: vec![("a".to_owned(), all())],
            ..Held::default()
        };
        let shown = |id| Function {
            args: vec![("value".to_owned(), "https://***@h/".to_owned())],
            ..header(id, "")
        };
        // One that nobody has; and a name that is there once needs no number.
        let given = vec![shown(1), shown(2), shown(7), auth(0, HIDDEN)];
        let mut state = State {
            domain_configs: vec![("a".to_owned(), given)],
            ..State::default()
        };
        let missing = held.fill(&mut state);
        assert_eq!(missing.len(), 1, "{missing:?}");
        let texts = state.domain_configs[0]
            .1
            .iter()
            .map(|it| it.args[0].1.as_str());
        let wanted = ["https://u:p1@h/", "https://u:p2@h/", "https://h/", "secret"];
        assert_eq!(texts.collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn a_url_goes_out_without_its_secrets_and_comes_back_with_those_that_are_held() {
        let notify = |url: &str| RecordNotify {
            notify_url: Some(url.to_owned()),
            ..RecordNotify::default()
        };
        let secret = "http://u:p@h/x?token=a&b=c";
        let shown = hidden_url(Some(secret.to_owned())).unwrap();
        assert_eq!(shown, "http://***@h/x?token=***&b=c");
        let held = Held {
            record: vec![
                ("same".to_owned(), notify(secret)),
                (
                    "moved".to_owned(),
                    notify("http://u:p@elsewhere/x?token=a&b=c"),
                ),
            ],
            ..Held::default()
        };
        let names = ["same", "moved", "new"];
        let mut state = State {
            record_notify: names.map(|name| (name.to_owned(), notify(&shown))).to_vec(),
            ..State::default()
        };
        let missing = held.fill(&mut state);
        let told: Vec<_> = missing
            .iter()
            .map(|m| (m.name.as_str(), m.field.as_str()))
            .collect();
        assert_eq!(told, [("moved", "notify_url"), ("new", "notify_url")]);
        let urls = state
            .record_notify
            .iter()
            .map(|(_, config)| config.notify_url.clone().unwrap());
        let without = "http://h/x?token=&b=c";
        assert_eq!(urls.collect::<Vec<_>>(), [secret, without, without]);
    }
}
