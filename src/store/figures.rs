//! What was counted, a row a minute and name, and sums over the rows.
//!
//! Rows are only ever added, in the order of their minutes, so that the oldest are those with the lowest numbers. A table has at most
//! [`MOST_ROWS`]; what is over goes with the next minute that is written.

use sea_orm::sea_query::{Alias, CaseStatement, Expr, ExprTrait, SimpleExpr};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DbBackend, DbErr,
    EntityTrait, FromQueryResult, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};
use sha2::{Digest, Sha256};

use super::entity::{hour_visitor, minute_answer, minute_inflow, minute_outflow};
use super::names::by_bytes;
use super::{Store, StoreError};
use crate::clock::UnixMs;
use crate::model::figures::{
    Answered, Asked, Figures, Inflow, Outflow, Player, TrackFigures, Visitor,
};
use crate::model::stream_key::StreamKey;

/// Rows of one table.
pub const MOST_ROWS: i64 = 1_000_000;
/// Rows of one statement. A statement of as many is known to a connection from the minute before, and PostgreSQL plans it no more; one of a
/// thousand rows it plans each time, which takes as long as the rows do.
const ROWS: usize = 100;
/// Rows of single streams that one answer is made of.
const ANSWER_LIMIT: u64 = 50_000;

/// What all viewers were sent in a minute, in one form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    pub minute: UnixMs,
    pub player: Player,
    pub secure: bool,
    pub bytes: u64,
    pub viewers: u64,
    pub came: u64,
}

/// What the viewers of one stream were sent in a minute, by form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SentOfStream {
    pub minute: UnixMs,
    pub app: String,
    pub stream: String,
    pub came: u64,
    /// In the order of [`Player::ALL`].
    pub bytes: [u64; 4],
    pub viewers: [u64; 4],
}

/// What one stream brought in a minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BroughtByStream {
    pub minute: UnixMs,
    pub app: String,
    pub stream: String,
    pub bytes: u64,
}

/// How many streams a domain had in a minute, and what they brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publishing {
    pub minute: UnixMs,
    pub ingest_domain: String,
    pub streams: u64,
    pub bytes: u64,
}

/// The highest number of a table.
macro_rules! newest {
    ($table:ident, $db:expr) => {
        $table::Entity::find()
            .select_only()
            .column($table::Column::Id)
            .order_by_desc($table::Column::Id)
            .limit(1)
            .into_tuple::<i64>()
            .one($db)
            .await?
    };
}

/// Deletes the rows of a table that are too many.
macro_rules! bounded {
    ($table:ident, $db:expr) => {
        if let Some(newest) = newest!($table, $db) {
            $table::Entity::delete_many()
                .filter($table::Column::Id.lte(newest - MOST_ROWS))
                .exec($db)
                .await?;
        }
    };
}

impl Store {
    /// Adds rows, all of them or none.
    pub async fn put_figures(&self, figures: &Figures) -> Result<(), StoreError> {
        let tx = self.write.begin().await?;
        add(&tx, figures.inflow.iter().map(inflow_row).collect()).await?;
        add(&tx, figures.outflow.iter().map(outflow_row).collect()).await?;
        add(&tx, figures.answered.iter().map(answer_row).collect()).await?;
        add(&tx, figures.visitors.iter().map(visitor_row).collect()).await?;
        bounded!(minute_inflow, &tx);
        bounded!(minute_outflow, &tx);
        bounded!(minute_answer, &tx);
        bounded!(hour_visitor, &tx);
        tx.commit().await?;
        Ok(())
    }

    /// Forgets what was counted before an instant.
    pub async fn forget_figures(&self, before: UnixMs) -> Result<(), StoreError> {
        macro_rules! forget {
            ($table:ident, $instant:ident) => {
                let newest = newest!($table, &self.read);
                let kept = $table::Entity::find()
                    .select_only()
                    .column($table::Column::Id)
                    .filter($table::Column::$instant.gte(before))
                    .order_by_asc($table::Column::Id)
                    .limit(1)
                    .into_tuple::<i64>()
                    .one(&self.read)
                    .await?;
                if let Some(newest) = newest {
                    // None is young enough: all go.
                    let kept = kept.unwrap_or(newest + 1);
                    $table::Entity::delete_many()
                        .filter($table::Column::Id.lt(kept))
                        .exec(&self.write)
                        .await?;
                }
            };
        }
        forget!(minute_inflow, Minute);
        forget!(minute_outflow, Minute);
        forget!(minute_answer, Minute);
        forget!(hour_visitor, Hour);
        Ok(())
    }

