//! The call that lets others join it in line before they all run as one.

use std::time::Instant;

use tokio::task::yield_now;
use tokio::time::timeout;

use super::{INLINE_BELOW, Pool};

impl Pool {
    /// Lets others join the line, and takes it, unless it was taken with this lead.
    pub(super) async fn lead(&self, number: u64) {
        let lead = Lead {
            pool: self,
            number,
            done: false,
        };
        let delay = self.shared.config.max_delay;
        if delay.is_zero() {
            // Everybody whose request is here already is polled before this task is again.
            yield_now().await;
        } else {
            // Asked again each time, for a word about a batch before this one may still be waiting.
            let waits = || {
                let state = self.shared.lock();
                // Who found the batch full has taken it, and the lead with it; the next batch has another.
                state.led == Some(number) && !self.shared.is_full(&state)
            };
            let full = async {
                while waits() {
                    self.shared.full.notified().await;
                }
            };
            let _ = timeout(delay, full).await;
        }
        lead.take_line();
    }
}

/// The task that takes the line; when it is dropped before, the line goes to a thread.
struct Lead<'a> {
    pool: &'a Pool,
    number: u64,
    done: bool,
}

impl Lead<'_> {
    fn take_line(mut self) {
        self.done = true;
        let shared = &self.pool.shared;
        let now = Instant::now();
        let mut state = shared.lock();
        if state.led != Some(self.number) {
            return;
        }
        state.led = None;
        // Without one, those who run take the line when they end.
        let Some(slot) = state.idle.pop() else { return };
        let jobs = state.next(|first| shared.rows_of(first), now, &shared.runner.meters);
        if !jobs.is_empty() {
            state.gather.note(jobs.len());
        }
        drop(state);
        let rows = jobs.iter().map(|job| job.rows).sum();
        let mut lease = shared.lease(slot);
        let cheap = shared
            .runner
            .cost
            .expect(rows, 1)
            .is_some_and(|cost| cost < INLINE_BELOW);
        if cheap {
            lease.run(jobs);
            self.pool.give_back(lease);
        } else {
            lease.hand_on(jobs);
        }
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let slot = {
            let mut state = self.pool.shared.lock();
            if state.led != Some(self.number) {
                return;
            }
            state.led = None;
            state.idle.pop()
        };
        if let Some(slot) = slot {
            self.pool.shared.lease(slot).hand_on(Vec::new());
        }
    }
}
