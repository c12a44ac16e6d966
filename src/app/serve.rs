//! `modelsd serve`: loads the model, then listens.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::net::{TcpListener, lookup_host};
use tokio::signal::unix::{SignalKind, signal};

use super::deploy;
use crate::config::ServeConfig;
use crate::deploy::slot::Slot;
use crate::http::{self, App};
use crate::protocol::Codecs;
use crate::serve::endpoint::Endpoint;
use crate::telemetry::recorder;

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
        .thread_name("modelsd-worker")
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let slot = Arc::new(Slot::new("default", config.model.clone()));
    runtime.block_on(async {
        let target = deploy::Target {
            uri: &config.model,
            registry: &config.registry,
            flavor: &config.flavor,
            predictors: config.predictors,
        };
        let deployment = Arc::new(deploy::deploy(target).await?);
        slot.publish(Arc::clone(&deployment));
        let app = Arc::new(App {
            endpoint: Endpoint::new(Arc::clone(&slot), &config.endpoint),
            codecs: Codecs::new(config.disable_schema_details),
            config: config.http.clone(),
            metrics: metrics.clone(),
        });
        let listener = listen(&config.host, config.port)
            .await
            .with_context(|| format!("cannot listen on {}:{}", config.host, config.port))?;
        let address = listener
            .local_addr()
            .context("cannot learn the address listened on")?;
        // The signal is caught before anybody can know the port, so that none is missed.
        let stop = stop_signal().context("cannot catch signals")?;
        tracing::info!(
            url = %format!("http://{address}"),
            model = %deployment.id(),
            engine = deployment.report().engine,
            startup_ms = start.elapsed().as_millis() as u64,
            "serving"
        );
        let upkeep = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(recorder::UPKEEP_INTERVAL);
            loop {
                ticks.tick().await;
                metrics.run_upkeep();
            }
        });
        http::listener::serve(listener, http::router(app), &config.http, stop).await;
        upkeep.abort();
        anyhow::Ok(())
    })?;
    // A model that is still computing for a client who left must not hold up the end.
    runtime.shutdown_timeout(Duration::from_millis(100));
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
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
