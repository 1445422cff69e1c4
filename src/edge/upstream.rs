//! Another endpoint of the API, the upstream: calls that it answers instead of us, and the cassette in which such calls are kept and from
//! which they are answered without a network.
//!
//! What is forwarded was checked here first: who calls, and whether the signature is good. It goes on signed anew ([`request`]), its answer
//! is looked at before it is passed on byte for byte ([`forward`], [`answer`]), and the journal says where it went ([`Passage`]). The
//! upstream's key stands in no answer, no log, no journal and no cassette.

pub mod answer;
pub mod cassette;
pub mod forward;
pub mod loops;
pub mod patterns;
pub mod request;
pub mod settings;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::clock;
use crate::error::{ApiError, Code};
use crate::identity::AccessKey;
use crate::metrics::{Cassette, Forwarded, Metrics};
use crate::wire::render::{self, Format};
use cassette::keep::Keeper;
use cassette::replay::{Missed, Replay};
use cassette::{Asked, Recorded};
use forward::{Arrived, Failure, Forwarder, PASSED};
use loops::Mark;
use request::{Call, Stamp};
use settings::{Miss, Mode, Settings};

/// Says on an answer that it came from outside, and from where.
pub const HEADER: &str = "x-localyun-upstream";
/// Where a replayed answer came from, in the place of an address.
const CASSETTE: &str = "cassette";
/// Answers that are taken apart at a time, to be looked through for secrets and kept.
const KEEPING: usize = 8;

/// Who answers a call that localyun does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Upstream,
    Cassette,
    /// Nobody: it would be forwarded, and a setting keeps it from that.
    Refused,
}

/// An answer from outside.
#[derive(Debug, Clone)]
pub struct Passed {
    pub status: u16,
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    pub body: Bytes,
    pub format: Format,
    pub request_id: Option<String>,
}

impl Passed {
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// What the journal says of a call's way outside.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passage {
    /// The upstream's address, or `cassette`.
    pub to: String,
    /// What it answered; absent where nothing came that could be passed on.
    pub status: Option<u16>,
    pub code: Option<String>,
    /// Of the answer's body.
    pub bytes: usize,
    pub took_us: u64,
    /// Why nothing could be passed on.
    pub failure: Option<String>,
    /// The file of the cassette that it was kept in or answered from.
    pub cassette: Option<String>,
    /// What of the call and its answer does not fit the documented action.
    pub findings: Vec<String>,
}

/// What is wrong with a setting that shows only when it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusable {
    pub setting: &'static str,
    pub problem: String,
}

/// The upstream as calls use it.
pub struct Upstream {
    settings: Settings,
    target: Option<Target>,
    keeper: Option<Arc<Keeper>>,
    keeping: Semaphore,
    replay: Option<Arc<Replay>>,
    mark: Mark,
    metrics: Arc<Metrics>,
}

/// Where forwarded calls go.
struct Target {
    endpoint: url::Url,
    /// As messages name it.
    place: String,
    key: AccessKey,
    forwarder: Forwarder,
}

/// An answer for the caller, none where localyun shall give its own; and what the journal says of it.
pub type Outcome = (Result<Option<Passed>, ApiError>, Passage);

