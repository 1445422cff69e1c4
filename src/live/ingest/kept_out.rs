//! What keeps streams out, and cutting off what is live all the same: whoever forbade a stream, or stopped its domain, through another node
//! may not have reached this one.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::clock::UnixMs;
use crate::live::hub::Hub;
use crate::model::domain::Domain;
use crate::model::forbidden::Forbidden;
use crate::model::stream_key::StreamKey;
use crate::services::Services;
use crate::store::StoreError;
use crate::store::documents::Kind;

/// Why a stream is kept out.
pub(super) enum Why {
    Stopped(String),
    Forbidden {
        /// The name by which it was forbidden.
        named: StreamKey,
        until: UnixMs,
    },
}

/// What a publisher is told whose stream is forbidden while it is live.
pub const FORBIDDEN: &str = "the stream was forbidden (ForbidLiveStream)";

/// What a publisher is told whose domain is stopped while it is live.
#[must_use]
pub fn stopped(domain: &str) -> String {
    format!("the domain {domain} was stopped (StopLiveDomain)")
}

/// The names by which a stream may be kept out: one that was forbidden before its domain was mapped is the same stream.
fn names(key: &StreamKey, ingest_domain: &str) -> Vec<StreamKey> {
    let mut names = vec![key.clone()];
    if ingest_domain != key.domain {
        names.push(StreamKey::new(ingest_domain, &key.app, &key.stream));
    }
    names
}

/// What keeps some streams and domains out.
pub(super) struct KeptOut {
    stopped: HashSet<String>,
    /// By the hashes of their names.
    forbidden: HashMap<String, Forbidden>,
}

impl KeptOut {
    /// Reads what is about these pushes, each a stream with the domain that it is pushed to, and about these play domains.
    pub(super) async fn read(
        services: &Services,
        pushes: &[(&StreamKey, &str)],
        played: &[String],
    ) -> Result<Self, StoreError> {
        let mut domains: BTreeSet<String> = played.iter().cloned().collect();
        let mut hashes = BTreeSet::new();
        for (key, ingest_domain) in pushes {
            for named in names(key, ingest_domain) {
                hashes.insert(named.hash());
                domains.insert(named.domain);
            }
        }
        let store = &services.store;
        let declared = store.find_documents::<Domain>(Kind::Domain, &domains);
        let declared = declared.await?.into_iter();
        Ok(Self {
            stopped: declared
                .filter(|(_, domain)| domain.stopped)
                .map(|(name, _)| name)
                .collect(),
            forbidden: store.find_forbidden(&hashes, services.clock.now()).await?,
        })
    }

    /// Why a stream is kept out by one of its two domains; none where it is not.
    pub(super) fn why(&self, key: &StreamKey, ingest_domain: &str) -> Option<Why> {
        names(key, ingest_domain).into_iter().find_map(|named| {
            if self.stopped.contains(&named.domain) {
                return Some(Why::Stopped(named.domain));
            }
            let until = self.forbidden.get(&named.hash())?.until;
            Some(Why::Forbidden { named, until })
        })
    }
}

/// Cuts off who publishes here what is kept out by now, and sends away who watches by a domain that is stopped.
pub async fn cut(hub: &Hub) -> Result<(), StoreError> {
    let publishers = hub.publishers();
    let played = hub.audiences.domains();
    if publishers.is_empty() && played.is_empty() {
        return Ok(());
    }
    let pushes: Vec<(&StreamKey, &str)> = publishers
        .iter()
        .map(|publisher| (&publisher.key, publisher.ingest_domain.as_str()))
        .collect();
    let kept_out = KeptOut::read(hub.services(), &pushes, &played).await?;
    for publisher in &publishers {
        let because = match kept_out.why(&publisher.key, &publisher.ingest_domain) {
            None => continue,
            Some(Why::Stopped(domain)) => stopped(&domain),
            Some(Why::Forbidden { .. }) => FORBIDDEN.to_owned(),
        };
        hub.cut(publisher, &because);
    }
    for domain in played.iter().filter(|it| kept_out.stopped.contains(*it)) {
        hub.audiences.cut(domain);
    }
    Ok(())
}
