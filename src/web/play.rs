//! The play port: live streams over HTTP, as FLV, as fragmented MP4 and as HLS.

mod body;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::header::{
    ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
    LOCATION, RETRY_AFTER,
};
use actix_web::http::{ConnectionType, Method, StatusCode, Version};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use tokio::runtime::Handle;

use crate::live::fanout::tape::Form;
use crate::live::play::sessions::{Known, Session};
use crate::live::play::{Asked, Granted, PlayDoor, Player, Refusal};
use crate::media::hls;
use crate::model::stream_key::PushArgs;
use body::{Nothing, Playing};

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

/// What a path asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Flv,
    Mp4,
    Playlist,
    /// A slice and its number.
    Slice(u64),
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
            can_redirect: true,
        }
    }

    fn known(&self) -> Known {
        Known {
            address: self.address,
            agent: self.agent.clone(),
            url: format!("{}{}?{}", self.host, self.path, self.query),
        }
    }
}

/// An answer that is no stream.
struct Told {
    status: StatusCode,
    text: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Told {
    fn new(status: StatusCode, text: impl std::fmt::Display) -> Self {
        Self {
            status,
            text: format!("{text}\n"),
            headers: Vec::new(),
        }
    }

    fn into_response(self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status)
            .content_type("text/plain; charset=utf-8")
            .body(self.text);
        for (name, value) in self.headers {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// What a request turned out to get.
enum Found {
    Live(Box<Playing>, &'static str),
    Playlist(String),
    Slice(Bytes),
    /// HEAD of a stream or a playlist.
    Head(&'static str),
}

async fn serve(state: web::Data<PlayState>, request: HttpRequest) -> HttpResponse {
    let mut response = answer(&state, &request).await;
    open_to_all(response.headers_mut());
    response
}

/// Pages of every site may play, as on the product.
fn open_to_all(headers: &mut HeaderMap) {
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
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
}

async fn answer(state: &PlayState, request: &HttpRequest) -> HttpResponse {
    let method = request.method();
    if method == Method::OPTIONS {
        let mut response = HttpResponse::NoContent().finish();
        response.headers_mut().insert(ALLOW, METHODS);
        return response;
    }
    if method != Method::GET && method != Method::HEAD {
        let mut told = Told::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "streams are read by GET and HEAD",
        );
        told.headers.push((ALLOW, METHODS));
        return told.into_response();
    }
    let ask = match ask(state, request) {
        Ok(ask) => ask,
        Err(told) => return told.into_response(),
    };
    let is_head = method == Method::HEAD;
    let door = state.door.clone();
    let tls_port = state.tls_port;
    // The store's connections belong to the service's runtime.
    let work = state.runtime.spawn(async move {
        let found = find(&door, &ask, is_head, tls_port).await;
        let status = found
            .as_ref()
            .map_or_else(|told| told.status, |_| StatusCode::OK);
        let args = [PushArgs::parse(&ask.query)];
        door.answered(&ask.asked(&args), status.as_u16());
        found
    });
    match work.await {
        Ok(Ok((found, headers))) => {
            let mut response = to_response(found, headers);
            // HTTP/1.0 knows no chunks: the end of the connection is the end of the stream.
            if request.version() < Version::HTTP_11 && response.body().size() == BodySize::Stream {
                response.head_mut().no_chunking(true);
                response
                    .head_mut()
                    .set_connection_type(ConnectionType::Close);
            }
            response
        }
        Ok(Err(told)) => told.into_response(),
        Err(error) => {
            tracing::error!(%error, "a player's request broke off");
            HttpResponse::InternalServerError().finish()
        }
    }
}

fn text_of(request: &HttpRequest, name: &str) -> Option<String> {
    let value = request.headers().get(name)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

fn ask(state: &PlayState, request: &HttpRequest) -> Result<Ask, Told> {
    let path = request.uri().path();
    if path.len() > LONGEST_PATH {
        return Err(Told::new(StatusCode::URI_TOO_LONG, "the path is too long"));
    }
    let (wanted, app, stream) = read_path(path).ok_or_else(|| {
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
    })
}

/// Takes `/APP/STREAM.ENDING` apart. What the names may hold is checked where the stream is looked for.
fn read_path(path: &str) -> Option<(Wanted, String, String)> {
    let (app, file) = path.strip_prefix('/')?.split_once('/')?;
    let decoded = |text: &str| {
        percent_decode_str(text)
            .decode_utf8()
            .ok()
            .map(String::from)
    };
    let (app, file) = (decoded(app)?, decoded(file)?);
    let (name, ending) = file.rsplit_once('.')?;
    let (wanted, stream) = match ending {
        "flv" => (Wanted::Flv, name),
        "mp4" => (Wanted::Mp4, name),
        "m3u8" => (Wanted::Playlist, name),
        "ts" => {
            let (stream, number) = name.rsplit_once('-')?;
            (Wanted::Slice(number.parse().ok()?), stream)
        }
        _ => return None,
    };
    Some((wanted, app, stream.to_owned()))
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
    let publisher = door.find(&granted.key).map_err(refused)?;
    let (form, player, kind) = match ask.wanted {
        Wanted::Mp4 => (Form::Mp4, Player::Mp4, "video/mp4"),
        Wanted::Playlist | Wanted::Slice(_) => {
            return Ok((Found::Head(PLAYLIST_TYPE), granted.headers));
        }
        Wanted::Flv => (Form::Flv, Player::Flv, "video/x-flv"),
    };
    if is_head {
        return Ok((Found::Head(kind), granted.headers));
    }
    let viewer = door
        .enter(&granted, &publisher, player, &asked)
        .map_err(refused)?;
    let reader = publisher.fanout.tape(form).read();
    let playing = Playing::new(viewer, reader);
    Ok((Found::Live(Box::new(playing), kind), granted.headers))
}

const PLAYLIST_TYPE: &str = "application/vnd.apple.mpegurl";

async fn playlist(
    door: &Arc<PlayDoor>,
    ask: &Ask,
    asked: &Asked<'_>,
    tls_port: Option<u16>,
) -> Result<(Found, Headers), Told> {
    let refused = |refusal| told(refusal, ask, tls_port);
    // Who has begun may go on, though a signed address has run out meanwhile.
    if let Some(session) = door.sessions.again(&ask.known())
        && (!session.hls.has_ended() || door.find(session.viewer.key()).is_err())
    {
        return Ok((listed(&session, ask), session.headers.clone()));
    }
    let granted: Granted = door.grant(asked).await.map_err(refused)?;
    let publisher = door.find(&granted.key).map_err(refused)?;
    let viewer = door
        .enter(&granted, &publisher, Player::Hls, asked)
        .map_err(refused)?;
    let slices = publisher.fanout.hls();
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
        .begin(ask.known(), slices, viewer, granted.headers);
    Ok((listed(&session, ask), headers))
}

fn listed(session: &Session, ask: &Ask) -> Found {
    let playlist = format!("{}/{}.m3u8", ask.app, ask.stream);
    let text = session.hls.playlist(|number| {
        let slice = format!("{}/{}-{number}.ts", ask.app, ask.stream);
        format!(
            "{}?session={}",
            hls::relative_uri(&playlist, &slice),
            session.id
        )
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
        .slice(number)
        .ok_or_else(|| Told::new(StatusCode::NOT_FOUND, "this slice is not kept (any more)"))?;
    session.viewer.sent(slice.bytes.len() as u64);
    Ok((Found::Slice(slice.bytes.clone()), session.headers.clone()))
}

/// A refusal as an answer.
fn told(refusal: Refusal, ask: &Ask, tls_port: Option<u16>) -> Told {
    let status = match &refusal {
        Refusal::NoDomain | Refusal::NotLive(_) => StatusCode::NOT_FOUND,
        Refusal::Name(_) => StatusCode::BAD_REQUEST,
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

fn to_response(found: Found, set: Headers) -> HttpResponse {
    let (body, kind, cache) = match found {
        Found::Live(playing, kind) => (BoxBody::new(*playing), kind, "no-store"),
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
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_an_application_a_stream_and_a_form() {
        let read = |path: &str| read_path(path);
        let named = |wanted| Some((wanted, "live".to_owned(), "a.b-c".to_owned()));
        assert_eq!(read("/live/a.b-c.flv"), named(Wanted::Flv));
        assert_eq!(read("/live/a%2Eb-c.m3u8"), named(Wanted::Playlist));
        assert_eq!(read("/live/a.b-c-12.ts"), named(Wanted::Slice(12)));
        for path in [
            "/",
            "/live",
            "/live/s",
            "/live/s.exe",
            "/live/s.ts",
            "/live/s-x.ts",
            "/live/%ff.flv",
            "live/s.flv",
            "*",
        ] {
            assert_eq!(read(path), None, "{path}");
        }
        // What a name may not hold is refused where it is looked for.
        let tricks = read("/live/..%2f..%2fetc%2fpasswd.flv").unwrap();
        assert_eq!(tricks.2, "../../etc/passwd");
    }
}
