//! Numbers for `GET /metrics`, in Prometheus text.

use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    action: &'static str,
    code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfFormat {
    format: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPlayer {
    player: &'static str,
}

/// The service's counters.
pub struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    callbacks: Family<Outcome, Counter>,
    files: Family<OfFormat, Counter>,
    slices: Counter,
    uploaded: Counter<u64, AtomicU64>,
    publishers: Gauge<i64, AtomicI64>,
    recorders: Gauge<i64, AtomicI64>,
    media_bytes: Counter<u64, AtomicU64>,
    refused: Counter,
    upload_retries: Counter,
    viewers: Family<OfPlayer, Gauge<i64, AtomicI64>>,
    played_bytes: Counter<u64, AtomicU64>,
    play_skips: Counter<u64, AtomicU64>,
    upstream_calls: Family<Outcome, Counter>,
    upstream_seconds: Histogram,
    cassette_calls: Family<Outcome, Counter>,
    taken_over: Counter,
    fenced: Counter,
    mirror_lag: Gauge<i64, AtomicI64>,
    mirrored: Counter<u64, AtomicU64>,
    lease_left: Gauge<i64, AtomicI64>,
}

/// What became of a call that went to the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forwarded {
    /// It was answered with a 2xx.
    Answered,
    /// It was answered with an error of the upstream's.
    Refused,
    /// There was no answer that could be passed on.
    Failed,
}

/// What became of a call and the cassette.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cassette {
    Kept,
    /// It could not be kept.
    Lost,
    /// It was answered from there.
    Replayed,
    /// No recorded call fits.
    Missed,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("localyun");
        let metrics = Self {
            requests: Family::default(),
            callbacks: Family::default(),
            files: Family::default(),
            slices: Counter::default(),
            uploaded: Counter::default(),
            publishers: Gauge::default(),
            recorders: Gauge::default(),
            media_bytes: Counter::default(),
            refused: Counter::default(),
            upload_retries: Counter::default(),
            viewers: Family::default(),
            played_bytes: Counter::default(),
            play_skips: Counter::default(),
            upstream_calls: Family::default(),
            // From 1 ms to 65 s.
            upstream_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 17)),
            cassette_calls: Family::default(),
            taken_over: Counter::default(),
            fenced: Counter::default(),
            mirror_lag: Gauge::default(),
            mirrored: Counter::default(),
            lease_left: Gauge::default(),
            registry: Registry::default(),
        };
        registry.register(
            "api_requests",
            "API requests by action and outcome",
            metrics.requests.clone(),
        );
        registry.register(
            "callback_attempts",
            "Callback requests by result",
            metrics.callbacks.clone(),
        );
        registry.register(
            "files",
            "Recording files announced, by format",
            metrics.files.clone(),
        );
        registry.register("slices", "Slices uploaded", metrics.slices.clone());
        registry.register(
            "uploaded_bytes",
            "Bytes put into the object store",
            metrics.uploaded.clone(),
        );
        registry.register(
            "publishers",
            "Streams being published now",
            metrics.publishers.clone(),
        );
        registry.register(
            "recorders",
            "Streams whose recorder is kept: those that are there, and some that were",
            metrics.recorders.clone(),
        );
        registry.register(
            "media_bytes",
            "Media bytes received",
            metrics.media_bytes.clone(),
        );
        registry.register("publish_refused", "Pushes refused", metrics.refused.clone());
        registry.register(
            "upload_retries",
            "Uploads that had to be tried again",
            metrics.upload_retries.clone(),
        );
        registry.register(
            "viewers",
            "Players that watch now, by how",
            metrics.viewers.clone(),
        );
        registry.register(
            "played_bytes",
            "Bytes sent to players",
            metrics.played_bytes.clone(),
        );
        registry.register(
            "play_skips",
            "Times that a player fell behind and went on at a later key frame",
            metrics.play_skips.clone(),
        );
        registry.register(
            "upstream_calls",
            "Calls that were forwarded, by result",
            metrics.upstream_calls.clone(),
        );
        registry.register(
            "upstream_seconds",
            "Time that forwarded calls took",
            metrics.upstream_seconds.clone(),
        );
        registry.register(
            "cassette_calls",
            "Calls that were kept in the cassette or answered from it, by result",
            metrics.cassette_calls.clone(),
        );
        registry.register(
            "cluster_streams_taken_over",
            "Streams whose owner had died and that this node took",
            metrics.taken_over.clone(),
        );
        registry.register(
            "cluster_fenced",
            "Streams whose work was dropped because another node has them",
            metrics.fenced.clone(),
        );
        registry.register(
            "cluster_mirror_lag_milliseconds",
            "Age of the oldest recorded bytes that are not in the mirror yet",
            metrics.mirror_lag.clone(),
        );
        registry.register(
            "cluster_mirrored_bytes",
            "Bytes put into the mirror",
            metrics.mirrored.clone(),
        );
        registry.register(
            "cluster_lease_left_milliseconds",
            "What is left of this node's lease",
            metrics.lease_left.clone(),
        );
        Self {
            registry,
            ..metrics
        }
    }
}