    /// What each stream brought, oldest first.
    pub async fn inflow(&self, asked: &Asked) -> Result<Vec<Inflow>, StoreError> {
        let rows = minute_inflow::Entity::find()
            .filter(of_inflow(asked))
            .order_by_asc(minute_inflow::Column::Minute)
            .order_by_asc(minute_inflow::Column::Id)
            .limit(ANSWER_LIMIT)
            .all(&self.read)
            .await?;
        Ok(rows.into_iter().map(inflow_of).collect())
    }

    /// What all streams together brought, by minute.
    pub async fn inflow_bytes(&self, asked: &Asked) -> Result<Vec<(UnixMs, u64)>, StoreError> {
        let rows: Vec<(i64, i64)> = minute_inflow::Entity::find()
            .select_only()
            .column(minute_inflow::Column::Minute)
            .column_as(self.sum(minute_inflow::Column::Bytes), "sent")
            .filter(of_inflow(asked))
            .group_by(minute_inflow::Column::Minute)
            .into_tuple()
            .all(&self.read)
            .await?;
        Ok(rows
            .into_iter()
            .map(|(minute, bytes)| (minute, count(bytes)))
            .collect())
    }

    /// What each stream brought, by minute and name, with the number of all.
    pub async fn inflow_page(
        &self,
        asked: &Asked,
        offset: u64,
        limit: u64,
    ) -> Result<(Vec<BroughtByStream>, u64), StoreError> {
        use minute_inflow::Column;
        let backend = self.read.get_database_backend();
        let query = minute_inflow::Entity::find()
            .select_only()
            .columns([Column::Minute, Column::App, Column::Stream])
            .column_as(self.sum(Column::Bytes), "brought")
            .filter(of_inflow(asked))
            .group_by(Column::Minute)
            .group_by(Column::App)
            .group_by(Column::Stream)
            .order_by_asc(Column::Minute)
            .order_by_asc(by_bytes(backend, Column::App))
            .order_by_asc(by_bytes(backend, Column::Stream));
        let total = query.clone().count(&self.read).await?;
        let query = query.offset(offset).limit(limit);
        let rows: Vec<(i64, String, String, i64)> = query.into_tuple().all(&self.read).await?;
        let rows = rows
            .into_iter()
            .map(|(minute, app, stream, bytes)| BroughtByStream {
                minute,
                app,
                stream,
                bytes: count(bytes),
            });
        Ok((rows.collect(), total))
    }

    /// How many streams each ingest domain had, by minute.
    pub async fn publishing(&self, asked: &Asked) -> Result<Vec<Publishing>, StoreError> {
        use minute_inflow::Column;
        let rows: Vec<(i64, String, i64, i64)> = minute_inflow::Entity::find()
            .select_only()
            .columns([Column::Minute, Column::IngestDomain])
            .column_as(
                Expr::col(Column::StreamHash).count_distinct(),
                "stream_count",
            )
            .column_as(self.sum(Column::Bytes), "brought")
            .filter(of_inflow(asked))
            .group_by(Column::Minute)
            .group_by(Column::IngestDomain)
            .into_tuple()
            .all(&self.read)
            .await?;
        let rows = rows.into_iter();
        Ok(rows
            .map(|(minute, ingest_domain, streams, bytes)| Publishing {
                minute,
                ingest_domain,
                streams: count(streams),
                bytes: count(bytes),
            })
            .collect())
    }

    /// What the viewers of each stream were sent, oldest first.
    pub async fn outflow(&self, asked: &Asked) -> Result<Vec<Outflow>, StoreError> {
        let rows = minute_outflow::Entity::find()
            .filter(of_outflow(asked))
            .order_by_asc(minute_outflow::Column::Minute)
            .order_by_asc(minute_outflow::Column::Id)
            .limit(ANSWER_LIMIT)
            .all(&self.read)
            .await?;
        Ok(rows.into_iter().filter_map(outflow_of).collect())
    }

