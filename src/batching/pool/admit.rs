//! Which calls are let into line, by how long they should wait there.

use std::time::{Duration, Instant};

use super::{Pool, RunError, State};

impl Pool {
    /// How long so many rows should wait until they are answered, if there is room in line and time for them. With an idle
    /// predictor any time will do, for else a model that was slow once would never get a chance again.
    pub(super) fn admit(
        &self,
        state: &mut State,
        rows: usize,
        deadline: Instant,
        now: Instant,
    ) -> Result<Option<Duration>, RunError> {
        let shared = &self.shared;
        let ahead = state.rows.saturating_add(rows);
        let left = deadline.saturating_duration_since(now);
        // Others will come in time to share its call, and all of them get their answers together.
        let (expected, calls) = match shared.runner.joins_any() {
            true => {
                let most = shared.batch_rows(left);
                let calls = ahead.div_ceil(most);
                (calls.saturating_mul(most), calls)
            }
            false => (ahead, state.line.len() + 1),
        };
        let wait = shared.runner.wait(expected, calls, now) / self.shared.lanes.len().max(1) as u32;
        // One that is idle while somebody waits is for those who do.
        let free = !state.idle.is_empty() && state.line.is_empty();
        let reason = if !state.line.is_empty() && ahead > shared.config.max_queue_rows {
            "too many rows wait for the model"
        } else if !free && wait.saturating_add(shared.spare.beyond(wait, left)) > left {
            "the answer would come after the time limit"
        } else {
            return Ok((!free).then_some(wait));
        };
        state.refused += 1;
        Err(RunError::Overloaded { reason, after: wait })
    }

    /// Learns from a call that should have waited for `wait`, if that was asked; gives when it ended, if with an answer.
    pub(super) fn learn<T>(
        &self,
        wait: Option<Duration>,
        queued: Instant,
        result: &Result<T, RunError>,
    ) -> Option<Instant> {
        let ended = match result {
            Ok(_) => Some(Instant::now()),
            Err(RunError::Deadline) => None,
            // Says nothing about waits.
            Err(_) => return None,
        };
        if let Some(wait) = wait {
            let took = ended.map(|ended| ended.saturating_duration_since(queued));
            self.shared.spare.learn(wait, took);
        }
        ended
    }

    /// Whether a call of so many rows would be refused now, so that its body need not be decoded to know. For requests: their
    /// runtime is the one that may run what is in line.
    pub fn refuses(&self, rows: usize, deadline: Instant) -> Option<RunError> {
        let mut state = self.shared.lock();
        // It would have a predictor, or be the first in line for one that is about to be free; unless others just were, and
        // came too late all the same.
        if state.line.is_empty() && state.refused + state.refused_before == 0 {
            return None;
        }
        let refusal = self.admit(&mut state, rows, deadline, Instant::now()).err()?;
        self.shared.host.get_or_init(|| self.shared.find_host());
        Some(refusal)
    }
}
