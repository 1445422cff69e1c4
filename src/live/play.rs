//! Who may watch which stream: the domain that is meant, what its functions say, whether the stream is live, and how many watch already.

mod access;
pub mod sending;
pub mod sessions;

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use futures_util::future::BoxFuture;
use serde_json::json;

use crate::clock;
use crate::events;
use crate::live::fanout::Fanout;
use crate::live::hub::Hub;
use crate::live::hub::audiences::Audience;
use crate::live::ingest::admission;
use crate::meter::{Coming, ViewerGuard};
use crate::model::domain::{Domain, Function};
use crate::model::domain_name;
use crate::model::stream_key::{NameError, PushArgs, StreamKey, check_name};
use crate::services::Services;
use crate::store::StoreError;
use crate::store::documents;
use sessions::Sessions;

pub use crate::model::figures::Player;
pub use access::referer_host;

/// Viewers at a time, of all streams and forms together.
pub const MOST_VIEWERS: usize = 10_000;
/// How often in a row a viewer may fall behind, without having caught up once, before it is dropped.
pub const MOST_SKIPS: u32 = 10;
/// What the kernel holds for a player, in bytes: what it has not read beyond that is skipped.
pub const SEND_BUFFER: usize = 256 << 10;

/// What a player asks for.
#[derive(Debug, Clone)]
pub struct Asked<'a> {
    pub app: &'a str,
    pub stream: &'a str,
    /// The path as it is signed: `/app/stream.flv`, without an ending over RTMP.
    pub uri: &'a str,
    /// A `Host` header or a tcUrl.
    pub host: &'a str,
    pub args: &'a [PushArgs],
    pub address: IpAddr,
    pub referer: Option<&'a str>,
    /// Whether the request came over TLS.
    pub secure: bool,
    pub player: Player,
}

impl Asked<'_> {
    fn argument(&self, wanted: &str) -> Option<&str> {
        self.args.iter().find_map(|args| args.get(wanted))
    }
}

/// Which stream it is, and what the domain adds to the answer.
#[derive(Debug, Clone)]
pub struct Granted {
    /// The play domain as the player named it.
    pub domain: String,
    pub key: StreamKey,
    /// Headers that the domain sets. A header without a value is taken away from the answer.
    pub headers: Vec<(String, Option<String>)>,
    audience: Arc<Audience>,
}

