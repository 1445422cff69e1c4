//! Recording rules. All of them lie in memory too, grouped by domain and replaced as a whole on change, so that a read
//! never waits for a writer; the database row is written first. Changes come by [`Store::change`].

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use sea_orm::{ActiveValue::Set, ConnectionTrait, EntityTrait, QueryOrder};

use super::entity::{ONLY, cluster, record_rule};
use super::{ROWS, Store, StoreError};
use crate::clock::{self, UnixMs};
use crate::model::rule::Rule;
use crate::model::stream_key::StreamKey;

type ByDomain = HashMap<String, Arc<Vec<Rule>>>;

/// What a rule is for; no two rules have the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Triple {
    pub domain: String,
    pub app: String,
    pub stream: String,
}

impl Triple {
    pub fn new(domain: &str, app: &str, stream: &str) -> Self {
        Self {
            domain: domain.to_owned(),
            app: app.to_owned(),
            stream: stream.to_owned(),
        }
    }

    pub fn of(rule: &Rule) -> Self {
        Self::new(&rule.domain, &rule.app, &rule.stream)
    }

    /// Whether a rule of the same domain is this one.
    pub fn is_of(&self, rule: &Rule) -> bool {
        rule.app == self.app && rule.stream == self.stream
    }

    fn hash_text(&self) -> String {
        StreamKey::new(&self.domain, &self.app, &self.stream).hash()
    }
}

/// What became of a rule in a batch of changes.
pub(super) struct Edited {
    pub triple: Triple,
    /// It was there before.
    pub stored: bool,
    pub rule: Option<Rule>,
    /// It went at some point; what has its name now stands at the end.
    pub removed: bool,
    /// Its place among those that were added.
    pub added: usize,
}

/// What a batch does to the stored rules, and to those in memory.
#[derive(Default)]
pub(super) struct Changes {
    removed: Vec<String>,
    replaced: Vec<(String, String)>,
    added: Vec<record_rule::ActiveModel>,
    of: HashMap<String, DomainChanges>,
}

#[derive(Default)]
struct DomainChanges {
    removed: HashSet<(String, String)>,
    replaced: HashMap<(String, String), Rule>,
    added: Vec<Rule>,
}

impl Changes {
    /// What edits come to.
    pub fn of(edits: impl Iterator<Item = Edited>) -> Result<Self, StoreError> {
        let mut changes = Self::default();
        let mut added = Vec::new();
        for edit in edits {
            let triple = edit.triple;
            if !edit.stored && edit.rule.is_none() {
                continue;
            }
            let of = changes.of.entry(triple.domain.clone()).or_default();
            let name = || (triple.app.clone(), triple.stream.clone());
            if edit.stored && edit.removed {
                changes.removed.push(triple.hash_text());
                of.removed.insert(name());
            }
            match edit.rule {
                Some(rule) if edit.stored && !edit.removed => {
                    let body = serde_json::to_string(&rule)?;
                    changes.replaced.push((triple.hash_text(), body));
                    of.replaced.insert(name(), rule);
                }
                Some(rule) => added.push((edit.added, triple, rule)),
                None => {}
            }
        }
        added.sort_by_key(|(place, ..)| *place);
        for (_, triple, rule) in added {
            changes.added.push(row(&triple, &rule)?);
            let of = changes.of.entry(triple.domain).or_default();
            of.added.push(rule);
        }
        Ok(changes)
    }

    pub fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    /// How many statements this takes.
    pub fn statements(&self) -> usize {
        self.removed.len().div_ceil(ROWS) + self.replaced.len() + self.added.len().div_ceil(ROWS)
    }

    /// The hashes of rows that go.
    pub fn removed(&self) -> &[String] {
        &self.removed
    }

    /// Hashes and new bodies of rows that stay.
    pub fn replaced(&self) -> &[(String, String)] {
        &self.replaced
    }

    /// New rows, in order.
    pub fn added(&self) -> &[record_rule::ActiveModel] {
        &self.added
    }
}

#[derive(Clone, Default)]
pub(super) struct Cache {
    rules: Arc<RwLock<ByDomain>>,
    /// The version that lies in memory.
    version: Arc<AtomicI64>,
    /// A write ended without its outcome being known: what lies in memory may not be what the database holds.
    doubtful: Arc<AtomicBool>,
}

/// Between two tries to read the rules after a write of unknown outcome.
const REREAD_AFTER: Duration = Duration::from_secs(1);

fn row(triple: &Triple, rule: &Rule) -> Result<record_rule::ActiveModel, StoreError> {
    Ok(record_rule::ActiveModel {
        key_hash: Set(triple.hash_text()),
        domain: Set(rule.domain.clone()),
        body: Set(serde_json::to_string(rule)?),
        ..Default::default()
    })
}

/// Every rule by domain, in order of creation.
pub(super) async fn all(db: &impl ConnectionTrait) -> Result<Vec<Rule>, StoreError> {
    let rows = record_rule::Entity::find()
        .order_by_asc(record_rule::Column::Id)
        .all(db)
        .await?;
    rows.iter()
        .map(|row| Ok(serde_json::from_str(&row.body)?))
        .collect()
}

