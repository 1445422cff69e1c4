//! The play port: live streams over HTTP, as FLV, as fragmented MP4 and as HLS.

mod body;
pub mod handover;
pub mod path;

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::BoxBody;
use actix_web::http::header::{
    ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName,
    HeaderValue, LOCATION, RETRY_AFTER, TRANSFER_ENCODING,
};
use actix_web::http::{ConnectionType, Method, StatusCode, Version};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::runtime::Handle;

use crate::connection::Line;
use crate::live::fanout::hls;
use crate::live::fanout::tape::{Coding, Form, TapeReader};
use crate::live::play::sending::{Deaf, Sending};
use crate::live::play::sessions::{Known, Session};
use crate::live::play::{Asked, Granted, PlayDoor, Player, Refusal, Viewer, referer_host};
use crate::model::stream_key::PushArgs;
use body::{Nothing, Playing};
use handover::Desk;
use path::Wanted;

/// How long the first slice of a playlist is waited for: a long group of pictures has to end first.
const FIRST_SLICE: Duration = Duration::from_secs(15);
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");
/// Bytes of the longest path that is looked at.
const LONGEST_PATH: usize = 2_048;
/// A domain cannot set what frames an answer.
const FRAMING: [&str; 4] = [
    "content-length",
    "transfer-encoding",
    "connection",
    "upgrade",
];

/// What every request needs.
#[derive(Clone)]
pub struct PlayState {
    pub door: Arc<PlayDoor>,
    pub runtime: Handle,
    /// These requests came over TLS.
    pub secure: bool,
    /// Where the same is served over TLS.
    pub tls_port: Option<u16>,
}

/// The routes of the play port.
pub fn configure(
    state: PlayState,
) -> impl FnOnce(&mut web::ServiceConfig) + Clone + Send + 'static {
    move |service| {
        service
            .app_data(web::Data::new(state))
            .default_service(web::to(serve));
    }
}

/// A request, taken apart.
#[derive(Debug, Clone)]
struct Ask {
    wanted: Wanted,
    app: String,
    stream: String,
    path: String,
    query: String,
    host: String,
    address: IpAddr,
    referer: Option<String>,
    agent: String,
    secure: bool,
    /// How the bytes of a live stream go out.
    coding: Coding,
}

impl Ask {
    fn asked<'a>(&'a self, args: &'a [PushArgs]) -> Asked<'a> {
        Asked {
            app: &self.app,
            stream: &self.stream,
            uri: &self.path,
            host: &self.host,
            args,
            address: self.address,
            referer: self.referer.as_deref(),
            secure: self.secure,
            player: match self.wanted {
                Wanted::Flv => Player::Flv,
                Wanted::Mp4 => Player::Mp4,
                Wanted::Playlist | Wanted::Slice(_) => Player::Hls,
            },
        }
    }

    fn known(&self) -> Known {
        Known {
            address: self.address,
            agent: self.agent.clone(),
            url: format!("{}{}?{}", self.host, self.path, self.query),
            page: self.referer.as_deref().and_then(referer_host),
        }
    }
}

/// An answer that is no stream.
struct Told {
    status: StatusCode,
    text: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// What the domain sets, where one is known.
    set: Headers,
}

impl Told {
    fn new(status: StatusCode, text: impl std::fmt::Display) -> Self {
        Self {
            status,
            text: format!("{text}\n"),
            headers: Vec::new(),
            set: Headers::new(),
        }
    }

    fn into_response(self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status)
            .content_type("text/plain; charset=utf-8")
            .body(self.text);
        let headers = response.headers_mut();
        for (name, value) in self.headers {
            headers.insert(name, value);
        }
        open_to_all(headers, self.set);
        response
    }
}

