//! Changes of settings and rules: each sees what the ones before it made, and is carried out as a whole or not at all.
//!
//! A change is a pure function of what is stored ([`View`]). Those that come together are carried out one after the other in one
//! transaction, which first locks the one row of the table `cluster`: the changes of all callers, and of all processes, have one
//! order. SQLite is one process's alone, by the lock on its file, and has the same order by that process's turns. A change whose transaction was in another one's way is made again from what is stored by then.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter,
    sea_query::OnConflict,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use super::documents::Kind;
use super::entity::{ONLY, cluster, document, record_rule};
use super::failure::{self, Failure};
use super::patience::Patient;
use super::rules::{self, Triple};
use super::{ROWS, Store, StoreError};
use crate::clock;
use crate::model::rule::Rule;

/// Changes that share a commit at most.
const BATCH: usize = 500;
/// How often a transaction that was in another one's way is tried.
const TRIES: u32 = 8;
/// The wait between two tries, times their number.
const BETWEEN_TRIES: Duration = Duration::from_millis(15);

/// The documents that a change looks at; it sees no others.
#[derive(Debug, Clone, Default)]
pub struct Looks {
    documents: BTreeSet<(Kind, String)>,
    kinds: BTreeSet<Kind>,
}

impl Looks {
    /// At the document of a name.
    #[must_use]
    pub fn at(mut self, kind: Kind, name: &str) -> Self {
        self.documents.insert((kind, name.to_owned()));
        self
    }

    /// At the documents of several names.
    #[must_use]
    pub fn at_each(self, kind: Kind, names: &[String]) -> Self {
        names.iter().fold(self, |looks, name| looks.at(kind, name))
    }

    /// At every document of a kind.
    #[must_use]
    pub fn at_all(mut self, kind: Kind) -> Self {
        self.kinds.insert(kind);
        self
    }
}

struct Document {
    body: Option<String>,
    changed: bool,
}

/// What became of a rule in this batch.
struct Edit {
    /// It was there before.
    stored: bool,
    rule: Option<Rule>,
    /// It went at some point: what has its name now is a new one, at the end of the list.
    removed: bool,
    /// When it was added, as a count.
    added: usize,
}

/// What the changes of a batch have made so far, in front of what is stored.
#[derive(Default)]
struct Draft {
    documents: BTreeMap<(Kind, String), Document>,
    kinds: HashSet<Kind>,
    rules: HashMap<Triple, Edit>,
    /// By how much the number of a domain's rules differs from what is stored.
    counts: HashMap<String, isize>,
    added: usize,
}

enum Undo {
    Document((Kind, String), Option<Document>),
    Rule(Triple, Box<Option<Edit>>, isize),
}

/// The stored settings as one change sees them, and where it puts its own.
pub struct View<'a> {
    store: &'a Store,
    draft: &'a mut Draft,
    undo: Vec<Undo>,
}