    /// What all viewers together were sent, by minute and form.
    pub async fn sent(&self, asked: &Asked) -> Result<Vec<Sent>, StoreError> {
        use minute_outflow::Column;
        let rows: Vec<(i64, String, bool, i64, i64, i64)> = minute_outflow::Entity::find()
            .select_only()
            .columns([Column::Minute, Column::Player, Column::Secure])
            .column_as(self.sum(Column::Bytes), "sent")
            .column_as(self.sum(Column::Viewers), "watched")
            .column_as(self.sum(Column::Came), "arrived")
            .filter(of_outflow(asked))
            .group_by(Column::Minute)
            .group_by(Column::Player)
            .group_by(Column::Secure)
            .into_tuple()
            .all(&self.read)
            .await?;
        let rows = rows.into_iter();
        Ok(rows
            .filter_map(|(minute, player, secure, bytes, viewers, came)| {
                Some(Sent {
                    minute,
                    player: Player::named(&player)?,
                    secure,
                    bytes: count(bytes),
                    viewers: count(viewers),
                    came: count(came),
                })
            })
            .collect())
    }

    /// What the viewers of each stream were sent, by minute and name, with the number of all.
    pub async fn sent_page(
        &self,
        asked: &Asked,
        offset: u64,
        limit: u64,
    ) -> Result<(Vec<SentOfStream>, u64), StoreError> {
        use minute_outflow::Column;
        let backend = self.read.get_database_backend();
        let mut query = minute_outflow::Entity::find()
            .select_only()
            .columns([Column::Minute, Column::App, Column::Stream])
            .column_as(self.sum(Column::Came), "arrived")
            .filter(of_outflow(asked))
            .group_by(Column::Minute)
            .group_by(Column::App)
            .group_by(Column::Stream)
            .order_by_asc(Column::Minute)
            .order_by_asc(by_bytes(backend, Column::App))
            .order_by_asc(by_bytes(backend, Column::Stream));
        for player in Player::ALL {
            let name = player.as_str();
            query = query
                .column_as(self.sum_of(player, Column::Bytes), format!("{name}_sent"))
                .column_as(
                    self.sum_of(player, Column::Viewers),
                    format!("{name}_watched"),
                );
        }
        let total = query.clone().count(&self.read).await?;
        let rows = query
            .offset(offset)
            .limit(limit)
            .into_model::<SentRow>()
            .all(&self.read)
            .await?;
        Ok((rows.into_iter().map(SentRow::told).collect(), total))
    }

    /// How often each status was answered, by minute.
    pub async fn answered(&self, asked: &Asked) -> Result<Vec<(UnixMs, u16, u64)>, StoreError> {
        use minute_answer::Column;
        let rows: Vec<(i64, i32, i64)> = minute_answer::Entity::find()
            .select_only()
            .columns([Column::Minute, Column::Status])
            .column_as(self.sum(Column::Answers), "answered")
            .filter(between(Column::Minute, Column::Domain, asked))
            .group_by(Column::Minute)
            .group_by(Column::Status)
            .into_tuple()
            .all(&self.read)
            .await?;
        let rows = rows.into_iter();
        Ok(rows
            .filter_map(|(minute, status, answers)| {
                Some((minute, u16::try_from(status).ok()?, count(answers)))
            })
            .collect())
    }

    /// Who came, by hour.
    pub async fn visitors(&self, asked: &Asked) -> Result<Vec<(UnixMs, u64)>, StoreError> {
        use hour_visitor::Column;
        let rows: Vec<(i64, i64)> = hour_visitor::Entity::find()
            .select_only()
            .column(Column::Hour)
            .column_as(Expr::col(Column::Visitor).count_distinct(), "visitors")
            .filter(between(Column::Hour, Column::Domain, asked))
            .group_by(Column::Hour)
            .into_tuple()
            .all(&self.read)
            .await?;
        let rows = rows.into_iter();
        Ok(rows
            .map(|(hour, visitors)| (hour, count(visitors)))
            .collect())
    }

