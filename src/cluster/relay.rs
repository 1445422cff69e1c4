//! Streams of other nodes for the players of this one. A stream is fetched once from the node that has it, over the nodes' own port, and fanned
//! out to all who watch it here, for as long as somebody does. Where its node stops or is lost, it goes on from the node that has it then.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use url::form_urlencoded;

use super::{Cluster, locked};
use crate::clock;
use crate::live::fanout::{Fanout, Held};
use crate::live::play::{Elsewhere, Refusal};
use crate::media::codec::unit;
use crate::media::flv::TagKind;
use crate::media::flv::read::{Item, TagReader};
use crate::media::flv::stream::TagStream;
use crate::media::frame::VideoCodec;
use crate::media::rtmp::Message;
use crate::model::stream_key::StreamKey;

/// Streams that a node fetches from others at a time.
const MOST: usize = 2_000;
/// How long a stream is fetched on that nobody watches any more.
const LINGER: Duration = Duration::from_secs(5);
/// Between two looks at whether somebody does.
const LOOK: Duration = Duration::from_millis(500);
/// Without a byte for so long, the way to the node is taken for lost: a publisher that sends nothing is cut off before.
const SILENCE: Duration = Duration::from_secs(12);
/// How long beyond a lease a stream is looked for whose node stopped or was lost.
const LOOKED_FOR: Duration = Duration::from_secs(10);
/// Between two looks for it.
const AGAIN: Duration = Duration::from_millis(200);
/// How long a node may still say that it has a stream which it has not any more.
const STALE: Duration = Duration::from_millis(1_500);
/// The header that names a publish.
const PUSH: &str = "x-localyun-push";

/// The streams that are fetched, and what of them is here.
#[derive(Default)]
pub(super) struct Relays(Mutex<HashMap<StreamKey, Arc<Fanout>>>);

/// How far a stream has come here.
#[derive(Default)]
struct Place {
    /// The publish that is read.
    push: String,
    /// The time of the newest frame, as players have it.
    last: Option<u32>,
    /// What is added to the times of this publish, so that they go on behind those of the one before.
    shift: Option<u32>,
    /// The same publish is read once more: what players have of it already is left out.
    is_again: bool,
}

/// Why reading ended.
enum End {
    /// The publish is over.
    Over,
    Lost(String),
    NobodyWatches,
}

impl Elsewhere for Cluster {
    fn fetch<'a>(
        &'a self,
        key: &'a StreamKey,
    ) -> BoxFuture<'a, Result<Option<Arc<Fanout>>, Refusal>> {
        Box::pin(self.fetch_stream(key))
    }
}

impl Cluster {
    async fn fetch_stream(&self, key: &StreamKey) -> Result<Option<Arc<Fanout>>, Refusal> {
        if let Some(fanout) = self.relays.find(key) {
            return Ok(Some(fanout));
        }
        let source = self.store().source_of(&key.hash()).await?;
        let inside = source
            .filter(|source| source.is_live)
            .and_then(|source| source.inside);
        let Some(inside) = inside.filter(|inside| !inside.is_empty()) else {
            return Ok(None);
        };
        let response = match self.peers.open(&inside, &path(key)).await {
            Ok(Some(response)) => response,
            Ok(None) => return Ok(None),
            Err(why) => {
                tracing::warn!(stream.key = %key, why, "a stream cannot be fetched from the node that has it");
                return Ok(None);
            }
        };
        let Some((fanout, is_new)) = self.relays.add(key, || self.app.hub.fanout()) else {
            return Err(Refusal::TooMany);
        };
        if is_new && let Some(me) = self.me.upgrade() {
            let (key, fanout) = (key.clone(), fanout.clone());
            tokio::spawn(async move {
                me.relay(&key, &fanout, response).await;
                fanout.close();
                me.relays.remove(&key, &fanout);
            });
        }
        Ok(Some(fanout))
    }
}

impl Relays {
    fn find(&self, key: &StreamKey) -> Option<Arc<Fanout>> {
        let found = locked(&self.0).get(key).cloned();
        found.filter(|fanout| !fanout.is_over())
    }

