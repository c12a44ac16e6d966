//! One connection: which HTTP its client speaks, and serving it until it ends, is idle for too long, or is told to stop.

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::header::HOST;
use axum::http::{HeaderValue, Request, Response};
use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustix::net::RecvFlags;
use tokio::io::Interest;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;

use super::Config;
use super::listener::Socket;
use super::routes::Routes;

/// What an HTTP/2 client begins with (RFC 9113, 3.4); no HTTP/1 request looks like it.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Requests that an HTTP/2 connection may have open at once; further ones are refused, to be sent again.
const MAX_STREAMS: u32 = 128;
/// Bytes of bodies that an HTTP/2 client may send ahead of our reading, over all streams.
const WINDOW: u32 = 1 << 20;
/// Bytes of an answer that are handed to an HTTP/2 stream at a time.
const PIECE: usize = 64 << 10;
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
            .timer(TokioTimer::new())
            .header_read_timeout(config.client_timeout)
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
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(builders.patience));
    let stream = TokioIo::new(Box::pin(stream));
    let served = if http2 {
        Box::pin(serve_http2(stream, routes, &builders, stop)).await
    } else {
        serve_http1(stream, routes, &builders, stop).await
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

type Stream<S> = TokioIo<Pin<Box<TimeoutStream<S>>>>;

async fn serve_http1<S: Socket>(
    stream: Stream<S>,
    routes: Routes,
    builders: &Builders,
    mut stop: watch::Receiver<()>,
) -> hyper::Result<()> {
    // Not a service of our own type: its future would have to be in a box of its own for each request.
    let service = service_fn(move |request| routes.clone().answer(request));
    let mut connection = pin!(builders.http1.serve_connection(stream, service));
    tokio::select! {
        biased;
        ended = &mut connection => return ended,
        _ = stop.changed() => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}

/// Serves HTTP/2. A client that has nothing to wait for, sends nothing and takes nothing for as long as our patience lasts
/// is told to go, and after the same time again is gone; so there is no need to ping it.
async fn serve_http2<S: Socket>(
    stream: Stream<S>,
    routes: Routes,
    builders: &Builders,
    mut stop: watch::Receiver<()>,
) -> hyper::Result<()> {
    let activity = Arc::new(Activity::default());
    let of_requests = Arc::clone(&activity);
    let service = service_fn(move |mut request: Request<Incoming>| {
        name_host(&mut request);
        let working = Working::begin(&of_requests);
        let activity = Arc::clone(&of_requests);
        let answer = routes.clone().answer(request);
        async move {
            let answer: Result<Response<Body>, Infallible> = answer.await;
            drop(working);
            answer.map(|answer| answer.map(|body| Pieces::new(body, activity)))
        }
    });
    let mut connection = pin!(builders.http2.serve_connection(stream, service));
    let mut idle_check = pin!(sleep(builders.patience));
    let (mut stopping, mut leaving) = (false, false);
    loop {
        tokio::select! {
            biased;
            ended = &mut connection => return ended,
            _ = stop.changed(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
            () = &mut idle_check => {
                let left = builders.patience.saturating_sub(activity.idle());
                if !left.is_zero() {
                    leaving = false;
                    idle_check.as_mut().reset(tokio::time::Instant::now() + left);
                } else if leaving {
                    return Ok(());
                } else {
                    leaving = true;
                    connection.as_mut().graceful_shutdown();
                    idle_check.as_mut().reset(tokio::time::Instant::now() + builders.patience);
                }
            }
        }
    }
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

/// Whether a connection's requests are being worked on, and when something last happened.
struct Activity {
    began: Instant,
    working: AtomicUsize,
    /// Milliseconds after `began`.
    last: AtomicU64,
}

impl Default for Activity {
    fn default() -> Activity {
        Activity {
            began: Instant::now(),
            working: AtomicUsize::new(0),
            last: AtomicU64::new(0),
        }
    }
}

impl Activity {
    /// Something happens now.
    fn note(&self) {
        let now = self.began.elapsed().as_millis() as u64;
        self.last.store(now, Ordering::Release);
    }

    /// Time since anything happened. Reading a body and predicting are work, and have time limits of their own.
    fn idle(&self) -> Duration {
        if self.working.load(Ordering::Acquire) > 0 {
            return Duration::ZERO;
        }
        let last = Duration::from_millis(self.last.load(Ordering::Acquire));
        self.began.elapsed().saturating_sub(last)
    }
}

/// A request being worked on, until it is dropped.
struct Working(Arc<Activity>);

impl Working {
    fn begin(activity: &Arc<Activity>) -> Working {
        activity.working.fetch_add(1, Ordering::AcqRel);
        Working(Arc::clone(activity))
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.0.note();
        self.0.working.fetch_sub(1, Ordering::AcqRel);
    }
}

/// An answer in pieces. The next one is asked for when the client has taken the last one, or most of it: so a client that
/// takes a long answer slowly can be told from one that takes nothing.
struct Pieces {
    body: Body,
    /// What is left of the frame of `body` that is being cut.
    rest: Bytes,
    activity: Arc<Activity>,
}

impl Pieces {
    fn new(body: Body, activity: Arc<Activity>) -> Pieces {
        Pieces {
            body,
            rest: Bytes::new(),
            activity,
        }
    }
}

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.activity.note();
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => self.rest = bytes,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            }
        }
        let length = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(length);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (hint, rest) = (self.body.size_hint(), self.rest.len() as u64);
        match hint.exact() {
            Some(length) => SizeHint::with_exact(length + rest),
            None => SizeHint::default(),
        }
    }
}