impl View<'_> {
    /// A document, where there is one.
    pub fn document<T: DeserializeOwned>(
        &self,
        kind: Kind,
        name: &str,
    ) -> Result<Option<T>, StoreError> {
        let at = (kind, name.to_owned());
        match self.draft.documents.get(&at) {
            Some(document) => Ok(document
                .body
                .as_deref()
                .map(serde_json::from_str)
                .transpose()?),
            None if self.draft.kinds.contains(&kind) => Ok(None),
            None => Err(StoreError::Unseen(kind.as_str(), at.1)),
        }
    }

    /// Every document of a kind with its name, ordered by name.
    pub fn documents<T: DeserializeOwned>(
        &self,
        kind: Kind,
    ) -> Result<Vec<(String, T)>, StoreError> {
        if !self.draft.kinds.contains(&kind) {
            return Err(StoreError::Unseen(kind.as_str(), "*".to_owned()));
        }
        self.draft
            .documents
            .range((kind, String::new())..)
            .take_while(|((of, _), _)| *of == kind)
            .filter_map(|((_, name), document)| Some((name, document.body.as_deref()?)))
            .map(|(name, body)| Ok((name.clone(), serde_json::from_str(body)?)))
            .collect()
    }

    /// Creates or replaces a document.
    pub fn put(&mut self, kind: Kind, name: &str, body: &impl Serialize) -> Result<(), StoreError> {
        let body = Some(serde_json::to_string(body)?);
        self.set_document(kind, name, body);
        Ok(())
    }

    /// Removes a document; false when there was none.
    pub fn remove(&mut self, kind: Kind, name: &str) -> Result<bool, StoreError> {
        let known: Option<serde::de::IgnoredAny> = self.document(kind, name)?;
        if known.is_some() {
            self.set_document(kind, name, None);
        }
        Ok(known.is_some())
    }

    fn set_document(&mut self, kind: Kind, name: &str, body: Option<String>) {
        let at = (kind, name.to_owned());
        let document = Document {
            body,
            changed: true,
        };
        let before = self.draft.documents.insert(at.clone(), document);
        self.undo.push(Undo::Document(at, before));
    }

    /// The rule of exactly this triple.
    #[must_use]
    pub fn rule(&self, domain: &str, app: &str, stream: &str) -> Option<Rule> {
        let triple = Triple::new(domain, app, stream);
        match self.draft.rules.get(&triple) {
            Some(edit) => edit.rule.clone(),
            None => self
                .store
                .rules_of(domain)
                .iter()
                .find(|rule| triple.is_of(rule))
                .cloned(),
        }
    }

    /// Whether there is a rule of exactly this triple.
    fn has_rule(&self, triple: &Triple) -> bool {
        match self.draft.rules.get(triple) {
            Some(edit) => edit.rule.is_some(),
            None => self
                .store
                .rules_of(&triple.domain)
                .iter()
                .any(|rule| triple.is_of(rule)),
        }
    }

    /// The number of a domain's rules.
    #[must_use]
    pub fn rule_count(&self, domain: &str) -> usize {
        let more = self.draft.counts.get(domain).copied().unwrap_or_default();
        self.store
            .rules_of(domain)
            .len()
            .saturating_add_signed(more)
    }

    /// Adds a rule; false when its triple is taken.
    pub fn add_rule(&mut self, rule: Rule) -> bool {
        let triple = Triple::of(&rule);
        let is_free = !self.has_rule(&triple);
        if is_free {
            self.edit(triple, Some(rule), 1);
        }
        is_free
    }

    /// Replaces the rule of the same triple; false when there is none.
    pub fn replace_rule(&mut self, rule: Rule) -> bool {
        let triple = Triple::of(&rule);
        let is_there = self.has_rule(&triple);
        if is_there {
            self.edit(triple, Some(rule), 0);
        }
        is_there
    }

    /// Removes the rule of exactly this triple; false when there is none.
    pub fn remove_rule(&mut self, domain: &str, app: &str, stream: &str) -> bool {
        let triple = Triple::new(domain, app, stream);
        let is_there = self.has_rule(&triple);
        if is_there {
            self.edit(triple, None, -1);
        }
        is_there
    }

    /// Removes every rule of a domain; false when it had none.
    pub fn remove_rules(&mut self, domain: &str) -> bool {
        let stored = self.store.rules_of(domain);
        let stored = stored.iter().map(Triple::of);
        let added = self.draft.rules.keys().filter(|key| key.domain == domain);
        let all: HashSet<Triple> = stored.chain(added.cloned()).collect();
        let mut any = false;
        for triple in all {
            any |= self.remove_rule(&triple.domain, &triple.app, &triple.stream);
        }
        any
    }

    fn edit(&mut self, triple: Triple, rule: Option<Rule>, more: isize) {
        let before = self.draft.rules.remove(&triple);
        let (stored, removed, added) = match &before {
            Some(edit) => (edit.stored, edit.removed, edit.added),
            None => (more <= 0, false, 0),
        };
        self.draft.added += 1;
        let edit = Edit {
            stored,
            removed: removed || rule.is_none(),
            added: if more > 0 { self.draft.added } else { added },
            rule,
        };
        self.draft.rules.insert(triple.clone(), edit);
        *self.draft.counts.entry(triple.domain.clone()).or_default() += more;
        self.undo.push(Undo::Rule(triple, Box::new(before), more));
    }

    /// Takes back what this change has made.
    fn take_back(self) {
        for undo in self.undo.into_iter().rev() {
            match undo {
                Undo::Document(at, Some(before)) => {
                    self.draft.documents.insert(at, before);
                }
                Undo::Document(at, None) => {
                    self.draft.documents.remove(&at);
                }
                Undo::Rule(triple, before, more) => {
                    if let Some(count) = self.draft.counts.get_mut(&triple.domain) {
                        *count -= more;
                    }
                    match *before {
                        Some(before) => self.draft.rules.insert(triple, before),
                        None => self.draft.rules.remove(&triple),
                    };
                }
            }
        }
    }
}

