//! Recording rules. All of them lie in memory too, grouped by domain and replaced as a whole on change, so that a read
//! never waits for a writer; the database row is written first.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use tokio::sync::oneshot;

use super::entity::record_rule;
use super::{Store, StoreError};
use crate::clock;
use crate::model::rule::Rule;
use crate::model::stream_key::StreamKey;

type ByDomain = HashMap<String, Arc<Vec<Rule>>>;

#[derive(Clone, Default)]
pub(super) struct Cache {
    rules: Arc<RwLock<ByDomain>>,
    /// Held from the row to the memory, so that both see changes in the same order.
    writing: Arc<tokio::sync::Mutex<()>>,
    /// New rules that came while another write was under way; the next to hold `writing` stores them together.
    waiting: Arc<Mutex<VecDeque<Waiting>>>,
    /// A write ended without its outcome being known: what lies in memory may not be what the database holds.
    doubtful: Arc<AtomicBool>,
}

/// Between two tries to read the rules after a write of unknown outcome.
const REREAD_AFTER: Duration = Duration::from_secs(1);

struct Waiting {
    rule: Rule,
    told: oneshot::Sender<Result<(), StoreError>>,
}

/// Rows that one statement inserts at most: SQLite takes 32,766 values, each row has three.
const BATCH: usize = 500;

fn hash(domain: &str, app: &str, stream: &str) -> String {
    StreamKey::new(domain, app, stream).hash()
}

fn row(rule: &Rule) -> Result<record_rule::ActiveModel, StoreError> {
    Ok(record_rule::ActiveModel {
        key_hash: Set(hash(&rule.domain, &rule.app, &rule.stream)),
        domain: Set(rule.domain.clone()),
        body: Set(serde_json::to_string(rule)?),
        ..Default::default()
    })
}

impl Store {
    pub(super) async fn fill_rules(&self) -> Result<(), StoreError> {
        let rows = record_rule::Entity::find()
            .order_by_asc(record_rule::Column::Id)
            .all(&self.read)
            .await?;
        let mut by_domain: HashMap<String, Vec<Rule>> = HashMap::new();
        for row in rows {
            let rule: Rule = serde_json::from_str(&row.body)?;
            by_domain.entry(rule.domain.clone()).or_default().push(rule);
        }
        let filled = by_domain
            .into_iter()
            .map(|(domain, rules)| (domain, Arc::new(rules)))
            .collect();
        *self
            .rules
            .rules
            .write()
            .unwrap_or_else(PoisonError::into_inner) = filled;
        Ok(())
    }

    /// The rules of a domain in order of creation.
    #[must_use]
    pub fn rules_of(&self, domain: &str) -> Arc<Vec<Rule>> {
        let rules = self
            .rules
            .rules
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        rules.get(domain).cloned().unwrap_or_default()
    }

    /// Every rule, by domain.
    #[must_use]
    pub fn all_rules(&self) -> Vec<Rule> {
        let rules = self
            .rules
            .rules
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<Rule> = rules
            .values()
            .flat_map(|list| list.iter().cloned())
            .collect();
        all.sort_by(|a, b| {
            (a.created_at, &a.domain, &a.app, &a.stream).cmp(&(
                b.created_at,
                &b.domain,
                &b.app,
                &b.stream,
            ))
        });
        all
    }

    /// The domains that have a rule.
    #[must_use]
    pub fn domains_with_rules(&self) -> Vec<String> {
        let rules = self
            .rules
            .rules
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let mut domains: Vec<String> = rules
            .iter()
            .filter(|(_, list)| !list.is_empty())
            .map(|(domain, _)| domain.clone())
            .collect();
        domains.sort_unstable();
        domains
    }

    fn change_rules(&self, domain: &str, change: impl FnOnce(&mut Vec<Rule>)) {
        let mut rules = self
            .rules
            .rules
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let list = rules.entry(domain.to_owned()).or_default();
        change(Arc::make_mut(list));
    }

    /// Stores a new rule; [`StoreError::Duplicate`] when the triple is taken. Calls that come together share a commit.
    pub async fn insert_rule(&self, rule: Rule) -> Result<(), StoreError> {
        let (told, outcome) = oneshot::channel();
        let waiting = || {
            let waiting = self.rules.waiting.lock();
            waiting.unwrap_or_else(PoisonError::into_inner)
        };
        waiting().push_back(Waiting { rule, told });
        {
            let _turn = self.rules.writing.lock().await;
            let batch: Vec<Waiting> = {
                let mut waiting = waiting();
                let size = waiting.len().min(BATCH);
                waiting.drain(..size).collect()
            };
            self.insert_batch(batch).await;
            self.reread_if_doubtful();
        }
        outcome.await.unwrap_or(Err(StoreError::Interrupted))
    }

