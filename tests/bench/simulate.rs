//! A node of a cluster with streams that bring no media: all that PostgreSQL sees of a node under that many streams, and nothing that it does not.
//!
//!   simulate FIRST COUNT SLICE_SECONDS
//!
//! The settings come from the environment, as localyun's. The node is the real one, with its lease, its looks, its meter and its doors; streams
//! FIRST to FIRST + COUNT - 1 are let in as pushes are, spread over the length of a slice, and each commits a slice as often as its recorder
//! would, by the recorder's own function. What a recorder makes of media between the two, bytes on the disk and in the store, is left out; the
//! counters of what came in go on. A stream that is cut comes back after five seconds.
//!
//! Standard output has lines of JSON: the addresses; once all streams are in, that; and when standard input says `begin` or `end`, the figures so
//! far, of the time since `begin`.

use std::error::Error;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use localyun::testing::app::App;
use localyun::testing::clock::{machine_now, machine_sleep, monotonic};
use localyun::testing::config::{Raw, load};
use localyun::testing::live::worker::commit_slice;
use localyun::testing::model::recorded::SessionState;
use localyun::testing::model::rule::Format;
use localyun::testing::model::stream_key::{PushArgs, StreamKey};
use localyun::testing::server;
use localyun::testing::store::records::{SessionRow, SliceRow};
use serde_json::json;

const DOMAIN: &str = "play.simulated.example.com";
const INGEST: &str = "push.simulated.example.com";
const BUCKET: &str = "simulated";
const ENDPOINT: &str = "oss-cn-shanghai.aliyuncs.com";
/// What a stream brings a second: 2.5 Mbit/s, 25 pictures.
const BYTES: u64 = 312_500;
const FRAMES: u64 = 25;
const COMES_BACK_AFTER: Duration = Duration::from_secs(5);

type Outcome<T> = Result<T, Box<dyn Error>>;

#[derive(Default)]
struct Figures {
    slices: AtomicU64,
    failed: AtomicU64,
    published: AtomicU64,
    live: AtomicU64,
    /// Milliseconds that commits of slices took.
    took: Mutex<Vec<f32>>,
    /// The longest time that lay between two renewals of the lease, or lies since the last one, in milliseconds.
    gap_ms: AtomicU64,
}

impl Figures {
    fn took(&self) -> std::sync::MutexGuard<'_, Vec<f32>> {
        self.took.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self) {
        for counter in [&self.slices, &self.failed, &self.published, &self.gap_ms] {
            counter.store(0, Ordering::Relaxed);
        }
        self.took().clear();
    }

    fn shown(&self) -> serde_json::Value {
        let mut took = self.took().clone();
        took.sort_by(f32::total_cmp);
        let at = |part: f64| {
            let place = (part * took.len() as f64) as usize;
            took.get(place.min(took.len().saturating_sub(1))).copied()
        };
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        json!({
            "slices": of(&self.slices), "failed": of(&self.failed), "published": of(&self.published), "live": of(&self.live),
            "lease_gap_ms": of(&self.gap_ms), "slice_ms": {"p50": at(0.5), "p99": at(0.99), "max": at(1.0)},
        })
    }
}

fn say(line: &serde_json::Value) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

fn complain(key: &StreamKey, what: &str, error: &dyn std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{key}: {what}: {error}");
}

struct Stream {
    app: Arc<App>,
    figures: Arc<Figures>,
    key: StreamKey,
    every: Duration,
    sequence: i64,
}

impl Stream {
    fn session_row(&self, session: &str, started_at: i64, state: SessionState) -> SessionRow {
        SessionRow {
            id: session.to_owned(),
            stream_hash: self.key.hash(),
            domain: self.key.domain.clone(),
            app: self.key.app.clone(),
            stream: self.key.stream.clone(),
            bucket: BUCKET.to_owned(),
            endpoint: ENDPOINT.to_owned(),
            prefix: "record/{AppName}/{StreamName}/{UnixTimestamp}_{Sequence}".to_owned(),
            started_at,
            ended_at: machine_now(),
            state,
        }
    }

    fn slice_row(&self, session: &str) -> SliceRow {
        let ended_at = machine_now();
        let duration_ms = i64::try_from(self.every.as_millis()).unwrap_or(i64::MAX);
        let (app, stream, sequence) = (&self.key.app, &self.key.stream, self.sequence);
        SliceRow {
            id: format!("{session}:0:{sequence}"),
            stream_hash: self.key.hash(),
            session_id: session.to_owned(),
            sequence,
            bucket: BUCKET.to_owned(),
            endpoint: ENDPOINT.to_owned(),
            object: format!("record/{app}/{stream}/{}_{sequence}.ts", ended_at / 1000),
            started_at: ended_at - duration_ms,
            ended_at,
            duration_ms,
            uploaded_at: ended_at,
            discontinuity: false,
            width: 1920,
            height: 1080,
        }
    }

