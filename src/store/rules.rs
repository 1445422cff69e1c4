//! Recording rules. All of them lie in memory too, grouped by domain and replaced as a whole on change, so that a read
//! never waits for a writer; the database row is written first.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use super::entity::record_rule;
use super::{Store, StoreError};
use crate::model::rule::Rule;
use crate::model::stream_key::StreamKey;

type ByDomain = HashMap<String, Arc<Vec<Rule>>>;

#[derive(Clone, Default)]
pub(super) struct Cache {
    rules: Arc<RwLock<ByDomain>>,
    /// Held from the row to the memory, so that both see changes in the same order.
    writing: Arc<tokio::sync::Mutex<()>>,
}

fn hash(domain: &str, app: &str, stream: &str) -> String {
    StreamKey::new(domain, app, stream).hash()
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
        rules
            .iter()
            .filter(|(_, list)| !list.is_empty())
            .map(|(domain, _)| domain.clone())
            .collect()
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

    /// Stores a new rule; [`StoreError::Duplicate`] when the triple is taken.
    pub async fn insert_rule(&self, rule: Rule) -> Result<(), StoreError> {
        let _turn = self.rules.writing.lock().await;
        let row = record_rule::ActiveModel {
            key_hash: Set(hash(&rule.domain, &rule.app, &rule.stream)),
            domain: Set(rule.domain.clone()),
            body: Set(serde_json::to_string(&rule)?),
            ..Default::default()
        };
        record_rule::Entity::insert(row)
            .exec_without_returning(&self.write)
            .await
            .map_err(StoreError::from_insert)?;
        let domain = rule.domain.clone();
        self.change_rules(&domain, |list| list.push(rule));
        Ok(())
    }

    /// Replaces the rule of the same triple; false when there is none.
    pub async fn replace_rule(&self, rule: Rule) -> Result<bool, StoreError> {
        let _turn = self.rules.writing.lock().await;
        let body = sea_orm::sea_query::Expr::value(serde_json::to_string(&rule)?);
        let done = record_rule::Entity::update_many()
            .col_expr(record_rule::Column::Body, body)
            .filter(record_rule::Column::KeyHash.eq(hash(&rule.domain, &rule.app, &rule.stream)))
            .exec(&self.write)
            .await?;
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
            .await?;
        self.change_rules(domain, |list| {
            list.retain(|r| !(r.app == app && r.stream == stream));
        });
        Ok(done.rows_affected > 0)
    }
}
