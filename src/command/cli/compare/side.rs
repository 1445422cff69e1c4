//! One of the two services that a script is run against.

use std::time::Duration;

use reqwest::Client;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::cli::control::Control;
use crate::cli::http::{self, Terms};
use crate::cli::signed::{Call, Scheme, Signed, Stamp};
use crate::cli::target::Target;
use crate::clock::{UnixMs, machine_now, machine_sleep};
use crate::compare::answer::{Answered, Body};
use crate::publisher::{self, PublishError, PublishPlan};

/// How often a call is made again that came too soon after others, and how long is waited before.
const THROTTLED: usize = 5;
const THROTTLED_PAUSE: Duration = Duration::from_secs(1);
/// Where RTMP is spoken unless told otherwise.
const RTMP_PORT: u16 = 1935;

/// A service with all that is needed to call it.
#[derive(Debug)]
pub(super) struct Side {
    /// As messages call it.
    pub(super) name: &'static str,
    pub(super) target: Target,
    pub(super) client: Client,
    /// Those of the client.
    pub(super) terms: Terms,
    pub(super) scheme: Scheme,
    /// It has a clock that can be advanced.
    pub(super) is_localyun: bool,
    /// It must answer itself and not hand calls on.
    pub(super) answers_itself: bool,
    /// Where it takes pushes; else at the domain that is pushed to.
    pub(super) push_addr: Option<String>,
    /// How fast media is pushed.
    pub(super) speed: f64,
}

/// A push that goes on.
#[derive(Debug)]
pub(super) struct Pushing {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Pushing {
    /// Ends it in order.
    pub(super) async fn end(self) {
        self.stop.cancel();
        let _ = self.task.await;
    }
}

/// How an answer over RTMP reads beside those of the API.
fn told(value: Value) -> Answered {
    Answered {
        status: 200,
        media: "rtmp".to_owned(),
        body: Body::Json(value),
    }
}

impl Side {
    fn control(&self) -> Control<'_> {
        Control::new(&self.client, &self.target.endpoint).by(self.terms)
    }

    /// Makes a call; the error is a sentence.
    pub(super) async fn call(
        &self,
        action: &str,
        version: &str,
        parameters: &[(String, String)],
    ) -> Result<Answered, String> {
        let mut left = THROTTLED;
        loop {
            let call = Call {
                method: "POST",
                action,
                version,
                parameters,
            };
            let answered = self.once(call).await?;
            let throttled = answered
                .code()
                .is_some_and(|code| code.starts_with("Throttling"));
            if !throttled || left == 0 {
                return Ok(answered);
            }
            left -= 1;
            machine_sleep(THROTTLED_PAUSE).await;
        }
    }

    async fn once(&self, call: Call<'_>) -> Result<Answered, String> {
        let signed = Signed::new(self.scheme, call, &self.target, Stamp::now());
        let signed = signed.map_err(|error| error.to_string())?;
        let answer = http::fetch_by(self.terms, signed.request(&self.client)).await;
        let answer = answer.map_err(|error| error.to_string())?;
        if let (Some(from), true) = (&answer.upstream, self.answers_itself) {
            return Err(format!(
                "{} had this answer from {from}, so there is nothing of its own to compare; start it with --upstream-mode off",
                self.name
            ));
        }
        Ok(Answered::read(
            answer.status,
            &answer.content_type,
            &answer.body,
        ))
    }

    /// The time that it goes by.
    pub(super) async fn now(&self) -> Result<UnixMs, String> {
        if !self.is_localyun {
            return Ok(machine_now());
        }
        let clock = self.control().get("clock").await;
        let clock = clock.map_err(|error| error.to_string())?;
        let now = clock.get("now_ms").and_then(Value::as_i64);
        now.ok_or_else(|| format!("{} does not say what time it is", self.name))
    }

    /// Lets time pass.
    pub(super) async fn sleep(&self, seconds: u64) -> Result<(), String> {
        if !self.is_localyun {
            machine_sleep(Duration::from_secs(seconds)).await;
            return Ok(());
        }
        let asked = json!({"seconds": seconds});
        let moved = self.control().post("clock/advance", &asked).await;
        moved.map(|_| ()).map_err(|error| error.to_string())
    }

    /// Where a localyun takes pushes.
    pub(super) async fn rtmp_of_health(&self) -> Result<String, String> {
        let health = self.control().get("health").await;
        let health = health.map_err(|error| error.to_string())?;
        let rtmp = health
            .get("rtmp")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let rtmp = rtmp.trim_start_matches("rtmp://");
        if rtmp.is_empty() {
            return Err(format!("{} does not say where it takes pushes", self.name));
        }
        Ok(rtmp.to_owned())
    }

    /// Pushes; with `keep` the push goes on and is given back.
    pub(super) async fn push(
        &self,
        mut plan: PublishPlan,
        keep: bool,
    ) -> Result<(Answered, Option<Pushing>), String> {
        plan.rtmp_addr = self
            .push_addr
            .clone()
            .unwrap_or_else(|| format!("{}:{RTMP_PORT}", plan.domain));
        // A push without an end would never come to one at full speed.
        plan.speed = if keep { 1.0 } else { self.speed };
        let refusal = |code: &str| (told(json!({"push": "refused", "code": code})), None);
        let open = match publisher::open(plan).await {
            Ok(open) => open,
            Err(PublishError::Refused { code, .. } | PublishError::Ended { code, .. }) => {
                return Ok(refusal(&code));
            }
            Err(PublishError::Disconnected) => return Ok(refusal("closed without a word")),
            Err(error) => return Err(format!("{}: {error}", self.name)),
        };
        let accepted = told(json!({"push": "accepted"}));
        let stop = CancellationToken::new();
        if keep {
            let cancel = stop.clone();
            let task = tokio::spawn(async move {
                // How it ended is for later steps to find out.
                let _ = open.run(cancel).await;
            });
            return Ok((accepted, Some(Pushing { stop, task })));
        }
        match open.run(stop).await {
            Ok(_) => Ok((accepted, None)),
            Err(PublishError::Ended { code, .. }) => {
                Ok((told(json!({"push": "ended", "code": code})), None))
            }
            Err(error) => Err(format!("{}: {error}", self.name)),
        }
    }

    /// How long is waited between two looks at an answer.
    pub(super) fn pause(&self) -> Duration {
        Duration::from_millis(if self.is_localyun { 100 } else { 1_000 })
    }
}

/// What a wait came to.
pub(super) fn waited(reached: bool) -> Answered {
    told(json!({"reached": reached}))
}

/// A step that both sides have just done.
pub(super) fn done() -> Answered {
    told(json!({}))
}