impl Cache {
    fn read(&self) -> RwLockReadGuard<'_, ByDomain> {
        self.rules.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, ByDomain> {
        self.rules.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn version(&self) -> i64 {
        self.version.load(Ordering::Acquire)
    }

    /// Notes that the database may hold other rules than memory does.
    pub fn doubt(&self) {
        self.version.store(0, Ordering::Release);
        self.doubtful.store(true, Ordering::Release);
    }

    /// Replaces all rules.
    pub fn fill(&self, rules: Vec<Rule>, version: i64) {
        let mut by_domain: HashMap<String, Vec<Rule>> = HashMap::new();
        for rule in rules {
            by_domain.entry(rule.domain.clone()).or_default().push(rule);
        }
        let filled = by_domain
            .into_iter()
            .map(|(domain, rules)| (domain, Arc::new(rules)))
            .collect();
        *self.write() = filled;
        self.version.store(version, Ordering::Release);
    }

    /// Brings memory to what was committed.
    pub fn apply(&self, changes: Changes, version: i64) {
        let mut rules = self.write();
        for (domain, mut of) in changes.of {
            let shared = rules.entry(domain.clone()).or_default();
            let list = Arc::make_mut(shared);
            if !of.removed.is_empty() || !of.replaced.is_empty() {
                let name = |rule: &Rule| (rule.app.clone(), rule.stream.clone());
                list.retain(|rule| !of.removed.contains(&name(rule)));
                for rule in list.iter_mut() {
                    if let Some(new) = of.replaced.remove(&name(rule)) {
                        *rule = new;
                    }
                }
            }
            list.append(&mut of.added);
            if list.is_empty() {
                rules.remove(&domain);
            }
        }
        drop(rules);
        self.version.store(version, Ordering::Release);
    }
}

impl Store {
    /// Reads all rules. A change that comes between version and rules shows by its own version, and they are read again.
    pub(super) async fn fill_rules(&self) -> Result<(), StoreError> {
        let row = cluster::Entity::find_by_id(ONLY).one(&self.read).await?;
        let version = row.map_or(0, |row| row.rules_version);
        self.rules.fill(all(&self.read).await?, version);
        Ok(())
    }

    /// The rules of a domain in order of creation.
    #[must_use]
    pub fn rules_of(&self, domain: &str) -> Arc<Vec<Rule>> {
        self.rules.read().get(domain).cloned().unwrap_or_default()
    }

    /// Every rule, in order of creation: those of a domain as they follow each other there, whatever instants they name, and of one instant
    /// domain by domain.
    #[must_use]
    pub fn all_rules(&self) -> Vec<Rule> {
        let rules = self.rules.read();
        let mut all: Vec<(UnixMs, Rule)> = Vec::new();
        for list in rules.values() {
            let mut since = UnixMs::MIN;
            all.extend(list.iter().map(|rule| {
                since = since.max(rule.created_at);
                (since, rule.clone())
            }));
        }
        drop(rules);
        // Stable: what a domain's list says of those of one instant is known nowhere else.
        all.sort_by(|(at, rule), (other_at, other)| {
            (at, &rule.domain).cmp(&(other_at, &other.domain))
        });
        all.into_iter().map(|(_, rule)| rule).collect()
    }

    /// The domains that have a rule.
    #[must_use]
    pub fn domains_with_rules(&self) -> Vec<String> {
        let rules = self.rules.read();
        let mut domains: Vec<String> = rules
            .iter()
            .filter(|(_, list)| !list.is_empty())
            .map(|(domain, _)| domain.clone())
            .collect();
        domains.sort_unstable();
        domains
    }

    /// Reads the rules again as soon as the database answers, where a write may have come about after all.
    pub(super) fn reread_if_doubtful(&self) {
        if !self.rules.doubtful.swap(false, Ordering::AcqRel) {
            return;
        }
        let store = self.clone();
        tokio::spawn(async move {
            loop {
                clock::machine_sleep(REREAD_AFTER).await;
                let _turn = store.turn.lock().await;
                match store.fill_rules().await {
                    Ok(()) => return,
                    Err(error) => tracing::debug!(%error, "the rules cannot be read yet"),
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;
    use crate::model::rule::tests::rule;
    use crate::store::testbed;

    #[tokio::test]
    async fn writes_that_come_together_are_each_answered_truly() {
        let (store, folder) = testbed::store().await;
        // Each name twice, and one that was there before.
        store.insert_rule(rule("a0", "*")).await.unwrap();
        let calls = (0..80).map(|n| {
            let rule = rule(&format!("a{}", n / 2), "*");
            store.insert_rule(rule)
        });
        let outcomes = join_all(calls).await;
        for (n, pair) in outcomes.chunks(2).enumerate() {
            let stored = pair.iter().filter(|outcome| outcome.is_ok()).count();
            assert_eq!(stored, usize::from(n > 0), "a{n}");
            let refused = pair
                .iter()
                .filter(|outcome| matches!(outcome, Err(StoreError::Duplicate)));
            assert_eq!(refused.count(), 2 - stored, "a{n}");
        }
        let apps = |store: &Store| -> Vec<String> {
            let rules = store.rules_of("d");
            rules.iter().map(|rule| rule.app.clone()).collect()
        };
        let held = apps(&store);
        assert_eq!(held.len(), 40);
        store.close().await;
        assert_eq!(apps(&testbed::open(&folder).await), held);
    }

    #[tokio::test]
    async fn rules_of_one_instant_keep_their_order() {
        let (store, folder) = testbed::store().await;
        // The last one says that it is older than those before it.
        for (domain, app, created_at) in [
            ("d", "b", 5),
            ("d", "a", 5),
            ("c", "z", 5),
            ("e", "y", 4),
            ("d", "x", 1),
        ] {
            let rule = Rule {
                domain: domain.to_owned(),
                created_at,
                ..rule(app, "*")
            };
            store.insert_rule(rule).await.unwrap();
        }
        let apps = |store: &Store| -> Vec<String> {
            let rules = store.all_rules().into_iter();
            rules.map(|rule| rule.app).collect()
        };
        let listed = apps(&store);
        assert_eq!(listed, ["y", "z", "b", "a", "x"]);
        store.close().await;
        assert_eq!(apps(&testbed::open(&folder).await), listed);
    }
}