fn microseconds(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

impl Upstream {
    /// `None` where nothing is forwarded or replayed.
    ///
    /// # Errors
    /// A setting that cannot be used.
    pub fn open(settings: &Settings, metrics: Arc<Metrics>) -> Result<Option<Self>, Unusable> {
        let of = |setting: &'static str| move |problem: String| Unusable { setting, problem };
        if settings.mode == Mode::Off {
            return Ok(None);
        }
        let forwards = settings.mode.forwards();
        let replays = settings.mode == Mode::Replay;
        let target = match (&settings.endpoint, &settings.key) {
            (Some(endpoint), Some(key)) if forwards => Some(Target {
                place: endpoint.origin().ascii_serialization(),
                endpoint: endpoint.clone(),
                key: key.clone(),
                forwarder: Forwarder::new(settings).map_err(of("--upstream-ca-file"))?,
            }),
            _ => None,
        };
        let folder = settings.cassette.as_deref();
        let keeper = folder.filter(|_| forwards).map(Keeper::open);
        let replay = folder.filter(|_| replays).map(Replay::open);
        Ok(Some(Self {
            settings: settings.clone(),
            target,
            keeper: keeper.transpose().map_err(of("--cassette"))?.map(Arc::new),
            keeping: Semaphore::new(KEEPING),
            replay: replay.transpose().map_err(of("--cassette"))?.map(Arc::new),
            mark: Mark::default(),
            metrics,
        }))
    }

    /// What is said at the start: where calls go, and what becomes of them.
    #[must_use]
    pub fn told(&self) -> String {
        let folder = self.settings.cassette.as_deref();
        let folder = folder.map(|folder| folder.display().to_string());
        let folder = folder.unwrap_or_default();
        if let Some(replay) = &self.replay {
            return format!(
                "API calls are answered from the {} recorded ones in {folder}; nothing is forwarded",
                replay.calls()
            );
        }
        let place = self.place();
        let which = match self.settings.mode {
            Mode::All => "every API call is",
            _ => "API calls that localyun does not implement are",
        };
        let kept = if self.keeper.is_some() {
            format!(" and kept in {folder}")
        } else {
            String::new()
        };
        format!("{which} forwarded to {place}, signed anew{kept}")
    }

    fn place(&self) -> &str {
        self.target
            .as_ref()
            .map_or(CASSETTE, |target| &target.place)
    }

    /// Who answers a call of an action, which localyun implements or not; `None`: localyun.
    #[must_use]
    pub fn way(&self, action: &str, is_here: bool) -> Option<Way> {
        let settings = &self.settings;
        let allow = settings.allow.as_ref();
        let allowed = allow.is_none_or(|allow| allow.takes(action));
        let allowed = allowed && !settings.refuse.takes(action);
        match settings.mode {
            Mode::Off => None,
            Mode::Replay => Some(Way::Cassette),
            Mode::Unimplemented => (!is_here && allowed).then_some(Way::Upstream),
            Mode::All if allowed => Some(Way::Upstream),
            // Our own answer would pass for the upstream's.
            Mode::All => Some(Way::Refused),
        }
    }

    /// Answers a call whose caller is known.
    pub async fn answer(&self, way: Way, call: Call<'_>) -> Outcome {
        let began = clock::monotonic();
        let (outcome, mut passage) = match (way, &self.target, &self.replay) {
            (Way::Upstream, Some(target), _) => self.forward(target, call).await,
            (Way::Cassette, _, Some(replay)) => self.replay(replay, call).await,
            _ => {
                let hint = "localyun does not forward this action: settings --upstream-allow and --upstream-refuse";
                let error = ApiError::coded(Code::Forbidden).with_status(403);
                let failure = "not forwarded (settings --upstream-allow, --upstream-refuse)";
                (Err(error.with_hint(hint)), failed(self.place(), failure))
            }
        };
        passage.took_us = microseconds(began.elapsed());
        (outcome, passage)
    }

    async fn forward(&self, target: &Target, call: Call<'_>) -> Outcome {
        let at = clock::machine_now();
        let began = clock::monotonic();
        let asked = self.ask(target, call).await;
        let became = match &asked {
            Ok((arrived, _)) if arrived.status < 400 => Forwarded::Answered,
            Ok(_) => Forwarded::Refused,
            Err(_) => Forwarded::Failed,
        };
        self.metrics.forwarded(became, began.elapsed());
        let place = &target.place;
        // The place among the calls under way is held until the answer is kept: so there are never more answers than places.
        let (arrived, _slot) = match asked {
            Ok(asked) => asked,
            Err(failure) => {
                tracing::warn!(target: "localyun::upstream", action = %answer::words(call.action), upstream = %place, %failure, "a call could not be forwarded");
                let passage = failed(place, &failure.to_string());
                return (Err(unavailable(place, &failure)), passage);
            }
        };
        let passage = Passage {
            to: place.clone(),
            status: Some(arrived.status),
            code: arrived.said.code.clone(),
            bytes: arrived.body.len(),
            cassette: self.keep(place, call, at, &arrived).await,
            ..Passage::default()
        };
        (Ok(Some(passed(arrived, place))), passage)
    }

    async fn ask<'t>(
        &self,
        target: &'t Target,
        call: Call<'_>,
    ) -> Result<(Arrived, SemaphorePermit<'t>), Failure> {
        let nonces = [
            call.pairs.get("SignatureNonce"),
            call.parts.header("x-acs-signature-nonce"),
        ];
        let way = self.mark.on(call.parts, &nonces).ok_or(Failure::Loop)?;
        // By the machine's time: the upstream knows nothing of the service clock.
        let stamp = Stamp {
            at: clock::machine_now(),
            nonce: self.mark.nonce(),
        };
        let signed = request::signed(call, &target.endpoint, &target.key, &stamp)
            .map_err(|error| Failure::Sign(answer::words(&error.to_string())))?;
        let extra = (loops::HEADER, way.as_str());
        let method = &call.parts.method;
        target.forwarder.ask(method, signed, extra).await
    }

    /// Keeps a call in the cassette, where there is one. The call was made; whether it could be kept does not change its answer.
    async fn keep(
        &self,
        place: &str,
        call: Call<'_>,
        at: clock::UnixMs,
        arrived: &Arrived,
    ) -> Option<String> {
        let keeper = self.keeper.clone()?;
        // Never closed.
        let _turn = self.keeping.acquire().await;
        let (asked, place, arrived) = (Asked::of(call), place.to_owned(), arrived.clone());
        let keeping =
            tokio::task::spawn_blocking(move || keeper.keep(&asked, &place, at, &arrived));
        let kept = keeping.await.unwrap_or_else(|error| Err(error.to_string()));
        match kept {
            Ok(name) => {
                self.metrics.cassette(Cassette::Kept);
                Some(name)
            }
            Err(problem) => {
                self.metrics.cassette(Cassette::Lost);
                tracing::error!(target: "localyun::upstream", action = %answer::words(call.action), problem, "a call could not be kept in the cassette");
                None
            }
        }
    }

    async fn replay(&self, replay: &Arc<Replay>, call: Call<'_>) -> Outcome {
        let (replay, asked) = (replay.clone(), Asked::of(call));
        let finding = tokio::task::spawn_blocking(move || replay.find(&asked));
        let found = finding
            .await
            .unwrap_or_else(|error| Err(Missed(error.to_string())));
        match found {
            Ok((name, recorded)) => {
                self.metrics.cassette(Cassette::Replayed);
                let passed = replayed(&name, &recorded);
                let code = answer::read(passed.format, &passed.body).and_then(|said| said.code);
                let passage = Passage {
                    to: CASSETTE.to_owned(),
                    status: Some(passed.status),
                    code,
                    bytes: passed.body.len(),
                    cassette: Some(name),
                    ..Passage::default()
                };
                (Ok(Some(passed)), passage)
            }
            Err(Missed(why)) => {
                self.metrics.cassette(Cassette::Missed);
                let passage = failed(CASSETTE, &why);
                match self.settings.miss {
                    Miss::Emulate => (Ok(None), passage),
                    Miss::Refuse => {
                        let error = ApiError::coded(Code::NotRecorded).with_hint(why);
                        (Err(error), passage)
                    }
                }
            }
        }
    }

    /// As if nothing had been called yet: recorded calls are answered from the first one on.
    pub fn forget(&self) {
        if let Some(replay) = &self.replay {
            replay.rewind();
        }
    }
}

