//! A node of a cluster: its row in the table `node`, its lease, and the streams that it owns.
//!
//! The lease is by the database's clock and every renewal is conditional on the incarnation. A node whose row is gone was declared dead:
//! it joins again as another incarnation, and whoever follows [`Member::rejoined`] forgets what it had. Who may declare others dead is
//! [`Tenure`]'s rule. Unlike the lease of a single process ([`super::lease`]) this one shuts nobody out.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseConnection, EntityTrait, QueryFilter,
    TransactionTrait,
};
use tokio::sync::watch;

use super::StoreError;
use super::entity::{ONLY, cluster, node};
use super::hold::Hold;
use super::lease::{Me, lock, now_ms, now_sql};
use super::owned::{self, Owned, Taken};
use super::patience::Dead;
use super::renewal::{Lasting, Pace, keep};
use super::tenure::Tenure;
use crate::{clock, ids};

/// After a renewal that failed.
const RENEW_AGAIN: Duration = Duration::from_millis(500);
/// Between two looks at a row of the same name.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// What a node joins with.
#[derive(Debug, Clone)]
pub struct Joining {
    pub me: Me,
    /// Where it takes pushes.
    pub rtmp: String,
    /// Where the other nodes reach it.
    pub inside: String,
    /// How long its lease lasts without a renewal.
    pub lease: Duration,
}

struct State {
    incarnation: Arc<str>,
    tenure: Tenure,
}

/// This process as a node of a cluster.
pub struct Member {
    /// A connection of its own, so that no statement of others holds a renewal up.
    db: DatabaseConnection,
    dead: Dead,
    joining: Joining,
    state: Mutex<State>,
    hold: Arc<Hold>,
    owned: Mutex<HashMap<String, Owned>>,
    /// How often it has joined anew.
    rejoined: watch::Sender<u64>,
    /// What an earlier incarnation on this data folder had, which is this one's now.
    inherited: Mutex<Vec<Taken>>,
    draining: AtomicBool,
    given_back: AtomicBool,
}

enum Claim {
    Joined {
        incarnation: Arc<str>,
        inherited: Vec<Taken>,
    },
    /// Somebody else's row that is alive, and what it says.
    Held(node::Model),
}

impl Member {
    /// Joins by a connection of its own. A row of the same name whose process may be dead is waited for.
    pub async fn join(
        db: DatabaseConnection,
        dead: Dead,
        joining: Joining,
    ) -> Result<Arc<Self>, StoreError> {
        let mut seen: Option<node::Model> = None;
        let (incarnation, inherited, asked) = loop {
            let asked = clock::monotonic();
            match claim(&db, &joining).await? {
                Claim::Joined {
                    incarnation,
                    inherited,
                } => break (incarnation, inherited, asked),
                Claim::Held(row) => match &seen {
                    Some(first) if *first != row => return Err(StoreError::Held(sentence(&row))),
                    Some(_) => {}
                    None => {
                        tracing::info!(
                            holder = sentence(&row),
                            "waiting for the lease of that process to end, or for a sign of it"
                        );
                        seen = Some(row);
                    }
                },
            }
            clock::machine_sleep(LOOK_AGAIN).await;
        };
        let mut tenure = Tenure::new(joining.lease);
        tenure.renewed(asked);
        let hold = Arc::new(Hold::new(clock::monotonic()));
        hold.lasts(asked, joining.lease);
        let member = Arc::new(Self {
            db,
            dead,
            state: Mutex::new(State {
                incarnation,
                tenure,
            }),
            hold,
            owned: Mutex::default(),
            rejoined: watch::Sender::new(0),
            inherited: Mutex::new(inherited),
            draining: AtomicBool::new(false),
            given_back: AtomicBool::new(false),
            joining,
        });
        let pace = pace(member.joining.lease);
        tokio::spawn(keep(Arc::downgrade(&member), pace));
        Ok(member)
    }

    pub(super) fn hold(&self) -> &Arc<Hold> {
        &self.hold
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn owned(&self) -> MutexGuard<'_, HashMap<String, Owned>> {
        self.owned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The node's name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.joining.me.id
    }

    #[must_use]
    pub fn lease(&self) -> Duration {
        self.joining.lease
    }