    /// A sum as a whole number: databases over the network make a decimal of it.
    fn sum(&self, column: impl ColumnTrait) -> SimpleExpr {
        self.whole(column.sum())
    }

    fn sum_of(&self, player: Player, column: minute_outflow::Column) -> SimpleExpr {
        let of_it = minute_outflow::Column::Player.eq(player.as_str());
        let counted: SimpleExpr = CaseStatement::new()
            .case(of_it, Expr::col(column))
            .finally(0)
            .into();
        self.whole(counted.sum())
    }

    fn whole(&self, sum: SimpleExpr) -> SimpleExpr {
        let kind = match self.read.get_database_backend() {
            DbBackend::MySql => "SIGNED",
            _ => "BIGINT",
        };
        sum.cast_as(Alias::new(kind))
    }
}

async fn add<R>(db: &impl ConnectionTrait, rows: Vec<R>) -> Result<(), DbErr>
where
    R: ActiveModelTrait + Clone,
{
    for rows in rows.chunks(ROWS) {
        <R::Entity as EntityTrait>::insert_many(rows.to_vec())
            .exec_without_returning(db)
            .await?;
    }
    Ok(())
}

#[derive(FromQueryResult)]
struct SentRow {
    minute: i64,
    app: String,
    stream: String,
    arrived: i64,
    flv_sent: i64,
    flv_watched: i64,
    rtmp_sent: i64,
    rtmp_watched: i64,
    hls_sent: i64,
    hls_watched: i64,
    mp4_sent: i64,
    mp4_watched: i64,
}

impl SentRow {
    fn told(self) -> SentOfStream {
        SentOfStream {
            minute: self.minute,
            app: self.app,
            stream: self.stream,
            came: count(self.arrived),
            bytes: [self.flv_sent, self.rtmp_sent, self.hls_sent, self.mp4_sent].map(count),
            viewers: [
                self.flv_watched,
                self.rtmp_watched,
                self.hls_watched,
                self.mp4_watched,
            ]
            .map(count),
        }
    }
}

fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A stream's names as a number that an index can hold; the names themselves are compared as well.
fn hash(domain: &str, app: &str, stream: &str) -> i64 {
    let mut digest = Sha256::new();
    for part in [domain, app, stream] {
        digest.update(part.as_bytes());
        digest.update([0]);
    }
    let digest = digest.finalize();
    let first = digest.iter().take(8);
    first.fold(0, |number, byte| (number << 8) | i64::from(*byte))
}

fn between<C: ColumnTrait>(instant: C, domain: C, asked: &Asked) -> Condition {
    let mut condition = Condition::all()
        .add(instant.gte(asked.from))
        .add(instant.lt(asked.to));
    if !asked.domains.is_empty() {
        condition = condition.add(domain.is_in(&asked.domains));
    }
    condition
}

/// The numbers of the one stream that is asked for, under each of the domains.
fn hashes(asked: &Asked) -> Option<Vec<i64>> {
    let (app, stream) = (asked.app.as_ref()?, asked.stream.as_ref()?);
    let domains = asked.domains.iter();
    let hashes: Vec<i64> = domains.map(|domain| hash(domain, app, stream)).collect();
    (!hashes.is_empty()).then_some(hashes)
}

fn of_inflow(asked: &Asked) -> Condition {
    use minute_inflow::Column;
    let mut condition = Condition::all()
        .add(Column::Minute.gte(asked.from))
        .add(Column::Minute.lt(asked.to));
    if let Some(hashes) = hashes(asked) {
        let either = Condition::any()
            .add(Column::StreamHash.is_in(hashes.clone()))
            .add(Column::IngestHash.is_in(hashes));
        condition = condition.add(either);
    }
    if !asked.domains.is_empty() {
        let either = Condition::any()
            .add(Column::Domain.is_in(&asked.domains))
            .add(Column::IngestDomain.is_in(&asked.domains));
        condition = condition.add(either);
    }
    if let Some(app) = &asked.app {
        condition = condition.add(Column::App.eq(app));
    }
    if let Some(stream) = &asked.stream {
        condition = condition.add(Column::Stream.eq(stream));
    }
    condition
}

