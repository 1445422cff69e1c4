//! What a report must not carry away: secrets, and the names by which an account could be found.
//!
//! Secrets go by their names, as everywhere ([`crate::secrets`]). Keys, accounts, domains, buckets and addresses become words with a number, the
//! same one wherever the same thing stands, so that a report can still be read. What is a domain or a bucket is learnt first, from the
//! names of parameters and members and from URLs, and then found wherever it stands.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::secrets;

/// Most names of a kind that are told apart; what is beyond shares one word.
const MAX_NAMES: usize = 1_000;
/// Digits of an account's number.
const ACCOUNT_DIGITS: usize = 16;
/// Shortest access key id that the cloud gives out.
const SHORTEST_KEY: usize = 16;
/// Hosts that belong to everybody.
const PUBLIC: [&str; 4] = ["aliyuncs.com", "aliyun.com", "localhost", "localyun.test"];

/// What has been learnt so far.
#[derive(Debug, Default)]
pub struct Masker {
    /// By kind and by name, the number of each.
    numbers: BTreeMap<(&'static str, String), usize>,
    /// Domains, the longest first.
    domains: Vec<(String, String)>,
    secrets: Vec<String>,
}

impl Masker {
    /// A key of a caller: its id becomes a word, its secret is hidden wherever it stands.
    pub fn learn_key(&mut self, id: &str, secret: &str) {
        self.word("key", id);
        if !secret.is_empty() {
            self.secrets.push(secret.to_owned());
        }
    }

    /// A named value, such as a parameter.
    pub fn learn(&mut self, name: &str, text: &str) {
        let name = name.to_ascii_lowercase();
        let ends = [
            "domain",
            "domains",
            "domainname",
            "domainnames",
            "domainlist",
            "cname",
            "hostid",
            "host",
        ];
        if ends.iter().any(|end| name.ends_with(end)) {
            for domain in text.split([',', ';', ' ', '"', '[', ']']) {
                self.learn_domain(domain);
            }
        }
        if name.ends_with("bucket") && text.len() >= 3 {
            self.word("bucket", text);
        }
        let mut rest = text;
        while let Some((_, after)) = rest.split_once("://") {
            let end = after
                .find(['/', '?', '#', ':', '"', ' '])
                .unwrap_or(after.len());
            let host = after.get(..end).unwrap_or_default();
            self.learn_domain(host.rsplit('@').next().unwrap_or_default());
            rest = after;
        }
    }

    /// Everything that a value names.
    pub fn learn_value(&mut self, name: &str, value: &Value) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    self.learn_value(name, member);
                }
            }
            Value::Array(items) => {
                for item in items {
                    self.learn_value(name, item);
                }
            }
            Value::String(text) => self.learn(name, text),
            _ => {}
        }
    }

    fn learn_domain(&mut self, domain: &str) {
        let domain = domain.trim_matches(['.', '*']).to_ascii_lowercase();
        let of_all = PUBLIC
            .iter()
            .any(|public| domain == *public || domain.ends_with(&format!(".{public}")));
        let last = domain.rsplit('.').next().unwrap_or_default();
        let is_domain = domain.contains('.')
            && domain
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
            && last.len() >= 2
            && last.bytes().all(|b| b.is_ascii_alphabetic());
        if of_all || !is_domain || self.domains.iter().any(|(known, _)| *known == domain) {
            return;
        }
        let word = self.word("domain", &domain);
        self.domains.push((domain, word));
        self.domains
            .sort_by_key(|(domain, _)| std::cmp::Reverse(domain.len()));
    }

    /// The word for a thing, a new one where it is new.
    fn word(&mut self, kind: &'static str, name: &str) -> String {
        if let Some(word) = self.known(kind, name) {
            return word;
        }
        let number = self.numbers.keys().filter(|(of, _)| *of == kind).count() + 1;
        if number > MAX_NAMES {
            return format!("<{kind}>");
        }
        self.numbers.insert((kind, name.to_owned()), number);
        format!("<{kind} {number}>")
    }

    fn known(&self, kind: &'static str, name: &str) -> Option<String> {
        let number = self.numbers.get(&(kind, name.to_owned()))?;
        Some(format!("<{kind} {number}>"))
    }

    /// A text as it may be sent.
    pub fn text(&mut self, text: &str) -> String {
        let mut out = secrets::value(text).into_owned();
        for secret in &self.secrets {
            if out.contains(secret.as_str()) {
                out = out.replace(secret.as_str(), secrets::HIDDEN);
            }
        }
        // A key is one within a longer word too; the short ones that people choose for localyun are told by the token alone.
        for ((kind, name), number) in &self.numbers {
            if *kind == "key" && name.len() >= SHORTEST_KEY && out.contains(name.as_str()) {
                out = out.replace(name.as_str(), &format!("<key {number}>"));
            }
        }
        for (domain, word) in &self.domains {
            out = replaced(&out, domain, word);
        }
        let mut masked = String::with_capacity(out.len());
        let mut rest = out.as_str();
        while let Some(first) = rest.chars().next() {
            let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            if end == 0 {
                masked.push(first);
                rest = rest.get(first.len_utf8()..).unwrap_or_default();
                continue;
            }
            let (token, after) = rest.split_at(end);
            masked.push_str(&self.token(token));
            rest = after;
        }
        masked
    }

    /// A run of letters, digits, dots and dashes.
    fn token(&mut self, token: &str) -> String {
        if let Some(word) = self
            .known("key", token)
            .or_else(|| self.known("bucket", token))
        {
            return word;
        }
        if let Some((label, rest)) = token.split_once('.')
            && let Some(word) = self.known("bucket", label)
        {
            return format!("{word}.{rest}");
        }
        let is_digits = token.bytes().all(|b| b.is_ascii_digit());
        if is_digits && token.len() == ACCOUNT_DIGITS {
            return self.word("account", token);
        }
        if token.starts_with("LTAI") && token.len() >= SHORTEST_KEY {
            return self.word("key", token);
        }
        if let Ok(address) = token.parse::<std::net::Ipv4Addr>()
            && !address.is_loopback()
            && !address.is_unspecified()
        {
            return self.word("address", token);
        }
        token.to_owned()
    }

    /// A value as it may be sent; `name` is that of the member or parameter which holds it.
    pub fn value(&mut self, name: &str, value: &Value) -> Value {
        match value {
            Value::Object(members) => {
                let mut out = serde_json::Map::with_capacity(members.len());
                for (name, member) in members {
                    let member = if secrets::is_named(members, name) {
                        secrets::hidden(member)
                    } else {
                        self.value(name, member)
                    };
                    out.insert(name.clone(), member);
                }
                Value::Object(out)
            }
            Value::Array(items) => items.iter().map(|item| self.value(name, item)).collect(),
            Value::String(text) if secrets::is_name(name) && !text.is_empty() => {
                Value::from(secrets::HIDDEN)
            }
            Value::String(text) => Value::String(self.text(text)),
            Value::Number(number) => {
                let digits = number.to_string();
                if digits.len() == ACCOUNT_DIGITS && digits.bytes().all(|b| b.is_ascii_digit()) {
                    Value::String(self.word("account", &digits))
                } else {
                    value.clone()
                }
            }
            other => other.clone(),
        }
    }
}

