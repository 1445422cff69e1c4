//! Where the web framework begins and ends: routes, body limits, conversion.

use std::borrow::Cow;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use actix_web::body::{BodyStream, BoxBody};
use actix_web::http::header::{CONTENT_LENGTH, HeaderName, HeaderValue, TRANSFER_ENCODING};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::future::{Either, select};
use tokio::sync::mpsc;

use crate::app::App;
use crate::clock::{machine_timeout, monotonic};
use crate::config::Auth;
use crate::connection::{Line, OwnEnd, unread};
use crate::control::{self, BODY_PATIENCE, LEAST_RATE};
use crate::error::{ApiError, Code};
use crate::rpc;
use crate::wire::http_parts::HttpParts;
use crate::wire::outgoing::{Body, Outgoing};
use crate::wire::render::Reply;

/// Bytes of a body that are kept; a longer one is refused.
const BODY_LIMIT: usize = 1 << 20;
/// Bytes of a body that are read at all, so that a client can see why it was refused.
const BODY_READ: usize = 64 << 20;

/// Pieces of a body that are read before they are taken.
const PIECES_AHEAD: usize = 4;
/// What a browser sees that was pointed at the API.
const DOOR: &str = r#"<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="0; url=/_localyun/ui/"><title>localyun</title><p>This is the API of localyun. The console is at <a href="/_localyun/ui/">/_localyun/ui/</a>.</p></html>
"#;

/// Says that any caller is accepted, on every answer of the API.
const AUTH_HEADER: HeaderName = HeaderName::from_static("x-localyun-auth");
const AUTH_OFF: HeaderValue = HeaderValue::from_static("off");

/// The routes of the API port.
pub fn configure(app: Arc<App>) -> impl FnOnce(&mut web::ServiceConfig) + Clone + Send + 'static {
    move |service| {
        service
            .app_data(web::Data::from(app))
            .default_service(web::to(serve));
    }
}

/// The routes of the port between nodes.
pub fn configure_between(
    app: Arc<App>,
) -> impl FnOnce(&mut web::ServiceConfig) + Clone + Send + 'static {
    move |service| {
        service
            .app_data(web::Data::from(app))
            .default_service(web::to(serve_node));
    }
}

/// Answers another node.
async fn serve_node(
    app: web::Data<App>,
    request: HttpRequest,
    mut payload: web::Payload,
) -> HttpResponse {
    let read = match machine_timeout(BODY_PATIENCE, read_body(&mut payload)).await {
        Some(Some(read)) if read.ended => read,
        _ => return unread::close_after(HttpResponse::BadRequest().finish(), payload),
    };
    let parts = to_parts(&request, Bytes::new());
    let body = read
        .kept
        .map_or(control::Incoming::TooLong, control::Incoming::Kept);
    on_runtime(&app, move |app| control::answer_node(app, parts, body))
        .await
        .map_or_else(|| HttpResponse::InternalServerError().finish(), outgoing)
}

async fn serve(
    app: web::Data<App>,
    request: HttpRequest,
    mut payload: web::Payload,
) -> HttpResponse {
    // Until the head of its answer is known, the next request waits.
    let _working = request.conn_data::<Rc<Line>>().map(Line::work);
    let of_control = control::is_control(request.path());
    let marked = |mut response: HttpResponse| {
        if app.config.auth == Auth::Off && !of_control {
            response.headers_mut().insert(AUTH_HEADER, AUTH_OFF);
        }
        response
    };
    // Another protocol is not spoken here (RFC 9110 section 7.8 lets a server go on as if none had been offered), but the web framework
    // hands out such a connection as a stream without an end: only a body that is announced is read, and the connection is closed.
    let offers_more = request.head().upgrade() || request.method() == Method::CONNECT;
    if of_control && !offers_more {
        let parts = to_parts(&request, Bytes::new());
        if control::takes_stream(&app, &parts) {
            return streamed(&app, parts, payload).await;
        }
    }
    let reading = async {
        if offers_more && !announces_body(&request) {
            return Some(Read {
                kept: Some(Bytes::new()),
                ended: false,
            });
        }
        read_body(&mut payload).await
    };
    let read = match machine_timeout(BODY_PATIENCE, reading).await {
        Some(Some(read)) => read,
        Some(None) => return marked(HttpResponse::BadRequest().finish()),
        None => {
            let late = marked(HttpResponse::RequestTimeout().finish());
            return unread::close_after(late, payload);
        }
    };
    let response = marked(answer(app.clone(), &request, read.kept).await);
    if read.ended && !offers_more {
        response
    } else {
        unread::close_after(response, payload)
    }
}

