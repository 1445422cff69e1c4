//! The listening sockets and the HTTP servers on them.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_http::{Extensions, HttpService, Request, Response};
use actix_service::{IntoServiceFactory, ServiceFactoryExt as _, map_config};
use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::body::BoxBody;
use actix_web::dev::{AppConfig, Server, Service, ServiceFactory, fn_service};
use actix_web::{App as WebApp, HttpServer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::servers::{Connections, SHUTDOWN_SECONDS, Servers};
use crate::app::App;
use crate::certificates::ByName;
use crate::config::{Cluster, Config, ConfigError};
use crate::connection::{OwnEnd, Wire};
use crate::faults::{Boundary, Faults, Strike};
use crate::identity::KeyRing;
use crate::live::play::{MOST_VIEWERS, PlayDoor, SEND_BUFFER};
use crate::objects::folder::FolderStore;
use crate::objects::serve::{self, ServeState};
use crate::site::OwnNames;
use crate::tls;
use crate::web::api;
use crate::web::play::handover::Handover;
use crate::web::play::{self, PlayState};

/// Threads of each web server.
const WORKERS: usize = 2;
/// How long the first head of a connection may take.
const HEAD_PATIENCE: Duration = Duration::from_secs(15);
/// How long a connection may be idle between two requests. Clients keep theirs for about as long, and one that is closed while its next request
/// is on the way is lost to whoever may not send that twice.
const IDLE_PATIENCE: Duration = Duration::from_secs(75);
/// How long a peer may leave unread what it was sent.
#[cfg(target_os = "linux")]
const READ_PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn bind(setting: &str, addr: &str) -> Result<TcpListener, ConfigError> {
    use std::net::ToSocketAddrs;
    let addresses: Vec<SocketAddr> = addr
        .to_socket_addrs()
        .map_err(|e| ConfigError::new(setting, format!("{addr}: {e}")))?
        .collect();
    let listener = TcpListener::bind(addresses.as_slice()).map_err(|e| {
        let problem = match e.kind() {
            std::io::ErrorKind::AddrInUse => {
                format!("the port is in use; {setting} 127.0.0.1:0 takes a free port")
            }
            std::io::ErrorKind::PermissionDenied => format!(
                "{e}: a port below 1024 wants root, or once `setcap cap_net_bind_service=+ep` on the program"
            ),
            std::io::ErrorKind::AddrNotAvailable => {
                format!("{e}: no network card here has that address; 0.0.0.0 stands for all")
            }
            _ => e.to_string(),
        };
        ConfigError::new(setting, format!("{addr}: {problem}"))
    })?;
    // Accepted sockets inherit it: a peer that reads nothing, or is gone without a word, does not hold its connection for ever.
    #[cfg(target_os = "linux")]
    if let Err(error) = socket2::SockRef::from(&listener).set_tcp_user_timeout(Some(READ_PATIENCE))
    {
        tracing::warn!(%error, setting, "connections of peers that read nothing are kept");
    }
    Ok(listener)
}

/// The listener of the play port. Where nobody wrote the address and another process has the usual port, any free one is taken: whoever only
/// records must not fail over it.
pub(super) fn bind_play(config: &Config) -> Result<TcpListener, ConfigError> {
    let listener = match bind("--play-addr", &config.play_addr) {
        Err(error) if !config.is_written("play-addr") => {
            tracing::warn!(%error, "streams are played at a free port instead; --play-addr names another");
            bind("--play-addr", "127.0.0.1:0")?
        }
        bound => bound?,
    };
    limit_buffers(&listener);
    Ok(listener)
}

/// The listener of the port between nodes. Where nobody wrote the address and another process has the usual port, any free one is taken: the
/// other nodes find it in the database.
pub(super) fn bind_between(config: &Config, cluster: &Cluster) -> Result<TcpListener, ConfigError> {
    let listener = match bind("--cluster-addr", &cluster.addr) {
        Err(error) if !config.is_written("cluster-addr") => {
            tracing::info!(%error, "the other nodes reach this one at a free port instead");
            bind("--cluster-addr", "127.0.0.1:0")?
        }
        bound => bound?,
    };
    let is_open = listener.local_addr().is_ok_and(|at| !at.ip().is_loopback());
    if is_open && cluster.token.is_none() {
        tracing::warn!(
            "nodes on other machines are not answered: set --cluster-token (LOCALYUN_CLUSTER_TOKEN), the same on all nodes"
        );
    }
    Ok(listener)
}

/// Accepted sockets inherit it: what a player leaves unread lies in the kernel up to here, and is skipped beyond.
pub(super) fn limit_buffers(listener: &TcpListener) {
    if let Err(error) = socket2::SockRef::from(listener).set_send_buffer_size(SEND_BUFFER) {
        tracing::warn!(%error, "the buffers of players' connections are not limited");
    }
}

pub(super) fn url(scheme: &str, listener: &TcpListener) -> String {
    listener.local_addr().map_or_else(
        |_| format!("{scheme}://?"),
        |addr| format!("{scheme}://{addr}"),
    )
}

/// What all web servers have in common. A macro, since their type cannot be named.
macro_rules! web_server {
    ($routes:expr, $open:expr) => {{
        let open: Connections = $open;
        HttpServer::new(move || WebApp::new().configure($routes))
            .workers(WORKERS)
            .disable_signals()
            // The end of an answer is not held back until the peer has confirmed what came before (it may wait 40 ms with that).
            .tcp_nodelay(true)
            .client_request_timeout(HEAD_PATIENCE)
            .keep_alive(IDLE_PATIENCE)
            .shutdown_timeout(SHUTDOWN_SECONDS)
            .on_connect(move |socket, data| {
                let under_tls = socket.downcast_ref::<TlsStream<TcpStream>>();
                let under_tls = under_tls.map(|tls| tls.get_ref().0);
                if let Some(socket) = under_tls.or_else(|| socket.downcast_ref()) {
                    note_own_end(socket, data);
                }
                data.insert(open.one());
            })
    }};
}

/// Leaves by where a connection came in.
fn note_own_end(socket: &TcpStream, data: &mut Extensions) {
    if let Ok(at) = socket.local_addr() {
        data.insert(OwnEnd(at.ip().to_canonical()));
    }
}

pub(super) fn serve_api(
    app: &Arc<App>,
    listener: TcpListener,
    servers: &mut Servers,
) -> Result<(), ConfigError> {
    let (shared, open) = (app.clone(), servers.connections());
    let server = wired(listener, CLIENTS_A_WORKER, open, Wire::plain, move || {
        WebApp::new().configure(api::configure(shared.clone()))
    })
    .map_err(|e| ConfigError::new("--api-addr", e))?;
    servers.keep(server);
    Ok(())
}

pub(super) fn serve_between(
    app: &Arc<App>,
    listener: TcpListener,
    servers: &mut Servers,
) -> Result<(), ConfigError> {
    let (shared, open) = (app.clone(), servers.connections());
    let server = web_server!(api::configure_between(shared.clone()), open)
        .listen(listener)
        .map_err(|e| ConfigError::new("--cluster-addr", e))?
        .run();
    servers.keep(server);
    Ok(())
}

/// Connections of one of the web server's threads; players that wait count too.
const PLAYERS_A_WORKER: usize = MOST_VIEWERS;
/// The web server's own default.
const CLIENTS_A_WORKER: usize = 25_600;

pub(super) fn serve_play(
    door: &Arc<PlayDoor>,
    app: &Arc<App>,
    listener: TcpListener,
    tls_port: Option<u16>,
    servers: &mut Servers,
) -> Result<(), ConfigError> {
    let state = PlayState {
        door: door.clone(),
        runtime: app.runtime.clone(),
        secure: false,
        tls_port,
    };
    let server = wired(
        listener,
        PLAYERS_A_WORKER,
        servers.connections(),
        |socket| Wire::new(Handover::new(socket)),
        move || WebApp::new().configure(play::configure(state.clone())),
    )
    .map_err(|e| ConfigError::new("--play-addr", e))?;
    servers.keep(server);
    Ok(())
}

pub(super) fn serve_play_tls(
    door: &Arc<PlayDoor>,
    app: &Arc<App>,
    config: &Config,
    listener: TcpListener,
    servers: &mut Servers,
) -> Result<(), ConfigError> {
    let certificate = tls::certificate(&config.data_dir, config.public_host.as_deref())
        .map_err(|e| ConfigError::new("--play-tls-addr", e))?;
    let mut tls = certificate.config;
    let of_domains = app.services.certificates.clone();
    tls.cert_resolver = Arc::new(ByName::or(of_domains, tls.cert_resolver));
    let state = PlayState {
        door: door.clone(),
        runtime: app.runtime.clone(),
        secure: true,
        tls_port: None,
    };
    let open = servers.connections();
    let server = web_server!(play::configure(state.clone()), open)
        .max_connections(PLAYERS_A_WORKER)
        .listen_rustls_0_23(listener, tls)
        .map_err(|e| ConfigError::new("--play-tls-addr", e))?
        .run();
    servers.keep(server);
    Ok(())
}

pub(super) fn serve_tls(
    app: &Arc<App>,
    config: &Config,
    listener: TcpListener,
    servers: &mut Servers,
) -> Result<(), ConfigError> {
    let certificate = tls::certificate(&config.data_dir, config.public_host.as_deref())
        .map_err(|e| ConfigError::new("--tls-addr", e))?;
    tracing::info!(path = %certificate.path.display(), "HTTPS with a self-signed certificate; clients must be told to trust it");
    let (shared, open) = (app.clone(), servers.connections());
    let server = web_server!(api::configure(shared.clone()), open)
        .listen_rustls_0_23(listener, certificate.config)
        .map_err(|e| ConfigError::new("--tls-addr", e))?
        .run();
    servers.keep(server);
    Ok(())
}

pub(super) fn serve_objects(
    app: &Arc<App>,
    folder: FolderStore,
    keys: Arc<KeyRing>,
    faults: Arc<Faults>,
    listener: TcpListener,
    servers: &mut Servers,
) -> Result<(), ConfigError> {
    let bound = listener
        .local_addr()
        .map(|at| at.to_string())
        .unwrap_or_default();
    let service_clock = app.services.clock.clone();
    let history = service_clock.clone();
    let state = ServeState {
        strict: app.config.auth == crate::config::Auth::Strict,
        public_host: app.config.public_host.clone(),
        own_names: OwnNames::new(
            app.config.public_host.as_deref(),
            [app.config.oss_addr.as_str(), &bound],
        ),
        store: folder,
        keys,
        clock: Arc::new(move || service_clock.now()),
        offset_at: Arc::new(move |machine| history.offset_at(machine)),
        faults: Arc::new(move |operation: &str| {
            faults
                .strike(Boundary::Store)
                .or_else(|| {
                    (operation == "PutObject")
                        .then(|| faults.strike(Boundary::ObjectPut))
                        .flatten()
                })
                .map(injected)
        }),
    };
    let open = servers.connections();
    let server = wired(listener, CLIENTS_A_WORKER, open, Wire::new, move || {
        WebApp::new().configure(serve::configure(state.clone()))
    })
    .map_err(|e| ConfigError::new("--oss-addr", e))?;
    servers.keep(server);
    Ok(())
}

/// What the web framework reads from and writes to where it is no plain socket.
trait Connection: AsyncRead + AsyncWrite + Unpin + 'static {
    /// Leaves by what the handler of a request speaks with its connection.
    fn introduce(&self, data: &mut Extensions);
}

