//! Media for the console's players and downloads: a stored object's bytes, a stored recording as a fragmented MP4 whatever it is, and a
//! live stream. From this origin, so that the page needs no other; in pieces, so that a recording of a day takes no more memory than one
//! of a second.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::ask::{Ask, Outcome, Refused};
use super::ticket;
use crate::app::{App, Pieces, Watching};
use crate::live::fanout::Fanout;
use crate::live::fanout::log::Taken;
use crate::live::fanout::outgoing::Outgoing as Sending;
use crate::live::fanout::tape::{Coding, Form};
use crate::live::play::{PlayDoor, Refusal};
use crate::media::hls::read::{Entry, entries as listed_in, resolve};
use crate::media::playable::{Container, Playable};
use crate::model::stream_key::StreamKey;
use crate::objects::look::{Content, LookError, Object};
use crate::phrases::Phrase;
use crate::wire::outgoing::{Body, Outgoing};

/// Recordings that are made playable at a time: each holds some megabytes.
static PLAYING: Semaphore = Semaphore::const_new(16);
/// Live streams that are watched in consoles at a time; each holds a place and what is being sent.
static WATCHING: Semaphore = Semaphore::const_new(64);
/// Bytes of a live stream that are taken at a time.
const AT_ONCE: usize = 256 * 1024;
/// Bytes of a playlist that are read.
const MOST_PLAYLIST: u64 = 16 << 20;
/// A document among the objects must not become a document of this origin.
const SANDBOX: &str = "default-src 'none'; sandbox";

pub(super) fn unseen(error: &LookError) -> Refused {
    let (status, said) = match error {
        LookError::NoSuchBucket(name) => (404, Phrase::NoSuchBucket.with([("name", name)])),
        LookError::NoSuchKey(name) => (404, Phrase::NoSuchObject.with([("name", name)])),
        LookError::Refused(why) => (403, Phrase::StoreRefuses.with([("why", why)])),
        LookError::Failed(why) => (502, Phrase::StoreFails.with([("why", why)])),
    };
    Refused::new(status, said)
}

fn not_playable(why: impl std::fmt::Display) -> Refused {
    Refused::new(415, Phrase::NotPlayable.with([("why", &why)]))
}

fn named(ask: &Ask) -> Result<(String, String), Refused> {
    let needed = |name: &str| {
        ask.query(name)
            .map(str::to_owned)
            .ok_or_else(|| Refused::missing(name))
    };
    Ok((needed("bucket")?, needed("key")?))
}

/// What an object is shown as: media and pictures as what they are, texts as plain text, everything else as bytes to be saved.
fn shown_as(object: &Object) -> &'static str {
    let told = object.content_type.as_deref().unwrap_or_default();
    let told = told.split(';').next().unwrap_or_default().trim();
    for known in [
        "video/mp4",
        "audio/mp4",
        "audio/aac",
        "audio/mpeg",
        "video/webm",
        "image/jpeg",
        "image/png",
        "image/gif",
        "image/webp",
    ] {
        if told == known {
            return known;
        }
    }
    let is_text = told.starts_with("text/")
        || ["json", "xml", "mpegurl"]
            .iter()
            .any(|word| told.contains(word));
    if is_text && !told.contains("svg") {
        return "text/plain; charset=utf-8";
    }
    "application/octet-stream"
}

/// The first byte and the length that a `Range` asks for (RFC 9110 section 14.1.2); none: the whole. An unsatisfiable one is an error.
fn range(header: Option<&str>, size: u64) -> Result<Option<(u64, u64)>, ()> {
    let Some(spec) = header.and_then(|header| header.strip_prefix("bytes=")) else {
        return Ok(None);
    };
    // Several ranges, or what is none: the whole is an answer as well.
    let Some((first, last)) = spec.split_once('-').filter(|_| !spec.contains(',')) else {
        return Ok(None);
    };
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let (start, end) = match (number(first), number(last)) {
        (Some(start), end) if last.is_empty() || end.is_some_and(|end| end >= start) => (
            start,
            end.map_or(size, |end| end.saturating_add(1)).min(size),
        ),
        (None, Some(tail)) if first.trim().is_empty() => (size.saturating_sub(tail), size),
        _ => return Ok(None),
    };
    if start >= end {
        return Err(());
    }
    Ok(Some((start, end - start)))
}

