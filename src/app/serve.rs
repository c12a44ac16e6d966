//! `modelsd serve`: loads the model, then listens.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::net::{TcpListener, lookup_host};
use tokio::runtime::{Handle, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;

use crate::artifact::{self, Artifacts};
use crate::config::{RecordingConfig, ServeConfig};
use crate::deploy::background;
use crate::deploy::fleet::Fleet;
use crate::deploy::install::{self, Installer};
use crate::deploy::journal::Journal;
use crate::deploy::reconcile::{FirstPass, Reconciler};
use crate::deploy::slot::Slot;
use crate::deploy::starter::Starter;
use crate::experiment::tallies::{Bounds, Tallies};
use crate::http::access::Guard;
use crate::http::intake::Intake;
use crate::http::listener::Doors;
use crate::http::lookout::look_out;
use crate::http::reread::{self, Changes, OfFiles};
use crate::http::routes::Routes;
use crate::http::tls::Tls;
use crate::http::unix::SocketFile;
use crate::http::webhook::Verifier;
use crate::http::{self, App};
use crate::predlog::{Ending, Recorder, Sink};
use crate::protocol::Codecs;
use crate::registry::{self, Registry};
use crate::routing::spec::RouteSpec;
use crate::routing::store::Store;
use crate::serve::endpoint::Endpoint;
use crate::serve::recording::Recording;
use crate::serve::routes::{ChangeError, Reread, RouteKeeper};
use crate::serve::shadow::Shadowing;
use crate::serve::tally::Tally;
use crate::telemetry::recorder::{self, Metrics};
use crate::tracking::Tracking;
use crate::tracking::classes::ClassNames;

/// Time that the end of the process waits for the disk.
const REMEMBER_LIMIT: Duration = Duration::from_secs(2);
/// Time that the end of the process waits for the record of predictions.
const RECORD_LIMIT: Duration = Duration::from_secs(10);
/// Connections the system keeps for us while we are busy.
const BACKLOG: u32 = 1024;

/// Serves until SIGTERM or Ctrl-C.
///
/// # Errors
/// When the model cannot be loaded, or the address cannot be listened on.
pub(super) fn run(config: &ServeConfig) -> anyhow::Result<()> {
    let start = Instant::now();
    let metrics = recorder::install()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.threads.get())
        // What predictors have answered goes out before the next request comes in: under more load than can be answered
        // it would else come late, and have been computed for nothing. A worker looks at one number for it each turn.
        .global_queue_interval(1)
        .thread_name("modelsd-worker")
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let background = background::runtime().context("cannot start the background runtime")?;
    let answered = runtime.block_on(follow_and_answer(config, metrics, &background, start));
    background.shutdown_background();
    answered?;
    // A model that is still computing for a client who left must not hold up the end.
    runtime.shutdown_timeout(Duration::from_millis(100));
    Ok(())
}