    /// Publishes, and commits slices until it is cut.
    async fn publish(&mut self) -> Outcome<()> {
        let services = self.app.services.clone();
        let args = PushArgs::default();
        let address = "127.0.0.1:40000".to_owned();
        let hub = &self.app.hub;
        let coming = hub.publish(self.key.clone(), INGEST.to_owned(), address, args);
        let publisher = coming.await?;
        self.figures.published.fetch_add(1, Ordering::Relaxed);
        self.figures.live.fetch_add(1, Ordering::Relaxed);
        publisher.note(|facts| {
            facts.video_codec = Some("h264".to_owned());
            facts.audio_codec = Some("aac".to_owned());
            (facts.width, facts.height, facts.frame_rate) = (1920, 1080, 25.0);
            (facts.sample_rate, facts.channels) = (44_100, 2);
        });
        let fence = services.store.fence(&self.key.hash());
        let session = publisher.push_id.clone();
        let started_at = machine_now();
        let row = self.session_row(&session, started_at, SessionState::Recording);
        services.store.put_session(row, &fence).await?;
        let mut due = monotonic();
        while !publisher.is_gone() {
            due += self.every;
            tokio::select! {
                () = publisher.kicked() => break,
                () = tokio::time::sleep_until(due.into()) => {}
            }
            let began = monotonic();
            let row = self.slice_row(&session);
            let size = BYTES * self.every.as_secs();
            let committed =
                commit_slice(&services, &self.key, row, (Format::M3u8, size), &fence).await;
            match committed {
                Ok(()) => {
                    self.sequence += 1;
                    self.figures.slices.fetch_add(1, Ordering::Relaxed);
                    let took = began.elapsed().as_secs_f32() * 1000.0;
                    self.figures.took().push(took);
                }
                Err(error) => {
                    complain(&self.key, "a slice is not committed", &error);
                    self.figures.failed.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        hub.unpublish(&publisher);
        self.figures.live.fetch_sub(1, Ordering::Relaxed);
        let row = self.session_row(&session, started_at, SessionState::Paused);
        services.store.put_session(row, &fence).await?;
        Ok(())
    }

    async fn run(mut self) {
        loop {
            if let Err(error) = self.publish().await {
                complain(&self.key, "it comes again", &*error);
                self.figures.failed.fetch_add(1, Ordering::Relaxed);
            }
            machine_sleep(COMES_BACK_AFTER).await;
        }
    }
}

/// What comes in of all streams, each second; and how old the lease became, looked at between two renewals.
async fn count(app: Arc<App>, figures: Arc<Figures>) {
    let mut rounds = 0_u64;
    loop {
        machine_sleep(Duration::from_millis(20)).await;
        if let Some(member) = app.services.store.member() {
            let age = member.lease().saturating_sub(member.left());
            let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
            figures.gap_ms.fetch_max(age, Ordering::Relaxed);
        }
        rounds += 1;
        if rounds.is_multiple_of(50) {
            for publisher in app.hub.publishers() {
                publisher.alive(FRAMES, BYTES);
            }
        }
    }
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let number = |at: usize| {
        let given = std::env::args().nth(at).and_then(|text| text.parse().ok());
        given.ok_or("simulate FIRST COUNT SLICE_SECONDS")
    };
    let (first, count_of, seconds): (u64, u64, u64) = (number(1)?, number(2)?, number(3)?);
    let config = load(&Raw::default(), |name| std::env::var(name).ok())?;
    let running = server::start(config).await?;
    let app = running.app().clone();
    app.hub.make_room(usize::try_from(count_of)? + 100);
    say(&json!({"api": running.here.api, "pid": std::process::id()}))?;
    let figures = Arc::new(Figures::default());
    let every = Duration::from_secs(seconds);
    for at in 0..count_of {
        let stream = Stream {
            app: app.clone(),
            figures: figures.clone(),
            key: StreamKey::new(DOMAIN, "live", &format!("s{}", first + at)),
            every,
            sequence: 0,
        };
        // No more at a time than a crowd of encoders that comes back.
        let later = Duration::from_secs(30) * u32::try_from(at)? / u32::try_from(count_of)?;
        tokio::spawn(async move {
            machine_sleep(later).await;
            stream.run().await;
        });
    }
    tokio::spawn(count(app.clone(), figures.clone()));
    while figures.live.load(Ordering::Relaxed) < count_of {
        machine_sleep(Duration::from_millis(100)).await;
    }
    say(&json!({"live": count_of}))?;
    let listening = tokio::task::spawn_blocking(move || -> std::io::Result<()> {
        for word in std::io::stdin().lines() {
            if word? == "begin" {
                figures.begin();
            }
            say(&figures.shown())?;
        }
        Ok(())
    });
    listening.await??;
    Ok(())
}
