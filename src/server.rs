//! Starting and stopping everything in order.

mod data_folder;
mod doors;
mod last_run;
mod retention;
mod servers;

use std::io::{IsTerminal, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use crate::actions::Context;
use crate::app::App;
use crate::certificates::Certificates;
use crate::clock::{self, Clock};
use crate::cluster::Cluster;
use crate::cluster::mirror::{Mirror, Noted};
use crate::config::{self, ClockMode, Config, ConfigError};
use crate::control;
use crate::disk::descriptors;
use crate::disk::lock_file::{self, LockFile};
use crate::disk::writers::{Disk, Tap};
use crate::events::{self, Events, Names};
use crate::faults::Faults;
use crate::identity::KeyRing;
use crate::ids;
use crate::live::hub::Hub;
use crate::live::play::PlayDoor;
use crate::live::{ingest, recovery};
use crate::meter::Meter;
use crate::metrics::Metrics;
use crate::model::object_name::PublicUrls;
use crate::notifier::Notifier;
use crate::notify::{outbox, receiver};
use crate::objects::folder::{FolderStore, Teller};
use crate::objects::{Objects, Store as ObjectStore, s3};
use crate::rpc::gateway::Gateway;
use crate::rpc::nonce::Nonces;
use crate::services::Services;
use crate::signals::Signals;
use crate::site::addresses::{Addresses, from_here};
use crate::store::lease::Me;
use crate::store::member::Joining;
use crate::store::{self, Store, StoreError};
use crate::upstream::{Upstream, loops};
use crate::wire_time;
use doors::{
    bind, bind_between, bind_play, limit_buffers, serve_api, serve_between, serve_objects,
    serve_play, serve_play_tls, serve_tls, url,
};
use last_run::LastRun;
use servers::Servers;

/// Why the service did not start; the setting to blame is in it.
pub type ServeError = ConfigError;

/// How long a stop waits for publishers that send more and more.
const DRAIN_PATIENCE: Duration = Duration::from_secs(2);

/// How long the database may take: to answer, to end a dead process's lease, and to let another one finish making its tables.
const OPENING: Duration = Duration::from_secs(40);

/// How long a start that is not wanted any more may take to its end.
const HALF_STARTED: Duration = Duration::from_secs(10);

/// A started service.
pub struct Running {
    /// Where the listeners are, as this machine reaches them.
    pub here: Addresses,
    pub startup_ms: u64,
    app: Arc<App>,
    servers: Servers,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    /// This process as one of several nodes.
    cluster: Option<Arc<Cluster>>,
    last_run: LastRun,
    /// Of the data folder and of a database that is a file.
    _locks: Vec<LockFile>,
}

/// Starts every service of the process. What goes deep below is a box of its own: one future that holds all of it is nested deeper than the
/// compiler asks for the size of one.
pub async fn start(config: Config) -> Result<Running, ServeError> {
    let began = clock::monotonic();
    let config = Arc::new(config);
    descriptors::prepare();
    live_with_size_limits();
    let mut data = data_folder::open(&config.data_dir)?;
    let api = bind("--api-addr", &config.api_addr)?;
    let rtmp = bind("--rtmp-addr", &config.rtmp_addr)?;
    let oss = bind("--oss-addr", &config.oss_addr)?;
    let tls = config
        .tls_addr
        .as_deref()
        .map(|addr| bind("--tls-addr", addr))
        .transpose()?;
    let play = bind_play(&config)?;
    let play_tls = config
        .play_tls_addr
        .as_deref()
        .map(|addr| bind("--play-tls-addr", addr))
        .transpose()?;
    if let Some(listener) = &play_tls {
        limit_buffers(listener);
    }
    let between = config
        .cluster
        .as_ref()
        .map(|cluster| bind_between(&config, cluster))
        .transpose()?;

    let holder = format!(
        "localyun {} at {} (process {})",
        env!("CARGO_PKG_VERSION"),
        from_here(&url("http", &api)),
        std::process::id()
    );
    let id = config
        .cluster
        .as_ref()
        .and_then(|cluster| cluster.node_id.clone())
        .unwrap_or_else(machine);
    let me = Me {
        id: id.clone(),
        address: url("http", &api),
        data_lock: data.lock.identity().unwrap_or_default(),
    };
    data.lock
        .name_holder(&holder)
        .map_err(|e| data_dir_error(&config, e))?;
    let mut locks = vec![data.lock];
    locks.extend(lock_database(&config, &holder)?);
    let last_run = LastRun::look(&data.held, &config.database_url);
    let last_version = last_run.other_version();
    let inside = match &between {
        Some(listener) => inside_address(listener, &config.database_url).await,
        None => String::new(),
    };
    let reached = (url("rtmp", &rtmp), inside);
    let store = Box::pin(open_store(&config, me, reached, last_version)).await?;
    last_run.tell(&store).await;
    if let Some(seed) = config.id_seed {
        let run = store.generation().await;
        ids::follow_from(
            seed,
            run.map_err(|e| ConfigError::new("--database-url", e))?,
        );
    }
    let service_clock = start_clock(&config, &store).await?;
    let events = match config.id_seed {
        Some(_) => Events::from_id(service_clock.clone(), 0),
        None => Events::new(service_clock.clone()),
    };
    let faults = Arc::new(Faults::telling(events.clone()));
    let folder = open_folder(&config, &service_clock, &events)?;
    let objects = Objects::new(object_store(&config, &folder), faults.clone())
        .telling(object_teller(&events));
    let (disk, mirror) = Box::pin(disk_and_mirror(&config, &store, &objects)).await?;
    let (notifier, inbox) = Notifier::new();
    let spool = config.data_dir.join("spool");
    data.held
        .enter_or_make("spool")
        .map_err(|e| data_dir_error(&config, e))?;
    let services = Arc::new(Services {
        meter: Meter::new(service_clock.clone(), store.clone()),
        clock: service_clock.clone(),
        store,
        objects,
        public_urls: public_urls(&config),
        notifier,
        certificates: Certificates::default(),
        disk,
        http: receiver::client().map_err(|e| ConfigError::new("callbacks", e))?,
        faults: faults.clone(),
        events,
        metrics: Arc::new(Metrics::default()),
        spool,
    });
    let hub = Hub::new(services.clone());
    let nonces = Nonces::open(data.held).unwrap_or_else(|error| {
        tracing::error!(%error, "used nonces cannot be kept in the data folder: a restart forgets them");
        Nonces::default()
    });
    let keys = Arc::new(KeyRing::new(config.access_keys.clone()));
    let addresses = Addresses {
        api: url("http", &api),
        rtmp: url("rtmp", &rtmp),
        oss: url("http", &oss),
        tls: tls.as_ref().map(|listener| url("https", listener)),
        play: url("http", &play),
        play_tls: play_tls.as_ref().map(|listener| url("https", listener)),
        public_host: config.public_host.clone(),
        node: id,
    };
    let context = Context::new(services.clone(), hub.clone(), config.clone());
    let of_the_api = [Some(&api), tls.as_ref()];
    let upstream = open_upstream(&config, &services, of_the_api).await?;
    let app = App::new(Gateway::new(
        context,
        keys.clone(),
        nonces,
        addresses.clone(),
        upstream,
    ));

    if let Some(seed) = &config.seed {
        let named = |e: &dyn std::fmt::Display| {
            ConfigError::new("--seed", format!("{}: {e}", seed.display()))
        };
        let text = std::fs::read_to_string(seed).map_err(|e| named(&e))?;
        Box::pin(control::apply_seed(&services, &text))
            .await
            .map_err(|e| named(&e))?;
    }
    if let Err(error) = services.certificates.reread(&services.store).await {
        tracing::error!(%error, "the certificates of the domains cannot be read");
    }
    // Pushes that ended with the last run, whose end nobody wrote.
    let token = config.cluster.as_ref().and_then(|it| it.token.clone());
    let cluster = services
        .store
        .member()
        .map(|member| Cluster::new(app.clone(), member.clone(), mirror, token));
    if cluster.is_some() {
        // Those of streams that are this node's end when it takes them up.
    } else if let Err(error) = services.store.end_pushes(services.clock.now()).await {
        tracing::error!(%error, "the pushes of an earlier run cannot be ended in the list");
    }
    let mut tasks = vec![tokio::spawn(async move { service_clock.run().await })];
    let meter = services.meter.clone();
    tasks.push(tokio::spawn(async move { meter.run().await }));
    outbox::run(&services, inbox);
    let taken_up = match &cluster {
        Some(cluster) => Box::pin(cluster.take_up_own()).await,
        None => Box::pin(recovery::run(&hub))
            .await
            .map_err(|e| e.to_string()),
    };
    match taken_up {
        Ok(0) => {}
        Ok(n) => tracing::info!(sessions = n, "recordings of an earlier run are taken up"),
        Err(error) => tracing::error!(%error, "recordings of an earlier run cannot be taken up"),
    }
    if let (Some(cluster), Some(settings)) = (&cluster, &config.cluster) {
        tell_of_cluster(settings);
        tasks.extend(cluster.run(&config.database_url));
    }

    rtmp.set_nonblocking(true)
        .map_err(|e| ConfigError::new("--rtmp-addr", e))?;
    let rtmp =
        tokio::net::TcpListener::from_std(rtmp).map_err(|e| ConfigError::new("--rtmp-addr", e))?;
    let door = PlayDoor::new(hub.clone(), config.default_domain.clone());
    tasks.push(tokio::spawn(ingest::run(
        rtmp,
        hub,
        door.clone(),
        config.default_domain.clone(),
    )));
    if let Some(cluster) = &cluster {
        door.reach(cluster.clone());
        app.watch_through(door.clone());
    }
    let sessions = door.clone();
    tasks.push(tokio::spawn(async move { sessions.sessions.run().await }));
    tasks.push(tokio::spawn(retention::run(services)));

    let mut servers = Servers::default();
    serve_api(&app, api, &mut servers)?;
    serve_objects(&app, folder, keys, faults, oss, &mut servers)?;
    if let Some(listener) = between {
        serve_between(&app, listener, &mut servers)?;
    }
    if let Some(listener) = tls {
        serve_tls(&app, &config, listener, &mut servers)?;
    }
    let play_tls_port = play_tls
        .as_ref()
        .and_then(|listener| Some(listener.local_addr().ok()?.port()));
    serve_play(&door, &app, play, play_tls_port, &mut servers)?;
    if let Some(listener) = play_tls {
        serve_play_tls(&door, &app, &config, listener, &mut servers)?;
    }
    Ok(Running {
        here: addresses.map(from_here),
        startup_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        app,
        servers,
        tasks,
        cluster,
        last_run,
        _locks: locks,
    })
}

/// Starts, unless the process is told to stop meanwhile: then what was begun ends in order as soon as it stands, and nothing comes back. A start
/// that hangs is given up, as is one whose end is asked for twice.
///
/// # Errors
/// It cannot start; the setting to blame is named.
pub async fn start_unless_told(
    config: Config,
    signals: &mut Signals,
) -> Result<Option<Running>, ServeError> {
    let mut starting = Box::pin(start(config));
    tokio::select! {
        started = &mut starting => return started.map(Some),
        () = signals.told() => {}
    }
    let ending = async {
        if let Ok(running) = starting.await {
            running.stop().await;
        }
    };
    tokio::select! {
        _ = clock::machine_timeout(HALF_STARTED, ending) => {}
        () = signals.told() => {}
    }
    Ok(None)
}

/// Runs the service in the foreground, with its ready line on standard output, until a signal.
pub async fn serve(config: Config, mut signals: Signals) -> Result<(), ServeError> {
    let shown = config.shown.clone();
    let named = |error: ServeError| error.named_as_written(&shown);
    let started = start_unless_told(config, &mut signals).await;
    let Some(running) = started.map_err(named)? else {
        return Ok(());
    };
    let here = &running.here;
    let mut ready = serde_json::json!({
        "event": "ready",
        "version": env!("CARGO_PKG_VERSION"),
        "api": here.api,
        "rtmp": here.rtmp,
        "play": here.play,
        "oss": here.oss,
        "startup_ms": running.startup_ms,
        "pid": std::process::id(),
    });
    let over_tls = [("tls", &here.tls), ("play_tls", &here.play_tls)];
    if let serde_json::Value::Object(fields) = &mut ready {
        for (name, url) in over_tls {
            fields.extend(url.as_deref().map(|url| (name.to_owned(), url.into())));
        }
    }
    print_line(&ready.to_string());
    if std::io::stderr().is_terminal() {
        running.show_banner();
    }
    running.wait(&mut signals).await.map_err(named)
}

/// The ready line is all that standard output ever carries. Nobody has to read it.
fn print_line(line: &str) {
    let mut out = std::io::stdout().lock();
    if let Err(error) = writeln!(out, "{line}").and_then(|()| out.flush()) {
        tracing::warn!(%error, "the ready line could not be written to standard output");
    }
}

/// A file that reaches the process's size limit (RLIMIT_FSIZE) is the error of one write, and not the end of the process.
fn live_with_size_limits() {
    const SIGXFSZ: i32 = 25;
    // The handler stays when the stream of signals goes.
    if let Err(error) = signal(SignalKind::from_raw(SIGXFSZ)) {
        tracing::warn!(%error, "SIGXFSZ cannot be watched");
    }
}

impl Running {
    /// What the doors see.
    #[must_use]
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// What a person wants to know who has just started the service in a terminal.
    /// It does not go through the log: its filter is another matter.
    fn show_banner(&self) {
        let key = self.app.gateway.keys.first();
        let key = key.map_or_else(String::new, |key| key.id.clone());
        let seen = self.app.addresses().seen_from_here();
        let _ = writeln!(
            std::io::stderr(),
            "\n  API       {api}   key {key}, its secret in --access-keys\n  push      {rtmp}/live/STREAM?vhost=DOMAIN\n  play      {play}/live/STREAM.flv?vhost=DOMAIN\n  objects   {oss}\n  console   {api}/_localyun/ui/\n",
            api = seen.url(&self.app.addresses().api),
            rtmp = seen.url(&self.app.addresses().rtmp),
            play = seen.url(&self.app.addresses().play),
            oss = self.app.store_url(&seen),
        );
    }

    /// Waits for SIGTERM or Ctrl-C and stops in order; or for another process that took the database over, which is an error.
    pub async fn wait(self, signals: &mut Signals) -> Result<(), ServeError> {
        let store = self.app.services.store.clone();
        let taken_over = tokio::select! {
            () = signals.told() => None,
            why = store.taken_over() => Some(why),
        };
        if let Some(why) = taken_over {
            self.leave().await;
            return Err(ConfigError::new(
                "--database-url",
                format!(
                    "{why} since this process lost its lease; what it recorded is in the data folder, for its next start"
                ),
            ));
        }
        tracing::info!("stopping: publishers are closed, recordings finished, callbacks flushed");
        tokio::select! {
            () = self.stop() => {}
            // What is left undone is on disk, and the next start takes it up.
            () = signals.told() => tracing::warn!("told again to stop: the rest is left to the next start"),
        }
        Ok(())
    }

    /// Ends at once what another process goes on with: publishers are closed, and their recordings stay on this disk for the next start.
    async fn leave(self) {
        let _ = clock::machine_timeout(DRAIN_PATIENCE, self.app.hub.drain()).await;
        self.app.hub.shutdown();
        let _ =
            clock::machine_timeout(Duration::from_secs(5), self.app.services.disk.settle()).await;
        for task in self.tasks {
            task.abort();
        }
        self.servers.cut().await;
    }

    /// Publishers are closed, open recordings are finished and uploaded, queued callbacks are sent or stay in the outbox, requests that came are
    /// answered, ports are freed.
    pub async fn stop(self) {
        let is_node = match &self.cluster {
            Some(cluster) => {
                cluster.leave().await;
                true
            }
            None => {
                // What publishers have sent is in their sockets up to a tick long.
                let _ = clock::machine_timeout(DRAIN_PATIENCE, self.app.hub.drain()).await;
                self.app.hub.shutdown();
                false
            }
        };
        // Not every recording is finished by what `settle` waits for: an upload that fails rests, and its spool must be whole.
        let _ =
            clock::machine_timeout(Duration::from_secs(5), self.app.services.disk.settle()).await;
        let settled = self.app.services.clock.settle();
        if is_node {
            // What is left of it is in the database, for the other nodes.
            let _ = clock::machine_timeout(DRAIN_PATIENCE, settled).await;
        } else {
            settled.await;
        }
        self.app.services.events.close();
        for task in self.tasks {
            task.abort();
        }
        self.servers.finish().await;
        let _ =
            clock::machine_timeout(Duration::from_secs(5), self.app.services.meter.flush()).await;
        // A query that hangs must not keep the process; SQLite takes its write-ahead log up at the next start.
        self.last_run.ends();
        let closed = self.app.services.store.close();
        let closed = clock::machine_timeout(Duration::from_secs(5), closed).await;
        if closed.is_none() {
            self.last_run.is_cut_off();
        }
    }
}

fn data_dir_error(config: &Config, error: impl std::fmt::Display) -> ConfigError {
    ConfigError::new(
        "--data-dir",
        format!("{}: {error}", config.data_dir.display()),
    )
}

/// One process a database that is a file; the lock lies beside it, since SQLite has locks of its own on it.
fn lock_database(config: &Config, holder: &str) -> Result<Option<LockFile>, ConfigError> {
    let named = |problem: &dyn std::fmt::Display| ConfigError::new("--database-url", problem);
    let Some(file) = store::file_of(&config.database_url) else {
        return Ok(None);
    };
    let mut beside = file.as_os_str().to_owned();
    beside.push(".lock");
    let taken = LockFile::take(beside.as_ref()).and_then(|mut lock| {
        lock.name_holder(holder)?;
        Ok(lock)
    });
    taken.map(Some).map_err(|refused| match refused {
        lock_file::Refused::Held(holder) => named(&format!("{holder} uses this database")),
        lock_file::Refused::Io(error) => named(&format!(
            "{}: {error}",
            std::path::Path::new(&beside).display()
        )),
    })
}

/// Where calls go that others answer. One that leads back here is refused: it would go round for ever.
async fn open_upstream(
    config: &Config,
    services: &Services,
    of_the_api: [Option<&TcpListener>; 2],
) -> Result<Option<Upstream>, ConfigError> {
    let settings = &config.upstream;
    let listeners = of_the_api.into_iter().flatten();
    let listeners: Vec<_> = listeners.filter_map(|at| at.local_addr().ok()).collect();
    if let Some(endpoint) = &settings.endpoint
        && settings.mode.forwards()
        && loops::leads_to(endpoint, &listeners).await
    {
        return Err(ConfigError::new(
            "--upstream",
            format!("{endpoint} is this server itself"),
        ));
    }
    let upstream = Upstream::open(settings, services.metrics.clone())
        .map_err(|unusable| ConfigError::new(unusable.setting, unusable.problem))?;
    match &upstream {
        Some(upstream) => tracing::info!("{}", upstream.told()),
        None if settings.endpoint.is_some() || settings.cassette.is_some() => tracing::warn!(
            "nothing is forwarded to the upstream and nothing answered from the cassette: --upstream-mode is off"
        ),
        None => {}
    }
    Ok(upstream)
}

/// The name of this machine, for others that use the same database.
fn machine() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .map(|name| name.trim().to_owned())
        .or_else(|| std::env::var("HOSTNAME").ok())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}