    async fn insert_batch(&self, batch: Vec<Waiting>) {
        let rows: Result<Vec<_>, _> = batch.iter().map(|new| row(&new.rule)).collect();
        let together = match rows {
            Ok(rows) if rows.len() > 1 => record_rule::Entity::insert_many(rows)
                .exec_without_returning(&self.write)
                .await
                .is_ok(),
            _ => false,
        };
        for Waiting { rule, told } in batch {
            // One that is refused refuses all: then each is tried by itself.
            let stored = if together {
                Ok(())
            } else {
                self.insert_row(&rule).await
            };
            if stored.is_ok() {
                let domain = rule.domain.clone();
                self.change_rules(&domain, |list| list.push(rule));
            }
            let _ = told.send(stored);
        }
    }

    async fn insert_row(&self, rule: &Rule) -> Result<(), StoreError> {
        let done = record_rule::Entity::insert(row(rule)?)
            .exec_without_returning(&self.write)
            .await
            .map_err(StoreError::from_insert);
        let is_doubtful = match &done {
            Ok(_) => false,
            // A write that was given up came about later.
            Err(StoreError::Duplicate) => !self
                .rules_of(&rule.domain)
                .iter()
                .any(|known| known.app == rule.app && known.stream == rule.stream),
            Err(_) => true,
        };
        if is_doubtful {
            self.rules.doubtful.store(true, Ordering::Release);
        }
        done.map(|_| ())
    }

    /// Reads the rules again as soon as the database answers, where a write may have come about after all.
    fn reread_if_doubtful(&self) {
        if !self.rules.doubtful.swap(false, Ordering::AcqRel) {
            return;
        }
        let store = self.clone();
        tokio::spawn(async move {
            loop {
                clock::machine_sleep(REREAD_AFTER).await;
                let _turn = store.rules.writing.lock().await;
                match store.fill_rules().await {
                    Ok(()) => return,
                    Err(error) => tracing::debug!(%error, "the rules cannot be read yet"),
                }
            }
        });
    }

    /// The outcome of a change, noted where it is unknown.
    fn noted<T>(&self, done: Result<T, sea_orm::DbErr>) -> Result<T, StoreError> {
        if done.is_err() {
            self.rules.doubtful.store(true, Ordering::Release);
            self.reread_if_doubtful();
        }
        Ok(done?)
    }

    /// Replaces the rule of the same triple; false when there is none.
    pub async fn replace_rule(&self, rule: Rule) -> Result<bool, StoreError> {
        let _turn = self.rules.writing.lock().await;
        let body = sea_orm::sea_query::Expr::value(serde_json::to_string(&rule)?);
        let done = record_rule::Entity::update_many()
            .col_expr(record_rule::Column::Body, body)
            .filter(record_rule::Column::KeyHash.eq(hash(&rule.domain, &rule.app, &rule.stream)))
            .exec(&self.write)
            .await;
        let done = self.noted(done)?;
        let domain = rule.domain.clone();
        self.change_rules(&domain, |list| {
            if let Some(old) = list
                .iter_mut()
                .find(|r| r.app == rule.app && r.stream == rule.stream)
            {
                *old = rule;
            }
        });
        Ok(done.rows_affected > 0)
    }

    /// Removes the rule of exactly this triple; false when there is none.
    pub async fn delete_rule(
        &self,
        domain: &str,
        app: &str,
        stream: &str,
    ) -> Result<bool, StoreError> {
        let _turn = self.rules.writing.lock().await;
        let done = record_rule::Entity::delete_many()
            .filter(record_rule::Column::KeyHash.eq(hash(domain, app, stream)))
            .exec(&self.write)
            .await;
        let done = self.noted(done)?;
        self.change_rules(domain, |list| {
            list.retain(|r| !(r.app == app && r.stream == stream));
        });
        Ok(done.rows_affected > 0)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;
    use crate::model::rule::tests::rule;

    #[tokio::test]
    async fn writes_that_come_together_are_each_answered_truly() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/t.db?mode=rwc", folder.path().display());
        let store = Store::open(&url).await.unwrap();
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
        assert_eq!(apps(&Store::open(&url).await.unwrap()), held);
    }
}
