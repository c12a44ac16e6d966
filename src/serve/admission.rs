//! Admission: how many requests are worked on at once.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::{Error, Kind};

/// What a refused client is told to wait.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Bounds the requests in flight; the ones beyond are refused at once, not queued.
#[derive(Debug, Clone)]
pub struct Admission {
    permits: Arc<Semaphore>,
    limit: usize,
}

/// The right to be worked on; given back when dropped.
#[derive(Debug)]
pub struct Permit {
    _permit: OwnedSemaphorePermit,
    in_flight: metrics::Gauge,
}

impl Admission {
    /// Admits up to `limit` requests at once.
    pub fn new(limit: usize) -> Admission {
        Admission {
            permits: Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS))),
            limit,
        }
    }

    /// A permit.
    ///
    /// # Errors
    /// [`Kind::Overloaded`] when the limit is reached.
    pub fn admit(&self, in_flight: &metrics::Gauge) -> Result<Permit, Error> {
        match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => {
                in_flight.increment(1.0);
                Ok(Permit {
                    _permit: permit,
                    in_flight: in_flight.clone(),
                })
            }
            Err(_) => Err(Error::new(
                Kind::Overloaded,
                format!(
                    "Too many requests are in flight (limit {}). Try again later.",
                    self.limit
                ),
            )
            .with_retry_after(RETRY_AFTER)),
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
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
}
