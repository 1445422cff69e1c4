//! The RTMP listener: sockets on one side, the RTMP session, the tag reader and the hub on the other.
//!
//! A publisher's socket is read in ticks and in large blocks, which a viewer does not notice, and always until it is empty: unread
//! bytes at close would make the kernel reset the connection and lose the tail of a fast push.

pub mod admission;
mod foreign;
pub mod kept_out;
mod player;
mod socket;
mod unreadable_track;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::clock::{self, Beat, Busy, Clock, Listener, UnixMs};
use crate::disk::laid::Laid;
use crate::faults::Boundary;
use crate::live::fanout::Held;
use crate::live::hub::{Hub, Publisher};
use crate::live::play::PlayDoor;
use crate::media::access_unit::Arrived;
use crate::media::codec::unit;
use crate::media::flv::read::{Item, TagReader};
use crate::media::frame::{Frame, Track, VideoCodec};
use crate::media::rtmp::server::{Event, Fed, ServerSession};
use crate::media::rtmp::{Limits, Message, RtmpError, TagKind};
use player::Watching;
use socket::{BLOCK, Landing, Socket};
use unreadable_track::Unreadable;

/// Between two looks at a publisher's socket; all publishers' looks come together.
const TICK: Duration = Duration::from_millis(100);
/// Bytes that are read before other work of the connection gets its turn.
const TURN: usize = 1 << 20;
/// Machine time that a connection may last on which nothing is published.
const PUBLISH_DEADLINE: Duration = Duration::from_secs(15);
/// A publisher that sends no media for this long, on the service clock, is cut off.
const SILENT_MS: i64 = 10_000;
/// Machine time that a live publisher is given to show itself when the clock was advanced over its silence.
const SHOW_YOURSELF: Duration = Duration::from_millis(1_200);
/// How long a peer may leave unread what it was sent.
const READ_PATIENCE: Duration = Duration::from_secs(5);
/// The status of a push that is not allowed.
const DENIED: &str = "NetStream.Publish.Denied";
/// Connections at a time.
const MAX_CONNECTIONS: usize = 12_000;
/// When it was told last that a connection broke a rule while it published nothing, in milliseconds of machine time.
static BREACH_TOLD: AtomicI64 = AtomicI64::new(i64::MIN);

/// Accepts connections for ever.
pub async fn run(
    listener: TcpListener,
    hub: Arc<Hub>,
    door: Arc<PlayDoor>,
    default_domain: Option<String>,
) {
    let open = Arc::new(AtomicUsize::new(0));
    let default_domain: Option<Arc<str>> = default_domain.map(Into::into);
    let beat = Beat::new(TICK);
    let doors = Doors {
        hub,
        door,
        open,
        default_domain,
        beat: beat.clone(),
    };
    tokio::select! {
        () = accept(&listener, &doors) => {}
        () = beat.run() => {}
    }
}

/// What every connection is given.
#[derive(Clone)]
struct Doors {
    hub: Arc<Hub>,
    door: Arc<PlayDoor>,
    open: Arc<AtomicUsize>,
    default_domain: Option<Arc<str>>,
    beat: Arc<Beat>,
}