fn failed(to: &str, failure: &str) -> Passage {
    Passage {
        to: to.to_owned(),
        failure: Some(failure.to_owned()),
        ..Passage::default()
    }
}

fn passed(arrived: Arrived, place: &str) -> Passed {
    let mut headers = arrived.headers;
    headers.push((HEADER, Cow::Owned(place.to_owned())));
    Passed {
        status: arrived.status,
        headers,
        body: arrived.body,
        format: arrived.format,
        request_id: arrived.said.request_id,
    }
}

/// A recorded answer, as it was given but for what the cassette does not keep.
fn replayed(name: &str, recorded: &Recorded) -> Passed {
    let answer = &recorded.answer;
    let body = answer.body.bytes().unwrap_or_default();
    let header = |name: &&'static str| {
        let value = answer.headers.get(*name)?;
        Some((*name, Cow::Owned(render::header_sentence(value))))
    };
    let mut headers: Vec<_> = PASSED.iter().filter_map(header).collect();
    headers.push(("access-control-allow-origin", "*".into()));
    headers.push(("access-control-expose-headers", "*".into()));
    let from = format!("{CASSETTE} {name}");
    headers.push((HEADER, Cow::Owned(render::header_sentence(&from))));
    let format = match recorded.format.as_str() {
        "XML" => Format::Xml,
        _ => Format::Json,
    };
    Passed {
        status: answer.status,
        headers,
        request_id: answer.headers.get("x-acs-request-id").cloned(),
        body,
        format,
    }
}

/// A failure on the way, as the product says it; the cause in brackets.
fn unavailable(place: &str, failure: &Failure) -> ApiError {
    ApiError::coded(Code::ServiceUnavailable).with_hint(format!("upstream {place}: {failure}"))
}
