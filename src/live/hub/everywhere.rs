//! Who publishes on whatever node: this one's publishers, and those that other nodes told of.

use std::sync::Arc;

use super::{Facts, Hub, Publisher};
use crate::clock::UnixMs;
use crate::model::stream_key::StreamKey;
use crate::services::Services;
use crate::store::StoreError;
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

    /// Ends the publishers of `of` for which `is_it` says so, on whatever nodes; how many there were. A node that does not answer cuts when it does.
    ///
    /// # Errors
    /// As for [`Hub::live`].
    pub async fn cut_everywhere(
        &self,
        of: &LiveOf,
        is_it: impl Fn(&Live) -> bool,
        because: &str,
    ) -> Result<usize, StoreError> {
        let mut count = 0;
        let mut orders = Vec::new();
        for live in self.live(of).await?.into_iter().filter(is_it) {
            match &live.elsewhere {
                None => {
                    if let Some(publisher) = self.find(&live.key) {
                        self.cut(&publisher, because);
                        count += 1;
                    }
                }
                Some(there) => {
                    let key = &live.key;
                    let args = serde_json::json!({
                        "domain": key.domain, "app": key.app, "stream": key.stream, "because": because,
                    });
                    orders.push((there.incarnation.clone(), args.to_string()));
                }
            }
        }
        let store = &self.services().store;
        let given = orders
            .iter()
            .map(|(incarnation, args)| store.command(incarnation, "cut", args));
        for done in futures_util::future::join_all(given).await {
            done?;
            count += 1;
        }
        Ok(count)
    }
}