/// A change that waits for its turn, of whatever type its outcome is.
trait Waiting: Send {
    fn looks(&self) -> &Looks;
    /// Makes the change in the draft, or leaves it as it was.
    fn make(&mut self, store: &Store, draft: &mut Draft);
    /// Tells the caller, once it is known whether the batch came about.
    fn tell(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Change<T, E, W> {
    looks: Looks,
    work: W,
    outcome: Option<Result<T, E>>,
    told: oneshot::Sender<Result<Result<T, E>, StoreError>>,
}

impl<T, E, W> Waiting for Change<T, E, W>
where
    T: Send,
    E: Send,
    W: FnMut(&mut View<'_>) -> Result<T, E> + Send,
{
    fn looks(&self) -> &Looks {
        &self.looks
    }

    fn make(&mut self, store: &Store, draft: &mut Draft) {
        let mut view = View {
            store,
            draft,
            undo: Vec::new(),
        };
        let outcome = (self.work)(&mut view);
        if outcome.is_err() {
            view.take_back();
        }
        self.outcome = Some(outcome);
    }

    fn tell(self: Box<Self>, committed: Result<(), StoreError>) {
        let outcome = match (committed, self.outcome) {
            (Ok(()), Some(outcome)) => Ok(outcome),
            (Ok(()), None) => Err(StoreError::Interrupted),
            (Err(error), _) => Err(error),
        };
        let _ = self.told.send(outcome);
    }
}

/// The changes that came while a batch was under way; whoever holds the turn next carries them out together.
#[derive(Clone, Default)]
pub(super) struct Queue(Arc<Mutex<VecDeque<Box<dyn Waiting>>>>);

impl Queue {
    fn push(&self, change: Box<dyn Waiting>) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push_back(change);
    }

    fn take(&self) -> Vec<Box<dyn Waiting>> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let size = waiting.len().min(BATCH);
        waiting.drain(..size).collect()
    }
}

/// A transaction that holds the lock of all changes.
pub(super) struct Locked {
    pub tx: Patient<DatabaseTransaction>,
    pub rules_version: i64,
    pub documents_version: i64,
}

impl Locked {
    /// Notes that something changed, and commits; the versions from then on.
    pub async fn commit(self, rules: bool, documents: bool) -> Result<(i64, i64), sea_orm::DbErr> {
        let rules_version = self.rules_version + i64::from(rules);
        let documents_version = self.documents_version + i64::from(documents);
        let row = cluster::ActiveModel {
            rules_version: Set(rules_version),
            documents_version: Set(documents_version),
            ..Default::default()
        };
        cluster::Entity::update_many()
            .set(row)
            .filter(cluster::Column::Id.eq(ONLY))
            .exec(&self.tx)
            .await?;
        self.tx.commit().await?;
        Ok((rules_version, documents_version))
    }
}

impl Store {
    /// Carries out a change. `work` is called with what is stored at that moment, more than once where a transaction has to be made again;
    /// what it answers with an error has changed nothing.
    pub async fn change<T, E, W>(&self, looks: Looks, work: W) -> Result<Result<T, E>, StoreError>
    where
        T: Send + 'static,
        E: Send + 'static,
        W: FnMut(&mut View<'_>) -> Result<T, E> + Send + 'static,
    {
        let (told, outcome) = oneshot::channel();
        self.queue.push(Box::new(Change {
            looks,
            work,
            outcome: None,
            told,
        }));
        {
            let _turn = self.turn.lock().await;
            let batch = self.queue.take();
            if !batch.is_empty() {
                self.carry_out(batch).await;
                self.reread_if_doubtful();
            }
        }
        outcome.await.unwrap_or(Err(StoreError::Interrupted))
    }

    /// Stores a new rule.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] when there is a rule of the same domain, application and stream; and the database's own.
    pub async fn insert_rule(&self, rule: Rule) -> Result<(), StoreError> {
        self.change(Looks::default(), move |view| {
            if view.add_rule(rule.clone()) {
                Ok(())
            } else {
                Err(StoreError::Duplicate)
            }
        })
        .await?
    }

    async fn carry_out(&self, mut batch: Vec<Box<dyn Waiting>>) {
        match self.tried(&mut batch).await {
            Ok(()) => {
                for change in batch {
                    change.tell(Ok(()));
                }
            }
            // A change whose data the database refuses spoils the whole batch: then each change is carried out by itself.
            Err(StoreError::Database(error))
                if batch.len() > 1 && failure::of(&error) == Failure::Data =>
            {
                for change in batch {
                    let mut alone = vec![change];
                    let done = self.tried(&mut alone).await;
                    let again = || done.as_ref().copied().map_err(StoreError::again);
                    alone.into_iter().for_each(|change| change.tell(again()));
                }
            }
            Err(error) => {
                for change in batch {
                    change.tell(Err(error.again()));
                }
            }
        }
    }

    /// Carries a batch out in one transaction, once more where that was in the way of another one.
    async fn tried(&self, batch: &mut [Box<dyn Waiting>]) -> Result<(), StoreError> {
        let mut tries = 0;
        loop {
            let failed = match self.attempt(batch).await {
                Err(StoreError::Database(error)) => error,
                other => return other,
            };
            tries += 1;
            // A transaction that was begun on a server that takes no writes did nothing; the next connection leads to another one.
            let again = matches!(failure::of(&failed), Failure::Conflict | Failure::ReadOnly);
            if !again || tries >= TRIES {
                self.rules.doubt();
                self.domains.forget();
                return Err(failed.into());
            }
            tracing::debug!(error = %failed, tries, "a change is made again");
            clock::machine_sleep(BETWEEN_TRIES * tries).await;
        }
    }

    async fn attempt(&self, batch: &mut [Box<dyn Waiting>]) -> Result<(), StoreError> {
        // The lock on its file keeps every other process away from SQLite, and `turn` every other change: nothing has to be locked there,
        // and a change that is one statement needs no transaction around it.
        let locked = if self.commits_in_order() {
            None
        } else {
            let locked = self.lock().await?;
            self.domains.keep_if(locked.documents_version);
            Some(locked)
        };
        let wanted = Wanted::of(batch.iter().map(|change| change.looks()));
        let mut draft = match &locked {
            Some(locked) => {
                if locked.rules_version != self.rules.version() {
                    let filled = rules::all(&locked.tx).await?;
                    self.rules.fill(filled, locked.rules_version);
                }
                load(&locked.tx, wanted, &self.domains).await?
            }
            None => {
                if self.rules.version() == 0 {
                    self.fill_rules().await?;
                }
                load(&self.write, wanted, &self.domains).await?
            }
        };
        for change in batch {
            change.make(self, &mut draft);
        }
        let edited = draft.rules.into_iter().map(|(triple, edit)| rules::Edited {
            triple,
            stored: edit.stored,
            rule: edit.rule,
            removed: edit.removed,
            added: edit.added,
        });
        let rules = rules::Changes::of(edited)?;
        let changed = draft.documents.into_iter().filter(|(_, d)| d.changed);
        let documents = DocumentChanges::of(changed);
        if rules.is_empty() && documents.is_empty() {
            return Ok(());
        }
        let version = match locked {
            Some(locked) => {
                write_rules(&locked.tx, &rules).await?;
                write_documents(&locked.tx, &documents).await?;
                let changed = (!rules.is_empty(), !documents.is_empty());
                let versions = locked.commit(changed.0, changed.1).await?;
                self.domains.apply(&documents, versions.1);
                versions.0
            }
            None => {
                if rules.statements() + documents.statements() == 1 {
                    write_rules(&self.write, &rules).await?;
                    write_documents(&self.write, &documents).await?;
                } else {
                    let tx = self.write.begin_changing().await?;
                    write_rules(&tx, &rules).await?;
                    write_documents(&tx, &documents).await?;
                    tx.commit().await?;
                }
                self.domains.apply(&documents, 0);
                self.rules.version()
            }
        };
        self.rules.apply(rules, version);
        Ok(())
    }

    /// Notes which version of the documents other nodes have made.
    pub fn note_documents(&self, version: i64) {
        self.domains.keep_if(version);
    }

    /// The newest version of the documents that is known here, where other nodes change them too: what was read before another one was known
    /// may be old.
    #[must_use]
    pub fn documents_version(&self) -> i64 {
        match self.member {
            Some(_) => self.domains.remembered().version,
            None => 0,
        }
    }

    /// Forgets what is remembered of documents: another node has put others in their place.
    pub fn forget_documents(&self) {
        self.domains.forget();
    }

    /// Begins a transaction that no change of settings runs beside, by whatever process.
    pub(super) async fn lock(&self) -> Result<Locked, StoreError> {
        let tx = self.write.begin_changing().await?;
        let (rules_version, documents_version) = self.holder.versions(&tx).await?;
        Ok(Locked {
            tx,
            rules_version,
            documents_version,
        })
    }
}

/// What the changes of a batch look at.
#[derive(Default)]
struct Wanted<'a> {
    kinds: HashSet<Kind>,
    names: BTreeMap<Kind, BTreeSet<&'a str>>,
}

impl<'a> Wanted<'a> {
    fn of(looks: impl Iterator<Item = &'a Looks>) -> Self {
        let mut wanted = Self::default();
        for looks in looks {
            wanted.kinds.extend(&looks.kinds);
            for (kind, name) in &looks.documents {
                wanted.names.entry(*kind).or_default().insert(name);
            }
        }
        wanted
    }
}

async fn load(
    db: &impl ConnectionTrait,
    wanted: Wanted<'_>,
    domains: &Domains,
) -> Result<Draft, StoreError> {
    let mut draft = Draft::default();
    let stored = |body: Option<String>| Document {
        body,
        changed: false,
    };
    for kind in wanted.kinds {
        draft.kinds.insert(kind);
        let rows = document::Entity::find()
            .filter(document::Column::Kind.eq(kind.as_str()))
            .all(db)
            .await?;
        for row in rows {
            draft
                .documents
                .insert((kind, row.name), stored(Some(row.body)));
        }
    }
    for (kind, names) in wanted.names {
        if draft.kinds.contains(&kind) {
            continue;
        }
        let mut unknown = Vec::new();
        for name in names {
            match domains.find(kind, name) {
                Some(body) => {
                    draft
                        .documents
                        .insert((kind, name.to_owned()), stored(body));
                }
                None => unknown.push(name),
            }
        }
        for names in unknown.chunks(ROWS) {
            let rows = document::Entity::find()
                .filter(document::Column::Kind.eq(kind.as_str()))
                .filter(document::Column::Name.is_in(names.iter().copied()))
                .all(db)
                .await?;
            let mut found: HashMap<String, String> =
                rows.into_iter().map(|row| (row.name, row.body)).collect();
            for name in names {
                let body = found.remove(*name);
                domains.learn(kind, name, body.clone());
                draft
                    .documents
                    .insert((kind, (*name).to_owned()), stored(body));
            }
        }
    }
    Ok(draft)
}

async fn write_rules(
    db: &impl ConnectionTrait,
    rules: &rules::Changes,
) -> Result<(), sea_orm::DbErr> {
    for hashes in rules.removed().chunks(ROWS) {
        record_rule::Entity::delete_many()
            .filter(record_rule::Column::KeyHash.is_in(hashes))
            .exec(db)
            .await?;
    }
    for (hash, body) in rules.replaced() {
        let row = record_rule::ActiveModel {
            body: Set(body.clone()),
            ..Default::default()
        };
        record_rule::Entity::update_many()
            .set(row)
            .filter(record_rule::Column::KeyHash.eq(hash))
            .exec(db)
            .await?;
    }
    for rows in rules.added().chunks(ROWS) {
        record_rule::Entity::insert_many(rows.to_vec())
            .exec_without_returning(db)
            .await?;
    }
    Ok(())
}

/// What a batch does to the stored documents.
#[derive(Default)]
struct DocumentChanges {
    put: Vec<(Kind, String, String)>,
    gone: BTreeMap<Kind, Vec<String>>,
}

impl DocumentChanges {
    fn of(changed: impl Iterator<Item = ((Kind, String), Document)>) -> Self {
        let mut changes = Self::default();
        for ((kind, name), document) in changed {
            match document.body {
                Some(body) => changes.put.push((kind, name, body)),
                None => changes.gone.entry(kind).or_default().push(name),
            }
        }
        changes
    }