async fn accept(listener: &TcpListener, doors: &Doors) {
    let hub = &doors.hub;
    let (id, mut drain) = hub.connected();
    loop {
        let accepted = tokio::select! {
            biased;
            accepted = listener.accept() => accepted,
            _ = drain.changed() => {
                let request = *drain.borrow_and_update();
                while let Some(Ok((socket, peer))) = accept_waiting(listener).await {
                    start(doors, socket, peer);
                }
                hub.drained(id, request);
                continue;
            }
        };
        match accepted {
            Ok((socket, peer)) => start(doors, socket, peer),
            Err(error) => {
                // Out of descriptors, as a rule: others may go on, new ones wait.
                tracing::warn!(%error, "a connection cannot be accepted");
                clock::machine_sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn accept_waiting(listener: &TcpListener) -> Option<io::Result<(TcpStream, SocketAddr)>> {
    tokio::select! {
        biased;
        accepted = listener.accept() => Some(accepted),
        () = std::future::ready(()) => None,
    }
}

fn start(doors: &Doors, socket: TcpStream, peer: SocketAddr) {
    let Doors {
        hub,
        door,
        open,
        default_domain,
        beat,
    } = doors.clone();
    if hub.is_stopping() || open.load(Ordering::Acquire) >= MAX_CONNECTIONS {
        return;
    }
    open.fetch_add(1, Ordering::AcqRel);
    let _ = socket.set_nodelay(true);
    let (id, drain) = hub.connected();
    tokio::spawn(async move {
        let mut connection = Connection {
            id,
            idle_since: clock::monotonic(),
            heard: Heard::now(&hub.services().clock),
            session: ServerSession::new(Limits::default(), id),
            reader: TagReader::new(),
            left: Vec::new(),
            laid: Vec::new(),
            publisher: None,
            socket: Socket::Watched(socket),
            peer,
            hub: hub.clone(),
            door,
            watching: None,
            codec: None,
            default_domain,
            broken_tags: 0,
            unreadable: Unreadable::default(),
            beat,
            ticks: None,
        };
        let end = connection.serve(drain).await;
        connection.leave();
        hub.disconnected(id);
        open.fetch_sub(1, Ordering::AcqRel);
        let peer = connection.peer;
        let watching = end.and_then(|watching| {
            let watching = watching.map(|watching| connection.watch(watching));
            watching.transpose()
        });
        match watching {
            // From here on it is one of the viewers, of which there may be far more than connections.
            Ok(Some(sending)) => drop(tokio::spawn(sending)),
            Ok(None) => {}
            Err(end) => tracing::debug!(%peer, %end, "connection ended"),
        }
    });
}

struct Connection {
    /// As the hub knows it.
    id: u64,
    /// Since when nothing is published; of no meaning while something is.
    idle_since: Instant,
    heard: Heard,
    session: ServerSession,
    reader: TagReader,
    /// Bytes that were no whole chunk yet.
    left: Vec<u8>,
    /// Payloads that reached the disk, on their way to the fan-out; empty between two turns.
    laid: Vec<Laid>,
    publisher: Option<Arc<Publisher>>,
    socket: Socket,
    peer: SocketAddr,
    hub: Arc<Hub>,
    door: Arc<PlayDoor>,
    /// A play that was just let in.
    watching: Option<Watching>,
    /// Of the pictures that are published.
    codec: Option<VideoCodec>,
    default_domain: Option<Arc<str>>,
    broken_tags: u64,
    unreadable: Unreadable,
    beat: Arc<Beat>,
    /// While it publishes.
    ticks: Option<Listener>,
}

/// When the publisher last brought media, or was let in.
struct Heard {
    at: UnixMs,
    /// The same in machine time.
    since: Instant,
}

impl Heard {
    fn now(clock: &Clock) -> Self {
        Self {
            at: clock.now(),
            since: clock::monotonic(),
        }
    }

    /// When it is silent for too long.
    fn silent_at(&self) -> UnixMs {
        self.at + SILENT_MS
    }
}

/// Sleeps until then, and is registered: from here on an advance of the clock stops there.
async fn sleeping_until(clock: &Clock, due: UnixMs) -> BoxFuture<'_, Busy> {
    let mut sleeping: BoxFuture<'_, Busy> = Box::pin(clock.sleep_until(due));
    tokio::select! {
        biased;
        over = &mut sleeping => {
            drop(over);
            Box::pin(clock.sleep_until(clock.now() + SILENT_MS))
        }
        () = std::future::ready(()) => sleeping,
    }
}

/// What one look at the socket brought.
enum Look {
    /// More may be there.
    More,
    /// The socket is empty.
    Empty,
    Closed,
}

impl Connection {
    /// Until the connection is over, or a player was let in.
    async fn serve(&mut self, mut drain: watch::Receiver<u64>) -> Result<Option<Watching>, String> {
        let service_clock = self.hub.services().clock.clone();
        let mut heard = false;
        // While it publishes alone: woken while a publish waits at the gate it would count as work, and whoever closed the gate waits for all work.
        let mut silent: Option<BoxFuture<'_, Busy>> = None;
        let mut more = false;
        loop {
            let publisher = self.publisher.clone();
            let kicked = async {
                match &publisher {
                    Some(publisher) => publisher.kicked().await,
                    None => std::future::pending().await,
                }
            };
            let falls_silent = async {
                match &mut silent {
                    Some(silent) => silent.await,
                    None => std::future::pending().await,
                }
            };
            let waited_out = PUBLISH_DEADLINE.saturating_sub(self.idle_since.elapsed());
            let mut request = None;
            let mut fell_due: Option<Busy> = None;
            tokio::select! {
                biased;
                changed = drain.changed() => {
                    changed.map_err(|_| "the service ends")?;
                    request = Some(*drain.borrow_and_update());
                }
                () = kicked => {
                    match publisher.as_ref().and_then(|publisher| publisher.cut_because()) {
                        Some(why) => self.session.refuse_publish(DENIED, why),
                        None => self.session.close_publish("NetStream.Unpublish.Success", "closed by the service"),
                    }
                    let _ = self.write().await;
                    return Err("kicked".to_owned());
                }
                busy = falls_silent => fell_due = Some(busy),
                ready = self.next_look(more) => ready.map_err(|e| e.to_string())?,
                () = clock::machine_sleep(waited_out), if publisher.is_none() => {
                    return Err("nothing published in time".to_owned());
                }
            }
            let look = loop {
                match self.look(request.is_some()).await? {
                    (Look::More, media) if request.is_some() => heard |= media,
                    (look, media) => {
                        heard |= media;
                        break look;
                    }
                }
            };
            if self.publisher.as_ref().is_some_and(|it| it.is_gone()) {
                // It was taken off meanwhile, and what came behind that is not recorded: nothing may tell the peer that it arrived.
                drop(self.session.take_output());
            }
            self.write().await?;
            if let Some(watching) = self.watching.take() {
                // It brings no media that a drain would have to wait for.
                return Ok(Some(watching));
            }
            if std::mem::take(&mut heard) {
                self.heard = Heard::now(&service_clock);
            }
            if let Some(busy) = fell_due {
                if self.publisher.is_some()
                    && service_clock.now() >= self.heard.silent_at()
                    && !self.shows_itself().await?
                {
                    drop(busy);
                    return Err("silent for too long".to_owned());
                }
                if service_clock.now() >= self.heard.silent_at() {
                    self.heard = Heard::now(&service_clock);
                }
                // Before the guard goes.
                silent = Some(sleeping_until(&service_clock, self.heard.silent_at()).await);
                drop(busy);
            }
            if self.publisher.is_none() {
                silent = None;
            } else if silent.is_none() {
                silent = Some(sleeping_until(&service_clock, self.heard.silent_at()).await);
            }
            if self.publisher.is_some() == self.socket.is_watched() {
                self.change_watch().map_err(|e| e.to_string())?;
            }
            if let Some(publisher) = self.publisher.clone() {
                self.hold_back(&publisher).await;
                if let Some(request) = request {
                    publisher.recorder.flush();
                    self.hub.drained(self.id, request);
                }
            } else if let Some(request) = request {
                self.hub.drained(self.id, request);
            }
            match look {
                Look::More => more = true,
                Look::Empty => more = false,
                Look::Closed => return Ok(None),
            }
        }
    }

    /// Waits until it is time to look at the socket: at once while there is more, else at the next tick of a publisher, and when
    /// something comes from anybody else.
    async fn next_look(&self, more: bool) -> io::Result<()> {
        match &self.ticks {
            _ if more => tokio::task::yield_now().await,
            Some(ticks) => ticks.next().await,
            None => return self.socket.readable().await,
        }
        Ok(())
    }

    /// A publisher is looked at in ticks; anybody else is to be noticed at once.
    fn change_watch(&mut self) -> io::Result<()> {
        if self.publisher.is_some() {
            self.ticks = Some(self.beat.listen());
            self.socket.stop_watching()
        } else {
            self.ticks = None;
            self.socket.watch()
        }
    }

    /// The clock was moved over a publisher's silence: one that is alive shows itself within a moment of machine time.
    async fn shows_itself(&mut self) -> Result<bool, String> {
        let last_heard = self.heard.since;
        if last_heard.elapsed() >= Duration::from_millis(u64::try_from(SILENT_MS).unwrap_or(0)) {
            return Ok(false);
        }
        let left = SHOW_YOURSELF.saturating_sub(last_heard.elapsed().min(SHOW_YOURSELF / 2));
        let until = clock::monotonic() + left;
        loop {
            match self.look(false).await? {
                (_, true) => return Ok(true),
                (Look::Closed, _) => return Ok(false),
                _ if clock::monotonic() >= until => return Ok(false),
                _ => clock::machine_sleep(Duration::from_millis(5)).await,
            }
        }
    }

    /// Reads what the socket has, up to a turn's worth, and works it off. The flag: media was among it. A `thorough` look asks
    /// once more after the last bytes, to see whether the peer has closed behind them.
    async fn look(&mut self, thorough: bool) -> Result<(Look, bool), String> {
        let (mut read, mut media) = (0, false);
        let mut landing = Landing::with(&self.left);
        self.left.clear();
        loop {
            let look = match self.socket.read(&mut landing) {
                Ok(0) => Some(Look::Closed),
                Ok(n) => {
                    read += n;
                    let mut input = landing.as_slice();
                    loop {
                        let fed = self.session.feed(&mut input);
                        media |= self.work_off().await;
                        match fed {
                            Ok(Fed::All) => break,
                            Ok(Fed::UntilAnswered) => {}
                            Err(error) => {
                                let first = input.to_vec();
                                return Err(self.broken_off(&error, &first).await);
                            }
                        }
                    }
                    let taken = landing.len() - input.len();
                    landing.drain(..taken);
                    let empty = (n < BLOCK && !thorough).then_some(Look::Empty);
                    empty.or((read >= TURN).then_some(Look::More))
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Some(Look::Empty),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => None,
                // A reset ends the push like a close does; what arrived before it counts.
                Err(error) => {
                    tracing::debug!(%error, peer = %self.peer, "the connection was reset");
                    Some(Look::Closed)
                }
            };
            if let Some(look) = look {
                self.left.extend_from_slice(&landing);
                return Ok((look, media));
            }
        }
    }

    /// The peer speaks no RTMP, or breaks its rules: whoever looks for the reason finds it in the log.
    async fn broken_off(&mut self, error: &RtmpError, first: &[u8]) -> String {
        if let Some(publisher) = &self.publisher {
            tracing::warn!(stream.key = %publisher.key, peer = %self.peer, %error, "the publisher breaks the rules of RTMP; its push ends here");
        } else if let RtmpError::Version(_) = error {
            let foreign = foreign::name(first);
            if foreign.is_due() {
                tracing::warn!(peer = %self.peer, what = foreign.what, cure = foreign.cure, "no RTMP comes to the RTMP port");
            }
            if foreign.is_http {
                let answer = foreign.http_answer();
                let _ = self
                    .socket
                    .write_all(answer.as_bytes(), READ_PATIENCE)
                    .await;
            }
        } else if foreign::is_due(&BREACH_TOLD) {
            tracing::warn!(peer = %self.peer, %error, "a connection that publishes nothing breaks the rules of RTMP; it is closed");
        }
        error.to_string()
    }

    async fn work_off(&mut self) -> bool {
        let (mut frames, mut bytes) = (0, 0);
        let mut has_come = false;
        while let Some(event) = self.session.poll() {
            match event {
                Event::Media(message) => {
                    has_come = true;
                    frames += 1;
                    bytes += message.payload.len() as u64;
                    self.media(message);
                }
                // What came before it counts for the push that it ends.
                Event::Publish {
                    app, tc_url, name, ..
                } => {
                    self.count(&mut frames, &mut bytes);
                    self.publish(&app, &tc_url, &name).await;
                }
                Event::Unpublish => {
                    self.count(&mut frames, &mut bytes);
                    self.leave();
                }
                Event::Play {
                    app,
                    tc_url,
                    name,
                    stream_id,
                } => self.play(&app, &tc_url, &name, stream_id).await,
                Event::StopPlay => self.watching = None,
                Event::Connect { .. } => {}
            }
        }
        self.count(&mut frames, &mut bytes);
        if let Some(publisher) = &self.publisher
            && has_come
        {
            publisher.fanout.tick();
            // Who watches has the newest frames from memory; where nobody does, they need not wait there for the disk.
            let is_read = publisher.fanout.is_read();
            publisher.recorder.take_laid(is_read, &mut self.laid);
            publisher.fanout.let_go(&mut self.laid);
        }
        has_come
    }

    /// Counts media that came for the push that is going on.
    fn count(&self, frames: &mut u64, bytes: &mut u64) {
        let (frames, bytes) = (std::mem::take(frames), std::mem::take(bytes));
        if let Some(publisher) = &self.publisher
            && frames > 0
        {
            publisher.alive(frames, bytes);
            self.hub.services().metrics.media(bytes);
        }
    }

    async fn publish(&mut self, app: &str, tc_url: &str, name: &str) {
        let services = self.hub.services().clone();
        // Whoever comes while everything is being forgotten finds what is there afterwards.
        let _open = self.hub.until_open(self.id).await;
        if let Some(strike) = services.faults.strike(Boundary::Ingest) {
            strike.delay().await;
            if let Some(code) = strike.code {
                self.session.refuse_publish(
                    "NetStream.Publish.BadName",
                    &format!("injected fault {code}"),
                );
                return;
            }
        }
        let push =
            match admission::resolve(&services, self.default_domain.as_deref(), tc_url, app, name)
                .await
            {
                Ok(push) => push,
                Err(error) => {
                    let code = if error.is_denial() {
                        DENIED
                    } else {
                        "NetStream.Publish.BadName"
                    };
                    tracing::warn!(peer = %self.peer, %error, "push refused");
                    services.metrics.publish_refused();
                    self.session.refuse_publish(code, &error.to_string());
                    return;
                }
            };
        self.leave();
        match self
            .hub
            .publish(
                push.key.clone(),
                push.ingest_domain,
                self.peer.to_string(),
                push.args,
            )
            .await
        {
            Ok(publisher) => {
                // A call that forbids the stream, or stops its domain, between the look and the entry found nobody to cut.
                if let Err(error) =
                    admission::check_kept_out(&services, &publisher.key, &publisher.ingest_domain)
                        .await
                {
                    tracing::warn!(stream.key = %publisher.key, peer = %self.peer, %error, "push refused");
                    services.metrics.publish_refused();
                    self.hub.unpublish(&publisher);
                    self.session.refuse_publish(DENIED, &error.to_string());
                    return;
                }
                tracing::info!(stream.key = %publisher.key, peer = %self.peer, "publishing");
                self.reader = TagReader::new();
                self.codec = None;
                self.unreadable = Unreadable::default();
                self.publisher = Some(publisher);
                self.heard = Heard::now(&services.clock);
                self.session.accept_publish();
            }
            Err(error) => {
                tracing::warn!(stream.key = %push.key, peer = %self.peer, %error, "push refused");
                services.metrics.publish_refused();
                self.session.refuse_publish(
                    "NetStream.Publish.BadName",
                    &format!("{}: {error}", push.key),
                );
            }
        }
    }

    fn media(&mut self, message: Message) {
        let Some(publisher) = self.publisher.as_ref().filter(|p| !p.is_gone()) else {
            return;
        };
        let recorder = &publisher.recorder;
        let at = self.hub.services().clock.now();
        let mut joined = Ok(());
        let mut held = Held::default();
        let codec = &mut self.codec;
        let mut sink = |item: Item| match item {
            Item::Video {
                timestamp,
                cts_ms,
                key,
                data,
            } => {
                publisher.inflow.frame(Track::Video, timestamp, data.len());
                held.picture = true;
                held.key |= match codec {
                    Some(codec) if *codec != VideoCodec::Mpeg4 => unit::is_key(*codec, &data, key),
                    _ => key,
                };
                joined = recorder.message(Arrived {
                    frame: Frame {
                        track: Track::Video,
                        dts_ms: 0,
                        cts_ms,
                        key,
                        data,
                    },
                    timestamp,
                    at,
                });
            }
            Item::Audio { timestamp, data } => {
                publisher.inflow.frame(Track::Audio, timestamp, data.len());
                held.sound = true;
                joined = recorder.message(Arrived {
                    frame: Frame {
                        track: Track::Audio,
                        dts_ms: 0,
                        cts_ms: 0,
                        key: false,
                        data,
                    },
                    timestamp,
                    at,
                });
            }
            Item::VideoConfig(config) => {
                publisher.note_video(&config);
                *codec = Some(config.codec);
                held.video_config = Some(config.clone());
                recorder.video_config(config);
            }
            Item::AudioConfig(config) => {
                publisher.note_audio(&config);
                held.audio_config = Some(config.clone());
                recorder.audio_config(config);
            }
            Item::Metadata(metadata) => {
                held.metadata = true;
                recorder.bitrate(metadata.video_kbps.unwrap_or(0));
                publisher.note(|facts| facts.take_metadata(&metadata));
            }
            Item::Unsupported { track, codec, cure } => {
                let cure = cure.unwrap_or("encode pictures as H.264 or H.265 and sound as AAC");
                tracing::warn!(stream.key = %publisher.key, ?track, codec, cure, "the stream holds what is not recorded");
                publisher.note(|facts| facts.add_unsupported(codec));
                recorder.unsupported();
            }
            Item::Ignored { what } => {
                tracing::warn!(stream.key = %publisher.key, what, "of several tracks of a kind, the default one is recorded");
                publisher.note(|facts| facts.add_unsupported(what));
            }
            Item::End { .. } => {}
        };
        let (kind, timestamp) = (message.kind, message.timestamp);
        let read = self
            .reader
            .read(kind, timestamp, message.payload.clone(), &mut sink);
        if read.is_ok() && (held != Held::default() || kind == TagKind::Data) {
            publisher.fanout.push(message, &held);
        }
        let lasts = self.unreadable.note(kind, timestamp, read.is_ok());
        if let Err(error) = joined {
            self.broken_tags += 1;
            if self.broken_tags.is_power_of_two() {
                tracing::warn!(stream.key = %publisher.key, %error, count = self.broken_tags, "a message is left out");
            }
        }
        if let Err(error) = read {
            self.broken_tags += 1;
            if self.broken_tags.is_power_of_two() {
                tracing::warn!(stream.key = %publisher.key, %error, count = self.broken_tags, "a tag cannot be read");
            }
            if lasts {
                // Without it, half of the stream would be recorded.
                let what = format!("unreadable: {error}");
                tracing::warn!(stream.key = %publisher.key, what, "a track cannot be recorded");
                publisher.note(|facts| facts.add_unsupported(what));
                recorder.unsupported();
            }
        }
    }

    /// Waits while the disk is behind; the socket then pushes back on the publisher.
    async fn hold_back(&self, publisher: &Publisher) {
        while !publisher.recorder.tick() {
            clock::machine_sleep(Duration::from_millis(5)).await;
        }
    }

    async fn write(&mut self) -> Result<(), String> {
        let output = self.session.take_output();
        match self.socket.write_all(&output, READ_PATIENCE).await {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                Err("the peer does not read".to_owned())
            }
            // The peer is gone; what it sent is still read.
            _ => Ok(()),
        }
    }

    fn leave(&mut self) {
        if let Some(publisher) = self.publisher.take() {
            tracing::info!(stream.key = %publisher.key, "push ended");
            self.hub.unpublish(&publisher);
            self.idle_since = clock::monotonic();
        }
    }
}
