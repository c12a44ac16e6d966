//! Whether anything happens on a connection: requests being worked on, and answers being taken.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

use super::answer::Payload;

/// Bytes of an answer that are handed to the connection at a time.
const PIECE: usize = 64 << 10;
/// Looks in the time after which a connection counts as idle; it is seen so much later at most.
const LOOKS: u32 = 4;

/// What happens on a connection. Reading a body and predicting are work, and have time limits of their own.
#[derive(Default)]
pub(super) struct Activity {
    working: AtomicUsize,
    /// Requests that began and ended, and pieces of answers that were asked for; it may wrap.
    steps: AtomicUsize,
}

impl Activity {
    /// Something happens now. It is counted and not timed, which takes less than to read a clock.
    fn step(&self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
    }

    /// A request is no longer worked on.
    fn end(&self) {
        self.step();
        self.working.fetch_sub(1, Ordering::Relaxed);
    }

    /// Ends when nothing happened for so long.
    pub(super) async fn idle(&self, patience: Duration) {
        let (mut seen, mut since) = (self.steps.load(Ordering::Relaxed), Instant::now());
        while since.elapsed() < patience {
            tokio::time::sleep(patience / LOOKS).await;
            let steps = self.steps.load(Ordering::Relaxed);
            if steps != seen || self.working.load(Ordering::Relaxed) > 0 {
                (seen, since) = (steps, Instant::now());
            }
        }
    }
}

/// A request being worked on, until it is dropped.
pub(super) struct Working(Option<Arc<Activity>>);

impl Working {
    pub(super) fn begin(activity: &Arc<Activity>) -> Working {
        activity.working.fetch_add(1, Ordering::Relaxed);
        Working(Some(Arc::clone(activity)))
    }

    /// Ends the work, and gives whose it was.
    pub(super) fn end(mut self) -> Option<Arc<Activity>> {
        let activity = self.0.take()?;
        activity.end();
        Some(activity)
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        if let Some(activity) = &self.0 {
            activity.end();
        }
    }
}

/// An answer in pieces. The next one is asked for when the client has taken the last one, or most of it: so a client that
/// takes a long answer slowly can be told from one that takes nothing.
pub(super) struct Pieces {
    body: Option<Body>,
    /// What is left of the frame of `body`, or of a whole answer, that is being cut.
    rest: Bytes,
    activity: Option<Arc<Activity>>,
}

impl Pieces {
    pub(super) fn new(payload: Payload, activity: Option<Arc<Activity>>) -> Pieces {
        let (body, rest) = match payload {
            Payload::Whole(bytes) => (None, bytes),
            Payload::Any(body) => (Some(body), Bytes::new()),
        };
        Pieces { body, rest, activity }
    }
}

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Some(activity) = &self.activity {
            activity.step();
        }
        if self.rest.is_empty() {
            let Some(body) = &mut self.body else {
                return Poll::Ready(None);
            };
            match ready!(Pin::new(body).poll_frame(context)) {
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
        self.rest.is_empty() && self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let Some(body) = &self.body else {
            return SizeHint::with_exact(rest);
        };
        let hint = body.size_hint();
        match hint.exact() {
            Some(length) => SizeHint::with_exact(length + rest),
            None => SizeHint::default(),
        }
    }
}
