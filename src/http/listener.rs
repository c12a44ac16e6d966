//! The listener: accepts connections within their bounds, and stops without dropping a request.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, Interest, Ready};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{Semaphore, watch};

use super::Config;
use super::connection::{self, Builders};
use super::routes::Routes;
use super::tls::Tls;
use super::unix::SocketFile;

/// Wait after a failed accept (no file descriptors left, usually), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Where connections come in.
pub struct Doors {
    /// The port.
    pub tcp: TcpListener,
    /// The TLS of the port, where it speaks it.
    pub tls: Option<Arc<Tls>>,
    /// The Unix domain socket, where there is one.
    pub unix: Option<SocketFile>,
}

/// A stream whose first bytes can be looked at.
pub(super) trait Socket: AsyncRead + AsyncWrite + AsFd + Unpin + Send + Sync + 'static {
    /// As the method of the same name of tokio's streams.
    fn ready(&self, interest: Interest) -> impl Future<Output = io::Result<Ready>> + Send;
    /// As the method of the same name of tokio's streams.
    fn try_io<T>(&self, interest: Interest, io: impl FnOnce() -> io::Result<T>) -> io::Result<T>;
}

/// Serves until `stop` ends, then lets the requests in flight end within [`Config::shutdown_grace`].
///
/// Cancel-safe: dropping the future closes the listeners and tells the connections to end.
pub async fn serve(doors: Doors, routes: Routes, config: &Config, stop: impl Future<Output = ()>) {
    let builders = Arc::new(Builders::new(config));
    let local = routes.local();
    let connections = Arc::new(Semaphore::new(config.max_connections.min(Semaphore::MAX_PERMITS)));
    let (stopping, told) = watch::channel(());
    let mut stop = std::pin::pin!(stop);
    let mut accept_fails = false;

    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = accept(&doors, &connections) => accepted,
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
        let (builders, told) = (Arc::clone(&builders), told.clone());
        match stream {
            Accepted::Tcp(stream) => {
                let routes = routes.clone();
                if let Some(tls) = &doors.tls {
                    let served = connection::serve_tls(stream, Arc::clone(tls), routes, builders, told);
                    tokio::spawn(async move {
                        served.await;
                        drop(permit);
                    });
                    continue;
                }
                let served = connection::serve(stream, routes, builders, told);
                tokio::spawn(async move {
                    served.await;
                    drop(permit);
                });
            }
            Accepted::Unix(stream) => {
                let served = connection::serve(stream, local.clone(), builders, told);
                tokio::spawn(async move {
                    served.await;
                    drop(permit);
                });
            }
        }
    }

    drop((doors, told));
    tracing::info!(
        grace_seconds = config.shutdown_grace.as_secs_f64(),
        "stopping: no new connections"
    );
    stopping.send_replace(());
    // Each connection has a receiver until it ends.
    if tokio::time::timeout(config.shutdown_grace, stopping.closed())
        .await
        .is_err()
    {
        tracing::warn!("requests in flight did not end within the grace time");
    }
}

enum Accepted {
    Tcp(TcpStream),
    Unix(UnixStream),
}

async fn accept(
    doors: &Doors,
    connections: &Arc<Semaphore>,
) -> io::Result<(Accepted, Option<tokio::sync::OwnedSemaphorePermit>)> {
    // The semaphore is never closed.
    let permit = Arc::clone(connections).acquire_owned().await.ok();
    let stream = match &doors.unix {
        None => Accepted::Tcp(accept_tcp(&doors.tcp).await?),
        Some(unix) => tokio::select! {
            stream = accept_tcp(&doors.tcp) => Accepted::Tcp(stream?),
            stream = unix.accept() => Accepted::Unix(stream?),
        },
    };
    Ok((stream, permit))
}

async fn accept_tcp(listener: &TcpListener) -> io::Result<TcpStream> {
    let (stream, _) = listener.accept().await?;
    // Answers are written whole; waiting to fill a packet only delays them. A client that is gone already fails here.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

impl Socket for TcpStream {
    async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        TcpStream::ready(self, interest).await
    }

    fn try_io<T>(&self, interest: Interest, io: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        TcpStream::try_io(self, interest, io)
    }
}

impl Socket for UnixStream {
    async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        UnixStream::ready(self, interest).await
    }

    fn try_io<T>(&self, interest: Interest, io: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        UnixStream::try_io(self, interest, io)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn accepted_sockets_send_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        // The control: a socket that nobody set does wait.
        assert!(!client.nodelay().unwrap());
        assert!(accept_tcp(&listener).await.unwrap().nodelay().unwrap());
    }
}