    /// Whoever comes first begins. None: there are too many.
    fn add(
        &self,
        key: &StreamKey,
        make: impl FnOnce() -> Arc<Fanout>,
    ) -> Option<(Arc<Fanout>, bool)> {
        let mut all = locked(&self.0);
        if let Some(fanout) = all.get(key).filter(|fanout| !fanout.is_over()) {
            return Some((fanout.clone(), false));
        }
        if all.len() >= MOST {
            return None;
        }
        let fanout = make();
        all.insert(key.clone(), fanout.clone());
        Some((fanout, true))
    }

    fn remove(&self, key: &StreamKey, fanout: &Arc<Fanout>) {
        let mut all = locked(&self.0);
        if all.get(key).is_some_and(|known| Arc::ptr_eq(known, fanout)) {
            all.remove(key);
        }
    }

    /// Each with how many watch it.
    pub(super) fn watched(&self) -> Vec<(StreamKey, usize)> {
        let all = locked(&self.0);
        let watched = all
            .iter()
            .map(|(key, fanout)| (key.clone(), fanout.viewers()));
        watched.collect()
    }
}

fn path(key: &StreamKey) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("domain", &key.domain)
        .append_pair("app", &key.app)
        .append_pair("stream", &key.stream)
        .finish();
    format!("/stream?{query}")
}

impl Cluster {
    /// Reads a stream from whichever node has it, until it is over or nobody watches it here.
    async fn relay(&self, key: &StreamKey, fanout: &Fanout, first: reqwest::Response) {
        tracing::debug!(stream.key = %key, "fetched from another node");
        let mut place = Place::default();
        let mut response = first;
        loop {
            let end = read(response, fanout, &mut place).await;
            let is_lost = match end {
                End::NobodyWatches => return,
                End::Over => false,
                End::Lost(why) => {
                    tracing::debug!(stream.key = %key, why, "the node that has the stream is not heard");
                    true
                }
            };
            match self.find_again(key, fanout, is_lost).await {
                Some(next) => response = next,
                None => return,
            }
        }
    }

    /// Where a stream goes on whose reading has ended.
    async fn find_again(
        &self,
        key: &StreamKey,
        fanout: &Fanout,
        is_lost: bool,
    ) -> Option<reqwest::Response> {
        let began = clock::monotonic();
        let patience = self.member.lease() + LOOKED_FOR;
        let hash = key.hash();
        let mut moves = is_lost;
        while began.elapsed() < patience && fanout.viewers() > 0 {
            let is_live = match self.store().source_of(&hash).await {
                Ok(Some(source)) => {
                    // Its owner stops, or is gone: whoever publishes it comes back elsewhere.
                    moves |= source.is_draining || source.inside.is_none();
                    if let Some(inside) = source.inside.filter(|_| source.is_live)
                        && let Ok(Some(response)) = self.peers.open(&inside, &path(key)).await
                    {
                        return Some(response);
                    }
                    source.is_live
                }
                Ok(None) => false,
                Err(_) => true,
            };
            if !moves && (!is_live || began.elapsed() >= STALE) {
                return None;
            }
            clock::machine_sleep(AGAIN).await;
        }
        None
    }
}

/// Reads one publish to its end.
async fn read(mut response: reqwest::Response, fanout: &Fanout, place: &mut Place) -> End {
    let push = response.headers().get(PUSH);
    let push = push.and_then(|push| push.to_str().ok()).unwrap_or_default();
    place.is_again = !push.is_empty() && place.push == push;
    if !place.is_again {
        place.push = push.to_owned();
        place.shift = None;
    }
    let mut tags = TagStream::new();
    let mut reader = Messages::default();
    let (mut heard, mut watched) = (clock::monotonic(), clock::monotonic());
    loop {
        let piece = clock::machine_timeout(LOOK, response.chunk()).await;
        if fanout.viewers() > 0 {
            watched = clock::monotonic();
        } else if watched.elapsed() >= LINGER {
            return End::NobodyWatches;
        }
        match piece {
            None if is_silent(heard) => return End::Lost("it sends nothing".to_owned()),
            None => continue,
            Some(Ok(Some(piece))) => {
                heard = clock::monotonic();
                tags.feed(&piece);
            }
            Some(Ok(None)) => return End::Over,
            Some(Err(error)) => return End::Lost(error.to_string()),
        }
        loop {
            match tags.next_tag() {
                Ok(Some(tag)) => {
                    let message = Message {
                        kind: tag.kind,
                        timestamp: tag.timestamp,
                        payload: tag.payload,
                    };
                    reader.pass(message, fanout, place);
                }
                Ok(None) => break,
                Err(error) => return End::Lost(error.to_string()),
            }
        }
        fanout.tick();
    }
}

