//! The shape that the queries over domains share: whom they ask about, the steps of their period, and how an answer begins.
//!
//! What they differ in, the names of their columns, stands in the files of the actions.

use serde::{Deserialize, Serialize};

use crate::actions::Context;
use crate::actions::statistics::span::{self, Span};
use crate::actions::statistics::subject;
use crate::clock::UnixMs;
use crate::error::ApiError;
use crate::model::figures::{Asked, MINUTE_MS};
use crate::wire_time::to_api;

/// Accepted without effect.
pub const IGNORES: &[(&str, &str)] = &[
    ("IspNameEn", "viewers on one machine come by no provider"),
    (
        "LocationNameEn",
        "viewers on one machine come from no region",
    ),
    ("RegionId", "there is one region"),
];

/// A query whose caller chooses the step. Without a name it is about all domains.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: Option<String>,
    pub start_time: Option<String>,
    pub end_time: Option<String>,
    pub interval: Option<String>,
}

/// A query by the minute.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct MinuteRequest {
    pub domain_name: String,
    pub start_time: Option<String>,
    pub end_time: Option<String>,
}

/// What every answer begins with: the domains in a comma list, the period as it was read, and the step in seconds.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Head {
    pub domain_name: String,
    pub start_time: String,
    pub end_time: String,
    pub data_interval: String,
}

impl Head {
    /// The head of an answer about these domains.
    pub fn new(domains: &[String], span: Span, step_ms: i64) -> Self {
        Self {
            domain_name: domains.join(","),
            start_time: to_api(span.from),
            end_time: to_api(span.to),
            data_interval: (step_ms / 1000).to_string(),
        }
    }
}

/// The steps of a period, oldest first.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Points<P> {
    pub data_module: Vec<P>,
}

impl<P> FromIterator<P> for Points<P> {
    fn from_iter<I: IntoIterator<Item = P>>(points: I) -> Self {
        Self {
            data_module: points.into_iter().collect(),
        }
    }
}

/// One step with one value.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Valued {
    pub time_stamp: String,
    pub value: String,
}

/// What an answer says of the bytes in a step.
#[derive(Debug, Clone, Copy)]
pub enum Measure {
    /// Bits a second: the mean of a step of five minutes or less, the peak of a longer one.
    Bandwidth,
    /// Bytes.
    Traffic,
}

/// A query as it was read.
#[derive(Debug)]
pub struct Query {
    domains: Vec<String>,
    span: Span,
    step_ms: i64,
    now: UnixMs,
}

impl Query {
    /// Reads a query whose caller chooses the step.
    ///
    /// # Errors
    /// Malformed or undeclared domains, and what [`Span::read`] refuses of the period: all are for the caller.
    pub async fn stepped(ctx: &Context, request: Request) -> Result<Self, ApiError> {
        let domains = subject::domains(ctx, request.domain_name).await?;
        let now = ctx.now();
        let (start, end) = (request.start_time.as_deref(), request.end_time.as_deref());
        Ok(Self {
            domains,
            span: Span::read(start, end, span::DOMAIN, now)?,
            step_ms: span::step(request.interval.as_deref()),
            now,
        })
    }

    /// Reads a query by the minute, of at most a day.
    ///
    /// # Errors
    /// As [`Query::stepped`].
    pub async fn by_the_minute(ctx: &Context, request: MinuteRequest) -> Result<Self, ApiError> {
        let domains = subject::domains(ctx, Some(request.domain_name)).await?;
        let now = ctx.now();
        let (start, end) = (request.start_time.as_deref(), request.end_time.as_deref());
        Ok(Self {
            domains,
            span: Span::read(start, end, span::REAL_TIME, now)?,
            step_ms: MINUTE_MS,
            now,
        })
    }

    /// The rows that the store is asked for.
    #[must_use]
    pub fn asked(&self) -> Asked {
        subject::of_domains(&self.domains, self.span, self.step_ms)
    }

    /// How the answer begins.
    #[must_use]
    pub fn head(&self) -> Head {
        Head::new(&self.domains, self.span, self.step_ms)
    }

    /// Where each step begins, up to now.
    pub fn steps(&self) -> impl Iterator<Item = UnixMs> {
        self.span.steps(self.step_ms, self.now)
    }

    /// The time and the value of each step, from bytes by the minute.
    fn series(
        &self,
        measure: Measure,
        bytes: impl IntoIterator<Item = (UnixMs, u64)>,
    ) -> Vec<(String, String)> {
        let (span, step_ms, now) = (self.span, self.step_ms, self.now);
        match measure {
            Measure::Bandwidth => span::bandwidth(span, step_ms, now, bytes)
                .into_iter()
                .map(|(at, bps)| (to_api(at), bps.to_string()))
                .collect(),
            Measure::Traffic => span::roll_up(span, step_ms, now, bytes)
                .into_iter()
                .map(|(at, bytes)| (to_api(at), bytes.to_string()))
                .collect(),
        }
    }

    /// What was pushed, step by step.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn brought(
        &self,
        ctx: &Context,
        measure: Measure,
    ) -> Result<Vec<(String, String)>, ApiError> {
        let bytes = ctx.services.meter.brought_bytes(&self.asked()).await?;
        Ok(self.series(measure, bytes))
    }

    /// What viewers were sent, step by step.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn sent(&self, ctx: &Context, measure: Measure) -> Result<Points<Valued>, ApiError> {
        let sent = ctx.services.meter.sent(&self.asked()).await?;
        let bytes = sent.iter().map(|sent| (sent.minute, sent.bytes));
        let points = self.series(measure, bytes).into_iter();
        Ok(points
            .map(|(time_stamp, value)| Valued { time_stamp, value })
            .collect())
    }

    /// What viewers were sent in all, over HTTP and over HTTPS, step by step.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn sent_by_transport(
        &self,
        ctx: &Context,
        measure: Measure,
    ) -> Result<Vec<(String, [String; 3])>, ApiError> {
        let sent = ctx.services.meter.sent(&self.asked()).await?;
        let [all, http, https] =
            subject::by_transport(&sent).map(|bytes| self.series(measure, bytes));
        let steps = all.into_iter().zip(http.into_iter().zip(https));
        Ok(steps
            .map(|((at, all), ((_, http), (_, https)))| (at, [all, http, https]))
            .collect())
    }
}
