//! The listener: accepts connections within their bounds, and stops without dropping a request.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;

use super::Config;
use super::routes::Routes;

/// Wait after a failed accept (no file descriptors left, usually), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `stop` ends, then lets the requests in flight end within [`Config::shutdown_grace`].
///
/// Cancel-safe: dropping the future closes the listener and leaves the connections to end by themselves.
pub async fn serve(listener: TcpListener, routes: Routes, config: &Config, stop: impl Future<Output = ()>) {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(config.client_timeout)
        // Not with a limit of headers of our own: hyper then allocates room for so many with each request, which it has
        // on the stack for its own limit of 100.
        .max_buf_size(config.max_header_bytes);
    let graceful = GracefulShutdown::new();
    let connections = Arc::new(Semaphore::new(config.max_connections.min(Semaphore::MAX_PERMITS)));
    let mut stop = std::pin::pin!(stop);
    let mut accept_fails = false;

    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = accept(&listener, &connections) => accepted,
        };
        let (stream, permit) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                if !accept_fails {
                    tracing::warn!(%error, "cannot accept connections");
                }
                accept_fails = true;
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        accept_fails = false;
        // Answers are written whole; waiting to fill a packet only delays them.
        let _ = stream.set_nodelay(true);
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(config.client_timeout));
        let connection = builder.serve_connection(TokioIo::new(Box::pin(stream)), routes.clone());
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended");
            }
            drop(permit);
        });
    }

    drop(listener);
    tracing::info!(
        grace_seconds = config.shutdown_grace.as_secs_f64(),
        "stopping: no new connections"
    );
    if tokio::time::timeout(config.shutdown_grace, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("requests in flight did not end within the grace time");
    }
}

async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> io::Result<(TcpStream, Option<tokio::sync::OwnedSemaphorePermit>)> {
    // The semaphore is never closed.
    let permit = Arc::clone(connections).acquire_owned().await.ok();
    let (stream, _) = listener.accept().await?;
    Ok((stream, permit))
}
