//! Rules as DescribeLiveRecordConfig writes them, kept as text: a rule changes seldom and is listed often.
//!
//! The store replaces a domain's rules as a whole on every change, so a text is good for as long as the list that it was made
//! from is the store's own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use serde_json::value::{RawValue, to_raw_value};

use super::listed_rule::record;
use crate::model::rule::Rule;

/// Domains whose texts are kept; one more, and all are made anew.
const DOMAINS: usize = 64;

/// The texts of a domain's rules, each made when it is first wanted.
#[derive(Debug)]
pub struct Texts {
    rules: Weak<Vec<Rule>>,
    texts: Box<[OnceLock<Option<Box<RawValue>>>]>,
}

impl Texts {
    fn new(rules: &Arc<Vec<Rule>>) -> Self {
        Self {
            rules: Arc::downgrade(rules),
            texts: rules.iter().map(|_| OnceLock::new()).collect(),
        }
    }

    /// The text of the rule at a place of the list.
    pub fn get(&self, rules: &[Rule], at: usize) -> Option<&RawValue> {
        let make = || to_raw_value(&record(rules.get(at)?)).ok();
        self.texts.get(at)?.get_or_init(make).as_deref()
    }
}

/// The texts of the domains asked for last.
#[derive(Debug, Default)]
pub struct Rendered {
    domains: Mutex<HashMap<String, Arc<Texts>>>,
}

impl Rendered {
    /// The texts that belong to this list of a domain's rules.
    pub fn of(&self, domain: &str, rules: &Arc<Vec<Rule>>) -> Arc<Texts> {
        let mut domains = self.domains.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(texts) = domains.get(domain)
            && std::ptr::eq(texts.rules.as_ptr(), Arc::as_ptr(rules))
        {
            return Arc::clone(texts);
        }
        if domains.len() >= DOMAINS {
            domains.clear();
        }
        let texts = Arc::new(Texts::new(rules));
        domains.insert(domain.to_owned(), Arc::clone(&texts));
        texts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actions::arguments::testbed::Testbed;

    #[tokio::test]
    async fn a_text_lives_as_long_as_the_list_it_was_made_from() {
        let bed = Testbed::new().await;
        let rule = "DomainName=d.example.com&OssEndpoint=oss-cn-shanghai.aliyuncs.com&OssBucket=bucket&RecordFormat.1.Format=flv";
        bed.ok("AddLiveAppRecordConfig", &format!("{rule}&AppName=a"))
            .await;
        let (store, rendered) = (&bed.ctx.services.store, &bed.ctx.rendered);
        let rules = store.rules_of("d.example.com");
        let texts = rendered.of("d.example.com", &rules);
        assert!(Arc::ptr_eq(&texts, &rendered.of("d.example.com", &rules)));
        assert!(
            texts
                .get(&rules, 0)
                .unwrap()
                .get()
                .contains(r#""AppName":"a""#)
        );
        assert!(texts.get(&rules, 1).is_none());
        drop(rules);
        bed.ok("AddLiveAppRecordConfig", &format!("{rule}&AppName=b"))
            .await;
        let rules = store.rules_of("d.example.com");
        let newer = rendered.of("d.example.com", &rules);
        assert!(!Arc::ptr_eq(&texts, &newer));
        assert!(
            newer
                .get(&rules, 1)
                .unwrap()
                .get()
                .contains(r#""AppName":"b""#)
        );
    }

    #[test]
    fn the_domains_kept_are_bounded() {
        let rendered = Rendered::default();
        let rules = Arc::new(Vec::new());
        for n in 0..1_000 {
            rendered.of(&format!("d{n}.example.com"), &rules);
        }
        assert!(rendered.domains.lock().unwrap().len() <= DOMAINS);
    }
}
