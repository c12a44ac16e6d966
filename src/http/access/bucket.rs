//! How many requests a second somebody may make: a generic cell rate algorithm in one number, without a lock.

use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Requests a second, and how many may come at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// Requests a second.
    pub rate: f64,
    /// Requests that may come at once after a rest.
    pub burst: u32,
}

/// Rates beyond these are typing errors: one request in a quarter of an hour, and more than a process answers.
const RATES: std::ops::RangeInclusive<f64> = 0.001..=1e6;
const MAX_BURST: u32 = 1_000_000;

/// A text that is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("use requests a second, such as 100, or with those that may come at once, such as 100:500")]
pub struct NoLimit;

impl FromStr for Limit {
    type Err = NoLimit;

    /// `RATE` or `RATE:BURST`; without a burst, that of one second.
    fn from_str(text: &str) -> Result<Limit, NoLimit> {
        let (rate, burst) = match text.split_once(':') {
            Some((rate, burst)) => (rate, Some(burst)),
            None => (text, None),
        };
        let rate: f64 = rate.parse().map_err(|_| NoLimit)?;
        if !RATES.contains(&rate) {
            return Err(NoLimit);
        }
        let burst = match burst {
            Some(burst) => burst.parse().map_err(|_| NoLimit)?,
            None => rate.ceil() as u32,
        };
        match burst {
            1..=MAX_BURST => Ok(Limit { rate, burst }),
            _ => Err(NoLimit),
        }
    }
}

/// What one holder has left of his limit.
#[derive(Debug)]
pub(super) struct Bucket {
    /// Nanoseconds that one request takes up.
    interval: u64,
    /// How far ahead of the clock requests may run.
    tolerance: u64,
    epoch: Instant,
    /// When all that was taken will have been earned, in nanoseconds after `epoch`.
    earned: AtomicU64,
}

impl Bucket {
    pub(super) fn new(limit: Limit, now: Instant) -> Bucket {
        let interval = (1e9 / limit.rate) as u64;
        Bucket {
            interval,
            tolerance: interval.saturating_mul(u64::from(limit.burst.saturating_sub(1))),
            epoch: now,
            earned: AtomicU64::new(0),
        }
    }

    /// Takes one request, or says how long there is none.
    pub(super) fn take(&self, now: Instant) -> Result<(), Duration> {
        let now = u64::try_from(now.saturating_duration_since(self.epoch).as_nanos()).unwrap_or(u64::MAX);
        let mut earned = self.earned.load(Ordering::Relaxed);
        loop {
            let early = earned.saturating_sub(self.tolerance);
            if now < early {
                return Err(Duration::from_nanos(early - now));
            }
            let next = earned.max(now).saturating_add(self.interval);
            // The number is all there is: nothing else is read after it.
            match self
                .earned
                .compare_exchange_weak(earned, next, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return Ok(()),
                Err(other) => earned = other,
            }
        }
    }
}

#[cfg(test)]
mod tests;