/// What a request turned out to get.
enum Found {
    Live(Box<Live>, &'static str),
    Playlist(String),
    Slice(Bytes),
    /// HEAD of a stream or a playlist.
    Head(&'static str),
}

/// A stream and who watches it.
struct Live {
    viewer: Viewer,
    reader: TapeReader,
}

async fn serve(state: web::Data<PlayState>, request: HttpRequest) -> HttpResponse {
    // Until the head of its answer is known, the next request waits.
    let _working = request.conn_data::<Rc<Line>>().map(Line::work);
    answer(&state, &request).await
}

/// Pages of every site may play, as on the product, unless the domain sets something else.
fn open_to_all(headers: &mut HeaderMap, set: Headers) {
    let fixed = [
        ("access-control-allow-origin", "*"),
        ("access-control-allow-methods", "GET, HEAD, OPTIONS"),
        ("access-control-allow-headers", "*"),
        ("access-control-expose-headers", "*"),
        ("access-control-max-age", "86400"),
        ("timing-allow-origin", "*"),
    ];
    for (name, value) in fixed {
        let name = HeaderName::from_static(name);
        headers.insert(name, HeaderValue::from_static(value));
    }
    for (name, value) in set {
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
            continue;
        };
        if FRAMING.contains(&name.as_str()) {
            continue;
        }
        match value.map(|value| HeaderValue::from_str(&value)) {
            Some(Ok(value)) => {
                headers.insert(name, value);
            }
            Some(Err(_)) => {}
            None => {
                headers.remove(&name);
            }
        }
    }
}

/// What may be asked, and by which pages.
async fn options(state: &PlayState, request: &HttpRequest) -> HttpResponse {
    let set = match ask(state, request, Coding::Plain) {
        Ok(ask) => {
            let door = state.door.clone();
            // The store's connections belong to the service's runtime.
            let work = state.runtime.spawn(async move {
                let args = [PushArgs::parse(&ask.query)];
                door.headers_for(&ask.asked(&args)).await
            });
            work.await.unwrap_or_default()
        }
        // The address is that of no stream.
        Err(_) => Headers::new(),
    };
    let mut response = HttpResponse::NoContent().finish();
    let headers = response.headers_mut();
    headers.insert(ALLOW, METHODS);
    open_to_all(headers, set);
    response
}

async fn answer(state: &PlayState, request: &HttpRequest) -> HttpResponse {
    let method = request.method();
    if method == Method::OPTIONS {
        return options(state, request).await;
    }
    if method != Method::GET && method != Method::HEAD {
        let mut told = Told::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "streams are read by GET and HEAD",
        );
        told.headers.push((ALLOW, METHODS));
        return told.into_response();
    }
    let desk = desk(request);
    let coding = if desk.is_some() && request.version() >= Version::HTTP_11 {
        Coding::Chunked
    } else {
        Coding::Plain
    };
    let ask = match ask(state, request, coding) {
        Ok(ask) => ask,
        Err(told) => return told.into_response(),
    };
    let is_head = method == Method::HEAD;
    let door = state.door.clone();
    let tls_port = state.tls_port;
    // The store's connections belong to the service's runtime.
    let work = state.runtime.spawn(async move {
        let mut found = find(&door, &ask, is_head, tls_port).await;
        let status = found
            .as_ref()
            .map_or_else(|told| told.status, |_| StatusCode::OK);
        let args = [PushArgs::parse(&ask.query)];
        let asked = ask.asked(&args);
        door.answered(&asked, status.as_u16());
        if let Err(told) = &mut found {
            told.set = door.headers_for(&asked).await;
        }
        found
    });
    match work.await {
        Ok(Ok((found, headers))) => {
            let (mut response, live) = to_response(found, headers);
            let Some(live) = live else {
                return response;
            };
            let head = response.head_mut();
            // HTTP/1.0 knows no chunks: the end of the connection is the end of the stream.
            if desk.is_some() || request.version() < Version::HTTP_11 {
                head.no_chunking(true);
                head.set_connection_type(ConnectionType::Close);
            }
            let Live { viewer, reader } = *live;
            let Some(desk) = desk else {
                return response.set_body(BoxBody::new(Playing::new(viewer, reader)));
            };
            if coding == Coding::Chunked {
                let chunked = HeaderValue::from_static("chunked");
                head.headers_mut().insert(TRANSFER_ENCODING, chunked);
            }
            let runtime = state.runtime.clone();
            if let Some(line) = request.conn_data::<Rc<Line>>() {
                line.close();
            }
            desk.hand_over(move |socket| send(&runtime, socket, viewer, reader));
            response
        }
        Ok(Err(told)) => told.into_response(),
        Err(error) => {
            tracing::error!(%error, "a player's request broke off");
            let mut response = HttpResponse::InternalServerError().finish();
            open_to_all(response.headers_mut(), Headers::new());
            response
        }
    }
}