/// What writes the spools, and what copies them into the object store where several nodes want it.
async fn disk_and_mirror(
    config: &Config,
    store: &Store,
    objects: &Objects,
) -> Result<(Disk, Option<Arc<Mirror>>), ServeError> {
    let age = config.cluster.as_ref().and_then(|cluster| cluster.mirror);
    let Some(age) = age else {
        let disk = Disk::start().map_err(|e| data_dir_error(config, e))?;
        return Ok((disk, None));
    };
    let noted = Arc::new(Noted::default());
    let tap: Arc<dyn Tap> = noted.clone();
    let disk = Disk::tapped(&tap).map_err(|e| data_dir_error(config, e))?;
    let wanted: String = ids::nonce()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(12)
        .collect();
    let wanted = format!("localyun-spool-{}", wanted.to_ascii_lowercase());
    let bucket = store
        .mirror_bucket(&wanted)
        .await
        .map_err(|e| ConfigError::new("--database-url", e))?;
    objects.create_bucket(&bucket).await.map_err(|e| {
        ConfigError::new(
            "--spool-mirror",
            format!("the bucket {bucket} cannot be made in the store of --oss-endpoint: {e}"),
        )
    })?;
    let mirror = Mirror::new(objects.clone(), bucket, age, noted);
    Ok((disk, Some(Arc::new(mirror))))
}

