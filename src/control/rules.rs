//! The rules in order of precedence, domain by domain, with what belongs to each domain.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::ask::{Ask, Outcome, Refused, answer};
use crate::model::domain::Domain;
use crate::model::notify::{RecordNotify, StreamNotify};
use crate::model::rule::{ANY, Rule};
use crate::secrets;
use crate::store::documents::Kind;

/// Names of streams that no rule asks for by name: the ranks of a rule are those of a stream that it fits.
fn rank(rule: &Rule) -> u8 {
    let app = if rule.app == ANY { "" } else { &rule.app };
    let stream = if rule.stream == ANY { "" } else { &rule.stream };
    rule.rank(app, stream).unwrap_or(0)
}

/// What is asked first stands first; rules of one rank fit different streams, and stand by their names.
fn in_order(rules: &mut [Rule]) {
    rules.sort_by(|one, other| {
        let names = |rule: &Rule| (rule.app.clone(), rule.stream.clone());
        rank(other)
            .cmp(&rank(one))
            .then_with(|| names(one).cmp(&names(other)))
    });
}

fn shown(rule: &Rule) -> Result<Value, Refused> {
    let mut told = serde_json::to_value(rule).map_err(Refused::broken)?;
    if let Value::Object(told) = &mut told {
        told.insert("precedence".to_owned(), (5 - rank(rule)).into());
    }
    Ok(told)
}

pub(super) async fn list(ask: Ask) -> Outcome {
    let store = &ask.app.services.store;
    let domains: Vec<(String, Domain)> = store
        .list_documents(Kind::Domain)
        .await
        .map_err(Refused::broken)?;
    let record: Vec<(String, RecordNotify)> = store
        .list_documents(Kind::RecordNotify)
        .await
        .map_err(Refused::broken)?;
    let stream: Vec<(String, StreamNotify)> = store
        .list_documents(Kind::StreamNotify)
        .await
        .map_err(Refused::broken)?;
    let mut by_domain: BTreeMap<String, Vec<Rule>> = BTreeMap::new();
    for rule in store.all_rules() {
        by_domain.entry(rule.domain.clone()).or_default().push(rule);
    }
    let names: BTreeSet<&str> = domains
        .iter()
        .map(|(name, _)| name)
        .chain(record.iter().map(|(name, _)| name))
        .chain(stream.iter().map(|(name, _)| name))
        .chain(by_domain.keys())
        .map(String::as_str)
        .collect();
    let url = |url: &Option<String>| url.as_deref().map(|url| secrets::url(url).to_string());
    let wanted = ask.query("domain").map(str::to_ascii_lowercase);
    let mut told = Vec::new();
    for name in names {
        if wanted.as_deref().is_some_and(|wanted| wanted != name) {
            continue;
        }
        let mut rules = by_domain.get(name).cloned().unwrap_or_default();
        in_order(&mut rules);
        let own = domains.iter().find(|(known, _)| known == name);
        let ingest: Vec<&str> = domains
            .iter()
            .filter(|(_, domain)| domain.play_domain.as_deref() == Some(name))
            .map(|(known, _)| known.as_str())
            .collect();
        let notify = record.iter().find(|(known, _)| known == name).map(|(_, notify)| {
            json!({"notify_url": url(&notify.notify_url), "on_demand_url": url(&notify.on_demand_url), "status_events": notify.need_status_notify, "signed": notify.notify_req_auth})
        });
        let of_streams = stream.iter().find(|(known, _)| known == name);
        told.push(json!({
            "domain": name,
            "declared": own.is_some(),
            "play_domain": own.and_then(|(_, domain)| domain.play_domain.clone()),
            "ingest": ingest,
            "rules": rules.iter().map(shown).collect::<Result<Vec<_>, _>>()?,
            "notify": notify,
            "stream_notify_url": of_streams.and_then(|(_, notify)| url(&notify.notify_url)),
        }));
    }
    answer(&json!({"domains": told, "total": told.len()}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rule::tests::rule;

    #[test]
    fn the_rule_that_is_asked_first_stands_first() {
        let mut rules = [
            rule("*", "*"),
            rule("*", "s"),
            rule("b", "*"),
            rule("a", "*"),
            rule("a", "s"),
        ];
        in_order(&mut rules);
        let names: Vec<String> = rules
            .iter()
            .map(|rule| format!("{}/{}", rule.app, rule.stream))
            .collect();
        assert_eq!(names, ["a/s", "a/*", "b/*", "*/s", "*/*"]);
    }
}
