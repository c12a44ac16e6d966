//! What a measurement says.

use std::time::Duration;

use super::tally::Tally;

/// A thread that has sent for this part of the time is itself what limits the rate.
const BUSY: f64 = 0.9;

/// All steps.
#[derive(Debug, Clone)]
pub struct Report {
    /// In the order they were run; those not begun are missing.
    pub steps: Vec<Step>,
    /// Whether it was stopped early.
    pub interrupted: bool,
}

/// All targets with so many connections each.
#[derive(Debug, Clone)]
pub struct Step {
    /// Connections.
    pub connections: usize,
    /// One a target, in the order of the plan.
    pub measured: Vec<Measured>,
}

/// One target in one step.
#[derive(Debug, Clone)]
pub struct Measured {
    /// What requests came to.
    pub tally: Tally,
    /// How long they were sent, to the last answer.
    pub seconds: Duration,
    /// Time on the processor that the threads could have had.
    processors: Duration,
}

/// How one target does beside the first: its figure divided by the first's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio {
    /// Of successes a second; more is better.
    pub rate: Option<f64>,
    /// Of the median latency; less is better.
    pub p50: Option<f64>,
    /// Of the latency that 99 of 100 requests do not exceed; less is better.
    pub p99: Option<f64>,
}

impl Measured {
    pub(super) fn nothing() -> Result<Measured, hdrhistogram::CreationError> {
        Ok(Measured {
            tally: Tally::new()?,
            seconds: Duration::ZERO,
            processors: Duration::ZERO,
        })
    }

    /// Adds a slice that took so long, sent by so many threads.
    pub(super) fn add(&mut self, tally: &Tally, took: Duration, threads: usize) {
        self.tally.add(tally);
        self.seconds += took;
        self.processors += took.saturating_mul(u32::try_from(threads).unwrap_or(u32::MAX));
    }

    /// Successes a second.
    pub fn rate(&self) -> f64 {
        quotient(self.tally.answered as f64, self.seconds.as_secs_f64()).unwrap_or(0.0)
    }

    /// The part of its time that the load itself was at work, from 0 to 1.
    pub fn busy(&self) -> f64 {
        let (busy, all) = (self.tally.busy.as_secs_f64(), self.processors.as_secs_f64());
        quotient(busy, all).unwrap_or(0.0).min(1.0)
    }

    /// Whether the load, not the server, may be what limits the rate.
    pub fn saturated(&self) -> bool {
        self.busy() > BUSY
    }

    /// This one beside another.
    pub fn ratio(&self, first: &Measured) -> Ratio {
        let latency = |part: f64| {
            let (mine, other) = (
                self.tally.latency.quantile(part)?,
                first.tally.latency.quantile(part)?,
            );
            quotient(mine.as_secs_f64(), other.as_secs_f64())
        };
        Ratio {
            rate: quotient(self.rate(), first.rate()),
            p50: latency(0.5),
            p99: latency(0.99),
        }
    }
}

fn quotient(one: f64, other: f64) -> Option<f64> {
    (other > 0.0).then(|| one / other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(answered: u32, latency: Duration) -> Measured {
        let mut tally = Tally::new().unwrap();
        for _ in 0..answered {
            tally.answer(200, latency, b"");
        }
        tally.busy = Duration::from_millis(500);
        let mut measured = Measured::nothing().unwrap();
        measured.add(&tally, Duration::from_secs(2), 2);
        measured
    }

    #[test]
    fn ratios_are_to_the_first() {
        let first = measured(100, Duration::from_millis(4));
        let ratio = measured(200, Duration::from_millis(1)).ratio(&first);
        assert_eq!(ratio.rate, Some(2.0));
        assert!((ratio.p99.unwrap() - 0.25).abs() < 0.001, "{ratio:?}");
        assert_eq!(first.rate(), 50.0);
    }

    #[test]
    fn what_answered_nothing_has_no_ratio() {
        let (dead, alive) = (measured(0, Duration::ZERO), measured(1, Duration::from_millis(1)));
        assert_eq!((alive.ratio(&dead).rate, alive.ratio(&dead).p50), (None, None));
        assert_eq!(
            (dead.ratio(&alive).rate, dead.ratio(&alive).p50),
            (Some(0.0), None)
        );
        assert_eq!(Measured::nothing().unwrap().rate(), 0.0);
    }

    #[test]
    fn a_load_that_is_all_at_work_is_told() {
        let mut measured = measured(1, Duration::from_millis(1));
        assert_eq!((measured.busy(), measured.saturated()), (0.125, false));
        measured.tally.busy = Duration::from_secs(4);
        assert!(measured.saturated());
    }
}