/// Says at the start what the loss of this node costs.
fn tell_of_cluster(settings: &config::Cluster) {
    let lease_ms = settings.lease.as_millis();
    match settings.mirror {
        Some(age) => tracing::info!(
            lease_ms,
            mirror_ms = age.as_millis(),
            "one of several nodes: were this one lost, the others go on with its recordings, without the media of the mirror's age and one upload"
        ),
        None => tracing::warn!(
            lease_ms,
            "one of several nodes, without a mirror (--spool-mirror off): were this one lost for good, so were its open files; slices and files that are in the bucket stay"
        ),
    }
}

async fn open_store(
    config: &Config,
    me: Me,
    (rtmp, inside): (String, String),
    last_version: Option<&str>,
) -> Result<Store, ConfigError> {
    let named = |problem: &dyn std::fmt::Display| ConfigError::new("--database-url", problem);
    // The pool would try a server that is not there for a long while.
    if let Some((host, port)) = database_host(&config.database_url) {
        let connecting = tokio::net::TcpStream::connect((host.as_str(), port));
        match clock::machine_timeout(Duration::from_secs(5), connecting).await {
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(named(&format!("{host}:{port}: {error}"))),
            None => return Err(named(&format!("{host}:{port} does not answer"))),
        }
    }
    let opening = async {
        match &config.cluster {
            None => Store::open_alone(&config.database_url, me).await,
            Some(cluster) => {
                let joining = Joining {
                    me,
                    rtmp,
                    inside,
                    lease: cluster.lease,
                };
                Store::open_as_node(&config.database_url, joining).await
            }
        }
    };
    match clock::machine_timeout(OPENING, opening).await {
        Some(Ok(store)) => Ok(store),
        // Nobody gave the address of the database that lies in the data folder.
        Some(Err(StoreError::Schema(problem)))
            if store::file_of(&config.database_url)
                .is_some_and(|file| file.starts_with(&config.data_dir)) =>
        {
            let by = last_version.map_or_else(String::new, |version| {
                format!(
                    "; localyun {version} used it last, this is {}",
                    env!("CARGO_PKG_VERSION")
                )
            });
            Err(data_dir_error(config, format!("{problem}{by}")))
        }
        Some(Err(error)) => Err(named(&error)),
        None => Err(named(&"the database does not answer")),
    }
}