/// Where the connection can be taken over: it is no TLS, and nothing but the head belongs to the request.
fn desk(request: &HttpRequest) -> Option<Rc<Desk>> {
    let headers = request.headers();
    let is_bare = !headers.contains_key(CONTENT_LENGTH)
        && !headers.contains_key(TRANSFER_ENCODING)
        && !request.head().upgrade();
    let desk = request.conn_data::<Rc<Desk>>()?;
    is_bare.then(|| desk.clone())
}

/// Sends a stream on the service's runtime, without the web framework.
fn send(runtime: &Handle, socket: TcpStream, viewer: Viewer, reader: TapeReader) {
    let _inside = runtime.enter();
    match socket.into_std().and_then(TcpStream::from_std) {
        Ok(socket) => drop(runtime.spawn(Sending::new(socket, viewer, reader, Deaf))),
        Err(error) => tracing::warn!(%error, "a player's connection cannot be taken over"),
    }
}

fn text_of(request: &HttpRequest, name: &str) -> Option<String> {
    let value = request.headers().get(name)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

fn ask(state: &PlayState, request: &HttpRequest, coding: Coding) -> Result<Ask, Told> {
    let path = request.uri().path();
    if path.len() > LONGEST_PATH {
        return Err(Told::new(StatusCode::URI_TOO_LONG, "the path is too long"));
    }
    let (wanted, app, stream) = path::read(path).ok_or_else(|| {
        Told::new(
            StatusCode::NOT_FOUND,
            "a stream is played at /APP/STREAM.flv, .m3u8 or .mp4",
        )
    })?;
    let authority = request.uri().authority().map(ToString::to_string);
    let address = request
        .peer_addr()
        .map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.ip().to_canonical());
    Ok(Ask {
        wanted,
        app,
        stream,
        path: path.to_owned(),
        query: request.uri().query().unwrap_or_default().to_owned(),
        host: authority
            .or_else(|| text_of(request, "host"))
            .unwrap_or_default(),
        address,
        referer: text_of(request, "referer"),
        agent: text_of(request, "user-agent").unwrap_or_default(),
        secure: state.secure,
        coding,
    })
}

type Headers = Vec<(String, Option<String>)>;

async fn find(
    door: &Arc<PlayDoor>,
    ask: &Ask,
    is_head: bool,
    tls_port: Option<u16>,
) -> Result<(Found, Headers), Told> {
    let args = [PushArgs::parse(&ask.query)];
    let asked = ask.asked(&args);
    if let Wanted::Slice(number) = ask.wanted {
        return slice(door, ask, args[0].get("session"), number);
    }
    let refused = |refusal| told(refusal, ask, tls_port);
    if ask.wanted == Wanted::Playlist && !is_head {
        return playlist(door, ask, &asked, tls_port).await;
    }
    let granted = door.grant(&asked).await.map_err(refused)?;
    let fanout = door.find(&granted.key).await.map_err(refused)?;
    let (form, kind) = match ask.wanted {
        Wanted::Mp4 => (Form::Mp4, "video/mp4"),
        Wanted::Playlist | Wanted::Slice(_) => {
            return Ok((Found::Head(PLAYLIST_TYPE), granted.headers));
        }
        Wanted::Flv => (Form::Flv, "video/x-flv"),
    };
    if is_head {
        return Ok((Found::Head(kind), granted.headers));
    }
    let viewer = door.enter(&granted, &fanout, &asked).map_err(refused)?;
    let reader = fanout.tape(form, ask.coding).read();
    let live = Box::new(Live { viewer, reader });
    Ok((Found::Live(live, kind), granted.headers))
}

const PLAYLIST_TYPE: &str = "application/vnd.apple.mpegurl";