/// Why a player gets nothing.
///
/// # What to do
/// Each door has its own words for the player: `web/play` a status, `live/ingest/player` an `onStatus` of RTMP. `TooMany` and `Store` may
/// pass, and the player may come again; the others are for whoever wrote the address.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error(
        "no domain: add vhost=DOMAIN to the URL, ask by a host name that is the domain, or set --default-domain"
    )]
    NoDomain,
    #[error("{0}")]
    Vhost(#[from] admission::NoDomainName),
    #[error("{0}")]
    Name(#[from] NameError),
    #[error("{0}")]
    Forbidden(String),
    #[error("{0} is not live")]
    NotLive(StreamKey),
    #[error("this domain is played over https alone")]
    OverHttps,
    #[error("{MOST_VIEWERS} players watch already")]
    TooMany,
    #[error("the store failed: {0}")]
    Store(#[from] StoreError),
}

/// Where streams come from that are live on other nodes.
pub trait Elsewhere: Send + Sync {
    /// The stream as its viewers here see it; none where it is live nowhere.
    fn fetch<'a>(
        &'a self,
        key: &'a StreamKey,
    ) -> BoxFuture<'a, Result<Option<Arc<Fanout>>, Refusal>>;
}

/// The door through which all players come.
pub struct PlayDoor {
    hub: Arc<Hub>,
    elsewhere: OnceLock<Arc<dyn Elsewhere>>,
    default_domain: Option<String>,
    viewers: AtomicUsize,
    pub sessions: Sessions,
}

impl PlayDoor {
    #[must_use]
    pub fn new(hub: Arc<Hub>, default_domain: Option<String>) -> Arc<Self> {
        Arc::new(Self {
            hub,
            elsewhere: OnceLock::new(),
            default_domain,
            viewers: AtomicUsize::new(0),
            sessions: Sessions::default(),
        })
    }

    fn services(&self) -> &Arc<Services> {
        self.hub.services()
    }

    /// Finds out which stream is meant and whether it may be watched.
    pub async fn grant(&self, asked: &Asked<'_>) -> Result<Granted, Refusal> {
        check_name("the application name", asked.app)?;
        check_name("the stream name", asked.stream)?;
        let services = self.services();
        let domain = self.domain(asked)?;
        // Before the look at what is stopped: a stop that comes behind it cuts whoever was let in.
        let audience = self.hub.audiences.join(&domain);
        let declared: Option<Domain> = services
            .store
            .find_document(documents::Kind::Domain, &domain)
            .await?;
        let declared = declared.unwrap_or_default();
        if let Some(play) = declared.play_domain {
            return Err(Refusal::Forbidden(format!(
                "{domain} is an ingest domain; what is pushed to it is played at {play}"
            )));
        }
        // A sub play domain plays the streams of its main domain, by functions of its own.
        let main = declared.main_domain.unwrap_or_else(|| domain.clone());
        let main_is_stopped = main != domain && admission::is_stopped(services, &main).await?;
        if declared.stopped || main_is_stopped {
            return Err(Refusal::Forbidden(format!(
                "{domain} is stopped (StopLiveDomain); StartLiveDomain lets players in again"
            )));
        }
        let functions: Option<Vec<Function>> = services
            .store
            .find_document(documents::Kind::DomainConfig, &domain)
            .await?;
        let functions = functions.unwrap_or_default();
        access::check(&functions, asked, services.clock.now())?;
        Ok(Granted {
            key: StreamKey::new(&main, asked.app, asked.stream),
            domain,
            headers: access::response_headers(&functions),
            audience,
        })
    }

    /// The domain of a player is chosen as that of a push.
    fn domain(&self, asked: &Asked<'_>) -> Result<String, Refusal> {
        admission::named_by(asked.argument("vhost"))?
            .or_else(|| admission::url_host(asked.host))
            .or_else(|| self.default_domain.clone())
            .or_else(
                || match self.services().store.domains_with_rules().as_slice() {
                    [only] => Some(only.clone()),
                    _ => None,
                },
            )
            .filter(|domain| domain_name::is_valid(domain))
            .ok_or(Refusal::NoDomain)
    }

    /// A player was answered over HTTP: counted for the domain of its session, else for the one that it names.
    pub fn answered(&self, asked: &Asked<'_>, status: u16) {
        let session = asked.argument("session");
        let session = session.and_then(|id| self.sessions.find(id));
        let domain = session.map(|session| session.viewer.key().domain.clone());
        if let Some(domain) = domain.or_else(|| self.domain(asked).ok()) {
            self.services().meter.http_code(&domain, status);
        }
    }

    /// Headers that the domain sets on what a player is told who gets nothing: of its session, else of the domain that it names.
    pub async fn headers_for(&self, asked: &Asked<'_>) -> Vec<(String, Option<String>)> {
        let session = asked.argument("session");
        if let Some(session) = session.and_then(|id| self.sessions.find(id)) {
            return session.headers.clone();
        }
        let Ok(domain) = self.domain(asked) else {
            return Vec::new();
        };
        let store = &self.services().store;
        let functions: Result<Option<Vec<Function>>, StoreError> = store
            .find_document(documents::Kind::DomainConfig, &domain)
            .await;
        let functions = functions.ok().flatten().unwrap_or_default();
        access::response_headers(&functions)
    }

    /// Streams of other nodes come from there from now on.
    pub fn reach(&self, elsewhere: Arc<dyn Elsewhere>) {
        let _ = self.elsewhere.set(elsewhere);
    }

    /// The publish of a stream as its viewers see it, where it is live.
    pub async fn find(&self, key: &StreamKey) -> Result<Arc<Fanout>, Refusal> {
        if let Some(publisher) = self.hub.find(key) {
            return Ok(publisher.fanout.clone());
        }
        let fetched = match self.elsewhere.get() {
            Some(elsewhere) => elsewhere.fetch(key).await?,
            None => None,
        };
        fetched.ok_or_else(|| Refusal::NotLive(key.clone()))
    }

    /// Lets a player in.
    pub fn enter(
        self: &Arc<Self>,
        granted: &Granted,
        fanout: &Arc<Fanout>,
        asked: &Asked<'_>,
    ) -> Result<Viewer, Refusal> {
        let player = asked.player;
        let admitted = self
            .viewers
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| {
                (now < MOST_VIEWERS).then_some(now + 1)
            });
        if admitted.is_err() {
            return Err(Refusal::TooMany);
        }
        fanout.viewer_came();
        let metrics = &self.services().metrics;
        metrics.viewer_came(player.as_str());
        tracing::debug!(stream.key = %granted.key, player = player.as_str(), "a player came");
        self.services().events.tell(
            events::Kind::Play,
            &granted.key,
            &json!({
                "what": "came",
                "player": player.as_str(),
                "play_domain": granted.domain,
                "client": asked.address,
                "viewers": fanout.viewers(),
            }),
        );
        Ok(Viewer {
            came: self.services().events.newest(),
            door: self.clone(),
            fanout: fanout.clone(),
            audience: granted.audience.clone(),
            key: granted.key.clone(),
            domain: granted.domain.clone(),
            address: asked.address,
            since: clock::monotonic(),
            player,
            counted: self.services().meter.viewer(Coming {
                domain: &granted.domain,
                app: &granted.key.app,
                stream: &granted.key.stream,
                player,
                secure: asked.secure,
                address: asked.address,
            }),
            sent: AtomicU64::new(0),
            skips: AtomicU64::new(0),
        })
    }
}