/// An object's bytes.
pub(super) async fn object(ask: Ask) -> Outcome {
    ticket::admit(&ask)?;
    let (bucket, key) = named(&ask)?;
    let objects = &ask.app.services.objects;
    let facts = objects
        .facts(&bucket, &key)
        .await
        .map_err(|error| unseen(&error))?;
    let Ok(part) = range(ask.parts.header("range"), facts.size) else {
        return Ok(
            Outgoing::new(416, "text/plain; charset=utf-8", Body::Bytes(Bytes::new()))
                .header("content-range", format!("bytes */{}", facts.size)),
        );
    };
    let (start, length) = part.unwrap_or((0, facts.size));
    let content = objects
        .content(&bucket, &key, start, length)
        .await
        .map_err(|error| unseen(&error))?;
    let answer = Outgoing::new(
        if part.is_some() { 206 } else { 200 },
        shown_as(&facts),
        Body::Stream(content),
    )
    .header("accept-ranges", "bytes")
    .header("etag", format!("\"{}\"", facts.etag));
    let answer = match part {
        Some(_) => answer.header(
            "content-range",
            format!("bytes {start}-{}/{}", start + length - 1, facts.size),
        ),
        None => answer,
    };
    Ok(guarded(answer))
}

/// Nothing in it becomes a page of ours.
fn guarded(answer: Outgoing) -> Outgoing {
    answer
        .header("content-security-policy", SANDBOX)
        .header("x-content-type-options", "nosniff")
        .header("cross-origin-resource-policy", "same-origin")
        .header("cache-control", "no-store")
}

/// Objects of which one file is made.
enum Source {
    /// Fragments behind their head: they are such a file.
    Fragments(VecDeque<String>),
    /// Files of another container.
    Other(VecDeque<String>, Box<Playable>),
}

/// A file while it is made.
struct Making {
    app: Arc<App>,
    bucket: String,
    source: Source,
    /// The object that is being read.
    content: Option<Content>,
    ready: VecDeque<Bytes>,
    over: bool,
    _turn: SemaphorePermit<'static>,
}

impl Making {
    /// The next piece; none at the end.
    async fn next(&mut self) -> Option<Result<Bytes, Refused>> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Some(Ok(piece));
            }
            if self.over {
                return None;
            }
            if let Err(refused) = self.step().await {
                self.over = true;
                return Some(Err(refused));
            }
        }
    }

    async fn step(&mut self) -> Result<(), Refused> {
        let piece = match &mut self.content {
            Some(content) => content.next().await,
            None => None,
        };
        let ready = &mut self.ready;
        let mut sink = |made: Bytes| ready.push_back(made);
        if let Some(piece) = piece {
            let piece = piece.map_err(Refused::broken)?;
            match &mut self.source {
                Source::Fragments(_) => sink(piece),
                Source::Other(_, playable) => {
                    playable.feed(&piece, &mut sink).map_err(not_playable)?;
                }
            }
            return Ok(());
        }
        let next = match &mut self.source {
            Source::Fragments(keys) | Source::Other(keys, _) => keys.pop_front(),
        };
        if let Some(key) = next {
            let objects = &self.app.services.objects;
            let size = objects
                .facts(&self.bucket, &key)
                .await
                .map_err(|error| unseen(&error))?
                .size;
            let content = objects.content(&self.bucket, &key, 0, size).await;
            self.content = Some(content.map_err(|error| unseen(&error))?);
            return Ok(());
        }
        self.over = true;
        match &mut self.source {
            Source::Fragments(_) => Ok(()),
            Source::Other(_, playable) => {
                playable.finish(&mut sink).map_err(not_playable)?;
                if playable.has_begun() {
                    Ok(())
                } else {
                    Err(Refused::new(415, Phrase::NothingPlayable))
                }
            }
        }
    }
}

/// The objects of a playlist, from one of its entries on.
fn entries(playlist: &str, key: &str, from: usize) -> Result<Source, Refused> {
    let listed: Vec<Entry<'_>> = listed_in(playlist).collect();
    let place = |uri: &str| {
        resolve(key, uri)
            .ok_or_else(|| Refused::new(415, Phrase::OutsideOfBucket.with([("uri", &uri)])))
    };
    let mut keys = VecDeque::new();
    let mut map = None;
    for entry in listed.iter().skip(from) {
        if entry.map != map {
            // One file has one head: behind another one it cannot go on.
            if map.is_some() {
                break;
            }
            map = entry.map;
            keys.extend(map.map(place).transpose()?);
        }
        keys.push_back(place(entry.uri)?);
    }
    if keys.is_empty() {
        return Err(Refused::new(415, Phrase::NoSuchEntry));
    }
    Ok(match map {
        Some(_) => Source::Fragments(keys),
        None => Source::Other(keys, Box::new(Playable::new(Container::MpegTs))),
    })
}