async fn playlist(
    door: &Arc<PlayDoor>,
    ask: &Ask,
    asked: &Asked<'_>,
    tls_port: Option<u16>,
) -> Result<(Found, Headers), Told> {
    let refused = |refusal| told(refusal, ask, tls_port);
    let mut before = hls::Told::default();
    // Who has begun may go on, though a signed address has run out meanwhile.
    if let Some(session) = door.sessions.again(&ask.known()) {
        let goes_on = !session.hls.has_ended() || door.find(session.viewer.key()).await.is_err();
        if goes_on {
            return Ok((listed(&session, ask), session.headers.clone()));
        }
        before = session.hls.told(&session.before);
    }
    let granted: Granted = door.grant(asked).await.map_err(refused)?;
    let fanout = door.find(&granted.key).await.map_err(refused)?;
    let viewer = door.enter(&granted, &fanout, asked).map_err(refused)?;
    let slices = fanout.hls();
    if !slices.has_begun(FIRST_SLICE).await {
        let mut late = Told::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "there is no slice yet: a slice is a whole group of pictures, and none has ended",
        );
        late.headers
            .push((RETRY_AFTER, HeaderValue::from_static("2")));
        return Err(late);
    }
    let headers = granted.headers.clone();
    let session = door
        .sessions
        .begin(ask.known(), (slices, before), viewer, granted.headers);
    Ok((listed(&session, ask), headers))
}

fn listed(session: &Session, ask: &Ask) -> Found {
    let text = session.hls.playlist(&session.before, |number| {
        let slice = path::slice(&ask.app, &ask.stream, number);
        format!("{slice}?session={}", session.id)
    });
    session.viewer.sent(text.len() as u64);
    Found::Playlist(text)
}

fn slice(
    door: &PlayDoor,
    ask: &Ask,
    session: Option<&str>,
    number: u64,
) -> Result<(Found, Headers), Told> {
    let session = session.and_then(|id| door.sessions.find(id));
    let Some(session) = session.filter(|session| {
        let key = session.viewer.key();
        (key.app.as_str(), key.stream.as_str()) == (ask.app.as_str(), ask.stream.as_str())
    }) else {
        return Err(Told::new(
            StatusCode::FORBIDDEN,
            "a slice is asked for with the session of its playlist, which has run out or is another stream's",
        ));
    };
    let slice = session
        .hls
        .slice(&session.before, number)
        .ok_or_else(|| Told::new(StatusCode::NOT_FOUND, "this slice is not kept (any more)"))?;
    session.viewer.sent(slice.bytes.len() as u64);
    Ok((Found::Slice(slice.bytes.clone()), session.headers.clone()))
}

/// A refusal as an answer.
fn told(refusal: Refusal, ask: &Ask, tls_port: Option<u16>) -> Told {
    let status = match &refusal {
        Refusal::NoDomain | Refusal::NotLive(_) => StatusCode::NOT_FOUND,
        Refusal::Name(_) | Refusal::Vhost(_) => StatusCode::BAD_REQUEST,
        Refusal::Forbidden(_) => StatusCode::FORBIDDEN,
        Refusal::OverHttps => match to_https(ask, tls_port) {
            Some(location) => {
                let mut moved = Told::new(StatusCode::FOUND, &refusal);
                moved.headers.push((LOCATION, location));
                return moved;
            }
            None => StatusCode::FORBIDDEN,
        },
        Refusal::TooMany => {
            let mut full = Told::new(StatusCode::SERVICE_UNAVAILABLE, &refusal);
            full.headers
                .push((RETRY_AFTER, HeaderValue::from_static("10")));
            return full;
        }
        Refusal::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    Told::new(status, refusal)
}

fn to_https(ask: &Ask, tls_port: Option<u16>) -> Option<HeaderValue> {
    let port = tls_port?;
    let host = match ask.host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => &ask.host,
    };
    let query = if ask.query.is_empty() { "" } else { "?" };
    let url = format!("https://{host}:{port}{}{query}{}", ask.path, ask.query);
    HeaderValue::from_str(&url).ok()
}

/// The answer, without the body of a live stream, which comes beside it.
fn to_response(found: Found, set: Headers) -> (HttpResponse, Option<Box<Live>>) {
    let mut live = None;
    let (body, kind, cache) = match found {
        Found::Live(found, kind) => {
            live = Some(found);
            (BoxBody::new(Nothing), kind, "no-store")
        }
        Found::Head(kind) => (BoxBody::new(Nothing), kind, "no-store"),
        Found::Playlist(text) => (BoxBody::new(text), PLAYLIST_TYPE, "no-cache"),
        Found::Slice(bytes) => (BoxBody::new(bytes), "video/mp2t", "max-age=60"),
    };
    let mut response = HttpResponse::Ok().body(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    // A live stream has no place that a range could name: the whole of it is the answer (RFC 9110 section 14.2).
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("none"));
    open_to_all(headers, set);
    (response, live)
}
