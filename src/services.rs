//! The handles that every part of the running service shares; built once, cloned as one `Arc`.

use std::path::PathBuf;
use std::sync::Arc;

use crate::certificates::Certificates;
use crate::clock::Clock;
use crate::disk::writers::Disk;
use crate::events::Events;
use crate::faults::Faults;
use crate::meter::Meter;
use crate::metrics::Metrics;
use crate::model::object_name::PublicUrls;
use crate::notifier::Notifier;
use crate::objects::Objects;
use crate::store::Store;

pub struct Services {
    pub clock: Clock,
    pub store: Store,
    pub objects: Objects,
    /// How answers and playlists name an object.
    pub public_urls: PublicUrls,
    pub notifier: Notifier,
    /// Those that domains are served with.
    pub certificates: Certificates,
    pub disk: Disk,
    pub http: reqwest::Client,
    pub faults: Arc<Faults>,
    /// What happens, for whoever follows.
    pub events: Events,
    pub metrics: Arc<Metrics>,
    /// What came in and what went out, by minute.
    pub meter: Meter,
    /// Where sessions keep their spools.
    pub spool: PathBuf,
}