fn is_silent(heard: Instant) -> bool {
    heard.elapsed() >= SILENCE
}

/// Passes messages of one publish on.
#[derive(Default)]
struct Messages {
    reader: TagReader,
    codec: Option<VideoCodec>,
}

impl Messages {
    fn pass(&mut self, message: Message, fanout: &Fanout, place: &mut Place) {
        let mut held = Held::default();
        let codec = &mut self.codec;
        let mut sink = |item: Item| match item {
            Item::Video { key, data, .. } => {
                held.picture = true;
                held.key |= match codec {
                    Some(codec) if *codec != VideoCodec::Mpeg4 => unit::is_key(*codec, &data, key),
                    _ => key,
                };
            }
            Item::Audio { .. } => held.sound = true,
            Item::VideoConfig(config) => {
                *codec = Some(config.codec);
                held.video_config = Some(config);
            }
            Item::AudioConfig(config) => held.audio_config = Some(config),
            Item::Metadata(_) => held.metadata = true,
            Item::Unsupported { .. } | Item::Ignored { .. } | Item::End { .. } => {}
        };
        let (kind, timestamp) = (message.kind, message.timestamp);
        let read = self
            .reader
            .read(kind, timestamp, message.payload.clone(), &mut sink);
        if read.is_err() || (held == Held::default() && kind != TagKind::Data) {
            return;
        }
        let is_frame = held.picture || held.sound;
        if let Some(timestamp) = place.time(timestamp, is_frame) {
            fanout.push(
                Message {
                    timestamp,
                    ..message
                },
                &held,
            );
        }
    }
}

impl Place {
    /// The time that players get. None: they have it already.
    fn time(&mut self, timestamp: u32, is_frame: bool) -> Option<u32> {
        let shift = match (self.shift, self.last) {
            (Some(shift), _) => shift,
            (None, None) => 0,
            // Another publish: it goes on where the one before ended.
            (None, Some(last)) => last.wrapping_add(1).wrapping_sub(timestamp),
        };
        let time = timestamp.wrapping_add(shift);
        if !is_frame {
            return Some(time);
        }
        self.shift = Some(shift);
        let behind = |last: u32| time.wrapping_sub(last).wrapping_sub(1) < u32::MAX / 2;
        if self.is_again {
            if !self.last.is_none_or(behind) {
                return None;
            }
            self.is_again = false;
        }
        if self.last.is_none_or(behind) {
            self.last = Some(time);
        }
        Some(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_publish_goes_on_behind_the_one_before_and_the_same_one_without_repetition() {
        let mut place = Place::default();
        assert_eq!(
            [40, 80].map(|at| place.time(at, true)),
            [Some(40), Some(80)]
        );
        // The same once more.
        place.is_again = true;
        assert_eq!(
            [40, 80, 120].map(|at| place.time(at, true)),
            [None, None, Some(120)]
        );
        assert_eq!(
            place.time(100, true),
            Some(100),
            "sound a little before the picture"
        );
        // Another one.
        (place.shift, place.is_again) = (None, false);
        assert_eq!(place.time(0, false), Some(121));
        assert_eq!(
            [5, 45].map(|at| place.time(at, true)),
            [Some(121), Some(161)]
        );
        // Times go round.
        let mut place = Place {
            last: Some(u32::MAX),
            ..Place::default()
        };
        assert_eq!([7, 8].map(|at| place.time(at, true)), [Some(0), Some(1)]);
    }
}
