//! What the figures of a period are: the rows and the minute that is running, at one moment of both.

use std::collections::{BTreeMap, HashSet};

use tokio::sync::RwLockReadGuard;

use super::cells::Look;
use super::{Meter, Register};
use crate::clock::UnixMs;
use crate::model::figures::{Asked, Figures, Inflow, Outflow, Player};
use crate::model::stream_key::StreamKey;
use crate::store::StoreError;
use crate::store::figures::{BroughtByStream, Publishing, Sent, SentOfStream};

/// A stream that is watched at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// The domain is the one that the viewers named.
    pub key: StreamKey,
    pub player: Player,
    pub viewers: u64,
}

impl Register {
    fn watched(&self, domain: &str) -> Vec<Watched> {
        let mut all: Vec<Watched> = Vec::new();
        for ((key, player, _), cell) in &self.outflow {
            let viewers = cell.now();
            if key.domain != domain || viewers == 0 {
                continue;
            }
            let same = |w: &&mut Watched| w.key == *key && w.player == *player;
            match all.iter_mut().find(same) {
                Some(known) => known.viewers += viewers,
                None => all.push(Watched {
                    key: key.clone(),
                    player: *player,
                    viewers,
                }),
            }
        }
        all.sort_by(|a, b| (&a.key, a.player).cmp(&(&b.key, b.player)));
        all
    }
}

impl Meter {
    /// What viewers of a domain watch at this moment, by name and form.
    #[must_use]
    pub fn watched(&self, domain: &str) -> Vec<Watched> {
        self.register().watched(domain)
    }

    /// What is not in the store, while nothing moves there.
    async fn in_memory(&self) -> (RwLockReadGuard<'_, Figures>, Figures) {
        let unwritten = self.inner.unwritten.read().await;
        let mut all = self.register().look(Look::Leave);
        all.append(unwritten.clone());
        (unwritten, all)
    }

    /// What each stream brought, oldest first.
    pub async fn brought(&self, asked: &Asked) -> Result<Vec<Inflow>, StoreError> {
        let (_still, memory) = self.in_memory().await;
        let mut all = self.inner.store.inflow(asked).await?;
        let fresh = memory.inflow.into_iter();
        all.extend(fresh.filter(|row| asked.takes_inflow(row)));
        Ok(all)
    }

    /// What all streams together brought, by minute.
    pub async fn brought_bytes(&self, asked: &Asked) -> Result<Vec<(UnixMs, u64)>, StoreError> {
        let (_still, memory) = self.in_memory().await;
        let mut all = self.inner.store.inflow_bytes(asked).await?;
        let fresh = memory.inflow.iter();
        all.extend(
            fresh
                .filter(|row| asked.takes_inflow(row))
                .map(|row| (row.minute, row.bytes)),
        );
        Ok(all)
    }

    /// How many streams each ingest domain had, by minute.
    pub async fn publishing(&self, asked: &Asked) -> Result<Vec<Publishing>, StoreError> {
        let (_still, memory) = self.in_memory().await;
        let mut all = self.inner.store.publishing(asked).await?;
        let fresh = memory.inflow.iter();
        let fresh: Vec<&Inflow> = fresh.filter(|row| asked.takes_inflow(row)).collect();
        let Some(from) = fresh.iter().map(|row| row.minute).min() else {
            return Ok(all);
        };
        // A run that ended in the midst of a minute has stored the beginning of it, and its streams may be those of now.
        let of_now = Asked {
            from,
            ..asked.clone()
        };
        let stored = self.inner.store.inflow(&of_now).await?;
        let name = |row: &Inflow| (row.minute, row.ingest_domain.clone(), row.key.clone());
        let mut counted: HashSet<_> = stored.iter().map(name).collect();
        for row in fresh {
            let streams = u64::from(counted.insert(name(row)));
            let same = |p: &&mut Publishing| {
                p.minute == row.minute && p.ingest_domain == row.ingest_domain
            };
            match all.iter_mut().find(same) {
                Some(known) => {
                    known.streams += streams;
                    known.bytes += row.bytes;
                }
                None => all.push(Publishing {
                    minute: row.minute,
                    ingest_domain: row.ingest_domain.clone(),
                    streams,
                    bytes: row.bytes,
                }),
            }
        }
        Ok(all)
    }

    /// One page of what each stream brought, by minute and name, with the number of all.
    pub async fn brought_page(
        &self,
        asked: &Asked,
        offset: u64,
        limit: u64,
    ) -> Result<(Vec<BroughtByStream>, u64), StoreError> {
        let (_still, memory) = self.in_memory().await;
        let stored = self.inner.store.inflow_page(asked, offset, limit).await?;
        let mut fresh: BTreeMap<(UnixMs, String, String), u64> = BTreeMap::new();
        for row in memory.inflow {
            if asked.takes_inflow(&row) {
                let name = (row.minute, row.key.app, row.key.stream);
                *fresh.entry(name).or_default() += row.bytes;
            }
        }
        let fresh = fresh
            .into_iter()
            .map(|((minute, app, stream), bytes)| BroughtByStream {
                minute,
                app,
                stream,
                bytes,
            });
        Ok(joined(stored, fresh.collect(), offset, limit))
    }