    fn is_empty(&self) -> bool {
        self.put.is_empty() && self.gone.is_empty()
    }

    fn statements(&self) -> usize {
        let gone = self.gone.values().map(|names| names.len().div_ceil(ROWS));
        gone.sum::<usize>() + self.put.len().div_ceil(ROWS)
    }
}

async fn write_documents(
    db: &impl ConnectionTrait,
    documents: &DocumentChanges,
) -> Result<(), sea_orm::DbErr> {
    for (kind, names) in &documents.gone {
        for names in names.chunks(ROWS) {
            document::Entity::delete_many()
                .filter(document::Column::Kind.eq(kind.as_str()))
                .filter(document::Column::Name.is_in(names))
                .exec(db)
                .await?;
        }
    }
    for put in documents.put.chunks(ROWS) {
        let rows = put.iter().map(|(kind, name, body)| document::ActiveModel {
            kind: Set(kind.as_str().to_owned()),
            name: Set(name.clone()),
            body: Set(body.clone()),
        });
        document::Entity::insert_many(rows)
            .on_conflict(
                OnConflict::columns([document::Column::Kind, document::Column::Name])
                    .update_column(document::Column::Body)
                    .to_owned(),
            )
            .exec_without_returning(db)
            .await?;
    }
    Ok(())
}

/// Settings that take the place of all there was: see [`Store::replace_all`].
#[derive(Default)]
pub struct Settings {
    rules: Vec<Rule>,
    documents: DocumentChanges,
}

impl Settings {
    /// Rules, in order of creation, no two of them with the same names.
    #[must_use]
    pub fn of_rules(rules: Vec<Rule>) -> Self {
        Self {
            rules,
            documents: DocumentChanges::default(),
        }
    }