/// Where the other nodes reach a listener: one on every address is reached at the one that leads to the database.
async fn inside_address(listener: &TcpListener, database_url: &str) -> String {
    let Ok(mut at) = listener.local_addr() else {
        return String::new();
    };
    if at.ip().is_unspecified()
        && let Some((host, port)) = database_host(database_url)
        && let Ok(socket) = tokio::net::UdpSocket::bind((at.ip(), 0)).await
        // Nothing is sent: it only finds the way.
        && socket.connect((host.as_str(), port)).await.is_ok()
        && let Ok(here) = socket.local_addr()
    {
        at.set_ip(here.ip());
    }
    format!("http://{at}")
}

/// Where a database server listens; none for SQLite and for local sockets.
fn database_host(url: &str) -> Option<(String, u16)> {
    let url = url::Url::parse(url).ok()?;
    let port = match url.scheme() {
        "postgres" | "postgresql" => 5432,
        "mysql" => 3306,
        _ => return None,
    };
    let host = url.host_str().filter(|host| !host.is_empty())?;
    Some((
        host.trim_matches(['[', ']']).to_owned(),
        url.port().unwrap_or(port),
    ))
}

/// The service clock. Where an earlier run advanced it and no start is asked for, it goes on from there: time never goes back.
async fn start_clock(config: &Config, store: &Store) -> Result<Clock, ConfigError> {
    let service_clock = if config.clock == ClockMode::Frozen {
        Clock::stopped(config.clock_start)
    } else {
        Clock::new(config.clock_start)
    };
    let kept = store
        .clock_offset()
        .await
        .map_err(|e| ConfigError::new("--database-url", e))?;
    if let (Some(ahead), None) = (kept.filter(|ahead| *ahead > 0), config.clock_start) {
        service_clock.take_up(ahead);
        tracing::warn!(
            seconds = ahead / 1000,
            now = %wire_time::to_api(service_clock.now()),
            "the clock of this database was advanced and goes on from there; a reset or --clock-start sets it anew"
        );
    }
    // The clock of all nodes may stand.
    if store.member().is_some() {
        let kept = store.kept_clock().await;
        let kept = kept.map_err(|e| ConfigError::new("--database-url", e))?;
        if let Some(at) = kept.stopped_at {
            service_clock.hold().await.end(at, true).await;
        }
    }
    Ok(service_clock)
}