/// Answers a request whose body is taken as it comes: what is read is handed over, and no more is read than is taken.
async fn streamed(
    app: &web::Data<App>,
    parts: HttpParts,
    mut payload: web::Payload,
) -> HttpResponse {
    let (hand_over, taken) = mpsc::channel(PIECES_AHEAD);
    let body = control::Incoming::Stream(taken);
    let answering = on_runtime(app, move |app| control::answer(app, parts, body));
    let payload_read = &mut payload;
    let reading = async move {
        // Time that passes while we take what came is none of the client's.
        let (mut waited, mut read) = (Duration::ZERO, 0_u64);
        loop {
            let due = BODY_PATIENCE + Duration::from_secs(read / LEAST_RATE);
            let patience = BODY_PATIENCE.min(due.saturating_sub(waited));
            let began = monotonic();
            let next = machine_timeout(patience, payload_read.next()).await;
            waited += began.elapsed();
            let piece = match next {
                Some(Some(Ok(piece))) => {
                    read += piece.len() as u64;
                    Ok(piece)
                }
                Some(Some(Err(error))) => Err(io::Error::other(error.to_string())),
                Some(None) => return true,
                None => Err(io::ErrorKind::TimedOut.into()),
            };
            let broke_off = piece.is_err();
            // Nobody takes more where the answer is known already.
            if hand_over.send(piece).await.is_err() || broke_off {
                return false;
            }
        }
    };
    // A client whose answer is known need not send the rest.
    let (answered, ended) = match select(Box::pin(answering), Box::pin(reading)).await {
        Either::Left((answered, _)) => (answered, false),
        Either::Right((ended, answering)) => (answering.await, ended),
    };
    let response = answered.map_or_else(|| HttpResponse::InternalServerError().finish(), outgoing);
    if ended {
        response
    } else {
        unread::close_after(response, payload)
    }
}

fn announces_body(request: &HttpRequest) -> bool {
    let headers = request.headers();
    headers.contains_key(CONTENT_LENGTH) || headers.contains_key(TRANSFER_ENCODING)
}

/// The answer to a request whose body is `body`, or longer than what is kept.
async fn answer(app: web::Data<App>, request: &HttpRequest, body: Option<Bytes>) -> HttpResponse {
    let over = body.is_none();
    let mut parts = to_parts(request, body.clone().unwrap_or_default());
    if control::is_control(&parts.path) {
        let body = body.map_or(control::Incoming::TooLong, control::Incoming::Kept);
        return on_runtime(&app, move |app| control::answer(app, parts, body))
            .await
            .map_or_else(|| HttpResponse::InternalServerError().finish(), outgoing);
    }
    if is_visit(&parts) {
        return HttpResponse::Ok()
            .content_type("text/html; charset=utf-8")
            .insert_header(("content-security-policy", "default-src 'none'"))
            .body(DOOR);
    }
    if over {
        // The signature over a body that was not kept cannot match; the size is the answer.
        parts.headers.retain(|(name, _)| name != "content-type");
        let error = ApiError::coded(Code::RequestEntityTooLarge);
        return to_response(rpc::refuse(&app.gateway, &parts, error));
    }
    match on_runtime(&app, move |app| async move {
        rpc::answer(&app.gateway, &parts).await
    })
    .await
    {
        Some(reply) => to_response(reply),
        None => HttpResponse::InternalServerError().finish(),
    }
}