impl Connection for Wire<TcpStream> {
    fn introduce(&self, data: &mut Extensions) {
        note_own_end(self.io(), data);
        data.insert(self.line());
    }
}

impl Connection for Wire<Handover> {
    fn introduce(&self, data: &mut Extensions) {
        data.insert(self.line());
        data.insert(self.io().desk());
    }
}

/// As [`web_server`], with a connection of our own under it.
fn wired<C, F, A, B>(
    listener: TcpListener,
    most_a_worker: usize,
    open: Connections,
    around: fn(TcpStream) -> C,
    app: F,
) -> std::io::Result<Server>
where
    C: Connection,
    F: Fn() -> A + Clone + Send + 'static,
    A: IntoServiceFactory<B, Request>,
    B: ServiceFactory<Request, Config = AppConfig> + 'static,
    B::Error: Into<actix_web::Error> + 'static,
    B::InitError: std::fmt::Debug,
    B::Response: Into<Response<BoxBody>> + 'static,
    <B::Service as Service<Request>>::Future: 'static,
    B::Service: 'static,
{
    let builder = Server::build()
        .workers(WORKERS)
        .max_concurrent_connections(most_a_worker)
        .disable_signals()
        .shutdown_timeout(SHUTDOWN_SECONDS);
    let stop = builder.graceful_shutdown_signal();
    let connections = move || {
        let (stop, open) = (stop.clone(), open.clone());
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let stop = stop.clone();
                async move { stop.notified().await }
            })
            .client_request_timeout(HEAD_PATIENCE)
            .keep_alive(IDLE_PATIENCE)
            .client_disconnect_timeout(Duration::from_secs(1))
            .on_connect_ext(move |wire: &C, data: &mut Extensions| {
                wire.introduce(data);
                data.insert(open.one());
            })
            .h1(map_config(
                app()
                    .into_factory()
                    .map_err(|error| error.into().error_response()),
                |()| AppConfig::default(),
            ));
        fn_service(move |stream: TcpStream| async move {
            // As in `web_server`.
            let _ = stream.set_nodelay(true);
            let peer = stream.peer_addr().ok();
            Ok((around(stream), peer))
        })
        .and_then(http)
    };
    Ok(builder.listen("connections", listener, connections)?.run())
}

/// What the object store's port does when a fault strikes.
fn injected(strike: Strike) -> serve::InjectedFault {
    let status = match strike.code.as_deref() {
        None => 0,
        Some("AccessDenied") => 403,
        Some("InternalError") => 500,
        Some(code) if code.starts_with("NoSuch") => 404,
        Some(_) => 503,
    };
    serve::InjectedFault {
        status,
        message: "injected fault".to_owned(),
        code: strike.code.unwrap_or_default(),
        delay_ms: strike.delay_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_without_a_code_only_delays() {
        let status = |code: Option<&str>| {
            let strike = Strike {
                delay_ms: 5,
                code: code.map(str::to_owned),
            };
            let fault = injected(strike);
            assert_eq!(fault.delay_ms, 5);
            fault.status
        };
        assert_eq!(status(None), 0);
        assert_eq!(status(Some("InternalError")), 500);
        assert_eq!(status(Some("NoSuchKey")), 404);
        assert_eq!(status(Some("SlowDown")), 503);
    }
}
