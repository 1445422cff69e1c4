//! A stream that belongs to a node, as its row in `live_stream` says it, and what statements about such rows are written with.

use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, QueryResult, Statement, Value,
};

use super::lease::now_sql;
use crate::model::stream_key::StreamKey;

/// A statement with its values.
pub(super) fn pg<const N: usize>(sql: &str, values: [Value; N]) -> Statement {
    Statement::from_sql_and_values(DbBackend::Postgres, sql, values)
}

/// A stream that is this node's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owned {
    pub epoch: i64,
    /// What earlier owners had of it is here.
    pub is_ready: bool,
    /// It was ready under this epoch once: what this node's mirror holds of it is newer than what all others' do.
    pub was_ready: bool,
    /// How often what is here of it was given up under this epoch. The database need not know: no other node is concerned.
    pub life: u32,
}

/// A stream that became this node's, with what is to be fetched of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    pub key: StreamKey,
    pub epoch: i64,
    /// The incarnations whose mirrors hold its unfinished sessions, the oldest first.
    pub mirrors: Vec<String>,
}

pub(super) fn mirrors(text: &str) -> Vec<String> {
    text.split(',')
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

pub(super) fn key_of(row: &QueryResult) -> Result<StreamKey, DbErr> {
    let text = |name| row.try_get::<String>("", name);
    Ok(StreamKey::new(
        &text("domain")?,
        &text("app")?,
        &text("stream")?,
    ))
}

pub(super) fn taken_of(row: &QueryResult, mine: &str) -> Result<Taken, DbErr> {
    let mut from = mirrors(&row.try_get::<String>("", "mirror")?);
    // The newest is what this owner begins. Where it stands there once more, this very node gave the stream away and has it back: what it
    // recorded before is in its mirror, like everybody else's.
    if from.last().is_some_and(|name| name == mine) {
        from.pop();
    }
    let mut seen = std::collections::HashSet::new();
    from.retain(|name| seen.insert(name.clone()));
    Ok(Taken {
        key: key_of(row)?,
        epoch: row.try_get("", "epoch")?,
        mirrors: from,
    })
}

/// Milliseconds for which a stream that was given away is left to whoever asked for it, or to its encoder, which comes back somewhere.
const LEFT_ALONE_MS: i64 = 2_000;

/// Whether a row of `live_stream` that stands under the name `s` is to be taken by whoever looks: its owner is gone, or gave it away a while ago.
pub(super) fn is_nobodys() -> String {
    let now = now_sql(DbBackend::Postgres);
    format!(
        "NOT EXISTS (SELECT 1 FROM node n WHERE n.incarnation = s.incarnation) \
         AND NOT (s.incarnation = '' AND s.since BETWEEN {now} - {LEFT_ALONE_MS} AND {now})"
    )
}

/// Whether there is a row whose owner is gone, or which was given away: it steps from one owner to the next in the index, so that each node may
/// ask it each second, however many streams there are.
pub(super) const SOME_ARE_NOBODYS: &str = "EXISTS (WITH RECURSIVE owner AS ( \
       (SELECT incarnation FROM live_stream ORDER BY incarnation LIMIT 1) \
       UNION ALL SELECT (SELECT s.incarnation FROM live_stream s WHERE s.incarnation > owner.incarnation ORDER BY s.incarnation LIMIT 1) \
       FROM owner WHERE owner.incarnation IS NOT NULL) \
     SELECT 1 FROM owner WHERE incarnation IS NOT NULL AND NOT EXISTS (SELECT 1 FROM node n WHERE n.incarnation = owner.incarnation))";

/// What a row becomes that its owner gives away: nobody's, since now.
pub(super) fn given_away() -> String {
    let now = now_sql(DbBackend::Postgres);
    format!("incarnation = '', state = 'open', since = {now}")
}

/// The mirrors of a row that gets another owner.
pub(super) const LONGER: &str =
    "CASE WHEN live_stream.mirror = '' THEN $2 ELSE live_stream.mirror || ',' || $2 END";

/// Gives a node what an earlier incarnation on its data folder had.
pub(super) async fn inherit(
    tx: &DatabaseTransaction,
    earlier: &str,
    id: &str,
    incarnation: &str,
) -> Result<Vec<Taken>, DbErr> {
    let sql = format!(
        "UPDATE live_stream SET node = $1, incarnation = $2, epoch = nextval('live_stream_epoch'), state = 'open', mirror = {LONGER} \
         WHERE incarnation = $3 RETURNING domain, app, stream, epoch, mirror"
    );
    let values = [id.into(), incarnation.into(), earlier.into()];
    let rows = tx.query_all_raw(pg(&sql, values)).await?;
    rows.iter().map(|row| taken_of(row, incarnation)).collect()
}
