//! Whether a call should let those come first that are about to, and run together with them.
//!
//! A call of a cheap model runs at once on the task that asks, and the requests that arrived with it would run after it,
//! one by one. Where a call costs much whatever its rows, it is better to let the worker decode them first. That is
//! tried now and then, and kept up as long as it finds company: a lone client waits for nobody.

use std::time::Duration;

/// A call that saves less than this by sharing is not worth the sharing: copying rows and waking tasks takes as long.
const WORTH: Duration = Duration::from_micros(10);
/// One call in so many tries whether there is company.
const TRY: u32 = 32;
/// Weight of the newest batch in the mean.
const WEIGHT: f32 = 0.2;
/// Mean calls of a batch from which on all calls gather.
const COMPANY: f32 = 1.5;

/// What the batches before had.
#[derive(Debug)]
pub(super) struct Gather {
    calls: u32,
    mean: f32,
}

impl Gather {
    pub(super) fn new() -> Gather {
        Gather { calls: 0, mean: 1.0 }
    }

    /// Whether the next call should gather; `fixed` is what a call costs whatever its rows.
    pub(super) fn wanted(&mut self, fixed: Duration) -> bool {
        if fixed < WORTH {
            return false;
        }
        self.calls = self.calls.wrapping_add(1);
        self.mean >= COMPANY || self.calls.is_multiple_of(TRY)
    }

    /// Notes how many calls came together.
    pub(super) fn note(&mut self, calls: usize) {
        self.mean += WEIGHT * (calls as f32 - self.mean);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tries(gather: &mut Gather, fixed: Duration) -> usize {
        (0..320).filter(|_| gather.wanted(fixed)).count()
    }

    #[test]
    fn a_lone_client_is_asked_to_wait_once_in_a_while_only() {
        let mut gather = Gather::new();
        assert_eq!(tries(&mut gather, 4 * WORTH), 10);
        assert_eq!(tries(&mut gather, WORTH / 2), 0);
    }

    #[test]
    fn company_is_noticed_and_forgotten() {
        let mut gather = Gather::new();
        gather.note(10);
        assert_eq!(tries(&mut gather, WORTH), 320);
        (0..20).for_each(|_| gather.note(1));
        assert_eq!(tries(&mut gather, WORTH), 10);
    }
}
