//! Admission: how many requests are worked on at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::error::{Error, Kind};

/// What a refused client is told to wait.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Bounds the requests in flight; the ones beyond are refused at once, not queued, so that a count is enough.
#[derive(Debug, Clone)]
pub struct Admission {
    given: Arc<AtomicUsize>,
    limit: usize,
}

/// The right to be worked on; given back when dropped.
#[derive(Debug)]
pub struct Permit {
    given: Arc<AtomicUsize>,
    in_flight: metrics::Gauge,
}

impl Admission {
    /// Admits up to `limit` requests at once.
    pub fn new(limit: usize) -> Admission {
        Admission {
            given: Arc::default(),
            limit,
        }
    }

    /// A permit.
    ///
    /// # Errors
    /// [`Kind::Overloaded`] when the limit is reached.
    pub fn admit(&self, in_flight: &metrics::Gauge) -> Result<Permit, Error> {
        // Never more than the limit, but for a moment in which a refusal is counted as well: it may have another one
        // refused, never one admitted.
        if self.given.fetch_add(1, Ordering::Acquire) >= self.limit {
            self.given.fetch_sub(1, Ordering::Release);
            return Err(Error::new(
                Kind::Overloaded,
                format!(
                    "Too many requests are in flight (limit {}). Try again later.",
                    self.limit
                ),
            )
            .with_retry_after(RETRY_AFTER));
        }
        in_flight.increment(1.0);
        Ok(Permit {
            given: Arc::clone(&self.given),
            in_flight: in_flight.clone(),
        })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.given.fetch_sub(1, Ordering::Release);
        self.in_flight.decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_limit_is_refused_until_a_permit_comes_back() {
        let admission = Admission::new(1);
        let gauge = metrics::Gauge::noop();
        let first = admission.admit(&gauge).unwrap();
        let refused = admission.admit(&gauge).unwrap_err();
        assert_eq!(refused.kind(), Kind::Overloaded);
        assert!(refused.retry_after().is_some());
        drop(first);
        assert!(admission.admit(&gauge).is_ok());
    }

    #[test]
    fn threads_never_hold_more_than_the_limit() {
        let (admission, held) = (Admission::new(2), AtomicUsize::new(0));
        let gauge = metrics::Gauge::noop();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..5_000 {
                        if let Ok(permit) = admission.admit(&gauge) {
                            assert!(held.fetch_add(1, Ordering::SeqCst) < 2);
                            held.fetch_sub(1, Ordering::SeqCst);
                            drop(permit);
                        }
                    }
                });
            }
        });
        assert!(admission.admit(&gauge).is_ok());
    }
}