/// Starts the reconciler, listens, and answers until told to stop.
async fn follow_and_answer(
    config: &ServeConfig,
    metrics: Metrics,
    background: &Runtime,
    start: Instant,
) -> anyhow::Result<()> {
    let follow = &config.follow;
    let codecs = Codecs::new(config.disable_schema_details);
    let registry: Arc<dyn Registry> = registry::open_to_poll(&config.registry)?.into();
    let tracking = Tracking::new(&config.registry)?;
    let classes = ClassNames::new(Arc::clone(&registry));
    let state = config.artifacts.cache_dir.join("v1").join("state");
    let weights = Store::new(state.join("routes"));
    let journal = Journal::new(state, registry.name());
    let install = install::Config {
        flavor: config.flavor.clone(),
        predictors: config.predictors,
        batching: config.batching.clone(),
        load_timeout: follow.load_timeout,
        parity_tolerance: follow.parity_tolerance,
    };
    // The reconciler tries again, and serves what served last meanwhile.
    let artifacts = Artifacts::new(artifact::Config {
        tried_again: true,
        ..config.artifacts.clone()
    });
    let wire = super::wire(config.disable_schema_details, config.http.limits);
    let starter = Starter::start().context("cannot start a thread")?;
    let installer = Installer::new(registry, artifacts, install, Some(wire)).with_starter(starter);
    let installer = Arc::new(installer);
    let routes = config.routes.all();
    let slots = follow.slots.iter();
    let slots = slots.map(|slot| Slot::new(Arc::clone(&slot.name), slot.uri.clone()));
    let variants = routes.iter().flat_map(RouteSpec::slots).map(Slot::variant);
    let slots = slots.chain(variants).map(Arc::new);
    let default = follow.slots.first().map(|slot| Arc::clone(&slot.name));
    let fleet = Arc::new(Fleet::new(slots, default.clone()));
    let default_route = default.is_none() && follow.reconcile.all_models.is_none();
    let (reconciler, control, first_pass) =
        Reconciler::new(installer, Arc::clone(&fleet), journal, follow.reconcile.clone())
            .context("cannot follow the registry")?;

    let listener = listen(&config.host, config.port)
        .await
        .with_context(|| format!("cannot listen on {}:{}", config.host, config.port))?;
    let address = listener
        .local_addr()
        .context("cannot learn the address listened on")?;
    let unix = config.uds.as_deref();
    let unix = unix.map(|path| SocketFile::listen(path, BACKLOG)).transpose()?;
    // The signal is caught before anybody can know the port, so that none is missed.
    let stop = stop_signal().context("cannot catch signals")?;
    let credentials = credentials(config, address.ip())?;
    let Credentials { guard, tls, of_files } = credentials;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let recording = recording(config)?;
    let shadowing = Shadowing::new(Arc::clone(&fleet), background.handle().clone(), recording.clone());
    let remember = control.clone();
    let tallies = recording
        .as_ref()
        .map(|recording| Arc::clone(recording.tallies()));
    let reread = rereading(config);
    let keeper = RouteKeeper::new(routes, default_route, weights, control.clone(), reread, tallies)
        .context("cannot route")?;
    let keeper = Arc::new(keeper);
    let app = Arc::new(App {
        endpoint: Endpoint::new(
            Arc::clone(&fleet),
            Arc::clone(keeper.routes()),
            recording.clone(),
            Some(shadowing),
            &config.endpoint,
        ),
        intake: Intake::new(config.threads),
        codecs,
        config: config.http.clone(),
        metrics,
        control,
        routes: Arc::clone(&keeper),
        guard,
        encrypted: tls.is_some(),
        webhooks: Verifier::new(follow.webhook_secret.as_deref(), config.access.tokens.is_some()),
        traced: config.traces.is_some(),
        tracking,
        classes,
    });
    let following = background.spawn(reconciler.run());
    let asked = Arc::downgrade(&app);
    let busy = move || asked.upgrade().is_some_and(|app| app.endpoint.in_flight() > 0);
    background.spawn(look_out(Handle::current(), busy));
    let hangups = signal(SignalKind::hangup()).context("cannot catch signals")?;
    let rereading = background.spawn(reread_on(hangups, keeper, of_files.is_empty()));
    let hangups = signal(SignalKind::hangup()).context("cannot catch signals")?;
    let following_files = background.spawn(reread::follow(of_files, hangups));
    let url = format!("{scheme}://{address}");
    tracing::info!(%address, "listening");
    if let Some(path) = &config.uds {
        tracing::info!(path = %path.display(), "listening");
    }
    let doors = Doors {
        tcp: listener,
        tls,
        unix,
    };
    let answering = http::listener::serve(doors, Routes::new(app), &config.http, stop);
    let ready = async {
        let Ok(pass) = first_pass.await else { return Ok(()) };
        report(&pass, &url, &fleet, start)
    };
    // A server whose models are all bad has nothing to wait for; one whose registry is away has.
    let answered = async {
        tokio::pin!(answering);
        tokio::select! {
            () = &mut answering => return Ok(()),
            ready = ready => ready?,
        }
        answering.await;
        anyhow::Ok(())
    }
    .await;
    if timeout(REMEMBER_LIMIT, remember.remember()).await.is_err() {
        tracing::warn!("the disk is too slow to remember what was served");
    }
    if let Some(recording) = recording {
        tell_of_losses(&recording.recorder().close(RECORD_LIMIT));
    }
    following.abort();
    rereading.abort();
    following_files.abort();
    answered
}

/// Says what the record lacks: nobody can read the metrics any more.
fn tell_of_losses(ending: &Ending) {
    let Ending {
        in_time,
        dropped,
        at_the_end,
    } = *ending;
    if !in_time {
        tracing::warn!(
            dropped,
            at_the_end,
            "the last predictions could not be recorded within {RECORD_LIMIT:?}"
        );
    } else if dropped > 0 {
        tracing::warn!(dropped, at_the_end, "the record lacks predictions");
    }
}

/// Who may come in, and how.
struct Credentials {
    guard: Arc<Guard>,
    tls: Option<Arc<Tls>>,
    /// What is read again when its files change.
    of_files: Vec<(Arc<dyn OfFiles>, Changes)>,
}

