//! One connection: which HTTP its client speaks, and serving it until it ends, is idle for too long, or is told to stop.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::header::HOST;
use axum::http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustix::net::RecvFlags;
use tokio::io::{AsyncRead, AsyncWrite, Interest};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use super::Config;
use super::activity::{Activity, Pieces, Working};
use super::bell::Bell;
use super::listener::Socket;
use super::routes::{Routes, predicts};
use super::small_writes::SmallWrites;
use super::tls::{self, Tls};
use crate::telemetry::names;

/// What an HTTP/2 client begins with (RFC 9113, 3.4); no HTTP/1 request looks like it.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Requests that an HTTP/2 connection may have open at once; further ones are refused, to be sent again.
const MAX_STREAMS: u32 = 128;
/// Bytes of bodies that an HTTP/2 client may send ahead of our reading, over all streams.
const WINDOW: u32 = 1 << 20;
/// Bytes of an answer that wait in an HTTP/2 stream for its client, but for the last piece.
const SEND_AHEAD: usize = 256 << 10;
/// Streams that a client has opened and reset before we looked at them (CVE-2023-44487), and those that we had to reset
/// for errors of the client; with more of either the connection is closed.
const MAX_RESET_STREAMS: usize = 64;

/// How connections are served.
pub(super) struct Builders {
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
    patience: Duration,
}

impl Builders {
    pub(super) fn new(config: &Config) -> Builders {
        let mut http1 = http1::Builder::new();
        http1
            // A timer for each head is a lock that all connections share, several times a request; see `watch`.
            .header_read_timeout(None)
            // Not with a limit of headers of our own: hyper then allocates room for so many with each request, which it
            // has on the stack for its own limit of 100.
            .max_buf_size(config.max_header_bytes);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(u32::try_from(config.max_header_bytes).unwrap_or(u32::MAX))
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .max_send_buf_size(SEND_AHEAD)
            .max_pending_accept_reset_streams(MAX_RESET_STREAMS)
            .max_local_error_reset_streams(MAX_RESET_STREAMS);
        Builders {
            http1,
            http2,
            patience: config.client_timeout,
        }
    }
}

/// Serves a connection to its end. When `stop` changes, the requests in flight are the last ones.
///
/// Cancel-safe: dropping the future closes the connection.
pub(super) async fn serve<S: Socket>(
    stream: S,
    routes: Routes,
    builders: Arc<Builders>,
    stop: watch::Receiver<()>,
) {
    let mut told = stop.clone();
    let http2 = tokio::select! {
        // In this order, a request that is already here is answered.
        biased;
        spoken = timeout(builders.patience, speaks_http2(&stream)) => match spoken {
            Ok(Ok(http2)) => http2,
            // Nobody is there, or nobody says anything.
            Ok(Err(_)) | Err(_) => return,
        },
        _ = told.changed() => return,
    };
    speak(stream, http2, routes, builders, stop).await;
}

/// The same with TLS, in whose greeting the client says which HTTP it speaks.
pub(super) async fn serve_tls(
    stream: TcpStream,
    tls: Arc<Tls>,
    routes: Routes,
    builders: Arc<Builders>,
    stop: watch::Receiver<()>,
) {
    let mut told = stop.clone();
    // In a box: a connection has no room for it in its own future once it is over.
    let greeting = Box::pin(timeout(builders.patience, tls.accept(stream)));
    let stream = tokio::select! {
        biased;
        greeted = greeting => match greeted {
            Ok(Ok(stream)) => stream,
            failed => {
                let problem = match failed {
                    Ok(Err(error)) => error.to_string(),
                    _ => "the client is too slow".to_owned(),
                };
                metrics::counter!(names::TLS_HANDSHAKES_FAILED_TOTAL).increment(1);
                tracing::debug!(problem, "no TLS connection");
                return;
            }
        },
        _ = told.changed() => return,
    };
    let http2 = tls::is_http2(&stream);
    speak(stream, http2, routes, builders, stop).await;
}

