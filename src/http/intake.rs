//! Large bodies come in a few at a time. Of many that are read or decoded at once, each takes as long as all of them, and
//! under more load than can be answered none is done in time; and what they lie in is new memory, which takes the system
//! longer to give than it takes to read them.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Body;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout, timeout_at};

use super::body::{self, BodyError};
use crate::serve::call::Call;
use crate::serve::error::Error;

/// Bodies that each worker reads at once.
const A_WORKER: usize = 16;
/// After that time the next is let in, whether or not a body is there: nobody waits long for clients that are slow.
const TURN: Duration = Duration::from_millis(5);

/// Lets large bodies in, in the order in which their heads came.
#[derive(Debug)]
pub struct Intake {
    turns: Semaphore,
    desks: Semaphore,
    workers: usize,
    /// Calls at a desk, or waiting for one.
    at_desks: AtomicUsize,
    /// Nanoseconds that one takes there: a mean in which the last weighs an eighth.
    takes: AtomicU64,
}

/// A turn to decode, or the wait for one.
pub(super) struct Desk<'a> {
    intake: &'a Intake,
    turn: Option<(SemaphorePermit<'a>, Instant)>,
}

impl Intake {
    /// For so many workers.
    pub fn new(workers: NonZeroUsize) -> Intake {
        let permits = |each: usize| workers.get().saturating_mul(each).min(Semaphore::MAX_PERMITS);
        Intake {
            turns: Semaphore::new(permits(A_WORKER)),
            desks: Semaphore::new(permits(1)),
            workers: workers.get(),
            at_desks: AtomicUsize::new(0),
            takes: AtomicU64::new(0),
        }
    }

    /// Reads a body when it is its turn, unless its call is refused by then.
    ///
    /// # Errors
    /// Those of [`body::read`], and those of calls that are late or too many.
    pub(super) async fn read(
        &self,
        call: &mut Call,
        body: &mut (impl Body<Data = Bytes> + Unpin),
        limit: usize,
        patience: Duration,
    ) -> Result<Bytes, BodyError> {
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        let turn = timeout_at(call.deadline().into(), self.turns.acquire()).await;
        call.refuse_late().map_err(BodyError::Refused)?;
        call.refuse_early(Duration::ZERO, announced)
            .map_err(BodyError::Refused)?;
        let mut reading = std::pin::pin!(body::read(body, limit, patience));
        if let Ok(read) = timeout(TURN, reading.as_mut()).await {
            return read;
        }
        drop(turn);
        reading.await
    }

    /// Waits for a turn to decode, which takes a thread of its own each: there are as many as workers.
    ///
    /// # Errors
    /// Those of calls that are late or too many by then, or would be.
    pub(super) async fn desk(&self, call: &mut Call) -> Result<Desk<'_>, Error> {
        let before = self.at_desks.fetch_add(1, Ordering::Relaxed);
        let mut desk = Desk {
            intake: self,
            turn: None,
        };
        let one = Duration::from_nanos(self.takes.load(Ordering::Relaxed));
        let wait = one.saturating_mul(u32::try_from(before / self.workers).unwrap_or(u32::MAX));
        call.refuse_early(wait, 0)?;
        let turn = timeout_at(call.deadline().into(), self.desks.acquire()).await;
        call.refuse_late()?;
        if !wait.is_zero() {
            call.refuse_early(Duration::ZERO, 0)?;
        }
        desk.turn = turn.ok().and_then(Result::ok).map(|turn| (turn, Instant::now()));
        Ok(desk)
    }
}

impl Drop for Desk<'_> {
    fn drop(&mut self) {
        self.intake.at_desks.fetch_sub(1, Ordering::Relaxed);
        if let Some((_, began)) = &self.turn {
            let took = began.elapsed().as_nanos() as u64;
            // Of two that end at once, one may be forgotten.
            let mean = self.intake.takes.load(Ordering::Relaxed);
            let mean = if mean == 0 {
                took
            } else {
                mean - mean / 8 + took / 8
            };
            self.intake.takes.store(mean, Ordering::Relaxed);
        }
    }
}