async fn source(app: &App, bucket: &str, key: &str, from: usize) -> Result<Source, Refused> {
    let one = || VecDeque::from([key.to_owned()]);
    let ending = key.rsplit_once('.').map_or("", |(_, ending)| ending);
    match ending.to_ascii_lowercase().as_str() {
        "flv" => Ok(Source::Other(
            one(),
            Box::new(Playable::new(Container::Flv)),
        )),
        "ts" => Ok(Source::Other(
            one(),
            Box::new(Playable::new(Container::MpegTs)),
        )),
        "m3u8" => {
            let objects = &app.services.objects;
            let size = objects
                .facts(bucket, key)
                .await
                .map_err(|error| unseen(&error))?
                .size;
            if size > MOST_PLAYLIST {
                return Err(Refused::new(413, Phrase::PlaylistTooLong));
            }
            let mut content = objects
                .content(bucket, key, 0, size)
                .await
                .map_err(|error| unseen(&error))?;
            let mut text = Vec::new();
            while let Some(piece) = content.next().await {
                text.extend_from_slice(&piece.map_err(Refused::broken)?);
            }
            entries(&String::from_utf8_lossy(&text), key, from)
        }
        _ => Err(Refused::new(415, Phrase::NotMadePlayable)),
    }
}

/// A stored recording as a fragmented MP4.
pub(super) async fn play(ask: Ask) -> Outcome {
    ticket::admit(&ask)?;
    let (bucket, key) = named(&ask)?;
    let from = ask.number("from", 0..=1_000_000)?.unwrap_or(0);
    let turn = PLAYING.try_acquire();
    let turn = turn.map_err(|_| Refused::new(503, Phrase::TooManyPlay))?;
    let source = source(
        &ask.app,
        &bucket,
        &key,
        usize::try_from(from).unwrap_or(usize::MAX),
    )
    .await?;
    let mut making = Making {
        app: ask.app,
        bucket,
        source,
        content: None,
        ready: VecDeque::new(),
        over: false,
        _turn: turn,
    };
    // What cannot be played is told by the status, not by an answer that breaks off.
    let first = making.next().await.transpose()?.unwrap_or_default();
    making.ready.push_front(first);
    let pieces = stream::unfold(making, |mut making| async move {
        let piece = making.next().await?;
        let piece = piece.map_err(|refused| io::Error::other(refused.message));
        Some((piece, making))
    });
    let pieces: Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>> = Box::pin(pieces);
    Ok(guarded(Outgoing::new(
        200,
        "video/mp4",
        Body::Stream(pieces),
    )))
}

/// Keeps a stream here that another node has: it is fetched only while somebody watches it.
struct Fetched(Arc<Fanout>);

impl Fetched {
    fn keep(fanout: &Arc<Fanout>) -> Self {
        fanout.viewer_came();
        Self(fanout.clone())
    }
}

impl Drop for Fetched {
    fn drop(&mut self) {
        self.0.viewer_went();
    }
}

impl Watching for PlayDoor {
    fn watch<'a>(&'a self, key: &'a StreamKey) -> BoxFuture<'a, Result<Option<Pieces>, String>> {
        Box::pin(async move {
            match self.find(key).await {
                Ok(fanout) => Ok(Some(pieces(&fanout, Fetched::keep(&fanout)))),
                Err(Refusal::NotLive(_)) => Ok(None),
                Err(refusal) => Err(refusal.to_string()),
            }
        })
    }
}

/// What a stream shows from its newest key picture on. What is to be held meanwhile is given up with the pieces.
fn pieces(fanout: &Arc<Fanout>, held: impl Send + 'static) -> Pieces {
    let mut reader = fanout.tape(Form::Mp4, Coding::Plain).read();
    let mut out = Sending::default();
    Box::pin(stream::poll_fn(move |context| {
        // Until the stream is dropped.
        let _held = &held;
        loop {
            if let Some(bytes) = out.take(AT_ONCE) {
                return Poll::Ready(Some(Ok::<Bytes, io::Error>(bytes)));
            }
            if ready!(reader.poll_next(context, &mut out, AT_ONCE)) == Taken::Ended {
                return Poll::Ready(None);
            }
        }
    }))
}

/// A live stream as a fragmented MP4, from the newest key picture on, whichever node has it. Whoever looks at the console is no viewer: no rule
/// of playback holds for it, and no count is made of it, but for that of the stream here which another node has.
pub(super) async fn live(ask: Ask) -> Outcome {
    ticket::admit(&ask)?;
    let needed = |name: &str| ask.query(name).ok_or_else(|| Refused::missing(name));
    let domain = needed("domain")?.to_ascii_lowercase();
    let key = StreamKey::new(&domain, needed("app")?, needed("stream")?);
    let turn = WATCHING.try_acquire();
    let turn = turn.map_err(|_| Refused::new(503, Phrase::TooManyWatch))?;
    let made: Pieces = if let Some(publisher) = ask.app.hub.find(&key) {
        pieces(&publisher.fanout, turn)
    } else {
        let gone = || Refused::new(404, Phrase::StreamIsNotLive.with([("stream", &key)]));
        let fetched = ask.app.watch_elsewhere(&key).await;
        let fetched = fetched.map_err(Refused::broken)?.ok_or_else(gone)?;
        Box::pin(fetched.map(move |piece| {
            // Held until the stream is dropped.
            let _turn = &turn;
            piece
        }))
    };
    let answer = Outgoing::new(200, "video/mp4", Body::Stream(made));
    Ok(guarded(answer))
}