    /// And a document.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn put(&mut self, kind: Kind, name: &str, body: &impl Serialize) -> Result<(), StoreError> {
        let body = serde_json::to_string(body)?;
        self.documents.put.push((kind, name.to_owned(), body));
        Ok(())
    }

    /// Writes them where nothing is.
    pub(super) async fn write(&self, db: &impl ConnectionTrait) -> Result<(), StoreError> {
        let rules = self.rules.iter().cloned().enumerate();
        let added = rules.map(|(added, rule)| rules::Edited {
            triple: Triple::of(&rule),
            stored: false,
            rule: Some(rule),
            removed: false,
            added,
        });
        write_rules(db, &rules::Changes::of(added)?).await?;
        Ok(write_documents(db, &self.documents).await?)
    }

    pub(super) fn into_rules(self) -> Vec<Rule> {
        self.rules
    }
}

/// Declared domains, remembered: every change looks at one, and they seldom change.
#[derive(Clone, Default)]
pub(super) struct Domains(Arc<Mutex<Remembered>>);

#[derive(Default)]
struct Remembered {
    /// The version of the documents that these were read from, where other processes write to the database too.
    version: i64,
    of: HashMap<String, Option<String>>,
}

/// Names that are remembered. Callers choose them, so their number needs a bound.
const REMEMBERED: usize = 10_000;