/// Serves a connection whose HTTP is known to its end.
async fn speak<S>(stream: S, http2: bool, routes: Routes, builders: Arc<Builders>, stop: watch::Receiver<()>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stream = TokioIo::new(stream);
    let activity = Arc::new(Activity::default());
    let of_requests = Arc::clone(&activity);
    let patience = builders.patience;
    let served = if http2 {
        let service = service_fn(move |mut request: Request<Incoming>| {
            name_host(&mut request);
            answer(&routes, &of_requests, request)
        });
        let connection = builders.http2.serve_connection(stream, service);
        let shut_down = http2::Connection::graceful_shutdown;
        Box::pin(watch(connection, shut_down, true, &activity, patience, stop)).await
    } else {
        // Not a service of a type of our own: its future would have to be in a box of its own for each request.
        let service = service_fn(move |request| answer(&routes, &of_requests, request));
        let connection = builders.http1.serve_connection(SmallWrites(stream), service);
        let shut_down = http1::Connection::graceful_shutdown;
        watch(connection, shut_down, false, &activity, patience, stop).await
    };
    if let Err(error) = served {
        tracing::debug!(%error, "connection ended");
    }
}

/// Looks at the first bytes without taking them, so that neither protocol has to know of the other.
async fn speaks_http2<S: Socket>(stream: &S) -> io::Result<bool> {
    loop {
        let ready = stream.ready(Interest::READABLE).await?;
        let look = || {
            let mut start = [0; PREFACE.len()];
            let (_, length) = rustix::net::recv(stream, &mut start[..], RecvFlags::PEEK)?;
            let seen = start.get(..length).unwrap_or_default();
            if seen == PREFACE {
                Ok(true)
            } else if seen.is_empty() || !PREFACE.starts_with(seen) {
                Ok(false)
            } else {
                // The rest has yet to come: wait for the next change, not for what lies there already.
                Err(io::ErrorKind::WouldBlock.into())
            }
        };
        match stream.try_io(Interest::READABLE, look) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if ready.is_read_closed() {
                    return Ok(false);
                }
            }
            seen => return seen,
        }
    }
}

/// Answers by these routes, and notes that it does.
fn answer(routes: &Routes, activity: &Arc<Activity>, request: Request<Incoming>) -> impl Answer + use<> {
    let working = Working::begin(activity);
    let routes = routes.clone();
    // Taken apart here, and lent: it is long, and each of the futures that are handed it has a copy.
    let (head, mut body) = request.into_parts();
    async move {
        // Made where it is awaited: its future is long, and one that is handed in is moved to there.
        let answer = match predicts(&head) {
            true => Ok(routes.predict(&head, &mut body).await),
            false => routes.answer(Request::from_parts(head, body)).await,
        };
        let activity = working.end();
        answer.map(|answer| answer.map(|body| Pieces::new(body, activity)))
    }
}

/// What [`answer`] gives.
trait Answer: Future<Output = Result<Response<Pieces>, Infallible>> + Send {}
impl<F: Future<Output = Result<Response<Pieces>, Infallible>> + Send> Answer for F {}

/// Serves a connection to its end. A client that has nothing to wait for, sends no whole request and takes nothing for as
/// long as our patience lasts is let go; one that `can_be_told` is told to go first, and has the same time again.
async fn watch<C>(
    connection: C,
    shut_down: fn(Pin<&mut C>),
    can_be_told: bool,
    activity: &Activity,
    patience: Duration,
    mut stop: watch::Receiver<()>,
) -> hyper::Result<()>
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut connection = pin!(connection);
    let mut stopped = pin!(async move {
        // As good as a word: whoever would say it is gone.
        let _ = stop.changed().await;
    });
    let idle = || Box::pin(activity.idle(patience));
    let mut waits = idle();
    let (mut told, mut bell, mut stops) = (!can_be_told, Bell::default(), true);
    poll_fn(|task| {
        loop {
            if let Poll::Ready(ended) = connection.as_mut().poll(task) {
                return Poll::Ready(ended);
            }
            let Some(waker) = bell.rung(task.waker()) else {
                return Poll::Pending;
            };
            let mut seldom = Context::from_waker(waker);
            let stop = stops && stopped.as_mut().poll(&mut seldom).is_ready();
            stops &= !stop;
            let idles = waits.as_mut().poll(&mut seldom).is_ready();
            if idles && told {
                return Poll::Ready(Ok(()));
            }
            if idles {
                told = true;
                waits = idle();
                // The new one has to be polled once, to wait.
                seldom.waker().wake_by_ref();
            }
            if !stop && !idles {
                return Poll::Pending;
            }
            shut_down(connection.as_mut());
        }
    })
    .await
}

/// HTTP/2 says the host in the request's address, HTTP/1 in a header, which is where we look for it.
fn name_host(request: &mut Request<Incoming>) {
    if request.headers().contains_key(HOST) {
        return;
    }
    let authority = request.uri().authority().map(|authority| authority.as_str());
    if let Some(Ok(host)) = authority.map(HeaderValue::try_from) {
        request.headers_mut().insert(HOST, host);
    }
}