    /// This life of the node.
    #[must_use]
    pub fn incarnation(&self) -> Arc<str> {
        self.state().incarnation.clone()
    }

    /// Whether the lease is known to last.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.state().tenure.holds(clock::monotonic())
    }

    /// What is left of the lease.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.state().tenure.left(clock::monotonic())
    }

    /// Whether the node may declare others dead.
    #[must_use]
    pub fn may_take_over(&self) -> bool {
        !self.is_draining() && self.state().tenure.may_take_over(clock::monotonic())
    }

    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Follows how often the node has joined anew.
    #[must_use]
    pub fn rejoined(&self) -> watch::Receiver<u64> {
        self.rejoined.subscribe()
    }

    /// What an earlier incarnation on the same data folder had; asked once.
    #[must_use]
    pub fn take_inherited(&self) -> Vec<Taken> {
        std::mem::take(
            &mut *self
                .inherited
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    // ---- the streams that it owns ----

    /// Notes that a stream is this node's; what was known of it under the same epoch stays.
    pub(super) fn own(&self, hash: &str, epoch: i64) -> Owned {
        let mut owned = self.owned();
        let known = owned.entry(hash.to_owned()).or_insert(Owned {
            epoch,
            is_ready: false,
            was_ready: false,
            life: 0,
        });
        if known.epoch != epoch {
            *known = Owned {
                epoch,
                is_ready: false,
                was_ready: false,
                life: 0,
            };
        }
        *known
    }

    /// What earlier owners had of the stream is here.
    pub fn ready(&self, hash: &str, epoch: i64) {
        if let Some(owned) = self.owned().get_mut(hash).filter(|it| it.epoch == epoch) {
            owned.is_ready = true;
            owned.was_ready = true;
        }
    }

    /// What was recorded of the stream has to be fetched again before anything is done with it; whatever is being made of it here is given up.
    pub fn unready(&self, hash: &str, epoch: i64) {
        if let Some(owned) = self.owned().get_mut(hash).filter(|it| it.epoch == epoch) {
            owned.is_ready = false;
            owned.life = owned.life.wrapping_add(1);
        }
    }

    #[must_use]
    pub fn find_owned(&self, hash: &str) -> Option<Owned> {
        self.owned().get(hash).copied()
    }

    /// The stream is not this node's any more.
    pub fn disown(&self, hash: &str, epoch: i64) {
        let mut owned = self.owned();
        if owned.get(hash).is_some_and(|it| it.epoch == epoch) {
            owned.remove(hash);
        }
    }

    /// Every stream that is this node's, with its epoch.
    #[must_use]
    pub fn all_owned(&self) -> Vec<(String, Owned)> {
        let owned = self.owned();
        owned.iter().map(|(hash, it)| (hash.clone(), *it)).collect()
    }

    // ---- the lease ----

    /// No stream is taken from here on; the others see it.
    pub async fn drain(&self) -> Result<(), StoreError> {
        self.draining.store(true, Ordering::Release);
        let sql = "UPDATE node SET state = 'draining' WHERE id = $1 AND incarnation = $2";
        let values = [self.id().into(), self.incarnation().as_ref().into()];
        self.db.execute_raw(owned::pg(sql, values)).await?;
        Ok(())
    }

    /// Ends the lease: whatever streams are still this node's are free from here on.
    pub async fn give_back(&self) {
        self.given_back.store(true, Ordering::Release);
        let deleting = node::Entity::delete_many()
            .filter(node::Column::Id.eq(self.id()))
            .filter(node::Column::Incarnation.eq(self.incarnation().as_ref()))
            .exec(&self.db);
        if let Some(Err(error)) = clock::machine_timeout(RENEW_AGAIN * 4, deleting).await {
            tracing::debug!(%error, "the lease ends by itself");
        }
        let _ = clock::machine_timeout(RENEW_AGAIN * 4, self.db.clone().close()).await;
    }

    fn keep_on(&self, asked: Instant) {
        self.state().tenure.renewed(asked);
        self.hold.lasts(asked, self.joining.lease);
    }
}

impl Lasting for Member {
    async fn renew(&self) -> Result<(), StoreError> {
        let asked = clock::monotonic();
        let incarnation = self.incarnation();
        let sql = format!(
            "UPDATE node SET expires_at = {} + {} WHERE id = $1 AND incarnation = $2",
            now_sql(self.db.get_database_backend()),
            ms(self.joining.lease)
        );
        let values = [self.id().into(), incarnation.as_ref().into()];
        let renewed = self.db.execute_raw(owned::pg(&sql, values)).await?;
        if renewed.rows_affected() > 0 {
            self.keep_on(asked);
            return Ok(());
        }
        // Declared dead. What it had is others' by now, or will be.
        self.state().tenure.ended();
        self.owned().clear();
        let asked = clock::monotonic();
        match claim(&self.db, &self.joining).await? {
            Claim::Joined { incarnation, .. } => {
                tracing::warn!(
                    node = self.id(),
                    "this node was declared dead: its streams are others' now; it joins anew"
                );
                self.state().incarnation = incarnation;
                self.keep_on(asked);
                self.rejoined.send_modify(|times| *times += 1);
                Ok(())
            }
            Claim::Held(row) => Err(StoreError::Held(sentence(&row))),
        }
    }

    fn has_ended(&self) -> bool {
        self.given_back.load(Ordering::Acquire)
    }

    fn dead(&self) -> &Dead {
        &self.dead
    }
}

/// A third of the lease apart, so that two may fail.
fn pace(lease: Duration) -> Pace {
    let every = lease / 3;
    Pace {
        first: Duration::ZERO,
        every,
        again: RENEW_AGAIN.min(every),
        patience: every.max(RENEW_AGAIN),
    }
}

fn ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn sentence(row: &node::Model) -> String {
    let node::Model {
        id,
        address,
        version,
        ..
    } = row;
    if row.member {
        format!("a node of the name {id} is there already: localyun {version} at {address}")
    } else {
        format!(
            "localyun {version} at {address} on {id} uses this database, and is no node of a cluster"
        )
    }
}

/// Puts the node's row in, in place of a dead process's of the same name.
async fn claim(db: &DatabaseConnection, joining: &Joining) -> Result<Claim, StoreError> {
    let me = &joining.me;
    let tx = db.begin().await?;
    let Some(locked) = lock(&tx).await? else {
        return Err(StoreError::Interrupted);
    };
    let now = now_ms(&tx).await?;
    let mut inherited = Vec::new();
    let mut generation = locked.generation;
    let mut earlier = None;
    for row in node::Entity::find().all(&tx).await? {
        let same_folder = !me.data_lock.is_empty() && row.data_lock == me.data_lock;
        let is_dead = row.expires_at <= now || same_folder;
        if row.member && row.id != me.id {
            continue;
        }
        if !is_dead {
            return Ok(Claim::Held(row));
        }
        if !row.member {
            // Whatever that process still writes is refused from here on.
            generation += 1;
        } else if same_folder {
            earlier = Some(row.incarnation.clone());
        }
        node::Entity::delete_by_id(row.id).exec(&tx).await?;
    }
    let incarnation = ids::ordered_id();
    let row = node::ActiveModel {
        id: Set(me.id.clone()),
        incarnation: Set(incarnation.clone()),
        address: Set(me.address.clone()),
        version: Set(env!("CARGO_PKG_VERSION").to_owned()),
        state: Set("serving".to_owned()),
        data_lock: Set(me.data_lock.clone()),
        expires_at: Set(now + ms(joining.lease)),
        member: Set(true),
        rtmp: Set(joining.rtmp.clone()),
        since: Set(now),
        inside: Set(joining.inside.clone()),
    };
    node::Entity::insert(row)
        .exec_without_returning(&tx)
        .await?;
    if generation != locked.generation {
        cluster::Entity::update_many()
            .set(cluster::ActiveModel {
                generation: Set(generation),
                ..Default::default()
            })
            .filter(cluster::Column::Id.eq(ONLY))
            .exec(&tx)
            .await?;
    }
    if let Some(earlier) = earlier {
        inherited = owned::inherit(&tx, &earlier, &me.id, &incarnation).await?;
    }
    tx.commit().await?;
    Ok(Claim::Joined {
        incarnation: incarnation.into(),
        inherited,
    })
}