    /// What the viewers of each stream were sent, oldest first.
    pub async fn outflow(&self, asked: &Asked) -> Result<Vec<Outflow>, StoreError> {
        let (_still, memory) = self.in_memory().await;
        let mut all = self.inner.store.outflow(asked).await?;
        let fresh = memory.outflow.into_iter();
        all.extend(fresh.filter(|row| asked.takes_outflow(row)));
        Ok(all)
    }

    /// What all viewers together were sent, by minute and form.
    pub async fn sent(&self, asked: &Asked) -> Result<Vec<Sent>, StoreError> {
        let (_still, memory) = self.in_memory().await;
        let mut all = self.inner.store.sent(asked).await?;
        let fresh = memory.outflow.iter();
        let fresh = fresh.filter(|row| asked.takes_outflow(row));
        all.extend(fresh.map(|row| Sent {
            minute: row.minute,
            player: row.player,
            secure: row.secure,
            bytes: row.bytes,
            viewers: row.viewers,
            came: row.came,
        }));
        Ok(all)
    }

    /// One page of what the viewers of each stream were sent, by minute and name, with the number of all.
    pub async fn sent_page(
        &self,
        asked: &Asked,
        offset: u64,
        limit: u64,
    ) -> Result<(Vec<SentOfStream>, u64), StoreError> {
        let (_still, memory) = self.in_memory().await;
        let stored = self.inner.store.sent_page(asked, offset, limit).await?;
        let mut fresh: BTreeMap<(UnixMs, String, String), SentOfStream> = BTreeMap::new();
        for row in memory.outflow {
            if !asked.takes_outflow(&row) {
                continue;
            }
            let StreamKey { app, stream, .. } = row.key;
            let name = (row.minute, app.clone(), stream.clone());
            let sent = fresh.entry(name).or_insert_with(|| SentOfStream {
                minute: row.minute,
                app,
                stream,
                ..SentOfStream::default()
            });
            sent.came += row.came;
            for (player, (bytes, viewers)) in Player::ALL
                .iter()
                .zip(sent.bytes.iter_mut().zip(&mut sent.viewers))
            {
                if *player == row.player {
                    *bytes += row.bytes;
                    *viewers += row.viewers;
                }
            }
        }
        Ok(joined(stored, fresh.into_values().collect(), offset, limit))
    }

    /// How often each status was answered, by minute.
    pub async fn answered(&self, asked: &Asked) -> Result<Vec<(UnixMs, u16, u64)>, StoreError> {
        let (_still, memory) = self.in_memory().await;
        let mut all = self.inner.store.answered(asked).await?;
        let fresh = memory.answered.iter();
        let fresh = fresh.filter(|row| asked.takes_answered(row));
        all.extend(fresh.map(|row| (row.minute, row.status, row.count)));
        Ok(all)
    }

    /// How many came, by hour: each address once.
    pub async fn visitors(&self, asked: &Asked) -> Result<Vec<(UnixMs, u64)>, StoreError> {
        let (_still, memory) = self.in_memory().await;
        let mut all = self.inner.store.visitors(asked).await?;
        let fresh = memory.visitors.iter();
        let fresh = fresh.filter(|row| asked.takes_visitor(row));
        all.extend(fresh.map(|row| (row.hour, 1)));
        Ok(all)
    }
}

/// A page of the stored ones with the newest behind them.
fn joined<T>(
    (mut page, stored): (Vec<T>, u64),
    fresh: Vec<T>,
    offset: u64,
    limit: u64,
) -> (Vec<T>, u64) {
    let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let total = stored + u64::try_from(fresh.len()).unwrap_or(0);
    let left = number(limit).saturating_sub(page.len());
    let skipped = number(offset.saturating_sub(stored));
    page.extend(fresh.into_iter().skip(skipped).take(left));
    (page, total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_goes_on_with_what_is_not_stored_yet() {
        let stored = |offset: u64, limit: u64| {
            let all = [1, 2, 3];
            let page = all.iter().copied();
            let page = page.skip(usize::try_from(offset).unwrap());
            (page.take(usize::try_from(limit).unwrap()).collect(), 3)
        };
        let page = |offset, limit| joined(stored(offset, limit), vec![4, 5], offset, limit);
        assert_eq!(page(0, 2), (vec![1, 2], 5));
        assert_eq!(page(2, 2), (vec![3, 4], 5));
        assert_eq!(page(4, 2), (vec![5], 5));
        assert_eq!(page(9, 2), (vec![], 5));
    }
}