impl Domains {
    fn remembered(&self) -> std::sync::MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets all, where what is remembered may not be what is stored.
    pub fn forget(&self) {
        self.remembered().of.clear();
    }

    /// Forgets what is of another version than this.
    fn keep_if(&self, version: i64) {
        let mut remembered = self.remembered();
        if remembered.version != version {
            remembered.of.clear();
            remembered.version = version;
        }
    }

    /// The body of a domain's document, or that there is none, where it is known.
    fn find(&self, kind: Kind, name: &str) -> Option<Option<String>> {
        if kind != Kind::Domain {
            return None;
        }
        self.remembered().of.get(name).cloned()
    }

    fn learn(&self, kind: Kind, name: &str, body: Option<String>) {
        if kind != Kind::Domain {
            return;
        }
        let mut remembered = self.remembered();
        if remembered.of.len() >= REMEMBERED {
            remembered.of.clear();
        }
        remembered.of.insert(name.to_owned(), body);
    }

    /// Brings what is remembered to what was committed.
    fn apply(&self, documents: &DocumentChanges, version: i64) {
        self.remembered().version = version;
        for (kind, name, body) in &documents.put {
            self.learn(*kind, name, Some(body.clone()));
        }
        for (kind, names) in &documents.gone {
            for name in names {
                self.learn(*kind, name, None);
            }
        }
    }
}
