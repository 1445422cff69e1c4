//! The streams being published now, and the built-in publisher.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::ask::{Ask, Outcome, Refused, answer, shown_name};
use super::listing::Listing;
use super::peer;
use crate::clock;
use crate::live::hub::{Live, LiveOf, Publisher};
use crate::live::ingest::admission;
use crate::model::domain_name;
use crate::model::event;
use crate::model::stream_key::StreamKey;
use crate::phrases::Phrase;
use crate::publisher::{Clip, PublishPlan, publish as run_publisher};
use crate::wire_time;

/// The place behind a stream, as `next` has it and `cursor` brings it back: no name holds a slash.
fn place(cursor: &str) -> Option<StreamKey> {
    let mut parts = cursor.splitn(3, '/');
    Some(StreamKey::new(parts.next()?, parts.next()?, parts.next()?))
}

/// A stream that is published here.
fn here(publisher: &Publisher) -> Value {
    json!({
        "domain": publisher.key.domain,
        "app": publisher.key.app,
        "stream": publisher.key.stream,
        "ingest_domain": publisher.ingest_domain,
        "client": publisher.address,
        "since": wire_time::to_api(publisher.since),
        "bytes": publisher.bytes.load(Ordering::Relaxed),
        "frames": publisher.frames.load(Ordering::Relaxed),
        "bitrate_kbps": publisher.bitrate_kbps(),
        "viewers": publisher.fanout.viewers(),
        "media": publisher.facts(),
        "recorder": publisher.recorder.view(),
    })
}

/// A stream of another node, as the database knows it: that node was silent when it was asked for what counts while it runs.
fn elsewhere(live: &Live) -> Value {
    json!({
        "domain": live.key.domain,
        "app": live.key.app,
        "stream": live.key.stream,
        "ingest_domain": live.ingest_domain,
        "client": live.address,
        "since": wire_time::to_api(live.since),
        "bytes": null,
        "frames": null,
        "bitrate_kbps": null,
        "viewers": null,
        "media": live.facts,
        "recorder": null,
    })
}

fn key_of(stream: &Value) -> Option<StreamKey> {
    let text = |name| stream.get(name)?.as_str();
    Some(StreamKey::new(
        text("domain")?,
        text("app")?,
        text("stream")?,
    ))
}

/// The streams of this node alone, for another one, and how many watch those of others here.
fn list_of_here(ask: &Ask, listing: &Listing, after: Option<&StreamKey>) -> Outcome {
    let mut all = ask.app.hub.publishers();
    all.retain(|it| {
        listing.takes(&it.key.domain, &it.key.app, &it.key.stream)
            && after.is_none_or(|after| it.key > *after)
    });
    let streams: Vec<Value> = all
        .iter()
        .take(listing.limit)
        .map(|it| here(it.as_ref()))
        .collect();
    let watched = ask.app.nodes().map(|nodes| nodes.watched());
    let watched: Vec<Value> = watched
        .unwrap_or_default()
        .into_iter()
        .map(|(key, viewers)| {
            json!({"domain": key.domain, "app": key.app, "stream": key.stream, "viewers": viewers})
        })
        .collect();
    answer(&json!({"streams": streams, "watched": watched}))
}

/// What other nodes told of their streams.
#[derive(Default)]
struct Others {
    streams: HashMap<(String, StreamKey), Value>,
    /// Who watches a stream on a node that does not have it.
    watched: HashMap<StreamKey, u64>,
    nodes: Vec<Value>,
}

impl Others {
    async fn of(ask: &Ask) -> Self {
        let query = ask.parts.query.as_str();
        let (said, nodes) = peer::others(ask, &format!("/_localyun/streams?{query}")).await;
        let mut others = Self {
            nodes,
            ..Self::default()
        };
        for (node, answer) in said {
            let list = |name| {
                answer
                    .get(name)
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
            };
            for stream in list("streams") {
                if let Some(key) = key_of(stream) {
                    others.streams.insert((node.clone(), key), stream.clone());
                }
            }
            for it in list("watched") {
                let viewers = it.get("viewers").and_then(Value::as_u64);
                if let (Some(key), Some(viewers)) = (key_of(it), viewers) {
                    *others.watched.entry(key).or_default() += viewers;
                }
            }
        }
        if let Some(nodes) = ask.app.nodes() {
            for (key, viewers) in nodes.watched() {
                *others.watched.entry(key).or_default() += viewers as u64;
            }
        }
        others
    }

