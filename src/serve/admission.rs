//! Admission: how many requests are worked on at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::error::{Error, Kind};
use crate::predlog::Recorder;

/// What a refused client is told to wait.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Bounds the requests in flight; the ones beyond are refused at once, not queued, so that a count is enough.
#[derive(Debug, Clone)]
pub struct Admission {
    desk: Arc<Desk>,
    limit: usize,
}

/// What every request comes by, at its begin and at its end.
#[derive(Debug)]
struct Desk {
    given: AtomicUsize,
    in_flight: metrics::Gauge,
    recorder: Option<Recorder>,
}

/// The right to be worked on; given back when dropped, if not before.
#[derive(Debug)]
pub struct Permit {
    desk: Arc<Desk>,
    held: bool,
}

impl Admission {
    /// Admits up to `limit` requests at once, and shows how many there are. What is recorded of them goes to `recorder`.
    pub fn new(limit: usize, in_flight: metrics::Gauge, recorder: Option<Recorder>) -> Admission {
        let desk = Desk {
            given: AtomicUsize::new(0),
            in_flight,
            recorder,
        };
        Admission {
            desk: Arc::new(desk),
            limit,
        }
    }

    /// A permit.
    ///
    /// # Errors
    /// [`Kind::Overloaded`] when the limit is reached.
    pub fn admit(&self) -> Result<Permit, Error> {
        // Never more than the limit, but for a moment in which a refusal is counted as well: it may have another one
        // refused, never one admitted.
        if self.desk.given.fetch_add(1, Ordering::Acquire) >= self.limit {
            self.desk.given.fetch_sub(1, Ordering::Release);
            return Err(Error::new(
                Kind::Overloaded,
                format!(
                    "Too many requests are in flight (limit {}). Try again later.",
                    self.limit
                ),
            )
            .with_retry_after(RETRY_AFTER));
        }
        self.desk.in_flight.increment(1.0);
        Ok(Permit {
            desk: Arc::clone(&self.desk),
            held: true,
        })
    }

    /// How many requests are worked on.
    pub fn in_flight(&self) -> usize {
        self.desk.given.load(Ordering::Relaxed)
    }
}

impl Permit {
    /// Gives it back: there is nothing to work on any more.
    pub fn give_back(&mut self) {
        if std::mem::take(&mut self.held) {
            self.desk.given.fetch_sub(1, Ordering::Release);
            self.desk.in_flight.decrement(1.0);
        }
    }

    /// Where the request is recorded.
    pub fn recorder(&self) -> Option<&Recorder> {
        self.desk.recorder.as_ref()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(limit: usize) -> Admission {
        Admission::new(limit, metrics::Gauge::noop(), None)
    }

    #[test]
    fn beyond_the_limit_is_refused_until_a_permit_comes_back() {
        let admission = admission(1);
        let mut first = admission.admit().unwrap();
        let refused = admission.admit().unwrap_err();
        assert_eq!(refused.kind(), Kind::Overloaded);
        assert!(refused.retry_after().is_some());
        first.give_back();
        let second = admission.admit().unwrap();
        // It is given back once.
        drop(first);
        assert!(admission.admit().is_err());
        drop(second);
        assert!(admission.admit().is_ok());
    }

    #[test]
    fn threads_never_hold_more_than_the_limit() {
        let (admission, held) = (admission(2), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..5_000 {
                        if let Ok(permit) = admission.admit() {
                            assert!(held.fetch_add(1, Ordering::SeqCst) < 2);
                            held.fetch_sub(1, Ordering::SeqCst);
                            drop(permit);
                        }
                    }
                });
            }
        });
        assert!(admission.admit().is_ok());
    }
}
