//! What nodes of a cluster tell each other and share: commands, jobs that one of them does, nonces, and versions of what they keep in
//! memory. A poll each second is the truth; PostgreSQL's NOTIFY only hurries it.

use std::time::Duration;

use sea_orm::sqlx::postgres::PgListener;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult};
use tokio::sync::Notify;

use super::lease::now_sql;
use super::member::Member;
use super::owned::pg;
use super::{Store, StoreError};
use crate::clock;

/// Commands that are taken at a time.
const AT_ONCE: i64 = 64;
/// How long who gave a command waits for its answer, as a rule.
pub const PATIENCE: Duration = Duration::from_secs(3);
/// Between two looks for the answer, where nothing hurries them.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// Milliseconds after which a command is forgotten.
const FORGOTTEN_MS: i64 = 60_000;
/// The channel of notifications.
const CHANNEL: &str = "localyun";
/// What is notified when a command has its answer: only who waits for one looks. Whatever else is notified lets nodes look for what is new.
const ANSWERED: &str = "answered";
/// Between two tries to listen.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);

/// A command for this node.
#[derive(Debug, Clone)]
pub struct Command {
    pub id: i64,
    pub verb: String,
    /// JSON.
    pub args: String,
}

/// The versions of what nodes keep in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Versions {
    pub rules: i64,
    pub documents: i64,
}

fn command_of(row: &QueryResult) -> Result<Command, DbErr> {
    Ok(Command {
        id: row.try_get("", "id")?,
        verb: row.try_get("", "verb")?,
        args: row.try_get("", "args")?,
    })
}

impl Store {
    /// Has another node do something and waits so long for what came of it; none where it did not answer in time.
    pub async fn command(
        &self,
        incarnation: &str,
        verb: &str,
        args: &str,
        patience: Duration,
    ) -> Result<Option<String>, StoreError> {
        let began = clock::monotonic();
        let sql = format!(
            "INSERT INTO command (incarnation, verb, args, state, result, at) VALUES ($1, $2, $3, 'new', '', {}) \
             RETURNING id, pg_notify('{CHANNEL}', '')",
            now_sql(DbBackend::Postgres)
        );
        let values = [incarnation.into(), verb.into(), args.into()];
        let row = self.write.query_one_raw(pg(&sql, values)).await?;
        let id: i64 = row.ok_or(StoreError::Interrupted)?.try_get("", "id")?;
        while began.elapsed() < patience {
            // From here on no notification is missed.
            let mut answered = std::pin::pin!(self.answered.notified());
            answered.as_mut().enable();
            let sql = "SELECT result FROM command WHERE id = $1 AND state = 'done'";
            if let Some(row) = self.write.query_one_raw(pg(sql, [id.into()])).await? {
                return Ok(Some(row.try_get("", "result")?));
            }
            let _ = clock::machine_timeout(LOOK_AGAIN, answered).await;
        }
        // Whoever has not begun by now does not begin any more.
        let sql = "DELETE FROM command WHERE id = $1 AND state = 'new'";
        self.write.execute_raw(pg(sql, [id.into()])).await?;
        Ok(None)
    }

    /// Takes the commands that wait for this node.
    pub async fn take_commands(&self, member: &Member) -> Result<Vec<Command>, StoreError> {
        let sql = "UPDATE command SET state = 'taken' WHERE id IN (SELECT id FROM command WHERE incarnation = $1 AND state = 'new' \
                   ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING id, verb, args";
        let values = [member.incarnation().as_ref().into(), AT_ONCE.into()];
        let rows = self.write.query_all_raw(pg(sql, values)).await?;
        let mut commands = rows.iter().map(command_of).collect::<Result<Vec<_>, _>>()?;
        commands.sort_by_key(|command| command.id);
        Ok(commands)
    }

    /// Says what came of a command.
    pub async fn answer_command(&self, id: i64, result: &str) -> Result<(), StoreError> {
        let sql = format!(
            "UPDATE command SET state = 'done', result = $2 WHERE id = $1 RETURNING pg_notify('{CHANNEL}', '{ANSWERED}')"
        );
        let values = [id.into(), result.into()];
        self.write.query_all_raw(pg(&sql, values)).await?;
        Ok(())
    }