    /// A stream with its node, and with its viewers on all nodes.
    fn complete(&self, mut stream: Value, key: &StreamKey, node: &str, answered: bool) -> Value {
        let Value::Object(fields) = &mut stream else {
            return stream;
        };
        fields.insert("node".to_owned(), node.into());
        fields.insert("answered".to_owned(), answered.into());
        if let (Some(viewers), Some(more)) = (
            fields.get("viewers").and_then(Value::as_u64),
            self.watched.get(key),
        ) {
            fields.insert("viewers".to_owned(), (viewers + more).into());
        }
        stream
    }
}

pub(super) async fn list(ask: Ask) -> Outcome {
    let listing = Listing::of(&ask)?;
    let after = listing.place(place)?;
    if ask.is_of_a_node {
        return list_of_here(&ask, &listing, after.as_ref());
    }
    let mut all = ask
        .app
        .hub
        .live(&LiveOf::All)
        .await
        .map_err(Refused::broken)?;
    all.retain(|p| {
        listing.takes(&p.key.domain, &p.key.app, &p.key.stream)
            && listing.since.is_none_or(|since| p.since >= since)
    });
    let total = all.len();
    if let Some(after) = after {
        all.retain(|p| p.key > after);
    }
    let next = (all.len() > listing.limit).then(|| listing.limit - 1);
    let next = next
        .and_then(|last| all.get(last))
        .map(|p| p.key.to_string());
    all.truncate(listing.limit);
    let own = ask.app.addresses().node.clone();
    let is_cluster = ask.app.nodes().is_some();
    let others = if is_cluster {
        Others::of(&ask).await
    } else {
        Others::default()
    };
    let mut streams = Vec::new();
    for live in &all {
        let publisher = match &live.elsewhere {
            None => ask.app.hub.find(&live.key),
            Some(_) => None,
        };
        let (stream, node, answered) = match (publisher, &live.elsewhere) {
            (Some(publisher), _) => (here(&publisher), own.as_str(), true),
            // It ended meanwhile.
            (None, None) => continue,
            (None, Some(there)) => {
                let told = others.streams.get(&(there.node.clone(), live.key.clone()));
                let stream = told.cloned().unwrap_or_else(|| elsewhere(live));
                (stream, there.node.as_str(), told.is_some())
            }
        };
        streams.push(if is_cluster {
            others.complete(stream, &live.key, node, answered)
        } else {
            stream
        });
    }
    let mut told = json!({"streams": streams, "total": total, "next": next});
    if let Value::Object(fields) = &mut told
        && is_cluster
    {
        fields.insert("nodes".to_owned(), others.nodes.into());
    }
    answer(&told)
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

/// Why a push of our own did not get through.
fn failed(why: impl std::fmt::Display) -> Refused {
    Refused::bad(Phrase::PublishFailed.with([("why", &why)]))
}

/// The stream that a push to a domain becomes: that of the streaming domain where the domain is an ingest domain.
async fn published_as(
    ask: &Ask,
    domain: &str,
    app: &str,
    stream: &str,
) -> Result<StreamKey, Refused> {
    let published_to = admission::domain_of_push(&ask.app.services, domain).await;
    let published_to = published_to.map_err(Refused::broken)?;
    Ok(StreamKey::new(&published_to, app, stream))
}

/// Publishes a clip through the RTMP port, as any client would.
pub(super) async fn publish(ask: Ask) -> Outcome {
    let wanted: Publish = ask.fields()?;
    let app = &ask.app;
    let name = wanted.clip.as_deref().unwrap_or("h264_aac");
    let clip = match Clip::builtin(name) {
        Some(clip) => clip,
        None => {
            let path = PathBuf::from(name);
            // However long a file system takes, other requests are served meanwhile.
            let read = tokio::task::spawn_blocking(move || Clip::regular_file(&path)).await;
            read.map_err(Refused::broken)?
                .map_err(|error| Refused::bad(Phrase::BadClip.with([("why", &error)])))?
        }
    };
    let speed = wanted.speed.unwrap_or(1.0);
    if !(0.0..=1000.0).contains(&speed)
        || wanted
            .seconds
            .is_some_and(|s| !(0.0..=604_800.0).contains(&s))
    {
        return Err(Refused::bad(Phrase::BadPace));
    }
    // As fast as it goes and without an end would fill the disk.
    let seconds = match wanted.seconds {
        None if speed == 0.0 => Some(event::seconds(
            i64::try_from(clip.period_ms()).unwrap_or(i64::MAX),
        )),
        given => given,
    };
    let asked = wanted.domain.trim_end_matches('.').to_ascii_lowercase();
    // The RTMP port would take another domain for one that is none.
    if !domain_name::is_valid(&asked) {
        let name = shown_name(&wanted.domain);
        return Err(Refused::bad(
            Phrase::BadStreamDomain.with([("name", &name)]),
        ));
    }
    let key = published_as(&ask, &asked, &wanted.app, &wanted.stream).await?;
    if app.hub.find(&key).is_some() {
        return Err(Refused::new(
            409,
            Phrase::StreamIsLive.with([("stream", &key)]),
        ));
    }
    let plan = PublishPlan {
        rtmp_addr: app
            .addresses()
            .rtmp
            .trim_start_matches("rtmp://")
            .to_owned(),
        domain: asked,
        app: wanted.app,
        stream: wanted.stream,
        query: wanted.query,
        clip,
        seconds,
        speed,
    };
    let mut run = tokio::spawn(async move { run_publisher(plan, CancellationToken::new()).await });
    if wanted.wait {
        let done = run.await.map_err(Refused::broken)?.map_err(failed)?;
        return answer(
            &json!({"published": key.to_string(), "media_ms": done.media_ms, "messages": done.messages, "bytes": done.bytes}),
        );
    }
    // The answer comes when the stream is there, or says why it is not.
    let began = clock::monotonic();
    loop {
        if app.hub.find(&key).is_some() {
            return answer(&json!({"publishing": key.to_string()}));
        }
        if let Some(ended) = clock::machine_timeout(Duration::from_millis(5), &mut run).await {
            let done = ended.map_err(Refused::broken)?.map_err(failed)?;
            return answer(
                &json!({"published": key.to_string(), "media_ms": done.media_ms, "messages": done.messages, "bytes": done.bytes}),
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
pub(super) async fn end(ask: Ask) -> Outcome {
    let app = &ask.app;
    let domain = ask.part(0).to_ascii_lowercase();
    let mut key = StreamKey::new(&domain, ask.part(1), ask.part(2));
    // What it has sent so far counts.
    app.hub.drain().await;
    if app.hub.find(&key).is_none() {
        key = published_as(&ask, &domain, ask.part(1), ask.part(2)).await?;
    }
    match app.hub.find(&key) {
        Some(publisher) => {
            publisher.kick();
            app.hub.unpublish(&publisher);
        }
        None => {
            let why = "the stream was ended by hand";
            let of = LiveOf::Name {
                app: key.app.clone(),
                stream: key.stream.clone(),
            };
            let cut = app.hub.cut_everywhere(&of, |live| live.key == key, why);
            let cut = cut.await.map_err(Refused::broken)?;
            if cut.of_all().map_err(Refused::silent)? == 0 {
                return Err(Refused::new(
                    404,
                    Phrase::NotPublished.with([("stream", &key)]),
                ));
            }
        }
    }
    answer(&json!({"ended": key.to_string()}))
}
