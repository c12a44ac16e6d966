//! A predictor in use, and its thread.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, MutexGuard};
use std::time::Instant;

use tokio::runtime::Handle;

use super::{Job, Shared, Slot, State};

/// A predictor in use. Goes back to the pool when dropped.
pub(super) struct Lease {
    pub(super) slot: Option<Slot>,
    pub(super) shared: Arc<Shared>,
}

/// What a thread is handed: calls to run as one, and then whatever is in line.
pub(super) struct Work {
    pub(super) lease: Lease,
    pub(super) jobs: Vec<Job>,
}

impl Lease {
    /// Its thread.
    pub(super) fn thread(&self) -> Option<&SyncSender<Work>> {
        let lane = self.slot.as_ref()?.lane;
        self.shared.lanes.get(lane)?.as_ref()
    }

    /// Has its thread run these calls, and then what is in line; or does so here, without one.
    pub(super) fn hand_on(self, jobs: Vec<Job>) {
        let lane = self.thread().cloned();
        let work = Work { lease: self, jobs };
        match lane {
            // Never full: whoever holds the predictor is the only one to send to its thread. Should that be gone, the calls
            // get no answer and the predictor goes back.
            Some(lane) => drop(lane.try_send(work)),
            None => work.carry_out(),
        }
    }

    /// Runs these calls as one.
    pub(super) fn run(&mut self, jobs: Vec<Job>) {
        if let Some(slot) = &mut self.slot
            && !jobs.is_empty()
        {
            self.shared.runner.together(slot.predictor.as_mut(), jobs);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            self.shared.lock().idle.push(slot);
        }
    }
}

impl Work {
    /// Runs the calls, and then what is in line until nobody is, or a task of the runtime takes over.
    pub(super) fn carry_out(self) {
        let Work { mut lease, mut jobs } = self;
        let shared = Arc::clone(&lease.shared);
        let mut begun = Instant::now();
        loop {
            let rows = rows_of(&jobs);
            lease.run(jobs);
            let (mut state, next) = shared.next(rows, &mut begun);
            jobs = next.jobs;
            if jobs.is_empty() {
                state.idle.extend(lease.slot.take());
                return;
            }
            drop(state);
            if let Some(host) = next.host {
                host.spawn(Work { lease, jobs }.take_turns());
                return;
            }
        }
    }
}

/// The next batch of a predictor.
pub(super) struct Next<'a> {
    pub(super) jobs: Vec<Job>,
    /// The runtime, if a task of it should run that and not a thread.
    pub(super) host: Option<&'a Handle>,
}

impl Shared {
    /// Takes the next batch, after one of so many rows that was taken at `begun`.
    pub(super) fn next(&self, rows: usize, begun: &mut Instant) -> (MutexGuard<'_, State>, Next<'_>) {
        let mut state = self.lock();
        let now = Instant::now();
        if rows > 0 {
            self.runner.drained(rows, now - *begun);
        }
        *begun = now;
        let refused = state.refused;
        // Somebody else may be about to take the line, and needs a predictor.
        let jobs = match state.led {
            Some(_) => Vec::new(),
            None => state.next(|first| self.rows_of(first), now, &self.runner.meters),
        };
        let host = match jobs.is_empty() {
            true => None,
            false => self.host(refused, rows_of(&jobs)),
        };
        (state, Next { jobs, host })
    }
}

/// Rows of these calls together.
pub(super) fn rows_of(jobs: &[Job]) -> usize {
    jobs.iter().map(|job| job.rows).sum()
}

/// The thread of a predictor.
pub(super) fn spawn(name: &str, lane: usize) -> Option<SyncSender<Work>> {
    let (sender, work) = sync_channel(1);
    match std::thread::Builder::new()
        .name(format!("{name}-{lane}"))
        .spawn(move || serve(&work))
    {
        Ok(_) => Some(sender),
        Err(error) => {
            tracing::warn!(%error, "no thread for a predictor; its calls run on the runtime's threads");
            None
        }
    }
}

/// The life of a thread: until the pool is gone.
fn serve(work: &Receiver<Work>) {
    work.iter().for_each(Work::carry_out);
}