    /// Takes a job, or keeps it, for some time. False: another node has it.
    pub async fn take_job(
        &self,
        member: &Member,
        name: &str,
        time: Duration,
    ) -> Result<bool, StoreError> {
        let now = now_sql(DbBackend::Postgres);
        let sql = format!(
            "INSERT INTO job (name, incarnation, until_ms) VALUES ($1, $2, {now} + $3) \
             ON CONFLICT (name) DO UPDATE SET incarnation = EXCLUDED.incarnation, until_ms = EXCLUDED.until_ms \
             WHERE job.incarnation = EXCLUDED.incarnation OR job.until_ms <= {now} RETURNING name"
        );
        let ms = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let values = [name.into(), member.incarnation().as_ref().into(), ms.into()];
        Ok(self.write.query_one_raw(pg(&sql, values)).await?.is_some())
    }

    /// The incarnation that has a job, if one has.
    pub async fn who_has_job(&self, name: &str) -> Result<Option<String>, StoreError> {
        let now = now_sql(DbBackend::Postgres);
        let sql = format!("SELECT incarnation FROM job WHERE name = $1 AND until_ms > {now}");
        let row = self.read.query_one_raw(pg(&sql, [name.into()])).await?;
        Ok(row.map(|row| row.try_get("", "incarnation")).transpose()?)
    }

    /// Gives a job back.
    pub async fn drop_job(&self, member: &Member, name: &str) -> Result<(), StoreError> {
        let sql = "DELETE FROM job WHERE name = $1 AND incarnation = $2";
        let values = [name.into(), member.incarnation().as_ref().into()];
        self.write.execute_raw(pg(sql, values)).await?;
        Ok(())
    }

    /// Remembers a nonce for all nodes; false when it was used at any of them.
    pub async fn use_nonce(&self, hash: &str, time: Duration) -> Result<bool, StoreError> {
        let sql = format!(
            "INSERT INTO nonce (hash, until_ms) VALUES ($1, {} + $2) ON CONFLICT (hash) DO NOTHING RETURNING hash",
            now_sql(DbBackend::Postgres)
        );
        let ms = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let values = [hash.into(), ms.into()];
        Ok(self.write.query_one_raw(pg(&sql, values)).await?.is_some())
    }

    /// Forgets nonces that nobody would accept again, and commands that nobody waits for.
    pub async fn forget_shared(&self) -> Result<(), StoreError> {
        let now = now_sql(DbBackend::Postgres);
        for sql in [
            format!("DELETE FROM nonce WHERE until_ms <= {now}"),
            format!("DELETE FROM command WHERE at <= {now} - {FORGOTTEN_MS}"),
        ] {
            self.write.execute_raw(pg(&sql, [])).await?;
        }
        Ok(())
    }

    /// The versions of rules and documents.
    pub async fn versions(&self) -> Result<Versions, StoreError> {
        let sql = "SELECT rules_version, documents_version FROM cluster WHERE id = 1";
        let row = self.read.query_one_raw(pg(sql, [])).await?;
        let row = row.ok_or(StoreError::Interrupted)?;
        Ok(Versions {
            rules: row.try_get("", "rules_version")?,
            documents: row.try_get("", "documents_version")?,
        })
    }

    /// Brings the rules in memory to what other nodes have made of them, and notes whether they have changed documents; of a single process
    /// both always are.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        if self.member.is_none() {
            return Ok(());
        }
        let versions = self.versions().await?;
        self.note_documents(versions.documents);
        self.refresh_to(versions.rules).await
    }

    /// As [`Store::refresh`], where the version is known.
    pub async fn refresh_to(&self, rules: i64) -> Result<(), StoreError> {
        if self.rules.version() == rules {
            return Ok(());
        }
        let _turn = self.turn.lock().await;
        if self.rules.version() < rules {
            self.fill_rules().await?;
        }
        Ok(())
    }

    /// Wakes `wake` whenever another node notifies, for ever; and once after each time that it could not listen. Answers wake who waits for them.
    pub async fn listen(self, url: String, wake: std::sync::Arc<Notify>) {
        loop {
            let listening = async {
                let mut listener = PgListener::connect(&url).await?;
                listener.listen(CHANNEL).await?;
                wake.notify_one();
                loop {
                    let told = listener.recv().await?;
                    match told.payload() {
                        ANSWERED => self.answered.notify_waiters(),
                        _ => wake.notify_one(),
                    }
                }
            };
            let ended: Result<(), sea_orm::sqlx::Error> = listening.await;
            if let Err(error) = ended {
                tracing::debug!(%error, "notifications do not come; the polls do");
            }
            clock::machine_sleep(LISTEN_AGAIN).await;
        }
    }
}