fn open_folder(
    config: &Config,
    service_clock: &Clock,
    events: &Events,
) -> Result<FolderStore, ConfigError> {
    let service_clock = service_clock.clone();
    let store = FolderStore::open_with_clock(
        config.data_dir.join("oss"),
        Arc::new(move || service_clock.now()),
    )
    .map_err(|e| data_dir_error(config, e))?;
    store.tell_changes(object_teller(events));
    Ok(store)
}

/// Makes events of what happens to objects.
fn object_teller(events: &Events) -> Teller {
    let events = events.clone();
    Arc::new(move |change| events.tell(events::Kind::Object, Names::NONE, change))
}

/// How answers and playlists name an object: as clients see the store, where a setting says so.
fn public_urls(config: &Config) -> PublicUrls {
    match &config.oss_public_url {
        Some(store) => PublicUrls::below(store.clone(), config.has_buckets_in_host()),
        None => PublicUrls::default(),
    }
}

fn object_store(config: &Config, folder: &FolderStore) -> ObjectStore {
    let Some(o) = &config.outside_store else {
        return ObjectStore::Embedded(folder.clone());
    };
    let client = s3::Client::new(
        &o.endpoint,
        &o.region,
        &o.key.id,
        &o.key.secret,
        o.addressing,
    );
    ObjectStore::Outside(Arc::new(match &config.oss_public_url {
        Some(public) => client.seen_at(public),
        None => client,
    }))
}