fn of_outflow(asked: &Asked) -> Condition {
    use minute_outflow::Column;
    let mut condition = between(Column::Minute, Column::Domain, asked);
    if let Some(hashes) = hashes(asked) {
        condition = condition.add(Column::StreamHash.is_in(hashes));
    }
    if let Some(app) = &asked.app {
        condition = condition.add(Column::App.eq(app));
    }
    if let Some(stream) = &asked.stream {
        condition = condition.add(Column::Stream.eq(stream));
    }
    if let Some(players) = &asked.players {
        let names = players.iter().map(|player| player.as_str());
        condition = condition.add(Column::Player.is_in(names));
    }
    condition
}

fn inflow_row(row: &Inflow) -> minute_inflow::ActiveModel {
    let StreamKey {
        domain,
        app,
        stream,
    } = &row.key;
    minute_inflow::ActiveModel {
        minute: Set(row.minute),
        stream_hash: Set(hash(domain, app, stream)),
        ingest_hash: Set(hash(&row.ingest_domain, app, stream)),
        domain: Set(domain.clone()),
        app: Set(app.clone()),
        stream: Set(stream.clone()),
        ingest_domain: Set(row.ingest_domain.clone()),
        bytes: Set(stored(row.bytes)),
        video_frames: Set(stored(row.video.frames)),
        video_bytes: Set(stored(row.video.bytes)),
        video_ms: Set(stored(row.video.media_ms)),
        audio_frames: Set(stored(row.audio.frames)),
        audio_bytes: Set(stored(row.audio.bytes)),
        audio_ms: Set(stored(row.audio.media_ms)),
        ..Default::default()
    }
}

fn inflow_of(row: minute_inflow::Model) -> Inflow {
    Inflow {
        minute: row.minute,
        key: StreamKey {
            domain: row.domain,
            app: row.app,
            stream: row.stream,
        },
        ingest_domain: row.ingest_domain,
        bytes: count(row.bytes),
        video: TrackFigures {
            frames: count(row.video_frames),
            bytes: count(row.video_bytes),
            media_ms: count(row.video_ms),
        },
        audio: TrackFigures {
            frames: count(row.audio_frames),
            bytes: count(row.audio_bytes),
            media_ms: count(row.audio_ms),
        },
    }
}

fn outflow_row(row: &Outflow) -> minute_outflow::ActiveModel {
    let StreamKey {
        domain,
        app,
        stream,
    } = &row.key;
    minute_outflow::ActiveModel {
        minute: Set(row.minute),
        stream_hash: Set(hash(domain, app, stream)),
        domain: Set(domain.clone()),
        app: Set(app.clone()),
        stream: Set(stream.clone()),
        player: Set(row.player.as_str().to_owned()),
        secure: Set(row.secure),
        bytes: Set(stored(row.bytes)),
        viewers: Set(stored(row.viewers)),
        came: Set(stored(row.came)),
        ..Default::default()
    }
}

/// None for a form that an older or newer program wrote.
fn outflow_of(row: minute_outflow::Model) -> Option<Outflow> {
    Some(Outflow {
        minute: row.minute,
        player: Player::named(&row.player)?,
        key: StreamKey {
            domain: row.domain,
            app: row.app,
            stream: row.stream,
        },
        secure: row.secure,
        bytes: count(row.bytes),
        viewers: count(row.viewers),
        came: count(row.came),
    })
}

fn answer_row(row: &Answered) -> minute_answer::ActiveModel {
    minute_answer::ActiveModel {
        minute: Set(row.minute),
        domain: Set(row.domain.clone()),
        status: Set(i32::from(row.status)),
        answers: Set(stored(row.count)),
        ..Default::default()
    }
}

fn visitor_row(row: &Visitor) -> hour_visitor::ActiveModel {
    hour_visitor::ActiveModel {
        hour: Set(row.hour),
        domain: Set(row.domain.clone()),
        visitor: Set(row.visitor),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests;
