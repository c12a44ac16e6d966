//! Long calls in parts, so that none is longer than the limit and all predictors that are idle take their share.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::oneshot;

use super::{Pool, Run, RunError, end};
use crate::batching::join::{join, split};
use crate::batching::run::Job;
use crate::model::batch::Batch;

/// A call is spread over idle predictors when each part should take at least that.
const PART: Duration = Duration::from_millis(1);

impl Pool {
    /// In how many parts a call should run: as many as keep to the limit of rows, or as predictors are idle when all of
    /// them have enough to do.
    pub(super) fn parts(&self, batch: &Batch, rows: usize) -> usize {
        let shared = &self.shared;
        let few = rows <= shared.config.max_rows;
        let cost = &shared.runner.cost;
        let enough = self.shared.lanes.len() >= 2 && !cost.is_below(rows, 2 * PART);
        if (few && !enough) || !shared.runner.joins(batch, rows) {
            return 1;
        }
        let cost = cost.expect(rows, 1).unwrap_or_default();
        let worth = (cost.as_nanos() / PART.as_nanos()) as usize;
        let idle = shared.lock().idle.len();
        let limit = rows.div_ceil(shared.config.max_rows);
        limit
            .max(worth.min(idle))
            .min(rows / shared.runner.join_from())
            .max(1)
    }

    /// Runs a call in parts, which are in line together, and puts their answers together.
    pub(super) async fn run_parts(
        &self,
        batch: &Batch,
        rows: usize,
        parts: usize,
        deadline: Instant,
        queued: Instant,
    ) -> Result<Run, RunError> {
        let sizes: Vec<usize> = (0..parts)
            .map(|part| rows * (part + 1) / parts - rows * part / parts)
            .collect();
        let batches = split(batch, &sizes).ok_or(RunError::Stopped)?;
        let mut answers = Vec::with_capacity(parts);
        let (idle, wait) = {
            let mut state = self.shared.lock();
            let wait = self.admit(&mut state, rows, deadline, queued)?;
            state.rows = state.rows.saturating_add(rows);
            self.shared.runner.meters.enqueued_rows.increment(rows as u64);
            for (batch, &rows) in batches.into_iter().zip(&sizes) {
                let (reply, answer) = oneshot::channel();
                state.line.push_back(Job {
                    batch,
                    rows,
                    joins: true,
                    deadline,
                    queued,
                    reply,
                });
                answers.push(end(answer, deadline));
            }
            let spare = state.idle.len().saturating_sub(parts);
            (state.idle.split_off(spare), wait)
        };
        for slot in idle {
            // One part each, so that the first to come does not take them all.
            let lease = self.shared.lease(slot);
            let jobs = self
                .shared
                .lock()
                .next(|_| 1, Instant::now(), &self.shared.runner.meters);
            lease.hand_on(jobs);
        }
        let runs: Result<Vec<Run>, RunError> = join_all(answers).await.into_iter().collect();
        self.learn(wait, queued, &runs);
        let runs = runs?;
        let outputs: Vec<&Batch> = runs.iter().map(|run| &run.output).collect();
        match join(&outputs) {
            Some(output) if output.rows() == rows => Ok(Run {
                output,
                queue: runs.iter().map(|run| run.queue).min().unwrap_or_default(),
                predict: runs.iter().map(|run| run.predict).max().unwrap_or_default(),
                ended: None,
            }),
            _ => {
                self.shared.runner.no_more_joins();
                Box::pin(self.run(batch.clone(), deadline)).await
            }
        }
    }
}