/// Reads tokens and certificates, and says what is open.
fn credentials(config: &ServeConfig, address: IpAddr) -> anyhow::Result<Credentials> {
    let mut of_files: Vec<(Arc<dyn OfFiles>, Changes)> = Vec::new();
    // Noted before the files are read, so that no change between the two is missed.
    let changes = Changes::new(config.access.tokens.iter().cloned().collect());
    let admin_token = config.follow.admin_token.as_deref();
    let guard = Guard::new(&config.access, admin_token, address, &config.host)?;
    let guard = Arc::new(guard);
    if config.access.tokens.is_some() {
        of_files.push((Arc::clone(&guard) as Arc<dyn OfFiles>, changes));
    }
    let mut tls = None;
    if let Some(wanted) = &config.tls {
        let changes = Changes::new(wanted.files());
        let loaded = Arc::new(Tls::load(wanted)?);
        of_files.push((Arc::clone(&loaded) as Arc<dyn OfFiles>, changes));
        tls = Some(loaded);
    }
    guard.announce(tls.is_some());
    Ok(Credentials { guard, tls, of_files })
}

/// Opens the sinks of the record and of traces, if there are any.
fn recording(config: &ServeConfig) -> anyhow::Result<Option<Recording>> {
    let RecordingConfig {
        sinks,
        share,
        recorder: settings,
    } = &config.recording;
    let has_routes = config.routes.file.is_some() || !config.routes.typed.is_empty();
    let keeps = has_routes || !sinks.is_empty();
    if !keeps && config.traces.is_none() {
        return Ok(None);
    }
    // Without a sink, predictions of variants are counted all the same.
    let share = if sinks.is_empty() { 0.0 } else { *share };
    let tallies = Arc::new(Tallies::new(Bounds::default()));
    let mut open: Vec<Box<dyn Sink>> = Vec::new();
    if keeps {
        open.push(Box::new(Tally::new(Arc::clone(&tallies))));
    }
    for sink in sinks {
        let opened = sink
            .open()
            .with_context(|| format!("cannot record to `{sink}`"))?;
        open.push(opened);
    }
    // At the end files are closed before anybody waits for a server.
    open.sort_by_key(|sink| sink.counts());
    if let Some(traces) = &config.traces {
        open.push(traces.otlp.open().context("cannot export traces")?);
    }
    let recorder = Recorder::start(open, settings.clone()).context("cannot start a thread")?;
    let mut recording = Recording::new(recorder, share, tallies);
    if !keeps {
        recording = recording.of_traces_alone();
    }
    if let Some(traces) = &config.traces {
        recording = recording.with_traces(traces.sampler);
    }
    Ok(Some(recording))
}

/// How the configuration file is read again, if there is one.
fn rereading(config: &ServeConfig) -> Option<Reread> {
    let routes = config.routes.clone();
    let slots: Vec<_> = config
        .follow
        .slots
        .iter()
        .map(|slot| Arc::clone(&slot.name))
        .collect();
    routes
        .file
        .is_some()
        .then(|| Arc::new(move || routes.reread(&slots)) as Reread)
}

/// Reads the configuration again at each SIGHUP.
///
/// Where it is `meant_for_routes` alone, a signal without a configuration is a mistake.
async fn reread_on(mut hangups: Signal, keeper: Arc<RouteKeeper>, meant_for_routes: bool) {
    while hangups.recv().await.is_some() {
        match keeper.reload().await {
            Ok(routes) => tracing::info!(routes = routes.join(", "), "configuration read again"),
            Err(ChangeError::NoConfig) if !meant_for_routes => {}
            Err(error) => tracing::error!(%error, "SIGHUP"),
        }
    }
}

/// Says how the first pass over the models ended.
///
/// # Errors
/// When a model that was asked for by name cannot be served, and the registry is not to blame.
fn report(pass: &FirstPass, url: &str, fleet: &Fleet, start: Instant) -> anyhow::Result<()> {
    if let [(slot, reason), others @ ..] = &pass.failed[..] {
        let more = match others.len() {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        anyhow::bail!("cannot serve `{slot}`{more}: {reason}");
    }
    for (slot, reason) in &pass.waiting {
        tracing::warn!(%slot, reason, "nothing to serve yet, trying on; /health/ready answers 503 meanwhile");
    }
    let table = fleet.table();
    let serving: Vec<String> = table
        .slots()
        .filter_map(|slot| Some(slot.current()?.id().to_string()))
        .collect();
    let startup_ms = start.elapsed().as_millis() as u64;
    tracing::info!(url, models = serving.join(", "), startup_ms, "serving");
    Ok(())
}

/// Listens on the first address of `host` that can be bound; a port that a stopped server used last is free at once.
async fn listen(host: &str, port: u16) -> io::Result<TcpListener> {
    let mut problem = io::Error::new(io::ErrorKind::AddrNotAvailable, "the host has no address");
    for address in lookup_host((host, port)).await? {
        match bind(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => problem = error,
        }
    }
    Err(problem)
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4()?,
        SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Ends at the first SIGTERM or Ctrl-C.
pub(super) fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