impl Metrics {
    /// Counts an API request. Unknown action names share one label, so that callers cannot grow the table.
    pub fn request(&self, action: &'static str, code: &'static str) {
        let request = Request { action, code };
        self.requests.get_or_create(&request).inc();
    }

    pub fn callback(&self, success: bool) {
        self.callbacks
            .get_or_create(&Outcome {
                result: if success { "success" } else { "failed" },
            })
            .inc();
    }

    pub fn file(&self, format: &'static str, bytes: u64) {
        self.files.get_or_create(&OfFormat { format }).inc();
        self.uploaded.inc_by(bytes);
    }

    pub fn slice(&self, bytes: u64) {
        self.slices.inc();
        self.uploaded.inc_by(bytes);
    }

    pub fn publisher_came(&self) {
        self.publishers.inc();
    }

    pub fn publisher_went(&self) {
        self.publishers.dec();
    }

    pub fn recorders(&self, count: usize) {
        self.recorders.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    pub fn media(&self, bytes: u64) {
        self.media_bytes.inc_by(bytes);
    }

    pub fn publish_refused(&self) {
        self.refused.inc();
    }

    pub fn upload_retry(&self) {
        self.upload_retries.inc();
    }

    pub fn viewer_came(&self, player: &'static str) {
        self.viewers.get_or_create(&OfPlayer { player }).inc();
    }

    pub fn viewer_went(&self, player: &'static str) {
        self.viewers.get_or_create(&OfPlayer { player }).dec();
    }

    pub fn played(&self, bytes: u64) {
        self.played_bytes.inc_by(bytes);
    }

    pub fn play_skipped(&self, skips: u64) {
        self.play_skips.inc_by(skips);
    }

    pub fn forwarded(&self, became: Forwarded, took: Duration) {
        let result = match became {
            Forwarded::Answered => "answered",
            Forwarded::Refused => "refused",
            Forwarded::Failed => "failed",
        };
        self.upstream_calls.get_or_create(&Outcome { result }).inc();
        self.upstream_seconds.observe(took.as_secs_f64());
    }

    pub fn cassette(&self, became: Cassette) {
        let result = match became {
            Cassette::Kept => "kept",
            Cassette::Lost => "lost",
            Cassette::Replayed => "replayed",
            Cassette::Missed => "missed",
        };
        self.cassette_calls.get_or_create(&Outcome { result }).inc();
    }

    pub fn taken_over(&self, streams: u64) {
        self.taken_over.inc_by(streams);
    }

    pub fn fenced(&self) {
        self.fenced.inc();
    }

    pub fn mirror_lag(&self, lag: std::time::Duration) {
        self.mirror_lag
            .set(i64::try_from(lag.as_millis()).unwrap_or(i64::MAX));
    }

    pub fn mirrored(&self, bytes: u64) {
        self.mirrored.inc_by(bytes);
    }

    pub fn lease_left(&self, left: std::time::Duration) {
        self.lease_left
            .set(i64::try_from(left.as_millis()).unwrap_or(i64::MAX));
    }

    /// The Prometheus text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        if prometheus_client::encoding::text::encode(&mut text, &self.registry).is_err() {
            text.clear();
        }
        text
    }
}
