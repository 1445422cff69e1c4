//! Who publishes on whatever node: this one's publishers, and those that other nodes told of.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::{Facts, Hub, Publisher};
use crate::clock::UnixMs;
use crate::model::stream_key::StreamKey;
use crate::services::Services;
use crate::store::StoreError;
use crate::store::shared::PATIENCE;
use crate::store::streams::LiveOf;

/// A publisher, wherever it is.
#[derive(Debug, Clone)]
pub struct Live {
    pub key: StreamKey,
    /// The domain that the push URL named, before mapping.
    pub ingest_domain: String,
    pub address: String,
    pub since: UnixMs,
    pub facts: Facts,
    /// The incarnation of the node that has it; none where that is this one.
    pub elsewhere: Option<Elsewhere>,
}

/// Where a publisher is that is not here.
#[derive(Debug, Clone)]
pub struct Elsewhere {
    pub node: String,
    pub incarnation: String,
}

/// The other nodes, as far as what is live is asked of them.
pub trait Others: Send + Sync {
    /// How many watch by a play domain at each of them, by stream; a node that does not say so at once is left out.
    fn watched<'a>(&'a self, domain: &'a str) -> BoxFuture<'a, Vec<(StreamKey, u64)>>;
}

/// What came of cutting publishers off.
#[derive(Debug, Default)]
pub struct Cut {
    count: usize,
    /// The nodes that did not answer in time.
    silent: Vec<String>,
}

impl Cut {
    /// How many there were.
    ///
    /// # Errors
    /// A node did not answer: what is live there may go on, and the caller has to say so.
    pub fn of_all(self) -> Result<usize, String> {
        match self.silent.first() {
            None => Ok(self.count),
            Some(node) => Err(format!(
                "the node {node} has the stream and does not answer"
            )),
        }
    }
}

impl Live {
    fn here(publisher: &Arc<Publisher>) -> Self {
        Self {
            key: publisher.key.clone(),
            ingest_domain: publisher.ingest_domain.clone(),
            address: publisher.address.clone(),
            since: publisher.since,
            facts: publisher.facts(),
            elsewhere: None,
        }
    }

    fn is_among(&self, of: &LiveOf) -> bool {
        match of {
            LiveOf::All => true,
            LiveOf::Domain(domain) => self.is_of(domain),
            LiveOf::Name { app, stream } => self.key.app == *app && self.key.stream == *stream,
        }
    }

    /// Whether it belongs to a streaming domain, or was pushed to an ingest domain.
    #[must_use]
    pub fn is_of(&self, domain: &str) -> bool {
        self.key.domain == domain || self.ingest_domain == domain
    }
}

impl Hub {
    /// The publishers that are asked for, on all nodes, ordered by name.
    ///
    /// # Errors
    /// The database does not answer, where there are several nodes.
    pub async fn live(&self, of: &LiveOf) -> Result<Vec<Live>, StoreError> {
        let publishers = self.publishers();
        let here = publishers.iter().map(Live::here);
        let mut all: Vec<Live> = here.filter(|live| live.is_among(of)).collect();
        let services: &Services = self.services();
        if services.store.member().is_some() {
            let others = services.store.live_elsewhere(of).await?;
            all.extend(others.into_iter().map(|row| Live {
                key: row.key,
                ingest_domain: row.published.ingest_domain,
                address: row.published.address,
                since: row.published.since,
                facts: serde_json::from_str(&row.published.facts).unwrap_or_default(),
                elsewhere: Some(Elsewhere {
                    node: row.node,
                    incarnation: row.incarnation,
                }),
            }));
            all.sort_by(|a, b| a.key.cmp(&b.key));
        }
        Ok(all)
    }

    /// Those of a streaming domain, or pushed to an ingest domain, on all nodes, ordered by name.
    ///
    /// # Errors
    /// As for [`Hub::live`].
    pub async fn live_of(&self, domain: &str) -> Result<Vec<Live>, StoreError> {
        self.live(&LiveOf::Domain(domain.to_owned())).await
    }

    /// How many watch by a play domain at this moment, by stream, on all nodes.
    pub async fn watched(&self, domain: &str) -> BTreeMap<StreamKey, u64> {
        let mut all = BTreeMap::new();
        let here = self.services().meter.watched(domain).into_iter();
        let here = here.map(|watched| (watched.key, watched.viewers));
        let elsewhere = match self.others.get() {
            Some(others) => others.watched(domain).await,
            None => Vec::new(),
        };
        for (key, viewers) in here.chain(elsewhere) {
            let count: &mut u64 = all.entry(key).or_default();
            *count = count.saturating_add(viewers);
        }
        all
    }

    /// Ends the publishers of `of` for which `is_it` says so, on whatever nodes. One that does not answer in time does not cut by this any
    /// more; by what is stored it does as soon as it reads that.
    ///
    /// # Errors
    /// As for [`Hub::live`].
    pub async fn cut_everywhere(
        &self,
        of: &LiveOf,
        is_it: impl Fn(&Live) -> bool,
        because: &str,
    ) -> Result<Cut, StoreError> {
        let mut cut = Cut::default();
        let mut orders = Vec::new();
        for live in self.live(of).await?.into_iter().filter(is_it) {
            match live.elsewhere {
                None => {
                    if let Some(publisher) = self.find(&live.key) {
                        self.cut(&publisher, because);
                        cut.count += 1;
                    }
                }
                Some(there) => {
                    let key = &live.key;
                    let args = serde_json::json!({
                        "domain": key.domain, "app": key.app, "stream": key.stream, "because": because,
                    });
                    orders.push((there, args.to_string()));
                }
            }
        }
        let store = &self.services().store;
        let given = orders
            .iter()
            .map(|(there, args)| store.command(&there.incarnation, "cut", args, PATIENCE));
        let done = futures_util::future::join_all(given).await;
        for ((there, _), done) in orders.into_iter().zip(done) {
            match done? {
                Some(_) => cut.count += 1,
                None => cut.silent.push(there.node),
            }
        }
        Ok(cut)
    }
}