fn is_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '.' || c == '_'
}

/// Every place of a name in lower or upper case.
fn replaced(text: &str, name: &str, word: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    while let Some(at) = lower.get(from..).and_then(|rest| rest.find(name)) {
        out.push_str(text.get(from..from + at).unwrap_or_default());
        out.push_str(word);
        from += at + name.len();
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_within_a_longer_word_is_hidden_too() {
        let mut masker = Masker::default();
        masker.learn_key("LTAI5tABCDEFGHIJKLMN", "secret-of-the-key");
        assert_eq!(
            masker.text("user_LTAI5tABCDEFGHIJKLMNsaid secret-of-the-key"),
            "user_<key 1>said ***"
        );
    }

    #[test]
    fn one_thing_has_one_word_wherever_it_stands() {
        let mut masker = Masker::default();
        masker.learn_key("testid", "testsecret");
        masker.learn("DomainName", "play.customer.com");
        masker.learn("OssBucket", "customer-recordings");
        let answer = json!({
            "DomainName": "play.customer.com",
            "Url": "https://customer-recordings.oss-cn-shanghai.aliyuncs.com/a?auth_key=9-8-7",
            "Stream": "rtmp://push.customer.com/live/s1",
            "Uid": 1234567890123456_u64,
            "Text": "PLAY.customer.com of 1234567890123456 at 203.0.113.7 and 127.0.0.1, key LTAI5tABCDEFGHIJKLMN, testid",
            "NotifyAuthKey": "swordfish",
            "SignedWith": "testsecret",
            "Code": "InvalidDomain.NotFound",
        });
        masker.learn_value("", &answer);
        assert_eq!(
            masker.value("", &answer),
            json!({
                "DomainName": "<domain 1>",
                "Url": "https://<bucket 1>.oss-cn-shanghai.aliyuncs.com/a?auth_key=***",
                "Stream": "rtmp://<domain 2>/live/s1",
                "Uid": "<account 1>",
                "Text": "<domain 1> of <account 1> at <address 1> and 127.0.0.1, key <key 2>, <key 1>",
                "NotifyAuthKey": "***",
                "SignedWith": "***",
                "Code": "InvalidDomain.NotFound",
            })
        );
    }

    #[test]
    fn secrets_of_pairs_and_of_json_in_a_text_are_hidden() {
        let mut masker = Masker::default();
        let args = json!([{"ArgName": "auth_key1", "ArgValue": "hush"}, {"ArgName": "auth_type", "ArgValue": "type_a"}]);
        assert_eq!(
            masker.value("", &args),
            json!([{"ArgName": "auth_key1", "ArgValue": "***"}, {"ArgName": "auth_type", "ArgValue": "type_a"}])
        );
        assert_eq!(
            masker.text(r#"[{"ArgName":"auth_key1","ArgValue":"hush"}]"#),
            r#"[{"ArgName":"auth_key1","ArgValue":"***"}]"#
        );
        let key = "-----BEGIN RSA PRIVATE KEY-----\nhush";
        assert_eq!(masker.text(key), "***");
    }

    #[test]
    fn what_everybody_has_stays() {
        let mut masker = Masker::default();
        let value = json!({"OssEndpoint": "oss-cn-shanghai.aliyuncs.com", "HostId": "live.aliyuncs.com", "DomainName": "*", "Object": "a.m3u8", "N": 12, "T": "2026-11-26T20:00:00Z", "中": "中文 é"});
        masker.learn_value("", &value);
        assert_eq!(masker.value("", &value), value);
    }

    #[test]
    fn the_number_of_words_has_an_end() {
        let mut masker = Masker::default();
        for number in 0..=MAX_NAMES {
            masker.word("account", &number.to_string());
        }
        assert_eq!(masker.numbers.len(), MAX_NAMES);
        assert_eq!(masker.word("account", "x"), "<account>");
    }
}