/// Runs work as part of the service's runtime: what it spawns and connects must outlive the web server's own threads.
///
/// Most calls never wait, so the work is begun right here and moves to the runtime's threads only when it has to wait.
async fn on_runtime<T, F>(app: &web::Data<App>, work: impl FnOnce(Arc<App>) -> F) -> Option<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let app = Arc::clone(app);
    let runtime = app.runtime.clone();
    let mut work = Box::pin(work(app));
    let begun = {
        let _inside = runtime.enter();
        let first = || work.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        catch_unwind(AssertUnwindSafe(first))
    };
    match begun {
        Ok(Poll::Ready(done)) => return Some(done),
        Ok(Poll::Pending) => {}
        Err(_) => {
            tracing::error!("a request's work broke off");
            return None;
        }
    }
    match runtime.spawn(work).await {
        Ok(done) => Some(done),
        Err(error) => {
            tracing::error!(%error, "a request's work broke off");
            None
        }
    }
}

/// Whether a browser came to see what is here: no client of the API asks for a page.
fn is_visit(parts: &HttpParts) -> bool {
    let names_action = parts.header("x-acs-action").is_some()
        || url::form_urlencoded::parse(parts.query.as_bytes()).any(|(name, _)| name == "Action");
    parts.method == "GET"
        && parts.path == "/"
        && !names_action
        && parts
            .header("accept")
            .is_some_and(|accept| accept.contains("text/html"))
}

/// What was read of a body.
struct Read {
    /// `None`: longer than what is kept.
    kept: Option<Bytes>,
    ended: bool,
}

/// `None`: it broke off.
async fn read_body(payload: &mut web::Payload) -> Option<Read> {
    let mut body = BytesMut::new();
    let mut read = 0;
    let mut ended = true;
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.ok()?;
        read += chunk.len();
        if read > BODY_READ {
            ended = false;
            break;
        }
        if read <= BODY_LIMIT {
            body.extend_from_slice(&chunk);
        }
    }
    Some(Read {
        kept: (read <= BODY_LIMIT).then(|| body.freeze()),
        ended,
    })
}

fn to_parts(request: &HttpRequest, body: Bytes) -> HttpParts {
    let headers = request
        .headers()
        .iter()
        .map(|(name, value)| {
            (
                name.as_str().to_owned(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect();
    let peer = request.peer_addr().map(|peer| peer.ip().to_canonical());
    let own_end = request.conn_data::<OwnEnd>().map(|own| own.0);
    HttpParts {
        method: request.method().as_str().to_owned(),
        path: request.uri().path().to_owned(),
        query: request.uri().query().unwrap_or_default().to_owned(),
        headers,
        body,
        authority: request.uri().authority().map(ToString::to_string),
        local: peer.is_some_and(|peer| peer.is_loopback() || own_end == Some(peer)),
        peer,
    }
}

/// An answer of the control plane.
fn outgoing(answer: Outgoing) -> HttpResponse {
    let head = Reply {
        status: answer.status,
        headers: answer.headers,
        body: Bytes::new(),
    };
    let response = to_response(head);
    match answer.body {
        Body::Bytes(bytes) => response.set_body(BoxBody::new(bytes)),
        Body::Stream(stream) => response.set_body(BoxBody::new(BodyStream::new(stream))),
    }
}

fn to_response(reply: Reply) -> HttpResponse {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::new(status).set_body(BoxBody::new(reply.body));
    for (name, value) in reply.headers {
        let value = match value {
            Cow::Borrowed(fixed) => HeaderValue::from_static(fixed),
            Cow::Owned(text) => match HeaderValue::from_maybe_shared(Bytes::from(text)) {
                Ok(value) => value,
                Err(error) => {
                    tracing::error!(%error, name, "a header of an answer cannot be sent");
                    continue;
                }
            },
        };
        response
            .headers_mut()
            .append(HeaderName::from_static(name), value);
    }
    response
}
