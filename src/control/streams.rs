//! The streams being published now, and the built-in publisher.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{Outcome, Refused, fields};
use crate::app::App;
use crate::clock;
use crate::model::event;
use crate::model::stream_key::StreamKey;
use crate::model::wire_time;
use crate::publisher::{Clip, PublishPlan, publish as run_publisher};

pub(super) fn list(app: &App) -> Value {
    let now = app.services.clock.now();
    let streams: Vec<Value> = app
        .hub
        .publishers()
        .iter()
        .map(|p| {
            let bytes = p.bytes.load(std::sync::atomic::Ordering::Relaxed);
            let seconds = (now - p.since).max(1) as u64;
            json!({
                "domain": p.key.domain,
                "app": p.key.app,
                "stream": p.key.stream,
                "ingest_domain": p.ingest_domain,
                "client": p.address,
                "since": wire_time::to_api(p.since),
                "bytes": bytes,
                "frames": p.frames.load(std::sync::atomic::Ordering::Relaxed),
                "bitrate_kbps": bytes * 8 / seconds,
                "viewers": p.fanout.viewers(),
                "media": p.facts(),
                "recorder": p.recorder.view(),
            })
        })
        .collect();
    json!({"streams": streams})
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Publish {
    domain: String,
    #[serde(default = "live")]
    app: String,
    stream: String,
    clip: Option<String>,
    seconds: Option<f64>,
    speed: Option<f64>,
    query: Option<String>,
    /// Answer only when the push has ended.
    #[serde(default)]
    wait: bool,
}

fn live() -> String {
    "live".to_owned()
}

/// Publishes a clip through the RTMP port, as any client would.
pub(super) async fn publish(app: &App, body: Value) -> Outcome {
    let wanted: Publish = fields(body)?;
    let name = wanted.clip.as_deref().unwrap_or("h264_aac");
    let clip = match Clip::builtin(name) {
        Some(clip) => clip,
        None => {
            let path = PathBuf::from(name);
            // However long a file system takes, other requests are served meanwhile.
            let read = tokio::task::spawn_blocking(move || Clip::regular_file(&path)).await;
            read.map_err(Refused::broken)?
                .map_err(|error| Refused::bad(format!("clip: {error}")))?
        }
    };
    let speed = wanted.speed.unwrap_or(1.0);
    if !(0.0..=1000.0).contains(&speed)
        || wanted
            .seconds
            .is_some_and(|s| !(0.0..=604_800.0).contains(&s))
    {
        return Err(Refused::bad(
            "speed must be 0 to 1000 and seconds 0 to 604800",
        ));
    }
    // As fast as it goes and without an end would fill the disk.
    let seconds = match wanted.seconds {
        None if speed == 0.0 => Some(event::seconds(
            i64::try_from(clip.period_ms()).unwrap_or(i64::MAX),
        )),
        given => given,
    };
    let key = StreamKey::new(
        &wanted.domain.to_ascii_lowercase(),
        &wanted.app,
        &wanted.stream,
    );
    if app.hub.find(&key).is_some() {
        return Err(Refused::new(
            409,
            format!("{key} is being published already"),
        ));
    }
    let plan = PublishPlan {
        rtmp_addr: app
            .addresses()
            .rtmp
            .trim_start_matches("rtmp://")
            .to_owned(),
        domain: wanted.domain,
        app: wanted.app,
        stream: wanted.stream,
        query: wanted.query,
        clip,
        seconds,
        speed,
    };
    let mut run = tokio::spawn(async move { run_publisher(plan, CancellationToken::new()).await });
    if wanted.wait {
        let done = run.await.map_err(Refused::broken)?.map_err(Refused::bad)?;
        return Ok(
            json!({"published": key.to_string(), "media_ms": done.media_ms, "messages": done.messages, "bytes": done.bytes}),
        );
    }
    // The answer comes when the stream is there, or says why it is not.
    let began = clock::monotonic();
    loop {
        if app.hub.find(&key).is_some() {
            return Ok(json!({"publishing": key.to_string()}));
        }
        if let Some(ended) = clock::machine_timeout(Duration::from_millis(5), &mut run).await {
            let done = ended.map_err(Refused::broken)?.map_err(Refused::bad)?;
            return Ok(
                json!({"published": key.to_string(), "media_ms": done.media_ms, "messages": done.messages, "bytes": done.bytes}),
            );
        }
        if began.elapsed() > Duration::from_secs(10) {
            return Err(Refused::broken(
                "the publisher did not get through within 10 s",
            ));
        }
    }
}

/// Ends any publisher.
pub(super) async fn end(app: &App, domain: &str, app_name: &str, stream: &str) -> Outcome {
    let decode = |text: &str| {
        percent_encoding::percent_decode_str(text)
            .decode_utf8_lossy()
            .into_owned()
    };
    let key = StreamKey::new(
        &decode(domain).to_ascii_lowercase(),
        &decode(app_name),
        &decode(stream),
    );
    // What it has sent so far counts.
    app.hub.drain().await;
    let Some(publisher) = app.hub.find(&key) else {
        return Err(Refused::new(404, format!("{key} is not being published")));
    };
    publisher.kick();
    app.hub.unpublish(&publisher);
    Ok(json!({"ended": key.to_string()}))
}