/// One player, for as long as it watches.
pub struct Viewer {
    /// The newest event when it came, which is that it did.
    came: u64,
    door: Arc<PlayDoor>,
    fanout: Arc<Fanout>,
    audience: Arc<Audience>,
    key: StreamKey,
    /// The play domain as it named it.
    domain: String,
    address: IpAddr,
    since: Instant,
    player: Player,
    /// Counts it in the statistics for as long as it is there.
    counted: ViewerGuard,
    sent: AtomicU64,
    skips: AtomicU64,
}

impl Viewer {
    #[must_use]
    pub fn key(&self) -> &StreamKey {
        &self.key
    }

    /// The play domain was stopped: it goes.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.audience.is_cut()
    }

    /// Bytes went out to it.
    pub fn sent(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
        self.counted.sent(bytes);
        self.door.services().metrics.played(bytes);
    }

    /// How often it fell behind so far.
    pub fn skipped(&self, skips: u64) {
        let before = self.skips.swap(skips, Ordering::Relaxed);
        if skips > before {
            self.door.services().metrics.play_skipped(skips - before);
        }
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.fanout.viewer_went();
        self.door.viewers.fetch_sub(1, Ordering::AcqRel);
        let services = self.door.services();
        services.metrics.viewer_went(self.player.as_str());
        tracing::debug!(
            stream.key = %self.key,
            player = self.player.as_str(),
            bytes = self.sent.load(Ordering::Relaxed),
            skips = self.skips.load(Ordering::Relaxed),
            "a player went"
        );
        if services.events.start() >= self.came {
            // Everything was forgotten since, and that it came as well.
            return;
        }
        services.events.tell(
            events::Kind::Play,
            &self.key,
            &json!({
                "what": "went",
                "player": self.player.as_str(),
                "play_domain": self.domain,
                "client": self.address,
                "seconds": self.since.elapsed().as_secs_f64(),
                "bytes": self.sent.load(Ordering::Relaxed),
                "skips": self.skips.load(Ordering::Relaxed),
                "viewers": self.fanout.viewers(),
            }),
        );
    }
}
