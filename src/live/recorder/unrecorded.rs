//! A push that nothing records says so once: in the log and as an event, with why and what to do.

use serde_json::json;

use super::{Inner, Recorder};
use crate::events;
use crate::model::reason::{Circumstances, Reason, reason};
use crate::model::rule::OnDemand;
use crate::model::stream_key::StreamKey;
use crate::services::Services;

impl Recorder {
    /// Looks whether the push that has just begun is recorded. A question that is put to a receiver is told of when it is answered.
    pub(super) fn tell_if_unrecorded(&self, inner: &Inner, ingest_domain: &str) {
        let publisher = &inner.publisher;
        let winner = publisher.choice.winner.as_ref();
        if inner.session.is_some()
            || winner.is_some_and(|rule| rule.on_demand == OnDemand::HttpCallback)
        {
            return;
        }
        let store = &self.services.store;
        let told = reason(&Circumstances {
            key: &self.key,
            ingest_domain,
            args: &publisher.args,
            rules: &store.rules_of(&self.key.domain),
            choice: &publisher.choice,
            elsewhere: &domains_with_rules(&self.services, &self.key),
            on_demand_url: None,
            now: self.services.clock.now(),
        });
        if !told.records {
            tell(&self.services, &self.key, &told);
        }
    }
}

/// The domains that have rules, those first that have one for this application and stream.
#[must_use]
pub fn domains_with_rules(services: &Services, key: &StreamKey) -> Vec<String> {
    let fits = |domain: &String| {
        let rules = services.store.rules_of(domain);
        rules
            .iter()
            .any(|rule| rule.rank(&key.app, &key.stream).is_some())
    };
    let (mut first, rest): (Vec<String>, Vec<String>) = services
        .store
        .domains_with_rules()
        .into_iter()
        .partition(fits);
    first.extend(rest);
    first
}

/// Says that a push is not recorded.
pub(super) fn tell(services: &Services, key: &StreamKey, told: &Reason) {
    let (why, cure) = (told.why.to_string(), told.cure.as_ref());
    let cure = cure.map(ToString::to_string).unwrap_or_default();
    tracing::warn!(stream.key = %key, why, cure, "the push is not recorded");
    let told = json!({"what": "not_recorded", "why": why, "cure": cure, "words": told.words()});
    services.events.tell(events::Kind::Record, key, &told);
}
