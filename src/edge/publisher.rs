//! A publisher of our own: pushes a clip over RTMP for as long as wanted, so that a first recording needs no other program.
//!
//! `localyun publish`, `POST /_localyun/streams` and the demo all push through here, over a real socket: what they make
//! has taken the same way as an encoder's stream. The clip repeats without a seam ([`looped`]), at any speed.

mod clip;
mod connection;
mod looped;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::media::rtmp::RtmpError;
use connection::Connection;
use looped::Looped;

pub use clip::{BUILTIN, Clip, DEFAULT_CLIP};

/// Longest push, in seconds: RTMP timestamps are 32 bits of milliseconds.
pub const MAX_SECONDS: f64 = 4_294_967.0;
/// Fastest paced push, as a multiple of real time.
pub const MAX_SPEED: f64 = 1_000.0;

/// What to push, and where.
#[derive(Debug, Clone)]
pub struct PublishPlan {
    /// `host:port`, with or without `rtmp://` before it.
    pub rtmp_addr: String,
    /// The streaming domain; travels as `vhost`.
    pub domain: String,
    /// Application.
    pub app: String,
    /// Stream.
    pub stream: String,
    /// More arguments of the push URL, such as `auth_key=…`, without `?`.
    pub query: Option<String>,
    /// What is pushed.
    pub clip: Clip,
    /// Seconds of media; without it the push goes on until it is cancelled.
    pub seconds: Option<f64>,
    /// 1 is real time, 2 twice as fast; 0 is as fast as the server reads.
    pub speed: f64,
}

/// What was pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// Length of the media.
    pub media_ms: u64,
    /// Messages of audio, video and metadata.
    pub messages: u64,
    /// Bytes on the wire.
    pub bytes: u64,
}

/// Why a push did not come to its end.
#[derive(Debug, Error)]
pub enum PublishError {
    /// The plan cannot work.
    #[error("{what} {problem}")]
    Plan {
        /// The part of the plan.
        what: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Nobody listens there.
    #[error("no connection to {addr}: {source}")]
    Connect {
        /// The address.
        addr: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The server said no.
    #[error("the server refused the push: {description} ({code})")]
    Refused {
        /// Such as `NetStream.Publish.Denied`.
        code: String,
        /// The server's words.
        description: String,
    },
    /// The server ended the push.
    #[error("the server ended the push: {description} ({code})")]
    Ended {
        /// Such as `NetStream.Unpublish.Success`.
        code: String,
        /// The server's words.
        description: String,
    },
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(#[from] std::io::Error),
    /// The server closed the connection without a word.
    #[error("the server closed the connection")]
    Disconnected,
    /// The server neither reads nor answers.
    #[error("the server has not moved for {0} s")]
    Stalled(u64),
    /// What the server said is no RTMP.
    #[error("the server breaks the protocol: {0}")]
    Protocol(#[from] RtmpError),
}

/// A push that the server has accepted and that has not sent media yet.
#[derive(Debug)]
pub struct OpenPublish {
    connection: Connection,
    media: Looped,
    speed: f64,
    /// Milliseconds of media that were handed over, for who watches from outside.
    position: Arc<AtomicU64>,
}

/// Pushes the plan to its end, or until it is cancelled, which ends it in order too.
///
/// # Errors
/// The plan is unusable, the server refuses or ends the push, or the connection breaks.
pub async fn publish(
    plan: PublishPlan,
    cancel: CancellationToken,
) -> Result<Published, PublishError> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Ok(Published::NOTHING),
        open = open(plan) => open?.run(cancel.clone()).await,
    }
}

/// Connects and waits for the server's yes.
///
/// # Errors
/// The plan is unusable, nobody listens, or the server refuses.
pub async fn open(plan: PublishPlan) -> Result<OpenPublish, PublishError> {
    check(&plan)?;
    let connection = Connection::open(&plan).await?;
    let media = Looped::new(plan.clip, plan.seconds.map(milliseconds));
    Ok(OpenPublish {
        connection,
        media,
        speed: plan.speed,
        position: Arc::default(),
    })
}

impl Published {
    /// A push that was cancelled before its first message.
    pub const NOTHING: Self = Self {
        media_ms: 0,
        messages: 0,
        bytes: 0,
    };
}

impl OpenPublish {
    /// How far the push is, in milliseconds of media; it can be read while the push runs.
    #[must_use]
    pub fn position(&self) -> Arc<AtomicU64> {
        self.position.clone()
    }

    /// Sends the media, then says goodbye and waits until the server has read everything.
    ///
    /// # Errors
    /// The server ends the push, or the connection breaks.
    pub async fn run(mut self, cancel: CancellationToken) -> Result<Published, PublishError> {
        let started = clock::monotonic();
        let mut messages = 0;
        while !cancel.is_cancelled()
            && let Some(tag) = self.media.next()
        {
            let due = pace(tag.at_ms, self.speed);
            tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                ready = self.connection.ready_at(started, due) => ready?,
            }
            self.connection.send(&tag);
            self.position.store(tag.at_ms, Ordering::Relaxed);
            messages += 1;
        }
        let bytes = self.connection.finish().await?;
        Ok(Published {
            media_ms: self.media.position_ms(),
            messages,
            bytes,
        })
    }
}

/// When media of this time is due, counted from the start of the push.
fn pace(at_ms: u64, speed: f64) -> Duration {
    if speed == 0.0 {
        return Duration::ZERO;
    }
    let media = Duration::from_millis(at_ms);
    Duration::try_from_secs_f64(media.as_secs_f64() / speed).unwrap_or(Duration::MAX)
}

/// Seconds of a checked plan.
fn milliseconds(seconds: f64) -> u64 {
    let rounded = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    u64::try_from(rounded.as_millis()).unwrap_or(u64::MAX)
}

/// Whether a plan can work at all.
///
/// # Errors
/// The part of it that cannot.
pub fn check(plan: &PublishPlan) -> Result<(), PublishError> {
    let refuse = |what, problem| Err(PublishError::Plan { what, problem });
    // What stands in a URL must not end the part that it stands in.
    let breaks = |text: &str, more: &[char]| {
        text.contains(|c: char| c.is_whitespace() || c.is_control() || more.contains(&c))
    };
    if plan.domain.is_empty() || breaks(&plan.domain, &['?', '&', '/', '=', '#']) {
        return refuse("the domain", "must be a domain name");
    }
    if plan.app.is_empty() || breaks(&plan.app, &['?', '&', '#']) {
        return refuse("the app", "must be a name without spaces, ?, & and #");
    }
    if plan.stream.is_empty() || breaks(&plan.stream, &['?', '&', '#']) {
        return refuse("the stream", "must be a name without spaces, ?, & and #");
    }
    if plan
        .query
        .as_deref()
        .is_some_and(|query| breaks(query, &['?', '#']))
    {
        return refuse(
            "the query",
            "must be NAME=VALUE pairs joined by &, without ?",
        );
    }
    if let Some(seconds) = plan.seconds
        && !(seconds > 0.0 && seconds <= MAX_SECONDS)
    {
        return refuse(
            "the number of seconds",
            "must be above 0 and at most 4294967",
        );
    }
    if !(0.0..=MAX_SPEED).contains(&plan.speed) {
        return refuse(
            "the speed",
            "must be 0 (as fast as it goes) or a factor up to 1000",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests;
